"""What tests have in common that need packages of npm and one of our programs.

Where npm does not give them all is skipped: the last line is "SKIPPED: " and why, the exit status
77. With REQUIRE_NPM=1 in the environment it is a failure instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any, Iterable

import npm_packages

SKIPPED = 77  # exit status

PROBE = Path()  # the program, as the command line has it


def fetch_or_skip(packages: Iterable[npm_packages.Package]) -> None:
    """For setUpModule()."""
    try:
        npm_packages.fetch(packages)
    except npm_packages.NpmUnavailable as error:
        if os.environ.get("REQUIRE_NPM"):
            raise
        raise unittest.SkipTest(str(error)) from error


def output_of(*command: Any, given: Any) -> bytes:
    """What a program writes that is given JSON."""
    done = subprocess.run([str(word) for word in command], check=False, input=json.dumps(given).encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def main(description: str, default_probe: str) -> None:
    """Runs all tests of the program that calls it."""
    global PROBE  # pylint: disable=global-statement
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", type=Path, default=npm_packages.REPOSITORY / "build" / default_probe)
    PROBE = parser.parse_args().probe.resolve()
    result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped:
        print("SKIPPED:", result.skipped[0][1])
        sys.exit(SKIPPED)
