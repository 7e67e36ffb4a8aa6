#!/usr/bin/env python3
"""Makes a HuggingFace directory of a Qwen2, Qwen3 or Llama model with seeded random weights.

For tests and benchmarks: the shape is real, the text it generates is noise. Tensors are written
one after another, so that memory use stays at one tensor.

    tools/make_random_model.py /tmp/qwen2.5-0.5b --preset qwen2.5-0.5b
    tools/make_random_model.py /tmp/biased --family llama --config '{"attention_bias": true}'
    tools/make_random_model.py /tmp/tiny --hidden 24 --layers 2 --heads 4 --kv-heads 2 \\
        --intermediate 40 --vocab 300 --dtype f32 --shards 3
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Iterator

import numpy as np

FAMILIES = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}
# Family (qwen2 where not said), layers, hidden size, MLP size, heads, K/V heads, head size (hidden
# / heads where not said), vocabulary, tied, theta, positions, further keys of config.json.
PRESETS = {
    "tiny": dict(layers=2, hidden=64, intermediate=160, heads=4, kv_heads=2, vocab=512,
                 tied=True, rope_theta=10000.0, positions=512),
    "qwen2.5-0.5b": dict(layers=24, hidden=896, intermediate=4864, heads=14, kv_heads=2,
                         vocab=151936, tied=True, rope_theta=1000000.0, positions=32768),
    "qwen2.5-1.5b": dict(layers=28, hidden=1536, intermediate=8960, heads=12, kv_heads=2,
                         vocab=151936, tied=True, rope_theta=1000000.0, positions=32768),
    "qwen3-0.6b": dict(family="qwen3", layers=28, hidden=1024, intermediate=3072, heads=16,
                       kv_heads=8, head_dim=128, vocab=151936, tied=True, rope_theta=1000000.0,
                       positions=40960),
    "llama-3.2-1b": dict(family="llama", layers=16, hidden=2048, intermediate=8192, heads=32,
                         kv_heads=8, head_dim=64, vocab=128256, tied=True, rope_theta=500000.0,
                         positions=131072, config={"rms_norm_eps": 1e-5, "rope_scaling": {
                             "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}),
}
BYTES = {"bf16": 2, "f16": 2, "f32": 4}
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]
# Only the first values of a large tensor are drawn, then they repeat: drawing is what takes time.
# A prime, so that no two rows of a matrix are alike.
PIECE = 1_000_003


def to_bf16_bits(values: np.ndarray) -> np.ndarray:
    """Float32 to the bits of bf16, rounded to nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def encode(values: np.ndarray, dtype: str) -> bytes:
    """The little-endian bytes of float32 `values` in `dtype`."""
    if dtype == "bf16":
        return to_bf16_bits(values).astype("<u2").tobytes()
    return values.astype("<f2" if dtype == "f16" else "<f4").tobytes()


def tensor_list(args: argparse.Namespace) -> list[tuple[str, list[int], float, float]]:
    """Name, shape, mean and standard deviation of every tensor."""
    head_dim = args.head_dim or args.hidden // args.heads
    q, kv = args.heads * head_dim, args.kv_heads * head_dim
    h, m = args.hidden, args.intermediate
    attention_bias = args.config.get("attention_bias", False)
    qkv_bias = args.family == "qwen2" or attention_bias
    output_bias = args.family != "qwen2" and attention_bias

    def matrix(name: str, rows: int, columns: int) -> tuple[str, list[int], float, float]:
        return name, [rows, columns], 0.0, columns ** -0.5

    tensors = [("model.embed_tokens.weight", [args.vocab, h], 0.0, 0.5)]
    for i in range(args.layers):
        p = f"model.layers.{i}."
        tensors.append((p + "input_layernorm.weight", [h], 1.0, 0.1))
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            tensors.append(matrix(p + f"self_attn.{name}_proj.weight", rows, h))
            if qkv_bias:
                tensors.append((p + f"self_attn.{name}_proj.bias", [rows], 0.0, 0.5))
        if args.family == "qwen3":
            tensors += [(p + f"self_attn.{name}_norm.weight", [head_dim], 1.0, 0.3)
                        for name in "qk"]
        tensors.append(matrix(p + "self_attn.o_proj.weight", h, q))
        if output_bias:
            tensors.append((p + "self_attn.o_proj.bias", [h], 0.0, 0.5))
        tensors += [
            (p + "post_attention_layernorm.weight", [h], 1.0, 0.1),
            matrix(p + "mlp.gate_proj.weight", m, h),
            matrix(p + "mlp.up_proj.weight", m, h),
            matrix(p + "mlp.down_proj.weight", h, m),
        ]
    tensors.append(("model.norm.weight", [h], 1.0, 0.1))
    if not args.tied:
        tensors.append(matrix("lm_head.weight", args.vocab, h))
    return tensors


def pieces(count: int, mean: float, deviation: float, rng: np.random.Generator,
           dtype: str) -> Iterator[bytes]:
    """The bytes of one tensor, a piece at a time."""
    values = rng.standard_normal(min(PIECE, count), dtype=np.float32) * deviation + mean
    piece = encode(values.astype(np.float32), dtype)
    for begin in range(0, count, PIECE):
        yield piece[:(count - begin) * BYTES[dtype]]


