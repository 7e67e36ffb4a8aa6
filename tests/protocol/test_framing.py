"""Framing: objects in any packets, junk between them, limits, RAW frames."""

from __future__ import annotations

import random
import socket
import unittest
from typing import List

from harness import DEADLINE, Client, ProtocolTest, memory_kib, request_bytes

MIB = 1 << 20


def ping(request_id: str) -> bytes:
    return request_bytes("sys", "ping", request_id)


class Framing(ProtocolTest):
    def setUp(self) -> None:
        self.server = self.serve()
        self.client = self.connect(self.server)

    def check_pongs(self, client: Client, request_ids: List[str]) -> None:
        for request_id in request_ids:
            reply = client.receive()
            self.check_ok(reply, "sys")
            self.assertEqual(reply["request_id"], request_id)

    def test_object_needs_no_newline(self) -> None:
        self.client.send_bytes(ping("a"))
        self.check_pongs(self.client, ["a"])

    def test_objects_back_to_back_in_one_segment(self) -> None:
        self.client.send_bytes(ping("a") + ping("b") + b"\n" + ping("c") + b"\r\n\r\n" + ping("d"))
        self.check_pongs(self.client, ["a", "b", "c", "d"])

    def test_byte_by_byte(self) -> None:
        for byte in ping("a") + b"\n" + request_bytes("sys", "ping", 'x{"}\\', data='{{"\\'):
            self.client.send_bytes(bytes([byte]))
        self.check_pongs(self.client, ["a", 'x{"}\\'])

    def test_cut_at_every_place(self) -> None:
        message = request_bytes("sys", "ping", '}"{\\', data="\\")
        for cut in range(1, len(message)):
            self.client.send_bytes(message[:cut])
            self.client.send_bytes(message[cut:])
        self.check_pongs(self.client, ['}"{\\'] * (len(message) - 1))

    def test_braces_quotes_and_backslashes_in_strings(self) -> None:
        for text in ("}", "{", '"}', '\\"}', "\\", "\\\\", "{{{", 'a"b{"c":"}\\', "}}}}"):
            with self.subTest(text):
                self.client.send_bytes(request_bytes("sys", "ping", text, data=text))
                self.check_pongs(self.client, [text])

    def test_what_cannot_start_an_object_is_skipped(self) -> None:
        junk = b'\x00\xff garbage ] [ , " ' + bytes(range(0x80, 0x100)) + b"\n\n"
        self.client.send_bytes(junk + ping("a") + junk + ping("b"))
        self.check_pongs(self.client, ["a", "b"])

    def test_brace_that_closes_nothing(self) -> None:
        self.client.send_bytes(b"}" + ping("a"))
        reply = self.client.receive()
        self.check_plain_error(reply, -1, "sys")
        self.assertEqual(reply["request_id"], "0")
        self.check_pongs(self.client, ["a"])

    def test_truncated_object(self) -> None:
        for length in range(1, 40, 3):
            client = self.connect(self.server)
            client.send_bytes(ping("a")[:length])
            client.close()
        self.client.send_bytes(ping("b"))
        self.check_pongs(self.client, ["b"])

    def test_object_of_twenty_mebibytes(self) -> None:
        block = b"x" * MIB
        self.client.send_bytes(b'{"request_id":"1","data":"')
        for _ in range(20):
            self.client.send_bytes(block)
        # The whole of it is refused once, before its end is seen.
        reply = self.client.receive()
        self.check_plain_error(reply, -1, "sys")
        self.assertEqual(reply["request_id"], "0")
        self.assertLess(memory_kib(self.server.process), 400_000)
        # Its end is found, the braces in its string do not count, and the connection goes on.
        self.client.send_bytes(b'}{}{\\"}"}' + ping("after"))
        self.check_pongs(self.client, ["after"])

    def test_object_below_the_limit(self) -> None:
        # llm-sys's clients send files in base64 this way; 8 MiB is the default limit.
        self.client.send_bytes(request_bytes("sys", "ping", "big", data="x" * (8 * MIB - 200)))
        self.check_pongs(self.client, ["big"])
        self.client.send_bytes(request_bytes("sys", "ping", "big", data="x" * (8 * MIB)))
        self.check_plain_error(self.client.receive(), -1, "sys")
        self.client.send_bytes(ping("after"))
        self.check_pongs(self.client, ["after"])

    def test_binary_garbage(self) -> None:
        source = random.Random(7)
        for _ in range(20):
            client = self.connect(self.server)
            client.send_bytes(source.randbytes(20_000))
            # Braces in it may have opened an object, so only another connection is sure to work.
            self.client.send_bytes(ping("other"))
            self.check_pongs(self.client, ["other"])
            client.close()


