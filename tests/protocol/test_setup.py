"""setup, exit, taskinfo, work, link, unlink: tasks as a whole, without inferences."""

from __future__ import annotations

import base64
import json
import unittest
from typing import Any, List

from harness import ECHO, ProtocolTest, Script
from reply_checks import Json

DESCRIBE: Script = {"context_length": 2048, "rules": [{"transcript": True}]}


class Setup(ProtocolTest):
    def setUp(self) -> None:
        self.server = self.serve(
            {
                "m": DESCRIBE,
                "other": ECHO,
                "broken": {"load_error": "weights.bin: 7 bytes, expected 9"},
                "huge": {"load_out_of_memory": True},
                "modelled": {
                    "context_length": 2048,
                    "mode_param": {"system_prompt": "From file."},
                    "rules": [{"transcript": True}],
                },
            }
        )
        self.client = self.connect(self.server)

    def ask_setup(self, data: Any) -> Json:
        return self.client.ask("llm", "setup", object="llm.setup", data=data)

    def check_refused(self, data: Any, code: int, says: str = "") -> None:
        """Every error of setup has the work_id "llm": clients take a number for success."""
        with self.subTest(data):
            self.check_plain_error(self.ask_setup(data), code, "llm", says)

    def set_up(self, data: Any) -> str:
        reply = self.ask_setup(data)
        self.check_ok(reply)
        self.assertEqual((reply["object"], reply["data"]), ("None", "None"))
        self.assertRegex(reply["work_id"], r"^llm\.\d+$")
        return str(reply["work_id"])

    def transcript(self, setup: Json) -> str:
        """What a model sees of the prompt "x" in a task set up like that."""
        task = self.set_up(setup)
        text = str(self.client.infer(task, "x").text)
        self.client.exit(task)
        return text

    def test_model_is_all_it_needs(self) -> None:
        task = self.set_up({"model": "m"})
        self.assertEqual(task, "llm.1000")
        info = self.client.taskinfo(task)
        self.assertEqual(info["model"], "m")
        self.assertEqual(info["response_format"], "llm.utf-8")
        self.assertEqual(info["inputs"], ["llm.utf-8"])
        self.assertIs(info["enoutput"], True)

    def test_null_is_absent(self) -> None:
        keys = (
            "response_format", "input", "enoutput", "prompt", "max_token_len", "seed",
            "soft_prefix", "temperature", "top_p", "top_k", "enable_top_k_sampling",
            "system_prompt",
        )  # fmt: skip
        task = self.set_up({"model": "m", **{key: None for key in keys}})
        info = self.client.taskinfo(task)
        self.assertEqual((info["response_format"], info["inputs"]), ("llm.utf-8", ["llm.utf-8"]))
        self.assertEqual(self.client.infer(task, "x").text, "[turn]x[answer]")
        self.check_refused({"model": None}, -5)

    def test_unknown_keys_are_ignored(self) -> None:
        self.set_up({"model": "m", "enkws": True, "anything": {"at": ["all"]}, "": 1})

    def test_what_clients_send(self) -> None:
        self.set_up(
            {
                "model": "m",
                "response_format": "llm.utf-8.stream",
                "input": "llm.utf-8.stream",
                "enoutput": True,
                "enkws": True,
                "max_token_len": 64,
                "temperature": 0.7,
                "top_p": 0.9,
                "prompt": "You are a helpful assistant.",
            }
        )

    def test_data_as_a_string(self) -> None:
        self.set_up(json.dumps({"model": "m", "prompt": "}\"\\"}))

    def test_no_object_as_data(self) -> None:
        for data in ("", "not json", "{", "[]", "1", '"m"', [], 1, True, ["m"], None):
            self.check_refused(data, -2)
        self.check_plain_error(self.client.ask("llm", "setup", object="llm.setup"), -2, "llm")

    def test_model_unknown_or_missing(self) -> None:
        self.check_refused({}, -5, "model")
        self.check_refused({"model": ""}, -5)
        self.check_refused({"model": "nobody"}, -5, "nobody")
        models = str(self.server.models)
        self.assertIn(models, self.ask_setup({"model": "nobody"})["error"]["message"])

    def test_model_names_that_leave_the_folder(self) -> None:
        for name in (
            "..", ".", "../m", "m/../m", "m/", "/m", "m/script.json", "m\x00", "\x00", "./m",
            str(self.server.models / "m"), "..\\m", "~", "m/..", "../../../../etc",
        ):  # fmt: skip
            self.check_refused({"model": name}, -5)

    def test_models_that_do_not_load(self) -> None:
        self.check_refused({"model": "broken"}, -5, "weights.bin: 7 bytes, expected 9")
        self.check_refused({"model": "huge"}, -5, "memory")
        self.assertEqual(self.client.taskinfo(), [])

    def test_failed_setups_consume_numbers_or_not_but_never_repeat_one(self) -> None:
        first = self.set_up({"model": "m"})
        self.check_refused({"model": "nobody"}, -5)
        second = self.set_up({"model": "m"})
        self.client.exit(first)
        self.client.exit(second)
        third = self.set_up({"model": "m"})
        self.assertEqual(len({first, second, third}), 3)

    def test_values_of_wrong_types(self) -> None:
        wrong: Json = {
            "model": [1, True, {}, ["m"]],
            "response_format": [1, "llm.utf-16", "", {}, "text"],
            "input": [1, {}, True, [1], ["llm.utf-8", None], [["llm.utf-8"]]],
            "enoutput": [1, "true", "yes", {}],
            "prompt": [1, {}, ["a"], False],
            "max_token_len": ["64", 1.5, True, {}, 0, -1],
            "seed": ["1", 1.5, {}, True],
            "temperature": ["0.7", {}, True],
            "top_p": ["0.7", {}, True],
            "top_k": ["10", 1.5, {}, True],
            "enable_temperature": [1, "true"],
            "enable_top_p_sampling": [1, "true"],
            "enable_top_k_sampling": [1, "true"],
            "enable_repetition_penalty": [1, "true"],
            "repetition_penalty": ["1.2", {}],
            "penalty_window": ["50", 1.5],
            "precompute_len": ["8", {}],
            "system_prompt": [1, {}],
            "enable_thinking": [1, "true"],
            "chat_template_family": [1, {}],
        }
        for key, values in wrong.items():
            for value in values:
                self.check_refused({"model": "m", key: value}, -5)
        self.assertEqual(self.client.taskinfo(), [])

    def test_integers_written_as_floating_point(self) -> None:
        self.set_up({"model": "m", "max_token_len": 64.0, "top_k": 10.0})

    def test_system_prompt(self) -> None:
        self.assertEqual(self.transcript({"model": "m"}), "[turn]x[answer]")
        self.assertEqual(
            self.transcript({"model": "m", "prompt": "Be {brief}."}),
            "[system]Be {brief}.[turn]x[answer]",
        )
        # Not a context model: prompt first, then system_prompt from setup, then from the file.
        self.assertEqual(
            self.transcript({"model": "modelled"}), "[system]From file.[turn]x[answer]"
        )
        self.assertEqual(
            self.transcript({"model": "modelled", "prompt": "P."}), "[system]P.[turn]x[answer]"
        )
        self.assertEqual(
            self.transcript({"model": "modelled", "system_prompt": "S."}),
            "[system]S.[turn]x[answer]",
        )
        self.assertEqual(
            self.transcript({"model": "modelled", "system_prompt": "S.", "prompt": "P."}),
            "[system]P.[turn]x[answer]",
        )

    def test_inputs_may_be_an_array(self) -> None:
        inputs = ["llm.utf-8", "llm.utf-8.stream", "asr.1001", "whisper.1002", "kws.1000"]
        task = self.set_up({"model": "m", "input": inputs})  # unknown ones do not fail it
        self.assertEqual(self.client.taskinfo(task)["inputs"], inputs)

    def test_seeds(self) -> None:
        for seed in (0, -1, 42, 2**53, 2**63 - 1):
            with self.subTest(seed):
                self.client.exit(self.set_up({"model": "m", "seed": seed}))

    def test_two_tasks_then_full(self) -> None:
        self.set_up({"model": "m"})
        second = self.set_up({"model": "other"})
        self.check_refused({"model": "m"}, -21)
        self.client.exit(second)
        self.set_up({"model": "m"})

    def test_max_tasks_can_be_set(self) -> None:
        client = self.connect(self.serve({"m": ECHO}, "--max-tasks", "3"))
        for _ in range(3):
            client.setup("m")
        reply = client.ask("llm", "setup", object="llm.setup", data={"model": "m"})
        self.check_plain_error(reply, -21, "llm")

    def test_setup_to_a_task_is_answered(self) -> None:
        task = self.set_up({"model": "m"})
        reply = self.client.ask(task, "setup", object="llm.setup", data={"model": "m"})
        self.assertEqual(reply["error"]["code"] == 0, reply["work_id"] not in (task, "llm"), reply)


