"""A tokenizer service as StackFlow's packaged scripts are one, for models of the simulator.

It takes their arguments and speaks either dialect over HTTP/1.0 without Content-Length, as
Python's http.server does by itself, but is strict: every method, field and type that the packaged
scripts would not be sent gets status 400. Byte-level BPE and ChatML, from MODEL_ID/vocabulary.json
(a tokenizer.json). MODEL_ID/double.json says how it misbehaves:

    dialect            "plain" or "context"
    waits_for_go       listens only once MODEL_ID/go is there
    dies_at_start      a text for stderr
    fails_decode       once, at this decode: [number, "die" | "json" | "huge" | "type"]
    bos_id             of a beginning token; none without it
    sends_length       answers with Content-Length, as HTTP/1.1

What it was given goes to MODEL_ID/started.json; MODEL_ID/incomplete appears when ids were decoded
that end within a character, and MODEL_ID/cut when an answer ended there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional
from urllib.parse import parse_qs, urlparse

WORDS = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
REPLACEMENT = "\ufffd"


def byte_alphabet() -> Dict[int, str]:
    """The characters that byte-level BPE writes bytes as."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in own]
    return {**{b: chr(b) for b in own}, **{b: chr(256 + i) for i, b in enumerate(others)}}


class Vocabulary:
    def __init__(self, path: Path) -> None:
        file = json.loads(path.read_text("utf-8"))
        alphabet = byte_alphabet()
        self.alphabet = alphabet
        to_byte = {character: byte for byte, character in alphabet.items()}
        self.ids: Dict[str, int] = file["model"]["vocab"]
        merges = (m.split(" ") if isinstance(m, str) else m for m in file["model"]["merges"])
        self.ranks = {tuple(merge): rank for rank, merge in enumerate(merges)}
        self.special = {token["content"]: token["id"] for token in file["added_tokens"]}
        self.bytes = {i: bytes(to_byte[c] for c in text) for text, i in self.ids.items()}
        self.bytes.update({i: text.encode() for text, i in self.special.items()})

    def encode(self, text: str) -> List[int]:
        ids: List[int] = []
        for part in re.split("(" + "|".join(map(re.escape, self.special)) + ")", text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                for word in WORDS.findall(part):
                    ids += self._encode_word([self.alphabet[byte] for byte in word.encode()])
        return ids

    def _encode_word(self, pieces: List[str]) -> List[int]:
        while len(pieces) > 1:
            pairs = list(zip(pieces, pieces[1:]))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, 1 << 30))
            if best not in self.ranks:
                break
            at = pairs.index(best)
            pieces[at : at + 2] = ["".join(best)]
        return [self.ids[piece] for piece in pieces]

    def decode(self, ids: List[int]) -> str:
        return b"".join(self.bytes[i] for i in ids).decode("utf-8", "replace")


def render(messages: List[Dict[str, str]]) -> str:
    turns = (
        f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages if m["content"]
    )
    return "".join(turns) + "<|im_start|>assistant\n"


