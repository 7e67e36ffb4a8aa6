"""`llm_llm doctor` on prepared machines: one as it should be, and others each with one fault."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

from harness import (
    BUILD, DEADLINE, REPOSITORY, DropIn, clean_environment, program, run_program,
)  # fmt: skip

PROGRAM = "llm_llm"
MODEL = "sim-chat"
TINY_CHAT = BUILD / "models" / "tiny-chat"
LIBRARIES = ("libax_sys.so", "libax_interpreter.so", "libax_engine.so")
UNIT = "/opt/m5stack/bin/llm_llm-1.13.0"
SERVICE = "lib/systemd/system/llm-llm.service"
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

Finding = Dict[str, str]

unit: DropIn  # a real one behind the double of llm-sys, in all the machines
model_folder = Path()
libraries = Path()


def setUpModule() -> None:
    global unit, model_folder, libraries
    folder = tempfile.TemporaryDirectory(prefix="doctor_")
    unittest.addModuleCleanup(folder.cleanup)
    made = run_program("make_sim_model", str(TINY_CHAT), folder.name, "--name", MODEL)
    assert made.returncode == 0, made.stderr
    model_folder = Path(folder.name) / MODEL
    libraries = Path(folder.name) / "lib"
    libraries.mkdir()
    for name in LIBRARIES:
        shutil.copy(BUILD / "ax_sim" / name, libraries / name)
    unit = DropIn({}, name=PROGRAM)
    unittest.addModuleCleanup(unit.stop)


class Module:
    """A folder in place of a module's root, with all that there should be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for node in ("ax_sys", "ax_cmm", "ax_pool", "ax_log", "ax_os_mem", "npu"):
            self.write(f"dev/{node}")
        self.write_cmm_info(3072)
        self.write("proc/meminfo", "MemTotal: 1024000 kB\nMemAvailable: 512000 kB\n")
        self.write("proc/net/tcp", "  sl  local_address rem_address   st\n"
                   "   0: 00000000:2711 00000000:0000 0A 00000000:00000000\n")  # fmt: skip
        self.write(UNIT[1:], "\x7fELF").chmod(0o755)
        self.write(SERVICE, f"[Service]\nExecStart={UNIT}\n")
        self.link(f"proc/{unit.process.pid}/exe", UNIT)
        self.link("etc/systemd/system/multi-user.target.wants/llm-llm.service", "/" + SERVICE)
        self.write_package("hold ok installed")
        (root / "opt/lib").mkdir()
        for name in LIBRARIES:
            os.link(libraries / name, root / "opt/lib" / name)
        self.write("etc/ld.so.cache", "".join(f"/opt/lib/{name}\0" for name in LIBRARIES))
        shutil.copytree(model_folder, self.model, copy_function=os.link)
        (root / "tmp").mkdir()
        for name in ("rpc.sys", "rpc.llm"):
            self.link(f"tmp/{name}", str(unit.root / name))

    @property
    def model(self) -> Path:
        return self.root / "opt/m5stack/data" / MODEL

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, text: str = "") -> Path:
        """Files of models and libraries are shared with other modules: replaced, not changed."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    def link(self, name: str, target: str) -> None:
        path = self.path(name)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def move(self, name: str, target: str) -> None:
        (self.root / name).rename(self.path(target))

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def write_cmm_info(self, total_mib: int) -> None:
        kib = total_mib * 1024
        self.write("proc/ax_proc/mem_cmm_info",
                   f" total size={kib}KB({total_mib}MB),used=0KB(0MB + 0KB),"
                   f"remain={kib}KB({total_mib}MB + 0KB),partition_number=1,block_number=0\n")  # fmt: skip

    def write_package(self, status: str) -> None:
        self.write("var/lib/dpkg/status",
                   f"Package: llm-llm\nStatus: {status}\nVersion: 1.12-m5stack1\n")  # fmt: skip

    def leave_socket(self, name: str) -> None:
        """As a program leaves it that was killed."""
        self.remove(name)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.root / name))

    def doctor(self, *options: str) -> Any:
        models = str(self.model.parent)
        return run_program(
            PROGRAM, "doctor", "--root", str(self.root), "--models", models, *options
        )


# What breaks a module, the check that fails, and words of what it found and of the fix. Nothing
# else may be blamed.
FAULTS: Dict[str, Any] = {
    "library_missing": (
        lambda m: m.remove("opt/lib/libax_interpreter.so"),
        "npu.libax_interpreter.so", "not found by the loader, nor in /soc/lib, /opt/lib",
        "copy it to /opt/lib from a module with the same image",
    ),
    "libraries_apart": (
        lambda m: m.move("opt/lib/libax_interpreter.so",
                         "usr/local/m5stack/lib/ax-lib/libax_interpreter.so"),
        "npu.libraries", "no folder holds all three",
        "printf '%s\\n' /opt/lib /usr/local/m5stack/lib/ax-lib > /etc/ld.so.conf.d/llm_llm.conf "
        "&& ldconfig",
    ),
    "libraries_elsewhere": (
        lambda m: m.move("opt/lib", "usr/local/m5stack/lib/gcc-10.3"),
        "npu.libraries", "in /usr/local/m5stack/lib/gcc-10.3, which is not in the loader's path",
        "echo /usr/local/m5stack/lib/gcc-10.3 > /etc/ld.so.conf.d/llm_llm.conf && ldconfig",
    ),
    "library_cut_short": (
        lambda m: m.write("opt/lib/libax_engine.so", "\x7fELF"),
        "npu.libraries", "libax_engine.so: file too short", "copy all three into /opt/lib",
    ),
    "driver_not_loaded": (
        lambda m: (m.remove("dev/npu"), m.remove("dev/ax_cmm")),
        "npu.devices", "/dev/ax_cmm, /dev/npu missing", "reboot",
    ),
    "no_cmm_info": (
        lambda m: m.remove("proc/ax_proc/mem_cmm_info"),
        "npu.memory", "/proc/ax_proc/mem_cmm_info", "dmesg | grep -i cmm",
    ),
    "little_cmm": (
        lambda m: m.write_cmm_info(1),
        f"model.{MODEL}", "(1 MiB in all): it never fits", "choose a smaller model",
    ),
    "lfs_pointers": (
        lambda m: (m.write(f"{m.model}/qwen2_post.axmodel", LFS_POINTER),
                   m.write(f"{m.model}/tokenizer/tokenizer.json", LFS_POINTER)),
        f"model.{MODEL}", f"Git LFS pointers instead of files in /opt/m5stack/data/{MODEL}: "
        "qwen2_post.axmodel, tokenizer/tokenizer.json", "git lfs pull",
    ),
    "graphs_missing": (
        lambda m: [m.remove(f"{m.model}/qwen2_p128_l{i}_together.axmodel") for i in (1, 3)],
        f"model.{MODEL}",
        "2 of 6 layers missing: qwen2_p128_l1_together.axmodel, qwen2_p128_l3_together.axmodel",
        f"copy /opt/m5stack/data/{MODEL} again",
    ),
    "embeddings_cut_short": (
        lambda m: m.write(f"{m.model}/model.embed_tokens.weight.bfloat16.bin", "x" * 2000),
        f"model.{MODEL}", "has 2000 bytes, expected", f"copy /opt/m5stack/data/{MODEL} again",
    ),
    "description_broken": (
        lambda m: m.write(f"{m.model}/mode_{MODEL}.json", '{"mode":'),
        f"model.{MODEL}", f"mode_{MODEL}.json is not a JSON object", "again, with all its files",
    ),
    "description_missing": (
        lambda m: m.remove(f"{m.model}/mode_{MODEL}.json"),
        f"model.{MODEL}", f"no mode_{MODEL}.json", "again, with all its files",
    ),
    "llm_sys_died": (
        lambda m: m.leave_socket("tmp/rpc.sys"),
        "llm-sys", "rpc.sys was left behind", "systemctl restart llm-sys",
    ),
    "llm_sys_not_started": (
        lambda m: m.remove("tmp/rpc.sys"),
        "llm-sys", "rpc.sys is not there", "systemctl restart llm-sys",
    ),
    "nobody_at_the_port": (
        lambda m: m.write("proc/net/tcp"),
        "port-10001", "clients cannot connect", "systemctl restart llm-sys",
    ),
    "unit_not_started": (
        lambda m: m.remove("tmp/rpc.llm"),
        "llm-unit", "rpc.llm is not there", "systemctl restart llm-llm",
    ),
    "another_unit": (
        lambda m: m.link(f"proc/{unit.process.pid}/exe", "/home/me/build/llm_llm"),
        "llm-unit", "another unit answers, which keeps llm-llm from starting: /home/me/build/llm_llm",
        "kill ",
    ),
    "sockets_have_no_folder": (
        lambda m: m.write("tmp/llm"),
        "tmp.llm", "/tmp/llm is not a folder", "rm /tmp/llm && systemctl restart llm-sys llm-llm",
    ),
    "package_half_installed": (
        lambda m: m.write_package("install ok half-configured"),
        "package", "half-configured", "dpkg --configure -a",
    ),
    "no_service": (
        lambda m: m.remove(SERVICE),
        "service.program", "no llm-llm.service", "apt-get install --reinstall llm-llm",
    ),
    "service_masked": (
        lambda m: m.link("etc/systemd/system/llm-llm.service", "/dev/null"),
        "service.program", "is masked", "systemctl unmask llm-llm",
    ),
    "service_of_another_version": (
        lambda m: m.write(SERVICE, "[Service]\nExecStart=/opt/m5stack/bin/llm_llm-1.12\n"),
        "service.program", "/opt/m5stack/bin/llm_llm-1.12, which is not there",
        "ln -sfn llm_llm-1.13.0 /opt/m5stack/bin/llm_llm-1.12 && systemctl restart llm-llm",
    ),
    "program_not_executable": (
        lambda m: (m.root / UNIT[1:]).chmod(0o644),
        "service.program", "not executable", f"chmod 755 {UNIT}",
    ),
}  # fmt: skip

# The same, of what works and will trouble someone.
WARNINGS: Dict[str, Any] = {
    "not_in_the_loaders_path": (
        lambda m: m.remove("etc/ld.so.cache"),
        "npu.libraries", "opened from /opt/lib",
        "echo /opt/lib > /etc/ld.so.conf.d/llm_llm.conf && ldconfig",
    ),
    "package_not_held": (
        lambda m: m.write_package("install ok installed"),
        "package", "llm-llm is not held", "apt-mark hold llm-llm",
    ),
    "service_not_enabled": (
        lambda m: m.remove("etc/systemd/system/multi-user.target.wants/llm-llm.service"),
        "service.enabled", "does not start at boot", "systemctl enable llm-llm",
    ),
}  # fmt: skip


class DoctorTest(unittest.TestCase):
    def make_module(self) -> Module:
        folder = tempfile.TemporaryDirectory(prefix="doctor_")
        self.addCleanup(folder.cleanup)
        return Module(Path(folder.name))

    def check(self, module: Module, status: int) -> List[Finding]:
        """Text and JSON say the same; what is neither ok nor skipped is returned."""
        finished = module.doctor("--json")
        self.assertEqual((finished.returncode, finished.stderr), (status, ""), finished.stdout)
        report = json.loads(finished.stdout)
        self.assertEqual(set(report), {"healthy", "checks"})
        self.assertIs(report["healthy"], status == 0)
        text = module.doctor()
        self.assertEqual(text.returncode, status)
        for check in report["checks"]:
            self.assertEqual(set(check), {"id", "state", "found", "fix"})
            self.assertIn(check["state"], ("ok", "warn", "fail", "skip"))
            if check["state"] in ("warn", "fail"):
                self.assertIn(f"{check['found']}\n      fix: {check['fix']}\n", text.stdout)
        return [check for check in report["checks"] if check["state"] in ("warn", "fail")]

    def check_faults(self, cases: Dict[str, Any], state: str) -> None:
        for name, (spoil, check, found, fix) in cases.items():
            with self.subTest(name):
                module = self.make_module()
                spoil(module)
                findings = self.check(module, int(state == "fail"))
                self.assertEqual([(f["id"], f["state"]) for f in findings if f["id"] != "models"],
                                 [(check, state)], findings)  # fmt: skip
                finding = next(f for f in findings if f["id"] == check)
                self.assertIn(found, finding["found"])
                self.assertIn(fix, finding["fix"])

    def test_a_module_in_order_is_healthy(self) -> None:
        module = self.make_module()
        self.assertEqual(self.check(module, 0), [])
        text = module.doctor().stdout
        for words in (f"(process {unit.process.pid})", "3072 MiB of 3072 MiB CMM free",
                      f"model.{MODEL}", "llm-llm is held"):  # fmt: skip
            self.assertIn(words, text)
        self.assertTrue(text.endswith("\nhealthy\n"), text)

    def test_each_fault_is_named_with_its_fix(self) -> None:
        self.assertGreaterEqual(len(FAULTS), 10)
        self.check_faults(FAULTS, "fail")

    def test_each_warning_is_named_with_its_fix(self) -> None:
        self.check_faults(WARNINGS, "warn")

    def test_a_machine_without_module_is_healthy(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            (Path(root) / "tmp").mkdir()
            finished = run_program(PROGRAM, "doctor", "--root", root)
            self.assertEqual(finished.returncode, 0, finished.stdout)
            self.assertIn("no AXERA NPU here", finished.stdout)

    def test_a_wrong_option_is_not_taken_for_a_fault(self) -> None:
        self.assertEqual(run_program(PROGRAM, "doctor", "--no-such-option").returncode, 2)


class OverSsh(unittest.TestCase):
    """deploy/doctor.sh, with a shell in place of ssh and a folder in place of the module."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="doctor_")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.installed = self.root / "opt/m5stack/bin/llm_llm"
        self.installed.parent.mkdir(parents=True)
        (self.root / "tmp").mkdir()

    def doctor(self, *arguments: str) -> Any:
        shell = self.root / "ssh"
        shell.write_text(
            '#!/bin/sh\necho "host $1" >&2\n'
            f"sed 's|=/opt/m5stack|={self.root}/opt/m5stack|' | sh -c \"$2\"\n"
        )
        shell.chmod(0o755)
        return subprocess.run(
            [str(REPOSITORY / "deploy/doctor.sh"), *arguments],
            env=clean_environment({"SSH": str(shell)}),
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
        )

    def test_runs_the_installed_program_with_the_arguments(self) -> None:
        self.installed.symlink_to(program(PROGRAM))
        models = self.root / "it's a folder"
        models.mkdir()
        finished = self.doctor("me@module", "--root", str(self.root), "--json", "--models", str(models))
        self.assertIn("host me@module", finished.stderr)
        report = json.loads(finished.stdout)
        found = {check["id"]: check["found"] for check in report["checks"]}
        self.assertIn("/it's a folder", found["models"])
        # StackFlow's folder and nothing else.
        self.assertEqual(finished.returncode, 1)
        self.assertIn("/dev/npu", found["npu.devices"])

    def test_uses_the_services_settings(self) -> None:
        self.installed.symlink_to(program(PROGRAM))
        settings = self.root / "opt/m5stack/etc/llm_llm.env"
        settings.parent.mkdir()
        settings.write_text(
            f'# comment\nLLM_LLM_AX_LIB_DIR="/my libraries"\nLLM_LLM_ROOT={self.root}\n'
        )
        finished = self.doctor("module")
        self.assertIn("not in /my libraries (--ax-lib-dir)", finished.stdout, finished.stderr)

    def test_says_when_there_is_nothing_to_run(self) -> None:
        self.assertEqual(self.doctor().returncode, 2)
        finished = self.doctor("module")
        self.assertEqual(finished.returncode, 2)
        self.assertIn("there is no", finished.stderr)
        # M5Stack's program would start and stay.
        self.installed.write_text(f"#!/bin/sh\ntouch {self.root}/started\n")
        self.installed.chmod(0o755)
        finished = self.doctor("module")
        self.assertEqual(finished.returncode, 2)
        self.assertIn("is not llm_llm", finished.stderr)
        self.assertFalse((self.root / "started").exists())
        self.installed.write_text("#!/bin/sh\n# llm_llm doctor, in a script that fails\nexit 127\n")
        finished = self.doctor("module")
        self.assertEqual(finished.returncode, 2)
        self.assertIn("does not start on this", finished.stderr)


if __name__ == "__main__":
    unittest.main()
