"""Streamed input: frames in any order, replaced, begun afresh, missing; kept apart by request."""

from __future__ import annotations

import json
import unittest
from typing import Any, List, Optional, Sequence, Tuple

from harness import ProtocolTest
from reply_checks import Json

STREAM = "llm.utf-8.stream"

Frame = Tuple[Any, Any, Any]  # index, delta, finish


def frame_data(index: Any, delta: Any, finish: Any) -> Json:
    return {"delta": delta, "index": index, "finish": finish}


class StreamInput(ProtocolTest):
    def setUp(self) -> None:
        self.server, self.client, self.task = self.start({"rules": [{"echo": 4}]})
        self.streaming = self.client.setup("m", STREAM)

    def send(self, frame: Json, request_id: str = "s", task: Optional[str] = None) -> None:
        self.client.request(
            task or self.task, "inference", object=STREAM, data=frame, request_id=request_id
        )

    def answer_to(self, frames: Sequence[Frame]) -> str:
        for frame in frames:
            self.send(frame_data(*frame))
        replies = self.client.read_all("s")
        self.check_ok(replies[0], self.task)
        return str(replies[0]["data"])

    def check_refused(self, *frames: Json) -> None:
        """The last of the frames is wrong: one -25, and the task goes on."""
        with self.subTest(frames):
            for frame in frames:
                self.send(frame)
            self.check_plain_error(self.client.receive(), -25, self.task)
            for frame in frames:
                self.send(frame, task=self.streaming)
            self.check_frames(self.client.read_all("s"), self.streaming, "", code=-25)
            self.assertEqual(self.answer_to([(0, "fine", True)]), "fine")

    def test_frames_are_joined(self) -> None:
        frames = [(0, "one ", False), (1, "two ", False), (2, "three", True)]
        self.assertEqual(self.answer_to(frames), "one two three")

    def test_closing_frame_may_be_empty(self) -> None:
        self.assertEqual(self.answer_to([(0, "text", False), (1, "", True)]), "text")

    def test_order_does_not_matter(self) -> None:
        frames = [(2, "c", False), (1, "b", False), (0, "a", False), (3, "d", True)]
        self.assertEqual(self.answer_to(frames), "abcd")

    def test_repeated_index_replaces(self) -> None:
        frames = [(0, "a", False), (1, "x", False), (1, "b", False), (2, "c", True)]
        self.assertEqual(self.answer_to(frames), "abc")

    def test_index_zero_again_starts_afresh(self) -> None:
        # A microcontroller that was reset in mid-request begins anew under the same request_id.
        frames = [(0, "old", False), (1, "old", False), (0, "new ", False), (1, "text", True)]
        self.assertEqual(self.answer_to(frames), "new text")

    def test_requests_may_repeat_their_request_id(self) -> None:
        for text in ("first", "second", "third"):
            self.assertEqual(self.answer_to([(0, text[:2], False), (1, text[2:], True)]), text)

    def test_frame_in_a_string(self) -> None:
        for index, (text, finish) in enumerate((("in ", False), ('a "string"', True))):
            data = json.dumps(frame_data(index, text, finish))
            self.client.request(
                self.task, "inference", object=STREAM, data=data, request_id="s"
            )
        self.assertEqual(self.client.read_all("s")[0]["data"], 'in a "string"')

    def test_missing_index(self) -> None:
        self.check_refused({"delta": "x", "finish": True})
        self.check_refused({"delta": "x", "finish": False})

    def test_index_that_is_no_integer_from_zero(self) -> None:
        for index in ("0", 0.5, None, True, [], {}, -1, -(2**63), 1e300):
            self.check_refused(frame_data(index, "x", True))

    def test_gap_at_finish(self) -> None:
        self.check_refused(frame_data(1, "x", True))
        self.check_refused(frame_data(0, "a", False), frame_data(2, "c", True))
        self.check_refused(frame_data(0, "a", False), frame_data(2**40, "c", True))
        self.check_refused(
            frame_data(0, "a", False), frame_data(5, "far ahead", False), frame_data(1, "b", True)
        )

    def test_gap_forgets_what_was_collected(self) -> None:
        self.send(frame_data(0, "a", False))
        self.send(frame_data(2, "c", True))
        self.check_plain_error(self.client.receive(), -25, self.task)
        self.send(frame_data(1, "b", True))
        self.check_plain_error(self.client.receive(), -25, self.task)

    def test_data_that_is_no_frame(self) -> None:
        for data in ("plain text", "[]", 5, [], True, "{", '"x"'):
            with self.subTest(data):
                reply = self.client.ask(self.task, "inference", object=STREAM, data=data)
                self.check_plain_error(reply, -25, self.task)

    def test_unfinished_input_is_not_answered(self) -> None:
        self.send(frame_data(0, "a", False))
        self.send(frame_data(1, "b", False))
        self.client.expect_nothing()

    def test_requests_of_one_client_are_kept_apart(self) -> None:
        parts: List[Tuple[str, Frame]] = [
            ("p", (0, "first ", False)), ("q", (0, "second ", False)), ("p", (1, "of p", True)),
            ("q", (1, "of q", True)),
        ]  # fmt: skip
        for request_id, frame in parts:
            self.send(frame_data(*frame), request_id)
        self.assertEqual(self.client.read_all("p")[0]["data"], "first of p")
        self.assertEqual(self.client.read_all("q")[0]["data"], "second of q")

    def test_clients_with_one_request_id_are_kept_apart(self) -> None:
        # Every copy of a microcontroller's program uses the same one.
        other = self.connect(self.server)
        for client, index, text, finish in (
            (self.client, 0, "mine ", False), (other, 0, "theirs ", False),
            (self.client, 1, "too", True), (other, 1, "also", True),
        ):  # fmt: skip
            frame = frame_data(index, text, finish)
            client.request(self.task, "inference", object=STREAM, data=frame, request_id="llm")
        self.assertEqual(self.client.read_all("llm")[0]["data"], "mine too")
        self.assertEqual(other.read_all("llm")[0]["data"], "theirs also")

    def test_tasks_are_kept_apart(self) -> None:
        self.send(frame_data(0, "for one", False))
        self.send(frame_data(0, "for the other", True), task=self.streaming)
        self.check_frames(self.client.read_all("s"), self.streaming, "for the other")
        self.send(frame_data(1, "!", True))
        self.assertEqual(self.client.read_all("s")[0]["data"], "for one!")

    def test_many_frames(self) -> None:
        self.client.exit(self.streaming)
        texts = [chr(ord("a") + number % 26) for number in range(200)]
        frames = [(number, text, number == 199) for number, text in enumerate(texts)]
        self.assertEqual(self.answer_to(frames), "".join(texts))

    def test_more_text_than_is_held(self) -> None:
        self.send(frame_data(0, "x" * (5 << 20), False))
        self.send(frame_data(1, "x" * (5 << 20), False))
        self.check_error(self.client.receive(), -25, self.task)
        self.assertEqual(self.answer_to([(0, "fine", True)]), "fine")


if __name__ == "__main__":
    unittest.main()