class RawFrames(ProtocolTest):
    """{"RAW":N,…} and N bytes: they take the place of data, as base64."""

    def setUp(self) -> None:
        self.server, self.client, self.task = self.start({"rules": [{"echo": 5}]})

    def raw(
        self, payload: bytes, kind: str = "llm.utf-8.base64", separator: bytes = b"\n"
    ) -> bytes:
        head = (
            f'{{"RAW":{len(payload)},"request_id":"r","work_id":"{self.task}",'
            f'"action":"inference","object":"{kind}"}}'
        )
        return head.encode() + separator + payload

    def test_bytes_become_the_input(self) -> None:
        text = 'raw {"bytes"} of こんにちは\n}'
        for separator in (b"\n", b"x", b"{", b"}", b"\x00"):
            with self.subTest(separator):
                self.client.send_bytes(self.raw(text.encode(), separator=separator))
                self.check_text(self.client.read_all("r"), self.task, text)

    def test_without_base64_the_model_sees_base64(self) -> None:
        self.client.send_bytes(self.raw(b"abc", "llm.utf-8"))
        self.check_text(self.client.read_all("r"), self.task, "YWJj")

    def test_in_pieces_and_followed_by_an_object(self) -> None:
        message = self.raw(b"}{hello") + ping("next")
        for byte in message:
            self.client.send_bytes(bytes([byte]))
        replies = {reply["request_id"]: reply for reply in (self.client.receive() for _ in "12")}
        self.check_text([replies["r"]], self.task, "}{hello")
        self.check_ok(replies["next"], "sys")

    def test_no_bytes_are_empty_input(self) -> None:
        self.client.send_bytes(self.raw(b""))
        self.check_plain_error(self.client.receive(), -11, self.task)

    def test_more_bytes_than_the_limit(self) -> None:
        head = f'{{"RAW":{9 * MIB},"request_id":"r","work_id":"sys","action":"ping"}}\n'
        self.client.send_bytes(head.encode() + b"}" * (9 * MIB) + ping("next"))
        self.check_plain_error(self.client.receive(), -1, "sys")
        reply = self.client.receive()
        self.assertEqual(reply["request_id"], "next")
        self.check_ok(reply)

    def test_bson_is_consumed_and_refused(self) -> None:
        head = '{"BON":5,"request_id":"b","work_id":"sys","action":"ping"}\n'
        self.client.send_bytes(head.encode() + b"}}{{\x00" + ping("next"))
        self.check_error(self.client.receive(), -2, "sys")
        self.check_ok(self.client.receive(), "sys")


