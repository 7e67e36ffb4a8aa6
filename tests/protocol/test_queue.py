"""Several inferences at once: order, the queue's limit, pause, exit, several clients and tasks."""

from __future__ import annotations

import threading
import unittest
from typing import Dict, List

from harness import DEADLINE, Client, ProtocolTest, Script
from reply_checks import Json

STREAM = "llm.utf-8.stream"

# "stop" gives two tokens and waits before the third; "hold" waits with the prompt.
GATED: Script = {
    "rules": [
        {"prompt": "stop", "answer": ["a", "b", "c"], "gate": {"file": "go", "at": 2}},
        {"prompt": "hold", "answer": ["held"], "gate": "go"},
        {"echo": 4},
    ]
}


def send(client: Client, task: str, text: str) -> str:
    return client.request(task, "inference", object="llm.utf-8", data=text)


class Queue(ProtocolTest):
    def hold(self, *options: str, **setup: str) -> str:
        """Starts a server whose task is busy; returns the request_id of what keeps it so."""
        self.server, self.client, self.task = self.start(GATED, *options, **setup)
        held = send(self.client, self.task, "hold")
        self.server.wait_for_gate("m", "go")
        return held

    def go(self) -> None:
        self.server.open_gate("m", "go")

    def test_order(self) -> None:
        ids = [self.hold()]
        ids += [send(self.client, self.task, text) for text in ("one", "two", "three")]
        self.client.expect_nothing()
        self.go()
        for request_id, text in zip(ids, ("held", "one", "two", "three")):
            reply = self.client.receive()
            self.assertEqual((reply["request_id"], reply["data"]), (request_id, text))

    def test_fourth_in_the_queue_is_refused_at_once(self) -> None:
        ids = [self.hold()]
        ids += [send(self.client, self.task, text) for text in ("one", "two", "three")]
        reply = self.client.ask(self.task, "inference", object="llm.utf-8", data="four")
        self.check_plain_error(reply, -11, self.task, "queue full")
        self.go()
        self.assertEqual([self.client.receive()["request_id"] for _ in ids], ids)
        self.assertEqual(self.client.infer(self.task, "room again").text, "room again")

    def test_refused_stream_gets_a_closing_frame(self) -> None:
        held = self.hold(response_format=STREAM)
        for text in ("one", "two", "three"):
            send(self.client, self.task, text)
        replies = self.client.ask_all(self.task, "four")
        self.check_frames(replies, self.task, "", code=-11)
        self.assertIn("queue full", replies[0]["error"]["message"])
        self.go()
        self.check_frames(self.client.read_all(held), self.task, "held")

    def test_queue_option(self) -> None:
        self.hold("--queue", "1")
        send(self.client, self.task, "one")
        reply = self.client.ask(self.task, "inference", object="llm.utf-8", data="two")
        self.check_plain_error(reply, -11, self.task, "queue full")

    def test_queues_of_tasks_are_separate(self) -> None:
        self.hold()
        other = self.client.setup("m")
        for text in ("one", "two", "three"):
            send(self.client, self.task, text)
        self.assertEqual(self.client.infer(other, "not held").text, "not held")
        self.go()

    def test_one_wrong_request_among_good_ones(self) -> None:
        held = self.hold()
        first = send(self.client, self.task, "one")
        wrong = self.client.ask(self.task, "inference", object="llm.utf-8.base64", data="?")
        self.check_plain_error(wrong, -23, self.task)
        second = send(self.client, self.task, "two")
        self.go()
        ids = [self.client.receive()["request_id"] for _ in range(3)]
        self.assertEqual(ids, [held, first, second])

    def test_other_actions_do_not_wait_for_the_queue(self) -> None:
        self.hold()
        self.assertEqual(self.client.taskinfo(), [self.task])
        self.assertEqual(self.client.taskinfo(self.task)["model"], "m")
        self.check_ok(self.client.ask(self.task, "work"), self.task)
        self.check_ok(self.client.ask("sys", "ping"), "sys")
        self.go()


