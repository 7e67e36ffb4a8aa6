"""Draws questions of every kind, with the answers tiny-chat shall give. Standard library only."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

import facts
import wordings
from facts import Pair

LANGUAGES = ("en", "ja")
EN, JA = range(2)


@dataclass(frozen=True)
class Question:
    """A question with its answers before any style, `(English, Japanese)`."""

    kind: str
    language: int
    text: str
    answers: Pair
    # What the question is about, where that may be held out in every wording: "7+5", "3..8".
    item: str = ""
    # The question it follows up, if it does.
    follows: str = ""
    # The plant of a poem, `(English, Japanese)`.
    plant: Pair = ("", "")


def _small_talk(rng: random.Random, language: int) -> Question:
    if rng.random() < 0.08:
        return _introduction(rng, language, _name(rng))
    intent = rng.choice(facts.SMALL_TALK)
    return Question("smalltalk", language, rng.choice(intent.wordings[language]), intent.answer)


def _introduction(rng: random.Random, language: int, name: Pair) -> Question:
    text = rng.choice(wordings.INTRODUCTIONS[language]).format(name[language])
    answers = (
        f"it is nice to meet you, {name[EN]}.",
        f"{name[JA]}さん、はじめまして。よろしくお願いします。",
    )
    return Question("smalltalk", language, text, answers)


def _name(rng: random.Random) -> Pair:
    """A name, half of the time a made-up one."""
    if rng.random() < 0.5:
        return rng.choice(facts.NAMES)
    syllables = rng.choices(facts.SYLLABLES, k=2)
    english, japanese = ("".join(pair[language] for pair in syllables) for language in (EN, JA))
    return english.capitalize(), japanese


def _arithmetic(rng: random.Random, language: int) -> Question:
    """Sums and differences of 0 to 20, some with a first number to 30; tables to 10 times 10."""
    sign = rng.choices("+-x/", (34, 36, 20, 10))[0]
    item = ""
    if sign in "+-":
        a = rng.randint(0, 20) if rng.random() < 0.75 else rng.randint(21, 30)
        b = rng.randint(0, 20 if sign == "-" or a <= 20 else 9)
        if sign == "-" and a < b and rng.random() < 0.7:
            a, b = b, a
        result = a + b if sign == "+" else a - b
        item = f"{min(a, b)}+{max(a, b)}" if sign == "+" else f"{a}-{b}"
    elif sign == "x":
        a, b = rng.randint(0, 10), rng.randint(0, 10)
        result = a * b
    else:
        b, result = rng.randint(1, 10), rng.randint(0, 10)
        a = b * result
    wording = rng.choice(wordings.SUMS[sign][language])
    if "{wa}" in wording and max(a, b) > 20:
        wording = wordings.SUMS[sign][language][0]
    text = wording.format(a=a, b=b, wa=_number_word(a), wb=_number_word(b))
    japanese_sign = {"x": "×", "/": "÷"}.get(sign, sign)
    answers = (f"{a} {sign} {b} = {result}.", f"{a} {japanese_sign} {b} = {result}です。")
    if result < 0:
        answers = (f"{a} - {b} is below zero.", f"{a} - {b} は0より小さいです。")
    return Question("arithmetic", language, text, answers, item)


def _number_word(number: int) -> str:
    return facts.NUMBER_WORDS[number] if number <= 20 else ""


def _capital(rng: random.Random, language: int) -> Question:
    country, answers = _country(rng)
    text = rng.choice(wordings.CAPITALS[language]).format(country[language])
    return Question("capitals", language, text, answers)


def _country(rng: random.Random) -> Tuple[Pair, Pair]:
    """A country, and the sentences about its capital."""
    country, capital = rng.choice(facts.CAPITALS)
    return country, (
        f"the capital of {country[EN]} is {capital[EN]}.",
        f"{country[JA]}の首都は{capital[JA]}です。",
    )


def _opposite(rng: random.Random, language: int) -> Question:
    word, answers = _word(rng, language)
    text = rng.choice(wordings.OPPOSITES[language]).format(word)
    return Question("opposites", language, text, answers)


def _word(rng: random.Random, language: int) -> Tuple[str, Pair]:
    """A word, and the sentences about its opposite (the word itself is not translated)."""
    pair = rng.choice((facts.OPPOSITES_EN, facts.OPPOSITES_JA)[language])
    word, opposite = pair if rng.random() < 0.5 else reversed(pair)
    return word, (
        f"the opposite of {word} is {opposite}.",
        f"「{word}」の反対は「{opposite}」です。",
    )


def _counting(rng: random.Random, language: int) -> Question:
    """Ranges within 0 to 20 of up to 11 numbers, counting to or down from 2 to 12, neighbours."""
    shape = rng.choices(("range", "to", "down", "neighbour"), (60, 16, 12, 12))[0]
    if shape == "neighbour":
        return _neighbour(rng, language)
    item = ""
    if shape == "range":
        first = rng.randint(0, 19)
        last = rng.randint(first + 1, min(first + 10, 20))
        item = f"{first}..{last}"
        wording = rng.choice(wordings.COUNT_RANGE[language])
    else:
        first, last = 1, rng.randint(2, 12)
        table = wordings.COUNT_TO if shape == "to" else wordings.COUNT_DOWN
        wording = rng.choice(table[language])
    numbers = [str(number) for number in range(first, last + 1)]
    if shape == "down":
        numbers.reverse()
    text = wording.format(a=first, b=last, wb=_number_word(last))
    answers = (", ".join(numbers) + ".", "、".join(numbers) + "です。")
    return Question("counting", language, text, answers, item)


def _neighbour(rng: random.Random, language: int) -> Question:
    number = rng.randint(1, 30)
    if rng.random() < 0.5:
        table = wordings.NUMBER_AFTER
        answers = (f"after {number} comes {number + 1}.", f"{number}の次は{number + 1}です。")
    else:
        table = wordings.NUMBER_BEFORE
        answers = (f"before {number} comes {number - 1}.", f"{number}の前は{number - 1}です。")
    return Question("counting", language, rng.choice(table[language]).format(number), answers)


def _colour(rng: random.Random, language: int) -> Question:
    if rng.random() < 0.2:
        return _colour_mix(rng, language)
    thing, answers = _coloured_thing(rng)
    text = rng.choice(wordings.COLOURS[language]).format(thing[language])
    return Question("colours", language, text, answers)


def _coloured_thing(rng: random.Random) -> Tuple[Pair, Pair]:
    """A thing, and the sentences about its colour."""
    thing, colour = rng.choice(facts.COLOURED_THINGS)
    return thing, (f"{thing[EN]} is {colour}.", f"{thing[JA]}は{facts.COLOURS[colour]}です。")


def _colour_mix(rng: random.Random, language: int) -> Question:
    first, second, mixed = rng.choice(facts.COLOUR_MIXES)
    if rng.random() < 0.5:
        first, second = second, first
    first_ja, second_ja, mixed_ja = (facts.COLOURS[name] for name in (first, second, mixed))
    names = ((first, second), (first_ja, second_ja))[language]
    text = rng.choice(wordings.COLOUR_MIXES[language]).format(*names)
    answers = (
        f"{first} and {second} make {mixed}.",
        f"{first_ja}と{second_ja}で{mixed_ja}になります。",
    )
    return Question("colours", language, text, answers)


def _device(rng: random.Random, language: int) -> Question:
    action = rng.choices(list(wordings.COMMANDS), (28, 24, 10, 10, 12, 8, 8))[0]
    return _command(rng, language, action, _objects(rng, action))


def _command(rng: random.Random, language: int, action: str, objects: List[Pair]) -> Question:
    text = rng.choice(wordings.COMMANDS[action].wordings[language])
    text = text.format(*(each[language] for each in objects))
    return Question("devices", language, text, _confirmation(action, objects))


def _confirmation(action: str, objects: List[Pair]) -> Pair:
    english, japanese = wordings.COMMANDS[action].answer
    return (
        english.format(*(each[EN] for each in objects)),
        japanese.format(*(each[JA] for each in objects)),
    )


def _objects(rng: random.Random, action: str) -> List[Pair]:
    """What `action` is done to, and the value where it takes one."""
    if action == "water":
        plant = rng.choice(facts.PLANTS)
        return [(f"the {plant.name}", plant.japanese)]
    if action == "colour":
        name = rng.choice(facts.LIGHT_COLOURS)
        return [_place(rng, facts.LAMPS), (name, facts.COLOURS[name])]
    if action == "set" and rng.random() < 0.5:
        degrees = rng.randint(15, 30)
        return [_place(rng, facts.HEATERS), (f"{degrees} degrees", f"{degrees}度")]
    if action == "set":
        percent = rng.randint(1, 10) * 10
        return [_place(rng, facts.DIMMERS), (f"{percent} percent", f"{percent}パーセント")]
    return [_place(rng, facts.OPENINGS if action in ("open", "close") else facts.SWITCHES)]


def _place(rng: random.Random, devices: List[Pair]) -> Pair:
    """One of `devices`, in most cases in a room."""
    room, device = rng.choice(facts.ROOMS), rng.choice(devices)
    if not room[EN]:
        return f"the {device[EN]}", device[JA]
    return f"the {room[EN]} {device[EN]}", f"{room[JA]}の{device[JA]}"


def _poem(rng: random.Random, language: int) -> Question:
    """A poem about a plant: one of three that belong to it."""
    if rng.random() < 0.06:
        plant = facts.PLANTS[-1]
        text = rng.choice(wordings.ANY_POEM[language])
    else:
        plant = rng.choice(facts.PLANTS)
        subject = (plant.with_article, plant.japanese)[language]
        text = rng.choice(wordings.POEMS[language]).format(subject)
    lines = random.Random(f"{plant.name} {rng.randrange(3)}")
    second, fourth = lines.choice(facts.POEM_COUPLETS)
    english = (
        f"{lines.choice(facts.POEM_ADJECTIVES)} {plant.name} {lines.choice(facts.POEM_PLACES)}",
        second,
        lines.choice(facts.POEM_MIDDLES),
        fourth,
    )
    japanese = (
        f"{lines.choice(facts.POEM_PLACES_JA)}の{plant.japanese}",
        lines.choice(facts.POEM_MIDDLES_JA),
        lines.choice(facts.POEM_LASTS_JA),
    )
    answers = (",\n".join(english) + ".", "、\n".join(japanese) + "。")
    return Question("poems", language, text, answers, plant=(plant.name, plant.japanese))


def _unknown(rng: random.Random, language: int) -> Question:
    if rng.random() < 0.2:
        numbers = [rng.randint(31, 999), rng.randint(2, 999)]
        rng.shuffle(numbers)
        wording = rng.choice(wordings.SUMS[rng.choice("+-")][language][:3])
        text = wording.format(a=numbers[0], b=numbers[1])
        return Question("unknown", language, text, facts.TOO_BIG_ANSWER)
    topic = rng.choice(facts.UNKNOWN_TOPICS)[language]
    text = rng.choice(wordings.UNKNOWN[language]).format(topic)
    return Question("unknown", language, text, facts.UNKNOWN_ANSWER)


# The share of each kind among single questions in percent, and how one is drawn.
_KINDS: Dict[str, Tuple[int, Callable[[random.Random, int], Question]]] = {
    "smalltalk": (18, _small_talk),
    "arithmetic": (28, _arithmetic),
    "capitals": (8, _capital),
    "opposites": (11, _opposite),
    "counting": (10, _counting),
    "colours": (7, _colour),
    "devices": (8, _device),
    "poems": (6, _poem),
    "unknown": (4, _unknown),
}
KINDS = tuple(_KINDS)
# The kind of questions that only an earlier one gives a sense.
CONTEXT = "context"


def draw(rng: random.Random, language: int, kind: Optional[str] = None) -> Question:
    """Draws a question of `kind` (of any, by their shares, if None) in `language`."""
    if kind is None:
        kind = rng.choices(KINDS, [share for share, _ in _KINDS.values()])[0]
    return _KINDS[kind][1](rng, language)


def _same_about(rng: random.Random, language: int) -> Tuple[Question, Question]:
    """The same question about something else ("And Japan?")."""
    kind = rng.choice(("capitals", "opposites", "colours"))
    if kind == "opposites":
        thing, answers = _word(rng, language)
    else:
        things, answers = _country(rng) if kind == "capitals" else _coloured_thing(rng)
        thing = things[language]
    text = rng.choice(wordings.SAME_ABOUT[language]).format(thing)
    return _followed(draw(rng, language, kind), text, answers)


def _undo(rng: random.Random, language: int) -> Tuple[Question, Question]:
    """A command and its contrary ("Now turn it off.")."""
    action = rng.choice([name for name, each in wordings.COMMANDS.items() if each.undone_by])
    objects = _objects(rng, action)
    contrary = wordings.COMMANDS[action].undone_by
    text = rng.choice(wordings.COMMANDS[contrary].undoing[language])
    first = _command(rng, language, action, objects)
    return _followed(first, text, _confirmation(contrary, objects))


def _say_again(rng: random.Random, language: int) -> Tuple[Question, Question]:
    """A question, and the wish to hear its answer again."""
    kind = rng.choice([each for each in KINDS if each not in ("poems", "counting", "unknown")])
    first = draw(rng, language, kind)
    return _followed(first, rng.choice(wordings.SAY_AGAIN[language]), first.answers)


def _my_name(rng: random.Random, language: int) -> Tuple[Question, Question]:
    """The user's name, told and asked for."""
    name = _name(rng)
    answers = (f"your name is {name[EN]}.", f"お名前は{name[JA]}さんです。")
    text = rng.choice(wordings.MY_NAME[language])
    return _followed(_introduction(rng, language, name), text, answers)


def _followed(first: Question, text: str, answers: Pair) -> Tuple[Question, Question]:
    last = Question(CONTEXT, first.language, text, answers, follows=first.text)
    return first, last


def draw_follow_up(rng: random.Random, language: int) -> List[Question]:
    """Draws a question, perhaps another one, and one of kind CONTEXT that follows up the first."""
    make = rng.choice((_same_about, _undo, _say_again, _my_name))
    first, last = make(rng, language)
    if make is _my_name and rng.random() < 0.5:
        kind = rng.choice([each for each in KINDS if each != "smalltalk"])
        return [first, draw(rng, language, kind), last]
    return [first, last]
