"""`llm_llm serve` as a child process on a free port, for the demo and the tests."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import threading
from typing import IO, Iterator, List, Optional

STOP_SECONDS = 10


@contextlib.contextmanager
def serve(
    program: str, options: List[str], stderr: Optional[IO[str]] = None, start_seconds: float = 60
) -> Iterator[int]:
    """Runs `program serve --port 0 OPTIONS` and gives the port it listens on; ends it afterwards.

    Raises RuntimeError when it does not say within start_seconds that it listens, or when it does
    not end cleanly.
    """
    process = subprocess.Popen(
        [program, "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    lines: "queue.Queue[str]" = queue.Queue()
    reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True)
    reader.start()
    try:
        try:
            line = lines.get(timeout=start_seconds)
        except queue.Empty:
            line = ""
        if not line.startswith("listening on "):
            raise RuntimeError(f"{program} did not start to listen; it said {line!r}")
        yield int(line.rsplit(":", 1)[1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        reader.join()
        process.stdout.close()
    if status != 0:
        raise RuntimeError(f"{program} ended with status {status}")
