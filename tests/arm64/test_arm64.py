"""The program for the module: what it asks of a machine, and that it runs, under qemu.

    LLM_LLM_BUILD=build python3 -m unittest -v test_arm64        # in this folder

Environment: LLM_LLM_BUILD is the build folder of this machine (default: build/ in the repository);
the programs for arm64 are in build/arm64, made by
`deploy/build-arm64 protocol_test runner_test main_llm_test`.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Dict, List, Tuple

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "demo_model")]

import questions  # noqa: E402  (in tools/, as arranged above)
from serve_process import serve  # noqa: E402
from stackflow_client import GREEDY, StackFlowClient  # noqa: E402

HOST = Path(os.environ.get("LLM_LLM_BUILD", REPOSITORY / "build")).resolve()
ARM64 = REPOSITORY / "build" / "arm64"
EMULATOR = "qemu-aarch64-static"
TEST_PROGRAMS = ("runner_test", "protocol_test", "main_llm_test")
# tools/test --long: also what takes minutes to emulate.
LONG = bool(os.environ.get("TEST_LONG"))
# Another shape, or this machine, shows the same.
SLOW_TESTS = ":".join(
    ["*SevenHeadsToOne*", "NaiveReaders.*", "*LongText*", "Pretokenizer.GivesUpOnPatternsThatTakeForever"]
    + [f"*Conformance*/{name}"
       for name in ("NoGroups", "ManyThreads", "OnDemand", "DecodeOnly", "List", "Placeholder",
                    "InPlace")]
)  # fmt: skip

# What every module has (Ubuntu 22.04 with M5Stack's packages).
NEEDED = {"libc.so.6", "libm.so.6", "ld-linux-aarch64.so.1", "libzmq.so.5"}
NEWEST_GLIBC = (2, 35)
RUNPATH = "/opt/m5stack/lib:/usr/local/m5stack/lib:/opt/lib"


def readelf(*options: str) -> str:
    return subprocess.run(
        ["readelf", "--wide", *options, str(ARM64 / "llm_llm")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def run(*command: str, **rest: object) -> str:
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, **rest  # type: ignore[call-overload]
    )
    assert finished.returncode == 0, f"{command}: {finished.stdout}{finished.stderr}"
    return str(finished.stdout)


class File(unittest.TestCase):
    """Read off the ELF file."""

    def test_needs_only_libraries_that_every_module_has(self) -> None:
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic")))
        self.assertLessEqual(needed, NEEDED)
        self.assertIn("libzmq.so.5", needed)

    def test_needs_no_newer_symbols(self) -> None:
        symbols = re.findall(r" UND (\w+)@(\w+?)_(\d[\d.]*) ", readelf("--dyn-syms"))
        self.assertTrue(symbols)
        for name, library, version in symbols:
            self.assertEqual(library, "GLIBC", f"{name} needs {library}_{version}")
            self.assertLessEqual(tuple(map(int, version.split("."))), NEWEST_GLIBC, name)

    def test_finds_the_libraries_of_a_module(self) -> None:
        self.assertEqual(re.findall(r"\(RUNPATH\).*\[(.+)\]", readelf("--dynamic")), [RUNPATH])

    def test_lends_no_symbol_to_its_libraries(self) -> None:
        """libzmq brings a C++ runtime of its own, which must not be bound to parts of ours."""
        lent = [line for line in readelf("--dyn-syms").splitlines()
                if re.search(r"\b(GLOBAL|WEAK|UNIQUE)\b", line) and " UND " not in line]  # fmt: skip
        self.assertEqual(lent, [])

    def test_carries_no_debug_information_but_names_where_it_is(self) -> None:
        sections = readelf("--section-headers")
        self.assertNotIn(".debug_info", sections)
        self.assertNotIn(".symtab", sections)
        self.assertIn(".gnu_debuglink", sections)
        self.assertTrue((ARM64 / "llm_llm.debug").exists())

    def test_comes_with_the_notices_of_what_is_in_it(self) -> None:
        notices = (ARM64 / "THIRD_PARTY").read_text("utf-8")
        for words in ("Boost Software License - Version 1.0", "simdjson", "libspdlog-dev",
                      "libfmt-dev", "libpcre2-dev", "libutf8proc-dev", "libhwy-dev", "libcli11-dev",
                      "cppzmq-dev", "GCC RUNTIME LIBRARY EXCEPTION"):  # fmt: skip
            self.assertIn(words.lower(), notices.lower())


class Tests(unittest.TestCase):
    def test_unit_tests_and_engine_conformance_pass(self) -> None:
        shards = 4
        jobs: List[Tuple[str, int]] = [(name, shard) for name in TEST_PROGRAMS for shard in range(shards)]

        def run_shard(job: Tuple[str, int]) -> str:
            name, shard = job
            env: Dict[str, str] = {
                **os.environ, "GTEST_TOTAL_SHARDS": str(shards), "GTEST_SHARD_INDEX": str(shard),
            }  # fmt: skip
            if not LONG:
                env["GTEST_FILTER"] = "-" + SLOW_TESTS
            return run(EMULATOR, str(ARM64 / name), "--gtest_brief=1", env=env)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            outputs = list(pool.map(run_shard, jobs))
        passed = sum(int(re.findall(r"PASSED  \] (\d+)", output)[0]) for output in outputs)
        self.assertGreater(passed, 300)


class Program(unittest.TestCase):
    def setUp(self) -> None:
        # Started as a program of this machine, so that the scripts need to know of no emulator.
        self.program = ARM64 / "emulated_llm_llm"
        self.program.write_text(f'#!/bin/sh\nexec {EMULATOR} "{ARM64 / "llm_llm"}" "$@"\n')
        self.program.chmod(0o755)

    def test_version(self) -> None:
        self.assertEqual(run(str(self.program), "--version"), run(str(HOST / "llm_llm"), "--version"))

    def test_inspect(self) -> None:
        facts = [json.loads(run(str(program), "inspect", "tiny-chat", "--json"))
                 for program in (self.program, HOST / "llm_llm")]  # fmt: skip
        self.assertEqual(Path(facts[0].pop("path")), ARM64 / "models" / "tiny-chat")
        del facts[1]["path"]
        self.assertEqual(*facts)

    def test_verification_scripts_pass(self) -> None:
        scripts = ["client_baseline_nostream.py", "client_baseline_stream.py",
                   "client_two_infer_nostream.py"]  # fmt: skip
        if LONG:
            scripts.append("compare_baseline_vs_softprefix_nostream.py")
        with serve(str(self.program), ["--log-level", "warn"]) as port, \
                tempfile.TemporaryDirectory() as folder:  # fmt: skip
            for script in scripts:
                said = run(sys.executable, str(TOOLS / script), "--port", str(port), cwd=folder)
                self.assertIn("PASS", said.splitlines()[-1], script)

    def test_simulated_npu_answers_as_on_this_machine(self) -> None:
        rng = random.Random(6)
        asked = [questions.draw(rng, language).text for _ in range(2) for language in (0, 1)]
        answers = []
        with tempfile.TemporaryDirectory() as folder:
            run(str(HOST / "make_sim_model"), str(HOST / "models" / "tiny-chat"), folder,
                "--name", "sim-chat")  # fmt: skip
            for program, build in ((self.program, ARM64), (HOST / "llm_llm", HOST)):
                options = ["--log-level", "warn", "--models", folder,
                           "--ax-lib-dir", str(build / "ax_sim")]  # fmt: skip
                with serve(str(program), options) as port:
                    with StackFlowClient("127.0.0.1", port, timeout=60) as client:
                        task = client.setup("sim-chat", **GREEDY)
                        answers.append([client.infer(task, text).text for text in asked])
        self.assertEqual(*answers)

    def test_answers_are_those_of_this_machine(self) -> None:
        """50 questions, greedy. The two round differently; no answer hangs by so little."""
        rng = random.Random(4)
        asked = [questions.draw(rng, language).text for _ in range(25) for language in (0, 1)]
        answers = []
        for program in (self.program, HOST / "llm_llm"):
            with serve(str(program), ["--log-level", "warn"]) as port:
                with StackFlowClient("127.0.0.1", port, timeout=60) as client:
                    task = client.setup("tiny-chat", **GREEDY)
                    answers.append([client.infer(task, text).text for text in asked])
        self.assertEqual(*answers)


class Package(unittest.TestCase):
    """What deploy/build-package makes of it; more in tests/deploy/test_package.py."""

    def test_package_is_in_order_and_its_program_runs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            printed = run(str(REPOSITORY / "deploy" / "build-package"), "--output", folder)
            package = printed.splitlines()[0]
            self.assertEqual(run("dpkg-deb", "--field", package, "Architecture"), "arm64\n")
            run("lintian", "--allow-root", "--fail-on", "error", package)
            run("dpkg-deb", "-x", package, f"{folder}/root")
            said = run(EMULATOR, f"{folder}/root/opt/m5stack/bin/llm_llm", "--version")
            self.assertEqual(said, run(str(HOST / "llm_llm"), "--version"))


if __name__ == "__main__":
    unittest.main()
