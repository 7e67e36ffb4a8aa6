#!/usr/bin/env python3
"""Measures what the unit costs a machine: start, memory, and the size of what is installed.

    tools/bench/footprint.py --program build/llm_llm --starts 20 build/arm64/llm_llm build/arm64/*.deb

With this script in llm-sys's place: from starting the program to its first answer to `taskinfo`
(median, minimum and maximum over the starts), resident memory before any setup, with a model set up,
and after one answer. Of memory the part that is the program's own is counted (Private_* of
smaps_rollup): weights are mapped from their file and go when others need room. FILES are listed with
their sizes. Needs python3-zmq.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "protocol"))
from llm_sys_double import LlmSys  # noqa: E402

START_SECONDS = 30


class Unit:
    """The program as llm-sys's unit, in a folder of its own."""

    def __init__(self, program: str, options: List[str], root: Path) -> None:
        self.url = f"ipc://{root}/llm/8000.sock"
        self.llm_sys = LlmSys(root)
        self.replies = self.llm_sys.context.socket(zmq.PULL)
        self.replies.bind(self.url)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [program, "unit", "--socket-root", str(root), "--log-level", "off", *options],
            stdout=subprocess.DEVNULL,
        )

    def ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """The reply to a call of the unit."""
        assert self.llm_sys.call_unit("llm", request["action"], self.url, json.dumps(request).encode())
        return json.loads(self.replies.recv())

    def wait_for_answer(self) -> float:
        """Milliseconds from the start to the first answer to taskinfo."""
        rpc = Path(self.url[len("ipc://"):]).parents[1] / "rpc.llm"
        while not rpc.exists():
            if time.monotonic() - self.started > START_SECONDS:
                raise RuntimeError("the unit does not start")
            time.sleep(0.0002)
        self.ask({"request_id": "1", "work_id": "llm", "action": "taskinfo"})
        return (time.monotonic() - self.started) * 1000

    def own_kib(self) -> Dict[str, int]:
        """Resident memory in KiB: all of it, and the program's own."""
        kib = {"resident": 0, "own": 0}
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split()[:2]
            if name == "Rss:":
                kib["resident"] = int(value)
            if name.startswith("Private_"):
                kib["own"] += int(value)
        return kib

    def answer(self, model: str) -> str:
        """Sets the model up and asks it once."""
        reply = self.ask({"request_id": "2", "work_id": "llm", "action": "setup",
                          "data": {"model": model, "response_format": "llm.utf-8"}})  # fmt: skip
        if reply["error"]["code"] != 0:
            raise RuntimeError(f"setup: {reply['error']}")
        print_memory("model set up", self.own_kib())
        task = self.llm_sys.tasks[reply["work_id"]]
        request = json.dumps({"request_id": "3", "work_id": reply["work_id"], "action": "inference",
                              "object": "llm.utf-8", "data": "Hello!"})  # fmt: skip
        task.publish((f'{{"zmq_com":"{self.url}",' + request[1:]).encode())
        return json.loads(self.replies.recv())["data"]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.replies.close()


def print_memory(what: str, kib: Dict[str, int]) -> None:
    print(f"{what:<24} {kib['resident'] / 1024:8.1f} MiB resident, {kib['own'] / 1024:6.1f} MiB its own")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/llm_llm")
    parser.add_argument("--model", default="tiny-chat")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILES")
    args = parser.parse_args()

    for path in args.files:
        print(f"{path.name:<24} {path.stat().st_size / 1e6:8.2f} MB")
    starts = []
    for turn in range(args.starts + 1):
        with tempfile.TemporaryDirectory() as root:
            unit = Unit(args.program, [], Path(root))
            try:
                milliseconds = unit.wait_for_answer()
                if turn > 0:  # the first one reads the program from disk
                    starts.append(milliseconds)
                if turn == args.starts:
                    print_memory("before any setup", unit.own_kib())
                    unit.answer(args.model)
                    print_memory("after an answer", unit.own_kib())
            finally:
                unit.end()
    print(f"start to taskinfo's reply {statistics.median(starts):7.1f} ms "
          f"({min(starts):.1f} to {max(starts):.1f}, {len(starts)} starts)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
