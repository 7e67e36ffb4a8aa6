"""Model folders that are damaged or cannot be served: refused with what is wrong."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Any, List

from harness import BUILD, Client, ProtocolTest
from stackflow_client import GREEDY

PROGRAM = "llm_llm"
MODEL = "tiny-chat"
PROMPT = "What is the capital of Japan?"


class BrokenModels(ProtocolTest):
    """Model folders that are damaged: -5 with what is wrong, and the server goes on."""

    @staticmethod
    def copy_model(target: Path) -> None:
        target.mkdir(parents=True)
        for file in (BUILD / "models" / MODEL).iterdir():
            shutil.copy(file, target / file.name)

    def check_refused(self, client: Client, folder: Path, *says: str) -> None:
        with self.subTest(folder.name):
            data = {"model": folder.name}
            reply = client.ask("llm", "setup", object="llm.setup", data=data)
            self.check_plain_error(reply, -5, "llm")
            for text in says:
                self.assertIn(text, reply["error"]["message"])

    def test_damaged_folders(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            client = self.connect(self.serve({}, "--models", root, name=PROGRAM))
            folders = self.make_damaged_folders(Path(root))
            for folder in folders:
                self.check_refused(client, folder, *folders_say(folder.name))
            self.copy_model(Path(root) / "good")
            task = client.setup("good", **GREEDY)
            self.assertIn("Tokyo", client.infer(task, PROMPT).text)

    def make_damaged_folders(self, root: Path) -> List[Path]:
        def folder(name: str) -> Path:
            self.copy_model(root / name)
            return root / name

        weights = (BUILD / "models" / MODEL / "model.safetensors").read_bytes()
        header_bytes = struct.unpack("<Q", weights[:8])[0]
        header = json.loads(weights[8 : 8 + header_bytes])
        tensors = weights[8 + header_bytes :]

        def with_header(changed: Any) -> bytes:
            text = json.dumps(changed).encode()
            return struct.pack("<Q", len(text)) + text + tensors

        name = next(key for key in header if key != "__metadata__")
        outside = json.loads(json.dumps(header))
        outside[name]["data_offsets"][1] += 1 << 40
        backwards = json.loads(json.dumps(header))
        backwards[name]["data_offsets"] = backwards[name]["data_offsets"][::-1]
        shape = json.loads(json.dumps(header))
        shape[name]["shape"] = [size + 1 for size in shape[name]["shape"]]
        missing = {key: value for key, value in header.items() if key != name}
        contents = {
            "truncated": weights[: len(weights) // 2],
            "header_cut": weights[:100],
            "empty": b"",
            "seven": b"1234567",
            "huge_header": struct.pack("<Q", 1 << 60) + weights[8:],
            "header_not_json": struct.pack("<Q", 40) + b"{" * 40 + tensors,
            "outside": with_header(outside),
            "backwards": with_header(backwards),
            "shape": with_header(shape),
            "missing_tensor": with_header(missing),
            "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:"
            + b"0" * 64 + b"\nsize 988097824\n",
        }  # fmt: skip
        folders = []
        for label, content in contents.items():
            folders.append(folder(label))
            (folders[-1] / "model.safetensors").write_bytes(content)
        for label, file in (
            ("no_weights", "model.safetensors"), ("no_tokenizer", "tokenizer.json"),
            ("no_config", "config.json"),
        ):  # fmt: skip
            folders.append(folder(label))
            (folders[-1] / file).unlink()
        for label, file, content in (
            ("config_not_json", "config.json", b"{"), ("config_list", "config.json", b"[]"),
            ("config_other", "config.json", b'{"model_type":"mamba"}'),
            ("tokenizer_not_json", "tokenizer.json", b"{"),
            ("tokenizer_empty", "tokenizer.json", b"{}"),
        ):  # fmt: skip
            folders.append(folder(label))
            (folders[-1] / file).write_bytes(content)
        (root / "bare").mkdir()
        return folders + [root / "bare"]

    def test_engines_that_cannot_be_had(self) -> None:
        for engine, says in (("ax", "no mode json names axmodels"), ("axcl", "not built")):
            with self.subTest(engine):
                client = self.connect(self.serve({}, "--engine", engine, name=PROGRAM))
                data = {"model": MODEL}
                reply = client.ask("llm", "setup", object="llm.setup", data=data)
                self.check_plain_error(reply, -5, "llm", says)


def folders_say(label: str) -> List[str]:
    """Parts of the message for a damaged folder: the file, what kind of damage."""
    if label == "lfs":
        return ["model.safetensors", "LFS"]
    if label.startswith("config"):
        return ["config.json"]
    if label.startswith("tokenizer") or label == "no_tokenizer":
        return ["tokenizer.json"]
    if label in ("no_config", "bare"):
        return [label]
    if label == "missing_tensor":
        return ["tensor", "missing"]
    return ["safetensors"]


if __name__ == "__main__":
    unittest.main()
