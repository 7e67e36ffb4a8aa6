"""`package` on folders as people have them, `list`, and `inspect` of what is broken.

The graphs are tiny-chat's for the simulated NPU (tests/ax_sim/README.md).
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

from harness import BUILD, ProtocolTest, Server, run_program
from stackflow_client import GREEDY

PROGRAM = "llm_llm"
TINY_CHAT = BUILD / "models" / "tiny-chat"
LIBRARIES = BUILD / "ax_sim"
PROMPT = "What is the capital of Japan?"
TABLE = "model.embed_tokens.weight"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 919016\n"
ROWS, HIDDEN = 1536, 192

compiled = Path()  # what pulsar2 leaves: graphs and embeddings


def setUpModule() -> None:
    global compiled
    folder = tempfile.TemporaryDirectory(prefix="package_")
    unittest.addModuleCleanup(folder.cleanup)
    made = run_program("make_sim_model", str(TINY_CHAT), folder.name, "--name", "compiled")
    assert made.returncode == 0, made.stderr
    compiled = Path(folder.name) / "compiled"
    shutil.rmtree(compiled / "tokenizer")
    (compiled / "mode_compiled.json").unlink()


def layer(number: int) -> str:
    return f"qwen2_p128_l{number}_together.axmodel"


class PackageTest(ProtocolTest):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="package_")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def run_command(self, *arguments: Any) -> "subprocess.CompletedProcess[str]":
        return run_program(PROGRAM, *map(str, arguments))

    def package(self, folder: Path, *options: Any, name: str = "m") -> str:
        """Does it, which must succeed; returns what was said."""
        done = self.run_command("package", folder, "--name", name, "--write", *options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def refused(self, folder: Path, *options: Any) -> str:
        done = self.run_command("package", folder, "--name", "m", "--write", *options)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertFalse((folder.parent / "m").exists())
        return done.stdout

    def check_answers(self, model: str = "m") -> None:
        """The simulated NPU runs the model."""
        answered = self.run_command(
            "run", model, "--models", self.root, "--greedy", "--prompt", PROMPT, "--engine", "ax",
            "--ax-lib-dir", LIBRARIES,
        )  # fmt: skip
        self.assertIn("Tokyo", answered.stdout, answered.stderr)

    def copy_compiled(self, name: str) -> Path:
        return Path(shutil.copytree(compiled, self.root / name))

    def copy_tokenizer(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names or ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            shutil.copy(TINY_CHAT / name, folder)


class Layouts(PackageTest):
    def test_what_pulsar2_leaves_with_the_original_models_tokenizer(self) -> None:
        built = self.copy_compiled("built")
        before = sorted(built.iterdir())
        self.package(built, "--tokenizer", TINY_CHAT)
        self.assertEqual(sorted(built.iterdir()), before)
        self.assertTrue((self.root / "m" / layer(0)).is_symlink())
        self.assertFalse((self.root / "m" / "tokenizer" / "model.safetensors").exists())
        self.check_answers()
        mode = json.loads((self.root / "m" / "mode_m.json").read_text())
        self.assertEqual((mode["mode"], mode["type"]), ("m", "llm"))
        param = mode["mode_param"]
        self.assertEqual(param["axmodel_num"], 6)
        self.assertEqual((param["tokens_embed_num"], param["tokens_embed_size"]), (ROWS, HIDDEN))
        self.assertEqual(param["filename_tokenizer_model"], "http://localhost:8080")

    def test_embeddings_that_must_be_converted(self) -> None:
        values = (compiled / f"{TABLE}.bfloat16.bin").read_bytes()
        # Every bf16 value is the upper half of a float32.
        floats = b"".join(b"\0\0" + values[i : i + 2] for i in range(0, len(values), 2))
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {HIDDEN}), }}"
        array = b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + f"{header:117}\n".encode() + floats
        for ending, content in (("float32.bin", floats), ("npy", array)):
            with self.subTest(ending):
                name = ending.replace(".", "_")
                built = self.copy_compiled(f"built_{name}")
                (built / f"{TABLE}.bfloat16.bin").unlink()
                (built / f"{TABLE}.{ending}").write_bytes(content)
                self.package(built, "--tokenizer", TINY_CHAT, name=name)
                made = self.root / name / f"{TABLE}.bfloat16.bin"
                self.assertEqual(made.read_bytes(), values)
                self.check_answers(name)

    def make_clone(self) -> Path:
        """As AXERA's repositories on HuggingFace are laid out."""
        clone = self.root / "clone"
        self.copy_compiled("clone/tiny-chat-ax630c")
        self.copy_tokenizer(clone / "tiny-chat_tokenizer")
        (clone / "config.json").write_text("{}")
        (clone / "post_config.json").write_text(
            '{"enable_temperature": true, "temperature": 0.5, "enable_top_k_sampling": true, "top_k": 3}'
        )
        (clone / "run_tiny_chat_ax630c.sh").write_text(
            "./main_prefill \\\n"
            '--template_filename_axmodel "tiny-chat-ax630c/qwen2_p128_l%d_together.axmodel" \\\n'
            "--axmodel_num 6 --tokenizer_type 2 \\\n"
            f"--tokens_embed_num {ROWS} --tokens_embed_size {HIDDEN} --prompt \"$1\"\n"
        )
        return clone

    def test_a_clone_from_huggingface(self) -> None:
        self.package(self.make_clone())
        self.check_answers()
        param = json.loads((self.root / "m" / "mode_m.json").read_text())["mode_param"]
        self.assertEqual((param["temperature"], param["top_k"]), (0.5, 3))

    def test_a_clone_without_git_lfs(self) -> None:
        clone = self.make_clone()
        graphs = clone / "tiny-chat-ax630c"
        for file in [*graphs.iterdir(), clone / "tiny-chat_tokenizer" / "tokenizer.json"]:
            file.write_text(POINTER)
        said = self.refused(clone)
        self.assertIn("6 of 6 layers are Git LFS pointers", said)
        self.assertIn("git lfs pull", said)
        for name in (f"{TABLE}.bfloat16.bin", "qwen2_post.axmodel", "tokenizer.json"):
            self.assertIn(f"{name}: is a Git LFS pointer", said)

    def test_m5stacks_folders_are_described_already(self) -> None:
        model = self.copy_compiled("m")
        self.copy_tokenizer(model / "tokenizer")
        self.package(model, "--hidden", HIDDEN)
        described = self.root / "models" / "mode_m.json"
        described.parent.mkdir()
        (model / "mode_m.json").rename(described)
        done = self.run_command("package", model, "--name", "m", "--write")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(str(described), done.stdout)
        self.check_answers()
        # Under a name of one's own; the sizes are those that M5Stack's description tells.
        self.package(model, name="own")
        self.check_answers("own")

    def test_a_half_copied_folder(self) -> None:
        built = self.copy_compiled("built")
        (built / layer(2)).unlink()
        (built / layer(5)).unlink()
        (built / "qwen2_post.axmodel").write_bytes(b"")
        with open(built / f"{TABLE}.bfloat16.bin", "r+b") as file:
            file.truncate(1000)
        said = self.refused(built, "--tokenizer", TINY_CHAT)
        for part in (
            f"2 of 6 layers missing: {layer(2)}, {layer(5)}", "qwen2_post.axmodel: has less than",
            f"500 values, expected {ROWS} rows of {HIDDEN}",
        ):  # fmt: skip
            self.assertIn(part, said)

    def test_without_write_nothing_is_changed(self) -> None:
        built = self.copy_compiled("built")
        told = self.run_command("package", built, "--name", "m", "--tokenizer", TINY_CHAT)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("Nothing was changed", told.stdout)
        self.assertIn('"axmodel_num": 6', told.stdout)
        self.assertEqual([path.name for path in self.root.iterdir()], ["built"])

    def test_mistakes(self) -> None:
        for arguments, says in (
            ((self.root / "nowhere", "--name", "m"), "is not a folder"),
            ((self.root, "--name", "../m"), "expected letters"),
            ((self.root,), "--name"),
        ):
            done = self.run_command("package", *arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)


