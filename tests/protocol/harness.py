"""Starts the real program for the protocol tests and checks everything that it writes.

Environment: LLM_LLM_BUILD is the build folder with llm_llm and llm_llm_scripted (default: build/
in the repository); TEST_TIME_FACTOR stretches every deadline and delay (sanitizer builds, busy
machines). Run all tests: `python3 -m unittest discover -s tests/protocol`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "tools"
sys.path.insert(0, str(TOOLS))

from reply_checks import FIXED_TEXTS, Json, check_reply  # noqa: E402
from stackflow_client import StackFlowClient  # noqa: E402  (found by the line above)

BUILD = Path(os.environ.get("LLM_LLM_BUILD", REPOSITORY / "build")).resolve()
TIME_FACTOR = float(os.environ.get("TEST_TIME_FACTOR", "1"))
# Full loops instead of short ones (tools/test --long).
LONG = bool(os.environ.get("TEST_LONG"))
# Runs tests that hold there too behind llm-sys instead of `serve`.
BEHIND_LLM_SYS = bool(os.environ.get("TEST_BEHIND_LLM_SYS"))
DEADLINE = 20.0 * TIME_FACTOR  # seconds for whatever should happen at once

Script = Dict[str, Any]

SANITIZER_REPORT = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")

ECHO: Script = {"rules": [{"echo": 4}]}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Polls until `condition` holds; fails with `what` after the deadline."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.002)


class Client(StackFlowClient):
    """The ordinary client, with a check of every line it reads."""

    def __init__(self, port: int, timeout: float = DEADLINE) -> None:
        super().__init__("127.0.0.1", port, timeout)

    def __enter__(self) -> "Client":
        return self

    def read_line(self, timeout: Optional[float] = None) -> bytes:
        line = super().read_line(timeout)
        check_reply(line)
        return line

    def ask(self, work_id: str, action: str, **fields: Any) -> Json:
        """Sends a request and returns the next reply, error or not; it must be to this request."""
        request_id = self.request(work_id, action, **fields)
        reply = self.receive()
        assert reply["request_id"] == request_id, f"a reply to another request: {reply}"
        return reply

    def read_all(self, request_id: str) -> List[Json]:
        """The replies of one inference up to its end, error or not; no others may come between."""
        replies = []
        while True:
            reply = self.receive()
            assert reply["request_id"] == request_id, f"a reply to another request: {reply}"
            replies.append(reply)
            if not isinstance(reply["data"], dict) or reply["data"]["finish"]:
                return replies

    def ask_all(
        self, work_id: str, data: Any, kind: str = "llm.utf-8", **fields: Any
    ) -> List[Json]:
        """An inference and all its replies, errors too."""
        return self.read_all(self.request(work_id, "inference", object=kind, data=data, **fields))

    def expect_nothing(self) -> None:
        """Checks that nothing is under way: a ping is answered first."""
        reply = self.ask("sys", "ping", request_id="expect-nothing")
        assert reply["error"]["code"] == 0, reply

    @property
    def socket(self) -> Any:
        return self._socket


# --- the program ---


def program(name: str) -> Path:
    path = BUILD / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built; LLM_LLM_BUILD names the build folder")
    return path


def clean_environment(extra: Optional[Dict[str, str]] = None) -> Dict[str, str]:
    """The environment without settings of the program's own, and with `extra`."""
    own = [key for key in os.environ if key.startswith("LLM_LLM_")]
    return {**{key: os.environ[key] for key in os.environ if key not in own}, **(extra or {})}


