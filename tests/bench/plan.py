# SPDX-License-Identifier: Apache-2.0
"""What is measured, what it is compared with, and in which order."""

import uuid
from dataclasses import dataclass

from bench.programs import AMPLE, CLASS, OTHER_CLASS, PAUSED, WARM_UP

# What each series is, for the table.
SERIES = {
    "produce.plain": "librdkafka alone",
    "produce.ungoverned": "plugin loaded, a topic that it does not govern",
    "consume.plain": "librdkafka alone",
    "consume.ungoverned": "plugin loaded, a topic that it does not govern",
    "produce.until_executing.1": "dedup=until_executing, 1 thread",
    "produce.until_executing.8": "dedup=until_executing, 8 threads",
    "produce.until_executed.1": "dedup=until_executed, 1 thread",
    "produce.duplicates": "dedup=until_executing, 1 thread, 90 % duplicates",
    "consume.until_executing": "dedup=until_executing",
    "consume.until_executed": "dedup=until_executed",
    "consume.duplicates": "dedup=until_executing, 90 % marked duplicates (skipped)",
    "consume.limited": "dedup=none, a limit that nothing reaches",
    "defer": "dedup=none, the class is paused: every job goes to the holding topic",
    "resume": "the same jobs, back from the holding topic, each an empty job",
    "other.alone": "dedup=none, a limit that nothing reaches, nothing held",
    "other.behind": "the same, with held jobs of another class on the topic",
    "redis.ping": "PING, one a round trip",
    "redis.claim": "claim, one a round trip, no confirm",
    "redis.produce.1": "claim, one a round trip; confirms in pipelines of 64",
    "redis.produce.8": "claim + confirm, pipelines of 8 jobs",
    "redis.produce.64": "claim + confirm, pipelines of 64 jobs",
    "redis.run.until_executing": "admit, one a round trip",
    "redis.run.until_executed": "complete + the next admit, one pair a round trip",
}


@dataclass
class Comparison:
    """The ratio of the medians of two series."""

    of: str
    to: str
    aim: float | None
    why: str


COMPARISONS = [
    Comparison("produce.ungoverned", "produce.plain", 0.97, "what loading the plugin costs other topics"),
    Comparison("consume.ungoverned", "consume.plain", 0.97, "what loading the plugin costs other topics"),
    Comparison("produce.until_executing.1", "redis.produce.1", 0.9, "the same script calls, without Kafka"),
    Comparison("produce.until_executed.1", "redis.produce.1", 0.9, "the same script calls, without Kafka"),
    Comparison("produce.until_executing.8", "redis.produce.8", 0.6, "the same script calls, without Kafka"),
    Comparison("consume.until_executing", "redis.run.until_executing", 0.9, "the same script calls, without Kafka"),
    Comparison("consume.until_executed", "redis.run.until_executed", 0.9, "the same script calls, without Kafka"),
    Comparison("produce.until_executing.1", "redis.claim", None, "stricter: as if confirming were free"),
    Comparison("produce.until_executing.8", "redis.produce.64", None, "a pipeline that eight callers cannot fill"),
    Comparison("defer", "consume.limited", None, "to hold a job against to run it"),
    Comparison("resume", "consume.limited", None, "to bring a job back and run it against to run it"),
    Comparison("other.behind", "other.alone", None, "what held jobs cost other classes"),
    Comparison("produce.duplicates", "produce.until_executing.1", None, "a duplicate against an original"),
]

# Script calls per job: claim, confirm, admit, and complete.
CALL_AIMS = {"until_executing": 3, "until_executed": 4}

# Of ten equal jobs nine are duplicates.
COPIES = 10

# Jobs of a round whose resume latency is measured, one after the other.
LATE_JOBS = 100


