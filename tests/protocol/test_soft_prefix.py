"""Soft prefixes: every form on the wire, every refusal, and no trace afterwards."""

from __future__ import annotations

import base64
import json
import random
import struct
import unittest
import zlib
from typing import Any, List, Optional

from harness import ProtocolTest, Script
from reply_checks import Json
from stackflow_client import constant_prefix, pack_bf16, soft_prefix, unpack_bf16

STREAM = "llm.utf-8.stream"
HIDDEN = 8

SCRIPT: Script = {
    "context_length": 2048,
    "rules": [
        {"contains": "words", "transcript": True},
        {"prompt": "counts", "counts": True},
        {"describe": True},
    ],
}


def described(rows: int, prefix: bytes = b"") -> str:
    """What the model says of a prompt of that many rows behind a prefix of these bytes."""
    soft = len(prefix) // (2 * HIDDEN)
    return f"rows={rows + soft} soft={soft} crc={zlib.crc32(prefix):08x}"


def raw_prefix(data: bytes, rows: Optional[int] = None) -> Json:
    return {
        "len": len(data) // (2 * HIDDEN) if rows is None else rows,
        "data_b64": base64.b64encode(data).decode(),
    }


def random_bf16(rows: int, seed: int) -> bytes:
    """Finite values of every size, subnormal and negative ones too."""
    source = random.Random(seed)
    bits = [source.randrange(0x7F80) | (source.randrange(2) << 15) for _ in range(rows * HIDDEN)]
    return struct.pack(f"<{len(bits)}H", *bits)


class Forms(ProtocolTest):
    def setUp(self) -> None:
        self.server, self.client, self.task = self.start(SCRIPT)

    def ask(self, data: Any, kind: str = STREAM, task: str = "") -> str:
        replies = self.client.ask_all(task or self.task, data, kind)
        self.check_ok(replies[-1], task or self.task)
        return str(replies[0]["data"])

    def frame(self, prefix: Any, text: str = "x") -> Json:
        return {"delta": text, "index": 0, "finish": True, "soft_prefix": prefix}

    def test_without_one(self) -> None:
        self.assertEqual(self.ask("x", "llm.utf-8"), described(3))

    def test_values_arrive_bit_for_bit(self) -> None:
        for rows in (1, 2, 7, 100):
            data = random_bf16(rows, rows)
            with self.subTest(rows):
                self.assertEqual(self.ask(self.frame(raw_prefix(data))), described(3, data))

    def test_zeros_are_a_real_prefix(self) -> None:
        self.assertEqual(
            self.ask(self.frame(constant_prefix(0, HIDDEN, 2))), described(3, bytes(4 * HIDDEN))
        )

    def test_it_leaves_no_trace(self) -> None:
        for seed in range(5):
            self.assertEqual(self.ask("x", "llm.utf-8"), described(3))
            data = random_bf16(2, seed)
            self.assertEqual(self.ask(self.frame(raw_prefix(data))), described(3, data))
        self.assertEqual(self.ask("x", "llm.utf-8"), described(3))

    def test_frame_as_a_string(self) -> None:
        data = random_bf16(1, 1)
        self.assertEqual(self.ask(json.dumps(self.frame(raw_prefix(data)))), described(3, data))

    def test_input_without_stream(self) -> None:
        data = random_bf16(1, 2)
        self.assertEqual(
            self.ask({"text": "x", "soft_prefix": raw_prefix(data)}, "llm.utf-8"),
            described(3, data),
        )
        encoded = base64.b64encode(b"hello").decode()
        self.assertEqual(
            self.ask({"text": encoded, "soft_prefix": raw_prefix(data)}, "llm.utf-8.base64"),
            described(7, data),
        )

    def test_any_frame_may_carry_it_and_the_last_one_counts(self) -> None:
        old, new = random_bf16(3, 3), random_bf16(2, 4)

        def ask_frames(prefixes: List[Any]) -> str:
            for index, prefix in enumerate(prefixes):
                frame: Json = {"delta": "x", "index": index, "finish": index == len(prefixes) - 1}
                if prefix is not None:
                    frame["soft_prefix"] = prefix
                self.client.request(
                    self.task, "inference", object=STREAM, data=frame, request_id="f"
                )
            return str(self.client.read_all("f")[0]["data"])

        prefix = raw_prefix(new)
        self.assertEqual(ask_frames([prefix, None, None]), described(5, new))
        self.assertEqual(ask_frames([None, prefix, None]), described(5, new))
        self.assertEqual(ask_frames([raw_prefix(old), prefix, None]), described(5, new))
        self.assertEqual(ask_frames([raw_prefix(old), prefix]), described(4, new))
        self.assertEqual(ask_frames([None, None]), described(4))

    def test_default_of_the_task(self) -> None:
        default, own = random_bf16(2, 5), random_bf16(1, 6)
        task = self.client.setup("m", soft_prefix=raw_prefix(default))
        for _ in range(2):
            self.assertEqual(self.ask("x", "llm.utf-8", task), described(3, default))
            self.assertEqual(self.ask(self.frame(raw_prefix(own)), task=task), described(3, own))
            self.assertEqual(self.ask(self.frame(None), task=task), described(3))
            self.assertEqual(
                self.ask({"text": "x", "soft_prefix": None}, "llm.utf-8", task), described(3)
            )
        self.assertEqual(self.ask("x", "llm.utf-8"), described(3))  # the other task has none

    def test_scale(self) -> None:
        values = [1.0, -1.0, 0.1, 3.0, 1e-30, 250.0, -0.7, 0.0]
        data = pack_bf16(values)
        for scale in (0.8, 1, 0, -2.5, 1e-3, 0.3333):
            scaled = pack_bf16(
                struct.unpack("<f", struct.pack("<f", value * single(scale)))[0]
                for value in unpack_bf16(data)
            )
            with self.subTest(scale):
                prefix = {**raw_prefix(data), "scale": scale}
                self.assertEqual(self.ask(self.frame(prefix)), described(3, scaled))
        task = self.client.setup("m", soft_prefix={**raw_prefix(data), "scale": 2})
        doubled = pack_bf16(2 * value for value in unpack_bf16(data))
        self.assertEqual(self.ask("x", "llm.utf-8", task), described(3, doubled))

    def test_it_stands_before_the_system_prompt(self) -> None:
        task = self.client.setup("m", prompt="S.")
        prefix = constant_prefix(0.5, HIDDEN, 2)
        plain = "[system]S.[turn]words[answer]"
        self.assertEqual(self.ask("words", "llm.utf-8", task), plain)
        self.assertEqual(self.ask(self.frame(prefix, "words"), task=task), "[soft][soft]" + plain)
        self.assertEqual(self.ask("words", "llm.utf-8", task), plain)

    def test_streamed_answer(self) -> None:
        task = self.client.setup("m", STREAM)
        data = random_bf16(1, 7)
        replies = self.client.ask_all(task, self.frame(raw_prefix(data)), STREAM)
        self.check_frames(replies, task, described(3, data))


