# SPDX-License-Identifier: Apache-2.0
"""Duplicates of a job that nobody has acknowledged yet: it may still fail, so they may have to run.

A "held" producer keeps its messages in its own queue until it is flushed.
"""

import pytest

from support.app import own_jid, produce_job, raw_produce
from support.processes import wait_until

LAST = produce_job("Last", [])
SMALL_TOPIC = {"max.message.bytes": 20000}
both_modes = pytest.mark.parametrize("mode", ["until_executing", "until_executed"])


def mail(**more):
    return produce_job("Mail", [1], **more)


def too_large():
    """The same job by its class and arguments, and more than SMALL_TOPIC takes."""
    return mail(padding="x" * 50000)


def jids(messages):
    return [message.jid for message in messages]


@pytest.mark.parametrize("action", ["mark", "reject"])
def test_a_duplicate_of_an_unacknowledged_job_is_sent_as_its_candidate(make_site, action):
    site = make_site({"jobgate.default.dedup.action": action})
    held, producer = site.holding_producer(), site.producer()
    original = held.accepted(mail())
    candidate = producer.delivered(mail())
    assert "jobgate-duplicate-of" not in candidate.stamps
    held.flush()
    assert candidate.header("jobgate-candidate-of") == held.report(original).stamp


@both_modes
def test_a_candidate_runs_when_its_original_failed(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode}, topic_config=SMALL_TOPIC)
    held, producer = site.holding_producer(), site.producer()
    original = held.accepted(too_large())
    job = mail()
    candidate = producer.delivered(job)
    held.flush()
    assert held.report(original).error == "MSG_SIZE_TOO_LARGE"
    wait_until(lambda: site.claim() and site.claim()["jid"] == candidate.stamp, 30, "the claim passed on")
    site.await_state("q")
    # It stands for the job now, like any original.
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == candidate.stamp
    producer.delivered(LAST)
    assert jids(site.consumer().take(LAST)) == [own_jid(job)]


def test_a_candidate_that_is_unacknowledged_itself_inherits_a_provisional_claim(make_site):
    site = make_site(topic_config=SMALL_TOPIC)
    first, second, producer = site.holding_producer(), site.holding_producer(), site.producer()
    original = first.accepted(too_large())
    heir = second.accepted(mail())
    first.flush()
    assert first.report(original).error == "MSG_SIZE_TOO_LARGE"
    wait_until(lambda: site.claim()["jid"] != first.report(original).stamp, 30, "the claim passed on")
    assert site.claim()["st"] == "p"
    assert producer.delivered(mail()).header("jobgate-candidate-of")
    second.flush()
    assert second.report(heir).stamp == site.claim()["jid"]
    site.await_state("q")


@both_modes
def test_a_candidate_of_an_original_that_is_queued_is_skipped(make_site, mode):
    """The candidate comes first in the log; its original follows, acknowledged before anything is consumed."""
    site = make_site({"jobgate.default.dedup": mode})
    held, producer = site.holding_producer(), site.producer()
    original = mail()
    held.accepted(original)
    assert producer.delivered(mail()).header("jobgate-candidate-of")
    held.flush()
    site.await_state("q")
    producer.delivered(LAST)
    consumer = site.consumer()
    assert jids(consumer.take(LAST)) == [own_jid(original)]
    assert [skip.offset for skip in consumer.skips()] == [0]


@both_modes
def test_a_candidate_of_an_original_that_ran_is_skipped(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode})
    first, second, producer = site.holding_producer(), site.holding_producer(), site.producer()
    job = mail()
    first.accepted(job)
    candidate = second.accepted(mail())
    first.flush()
    site.await_state("q")
    consumer = site.consumer()
    consumer.run()
    assert consumer.started().jid == own_jid(job)
    site.await_state(None)
    second.flush()
    assert second.report(candidate).header("jobgate-candidate-of")
    producer.delivered(LAST)
    assert consumer.started(2).value == LAST.encode()


def test_a_candidate_of_an_unacknowledged_original_runs(site):
    """Nothing may be dropped for the sake of a job that may yet fail."""
    held, producer = site.holding_producer(), site.producer()
    original, candidate = mail(), mail()
    held.accepted(original)
    assert producer.delivered(candidate).header("jobgate-candidate-of")
    producer.delivered(LAST)
    consumer = site.consumer()
    assert jids(consumer.take(LAST)) == [own_jid(candidate)]
    held.flush()
    assert consumer.next().jid == own_jid(original)


def test_a_candidate_of_a_killed_producers_job_runs(make_site):
    site = make_site({"jobgate.default.dedup.provisional.ms": 1000})
    held, producer = site.holding_producer(), site.producer()
    held.accepted(mail())
    candidate = mail()
    assert producer.delivered(candidate).header("jobgate-candidate-of")
    held.app.kill()
    site.await_state(None)
    producer.delivered(LAST)
    assert jids(site.consumer().take(LAST)) == [own_jid(candidate)]


