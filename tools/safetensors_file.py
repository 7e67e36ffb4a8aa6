"""Reads a tensor from a safetensors file, standard library only."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import List

from stackflow_client import unpack_bf16


def read_tensor(path: Path, name: str = "prompt_embeddings") -> List[List[float]]:
    """The rows of a BF16 or F32 tensor [rows, columns]. Raises ValueError for anything else."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    entry = json.loads(data[8 : 8 + length])[name]
    first, last = (8 + length + offset for offset in entry["data_offsets"])
    if entry["dtype"] == "BF16":
        values = unpack_bf16(data[first:last])
    elif entry["dtype"] == "F32":
        values = [value for (value,) in struct.iter_unpack("<f", data[first:last])]
    else:
        raise ValueError(f"{path}: {name} is {entry['dtype']}, expected BF16 or F32")
    rows, columns = entry["shape"]
    return [values[row * columns : (row + 1) * columns] for row in range(rows)]
