# SPDX-License-Identifier: Apache-2.0
"""A store that is down: no job is lost, nobody waits longer than the bounds, and it heals without a restart.

"Down" is a server that was killed (connections are refused) or paused (it answers nothing).
"""

import time
import uuid

import pytest

from support.app import own_jid, produce_job
from support.processes import wait_until

LAST = produce_job("Last", [])
TIMEOUT_MS = 200
WAIT_MS = 1000
# What a busy machine may add to a bound.
SLACK_MS = 1000


def mail(*args):
    return produce_job("Mail", args or [1])


def jids(messages):
    return [message.jid for message in messages]


@pytest.fixture
def site(make_site, own_redis):
    return make_site({"jobgate.store.timeout.ms": TIMEOUT_MS, "jobgate.store.wait.ms": WAIT_MS}, redis=own_redis)


@pytest.fixture(params=["killed", "paused"])
def outage(request, own_redis):
    """outage.begin(), outage.end()"""
    class Outage:
        begin = staticmethod(own_redis.kill if request.param == "killed" else own_redis.pause)
        end = staticmethod(own_redis.start if request.param == "killed" else own_redis.resume)

    yield Outage
    own_redis.resume()


@pytest.fixture
def call_bound_ms(slow):
    return (2 * TIMEOUT_MS + SLACK_MS) * slow


def start_with(consumer, producer, jobs):
    """The consumer works; jobs with claims wait for its next polls."""
    producer.delivered(LAST)
    consumer.take(LAST)
    for job in jobs:
        assert producer.delivered(job).is_original


def claimed_again(producer, site):
    """Produce new jobs until one is claimed, as when the store was never away."""
    def claimed():
        report = producer.delivered(mail(uuid.uuid4().hex))
        return report if not report.header("jobgate-unclaimed") else None

    return wait_until(claimed, 30, "claims are made again", interval_s=0.1)


def test_a_producer_sends_unclaimed_jobs_and_they_run(site, outage):
    producer = site.producer()
    site.queued(producer)
    outage.begin()
    jobs = [mail(), mail()]
    for job in jobs:
        report = producer.delivered(job)
        assert report.header("jobgate-unclaimed")
        assert not {"jobgate-duplicate-of", "jobgate-candidate-of"} & set(report.stamps)
    outage.end()
    consumer = site.consumer()
    claimed_again(producer, site)
    producer.delivered(LAST)
    assert set(map(own_jid, jobs)) <= set(jids(consumer.take(LAST)))


def test_a_producer_that_must_claim_fails_its_calls_and_sends_nothing(site, outage):
    producer = site.producer({"jobgate.store.failure": "closed"})
    original = site.queued(producer)
    outage.begin()
    for _ in range(3):
        assert producer.failed(mail(2)) == "_UNKNOWN_PARTITION"
    outage.end()
    wait_until(lambda: not producer.send(mail(3))[0].error, 30, "produce calls succeed again")
    producer.flush()
    first, third = site.log()
    assert first.stamp == original.stamp
    assert "jobgate-unclaimed" not in third.stamps


def test_in_batch_calls_a_producer_that_must_claim_sends_unclaimed(site, outage):
    producer = site.producer({"jobgate.store.failure": "closed"})
    site.queued(producer)
    outage.begin()
    answers = producer.send(mail(2), mail(3), call="batch")
    assert [producer.report(answer).error for answer in answers] == [None, None]
    assert all(message.header("jobgate-unclaimed") for message in site.log()[1:])


def test_in_transactions_a_producer_that_must_claim_sends_unclaimed(site, own_redis):
    producer = site.producer({"jobgate.store.failure": "closed", "transactional.id": uuid.uuid4().hex})
    producer.transaction("init")
    own_redis.kill()
    producer.transaction("begin")
    producer.accepted(mail())
    producer.transaction("commit")
    (message,) = site.log()
    assert message.header("jobgate-unclaimed")


def test_no_produce_call_waits_longer_than_its_bound(site, outage, call_bound_ms):
    producer = site.producer()
    site.queued(producer)
    outage.begin()
    answers = [producer.accepted(mail(number)) for number in range(100)]
    assert max(answer.ms for answer in answers) < call_bound_ms
    # The breaker: a dead store does not cost a timeout per message.
    assert sum(answer.ms for answer in answers) < 4 * call_bound_ms


def test_no_batch_call_waits_longer_than_its_bound(site, outage, call_bound_ms):
    producer = site.producer()
    site.queued(producer)
    outage.begin()
    answers = producer.send(*[mail(number) for number in range(100)], call="batch")
    assert answers[0].call_ms < 2 * call_bound_ms


