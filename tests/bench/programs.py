# SPDX-License-Identifier: Apache-2.0
"""Runs the programs that are measured, each in a process of its own, and the servers' part in it."""

import json
import os
import subprocess
import uuid
from pathlib import Path
from random import Random

from support.app import raw_produce_many
from support.crew import Crew, Recorder
from support.jobs import timed_job, timed_jobs
from support.processes import wait_until

ROOT = Path(__file__).parents[2]
BUILD = (ROOT / os.environ.get("JGTEST_BUILD", "build/release")).resolve()
# As bench_client.h has it.
WARM_UP = 64
LIMIT_S = 120
NAMESPACE = "bench"
CLASS = "BenchWorker"
# The class whose jobs are not held.
OTHER_CLASS = "OtherWorker"
# A limit that nothing reaches: a slot is taken for each job, none is held.
AMPLE, PAUSED = 1000000, -1


class BenchError(RuntimeError):
    """A program did not do its work: there is nothing to measure."""


def run(program, *words):
    """The JSON that a program printed."""
    command = [str(BUILD / "tests" / program), *map(str, words)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(command)}: not done within {LIMIT_S} s") from None
    if result.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit {result.returncode}\n{result.stderr}")
    return json.loads(result.stdout)


class Bench:
    """One broker and one Redis, and what can be measured on them. Every method returns one sample: a dict with `rate`."""

    def __init__(self, kafka, redis):
        self.kafka = kafka
        self.redis = redis
        self.librdkafka = None

    # --- a client ---

    def properties(self, topic, dedup, limits=None):
        """What makes a client load the plugin and govern `topic`. `limits`: class -> limit."""
        return {"plugin.library.paths": BUILD / "jobgate.so", "jobgate.topics": topic,
                "jobgate.store": self.redis.url(), "jobgate.namespace": NAMESPACE, "jobgate.default.dedup": dedup,
                **{f"jobgate.class.{name}.limit": limit for name, limit in (limits or {}).items()}}

    def settings(self, topic, dedup, limits=None):
        """The same as words."""
        return [word for name, value in self.properties(topic, dedup, limits).items() for word in ("-X", f"{name}={value}")]

    def _client(self, what, topic, jobs, settings, words=(), cls=CLASS):
        sample = run("bench_client", what, "--topic", topic, "--jobs", jobs, "--class", cls, *words,
                     "-X", f"bootstrap.servers={self.kafka.bootstrap}", *settings)
        self.librdkafka = sample.pop("librdkafka")
        if sample["failed"]:
            raise BenchError(f"{sample['failed']} of {jobs} messages for {topic} were not delivered")
        sample["rate"] = sample["jobs"] / sample["elapsed_us"] * 1e6
        sample["cpu_us_per_job"] = sample["cpu_us"] / sample["jobs"]
        return sample

    def produce(self, topic, jobs, settings=(), threads=1, distinct=None, cls=CLASS):
        return self._client("produce", topic, jobs, settings,
                            ["--threads", threads, "--distinct", distinct or jobs], cls)

    def consume(self, topic, messages, settings=(), group=None):
        """All of a topic that holds so many messages, or so many more, by a group of its own unless one is named."""
        group = group or f"bench-{uuid.uuid4().hex}"
        return self._client("consume", topic, messages, [
            *settings, "-X", f"group.id={group}", "-X", "auto.offset.reset=earliest"])

    # --- the same through the plugin, with what Redis counted ---

    def produce_governed(self, topic, jobs, dedup, threads=1, distinct=None):
        self.redis.flush()
        sample = self.produce(topic, jobs, self.settings(topic, dedup), threads, distinct)
        counted = self._counted()
        asked = sum(counted["counters"].get(name, 0) for name in ("claimed", "duplicates", "candidates"))
        # A job that goes out without a claim (the store was too slow) would make a fast and worthless figure.
        return {**sample, "governed": jobs + WARM_UP, "unclaimed": jobs + WARM_UP - asked, **counted}

    def consume_governed(self, topic, messages, dedup):
        with self.redis.client() as client:
            client.config_resetstat()
        sample = self.consume(topic, messages, self.settings(topic, dedup))
        return {**sample, "governed": messages, **self._counted()}

    def consume_limited(self, topic, messages, limits, group=None):
        """Without dedup: what a limit alone costs."""
        with self.redis.client() as client:
            client.config_resetstat()
        sample = self.consume(topic, messages, self.settings(topic, "none", limits), group)
        return {**sample, "governed": messages, **self._counted()}

    # --- how long a free slot stands idle ---

    def resume_gaps(self, topic, jobs):
        """Limit 1, jobs of 5 ms, two workers: from the end of each job to the start of the next, in ms."""
        self.redis.flush()
        properties = {**self.properties(topic, "none", {CLASS: 1}), "bootstrap.servers": self.kafka.bootstrap,
                      "group.id": f"bench-{uuid.uuid4().hex}", "auto.offset.reset": "earliest"}
        with Recorder() as recorder:
            crew = Crew(BUILD / "tests" / "worker", recorder, topic, properties.items())
            try:
                crew.start(2)
                self._await_crew(topic, crew, recorder)
                made = timed_jobs(CLASS, jobs, Random(1), 5, 5)
                raw_produce_many(self.kafka, topic, made)
                recorder.await_all([job.jid for job in made], LIMIT_S)
                crew.stop()
            except AssertionError as error:
                raise BenchError(f"{error}\n{crew.logs()}") from None
            finally:
                crew.close()
            # The first ones came before all were held.
            return recorder.gaps_ms(CLASS)[jobs // 10:]

    def _await_crew(self, topic, crew, recorder):
        """Each worker runs a job that has no limit."""
        def all_serve():
            raw_produce_many(self.kafka, topic, [timed_job(OTHER_CLASS, 0) for _ in range(2 * len(crew))])
            return len({run.pid for run in recorder.runs(OTHER_CLASS)}) == len(crew)

        wait_until(all_serve, LIMIT_S, "all workers serve", interval_s=0.2)

    def _counted(self):
        """Calls by command, and the counters of the class, which the scripts keep."""
        with self.redis.client() as client:
            commands = {name.removeprefix("cmdstat_"): entry["calls"]
                        for name, entry in client.info("commandstats").items()}
            stats = client.hgetall(f"jg1:{NAMESPACE}:{{{CLASS}}}:stats")
        return {"commands": commands, "counters": {name: int(value) for name, value in stats.items()}}

    # --- Redis alone ---

    def bare(self, what, jobs, *words):
        self.redis.flush()
        sample = run("bench_redis", what, "--port", self.redis.port, "--jobs", jobs, *words)
        sample["rate"] = sample["jobs"] / sample["elapsed_us"] * 1e6
        return sample