class Plan:
    """Carries rounds out. `sizes` says how many jobs a series has in one run."""

    def __init__(self, bench, sizes):
        self.bench = bench
        self.sizes = sizes
        self.samples = {name: [] for name in SERIES}
        self.gaps_ms = []
        self._filled = None

    def fill(self):
        """The topic that the two readers of ungoverned messages share."""
        self._filled = self._topic()
        self.bench.produce(self._filled, self.sizes["consume.plain"])

    def end(self):
        self._drop(self._filled)

    def round(self, number):
        """Neighbours are what is compared; each round turns their order around."""
        self._ungoverned(number)
        for group in (self._executing, self._executed, self._eight, self._duplicates, self._limits):
            group(number)
        self._latency()
        self._note("redis.ping", self.bench.bare("ping", self.sizes["redis.ping"]))
        # Once more, since 3 % of a difference takes more samples than 10 %.
        self._ungoverned(number + 1)

    def _note(self, name, sample):
        self.samples[name].append(sample)

    def _each(self, number, *steps):
        for step in steps if number % 2 else reversed(steps):
            step()

    def _topic(self, partitions=1):
        # What was deleted goes soon: the disk need not hold the whole run.
        return self.bench.kafka.create_topic(f"jobs-{uuid.uuid4().hex}", partitions,
                                             {"file.delete.delay.ms": 1000})

    def _drop(self, topic):
        """With its holding topics."""
        admin = self.bench.kafka.admin()
        names = [name for name in admin.list_topics(timeout=30).topics
                 if name == topic or name.startswith(f"{topic}.")]
        for done in admin.delete_topics(names).values():
            done.result(30)

    def _ungoverned(self, number):
        bench, sizes = self.bench, self.sizes
        loaded = bench.settings("jobs", "until_executing")
        topic = self._topic()
        self._each(
            number,
            lambda: self._note("produce.plain", bench.produce(topic, sizes["produce.plain"])),
            lambda: self._note("produce.ungoverned", bench.produce(topic, sizes["produce.plain"], loaded)))
        self._drop(topic)
        count = sizes["consume.plain"] + WARM_UP
        self._each(
            number,
            lambda: self._note("consume.plain", bench.consume(self._filled, count)),
            lambda: self._note("consume.ungoverned", bench.consume(self._filled, count, loaded)))

    def _executing(self, number):
        self._each(
            number,
            lambda: self._bare("redis.claim", "claim"),
            lambda: self._bare("redis.produce.1", "produce"),
            lambda: self._governed("produce.until_executing.1", "consume.until_executing", "until_executing"),
            lambda: self._bare("redis.run.until_executing", "run"))

    def _executed(self, number):
        self._each(
            number,
            lambda: self._bare("redis.run.until_executed", "run", "--dedup", "until_executed"),
            lambda: self._governed("produce.until_executed.1", "consume.until_executed", "until_executed"))

    def _eight(self, number):
        self._each(
            number,
            lambda: self._bare("redis.produce.64", "produce", "--pipeline", 64),
            lambda: self._governed("produce.until_executing.8", None, "until_executing", threads=8),
            lambda: self._bare("redis.produce.8", "produce", "--pipeline", 8))

    def _duplicates(self, number):
        del number
        distinct = self.sizes["produce.duplicates"] // COPIES
        self._governed("produce.duplicates", "consume.duplicates", "until_executing", distinct=distinct)

    def _limits(self, number):
        """The rounds of one class: paused, then not; and what another class on the same topic notices of it."""
        self._each(number, self._passing, self._held)
        self._each(number, lambda: self._others("other.alone", 0),
                   lambda: self._others("other.behind", self.sizes["defer"]))

    def _passing(self):
        bench, jobs = self.bench, self.sizes["consume.limited"]
        topic = self._topic()
        bench.redis.flush()
        bench.produce(topic, jobs)
        self._note("consume.limited", bench.consume_limited(topic, jobs + WARM_UP, {CLASS: AMPLE}))
        self._drop(topic)

    def _held(self):
        bench, jobs = self.bench, self.sizes["defer"]
        topic, group = self._topic(), f"bench-{uuid.uuid4().hex}"
        bench.redis.flush()
        bench.produce(topic, jobs)
        self._note("defer", bench.consume_limited(topic, jobs + WARM_UP, {CLASS: PAUSED}, group))
        self._note("resume", bench.consume_limited(topic, jobs + WARM_UP, {CLASS: AMPLE}, group))
        self._drop(topic)

    def _others(self, name, held):
        bench, jobs = self.bench, self.sizes["other.alone"]
        topic, group = self._topic(), f"bench-{uuid.uuid4().hex}"
        limits = {CLASS: PAUSED, OTHER_CLASS: AMPLE}
        bench.redis.flush()
        if held:
            bench.produce(topic, held)
            bench.consume_limited(topic, held + WARM_UP, limits, group)
        bench.produce(topic, jobs, cls=OTHER_CLASS)
        self._note(name, {**bench.consume_limited(topic, jobs + WARM_UP, limits, group), "held": held})
        self._drop(topic)

    def _latency(self):
        topic = self._topic(partitions=2)
        self.gaps_ms += self.bench.resume_gaps(topic, LATE_JOBS)
        self._drop(topic)

    def _bare(self, name, what, *words):
        self._note(name, self.bench.bare(what, self.sizes[name], *words))

    def _governed(self, produce, consume, dedup, **more):
        """Into a topic of its own, and out of it."""
        topic = self._topic()
        jobs = self.sizes[produce]
        self._note(produce, self.bench.produce_governed(topic, jobs, dedup, **more))
        if consume:
            self._note(consume, self.bench.consume_governed(topic, jobs + WARM_UP, dedup))
        self._drop(topic)