def run_program(
    name: str,
    *arguments: str,
    env: Optional[Dict[str, str]] = None,
    stdin: str = "",
    seconds: float = DEADLINE,
) -> "subprocess.CompletedProcess[str]":
    """Runs a command of the program to its end, or kills it and fails after `seconds`."""
    finished = subprocess.run(
        [str(program(name)), *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        env=clean_environment(env),
    )
    assert not SANITIZER_REPORT.search(finished.stderr), finished.stderr
    return finished


def read_first_line(
    process: "subprocess.Popen[bytes]", pattern: str, stderr: Callable[[], str]
) -> "re.Match[str]":
    """The first line of a program's stdout, which tells that it is ready."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    line = process.stdout.readline().decode() if ready else ""
    match = re.fullmatch(pattern, line)
    assert match, f"instead of {pattern!r}: {line!r}; stderr: {stderr()}"
    return match


class Server:
    """`llm_llm… serve` on a free port, ended with SIGTERM by its own process id.

    scripts: script.json by model name, for llm_llm_scripted.
    """

    def __init__(
        self,
        scripts: Dict[str, Script],
        *options: str,
        name: str = "llm_llm_scripted",
        env: Optional[Dict[str, str]] = None,
        port_option: bool = True,
    ) -> None:
        command = [str(program(name))]
        self._folder = tempfile.TemporaryDirectory(prefix="llm_llm_test_")
        self.models = Path(self._folder.name) / "models"
        for model, script in scripts.items():
            self.write_script(model, script)
        command += ["--models", str(self.models)] if scripts else []
        command += ["--log-level", "trace", *self._mode(port_option), *options]
        self._stderr_path = Path(self._folder.name) / "stderr"
        self._command, self._env = command, clean_environment(env)
        self.process = self._start()
        try:
            self.address, self.port = self._read_port()
        except BaseException:
            self.kill()
            raise

    def _start(self) -> "subprocess.Popen[bytes]":
        with open(self._stderr_path, "ab") as stderr:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._env,
            )

    def _mode(self, port_option: bool) -> List[str]:
        return ["serve", *(["--port", "0"] if port_option else [])]

    def _read_port(self) -> Tuple[str, int]:
        match = read_first_line(self.process, r"listening on (\S+):(\d+)\n", self.stderr)
        return match[1], int(match[2])

    def stderr(self) -> str:
        return self._stderr_path.read_text("utf-8", "replace")

    def write_script(self, model: str, script: Script) -> None:
        (self.models / model).mkdir(parents=True, exist_ok=True)
        (self.models / model / "script.json").write_text(json.dumps(script), "utf-8")

    # Gates of scripts: see tests/scripted/README.md.

    def wait_for_gate(self, model: str, gate: str) -> None:
        path = self.models / model / f"{gate}.reached"
        wait_until(path.exists, f"something waits at {gate} of {model}")

    def open_gate(self, model: str, gate: str) -> None:
        (self.models / model / gate).touch()

    def _open_all_gates(self) -> None:
        for reached in self.models.glob("*/*.reached"):
            reached.with_suffix("").touch()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = DEADLINE) -> int:
        """Waits for the end; returns the exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._folder.cleanup()

    def stop(self) -> None:
        """Ends the program and checks that it ended well."""
        try:
            self._end()
        finally:
            self.kill()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.signal()
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            self._open_all_gates()  # a test that failed may have left one closed
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        status, stderr = self.process.poll(), self.stderr()
        assert not SANITIZER_REPORT.search(stderr), stderr
        assert status == 0, f"exit status {status} (None: did not end); stderr: {stderr[-4000:]}"


class LlmSys:
    """The double of llm-sys, on a free port; see llm_sys_double.py."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.root = root
        self._stderr_path = root / "llm_sys.stderr"
        with open(self._stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-B", str(Path(__file__).parent / "llm_sys_double.py"),
                 "--socket-root", str(root), "--port", str(port)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip
        self.port = int(read_first_line(self.process, r"listening on \S+:(\d+)\n", self.stderr)[1])

    def stderr(self) -> str:
        return self._stderr_path.read_text("utf-8", "replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> None:
        """Ends it and checks that the unit did nothing that llm-sys would not put up with."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert status == 0, f"exit status {status}: {self.stderr()}"


class DropIn(Server):
    """`llm_llm… unit` behind the double of llm-sys, whose port `port` is."""

    llm_sys: Optional[LlmSys] = None

    def _mode(self, port_option: bool) -> List[str]:
        self.root = Path(self._folder.name) / "sockets"
        self.root.mkdir()
        return ["unit", "--socket-root", str(self.root)]

    def _read_port(self) -> Tuple[str, int]:
        read_first_line(self.process, r"answering at \S+\n", self.stderr)
        self.llm_sys = LlmSys(self.root)
        return "127.0.0.1", self.llm_sys.port

    def kill_unit(self) -> None:
        """Kills the unit without a word."""
        self.process.kill()
        self.process.wait(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def start_unit(self) -> None:
        self.process = self._start()
        read_first_line(self.process, r"answering at \S+\n", self.stderr)

    def restart_llm_sys(self) -> None:
        """Kills the double without a word and starts another one on the same port."""
        self.kill_llm_sys()
        self.llm_sys = LlmSys(self.root, self.port)

    def kill_llm_sys(self) -> None:
        assert self.llm_sys is not None
        self.llm_sys.kill()
        self.llm_sys = None

    def files(self) -> List[str]:
        """The socket files of the unit and of its tasks."""
        return sorted(path.name for path in [*self.root.glob("llm/*output*"), *self.root.glob("rpc.llm")])

    def stop(self) -> None:
        try:
            self._end()
            if self.llm_sys is not None:
                self.llm_sys.stop()
        finally:
            self.kill()

    def kill(self) -> None:
        if self.llm_sys is not None:
            self.llm_sys.kill()
            self.llm_sys = None
        super().kill()


class ProtocolTest(unittest.TestCase):
    """Base of the tests: servers and clients that end with the test, and checks of replies."""

    maxDiff = None
    server_class = DropIn if BEHIND_LLM_SYS else Server

    def serve(
        self, scripts: Optional[Dict[str, Script]] = None, *options: str, **rest: Any
    ) -> Server:
        server = self.server_class({"echo": ECHO} if scripts is None else scripts, *options, **rest)
        self.addCleanup(server.stop)
        return server

    def connect(self, server: Server, timeout: float = DEADLINE) -> Client:
        client = Client(server.port, timeout)
        self.addCleanup(client.close)
        return client

    def start(self, script: Script, *options: str, **setup: Any) -> Tuple[Server, Client, str]:
        """A server with the model "m", a connection, and the work_id of a task."""
        server = self.serve({"m": script}, *options)
        client = self.connect(server)
        return server, client, client.setup("m", **setup)

    def check_error(
        self, reply: Json, code: int, work_id: Optional[str] = None, says: str = ""
    ) -> None:
        """Checks code, fixed text and the parts of a plain error reply."""
        self.assertEqual(reply["error"]["code"], code, reply)
        message = reply["error"]["message"]
        self.assertTrue(message.startswith(FIXED_TEXTS[code]), reply)
        rest = message[len(FIXED_TEXTS[code]) :]
        self.assertTrue(rest == "" or rest.startswith(": "), reply)
        self.assertIn(says, message)
        if work_id is not None:
            self.assertEqual(reply["work_id"], work_id, reply)

    def check_plain_error(self, reply: Json, code: int, work_id: str, says: str = "") -> None:
        """Checks an error reply that is not the end of a stream."""
        self.check_error(reply, code, work_id, says)
        self.assertEqual((reply["object"], reply["data"]), ("None", "None"), reply)

    def check_ok(self, reply: Json, work_id: Optional[str] = None) -> None:
        self.assertEqual(reply["error"], {"code": 0, "message": ""}, reply)
        if work_id is not None:
            self.assertEqual(reply["work_id"], work_id, reply)

    def check_text(self, replies: List[Json], work_id: str, text: str) -> None:
        """Checks an answer in one piece."""
        self.assertEqual(len(replies), 1, replies)
        self.check_ok(replies[0], work_id)
        self.assertEqual(replies[0]["object"], "llm.utf-8")
        self.assertEqual(replies[0]["data"], text)

    def check_frames(
        self, replies: List[Json], work_id: str, text: Optional[str] = None, code: int = 0
    ) -> str:
        """Checks a streamed answer: indexes from 0, one closing frame, which carries the error.

        Returns its text, which is checked unless None.
        """
        joined = ""
        for number, reply in enumerate(replies):
            last = number == len(replies) - 1
            self.assertEqual(reply["object"], "llm.utf-8.stream", reply)
            self.assertEqual(reply["work_id"], work_id, reply)
            self.assertEqual(reply["data"]["index"], number, reply)
            self.assertIs(reply["data"]["finish"], last, reply)
            self.assertEqual(reply["data"]["delta"] == "", last, reply)
            if last and code != 0:
                self.check_error(reply, code)
            else:
                self.check_ok(reply)
            joined += reply["data"]["delta"]
        if text is not None:
            self.assertEqual(joined, text)
        return joined


def request_bytes(work_id: str, action: str, request_id: str = "1", **fields: Any) -> bytes:
    """A request as ordinary JSON without a newline, for tests of framing."""
    message = {"request_id": request_id, "work_id": work_id, "action": action, **fields}
    return json.dumps(message).encode()


def memory_kib(process: "subprocess.Popen[bytes]") -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(match[1]) if match else 0
