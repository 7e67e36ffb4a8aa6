"""Inferences: answers in one piece and streamed, text that survives the way, failures."""

from __future__ import annotations

import base64
import json
import re
import time
import unittest
from typing import Any, Dict, List

from harness import BEHIND_LLM_SYS, TIME_FACTOR, ProtocolTest, Script, request_bytes

STREAM = "llm.utf-8.stream"

# Text that has to reach the model, and come back from it, exactly as it is.
TEXTS = [
    "plain",
    'a "quoted" word',
    "ends in a backslash\\",
    "\\",
    "\\\\",
    '\\"',
    "{",
    "}",
    '}{"data":"x"}{',
    "two\nlines\r\n\ttabbed\b",
    "\x00\x01\x0b\x0c\x1f\x7f",
    "こんにちは、世界",
    "😀👨‍👩‍👧 𝄞",
    "\u2028\u2029\ufeff\ufffd\U0010ffff",
    "\\u0041 \\n is not an escape",
    "/slash/ \\/",
    "data",
    "delta",
    "finish",
    "object",
    "<|im_start|><s>[INST]",
    " leading and trailing ",
    "\n",
]


class Text(ProtocolTest):
    def setUp(self) -> None:
        self.server, self.client, self.task = self.start({"rules": [{"echo": 3}]})
        self.streaming = self.client.setup("m", STREAM)

    def test_text_survives(self) -> None:
        for text in TEXTS:
            with self.subTest(text):
                self.check_text(self.client.ask_all(self.task, text), self.task, text)

    def test_text_survives_streaming(self) -> None:
        for text in TEXTS:
            with self.subTest(text):
                frame = {"delta": text, "index": 0, "finish": True}
                replies = self.client.ask_all(self.streaming, frame, STREAM)
                self.check_frames(replies, self.streaming, text)

    def test_text_survives_ascii_json(self) -> None:
        # Every other character as \uXXXX, astral ones as surrogate pairs.
        for text in TEXTS:
            if BEHIND_LLM_SYS and re.search("[{}]", text):
                continue  # llm-sys counts braces in strings too
            with self.subTest(text):
                self.client.send_bytes(
                    request_bytes(self.task, "inference", "e", object="llm.utf-8", data=text)
                )
                self.check_text(self.client.read_all("e"), self.task, text)

    def test_text_survives_with_everything_escaped(self) -> None:
        for text in TEXTS:
            with self.subTest(text):
                units = text.encode("utf-16-be")
                escaped = "".join(
                    f"\\u{units[at]:02X}{units[at + 1]:02x}" for at in range(0, len(units), 2)
                )
                message = request_bytes(self.task, "inference", "e", object="llm.utf-8", data="@")
                self.client.send_bytes(message.replace(b"@", escaped.encode()))
                self.check_text(self.client.read_all("e"), self.task, text)

    def test_base64(self) -> None:
        for text in TEXTS:
            encoded = base64.b64encode(text.encode()).decode()
            with self.subTest(text):
                replies = self.client.ask_all(self.task, encoded, "llm.utf-8.base64")
                self.check_text(replies, self.task, text)

    def test_base64_in_frames_is_joined_first(self) -> None:
        encoded = base64.b64encode("こんにちは".encode()).decode()
        for index, part in enumerate((encoded[:3], encoded[3:9], encoded[9:])):
            frame = {"delta": part, "index": index, "finish": index == 2}
            self.client.request(
                self.task, "inference", object="llm.utf-8.stream.base64", data=frame, request_id="b"
            )
        self.check_text(self.client.read_all("b"), self.task, "こんにちは")

    def test_bad_base64(self) -> None:
        bad = ["a", "ab", "abc", "ab=c", "====", "YWJj\n", "YW Jj", "YWJj=", "_-_-", "YQ", "あ",
               "YR==", base64.b64encode(b"\xff\xfe").decode()]  # fmt: skip
        for text in bad:
            with self.subTest(text):
                replies = self.client.ask_all(self.task, text, "llm.utf-8.base64")
                self.check_plain_error(replies[0], -23, self.task)
                replies = self.client.ask_all(self.streaming, text, "llm.utf-8.base64")
                self.check_frames(replies, self.streaming, "", code=-23)
        self.check_text(self.client.ask_all(self.task, "fine"), self.task, "fine")

    def test_empty_or_missing_input(self) -> None:
        nothing: List[Any] = [
            "", None, {}, [], 5, True, {"text": ""}, {"text": 5}, {"delta": "x"},
        ]  # fmt: skip
        for kind in ("llm.utf-8", "llm.utf-8.base64"):
            for data in nothing:
                with self.subTest(kind=kind, data=data):
                    replies = self.client.ask_all(self.task, data, kind)
                    self.check_plain_error(replies[0], -11, self.task)
                    replies = self.client.ask_all(self.streaming, data, kind)
                    self.check_frames(replies, self.streaming, "", code=-11)
        reply = self.client.ask(self.task, "inference", object="llm.utf-8")
        self.check_plain_error(reply, -11, self.task)
        absent: List[Dict[str, Any]] = [{}, {"data": None}, {"data": ""}]
        for fields in absent:
            with self.subTest(fields):
                reply = self.client.ask(self.task, "inference", object=STREAM, **fields)
                self.check_plain_error(reply, -11, self.task)
        frame = {"delta": "", "index": 0, "finish": True}
        self.check_plain_error(self.client.ask_all(self.task, frame, STREAM)[0], -11, self.task)

    def test_object_with_text(self) -> None:
        replies = self.client.ask_all(self.task, {"text": "in an object"})
        self.check_text(replies, self.task, "in an object")

    def test_ten_identical_inferences(self) -> None:
        for _ in range(10):
            self.check_text(self.client.ask_all(self.task, "again"), self.task, "again")
        for _ in range(10):
            frame = {"delta": "again", "index": 0, "finish": True}
            replies = self.client.ask_all(self.streaming, frame, STREAM)
            self.check_frames(replies, self.streaming, "again")