class Listing(PackageTest):
    def make_models(self) -> None:
        """A good one for each engine, broken ones, another unit's, and what is no model."""
        built = self.copy_compiled("built")
        self.package(built, "--tokenizer", TINY_CHAT, "--copy", name="good")
        for name in ("half", "pointers", "twice"):
            self.package(built, "--tokenizer", TINY_CHAT, "--copy", name=name)
        (self.root / "half" / layer(3)).unlink()
        (self.root / "half" / f"{TABLE}.bfloat16.bin").write_bytes(bytes(100))
        for number in range(6):
            (self.root / "pointers" / layer(number)).write_text(POINTER)
        (self.root / "twice" / "mode_twice.json").write_text('{"mode_param":{"top_k":"many"}}')
        shutil.copytree(TINY_CHAT, self.root / "unread")
        (self.root / "unread" / "mode_unread.json").write_text(POINTER)
        shutil.copytree(TINY_CHAT, self.root / "cpu")
        shutil.copytree(TINY_CHAT, self.root / "cpu-half")
        (self.root / "cpu-half" / "tokenizer.json").unlink()
        (self.root / "ear").mkdir()
        (self.root / "ear" / "mode_ear.json").write_text('{"mode":"ear","type":"asr","mode_param":{"top_k":"x"}}')
        (self.root / "notes").mkdir()

    BROKEN = {
        "built": ["no mode json", "llm_llm package"],
        "cpu-half": ["tokenizer.json: is missing"],
        "half": [f"1 of 6 layers missing: {layer(3)}", "has 100 bytes, expected 589824"],
        "pointers": ["6 of 6 layers are Git LFS pointers"],
        "unread": ["mode_unread.json: is a Git LFS pointer"],
        "twice": ['mode_twice.json: "top_k" is "many", expected an integer'],
    }

    def test_list_and_inspect_and_lsmode(self) -> None:
        self.make_models()
        listed = self.run_command("list", "--models", self.root, "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        models: Dict[str, Any] = {model["name"]: model for model in json.loads(listed.stdout)}
        self.assertEqual({*models}, {*self.BROKEN, "good", "cpu", "ear"})
        self.assertEqual(models["ear"]["type"], "asr")
        self.assertEqual((models["good"]["engine"], models["cpu"]["engine"]), ("ax", "cpu"))
        self.assertEqual(models["cpu"]["context_length"], 2048)
        weights = sum(file.stat().st_size for file in compiled.glob("*.axmodel"))
        self.assertEqual(models["good"]["weights_bytes"], weights)
        text = self.run_command("list", "--models", self.root).stdout
        for name in ("good", "cpu", "ear"):
            self.assertEqual(models[name]["problems"], [])
            self.assertIn(name, text)
        for name, parts in self.BROKEN.items():
            with self.subTest(name):
                self.check_broken(models[name]["problems"], parts, text)
                self.check_inspected(name, parts)
        self.check_lsmode()

    def check_broken(self, problems: List[str], parts: List[str], text: str) -> None:
        said = "\n".join(problems)
        for part in parts:
            self.assertIn(part, said)
        for problem in problems:
            self.assertIn(f"broken: {problem}\n", text)

    def check_inspected(self, name: str, parts: List[str]) -> None:
        shown = self.run_command("inspect", self.root / name)
        self.assertEqual((shown.returncode, shown.stdout), (1, ""))
        for part in parts:
            self.assertIn(part, shown.stderr)

    def check_lsmode(self) -> None:
        """Broken models stay, with why in a key more; what no setup can name does not come in."""
        server = Server({}, "--models", str(self.root), name=PROGRAM)
        self.addCleanup(server.stop)
        client = self.connect(server)
        modes = {mode["mode"]: mode for mode in client.ask("sys", "lsmode")["data"]}
        self.assertEqual({*modes}, {"good", "cpu", "cpu-half", "half", "pointers", "twice", "unread", "ear"})
        for name, mode in modes.items():
            self.assertEqual("broken" in mode, name in self.BROKEN, mode)
            if mode["type"] == "llm":
                for key in ("capabilities", "input_type", "output_type"):
                    self.assertIsInstance(mode[key], list)
        self.assertIn("1 of 6 layers missing", modes["half"]["broken"])
        task = client.setup("cpu", **GREEDY)
        self.assertIn("Tokyo", client.infer(task, PROMPT).text)

    def test_inspect_of_a_good_one(self) -> None:
        self.package(self.copy_compiled("built"), "--tokenizer", TINY_CHAT)
        shown = self.run_command("inspect", "m", "--models", self.root, "--json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        facts = json.loads(shown.stdout)
        self.assertEqual((facts["num_layers"], facts["hidden_size"]), (6, HIDDEN))
        self.assertEqual(facts["template"], "chatml")

    def test_no_models(self) -> None:
        for options, text in (([], "MODEL"), (["--json"], "[]\n")):
            listed = self.run_command("list", "--models", self.root, *options)
            self.assertEqual(listed.returncode, 0)
            self.assertTrue(listed.stdout.startswith(text), listed.stdout)


if __name__ == "__main__":
    unittest.main()
