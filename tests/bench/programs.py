# SPDX-License-Identifier: Apache-2.0
"""Runs the programs that are measured, each in a process of its own, and the servers' part in it."""

import json
import os
import subprocess
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = (ROOT / os.environ.get("JGTEST_BUILD", "build/release")).resolve()
# As bench_client.h has it.
WARM_UP = 64
LIMIT_S = 120
NAMESPACE = "bench"
CLASS = "BenchWorker"


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

    def settings(self, topic, dedup):
        """What makes a client load the plugin and govern `topic`."""
        return ["-X", f"plugin.library.paths={BUILD / 'jobgate.so'}", "-X", f"jobgate.topics={topic}",
                "-X", f"jobgate.store={self.redis.url()}", "-X", f"jobgate.namespace={NAMESPACE}",
                "-X", f"jobgate.default.dedup={dedup}"]

    def _client(self, what, topic, jobs, settings, words=()):
        sample = run("bench_client", what, "--topic", topic, "--jobs", jobs, "--class", CLASS, *words,
                     "-X", f"bootstrap.servers={self.kafka.bootstrap}", *settings)
        self.librdkafka = sample.pop("librdkafka")
        if sample["failed"]:
            raise BenchError(f"{sample['failed']} of {jobs} messages for {topic} were not delivered")
        sample["rate"] = sample["jobs"] / sample["elapsed_us"] * 1e6
        sample["cpu_us_per_job"] = sample["cpu_us"] / sample["jobs"]
        return sample

    def produce(self, topic, jobs, settings=(), threads=1, distinct=None):
        return self._client("produce", topic, jobs, settings,
                            ["--threads", threads, "--distinct", distinct or jobs])

    def consume(self, topic, messages, settings=()):
        """All of a topic that holds so many messages, by a group of its own."""
        return self._client("consume", topic, messages, [
            *settings, "-X", f"group.id=bench-{uuid.uuid4().hex}", "-X", "auto.offset.reset=earliest"])

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