def pieces_b64(text: bytes, size: int) -> List[str]:
    """`text` in base64 pieces of `size` bytes, wherever that cuts."""
    return [
        base64.b64encode(text[at : at + size]).decode() for at in range(0, len(text), size)
    ]


class Streaming(ProtocolTest):
    def test_every_piece_is_a_frame(self) -> None:
        script: Script = {"rules": [{"answer": ["Hel", "lo", " you"]}]}
        _, client, task = self.start(script, response_format=STREAM)
        replies = client.ask_all(task, "x")
        self.check_frames(replies, task)
        self.assertEqual([r["data"]["delta"] for r in replies], ["Hel", "lo", " you", ""])

    def test_input_and_output_stream_independently(self) -> None:
        _, client, whole = self.start({"rules": [{"echo": 2}]})
        streaming = client.setup("m", STREAM)
        frame = {"delta": "text", "index": 0, "finish": True}
        self.check_text(client.ask_all(whole, frame, STREAM), whole, "text")
        self.check_frames(client.ask_all(streaming, "text"), streaming, "text")

    def test_delta_never_splits_a_character(self) -> None:
        text = "aé€😀日本語👨‍👩‍👧"
        for size in (1, 2, 3):
            script: Script = {"rules": [{"answer_b64": pieces_b64(text.encode(), size)}]}
            _, client, task = self.start(script, response_format=STREAM)
            with self.subTest(size):
                self.check_frames(client.ask_all(task, "x"), task, text)

    def test_bytes_that_are_no_text(self) -> None:
        script: Script = {
            "rules": [
                {"prompt": "middle", "answer_b64": pieces_b64(b"a\xffb\xc0\x80c", 1)},
                {"prompt": "cut", "answer_b64": pieces_b64(b"a\xe3\x81b", 2)},
                {"prompt": "end", "answer_b64": pieces_b64(b"ab\xe3\x81", 1)},
            ]
        }
        _, client, task = self.start(script, response_format=STREAM)
        self.check_frames(client.ask_all(task, "middle"), task, "a\ufffdb\ufffd\ufffdc")
        self.check_frames(client.ask_all(task, "cut"), task, "a\ufffdb")
        # What an answer leaves unfinished never became a character.
        self.assertIn(self.check_frames(client.ask_all(task, "end"), task), ("ab", "ab\ufffd"))

    def test_answer_that_is_a_key_name_or_full_of_quotes(self) -> None:
        # reply_checks.py reads every line as readers without a parser do.
        answers = ["delta", "finish", "data", "object", '"', '\\"', "\\", '","finish":true}', "{}"]
        script: Script = {"context_length": 4096, "rules": [{"answer": answers}]}
        _, client, task = self.start(script, response_format=STREAM)
        self.check_frames(client.ask_all(task, "x"), task, "".join(answers))
        whole = client.setup("m")
        self.check_text(client.ask_all(whole, "x"), whole, "".join(answers))

    def test_empty_answer(self) -> None:
        _, client, task = self.start({"rules": [{"answer": []}]}, response_format=STREAM)
        self.assertEqual(len(client.ask_all(task, "x")), 1)
        self.check_frames(client.ask_all(task, "x"), task, "")
        whole = client.setup("m")
        self.check_text(client.ask_all(whole, "x"), whole, "")

    def test_first_frame_does_not_wait_for_the_last(self) -> None:
        script: Script = {
            "rules": [{"answer": ["a", "b"], "gate": {"file": "go", "at": 1}}]
        }
        server, client, task = self.start(script, response_format=STREAM)
        request = client.request(task, "inference", object="llm.utf-8", data="x")
        first = client.receive()
        self.assertEqual(first["data"], {"index": 0, "finish": False, "delta": "a"})
        server.open_gate("m", "go")
        self.assertEqual([r["data"]["delta"] for r in client.read_all(request)], ["b", ""])

    def test_frames_leave_at_once(self) -> None:
        script: Script = {"rules": [{"stamp": 8, "decode_ms": int(20 * TIME_FACTOR)}]}
        _, client, task = self.start(script, response_format=STREAM)
        client.request(task, "inference", object="llm.utf-8", data="x")
        arrivals = []
        stamps = []
        while not (reply := client.receive())["data"]["finish"]:
            arrivals.append(time.monotonic_ns())
            stamps.append(int(reply["data"]["delta"]))
        self.assertEqual(len(stamps), 8)
        self.assertLess(arrivals[0], stamps[-1])  # not collected until the end
        delays = sorted(arrival - stamp for arrival, stamp in zip(arrivals, stamps))
        self.assertLess(delays[4], 20_000_000 * TIME_FACTOR)

    def test_long_answer(self) -> None:
        rules = [{"answer": ["0123456789"], "repeat": 2000}]
        script: Script = {"context_length": 8192, "rules": rules}
        _, client, task = self.start(script, "--context", "8192", response_format=STREAM)
        self.check_frames(client.ask_all(task, "x"), task, "0123456789" * 2000)


