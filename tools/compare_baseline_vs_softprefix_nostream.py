#!/usr/bin/env python3
"""Compares answers with and without a soft prefix, and checks that a prefix leaves no trace.

Asks a question without a prefix, then behind each of a row of prefixes (constant ones, and random
ones drawn from a seed), and again without after every one: that answer must always be the first
one. Texts, times and similarities go to a JSON file. Exit status: 0 the answer without a prefix
never changed and some prefix changed it, 1 not, 2 could not connect. Standard library only.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import sys
from typing import Any, Dict, Iterator, List, Tuple

from stackflow_client import (
    TEXT,
    TEXT_STREAM,
    StackFlowClient,
    StackFlowError,
    constant_prefix,
    soft_prefix,
)
from verification import CheckFailed, greedy_task, option_parser, require, run_check

CONSTANTS = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)
SCALES = (1e-2, 0.1, 1.0)
DISTRIBUTIONS = ("uniform", "normal")

BAD_SOFT_PREFIX = -26

Json = Dict[str, Any]


def parse_options() -> argparse.Namespace:
    parser = option_parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--hidden-size",
        type=int,
        help="width of the model's embeddings, for units whose taskinfo does not tell it",
    )
    parser.add_argument("--rows", type=int, default=1, help="rows of each prefix")
    parser.add_argument(
        "--seeds", type=int, default=2, help="random prefixes per distribution and scale"
    )
    parser.add_argument("--constants", type=float, nargs="*", default=CONSTANTS, help="values")
    parser.add_argument(
        "--scales", type=float, nargs="*", default=SCALES, help="factors of random prefixes"
    )
    parser.add_argument("--output", default="softprefix_comparison.json", help="JSON file to write")
    return parser.parse_args()


def prefixes(options: argparse.Namespace, hidden_size: int) -> Iterator[Tuple[Json, Json]]:
    """Each prefix as (what it is, its `soft_prefix` object)."""
    for value in options.constants:
        prefix = constant_prefix(value, hidden_size, options.rows)
        yield {"kind": "constant", "value": value}, prefix
    for kind in DISTRIBUTIONS:
        for scale in options.scales:
            for seed in range(options.seeds):
                draw = random.Random(f"{kind} {seed}")
                rows = [
                    [
                        scale * (draw.uniform(-1, 1) if kind == "uniform" else draw.gauss(0, 1))
                        for _ in range(hidden_size)
                    ]
                    for _ in range(options.rows)
                ]
                yield {"kind": kind, "scale": scale, "seed": seed}, soft_prefix(rows)


def require_refusal(client: StackFlowClient, options: argparse.Namespace, task: str) -> None:
    """Checks that the unit refuses a prefix without rows, which one that ignores them answers."""
    try:
        client.infer(task, options.prompt, {"len": 0, "data_b64": ""})
    except StackFlowError as error:
        require(error.code == BAD_SOFT_PREFIX, f"a bad soft prefix is refused with {error}")
    else:
        raise CheckFailed("a bad soft prefix was answered: this unit ignores soft prefixes")


def compare(client: StackFlowClient, options: argparse.Namespace, task: str, report: Json) -> None:
    """Fills the report as it goes, so that a failure leaves what was found before it."""
    hidden_size = options.hidden_size or client.hidden_size(task)
    if hidden_size is None:
        raise CheckFailed("taskinfo tells no hidden_size: give --hidden-size")
    report["hidden_size"] = hidden_size

    # Streamed input with and without a prefix, so that nothing else differs.
    baseline = client.infer(task, options.prompt, stream_input=True)
    report["baseline"] = {"text": baseline.text, "seconds": baseline.seconds}
    print(f"> {options.prompt}\n  {baseline.text}  (no prefix, {baseline.seconds:.2f} s)")
    require(baseline.text != "", "the answer without a prefix is empty")

    results: List[Json] = report["results"]
    for what, prefix in prefixes(options, hidden_size):
        answer = client.infer(task, options.prompt, prefix)
        again = client.infer(task, options.prompt, stream_input=True)
        matcher = difflib.SequenceMatcher(None, baseline.text, answer.text, autojunk=False)
        similarity = matcher.ratio()
        result = {
            **what,
            "rows": options.rows,
            "text": answer.text,
            "seconds": answer.seconds,
            "similarity": similarity,
            "changed": answer.text != baseline.text,
            "baseline_again": again.text,
            "baseline_seconds": again.seconds,
            "baseline_same": again.text == baseline.text,
        }
        results.append(result)
        label = " ".join(f"{key} {value}" for key, value in what.items() if key != "kind")
        print(f"  {what['kind']:8} {label:18} {similarity:4.0%} alike  {answer.text!r}")
        require(
            result["baseline_same"],
            f"after this prefix the answer without one changed to {again.text!r}",
        )


def check(client: StackFlowClient, options: argparse.Namespace) -> str:
    report: Json = {"model": options.model, "prompt": options.prompt, "results": []}
    try:
        with greedy_task(client, options, TEXT, input=[TEXT, TEXT_STREAM]) as task:
            compare(client, options, task, report)
            require_refusal(client, options, task)
    finally:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file, ensure_ascii=False, indent=1)
            file.write("\n")
        print(f"wrote {options.output}")
    results = report["results"]
    changed = sum(result["changed"] for result in results)
    return f"{changed} of {len(results)} prefixes changed the answer, and none left a trace"


if __name__ == "__main__":
    sys.exit(run_check(parse_options(), check))
