#!/usr/bin/env python3
"""Asks a running unit held-out questions through TCP port 10001 and counts the right answers.

    tools/demo_model/evaluate.py --port 10001 --model tiny-chat

The questions are drawn from --seed; none of them was in training (see corpus.py), each is asked
greedily under one of a dozen system prompts. Passes when at least 95 % of every kind are answered
right. Exit status: 0 passed, 1 failed, 2 could not connect. Standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Tuple

import corpus

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from stackflow_client import (  # noqa: E402
    GREEDY,
    ConnectError,
    Disconnected,
    ReplyTimeout,
    StackFlowClient,
    StackFlowError,
)

REQUIRED = 0.95
SYSTEM_PROMPTS = 12
MAX_TOKENS = 256  # of prompt and answer together; the longest need about 150

Cell = Tuple[str, str]  # kind, language


def questions(seed: int, count: int) -> Dict[str, List[Tuple[Cell, corpus.Conversation]]]:
    """At least `count` questions by system prompt, equally many of each kind and language."""
    prompts = corpus.system_prompts(seed, SYSTEM_PROMPTS)
    cells = [(kind, language) for kind in corpus.KINDS for language in corpus.LANGUAGES]
    groups: Dict[str, List[Tuple[Cell, corpus.Conversation]]] = defaultdict(list)
    for place, cell in enumerate(cells):
        for index in range(-(-count // len(cells))):
            prompt = prompts[(place + index) % len(prompts)]
            asked = [conversation.turns[-1].text for _, conversation in groups[prompt[0]]]
            for conversation in corpus.held_out_conversations(seed + index, *cell, prompt):
                if conversation.turns[-1].text not in asked:
                    groups[prompt[0]].append((cell, conversation))
                    break
    return groups


def ask(client: StackFlowClient, options: argparse.Namespace) -> List[Dict[str, object]]:
    """Asks everything, with one task per system prompt; returns a record per question.

    Raises what StackFlowClient raises.
    """
    records: List[Dict[str, object]] = []
    for system, group in questions(options.seed, options.count).items():
        task = client.setup(options.model, prompt=system, max_token_len=MAX_TOKENS, **GREEDY)
        for (kind, language), conversation in group:
            turn = conversation.turns[-1]
            answer = client.infer(task, turn.text)
            records.append(
                {
                    "kind": kind,
                    "language": language,
                    "system": system,
                    "question": turn.text,
                    "answer": answer.text,
                    "expected": turn.answer,
                    "right": corpus.is_right(conversation, answer.text),
                    "seconds": round(answer.seconds, 4),
                }
            )
        client.exit(task)
    return records


def print_table(records: List[Dict[str, object]]) -> float:
    """Prints the wrong answers and the counts; returns the lowest share of right ones of a kind."""
    for record in records:
        if not record["right"]:
            print("wrong: {question!r} under {system!r}".format(**record))
            print("  answer   {answer!r}\n  expected {expected!r}".format(**record))
    lowest = 1.0
    print(f"{'kind':12}" + "".join(f"{name:>16}" for name in (*corpus.LANGUAGES, "both")))
    for kind in corpus.KINDS:
        columns = []
        for languages in (*([each] for each in corpus.LANGUAGES), corpus.LANGUAGES):
            asked = [r for r in records if r["kind"] == kind and r["language"] in languages]
            right = sum(bool(r["right"]) for r in asked)
            share = right / len(asked)
            columns.append(f"{right:>5}/{len(asked):<3}{share:7.1%}")
        lowest = min(lowest, share)
        print(f"{kind:12}" + "".join(columns))
    return lowest


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Asks held-out questions through port 10001 and counts the right answers.",
        epilog="Exit status: 0 passed, 1 failed, 2 could not connect.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default %(default)s")
    parser.add_argument("--port", type=int, default=10001, help="default %(default)s")
    parser.add_argument("--model", default="tiny-chat", help="default %(default)s")
    parser.add_argument("--count", type=int, default=400, help="questions (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="default %(default)s")
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="seconds per reply (default %(default)g)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer here")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    start = time.monotonic()
    try:
        with StackFlowClient(options.host, options.port, options.timeout) as client:
            records = ask(client, options)
    except ConnectError as error:
        print(f"FAIL: {error}")
        return 2
    except (StackFlowError, ReplyTimeout, Disconnected) as error:
        print(f"FAIL: {error}")
        return 1
    seconds = time.monotonic() - start
    lowest = print_table(records)
    passed = lowest >= REQUIRED
    right = sum(bool(record["right"]) for record in records)
    if options.json:
        summary = {"seed": options.seed, "right": right, "passed": passed, "answers": records}
        options.json.write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(
        f"{'PASS' if passed else 'FAIL'}: {right} of {len(records)} right, the weakest kind "
        f"{lowest:.1%} (at least {REQUIRED:.0%} wanted), {seconds:.0f} s"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