def single(value: float) -> float:
    """`value` as a float32."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


class Refusals(ProtocolTest):
    """-26, the inference does not run, and the task stays usable."""

    def setUp(self) -> None:
        self.server, self.client, self.task = self.start(SCRIPT)
        self.streaming = self.client.setup("m", STREAM)
        self.good = raw_prefix(random_bf16(1, 1))

    def prefills(self) -> int:
        return int(json.loads(self.client.infer(self.task, "counts").text)["prefill_calls"])

    def check_refused(self, prefix: Any, *says: str) -> None:
        with self.subTest(prefix if len(str(prefix)) < 200 else str(prefix)[:200]):
            before = self.prefills()
            frame = {"delta": "x", "index": 0, "finish": True, "soft_prefix": prefix}
            whole = {"text": "x", "soft_prefix": prefix}
            replies = [
                self.client.ask_all(self.task, frame, STREAM)[0],
                self.client.ask_all(self.task, whole)[0],
            ]
            for reply in replies:
                self.check_plain_error(reply, -26, self.task)
                for text in says:
                    self.assertIn(text, reply["error"]["message"])
            replies = self.client.ask_all(self.streaming, frame, STREAM)
            self.check_frames(replies, self.streaming, "", code=-26)
            self.assertEqual(self.prefills(), before + 1)  # of the counting itself

    def test_len(self) -> None:
        for value in ("1", 1.5, True, None, [], {}, "", 1e300):
            self.check_refused({**self.good, "len": value}, "len")
        for value in (0, -1, -(2**63)):
            self.check_refused({**self.good, "len": value}, str(value))
        for value in (2, 2**31, 2**40, 2**62, 2**63 - 1):
            self.check_refused({**self.good, "len": value})
        self.check_refused({"data_b64": self.good["data_b64"]}, "len")

    def test_data(self) -> None:
        wrong: List[Any] = [None, 5, [], {}]
        wrong += ["", "*", "A", "AA", "AAA", "AAAA=", "AA AA", "AAAA\n", "_-8="]
        for value in wrong:
            self.check_refused({"len": 1, "data_b64": value})
        self.check_refused({"len": 1}, "data_b64")

    def test_byte_count_says_what_is_needed(self) -> None:
        for rows, count in ((1, 15), (1, 17), (1, 14), (1, 32), (3, 16), (2, 0)):
            self.check_refused(
                raw_prefix(bytes(count), rows),
                f"got {count} bytes, need P*H*2 = {rows * HIDDEN * 2} for P={rows}, H={HIDDEN}",
            )

    def test_values_that_are_not_finite(self) -> None:
        for bad in (float("nan"), float("inf"), float("-inf")):
            values = [0.5] * (3 * HIDDEN)
            values[2 * HIDDEN + 5] = bad
            prefix = soft_prefix([values[at : at + HIDDEN] for at in (0, HIDDEN, 2 * HIDDEN)])
            self.check_refused(prefix, "row 2", "column 5")

    def test_no_object(self) -> None:
        for prefix in ("x", "", 5, 0, True, False, [], [1], {}, {"rows": 1}):
            self.check_refused(prefix)

    def test_names(self) -> None:
        self.check_refused({"name": "poet"}, "no stored prefix", "poet")
        for name in ("", "../poet", "/etc/passwd", 5, None):
            self.check_refused({"name": name})

    def test_scale(self) -> None:
        for scale in ("0.8", True, [], 1e300, 3.4e38):
            self.check_refused({**raw_prefix(pack_bf16([2.0] * HIDDEN)), "scale": scale})

    def test_more_rows_than_the_context(self) -> None:
        self.check_refused(constant_prefix(0.5, HIDDEN, 2049), "2049", "2048")

    def test_in_setup(self) -> None:
        self.client.exit(self.streaming)
        for prefix in (
            {**self.good, "len": "1"}, {**self.good, "len": 2}, {"name": "poet"}, 5, "x",
            constant_prefix(float("nan"), HIDDEN), constant_prefix(0, HIDDEN + 1),
        ):  # fmt: skip
            with self.subTest(prefix):
                data = {"model": "m", "soft_prefix": prefix}
                reply = self.client.ask("llm", "setup", object="llm.setup", data=data)
                self.check_plain_error(reply, -26, "llm")
        self.assertEqual(self.client.taskinfo(), [self.task])


class Limits(ProtocolTest):
    """P + T rows may fill the context exactly."""

    def check(self, rows: int, text: str, context: int, fits: bool, **setup: Any) -> None:
        script: Script = {"context_length": context, "rules": [{"answer": ["a", "b", "c"]}]}
        _, client, task = self.start(script, **setup)
        frame = {
            "delta": text, "index": 0, "finish": True,
            "soft_prefix": constant_prefix(0.25, HIDDEN, rows),
        }  # fmt: skip
        reply = client.ask_all(task, frame, STREAM)[0]
        if fits:
            self.check_text([reply], task, "a")
        else:
            self.check_plain_error(reply, -26, task)
            for number in (rows, context):
                self.assertIn(str(number), reply["error"]["message"])
        self.check_text(client.ask_all(task, "x"), task, "abc")

    def test_exactly_full(self) -> None:
        self.check(17, "12345678901", 30, True)

    def test_one_more(self) -> None:
        self.check(18, "12345678901", 30, False)
        self.check(17, "123456789012", 30, False)

    def test_system_prompt_counts(self) -> None:
        self.check(12, "12345678901", 30, True, prompt="1234")
        self.check(13, "12345678901", 30, False, prompt="1234")

    def test_prefix_alone_fills_or_exceeds_it(self) -> None:
        self.check(30, "x", 30, False)
        self.check(31, "x", 30, False)

    def test_max_token_len_does_not_count_it(self) -> None:
        script: Script = {"rules": [{"answer": ["a"], "repeat": 50}]}
        _, client, task = self.start(script, max_token_len=10)
        frame = {
            "delta": "x", "index": 0, "finish": True,
            "soft_prefix": constant_prefix(0.25, HIDDEN, 40),
        }  # fmt: skip
        self.check_text(client.ask_all(task, frame, STREAM), task, "a" * 7)


if __name__ == "__main__":
    unittest.main()
