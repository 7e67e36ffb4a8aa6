"""The real program with the model that ships with it: conversations, verification scripts."""

from __future__ import annotations

import unittest
from typing import Any, Dict, List

from harness import TOOLS, ProtocolTest, Server
from safetensors_file import read_tensor
from stackflow_client import GREEDY, TEXT_STREAM, StackFlowError, constant_prefix, soft_prefix
from test_tools import SCRIPTS, run_script

PROGRAM = "llm_llm"
MODEL = "tiny-chat"
PIRATE_PREFIX = TOOLS / "demo_model" / "pirate.safetensors"
PROMPT = "What is the capital of Japan?"
STREAM = "llm.utf-8.stream"


class TinyChat(ProtocolTest):
    """One server for all of them: loading a real model takes a moment."""

    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server({}, "--max-tasks", "4", name=PROGRAM)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        self.client = self.connect(self.server)

    def set_up(self, response_format: str = "llm.utf-8", **setup: Any) -> str:
        task = self.client.setup(MODEL, response_format, **{**GREEDY, **setup})
        self.addCleanup(self.client.exit, task)
        return task

    def test_it_knows_the_answer(self) -> None:
        self.assertIn("Tokyo", self.client.infer(self.set_up(), PROMPT).text)

    def test_it_is_listed(self) -> None:
        reply = self.client.ask("sys", "lsmode")
        self.check_ok(reply, "sys")
        entry = next(entry for entry in reply["data"] if entry["mode"] == MODEL)
        self.assertEqual(entry["type"], "llm")
        for key in ("capabilities", "input_type", "output_type"):
            self.assertIsInstance(entry[key], list)

    def test_taskinfo(self) -> None:
        info = self.client.taskinfo(self.set_up())
        self.assertEqual((info["model"], info["engine"]), (MODEL, "cpu"))
        self.assertGreater(info["hidden_size"], 0)
        self.assertGreater(info["context_length"], 0)

    def test_streamed_and_whole_answers_are_the_same(self) -> None:
        whole, streaming = self.set_up(), self.set_up(TEXT_STREAM)
        for text in (PROMPT, "日本の首都はどこですか？", "Hello!", "3+4=", "😀"):
            with self.subTest(text):
                expected = self.client.infer(whole, text).text
                replies = self.client.ask_all(
                    streaming, {"delta": text, "index": 0, "finish": True}, STREAM
                )
                self.check_frames(replies, streaming, expected)

    def test_ten_identical_inferences(self) -> None:
        task = self.set_up()
        self.assertEqual(len({self.client.infer(task, PROMPT).text for _ in range(10)}), 1)

    def test_seed_repeats_a_sampled_answer(self) -> None:
        hot: Dict[str, Any] = {
            "enable_temperature": True, "temperature": 3.0, "enable_top_k_sampling": True,
            "top_k": 50, "max_token_len": 60,
        }  # fmt: skip
        one, two, other = (self.set_up(seed=seed, **hot) for seed in (1, 1, 2))
        texts = [self.client.infer(task, "Write a poem.").text for task in (one, two, other)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_soft_prefix_changes_one_answer_only(self) -> None:
        task = self.set_up()
        plain = self.client.infer(task, PROMPT).text
        pirate = soft_prefix(read_tensor(PIRATE_PREFIX))
        self.assertEqual(self.client.infer(task, PROMPT, pirate).text[:4], "Arr,")
        self.assertEqual(self.client.infer(task, PROMPT).text, plain)

    def test_soft_prefix_for_another_model_is_refused(self) -> None:
        task = self.set_up()
        frame = {
            "delta": PROMPT, "index": 0, "finish": True, "soft_prefix": constant_prefix(0.5, 8),
        }  # fmt: skip
        self.check_plain_error(self.client.ask_all(task, frame, STREAM)[0], -26, task)

    def test_what_the_template_cannot_do_is_refused(self) -> None:
        for setup in ({"enable_thinking": True}, {"chat_template_family": "gpt9"}, {"b_bos": True}):
            with self.assertRaisesRegex(StackFlowError, next(iter(setup))) as raised:
                self.set_up(**setup)
            self.assertEqual(raised.exception.code, -5)
        self.assertIn("Tokyo", self.client.infer(
            self.set_up(enable_thinking=False, chat_template_family="chatml"), PROMPT).text)

    def test_conversation_is_kept_with_precompute_len(self) -> None:
        task = self.set_up(precompute_len=64)
        first = self.client.infer(task, "My name is Anna.").text
        self.assertNotEqual(first, "")
        self.assertNotEqual(self.client.infer(task, PROMPT).text, "")
        self.check_text(self.client.ask_all(task, "reset"), task, "Context has been reset.")
        self.assertEqual(self.client.infer(task, "My name is Anna.").text, first)

    def test_verification_scripts(self) -> None:
        for script in SCRIPTS:
            with self.subTest(script):
                finished = run_script(script, self.server.port)
                self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
                self.assertRegex(finished.stdout, "(?m)^PASS: ")

    def test_default_sampling_answers(self) -> None:
        # As upstream's clients set it up: no sampler keys, or temperature and top_p only.
        setups: List[Dict[str, Any]] = [
            {}, {"temperature": 0.7, "top_p": 0.9, "max_token_len": 64},
        ]  # fmt: skip
        for setup in setups:
            task = self.client.setup(MODEL, **setup)
            self.assertNotEqual(self.client.infer(task, PROMPT).text, "")
            self.client.exit(task)


if __name__ == "__main__":
    unittest.main()
