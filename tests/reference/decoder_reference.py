#!/usr/bin/env python3
"""Qwen2, Qwen3 and Llama in plain numpy float32, written from the published architectures, for
checking engines.

Reads the same HuggingFace directory as the engine and shares no code with it. Slow and simple:
all rows at once, full attention matrices, no cache. What an architecture has or has not (biases,
norms of queries and keys) is told by the tensors of the file, positions by config.json.

    tests/reference/decoder_reference.py MODEL_DIR --ids 1,2,3
prints the logits of the last position, one a line.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    """The nearest bf16 (ties to even), as float32."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of one file as float32."""
    data = path.read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            bits = np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)
            values = bits.view(np.float32)
        else:
            values = np.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[entry["dtype"]])
        tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    return tensors


def read_directory(directory: Path) -> dict[str, np.ndarray]:
    single = directory / "model.safetensors"
    if single.exists():
        return read_safetensors(single)
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    tensors: dict[str, np.ndarray] = {}
    for name in sorted(set(index["weight_map"].values())):
        tensors.update(read_safetensors(directory / name))
    return tensors


def inverse_frequencies(config: dict, head_dim: int) -> np.ndarray:
    """Radians by which each pair of a head turns from one position to the next, [head_dim / 2]."""
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    theta = rope.get("rope_theta") or config.get("rope_theta") or 10000.0
    frequencies = float(theta) ** (-np.arange(0, head_dim, 2) / head_dim)
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return frequencies
    if kind != "llama3":
        raise ValueError(f"rope_type {kind} is not known here")
    # Llama 3.1: short waves stay, long ones are stretched, those between are a mixture.
    wavelengths = 2 * np.pi / frequencies
    trained = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = (trained / wavelengths - low) / (high - low)
    mixed = (1 - smooth) * frequencies / rope["factor"] + smooth * frequencies
    return np.select([wavelengths < trained / high, wavelengths > trained / low],
                     [frequencies, frequencies / rope["factor"]], mixed)


class Decoder:
    """One model. `like_engine` rounds to bf16 where the engines store bf16: weight matrices and
    the K/V rows; without it everything is float32."""

    def __init__(self, directory: Path, like_engine: bool = False) -> None:
        self.config = json.loads((directory / "config.json").read_text())
        self.tensors = read_directory(directory)
        self.like_engine = like_engine
        if like_engine:
            for name, values in self.tensors.items():
                if values.ndim == 2:
                    self.tensors[name] = round_to_bf16(values)

    def embed(self, ids: list[int]) -> np.ndarray:
        return self.tensors["model.embed_tokens.weight"][np.array(ids, dtype=np.int64)]

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Logits [vocab] behind embedded rows [n, hidden]."""
        hidden = rows.astype(np.float32)
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            normed = self.norm(hidden, prefix + "input_layernorm.weight")
            hidden = hidden + self.attention(normed, prefix + "self_attn.")
            normed = self.norm(hidden, prefix + "post_attention_layernorm.weight")
            hidden = hidden + self.mlp(normed, prefix + "mlp.")
        last = self.norm(hidden[-1:], "model.norm.weight")
        tied = self.config.get("tie_word_embeddings", False)
        name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        return (last @ self.tensors[name].T)[0]

    def norm(self, x: np.ndarray, weight: str) -> np.ndarray:
        """RMS norm over the last axis."""
        variance = np.mean(np.square(x), axis=-1, keepdims=True, dtype=np.float32)
        return x / np.sqrt(variance + np.float32(self.config["rms_norm_eps"])) * self.tensors[weight]

    def project(self, x: np.ndarray, name: str) -> np.ndarray:
        y = x @ self.tensors[name + ".weight"].T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def heads(self, x: np.ndarray, count: int) -> np.ndarray:
        """[n, count * head_dim] to [count, n, head_dim]."""
        return x.reshape(x.shape[0], count, -1).transpose(1, 0, 2)

    def rotate(self, x: np.ndarray) -> np.ndarray:
        """Rotary positions 0..n-1 on [heads, n, head_dim]; the halves of a head are pairs."""
        half = x.shape[-1] // 2
        frequencies = inverse_frequencies(self.config, x.shape[-1])
        angles = np.outer(np.arange(x.shape[1]), frequencies)
        cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        low, high = x[..., :half], x[..., half:]
        return np.concatenate([low * cosine - high * sine, high * cosine + low * sine], axis=-1)

    def attention(self, x: np.ndarray, name: str) -> np.ndarray:
        heads = self.config["num_attention_heads"]
        kv_heads = self.config["num_key_value_heads"]
        query = self.heads(self.project(x, name + "q_proj"), heads)
        key = self.heads(self.project(x, name + "k_proj"), kv_heads)
        if name + "q_norm.weight" in self.tensors:  # Qwen3: each head by itself
            query = self.norm(query, name + "q_norm.weight")
            key = self.norm(key, name + "k_norm.weight")
        query, key = self.rotate(query), self.rotate(key)
        value = self.heads(self.project(x, name + "v_proj"), kv_heads)
        if self.like_engine:
            key, value = round_to_bf16(key), round_to_bf16(value)
        key = np.repeat(key, heads // kv_heads, axis=0)
        value = np.repeat(value, heads // kv_heads, axis=0)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(query.shape[-1]))
        future = np.triu(np.ones(scores.shape[-2:], dtype=bool), k=1)
        scores = np.where(future, np.float32(-np.inf), scores)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(x.shape[0], -1)
        return self.project(mixed, name + "o_proj")

    def mlp(self, x: np.ndarray, name: str) -> np.ndarray:
        gate = self.project(x, name + "gate_proj")
        gate = gate / (np.float32(1) + np.exp(-gate))
        return self.project(gate * self.project(x, name + "up_proj"), name + "down_proj")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="HuggingFace directory")
    parser.add_argument("--ids", required=True, help="token ids, comma-separated")
    parser.add_argument("--like-engine", action="store_true",
                        help="round weights and K/V rows to bf16, as the engines do")
    args = parser.parse_args()
    model = Decoder(args.model, args.like_engine)
    ids = [int(token) for token in args.ids.split(",")]
    for logit in model.logits(model.embed(ids)):
        print(repr(float(logit)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
