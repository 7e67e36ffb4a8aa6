#!/usr/bin/env python3
"""Checks that an answer streams: setup, one inference shown as it comes, exit.

The frames must count from 0 and end with exactly one that finishes. Exit status: 0 streamed, 1 not,
2 could not connect. Standard library only.
"""

from __future__ import annotations

import argparse
import sys

from stackflow_client import TEXT_STREAM, Answer, StackFlowClient
from verification import greedy_task, option_parser, require, run_check


def check(client: StackFlowClient, options: argparse.Namespace) -> str:
    with greedy_task(client, options, TEXT_STREAM) as task:
        print(f"> {options.prompt}\n  ", end="", flush=True)
        request_id = client.send_inference(task, options.prompt, stream_input=True)
        try:
            answer = client.read_answer(request_id, lambda piece: print(piece, end="", flush=True))
        finally:
            print()
        require_frames(answer, task)
    pieces, first = len(answer.deltas), answer.deltas[0][0]
    return f"{pieces} pieces, the first after {first:.2f} s, all in {answer.seconds:.2f} s"


def require_frames(answer: Answer, work_id: str) -> None:
    """Checks the frames of a streamed answer."""
    for number, reply in enumerate(answer.replies):
        data = reply["data"]
        require(
            reply.get("object") == "llm.utf-8.stream" and isinstance(data, dict),
            f"expected object llm.utf-8.stream and a frame as data, got {reply}",
        )
        require(reply.get("work_id") == work_id, f"a frame with another work_id: {reply}")
        require(data.get("index") == number, f"expected index {number}, got {data}")
        last = number == len(answer.replies) - 1
        require(data.get("finish") is last, f"expected finish {last}, got {data}")
    require(answer.text != "", "the answer is empty")


if __name__ == "__main__":
    sys.exit(run_check(option_parser(__doc__.splitlines()[0]).parse_args(), check))
