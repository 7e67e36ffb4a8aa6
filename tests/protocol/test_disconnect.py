"""Clients that go away or never read, and the end of the program in the middle of things."""

from __future__ import annotations

import json
import signal
import socket
import struct
import time
import unittest
from typing import Callable, Dict, List

from harness import (
    DEADLINE,
    TIME_FACTOR,
    Client,
    ProtocolTest,
    Script,
    Server,
    request_bytes,
    wait_until,
)
from reply_checks import Json

STREAM = "llm.utf-8.stream"
STEP_MS = int(100 * TIME_FACTOR)
CANCELLED_WITHIN = 3 * TIME_FACTOR  # two seconds, and what a busy machine adds

MIDDLE = {"file": "middle", "at": 3}
SLOW: Script = {
    "rules": [
        {"prompt": "long", "answer": ["x"], "repeat": 200, "decode_ms": STEP_MS},
        {"prompt": "gated", "answer": ["x"], "repeat": 200, "decode_ms": STEP_MS, "gate": MIDDLE},
        {"prompt": "think", "answer": ["x"], "prefill_ms": 600_000},
        {"prompt": "counts", "counts": True},
        {"echo": 4},
    ]
}


def reset_connection(client: Client) -> None:
    """Closes with a RST, as a crashed client's kernel does."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def counts(client: Client, task: str) -> Dict[str, int]:
    """Engine calls so far."""
    parsed = json.loads(client.infer(task, "counts").text)
    assert isinstance(parsed, dict)
    return parsed


class ClientGone(ProtocolTest):
    def check_stream_is_cancelled(self, leave: Callable[[Client], None]) -> None:
        server, staying, task = self.start(SLOW, response_format=STREAM)
        leaving = self.connect(server)
        leaving.request(task, "inference", object="llm.utf-8", data="long")
        for _ in range(3):
            leaving.receive()
        leave(leaving)
        start = time.monotonic()
        decodes = counts(staying, task)["decode_calls"]  # runs once the other has ended
        self.assertLess(time.monotonic() - start, CANCELLED_WITHIN)
        # The third piece comes of the second decode; one was under way, the next may have begun.
        self.assertLessEqual(decodes, 4)
        staying.expect_nothing()

    def test_stream_is_cancelled(self) -> None:
        self.check_stream_is_cancelled(lambda client: client.close())

    def test_stream_is_cancelled_by_a_reset(self) -> None:
        self.check_stream_is_cancelled(reset_connection)

    def test_answer_in_one_piece_is_cancelled(self) -> None:
        server, staying, task = self.start(SLOW)
        leaving = self.connect(server)
        leaving.request(task, "inference", object="llm.utf-8", data="gated")
        server.wait_for_gate("m", "middle")
        leaving.close()
        server.open_gate("m", "middle")
        start = time.monotonic()
        counts(staying, task)
        self.assertLess(time.monotonic() - start, CANCELLED_WITHIN)

    def test_long_prompt_is_cancelled(self) -> None:
        server, staying, task = self.start(SLOW)
        leaving = self.connect(server)
        leaving.request(task, "inference", object="llm.utf-8", data="think")
        leaving.expect_nothing()
        leaving.close()
        self.assertEqual(staying.infer(task, "next").text, "next")

    def test_waiting_inferences_are_cancelled(self) -> None:
        server, staying, task = self.start(SLOW)
        long_answer = staying.request(task, "inference", object="llm.utf-8", data="long")
        leaving = self.connect(server)
        for _ in range(3):
            leaving.request(task, "inference", object="llm.utf-8", data="think")
        leaving.expect_nothing()
        leaving.close()
        # Their places in the queue are free again while the first one still runs.
        end = time.monotonic() + CANCELLED_WITHIN
        while True:
            request = staying.request(task, "inference", object="llm.utf-8", data="next")
            staying.send_bytes(request_bytes("sys", "ping", "accepted"))
            reply = staying.receive()
            if reply["request_id"] == "accepted":
                break
            self.check_plain_error(reply, -11, task, "queue full")
            self.assertEqual(staying.receive()["request_id"], "accepted")
            self.assertLess(time.monotonic(), end, "the queue stays full of a gone client's")
        # None of the three is begun: they would take ten minutes each.
        staying.request(task, "pause", request_id="pause")
        replies = {reply["request_id"]: reply for reply in (staying.receive() for _ in range(3))}
        self.assertEqual(set(replies), {"pause", long_answer, request})
        self.assertEqual(replies[request]["data"], "next")

    def test_unfinished_input_is_forgotten(self) -> None:
        server, staying, task = self.start(SLOW)
        for number in range(40):
            client = self.connect(server)
            frame = {"delta": "x" * 100_000, "index": 0, "finish": False}
            client.request(task, "inference", object=STREAM, data=frame)
            client.expect_nothing()
            client.close()
        self.assertEqual(staying.infer(task, "next").text, "next")

    def test_client_that_only_stopped_sending_gets_its_answer(self) -> None:
        # As in `echo '{…}' | nc 127.0.0.1 10001`.
        server, _, task = self.start(SLOW)
        client = self.connect(server)
        request = client.request(task, "inference", object="llm.utf-8", data="hello there")
        client.socket.shutdown(socket.SHUT_WR)
        self.check_text(client.read_all(request), task, "hello there")

    def test_tasks_outlive_their_client(self) -> None:
        server, client, task = self.start(SLOW)
        client.close()
        self.assertEqual(self.connect(server).infer(task, "hello").text, "hello")


class NeverReads(ProtocolTest):
    PIECES = 1500
    SCRIPT: Script = {
        "context_length": 4096,
        "rules": [{"prompt": "flood", "answer": ["x" * 16_000], "repeat": PIECES}, {"echo": 4}],
    }

    def silent_client(self, server: Server) -> Client:
        """A connection with little room in its kernel buffer."""
        client = Client.__new__(Client)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(DEADLINE)
        connection.connect(("127.0.0.1", server.port))
        self.addCleanup(connection.close)
        client.timeout, client._next_id, client._buffer = DEADLINE, 1, bytearray()
        client._socket = connection
        return client

    def check_cut_off(self, client: Client) -> None:
        """Reads what the kernels hold; the connection must be over before the flood is."""
        received = 0
        try:
            while True:
                data = client.socket.recv(1 << 20)
                if not data:
                    break
                received += len(data)
        except ConnectionResetError:
            pass
        self.assertLess(received, self.PIECES * 16_000)

    def test_it_is_cut_off_and_others_do_not_notice(self) -> None:
        server, other, task = self.start(self.SCRIPT, response_format=STREAM)
        second = other.setup("m")
        silent = self.silent_client(server)
        silent.send_bytes(
            request_bytes(task, "inference", object="llm.utf-8", data="flood")
        )
        for turn in range(20):
            self.assertEqual(other.infer(second, f"turn {turn}").text, f"turn {turn}")
        # The same task is free again once the flood is over or given up.
        self.assertEqual(other.infer(task, "same task").text, "same task")
        self.check_cut_off(silent)

    def test_replies_of_sys_count_too(self) -> None:
        server, other, _ = self.start(self.SCRIPT)
        silent = self.silent_client(server)
        request = request_bytes("sys", "ping", "x" * 60_000)
        silent.socket.settimeout(0.2 * TIME_FACTOR)
        sent = 0
        try:
            while sent < 100_000_000:
                silent.socket.sendall(request)
                sent += len(request)
        except OSError:
            pass  # reset by the server, or it reads no more from a client that does not read
        self.check_ok(other.ask("sys", "ping"), "sys")
        self.assertLess(sent, 100_000_000)

    def test_reader_that_is_only_late_gets_everything(self) -> None:
        script: Script = {
            "context_length": 4096,
            "rules": [{"prompt": "much", "answer": ["y" * 4000], "repeat": 500}, {"echo": 4}],
        }
        server, other, task = self.start(script, response_format=STREAM)
        late = self.silent_client(server)
        late.send_bytes(request_bytes(task, "inference", object="llm.utf-8", data="much"))
        wait_until(lambda: len(late.socket.recv(1, socket.MSG_PEEK)) > 0, "it begins")
        self.assertEqual(other.infer(task, "behind it").text, "behind it")
        self.check_frames(late.read_all("1"), task, "y" * 2_000_000)


class End(ProtocolTest):
    """SIGTERM and SIGINT: two seconds, status 0, endings for those who wait."""

    def check_ends(self, server: Server, number: int = signal.SIGTERM) -> None:
        start = time.monotonic()
        server.signal(number)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - start, 2 * TIME_FACTOR)

    def test_idle(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            self.connect(server).ask("sys", "ping")
            self.check_ends(server, number)

    def test_in_the_middle_of_answers(self) -> None:
        server, first, task = self.start(SLOW, response_format=STREAM)
        second = self.connect(server)
        whole = second.setup("m")
        streamed = first.request(task, "inference", object="llm.utf-8", data="long")
        waiting = [
            first.request(task, "inference", object="llm.utf-8", data="long") for _ in range(2)
        ]
        other = second.request(whole, "inference", object="llm.utf-8", data="long")
        frames = [first.receive(), first.receive()]
        self.check_ends(server)
        # Everybody was told before the connections closed.
        by_id: Dict[str, List[Json]] = {request_id: [] for request_id in (streamed, *waiting)}
        by_id[streamed] = frames
        while not all(replies and replies[-1]["data"]["finish"] for replies in by_id.values()):
            reply = first.receive()
            by_id[reply["request_id"]].append(reply)
        self.check_frames(by_id[streamed], task)
        for request_id in waiting:
            self.check_frames(by_id[request_id], task, "", code=-11)
        self.check_ok(second.read_all(other)[0], whole)
        self.assertEqual(first.socket.recv(1), b"")
        self.assertEqual(second.socket.recv(1), b"")

    def test_in_a_long_prompt(self) -> None:
        server, client, task = self.start(SLOW)
        client.request(task, "inference", object="llm.utf-8", data="think")
        client.expect_nothing()
        self.check_ends(server)

    def test_with_a_client_that_never_reads(self) -> None:
        server, _, task = self.start(NeverReads.SCRIPT, response_format=STREAM)
        silent = NeverReads.silent_client(self, server)  # type: ignore[arg-type]
        silent.send_bytes(request_bytes(task, "inference", object="llm.utf-8", data="flood"))
        wait_until(lambda: len(silent.socket.recv(1, socket.MSG_PEEK)) > 0, "the flood begins")
        self.check_ends(server)

    def test_with_half_a_request(self) -> None:
        server = self.serve()
        client = self.connect(server)
        client.expect_nothing()
        client.send_bytes(b'{"request_id":"1","wor')
        self.check_ends(server)

    def test_while_a_setup_waits(self) -> None:
        server = self.serve({"slow": {"load_ms": int(500 * TIME_FACTOR)}})
        client = self.connect(server)
        for _ in range(5):
            client.request("llm", "setup", object="llm.setup", data={"model": "slow"})
        client.expect_nothing()
        self.check_ends(server)

    def test_the_port_is_free_at_once(self) -> None:
        server = self.serve()
        client = self.connect(server)
        client.expect_nothing()
        self.check_ends(server)
        again = self.serve({}, "--port", str(server.port), port_option=False)
        self.assertEqual(again.port, server.port)
        self.connect(again).expect_nothing()


if __name__ == "__main__":
    unittest.main()
