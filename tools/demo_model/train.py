#!/usr/bin/env python3
"""Trains tiny-chat from nothing: tokenizer, weights, and a report of its held-out accuracy.

Needs PyTorch 1.13 or later; README.md has the commands that made the committed weights.

Everything is drawn from --seed; another BLAS, thread count or device rounds differently and gives
other weights of the same quality. Writes the model's folder and a JSON report.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import platform
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

import bpe
import corpus
import model as qwen2

HERE = Path(__file__).resolve().parent
MERGES = 1277
LONGEST_ANSWER = 96  # tokens


class Sample(NamedTuple):
    """Token ids of a conversation, and the positions whose next token an answer holds."""

    ids: List[int]
    answering: List[int]


def train_tokenizer(seed: int, conversations: int = 20000) -> bpe.Tokenizer:
    """Learns the merges from the distinct texts of the first `conversations`, and the roles."""
    texts = set()
    for conversation in itertools.islice(corpus.training_conversations(seed), conversations):
        texts.add(conversation.system)
        for turn in conversation.turns:
            texts.update((turn.text, turn.answer))
    roles = ["system", "user", "assistant"] * conversations
    return bpe.Tokenizer.train([*roles, *sorted(texts)], MERGES)


def encode_prompt(tokenizer: bpe.Tokenizer, conversation: corpus.Conversation) -> Sample:
    """Encodes all but the last answer, which is to be generated behind it."""
    ids: List[int] = []
    answering: List[int] = []
    if conversation.system:
        ids += tokenizer.encode_message("system", conversation.system)
    for turn in conversation.turns:
        if turn is not conversation.turns[0]:
            ids += tokenizer.encode_closing()
        ids += tokenizer.encode_message("user", turn.text)
        ids += tokenizer.encode_opening("assistant")
        if turn is not conversation.turns[-1]:
            answer = tokenizer.encode(turn.answer)
            answering += range(len(ids) - 1, len(ids) + len(answer))
            ids += answer
    return Sample(ids, answering)


def encode(tokenizer: bpe.Tokenizer, conversation: corpus.Conversation) -> Sample:
    """Encodes a whole conversation up to the token that ends the last answer."""
    ids, answering = encode_prompt(tokenizer, conversation)
    answer = tokenizer.encode(conversation.turns[-1].answer)
    answering += range(len(ids) - 1, len(ids) + len(answer))
    return Sample(ids + answer + [tokenizer.specials[bpe.IM_END]], answering)


def batches(
    samples: Iterable[Sample], batch: int, seed: int, pool: int = 64
) -> Iterator[List[Sample]]:
    """Groups samples of similar length: sorts `pool` batches at a time, and shuffles those."""
    rng = random.Random(seed)
    samples = iter(samples)
    while True:
        block = sorted(itertools.islice(samples, batch * pool), key=lambda each: len(each.ids))
        starts = list(range(0, len(block), batch))
        if not starts:
            return
        rng.shuffle(starts)
        yield from (block[start : start + batch] for start in starts)


def loss_of(model: qwen2.Qwen2, samples: List[Sample], prefix: Optional[Tensor] = None) -> Tensor:
    """Mean cross entropy in nats over the answers' tokens, those that end an answer included.

    `prefix`: rows `[P, hidden]` to put in front of every conversation.
    """
    device = next(model.parameters()).device
    width = max(len(sample.ids) for sample in samples)
    ids = torch.tensor([sample.ids + [0] * (width - len(sample.ids)) for sample in samples])
    rows = torch.tensor(
        [row * width + at for row, sample in enumerate(samples) for at in sample.answering]
    )
    targets = ids.flatten()[rows + 1].to(device)
    hidden = model.hidden(model.embed(ids.to(device), prefix))[:, -width:].flatten(0, 1)
    return F.cross_entropy(model.logits(hidden[rows.to(device)]).float(), targets)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warms up over 100 steps, stays at `peak`, and falls linearly to 0 over the last 70 %."""
    return peak * min(1.0, (step + 1) / 100, (steps - step) / (0.7 * steps))