def test_a_killed_producers_claim_is_gone_within_the_provisional_time(make_site):
    site = make_site({"jobgate.default.dedup.provisional.ms": 1500})
    held, producer = site.holding_producer(), site.producer()
    held.accepted(mail())
    assert site.claim()["st"] == "p"
    held.app.kill()
    site.await_state(None, timeout_s=1.5 + 1)
    report = producer.delivered(mail())
    assert report.is_original


def test_an_unacknowledged_producer_keeps_its_claim_alive_past_the_provisional_time(make_site):
    site = make_site({"jobgate.default.dedup.provisional.ms": 1500})
    held, producer = site.holding_producer(), site.producer()
    job = held.accepted(mail())
    owner = site.claim()["jid"]
    # What the server's own clock says has passed, not ours.
    client = site.redis.client()
    began_s = client.time()[0]
    wait_until(lambda: client.time()[0] - began_s >= 5, 30, "five seconds on the server's clock")
    assert site.claim()["jid"] == owner
    assert producer.delivered(mail()).header("jobgate-candidate-of") == owner
    held.flush()
    assert held.report(job).error is None
    site.await_state("q")


def test_a_claim_is_released_when_the_broker_refuses_the_message(make_site):
    site = make_site(topic_config=SMALL_TOPIC)
    producer = site.producer()
    assert producer.failed(too_large()) == "MSG_SIZE_TOO_LARGE"
    site.await_state(None)
    report = producer.delivered(mail())
    assert report.is_original


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_claim_is_released_when_the_partition_does_not_exist(site, known):
    producer = site.producer(know=site.topic if known else None)
    assert producer.failed(mail(), partition=7) == "_UNKNOWN_PARTITION"
    site.await_state(None)
    report = producer.delivered(mail())
    assert report.is_original


def test_a_claim_is_released_when_the_topic_does_not_exist(site):
    producer = site.producer({"jobgate.topics": "no-such-topic", "topic.metadata.propagation.max.ms": 1000})
    assert producer.failed(mail(), topic="no-such-topic") in ("_UNKNOWN_TOPIC", "UNKNOWN_TOPIC_OR_PART")
    site.await_state(None)


def test_a_claim_is_released_when_the_producers_queue_is_full(site):
    producer = site.holding_producer({"queue.buffering.max.messages": 1})
    producer.accepted(produce_job("Other", []))
    assert producer.refused(mail()).error == "_QUEUE_FULL"
    wait_until(lambda: len(site.claims()) == 1, 30, "the refused job's claim is released")


def test_a_claim_is_released_when_delivery_times_out(make_site, paused_kafka):
    site = make_site(kafka=paused_kafka)
    producer = site.producer({"message.timeout.ms": 1500, "jobgate.default.dedup.provisional.ms": 60000})
    producer.delivered(LAST)
    paused_kafka.pause()
    assert producer.failed(mail()) == "_MSG_TIMED_OUT"
    wait_until(lambda: not [claim for claim in site.claims() if claim["st"] == "p"], 30, "the claim is released")
    paused_kafka.resume()
    report = producer.delivered(mail())
    assert report.is_original


def test_a_claim_is_released_when_the_program_purges_its_queue(site):
    producer = site.holding_producer()
    producer.accepted(mail())
    site.await_state("p")
    producer.app.call("purge", handle=producer.name)
    site.await_state(None)


@pytest.mark.parametrize("acks", ["1", "0"])
def test_acknowledgements_weaker_than_all_confirm_nothing(site, acks):
    weak, producer = site.producer({"acks": acks}), site.producer()
    original = weak.delivered(mail())
    # Its later jobs are acknowledged after it, and another handle's confirmation shows that time for one was given.
    weak.delivered(produce_job("Other", []))
    site.queued(producer, LAST)
    assert {claim["st"] for claim in site.claims() if claim["jid"] == original.stamp} == {"p"}
    assert producer.delivered(mail()).header("jobgate-candidate-of") == original.stamp


def test_a_candidate_whose_original_never_existed_runs(site):
    """A record of the candidate's is in the log, and nothing in the store."""
    key = "0123456789abcdef" * 2
    raw_produce(site.kafka, site.topic, mail(), headers=[
        ("jobgate-v", b"1"), ("jobgate-origin", f"default/{site.topic}".encode()), ("jobgate-class", b"Mail"),
        ("jobgate-key", key.encode()), ("jobgate-jid", f"{key}-00000000000000000001".encode()),
        ("jobgate-dedup", b"until_executing"), ("jobgate-candidate-of", f"{key}-00000000000000000002".encode())])
    assert site.consumer().next().header("jobgate-candidate-of")
