"""What scripts are written in: shell without shellcheck's complaints, Python that 3.9 reads."""

from __future__ import annotations

import ast
import subprocess
import unittest
from pathlib import Path
from typing import List

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("tools", "deploy", "tests", ".ci")


def scripts(interpreter: str, suffix: str) -> List[Path]:
    """The files of a suffix, or whose first line names the interpreter."""
    found = []
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            with open(path, "rb") as file:
                first = file.readline(80)
            if path.suffix == suffix or first.startswith(b"#!") and interpreter.encode() in first:
                found.append(path)
    return found


class Scripts(unittest.TestCase):
    def test_shell(self) -> None:
        paths = scripts("sh", ".sh")
        names = {path.name for path in paths}
        self.assertLessEqual(
            {"install.sh", "over_ssh.sh", "build-arm64", "setup", "test", "run", "cut"}, names
        )
        done = subprocess.run(
            # SC2317: it does not see that tools/test calls its functions by way of another.
            ["shellcheck", "--external-sources", "--exclude=SC2317", *map(str, paths)],
            cwd=REPOSITORY, capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_python(self) -> None:
        """macOS brings Python 3.9 with its developer tools."""
        paths = [path for path in scripts("python", ".py") if "tests" not in path.parts]
        self.assertIn("stackflow_client.py", {path.name for path in paths})
        for path in paths:
            with self.subTest(path.name):
                ast.parse(path.read_text("utf-8"), feature_version=(3, 9))


if __name__ == "__main__":
    unittest.main()