class Pause(ProtocolTest):
    def test_stream_ends_with_its_closing_frame(self) -> None:
        server, client, task = self.start(GATED, response_format=STREAM)
        request = send(client, task, "stop")
        frames = [client.receive(), client.receive()]
        server.wait_for_gate("m", "go")
        pause = client.request(task, "pause")
        reply = client.receive()
        self.assertEqual(reply["request_id"], pause)
        self.check_ok(reply, task)
        server.open_gate("m", "go")  # the step under way ends
        frames += client.read_all(request)
        self.assertIn(self.check_frames(frames, task), ("ab", "abc"))
        client.expect_nothing()
        self.check_frames(client.ask_all(task, "goes on"), task, "goes on")

    def test_answer_in_one_piece_holds_the_text_so_far(self) -> None:
        server, client, task = self.start(GATED)
        request = send(client, task, "stop")
        server.wait_for_gate("m", "go")
        self.check_ok(client.ask(task, "pause"), task)
        server.open_gate("m", "go")
        replies = client.read_all(request)
        self.check_ok(replies[0], task)
        self.assertIn(replies[0]["data"], ("ab", "abc"))

    def test_prompt_is_stopped_too(self) -> None:
        server, client, task = self.start(GATED, response_format=STREAM)
        request = send(client, task, "hold")
        server.wait_for_gate("m", "go")
        pause = client.request(task, "pause")
        replies = [client.receive(), client.receive()]
        by_id = {reply["request_id"]: reply for reply in replies}
        self.check_ok(by_id[pause], task)
        self.check_frames([by_id[request]], task, "")

    def test_waiting_inferences_stay(self) -> None:
        server, client, task = self.start(GATED)
        request = send(client, task, "stop")
        server.wait_for_gate("m", "go")
        waiting = [send(client, task, text) for text in ("one", "two")]
        self.check_ok(client.ask(task, "pause"), task)
        server.open_gate("m", "go")
        self.assertIn(client.read_all(request)[0]["data"], ("ab", "abc"))
        for request_id, text in zip(waiting, ("one", "two")):
            self.check_text(client.read_all(request_id), task, text)


class Exit(ProtocolTest):
    def check_exit(self, response_format: str) -> None:
        stream = response_format == STREAM
        server, client, task = self.start(GATED, response_format=response_format)
        running = send(client, task, "stop")
        frames: List[Json] = [client.receive(), client.receive()] if stream else []
        server.wait_for_gate("m", "go")
        waiting = [send(client, task, text) for text in ("one", "two")]
        # Behind llm-sys `exit` takes another way than they do: what is refused behind them has come
        # after them.
        refused = client.request(task, "inference", object="llm.utf-8", data=5)
        refusal = client.receive()
        self.assertEqual(refusal["request_id"], refused)
        self.assertNotEqual(refusal["error"]["code"], 0, refusal)
        exit_id = client.request(task, "exit")
        replies: Dict[str, List[Json]] = {key: [] for key in (running, exit_id, *waiting)}

        def receive() -> None:
            reply = client.receive()
            replies[reply["request_id"]].append(reply)

        while not replies[exit_id]:  # while the step of the running one is still under way
            receive()
        self.check_ok(replies[exit_id][0], task)
        server.open_gate("m", "go")
        while not all(replies.values()) or (stream and not replies[running][-1]["data"]["finish"]):
            receive()
        if stream:
            self.assertIn(self.check_frames(frames + replies[running], task), ("ab", "abc"))
        else:
            self.check_ok(replies[running][0], task)
            self.assertIn(replies[running][0]["data"], ("ab", "abc"))
        for request_id in waiting:
            if stream:
                self.check_frames(replies[request_id], task, "", code=-11)
            else:
                self.check_plain_error(replies[request_id][0], -11, task)
        client.expect_nothing()
        self.assertEqual(client.taskinfo(), [])

    def test_streams_get_their_endings(self) -> None:
        self.check_exit(STREAM)

    def test_answers_in_one_piece_get_their_endings(self) -> None:
        self.check_exit("llm.utf-8")

    def test_setup_right_after_exit_finds_room(self) -> None:
        server = self.serve({"m": GATED}, "--max-tasks", "1")
        client = self.connect(server)
        task = client.setup("m")
        send(client, task, "stop")
        server.wait_for_gate("m", "go")
        exit_id = client.request(task, "exit")
        setup_id = client.request("llm", "setup", object="llm.setup", data={"model": "m"})
        server.open_gate("m", "go")
        replies = {reply["request_id"]: reply for reply in (client.receive() for _ in range(3))}
        self.check_ok(replies[exit_id], task)
        self.check_ok(replies[setup_id])
        self.assertNotEqual(replies[setup_id]["work_id"], task)


