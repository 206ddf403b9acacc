# SPDX-License-Identifier: Apache-2.0
"""Limits at their edges: bounds, what does not belong into a holding topic, and one group per topic."""

import time

import pytest

from live.limits import (LAST, LIMIT, MANUAL, SKIP, assert_idle, await_skips, blocked, finish, jids, mail, pair,
                         poll_until, site)
from support.app import PATIENCE_S, own_jid, raw_produce
from support.processes import wait_until


# --- bounds ---

def test_hold_max_pushes_back_on_the_consumer_and_nothing_is_stuck(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.hold.max": 3, "jobgate.store.wait.ms": 300})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(20)]
    most = 8
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    ran = [message.jid]
    await_skips(consumer, 3)
    assert "hold.max" in consumer.next_error("_STATE").text
    # The resumer counts in the topic, so its count may lack what has only just been held: a few more get in.
    assert 3 <= site.held() <= most
    for _ in jobs[1:]:
        finish(consumer, message)
        message = consumer.next(timeout_s=60)
        ran.append(message.jid)
        assert site.running() == 1
        assert site.held() <= most
    assert sorted(ran) == sorted(map(own_jid, jobs))


def test_a_job_that_is_held_for_too_long_goes_to_the_dead_topic(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.hold.max.age.ms": 1000})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    job = mail(2)
    report = producer.delivered(job, key=b"key", headers=[("mine", b"kept")])
    consumer.next_error(SKIP)
    (dead,) = poll_until(consumer, lambda: site.read(site.dead_topic), 30, "it is dead")
    assert (dead.value, dead.key, dead.header("mine"), dead.stamp) == (job.encode(), b"key", "kept", report.stamp)
    # Its claim is gone: equal work may be asked for again.
    site.await_state(None)
    assert site.stats()["buried"] == 1
    site.await_held(0)
    again = mail(2)
    assert producer.delivered(again).is_original
    finish(consumer, running)
    assert consumer.next().jid == own_jid(again)


# --- what does not belong there ---

@pytest.mark.parametrize("value, headers", [
    (b"garbage", None),
    (None, None),
    (mail(9).encode(), None),
    (b"{}", [("jobgate-held-from", b"0/0"), ("jobgate-held-since", b"1")]),
    (mail(9).encode(), [("jobgate-v", b"1"), ("jobgate-origin", b"default/elsewhere"), ("jobgate-held-from", b"0/0"),
                        ("jobgate-class", b"Mail"), ("jobgate-jid", b"x"), ("jobgate-held-since", b"1")]),
], ids=["garbage", "null", "bare-job", "half-stamped", "of-another-origin"])
def test_a_foreign_record_in_the_holding_topic_goes_to_the_dead_topic_alone(site, value, headers):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    before, after = mail("before"), mail("after")
    producer.delivered(before)
    consumer.next_error(SKIP)
    raw_produce(site.kafka, site.held_topic(), value, headers=headers, key=b"foreign")
    producer.delivered(after)
    consumer.next_error(SKIP)
    for job in (before, after):
        finish(consumer, running)
        running = consumer.next()
        assert running.jid == own_jid(job)
    (dead,) = wait_until(lambda: site.read(site.dead_topic), PATIENCE_S, "the foreign record is dead")
    assert (dead.value, dead.key) == (value, b"foreign")
    site.await_held(0)


@pytest.mark.parametrize("name, value", [
    ("jobgate-resumed", b"1"), ("jobgate-resumed", b"-1"), ("jobgate-resumed", b"99999999999999999999"),
    ("jobgate-resumed", b""), ("jobgate-resumed", None), ("jobgate-held-since", b"yesterday"),
    ("jobgate-held-since", b"-5"), ("jobgate-held-reason", b"\xff\xfe"), ("jobgate-held-from", b"../.."),
    ("jobgate-held-from", b"7/99999999999999999999"), ("jobgate-held-time", b"x" * 5000), ("jobgate-class", b"Other"),
])
def test_absurd_headers_of_a_message_change_nothing(site, name, value):
    consumer = site.consumer(MANUAL)
    running = blocked(site, consumer)
    job = mail(2)
    raw_produce(site.kafka, site.topic, job.encode(), headers=[(name, value), ("mine", b"kept")])
    consumer.next_error(SKIP)
    site.await_held(1)
    finish(consumer, running)
    message = consumer.next()
    assert message.jid == own_jid(job) and message.header("mine") == "kept"
    assert site.running() == 1
    finish(consumer, message)
    site.await_running(0)


def test_a_message_with_a_hundred_headers_is_held_and_comes_back(site):
    consumer = site.consumer(MANUAL)
    running = blocked(site, consumer)
    job = mail(2)
    headers = [(f"h{number % 10}", bytes([number]) * number) for number in range(100)]
    raw_produce(site.kafka, site.topic, job.encode(), headers=headers)
    consumer.next_error(SKIP)
    finish(consumer, running)
    message = consumer.next()
    assert [pair for pair in message.headers if not pair[0].startswith("jobgate-")] == headers


def test_a_large_message_is_held_and_comes_back(site):
    """As large as the broker takes by default; our headers come on top."""
    consumer = site.consumer(MANUAL)
    running = blocked(site, consumer)
    job = mail(2, padding="x" * 900_000)
    raw_produce(site.kafka, site.topic, job.encode())
    consumer.next_error(SKIP)
    finish(consumer, running)
    assert consumer.next().value == job.encode()


def test_a_job_that_no_plugin_produced_is_limited_too(site):
    consumer = site.consumer(MANUAL)
    jobs = [mail(1), mail(1), mail(1)]
    for job in jobs:
        raw_produce(site.kafka, site.topic, job.encode())
    message = consumer.next()
    await_skips(consumer, 2)
    assert site.running() == 1
    for job in jobs[1:]:
        finish(consumer, message)
        message = consumer.next()
        assert message.jid == own_jid(job), "equal jobs of no plugin are no duplicates"


@pytest.mark.parametrize("topics", ["{topic}", "^{topic}"])
def test_a_regex_subscription_skips_the_records_of_holding_topics(make_site, topics):
    site = make_site({LIMIT: 1})
    site.settings["jobgate.topics"] = topics.format(topic=site.topic)
    consumer = site.consumer({**MANUAL, "topic.metadata.refresh.interval.ms": 500}, subscribe=False)
    consumer.subscribe(f"^{site.topic}.*")
    producer = site.producer()
    running = blocked(site, consumer, producer)
    job = mail(2)
    producer.delivered(job)
    poll_until(consumer, lambda: site.held_topic() in {skip.topic for skip in consumer.skips()}, 30,
               "the held record is skipped")
    # The subscription's growth has moved partitions, so what was not committed came again: at least once.
    finish(consumer, running)
    # The new topic moved the group's partitions: what was not committed comes again, and may be held twice.
    poll_until(consumer, lambda: own_jid(job) in {message.jid for message in consumer.seen if not message.error}, 30,
               "the job is back")
    assert {message.topic for message in consumer.seen if not message.error} == {site.topic}
    assert not site.exists(f"{site.held_topic()}.held.Mail")


# --- one group executes a topic ---

def other_group(site, **settings):
    return site.consumer({"group.id": f"other-{site.group}", **settings})


def test_a_second_group_is_refused_with_the_cure_named(site):
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    consumer.next()
    stranger = other_group(site)
    error = stranger.next_error("_STATE")
    assert "jobgate group" in error.text and site.group in error.text
    assert not [message for message in stranger.seen if not message.error]


def test_an_observing_group_reads_untouched(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocked(site, consumer, producer)
    jobs = [mail(1), mail(2)]
    for job in jobs:
        producer.delivered(job)
    await_skips(consumer, 2)
    before = site.stats()
    producer.delivered(LAST)
    observer = other_group(site, **{"jobgate.observe": "true"})
    assert jids(observer.take(LAST))[-2:] == [own_jid(job) for job in jobs]
    after = site.stats()
    assert after["admitted"] == before["admitted"] and after["held"] == before["held"]
    assert site.running() == 1


def test_jobgate_group_moves_a_topic_to_another_group(site):
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    consumer.next()
    consumer.poll()
    site.await_running(0)
    stranger = other_group(site)
    stranger.next_error("_STATE")
    assert_idle(consumer)  # its job is done
    site.jobgate("group", site.topic, f"other-{site.group}")
    assert stranger.next(timeout_s=60)

    def refused():
        """The old group may believe for a moment that the topic is still its own."""
        producer.delivered(mail(time.monotonic()))
        return consumer.skips("_STATE")

    assert "jobgate group" in poll_until(consumer, refused, 90, "the old group is refused")[0].text
