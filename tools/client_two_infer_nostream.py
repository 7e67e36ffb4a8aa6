#!/usr/bin/env python3
"""Checks that a task answers twice in a row, and the same both times: setup, two inferences, exit.

The same question, decoded greedily, has one answer; a second one that hangs or differs means that
the first left something behind. (Models that keep the conversation may differ; this is not for
them.) Exit status: 0 two equal answers, 1 not, 2 could not connect. Standard library only.
"""

from __future__ import annotations

import argparse
import sys

from stackflow_client import TEXT, StackFlowClient
from verification import greedy_task, option_parser, require, require_whole_reply, run_check


def check(client: StackFlowClient, options: argparse.Namespace) -> str:
    answers = []
    with greedy_task(client, options, TEXT) as task:
        for _ in range(2):
            print(f"> {options.prompt}")
            answer = client.infer(task, options.prompt)
            print(f"  {answer.text}  ({answer.seconds:.2f} s)")
            require_whole_reply(answer, task)
            answers.append(answer.text)
    require(answers[0] == answers[1], "the second answer differs from the first")
    return "two inferences, the same answer"


if __name__ == "__main__":
    sys.exit(run_check(option_parser(__doc__.splitlines()[0]).parse_args(), check))
