"""How many rows fit: the context, max_token_len; and models that keep the conversation."""

from __future__ import annotations

import json
import unittest
from typing import Any, Tuple

from harness import Client, ProtocolTest, Script
from stackflow_client import constant_prefix

STREAM = "llm.utf-8.stream"
RESET_TEXT = "Context has been reset."

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Limits(ProtocolTest):
    """A prompt takes its bytes and two rows; see tests/scripted/README.md."""

    def limited(self, context: int, **setup: Any) -> Tuple[Client, str]:
        script: Script = {"context_length": context, "rules": [{"answer": list(ALPHABET)}]}
        _, client, task = self.start(script, **setup)
        return client, task

    def test_exactly_the_context_gives_one_token(self) -> None:
        client, task = self.limited(20)
        self.check_text(client.ask_all(task, "x" * 18), task, "a")

    def test_one_more_is_refused_with_both_numbers(self) -> None:
        client, task = self.limited(20)
        reply = client.ask_all(task, "x" * 19)[0]
        self.check_plain_error(reply, -11, task)
        for number in ("21", "20"):
            self.assertIn(number, reply["error"]["message"])
        self.check_text(client.ask_all(task, "x" * 18), task, "a")

    def test_streamed(self) -> None:
        client, task = self.limited(20, response_format=STREAM)
        self.check_frames(client.ask_all(task, "x" * 18), task, "a")
        self.check_frames(client.ask_all(task, "x" * 19), task, "", code=-11)
        self.check_frames(client.ask_all(task, "x" * 500_000), task, "", code=-11)

    def test_system_prompt_counts(self) -> None:
        client, task = self.limited(20, prompt="1234")
        self.check_text(client.ask_all(task, "x" * 13), task, "a")
        self.check_plain_error(client.ask_all(task, "x" * 14)[0], -11, task)

    def test_system_prompt_as_long_as_the_context(self) -> None:
        # Whether setup or the inference says so: it is said, and nothing breaks.
        client = self.connect(self.serve({"m": {"context_length": 20, "rules": [{"echo": 1}]}}))
        for length in (19, 20, 100_000):
            data = {"model": "m", "prompt": "x" * length}
            reply = client.ask("llm", "setup", object="llm.setup", data=data)
            if reply["error"]["code"] != 0:
                self.check_plain_error(reply, -5, "llm")
                continue
            task = reply["work_id"]
            self.check_plain_error(client.ask_all(task, "x")[0], -11, task)
            client.exit(task)

    def test_answer_ends_where_the_context_does(self) -> None:
        # The last token needs no row: nothing follows it.
        client, task = self.limited(13)
        self.check_text(client.ask_all(task, "x"), task, ALPHABET[:11])
        self.check_text(client.ask_all(task, "xx"), task, ALPHABET[:10])

    def test_max_token_len_counts_prompt_and_answer(self) -> None:
        client, task = self.limited(256, max_token_len=10)
        self.check_text(client.ask_all(task, "x"), task, ALPHABET[:7])
        self.check_text(client.ask_all(task, "xxxxx"), task, ALPHABET[:3])

    def test_prompt_as_long_as_max_token_len_gives_one_token(self) -> None:
        client, task = self.limited(256, max_token_len=10)
        for length in (7, 8, 9, 100, 254):
            self.check_text(client.ask_all(task, "x" * length), task, "a")
        self.check_plain_error(client.ask_all(task, "x" * 255)[0], -11, task)

    def test_max_token_len_is_capped_by_the_model(self) -> None:
        client, task = self.limited(13, max_token_len=2**31 - 1)
        self.check_text(client.ask_all(task, "x"), task, ALPHABET[:11])

    def test_max_token_len_of_the_model(self) -> None:
        rules = [{"answer": list(ALPHABET)}]
        script: Script = {"mode_param": {"max_token_len": 10}, "rules": rules}
        _, client, task = self.start(script)
        self.check_text(client.ask_all(task, "x"), task, ALPHABET[:7])
        own = client.setup("m", max_token_len=12)
        self.check_text(client.ask_all(own, "x"), own, ALPHABET[:9])

    def test_other_models_do_not_keep_the_conversation(self) -> None:
        script: Script = {"rules": [{"transcript": True}]}
        _, client, task = self.start(script, prompt="S.")
        for text in ("one", "two", "reset"):
            replies = client.ask_all(task, text)
            self.check_text(replies, task, f"[system]S.[turn]{text}[answer]")


