#!/usr/bin/env python3
"""Writes lines.json, the texts of the golden ids: {class of text: [line, ...]}.

    python3 tests/golden/make_lines.py

Needs nothing but Python; the result is the same each time. The phrases are in line_phrases.py.
"""

import json
import random
import re
import unicodedata
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import line_phrases as phrases

HERE = Path(__file__).resolve().parent

Source = random.Random

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|vision_pad|>", "<|fim_middle|>",
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|python_tag|>", "<|reserved_special_token_247|>", "<s>", "</s>", "<unk>", "<0x0A>", "<0xE3>",
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>",
]
ZWJ, SKIN, KEYCAP, VARIANT = "\u200d", "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff", "\u20e3", "\ufe0f"
MARKS = [chr(point) for point in range(0x300, 0x370)]


def sentence(source: Source, language: phrases.Language) -> str:
    """A pattern with its braces filled from the language's words."""
    return re.sub(
        r"\{(\w+)\}",
        lambda match: source.choice(language.words[match[1]]) if match[1] in language.words else match[0],
        source.choice(language.patterns))


def prose(language: phrases.Language) -> Callable[[Source], str]:
    """One sentence in most lines, up to four in the others."""
    def line(source: Source) -> str:
        count = source.choice([1, 1, 1, 2, 2, 4])
        return language.joiner.join(sentence(source, language) for _ in range(count))

    return line


def from_ranges(source: Source, ranges: Sequence[Sequence[int]], most: int) -> str:
    """Characters that Unicode had given a meaning when this was made; what is none yet may become
    a letter for one program and not for another."""
    text = ""
    for _ in range(source.randint(1, most)):
        while True:
            point = chr(source.randint(*source.choice(ranges)))
            if unicodedata.category(point) not in ("Cn", "Cs"):
                break
        text += point
    return text


def kana(source: Source) -> str:
    """Hiragana, katakana, half-width and full-width forms in runs."""
    blocks = [[(0x3041, 0x3096)], [(0x30A1, 0x30FE)], [(0xFF66, 0xFF9F)], [(0xFF01, 0xFF5E)], [(0x3001, 0x3020)],
              [(0x4E00, 0x9FA5)]]
    return source.choice(["", " ", "\u3000"]).join(
        from_ranges(source, source.choice(blocks), 12) for _ in range(source.randint(1, 4)))


def hangul(source: Source) -> str:
    """Syllables whole and taken apart."""
    return unicodedata.normalize(source.choice(["NFC", "NFD"]), from_ranges(source, [(0xAC00, 0xD7A3)], 10))


def emoji(source: Source) -> str:
    """Single ones, families and professions joined, skin tones, flags, keycaps."""
    def one() -> str:
        kind = source.randrange(6)
        if kind == 0:
            people = [source.choice("👨👩🧑👦👧👶") for _ in range(source.randint(2, 4))]
            return ZWJ.join(people)
        if kind == 1:
            person = source.choice("👨👩🧑👋👍") + source.choice(SKIN)
            return person + source.choice(["", ZWJ + source.choice("🚀🎓🍳🔧💻")])
        if kind == 2:
            return "".join(chr(0x1F1E6 + source.randrange(26)) for _ in range(2))
        if kind == 3:
            return source.choice("0123456789#*") + VARIANT + KEYCAP
        if kind == 4:
            return source.choice("❤☀☎✈⚠") + source.choice(["", VARIANT])
        return from_ranges(source, [(0x1F300, 0x1F64F), (0x1F680, 0x1F6D2), (0x1F900, 0x1F9FF)], 4)

    return "".join(one() + source.choice(["", "", " ", "!", "、", " ok "]) for _ in range(source.randint(1, 6)))


def marks(source: Source) -> str:
    """Letters with any number of combining marks, in any order."""
    text = ""
    for _ in range(source.randint(1, 12)):
        text += source.choice("aeiouynsAEOqx かはウ각あ1 ")
        text += "".join(source.choice(MARKS) for _ in range(source.choice([0, 1, 1, 2, 5])))
        text += source.choice(["", "", "", "\u3099", "\u309a", "\u0e31", "\u0301"])
    return text


def digits(source: Source) -> str:
    """Numbers as people and programs write them."""
    number = str(source.randrange(10 ** source.randint(1, 24)))
    year, month, day = source.randint(1900, 2099), source.randint(1, 12), source.randint(1, 28)
    value = source.random() * 10 ** source.randint(-6, 9)
    return source.choice([
        number, f"{int(number):,}", f"-{value:.3f}", f"{value:e}", f"{int(number):#x}", f"{int(number) % 4096:#014b}",
        f"{year}-{month:02}-{day:02}T{day:02}:{month:02}:00Z", f"{year}年{month}月{day}日", f"{day}/{month}/{year}",
        f"${value:,.2f} + {day}% = ?", f"192.168.{day}.{month}:{year}", f"v{month}.{day}.{year % 100}-rc{day}",
        " ".join(str(source.randrange(1000)) for _ in range(source.randint(2, 9))),
        number.translate({ord("0") + i: 0x0660 + i for i in range(10)}),
        number.translate({ord("0") + i: 0xFF10 + i for i in range(10)}),
        "".join(source.choice("½¾²³¹⁴Ⅷ①⑩㊿一二三〇百千万") for _ in range(source.randint(1, 8))),
        f"+81-{number[:2]}-{number[2:6]}-{number[6:10]}", f"{day}×{month}={day * month} {day}÷{month}≈{day / month:.2f}",
    ])


