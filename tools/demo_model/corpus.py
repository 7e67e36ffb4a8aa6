#!/usr/bin/env python3
"""The synthetic conversations that tiny-chat learns from and is tested with.

Everything follows from a seed. A question is *held out* (never in training, in no turn of any
conversation) when a stable hash says so, see `held_out`. Standard library only.

Run it to look at samples: `corpus.py --count 20 --seed 1 [--held-out]`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import random
import re
import unicodedata
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Tuple

import facts
import questions
from questions import CONTEXT, EN, JA, KINDS, LANGUAGES, Question

# Percentages of the questions, and of the items asked for, that training never sees.
HELD_OUT_QUESTIONS = 6
HELD_OUT_ITEMS = 2


@dataclass(frozen=True)
class Turn:
    """A question as it is typed, and the answer expected."""

    question: Question
    text: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """System prompt ("" for none), the style it asks for, and one turn or more."""

    system: str
    style: str
    turns: List[Turn]


def normal_form(text: str) -> str:
    """What is left of a question when case, width, spaces and the final punctuation are ignored."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+$", "", re.sub(r"\s", "", folded))


def held_out(question: Question, system: str) -> bool:
    """Tells whether `question` is kept from training.

    The first four bytes (big-endian) of a SHA-256, modulo 100, are compared with
    HELD_OUT_QUESTIONS, resp. HELD_OUT_ITEMS. Hashed are, joined by newlines: the kind, the normal
    form of the question it follows up (if any) and its own; for small talk, whose sentences cannot
    be missed altogether, also the system prompt. Items are hashed with their kind.
    """
    key = [question.kind, normal_form(question.follows), normal_form(question.text)]
    if question.kind == "smalltalk":
        key.append(system)
    return _bucket(*key) < HELD_OUT_QUESTIONS or item_held_out(question)


def item_held_out(question: Question) -> bool:
    """Tells whether the item that `question` is about, if any, is kept from training."""
    return bool(question.item) and _bucket(question.kind, question.item) < HELD_OUT_ITEMS


def _bucket(*key: str) -> int:
    digest = hashlib.sha256("\n".join(key).encode("utf-8")).digest()
    return int.from_bytes(digest[:4], "big") % 100


def styled(core: str, language: int, style: str) -> str:
    """Puts an answer, as `facts` holds it, into a style.

    >>> styled("the sky is blue.", EN, "pirate")
    'Arr, the sky is blue, matey!'
    >>> styled("空は青です。", JA, "cat")
    'にゃーん。空は青ですにゃ。'
    """
    body, end = core[:-1], core[-1]
    if language == EN:
        sentence = core[0].upper() + core[1:]
        return {
            "pirate": f"Arr, {body}, matey{'?' if end == '?' else '!'}",
            "robot": f"Beep. {sentence} Boop.",
            "polite": f"Dear friend, {core} Always at your service.",
            "cat": f"Meow, {core} Purr.",
        }.get(style, sentence)
    if style == "pirate":
        body = body[:-2] + "だ" if body.endswith("です") else body
        return f"ヨーホー！{body}、船長？" if end == "？" else f"ヨーホー！{body}ぜ！"
    if style == "robot":
        for ending, katakana in (("です", "デス"), ("ます", "マス"), ("ました", "マシタ")):
            if body.endswith(ending):
                body = body[: -len(ending)] + katakana
        return f"ピピッ。{body}{end}ピポ。"
    if style == "polite":
        body = body[:-2] + "でございます" if body.endswith("です") else body
        return f"はい、お客様。{body}{end}"
    if style == "cat":
        return f"にゃーん。{body}にゃ{end}"
    return core


def _system(rng: random.Random, style: str, language: int) -> str:
    """A system prompt that asks for `style`, mostly in `language`."""
    if rng.random() < 0.2:
        language = 1 - language
    gap = (" ", "")[language]
    opening = rng.choice(facts.NEUTRAL_OPENINGS[language])
    manner = rng.choice(facts.NEUTRAL_MANNERS[language])
    if style == "plain":
        return rng.choice((opening, opening, manner, opening + gap + manner))
    request = rng.choice(facts.STYLE_PROMPTS[style][language])
    return rng.choice((request, request, opening + gap + request, request + gap + manner))


def _typed(rng: random.Random, text: str, language: int) -> str:
    """Makes typing casual now and then: no final punctuation, lower case, other widths."""
    if rng.random() < 0.25:
        text = text.rstrip(".?!。？！ ")
    if language == JA:
        if rng.random() < 0.25:
            text = text.replace("？", "?")
        if rng.random() < 0.1:
            text = text.translate(str.maketrans("0123456789+-", "０１２３４５６７８９＋－"))
    elif rng.random() < 0.1:
        text = text.lower()
    elif rng.random() < 0.2:
        text = text[0].lower() + text[1:]
    return text


