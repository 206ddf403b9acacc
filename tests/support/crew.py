# SPDX-License-Identifier: Apache-2.0
"""Many workers on one topic (tests/support/worker.c), and a recorder of what each of them ran, and when.

A worker writes a line when a job begins and one when it ends, with the machine's monotonic clock. What the recorder
sees as a run lies inside the run: an overlap that it finds is real.
"""

import selectors
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

from support.processes import ServerProcess, drop_directory, new_directory, wait_until


@dataclass
class Run:
    """One start of a job. `end_us` is None while it lasts. `token` is the fencing token of its lease, negative when it
    has none; until `held_until_us` its worker could be sure of that lease, by what it last heard of it."""

    pid: int
    cls: str
    jid: str
    resumed: int
    start_us: int
    token: int
    held_until_us: int
    stamp: str = "-"  # the jid that the plugin gave it
    position: str = "-"  # <partition>/<offset>
    end_us: int | None = None
    killed: bool = False
    late: bool = False  # it had lost its lease, or might have, before it began

    @property
    def hold(self):
        """(start, end) of its lease, as far as its worker could be sure of it."""
        return self.start_us, min(self.end_us, max(self.held_until_us, self.start_us))

    @property
    def stale(self):
        """Its lease may have been another's before it ended."""
        return self.held_until_us < self.end_us


def refused_by_fence(runs):
    """The runs that a fenced resource refused. Each writes to it when it begins and when it ends, with its token; the
    resource takes no smaller one than the largest that it has seen."""
    writes = [(at_us, run.token, number) for number, run in enumerate(runs) for at_us in (run.start_us, run.end_us)]
    refused, largest = set(), 0
    for _, token, number in sorted(writes):
        if token < largest:
            refused.add(number)
        largest = max(largest, token)
    return [run for number, run in enumerate(runs) if number in refused]


def clock_us():
    """What workers write: CLOCK_MONOTONIC."""
    return time.monotonic_ns() // 1000


def overlap_of(intervals):
    """The most of the (start, end) intervals that were open at once. One that ends where another starts is over."""
    edges = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def shortened(text, most=4000):
    """Both ends of a long log: what a broker's end makes of its clients must not hide how they began."""
    return text if len(text) <= most else f"{text[:most // 2]}\n[...]\n{text[-most // 2:]}"


