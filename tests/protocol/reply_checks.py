"""What every reply must look like, whatever it says."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Dict

Json = Dict[str, Any]

REPLY_KEYS = ["object", "data", "error", "created", "request_id", "work_id"]
# A string that is exactly one of these would mislead readers that search for the quoted word.
KEY_NAMES = [
    "action", "object", "data", "index", "finish", "delta", "request_id", "work_id", "zmq_com",
]  # fmt: skip

# What the message of each error code starts with.
FIXED_TEXTS = {
    -1: "reace reset",
    -2: "json format error",
    -3: "action match false",
    -4: "inference data push false",
    -5: "Model loading failed.",
    -6: "Unit Does Not Exist",
    -9: "unit call false",
    -10: "Not available at the moment.",
    -11: "Model run failed.",
    -18: "not have unit action!",
    -20: "link false",
    -21: "task full",
    -23: "Base64 decoding error.",
    -25: "Stream data index error.",
    -26: "Soft prefix error.",
}


def count_keys(value: Any, name: str) -> int:
    """How often `name` is a key anywhere in a JSON value."""
    if isinstance(value, dict):
        return sum((key == name) + count_keys(item, name) for key, item in value.items())
    if isinstance(value, list):
        return sum(count_keys(item, name) for item in value)
    return 0


def naive_value(line: str, key: str) -> str:
    """What a reader without a JSON parser takes for the value of `key`.

    It looks behind the first quoted key in the line; a string ends at the first quote without a
    backslash before it and is unescaped; anything else ends at a comma or brace.
    """
    rest = line[line.index(f'"{key}"') + len(key) + 2 :].lstrip(":")
    if not rest.startswith('"'):
        return re.split("[,}]", rest, maxsplit=1)[0]
    end = 1
    while rest[end] != '"' or rest[end - 1] == "\\":
        end = rest.index('"', end + 1)
    return str(json.loads(rest[: end + 1]))


def check_style(line: str, reply: Json) -> None:
    """The rules on how JSON is written (PROTOCOL.md), which readers without a parser rely on."""
    for escape in re.findall(r"\\(u[0-9a-fA-F]{4}|.)", line):
        if escape.startswith("u"):
            assert int(escape[1:], 16) < 0x80, f"\\{escape} in {line!r}"
        else:
            assert escape in '"ntrb', f"\\{escape} in {line!r}"
    depth = 0
    assert line[0] == "{", f"no brace at the front of {line!r}"
    for brace in re.finditer("[{}]", line):
        depth += 1 if brace[0] == "{" else -1
        assert depth > 0 or brace.end() == len(line) - 1, f"braces close early in {line!r}"
    assert depth == 0, f"unbalanced braces: {line!r}"
    for name in KEY_NAMES:
        found = line.count(f'"{name}"')
        assert found == count_keys(reply, name), f'"{name}" {found} times in {line!r}'
    assert naive_value(line, "object") == reply["object"], line
    data = reply["data"]
    if isinstance(data, str):
        assert naive_value(line, "data") == data, line
    if isinstance(data, dict) and "delta" in data:
        assert list(data) == ["index", "finish", "delta"], line
        assert naive_value(line, "delta") == data["delta"], line
        assert naive_value(line, "finish") == json.dumps(data["finish"]), line


def check_reply(line: bytes) -> Json:
    """Checks one line as every reply has to be, and returns it parsed."""
    assert line.endswith(b"\n"), f"no newline at the end of {line!r}"
    text = line.decode("utf-8")
    assert not re.search("[\x00-\x1f]", text[:-1]), f"control character in {text!r}"
    reply: Json = json.loads(text)
    assert list(reply) == REPLY_KEYS, f"keys of {text!r}"
    assert list(reply["error"]) == ["code", "message"], f"error of {text!r}"
    assert type(reply["error"]["code"]) is int, text
    assert type(reply["error"]["message"]) is str, text
    assert type(reply["created"]) is int, text
    assert abs(reply["created"] - time.time()) < 300, f"created in {text!r}"
    for key in ("object", "request_id", "work_id"):
        assert type(reply[key]) is str, text
    assert re.sub(r'"[^"\\]*(?:\\.[^"\\]*)*"', "", text).count(" ") == 0, f"spaces in {text!r}"
    check_style(text, reply)
    return reply
