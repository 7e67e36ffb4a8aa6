#!/usr/bin/env python3
"""Measures what a unit behind llm-sys adds to an inference, with this script in llm-sys's place.

    tools/bench/latency.py --program build/llm_llm_scripted --count 2000

Published inference -> its first token computed, and token computed -> its line at the reply URL, both
on CLOCK_MONOTONIC, which the scripted model stamps its tokens with. Prints median, 99th percentile and
maximum in milliseconds. Needs python3-zmq.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "protocol"))
from llm_sys_double import LlmSys  # noqa: E402

TOKENS = 8


def percentile(sorted_values: List[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def measure(root: Path, count: int) -> None:
    llm_sys = LlmSys(root)
    url = f"ipc://{root}/llm/8000.sock"
    replies = llm_sys.context.socket(zmq.PULL)
    replies.bind(url)
    setup = {"request_id": "1", "work_id": "llm", "action": "setup",
             "data": {"model": "m", "response_format": "llm.utf-8.stream"}}  # fmt: skip
    assert llm_sys.call_unit("llm", "setup", url, json.dumps(setup).encode())
    work_id = json.loads(replies.recv())["work_id"]
    task = llm_sys.tasks[work_id]
    request = json.dumps(
        {"request_id": "2", "work_id": work_id, "action": "inference", "object": "llm.utf-8", "data": "?"}
    )
    message = (f'{{"zmq_com":"{url}",' + request[1:]).encode()
    started: List[float] = []
    delivered: List[float] = []
    for turn in range(count + 20):
        begin = time.monotonic_ns()
        task.publish(message)
        first = True
        while True:
            line = replies.recv()
            now = time.monotonic_ns()
            data = json.loads(line)["data"]
            if data["finish"]:
                break
            stamp = int(data["delta"])
            if turn >= 20:  # the first ones warm up
                if first:
                    started.append((stamp - begin) / 1e6)
                delivered.append((now - stamp) / 1e6)
            first = False
    for name, values in (("request -> first token computed", started),
                         ("token computed -> line received", delivered)):  # fmt: skip
        values.sort()
        print(
            f"{name}: median {percentile(values, 0.5):.3f} ms, p99 {percentile(values, 0.99):.3f} ms, "
            f"max {values[-1]:.3f} ms ({len(values)} values)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="llm_llm_scripted")
    parser.add_argument("--count", type=int, default=1000, help="inferences (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "models" / "m").mkdir(parents=True)
        script = {"rules": [{"stamp": TOKENS, "decode_ms": 1}]}
        (root / "models" / "m" / "script.json").write_text(json.dumps(script))
        unit = subprocess.Popen(
            [options.program, "--models", str(root / "models"), "--log-level", "warn",
             "unit", "--socket-root", str(root)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert unit.stdout is not None
            unit.stdout.readline()
            measure(root, options.count)
        finally:
            unit.terminate()
            unit.wait()


if __name__ == "__main__":
    main()