class SlowSetup(ProtocolTest):
    def test_loading_holds_up_nobody_else(self) -> None:
        server = self.serve({"slow": {"load_gate": "go", "rules": [{"echo": 9}]}, "echo": ECHO})
        loading, other = self.connect(server), self.connect(server)
        task = other.setup("echo")
        request = loading.request("llm", "setup", object="llm.setup", data={"model": "slow"})
        server.wait_for_gate("slow", "go")
        self.assertEqual(other.infer(task, "hello").text, "hello")
        self.check_ok(other.ask("sys", "ping"))
        self.assertEqual(other.taskinfo(), [task])
        self.check_ok(loading.ask("sys", "ping"))
        server.open_gate("slow", "go")
        reply = loading.receive()
        self.assertEqual(reply["request_id"], request)
        self.check_ok(reply)
        self.assertEqual(loading.infer(reply["work_id"], "hi").text, "hi")

    def test_client_that_went_away_during_setup(self) -> None:
        server = self.serve({"slow": {"load_gate": "go", "rules": [{"echo": 9}]}})
        gone, other = self.connect(server), self.connect(server)
        gone.request("llm", "setup", object="llm.setup", data={"model": "slow"})
        server.wait_for_gate("slow", "go")
        gone.close()
        server.open_gate("slow", "go")
        # Setups are done in order: behind this one, the other's task is there to be ended.
        other.setup("slow")
        tasks = other.taskinfo()
        self.assertEqual(len(tasks), 2)
        for task in tasks:
            other.exit(task)


