"""A module that is none: a folder for its file system, an sshd on loopback, upstream's layout.

Commands that come over ssh run in a mount namespace where /opt, /run, /tmp, /lib/systemd/system and
/mnt are folders of the stand-in, the commands of tests/deploy/module/ in front of the real ones.
`systemctl` there really starts programs; llm-sys is tests/protocol/llm_sys_double.py. Needs root.

Environment: LLM_LLM_BUILD is the build folder with llm_llm (default: build/ in the repository).
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(REPOSITORY / "tools"))

from stackflow_client import (  # noqa: E402  (found by the line above)
    ConnectError,
    Disconnected,
    ReplyTimeout,
    StackFlowClient,
    StackFlowError,
)

BUILD = Path(os.environ.get("LLM_LLM_BUILD", REPOSITORY / "build")).resolve()
DEADLINE = 30.0 * float(os.environ.get("TEST_TIME_FACTOR", "1"))
BIN = "/opt/m5stack/bin"
BACKUPS = "/opt/m5stack/share/llm_llm-backups"
SERVICE = "/lib/systemd/system/llm-llm.service"
MOUNTED = ("/opt", "/run", "/tmp", "/lib/systemd/system", "/mnt")
# What `cut` stands in front of.
CHANGING = ("mv", "cp", "ln", "rm", "mkdir", "touch", "chmod", "sync", "apt-mark", "systemctl")
BINFMT = (
    r":arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    r":/usr/bin/qemu-aarch64-static:FP"
)

UNIT_FILE = """[Unit]
Description={name} Service
{more}
[Service]
ExecStart={program}
WorkingDirectory=/opt/m5stack
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


@functools.lru_cache(maxsize=None)
def keys() -> Path:
    """A folder with a key `user`, and `host`, `other_host` for hosts."""
    folder = tempfile.mkdtemp(prefix="llm_llm_keys_")
    for name in ("user", "host", "other_host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"],
                       check=True)  # fmt: skip
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(port: int, what: str) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise AssertionError(f"{what} does not listen on {port}") from None
            time.sleep(0.01)


