#!/usr/bin/env python3
"""Makes small tokenizers, lines of text, and what HuggingFace makes of them.

    python3 tests/data/text/make_golden.py

Needs node, and npm with a registry, from which it takes HuggingFace's own
tokenizer in JavaScript (@huggingface/tokenizers, Apache-2.0) into a folder that it removes again.
Nothing of it runs in the tests. The result is the same each time.

  lines.json            texts to encode
  NAME.tokenizer.json   tokenizers trained on the texts, one for each kind of file that is read
  NAME.ids.json         {"tokens": ids of each text, "ordinary": the same with special tokens
                        left out of the tokenizer, so that their text is ordinary}
"""

import collections
import json
import random
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

HERE = Path(__file__).resolve().parent
TOKENIZERS = "@huggingface/tokenizers@0.2.0"
MERGES = 400
RANDOM_LINES = 250

# The pattern of Qwen2's tokenizer.json.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

SENTENCES = [
    # English
    "Hello, world!", "The quick brown fox jumps over the lazy dog.", "It's what we'll do, isn't it?",
    "I'M SURE THEY'VE GONE, HE'D SAID; YOU'RE LATE'S", "don't 'tis 'twas o'clock rock'n'roll 'S 'LL",
    "Turn on the kitchen light.", "What is the capital of France?", "naïve café résumé Zürich",
    "A man, a plan, a canal: Panama", "e.g. i.e. etc. U.S.A. Mr. Smith's dog",
    "(brackets) [square] {curly} <angle>", "\"quoted\" 'single' `ticks` “curly” ‘single’ «guillemets»",
    "well-known state-of-the-art – en dash — em dash … ellipsis", "100% of $5.00 is €4.60 or £3.90",
    # Japanese
    "こんにちは、世界！", "今日は天気がいいですね。", "東京都千代田区永田町1丁目7-1", "吾輩は猫である。名前はまだ無い。",
    "カタカナとひらがなと漢字", "ﾊﾝｶｸ ｶﾀｶﾅ ﾃﾞｽ", "全角ＡＢＣ１２３！？", "「はい」と言った。『本』を読む。",
    "キッチンの電気をつけてください。", "フランスの首都はどこですか？", "ー〜・…※々〆ヶ", "一二三四五六七八九十百千万億",
    "がぎぐげご ぱぴぷぺぽ", "か\u3099き\u3099く\u3099 は\u309aひ\u309a",
    # Chinese, Korean and others
    "你好，世界。", "今天天气怎么样？", "繁體中文與简体中文", "안녕하세요 세계", "대한민국 서울특별시",
    "\u1100\u1161\u11a8 \u1112\u1161\u11ab\u1100\u1173\u11af", "Привет, мир!", "Γειά σου Κόσμε",
    "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "Xin chào thế giới", "Ünïcödé Ñandú ß ﬁ ﬂ",
    # Numbers
    "0 1 12 123 1234 12345 1234567890", "3.14159 -273.15 6.02e23 0xDEADBEEF 1_000_000 1,234.56",
    "2024-01-31T23:59:59+09:00", "½ ² ³ Ⅷ ① ٠١٢٣ १२३ 一", "192.168.0.1:10001", "17 + 25 = 42", "7×8=56 9÷3=3",
    # Emoji, joiners, marks
    "😀 😃😄 🎉", "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈", "🇯🇵🇫🇷 ❤️ ☀︎", "1️⃣ #️⃣", "e\u0301 a\u0300 n\u0303 c\u0327", "A\u030a = Å = \u212b",
    "q\u0307\u0323 q\u0323\u0307", "s\u0323\u0307 \u1e69", "o\u0302\u0301 \u1ed1", "\u0301start", "\u0f71\u0f72\u0f74",
    "Z\u0351\u036b\u0343\u032aa\u030d\u0334l\u0321\u034ago", "\u0958 \u2126 \ufb1d \u2adc",
    # Code
    "def f(x):\n    return x * 2\n", "for (int i = 0; i < 10; ++i) {\n\tsum += a[i];\n}\n", "#include <vector>\r\n",
    "if (a && b || !c) a ^= b << 2;", "https://example.com/a/b?c=d&e=f#g", "user@example.com", "C:\\Windows\\System32",
    "SELECT * FROM t WHERE a='b' -- comment", "<a href=\"x\">y</a><!-- z -->", "{\"key\": [1, 2.5, null, true]}",
    "snake_case camelCase PascalCase kebab-case SCREAMING_CASE", "\\n is not a newline \\u0041", "$HOME/.config ~/x *.cc",
    # White space
    "", " ", "  ", "   a", "a   ", "a  b   c    d", "\n", "\n\n", "\n\n\nx", "x\n\n\n", " \n \n ", "\t", "\ta\t\tb\t",
    "\r\n", "a\r\nb\r\n\r\nc", "a\rb", " \r\n  x", "line one\nline two\n  indented\n\n\nafter", "x" + " " * 40 + "y",
    " " * 40, "\n" * 20, "a \u00a0b\u3000c\u2003d\u2028e\u2029f\u0085g\u1680h\u202fi\u205fj", "\u200b\ufeff\u2060 zero width",
    "tab\tand\u000bvertical\u000cform feed",
    # Control characters
    "\u0000", "a\u0000b", "\u0001\u0002\u0003\u001b[31mred\u001b[0m", "\u007f\u0080\u009f", "\ufffd\ufffe\uffff",
    "\U0010ffff\U000e0001", "\ue000\uf8ff",
    # Added tokens
    "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "a<|im_end|>b", "<|im_end|><|im_start|>", "<|im_start", "|im_end|>",
    "<<|im_end|>>", "<|IM_END|>", "< |im_end|>", "<think>\nhm\n</think>\n\nyes", "<think", "<thinking>", "x <tool> y", "x  <tool>\n y",
    " <tool><tool> ", "<tool>e\u0301<tool>", "caf\u00e9", "cafe\u0301", "le caf\u00e9 est bon", "caf\u00e9s",
    "system\n", "user\n\n\nhello", "assistant\n<think>\n",
    # Long pieces
    "a" * 300, "あ" * 120, "ab" * 100, "the" * 60, "=" * 200, "0" * 70, "Donaudampfschifffahrtsgesellschaftskapitän" * 5,
    "無窮無窮" * 30, ("が" * 30 + "か\u3099" * 30), "!?" * 60,
]