class Tasks(ProtocolTest):
    def setUp(self) -> None:
        self.server, self.client, self.task = self.start(ECHO)

    def test_taskinfo_of_the_unit(self) -> None:
        reply = self.client.ask("llm", "taskinfo")
        self.check_ok(reply, "llm")
        self.assertEqual((reply["object"], reply["data"]), ("llm.tasklist", ["llm.1000"]))
        second = self.client.setup("m")
        self.assertEqual(self.client.taskinfo(), [self.task, second])
        self.client.exit(self.task)
        self.client.exit(second)
        self.assertEqual(self.client.taskinfo(), [])

    def test_taskinfo_of_a_task(self) -> None:
        reply = self.client.ask(self.task, "taskinfo")
        self.check_ok(reply, self.task)
        self.assertEqual(reply["object"], "llm.taskinfo")
        info = reply["data"]
        self.assertEqual(info["model"], "m")
        self.assertEqual(info["hidden_size"], 8)
        self.assertEqual(info["context_length"], 256)
        self.assertIsInstance(info["engine"], str)

    def test_context_option_lowers_context_length(self) -> None:
        server = self.serve({"m": ECHO}, "--context", "100")
        client = self.connect(server)
        self.assertEqual(client.taskinfo(client.setup("m"))["context_length"], 100)

    def test_exit_ends_a_task_for_good(self) -> None:
        self.check_ok(self.client.ask(self.task, "exit"), self.task)
        self.check_plain_error(self.client.ask(self.task, "exit"), -6, self.task)
        self.check_plain_error(self.client.ask(self.task, "taskinfo"), -6, self.task)
        reply = self.client.ask(self.task, "inference", object="llm.utf-8", data="x")
        self.check_plain_error(reply, -4, self.task)

    def test_pause_and_work_of_an_idle_task(self) -> None:
        self.check_ok(self.client.ask(self.task, "pause"), self.task)
        self.check_ok(self.client.ask(self.task, "work"), self.task)
        self.assertEqual(self.client.infer(self.task, "still here").text, "still here")

    def test_actions_on_tasks_that_do_not_exist(self) -> None:
        for work_id in (
            "llm.999", "llm.abc", "llm.", "llm.1000x", "llm.-1", "llm.1000.1", "llm. 1000",
            "llm.99999999999999999999", "llm.0x3e8", "llm.01000",
        ):  # fmt: skip
            for action in ("taskinfo", "pause", "work", "exit"):
                with self.subTest(work_id=work_id, action=action):
                    self.check_plain_error(self.client.ask(work_id, action), -6, work_id)
            for action in ("link", "unlink"):
                with self.subTest(work_id=work_id, action=action):
                    reply = self.client.ask(work_id, action, object="work_id", data="asr.1000")
                    self.check_plain_error(reply, -6, work_id)
            with self.subTest(work_id=work_id, action="inference"):
                reply = self.client.ask(work_id, "inference", object="llm.utf-8", data="x")
                self.check_plain_error(reply, -4, work_id)

    def test_actions_on_the_unit_that_need_a_task(self) -> None:
        for action in ("pause", "work", "exit", "link", "unlink"):
            with self.subTest(action):
                self.check_plain_error(self.client.ask("llm", action, data="x"), -6, "llm")
        reply = self.client.ask("llm", "inference", object="llm.utf-8", data="x")
        self.check_plain_error(reply, -4, "llm")

    def test_unknown_unit_action(self) -> None:
        for work_id in ("llm", self.task):
            for action in ("dance", "", "Setup", "setup ", "list_action"):
                with self.subTest(work_id=work_id, action=action):
                    self.check_plain_error(self.client.ask(work_id, action), -18, work_id)

    def test_link_to_unknown_targets(self) -> None:
        for target in ("asr.1001", "kws.1000", "whisper.5", "nonsense", "", "llm.1000", "tts.1"):
            with self.subTest(target):
                reply = self.client.ask(self.task, "link", object="work_id", data=target)
                self.check_plain_error(reply, -20, self.task)
        others: List[Any] = [1, None, {}, []]
        for data in others:
            with self.subTest(data):
                reply = self.client.ask(self.task, "link", object="work_id", data=data)
                self.check_plain_error(reply, -20, self.task)

    def test_unlink_of_what_is_not_linked(self) -> None:
        for target in ("asr.1001", "kws.1000", "llm.utf-8"):
            with self.subTest(target):
                reply = self.client.ask(self.task, "unlink", object="work_id", data=target)
                self.check_ok(reply, self.task)
        self.assertEqual(self.client.infer(self.task, "user input stays").text, "user input stays")

    def test_units_that_are_not_here(self) -> None:
        reply = self.client.ask("asr", "setup", object="asr.setup", data={"model": "m"})
        self.check_plain_error(reply, -9, "asr")
        reply = self.client.ask("tts.1001", "inference", object="tts.utf-8", data="x")
        self.check_plain_error(reply, -4, "tts.1001")

    def test_tasks_of_one_model_are_separate(self) -> None:
        second = self.client.setup("m", prompt="Other.")
        encoded = base64.b64encode("こ".encode()).decode()
        self.assertEqual(self.client.infer(self.task, "one").text, "one")
        replies = self.client.ask_all(second, encoded, "llm.utf-8.base64")
        self.check_text(replies, second, "こ")
        self.client.exit(self.task)
        self.assertEqual(self.client.infer(second, "two").text, "two")


if __name__ == "__main__":
    unittest.main()
