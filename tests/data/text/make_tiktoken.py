#!/usr/bin/env python3
"""Makes small.tiktoken and tiktoken.ids.json: a file as Qwen's first models have it, and tiktoken's ids.

    python3 tests/data/text/make_tiktoken.py

Needs node, and npm with a registry, from which it takes OpenAI's tokenizer (tiktoken, MIT) into a folder that it
removes again. Nothing of it runs in the tests. The result is the same each time.

  small.tiktoken      the vocabulary of qwen2.tokenizer.json, with gaps: some tokens come of no merge of others, so
                      that they are found only as whole pieces
  tiktoken.ids.json   {"tokens": ids of each text of lines.json,
                       "ordinary": by index, where they differ with special tokens as ordinary text}
"""

import base64
import json
import subprocess
import tempfile
import unicodedata
from pathlib import Path
from typing import Any, Dict

HERE = Path(__file__).resolve().parent
TIKTOKEN = "tiktoken@1.0.22"

# Of Qwen's tokenization_qwen.py.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]

ENCODE = """
import fs from "fs";
import { Tiktoken } from "tiktoken";
const { ranks, special, pattern, lines } = JSON.parse(fs.readFileSync("input.json", "utf8"));
const tiktoken = new Tiktoken(ranks, special, pattern);
console.log(JSON.stringify({
  tokens: lines.map((line) => Array.from(tiktoken.encode(line, "all", []))),
  ordinary: lines.map((line) => Array.from(tiktoken.encode_ordinary(line))),
}));
"""


def byte_alphabet() -> Dict[str, int]:
    """GPT-2's characters for bytes."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{chr(byte): byte for byte in shown}, **{chr(256 + i): byte for i, byte in enumerate(hidden)}}


def read_json(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    """Writes both files."""
    alphabet = byte_alphabet()
    vocabulary = read_json("qwen2.tokenizer.json")["model"]["vocab"]
    tokens = {rank: base64.b64encode(bytes(alphabet[symbol] for symbol in symbols)).decode()
              for symbols, rank in vocabulary.items() if rank < 300 or rank % 3}
    (HERE / "small.tiktoken").write_text("".join(f"{token} {rank}\n" for rank, token in sorted(tokens.items())))
    # The form in which the package takes ranks: "! FIRST TOKEN TOKEN …" for ranks in a row.
    ranks = "\n".join(f"! {rank} {token}" for rank, token in sorted(tokens.items()))
    special = {text: max(tokens) + 1 + i for i, text in enumerate(SPECIAL)}
    lines = [unicodedata.normalize("NFC", line) for line in read_json("lines.json")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", TIKTOKEN],
                       cwd=folder, check=True)
        (folder / "encode.mjs").write_text(ENCODE)
        (folder / "input.json").write_text(
            json.dumps({"ranks": ranks, "special": special, "pattern": PATTERN, "lines": lines}))
        output = subprocess.run(["node", "encode.mjs"], cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    ids = json.loads(output)
    ordinary = {i: row for i, row in enumerate(ids["ordinary"]) if row != ids["tokens"][i]}
    (HERE / "tiktoken.ids.json").write_text(
        '{"tokens":[\n' + ",\n".join(map(compact, ids["tokens"])) + '\n],\n"ordinary":' + compact(ordinary) + "}\n")


if __name__ == "__main__":
    main()
