"""The program as systemd's service: readiness, watchdog and log, to a NOTIFY_SOCKET of our own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Dict, Iterator, List

import zmq

from harness import DEADLINE, TIME_FACTOR, clean_environment, program, wait_until
from stackflow_client import StackFlowClient

SCRIPTED = "llm_llm_scripted"
WATCHDOG_MS = int(100 * TIME_FACTOR)

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
ALL_CHILDREN = 0x40000000  # waitpid()'s __WALL


class Service:
    """`llm_llm_scripted` as systemd starts it: without arguments, set up by its environment."""

    def __init__(self, *arguments: str, abstract: bool = False, journal: bool = True,
                 **settings: str) -> None:  # fmt: skip
        self._folder = tempfile.TemporaryDirectory(prefix="llm_llm_test_")
        self.root = Path(self._folder.name)
        self.log = self.root / "log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE)
        name = f"@{self.root}" if abstract else f"{self.root}/notify"
        self._socket.bind("\0" + name[1:] if abstract else name)
        with open(self.log, "wb") as log:
            status = os.fstat(log.fileno())
            env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(WATCHDOG_MS * 1000),
                   "LLM_LLM_SOCKET_ROOT": str(self.root), "LLM_LLM_PORT": "0", **settings}  # fmt: skip
            if journal:
                env["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
            self.process = subprocess.Popen(
                [str(program(SCRIPTED)), *arguments], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env=clean_environment(env),
            )  # fmt: skip

    def told(self) -> str:
        """The next datagram."""
        return self._socket.recv(4096).decode()

    def forget(self) -> None:
        """Takes what was told by now."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told()
        self._socket.settimeout(DEADLINE)

    def has_told(self) -> bool:
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(4096, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self._socket.settimeout(DEADLINE)

    def lines(self) -> List[str]:
        return self.log.read_text("utf-8").splitlines()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._socket.close()
        self._folder.cleanup()


class ServiceTest(unittest.TestCase):
    def start(self, *arguments: str, **options: object) -> Service:
        service = Service(*arguments, **options)  # type: ignore[arg-type]
        self.addCleanup(service.close)
        return service

    def check_end(self, service: Service) -> None:
        """Ends it as systemd does, which hears of that before anything else is closed."""
        service.process.send_signal(signal.SIGTERM)
        told = service.told()
        while told == "WATCHDOG=1":
            told = service.told()
        self.assertEqual(told, "STOPPING=1")
        self.assertEqual(service.process.wait(DEADLINE), 0, service.lines())


class Readiness(ServiceTest):
    def check_answers(self, service: Service) -> None:
        with zmq.Context() as context, context.socket(zmq.REQ) as caller:
            caller.setsockopt(zmq.LINGER, 0)
            caller.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
            self.assertTrue((service.root / "rpc.llm").is_socket())
            caller.connect(f"ipc://{service.root}/rpc.llm")
            caller.send(b"list_action")
            self.assertIn(b"setup", caller.recv())

    def test_unit(self) -> None:
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                service = self.start(abstract=abstract)
                self.assertEqual(service.told(), "READY=1")
                self.check_answers(service)
                for _ in range(3):
                    self.assertEqual(service.told(), "WATCHDOG=1")
                self.check_end(service)

    def test_serve(self) -> None:
        service = self.start("serve")
        self.assertEqual(service.told(), "READY=1")
        assert service.process.stdout is not None
        port = int(service.process.stdout.readline().rsplit(b":", 1)[1])
        with StackFlowClient("127.0.0.1", port, DEADLINE) as client:
            client.call("sys", "ping")
        for _ in range(3):
            self.assertEqual(service.told(), "WATCHDOG=1")
        self.check_end(service)

    def test_second_unit_is_never_ready(self) -> None:
        first = self.start()
        self.assertEqual(first.told(), "READY=1")
        second = self.start(LLM_LLM_SOCKET_ROOT=str(first.root))
        self.assertNotEqual(second.process.wait(DEADLINE), 0)
        self.assertFalse(second.has_told())
        self.assertRegex(second.lines()[-1], r"^<3>llm_llm: another llm unit answers")

    def test_another_process_is_watched(self) -> None:
        service = self.start(WATCHDOG_PID="1")
        self.assertEqual(service.told(), "READY=1")
        self.check_answers(service)
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(service.told(), "STOPPING=1")

    def test_values_that_are_none(self) -> None:
        for settings in ({"NOTIFY_SOCKET": "elsewhere"}, {"WATCHDOG_USEC": "often"}):
            for mode in ("unit", "serve"):
                with self.subTest(mode, settings=settings):
                    service = self.start(mode, **settings)
                    self.assertNotEqual(service.process.wait(DEADLINE), 0)
                    self.assertIn(list(settings)[0], service.lines()[-1])


class Watchdog(ServiceTest):
    """It is fed only while the threads live that everybody depends on."""

    def threads(self, service: Service) -> Dict[int, str]:
        """Name by id, without the main thread and ZeroMQ's own."""
        folder = Path(f"/proc/{service.process.pid}/task")
        names = {int(path.name): (path / "comm").read_text() for path in folder.iterdir()}
        return {each: name for each, name in names.items()
                if each != service.process.pid and not name.startswith("ZMQ")}  # fmt: skip

    @contextlib.contextmanager
    def stopped(self, thread: int) -> Iterator[None]:
        libc = ctypes.CDLL(None, use_errno=True)

        def trace(request: int) -> None:
            if libc.ptrace(request, thread, None, None) != 0:
                raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

        trace(PTRACE_SEIZE)
        trace(PTRACE_INTERRUPT)
        os.waitpid(thread, ALL_CHILDREN)
        try:
            yield
        finally:
            trace(PTRACE_DETACH)

    def pass_intervals(self, service: Service, count: int) -> None:
        """Waits until the main thread, which sends for a sign of life each time, has woken."""
        status = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/status")

        def wakes() -> int:
            return int(re.findall(r"\nvoluntary_ctxt_switches:\s*(\d+)", status.read_text())[0])

        end = wakes() + count
        wait_until(lambda: wakes() >= end, "the main thread has woken")

    def test_unit_with_a_thread_that_is_stuck(self) -> None:
        service = self.start()
        self.assertEqual(service.told(), "READY=1")
        silencing = 0
        for thread in self.threads(service):
            with self.stopped(thread):
                self.pass_intervals(service, 2)  # one may have been under way
                service.forget()
                self.pass_intervals(service, 4)
                silencing += not service.has_told()
            self.assertEqual(service.told(), "WATCHDOG=1")
        self.assertEqual(silencing, 2, "of the one that answers calls, and the one that owns sockets")
        self.check_end(service)


class Journal(ServiceTest):
    def test_lines_have_priorities_and_no_time(self) -> None:
        service = self.start(LLM_LLM_LOG_LEVEL="trace")
        self.assertEqual(service.told(), "READY=1")
        self.check_end(service)
        self.assertIn(f"<6>info answering at {service.root}/rpc.llm", service.lines())
        for line in service.lines():
            self.assertRegex(line, r"^<[3-7]>(trace|debug|info|warning|error) \S")

    def test_elsewhere_lines_have_the_time(self) -> None:
        """JOURNAL_STREAM is inherited by programs whose stderr is not the journal."""
        service = self.start(journal=False, JOURNAL_STREAM="8:1234")
        self.assertEqual(service.told(), "READY=1")
        self.check_end(service)
        self.assertTrue(service.lines())
        for line in service.lines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info \S")

    def test_warnings_are_marked(self) -> None:
        service = self.start(NOTIFY_SOCKET="/nonexistent/notify")
        wait_until(lambda: any("READY=1" in line for line in service.lines()), "a warning is there")
        self.assertTrue(service.lines()[-1].startswith("<4>warning cannot send "), service.lines())


if __name__ == "__main__":
    unittest.main()