class Conversation:
    """What a context service keeps for a uid."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.messages: List[Dict[str, str]] = []
        self.said: List[int] = []
        self.held: List[int] = []

    def reset(self, system: str) -> List[int]:
        self.messages = [{"role": "system", "content": system}]
        self.said = self._ids_without_opening()
        return self.said

    def encode(self, text: str, last_reply: Optional[str]) -> Any:
        waits_for_reply = bool(self.messages) and self.messages[-1]["role"] == "user"
        if waits_for_reply != (last_reply is not None):
            raise Refused(f"a reply of {last_reply!r} behind {self.messages[-1:]}")
        if last_reply is not None:
            self.messages.append({"role": "assistant", "content": last_reply})
            self.said = self._ids_without_opening()
        self.messages.append({"role": "user", "content": text})
        ids = self.vocabulary.encode(render(self.messages))
        diff = ids[len(self.said) :]
        self.said = ids
        self.decode(diff)  # the scripts print it
        return ids, diff

    def decode(self, ids: List[int]) -> str:
        self.held += ids
        text = self.vocabulary.decode(self.held)
        if REPLACEMENT in text:
            return ""
        self.held.clear()
        return text

    def _ids_without_opening(self) -> List[int]:
        opening = self.vocabulary.encode("<|im_start|>assistant\n")
        return self.vocabulary.encode(render(self.messages))[: -len(opening)]


class Refused(Exception):
    """The request is not one that a packaged script is sent."""


class Service(HTTPServer):
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder = Path(arguments.model_id)
        self.content = arguments.content
        self.settings = json.loads((self.folder / "double.json").read_text("utf-8"))
        self.vocabulary = Vocabulary(self.folder / "vocabulary.json")
        self.conversations: Dict[str, Conversation] = {}
        self.decodes = 0
        super().__init__((arguments.host, arguments.port), Handler)

    def get(self, path: str, query: Dict[str, List[str]]) -> Any:
        is_context = self.settings["dialect"] == "context"
        if path == "/get_uid" and is_context and not query:
            uid = str(uuid.uuid4())
            self.conversations[uid] = Conversation(self.vocabulary)
            return {"uid": uid}
        ids = {
            "/bos_id": ("bos_id", self.settings.get("bos_id", -1)),
            "/eos_id": ("eos_id", self.vocabulary.special["<|im_end|>"]),
        }
        if path not in ids:
            raise Refused(f"GET {path}")
        if is_context and query.get("uid", [""])[0] not in self.conversations:
            return {"error": "Invalid uid"}
        if not is_context and query:
            raise Refused(f"a query: {query}")
        return dict([ids[path]])

    def post(self, path: str, request: Dict[str, Any]) -> Any:
        is_context = self.settings["dialect"] == "context"
        fields: Dict[str, Dict[str, type]] = {
            "/encode": {"text": str, "img_prompt": bool},
            "/decode": {"token_ids": list, "uid": str},
        }
        if is_context:
            fields["/reset"] = {"uid": str}
            fields["/encode"]["uid"] = str
        optional = {"/encode": "last_reply", "/reset": "system_prompt"} if is_context else {}
        if path not in fields:
            raise Refused(f"POST {path}")
        for key, value in request.items():
            expected = str if key == optional.get(path) else fields[path].get(key)
            if (
                expected is None
                or type(value) is not expected
                or key == optional.get(path)
                and not value
            ):
                raise Refused(f"{path}: {key} is {value!r}")
        missing = fields[path].keys() - request.keys()
        if missing:
            raise Refused(f"{path}: no {missing}")
        if path == "/decode":
            self._check_ids(request["token_ids"])
        if not is_context:
            return self._post_plain(path, request)
        conversation = self.conversations.get(request["uid"])
        if conversation is None:
            return {"error": "Invalid uid"}
        if path == "/reset":
            return {"token_ids": conversation.reset(request.get("system_prompt", self.content))}
        if path == "/decode":
            return {"text": conversation.decode(request["token_ids"])}
        if conversation.held:
            (self.folder / "cut").touch()
        ids, diff = conversation.encode(request["text"], request.get("last_reply"))
        return {"token_ids": ids, "diff": diff}

    def _post_plain(self, path: str, request: Dict[str, Any]) -> Any:
        if path == "/decode":
            return {"text": self.vocabulary.decode(request["token_ids"])}
        messages = [{"role": "system", "content": self.content},
                    {"role": "user", "content": request["text"]}]  # fmt: skip
        return {"token_ids": self.vocabulary.encode(render(messages))}

    def _check_ids(self, ids: List[Any]) -> None:
        if not ids or any(type(i) is not int or i not in self.vocabulary.bytes for i in ids):
            raise Refused(f"token_ids is {ids}")
        if self.vocabulary.decode(ids).endswith(REPLACEMENT):
            (self.folder / "incomplete").touch()

    def misbehaviour(self, path: str) -> str:
        """What is to go wrong with this call."""
        if path != "/decode" or "fails_decode" not in self.settings:
            return ""
        self.decodes += 1
        at, how = self.settings["fails_decode"]
        marker = self.folder / "failed"
        if self.decodes != at or marker.exists():
            return ""
        marker.touch()
        return str(how)


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        url = urlparse(self.path)
        self._answer(lambda: self.server.get(url.path, parse_qs(url.query)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("received", body.decode())
        how = self.server.misbehaviour(self.path)
        if how == "die":
            self._send(200, None)
            self.wfile.write(b'{"te')
            self.wfile.flush()
            print("MemoryError: the double dies here", file=sys.stderr)
            os._exit(3)
        elif how:
            self._send(200, {"json": b'{"text": "a', "huge": b'{"text": "' + b"x" * (5 << 20) + b'"}',
                             "type": b'{"text": 7}'}[how])  # fmt: skip
        else:
            self._answer(lambda: self.server.post(self.path, json.loads(body)))

    def _answer(self, work: Any) -> None:
        try:
            self._send(200, json.dumps(work()).encode())
        except Refused as refused:
            print("refused:", refused, file=sys.stderr)
            self._send(400, str(refused).encode())

    def _send(self, status: int, body: Optional[bytes]) -> None:
        if self.server.settings.get("sends_length") and body is not None:
            self.protocol_version = "HTTP/1.1"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.protocol_version == "HTTP/1.1" and body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body or b"")
        except OSError:  # the other side has had enough
            pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model_id", required=True)
    parser.add_argument("--content", required=True)
    arguments = parser.parse_args()
    folder = Path(arguments.model_id)
    settings = json.loads((folder / "double.json").read_text("utf-8"))
    if "dies_at_start" in settings:
        print("Loading the tokenizer")
        sys.exit(settings["dies_at_start"])
    started = {**vars(arguments), "pid": os.getpid(), "PYTHONPATH": os.environ.get("PYTHONPATH")}
    if not settings.get("waits_for_go"):
        server = Service(arguments)
        started["port"] = server.server_port
    (folder / "started.tmp").write_text(json.dumps(started), "utf-8")
    (folder / "started.tmp").rename(folder / "started.json")
    if settings.get("waits_for_go"):
        while not (folder / "go").exists():
            time.sleep(0.005)
        server = Service(arguments)
    server.serve_forever()


if __name__ == "__main__":
    main()
