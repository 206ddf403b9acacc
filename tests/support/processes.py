# SPDX-License-Identifier: Apache-2.0
"""Server processes of a test run, and the promise that none of them outlives it.

Every server has a temporary directory of its own, which is also its working directory. One guardian process per test
run knows these directories and holds the reading end of a pipe whose other end only the test run has: when the test
run is gone, however it ended, the pipe closes, and the guardian kills whatever works in these directories and removes
them. (A signal on the parent's death would depend on the thread that started the server; a pipe does not.)
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


class ServerError(RuntimeError):
    """A server did not do what it was told; the text holds the end of its log."""


class Guardian:
    """The writing end. One per process: a forked child makes its own."""

    _lock = threading.Lock()
    _of_this_process = None

    def __init__(self):
        self.pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    @classmethod
    def tell(cls, word, directory):
        with cls._lock:
            guardian = cls._of_this_process
            if guardian is None or guardian.pid != os.getpid():
                guardian = cls._of_this_process = cls()
            guardian._process.stdin.write(f"{word} {directory}\n".encode())
            guardian._process.stdin.flush()


def new_directory(kind):
    """A temporary directory that goes with the test run, at the latest."""
    directory = Path(tempfile.mkdtemp(prefix=f"jobgate-{kind}-")).resolve()
    Guardian.tell("watch", directory)
    return directory


def drop_directory(directory):
    shutil.rmtree(directory, ignore_errors=True)
    Guardian.tell("forget", directory)


_taken = []


def _take_port(port):
    """Is nobody listening there, and no other test process of this machine about to?"""
    sign, probe = socket.socket(socket.AF_UNIX), socket.socket()
    try:
        sign.bind(f"\0jobgate-test-port-{port}")
        probe.bind(("127.0.0.1", port))
    except OSError:
        sign.close()
        return False
    finally:
        probe.close()
    _taken.append(sign)
    return True


def free_ports(count):
    """Loopback ports below the range that the kernel hands out, so that a server that is down keeps its own: they are
    this process's until it ends."""
    ports = []
    while len(ports) < count:
        port = random.randint(15000, 32000)
        if _take_port(port):
            ports.append(port)
    return ports


def wait_until(condition, timeout_s, what, interval_s=0.02):
    """Poll `condition` until it is true and return its value; AssertionError naming `what` when time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(interval_s)


class ServerProcess:
    """One running server: its process, and its log in `<directory>/server.log`."""

    def __init__(self, command, directory, env=None):
        self.directory = Path(directory)
        self.log_path = self.directory / "server.log"
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=env,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process.poll() is None

    def send(self, signal_number):
        if self.running():
            self._process.send_signal(signal_number)

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout_s=30):
        """SIGTERM; SIGKILL when that takes too long."""
        self.send(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def log_since_start(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def failure(self, what):
        state = "still runs" if self.running() else f"exited with {self._process.returncode}"
        tail = "\n    ".join(self.log_since_start().splitlines()[-30:])
        return ServerError(f"{what} (the process {state}); the end of its log:\n    {tail}")


def _works_in(pid, directories):
    try:
        place = Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return False
    return any(place == directory or directory in place.parents for directory in directories)


def _kill_all_in(directories):
    """Until none is found twice: a server may be between its fork and its change of directory."""
    empty_rounds = 0
    while empty_rounds < 3:
        found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _works_in(name, directories)]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        empty_rounds = 0 if found else empty_rounds + 1
        time.sleep(0.05)


def _guard():
    watched = set()
    for line in sys.stdin:
        word, _, directory = line.rstrip("\n").partition(" ")
        if word == "watch":
            watched.add(Path(directory))
        else:
            watched.discard(Path(directory))
    if watched:
        _kill_all_in(watched)
        for directory in watched:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _guard()