class Failures(ProtocolTest):
    SCRIPT: Script = {
        "rules": [
            {"prompt": "prefill", "answer": ["never"], "fail_prefill": "device gone {0x80300101}"},
            {
                "prompt": "decode",
                "answer": ["a", "b", "c"],
                "fail_decode": {"at": 2, "message": 'bad "step"'},
            },
            {"echo": 9},
        ]
    }

    def test_answer_in_one_piece(self) -> None:
        _, client, task = self.start(self.SCRIPT)
        for prompt, says in (("prefill", "device gone {0x80300101}"), ("decode", 'bad "step"')):
            self.check_plain_error(client.ask_all(task, prompt)[0], -11, task, says)
            self.check_text(client.ask_all(task, "fine"), task, "fine")

    def test_streamed_answer_ends_with_the_error(self) -> None:
        _, client, task = self.start(self.SCRIPT, response_format=STREAM)
        replies = client.ask_all(task, "prefill")
        self.assertEqual(len(replies), 1)
        self.check_frames(replies, task, "", code=-11)
        self.assertIn("device gone", replies[-1]["error"]["message"])
        self.check_frames(client.ask_all(task, "decode"), task, "ab", code=-11)
        self.check_frames(client.ask_all(task, "fine"), task, "fine")

    def test_errors_are_sent_without_enoutput_too(self) -> None:
        _, client, task = self.start(self.SCRIPT, enoutput=False)
        self.check_plain_error(client.ask_all(task, "prefill")[0], -11, task)
        streaming = client.setup("m", STREAM, enoutput=False)
        replies = client.ask_all(streaming, "prefill")
        self.assertEqual(replies[-1]["error"]["code"], -11)
        self.assertTrue(replies[-1]["data"]["finish"])

    def test_without_enoutput_results_stay_away(self) -> None:
        server, client, task = self.start(self.SCRIPT, enoutput=False)
        client.request(task, "inference", object="llm.utf-8", data="quiet")
        # A second inference that fails is behind it in the queue: its error is all that comes.
        failing = client.request(task, "inference", object="llm.utf-8", data="prefill")
        reply = client.receive()
        self.assertEqual(reply["request_id"], failing)
        client.expect_nothing()

    def test_failure_reaches_only_its_own_request(self) -> None:
        _, client, task = self.start(self.SCRIPT)
        ids = [
            client.request(task, "inference", object="llm.utf-8", data=text)
            for text in ("one", "decode", "two")
        ]
        replies = [client.receive() for _ in ids]
        self.assertEqual([reply["request_id"] for reply in replies], ids)
        self.assertEqual([reply["error"]["code"] for reply in replies], [0, -11, 0])
        self.assertEqual([reply["data"] for reply in replies], ["one", "None", "two"])


class Samplers(ProtocolTest):
    def test_every_sampler_setting_answers(self) -> None:
        _, client, task = self.start({"rules": [{"echo": 1}]})
        client.exit(task)
        setups: List[Dict[str, Any]] = [
            {},
            {"enable_top_k_sampling": False},
            {"top_k": 1},
            {"top_p": 0.5},
            {"temperature": 0},
            {"temperature": 2.0, "top_p": 0.9, "top_k": 50},
            {"enable_repetition_penalty": True, "repetition_penalty": 1.5, "penalty_window": 3},
        ]
        for setup in setups:
            with self.subTest(setup):
                task = client.setup("m", **setup)
                self.check_text(client.ask_all(task, "aaaaab"), task, "aaaaab")
                client.exit(task)

    def test_values_out_of_range_are_refused(self) -> None:
        client = self.connect(self.serve({"m": {"rules": [{"echo": 1}]}}))
        setups: List[Dict[str, Any]] = [
            {"top_k": 0}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.5}, {"top_p": -0.1},
            {"enable_repetition_penalty": True, "repetition_penalty": 0}, {"temperature": -1},
        ]  # fmt: skip
        for setup in setups:
            with self.subTest(setup):
                data = json.dumps({"model": "m", **setup})
                reply = client.ask("llm", "setup", object="llm.setup", data=data)
                self.check_plain_error(reply, -5, "llm")


if __name__ == "__main__":
    unittest.main()
