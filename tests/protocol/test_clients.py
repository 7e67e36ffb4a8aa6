"""The habits of clients in use, each re-enacted with its own way of reading and writing."""

from __future__ import annotations

import json
import socket
import time
import unittest
from typing import Iterator, List, Optional

from harness import DEADLINE, TIME_FACTOR, ProtocolTest, Script
from reply_checks import Json, check_reply

STREAM = "llm.utf-8.stream"

# Hostile to readers that count braces or look for quoted words.
PIECES = ["}", "{{", '"delta":"', "\\", "object", "\n", '\\"}', "日本", "finish"]
# Every token waits for the reader: so each frame is a packet of its own.
GATES = [{"file": f"go{step}", "at": step} for step in range(1, len(PIECES) + 1)]


class LineClient(ProtocolTest):
    """Reads with makefile().readline(), writes lines."""

    def test_conversation(self) -> None:
        server = self.serve()
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
            file = connection.makefile("rw", encoding="utf-8", newline="\n")

            def ask(**message: object) -> Json:
                file.write(json.dumps(message) + "\n")
                file.flush()
                line = file.readline()
                check_reply(line.encode())
                return dict(json.loads(line))

            setup: Json = {
                "model": "echo",
                "response_format": STREAM,
                "input": STREAM,
                "enoutput": True,
                "max_token_len": 64,
                "prompt": "You are helpful.",
            }
            reply = ask(
                request_id="llm_001", work_id="llm", action="setup", object="llm.setup", data=setup
            )
            task = reply["work_id"]
            frame = {"delta": "Hello, world", "index": 0, "finish": True}
            reply = ask(
                request_id="llm_001", work_id=task, action="inference", object=STREAM, data=frame
            )
            text = reply["data"]["delta"]
            while not reply["data"]["finish"]:
                reply = json.loads(file.readline())
                text += reply["data"]["delta"]
            self.assertEqual(text, "Hello, world")
            reply = ask(request_id="llm_exit", work_id=task, action="exit")
            self.assertEqual(reply["error"]["code"], 0)
            file.close()


class PacketClient(ProtocolTest):
    """Ends nothing with a newline and takes each recv(4096) as one JSON document."""

    def test_conversation(self) -> None:
        script: Script = {"rules": [{"answer": PIECES, "gate": GATES}]}
        server = self.serve({"m": script})
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:

            def receive() -> Json:
                return dict(json.loads(connection.recv(4096).decode()))

            def send(**message: object) -> None:
                connection.sendall(json.dumps(message, ensure_ascii=False).encode())

            send(request_id="1", work_id="sys", action="ping", object="None", data="None")
            self.assertEqual(receive()["error"]["code"], 0)
            data = {"model": "m", "response_format": STREAM, "input": STREAM, "enoutput": True}
            send(request_id="2", work_id="llm", action="setup", object="llm.setup", data=data)
            task = receive()["work_id"]
            frame = {"delta": "question", "index": 0, "finish": True}
            send(request_id="3", work_id=task, action="inference", object=STREAM, data=frame)
            for step, piece in enumerate(PIECES, 1):
                self.assertEqual(receive()["data"]["delta"], piece)
                server.open_gate("m", f"go{step}")
            self.assertTrue(receive()["data"]["finish"])
            send(request_id="4", work_id=task, action="exit")
            self.assertEqual(receive()["request_id"], "4")

    def test_frames_are_small(self) -> None:
        script: Script = {"rules": [{"answer": ["x" * 1000, "日" * 600, "😀" * 500]}]}
        _, client, task = self.start(script, response_format=STREAM)
        request = client.request(task, "inference", object="llm.utf-8", data="x")
        while True:
            line = client.read_line()
            self.assertLess(len(line), 4096)
            reply = json.loads(line)
            self.assertEqual(reply["request_id"], request)
            if reply["data"]["finish"]:
                break


