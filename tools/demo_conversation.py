#!/usr/bin/env python3
"""Starts `llm_llm serve` on a free port and shows a conversation with tiny-chat through it:
streamed, whole, the same question twice, in Japanese, under a system prompt, and with a soft
prefix that changes the answer. Exit status 0 if all of it came out as it should.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from safetensors_file import read_tensor
from serve_process import serve
from stackflow_client import GREEDY, TEXT, TEXT_STREAM, Json, StackFlowClient, soft_prefix

MODEL = "tiny-chat"
PIRATE_PREFIX = Path(__file__).parent / "demo_model" / "pirate.safetensors"


class Demo:
    """Prints questions and answers as they come, and remembers what was not as it should be."""

    def __init__(self, client: StackFlowClient) -> None:
        self.client = client
        self.problems: List[str] = []

    def check(self, fine: bool, problem: str) -> None:
        if not fine:
            self.problems.append(problem)
            print(f"  !! {problem}")

    def ask(self, task: str, text: str, prefix: Optional[Json] = None) -> str:
        """One inference, shown while it arrives; its text."""
        print(f"  you   {text}\n  model ", end="", flush=True)
        request = self.client.send_inference(task, text, prefix)
        answer = self.client.read_answer(request, lambda piece: print(piece, end="", flush=True))
        pieces = len(answer.deltas)
        print(f"    ({answer.seconds * 1000:.0f} ms, {pieces} piece{'s' * (pieces != 1)})")
        self.check(bool(answer.text), "an empty answer")
        return answer.text

    def chapter(self, title: str, response_format: str, system: str = "") -> str:
        """Prints a heading and sets up a task; its work_id."""
        print(f"\n{title}")
        return self.client.setup(MODEL, response_format, prompt=system, **GREEDY)

    def run(self) -> None:
        task = self.chapter("Streamed", TEXT_STREAM)
        self.ask(task, "Hello!")
        self.ask(task, "Write a short poem about a fern.")
        self.ask(task, "日本の首都はどこですか？")
        self.client.exit(task)

        task = self.chapter("In one piece, twice the same question", TEXT)
        first = self.ask(task, "What is 7 plus 5?")
        self.check("12" in first, "7 plus 5 is not 12")
        self.check(first == self.ask(task, "What is 7 plus 5?"), "the second answer is another one")
        self.client.exit(task)

        task = self.chapter("Under the system prompt “Talk like a pirate.”", TEXT,
                            "Talk like a pirate.")
        self.ask(task, "Turn on the kitchen light.")
        self.client.exit(task)

        task = self.chapter("Without a system prompt, with a soft prefix", TEXT)
        question = "Turn on the kitchen light."
        plain = self.ask(task, question)
        print("  [a prefix of 4 rows, tuned to make a pirate]")
        self.check(self.ask(task, question, soft_prefix(read_tensor(PIRATE_PREFIX))) != plain,
                   "the tuned prefix changed nothing")
        print("  [and none again]")
        self.check(self.ask(task, question) == plain, "a prefix left a trace")
        self.client.exit(task)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/llm_llm", help="the program to start")
    options = parser.parse_args()
    with serve(options.program, ["--log-level", "warn"]) as port:
        print(f"llm_llm serve answers on 127.0.0.1:{port}")
        with StackFlowClient("127.0.0.1", port, timeout=60) as client:
            demo = Demo(client)
            demo.run()
    print("\n" + ("; ".join(demo.problems) if demo.problems else "All as it should be."))
    return 1 if demo.problems else 0


if __name__ == "__main__":
    sys.exit(main())
