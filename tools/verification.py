"""What the verification scripts beside this file share: options, verdict, exit status.

Exit status: 0 the check passed, 1 it failed, 2 nobody answers at host:port.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any, Callable, Iterator

from stackflow_client import (
    GREEDY,
    Answer,
    ConnectError,
    Disconnected,
    ReplyTimeout,
    StackFlowClient,
    StackFlowError,
)

DEFAULT_PROMPT = "What is the capital of Japan?"


class CheckFailed(Exception):
    """What the server did is not what it should do."""


def option_parser(description: str, prompt: str = DEFAULT_PROMPT) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the unit or module")
    parser.add_argument("--port", type=int, default=10001, help="its TCP port")
    parser.add_argument("--model", default="tiny-chat", help="model to set up")
    parser.add_argument("--prompt", default=prompt, help="what to ask")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for a reply")
    return parser


def run_check(
    options: argparse.Namespace, check: Callable[[StackFlowClient, argparse.Namespace], str]
) -> int:
    """Connects, runs `check`, prints PASS or FAIL with what it returned or raised.

    Returns the exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show every character
    try:
        with StackFlowClient(options.host, options.port, options.timeout) as client:
            summary = check(client, options)
    except ConnectError as error:
        print(f"FAIL: {error}")
        return 2
    except (CheckFailed, StackFlowError, ReplyTimeout, Disconnected) as error:
        print(f"FAIL: {error}")
        return 1
    except (KeyError, TypeError, ValueError) as error:
        print(f"FAIL: a reply of an unexpected form: {error!r}")
        return 1
    print(f"PASS: {summary}")
    return 0


@contextlib.contextmanager
def greedy_task(
    client: StackFlowClient, options: argparse.Namespace, response_format: str, **setup: Any
) -> Iterator[str]:
    """A task that decodes greedily, ended in any case; yields its work_id."""
    work_id = client.setup(options.model, response_format, **GREEDY, **setup)
    print(f"set up {options.model} as {work_id}")
    try:
        yield work_id
    except BaseException:
        _exit_quietly(options, work_id)
        raise
    client.exit(work_id)


def _exit_quietly(options: argparse.Namespace, work_id: str) -> None:
    """Ends the task after a failure, over a connection of its own: the other one may be gone."""
    with contextlib.suppress(StackFlowError, ReplyTimeout, Disconnected, ConnectError):
        timeout = min(options.timeout, 5.0)
        with StackFlowClient(options.host, options.port, timeout) as client:
            client.exit(work_id)


def require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckFailed(message)


def require_whole_reply(answer: Answer, work_id: str) -> None:
    """Checks an answer that was not streamed: one reply, of text, from the task asked."""
    reply = answer.replies[0]
    require(
        reply.get("object") == "llm.utf-8" and isinstance(reply.get("data"), str),
        f"expected one reply with object llm.utf-8 and text as data, got {reply}",
    )
    require(reply.get("work_id") == work_id, f"a reply with another work_id: {reply}")
    require(answer.text != "", "the answer is empty")