class SeveralClients(ProtocolTest):
    def test_answers_go_to_those_who_asked(self) -> None:
        server, first, task = self.start(GATED)
        second = self.connect(server)
        held = send(first, task, "hold")
        server.wait_for_gate("m", "go")
        theirs = second.request(
            task, "inference", object="llm.utf-8", data="second", request_id=held
        )
        mine = send(first, task, "first")
        server.open_gate("m", "go")
        self.check_text(second.read_all(theirs), task, "second")
        self.check_text(first.read_all(held), task, "held")
        self.check_text(first.read_all(mine), task, "first")
        first.expect_nothing()
        second.expect_nothing()

    def test_client_that_leaves_does_not_take_others_inferences_with_it(self) -> None:
        server, leaving, task = self.start(GATED)
        staying = self.connect(server)
        send(leaving, task, "stop")
        server.wait_for_gate("m", "go")
        request = send(staying, task, "mine")
        leaving.close()
        server.open_gate("m", "go")
        self.check_text(staying.read_all(request), task, "mine")

    def test_four_clients_on_two_tasks(self) -> None:
        rounds = 15
        server, first, task = self.start({"rules": [{"echo": 3}]})
        tasks = [task, first.setup("m", STREAM)]
        failures: List[str] = []

        def chat(number: int) -> None:
            try:
                with Client(server.port) as client:
                    for turn in range(rounds):
                        text = f"client {number} says {turn}"
                        work_id = tasks[(number + turn) % 2]
                        replies = client.ask_all(work_id, text, request_id=str(turn))
                        if work_id == task:
                            self.check_text(replies, work_id, text)
                        else:
                            self.check_frames(replies, work_id, text)
            except BaseException as failure:  # reported by the test's own thread
                failures.append(f"client {number}: {failure!r}")

        threads = [threading.Thread(target=chat, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * DEADLINE)
        self.assertEqual(failures, [])
        self.assertFalse(any(thread.is_alive() for thread in threads))

    def test_tasks_run_at_the_same_time(self) -> None:
        server, client, first = self.start(
            {
                "rules": [
                    {"prompt": "a", "answer": ["x", "y"], "gate": {"file": "ga", "at": 1}},
                    {"prompt": "b", "answer": ["x", "y"], "gate": {"file": "gb", "at": 1}},
                ]
            }
        )
        second = client.setup("m")
        a, b = send(client, first, "a"), send(client, second, "b")
        server.wait_for_gate("m", "ga")
        server.wait_for_gate("m", "gb")  # both are in the middle of an answer
        server.open_gate("m", "gb")
        self.check_text(client.read_all(b), second, "xy")
        server.open_gate("m", "ga")
        self.check_text(client.read_all(a), first, "xy")

    def test_everyone_may_use_and_end_a_task(self) -> None:
        server, first, task = self.start({"rules": [{"echo": 3}]})
        first.close()
        second = self.connect(server)
        self.assertEqual(second.taskinfo(), [task])
        self.assertEqual(second.infer(task, "still there").text, "still there")
        second.exit(task)


if __name__ == "__main__":
    unittest.main()
