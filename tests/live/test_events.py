# SPDX-License-Identifier: Apache-2.0
"""Consumers that take events instead of callbacks, as the clients of Go and Rust do: nobody is called back at a poll or a
rebalance, and what the other tests promise holds for them too. What is told of both kinds stands in test_completion."""

import pytest

from live.limits import LAST, LIMIT, MANUAL, finish, mail, overlap_of_consumers, poll_until
from support.app import own_jid, produce_job
from support.processes import wait_until

EXECUTED = {"jobgate.default.dedup": "until_executed"}


@pytest.fixture
def site(make_site):
    return make_site(EXECUTED)


def test_a_job_is_not_complete_while_librdkafka_is_slow(site):
    """Until its main thread comes to it, a probe is on its way: that the consumer's queue is empty is no poll."""
    consumer = site.consumer({"debug": "cgrp"}, events=True, slow_commits=True)
    site.queued(site.producer())
    consumer.next()
    consumer.app.wait_log("received op OFFSET_COMMIT")
    assert [claim["st"] for claim in site.claims()] == ["r"]
    consumer.poll(2000)
    site.await_state(None)


def test_a_poll_on_another_thread_is_the_same_loop(site):
    """Go's and Rust's loops move between threads."""
    producer, consumer = site.producer(), site.consumer(events=True)
    for number in range(10):
        producer.delivered(mail(number))
    for number in range(10):
        message = consumer.next(on=f"thread-{number % 3}")
        assert message.jid
        wait_until(lambda: [claim["st"] for claim in site.claims()].count("r") == 1, 30, "one job runs")
    consumer.poll(on="thread-1")
    wait_until(lambda: not site.claims(), 30, "all claims end")


def test_no_two_jobs_of_a_limit_of_one_run_at_once(make_site):
    """Jobs that end while others come in: a probe that was sent for one says nothing about the next."""
    site = make_site({LIMIT: 1}, partitions=3)
    assert overlap_of_consumers(site, None, None, 90, 90, events=True) == 1


def test_held_jobs_come_back_to_a_program_that_gets_no_message(make_site):
    """Its resumer starts with its first assignment."""
    site = make_site({LIMIT: 1})
    producer = site.producer()
    consumer = site.consumer({**MANUAL, "jobgate.resumer": "separate"}, events=True)
    producer.delivered(mail("blocker"))
    blocker = consumer.next()
    held = mail(1)
    producer.delivered(held)
    poll_until(consumer, lambda: site.held() == 1, 30, "the second job is held")
    finish(consumer, blocker)
    wait_until(lambda: site.committed() == 2, 30, "what is held is committed past")
    consumer.app.kill()
    assert site.consumer(MANUAL, events=True).next(timeout_s=60).jid == own_jid(held)


def test_a_job_whose_partition_went_gives_its_slot_back(make_site):
    """The consumer lives on and never commits it; no callback tells of the rebalance."""
    site = make_site({LIMIT: 2, f"{LIMIT}.ttl.ms": 2000, "jobgate.default.dedup": "none"}, partitions=2)
    own = {**MANUAL, "max.poll.interval.ms": 8000, "session.timeout.ms": 6000}
    producer, first = site.producer(), site.consumer(own, events=True)
    for partition in (0, 1):
        producer.delivered(mail("stays open"), partition=partition)
        first.next()
    site.await_running(2)
    second = site.consumer(own, events=True)

    def is_taken_over():
        second.poll(50)
        return second.call("assignment")["partitions"]

    poll_until(first, is_taken_over, 60, "the other has a partition")
    ((_, kept, _),) = first.call("assignment")["partitions"]
    report = producer.delivered(produce_job("Other", []), partition=kept)
    poll_until(first, lambda: any((message.partition, message.offset) == (kept, report.offset) for message in first.seen),
               30, "another message, at which the first looks what it has")
    # What it has open counts until it would have had to poll; then the job, which came again, runs where it is now.
    poll_until(second, lambda: (first.poll(1), any(not message.error for message in second.seen))[1], 60,
               "the job runs on the consumer that has its partition")


def test_a_stored_end_is_committed_by_a_close(site):
    producer, consumer = site.producer(), site.consumer(events=True)
    site.queued(producer)
    consumer.next()
    consumer.poll()
    site.await_state(None)
    consumer.close()
    assert site.committed() == 1
    site.queued(producer, LAST)
    assert site.consumer(events=True).next().jid == own_jid(LAST)


def test_a_close_that_redelivers_is_refused_with_the_cure(make_site):
    site = make_site({**EXECUTED, "jobgate.close": "redeliver"})
    consumer = site.consumer(events=True)
    consumer.app.wait_log("jobgate.close=redeliver cannot be honoured")
