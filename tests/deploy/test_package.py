"""The Debian package and the tarball, made of this machine's program, and the unit they bring.

Environment: LLM_LLM_BUILD is the build folder with llm_llm (default: build/ in the repository).
dpkg works on root file systems of its own here; `systemctl` is a double that notes what it is told.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Dict, List, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LLM_LLM_BUILD", REPOSITORY / "build")).resolve()
BUILD_PACKAGE = REPOSITORY / "deploy" / "build-package"
UNIT = "llm-llm.service"
SECONDS = 120

# Keeps the unit's state in $STATE: what it is told in `told`, `enabled` while it is. Fails to do
# what the file `fails` says.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$STATE/told"
for word; do
  case "$word" in --*) ;; *) break ;; esac
done
[ ! -e "$STATE/fails" ] || [ "$(cat "$STATE/fails")" != "$word" ] || exit 1
case "$word" in
  enable) touch "$STATE/enabled" ;;
  disable) rm -f "$STATE/enabled" ;;
  is-enabled) test -e "$STATE/enabled" ;;
esac
"""
# What M5Stack's package does around its files.
UPSTREAM_SCRIPTS = {
    "postinst": "systemctl enable llm-llm.service\nsystemctl start llm-llm.service\nexit 0\n",
    "prerm": "systemctl stop llm-llm.service\nsystemctl disable llm-llm.service\nexit 0\n",
}


def run(*command: object, fails: bool = False, **settings: str) -> str:
    """What a command prints; it must succeed, or fail."""
    finished = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True,
        timeout=SECONDS, env={**os.environ, **settings},
    )  # fmt: skip
    said = finished.stdout + finished.stderr
    assert (finished.returncode != 0) == fails, f"{command}: {finished.returncode}\n{said}"
    return said


def prepare_program(folder: Path) -> Path:
    """A program as deploy/build-arm64 leaves one, but of this machine."""
    folder.mkdir(parents=True)
    program = folder / "llm_llm"
    run("strip", "-o", program, BUILD / "llm_llm")
    (folder / "THIRD_PARTY").write_text("notices of others\n")
    return program


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def build_stand_in(
    folder: Path, name: str, version: str, files: Dict[str, str], scripts: Dict[str, str]
) -> Path:
    """A package with these files and maintainer scripts."""
    tree = folder / f"{name}_{version}"
    architecture = run("dpkg", "--print-architecture").strip()
    write(tree / "DEBIAN" / "control",
          f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
          f"Maintainer: nobody <nobody@llm-llm.invalid>\nDescription: stand-in\n")  # fmt: skip
    for script, text in scripts.items():
        write(tree / "DEBIAN" / script, "#!/bin/sh\n" + text, 0o755)
    for path, text in files.items():
        write(tree / path, text)
    package = folder / f"{name}_{version}.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, package)
    return package


class Packages:
    """What the tests share: the package and the tarball, built once."""

    _folder: Optional["tempfile.TemporaryDirectory[str]"] = None

    @classmethod
    def build(cls) -> None:
        cls._folder = tempfile.TemporaryDirectory(prefix="llm_llm_test_")
        cls.root = Path(cls._folder.name)
        cls.program = prepare_program(cls.root / "build")
        printed = run(BUILD_PACKAGE, "--program", cls.program, "--output", cls.root / "made")
        cls.deb, cls.tarball = map(Path, printed.splitlines())
        # What the program says of itself is the reference.
        cls.version = run(cls.program, "--version").split()[1]

    @classmethod
    def clean_up(cls) -> None:
        assert cls._folder is not None
        cls._folder.cleanup()


def setUpModule() -> None:
    unittest.addModuleCleanup(lambda: Packages._folder and Packages.clean_up())
    Packages.build()


