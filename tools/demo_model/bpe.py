"""Byte-level BPE tokenizer of the Qwen2 family: training, encoding and its HuggingFace files.

Merges never cross a script border and never glue a whole character to a part of another one, so
that "フランスの首都は" is cut into words ("フランス", "の", "首都", "は") whatever stands beside
them. Standard library only.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

END_OF_TEXT, IM_START, IM_END = SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# The pre-tokenizer of Qwen2 as it stands in tokenizer.json.
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The same for `re`, which has no Unicode classes. [^\W\d_] is \p{L} plus the numbers that are not
# decimal digits (², Ⅷ, …); `split` refuses those.
_PYTHON_PATTERN = re.compile(
    QWEN2_PATTERN.replace(r"[^\r\n\p{L}\p{N}]", r"(?:[^\w\r\n]|_)")
    .replace(r"[^\s\p{L}\p{N}]", r"(?:[^\s\w]|_)")
    .replace(r"\p{L}", r"[^\W\d_]")
    .replace(r"\p{N}", r"\d")
)

# Plain ChatML: no default system text, and no system block when no system message is given.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def _byte_alphabet() -> Dict[int, str]:
    """Maps each byte to the printable character that stands for it in GPT-2 style vocabularies."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {
        **{byte: chr(byte) for byte in printable},
        **{byte: chr(0x100 + index) for index, byte in enumerate(others)},
    }


_BYTE_TO_CHAR = _byte_alphabet()
_CHAR_TO_BYTE = {char: byte for byte, char in _BYTE_TO_CHAR.items()}


def split(text: str) -> List[str]:
    """Normalises `text` (NFC) and cuts it into the pieces within which BPE works, byte-encoded.

    Raises ValueError for a number character that is no decimal digit.
    """
    text = unicodedata.normalize("NFC", text)
    for char in text:
        if unicodedata.category(char) in ("Nl", "No"):
            raise ValueError(f"{char!r} is neither a letter nor a decimal digit")
    return [
        "".join(_BYTE_TO_CHAR[byte] for byte in piece.encode("utf-8"))
        for piece in _PYTHON_PATTERN.findall(text)
    ]


def _script(char: str) -> str:
    """Names the script of one character; merges stay within one."""
    if char.isascii():
        return "latin" if char.isalpha() else "digit" if char.isdigit() else "ascii"
    if "\u3041" <= char <= "\u309f":
        return "hiragana"
    if "\u30a1" <= char <= "\u30fe" and char != "・":
        return "katakana"
    return "kanji" if char.isalpha() else "symbol"


def _may_merge(symbol: str) -> bool:
    """Tells whether byte-encoded `symbol` may become a token (see the module's docstring)."""
    raw = bytes(_CHAR_TO_BYTE[char] for char in symbol)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # The beginning of one character is the step to that character; nothing else is allowed.
        return error.start == 0 and error.reason == "unexpected end of data"
    if "\n" in text:
        return False
    word = text[1:] if text[0] == " " else text
    return len({_script(char) for char in word}) == 1


