# SPDX-License-Identifier: Apache-2.0
"""What the tests of capacity share: an Enqueuer's chain, which fills up to ten migrations.

Each job of it begins one migration, which is one more in the gauge, and ends. The plugin enqueues it again while the
gauge is below the capacity.
"""

import pytest
from confluent_kafka import Consumer as RawConsumer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from live.limits import poll_until
from support.app import PATIENCE_S, produce_job
from support.kafka import QUIET

CLS = "Enqueuer"
CAPACITY = 10
GAUGE = "migrations"
ENQUEUER = {
    f"jobgate.class.{CLS}.capacity": CAPACITY,
    f"jobgate.class.{CLS}.capacity.load": f"redis:{GAUGE}",
    f"jobgate.class.{CLS}.lease": "class",
    f"jobgate.class.{CLS}.dedup": "until_executing",
}
# What is held for capacity is asked for once a second; a busy machine may be late.
FOLLOWS_S = 2


def setting(name):
    return f"jobgate.class.{CLS}.{name}"


def enqueuer(*args):
    return produce_job(CLS, list(args) or ["all"])


def number_of(stamp):
    """Which of its chain a jid is."""
    return int(stamp.split("-")[2]) if stamp.count("-") == 2 else 0


def chain_of(stamp):
    return "-".join(stamp.split("-")[:2])


def stamp_of(chain, number):
    return f"{chain}-{number}" if number else chain


def load(site):
    return int(site.redis.client().get(GAUGE) or 0)


def next_job(site, consumer, **options):
    """The chain's next job, which finds room."""
    message = consumer.next(**options)
    assert load(site) < CAPACITY, f"{message} starts at load {load(site)}"
    return message


def migrate(site, consumer, **options):
    """The chain's next job runs, and begins a migration; it ends when the consumer polls again. Its stamp."""
    message = next_job(site, consumer, **options)
    site.redis.client().incr(GAUGE)
    return message.stamp


def end_migration(site):
    site.redis.client().decr(GAUGE)


def fill(site, consumer, count=CAPACITY):
    """So many migrations begin; the stamps of their jobs."""
    return [migrate(site, consumer) for _ in range(count)]


def waiting(site):
    """The records of the holding topic that were not resumed."""
    topic = site.held_topic(CLS)
    if not site.exists(topic):
        return []
    consumer = RawConsumer({"bootstrap.servers": site.kafka.bootstrap, "group.id": f"{site.group}.jobgate",
                            "enable.auto.commit": False, **QUIET})
    try:
        records = site.read(topic)
        parts = [TopicPartition(topic, number) for number in {record.partition for record in records}]
        done = {at.partition: at.offset for at in consumer.committed(parts, timeout=PATIENCE_S)} if parts else {}
    finally:
        consumer.close()
    return [record for record in records if record.offset >= done[record.partition]]


def await_full(site, consumer, timeout_s=PATIENCE_S):
    """Until the chain waits in the holding topic and nothing runs, while the consumer polls; the stamp that waits."""

    def waits():
        if site.running(CLS) or site.tickets(CLS):
            return None
        return {record.stamp for record in waiting(site)} or None

    stamps = poll_until(consumer, waits, timeout_s, "the chain waits")
    assert len(stamps) == 1, f"the chain has forked: {sorted(stamps)}"
    return stamps.pop()


def assert_alive_once(site, consumer, rounds=2):
    """At capacity: each migration that ends lets the chain do one step, and no more."""
    for _ in range(rounds):
        waits = await_full(site, consumer)
        assert load(site) == CAPACITY
        end_migration(site)
        assert migrate(site, consumer) == waits
        assert number_of(await_full(site, consumer)) == number_of(waits) + 1


def set_topic(site, **values):
    """Change settings of the site's topic."""
    resource = ConfigResource(ResourceType.TOPIC, site.topic, incremental_configs=[
        ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in values.items()])
    admin = site.kafka.admin()
    admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)


def close_topic(site):
    """The broker takes no record into it from now on: each is too old when it arrives."""
    set_topic(site, message_timestamp_before_max_ms=0)


def reopen_topic(site):
    set_topic(site, message_timestamp_before_max_ms=3600000)


@pytest.fixture
def site(make_site):
    return make_site(ENQUEUER)
