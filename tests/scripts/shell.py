# SPDX-License-Identifier: Apache-2.0
"""A store in another process, held in a test's hands."""

import re
import subprocess
import threading
import time

TIMEOUT_MS = 250


class Shell:
    """tests/scripts/store_shell.c, driven line by line."""

    def __init__(self, program):
        self._process = subprocess.Popen([program("store_shell")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._log = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        for line in self._process.stderr:
            self._log.append(line)

    def line(self, text):
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the program died: {self.close()}"
        return answer.rstrip("\n")

    def open(self, url, timeout_ms=TIMEOUT_MS):
        answer = self.line(f"open {url} {timeout_ms}")
        assert answer == "ok", answer
        return self

    def __call__(self, text):
        """The answer, and the milliseconds that it took."""
        word, took_ms = self.line(text).split()
        return word, int(took_ms)

    def word(self, text):
        return self(text)[0]

    def until(self, text, wanted, within_s=10):
        deadline = time.monotonic() + within_s
        while (word := self.word(text)) != wanted:
            assert time.monotonic() < deadline, f"{text}: {word}, not {wanted}; log: {self.log()}"
            time.sleep(0.01)

    def log(self):
        return "".join(self._log)

    def await_log(self, pattern, within_s=5):
        deadline = time.monotonic() + within_s
        while not re.search(pattern, self.log()):
            assert time.monotonic() < deadline, f"no {pattern!r} in the log: {self.log()}"
            time.sleep(0.01)

    def close(self):
        """All of its log, once it has ended well."""
        self._process.stdin.close()
        code = self._process.wait(20)
        self._reader.join(20)
        assert code == 0, f"exit code {code}: {self.log()}"
        return self.log()
