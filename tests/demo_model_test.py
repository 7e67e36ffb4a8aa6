#!/usr/bin/env python3
"""Starts llm_llm and lets tools/demo_model/evaluate.py ask tiny-chat its held-out questions.

Exit status 0 if at least 95 % are answered right.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from serve_process import serve  # noqa: E402  (found by the line above)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the program to start")
    parser.add_argument("--count", type=int, default=400, help="questions")
    options = parser.parse_args()
    with serve(options.program, ["--log-level", "warn"]) as port:
        return subprocess.run(
            [sys.executable, "-B", str(TOOLS / "demo_model" / "evaluate.py"), "--port", str(port),
             "--count", str(options.count)],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
