# SPDX-License-Identifier: Apache-2.0
"""A running program, read line by line; every wait has a deadline."""

import os
import re
import signal
import subprocess
import threading
import time

PATIENCE_S = 30


class Program:
    def __init__(self, command, env=None, **options):
        self.command = list(map(str, command))
        self.lines, self.stderr_lines = [], []
        self._changed = threading.Condition()
        # What configures the tests themselves is not for the plugin.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBGATE_")}
        self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True, errors="replace",
                                         env=inherited | {name: str(value) for name, value in (env or {}).items()},
                                         **options)
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in (
            (self._process.stdout, self.lines), (self._process.stderr, self.stderr_lines))]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, lines):
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    @property
    def pid(self):
        return self._process.pid

    @property
    def stderr(self):
        return "\n".join(self.stderr_lines)

    def found(self, pattern):
        return [line for line in list(self.lines) if re.match(pattern, line)]

    def line(self, pattern, count=1, timeout_s=PATIENCE_S):
        """The `count`th line of standard output that begins so, now or as soon as it comes."""
        return self._await(self.lines, pattern, count, timeout_s, re.match)

    def error_line(self, pattern, timeout_s=PATIENCE_S):
        """The first line of standard error that holds `pattern`."""
        return self._await(self.stderr_lines, pattern, 1, timeout_s, re.search)

    def _await(self, lines, pattern, count, timeout_s, match):
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = [line for line in lines if match(pattern, line)]
                if len(found) >= count:
                    return found[count - 1]
                left_s = deadline - time.monotonic()
                alive = any(reader.is_alive() for reader in self._readers)
                assert left_s > 0 and alive, f"no line {pattern!r} ({len(found)} of {count})\n{self.story()}"
                self._changed.wait(min(left_s, 0.2))

    def take_until(self, job, timeout_s=PATIENCE_S):
        """What was handed out, jobs and errors, up to that job."""
        self.line(r"job \d+ \d+ " + re.escape(job), timeout_s=timeout_s)
        seen = self.found(r"job |error ")
        return seen[:next(i for i, line in enumerate(seen) if line.endswith(job)) + 1]

    def write(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end_input(self):
        self._process.stdin.close()

    def wait(self, timeout_s=PATIENCE_S):
        """Until it ended. -> its result"""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {timeout_s} s\n{self.story()}") from None
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return self._process.returncode

    def stop(self, number=signal.SIGTERM):
        """It closes in order."""
        self._process.send_signal(number)
        assert self.wait() == 0, self.story()

    def kill(self):
        """SIGKILL."""
        self._process.kill()
        self.wait()

    def end(self):
        if self._process.poll() is None:
            self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def story(self):
        return "\n".join([f"--- {' '.join(self.command)}: result {self._process.poll()}", *self.lines,
                          "--- its standard error", *self.stderr_lines])