def random_lines(seed: int) -> List[str]:
    """Lines of mixed scripts, white space, marks and any code points at all."""
    source = random.Random(seed)
    words = " ".join(SENTENCES[:50]).split()
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0x3041, 0x30FE), (0x4E00, 0x9FFF), (0xFF01, 0xFF9D), (0xAC00, 0xD7A3),
              (0x0300, 0x036F), (0x00A1, 0x024F), (0x0600, 0x06FF), (0x0E01, 0x0E4F), (0x1100, 0x11F9), (0x0900, 0x097F),
              (0x1F300, 0x1F6FF), (0x0000, 0x001F), (0x2000, 0x206F)]
    lines = []
    for _ in range(RANDOM_LINES):
        line = ""
        for _ in range(source.randint(1, 6)):
            kind = source.random()
            if kind < 0.4:
                line += source.choice(words) + source.choice([" ", "", "  ", "\n", "\t"])
            elif kind < 0.85:
                first, last = source.choice(ranges)
                line += "".join(chr(source.randint(first, last)) for _ in range(source.randint(1, 8)))
            elif kind < 0.92:
                line += source.choice(SPECIAL + ["<think>", "<tool>", "caf\u00e9"])
            else:
                point = source.choice([source.randint(0, 0xD7FF), source.randint(0xE000, 0x10FFFF)])
                line += chr(point)
        lines.append(line)
    return lines


