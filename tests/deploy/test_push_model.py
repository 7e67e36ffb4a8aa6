"""push-model.sh against a stand-in for a module; see stand_in.py."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from stand_in import REPOSITORY, StandIn

DATA = "/opt/m5stack/data"
DESCRIPTION = f"{DATA}/models/mode_small.json"
CMM = " total size={}KB(3MB),used=4KB(0MB + 4KB),remain={}KB(2MB + 1KB),partition_number=1\\n"


class PushModel(unittest.TestCase):
    """One module for all, with another folder of models for each."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.module = StandIn()
        cls.addClassCleanup(cls.module.close)

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.model = Path(temporary.name) / "small"
        rng = random.Random(1)
        for name, size in (("tokenizer/tokenizer.json", 999), ("l0.axmodel", 2_000_000),
                           ("l1.axmodel", 1_000_000), (".cache/x", 5)):  # fmt: skip
            (self.model / name).parent.mkdir(parents=True, exist_ok=True)
            (self.model / name).write_bytes(rng.randbytes(size))
        (self.model / "mode_small.json").write_text('{"mode":"small"}')
        self.files = ("tokenizer/tokenizer.json", "l0.axmodel", "l1.axmodel")
        self.tell_cmm(5000, 4000)

    def tearDown(self) -> None:
        shutil.rmtree(self.module.path(f"{DATA}/small"), ignore_errors=True)
        self.module.path(DESCRIPTION).unlink(missing_ok=True)

    def tell_cmm(self, total: int, remain: int) -> None:
        self.module.shim("grep", '[ "$2" = /proc/ax_proc/mem_cmm_info ] || exec /usr/bin/grep "$@"\n'
                         f"printf '{CMM.format(total, remain)}'")  # fmt: skip

    def push(self, *options: str, status: int = 0) -> str:
        done = subprocess.run(
            [REPOSITORY / "deploy/push-model.sh", *options, "module", str(self.model)],
            env=self.module.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def check_all_there(self) -> None:
        for name in self.files:
            self.assertEqual(self.module.path(f"{DATA}/small/{name}").read_bytes(),
                             (self.model / name).read_bytes(), name)  # fmt: skip
        self.assertEqual(self.module.path(DESCRIPTION).read_text(), '{"mode":"small"}')
        there = [path for path in self.module.path(f"{DATA}/small").rglob("*") if path.is_file()]
        self.assertEqual(len(there), len(self.files))

    def cut_after(self, size: int) -> None:
        """The connection breaks after so many bytes of a file."""
        self.module.shim(
            "cat", f'[ $# = 0 ] || exec /usr/bin/cat "$@"\nhead -c {size}\nrm $0\nkill -9 0'
        )

    def test_copies_goes_on_where_it_was_cut_off_and_describes_last(self) -> None:
        self.cut_after(300)
        self.assertIn("l0.axmodel was cut off", self.push(status=1))
        self.assertFalse(self.module.path(DESCRIPTION).exists())
        said = self.push()
        self.assertIn("send l0.axmodel, 2000000 bytes, from 300 on", said)
        self.assertEqual(said.splitlines()[-2:], ["step: send ../models/mode_small.json, 16 bytes",
                                                  "small is on module"])  # fmt: skip
        self.check_all_there()
        self.assertNotIn("send", self.push())

        # One file of it is newer, and an older description stands where it is found first.
        (self.model / "l1.axmodel").write_bytes(b"new")
        self.module.write(f"{DATA}/small/small.json", "{}")
        self.cut_after(1)
        self.push(status=1)
        self.assertFalse(self.module.path(DESCRIPTION).exists())
        self.push()
        self.check_all_there()

    def test_what_came_of_another_file_is_sent_anew(self) -> None:
        self.module.write(f"{DATA}/small/l0.axmodel.partial", "of another")
        self.assertEqual(self.push().count("step: send l0.axmodel"), 2)
        self.check_all_there()

    def test_description_beside_the_folder_and_dry_run(self) -> None:
        (self.model.parent / "models").mkdir()
        (self.model / "mode_small.json").rename(self.model.parent / "models/mode_small.json")
        self.assertIn(
            f"would send 2000000 bytes of l0.axmodel to {DATA}/small/l0.axmodel",
            self.push("--dry-run"),
        )
        self.assertFalse(self.module.path(f"{DATA}/small").exists())
        self.push()
        self.check_all_there()

    def test_huggingface_folder(self) -> None:
        self.model = self.module.path(f"{DATA}/tiny-chat")
        shutil.copytree(self.model, Path(str(self.model) + "-2"))
        self.model = Path(str(self.model) + "-2").rename(self.model.parents[3] / "chat-2")
        self.assertIn("config.json", self.push().splitlines()[-2])
        self.assertIn("chat-2", self.module.here(f"ls {DATA}"))

    def test_refuses_what_does_not_fit(self) -> None:
        self.tell_cmm(2900, 2900)
        self.assertIn("2930 KiB, the NPU's memory (CMM) has 2900 KiB", self.push(status=1))
        self.assertFalse(self.module.path(f"{DATA}/small").exists())
        self.push("--any-size")
        self.tell_cmm(5000, 2000)
        self.assertIn("2000 KiB of the NPU's memory are free now", self.push())
        shutil.rmtree(self.module.path(f"{DATA}/small"))
        self.module.shim("df", "printf 'x\\nfs 100 90 77 90%% /\\n'")
        self.addCleanup(self.module.path("/mnt/shims/df").unlink)
        self.assertIn("77 KiB are free on the disk", self.push(status=1))

    def test_refuses_what_is_no_model(self) -> None:
        (self.model / "l1.axmodel").write_text(
            "version https://git-lfs.github.com/spec/v1\noid x\n"
        )
        self.assertIn("l1.axmodel is a Git LFS pointer", self.push(status=1))
        (self.model / "l1.axmodel").rename(self.model / "l 1.axmodel")
        self.assertIn("letters, digits", self.push(status=1))
        (self.model / "mode_small.json").unlink()
        self.assertIn("it is no model", self.push(status=1))


if __name__ == "__main__":
    unittest.main()
