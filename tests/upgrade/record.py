# SPDX-License-Identifier: Apache-2.0
"""Records what a version leaves behind in Redis and Kafka, for later versions to go on from (tests/live/test_upgrade.py).

    PYTHONPATH=tests build/venv/bin/python -m upgrade.record [BUILD]

BUILD is a build folder of the version to record, build/release unless given; the document goes to
tests/upgrade/fixtures/<version>.json. Every release records its own, right before its version number moves on, and it is
never recorded again: what is out there is what that version wrote. A scene that a later version adds is for its own
document only.
"""

import json
import subprocess
import sys
from pathlib import Path

from live.conftest import Site
from support.app import BUILD, PATIENCE_S, App, produce_job
from support.kafka import KafkaCluster
from support.processes import wait_until
from support.redis import RedisServer
from upgrade.state import read_kafka, read_redis

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Short, so that the next version does not wait long for consumers that are gone.
SETTINGS = {
    "jobgate.default.limit.ttl.ms": 3000,
    "jobgate.default.lease.ttl.ms": 3000,
    "jobgate.default.done.ttl.ms": 3600000,
    "jobgate.default.dedup.ttl.ms": 3600000,
    "jobgate.default.dedup.provisional.ms": 3600000,
    "jobgate.class.Executed.dedup": "until_executed",
    "jobgate.class.Limited.limit": 1,
    "jobgate.class.Ticketed.limit": 1,
    "jobgate.class.Paused.limit": 5,
    "jobgate.class.Tuned.limit": 5,
    "jobgate.class.Leased.lease": "class",
    "jobgate.class.Leased.lease.taken": "hold",
    "jobgate.class.Leased.done.ttl.ms": 3600000,
}
CHAIN = {
    **SETTINGS,
    "jobgate.class.Enqueuer.capacity": 2,
    "jobgate.class.Enqueuer.capacity.load": "redis:migrations",
    "jobgate.class.Enqueuer.lease": "class",
}
HELD = {"Limited": 2, "Leased": 1, "Tuned": 3, "Paused": 1}
RUNNING, RESUMING, HOLDING, UNSEEN = range(4)  # partitions of topic jobs
MANUAL = {"enable.auto.commit": "false"}


def job(cls, number):
    return produce_job(cls, [number])


class Recording:
    def __init__(self, build, kafka, redis):
        self.plugin = str(build / "jobgate.so")
        self.kafka, self.redis, self.apps = kafka, redis, []

    def make_app(self, env=None):
        self.apps.append(App(BUILD / "tests" / "app", env))
        return self.apps[-1]

    def site(self, topic, partitions, settings):
        self.kafka.create_topic(topic, partitions)
        site = Site(self.make_app, self.kafka, self.redis, self.plugin, topic, settings)
        site.group = f"{topic}-workers"
        return site

    def limits_and_leases(self):
        """Partition 0: a job of each class runs. 1: one is done, another on its way back. 2: all are held."""
        site = self.site("jobs", 4, SETTINGS)
        producer, consumer = site.producer(), site.consumer(MANUAL)
        for cls in ("Executed", "Limited", "Leased", "Tuned"):
            site.queued(producer, job(cls, 0), partition=RUNNING)
            consumer.next()
        site.jobgate("limit", "Tuned", 1)
        site.jobgate("pause", "Paused")
        for cls, count in HELD.items():
            for number in range(1, count + 1):
                site.queued(producer, job(cls, number), partition=HOLDING)
        last = job("Plain", 0)
        site.queued(producer, last, partition=HOLDING)
        consumer.take(last)
        last = consumer.seen[-1]
        for number in (1, 2):
            site.queued(producer, job("Ticketed", number), partition=RESUMING)
        first = consumer.next()
        consumer.next_error("_PARTITION_EOF")
        for cls, count in {**HELD, "Ticketed": 1}.items():
            wait_until(lambda cls=cls, count=count: len(site.read(site.held_topic(cls))) == count, PATIENCE_S,
                       f"{count} of {cls} are held")
        consumer.commit((last.partition, last.offset + 1), (first.partition, first.offset + 1))
        wait_until(lambda: site.tickets("Ticketed") == 1, PATIENCE_S, "a ticket is taken")
        wait_until(lambda: any(message.header("jobgate-resumed") for message in site.read("jobs")), PATIENCE_S,
                   "a job is resumed")
        return site, producer

    def claims(self, site, producer):
        """None of these was consumed: a job and its duplicate; a candidate, whose original was never sent."""
        site.queued(producer, job("Queued", 1), partition=UNSEEN)
        assert producer.delivered(job("Queued", 1), partition=UNSEEN).header("jobgate-duplicate-of")
        never_sent = site.holding_producer()
        never_sent.accepted(job("Lost", 1), partition=UNSEEN)
        assert producer.delivered(job("Lost", 1), partition=UNSEEN).header("jobgate-candidate-of")
        wait_until(lambda: any("ca" in claim for claim in site.claims()), PATIENCE_S, "the candidate is known to be sent")
        never_sent.app.kill()

    def chain(self):
        """Two of it are done, the third waits for the load to fall."""
        site = self.site("chains", 1, CHAIN)
        site.producer().delivered(job("Enqueuer", 1))
        consumer = site.consumer()
        for _ in range(2):
            consumer.next()
            self.redis.client().incr("migrations")
        wait_until(lambda: consumer.poll() or len(site.read(site.held_topic("Enqueuer"))) == 1 and
                   not site.running("Enqueuer"), PATIENCE_S, "the chain waits", interval_s=0)

    def record(self):
        site, producer = self.limits_and_leases()
        self.claims(site, producer)
        self.chain()
        for app in self.apps:
            if app.returncode is None:
                app.pause()
        store = read_redis(self.redis)
        for app in self.apps:
            if app.returncode is None:
                app.resume()
                app.kill()
        groups = [f"{topic}-workers{suffix}" for topic in ("jobs", "chains") for suffix in ("", ".jobgate")]
        return {"settings": CHAIN, "redis": store, "kafka": read_kafka(self.kafka, groups)}


def record(build, kafka, redis):
    """On servers that have nothing yet."""
    recording = Recording(build, kafka, redis)
    try:
        return recording.record()
    except BaseException:
        print("\n".join(app.story() for app in recording.apps), file=sys.stderr)
        raise
    finally:
        for app in recording.apps:
            app.end(failed=True)


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "release").resolve()
    said = subprocess.run([build / "jobgate", "--version"], capture_output=True, text=True, check=True).stdout
    version = said.split()[-1]
    with KafkaCluster() as kafka, RedisServer() as redis:
        state = record(build, kafka, redis)
    path = HERE / "fixtures" / f"{version}.json"
    path.write_text(json.dumps({"version": version, **state}, indent=1) + "\n")
    print(f"{path}: {len(state['redis']['keys'])} keys, "
          f"{sum(len(topic['records']) for topic in state['kafka']['topics'].values())} records")


if __name__ == "__main__":
    main()
