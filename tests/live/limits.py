# SPDX-License-Identifier: Apache-2.0
"""What the tests of limits share."""

import time

import pytest

from support.app import PATIENCE_S, own_jid, produce_job
from support.crew import overlap_of
from support.processes import wait_until

LAST = produce_job("Last", [])
MANUAL = {"enable.auto.commit": "false"}
STORING = {"enable.auto.offset.store": "false"}
LIMIT = "jobgate.class.Mail.limit"
SKIP = "_PARTITION_EOF"
# A held job is back so soon after a slot is free; the promise is milliseconds, the safety net one second.
SOON_S = 5
NO_DEDUP = {"jobgate.default.dedup": "none"}


def mail(*args, **more):
    return produce_job("Mail", args or [1], **more)


def jids(messages):
    return [message.jid for message in messages]


def finish(consumer, message):
    """It, and all before it on its partition."""
    consumer.commit((message.partition, message.offset + 1))


def poll_until(consumer, condition, timeout_s, what):
    """wait_until(), while the consumer polls."""

    def step():
        consumer.poll()
        return condition()

    return wait_until(step, timeout_s, what, interval_s=0)


def await_skips(consumer, count, timeout_s=PATIENCE_S):
    poll_until(consumer, lambda: len(consumer.skips()) >= count, timeout_s, f"{count} skips")


def assert_idle(consumer, seconds=1.5):
    """Nothing starts for a while: the resumer's safety net comes by once in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = consumer.poll()
        assert not message or message.error, message


def blocked(site, consumer, producer=None, job=None):
    """A job takes the only slot; returns its message."""
    (producer or site.producer()).delivered(job or mail("blocker"))
    message = consumer.next()
    site.await_running(1)
    return message


def pair(site, settings=None):
    """Two consumers in the default mode, by the one partition that each of them has."""
    consumers = [site.consumer(settings), site.consumer(settings)]

    def shared():
        for consumer in consumers:
            consumer.poll(50)
        lists = [consumer.call("assignment")["partitions"] for consumer in consumers]
        return [part[1] for (part,) in lists] if all(len(found) == 1 for found in lists) else None

    numbers = wait_until(shared, PATIENCE_S, "each has a partition")
    return [consumer for _, consumer in sorted(zip(numbers, consumers), key=lambda each: each[0])]


def overlap_of_consumers(site, settings, settle, count, timeout_s, **options):
    """Three consumers, each with a partition of the site's, run so many jobs; how many ran at once, at most."""
    consumers = [site.consumer(settings, **options) for _ in range(3)]
    for consumer in consumers:
        consumer.run(job_ms=20, settle=settle)
    producer = site.producer()
    jobs = [mail(number) for number in range(count)]
    for number, job in enumerate(jobs):
        producer.accepted(job, partition=number % 3)
    producer.flush()

    def ended():
        return {own_jid(event["value"]) for consumer in consumers for event in consumer.app.found("end")}

    wait_until(lambda: set(map(own_jid, jobs)) <= ended(), timeout_s, "every job ran", interval_s=0.2)
    intervals = []
    for consumer in consumers:
        starts, ends = consumer.app.found("start"), consumer.app.found("end")
        intervals += [(start["mono_us"], end["mono_us"]) for start, end in zip(starts, ends)]
    return overlap_of(intervals)


@pytest.fixture
def site(make_site):
    """No job comes back ahead of its turn, so that those that are held can be counted."""
    return make_site({LIMIT: 1, "jobgate.class.Mail.resume.ahead": 0})
