"""The program around the protocol: options, environment, what it prints, how it fails."""

from __future__ import annotations

import json
import re
import socket
import unittest
from typing import List

from harness import ECHO, ProtocolTest, Script, program, run_program
from stackflow_client import ConnectError, StackFlowClient

SCRIPTED = "llm_llm_scripted"


class CommandLine(ProtocolTest):
    def test_version(self) -> None:
        finished = run_program(SCRIPTED, "--version")
        self.assertEqual(finished.returncode, 0)
        self.assertRegex(finished.stdout, r"^llm_llm \d+\.\d+\.\d+-soft\d+\n$")

    def test_help(self) -> None:
        finished = run_program(SCRIPTED, "--help")
        self.assertEqual(finished.returncode, 0)
        for word in ("serve", "run", "bench", "inspect", "--models", "LLM_LLM_", "Example"):
            self.assertIn(word, finished.stdout)
        for command in ("unit", "serve", "run", "bench", "inspect"):
            finished = run_program(SCRIPTED, command, "--help")
            self.assertEqual(finished.returncode, 0)
            self.assertNotEqual(finished.stdout, "")

    def test_mistakes(self) -> None:
        mistakes: List[List[str]] = [
            ["dance"], ["serve", "--no-such-option"], ["serve", "--port", "70000"],
            ["serve", "--port", "x"], ["serve", "--queue", "-1"], ["serve", "--max-tasks", "0"],
            ["--engine", "magic", "serve"], ["--log-level", "loud", "serve"], ["run"],
        ]  # fmt: skip
        for arguments in mistakes:
            with self.subTest(arguments):
                finished = run_program(SCRIPTED, *arguments)
                self.assertNotEqual(finished.returncode, 0)
                self.assertNotEqual(finished.stderr, "")
                self.assertEqual(finished.stdout, "")


class Listening(ProtocolTest):
    def test_on_the_loopback_only(self) -> None:
        server = self.serve()
        self.assertEqual(server.address, "127.0.0.1")
        with self.assertRaises(ConnectError):
            StackFlowClient("127.0.0.2", server.port, 2)

    def test_on_another_address(self) -> None:
        server = self.serve(None, "--listen", "127.0.0.2")
        self.assertEqual(server.address, "127.0.0.2")
        with StackFlowClient("127.0.0.2", server.port, 5) as client:
            client.call("sys", "ping")
        server = self.serve(None, "--listen", "0.0.0.0")
        with StackFlowClient("127.0.0.3", server.port, 5) as client:
            client.call("sys", "ping")

    def test_port_in_use(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = str(other.getsockname()[1])
            finished = run_program(SCRIPTED, "serve", "--port", port)
        self.assertNotEqual(finished.returncode, 0)
        self.assertIn(port, finished.stderr)
        self.assertIn("127.0.0.1", finished.stderr)
        self.assertNotIn("listening", finished.stdout)

    def test_address_that_is_not_ours(self) -> None:
        for address in ("192.0.2.1", "nonsense", ""):
            with self.subTest(address):
                finished = run_program(SCRIPTED, "serve", "--port", "0", "--listen", address)
                self.assertNotEqual(finished.returncode, 0)
                self.assertIn(address or "--listen", finished.stderr)


class Environment(ProtocolTest):
    """Every option --x-y can be set as LLM_LLM_X_Y: the service has no arguments."""

    def test_port_and_address(self) -> None:
        env = {"LLM_LLM_PORT": "0", "LLM_LLM_LISTEN": "127.0.0.4"}
        server = self.serve(None, env=env, port_option=False)
        self.assertEqual(server.address, "127.0.0.4")
        self.assertNotEqual(server.port, 10001)

    def test_models(self) -> None:
        models = str(self.serve({"m": ECHO}).models)
        client = self.connect(self.serve({}, env={"LLM_LLM_MODELS": models}))
        self.assertEqual(client.infer(client.setup("m"), "found").text, "found")

    def test_limits(self) -> None:
        env = {"LLM_LLM_MAX_TASKS": "1", "LLM_LLM_CONTEXT": "50", "LLM_LLM_QUEUE": "0"}
        client = self.connect(self.serve({"m": ECHO}, env=env))
        task = client.setup("m")
        self.assertEqual(client.taskinfo(task)["context_length"], 50)
        reply = client.ask("llm", "setup", object="llm.setup", data={"model": "m"})
        self.check_plain_error(reply, -21, "llm")

    def test_the_command_line_wins(self) -> None:
        env = {"LLM_LLM_PORT": "1", "LLM_LLM_MAX_TASKS": "1"}
        client = self.connect(self.serve({"m": ECHO}, "--max-tasks", "2", env=env))
        client.setup("m")
        client.setup("m")

    def test_wrong_values_are_refused(self) -> None:
        for name, value in (("PORT", "x"), ("MAX_TASKS", "0"), ("LOG_LEVEL", "loud")):
            with self.subTest(name):
                finished = run_program(SCRIPTED, "serve", env={f"LLM_LLM_{name}": value})
                self.assertNotEqual(finished.returncode, 0)


class Log(ProtocolTest):
    def test_texts_are_not_logged_below_trace(self) -> None:
        server = self.serve({"m": ECHO}, env={})
        client = self.connect(server)
        client.infer(client.setup("m", prompt="secret system"), "secret user")
        # This server logs at trace; what may hold texts must say so.
        for line in server.stderr().splitlines():
            if "secret" in line:
                self.assertIn("trace", line)

    def test_one_summary_line_for_each_inference(self) -> None:
        server = self.serve({"m": ECHO})
        client = self.connect(server)
        client.infer(client.setup("m"), "hello there")
        summaries = [
            line
            for line in server.stderr().splitlines()
            if re.search(r"\binfo\b", line) and "prompt_rows" in line
        ]
        self.assertEqual(len(summaries), 1, server.stderr())
        for field in ("prompt_rows", "new_tokens", "prefill_ms", "decode_tps", "finish"):
            self.assertIn(field, summaries[0])


class Scripts(ProtocolTest):
    """The scripted loader itself: slips in a script are told, not ignored."""

    def test_mistakes_in_scripts(self) -> None:
        mistakes: List[Script] = [
            {"context": 5}, {"context_length": 0}, {"context_length": "5"}, {"hidden_size": 4},
            {"rules": {}}, {"rules": ["x"]}, {"rules": [{"anwser": ["x"]}]},
            {"rules": [{"answer": "x"}]}, {"rules": [{"answer_b64": ["*"]}]},
            {"rules": [{"answer": ["x"], "echo": 1}]}, {"rules": [{"gate": {"at": 1}}]},
            {"mode_param": {"top_k": "x"}},
        ]  # fmt: skip
        server = self.serve({f"m{number}": script for number, script in enumerate(mistakes)})
        client = self.connect(server)
        for number, script in enumerate(mistakes):
            with self.subTest(script):
                data = {"model": f"m{number}"}
                reply = client.ask("llm", "setup", object="llm.setup", data=data)
                self.check_plain_error(reply, -5, "llm")

    def test_inspect(self) -> None:
        models = self.serve({"m": ECHO}).models
        finished = run_program(SCRIPTED, "--models", str(models), "inspect", "m", "--json")
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertEqual(json.loads(finished.stdout)["engine"], "scripted")

    def test_program_is_there(self) -> None:
        self.assertTrue(program(SCRIPTED).exists())


if __name__ == "__main__":
    unittest.main()
