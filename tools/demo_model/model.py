"""The Qwen2 network in plain PyTorch (1.13 or later), and its HuggingFace files.

Parameter names are those of `Qwen2ForCausalLM`, so that `state_dict` is what `model.safetensors`
holds. Loading and saving need neither numpy nor the safetensors package.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Config:
    """Sizes of the network; counts are of values (hidden, intermediate), heads, layers or ids."""

    vocabulary: int
    hidden: int = 192
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    intermediate: int = 512
    context_length: int = 2048
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """Values per attention head."""
        return self.hidden // self.heads


class Cache:
    """Keys and values of the rows so far, per layer `[batch, kv_heads, rows, head_dim]`.

    Rows are rounded to bf16 as the engine's cache rounds them.
    """

    def __init__(self, layers: int) -> None:
        self.rows = 0
        self._blocks: List[Optional[Tuple[Tensor, Tensor]]] = [None] * layers

    def append(self, layer: int, keys: Tensor, values: Tensor) -> Tuple[Tensor, Tensor]:
        """Adds rows to `layer` and returns all of its rows."""
        keys, values = (block.bfloat16().to(block.dtype) for block in (keys, values))
        before = self._blocks[layer]
        if before is not None:
            keys, values = torch.cat((before[0], keys), 2), torch.cat((before[1], values), 2)
        self._blocks[layer] = (keys, values)
        return keys, values


class _Normalise(torch.autograd.Function):
    """Divides rows by their root mean square; half the work of what autograd would derive."""

    @staticmethod
    def forward(context, rows: Tensor, eps: float) -> Tensor:
        scale = torch.rsqrt((rows * rows).mean(-1, keepdim=True) + eps)
        normed = rows * scale
        context.save_for_backward(normed, scale)
        return normed

    @staticmethod
    def backward(context, gradient: Tensor) -> Tuple[Tensor, None]:
        normed, scale = context.saved_tensors
        along = (gradient * normed).mean(-1, keepdim=True)
        return torch.addcmul(gradient, normed, along, value=-1).mul_(scale), None


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension."""

    def __init__(self, hidden: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))
        self._eps = eps

    def forward(self, rows: Tensor) -> Tensor:
        return _Normalise.apply(rows, self._eps) * self.weight


def _rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Applies rotary positions to `[batch, heads, rows, head_dim]`, halves paired as in HF.

    The first half of `sine` is negated.
    """
    return torch.addcmul(heads * cosine, heads.roll(heads.shape[-1] // 2, -1), sine)


class Attention(nn.Module):
    """Grouped-query self-attention with biases on q, k and v."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._config = config
        kv_values = config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden, config.hidden)
        self.k_proj = nn.Linear(config.hidden, kv_values)
        self.v_proj = nn.Linear(config.hidden, kv_values)
        self.o_proj = nn.Linear(config.hidden, config.hidden, bias=False)

    def forward(
        self,
        rows: Tensor,
        rotation: Tuple[Tensor, Tensor],
        mask: Tensor,
        layer: int,
        cache: Optional[Cache],
    ) -> Tensor:
        batch, count, _ = rows.shape
        config = self._config
        shape = (batch, count, -1, config.head_dim)
        queries = _rotate(self.q_proj(rows).view(shape).transpose(1, 2), *rotation)
        keys = _rotate(self.k_proj(rows).view(shape).transpose(1, 2), *rotation)
        values = self.v_proj(rows).view(shape).transpose(1, 2)
        if cache is not None:
            keys, values = cache.append(layer, keys, values)
        group = config.heads // config.kv_heads
        # All queries of a key/value head stand below each other, so keys need no repetition.
        queries = queries.reshape(batch, config.kv_heads, group * count, config.head_dim)
        scores = queries @ keys.transpose(2, 3) * (1.0 / math.sqrt(config.head_dim))
        scores = scores.view(batch, config.kv_heads, group, count, -1) + mask
        mixed = torch.softmax(scores, -1).view(batch, config.kv_heads, group * count, -1) @ values
        mixed = mixed.view(batch, config.heads, count, config.head_dim)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, count, config.hidden))


class Mlp(nn.Module):
    """SwiGLU feed-forward block."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.intermediate, bias=False)
        self.up_proj = nn.Linear(config.hidden, config.intermediate, bias=False)
        self.down_proj = nn.Linear(config.intermediate, config.hidden, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(rows)) * self.up_proj(rows))


class Layer(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.rms_norm_eps)
        self.mlp = Mlp(config)


class Decoder(nn.Module):
    """Embeddings, layers and final norm (`Qwen2Model` in HF)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.rms_norm_eps)


