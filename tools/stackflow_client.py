"""A small client of the llm-sys protocol (TCP port 10001), standard library only.

Works against `llm_llm serve` and against M5Stack's llm-sys. A conversation in five lines:

    from stackflow_client import GREEDY, StackFlowClient

    with StackFlowClient("127.0.0.1", 10001) as client:
        task = client.setup("tiny-chat", **GREEDY)
        print(client.infer(task, "Hello!").text)
        client.exit(task)

protocol/PROTOCOL.md describes what goes over the wire.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

TEXT = "llm.utf-8"
TEXT_STREAM = "llm.utf-8.stream"

# Setup keys that make the answer a function of the prompt: every sampler off. StackFlow's own
# default is top-k 10 with a fresh random seed, which answers differently each time.
GREEDY: Dict[str, Any] = {
    "enable_temperature": False,
    "enable_top_p_sampling": False,
    "enable_top_k_sampling": False,
    "enable_repetition_penalty": False,
}

Json = Dict[str, Any]

_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')


class StackFlowError(Exception):
    """A reply whose error.code is not 0."""

    def __init__(self, reply: Json) -> None:
        error = reply.get("error", {})
        self.reply = reply
        self.code: int = error.get("code", 0)
        self.message: str = error.get("message", "")
        super().__init__(f"error {self.code}: {self.message}")


class ConnectError(Exception):
    """There is nobody at host:port."""


class ReplyTimeout(Exception):
    """No reply in time."""


class Disconnected(Exception):
    """The server closed the connection."""


@dataclass
class Answer:
    """The result of one inference.

    text      all of it
    seconds   from sending the request to the end of the answer
    deltas    (seconds from sending, text) of each piece; one piece where nothing was streamed
    replies   the replies it was made of, as they came
    """

    text: str = ""
    seconds: float = 0.0
    deltas: List[Tuple[float, str]] = field(default_factory=list)
    replies: List[Json] = field(default_factory=list)


def encode(message: Json) -> bytes:
    """One request as a line of JSON in the form that every server reads.

    Non-ASCII text goes as UTF-8; braces inside strings go as \\u007b and \\u007d, because llm-sys
    finds the end of an object by counting braces wherever they stand.
    """
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    text = _JSON_STRING.sub(
        lambda match: match[0].replace("{", "\\u007b").replace("}", "\\u007d"), text
    )
    return text.encode("utf-8") + b"\n"


def pack_bf16(values: Iterable[float]) -> bytes:
    """Little-endian bfloat16 values, each rounded to nearest (ties to even) from float32."""
    packed = bytearray()
    for value in values:
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
        if bits & 0x7FFFFFFF > 0x7F800000:  # NaN: keep it one
            upper = (bits >> 16) | 0x40
        else:
            upper = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        packed += struct.pack("<H", upper)
    return bytes(packed)


def unpack_bf16(data: bytes) -> List[float]:
    """The float values of little-endian bfloat16 bytes."""
    return [
        struct.unpack("<f", struct.pack("<I", bits << 16))[0]
        for (bits,) in struct.iter_unpack("<H", data)
    ]


def soft_prefix(rows: Sequence[Sequence[float]]) -> Json:
    """The `soft_prefix` object for a matrix [P, hidden_size] of floats."""
    data = b"".join(pack_bf16(row) for row in rows)
    return {"len": len(rows), "data_b64": base64.b64encode(data).decode("ascii")}


def constant_prefix(value: float, hidden_size: int, rows: int = 1) -> Json:
    """A soft prefix [rows, hidden_size] of one value."""
    return soft_prefix([[value] * hidden_size] * rows)


class StackFlowClient:
    """One TCP connection. Not thread-safe.

    timeout: seconds to wait for the connection and then for each reply. Methods that wait for a
    reply raise StackFlowError for an error reply, ReplyTimeout and Disconnected.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 10001, timeout: float = 60.0) -> None:
        """Connects; raises ConnectError."""
        self.timeout = timeout
        self._next_id = 1
        self._buffer = bytearray()
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise ConnectError(f"cannot connect to {host}:{port}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "StackFlowClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    # --- bytes and messages ---

    def send_bytes(self, data: bytes) -> None:
        self._socket.settimeout(self.timeout)
        try:
            self._socket.sendall(data)
        except socket.timeout as error:
            raise ReplyTimeout(f"could not send for {self.timeout:g} s") from error
        except OSError as error:
            raise Disconnected(f"sending failed: {error}") from error

    def read_line(self, timeout: Optional[float] = None) -> bytes:
        """The next line with its newline."""
        seconds = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                return line
            searched = len(self._buffer)
            left = deadline - time.monotonic()
            if left <= 0:
                raise ReplyTimeout(f"no reply for {seconds:g} s")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except socket.timeout as error:
                raise ReplyTimeout(f"no reply for {seconds:g} s") from error
            except OSError as error:
                raise Disconnected(f"receiving failed: {error}") from error
            if not data:
                raise Disconnected("the server closed the connection")
            self._buffer += data

    def receive(self, timeout: Optional[float] = None) -> Json:
        """The next reply, whatever request it belongs to; error replies too."""
        reply = json.loads(self.read_line(timeout))
        if not isinstance(reply, dict):
            raise ValueError(f"a reply that is no object: {reply!r}")
        return reply

    def request(self, work_id: str, action: str, **fields: Any) -> str:
        """Sends a request and returns its request_id, a new one unless given.

        fields: object, data, request_id; absent ones are not sent.
        """
        request_id: Optional[str] = fields.pop("request_id", None)
        if request_id is None:
            request_id = str(self._next_id)
            self._next_id += 1
        # work_id before object: llm-sys finds "work_id" by text, and link's object is that word.
        message = {"request_id": request_id, "work_id": work_id, "action": action, **fields}
        self.send_bytes(encode(message))
        return request_id

    def call(self, work_id: str, action: str, **fields: Any) -> Json:
        """Sends a request and returns the first reply to it; replies to others are dropped."""
        return self._reply_to(self.request(work_id, action, **fields))

    def _reply_to(self, request_id: str) -> Json:
        deadline = time.monotonic() + self.timeout
        while True:
            reply = self.receive(max(deadline - time.monotonic(), 0.001))
            if reply.get("request_id") != request_id:
                continue
            if reply.get("error", {}).get("code", 0) != 0:
                raise StackFlowError(reply)
            return reply

    # --- the llm unit ---

    def setup(self, model: str, response_format: str = TEXT, **options: Any) -> str:
        """Sets up a task and returns its work_id ("llm.1000").

        options: further keys of setup's data: prompt (the system prompt), max_token_len, input,
        the sampler keys (see GREEDY), …
        """
        data: Json = {
            "model": model,
            "response_format": response_format,
            "input": TEXT_STREAM if response_format == TEXT_STREAM else TEXT,
            "enoutput": True,
            "prompt": "",
        }
        data.update(options)
        return str(self.call("llm", "setup", object="llm.setup", data=data)["work_id"])

    def send_inference(
        self,
        work_id: str,
        text: str,
        prefix: Optional[Json] = None,
        stream_input: bool = False,
    ) -> str:
        """Sends an inference without waiting for its answer; returns its request_id.

        prefix: a soft prefix (see soft_prefix()). It needs the streamed form of input, here one
        finishing frame, which stream_input asks for without a prefix too.
        """
        if prefix is None and not stream_input:
            return self.request(work_id, "inference", object=TEXT, data=text)
        frame: Json = {"delta": text, "index": 0, "finish": True}
        if prefix is not None:
            frame["soft_prefix"] = prefix
        return self.request(work_id, "inference", object=TEXT_STREAM, data=frame)

    def read_answer(
        self, request_id: str, on_piece: Optional[Callable[[str], None]] = None
    ) -> Answer:
        """Reads the answer to an inference, streamed or not; self.timeout is for each reply.

        on_piece: called with each piece of text as it comes.
        """
        answer = Answer()
        start = time.monotonic()
        while True:
            reply = self._reply_to(request_id)
            answer.seconds = time.monotonic() - start
            answer.replies.append(reply)
            data: Union[str, Json] = reply["data"]
            piece = str(data["delta"]) if isinstance(data, dict) else str(data)
            if piece:
                answer.deltas.append((answer.seconds, piece))
                answer.text += piece
                if on_piece is not None:
                    on_piece(piece)
            if not isinstance(data, dict) or data["finish"]:
                return answer

    def infer(
        self,
        work_id: str,
        text: str,
        prefix: Optional[Json] = None,
        stream_input: bool = False,
    ) -> Answer:
        """One inference from prompt to whole answer; see send_inference()."""
        return self.read_answer(self.send_inference(work_id, text, prefix, stream_input))

    def pause(self, work_id: str) -> None:
        self.call(work_id, "pause")

    def exit(self, work_id: str) -> None:
        """Ends the task and frees its model."""
        self.call(work_id, "exit")

    def taskinfo(self, work_id: str = "llm") -> Any:
        """`data` of taskinfo: the list of work_ids for "llm", an object for one task."""
        return self.call(work_id, "taskinfo")["data"]

    def hidden_size(self, work_id: str) -> Optional[int]:
        """The width of the model's embeddings; None where the unit does not tell (upstream)."""
        info = self.taskinfo(work_id)
        size = info.get("hidden_size") if isinstance(info, dict) else None
        return size if isinstance(size, int) else None