def test_sixteen_threads_wait_no_longer_than_one(site, outage, call_bound_ms):
    producer = site.producer()
    site.queued(producer)
    outage.begin()
    answers = producer.send(mail("a"), mail("b"), race=[producer.name] * 16)
    assert len(answers) == 32
    assert answers[0].call_ms < 3 * call_bound_ms


def test_a_consumer_sees_an_error_with_the_reason_and_gets_the_job_once_the_store_is_back(site, outage):
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(3)]
    start_with(consumer, producer, jobs)
    outage.begin()
    error = consumer.next_error("_STATE")
    assert "store" in error.text.lower() or "redis" in error.text.lower(), error.text
    consumer.next_error("_STATE")
    outage.end()
    assert jids([consumer.next() for _ in jobs]) == [own_jid(job) for job in jobs]


def test_no_poll_waits_longer_than_its_bound(site, outage, call_bound_ms):
    producer, consumer = site.producer(), site.consumer()
    start_with(consumer, producer, [mail()])
    outage.begin()
    began = time.monotonic()
    error = consumer.next_error("_STATE")
    assert time.monotonic() - began >= WAIT_MS / 1000 * 0.9
    assert error.poll_ms < WAIT_MS + call_bound_ms
    assert consumer.next_error("_STATE").poll_ms < WAIT_MS + call_bound_ms


def test_an_outage_shorter_than_the_wait_shows_no_error(site, own_redis):
    producer, consumer = site.producer(), site.consumer({"jobgate.store.wait.ms": 20000})
    job = mail()
    start_with(consumer, producer, [job])
    own_redis.kill()
    poll = consumer.app.send("poll", handle=consumer.name, timeout_ms=30000)
    own_redis.start()
    message = consumer.app.reply(poll)["message"]
    assert message["name"] == "NO_ERROR"
    assert own_jid(message["value"]) == own_jid(job)


def test_a_job_that_waits_for_the_store_is_not_committed(site, outage):
    producer, consumer = site.producer(), site.consumer({"auto.commit.interval.ms": 100})
    start_with(consumer, producer, [mail()])
    outage.begin()
    consumer.next_error("_STATE")
    consumer.next_error("_STATE")
    assert site.committed() == 1


def test_marked_duplicates_are_skipped_without_the_store(site, outage):
    producer, consumer = site.producer(), site.consumer()
    site.queued(producer)
    marked = producer.delivered(mail())
    assert marked.header("jobgate-duplicate-of")
    consumer.next()
    consumer.poll()
    outage.begin()
    wait_until(lambda: consumer.poll() is None and consumer.skips(), 30, "the skip")
    assert not consumer.skips("_STATE")


def test_a_job_that_runs_when_the_store_dies_is_completed_when_it_is_back(site, own_redis):
    site.settings["jobgate.default.dedup"] = "until_executed"
    producer, consumer = site.producer(), site.consumer()
    job = mail()
    site.queued(producer, job)
    consumer.next()
    site.await_state("r")
    own_redis.pause()
    consumer.poll()
    consumer.poll(500)
    own_redis.resume()
    wait_until(lambda: consumer.poll() is None and not site.claims(), 30, "the claim ends")
    assert jids(message for message in consumer.seen if not message.error) == [own_jid(job)]


def test_duplicates_are_recognised_again_after_an_outage(site, outage):
    producer = site.producer()
    outage.begin()
    producer.delivered(mail())
    outage.end()
    claimed_again(producer, site)
    original = site.queued(producer)
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp


def test_handles_start_while_the_store_is_down_and_work_when_it_comes(site, own_redis):
    claimed, unclaimed = mail(1), mail(2)
    site.queued(site.producer(), claimed)
    snapshot = own_redis.snapshot()
    own_redis.kill()
    producer, consumer = site.producer(), site.consumer()
    assert producer.delivered(unclaimed).header("jobgate-unclaimed")
    consumer.next_error("_STATE")
    own_redis.restart_from(snapshot)
    assert jids([consumer.next(), consumer.next()]) == [own_jid(claimed), own_jid(unclaimed)]
    claimed_again(producer, site)


def test_an_unclaimed_job_ends_nobodys_claim(site, own_redis):
    producer, consumer = site.producer(), site.consumer(subscribe=False)
    own_redis.pause()
    producer.delivered(mail())
    own_redis.resume()
    claimed_again(producer, site)
    original = site.queued(producer)
    consumer.subscribe()
    assert consumer.next().header("jobgate-unclaimed")
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp


def test_an_outage_is_logged(site, outage):
    producer = site.producer()
    site.queued(producer)
    outage.begin()
    producer.delivered(mail())
    producer.app.wait_log("STORE")