def emphasized(
    conversations: Iterable[corpus.Conversation], seed: int, share_of_others: float = 0.5
) -> Iterator[corpus.Conversation]:
    """All that end in what is learned last (sums, counting, follow-ups), and a share of others."""
    rng = random.Random(seed)
    for conversation in conversations:
        kind = conversation.turns[-1].question.kind
        if kind in ("arithmetic", "counting", corpus.CONTEXT) or rng.random() < share_of_others:
            yield conversation


def train(
    tokenizer: bpe.Tokenizer, options: argparse.Namespace, device: torch.device
) -> Tuple[qwen2.Qwen2, Dict[str, float]]:
    """Returns the trained model, and counts, times and the mean loss of the last 100 steps.

    The model is saved every 500 steps and at the end, so that one can try it meanwhile.
    """
    torch.manual_seed(options.seed)
    if options.start_from:
        model = qwen2.load(options.start_from).to(device)
    else:
        model = qwen2.Qwen2(qwen2.Config(vocabulary=len(tokenizer))).to(device)
    matrices = [each for each in model.parameters() if each.dim() == 2]
    vectors = [each for each in model.parameters() if each.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
    )
    source = corpus.training_conversations(options.seed)
    if options.start_from:
        source = emphasized(source, options.seed)
    conversations = itertools.islice(source, options.conversations)
    samples = (encode(tokenizer, conversation) for conversation in conversations)
    steps = math.ceil(options.conversations / options.batch)
    tokens = 0
    losses: List[float] = []
    start, cpu_start = time.monotonic(), time.process_time()
    for step, group in enumerate(batches(samples, options.batch, options.seed)):
        for parameters in optimizer.param_groups:
            parameters["lr"] = learning_rate(step, steps, options.learning_rate)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.autocast):
            loss = loss_of(model, group)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        tokens += sum(len(sample.ids) for sample in group)
        losses.append(loss.item())
        if step % 500 == 499 or step + 1 == steps:
            save(model, tokenizer, options.output)
        if step % 100 == 99 or step + 1 == steps:
            recent = sum(losses[-100:]) / len(losses[-100:])
            seconds = time.monotonic() - start
            print(
                f"step {step + 1}/{steps}  loss {recent:.4f}  {tokens / seconds:.0f} tokens/s  "
                f"{seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return model, {
        "conversations": options.conversations,
        "steps": steps,
        "tokens": tokens,
        "seconds": round(time.monotonic() - start),
        "cpu_seconds": round(time.process_time() - cpu_start),
        "final_loss": round(sum(losses[-100:]) / len(losses[-100:]), 5),
    }


def save(model: qwen2.Qwen2, tokenizer: bpe.Tokenizer, folder: Path) -> None:
    """Writes all files of the model's folder, weights rounded to bf16."""
    tokenizer.save(folder, model.config.context_length)
    specials = tokenizer.specials
    qwen2.save(model, folder, specials[bpe.IM_END], specials[bpe.END_OF_TEXT])


def answer_all(
    model: qwen2.Qwen2,
    tokenizer: bpe.Tokenizer,
    conversations: List[corpus.Conversation],
    prefix: Optional[Tensor] = None,
) -> List[str]:
    """Greedy answers to the last question of each conversation, found up to 256 at a time.

    `prefix`: rows `[P, hidden]` to put in front of every conversation.
    """
    device = next(model.parameters()).device
    by_length = defaultdict(list)
    for index, conversation in enumerate(conversations):
        ids = encode_prompt(tokenizer, conversation).ids
        by_length[len(ids)].append((index, ids))
    answers = [""] * len(conversations)
    for group in by_length.values():
        for start in range(0, len(group), 256):
            part = group[start : start + 256]
            rows = model.embed(torch.tensor([ids for _, ids in part], device=device), prefix)
            found = model.generate(rows, tokenizer.specials[bpe.IM_END], LONGEST_ANSWER)
            for (index, _), ids in zip(part, found):
                answers[index] = tokenizer.decode(ids)
    return answers