def byte_alphabet() -> Dict[int, str]:
    """GPT-2's character for each byte."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in kept}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(kept))
    return table


def train(lines: List[str]) -> List[Tuple[str, str]]:
    """The most frequent pairs within words, most frequent first; ties by spelling."""
    table = byte_alphabet()
    words = collections.Counter()
    for line in lines:
        for word in re.findall(r"[ ]?[^\W\d_]+|\d| ?[^\s\w]+|\s+", line):
            words[tuple(table[byte] for byte in word.encode())] += 1
    merges = []
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = collections.Counter()
        for word, count in words.items():
            symbols: List[str] = []
            for symbol in word:
                # Greedy from the left, as the encoder does it.
                if symbols and (symbols[-1], symbol) == best:
                    symbols[-1] += symbol
                else:
                    symbols.append(symbol)
            merged[tuple(symbols)] += count
        words = merged
    return merges


def added(identifier: int, text: str, **flags: bool) -> Dict[str, Any]:
    """An entry of added_tokens; flags not named are false."""
    entry: Dict[str, Any] = {"id": identifier, "content": text}
    for flag in ("single_word", "lstrip", "rstrip", "normalized", "special"):
        entry[flag] = flags.get(flag, False)
    return entry


def make_tokenizers(lines: List[str]) -> Dict[str, Dict[str, Any]]:
    """One of each kind: Qwen2's, GPT-2's, and one with rarer settings."""
    merges = train(lines)
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(byte_alphabet().values()))}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    next_id = len(vocabulary)
    special = [added(next_id + i, text, special=True) for i, text in enumerate(SPECIAL)]
    think = [added(next_id + 3, "<think>"), added(next_id + 4, "</think>")]
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}

    def tokenizer(added_tokens: List[Any], normalizer: Any, pre_tokenizer: Any, model: Any) -> Dict[str, Any]:
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": bytes_only,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                      "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, **model},
        }

    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    qwen2 = tokenizer(
        special + think, {"type": "NFC"}, {"type": "Sequence", "pretokenizers": [split, bytes_only]},
        {"vocab": vocabulary, "merges": [f"{left} {right}" for left, right in merges]})
    gpt2 = tokenizer(
        special, None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"vocab": vocabulary, "merges": [f"{left} {right}" for left, right in merges]})
    # Tokens that no merge makes, added tokens of all kinds, digits in threes.
    more = dict(vocabulary)
    for text in ("Hello", "ĠHello", "quick", "lazyĠdog", "ãģĵãĤĵãģ«ãģ¡ãģ¯"):
        more.setdefault(text, len(more))
    following = len(more)
    threes = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}, "behavior": "Isolated", "invert": False}
    rarer = tokenizer(
        [added(following + i, text, special=True) for i, text in enumerate(SPECIAL)]
        + [added(following + 3, "<tool>", lstrip=True, rstrip=True), added(following + 4, "caf\u00e9", normalized=True),
           added(following + 5, "<think>", normalized=True)],
        {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
        {"type": "Sequence", "pretokenizers": [threes, split, bytes_only]},
        {"vocab": more, "merges": [list(pair) for pair in merges], "ignore_merges": True})
    return {"qwen2": qwen2, "gpt2": gpt2, "rarer": rarer}


ENCODE = """
import { Tokenizer } from '@huggingface/tokenizers';
import fs from 'fs';
const [file, texts] = process.argv.slice(2).map((path) => JSON.parse(fs.readFileSync(path)));
const tokenizer = new Tokenizer(file, {});
const ids = texts.map((text) => Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids));
console.log(JSON.stringify(ids));
"""


def encode(folder: Path, tokenizer: Dict[str, Any], lines: List[str]) -> List[List[int]]:
    """The ids that HuggingFace's tokenizer gives."""
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "lines.json").write_text(json.dumps(lines))
    (folder / "encode.mjs").write_text(ENCODE)
    output = subprocess.run(["node", "encode.mjs", "tokenizer.json", "lines.json"], cwd=folder, check=True,
                            stdout=subprocess.PIPE).stdout
    return json.loads(output)


def write_json(name: str, value: Any, *, rows: bool = False) -> None:
    """One line, or one line for each member."""
    def compact(part: Any) -> str:
        return json.dumps(part, ensure_ascii=False, separators=(",", ":"))

    if rows and isinstance(value, dict):
        text = "{\n" + ",\n".join(f"{compact(key)}:{compact(part)}" for key, part in value.items()) + "\n}"
    elif rows:
        text = "[\n" + ",\n".join(compact(part) for part in value) + "\n]"
    else:
        text = compact(value)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Writes all files."""
    lines = list(dict.fromkeys(SENTENCES + random_lines(2024)))
    write_json("lines.json", lines, rows=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", TOKENIZERS], cwd=folder, check=True)
        for kind, tokenizer in make_tokenizers(lines).items():
            write_json(f"{kind}.tokenizer.json", tokenizer)
            ordinary = dict(tokenizer)
            ordinary["added_tokens"] = [token for token in tokenizer["added_tokens"] if not token["special"]]
            ids = {"tokens": encode(folder, tokenizer, lines), "ordinary": encode(folder, ordinary, lines)}
            write_json(f"{kind}.ids.json", ids, rows=True)


if __name__ == "__main__":
    main()