def code(source: Source) -> str:
    """A piece of a program, its lines broken and indented in one of the usual ways."""
    text = sentence(source, phrases.CODE)
    newline = source.choice(["\n", "\n", "\r\n"])
    indent = source.choice(["    ", "  ", "\t"])
    return text.replace("⏎", newline).replace("→", indent)


def spaces(source: Source) -> str:
    """Words between tabs, line ends, and runs of spaces of all kinds."""
    gaps = [" " * source.randint(2, 40), "\t" * source.randint(1, 6), "\r\n" * source.randint(1, 3),
            "\n" * source.randint(1, 5), " \n", "\n ", "\t ", " \t\n", "\r", "\r\n\t", " " * source.randint(60, 300),
            "\u3000", "\u00a0 ", "\u2003\u2009", "\u2028"]
    words = ["a", "the end", "x=1", "ほら", "。", "...", "don't", "7", "", "", "été"]
    parts = [source.choice(words) + source.choice(gaps) for _ in range(source.randint(1, 5))]
    return "".join(parts) + source.choice(words)


def controls(source: Source) -> str:
    """Control and format characters within text."""
    points = [*map(chr, range(0x20)), "\x7f", "\x80", "\x84", "\x9b", "\x9f", "\u200b", "\u200e", "\u202e", "\u2060",
              "\ufffc", "\ufffd", "\ue000", "\U000e0041", "\u00ad", "\u061c"]
    between = ["", "", "a", " b", "[31m", "字"]
    return "".join(source.choice(points) + source.choice(between) for _ in range(source.randint(1, 10)))


def special_text(source: Source) -> str:
    """Text that spells special tokens, nearly spells them, and stands around them."""
    def one() -> str:
        token = source.choice(SPECIAL)
        kind = source.random()
        if kind < 0.6:
            return token
        if kind < 0.7:
            return token[:source.randint(1, len(token) - 1)]
        if kind < 0.8:
            return token[source.randint(1, len(token) - 1):]
        if kind < 0.9:
            return token.upper()
        place = source.randint(1, len(token) - 1)
        return token[:place] + source.choice(" <|\u200b") + token[place:]

    around = ["", "", " ", "\n", "user\n", "hello", " world ", "はい", "e\u0301", "  ", "\n\n"]
    return "".join(source.choice(around) + one() + source.choice(around) for _ in range(source.randint(1, 5)))


def random_bytes(source: Source) -> str:
    """Bytes as a program reads them that puts U+FFFD where they are no UTF-8."""
    return bytes(source.randrange(256) for _ in range(source.randint(1, 24))).decode("utf-8", "replace")


def any_characters(source: Source) -> str:
    """Characters from all of Unicode."""
    ranges = [(0x21, 0x2FFF), (0x3000, 0xD7FF), (0xF900, 0xFFFD), (0x10000, 0x1FBFF), (0x20000, 0x2A6DF)]
    return from_ranges(source, ranges, 10)


def mixed(source: Source) -> str:
    """Scripts, numbers and signs in one line."""
    parts: List[Callable[[Source], str]] = [
        lambda s: sentence(s, s.choice(phrases.ALL)), digits, emoji,
        lambda s: s.choice(["(", ") ", "「", "」", " — ", "*", "\n", ": "]),
        lambda s: " ".join(s.choice(phrases.ENGLISH.words["noun"]) for _ in range(3))]
    return source.choice(["", " "]).join(source.choice(parts)(source) for _ in range(source.randint(2, 4)))


def long_pieces(source: Source) -> str:
    """Runs that no pattern cuts."""
    part = source.choice(["a", "ab", "あ", "무", "=", "-", "ไทย", "無窮", "ha", "\u0301", "가나다", "AbC", "が"])
    return part * source.randint(20, 90)


# How many lines of each class there are.
CLASSES: Dict[str, List] = {
    "english": [(prose(phrases.ENGLISH), 300)],
    "japanese": [(prose(phrases.JAPANESE), 220), (kana, 110)],
    "chinese": [(prose(phrases.CHINESE), 150)],
    "korean": [(prose(phrases.KOREAN), 100), (hangul, 30)],
    "arabic": [(prose(phrases.ARABIC), 90)],
    "thai": [(prose(phrases.THAI), 90)],
    "other languages": [(prose(phrases.OTHERS), 120)],
    "emoji": [(emoji, 110)],
    "combining marks": [(marks, 110)],
    "digits": [(digits, 130)],
    "code": [(code, 260)],
    "white space": [(spaces, 130)],
    "control characters": [(controls, 90)],
    "special tokens": [(special_text, 170)],
    "random bytes": [(random_bytes, 130)],
    "any characters": [(any_characters, 100)],
    "mixed": [(mixed, 150)],
    "long pieces": [(long_pieces, 50)],
}


def main() -> None:
    """Writes lines.json."""
    classes: Dict[str, List[str]] = {}
    seen = set()
    for name, makers in CLASSES.items():
        source = Source(name)
        classes[name] = []
        for maker, count in makers:
            for _ in range(count):
                text = maker(source)
                while text in seen:
                    text = maker(source)
                seen.add(text)
                classes[name].append(text)
    text = ",\n".join(
        json.dumps(name) + ":[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n]"
        for name, lines in classes.items())
    (HERE / "lines.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
