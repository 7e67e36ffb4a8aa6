"""The unit behind (a double of) llm-sys: what only ZeroMQ, several programs and their ends show.

Most suites run behind llm-sys too; see `behind_llm_sys` in tests/CMakeLists.txt.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import zmq

from harness import (
    DEADLINE,
    ECHO,
    LONG,
    TIME_FACTOR,
    Client,
    DropIn,
    ProtocolTest,
    Script,
    memory_kib,
    run_program,
    wait_until,
)
from reply_checks import Json, check_reply

STREAM = "llm.utf-8.stream"
STEP_MS = 5
CANCELLED_WITHIN = 2.0 * TIME_FACTOR
SLOW: Script = {
    "rules": [
        {"prompt": "long", "answer": ["x"], "repeat": 200, "decode_ms": STEP_MS},
        {"prompt": "think", "answer": ["x"], "prefill_ms": 600_000},
        {"prompt": "gated", "answer": ["x"], "repeat": 200,
         "gate": {"file": "middle", "at": 3}},
        {"echo": 4},
    ]
}


@contextlib.contextmanager
def busy_processors() -> Iterator[None]:
    """Keeps every processor busy."""
    endless = [sys.executable, "-c", "while True: pass"]
    load = [subprocess.Popen(endless) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for process in load:
            process.kill()
            process.wait()


class DropInTest(ProtocolTest):
    server_class = DropIn

    def setUp(self) -> None:
        self.context: "zmq.Context[Any]" = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    def call(self, server: DropIn, *parts: bytes) -> List[bytes]:
        """Calls the unit as llm-sys does, and as it does not."""
        with self.context.socket(zmq.REQ) as caller:
            caller.setsockopt(zmq.LINGER, 0)
            caller.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
            caller.connect(f"ipc://{server.root}/rpc.llm")
            caller.send_multipart(list(parts))
            return caller.recv_multipart()

    def subscriber(self, url: str) -> "zmq.Socket[Any]":
        """Reads an output as another unit does."""
        reader = self.context.socket(zmq.SUB)
        reader.setsockopt(zmq.SUBSCRIBE, b"")
        reader.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
        reader.connect(url)
        return reader

    def start_drop_in(self, script: Script, **setup: Any) -> Tuple[DropIn, Client, str]:
        server, client, task = self.start(script, **setup)
        assert isinstance(server, DropIn)
        return server, client, task


class Calls(DropInTest):
    """What llm-sys and its unit_call send to rpc.llm."""

    def setUp(self) -> None:
        super().setUp()
        server = self.serve()
        assert isinstance(server, DropIn)
        self.server = server

    def test_list_action(self) -> None:
        actions = ["setup", "pause", "work", "exit", "link", "unlink", "taskinfo"]
        for payload in ([], [b""]):
            answer = self.call(self.server, b"list_action", *payload)
            self.assertEqual(answer, [json.dumps({"actions": actions}, separators=(",", ":")).encode()])

    def test_payloads_of_another_shape(self) -> None:
        url = b"ipc:///nowhere"
        for payload in ([], [b""], [b"\xff" + url], [b"\x00{}"], [b"\x0e" + url, b"{}"]):
            with self.subTest(payload):
                self.assertEqual(self.call(self.server, b"setup", *payload), [b"setup NotAction"])

    def test_unknown_action(self) -> None:
        url = f"ipc://{self.server.root}/mine".encode()
        with self.context.socket(zmq.PULL) as replies:
            replies.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
            replies.bind(url.decode())
            request = b'{"request_id":"7","work_id":"llm","action":"dance"}'
            payload = bytes([len(url)]) + url + request
            self.assertEqual(self.call(self.server, b"dance", payload), [b"dance NotAction"])
            self.check_plain_error(check_reply(replies.recv()), -18, "llm")

    def test_request_that_is_none(self) -> None:
        url = f"ipc://{self.server.root}/mine".encode()
        with self.context.socket(zmq.PULL) as replies:
            replies.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
            replies.bind(url.decode())
            for request, request_id in ((b"{", "0"), (b'{"request_id":"7"}', "7")):
                payload = bytes([len(url)]) + url + request
                self.assertEqual(self.call(self.server, b"taskinfo", payload), [b"None"])
                reply = check_reply(replies.recv())
                self.check_plain_error(reply, -2, "llm")
                self.assertEqual(reply["request_id"], request_id)

    def test_client_that_is_not_there(self) -> None:
        request = b'{"request_id":"7","work_id":"llm","action":"taskinfo"}'
        for url in (b"ipc:///nowhere/at.all", b"ipc://" + b"x" * 120, b"nonsense"):
            payload = bytes([len(url)]) + url + request
            self.assertEqual(self.call(self.server, b"taskinfo", payload), [b"None"])
        self.assertEqual(self.connect(self.server).taskinfo(), [])
        wait_until(lambda: "no reply URL" in self.server.stderr(), "bad URLs are given up")

    def test_answered_while_a_model_loads(self) -> None:
        server = self.serve({"slow": {"load_gate": "go"}})
        assert isinstance(server, DropIn)
        waiting, other = self.connect(server), self.connect(server)
        waiting.request("llm", "setup", object="llm.setup", data={"model": "slow"})
        server.wait_for_gate("slow", "go")
        start = time.monotonic()
        self.assertEqual(other.taskinfo(), [])
        self.assertLess(time.monotonic() - start, 1.0 * TIME_FACTOR)
        server.open_gate("slow", "go")
        self.check_ok(waiting.receive(), "llm.1000")


class Published(DropInTest):
    """What llm-sys publishes, sent here by hand for what it would not let pass itself."""

    def test_request_that_is_none(self) -> None:
        server, client, task = self.start_drop_in(ECHO)
        # llm-sys looks at three keys only; the rest of this object is broken.
        client.send_bytes(
            b'{"request_id":"9","work_id":"' + task.encode()
            + b'","action":"inference","object":"llm.utf-8","data":"\xff"}'
        )  # fmt: skip
        reply = client.receive()
        self.check_plain_error(reply, -2, reply["work_id"])


class Inferences(DropInTest):
    def test_first_inference_is_never_lost(self) -> None:
        server, client, task = self.start_drop_in(ECHO)
        client.call(task, "exit")
        with busy_processors():
            for cycle in range(500 if LONG else 30):
                task = client.setup("m")
                self.assertEqual(client.infer(task, f"cycle {cycle}").text, f"cycle {cycle}")
                client.call(task, "exit")
                if cycle == 9:
                    before = self.resources(server)

            def is_closed() -> bool:
                descriptors, files, _ = self.resources(server)
                return descriptors <= before[0] and files == ["rpc.llm"]

            wait_until(is_closed, "what the tasks had is closed")
        after = self.resources(server)
        self.assertLess(after[2] - before[2], 4000 * TIME_FACTOR, "KiB more")

    def resources(self, server: DropIn) -> Tuple[int, List[str], int]:
        descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        return descriptors, server.files(), memory_kib(server.process)

    def test_clients_and_tasks_interleaved(self) -> None:
        server, first, task = self.start_drop_in({"rules": [{"echo": 3}]}, response_format=STREAM)
        second = self.connect(server)
        tasks = [task, second.setup("m", STREAM)]
        clients = [first, second]
        for turn in range(100 if LONG else 25):
            sent = []
            for index, client in enumerate(clients):
                for number, work_id in enumerate(tasks):
                    text = f"client {index} asks task {number} in turn {turn}"
                    request = f"{index}.{number}.{turn}"
                    client.request(
                        work_id, "inference", request_id=request, object="llm.utf-8", data=text
                    )
                    sent.append((client, request, work_id, text))
                client.request("llm", "taskinfo", request_id=f"info.{turn}")
            received: Dict[Tuple[int, str], List[Json]] = {}
            for index, client in enumerate(clients):
                open_answers = {request for each, request, _, _ in sent if each is client}
                open_answers.add(f"info.{turn}")
                while open_answers:
                    reply = client.receive()
                    received.setdefault((index, reply["request_id"]), []).append(reply)
                    data = reply["data"]
                    if not isinstance(data, dict) or data["finish"]:
                        open_answers.remove(reply["request_id"])
            for client, request, work_id, text in sent:
                self.check_frames(received[clients.index(client), request], work_id, text)

    def test_inference_between_exit_and_release_is_answered(self) -> None:
        _, client, task = self.start_drop_in(ECHO)
        client.ask("sys", "hold_releases")
        self.check_ok(client.ask(task, "exit"), task)
        # llm-sys still knows the task and publishes what it gets.
        reply = client.ask(task, "inference", object="llm.utf-8", data="late")
        self.check_plain_error(reply, -4, task)
        client.ask("sys", "let_releases_go")

    def test_ten_back_to_back(self) -> None:
        _, client, task = self.start_drop_in({"rules": [{"echo": 2}]}, response_format=STREAM)
        texts = [f"inference {number}" for number in range(10)]
        requests = [
            client.request(task, "inference", object="llm.utf-8", data=text) for text in texts
        ]
        replies: Dict[str, List[Json]] = {request: [] for request in requests}
        ended: List[str] = []
        while len(ended) < len(requests):
            reply = client.receive()
            replies[reply["request_id"]].append(reply)
            if reply["data"]["finish"]:
                ended.append(reply["request_id"])
        answered = [request for request in ended if replies[request][-1]["error"]["code"] == 0]
        self.assertEqual(answered, sorted(answered, key=int), "not in order")
        self.assertGreaterEqual(len(answered), 4)
        for request, text in zip(requests, texts):
            if request in answered:
                self.check_frames(replies[request], task, text)
            else:
                self.check_frames(replies[request], task, "", -11)
                self.assertIn("queue full", replies[request][-1]["error"]["message"])


class ClientGone(DropInTest):
    def test_streams_are_cancelled(self) -> None:
        server, staying, task = self.start_drop_in(SLOW, response_format=STREAM)
        gate = server.models / "m" / "middle"
        most = 0
        for turn in range(100 if LONG else 10):
            gate.unlink(missing_ok=True)
            gate.with_suffix(".reached").unlink(missing_ok=True)
            leaving = Client(server.port)
            leaving.request(task, "inference", object="llm.utf-8", data="gated")
            server.wait_for_gate("m", "middle")  # three tokens are out, a decode is under way
            leaving.close()
            start = time.monotonic()
            wait_until(lambda: server.stderr().count("has gone") > turn, "its going is noticed")
            self.assertLess(time.monotonic() - start, CANCELLED_WITHIN)
            server.open_gate("m", "middle")
            self.assertEqual(staying.infer(task, "next").text, "next")
            cancelled = re.findall(r"new_tokens=(\d+) .*finish=cancelled", server.stderr())
            self.assertEqual(len(cancelled), turn + 1)
            self.assertLessEqual(int(cancelled[-1]), 5)
            descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
            most = max(most, descriptors) if turn < 3 else most
            self.assertLessEqual(descriptors, most + 2)

    def test_waiting_jobs_are_cancelled(self) -> None:
        server, staying, task = self.start_drop_in(SLOW)
        leaving = self.connect(server)
        for _ in range(3):
            leaving.request(task, "inference", object="llm.utf-8", data="think")
        leaving.expect_nothing()
        leaving.close()
        self.assertEqual(staying.infer(task, "next").text, "next")

    def test_published_to_the_end_when_somebody_subscribes(self) -> None:
        server, staying, task = self.start_drop_in(SLOW, response_format=STREAM)
        url = f"ipc://{server.root}/llm/5010.sock.llm.output_url"
        with self.subscriber(url) as reader:
            # Subscribed when something arrives.
            while not reader.poll(50):
                staying.infer(task, "hello")
            while reader.poll(200):
                reader.recv()
            leaving = self.connect(server)
            leaving.request(task, "inference", object="llm.utf-8", data="long")
            leaving.receive()
            leaving.close()
            frames = []
            while not frames or not frames[-1]["data"]["finish"]:
                frames.append(check_reply(reader.recv()))
            self.check_frames(frames, task, "x" * 200)


class Links(DropInTest):
    def setUp(self) -> None:
        super().setUp()
        self.server, self.client, self.task = self.start_drop_in(SLOW, response_format=STREAM)

    def open_unit(self, unit: str) -> str:
        reply = self.client.ask("sys", "open_unit", data=unit)
        return str(reply["work_id"])

    def publish(self, source: str, **message: Any) -> None:
        line = {"request_id": "asr", "work_id": source, "created": 1, "error": {"code": 0, "message": ""},
                **message}  # fmt: skip
        data = {"work_id": source, "message": json.dumps(line)}
        self.client.request("sys", "publish", request_id="published", data=data)

    def link(self, unit: str) -> str:
        source = self.open_unit(unit)
        self.check_ok(self.client.ask(self.task, "link", object="work_id", data=source), self.task)
        self.check_ok(self.client.ask("sys", "wait_for_subscriber", data=source))
        return source

    def heard(self, count: int = 1) -> List[List[Json]]:
        """The answers to `count` inferences that nobody asked for, and the reply to publish()."""
        answers: List[List[Json]] = [[]]
        acknowledged = 0
        while len(answers) <= count:
            reply = self.client.receive()
            if reply["request_id"] == "published":
                acknowledged += 1
                continue
            answers[-1].append(reply)
            if reply["data"]["finish"]:
                answers.append([])
        while acknowledged < self.published:
            self.assertEqual(self.client.receive()["request_id"], "published")
            acknowledged += 1
        return answers[:-1]

    published = 1

    def test_speech_starts_an_inference_when_it_is_finished(self) -> None:
        for unit in ("asr", "whisper"):
            source = self.link(unit)
            self.published = 3
            for index, (delta, finish) in enumerate((("turn", False), ("turn on", False), ("on!", True))):
                data = {"index": index, "delta": delta, "finish": finish}
                self.publish(source, object="asr.utf-8.stream", data=data)
            [answer] = self.heard()
            self.check_frames(answer, self.task, "on!")
            self.client.expect_nothing()

    def test_whole_replies_start_one_too(self) -> None:
        source = self.link("asr")
        self.published = 4
        self.publish(source, object="None", data="None", error={"code": -1, "message": "no"})
        self.publish(source, object="asr.utf-8", data="")
        self.publish(source, object="asr.utf-8", data={"a": 1})
        self.publish(source, object="asr.utf-8", data='say "hi" {')
        [answer] = self.heard()
        self.check_frames(answer, self.task, 'say "hi" {')
        self.client.expect_nothing()

    def test_wake_word_stops_the_running_inference(self) -> None:
        source = self.link("kws")
        request = self.client.request(self.task, "inference", object="llm.utf-8", data="long")
        frames = [self.client.receive() for _ in range(3)]
        self.publish(source, object="kws.bool", data=True)
        is_published = False  # its reply may come behind the answer's end
        while not (frames[-1]["data"]["finish"] and is_published):
            reply = self.client.receive()
            if reply["request_id"] == request:
                frames.append(reply)
            else:
                self.assertEqual(reply["request_id"], "published")
                is_published = True
        self.assertLess(len(self.check_frames(frames, self.task)), 200)
        self.client.expect_nothing()

    def test_answers_go_to_whoever_asked_last(self) -> None:
        source = self.link("asr")
        other = self.connect(self.server)
        other.infer(self.task, "mine")
        self.publish(source, object="asr.utf-8", data="heard")
        self.check_frames([other.receive() for _ in range(3)], self.task, "heard")
        self.assertEqual(self.client.receive()["request_id"], "published")
        other.expect_nothing()

    def test_a_pipeline_outlives_its_script(self) -> None:
        source = self.link("asr")
        url = f"ipc://{self.server.root}/llm/5010.sock.llm.output_url"
        owner, self.client = self.client, self.connect(self.server)
        with self.subscriber(url) as reader:
            owner.close()
            frames: List[Json] = []
            while not frames:  # until the subscription is in force
                self.publish(source, object="asr.utf-8", data="heard")
                self.assertEqual(self.client.receive()["request_id"], "published")
                while reader.poll(100) or (frames and not frames[-1]["data"]["finish"]):
                    frames.append(check_reply(reader.recv()))
        self.assertEqual(frames[-1]["data"], {"index": 2, "finish": True, "delta": ""})

    def test_inputs(self) -> None:
        source = self.link("asr")
        self.assertIn(source, self.client.taskinfo(self.task)["inputs"])
        for target in ("asr.77", "tts.1", "nonsense", ""):
            reply = self.client.ask(self.task, "link", object="work_id", data=target)
            self.check_plain_error(reply, -20, self.task)
        for target in (source, source, "asr.77", "llm.utf-8"):
            reply = self.client.ask(self.task, "unlink", object="work_id", data=target)
            self.check_ok(reply, self.task)
        self.assertNotIn(source, self.client.taskinfo(self.task)["inputs"])
        self.publish(source, object="asr.utf-8", data="not heard")
        self.assertEqual(self.client.receive()["request_id"], "published")
        self.client.expect_nothing()

    def test_inputs_of_setup(self) -> None:
        self.client.call(self.task, "exit")
        source = self.open_unit("asr")
        inputs = ["llm.utf-8", source, "kws.77"]
        self.task = self.client.setup("m", STREAM, input=inputs)
        self.assertEqual(self.client.taskinfo(self.task)["inputs"], inputs)
        self.check_ok(self.client.ask("sys", "wait_for_subscriber", data=source))
        self.publish(source, object="asr.utf-8", data="heard")
        [answer] = self.heard()
        self.check_frames(answer, self.task, "heard")

    def test_enoutput_false(self) -> None:
        task = self.client.setup("m", enoutput=False)
        url = f"ipc://{self.server.root}/llm/5013.sock.llm.output_url"
        with self.subscriber(url) as reader:
            while not reader.poll(100):
                self.client.request(task, "inference", object="llm.utf-8", data="quiet")
            self.assertEqual(check_reply(reader.recv())["data"], "quiet")
        self.client.expect_nothing()


class LifeCycle(DropInTest):
    def test_a_second_unit_is_refused(self) -> None:
        server, client, task = self.start_drop_in(ECHO)
        second = run_program("llm_llm_scripted", "unit", "--socket-root", str(server.root))
        self.assertEqual(second.returncode, 1)
        self.assertIn("another llm unit answers at", second.stderr)
        self.assertEqual(client.infer(task, "still there").text, "still there")

    def test_stale_files_are_taken_over(self) -> None:
        server, client, _ = self.start_drop_in(ECHO)
        for _ in range(50 if LONG else 5):
            server.kill_unit()
            self.assertEqual(server.files()[-1:], ["rpc.llm"])
            server.start_unit()
            task = client.setup("m")
            self.assertEqual(client.infer(task, "again").text, "again")

    def test_llm_sys_restarts(self) -> None:
        server, client, task = self.start_drop_in(SLOW)
        random_delays = random.Random(1)
        for turn in range(50 if LONG else 5):
            client.request(task, "inference", object="llm.utf-8", data="long")
            time.sleep(random_delays.uniform(0, 0.05))  # the moment is what varies
            server.restart_llm_sys()
            client = self.connect(server)
            task = client.setup("m")
            self.assertEqual(task, "llm.1000")
            self.assertEqual(client.infer(task, f"turn {turn}").text, f"turn {turn}")
            self.assertEqual(client.taskinfo(), ["llm.1000"])

    def test_end_gives_the_tasks_back(self) -> None:
        server, client, task = self.start_drop_in(SLOW, response_format=STREAM)
        request = client.request(task, "inference", object="llm.utf-8", data="long")
        client.receive()
        start = time.monotonic()
        server.signal()
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - start, 2.0 * TIME_FACTOR)
        last = client.receive()
        while not last["data"]["finish"]:
            last = client.receive()
        self.assertEqual(last["request_id"], request)
        self.assertEqual(server.files(), [])
        self.check_plain_error(client.ask(task, "taskinfo"), -9, task)
        self.check_plain_error(
            client.ask(task, "inference", object="llm.utf-8", data="x"), -4, task
        )

    def test_end_without_llm_sys(self) -> None:
        server, client, task = self.start_drop_in(SLOW)
        server.kill_llm_sys()
        start = time.monotonic()
        server.signal()
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - start, 2.0 * TIME_FACTOR)

    def test_a_file_that_another_program_took_is_left(self) -> None:
        server = self.serve()
        assert isinstance(server, DropIn)
        path = server.root / "rpc.llm"
        path.unlink()
        path.write_text("another's")
        server.signal()
        self.assertEqual(server.wait(), 0)
        self.assertEqual(path.read_text(), "another's")

    def test_mistakes(self) -> None:
        long_path = "/tmp/" + "x" * 120
        for root in ("/proc/nowhere", long_path):
            finished = run_program("llm_llm_scripted", "unit", "--socket-root", root)
            self.assertEqual(finished.returncode, 1)
            self.assertIn(root, finished.stderr)

    def test_without_a_command_it_is_the_unit(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            (Path(root) / "rpc.llm").mkdir()  # cannot be bound: that tells which mode it is
            finished = run_program("llm_llm", env={"LLM_LLM_SOCKET_ROOT": root})
        self.assertEqual(finished.returncode, 1)
        self.assertIn(f"cannot listen on ipc://{root}/rpc.llm", finished.stderr)


if __name__ == "__main__":
    unittest.main()
