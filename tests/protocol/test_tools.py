"""The client module and the verification scripts in tools/, against servers good and bad."""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any, Dict, List

from harness import DEADLINE, ECHO, TOOLS, ProtocolTest, Script, Server, clean_environment
import compare_baseline_vs_softprefix_nostream as comparison  # in tools/, as harness arranges
import verification
from stackflow_client import (
    TEXT_STREAM,
    ConnectError,
    ReplyTimeout,
    StackFlowClient,
    StackFlowError,
    constant_prefix,
    encode,
    pack_bf16,
    soft_prefix,
    unpack_bf16,
)

NOSTREAM = "client_baseline_nostream.py"
STREAM = "client_baseline_stream.py"
TWICE = "client_two_infer_nostream.py"
COMPARE = "compare_baseline_vs_softprefix_nostream.py"
SCRIPTS = (NOSTREAM, STREAM, TWICE, COMPARE)

# Answers differ behind a soft prefix, as a real model's do.
DESCRIBE: Script = {"rules": [{"describe": True}]}


def run_script(script: str, port: int, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs a verification script as a person would, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, str(TOOLS / script), "--port", str(port), *options],
            capture_output=True,
            encoding="utf-8",
            timeout=6 * DEADLINE,
            env=clean_environment(),
            cwd=folder,
        )


class Bf16(unittest.TestCase):
    def test_rounds_to_nearest_even(self) -> None:
        def bits(value: float) -> int:
            return int(struct.unpack("<H", pack_bf16([value]))[0])

        self.assertEqual(bits(0.0), 0)
        self.assertEqual(bits(-0.0), 0x8000)
        self.assertEqual(bits(1.0), 0x3F80)
        self.assertEqual(bits(1 + 2**-8), 0x3F80)  # a tie goes to the even one below …
        self.assertEqual(bits(1 + 3 * 2**-8), 0x3F82)  # … or above
        self.assertEqual(bits(1 + 2**-8 + 2**-20), 0x3F81)
        self.assertEqual(bits(3.39e38), 0x7F7F)
        self.assertEqual(bits(3.4e38), 0x7F80)  # past the largest: infinity
        self.assertEqual(bits(math.inf), 0x7F80)
        self.assertTrue(math.isnan(unpack_bf16(pack_bf16([math.nan]))[0]))

    def test_unpacks_what_it_packs(self) -> None:
        values = [0.0, 1.0, -2.5, 1e-38, 0.15625]
        packed = pack_bf16(values)
        self.assertEqual(pack_bf16(unpack_bf16(packed)), packed)

    def test_prefix_objects(self) -> None:
        prefix = soft_prefix([[1.0, 2.0], [3.0, 4.0]])
        self.assertEqual(prefix, {"len": 2, "data_b64": "gD8AQEBAgEA="})
        self.assertEqual(constant_prefix(1.0, 2, 3)["len"], 3)


class Encoding(unittest.TestCase):
    def test_braces_balance_for_those_who_count_them(self) -> None:
        messages: List[Dict[str, Any]] = [
            {"a": "}{{"}, {'"}': '\\"{', "b": {"c": ["\\", "{\\"]}}, {"a": "こ{"},
        ]  # fmt: skip
        for message in messages:
            line = encode(message)
            self.assertEqual(json.loads(line), message)
            outside = re.sub(rb"\\u007[bd]", b"", line)
            self.assertEqual(outside.count(b"{"), outside.count(b"}"))
            self.assertTrue(line.endswith(b"}\n"))


