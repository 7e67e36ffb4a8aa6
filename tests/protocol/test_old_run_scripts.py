"""Shell scripts as people have them for AXERA's runner, with `llm_llm run` in place of ./main.

The graphs are for the simulated NPU (tests/ax_sim/README.md): tiny-chat's, and those of a model of
random weights that has ids enough for every type of tokenizer.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from harness import BUILD, DEADLINE, REPOSITORY, clean_environment, program, run_program

TINY_CHAT = BUILD / "models" / "tiny-chat"
TEXT_DATA = REPOSITORY / "tests" / "data" / "text"
PROMPT = "What is the capital of Japan?"
CHAT, RANDOM = "tinychat-ax630c", "random-ax630c"
NAME = "My name is Anna."
ASK_NAME = "What is my name?"

# A script as AXERA's repositories have them; those of TinySwallow and Qwen2.5 differ in numbers.
SCRIPT = """#!/bin/sh
{run} \\
--template_filename_axmodel "{name}/qwen2_p128_l%d_together.axmodel" \\
--axmodel_num {layers} \\
--tokenizer_type {type} \\
--filename_tokenizer_model "{tokenizer}" \\
{bos}--eos 0 \\
--filename_post_axmodel "{name}/qwen2_post.axmodel" \\
--filename_tokens_embed "{name}/model.embed_tokens.weight.bfloat16.bin" \\
--tokens_embed_num {rows} \\
--tokens_embed_size {hidden} \\
--use_mmap_load_embed 1 \\
--live_print {live} \\
{more}
"""
CHAT_VALUES: Dict[str, Any] = {
    "name": CHAT, "layers": 6, "type": 2, "tokenizer": "http://localhost:12345",
    "bos": "--bos 0 ", "rows": 1536, "hidden": 192,
}  # fmt: skip
RANDOM_VALUES: Dict[str, Any] = {
    "name": RANDOM,
    "layers": 1,
    "bos": "",
    "rows": 32064,
    "hidden": 16,
}

base = Path()  # the folder that the scripts are run in


def random_bf16(rng: random.Random, count: int) -> bytes:
    """Values of either sign, from 0.008 to 0.12."""
    high = bytes((0xBC if byte & 2 else 0x3C) | (byte & 1) for byte in range(256))
    values = bytearray(rng.randbytes(2 * count))
    values[1::2] = values[1::2].translate(high)
    return bytes(values)


def write_random_model(folder: Path) -> None:
    """A Qwen2 model with one layer, and tiny-chat's text side."""
    rows, hidden, inner = RANDOM_VALUES["rows"], RANDOM_VALUES["hidden"], 32
    config = json.loads((TINY_CHAT / "config.json").read_text())
    config.update(
        hidden_size=hidden, intermediate_size=inner, num_attention_heads=2, num_hidden_layers=1,
        num_key_value_heads=1, vocab_size=rows,
    )  # fmt: skip
    layer = "model.layers.0."
    shapes: Dict[str, List[Any]] = {
        "model.embed_tokens.weight": [rows, hidden],
        "model.norm.weight": [hidden],
        layer + "input_layernorm.weight": [hidden],
        layer + "post_attention_layernorm.weight": [hidden],
        layer + "mlp.gate_proj.weight": [inner, hidden],
        layer + "mlp.up_proj.weight": [inner, hidden],
        layer + "mlp.down_proj.weight": [hidden, inner],
        layer + "self_attn.o_proj.weight": [hidden, hidden],
    }
    for name, width in (("q", hidden), ("k", hidden // 2), ("v", hidden // 2)):
        shapes[f"{layer}self_attn.{name}_proj.weight"] = [width, hidden]
        shapes[f"{layer}self_attn.{name}_proj.bias"] = [width]
    rng, header, data = random.Random(1), {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        is_norm = len(shape) == 1 and "norm" in name
        values = struct.pack("<H", 0x3F80) * count if is_norm else random_bf16(rng, count)
        offsets = [len(data), len(data) + len(values)]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": offsets}
        data += values
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY_CHAT / name, folder)


def sentencepiece_model() -> bytes:
    """A ModelProto (sentencepiece_model.proto) for BPE with the characters of ASCII."""
    unknown, control, user_defined, normal = 2, 3, 4, 1
    pieces: List[Tuple[str, float, int]] = [
        ("<unk>", 0, unknown), ("<s>", 0, control), ("</s>", 0, control),
        ("<用户>", 0, user_defined), ("<AI>", 0, user_defined), ("\u2581", -1, normal),
    ]  # fmt: skip
    pieces += [(chr(code), -2, normal) for code in (10, *range(33, 127))]
    model = b""
    for text, score, kind in pieces:
        spelled = text.encode()
        piece = bytes([0x0A, len(spelled)]) + spelled
        piece += b"\x15" + struct.pack("<f", score) + bytes([0x18, kind])
        model += bytes([0x0A, len(piece)]) + piece
    return model + bytes([0x12, 2, 0x18, 2])  # trainer_spec, model_type BPE


def setUpModule() -> None:
    global base
    folder = tempfile.TemporaryDirectory(prefix="run_scripts_")
    unittest.addModuleCleanup(folder.cleanup)
    base = Path(folder.name)
    write_random_model(base / "random")
    for source, name in ((TINY_CHAT, CHAT), (base / "random", RANDOM)):
        made = run_program("make_sim_model", str(source), str(base), "--name", name)
        assert made.returncode == 0, made.stderr
    # As AXERA's repositories have them: the tokenizer in a folder beside the graphs'.
    (base / CHAT / "tokenizer").rename(base / "tinychat_tokenizer")
    (base / CHAT / f"mode_{CHAT}.json").unlink()
    (base / "tokenizer.model").write_bytes(sentencepiece_model())
    shutil.copy(TEXT_DATA / "small.tiktoken", base / "qwen.tiktoken")


class RunScripts(unittest.TestCase):
    def run_script(
        self, values: Dict[str, Any], *arguments: str, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a script in `base` that passes its arguments on, or `more` of `values`."""
        run = f"{program('llm_llm')} run --ax-lib-dir {BUILD / 'ax_sim'}"
        script = base / "run.sh"
        script.write_text(SCRIPT.format(**{"more": '"$@"', "live": 1, **values, "run": run}))
        return subprocess.run(
            ["sh", str(script), *arguments], cwd=base, input=stdin, capture_output=True,
            encoding="utf-8", timeout=DEADLINE, env=clean_environment(),
        )  # fmt: skip

    def answer(self, values: Dict[str, Any], *arguments: str, stdin: str = "") -> str:
        done = self.run_script(values, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refusal(self, values: Dict[str, Any], *arguments: str) -> str:
        done = self.run_script({**CHAT_VALUES, **values}, *arguments)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def write_post_config(self, name: str, **settings: Any) -> None:
        (base / name).write_text(json.dumps(settings))
        self.addCleanup((base / name).unlink)


class Chats(RunScripts):
    def test_one_answer(self) -> None:
        values = {**CHAT_VALUES, "more": '--prompt "$1" --greedy'}
        text = self.answer(values, PROMPT)
        self.assertIn("Tokyo", text)
        late = {**values, "live": 0, "more": '-p "$1" --greedy'}
        self.assertEqual(self.answer(late, PROMPT), text)

    def test_a_chat_through_a_pipe_until_q(self) -> None:
        """What the script asks comes first, and what was said is remembered."""
        values = {**CHAT_VALUES, "more": '--continue 1 --prompt "$1" --greedy'}
        first = self.answer(values, NAME, stdin=f"{ASK_NAME}\n\n{PROMPT}\nq\n{PROMPT}\n")
        lines = first.splitlines()
        self.assertEqual(len(lines), 3, first)
        self.assertIn("Anna", lines[1])
        self.assertIn("Tokyo", lines[2])
        without_prompt = self.answer(values, "", stdin=f"{NAME}\n{ASK_NAME}\n{PROMPT}\n")
        self.assertEqual(without_prompt, first)

    def test_the_system_prompt(self) -> None:
        asked = ("--greedy", "--prompt", "Hello!")
        system = ("--system_prompt", "Talk like a pirate.")
        expected = run_program("llm_llm", "run", str(TINY_CHAT), *asked, "--system", system[1])
        text = self.answer(CHAT_VALUES, *asked, *system)
        self.assertEqual(text, expected.stdout)
        self.assertNotEqual(text, self.answer(CHAT_VALUES, *asked))

    def test_samplers_of_the_post_config(self) -> None:
        greedy = {"enable_top_k_sampling": False, "enable_top_p_sampling": False}
        wild = {
            "enable_temperature": True,
            "temperature": 50,
            "enable_top_k_sampling": True,
            "top_k": 1500,
        }
        asked = ("--prompt", PROMPT, "--seed", "1", "--max-new-tokens", "8")
        expected = self.answer(CHAT_VALUES, *asked, "--greedy")
        self.write_post_config("other.json", **greedy)
        self.write_post_config("post_config.json", **wild)
        self.assertNotEqual(self.answer(CHAT_VALUES, *asked), expected)
        named = ("--post_config_path", "other.json")
        self.assertEqual(self.answer(CHAT_VALUES, *asked, *named), expected)


class Tokenizers(RunScripts):
    def stackflow_answer(self, kind: int, tokenizer: str, arguments: Sequence[str]) -> str:
        """What the same files answer as a StackFlow model."""
        mode = base / RANDOM / f"mode_{RANDOM}.json"
        described = json.loads(mode.read_text())
        described["mode_param"].update(
            tokenizer_type=kind, filename_tokenizer_model=tokenizer, b_bos=kind in (0, 3, 4)
        )
        mode.write_text(json.dumps(described))
        shutil.copy(base / tokenizer, base / RANDOM)
        done = run_program(
            "llm_llm", "run", RANDOM, "--models", str(base), "--ax-lib-dir", str(BUILD / "ax_sim"),
            *arguments,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_each_file_type_answers_like_the_same_stackflow_model(self) -> None:
        asked = ("--greedy", "--print-ids", "--max-new-tokens", "6", "--prompt", "Hello you")
        answers = set()
        for kind, file in ((0, "tokenizer.model"), (1, "qwen.tiktoken"), (3, "tokenizer.model"),
                           (4, "tokenizer.model")):  # fmt: skip
            with self.subTest(kind):
                values = {**RANDOM_VALUES, "type": kind, "tokenizer": file}
                ids = self.answer(values, *asked)
                self.assertRegex(ids, r"^\d+(,\d+)*\n$")
                self.assertEqual(ids, self.stackflow_answer(kind, file, asked))
                answers.add(ids)
        self.assertEqual(len(answers), 4)  # the prompts were four different ones

    def test_type_2_is_a_folder_its_tokenizer_or_a_service_with_one_beside_it(self) -> None:
        for name in ("tinychat_tokenizer", "./tinychat_tokenizer/tokenizer.json",
                     str(base / "tinychat_tokenizer"), "http://localhost:1"):  # fmt: skip
            with self.subTest(name):
                values = {**CHAT_VALUES, "tokenizer": name}
                self.assertIn("Tokyo", self.answer(values, "--greedy", "--prompt", PROMPT))

    def test_sentencepiece_begins_with_bos_unless_told_otherwise(self) -> None:
        values = {**RANDOM_VALUES, "type": 0, "tokenizer": "tokenizer.model"}
        asked = ("--greedy", "--max-new-tokens", "1", "--prompt", "Hello you")
        tokens = []
        for bos in ("", "--bos 1 ", "--bos 0 "):
            told = self.run_script({**values, "bos": bos}, *asked).stderr
            tokens.append(int(re.findall(r"prompt_tokens=(\d+)", told)[0]))
        self.assertEqual(tokens, [tokens[2] + 1, tokens[2] + 1, tokens[2]])


class Refusals(RunScripts):
    def test_files_and_sizes_that_are_wrong(self) -> None:
        ask = ("--prompt", PROMPT)
        wrong: List[Tuple[Dict[str, Any], str]] = [
            ({"layers": 7}, "--template_filename_axmodel: there is no file"),
            ({"rows": 1537}, "tokens_embed_num 1537"),
            ({"tokenizer": "nowhere"}, '--filename_tokenizer_model is "nowhere"'),
            ({"type": 0, "tokenizer": "nowhere"}, "--filename_tokenizer_model: there is no file"),
        ]
        for values, says in wrong:
            with self.subTest(says):
                self.assertIn(says, self.refusal(values, *ask))
        said = self.refusal({}, *ask, "--post_config_path", "nowhere.json")
        self.assertIn('--post_config_path: there is no file "nowhere.json"', said)
        self.assertIn("--engine is cpu", self.refusal({}, *ask, "--engine", "cpu"))

    def test_values_that_mean_something_else_here(self) -> None:
        for option, value in (
            ("--devices", "0,1"), ("--eos", "1"), ("--use_topk", "yes"),
            ("--live_print", "perhaps"), ("--tokenizer_type", "5"), ("--axmodel_num", "0"),
        ):  # fmt: skip
            with self.subTest(option):
                done = run_program(
                    "llm_llm", "run", "--template_filename_axmodel", "l%d", option, value
                )
                self.assertEqual(done.returncode, 2)
                self.assertIn(option, done.stderr)
        accepted = "--devices 0 --use_topk 0 --dynamic_load_axmodel_layer 1 --greedy"
        text = self.answer({**CHAT_VALUES, "more": accepted}, stdin=PROMPT)
        self.assertIn("Tokyo", text)

    def test_a_model_is_named_or_described(self) -> None:
        wrong: List[Tuple[List[str], str]] = [
            ([], "--template_filename_axmodel"),
            ([str(TINY_CHAT), "--axmodel_num", "3"], "--axmodel_num requires --template"),
            ([str(TINY_CHAT), "--template_filename_axmodel", "l%d"], "excludes"),
        ]
        for arguments, says in wrong:
            done = run_program("llm_llm", "run", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main()
