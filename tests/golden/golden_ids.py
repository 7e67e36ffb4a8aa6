"""The committed data of this folder: lines.json and NAME.ids.json.

NAME.ids.json is {"special": ids, "ordinary": ids}, one list of ids for each line of text: what
HuggingFace's tokenizer gives, and what it gives with the special tokens left out of its
tokenizer.json. The second holds null where both are the same. With "as": OTHER, both hold null
also where OTHER's are the same.
"""

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
# Nearly the same vocabulary.
SAME_AS = {"qwen2_5": "qwen3"}

Ids = List[List[int]]


class Golden(NamedTuple):
    """For each line."""

    special: Ids
    ordinary: Ids


def classes() -> Dict[str, List[str]]:
    """The lines of each class of text."""
    return json.loads((HERE / "lines.json").read_text(encoding="utf-8"))


def all_lines() -> List[str]:
    """One class after the other."""
    return [line for lines in classes().values() for line in lines]


def read(name: str) -> Golden:
    """The golden ids of a vocabulary."""
    file = json.loads(_path(name).read_text())
    base: Optional[Golden] = read(file["as"]) if "as" in file else None
    special = _filled(file["special"], base.special if base else None)
    return Golden(special, _filled(file["ordinary"], base.ordinary if base else special))


def write(name: str, special: Ids, ordinary: Ids) -> None:
    """Writes NAME.ids.json. REQUIRES: that of SAME_AS[name] is written."""
    base: Optional[Golden] = read(SAME_AS[name]) if name in SAME_AS else None
    parts = [f'"as":"{SAME_AS[name]}"'] if base else []
    for key, ids, same in (("special", special, base.special if base else None),
                           ("ordinary", ordinary, base.ordinary if base else special)):
        rows = [None if same and row == same[line] else row for line, row in enumerate(ids)]
        parts.append(f'"{key}":[\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")
    _path(name).write_text("{\n" + ",\n".join(parts) + "\n}\n")


def _path(name: str) -> Path:
    return HERE / f"{name}.ids.json"


def _filled(rows: List[Optional[List[int]]], same: Optional[Ids]) -> Ids:
    return [same[line] if row is None else row for line, row in enumerate(rows)]