class StandIn:
    """A module with M5Stack's packages, of which llm_llm 1.12 runs.

    Members: `folder`, which is gone after close(); `port` of llm-sys; `llm_llm`, the program to
    install, able to run there (1.12 is a copy of it with some bytes more).
    """

    def __init__(self, emulated: bool = False) -> None:
        """emulated: its programs are arm64's. Returns when it listens; needs close()."""
        self.folder = Path(tempfile.mkdtemp(prefix="llm_llm_module_"))
        self.port, self._ssh_port = free_port(), free_port()
        self._emulated = emulated
        self.llm_llm = (REPOSITORY / "build/arm64" if emulated else BUILD) / "llm_llm"
        self._shims: List[str] = []
        self._processes: List["subprocess.Popen[bytes]"] = []
        try:
            self._fill()
            self._start()
            self._pristine = self.snapshot()
        except BaseException:
            self.close()
            raise

    # --- files ---

    def path(self, path: str) -> Path:
        """Where a path of the module is on this machine."""
        for top in MOUNTED:
            if path.startswith(top + "/"):
                return self.folder / top.strip("/").replace("/", "_") / path[len(top) + 1 :]
        raise ValueError(f"{path} is not the stand-in's own")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text, "utf-8")
        self.path(path).chmod(mode)

    def write_service(self, name: str, program: str, more: str = "") -> None:
        self.write(f"/lib/systemd/system/{name}.service",
                   UNIT_FILE.format(name=name, program=program, more=more))  # fmt: skip

    def _fill(self) -> None:
        for folder in ("data", "etc", "lib", "scripts", "share", "bin"):
            self.path(f"/opt/m5stack/{folder}").mkdir(parents=True)
        for folder in ("/tmp/x", "/run/x", "/mnt/here/x", "/mnt/state/x", "/mnt/double/x"):
            self.path(folder).parent.mkdir(parents=True)
        shutil.copytree(HERE / "module", self.path("/mnt/shims"))
        shutil.move(self.path("/mnt/shims/session"), self.path("/mnt/session"))
        shutil.move(self.path("/mnt/shims/cut"), self.path("/mnt/cut_command"))
        self.path("/mnt/cut").mkdir()
        for name in CHANGING:
            self.path(f"/mnt/cut/{name}").symlink_to("../cut_command")
        for name in ("llm_sys_double.py", "reply_checks.py"):
            shutil.copy(REPOSITORY / "tests/protocol" / name, self.path("/mnt/double"))
        self.write(
            f"{BIN}/llm_sys-1.6",
            "#!/bin/sh\nexec /usr/bin/python3 -B /mnt/double/llm_sys_double.py "
            f"--socket-root /tmp --port {self.port}\n",
            0o755,
        )
        # Another file than the one to install, and as able.
        self.path(f"{BIN}/llm_llm-1.12").write_bytes(self.llm_llm.read_bytes() + b"upstream's")
        self.path(f"{BIN}/llm_llm-1.12").chmod(0o755)
        self.write_service("llm-sys", f"{BIN}/llm_sys-1.6")
        self.write_service("llm-llm", f"{BIN}/llm_llm-1.12", "Requires=llm-sys.service\n")
        self.write("/mnt/state/package", "")
        shutil.copytree(BUILD / "models/tiny-chat", self.path("/opt/m5stack/data/tiny-chat"))

    @staticmethod
    def sha256_of(path: str) -> str:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    def sha256(self, path: str) -> str:
        return self.sha256_of(str(self.path(path)))

    def snapshot(self) -> Dict[str, Tuple[str, ...]]:
        """Everything that an installation may change, but its backups."""
        found: Dict[str, Tuple[str, ...]] = {"held": (str(self.is_held()),)}
        for top in ("/opt/m5stack", "/lib/systemd/system"):
            for path in sorted(self.path(top + "/x").parent.rglob("*")):
                name = str(path.relative_to(self.folder))
                if "llm_llm-backups" in name or path.is_dir() and not path.is_symlink():
                    continue
                mode = oct(path.lstat().st_mode)
                what = os.readlink(path) if path.is_symlink() else (
                    hashlib.sha256(path.read_bytes()).hexdigest())  # fmt: skip
                found[name] = (mode, what)
        return found

    def is_held(self) -> bool:
        return self.path("/mnt/state/held").exists()

    def backups(self) -> List[str]:
        return sorted(path.parent.name for path in self.path(BACKUPS).glob("*/manifest"))

    # --- running ---

    def _start(self) -> None:
        for folder in ("/run/sshd", "/lib/systemd/system", "/etc/systemd/system"):
            Path(folder).mkdir(parents=True, exist_ok=True)
        mounts = [
            f"mount --bind {self.path(top + '/x').parent} {top}" for top in MOUNTED if top != "/tmp"
        ]
        mounts.append(f"mount --bind {self.folder}/tmp /tmp")  # the last one: it hides the others
        if self._emulated:
            mounts.append("mount -t binfmt_misc none /proc/sys/fs/binfmt_misc")
            mounts.append(f"printf %s '{BINFMT}' >/proc/sys/fs/binfmt_misc/register")
            self.write("/mnt/shims/uname", "#!/bin/sh\necho aarch64\n", 0o755)
        namespaces = ["--mount", *(["--user", "--map-root-user"] if self._emulated else [])]
        holder = subprocess.Popen(
            ["unshare", *namespaces, "sh", "-c", " && ".join([*mounts, "echo ready && exec cat"])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._processes.append(holder)
        assert holder.stdout is not None and holder.stdout.readline() == b"ready\n", "no namespace"
        enter = ["--mount", *(["--user", "--preserve-credentials"] if self._emulated else [])]
        self._enter = ["nsenter", f"--target={holder.pid}", *enter]
        (self.folder / "enter").write_text(
            f"#!/bin/sh\nexec {' '.join(self._enter)} /mnt/session\n"
        )
        (self.folder / "enter").chmod(0o755)
        self.start_sshd()
        self.boot()

    def start_sshd(self, host_key: str = "host") -> None:
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self._ssh_port}\nHostKey {keys()}/{host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {keys()}/user.pub\nStrictModes no\nUsePAM no\n"
            f"PermitRootLogin yes\nForceCommand {self.folder}/enter\n"
            "KexAlgorithms curve25519-sha256\n"  # the cheapest
            "SetEnv SHLVL=2\n"  # bash, as root's shell, then leaves this machine's ~/.bashrc alone
        )
        with open(self.folder / "sshd.log", "ab") as log:
            self._sshd = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=log
            )
        wait_for_port(self._ssh_port, "sshd")
        kind, key = (keys() / "host.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self._ssh_port} {kind} {key}\n")
        self._write_ssh_config()

    def _write_ssh_config(self) -> None:
        (self.folder / "ssh_config").write_text(
            f"Host module\n  HostName 127.0.0.1\n  Port {self._ssh_port}\n  User root\n"
            f"  IdentityFile {keys()}/user\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking yes\n"
        )

    def stop_sshd(self) -> None:
        self._sshd.kill()
        self._sshd.wait()

    def shim(self, name: str, script: str) -> None:
        """Puts a command of the stand-in's own in front of a real one."""
        self._shims.append(name)
        self.write(f"/mnt/shims/{name}", f"#!/bin/sh\n{script}\n", 0o755)

    def here(self, command: str) -> str:
        """Runs a command on the module, not over ssh; returns what it says."""
        done = subprocess.run(
            [*self._enter, "/mnt/session"], env={**os.environ, "SSH_ORIGINAL_COMMAND": command},
            capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def boot(self) -> None:
        """Starts llm-sys and what llm-llm.service executes, like a module that is switched on."""
        for unit in ("llm-llm", "llm-sys"):
            self.here(f"systemctl stop {unit}.service")
        self.here("systemctl daemon-reload; systemctl start llm-sys.service")
        wait_for_port(self.port, "llm-sys")
        if self.path(SERVICE).exists():
            self.here("systemctl start llm-llm.service")

    def restart_unit(self) -> None:
        self.here("systemctl daemon-reload; systemctl stop llm-llm.service")
        if self.path(SERVICE).exists():
            self.here("systemctl start llm-llm.service")

    def reset(self) -> bool:
        """Forgets shims and backups; returns whether all else is as in the beginning, and runs."""
        for name in self._shims:
            self.path(f"/mnt/shims/{name}").unlink(missing_ok=True)
        self._shims.clear()
        shutil.rmtree(self.path(BACKUPS), ignore_errors=True)
        self._write_ssh_config()
        if self.snapshot() != self._pristine or self._sshd.poll() is not None:
            return False
        if not self.runs() or not self.path("/mnt/state/llm-sys.service.pid").exists():
            self.boot()
        return True

    def runs(self) -> str:
        """The path of the program that the service's process runs; "" when there is none."""
        pid = self.here("systemctl show -p MainPID --value llm-llm.service").strip()
        return "" if pid == "0" else os.readlink(f"/proc/{pid}/exe")

    def wait_until_unit_answers(self) -> None:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                with StackFlowClient("127.0.0.1", self.port, 5) as client:
                    client.call("sys", "ping")
                    client.taskinfo()
                    return
            except (ConnectError, Disconnected, ReplyTimeout, StackFlowError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"the unit does not answer: {error}") from error
                time.sleep(0.02)

    def environment(self) -> Dict[str, str]:
        return {
            **os.environ,
            "SSH": f"ssh -F {self.folder}/ssh_config",
            "TMPDIR": str(self.path("/mnt/here")),
        }

    def deploy(self, script: str, *arguments: str, shell: Optional[List[str]] = None,
               path: Optional[str] = None) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """Runs a script of deploy/ on the module; stdout and stderr come together."""
        env = self.environment()
        if path is not None:
            env["PATH"] = path
        return subprocess.run(
            [*(shell or []), str(REPOSITORY / "deploy" / script), "--port", str(self.port), *arguments,
             "module"],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=4 * DEADLINE,
        )  # fmt: skip

    def log(self) -> str:
        """What the services have written."""
        return "".join(path.read_text("utf-8", "replace")
                       for path in sorted(self.path("/mnt/state/x").parent.glob("*.log")))  # fmt: skip

    def close(self) -> None:
        try:
            if hasattr(self, "_sshd"):
                for unit in ("llm-llm", "llm-sys"):
                    self.here(f"systemctl stop {unit}.service")
                assert "violation:" not in self.log(), self.log()
        finally:
            for connection in self.path("/mnt/here").glob("*/ssh"):  # of scripts that were killed
                subprocess.run(
                    ["ssh", "-o", f"ControlPath={connection}", "-O", "exit", "module"],
                    stderr=subprocess.DEVNULL,
                )
            if hasattr(self, "_sshd"):
                self.stop_sshd()
            for process in self._processes:
                process.kill()
                process.communicate()
            shutil.rmtree(self.folder)