class Qwen2(nn.Module):
    """The language model; the output weights are the embeddings."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.endswith("embed_tokens.weight"):
                nn.init.normal_(parameter, std=0.05)
            elif parameter.dim() == 2:
                # What adds to the residual stream does so 2 * layers times.
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                scale = parameter.shape[1] * (2 * config.layers if adds else 1)
                nn.init.normal_(parameter, std=scale**-0.5)
        frequencies = config.rope_theta ** (
            -torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        )
        angles = torch.arange(config.context_length, dtype=torch.float32)[:, None] * frequencies
        cosine, sine = angles.cos(), angles.sin()
        self.register_buffer("_cosine", torch.cat((cosine, cosine), -1), persistent=False)
        self.register_buffer("_sine", torch.cat((-sine, sine), -1), persistent=False)

    def embed(self, ids: Tensor, prefix: Optional[Tensor] = None) -> Tensor:
        """Embeddings `[batch, P + rows, hidden]` of `ids` `[batch, rows]` behind a soft prefix.

        `prefix`: its rows `[P, hidden]`; P is 0 when it is None.
        """
        rows = self.model.embed_tokens(ids)
        if prefix is None:
            return rows
        return torch.cat((prefix.expand(len(ids), -1, -1), rows), 1)

    def hidden(self, rows: Tensor, cache: Optional[Cache] = None) -> Tensor:
        """Runs embedded `rows` `[batch, rows, hidden]`, which follow those in `cache`.

        Returns the normalised output of the last layer, of the same shape, for `logits`.
        """
        start = cache.rows if cache is not None else 0
        end = start + rows.shape[1]
        rotation = (self._cosine[start:end], self._sine[start:end])
        mask = torch.full((rows.shape[1], end), float("-inf"), device=rows.device)
        mask = mask.triu(start + 1)
        for index, layer in enumerate(self.model.layers):
            normed = layer.input_layernorm(rows)
            rows = rows + layer.self_attn(normed, rotation, mask, index, cache)
            rows = rows + layer.mlp(layer.post_attention_layernorm(rows))
        if cache is not None:
            cache.rows = end
        return self.model.norm(rows)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores `[…, vocabulary]` for the outputs `[…, hidden]` of `hidden`."""
        return F.linear(hidden, self.model.embed_tokens.weight)

    @torch.no_grad()
    def generate(self, rows: Tensor, stop: int, limit: int) -> List[List[int]]:
        """Continues embedded prompts `[batch, rows, hidden]` of one length greedily.

        Returns the new ids of each prompt without the `stop` id, at most `limit` of them.
        """
        cache = Cache(self.config.layers)
        answers: List[List[int]] = [[] for _ in range(rows.shape[0])]
        for _ in range(limit):
            chosen = self.logits(self.hidden(rows, cache)[:, -1]).argmax(-1)
            for answer, token in zip(answers, chosen.tolist()):
                if not answer or answer[-1] != stop:
                    answer.append(token)
            if all(answer[-1] == stop for answer in answers):
                break
            rows = self.embed(chosen[:, None])
        return [answer[:-1] if answer[-1] == stop else answer for answer in answers]


def save(model: Qwen2, folder: Path, stop: int, pad: int) -> None:
    """Writes config.json, generation_config.json and bf16 model.safetensors into `folder`.

    `stop`, `pad`: ids of the token that ends an answer, and of the one that ends a text.
    """
    config = model.config
    shared = {"bos_token_id": None, "pad_token_id": pad}
    _write_json(
        folder / "config.json",
        {
            "architectures": ["Qwen2ForCausalLM"],
            "attention_dropout": 0.0,
            **shared,
            "eos_token_id": stop,
            "hidden_act": "silu",
            "hidden_size": config.hidden,
            "initializer_range": 0.05,
            "intermediate_size": config.intermediate,
            "max_position_embeddings": config.context_length,
            "max_window_layers": config.layers,
            "model_type": "qwen2",
            "num_attention_heads": config.heads,
            "num_hidden_layers": config.layers,
            "num_key_value_heads": config.kv_heads,
            "rms_norm_eps": config.rms_norm_eps,
            "rope_scaling": None,
            "rope_theta": config.rope_theta,
            "sliding_window": None,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.43.1",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": config.vocabulary,
        },
    )
    _write_json(
        folder / "generation_config.json",
        {
            **shared,
            "do_sample": False,
            "eos_token_id": [stop, pad],
            "transformers_version": "4.43.1",
        },
    )
    save_safetensors(
        folder / "model.safetensors",
        {name: tensor.detach().bfloat16() for name, tensor in model.state_dict().items()},
    )


def load(folder: Path) -> Qwen2:
    """Reads what `save` wrote: bf16 weights, held in float32."""
    raw = json.loads((folder / "config.json").read_text("utf-8"))
    config = Config(
        vocabulary=raw["vocab_size"],
        hidden=raw["hidden_size"],
        layers=raw["num_hidden_layers"],
        heads=raw["num_attention_heads"],
        kv_heads=raw["num_key_value_heads"],
        intermediate=raw["intermediate_size"],
        context_length=raw["max_position_embeddings"],
        rope_theta=raw["rope_theta"],
        rms_norm_eps=raw["rms_norm_eps"],
    )
    model = Qwen2(config)
    tensors = load_safetensors(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.eval()


def save_safetensors(path: Path, tensors: Dict[str, Tensor]) -> None:
    """Writes `tensors` (f32, f16, bf16) in the safetensors format, in name order."""
    header: Dict[str, object] = {"__metadata__": {"format": "pt"}}
    blocks: List[bytes] = []
    offset = 0
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        block = bytes(tensor.view(torch.uint8).flatten().tolist())
        header[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(block)],
        }
        blocks.append(block)
        offset += len(block)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))


def load_safetensors(path: Path) -> Dict[str, Tensor]:
    """Reads a safetensors file of f32, f16 and bf16 tensors."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            block = torch.frombuffer(bytearray(raw[start + begin : start + end]), dtype=torch.uint8)
            tensors[name] = block.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
