#!/usr/bin/env python3
"""A double of llm-sys, written from PROTOCOL.md: TCP on one side, a unit over ZeroMQ on the other.

    llm_sys_double.py --socket-root DIR --port N

It does what llm-sys does where a unit can tell, in llm-sys's own way (braces counted without a look
at strings, one lock around calls of units), and is stricter: whatever a unit does that llm-sys
or another unit would not put up with is printed on stderr as a line "violation: …", and makes the
exit status 3. Port 0 takes any free one; the first line on stdout is "listening on 127.0.0.1:N".

For tests alone, `sys` actions of its own: `open_unit` (data "asr": allots it a task of a unit that
is no program; replies with its work_id), `wait_for_subscriber` (data that work_id), `publish`
(data {"work_id", "message"}: a line on its output), `hold_releases` and `let_releases_go`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import zmq

from reply_checks import check_reply

CALL_TIMEOUT_MS = 3000
FIRST_PORT = 5010
FIRST_CLIENT = 8000


class Violations:
    """Notes what a unit should not have done."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        with self._lock:
            self.count += 1
            print(f"violation: {text}", file=sys.stderr, flush=True)


class Task:
    """What a registered task has: its URLs, and the socket that inferences are published at."""

    def __init__(self, context: "zmq.Context[Any]", root: Path, unit: str, number: int,
                 ports: List[int]) -> None:  # fmt: skip
        self.unit, self.number, self.ports = unit, number, ports
        self.output_url = f"ipc://{root}/llm/{ports[0]}.sock.{unit}.output_url"
        self.inference_url = f"ipc://{root}/llm/{ports[2]}.sock.{unit}.inference_url"
        self._lock = threading.Lock()
        self._socket = context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.inference_url)

    def publish(self, message: bytes) -> None:
        with self._lock:
            self._socket.send(message)

    def close(self) -> None:
        with self._lock:
            self._socket.close()


