"""Models whose tokenizer is a service: a strict double of it, the packaged script of a prepared root."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional

from harness import BUILD, Client, ProtocolTest, Server, run_program, wait_until
from stackflow_client import GREEDY, TEXT_STREAM

PROGRAM = "llm_llm"
TINY_CHAT = BUILD / "models" / "tiny-chat"
LIBRARIES = BUILD / "ax_sim"
DOUBLE = Path(__file__).with_name("tokenizer_service_double.py")
PORTS = range(8080, 8090)
PROMPT = "What is the capital of Japan?"
SYSTEM = "Talk like a pirate."
QUESTIONS = [PROMPT, "日本の首都はどこですか？", "Write a poem."]
NATIVE, NATIVE_CONTEXT = "sim-chat", "sim-context"

compiled = Path()


def setUpModule() -> None:
    global compiled
    folder = tempfile.TemporaryDirectory(prefix="tokenizer_service_")
    unittest.addModuleCleanup(folder.cleanup)
    compiled = Path(folder.name)
    for name, options in (
        (NATIVE, ()),
        (NATIVE_CONTEXT, ("--history", "128,512", "--context", "1023")),
    ):
        made = run_program(
            "make_sim_model", str(TINY_CHAT), str(compiled), "--name", name, *options
        )
        assert made.returncode == 0, made.stderr


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text("ascii")
    except FileNotFoundError:
        return False


class ServiceTest(ProtocolTest):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(tempfile.mkdtemp(prefix="root_"))
        self.addCleanup(shutil.rmtree, self.root)
        self.models = self.root / "opt" / "m5stack" / "data"
        self.scripts = self.root / "opt" / "m5stack" / "scripts"
        for folder in (self.models, self.scripts):
            folder.mkdir(parents=True)

    def make_model(
        self, name: str, dialect: str = "plain", script: Optional[str] = "{}_tokenizer.py",
        url: str = "", **settings: Any
    ) -> Path:  # fmt: skip
        """A model with the double as its script; its folder tokenizer/."""
        native = NATIVE_CONTEXT if dialect == "context" else NATIVE
        folder = self.models / name
        folder.mkdir()
        for file in (compiled / native).iterdir():
            if file.is_file() and not file.name.startswith("mode_"):
                (folder / file.name).symlink_to(file)
        mode = json.loads((compiled / native / f"mode_{native}.json").read_text("utf-8"))
        params = mode["mode_param"]
        # Nobody answers at port 1, so that what runs at StackFlow's ports does not matter.
        params["filename_tokenizer_model"] = url or "http://127.0.0.1:1"
        if dialect == "context":
            params["url_tokenizer_model"] = params.pop("filename_tokenizer_model")
        (folder / f"mode_{name}.json").write_text(json.dumps({**mode, "mode": name}), "utf-8")
        tokenizer = folder / "tokenizer"
        tokenizer.mkdir()
        shutil.copy(TINY_CHAT / "tokenizer.json", tokenizer / "vocabulary.json")
        (tokenizer / "double.json").write_text(
            json.dumps({"dialect": dialect, **settings}), "utf-8"
        )
        if script:
            (self.scripts / script.format(name)).symlink_to(DOUBLE)
        return tokenizer

    def start_server(self, will_be_killed: bool = False) -> Server:
        server = Server(
            {}, "--root", str(self.root), "--models", str(self.models), "--models", str(compiled),
            "--max-tasks", "4", "--ax-lib-dir", str(LIBRARIES), name=PROGRAM,
        )  # fmt: skip
        self.addCleanup(server.kill if will_be_killed else server.stop)
        return server

    def connect_new(self) -> Client:
        return self.connect(self.start_server())

    @staticmethod
    def started(tokenizer: Path) -> Dict[str, Any]:
        """What the double was last started with."""
        return dict(json.loads((tokenizer / "started.json").read_text("utf-8")))

    def refused_setup(self, client: Client, model: str, says: str) -> str:
        reply = client.ask("llm", "setup", object="llm.setup", data={"model": model})
        self.check_plain_error(reply, -5, "llm", says)
        return str(reply["error"]["message"])


class Answers(ServiceTest):
    def test_plain_answers_are_the_native_ones(self) -> None:
        tokenizer = self.make_model("plain")
        with_length = self.make_model("length", script="tokenizer_{}.py", sends_length=True)
        client = self.connect_new()
        for system in ("", SYSTEM):
            native = client.setup(NATIVE, prompt=system, **GREEDY)
            expected = [client.infer(native, text).text for text in QUESTIONS]
            client.exit(native)
            for model, kind in (("plain", TEXT_STREAM), ("length", "llm.utf-8")):
                task = client.setup(model, kind, prompt=system, **GREEDY)
                self.assertEqual([client.infer(task, text).text for text in QUESTIONS], expected)
                client.exit(task)
        self.assertTrue((tokenizer / "incomplete").exists(), "no character was cut by a token")
        given = self.started(tokenizer)
        self.assertEqual(given["content"], SYSTEM)
        self.assertEqual(given["model_id"], str(tokenizer))
        self.assertEqual(given["host"], "localhost")
        self.assertEqual(given["PYTHONPATH"], str(self.root / "opt/m5stack/lib/llm/site-packages"))
        self.assertIn(given["port"], PORTS)
        self.assertTrue((with_length / "started.json").exists())

    def test_conversations_are_the_native_ones(self) -> None:
        """Word by word, and row by row: the marks around answers too."""
        self.make_model("context", "context")
        server = self.start_server()
        client = self.connect(server)
        said = ["My name is Anna.", "What is \ufffd?", *QUESTIONS[:2], "reset", "3+4="]
        texts: List[List[str]] = []
        for model in (NATIVE_CONTEXT, "context"):
            task = client.setup(model, system_prompt=SYSTEM, **GREEDY)
            texts.append([client.infer(task, text).text for text in said])
            client.exit(task)
            alone = client.setup(model, precompute_len=0, **GREEDY)
            texts[-1] += [client.infer(alone, PROMPT).text for _ in range(2)]
            client.exit(alone)
        self.assertEqual(texts[1], texts[0])
        rows = re.findall(r"prompt_rows=(\d+)", server.stderr())
        self.assertEqual(len(rows), 2 * (len(said) - 1 + 2))
        self.assertEqual(rows[: len(rows) // 2], rows[len(rows) // 2 :])

    def test_answers_cut_within_a_character_spoil_no_later_one(self) -> None:
        tokenizer = self.make_model("context", "context")
        client = self.connect_new()
        for tokens in range(14, 24):
            texts = []
            for model in (NATIVE_CONTEXT, "context"):
                task = client.setup(model, precompute_len=0, max_token_len=tokens, **GREEDY)
                texts.append([client.infer(task, QUESTIONS[1]).text for _ in range(2)])
                client.exit(task)
            self.assertEqual(texts[1], texts[0])
            if (tokenizer / "cut").exists():
                return
        self.fail("no answer was cut within a character")

    def test_the_unit_adds_bos_and_eos(self) -> None:
        self.make_model("bos", bos_id=1533)
        mode = self.models / "bos" / "mode_bos.json"
        server = self.start_server()
        client = self.connect(server)
        for b_bos, b_eos in ((False, False), (True, False), (False, True)):
            params = json.loads(mode.read_text("utf-8"))
            params["mode_param"].update(b_bos=b_bos, b_eos=b_eos)
            mode.write_text(json.dumps(params), "utf-8")
            task = client.setup("bos", max_token_len=1, **GREEDY)
            client.infer(task, PROMPT)
            client.exit(task)
            client.expect_nothing()
        rows = [int(count) for count in re.findall(r"prompt_rows=(\d+)", server.stderr())]
        self.assertEqual([count - rows[0] for count in rows], [0, 1, 1])

    def test_settings_that_no_service_can_serve_are_refused(self) -> None:
        self.make_model("m")
        client = self.connect_new()
        for key, value in (("b_bos", True), ("enable_thinking", False)):
            data = {"model": "m", key: value}
            reply = client.ask("llm", "setup", object="llm.setup", data=data)
            self.check_plain_error(reply, -5, "llm", key)
        task = client.setup("m", precompute_len=64, **GREEDY)
        self.assertIn("Tokyo", client.infer(task, PROMPT).text)
        self.check_plain_error(
            client.ask_all(task, PROMPT)[0], -11, task, "precompute_len must be 0"
        )


class Starting(ServiceTest):
    def test_a_service_that_runs_is_used_and_left_alone(self) -> None:
        tokenizer = self.make_model("m", script=None)
        own = subprocess.Popen(
            [sys.executable, "-B", str(DOUBLE), "--host", "127.0.0.1", "--port", "0",
             "--model_id", str(tokenizer), "--content", SYSTEM],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(own.wait)
        self.addCleanup(own.kill)
        wait_until((tokenizer / "started.json").exists, "the double listens")
        mode = self.models / "m" / "mode_m.json"
        url = f"http://127.0.0.1:{self.started(tokenizer)['port']}"
        mode.write_text(mode.read_text("utf-8").replace("http://127.0.0.1:1", url), "utf-8")
        client = self.connect_new()
        task = client.setup("m", **GREEDY)
        self.assertEqual(client.infer(task, PROMPT).text[:4], "Arr,")  # by its --content
        client.exit(task)
        client.expect_nothing()
        self.assertIsNone(own.poll())

    def test_a_slow_start_is_waited_for(self) -> None:
        tokenizer = self.make_model("slow", waits_for_go=True)
        client = self.connect_new()
        request = client.request(
            "llm", "setup", object="llm.setup", data={"model": "slow", **GREEDY}
        )
        wait_until((tokenizer / "started.json").exists, "the script runs")
        client.expect_nothing()  # nor is anyone kept waiting
        (tokenizer / "go").touch()
        reply = client.receive()
        self.assertEqual((reply["request_id"], reply["error"]["code"]), (request, 0))
        self.assertIn("Tokyo", client.infer(reply["work_id"], PROMPT).text)

    def test_death_at_the_start_tells_the_last_output(self) -> None:
        self.make_model("m", dies_at_start="ModuleNotFoundError: No module named 'transformers'")
        said = self.refused_setup(self.connect_new(), "m", "died at its start: exit status 1")
        self.assertIn("Loading the tokenizer", said)
        self.assertIn("No module named 'transformers'", said)

    def test_without_a_script_it_says_what_is_missing(self) -> None:
        self.make_model("m", script=None)
        said = self.refused_setup(self.connect_new(), "m", "tokenizer.json is missing")
        options = [
            "--root",
            str(self.root),
            "--models",
            str(self.models),
            "--ax-lib-dir",
            str(LIBRARIES),
        ]
        shown = run_program(PROGRAM, "inspect", "m", *options)
        for text in (said, shown.stderr):
            self.assertIn('no tokenizer service answers at "http://127.0.0.1:1"', text)
            self.assertIn(str(self.scripts / "m_tokenizer.py"), text)
            self.assertIn(str(self.scripts / "tokenizer_m.py"), text)
        (self.scripts / "tokenizer_m.py").symlink_to(DOUBLE)
        shown = run_program(PROGRAM, "inspect", "m", *options)
        self.assertIn("HTTP service, by " + str(self.scripts / "tokenizer_m.py"), shown.stdout)

    def test_a_port_that_is_taken_is_left_out(self) -> None:
        tokenizers = [self.make_model(name) for name in ("one", "two")]
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            for taken in PORTS:  # the first that is free here
                with contextlib.suppress(OSError):
                    listener.bind(("127.0.0.1", taken))
                    listener.listen()
                    break
            client = self.connect_new()
            for name in ("one", "two"):
                self.assertIn("Tokyo", client.infer(client.setup(name, **GREEDY), PROMPT).text)
        ports = [self.started(tokenizer)["port"] for tokenizer in tokenizers]
        self.assertEqual(len({taken, *ports}), 3)


class Trouble(ServiceTest):
    def check_one_error(self, dialect: str, how: str, says: str) -> None:
        tokenizer = self.make_model(f"{dialect}-{how}", dialect, fails_decode=[5, how])
        client = self.connect_new()
        native = client.setup(NATIVE_CONTEXT if dialect == "context" else NATIVE, **GREEDY)
        task = client.setup(f"{dialect}-{how}", TEXT_STREAM, **GREEDY)
        first = self.started(tokenizer)["pid"]
        replies = client.ask_all(task, PROMPT)
        self.assertEqual([r["error"]["code"] for r in replies if r["error"]["code"]], [-11])
        self.assertEqual(replies[-1]["error"]["code"], -11)
        self.assertIn(says, replies[-1]["error"]["message"])
        # The next ones are answered by a new service.
        for text in QUESTIONS[:2]:
            self.assertEqual(client.infer(task, text).text, client.infer(native, text).text)
        self.assertNotEqual(self.started(tokenizer)["pid"], first)
        self.assertFalse(is_running(first))

    def test_death_in_mid_answer(self) -> None:
        for dialect in ("plain", "context"):
            with self.subTest(dialect):
                self.check_one_error(dialect, "die", "exit status 3; the end of its output")

    def test_death_tells_the_last_errors_and_not_what_users_said(self) -> None:
        self.make_model("m", fails_decode=[2, "die"])
        client = self.connect_new()
        reply = client.ask_all(client.setup("m", **GREEDY), PROMPT)[0]
        self.assertIn("MemoryError: the double dies here", reply["error"]["message"])
        self.assertNotIn("Japan", reply["error"]["message"])

    def test_answers_that_are_none(self) -> None:
        for how, says in (
            ("json", "is not a JSON object"), ("type", '"text" is 7, expected a string'),
            ("huge", "more than 4194304 bytes"),
        ):  # fmt: skip
            with self.subTest(how):
                self.check_one_error("plain", how, says)

    def test_a_conversation_outlives_its_service(self) -> None:
        tokenizer = self.make_model("m", "context")
        client = self.connect_new()
        said = ["My name is Anna.", QUESTIONS[1], PROMPT]
        texts = []
        for model in (NATIVE_CONTEXT, "m"):
            task = client.setup(model, **GREEDY)
            texts.append([client.infer(task, text).text for text in said[:2]])
            if model == "m":
                os.kill(self.started(tokenizer)["pid"], signal.SIGKILL)
                reply = client.ask_all(task, "Write a poem.")[0]
                self.check_plain_error(reply, -11, task, "killed by signal 9")
            texts[-1].append(client.infer(task, said[2]).text)
        self.assertEqual(texts[1], texts[0])


class Ending(ServiceTest):
    def start_task(self, will_be_killed: bool = False) -> Any:
        tokenizer = self.make_model("m")
        server = self.start_server(will_be_killed)
        client = self.connect(server)
        task = client.setup("m", **GREEDY)
        pid = self.started(tokenizer)["pid"]
        self.assertTrue(is_running(pid))
        return server, client, task, pid

    def test_with_its_task(self) -> None:
        _, client, task, pid = self.start_task()
        client.exit(task)
        wait_until(lambda: not is_running(pid), "the script has ended")

    def test_with_the_program(self) -> None:
        server, _, _, pid = self.start_task()
        server.signal()
        self.assertEqual(server.wait(), 0)
        self.assertFalse(is_running(pid))

    def test_with_a_program_that_is_killed(self) -> None:
        server, _, _, pid = self.start_task(will_be_killed=True)
        server.signal(signal.SIGKILL)
        server.wait()
        wait_until(lambda: not is_running(pid), "the kernel has killed the script")

    def test_it_holds_no_connection_of_the_program(self) -> None:
        _, _, _, pid = self.start_task()
        links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        self.assertEqual(sum(link.startswith("socket:") for link in links), 1, links)



class RunScripts(ServiceTest):
    """A model that a run script of AXERA's describes, with its service started beforehand."""

    def test_each_line_of_a_chat_is_asked_of_the_service_named(self) -> None:
        tokenizer = self.make_model("served", script=None)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        service = subprocess.Popen(
            [sys.executable, str(DOUBLE), "--host", "localhost", "--port", str(port),
             "--model_id", str(tokenizer), "--content", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(service.wait)
        self.addCleanup(service.terminate)
        mode = json.loads((compiled / NATIVE / f"mode_{NATIVE}.json").read_text("utf-8"))
        params = mode["mode_param"]
        folder = self.models / "served"
        described = [
            "--template_filename_axmodel", str(folder / params["template_filename_axmodel"]),
            "--axmodel_num", str(params["axmodel_num"]),
            "--filename_post_axmodel", str(folder / params["filename_post_axmodel"]),
            "--filename_tokens_embed", str(folder / params["filename_tokens_embed"]),
            "--tokens_embed_num", str(params["tokens_embed_num"]),
            "--tokens_embed_size", str(params["tokens_embed_size"]),
            "--tokenizer_type", "2", "--bos", "0", "--eos", "0", "--continue", "1", "--greedy",
        ]  # fmt: skip

        def chat(url: str) -> "subprocess.CompletedProcess[str]":
            lines = f"{PROMPT}\n{PROMPT}\nq\n"
            return run_program(
                PROGRAM, "run", *described, "--filename_tokenizer_model", url, "--ax-lib-dir",
                str(LIBRARIES), "--root", str(self.root), stdin=lines,
            )  # fmt: skip

        wait_until(lambda: (tokenizer / "started.json").exists(), "the service")
        told = chat(f"http://localhost:{port}")
        self.assertEqual(told.returncode, 0, told.stderr)
        first, second = told.stdout.splitlines()
        self.assertIn("Tokyo", first)
        self.assertEqual(first, second)
        told = chat("http://localhost:1")
        self.assertEqual(told.returncode, 1)
        self.assertIn("no tokenizer service answers at \"http://localhost:1\"", told.stderr)


if __name__ == "__main__":
    unittest.main()