class Recorder:
    """Listens on `path`. A thread of its own takes the lines in; every method may be called while workers run."""

    def __init__(self):
        self.directory = new_directory("recorder")
        self.path = self.directory / "socket"
        self._lock = threading.Lock()
        self._runs = []
        self._open = {}  # pid -> its run that has not ended
        self._killed = {}  # pid -> when
        self._ended = Counter()  # jid -> how often it came to its end
        self._rests = {}
        self._over = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(256)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Safe to repeat. Workers notice, and end."""
        if self._over:
            return
        self._over = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        drop_directory(self.directory)

    def killed(self, pid):
        """Worker `pid` is gone, now: so is the job that it ran."""
        with self._lock:
            self._killed[pid] = clock_us()

    def runs(self, cls=None):
        """By start. A run whose worker was killed ended then."""
        with self._lock:
            for pid, at_us in self._killed.items():
                run = self._open.get(pid)
                if run and run.end_us is None:
                    run.end_us, run.killed = max(at_us, run.start_us), True
            found = [run for run in self._runs if cls in (None, run.cls)]
        return sorted(found, key=lambda run: run.start_us)

    def max_overlap(self, cls=None):
        now = clock_us()
        return overlap_of([(run.start_us, now if run.end_us is None else run.end_us) for run in self.runs(cls)])

    def counts(self, cls=None):
        """jid -> how often it started."""
        return Counter(run.jid for run in self.runs(cls))

    def second_runs(self, cls=None):
        """The jids that started more than once, and how often."""
        return {jid: count for jid, count in self.counts(cls).items() if count > 1}

    def ended(self):
        """How many different jobs came to their end."""
        with self._lock:
            return len(self._ended)

    def missing(self, jids):
        """Those that have not come to their end."""
        with self._lock:
            return set(jids) - self._ended.keys()

    def await_all(self, jids, timeout_s):
        """Until each of them came to its end; the failure tells how many did not."""
        jids = set(jids)
        try:
            wait_until(lambda: not self.missing(jids), timeout_s, "every job ran", interval_s=0.1)
        except AssertionError:
            missing = self.missing(jids)
            raise AssertionError(f"{len(missing)} of {len(jids)} jobs did not run within {timeout_s} s, "
                                 f"e.g. {sorted(missing)[:3]}") from None

    def open_run(self, cls, least_us=0):
        """A run that has lasted for so long, and lasts; None: there is none."""
        began_us = clock_us() - least_us
        with self._lock:
            return next((run for pid, run in self._open.items()
                         if run.cls == cls and run.start_us <= began_us and pid not in self._killed), None)

    def gaps_ms(self, cls=None):
        """From the end of each run to the next start: of a class with limit 1, how long a free slot stood idle."""
        runs = self.runs(cls)
        return [(after.start_us - before.end_us) / 1000 for before, after in zip(runs, runs[1:])]

    def _read(self):
        while not self._over:
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._selector.register(connection, selectors.EVENT_READ)
                    self._rests[connection] = b""
                else:
                    self._read_from(key.fileobj)

    def _read_from(self, connection):
        try:
            data = connection.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            del self._rests[connection]
            return
        *lines, self._rests[connection] = (self._rests[connection] + data).split(b"\n")
        with self._lock:
            for line in lines:
                self._take(line.decode(errors="replace").split(" "))

    def _take(self, words):
        what, pid, at_us, cls, jid, resumed, stamp, position, token, held_until_us = words
        pid, at_us, held_until_us = int(pid), int(at_us), int(held_until_us)
        if what == "start":
            run = Run(pid, cls, jid, int(resumed) if resumed.isdigit() else -1, at_us, int(token), held_until_us, stamp,
                      position)
            run.late = held_until_us < at_us
            self._runs.append(run)
            self._open[pid] = run
        else:
            run = self._open.pop(pid)
            assert (run.jid, run.stamp) == (jid, stamp), (run, words)
            run.end_us, run.held_until_us = at_us, held_until_us
            self._ended[jid] += 1


class Crew:
    """`count` workers with the same properties (pairs), numbered from 0. Ends with the test, or with `close`."""

    def __init__(self, program, recorder, topic, properties, settle=None, load=None, counted=None):
        """`load`: (a Redis's socket, key), where each job adds its stamp. `counted`: a class whose jobs the recorder is
        not told; see `count`."""
        self.recorder = recorder
        self.directory = new_directory("crew")
        self._command = [program, recorder.path, topic, *(["--settle", settle] if settle else []),
                         *(["--load", *load] if load else [])]
        self._counted = counted
        for name, value in properties:
            self._command += ["-X", f"{name}={value}"]
        self._workers = []

    def start(self, count):
        for _ in range(count):
            directory = self.directory / f"worker{len(self._workers)}"
            directory.mkdir()
            more = []
            if self._counted:
                (directory / "count").write_bytes(bytes(8))
                more = ["--count", self._counted, directory / "count"]
            self._workers.append(ServerProcess([*self._command, *more], directory))
        return self

    def count_of(self, number):
        """How many of the jobs that are only counted it has run."""
        return int.from_bytes((self.directory / f"worker{number}" / "count").read_bytes(), sys.byteorder)

    def count(self):
        """... and all of them."""
        return sum(map(self.count_of, range(len(self))))

    def __len__(self):
        return len(self._workers)

    def running(self):
        return [number for number, worker in enumerate(self._workers) if worker.running()]

    def pid(self, number):
        return self._workers[number].pid

    def kill(self, number):
        """SIGKILL."""
        worker = self._workers[number]
        worker.kill()
        self.recorder.killed(worker.pid)

    def restart(self, number):
        """Start it again, after kill()."""
        self._workers[number] = ServerProcess(self._command, self.directory / f"worker{number}")

    def pause(self, number, signal_number):
        self._workers[number].send(signal_number)

    def number_of(self, pid):
        """The number of the worker with that process id."""
        return next(number for number, worker in enumerate(self._workers) if worker.pid == pid)

    def log(self, number):
        return self._workers[number].log_path.read_text(errors="replace")

    def logs(self):
        """What workers wrote to their standard errors, for a failing test: how each began, and how it went on."""
        return "\n".join(f"--- worker {number}\n{shortened(self.log(number))}" for number in range(len(self)))

    def check(self):
        """No worker ended by itself."""
        for number, worker in enumerate(self._workers):
            if not worker.running():
                raise worker.failure(f"worker {number} ended")

    def stop(self):
        """All, in order."""
        for worker in self._workers:
            worker.send(15)
        for worker in self._workers:
            worker.stop()

    def close(self):
        for worker in self._workers:
            worker.kill()
        self._workers = []
        drop_directory(self.directory)