class LlmSys:
    """The registry of units and tasks, and the calls between llm-sys and units."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.context: "zmq.Context[Any]" = zmq.Context()
        self.violations = Violations()
        self._lock = threading.Lock()
        self._call_lock = threading.Lock()
        self._next_number = 1000
        self._ports: List[bool] = [False] * 1000
        self._values: Dict[str, str] = {
            "config_base_mode_path": "\\/opt\\/m5stack\\/data\\/",
            "config_base_mode_config_path": "\\/opt\\/m5stack\\/etc\\/",
            "config_model_d": "\\/opt\\/m5stack\\/data\\/models\\/",
        }
        self.tasks: Dict[str, Task] = {}
        self.releases_go = threading.Event()
        self.releases_go.set()
        self.outputs: Dict[str, "zmq.Socket[Any]"] = {}  # of the double's own units
        (root / "llm").mkdir(parents=True, exist_ok=True)
        self._rpc = self.context.socket(zmq.REP)
        self._rpc.bind(f"ipc://{root}/rpc.sys")
        threading.Thread(target=self._answer_calls, daemon=True).start()

    # --- calls that units make ---

    def _answer_calls(self) -> None:
        actions: Dict[str, Callable[[str], bytes]] = {
            "register_unit": self._register,
            "release_unit": self._release,
            "sql_select": lambda key: self._values.get(key, "").encode(),
            "sql_set": self._set,
            "sql_unset": self._unset,
        }
        while True:
            parts = self._rpc.recv_multipart()
            if len(parts) != 2 or parts[0].decode() not in actions:
                self.violations.note(f"a call of llm-sys with {parts!r}")
                self._rpc.send(b"NotAction")
                continue
            self._rpc.send(actions[parts[0].decode()](parts[1].decode()))

    def _register(self, unit: str) -> bytes:
        task = self.allot(unit)
        number = str(task.number).encode()
        output = task.output_url.encode()
        # The last string has no length before it.
        return bytes([len(number)]) + number + bytes([len(output)]) + output + (
            task.inference_url.encode()
        )

    def allot(self, unit: str) -> Task:
        with self._lock:
            ports = [index for index, used in enumerate(self._ports) if not used][:3]
            for port in ports:
                self._ports[port] = True
            number, self._next_number = self._next_number, self._next_number + 1
            numbered = [FIRST_PORT + port for port in ports]
            task = Task(self.context, self.root, unit, number, numbered)
            self.tasks[f"{unit}.{number}"] = task
            self._values[f"{unit}.{number}.out_port"] = task.output_url
            return task

    def _release(self, work_id: str) -> bytes:
        self.releases_go.wait()
        with self._lock:
            task = self.tasks.pop(work_id, None)
            self._values.pop(work_id + ".out_port", None)
        if task is not None:
            task.close()
            for port in task.ports:
                self._ports[port - FIRST_PORT] = False
        return b"Success"

    def _set(self, payload: str) -> bytes:
        pair = json.loads(payload)
        self._values[pair["key"]] = pair["val"]
        return b"Success"

    def _unset(self, key: str) -> bytes:
        self._values.pop(key, None)
        return b"Success"

    # --- calls of units ---

    def call_unit(self, unit: str, action: str, reply_url: str, request: bytes) -> bool:
        """False when the unit does not answer in time, or is not there."""
        path = self.root / f"rpc.{unit}"
        if not path.exists():
            return False
        url = reply_url.encode()
        # All clients wait while one unit is called.
        with self._call_lock, self.context.socket(zmq.REQ) as caller:
            caller.setsockopt(zmq.LINGER, 0)
            caller.setsockopt(zmq.SNDTIMEO, CALL_TIMEOUT_MS)
            caller.setsockopt(zmq.RCVTIMEO, CALL_TIMEOUT_MS)
            caller.connect(f"ipc://{path}")
            try:
                caller.send_multipart([action.encode(), bytes([len(url)]) + url + request])
                answer = caller.recv_multipart()
            except zmq.Again:
                return False
        allowed = [b"None"], [f"{action} NotAction".encode()]
        if answer not in allowed and action != "list_action":
            self.violations.note(f"{action} answered with {answer!r}")
        return True


class Connection:
    """One TCP client: frames in, and whatever is pushed to its URL out."""

    def __init__(self, llm_sys: LlmSys, connection: socket.socket, number: int) -> None:
        self._sys = llm_sys
        self._tcp = connection
        self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send_lock = threading.Lock()
        self.url = f"ipc://{llm_sys.root}/llm/{number}.sock"
        self._pull = llm_sys.context.socket(zmq.PULL)
        self._pull.setsockopt(zmq.LINGER, 0)
        self._pull.bind(self.url)
        self._ended = threading.Event()
        threading.Thread(target=self._pass_replies, daemon=True).start()
        threading.Thread(target=self._read, daemon=True).start()

    def _pass_replies(self) -> None:
        while not self._ended.is_set():
            if not self._pull.poll(10):
                continue
            line = self._pull.recv()
            try:
                check_reply(line)
            except (AssertionError, ValueError, KeyError) as error:
                self._sys.violations.note(f"{type(error).__name__} {error} in {line!r}")
            self._write(line)
        self._pull.close()

    def _write(self, data: bytes) -> None:
        try:
            with self._send_lock:
                self._tcp.sendall(data)
        except OSError:
            pass  # it has gone; reading tells

    def reply(self, request_id: str, work_id: str, code: int = 0, message: str = "",
              kind: str = "None", data: Any = "None") -> None:  # fmt: skip
        line = {"object": kind, "data": data, "error": {"code": code, "message": message},
                "created": int(time.time()), "request_id": request_id, "work_id": work_id}  # fmt: skip
        self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _read(self) -> None:
        """Cuts what comes into objects as llm-sys does: by braces, in strings too."""
        frame, depth = bytearray(), 0
        while True:
            try:
                data = self._tcp.recv(65536)
            except OSError:
                break
            if not data:
                break
            for byte in data:
                escaped = frame[-1:] == b"\\"
                frame.append(byte)
                depth += (byte == ord("{") and not escaped) - (byte == ord("}") and not escaped)
                if depth == 0:
                    if frame.startswith(b"{"):
                        self._route(bytes(frame))
                    frame.clear()
                elif depth < 0:
                    frame.clear()
                    depth = 0
                    self.reply("0", "sys", -1, "reace reset")
        self._ended.set()
        self._tcp.close()

    def _route(self, frame: bytes) -> None:
        try:
            request = json.loads(frame)
            request_id, work_id, action = (
                request[key] for key in ("request_id", "work_id", "action")
            )
        except (ValueError, KeyError):
            return self.reply("0", "sys", -2, "json format error")
        unit = work_id.split(".")[0] or "sys"
        if action == "inference":
            task = self._sys.tasks.get(work_id)
            if task is None:
                return self.reply(request_id, work_id, -4, "inference data push false")
            task.publish(b'{"zmq_com":"' + self.url.encode() + b'",' + frame[1:])
        elif unit == "sys":
            self._sys_action(request)
        elif not self._sys.call_unit(unit, action, self.url, frame):
            self.reply(request_id, work_id, -9, "unit call false")
        return None

    def _sys_action(self, request: Dict[str, Any]) -> None:
        request_id, work_id = request["request_id"], request["work_id"]
        data = request.get("data")
        if request["action"] == "ping":
            self.reply(request_id, work_id)
        elif request["action"] == "open_unit":
            task = self._sys.allot(data)
            output = self._sys.context.socket(zmq.XPUB)
            output.setsockopt(zmq.LINGER, 0)
            output.bind(task.output_url)
            opened = f"{data}.{task.number}"
            self._sys.outputs[opened] = output
            self.reply(request_id, opened)
        elif request["action"] == "publish":
            self._sys.outputs[data["work_id"]].send(data["message"].encode())
            self.reply(request_id, work_id)
        elif request["action"] in ("hold_releases", "let_releases_go"):
            getattr(self._sys.releases_go, "clear" if "hold" in request["action"] else "set")()
            self.reply(request_id, work_id)
        elif request["action"] == "wait_for_subscriber":
            self._sys.outputs[data].recv()
            self.reply(request_id, work_id)
        else:
            self.reply(request_id, work_id, -3, "action match false")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket-root", type=Path, required=True, help="folder for all sockets")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0: any free one")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    llm_sys = LlmSys(options.socket_root)
    listener = socket.create_server(("127.0.0.1", options.port))

    def accept() -> None:
        number = FIRST_CLIENT
        while True:
            connection, _ = listener.accept()
            Connection(llm_sys, connection, number)
            number += 1

    threading.Thread(target=accept, daemon=True).start()
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    ended.wait()
    left = sorted(llm_sys.tasks)
    print(f"left: {json.dumps(left)}", file=sys.stderr, flush=True)
    sys.stderr.flush()
    os._exit(3 if llm_sys.violations.count else 0)  # threads still wait at sockets


if __name__ == "__main__":
    main()
