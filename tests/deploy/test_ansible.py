"""The Ansible role: the order of modules, and what happens when one fails.

deploy/install.sh and rollback.sh, which do the work on modules, are stubs here that note how they
are called. TEST_LONG=1: the rarer cases too.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional

import yaml

ANSIBLE = Path(__file__).resolve().parents[2] / "deploy" / "ansible"
SECONDS = 120
LONG = bool(os.environ.get("TEST_LONG"))
# The modules, in the inventory's order.
ADDRESSES = {"first": "127.0.0.1", "second": "127.0.0.2"}

# Notes its name and arguments, and fails as $FAILS says: "install.sh root@127.0.0.1".
STUB = """#!/bin/sh
eval "target=\\${$#}"
echo "${0##*/} $* ssh=$SSH" >>"$CALLS"
[ "$FAILS" != "${0##*/} $target" ]
"""


class RoleTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="llm_llm_test_")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("install.sh", "rollback.sh"):
            (self.folder / name).write_text(STUB)
            (self.folder / name).chmod(0o755)
        self.ports: Dict[str, int] = {}
        for address in ADDRESSES.values():
            listener = socket.create_server((address, 0))
            self.addCleanup(listener.close)
            self.ports[address] = listener.getsockname()[1]

    def close_port(self, host: str) -> None:
        """From now on nobody listens where this module's llm-sys should."""
        with socket.create_server((ADDRESSES[host], 0)) as closed:
            self.ports[ADDRESSES[host]] = closed.getsockname()[1]

    def play(self, playbook: str, *options: str, fails: str = "",
             settings: Optional[Dict[str, Dict[str, Any]]] = None) -> int:  # fmt: skip
        """Runs a playbook on the modules; the exit status. settings: by module."""
        hosts = {host: {"ansible_host": address, "llm_llm_port": self.ports[address],
                        **(settings or {}).get(host, {})} for host, address in ADDRESSES.items()}  # fmt: skip
        variables = {
            "ansible_user": "root",
            "llm_llm_install_command": str(self.folder / "install.sh"),
            "llm_llm_rollback_command": str(self.folder / "rollback.sh"),
            "llm_llm_program": "/the/program",
            "llm_llm_wait_seconds": 1,
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"llm_modules": {"hosts": hosts, "vars": variables}}))
        finished = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), str(ANSIBLE / playbook), *options],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
            env={**os.environ, "CALLS": str(self.folder / "calls"), "FAILS": fails,
                 "HOME": str(self.folder), "ANSIBLE_NOCOLOR": "1"},
        )  # fmt: skip
        self.said = finished.stdout + finished.stderr
        return finished.returncode

    def calls(self) -> List[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def called(self, script: str, host: str, *options: str, ssh: str = "") -> str:
        program = ["--program", "/the/program"] if script == "install.sh" else []
        address = ADDRESSES[host]
        words = [script, *program, "--port", str(self.ports[address]), *options, f"root@{address}",
                 "ssh=ssh -o BatchMode=yes" + ssh]  # fmt: skip
        return " ".join(words)

    def check_calls(self, *expected: str) -> None:
        stripped = [" ".join(line.split()) for line in self.calls()]
        self.assertEqual(stripped, list(expected), self.said)


class Installing(RoleTest):
    def test_one_after_the_other(self) -> None:
        settings = {"first": {"ansible_port": 2222, "ansible_ssh_private_key_file": "/a/key"},
                    "second": {"llm_llm_model": "tiny-chat"}}  # fmt: skip
        self.assertEqual(self.play("playbook.yml", settings=settings), 0, self.said)
        self.check_calls(
            self.called("install.sh", "first", ssh=" -p 2222 -i /a/key"),
            self.called("install.sh", "second", "--model", "tiny-chat"),
        )

    def test_second_is_not_touched_when_the_first_is_broken(self) -> None:
        status = self.play("playbook.yml", fails="install.sh root@127.0.0.1")
        self.assertNotEqual(status, 0, self.said)
        # install.sh has undone it by itself.
        self.check_calls(self.called("install.sh", "first"))

    def test_rolled_back_when_it_cannot_be_reached(self) -> None:
        self.close_port("first")
        self.assertNotEqual(self.play("playbook.yml"), 0, self.said)
        self.check_calls(self.called("install.sh", "first"), self.called("rollback.sh", "first"))
        self.assertIn("what was there before is back", self.said)

    @unittest.skipUnless(LONG, "each run of Ansible takes seconds: TEST_LONG=1")
    def test_says_so_when_the_way_back_fails_too(self) -> None:
        self.close_port("first")
        self.assertNotEqual(self.play("playbook.yml", fails="rollback.sh root@127.0.0.1"), 0)
        self.check_calls(self.called("install.sh", "first"), self.called("rollback.sh", "first"))
        self.assertNotIn("what was there before is back", self.said)

    @unittest.skipUnless(LONG, "each run of Ansible takes seconds: TEST_LONG=1")
    def test_check_changes_nothing(self) -> None:
        self.close_port("first")  # which is not looked at
        self.assertEqual(self.play("playbook.yml", "--check"), 0, self.said)
        self.check_calls(*(self.called("install.sh", host, "--dry-run") for host in ADDRESSES))


class Rollback(RoleTest):
    def test_until_one_fails(self) -> None:
        date = ["-e", "llm_llm_rollback_to=20261121T120000Z"]
        status = self.play("rollback.yml", *date, fails="rollback.sh root@127.0.0.1")
        self.assertNotEqual(status, 0, self.said)
        self.check_calls(self.called("rollback.sh", "first", "--to", "20261121T120000Z"))


class Inventory(unittest.TestCase):
    def test_example_names_known_settings(self) -> None:
        """And reaches its modules as it says."""
        shown = subprocess.run(
            ["ansible-inventory", "-i", str(ANSIBLE / "inventory.example.yml"), "--list"],
            check=True, capture_output=True, text=True, timeout=SECONDS,
        ).stdout  # fmt: skip
        hosts = json.loads(shown)["_meta"]["hostvars"]
        self.assertEqual(len(hosts), 2)
        settings = yaml.safe_load((ANSIBLE / "roles/llm_llm/defaults/main.yml").read_text())
        for variables in hosts.values():
            known = set(settings) | {"ansible_host", "ansible_user"}
            self.assertLessEqual(set(variables), known)


if __name__ == "__main__":
    unittest.main()