class ClientClass(ProtocolTest):
    def test_conversation(self) -> None:
        server = self.serve({"m": DESCRIBE})
        with StackFlowClient("127.0.0.1", server.port, DEADLINE) as client:
            task = client.setup("m", TEXT_STREAM, prompt="S.")
            self.assertEqual(client.taskinfo(), [task])
            self.assertEqual(client.hidden_size(task), 8)
            answer = client.infer(task, "x", constant_prefix(0.5, 8))
            self.assertRegex(answer.text, "^rows=7 soft=1 ")
            self.assertEqual("".join(text for _, text in answer.deltas), answer.text)
            client.pause(task)
            client.exit(task)
            self.assertEqual(client.taskinfo(), [])

    def test_errors_are_raised(self) -> None:
        server = self.serve()
        with StackFlowClient("127.0.0.1", server.port, DEADLINE) as client:
            with self.assertRaises(StackFlowError) as raised:
                client.setup("nobody")
            self.assertEqual(raised.exception.code, -5)
            self.assertIn("nobody", raised.exception.message)
            self.assertIsNone(client.hidden_size("llm"))
            with self.assertRaises(ReplyTimeout):
                client.receive(0.05)

    def test_nobody_there(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # bound, not listening
            with self.assertRaises(ConnectError):
                StackFlowClient("127.0.0.1", unused.getsockname()[1], 2)


class Verification(ProtocolTest):
    def check_no_task_left(self, server: Server) -> None:
        self.assertEqual(self.connect(server).taskinfo(), [])

    def check_failed(self, server: Server, script: str, *options: str, says: str) -> None:
        finished = run_script(script, server.port, *options)
        self.assertEqual(finished.returncode, 1, finished.stdout + finished.stderr)
        self.assertRegex(finished.stdout, rf"(?m)^FAIL: .*{re.escape(says)}")
        self.assertNotIn("PASS", finished.stdout)
        self.assertEqual(finished.stderr, "")
        self.check_no_task_left(server)

    def test_all_pass(self) -> None:
        server = self.serve({"m": DESCRIBE})
        for script in SCRIPTS:
            with self.subTest(script):
                finished = run_script(script, server.port, "--model", "m")
                self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
                self.assertRegex(finished.stdout, r"(?m)^PASS: ")
                self.assertEqual(finished.stderr, "")
                self.check_no_task_left(server)

    def test_nobody_there(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            for script in SCRIPTS:
                with self.subTest(script):
                    finished = run_script(script, port)
                    self.assertEqual(finished.returncode, 2, finished.stdout + finished.stderr)
                    self.assertRegex(finished.stdout, r"(?m)^FAIL: cannot connect")

    def test_help(self) -> None:
        for script in SCRIPTS:
            finished = run_script(script, 1, "--help")
            self.assertEqual(finished.returncode, 0)
            for option in ("--host", "--port", "--model", "--prompt", "--timeout"):
                self.assertIn(option, finished.stdout)

    def test_unknown_model(self) -> None:
        server = self.serve()
        for script in SCRIPTS:
            with self.subTest(script):
                self.check_failed(server, script, "--model", "nobody", says="nobody")

    def test_failing_inference(self) -> None:
        server = self.serve({"m": {"rules": [{"fail_prefill": "no such device"}]}})
        for script in SCRIPTS:
            with self.subTest(script):
                self.check_failed(server, script, "--model", "m", says="no such device")

    def test_no_answer_in_time(self) -> None:
        server = self.serve({"m": {"rules": [{"prefill_ms": 600_000}]}})
        for script in SCRIPTS:
            with self.subTest(script):
                self.check_failed(
                    server, script, "--model", "m", "--timeout", "0.5", says="no reply"
                )

    def test_empty_answer(self) -> None:
        server = self.serve({"m": {"rules": []}})
        for script in SCRIPTS:
            with self.subTest(script):
                self.check_failed(server, script, "--model", "m", says="empty")

    def test_second_answer_that_differs(self) -> None:
        server = self.serve({"m": {"rules": [{"stamp": 1}]}})
        self.check_failed(server, TWICE, "--model", "m", says="differs")
        self.check_failed(server, COMPARE, "--model", "m", says="changed")

    def test_prefixes_without_effect(self) -> None:
        server = self.serve({"m": ECHO})
        finished = run_script(COMPARE, server.port, "--model", "m")
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        self.assertIn("PASS: 0 of 20 prefixes changed the answer", finished.stdout)

    def test_unit_that_ignores_prefixes(self) -> None:
        # Answers a prefix that cannot be, as StackFlow's own unit does.
        client = types.SimpleNamespace(infer=lambda *_: "an answer")
        options = types.SimpleNamespace(prompt="?")
        with self.assertRaisesRegex(verification.CheckFailed, "ignores soft prefixes"):
            comparison.require_refusal(client, options, "llm.1000")


class Comparison(ProtocolTest):
    def compare(self, *options: str) -> Dict[str, Any]:
        server = self.serve({"m": DESCRIBE})
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "report.json"
            finished = run_script(
                COMPARE, server.port, "--model", "m", "--output", str(output), *options
            )
            self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
            report = json.loads(output.read_text("utf-8"))
        assert isinstance(report, dict)
        return report

    def test_report(self) -> None:
        report = self.compare()
        self.assertEqual(report["model"], "m")
        self.assertEqual(report["hidden_size"], 8)
        self.assertGreater(report["baseline"]["seconds"], 0)
        results = report["results"]
        constants = [result["value"] for result in results if result["kind"] == "constant"]
        self.assertEqual((constants[0], constants[1], constants[-1]), (0, 1e-4, 2.0))
        self.assertEqual({r["kind"] for r in results}, {"constant", "uniform", "normal"})
        for result in results:
            self.assertTrue(result["baseline_same"])
            self.assertTrue(result["changed"])
            self.assertGreater(result["similarity"], 0)
            self.assertLess(result["similarity"], 1)
            self.assertGreater(result["seconds"], 0)
            self.assertRegex(result["text"], "soft=1 ")

    def test_random_prefixes_follow_from_their_seed(self) -> None:
        texts = [[r["text"] for r in self.compare()["results"]] for _ in range(2)]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(len(set(texts[0])), len(texts[0]))  # no two prefixes alike

    def test_options(self) -> None:
        report = self.compare(
            "--rows", "3", "--constants", "0.5", "--scales", "1", "--seeds", "1",
            "--hidden-size", "8",
        )  # fmt: skip
        self.assertEqual([r["kind"] for r in report["results"]], ["constant", "uniform", "normal"])
        for result in report["results"]:
            self.assertRegex(result["text"], "soft=3 ")


if __name__ == "__main__":
    unittest.main()