class Contents(unittest.TestCase):
    def test_package(self) -> None:
        version = Packages.version
        self.assertEqual(Packages.deb.name, f"llm-llm_{version}_amd64.deb")
        fields = run("dpkg-deb", "-f", Packages.deb, "Package", "Version", "Architecture")
        self.assertEqual(
            fields, f"Package: llm-llm\nVersion: 1:{version}\nArchitecture: amd64\n"
        )
        listing = run("dpkg-deb", "--contents", Packages.deb)
        self.assertEqual(set(re.findall(r"^.{10} (\S+)", listing, re.MULTILINE)), {"root/root"})
        files = re.findall(r"^[^d].* \./(.+)$", listing, re.MULTILINE)
        program = f"llm_llm-{version}"
        self.assertEqual(sorted(files), [
            "lib/systemd/system/llm-llm.service",
            f"opt/m5stack/bin/llm-llm -> {program}",
            f"opt/m5stack/bin/llm_llm -> {program}",
            f"opt/m5stack/bin/{program}",
            "opt/m5stack/share/llm_llm/THIRD_PARTY",
            "opt/m5stack/share/llm_llm/llm_llm.env.example",
            "usr/share/doc/llm-llm/changelog.Debian.gz",
            "usr/share/doc/llm-llm/copyright",
            "usr/share/lintian/overrides/llm-llm",
        ])  # fmt: skip

    def test_tarball(self) -> None:
        version = Packages.version
        self.assertEqual(Packages.tarball.name, f"llm_llm-{version}-amd64.tar.gz")
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(Packages.tarball) as tar:
                tar.extractall(folder)
            unpacked = Path(folder) / f"llm_llm-{version}-amd64"
            names = sorted(path.name for path in unpacked.iterdir())
            self.assertEqual(names, ["INSTALL", "LICENSE", "SHA256SUMS", "THIRD_PARTY",
                                     "llm-llm.service", f"llm_llm-{version}", "llm_llm.env.example"])  # fmt: skip
            run("sh", "-c", f"cd {unpacked} && sha256sum --check --strict SHA256SUMS")
            said = run(unpacked / f"llm_llm-{version}", "--version")
            self.assertEqual(said, f"llm_llm {version}\n")
            self.assertNotIn("@", (unpacked / "INSTALL").read_text())

    def test_checksums_lie_beside(self) -> None:
        for file in (Packages.deb, Packages.tarball):
            line = Path(f"{file}.sha256").read_text()
            self.assertEqual(line, f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")

    def test_same_bytes_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = prepare_program(Path(folder) / "elsewhere")
            os.utime(program, (0, 0))
            os.utime(program.parent / "THIRD_PARTY", (2_000_000_000, 2_000_000_000))
            program.chmod(0o700)
            made = run("sh", "-c", 'umask 077; exec "$0" --program "$1"', BUILD_PACKAGE, program)
            for first, second in zip((Packages.deb, Packages.tarball), map(Path, made.splitlines())):
                self.assertEqual(second.parent, program.parent)
                self.assertEqual(first.read_bytes(), second.read_bytes(), first.name)

    def test_what_cannot_be_packaged(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "llm_llm"
            self.assertIn(f"no {program}", run(BUILD_PACKAGE, "--program", program, fails=True))
            write(program, "#!/bin/sh\n")
            self.assertIn("no " + str(program.parent / "THIRD_PARTY"),
                          run(BUILD_PACKAGE, "--program", program, fails=True))  # fmt: skip
            write(program.parent / "THIRD_PARTY", "")
            self.assertIn("is not of version " + Packages.version,
                          run(BUILD_PACKAGE, "--program", program, fails=True))  # fmt: skip
            write(program, f"#!/bin/sh\necho llm_llm {Packages.version}\n")
            self.assertIn("no program for arm64 or amd64",
                          run(BUILD_PACKAGE, "--program", program, fails=True))  # fmt: skip
            self.assertEqual(len(os.listdir(folder)), 2)


class Unit(unittest.TestCase):
    def verify(self, change: Optional[List[str]] = None) -> str:
        """What systemd says of the unit on a root file system with the package and llm-sys."""
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", Packages.deb, folder)
            units = Path(folder) / "lib" / "systemd" / "system"
            for pattern in ("*.target", "*.slice"):
                for path in Path("/lib/systemd/system").glob(pattern):
                    shutil.copy(path, units)
            write(units / "llm-sys.service", "[Service]\nExecStart=/opt/m5stack/bin/llm_llm\n")
            if change is not None:
                text = (units / UNIT).read_text()
                self.assertIn(change[0], text)
                write(units / UNIT, text.replace(*change))
            return run("systemd-analyze", "--man=no", f"--root={folder}", "verify", UNIT)

    def test_systemd_has_nothing_to_say(self) -> None:
        self.assertEqual(self.verify(), "")
        self.assertIn("Unknown key", self.verify(["RestartSec", "RestartSecs"]))

    def test_says_what_stackflow_needs(self) -> None:
        lines = (REPOSITORY / "deploy" / UNIT).read_text().splitlines()
        for line in ("After=llm-sys.service", "Requires=llm-sys.service", "StartLimitIntervalSec=0",
                     "WorkingDirectory=/opt/m5stack", "ExecStart=/opt/m5stack/bin/llm_llm",
                     "EnvironmentFile=-/opt/m5stack/etc/llm_llm.env", "Restart=always",
                     "RestartSec=2", "Type=notify"):  # fmt: skip
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if re.match(r"(Limit|Memory|Private|Protect)", line)])

    def test_example_of_settings_has_every_option(self) -> None:
        text = (REPOSITORY / "deploy" / "llm_llm.env.example").read_text()
        named = re.findall(r"^#(LLM_LLM_[A-Z_]+)=", text, re.MULTILINE)
        offered = [name for command in ([], ["unit"])
                   for name in re.findall(r"\(Env:(LLM_LLM_\w+)\)",
                                          run(Packages.program, *command, "--help"))]  # fmt: skip
        self.assertEqual(sorted(named), sorted(offered))
        self.assertFalse([line for line in text.splitlines() if line and not line.startswith("#")])
        # Its values are understood: the first thing that is wrong is this one.
        settings = dict(re.findall(r"^#(LLM_LLM_[A-Z_]+)=(.*)$", text, re.MULTILINE))
        settings["LLM_LLM_SOCKET_ROOT"] = "/dev/null"
        self.assertIn("/dev/null", run(Packages.program, fails=True, **settings))


