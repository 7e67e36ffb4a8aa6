#!/usr/bin/env python3
"""Prints the licence notices of everything that a CMake + ninja build of llm_llm has linked in.

    deploy/third_party.py BUILD_FOLDER

What was linked in is read from ninja's record of the headers that the program's own files, and the
static libraries behind them, were made of: Debian packages, whose notices Debian ships, and
simdjson's source. Fails when a header belongs to nobody.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterable, List, Set

REPOSITORY = Path(__file__).resolve().parents[1]
# The program's own objects; the rest of a build folder are tests.
OBJECTS = re.compile(r"CMakeFiles/(llm_llm|main_llm|command_line|protocol|runner|program_headers)\.dir/")
# What the program uses but does not contain.
NOT_LINKED_IN = ("libc6-dev", "linux-libc-dev", "libzmq3-dev")
# Above this, a notice (Boost's has 2 MB) is shortened to what holds for the files in use.
WHOLE_NOTICE_BYTES = 200_000


def headers(build: Path) -> Set[Path]:
    """The files outside of the repository that the program's objects were compiled from."""
    deps = subprocess.run(
        ["ninja", "-C", str(build), "-t", "deps"], check=True, capture_output=True, text=True
    ).stdout
    found: Set[Path] = set()
    ours = False
    for line in deps.splitlines():
        if not line.startswith(" "):
            ours = OBJECTS.match(line) is not None
        elif ours and line.strip():
            found.add((build / line.strip()).resolve())
    return {path for path in found if not path.is_relative_to(REPOSITORY)
            and not path.is_relative_to(build)}  # fmt: skip


def by_package(paths: Iterable[Path]) -> Dict[str, List[str]]:
    """The paths that each Debian package brought. Raises RuntimeError for one of no package."""
    names = [str(path) for path in paths]
    owners = subprocess.run(
        ["dpkg-query", "--search", *names], check=False, capture_output=True, text=True
    )
    packages: Dict[str, List[str]] = {}
    for line in owners.stdout.splitlines():
        package, path = line.split(": ", 1)
        packages.setdefault(package.split(",")[0].split(":")[0], []).append(path)
    unknown = set(names) - {path for files in packages.values() for path in files}
    if unknown:
        raise RuntimeError(f"no package owns {sorted(unknown)}")
    return packages


def shortened(notice: str, files: List[str]) -> str:
    """The general licence of a notice in Debian's machine-readable form, and the copyright lines
    that stand in `files` themselves."""
    name = re.search(r"^Files: \*\n(?:.+\n)*?License: *(\S+)$", notice, re.MULTILINE)
    if name is None:
        raise RuntimeError(f"no general licence in {notice[:80]!r}")
    licence = re.search(
        rf"^License: *{re.escape(name[1])}\n(?:[ \t].*\n)+", notice, re.MULTILINE
    )
    if licence is None:
        raise RuntimeError(f"no text of {name[1]}")
    holders: Set[str] = set()
    for file in files:
        text = Path(file).read_text("utf-8", "replace")
        holders.update(re.findall(r"Copyright .*\d{4}.*[\w)]", text))
    return "\n".join(sorted(holders)) + "\n\n" + licence[0]


def notices(build: Path) -> str:
    parts = {"simdjson": (build / "simdjson" / "LICENSE").read_text("utf-8")}
    for package, files in by_package(headers(build)).items():
        if package.startswith(NOT_LINKED_IN):
            continue
        notice = Path("/usr/share/doc", package, "copyright").read_text("utf-8")
        whole = len(notice) < WHOLE_NOTICE_BYTES
        parts[package] = notice if whole else shortened(notice, files)
    bar = "=" * 80
    text = "llm_llm contains code of the following projects, as Debian packages them.\n"
    return text + "".join(
        f"\n{bar}\n{name}\n{bar}\n\n{notice.strip()}\n" for name, notice in sorted(parts.items())
    )


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: deploy/third_party.py BUILD_FOLDER", file=sys.stderr)
        return 2
    sys.stdout.write(notices(Path(sys.argv[1]).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
