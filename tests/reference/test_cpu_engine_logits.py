#!/usr/bin/env python3
"""Compares the CPU engine's logits with the numpy reference on small random models.

    tests/reference/test_cpu_engine_logits.py --print-logits build/print_logits

Two tolerances, each relative to the spread (standard deviation) of the logits:

* against the reference with the engine's roundings (weight matrices and K/V rows to bf16):
  LIKE_ENGINE. What is left is the order of float32 additions, and now and then a K or V value
  that falls on the other side of a bf16 rounding boundary because of it.
* against plain float32: PLAIN. bf16 keeps 8 significant bits, so every K/V value and, where the
  file holds f16 or f32, every weight carries a random relative error of up to 2^-9, about 0.1 % on
  average; two layers of sums over many such values add up to about 1 % of the spread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

import decoder_reference

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import make_random_model

LIKE_ENGINE = 5e-4
PLAIN = 3e-2

# Of the 16 pairs of a head of 32 the first keeps its frequency, the next three get a mixture and
# the rest a quarter.
LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 40}
SMALL = "--layers 2 --hidden 48 --heads 6 --kv-heads 2 --intermediate 80 --vocab 300".split()
MODELS = {
    "bf16 tied": [*SMALL],
    "bf16 untied": [*SMALL, "--no-tied"],
    "f16 sharded": [*SMALL, "--dtype", "f16", "--shards", "3"],
    "f32 untied": [*SMALL, "--dtype", "f32", "--no-tied"],
    "bf16 at odd addresses": [*SMALL, "--misalign", "1"],
    "odd sizes": "--layers 3 --hidden 45 --heads 3 --kv-heads 3 --head-dim 18 --intermediate 77 "
                 "--vocab 269 --rope-theta 1000000".split(),
    "Qwen2.5's heads": "--layers 2 --hidden 896 --heads 14 --kv-heads 2 --intermediate 1200 "
                       "--vocab 600 --rope-theta 1000000".split(),
    "Qwen3": [*SMALL, "--family", "qwen3", "--head-dim", "14"],
    "Qwen3's heads, untied": "--family qwen3 --layers 2 --hidden 96 --heads 4 --kv-heads 2 "
                             "--head-dim 128 --intermediate 150 --vocab 400 --no-tied "
                             "--rope-theta 1000000".split(),
    "Qwen3 with biases": [*SMALL, "--family", "qwen3", "--dtype", "f16", "--config",
                          '{"attention_bias": true}'],
    "Llama": [*SMALL, "--family", "llama", "--no-tied"],
    "Llama 3": [*SMALL, "--family", "llama", "--head-dim", "32", "--config",
                json.dumps({"rope_scaling": LLAMA3})],
    "Llama 3 as newer files have it, with biases": [
        *SMALL, "--family", "llama", "--head-dim", "32", "--no-tied", "--config",
        json.dumps({"attention_bias": True, "rope_theta": None,
                    "rope_parameters": {**LLAMA3, "rope_theta": 50000.0}})],
}

program = "print_logits"


def engine_logits(model: Path, ids: list[int], threads: int, piece: int,
                  prefix: Path | None = None) -> np.ndarray:
    command = [program, str(model), ",".join(map(str, ids)), str(threads), str(piece)]
    if prefix:
        command.append(str(prefix))
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return np.array([float(line) for line in output.stdout.split()], dtype=np.float64)


class CpuEngineLogits(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.model = Path(folder.name) / "model"

    def make(self, options: list[str]) -> None:
        make_random_model.main([str(self.model), *options])

    def assert_close(self, actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
        self.assertEqual(actual.shape, expected.shape)
        error = float(np.max(np.abs(actual - expected)) / np.std(expected))
        self.assertLess(error, tolerance)

    def test_models(self) -> None:
        rng = np.random.default_rng(3)
        for name, options in MODELS.items():
            self.make(options)
            like_engine = decoder_reference.Decoder(self.model, like_engine=True)
            plain = decoder_reference.Decoder(self.model)
            vocab = plain.config["vocab_size"]
            for rows in (1, 2, 61):
                with self.subTest(name, rows=rows):
                    ids = [int(token) for token in rng.integers(0, vocab, rows)]
                    logits = engine_logits(self.model, ids, threads=2, piece=0)
                    self.assert_close(logits, like_engine.logits(like_engine.embed(ids)),
                                      LIKE_ENGINE)
                    self.assert_close(logits, plain.logits(plain.embed(ids)), PLAIN)
            for file in self.model.iterdir():
                file.unlink()

    def test_pieces_and_threads_print_the_same_digits(self) -> None:
        self.make(MODELS["odd sizes"])
        ids = list(range(100, 260, 2))
        expected = engine_logits(self.model, ids, threads=1, piece=0)
        for threads, piece in ((1, 1), (2, 1), (3, 7), (2, 48), (5, 79)):
            with self.subTest(threads=threads, piece=piece):
                actual = engine_logits(self.model, ids, threads, piece)
                self.assertTrue(np.array_equal(actual, expected))

    def test_soft_prefix_rows_stand_before_the_prompt(self) -> None:
        self.make(MODELS["bf16 tied"])
        reference = decoder_reference.Decoder(self.model, like_engine=True)
        rng = np.random.default_rng(4)
        ids = [5, 17, 250, 3]
        without = engine_logits(self.model, ids, threads=2, piece=0)
        for rows, scale in ((1, 0.0), (1, 0.5), (9, 2.0)):
            with self.subTest(rows=rows, scale=scale):
                prefix = decoder_reference.round_to_bf16(
                    rng.standard_normal((rows, reference.config["hidden_size"])) * scale)
                file = self.model / "prefix.bf16"
                file.write_bytes((prefix.view(np.uint32) >> 16).astype("<u2").tobytes())
                logits = engine_logits(self.model, ids, threads=2, piece=0, prefix=file)
                expected = reference.logits(np.concatenate([prefix, reference.embed(ids)]))
                self.assert_close(logits, expected, LIKE_ENGINE)
                self.assertGreater(np.max(np.abs(logits - without)), 0)  # it takes positions


def main() -> None:
    global program
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print-logits", default=program, metavar="FILE",
                        help="the built program of that name")
    args, rest = parser.parse_known_args()
    program = args.print_logits
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