class Microcontroller(ProtocolTest):
    """The Arduino library: counts braces, begins anew at each newline, knows one request_id."""

    def setUp(self) -> None:
        self.server = self.serve(
            {"m": {"rules": [{"prompt": "q", "answer": PIECES}, {"echo": 4}]}}
        )
        self.connection = socket.create_connection(("127.0.0.1", self.server.port), DEADLINE)
        self.addCleanup(self.connection.close)
        self.messages = self.read_messages()

    def read_messages(self) -> Iterator[Json]:
        buffer = b""
        depth = 0
        while True:
            byte = self.connection.recv(1)
            if not byte:
                return
            if byte == b"\n":
                buffer, depth = b"", 0
                continue
            buffer += byte
            depth += (byte == b"{") - (byte == b"}")
            if depth == 0 and byte == b"}":
                yield dict(json.loads(buffer))

    def send(self, work_id: str, action: str, **fields: object) -> None:
        message: Json = {"request_id": "llm", "work_id": work_id, "action": action, **fields}
        self.connection.sendall(json.dumps(message, separators=(",", ":")).encode())

    def set_up(self) -> str:
        data = {
            "model": "m", "response_format": STREAM, "input": STREAM, "enoutput": True,
            "enkws": True, "max_token_len": 127, "prompt": "",
        }  # fmt: skip
        self.send("llm", "setup", object="llm.setup", data=data)
        # Any setup reply with a work_id other than the unit's is success; codes are not looked at.
        return str(next(self.messages)["work_id"])

    def answer(self, task: str, text: str) -> List[str]:
        frame = {"delta": text, "index": 0, "finish": True}
        self.send(task, "inference", object=STREAM, data=frame)
        deltas = []
        for message in self.messages:
            if message["request_id"] == "llm" and message["object"] == STREAM:
                deltas.append(message["data"]["delta"])
                if message["data"]["finish"]:
                    break
        return deltas

    def test_conversation(self) -> None:
        waits = []
        for _ in range(3):
            task = self.set_up()
            for _ in range(3):
                self.assertEqual(self.answer(task, "q"), PIECES + [""])
            start = time.monotonic()
            self.send(task, "exit")
            self.assertEqual(next(self.messages)["work_id"], task)
            waits.append(time.monotonic() - start)
        # It waits no longer; the machine may be busy for a moment.
        self.assertLess(min(waits), 0.1 * TIME_FACTOR)

    def test_failed_setup_cannot_be_taken_for_success(self) -> None:
        self.send("llm", "setup", object="llm.setup", data={"model": "missing"})
        self.assertEqual(next(self.messages)["work_id"], "llm")

    def test_reboot_in_the_middle_of_an_input(self) -> None:
        task = self.set_up()
        for index in range(3):
            frame = {"delta": "lost", "index": index, "finish": False}
            self.send(task, "inference", object=STREAM, data=frame)
        # The same connection through a serial bridge, the same request_id.
        frame = {"delta": "ques", "index": 0, "finish": False}
        self.send(task, "inference", object=STREAM, data=frame)
        frame = {"delta": "tion", "index": 1, "finish": True}
        self.send(task, "inference", object=STREAM, data=frame)
        deltas = []
        for message in self.messages:
            deltas.append(message["data"]["delta"])
            if message["data"]["finish"]:
                break
        self.assertEqual("".join(deltas), "question")


class HastyClient(ProtocolTest):
    def test_inference_with_the_setup_reply(self) -> None:
        client = self.connect(self.serve())
        for turn in range(50):
            task = client.setup("echo")
            self.assertEqual(client.infer(task, f"turn {turn}").text, f"turn {turn}")
            client.exit(task)

    def test_inference_with_the_setup_reply_of_another(self) -> None:
        server = self.serve()
        first, second = self.connect(server), self.connect(server)
        for turn in range(20):
            task = first.setup("echo")
            self.assertEqual(second.infer(task, f"turn {turn}").text, f"turn {turn}")
            second.exit(task)

    def test_next_inference_with_the_end_of_the_last(self) -> None:
        # With no room to wait: a task that has answered is free.
        client = self.connect(self.serve(None, "--queue", "0"))
        for response_format in ("llm.utf-8", STREAM):
            task = client.setup("echo", response_format)
            for turn in range(100):
                self.assertEqual(client.infer(task, f"turn {turn}").text, f"turn {turn}")
            client.exit(task)


class ParsedByText(ProtocolTest):
    """Units behind the output take a delta by looking for the quoted word (reply_checks.py)."""

    def test_every_awkward_piece(self) -> None:
        awkward: List[str] = [
            '"', '""', '\\', '\\\\', '\\"', '"\\', '"delta":"x"', "delta", '"data"', "finish",
            '","finish":true,"delta":"', "{", "}", "{}", "\t", "\n", "\r\n", "\x0b", "\x7f", "é",
            "action", "work_id", "request_id", "index", "zmq_com", "object", "u0041", "/",
        ]  # fmt: skip
        script: Script = {"rules": [{"answer": awkward}]}
        _, client, task = self.start(script, response_format=STREAM)
        self.check_frames(client.ask_all(task, "x"), task, "".join(awkward))
        whole: Optional[str] = client.setup("m")
        assert whole is not None
        self.check_text(client.ask_all(whole, "x"), whole, "".join(awkward))


if __name__ == "__main__":
    unittest.main()
