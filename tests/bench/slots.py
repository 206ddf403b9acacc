# SPDX-License-Identifier: Apache-2.0
"""scripts/bench --slots: how busy the slots of a limited class are while jobs of it are held, with resume.ahead=0 and with
auto, side by side."""

import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from itertools import product
from random import Random

from confluent_kafka import Producer

from bench.programs import BUILD, CLASS, LIMIT_S, NAMESPACE, OTHER_CLASS, Bench, BenchError
from bench.report import table
from support.app import raw_produce_many
from support.crew import Crew, Recorder, clock_us
from support.jobs import timed_job, timed_jobs
from support.processes import wait_until

LIMIT = 10
JOB_MS = [5, 50, 500]
BACKLOG = 50000
# Each has a partition of its own and runs one job at a time: a job that comes back to one that is busy waits behind it.
# Where jobs of another class are between, as many more work on those.
WORKERS = {0: 16, BACKLOG: 40}
# An other class's job. The backlog stays as long as it is: as many come as have run.
OTHER_MS = 5
AIMS = {5: 9.5, 50: 9.5, 500: 9.8}
REFILL_S = 0.2
SAMPLE_S = 0.05


@dataclass
class Timing:
    """Seconds from the moment at which jobs may come back."""

    warm_s: float
    measure_s: float


TIMINGS = {False: Timing(8, 12), True: Timing(40, 15)}
QUICK = {False: Timing(4, 5), True: Timing(25, 6)}


def mean_overlap(intervals, start, end):
    """How many of the (start, end) intervals were open on the average between two moments."""
    return sum(max(0, min(b, end) - max(a, start)) for a, b in intervals) / (end - start)


