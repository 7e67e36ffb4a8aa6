"""The sys actions that `serve` offers, and those that it refuses."""

from __future__ import annotations

import json
import unittest

from harness import ECHO, ProtocolTest

HOLD = {"rules": [{"prompt": "hold", "answer": ["a", "b"], "gate": {"file": "go", "at": 1}}]}


class Sys(ProtocolTest):
    def setUp(self) -> None:
        self.server = self.serve({"m": ECHO, "other": ECHO})
        self.client = self.connect(self.server)

    def test_ping(self) -> None:
        reply = self.client.ask("sys", "ping")
        self.check_ok(reply, "sys")
        self.assertEqual((reply["object"], reply["data"]), ("None", "None"))
        self.check_ok(self.client.ask("", "ping"), "")

    def test_version(self) -> None:
        # Clients choose their dialect by it.
        reply = self.client.ask("sys", "version")
        self.check_ok(reply, "sys")
        self.assertEqual((reply["object"], reply["data"]), ("sys.utf-8", "v1.6"))

    def test_version2(self) -> None:
        reply = self.client.ask("sys", "version2")
        self.check_ok(reply, "sys")
        self.assertEqual(reply["object"], "sys.utf-8.stream")
        self.assertEqual(len(reply["data"]), 1)
        self.assertRegex(reply["data"][0], r"^llm_llm-\d+\.\d+$")

    def test_lsmode(self) -> None:
        reply = self.client.ask("sys", "lsmode")
        self.check_ok(reply, "sys")
        self.assertEqual(reply["object"], "sys.lsmode")
        self.assertEqual({entry["mode"] for entry in reply["data"]}, {"m", "other"})
        for entry in reply["data"]:
            self.assertEqual(entry["type"], "llm")
            for key in ("capabilities", "input_type", "output_type"):
                self.assertIsInstance(entry[key], list)

    def test_lsmode_without_models(self) -> None:
        client = self.connect(self.serve({}, env={"LLM_LLM_MODELS": "/nonexistent"}))
        self.assertEqual(client.ask("sys", "lsmode")["data"], [])

    def test_lstask(self) -> None:
        self.assertEqual(self.client.ask("sys", "lstask")["data"], [])
        first, second = self.client.setup("m"), self.client.setup("other")
        reply = self.client.ask("sys", "lstask")
        self.check_ok(reply, "sys")
        self.assertEqual(reply["data"], [first, second])

    def test_hwinfo(self) -> None:
        for _ in range(2):
            reply = self.client.ask("sys", "hwinfo")
            self.check_ok(reply, "sys")
            self.assertEqual(reply["object"], "sys.hwinfo")
            info = reply["data"]
            self.assertIs(type(info["temperature"]), int)
            for key in ("cpu_loadavg", "mem"):
                self.assertIs(type(info[key]), int, key)
                self.assertIn(info[key], range(101), key)
            self.assertIsInstance(info["eth_info"], list)
            for interface in info["eth_info"]:
                self.assertEqual(set(interface), {"name", "ip", "speed"})
                for value in interface.values():
                    self.assertIsInstance(value, str)

    def test_cmminfo(self) -> None:
        reply = self.client.ask("sys", "cmminfo")
        self.check_ok(reply, "sys")
        self.assertEqual(reply["object"], "sys.cmminfo")
        info = reply["data"]
        for key in ("total", "used", "remain"):
            self.assertIs(type(info[key]), int, key)
        self.assertGreater(info["total"], 0)
        self.assertLessEqual(info["remain"], info["total"])

    def test_refused_actions(self) -> None:
        for action in (
            "bashexec", "push", "pull", "update", "upgrade", "reboot", "uartsetup", "rmmode",
            "unit_call",
        ):  # fmt: skip
            with self.subTest(action):
                self.check_plain_error(self.client.ask("sys", action, data="x"), -10, "sys")
                self.check_plain_error(self.client.ask("", action), -10, "")

    def test_unknown_actions(self) -> None:
        for action in ("", "dance", "Ping", "ping ", "setup", "inference", "taskinfo", "exit"):
            with self.subTest(action):
                self.check_plain_error(self.client.ask("sys", action), -3, "sys")

    def test_work_ids_that_only_look_like_sys(self) -> None:
        for work_id in ("SYS", "sysx", " sys", "system.1"):
            with self.subTest(work_id):
                reply = self.client.ask(work_id, "ping")
                self.assertNotEqual(reply["error"]["code"], 0, reply)
                self.assertEqual(reply["work_id"], work_id)


class Reset(ProtocolTest):
    def test_it_drops_all_tasks(self) -> None:
        server, client, task = self.start(HOLD)
        other = self.connect(server)
        second = other.setup("m")
        running = other.request(second, "inference", object="llm.utf-8", data="hold")
        server.wait_for_gate("m", "go")
        waiting = other.request(second, "inference", object="llm.utf-8", data="hold")

        reply = client.ask("sys", "reset")
        self.assertEqual(reply["error"], {"code": 0, "message": "llm server restarting ..."})
        self.assertEqual(reply["work_id"], "sys")
        server.open_gate("m", "go")

        # When they are gone, a line that answers no request.
        over = client.receive()
        self.assertEqual((over["request_id"], over["work_id"]), ("0", "sys"))
        self.assertEqual(over["error"], {"code": 0, "message": "reset over"})
        self.assertEqual((over["object"], over["data"]), ("None", "None"))

        # Everybody got an ending, only the one who asked for the reset got that line.
        replies = {reply["request_id"]: reply for reply in (other.receive(), other.receive())}
        self.check_ok(replies[running], second)
        self.check_plain_error(replies[waiting], -11, second)
        other.expect_nothing()
        self.assertEqual(client.taskinfo(), [])
        self.check_plain_error(client.ask(task, "exit"), -6, task)
        self.assertEqual(client.infer(client.setup("m"), "?").text, "")

    def test_without_tasks(self) -> None:
        client = self.connect(self.serve())
        for _ in range(20):
            self.assertEqual(
                client.ask("sys", "reset")["error"]["message"], "llm server restarting ..."
            )
            self.assertEqual(client.receive()["error"]["message"], "reset over")
        client.expect_nothing()

    def test_client_that_resets_and_leaves(self) -> None:
        server = self.serve()
        client = self.connect(server)
        client.request("sys", "reset")
        client.close()
        self.connect(server).expect_nothing()

    def test_setup_behind_a_reset(self) -> None:
        client = self.connect(self.serve())
        client.send_bytes(
            b'{"request_id":"r","work_id":"sys","action":"reset"}'
            + b'{"request_id":"s","work_id":"llm","action":"setup","data":{"model":"echo"}}'
        )
        replies = [client.receive() for _ in range(3)]
        work_id = next(reply["work_id"] for reply in replies if reply["request_id"] == "s")
        self.assertEqual(json.dumps(client.taskinfo()), json.dumps([work_id]))


if __name__ == "__main__":
    unittest.main()