class Tokenizer:
    """Vocabulary, merges and special tokens. Ids: 256 bytes, the merges in order, the specials."""

    def __init__(self, merges: List[Tuple[str, str]]) -> None:
        """`merges`: pairs of byte-encoded symbols, most important first."""
        self.merges = merges
        symbols = sorted(_CHAR_TO_BYTE) + [left + right for left, right in merges]
        self.vocabulary: Dict[str, int] = {symbol: index for index, symbol in enumerate(symbols)}
        self.specials = {
            name: len(symbols) + index for index, name in enumerate(SPECIAL_TOKENS)
        }
        self._symbols = symbols
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._cache: Dict[str, List[int]] = {}

    def __len__(self) -> int:
        """The number of ids, special tokens included."""
        return len(self.vocabulary) + len(self.specials)

    @classmethod
    def train(cls, texts: Iterable[str], merges: int) -> "Tokenizer":
        """Learns `merges` merges from `texts`, the most frequent pair first (ties: in code order).

        Raises ValueError when `texts` is too poor for that many.
        """
        counts = Counter(piece for text in texts for piece in split(text))
        words = [list(piece) for piece in sorted(counts)]
        weights = [counts["".join(word)] for word in words]
        pair_weight: Counter = Counter()
        pair_words = defaultdict(set)
        for index, word in enumerate(words):
            for pair in zip(word, word[1:]):
                pair_weight[pair] += weights[index]
                pair_words[pair].add(index)
        learned: List[Tuple[str, str]] = []
        known = set(_CHAR_TO_BYTE)
        while len(learned) < merges:
            candidates = [pair for pair in pair_weight if pair_weight[pair] > 1]
            if not candidates:
                raise ValueError(f"the corpus gives only {len(learned)} merges of {merges}")
            best = min(candidates, key=lambda pair: (-pair_weight[pair], pair))
            symbol = best[0] + best[1]
            if symbol in known or not _may_merge(symbol):
                del pair_weight[best]
                continue
            learned.append(best)
            known.add(symbol)
            for index in pair_words.pop(best):
                word = words[index]
                for pair in zip(word, word[1:]):
                    if pair in pair_weight:
                        pair_weight[pair] -= weights[index]
                word[:] = _merge(word, best, symbol)
                for pair in zip(word, word[1:]):
                    if pair[0] + pair[1] in known or not _may_merge(pair[0] + pair[1]):
                        continue
                    pair_weight[pair] += weights[index]
                    pair_words[pair].add(index)
            del pair_weight[best]
        return cls(learned)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Reads back the `tokenizer.json` that `save` wrote into `folder`."""
        model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
        return cls([tuple(merge.split(" ")) for merge in model["merges"]])

    def encode(self, text: str) -> List[int]:
        """Ids of plain `text`; the names of special tokens in it are ordinary text."""
        ids: List[int] = []
        for piece in split(text):
            if piece not in self._cache:
                self._cache[piece] = [self.vocabulary[symbol] for symbol in self._apply(piece)]
            ids += self._cache[piece]
        return ids

    def encode_message(self, role: str, content: str) -> List[int]:
        """Ids of one finished ChatML message, the newline behind it included."""
        return [*self.encode_opening(role), *self.encode(content), *self.encode_closing()]

    def encode_opening(self, role: str) -> List[int]:
        """Ids of what stands in front of the content of a ChatML message."""
        return [self.specials[IM_START], *self.encode(role + "\n")]

    def encode_closing(self) -> List[int]:
        """Ids of what stands behind the content of a ChatML message."""
        return [self.specials[IM_END], *self.encode("\n")]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; special tokens are left out, broken characters become U+FFFD."""
        chars = "".join(self._symbols[index] for index in ids if index < len(self._symbols))
        return bytes(_CHAR_TO_BYTE[char] for char in chars).decode("utf-8", "replace")

    def save(self, folder: Path, context_length: int) -> None:
        """Writes tokenizer.json and tokenizer_config.json into `folder`."""
        added = [
            {
                "id": index,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name, index in self.specials.items()
        ]
        byte_level = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        }
        _write_json(
            folder / "tokenizer.json",
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": added,
                "normalizer": {"type": "NFC"},
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [
                        {
                            "type": "Split",
                            "pattern": {"Regex": QWEN2_PATTERN},
                            "behavior": "Isolated",
                            "invert": False,
                        },
                        byte_level,
                    ],
                },
                "post_processor": byte_level,
                "decoder": byte_level,
                "model": {
                    "type": "BPE",
                    "dropout": None,
                    "unk_token": None,
                    "continuing_subword_prefix": "",
                    "end_of_word_suffix": "",
                    "fuse_unk": False,
                    "byte_fallback": False,
                    "vocab": self.vocabulary,
                    "merges": [f"{left} {right}" for left, right in self.merges],
                },
            },
        )
        _write_json(
            folder / "tokenizer_config.json",
            {
                "add_bos_token": False,
                "add_prefix_space": False,
                "added_tokens_decoder": {
                    str(token["id"]): {key: token[key] for key in token if key != "id"}
                    for token in added
                },
                "additional_special_tokens": [IM_START, IM_END],
                "bos_token": None,
                "chat_template": CHAT_TEMPLATE,
                "clean_up_tokenization_spaces": False,
                "eos_token": IM_END,
                "errors": "replace",
                "model_max_length": context_length,
                "pad_token": END_OF_TEXT,
                "split_special_tokens": False,
                "tokenizer_class": "Qwen2Tokenizer",
                "unk_token": None,
            },
        )

    def _apply(self, piece: str) -> List[str]:
        """Cuts one byte-encoded piece into the symbols that the merges leave."""
        word = list(piece)
        while len(word) > 1:
            best: Optional[Tuple[str, str]] = min(
                zip(word, word[1:]), key=lambda pair: self._rank.get(pair, len(self._rank))
            )
            if best not in self._rank:
                break
            word = _merge(word, best, best[0] + best[1])
        return word


def _merge(word: List[str], pair: Tuple[str, str], symbol: str) -> List[str]:
    """Replaces every occurrence of `pair` in `word`, from the left, by `symbol`."""
    merged: List[str] = []
    index = 0
    while index < len(word):
        if index + 1 < len(word) and (word[index], word[index + 1]) == pair:
            merged.append(symbol)
            index += 2
        else:
            merged.append(word[index])
            index += 1
    return merged


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
