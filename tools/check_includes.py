#!/usr/bin/env python3
"""Checks which file may include what: the layers of CONTRIBUTING.md, enforced.

Prints each include that crosses a line, as FILE:LINE: reason; exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
from pathlib import Path

LAYERS = ("protocol", "runner", "main_llm")
MAY_INCLUDE = {
    "protocol": {"protocol"},
    "runner": {"runner"},
    "main_llm": {"protocol", "runner", "main_llm"},
}
# Header pattern -> the only files that may include it.
RESERVED = {
    "zmq*": ("protocol/zmq_*",),
    "boost/asio*": ("protocol/tcp_*", "protocol/http_*", "main_llm/serve.cc"),
    "boost/beast*": ("protocol/http_*",),
    "CLI/*": ("main_llm/options.cc", "main_llm/options_run_script.cc"),
    "hwy/*": ("runner/cpu/*", "runner/logit_scan.cc"),
    "pcre2.h": ("runner/text/regex.cc",),
    # Concrete engines and tokenizers are chosen in one place.
    "runner/cpu/*": ("runner/cpu/*", "main_llm/model_loader.cc"),
    "runner/npu/*": (
        "runner/npu/*", "main_llm/model_loader.cc", "main_llm/model_inspection.cc",
        "main_llm/run_script_options.h",
    ),
    # What vendors declare stays with the code over their libraries.
    "runner/npu/ax_*": ("runner/npu/ax_*", "main_llm/model_loader.cc"),
    "dlfcn.h": ("runner/npu/*_library.cc",),
}
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^">]+)[">]')


def violations(root: Path) -> list[str]:
    """The forbidden includes below `root`, one line of text each."""
    found = []
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            name = path.relative_to(root).as_posix()
            lines = path.read_text(encoding="utf-8").splitlines()
            # An _inl.h is included once for each instruction set, on purpose.
            once = path.suffix == ".cc" or path.stem.endswith("_inl") or "#pragma once" in lines
            if not once:
                found.append(f"{name}:1: a header without #pragma once")
            for number, line in enumerate(lines, 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                header = match.group(1)
                top = header.split("/")[0]
                if top in LAYERS and top not in MAY_INCLUDE[layer]:
                    found.append(f"{name}:{number}: {layer} may not include {header}")
                for pattern, allowed in RESERVED.items():
                    if fnmatch.fnmatch(header, pattern) and not any(
                        fnmatch.fnmatch(name, a) for a in allowed
                    ):
                        found.append(
                            f"{name}:{number}: {header} belongs in {', '.join(allowed)} only"
                        )
    return found


def unlisted(root: Path) -> list[str]:
    """Sources that no sources.txt names (so that no build compiles them), and the reverse."""
    found = []
    outside = {"main_llm/main.cc", "main_llm/model_loader.cc"}
    for folder in LAYERS + tuple(f"tests/{layer}" for layer in LAYERS):
        lines = (root / folder / "sources.txt").read_text(encoding="utf-8").splitlines()
        listed = [line for line in lines if line and not line.startswith("#")]
        present = {p.relative_to(root / folder).as_posix() for p in (root / folder).rglob("*.cc")}
        present -= {name for name in present if f"{folder}/{name}" in outside}
        for name in sorted(present - set(listed)):
            found.append(f"{folder}/{name}: not in {folder}/sources.txt")
        for name in sorted(set(listed) - present):
            found.append(f"{folder}/sources.txt: there is no {name}")
        for name in sorted({name for name in listed if listed.count(name) > 1}):
            found.append(f"{folder}/sources.txt: {name} is there twice")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parent.parent)
    root = parser.parse_args().root
    found = violations(root) + unlisted(root)
    print("\n".join(found) if found else "includes and source lists are in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
