"""The program with tiny-chat compiled for the simulated NPU (tests/ax_sim/README.md)."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional

from harness import BUILD, TOOLS, ProtocolTest, Server, run_program
from safetensors_file import read_tensor
from stackflow_client import GREEDY, TEXT_STREAM, soft_prefix
from test_tools import SCRIPTS, run_script

sys.path.append(str(TOOLS / "demo_model"))

import questions  # noqa: E402  (in tools/demo_model, as arranged above)

PROGRAM = "llm_llm"
TINY_CHAT = BUILD / "models" / "tiny-chat"
LIBRARIES = BUILD / "ax_sim"
PROMPT = "What is the capital of Japan?"
STREAM = "llm.utf-8.stream"
CHAT, CONTEXT, LIST = "sim-chat", "sim-context", "sim-list"

models = Path()


def compile_model(name: str, *options: str, base: Optional[Path] = None) -> None:
    made = run_program(
        "make_sim_model", str(TINY_CHAT), str(base or models), "--name", name, *options
    )
    assert made.returncode == 0, made.stderr


def setUpModule() -> None:
    global models
    folder = tempfile.TemporaryDirectory(prefix="ax_engine_")
    unittest.addModuleCleanup(folder.cleanup)
    models = Path(folder.name)
    compile_model(CHAT)
    compile_model(CONTEXT, "--history", "128,512", "--context", "1023")
    compile_model(LIST, "--post-topk", "20")


class AxTest(ProtocolTest):
    def start_ax(
        self, *options: str, libraries: Path = LIBRARIES, env: Optional[Dict[str, str]] = None
    ) -> Server:
        self.report = Path(tempfile.mkdtemp()) / "report.json"
        self.addCleanup(shutil.rmtree, self.report.parent)
        server = Server(
            {}, "--models", str(models), "--models", str(TINY_CHAT.parent), "--max-tasks", "4",
            "--ax-lib-dir", str(libraries), *options, name=PROGRAM,
            env={"AX_SIM_REPORT": str(self.report), **(env or {})},
        )  # fmt: skip
        self.addCleanup(server.stop)
        return server

    def counters(self, server: Server) -> Dict[str, Any]:
        """Of the whole life of a server, which this ends."""
        server.signal()
        self.assertEqual(server.wait(), 0)
        return dict(json.loads(self.report.read_text("utf-8")))

    def check_clean(self, server: Server) -> Dict[str, Any]:
        counters = self.counters(server)
        self.assertEqual(counters["violations"], 0, server)
        self.assertEqual((counters["live_blocks"], counters["live_handles"]), (0, 0))
        self.assertTrue(counters["deinitialised"])
        return counters


class Answers(AxTest):
    def test_a_hundred_answers_are_those_of_the_cpu(self) -> None:
        """Greedy. The NPU rounds to bf16 between layers; no answer hangs by so little."""
        rng = random.Random(5)
        asked = [questions.draw(rng, language).text for _ in range(50) for language in (0, 1)]
        server = self.start_ax()
        client = self.connect(server)
        cpu = client.setup(TINY_CHAT.name, **GREEDY)
        expected = [client.infer(cpu, text).text for text in asked]
        for model, kind in ((CHAT, "llm.utf-8"), (CONTEXT, TEXT_STREAM)):
            task = client.setup(model, kind, precompute_len=0, **GREEDY)
            self.assertEqual([client.infer(task, text).text for text in asked], expected)
            client.exit(task)
        client.exit(cpu)
        self.check_clean(server)

    def test_soft_prefixes_work_as_on_the_cpu(self) -> None:
        client = self.connect(self.start_ax())
        pirate = soft_prefix(read_tensor(TOOLS / "demo_model" / "pirate.safetensors"))
        texts: List[List[str]] = []
        for model in (TINY_CHAT.name, CHAT, CONTEXT):
            task = client.setup(model, precompute_len=0, **GREEDY)
            texts.append([client.infer(task, PROMPT, p).text for p in (None, pirate, None, pirate)])
            client.exit(task)
        self.assertEqual(texts[0][1][:4], "Arr,")
        self.assertEqual(texts[1], texts[0])
        self.assertEqual(texts[2], texts[0])

    def test_ten_inferences_are_alike_whatever_came_between(self) -> None:
        client = self.connect(self.start_ax())
        task = client.setup(CHAT, **GREEDY)
        first = client.infer(task, PROMPT).text
        for length in range(1, 11):
            client.infer(task, "word " * 12 * length)
            self.assertEqual(client.infer(task, PROMPT).text, first)

    def test_prompts_up_to_the_context_and_one_beyond(self) -> None:
        client = self.connect(self.start_ax("--context", "200"))
        task = client.setup(CHAT, max_token_len=1000, **GREEDY)
        for words in range(170, 300):
            replies = client.ask_all(task, "a " * words)
            if replies[0]["error"]["code"] != 0:
                self.check_plain_error(replies[0], -11, task, "context_length is 200")
                break
        self.assertGreater(words, 170)
        self.assertIn("Tokyo", client.infer(task, PROMPT).text)

    def test_soft_prefixes_up_to_the_context_and_one_row_beyond(self) -> None:
        client = self.connect(self.start_ax("--context", "200"))
        for model in (CHAT, CONTEXT):
            task = client.setup(model, max_token_len=1000, precompute_len=0, **GREEDY)
            width = client.hidden_size(task)

            def ask(rows: int, task: str = task, width: int = width) -> Any:
                frame = {"delta": PROMPT, "index": 0, "finish": True,
                         "soft_prefix": soft_prefix([[0.01] * width] * rows)}  # fmt: skip
                return client.ask_all(task, frame, STREAM)[0]

            refused = ask(199)
            self.check_plain_error(refused, -26, task, "context_length is 200")
            tokens = int(re.findall(r"(\d+) prompt tokens", refused["error"]["message"])[0])
            self.check_ok(ask(200 - tokens), task)
            self.check_plain_error(ask(201 - tokens), -26, task, f"{tokens} prompt tokens = 201")
            self.assertIn("Tokyo", client.infer(task, PROMPT).text)

    def test_a_conversation_is_kept(self) -> None:
        client = self.connect(self.start_ax())
        texts = []
        for model in (TINY_CHAT.name, CONTEXT):
            task = client.setup(model, precompute_len=64, **GREEDY)
            texts.append([client.infer(task, text).text for text in ("My name is Anna.", PROMPT, "3+4=")])
            client.exit(task)
        self.assertEqual(texts[0], texts[1])

    def test_lists_of_the_best_tokens(self) -> None:
        client = self.connect(self.start_ax())
        greedy = client.setup(LIST, **GREEDY)
        self.assertIn("Tokyo", client.infer(greedy, PROMPT).text)
        self.assertNotEqual(client.infer(client.setup(LIST), PROMPT).text, "")
        reply = client.ask(
            "llm", "setup", object="llm.setup", data={"model": LIST, "top_p": 0.9,
            "enable_top_p_sampling": True},
        )  # fmt: skip
        self.check_plain_error(reply, -5, "llm", "top_p sampling needs the scores of all tokens")

    def test_verification_scripts(self) -> None:
        server = self.start_ax()
        for script in SCRIPTS:
            with self.subTest(script):
                finished = run_script(script, server.port, "--model", CHAT)
                self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)

    def test_k_v_rows_in_place(self) -> None:
        server = self.start_ax("--ax-kv-in-place")
        client = self.connect(server)
        for model in (CHAT, CONTEXT):
            self.assertIn("Tokyo", client.infer(client.setup(model, **GREEDY), PROMPT).text)


class Choice(AxTest):
    def test_the_npu_runs_models_made_for_it(self) -> None:
        client = self.connect(self.start_ax())
        for model, engine in ((CHAT, "ax"), (TINY_CHAT.name, "cpu")):
            self.assertEqual(client.taskinfo(client.setup(model))["engine"], engine)

    def test_with_both_kinds_of_weights_the_npu_is_taken_where_it_is_there(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(models / CHAT, Path(folder) / CHAT)
            shutil.copytree(TINY_CHAT, Path(folder) / CHAT, dirs_exist_ok=True)
            for libraries, asked, engine in (
                (LIBRARIES, "auto", "ax"), ("/nowhere", "auto", "cpu"), (LIBRARIES, "cpu", "cpu"),
            ):  # fmt: skip
                shown = run_program(
                    PROGRAM, "inspect", CHAT, "--json", "--models", folder, "--engine", asked,
                    "--ax-lib-dir", str(libraries),
                )  # fmt: skip
                self.assertEqual(json.loads(shown.stdout)["engine"], engine, shown.stderr)
            # Libraries without a driver.
            server = self.start_ax(
                "--models", folder, env={"AX_SIM_FAIL": "AX_SYS_Init:1+:800B0010"}
            )
            client = self.connect(server)
            both = Path(folder) / "both"
            (Path(folder) / CHAT).rename(both)
            (both / f"mode_{CHAT}.json").rename(both / "mode_both.json")
            self.assertEqual(client.taskinfo(client.setup("both"))["engine"], "cpu")
            reply = client.ask("llm", "setup", object="llm.setup", data={"model": CHAT})
            self.check_plain_error(reply, -5, "llm", "AX_SYS_Init")

    def test_without_libraries_it_says_what_is_missing(self) -> None:
        client = self.connect(self.start_ax(libraries=Path("/nowhere")))
        reply = client.ask("llm", "setup", object="llm.setup", data={"model": CHAT})
        self.check_plain_error(reply, -5, "llm", "/nowhere")
        self.assertIn("libax_sys.so", reply["error"]["message"])

    def test_commands(self) -> None:
        options = ["--models", str(models), "--ax-lib-dir", str(LIBRARIES)]
        answered = run_program(PROGRAM, "run", CHAT, "--greedy", "--prompt", PROMPT, *options)
        self.assertIn("Tokyo", answered.stdout)
        measured = run_program(
            PROGRAM, "bench", CHAT, "--json", "--runs", "1", "--new-tokens", "8", *options
        )
        self.assertEqual(json.loads(measured.stdout)["engine"], "ax")


class Trouble(AxTest):
    def test_a_failing_npu_breaks_one_task_until_its_exit(self) -> None:
        # Six layers and the post model a step; somewhere in the first answer of the second task.
        server = self.start_ax(env={"AX_SIM_FAIL": "AX_ENGINE_RunGroupIOSync:100:8006008A"})
        client = self.connect(server)
        first, second = (client.setup(CHAT, **GREEDY) for _ in range(2))
        replies = client.ask_all(first, "Write a poem.")
        self.check_plain_error(replies[0], -11, first, "AX_ENGINE_RunGroupIOSync")
        self.assertIn("0x8006008A", replies[0]["error"]["message"])
        again = client.ask_all(first, PROMPT)
        self.assertEqual(again[0]["error"], replies[0]["error"])
        self.assertIn("Tokyo", client.infer(second, PROMPT).text)
        third = client.setup(CHAT, **GREEDY)  # loads the model anew
        self.assertIn("Tokyo", client.infer(third, PROMPT).text)
        for task in (first, second, third):
            client.exit(task)
        self.assertIn("Tokyo", client.infer(client.setup(CHAT, **GREEDY), PROMPT).text)
        self.check_clean(server)

    def test_memory_is_checked_before_loading(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            info = Path(root) / "proc" / "ax_proc" / "mem_cmm_info"
            info.parent.mkdir(parents=True)
            info.write_text(
                "---CMM_USE_INFO:\n total size=3145728KB(3072MB),used=3143680KB(3070MB + 0KB),"
                "remain=2048KB(2MB + 0KB),partition_number=1,block_number=1\n"
            )
            client = self.connect(self.start_ax("--root", root))
            reply = client.ask("llm", "setup", object="llm.setup", data={"model": CHAT})
            self.check_plain_error(reply, -5, "llm", "2 MiB are free")
            memory = client.ask("sys", "cmminfo")["data"]
            self.assertEqual(memory, {"total": 3145728, "used": 3143680, "remain": 2048})

    def test_running_out_of_memory_leaves_the_others_working(self) -> None:
        server = self.start_ax(env={"AX_SIM_CMM_MIB": "12"})
        client = self.connect(server)
        first = client.setup(CHAT, **GREEDY)
        codes = []
        for _ in range(3):
            reply = client.ask("llm", "setup", object="llm.setup", data={"model": CONTEXT})
            codes.append(reply["error"]["code"])
        self.assertIn(-5, codes)
        self.assertIn("Tokyo", client.infer(first, PROMPT).text)
        self.check_clean(server)

    def test_broken_folders_are_told_apart(self) -> None:
        def spoil_pointer(folder: Path) -> None:
            (folder / "qwen2_post.axmodel").write_text("version https://git-lfs.github.com/spec/v1\n")

        def spoil_embeddings(folder: Path) -> None:
            with open(folder / "model.embed_tokens.weight.bfloat16.bin", "ab") as file:
                file.write(b"12")

        def spoil_tokenizer(folder: Path) -> None:
            shutil.rmtree(folder / "tokenizer")

        def spoil_layer(folder: Path) -> None:
            (folder / "qwen2_p128_l3_together.axmodel").unlink()

        with tempfile.TemporaryDirectory() as base:
            client = self.connect(self.start_ax("--models", base))
            for spoil, says in (
                (spoil_pointer, "Git LFS pointer"), (spoil_embeddings, "bytes, expected"),
                (spoil_tokenizer, "tokenizer.json is missing"), (spoil_layer, "l3_together"),
            ):  # fmt: skip
                name = spoil.__name__
                shutil.copytree(models / CHAT, Path(base) / name)
                mode = Path(base) / name / f"mode_{CHAT}.json"
                mode.rename(mode.with_name(f"mode_{name}.json"))
                spoil(Path(base) / name)
                with self.subTest(name):
                    reply = client.ask("llm", "setup", object="llm.setup", data={"model": name})
                    self.check_plain_error(reply, -5, "llm", says)

    def test_ended_in_the_middle_of_an_answer(self) -> None:
        server = self.start_ax(env={"AX_SIM_RUN_MS": "2"})
        client = self.connect(server)
        task = client.setup(CHAT, TEXT_STREAM, **GREEDY)
        client.request(task, "inference", object="llm.utf-8", data="Write a poem.")
        client.receive()
        self.check_clean(server)


if __name__ == "__main__":
    unittest.main()