def evaluate(
    model: qwen2.Qwen2, tokenizer: bpe.Tokenizer, seed: int, count: int
) -> Dict[str, object]:
    """Asks `count` held-out questions of each kind and language; returns shares of right answers.

    `unseen_items` are those about an item (a pair of numbers) that no training question has. Wrong
    answers are printed to stderr, at most 10 of a kind and language.
    """
    accuracy: Dict[str, Dict[str, float]] = {}
    styles: Dict[str, List[bool]] = defaultdict(list)
    unseen_items: Dict[str, List[bool]] = defaultdict(list)
    for kind in (*corpus.KINDS, corpus.CONTEXT):
        accuracy[kind] = {}
        for language in corpus.LANGUAGES:
            source = corpus.held_out_conversations(seed, kind, language)
            conversations = list(itertools.islice(source, count))
            answers = answer_all(model, tokenizer, conversations)
            right = [corpus.is_right(*pair) for pair in zip(conversations, answers)]
            accuracy[kind][language] = share(right)
            for conversation, is_right in zip(conversations, right):
                styles[conversation.style].append(is_right)
                if corpus.item_held_out(conversation.turns[-1].question):
                    unseen_items[f"{kind} {language}"].append(is_right)
            wrong = [index for index, is_right in enumerate(right) if not is_right]
            for index in wrong[:10]:
                conversation, answer = conversations[index], answers[index]
                turn = conversation.turns[-1]
                print(
                    f"wrong ({conversation.style}): {turn.text!r} -> {answer!r}, "
                    f"not {turn.answer!r}",
                    file=sys.stderr,
                )
            print(f"{kind} {language}: {share(right):.2%}", file=sys.stderr, flush=True)
    return {
        "seed": seed,
        "questions_per_kind_and_language": count,
        "accuracy": accuracy,
        "accuracy_by_style": {style: share(right) for style, right in sorted(styles.items())},
        "unseen_items": {
            name: {"questions": len(right), "accuracy": share(right)}
            for name, right in sorted(unseen_items.items())
        },
    }


def share(right: List[bool]) -> float:
    """Part of `right` that is true, to four decimals."""
    return round(sum(right) / len(right), 4)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Trains tiny-chat from nothing: tokenizer, weights and a report."
    )
    parser.add_argument("--output", type=Path, default=HERE / "tiny-chat", help="model folder")
    parser.add_argument("--report", type=Path, default=HERE / "report.json", help="JSON to write")
    parser.add_argument(
        "--start-from",
        type=Path,
        help="a trained model's folder: goes on from it, mostly on what is learned last; --report "
        "must hold its report, which stays in the new one",
    )
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument(
        "--conversations", type=int, default=220000, help="to train on (default %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=32, help="conversations (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2.5e-3, help="default %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU (default %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")
    parser.add_argument(
        "--autocast", action="store_true", help="bf16 products; for processors that have them"
    )
    parser.add_argument(
        "--held-out", type=int, default=500, help="questions per kind and language (%(default)s)"
    )
    parser.add_argument(
        "--evaluate-only", action="store_true", help="only measure the model in --output"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    report: Dict[str, object] = {}
    if not options.evaluate_only:
        start = time.monotonic()
        options.output.mkdir(parents=True, exist_ok=True)
        if options.start_from:
            tokenizer = bpe.Tokenizer.load(options.start_from)
            report["before"] = json.loads(options.report.read_text("utf-8"))
        else:
            tokenizer = train_tokenizer(options.seed)
        tokenizer_seconds = time.monotonic() - start
        model, training = train(tokenizer, options, device)
        report |= {
            "command": " ".join(["tools/demo_model/train.py", *sys.argv[1:]]),
            "seed": options.seed,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": _device_name(device),
            "threads": options.threads,
            "parameters": sum(each.numel() for each in model.parameters()),
            "tokenizer_seconds": round(tokenizer_seconds),
            "training": training,
        }
    # What is measured is what was written: weights rounded to bf16.
    tokenizer = bpe.Tokenizer.load(options.output)
    model = qwen2.load(options.output).to(device)
    report["held_out"] = evaluate(model, tokenizer, options.seed + 1, options.held_out)
    options.report.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(f"wrote {options.output} and {options.report}", file=sys.stderr)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