class Installing(unittest.TestCase):
    """dpkg on a module's root file system, with M5Stack's packages as far as they matter here."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="llm_llm_test_")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.root, self.state = self.folder / "root", self.folder / "state"
        for path in ("updates", "info", "triggers"):
            (self.root / "var/lib/dpkg" / path).mkdir(parents=True)
        write(self.root / "var/lib/dpkg/status", "")
        (self.root / "run/systemd/system").mkdir(parents=True)  # systemd runs
        self.state.mkdir()
        write(self.folder / "bin" / "systemctl", SYSTEMCTL, 0o755)
        self.stand_in("libc6", "2.35-0ubuntu3")
        self.model = self.root / "opt/m5stack/data/qwen/weights"
        self.settings = self.root / "opt/m5stack/etc/llm_llm.env"
        write(self.model, "weights")
        write(self.settings, "LLM_LLM_LOG_LEVEL=debug\n")
        self.program = self.root / f"opt/m5stack/bin/llm_llm-{Packages.version}"

    def dpkg(self, *arguments: object, fails: bool = False) -> str:
        return run("dpkg", f"--root={self.root}", "--force-script-chrootless",
                   "--force-unsafe-io", *arguments, fails=fails,
                   PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
                   STATE=str(self.state))  # fmt: skip

    def told(self) -> List[str]:
        """What systemctl was told since the last call."""
        told = self.state / "told"
        lines = told.read_text().splitlines() if told.exists() else []
        told.unlink(missing_ok=True)
        return [line.replace(f"--root={self.root} ", "") for line in lines]

    def stand_in(self, name: str, version: str, files: Optional[Dict[str, str]] = None,
                 scripts: Optional[Dict[str, str]] = None) -> None:  # fmt: skip
        package = self.folder / f"{name}_{version}.deb"
        if not package.exists():
            build_stand_in(self.folder, name, version, files or {}, scripts or {})
        self.dpkg("-i", package)

    def install_upstream(self) -> None:
        self.stand_in("llm-llm", "1.12", {
            "opt/m5stack/bin/llm_llm-1.12": "upstream's program",
            "opt/m5stack/scripts/llm-llm_tokenizer_auto.py": "",
            f"lib/systemd/system/{UNIT}": "[Service]\nExecStart=/opt/m5stack/bin/llm_llm-1.12\n",
        }, UPSTREAM_SCRIPTS)  # fmt: skip

    def install_ours(self) -> None:
        self.dpkg("-i", Packages.deb)

    def next_version(self) -> Path:
        """A package of ours that comes later."""
        tree = self.folder / "next"
        run("dpkg-deb", "-R", Packages.deb, tree)
        control = (tree / "DEBIAN/control").read_text()
        write(tree / "DEBIAN/control", re.sub(r"^Version: .*$", r"\g<0>1", control, flags=re.MULTILINE))
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, self.folder / "next.deb")
        return self.folder / "next.deb"

    def files(self) -> List[str]:
        """What is there beside dpkg's own and what is the user's."""
        mine = [path.relative_to(self.root).as_posix() for path in sorted(self.root.rglob("*"))
                if path.is_symlink() or path.is_file()]  # fmt: skip
        self.assertEqual(self.model.read_text(), "weights")
        self.assertEqual(self.settings.read_text(), "LLM_LLM_LOG_LEVEL=debug\n")
        return [name for name in mine
                if not name.startswith(("var/lib/dpkg/", "opt/m5stack/data", "opt/m5stack/etc"))]  # fmt: skip

    def check_ours(self) -> None:
        self.assertEqual(run(self.root / "opt/m5stack/bin/llm_llm", "--version"),
                         f"llm_llm {Packages.version}\n")  # fmt: skip
        for link in ("llm_llm", "llm-llm"):
            self.assertEqual(os.readlink(self.program.parent / link), self.program.name)
        unit = (self.root / "lib/systemd/system" / UNIT).read_text()
        self.assertEqual(unit, (REPOSITORY / "deploy" / UNIT).read_text())
        self.assertFalse([name for name in self.files() if "1.12" in name or "scripts" in name])

    def test_instead_of_m5stacks_and_back_and_away(self) -> None:
        self.stand_in("lib-llm", "1.9")
        self.install_upstream()
        upstream = self.files()
        self.told()

        self.install_ours()
        self.assertEqual(self.told(), [f"stop {UNIT}", f"disable {UNIT}", f"enable {UNIT}",
                                       "daemon-reload", f"start {UNIT}"])  # fmt: skip
        self.check_ours()

        self.install_upstream()
        self.assertEqual(self.told(), [f"stop {UNIT}", f"enable {UNIT}", f"start {UNIT}"])
        self.assertEqual(self.files(), upstream)

        self.install_ours()
        self.told()
        self.check_ours()

        self.dpkg("--remove", "llm-llm")
        self.assertEqual(self.told(), [f"stop {UNIT}", f"disable {UNIT}", "daemon-reload"])
        self.assertEqual(self.files(), [])
        self.dpkg("--purge", "llm-llm")
        self.assertEqual(self.files(), [])

    def test_over_itself_and_a_later_one(self) -> None:
        self.stand_in("lib-llm", "1.9")
        self.install_ours()
        self.told()
        for package in (Packages.deb, self.next_version()):
            self.dpkg("-i", package)
            self.assertEqual(self.told(), [f"stop {UNIT}", f"is-enabled --quiet {UNIT}",
                                           f"enable {UNIT}", "daemon-reload", f"start {UNIT}"])  # fmt: skip
            self.check_ours()

    def test_what_was_disabled_stays_so(self) -> None:
        self.stand_in("lib-llm", "1.9")
        self.install_ours()
        (self.state / "enabled").unlink()
        self.told()
        self.dpkg("-i", self.next_version())
        self.assertEqual(self.told(), [f"stop {UNIT}", f"is-enabled --quiet {UNIT}", "daemon-reload"])

    def test_where_systemd_does_not_run(self) -> None:
        self.stand_in("lib-llm", "1.9")
        shutil.rmtree(self.root / "run")
        self.install_ours()
        self.assertEqual(self.told(), [f"enable {UNIT}"])
        self.dpkg("--remove", "llm-llm")
        self.assertEqual(self.told(), [f"disable {UNIT}"])

    def test_installed_though_it_does_not_start(self) -> None:
        self.stand_in("lib-llm", "1.9")
        write(self.state / "fails", "start")
        self.assertIn("did not start", self.dpkg("-i", Packages.deb))
        self.assertIn("install ok installed", self.dpkg("-s", "llm-llm"))

    def test_needs_a_libzmq(self) -> None:
        said = self.dpkg("-i", Packages.deb, fails=True)
        self.assertIn("lib-llm", said)
        self.stand_in("libzmq5", "4.3.4-2")
        self.dpkg("--configure", "llm-llm")
        self.check_ours()

    def test_tarball_as_its_notes_say_and_back(self) -> None:
        self.install_upstream()
        upstream = self.files()
        self.told()
        with tarfile.open(Packages.tarball) as tar:
            tar.extractall(self.folder)
        folder = self.folder / Packages.tarball.name[: -len(".tar.gz")]
        notes = (folder / "INSTALL").read_text()
        steps = [re.sub(r" (/(opt|lib)/)", rf" {self.root}\1",
                        "\n".join(re.findall("^  (.*)", part, re.MULTILINE)))
                 for part in notes.split("Back again:")]  # fmt: skip
        for step in steps:
            self.assertIn(str(self.root), step)
            run("sh", "-e", "-c", f"cd {folder}\n{step}", STATE=str(self.state),
                PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}")  # fmt: skip
            if step is steps[0]:
                self.assertEqual(self.told(), ["daemon-reload", "restart llm-llm", "status llm-llm"])
                said = run(self.root / "opt/m5stack/bin/llm_llm", "--version")
                self.assertEqual(said, f"llm_llm {Packages.version}\n")
        self.assertEqual(self.told(), ["daemon-reload", "restart llm-llm"])
        self.assertLessEqual(set(upstream), set(self.files()))
        unit = (self.root / "lib/systemd/system" / UNIT).read_text()
        self.assertIn("ExecStart=/opt/m5stack/bin/llm_llm-1.12\n", unit)

    def test_no_version_of_m5stacks_is_newer(self) -> None:
        ours = run("dpkg-deb", "-f", Packages.deb, "Version").strip()
        for theirs in ("1.12", "1.13", "1.13.1", "2.0-m5stack1"):
            run("dpkg", "--compare-versions", ours, "gt", theirs)
        for later in (f"{ours}1", "1:1.14.0-soft1"):
            run("dpkg", "--compare-versions", ours, "lt", later)


if __name__ == "__main__":
    unittest.main()
