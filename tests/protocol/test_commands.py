"""The commands run, inspect, bench and tokenize with the model that ships with the program."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, List

from harness import BUILD, run_program
from stackflow_client import pack_bf16

PROGRAM = "llm_llm"
MODEL = "tiny-chat"
PROMPT = "What is the capital of Japan?"


class Commands(unittest.TestCase):
    """run, inspect, bench and tokenize."""

    def run_model(self, *options: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return run_program(PROGRAM, "run", MODEL, "--greedy", *options, stdin=stdin)

    def test_run_prints_the_answer_and_a_summary(self) -> None:
        finished = self.run_model("--prompt", PROMPT)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertIn("Tokyo", finished.stdout)
        self.assertTrue(finished.stdout.endswith("\n"))
        self.assertRegex(finished.stderr, r"\d")
        self.assertIn("tok/s", finished.stderr)

    def test_run_with_ids(self) -> None:
        printed = self.run_model("--prompt", PROMPT, "--print-ids")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        ids = [int(word) for word in re.findall(r"\d+", printed.stdout)]
        self.assertGreater(len(ids), 0)
        fed = self.run_model(
            "--ids", "1,2,3", "--print-ids", "--ignore-eos", "--max-new-tokens", "5"
        )
        self.assertEqual(fed.returncode, 0, fed.stderr)
        self.assertEqual(len(re.findall(r"\d+", fed.stdout)), 5)

    def test_run_max_new_tokens(self) -> None:
        finished = self.run_model("--prompt", PROMPT, "--print-ids", "--max-new-tokens", "2")
        self.assertEqual(len(re.findall(r"\d+", finished.stdout)), 2)

    def test_run_seed(self) -> None:
        def sampled(seed: str) -> str:
            options = ["--prompt", "Write a poem.", "--seed", seed, "--temperature", "3"]
            return run_program(PROGRAM, "run", MODEL, *options, "--top-k", "50").stdout

        self.assertEqual(sampled("1"), sampled("1"))

    def test_chat_on_the_terminal(self) -> None:
        finished = self.run_model(stdin=f"Hello!\n{PROMPT}\n")
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertIn("Tokyo", finished.stdout)

    def test_run_with_a_soft_prefix_file(self) -> None:
        hidden = json.loads(self.inspect())["hidden_size"]
        with tempfile.TemporaryDirectory() as folder:
            outputs = []
            for dtype, data in (
                ("BF16", pack_bf16([0.5] * hidden)),
                ("F32", struct.pack(f"<{hidden}f", *[0.5] * hidden)),
            ):
                path = os.path.join(folder, f"{dtype}.safetensors")
                write_safetensors(path, dtype, [1, hidden], data)
                finished = self.run_model("--prompt", PROMPT, "--soft-prefix", path)
                self.assertEqual(finished.returncode, 0, finished.stderr)
                outputs.append(finished.stdout)
            self.assertEqual(outputs[0], outputs[1])
            wrong = os.path.join(folder, "wrong.safetensors")
            write_safetensors(wrong, "BF16", [1, hidden + 1], bytes(2 * hidden + 2))
            finished = self.run_model("--prompt", PROMPT, "--soft-prefix", wrong)
            self.assertNotEqual(finished.returncode, 0)
            self.assertIn(str(hidden), finished.stderr)

    def test_run_with_another_template(self) -> None:
        jinja = (
            "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}"
            "{{ '<|im_start|>assistant\\n' }}{% if enable_thinking is false %}{{ 'So: ' }}{% endif %}"
        )
        original = Path(json.loads(self.inspect())["path"])

        def prompt_tokens(*options: str) -> int:
            words = ("--prompt", PROMPT, "--max-new-tokens", "1")
            finished = run_program(PROGRAM, "run", folder, *words, *options)
            self.assertEqual(finished.returncode, 0, finished.stderr)
            return int(re.search(r"prompt_tokens=(\d+)", finished.stderr)[1])

        with tempfile.TemporaryDirectory() as folder:
            for path in original.iterdir():
                os.symlink(path, os.path.join(folder, path.name))
            template = Path(folder, "chat_template.jinja")
            template.write_text(jinja)
            plain = prompt_tokens()
            self.assertEqual(prompt_tokens("--thinking"), plain)
            self.assertGreater(prompt_tokens("--no-thinking"), plain)
            template.write_text(jinja.replace("m.content", "m.content.swapcase()"))
            refused = run_program(PROGRAM, "run", folder, "--prompt", PROMPT)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("swapcase", refused.stderr)
            self.assertIn("chat_template_family", refused.stderr)
            self.assertIn("swapcase", run_program(PROGRAM, "inspect", folder).stdout)
            self.assertEqual(prompt_tokens("--template-family", "chatml"), plain)

    def test_run_mistakes(self) -> None:
        for arguments in (
            ["nobody"], [MODEL, "--prompt", "x", "--top-k", "0"], [MODEL, "--ids", "99999999"],
            [MODEL, "--prompt", "x", "--soft-prefix", "/none"],
        ):  # fmt: skip
            with self.subTest(arguments):
                finished = run_program(PROGRAM, "run", *arguments)
                self.assertNotEqual(finished.returncode, 0)
                self.assertNotEqual(finished.stderr, "")

    def inspect(self) -> str:
        finished = run_program(PROGRAM, "inspect", MODEL, "--json")
        self.assertEqual(finished.returncode, 0, finished.stderr)
        return finished.stdout

    def tokenize(self, text: str, *options: str, model: str = MODEL) -> str:
        finished = run_program(PROGRAM, "tokenize", model, *options, stdin=text)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        return finished.stdout

    def test_tokenize(self) -> None:
        text = "Hello,\tあ <|im_end|>\\\n"
        lines = [line.split("\t") for line in self.tokenize(text).splitlines()]
        pieces = "".join(piece for _, piece in lines)
        self.assertEqual(pieces.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\"), text)
        ids = self.tokenize(text, "--ids")
        self.assertEqual(ids.strip().split(","), [number for number, _ in lines])
        self.assertEqual(self.tokenize(ids, "--decode"), text)
        # With --special it is the token, which is not shown.
        special = self.tokenize(text, "--special", "--ids")
        self.assertEqual(self.tokenize(special, "--decode"), text.replace("<|im_end|>", ""))

    def test_tokenize_shows_the_prompt(self) -> None:
        rendered = self.tokenize("Hi", "--template", "--system", "Be kind.")
        self.assertEqual(
            rendered,
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n",
        )
        ids = self.tokenize("Hi", "--template", "--ids", "--system", "Be kind.")
        self.assertEqual(ids, self.tokenize(rendered, "--special", "--ids"))

    def test_thinking_is_as_the_template_has_it_unless_told(self) -> None:
        template = (
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
            "{% endfor %}<|im_start|>assistant\n"
            "{% if enable_thinking is defined %}{{ 'on' if enable_thinking else 'off' }}{% endif %}"
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(BUILD / "models" / MODEL / "tokenizer.json", folder)
            (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
            for option, end in (("", ""), ("--thinking", "on"), ("--no-thinking", "off")):
                options = ["--template", *([option] if option else [])]
                prompt = self.tokenize("Hi", *options, model=str(folder))
                self.assertTrue(prompt.endswith("assistant\n" + end), prompt)

    def test_tokenize_mistakes(self) -> None:
        for options, stdin, message in (
            ((MODEL, "--decode"), "1 99999999999999999999", "is no token id"),
            ((MODEL, "--decode", "--template"), "", "excludes"),
            (("no-such-model",), "", "not found"),
        ):
            finished = run_program(PROGRAM, "tokenize", *options, stdin=stdin)
            self.assertNotEqual(finished.returncode, 0)
            self.assertIn(message, finished.stderr + finished.stdout)

    def test_inspect(self) -> None:
        facts = json.loads(self.inspect())
        self.assertEqual(facts["engine"], "cpu")
        self.assertTrue(Path(facts["path"]).samefile(BUILD / "models" / MODEL))
        config = json.loads((BUILD / "models" / MODEL / "config.json").read_text())
        self.assertEqual(facts["hidden_size"], config["hidden_size"])
        self.assertEqual(facts["num_layers"], config["num_hidden_layers"])
        self.assertEqual(facts["vocab_size"], config["vocab_size"])
        self.assertGreater(facts["context_length"], 0)
        by_path = run_program(PROGRAM, "inspect", str(BUILD / "models" / MODEL), "--json")
        self.assertEqual(json.loads(by_path.stdout)["hidden_size"], config["hidden_size"])
        self.assertIn(MODEL, run_program(PROGRAM, "inspect", MODEL).stdout)

    def test_bench(self) -> None:
        options = ["--prompt-tokens", "16", "--new-tokens", "8", "--runs", "2"]
        finished = run_program(PROGRAM, "bench", MODEL, "--json", *options)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        facts = json.loads(finished.stdout)

        def numbers(value: Any) -> List[float]:
            if isinstance(value, dict):
                return [number for item in value.values() for number in numbers(item)]
            return [value] if isinstance(value, (int, float)) else []

        self.assertTrue(all(number > 0 for number in numbers(facts)), facts)
        for word in ("prefill", "decode", "load", "memory", "median", "min", "max"):
            self.assertIn(word, finished.stdout)
        self.assertIn("tok/s", run_program(PROGRAM, "bench", MODEL, *options).stdout)


def write_safetensors(path: str, dtype: str, shape: List[int], data: bytes) -> None:
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"prompt_embeddings": tensor}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


if __name__ == "__main__":
    unittest.main()