class ContextModels(ProtocolTest):
    """precompute_len: the conversation goes on, and `reset` ends it."""

    SCRIPT: Script = {
        "context_length": 300,
        "mode_param": {"precompute_len": 64},
        "rules": [
            {"contains": "words", "transcript": True},
            {"prompt": "counts", "counts": True},
            {"prompt": "fail", "answer": ["a", "b"], "fail_decode": {"at": 1, "message": "no"}},
            {"answer": ["Hi", "!"]},
        ],
    }

    def converse(self, **setup: Any) -> Tuple[Client, str]:
        _, client, task = self.start(self.SCRIPT, **setup)
        return client, task

    def test_turns_follow_one_another(self) -> None:
        client, task = self.converse(prompt="S.")
        client.infer(task, "one")
        client.infer(task, "two")
        self.assertEqual(
            client.infer(task, "words").text,
            "[system]S.[turn]one[answer]Hi![turn]two[answer]Hi![turn]words[answer]",
        )

    def test_setup_can_make_it_a_context_model(self) -> None:
        _, client, task = self.start({"rules": self.SCRIPT["rules"]}, precompute_len=64)
        client.infer(task, "one")
        self.assertEqual(
            client.infer(task, "words").text, "[turn]one[answer]Hi![turn]words[answer]"
        )

    def test_reset(self) -> None:
        client, task = self.converse(prompt="S.")
        client.infer(task, "one")
        self.check_text(client.ask_all(task, "reset"), task, RESET_TEXT)
        self.assertEqual(client.infer(task, "words").text, "[system]S.[turn]words[answer]")

    def test_reset_streamed_is_a_delta_and_the_closing_frame(self) -> None:
        client, task = self.converse(response_format=STREAM)
        client.infer(task, "one")
        replies = client.ask_all(task, {"delta": "reset", "index": 0, "finish": True}, STREAM)
        self.check_frames(replies, task, RESET_TEXT)
        self.assertEqual(len(replies), 2)
        self.assertEqual(client.infer(task, "words").text, "[turn]words[answer]")

    def test_reset_takes_its_turn(self) -> None:
        client, task = self.converse()
        ids = [
            client.request(task, "inference", object="llm.utf-8", data=text)
            for text in ("one", "reset", "words")
        ]
        texts = [client.read_all(request_id)[0]["data"] for request_id in ids]
        self.assertEqual(texts, ["Hi!", RESET_TEXT, "[turn]words[answer]"])

    def test_tasks_have_their_own_conversations(self) -> None:
        client, first = self.converse()
        second = client.setup("m")
        client.infer(first, "one")
        self.assertEqual(client.infer(second, "words").text, "[turn]words[answer]")
        self.assertEqual(
            client.infer(first, "words").text, "[turn]one[answer]Hi![turn]words[answer]"
        )

    def test_system_prompt_stands_before_prompt(self) -> None:
        client, task = self.converse(prompt="P.", system_prompt="S.")
        self.assertEqual(client.infer(task, "words").text, "[system]S.[turn]words[answer]")
        other = client.setup("m", prompt="P.", system_prompt="")
        self.assertEqual(client.infer(other, "words").text, "[system]P.[turn]words[answer]")

    def test_only_new_rows_are_computed(self) -> None:
        client, task = self.converse(prompt="A system prompt.")
        for _ in range(3):
            client.infer(task, "one")
        first = json.loads(client.infer(task, "counts").text)["prefill_rows"]
        second = json.loads(client.infer(task, "counts").text)["prefill_rows"]
        # The turn, and what of the last answer was not in the cache: its last token.
        self.assertLessEqual(second - first, len("counts") + 2 + 1)

    def test_full_context_starts_again_with_the_system_prompt(self) -> None:
        client, task = self.converse(prompt="S.")
        text = "x" * 100
        self.assertEqual(client.infer(task, text).text, "Hi!")
        self.assertEqual(client.infer(task, text).text, "Hi!")  # 3 + 2 * (102 + 2) rows so far
        self.assertEqual(client.infer(task, text).text, "Hi!")
        self.assertEqual(
            client.infer(task, "words").text,
            f"[system]S.[turn]{text}[answer]Hi![turn]words[answer]",
        )

    def test_what_does_not_fit_a_fresh_context_is_refused(self) -> None:
        client, task = self.converse(prompt="S.")
        client.infer(task, "one")
        self.check_plain_error(client.ask_all(task, "x" * 300)[0], -11, task)
        self.assertEqual(client.infer(task, "two").text, "Hi!")

    def test_failed_inference_is_no_part_of_the_conversation(self) -> None:
        client, task = self.converse()
        client.infer(task, "one")
        self.check_plain_error(client.ask_all(task, "fail")[0], -11, task)
        self.assertEqual(
            client.infer(task, "words").text, "[turn]one[answer]Hi![turn]words[answer]"
        )

    def test_soft_prefix_is_for_one_inference(self) -> None:
        client, task = self.converse(prompt="S.")
        client.infer(task, "one")
        prefix = constant_prefix(0.5, 8, 2)
        before = "[system]S.[turn]one[answer]Hi!"
        # The conversation is recomputed behind it …
        first = client.infer(task, "words", prefix).text
        self.assertEqual(first, f"[soft][soft]{before}[turn]words[answer]")
        # … and question and answer stay in it, as tokens.
        client.ask_all(task, "reset")
        client.infer(task, "one")
        self.assertEqual(client.infer(task, "two", prefix).text, "Hi!")
        self.assertEqual(
            client.infer(task, "words").text,
            f"{before}[turn]two[answer]Hi![turn]words[answer]",
        )


if __name__ == "__main__":
    unittest.main()
