#!/usr/bin/env python3
"""Checks that a question is answered: setup, one inference in one piece, exit.

Exit status: 0 answered, 1 not, 2 could not connect. Standard library only.
"""

from __future__ import annotations

import argparse
import sys

from stackflow_client import TEXT, StackFlowClient
from verification import greedy_task, option_parser, require_whole_reply, run_check


def check(client: StackFlowClient, options: argparse.Namespace) -> str:
    with greedy_task(client, options, TEXT) as task:
        print(f"> {options.prompt}")
        answer = client.infer(task, options.prompt)
        print(f"  {answer.text}")
        require_whole_reply(answer, task)
    return f"answered in {answer.seconds:.2f} s"


if __name__ == "__main__":
    sys.exit(run_check(option_parser(__doc__.splitlines()[0]).parse_args(), check))