class BadRequests(ProtocolTest):
    """Complete objects that are no requests: -2, and the connection goes on."""

    def setUp(self) -> None:
        self.server = self.serve()
        self.client = self.connect(self.server)

    def check_refused(self, message: bytes, request_id: str = "0") -> None:
        with self.subTest(message[:80]):
            self.client.send_bytes(message)
            reply = self.client.receive()
            self.check_plain_error(reply, -2, "sys")
            self.assertIn(reply["request_id"], (request_id, "0"))
            self.client.expect_nothing()

    def test_not_json(self) -> None:
        self.check_refused(b"{}")
        self.check_refused(b"{]}")
        self.check_refused(b'{"request_id":"1","work_id":"sys","action":}', "1")
        self.check_refused(b'{"request_id":"1","work_id":"sys","action":"ping",}', "1")
        self.check_refused(b"{request_id:1}")
        self.check_refused(b'{"request_id":"1" "work_id":"sys","action":"ping"}', "1")
        self.check_refused(b'{"request_id":"1","work_id":"sys","action":"ping","data":01}', "1")
        self.check_refused(b'{"request_id":"1","work_id":"sys","action":"p\ning"}', "1")

    def test_missing_fields(self) -> None:
        self.check_refused(b'{"work_id":"sys","action":"ping"}')
        self.check_refused(b'{"request_id":"1","action":"ping"}', "1")
        self.check_refused(b'{"request_id":"1","work_id":"sys"}', "1")

    def test_fields_that_are_not_strings(self) -> None:
        for value in (b"1", b"null", b"true", b"[]", b"{}", b'["a"]'):
            self.check_refused(b'{"request_id":' + value + b',"work_id":"sys","action":"ping"}')
            self.check_refused(
                b'{"request_id":"1","work_id":' + value + b',"action":"ping"}', "1"
            )
            self.check_refused(b'{"request_id":"1","work_id":"sys","action":' + value + b"}", "1")

    def test_request_id_is_told_where_it_could_be_read(self) -> None:
        self.client.send_bytes(b'{"request_id":"mine","work_id":"sys"}')
        self.assertEqual(self.client.receive()["request_id"], "mine")

    def test_not_utf8(self) -> None:
        for text in (b"\xff", b"\xc0\xaf", b"\xe3\x81", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
            message = b'{"request_id":"1","work_id":"sys","action":"ping","data":"' + text + b'"}'
            self.check_refused(message, "1")

    def test_lone_surrogates(self) -> None:
        for text in (b"\\ud800", b"\\udc00", b"\\ud83d\\u0041", b"\\ud83dx", b"\\udc00\\ud800"):
            message = b'{"request_id":"1","work_id":"sys","action":"ping","data":"' + text + b'"}'
            self.check_refused(message, "1")

    def test_deep_nesting(self) -> None:
        # The request itself is the first level.
        def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
            head = b'{"request_id":"1","work_id":"sys","action":"ping","data":'
            return head + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

        self.client.send_bytes(nested(1024, b"[", b"]"))
        self.check_ok(self.client.receive(), "sys")
        self.client.send_bytes(nested(1024, b'{"a":', b"}"))
        self.check_ok(self.client.receive(), "sys")
        self.check_refused(nested(1025, b"[", b"]"), "1")
        self.check_refused(nested(1025, b'{"a":', b"}"), "1")
        self.check_refused(nested(1_000_000, b"[", b"]"), "1")


class Replies(ProtocolTest):
    """Fields of the request that come back: as they were meant, in the style that is promised."""

    def test_request_id_comes_back(self) -> None:
        client = self.connect(self.serve())
        for request_id in (
            "", "1", 'a"b', "back\\slash\\", "{braces}", "tab\tnewline\n", "\x00\x1f\x0c\x7f",
            "こんにちは", "😀", "data", "delta", "finish", "object", "action", "zmq_com",
            "work_id", "x" * 5000,
        ):  # fmt: skip
            with self.subTest(request_id):
                reply = client.ask("sys", "ping", request_id=request_id)
                self.check_ok(reply, "sys")

    def test_surrogate_pairs_come_back_as_utf8(self) -> None:
        client = self.connect(self.serve())
        client.send_bytes(
            b'{"request_id":"\\ud83d\\ude00\\u3053","work_id":"sys","action":"ping"}'
        )
        line = client.read_line()
        self.assertIn('"😀こ"'.encode(), line)

    def test_work_id_comes_back(self) -> None:
        client = self.connect(self.serve())
        self.check_ok(client.ask("", "ping"), "")
        self.check_ok(client.ask("sys", "ping"), "sys")

    def test_other_keys_are_ignored(self) -> None:
        client = self.connect(self.serve())
        client.send_bytes(
            b'{"zmq_com":"ipc:///tmp/llm/8000.sock","extra":[1,{}],"request_id":"1",'
            b'"work_id":"sys","action":"ping","data":null}'
        )
        self.assertEqual(client.receive()["request_id"], "1")

    def test_connections_that_end_early_do_no_harm(self) -> None:
        server = self.serve()
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
                connection.sendall(ping("gone"))
        self.check_ok(self.connect(server).ask("sys", "ping"), "sys")


if __name__ == "__main__":
    unittest.main()
