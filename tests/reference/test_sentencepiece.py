#!/usr/bin/env python3
"""Compares ids and decoded text with SentencePiece's own, for models trained here.

    tests/reference/test_sentencepiece.py --text-probe build/text_probe

The texts are those of tests/data/text/lines.json and random ones. Each model is small: most of a text is
put together of few merges, unknown characters and bytes are many.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import sentencepiece

LINES = Path(__file__).resolve().parents[1] / "data" / "text" / "lines.json"
TRAINING_LINES = 120
SPACE = "\u2581"  # what SentencePiece spells a space with

# As models are trained: Llama 2's, SentencePiece's defaults, and each switch the other way.
LLAMA = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True,
         "split_digits": True, "allow_whitespace_only_pieces": True}
MODELS: dict[str, dict[str, Any]] = {
    "as Llama 2's": LLAMA,
    "defaults": {"normalization_rule_name": "nmt_nfkc"},
    "no dummy prefix": {**LLAMA, "add_dummy_prefix": False},
    "nfkc, spaces kept": {"normalization_rule_name": "nfkc", "remove_extra_whitespaces": False},
    "case folded, no dummy prefix": {"normalization_rule_name": "nmt_nfkc_cf", "add_dummy_prefix": False,
                                     "byte_fallback": True},
    "pieces with spaces within": {**LLAMA, "split_by_whitespace": False, "vocab_size": 2000},
    "symbols": {"normalization_rule_name": "nmt_nfkc", "control_symbols": ["<|im_start|>", "<|im_end|>"],
                "user_defined_symbols": ["<sep>", "①", "ＡＢ", "カタカナ", "e", "er", "the"]},
    "symbols of spaces": {**LLAMA, "user_defined_symbols": [SPACE * 2, SPACE * 4, "\n", "\t"]},
    "no begin and no end": {**LLAMA, "bos_id": -1, "eos_id": -1, "unk_id": 7},
}

text_probe = "text_probe"


def random_texts(seed: int, count: int) -> list[str]:
    """Texts of words, spaces, symbols and any characters at all."""
    chooser = random.Random(seed)
    parts = ["hello", "world", "the", "e", " ", "  ", "\n", "\t", "<sep>", "①", "ＡＢ", "カタカナ", "12", "ﬁ", "が",
             "か\u3099", "\u3000", "。", "<s>", "<unk>", "<0x41>", "\u0301", "é", "ﷺ", "😀"]
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(chooser.randrange(12)):
            point = chooser.randrange(chooser.choice([0x80, 0x400, 0x3100, 0xD800, 0x110000]))
            text += chooser.choice(parts) if chooser.random() < 0.7 or 0xD800 <= point < 0xE000 else chr(point)
        texts.append(text)
    return texts


def read_lines() -> list[str]:
    return json.loads(LINES.read_text(encoding="utf-8"))


def train(**options: Any) -> bytes:
    """The bytes of a model trained on the lines that stand first, which are not random."""
    settings = {"model_type": "bpe", "vocab_size": 1200, "character_coverage": 0.98, "hard_vocab_limit": False,
                "num_threads": 1, "minloglevel": 2, **options}
    model = io.BytesIO()
    sentences = [part for line in read_lines()[:TRAINING_LINES] for part in line.replace("\0", "").splitlines() if part]
    sentencepiece.SentencePieceTrainer.Train(sentence_iterator=iter(sentences), model_writer=model, **settings)
    return model.getvalue()


class SentencePiece(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "tokenizer.model"

    def probe(self, rows: list[Any], *options: str) -> list[Any]:
        result = subprocess.run([text_probe, str(self.file), *options], input=json.dumps(rows), timeout=120,
                                capture_output=True, text=True, check=True)
        return json.loads(result.stdout)

    def refusal(self) -> str:
        result = subprocess.run([text_probe, str(self.file)], input="[]", capture_output=True, text=True, timeout=120)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr

    def test_models(self) -> None:
        lines = read_lines()
        for seed, (name, options) in enumerate(MODELS.items()):
            with self.subTest(name):
                self.file.write_bytes(train(**options))
                theirs = sentencepiece.SentencePieceProcessor(model_file=str(self.file))
                self.check_encoding(theirs, lines + random_texts(seed, 400))
                self.check_decoding(theirs, lines, options)
                self.check_special(theirs)

    def check_encoding(self, theirs: sentencepiece.SentencePieceProcessor, texts: list[str]) -> None:
        for text, ids in zip(texts, self.probe(texts)):
            self.assertEqual(ids, theirs.EncodeAsIds(text), repr(text))

    def check_decoding(self, theirs: sentencepiece.SentencePieceProcessor, texts: list[str],
                       options: dict[str, Any]) -> None:
        """Without unknown tokens: SentencePiece shows a sign for them, an answer does not."""
        unknown = theirs.unk_id()
        rows = [ids for ids in map(theirs.EncodeAsIds, texts) if unknown not in ids]
        self.assertGreater(len(rows), 50)
        if not options.get("remove_extra_whitespaces", True):  # with it SentencePiece drops all leading spaces
            chooser = random.Random(1)
            ids = [i for i in range(theirs.GetPieceSize()) if i != unknown and not theirs.IsByte(i)]
            rows += [chooser.choices(ids, k=10) for _ in range(200)]
        for ids, text in zip(rows, self.probe(rows, "--decode")):
            self.assertEqual(text, theirs.DecodeIds(ids), ids)

    def check_special(self, theirs: sentencepiece.SentencePieceProcessor) -> None:
        """Texts between special tokens are encoded as if each stood alone."""
        control = [i for i in range(theirs.GetPieceSize()) if theirs.IsControl(i)]
        parts = [" hello  world ", "カタカナ", "  ", "x"]
        text, expected = "", []
        for index, part in enumerate(parts):
            text += part
            expected += theirs.EncodeAsIds(part)
            if control:
                token = control[index % len(control)]
                text += theirs.IdToPiece(token)
                expected.append(token)
        if not control:
            expected = theirs.EncodeAsIds(text)
        self.assertEqual(self.probe([text], "--special"), [expected])

    def test_other_kinds_are_refused(self) -> None:
        for kind in "unigram", "word", "char":
            self.file.write_bytes(train(model_type=kind, vocab_size=400))
            self.assertIn(f'model_type "{kind}" is not supported; supported: bpe', self.refusal())
        self.file.write_bytes(train(treat_whitespace_as_suffix=True))
        self.assertIn("treat_whitespace_as_suffix is not supported", self.refusal())

    def test_a_cut_off_model_is_refused(self) -> None:
        model = train(**MODELS["defaults"])
        for share in 0.01, 0.3, 0.999:
            self.file.write_bytes(model[:int(len(model) * share)])
            self.assertIn("SentencePiece model", self.refusal())


def main() -> None:
    global text_probe
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-probe", default=text_probe, help="the program of tests/golden/text_probe.cc")
    arguments, rest = parser.parse_known_args()
    text_probe = arguments.text_probe
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
