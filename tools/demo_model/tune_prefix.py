#!/usr/bin/env python3
"""Tunes a soft prefix that makes the frozen tiny-chat talk like a pirate without being told to.

Prompt tuning: only the prefix's rows, put in front of the embedded prompt at positions 0..P-1, are
trained. Writes them as one bf16 tensor `prompt_embeddings` `[P, hidden]`, and what they reach on
held-out questions without a system prompt into the report. Needs PyTorch, like train.py:

    OPENBLAS_NUM_THREADS=1 /usr/bin/python3 tools/demo_model/tune_prefix.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Dict, List

import torch
from torch import Tensor

import bpe
import corpus
import model as qwen2
from train import HERE, answer_all, batches, encode, loss_of, share

STYLE = "pirate"
WITHOUT_SYSTEM_PROMPT = ("", STYLE)
MARKS = ("Arr, ", "ヨーホー！")


def tune(model: qwen2.Qwen2, tokenizer: bpe.Tokenizer, options: argparse.Namespace) -> Tensor:
    """Returns the prefix `[rows, hidden]`, rounded to bf16, after `options.steps` steps."""
    torch.manual_seed(options.seed)
    # Rows as long as embeddings are, but of no token.
    scale = model.model.embed_tokens.weight.std().item()
    prefix = torch.nn.Parameter(torch.randn(options.rows, model.config.hidden) * scale)
    optimizer = torch.optim.Adam([prefix])
    conversations = corpus.training_conversations(options.seed, WITHOUT_SYSTEM_PROMPT)
    samples = (encode(tokenizer, conversation) for conversation in conversations)
    groups = batches(samples, options.batch, options.seed, pool=16)
    for step, group in enumerate(itertools.islice(groups, options.steps)):
        for parameters in optimizer.param_groups:
            parameters["lr"] = options.learning_rate * (1 - step / options.steps)
        loss = loss_of(model, group, prefix)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            print(f"step {step + 1}/{options.steps}  loss {loss.item():.4f}", file=sys.stderr)
    return prefix.detach().bfloat16().float()


def evaluate(
    model: qwen2.Qwen2, tokenizer: bpe.Tokenizer, prefix: Tensor, seed: int, count: int
) -> Dict[str, object]:
    """Asks `count` held-out questions per kind and language behind `prefix`.

    `in_style`: the share of answers that begin as a pirate's do. `right`: the share that are word
    for word what the model should answer as a pirate (poems: right in form).
    """
    kinds: Dict[str, Dict[str, float]] = {}
    in_style: List[bool] = []
    right: List[bool] = []
    for kind in corpus.KINDS:
        kinds[kind] = {}
        for language in corpus.LANGUAGES:
            source = corpus.held_out_conversations(seed, kind, language, WITHOUT_SYSTEM_PROMPT)
            conversations = list(itertools.islice(source, count))
            answers = answer_all(model, tokenizer, conversations, prefix)
            judged = [corpus.is_right(*pair) for pair in zip(conversations, answers)]
            in_style += [answer.startswith(MARKS) for answer in answers]
            right += judged
            kinds[kind][language] = share(judged)
    return {"in_style": share(in_style), "right": share(right), "right_by_kind": kinds}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tunes a soft prefix for pirate style.")
    parser.add_argument("--model", type=Path, default=HERE / "tiny-chat", help="the model's folder")
    parser.add_argument(
        "--output", type=Path, default=HERE / "pirate.safetensors", help="default %(default)s"
    )
    parser.add_argument("--report", type=Path, default=HERE / "report.json", help="JSON to amend")
    parser.add_argument("--rows", type=int, default=4, help="P (default %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="default %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="conversations (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default %(default)s")
    parser.add_argument(
        "--held-out", type=int, default=50, help="questions per kind and language (%(default)s)"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    tokenizer = bpe.Tokenizer.load(options.model)
    model = qwen2.load(options.model).requires_grad_(False)
    start = time.monotonic()
    prefix = tune(model, tokenizer, options)
    seconds = time.monotonic() - start
    qwen2.save_safetensors(options.output, {"prompt_embeddings": prefix.bfloat16()})
    report = json.loads(options.report.read_text("utf-8"))
    report["soft_prefix"] = {
        "command": " ".join(["tools/demo_model/tune_prefix.py", *sys.argv[1:]]),
        "rows": options.rows,
        "steps": options.steps,
        "seconds": round(seconds),
        "held_out": evaluate(model, tokenizer, prefix, options.seed + 1, options.held_out),
    }
    options.report.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report["soft_prefix"], indent=2), file=sys.stderr)


if __name__ == "__main__":
    main()