def write_shard(path: Path, tensors: list[tuple[str, list[int], float, float]],
                rng: np.random.Generator, args: argparse.Namespace) -> int:
    """Writes one safetensors file; returns its tensor bytes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape, _, _ in tensors:
        end = offset + int(np.prod(shape)) * BYTES[args.dtype]
        header[name] = {"dtype": args.dtype.upper(), "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8 + args.misalign)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, shape, mean, deviation in tensors:
            for piece in pieces(int(np.prod(shape)), mean, deviation, rng, args.dtype):
                file.write(piece)
    return offset


def write_weights(directory: Path, args: argparse.Namespace) -> None:
    """model.safetensors, or shards of about equal numbers of tensors with their index."""
    rng = np.random.default_rng(args.seed)
    tensors = tensor_list(args)
    if args.shards == 1:
        write_shard(directory / "model.safetensors", tensors, rng, args)
        return
    weight_map: dict[str, str] = {}
    total = 0
    for i in range(args.shards):
        name = f"model-{i + 1:05d}-of-{args.shards:05d}.safetensors"
        part = tensors[len(tensors) * i // args.shards:len(tensors) * (i + 1) // args.shards]
        total += write_shard(directory / name, part, rng, args)
        weight_map.update({tensor[0]: name for tensor in part})
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def write_config(directory: Path, args: argparse.Namespace) -> None:
    config = {
        "architectures": [FAMILIES[args.family]], "model_type": args.family, "hidden_act": "silu",
        "hidden_size": args.hidden, "intermediate_size": args.intermediate,
        "num_hidden_layers": args.layers, "num_attention_heads": args.heads,
        "num_key_value_heads": args.kv_heads, "vocab_size": args.vocab,
        "max_position_embeddings": args.positions, "rms_norm_eps": 1e-6,
        "rope_theta": args.rope_theta, "tie_word_embeddings": args.tied,
        "use_sliding_window": False,
        "torch_dtype": {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}[args.dtype],
    }
    if args.head_dim or args.family == "qwen3":  # whose default is not hidden / heads but 128
        config["head_dim"] = args.head_dim or args.hidden // args.heads
    config.update(args.config)
    (directory / "config.json").write_text(json.dumps(config, indent=2))


def byte_letters() -> list[str]:
    """The printable character that byte-level BPE writes for each byte (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len(letters) - len(plain)))
    return [letters[byte] for byte in range(256)]


def write_byte_tokenizer(directory: Path, vocab: int) -> None:
    """A tokenizer.json without merges: every byte is a token, then the special tokens."""
    if vocab < 256 + len(SPECIAL_TOKENS):
        print(f"note: no tokenizer is written, a vocabulary of {vocab} cannot hold 256 bytes and "
              f"{len(SPECIAL_TOKENS)} special tokens", file=sys.stderr)
        return
    added = [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": True}
             for i, text in enumerate(SPECIAL_TOKENS)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                  "use_regex": False}
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
               r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
             "invert": False}, byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": {letter: i for i, letter in enumerate(byte_letters())}, "merges": []},
    }
    template = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1))
    (directory / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "chat_template": template}, indent=2))
    (directory / "generation_config.json").write_text(json.dumps({
        "eos_token_id": [256 + SPECIAL_TOKENS.index("<|im_end|>"), 256]}, indent=2))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="folder to make")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="tiny",
                        help="shape to start from (default: tiny)")
    parser.add_argument("--family", choices=sorted(FAMILIES))
    for name in ("layers", "hidden", "intermediate", "heads", "kv-heads", "vocab", "positions"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--head-dim", type=int, help="default: hidden / heads")
    parser.add_argument("--rope-theta", type=float)
    parser.add_argument("--tied", action=argparse.BooleanOptionalAction,
                        help="output matrix = embeddings")
    parser.add_argument("--config", type=json.loads, default={}, metavar="JSON",
                        help="further keys for config.json, an object")
    parser.add_argument("--dtype", choices=sorted(BYTES), default="bf16")
    parser.add_argument("--shards", type=int, default=1, help="number of safetensors files")
    parser.add_argument("--misalign", type=int, default=0, metavar="BYTES",
                        help="lengthen the header, so that tensors begin at odd addresses")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", type=Path, metavar="DIR",
                        help="copy tokenizer.json and its companions from here "
                             "(default: bytes as tokens)")
    args = parser.parse_args(arguments)
    preset = {"family": "qwen2", "config": {}, **PRESETS[args.preset]}
    args.config = {**preset.pop("config"), **args.config}
    for name, value in preset.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def main(arguments: list[str] | None = None) -> int:
    args = parse_arguments(arguments)
    args.directory.mkdir(parents=True, exist_ok=True)
    write_config(args.directory, args)
    write_weights(args.directory, args)
    if args.tokenizer:
        for name in TOKENIZER_FILES:
            if (args.tokenizer / name).exists():
                shutil.copy(args.tokenizer / name, args.directory / name)
    else:
        write_byte_tokenizer(args.directory, args.vocab)
    return 0


if __name__ == "__main__":
    sys.exit(main())
