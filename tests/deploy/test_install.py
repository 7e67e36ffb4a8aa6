"""install.sh and rollback.sh against a stand-in for a module; see stand_in.py.

    LLM_LLM_BUILD=build python3 -m unittest -v test_install        # in this folder, as root
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Optional

from stand_in import BACKUPS, BIN, BUILD, REPOSITORY, SERVICE, StandIn, keys

LONG = bool(os.environ.get("TEST_LONG"))
PROGRAM = ["--program", str(BUILD / "llm_llm")]
VERSION = subprocess.run(
    [BUILD / "llm_llm", "--version"], capture_output=True, text=True
).stdout.split()[1]
INSTALLED = f"{BIN}/llm_llm-{VERSION}"


class InstallTest(unittest.TestCase):
    """Tests of a class share a module as long as they leave it as it was."""

    emulated = False
    module: StandIn

    @classmethod
    def setUpClass(cls) -> None:
        cls.module = StandIn(cls.emulated)
        cls.addClassCleanup(lambda: cls.module.close())

    def setUp(self) -> None:
        if not self.module.reset():
            self.module.close()
            type(self).module = StandIn(self.emulated)
        self.before = self.module.snapshot()
        self.program = ["--program", str(self.module.llm_llm)]

    def install(self, *arguments: str, status: int = 0) -> str:
        done = self.module.deploy("install.sh", *self.program, *arguments)
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def roll_back(self, *arguments: str, status: Optional[int] = 0) -> str:
        """status None: any."""
        done = self.module.deploy("rollback.sh", *arguments)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def check_installed(self, executed: str = f"{BIN}/llm_llm-1.12") -> None:
        self.assertEqual(self.module.sha256(INSTALLED), self.module.sha256_of(self.program[1]))
        for name in (f"{BIN}/llm_llm", f"{BIN}/llm-llm", executed):
            self.assertEqual(self.module.here(f"readlink -f {name}").strip(), INSTALLED)
        self.assertTrue(self.module.is_held())
        self.module.wait_until_unit_answers()

    def check_untouched(self) -> None:
        self.assertEqual(self.module.snapshot(), self.before)


class Installation(InstallTest):
    def test_installs_again_and_goes_all_the_way_back(self) -> None:
        said = self.install("--model", "tiny-chat")
        self.assertIn("PASS: answered", said)
        self.check_installed()
        self.assertEqual(self.module.runs(), INSTALLED)
        once = self.module.snapshot()
        self.assertIn(f"installed llm_llm {VERSION}", self.install("--restart-sys"))
        self.assertEqual(self.module.snapshot(), once)

        dates = self.module.backups()
        self.assertEqual(re.findall(r"^\S+(?=  before)", self.roll_back("--list"), re.M), dates)
        self.roll_back()
        self.assertEqual(self.module.snapshot(), once)
        self.assertIn(
            f"{dates[1]}  before llm_llm-{VERSION} (was restored)", self.roll_back("--list")
        )
        self.assertIn("llm-sys and the unit answer", self.roll_back())
        self.check_untouched()
        self.assertEqual(self.module.runs(), f"{BIN}/llm_llm-1.12")
        self.assertIn("no backup to go back to", self.roll_back(status=1))
        self.check_untouched()

    def test_goes_back_by_date_over_several_installations(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "date").write_text("#!/bin/sh\necho 2026-11-21T154238Z\n")
            Path(folder, "date").chmod(0o755)
            for dates in (["2026-11-21T154238Z"], ["2026-11-21T154238Z", "2026-11-21T154238Z2"]):
                path = f"{folder}:{os.environ['PATH']}"
                done = self.module.deploy("install.sh", *self.program, path=path)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertEqual(self.module.backups(), dates)
        self.assertIn("there is no backup '2001-01-01T000000Z'",
                      self.roll_back("--to", "2001-01-01T000000Z", status=1))  # fmt: skip
        self.roll_back("--to", self.module.backups()[0])
        self.check_untouched()
        self.assertEqual(self.roll_back("--list").count("(was restored)"), 2)

    def test_dry_run_changes_nothing_and_tells_all(self) -> None:
        said = self.install("--dry-run", "--model", "tiny-chat")
        for command in (f"cat >{BIN}/llm_llm.incoming", f"would keep {BIN}/llm_llm-1.12 in {BACKUPS}",
                        f"mv -f {BIN}/llm_llm.incoming {BIN}/llm_llm-VERSION",
                        f"mv -f {BIN}/llm_llm-1.12.new {BIN}/llm_llm-1.12",
                        "apt-mark hold llm-llm", "systemctl restart llm-llm.service"):  # fmt: skip
            self.assertIn(command, said)
        self.check_untouched()
        self.assertFalse(self.module.path(BACKUPS).exists())
        self.assertEqual(self.module.runs(), f"{BIN}/llm_llm-1.12")

        self.install()
        after = self.module.snapshot()
        said = self.roll_back("--dry-run")
        self.assertIn(f"would run: mv -f {BIN}/llm_llm-1.12.new {BIN}/llm_llm-1.12", said)
        self.assertIn(f"would run: rm -f {INSTALLED}", said)
        self.assertEqual(self.module.snapshot(), after)

    def test_runs_in_strict_shells_and_without_sha256sum(self) -> None:
        """macOS has shasum instead, and bash as its sh."""
        with tempfile.TemporaryDirectory() as folder:
            for name in (
                "cat",
                "cut",
                "date",
                "dirname",
                "mktemp",
                "od",
                "printf",
                "rm",
                "ssh",
                "tr",
                "wc",
            ):
                Path(folder, name).symlink_to(f"/usr/bin/{name}")
            # shasum's own interpreter is named by its full path.
            Path(folder, "shasum").symlink_to("/usr/bin/shasum")
            for shell in (["/usr/bin/dash"], ["/usr/bin/posh"], ["/usr/bin/bash", "--posix"]):
                done = self.module.deploy("install.sh", *PROGRAM, shell=shell, path=folder)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.check_installed()
                done = self.module.deploy("rollback.sh", shell=shell, path=folder)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.check_untouched()

    def test_uses_sudo_where_the_user_is_not_root(self) -> None:
        self.module.shim("id", 'if [ "$SUDO" = yes ]; then echo 0; else echo 1000; fi')
        self.module.shim("sudo", '[ "$1" = -n ] || exit 1; shift; SUDO=yes exec "$@"')
        self.install()
        self.check_installed()


class Layouts(InstallTest):
    def check_there_and_back(self, executed: str) -> None:
        self.module.restart_unit()
        before = self.module.snapshot()
        self.install()
        self.check_installed(executed)
        self.assertEqual(self.module.runs(), INSTALLED)
        self.roll_back()
        self.assertEqual(self.module.snapshot(), before)

    def test_links_to_a_program_that_was_built_by_hand(self) -> None:
        """As the instructions that go round for patched units leave it."""
        self.module.path(f"{BIN}/llm_llm-1.12").rename(self.module.path(f"{BIN}/llm_llm-1.8"))
        for name in ("llm_llm", "llm-llm"):
            self.module.path(f"{BIN}/{name}").symlink_to(f"{BIN}/llm_llm-1.8")
        self.module.write_service("llm-llm", f"{BIN}/llm_llm", "Requires=llm-sys.service\n")
        self.check_there_and_back(f"{BIN}/llm_llm")

    def test_a_plain_file_without_version_and_a_package_of_nobody(self) -> None:
        self.module.path(f"{BIN}/llm_llm-1.12").rename(self.module.path(f"{BIN}/llm_llm"))
        self.module.write_service("llm-llm", f"{BIN}/llm_llm")
        self.module.restart_unit()
        self.module.path("/mnt/state/package").unlink()
        before = self.module.snapshot()
        self.install()
        self.assertFalse(self.module.is_held())
        self.roll_back()
        self.assertEqual(self.module.snapshot(), before)

    def test_an_old_service_file_whose_program_is_gone(self) -> None:
        self.module.path(f"{BIN}/llm_llm-1.12").unlink()
        self.module.restart_unit()
        self.before = self.module.snapshot()
        self.install()
        self.check_installed()
        # What was there did not work, and comes back all the same.
        self.assertIn("the service does not run", self.roll_back("--wait", "1", status=1))
        self.check_untouched()

    def test_no_service_file(self) -> None:
        self.module.here("systemctl stop llm-llm.service")
        self.module.path(SERVICE).unlink()
        self.module.restart_unit()
        before = self.module.snapshot()
        self.assertIn("nor is there /nowhere", self.install("--service", "/nowhere", status=1))
        self.install()
        sent = (REPOSITORY / "deploy/llm-llm.service").read_text()
        self.assertEqual(self.module.path(SERVICE).read_text(), sent)
        self.assertTrue(self.module.path("/mnt/state/llm-llm.service.enabled").exists())
        self.module.wait_until_unit_answers()
        self.assertEqual(self.module.runs(), INSTALLED)
        self.assertIn("there is no llm-llm.service", self.roll_back())
        self.assertEqual(self.module.snapshot(), before)
        self.assertFalse(self.module.path("/mnt/state/llm-llm.service.enabled").exists())


class Refusals(InstallTest):
    """What is found before anything is changed."""

    def check_refused(self, says: str, *arguments: str) -> None:
        said = self.install(*arguments, status=1)
        self.assertIn(says, said)
        self.check_untouched()
        self.assertFalse(self.module.path(BACKUPS).exists())
        self.assertEqual(self.module.runs(), f"{BIN}/llm_llm-1.12")

    def test_module_is_not_what_the_program_needs(self) -> None:
        for name, script, says in (
            ("df", "printf 'x\\nfs 100 90 77 90%% /\\n'", "77 KiB are free on the disk"),
            ("getconf", "echo glibc 2.31", "glibc is 2.31, the program needs 2.35"),
            ("uname", "echo armv7l", "this machine is armv7l, the program is for x86_64"),
        ):
            self.module.shim(name, script)
            self.check_refused(says)

    def test_service_is_not_one_of_llm_llm(self) -> None:
        self.module.write_service("llm-llm", "/usr/bin/python3 -m http.server 0")
        self.module.here("systemctl daemon-reload")
        self.before = self.module.snapshot()
        self.check_refused("executes '/usr/bin/python3', which is no llm_llm")
        self.module.path(SERVICE).unlink()
        self.module.path(SERVICE).symlink_to("/dev/null")
        self.module.here("systemctl daemon-reload")
        self.before = self.module.snapshot()
        self.check_refused("llm-llm.service is masked")

    def test_llm_sys_is_not_there_or_silent(self) -> None:
        self.module.path(BIN).rename(self.module.path(BIN + "-away"))
        self.assertIn("there is no /opt/m5stack/bin", self.install(status=1))
        self.assertFalse(self.module.path(BACKUPS).exists())
        self.module.path(BIN + "-away").rename(self.module.path(BIN))
        self.module.here("systemctl stop llm-sys.service")
        self.check_refused("llm-sys does not answer")

    def test_sudo_wants_a_password(self) -> None:
        self.module.shim("id", "echo 1000")
        self.module.shim("sudo", "echo 'sudo: a password is required' >&2; exit 1")
        self.check_refused("NOPASSWD")

    def test_no_connection(self) -> None:
        self.module.stop_sshd()
        self.check_refused("cannot reach module by ssh, and nothing was changed")
        self.module.start_sshd("other_host")
        self.check_refused("ssh-keygen -R module")
        self.module.stop_sshd()
        self.module.start_sshd()
        config = self.module.folder / "ssh_config"
        config.write_text(config.read_text().replace(f"{keys()}/user", f"{keys()}/other_host"))
        self.check_refused("ssh-copy-id module")

    def test_program_is_none(self) -> None:
        for program, says in (("/nowhere", "there is no /nowhere"), ("/etc/passwd", "is no program"),
                              ("/bin/true", "not 'llm_llm NUMBER'")):  # fmt: skip
            self.program = ["--program", program]
            self.check_refused(says)

    def test_wrong_usage(self) -> None:
        for arguments in (["--port", "x"], ["--model"], ["--what"], ["other-host"]):
            done = subprocess.run(
                [REPOSITORY / "deploy/install.sh", "module", *arguments],
                env=self.module.environment(), capture_output=True, text=True,
            )  # fmt: skip
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("usage:", done.stderr)


class Failures(InstallTest):
    """What goes wrong on the way brings back what was there."""

    def check_as_before(self) -> None:
        self.check_untouched()
        self.module.wait_until_unit_answers()
        self.assertEqual(self.module.runs(), f"{BIN}/llm_llm-1.12")
        self.assertFalse(self.module.path(f"{BACKUPS}/journal").exists())

    def test_model_that_does_not_answer(self) -> None:
        said = self.install("--model", "no-such-model", status=1)
        self.assertIn("Model loading failed.", said)
        self.assertIn("everything is as it was", said)
        self.check_as_before()

    def test_unit_that_does_not_stay(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = 'int main(int n, char** a) { if (n > 1) puts("llm_llm 9.9"); return n < 2; }'
            subprocess.run(["cc", "-include", "stdio.h", "-x", "c", "-", "-o", f"{folder}/llm_llm"],
                           input=source, text=True, check=True)  # fmt: skip
            self.program = ["--program", f"{folder}/llm_llm"]
            said = self.install("--wait", "1", status=1)
        self.assertIn("the service does not run", said)
        self.assertIn("llm-sys and the unit answer", said)  # the restored one
        self.check_as_before()

    def test_another_unit_that_was_started_by_hand(self) -> None:
        self.module.here(
            "systemctl stop llm-llm.service; "
            f"setsid {BIN}/llm_llm-1.12 >/dev/null 2>&1 & echo $! >/mnt/state/by_hand"
        )
        self.module.wait_until_unit_answers()
        self.assertIn("the service does not run", self.install("--wait", "1", status=1))
        self.module.here("kill $(cat /mnt/state/by_hand)")
        self.check_untouched()

    def test_disk_fills_up_while_sending(self) -> None:
        room = self.module.llm_llm.stat().st_size // 2
        self.module.here(
            "mkdir /tmp/aside && cp -a /opt/. /tmp/aside && "
            f"mount -t tmpfs -o size=$(($(du -sk /opt | cut -f 1) * 1024 + {room})) tmpfs /opt && "
            "cp -a /tmp/aside/. /opt && rm -r /tmp/aside"
        )
        self.addCleanup(self.module.here, "umount /opt")
        self.module.shim("df", "printf 'x\\nfs 1 1 9999999 0%% /\\n'")
        listing = self.module.here("ls -lR /opt/m5stack/bin")
        self.assertIn("No space left on device", self.install(status=1))
        self.assertEqual(self.module.here("ls -lR /opt/m5stack/bin"), listing)

    def test_control_c_brings_back_what_was_there(self) -> None:
        self.run_until("step: wait for answers", signal.SIGTERM)
        self.check_as_before()

    def test_killed_here_at_any_step(self) -> None:
        """The next run, of either script, begins by restoring."""
        steps = ["send", "switch", "wait for answers"]
        if LONG:
            steps = [
                "connect",
                "repair",
                "check",
                "send",
                "verify",
                "switch",
                "restart",
                "wait",
                "commit",
            ]
        for number, step in enumerate(steps):
            with self.subTest(step):
                self.run_until(f"step: {step}", signal.SIGKILL)
                self.module.wait_until_unit_answers()
                if number % 2:
                    self.install()
                    self.check_installed()
                self.roll_back(status=None)
                self.check_as_before()

    def run_until(self, mark: str, number: signal.Signals) -> None:
        process = subprocess.Popen(
            [REPOSITORY / "deploy/install.sh", "--port", str(self.module.port), *self.program, "module"],
            env=self.module.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(mark):
                process.send_signal(number)
                break
        process.stderr.read()
        process.stderr.close()
        process.wait(60)


class PowerCuts(InstallTest):
    """The power goes off at any command that changes something."""

    ANY = [str(number) for number in range(1, 100)]

    def test_a_whole_program_is_there_and_the_next_run_repairs(self) -> None:
        able = {self.module.sha256(f"{BIN}/llm_llm-1.12"), self.module.sha256_of(self.program[1])}
        some = ["mv *manifest", "mv *llm_llm-1.12.new *", "systemctl restart *"]
        for number, place in enumerate(self.ANY if LONG else some):
            with self.subTest(place):
                cut = self.cut_at(place, "install.sh", *self.program)
                self.assertIn(self.module.sha256_of(self.executed()), able)
                self.module.boot()
                self.module.wait_until_unit_answers()
                if not cut:
                    self.assertGreater(number, 20, "nothing was cut")
                    self.roll_back()
                    break
                if number % 3 == 2:
                    self.install()
                    self.check_installed()
                self.roll_back(status=None)  # 1: nothing had been changed
                self.check_untouched()
                self.assertFalse(self.module.path(f"{BACKUPS}/journal").exists())

    def test_in_the_middle_of_going_back(self) -> None:
        able = {self.module.sha256(f"{BIN}/llm_llm-1.12"), self.module.sha256_of(self.program[1])}
        for number, place in enumerate(
            self.ANY if LONG else ["rm * *llm_llm-1.12.new", "rm *bin/llm_llm *"]
        ):
            with self.subTest(place):
                self.install()
                cut = self.cut_at(place, "rollback.sh")
                self.assertIn(self.module.sha256_of(self.executed()), able)
                self.module.boot()
                self.module.wait_until_unit_answers()
                if cut:
                    self.roll_back(status=None)  # 1: everything had been restored already
                self.check_untouched()
                if not cut:
                    self.assertGreater(number, 10, "nothing was cut")
                    break

    def executed(self) -> str:
        return str(self.module.path(self.module.here(f"readlink -f {BIN}/llm_llm-1.12").strip()))

    def cut_at(self, place: str, script: str, *arguments: str) -> bool:
        """Runs a script with the power going off at a command; returns whether it came to that."""
        self.module.write("/mnt/state/count", "0\n")
        self.module.write("/mnt/state/cut_at", f"{place}\n")
        done = self.module.deploy(script, *arguments)
        self.module.path("/mnt/state/cut_at").unlink()
        down = self.module.path("/mnt/state/down")
        cut = down.exists()
        if cut:
            self.assertNotEqual(done.returncode, 0, done.stdout)
            down.unlink()
        else:
            self.assertEqual(done.returncode, 0, done.stdout)
        return cut


@unittest.skipUnless(LONG, "emulated: tools/test --long")
class Arm64(InstallTest):
    """The program that deploy/build-arm64 has built, under qemu."""

    emulated = True

    def test_installs_what_the_package_holds_and_goes_back(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = temporary.name
        for command in (
            [REPOSITORY / "deploy/build-package", "--output", folder],
            ["sh", "-c", f"dpkg-deb -x {folder}/*.deb {folder}/unpacked"],
        ):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.program = ["--program", f"{folder}/unpacked{INSTALLED}"]
        self.assertIn("PASS: answered", self.install("--model", "tiny-chat"))
        self.check_installed()
        self.roll_back()
        self.check_untouched()


if __name__ == "__main__":
    unittest.main()