def processor_times():
    """Of all processors since the start: (busy, all), in ticks."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, idle, iowait, irq, softirq, *_ = (int(value) for value in stat.readline().split()[1:])
    busy = user + nice + system + irq + softirq
    return busy, busy + idle + iowait


class Others(threading.Thread):
    """Keeps so many jobs of the other class in the topic as the backlog is long."""

    def __init__(self, kafka, topic, crew, length):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 5,
                                  "queue.buffering.max.messages": 1000000})
        self.topic, self.crew, self.length = topic, crew, length
        self.payload = timed_job(OTHER_CLASS, OTHER_MS).payload
        self.produced = 0
        self.over = threading.Event()
        self.before = crew.count()

    def depth(self):
        return self.produced - (self.crew.count() - self.before)

    def run(self):
        while not self.over.is_set():
            for _ in range(self.length - self.depth()):
                self.producer.produce(self.topic, self.payload, partition=self.produced % len(self.crew))
                self.produced += 1
                if self.produced % 1000 == 0:
                    self.producer.poll(0)
            self.producer.poll(0)
            self.over.wait(REFILL_S)

    def stop(self):
        self.over.set()
        self.join()
        self.producer.purge()
        self.producer.flush(5)


@dataclass
class Samples(threading.Thread):
    """What the store says now and then."""

    redis: object
    held: list = field(default_factory=list)
    ahead: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self):
        key = f"jg1:{NAMESPACE}:{{{CLASS}}}:"
        with self.redis.client() as client:
            while not self.over.wait(SAMPLE_S):
                now = clock_us()
                self.held.append((now, int(client.hget(key + "held", "n") or 0)))
                self.ahead.append((now, int(client.hget(key + "limits", "paced") or 0)))


def counters(redis):
    with redis.client() as client:
        return {name: int(value) for name, value in client.hgetall(f"jg1:{NAMESPACE}:{{{CLASS}}}:stats").items()}


class Slots(Bench):
    """One measurement a call."""

    def command(self, *words):
        done = subprocess.run([BUILD / "jobgate", *words], capture_output=True, text=True, timeout=LIMIT_S,
                              env={"JOBGATE_STORE": self.redis.url(), "JOBGATE_NAMESPACE": NAMESPACE})
        if done.returncode:
            raise BenchError(f"jobgate {' '.join(words)}: {done.stdout}{done.stderr}")

    def slots(self, job_ms, backlog, ahead, timing):
        self.redis.flush()
        workers = WORKERS[backlog]
        topic = self.kafka.create_topic(f"jobs-{uuid.uuid4().hex}", workers, {"file.delete.delay.ms": 1000})
        properties = {**self.properties(topic, "none", {CLASS: LIMIT}), "bootstrap.servers": self.kafka.bootstrap,
                      "group.id": f"bench-{uuid.uuid4().hex}", "auto.offset.reset": "earliest",
                      f"jobgate.class.{CLASS}.resume.ahead": ahead, "jobgate.log.level": "error"}
        with Recorder() as recorder:
            crew = Crew(BUILD / "tests" / "worker", recorder, topic, properties.items(), counted=OTHER_CLASS)
            try:
                crew.start(workers)
                return self._measure(topic, crew, recorder, job_ms, backlog, timing)
            except AssertionError as error:
                raise BenchError(f"{error}\n{crew.logs()}") from None
            finally:
                crew.close()

    def _measure(self, topic, crew, recorder, job_ms, backlog, timing):
        self._await_counting(topic, crew)
        self.command("pause", CLASS)
        seconds = timing.warm_s + timing.measure_s
        jobs = timed_jobs(CLASS, round(LIMIT * seconds / job_ms * 1000 * 1.1) + 200, Random(1), job_ms, job_ms)
        raw_produce_many(self.kafka, topic, jobs)
        wait_until(lambda: counters(self.redis).get("held", 0) >= len(jobs), LIMIT_S, "all jobs are held", interval_s=0.1)
        others = Others(self.kafka, topic, crew, backlog)
        samples = Samples(self.redis)
        try:
            others.start()
            wait_until(lambda: others.depth() >= 0.98 * backlog, LIMIT_S, "the backlog is there", interval_s=0.1)
            samples.start()
            self.command("unpause", CLASS)
            wait_until(lambda: counters(self.redis).get("resumed", 0), LIMIT_S, "a job came back", interval_s=0.05)
            time.sleep(timing.warm_s)
            times_then = processor_times()
            before, began, counted, others_then = counters(self.redis), clock_us(), others.depth(), crew.count()
            time.sleep(timing.measure_s)
            after, ended = counters(self.redis), clock_us()
            busy, all_times = (now - then for now, then in zip(processor_times(), times_then))
            others_now = crew.count()
            depth = (counted + others.depth()) / 2
        finally:
            samples.over.set()
            others.stop()
        intervals = [(run.start_us, run.end_us or ended) for run in recorder.runs(CLASS)]
        started = sum(began <= start < ended for start, _ in intervals)
        held = [count for at, count in samples.held if began <= at < ended]
        found = [count for at, count in samples.ahead if began <= at < ended]
        return {"overlap": mean_overlap(intervals, began, ended), "started": started, "seconds": timing.measure_s,
                "missed": after.get("missed", 0) - before.get("missed", 0), "ahead": sum(found) / max(1, len(found)),
                "least_held": min(held, default=0), "backlog": depth, "others": (others_now - others_then) / timing.measure_s,
                "processors": busy / all_times}

    def _await_counting(self, topic, crew):
        """Each worker has run a job of the other class."""
        def all_serve():
            raw_produce_many(self.kafka, topic, [timed_job(OTHER_CLASS, 0) for _ in range(len(crew))])
            return all(crew.count_of(number) for number in range(len(crew)))

        wait_until(all_serve, LIMIT_S, "all workers serve", interval_s=0.5)


def measure(kafka, redis, quick, say):
    bench = Slots(kafka, redis)
    found = []
    for backlog, job_ms, ahead in product((0, BACKLOG), JOB_MS, ("0", "auto")):
        say(f"jobs of {job_ms} ms, backlog {backlog}, resume.ahead={ahead}")
        timing = (QUICK if quick else TIMINGS)[backlog > 0]
        found.append({"job_ms": job_ms, "backlog_wanted": backlog, "resume_ahead": ahead,
                      **bench.slots(job_ms, backlog, ahead, timing)})
    return found


def text(found):
    rows = []
    for entry in found:
        aim = AIMS[entry["job_ms"]] if entry["resume_ahead"] == "auto" else None
        reached = "" if aim is None else f"aim {aim}: " + ("reached" if entry["overlap"] >= aim else "not reached")
        if entry["least_held"] <= 0:
            reached += " NOTE nothing was held at times"
        rows.append([f"{entry['job_ms']} ms, backlog {entry['backlog']:,.0f}", entry["resume_ahead"],
                     f"{entry['overlap']:.2f}", f"{entry['started'] / entry['seconds']:,.0f}",
                     f"{entry['missed'] / max(1, entry['started']):.3f}", f"{entry['ahead']:,.1f}",
                     f"{entry['others']:,.0f}", f"{entry['processors']:.0%}", reached])
    return "\n".join(table(["jobs", "ahead", f"busy of {LIMIT}", "starts/s", "missed/start", "mean ahead", "others/s", "processors", ""],
                           rows))