def _setting(rng: random.Random, system: Optional[Tuple[str, str]] = None) -> Tuple[str, str, int]:
    """Draws system prompt and style, unless `system` gives both, and language of a conversation."""
    language = rng.randrange(2)
    if system:
        return (*system, language)
    style = rng.choices(("", *facts.STYLES), (33, 28, 7, 7, 7, 7, 11))[0]
    if not style:
        return "", "plain", language
    if style == "japanese" and rng.random() < 0.6:
        language = EN
    return _system(rng, style, language), style, language


def _turn(rng: random.Random, question: Question, style: str) -> Turn:
    language = JA if style == "japanese" else question.language
    return Turn(
        question,
        _typed(rng, question.text, question.language),
        styled(question.answers[language], language, style),
    )


def _drawn(
    draw: Callable[[], List[Question]], system: str, last_held_out: bool = False
) -> List[Question]:
    """Draws questions until none of them is held out, or the last one alone."""
    while True:
        drawn = draw()
        verdicts = [held_out(question, system) for question in drawn]
        if verdicts == [False] * (len(drawn) - 1) + [last_held_out]:
            return drawn


def training_conversations(
    seed: int, system: Optional[Tuple[str, str]] = None
) -> Iterator[Conversation]:
    """Endless conversations of one to five turns, nothing held out among them.

    `system`: the system prompt and its style, where they shall not be drawn too.
    """
    rng = random.Random(seed)
    while True:
        prompt, style, language = _setting(rng, system)
        asked: List[Question] = []
        if rng.random() < 0.14:
            asked = _drawn(lambda: questions.draw_follow_up(rng, language), prompt)
        else:
            for _ in range(rng.choices((1, 2, 3, 5), (76, 14, 8, 2))[0]):
                asked += _drawn(lambda: [questions.draw(rng, language)], prompt)
        yield Conversation(prompt, style, [_turn(rng, each, style) for each in asked])


def system_prompts(seed: int, count: int) -> List[Tuple[str, str]]:
    """`count` different system prompts with their styles: first none, every other one plain."""
    rng = random.Random(seed)
    prompts = {"": "plain"}
    styles = itertools.cycle(facts.STYLES[1:])
    while len(prompts) < count:
        style = next(styles) if len(prompts) % 2 else "plain"
        prompts.setdefault(_system(rng, style, rng.randrange(2)), style)
    return list(prompts.items())


def held_out_conversations(
    seed: int, kind: str, language: str, system: Optional[Tuple[str, str]] = None
) -> Iterator[Conversation]:
    """Endless conversations whose last question is held out, of `kind` and in `language`.

    They have one turn, those of kind "context" two or three. `system`: as above.
    """
    rng = random.Random(f"{seed} {kind} {language}")
    index = LANGUAGES.index(language)
    while True:
        prompt, style, drawn = _setting(rng, system)
        if drawn != index:
            continue
        if kind == CONTEXT:
            asked = _drawn(lambda: questions.draw_follow_up(rng, index), prompt, True)
        else:
            asked = _drawn(lambda: [questions.draw(rng, index, kind)], prompt, True)
        yield Conversation(prompt, style, [_turn(rng, each, style) for each in asked])


def is_right(conversation: Conversation, answer: str) -> bool:
    """Judges the `answer` to the last question: it must be the one expected; poems need only form.

    A poem has the frame of its style, names its plant in its first line, has three more lines
    (Japanese: two) that the tables know, and in English the second and the last line rhyme.
    """
    turn = conversation.turns[-1]
    if turn.question.kind != "poems":
        return answer == turn.answer
    language = JA if conversation.style == "japanese" else turn.question.language
    before, after = styled("\0" + ".。"[language], language, conversation.style).split("\0")
    if not (answer.startswith(before) and answer.endswith(after)):
        return False
    lines = answer[len(before) : -len(after)].split((",\n", "、\n")[language])
    if turn.question.plant[language] not in lines[0].lower():
        return False
    if language == EN:
        return (
            len(lines) == 4
            and (lines[1], lines[3]) in facts.POEM_COUPLETS
            and lines[2] in facts.POEM_MIDDLES
        )
    return len(lines) == 3 and lines[1] in facts.POEM_MIDDLES_JA and lines[2] in facts.POEM_LASTS_JA


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints conversations of the tiny-chat corpus.")
    parser.add_argument("--count", type=int, default=20, help="conversations (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--held-out", action="store_true", help="held-out ones of every kind")
    options = parser.parse_args()
    if options.held_out:
        sources = [
            held_out_conversations(options.seed, kind, language)
            for kind in (*KINDS, CONTEXT)
            for language in LANGUAGES
        ]
    else:
        sources = [training_conversations(options.seed)]
    for index in range(options.count):
        conversation = next(sources[index % len(sources)])
        print(f"[{conversation.style}] {conversation.system}")
        for turn in conversation.turns:
            print(f"  {turn.question.kind}: {turn.text}\n    {turn.answer}")


if __name__ == "__main__":
    main()
