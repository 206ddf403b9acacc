# SPDX-License-Identifier: Apache-2.0
"""A store that lost its data, or went back in time: jobs may run twice, and none is lost."""

import pytest

from support.app import own_jid, produce_job
from support.processes import wait_until

LAST = produce_job("Last", [])
both_modes = pytest.mark.parametrize("mode", ["until_executing", "until_executed"])


def mail(*args):
    return produce_job("Mail", args or [1])


def jids(messages):
    return [message.jid for message in messages]


@pytest.fixture
def make(make_site, own_redis):
    def make(mode):
        return make_site({"jobgate.default.dedup": mode, "jobgate.store.timeout.ms": 200,
                          "jobgate.store.wait.ms": 1000}, redis=own_redis)

    return make


@both_modes
def test_redis_restarted_empty_under_load_loses_no_job(make, own_redis, mode):
    site = make(mode)
    producer, consumer = site.producer(), site.consumer()
    consumer.run()
    jobs = []

    def produce(count):
        for _ in range(count):
            jobs.append(mail(len(jobs)))
            producer.accepted(jobs[-1])

    for _ in range(3):
        produce(200)
        own_redis.kill()
        produce(50)
        own_redis.restart_empty()
        produce(50)
    producer.flush()
    expected = set(map(own_jid, jobs))
    wait_until(lambda: expected <= set(jids(consumer.starts())), 60, "every job ran", interval_s=0.2)
    assert all(message.stamp for message in consumer.starts())


@both_modes
def test_redis_restarted_empty_under_load_of_equal_jobs_leaves_none_undone(make, own_redis, mode):
    """Of equal jobs one is to start after the last one was produced (or, until_executed, to end after it)."""
    site = make(mode)
    producer, consumer = site.producer(), site.consumer()
    consumer.run()
    for _ in range(3):
        for number in range(150):
            producer.accepted(mail(number % 7))
        own_redis.restart_empty()
        for number in range(150):
            producer.accepted(mail(number % 7))
    producer.flush()
    producer.delivered(LAST)
    wait_until(lambda: any(message.value == LAST.encode() for message in consumer.starts()), 60, "the last job ran")
    log = site.log()
    # A marked duplicate's original must be in the log: what stands for it really existed, and ran.
    ran = {message.stamp: message.event["wall_ms"] for message in consumer.starts()}
    for message in log:
        original = message.stamps.get("jobgate-duplicate-of")
        assert original is None or original in ran
        if original and mode == "until_executing":
            assert message.event["timestamp_ms"] <= ran[original], "its original had started before it was produced"
        assert message.stamp in ran or {"jobgate-duplicate-of", "jobgate-candidate-of"} & set(message.stamps)


@both_modes
def test_redis_restored_from_an_old_snapshot_drops_no_job(make, own_redis, mode):
    """The snapshot holds the claim of a job that has run since: it must turn nothing away."""
    site = make(mode)
    producer, consumer = site.producer(), site.consumer()
    first, second = mail(), mail()
    site.queued(producer, first)
    snapshot = own_redis.snapshot()
    assert consumer.next().jid == own_jid(first)
    consumer.poll()
    site.await_state(None)
    own_redis.restart_from(snapshot)
    assert site.claim()["st"] == "q"
    report = producer.delivered(second)
    assert report.stamp and not report.header("jobgate-duplicate-of")
    assert consumer.next().jid == own_jid(second)


@both_modes
def test_a_candidate_of_a_claim_from_an_old_snapshot_runs(make, own_redis, mode):
    site = make(mode)
    producer, consumer = site.producer(), site.consumer()
    original = site.queued(producer)
    snapshot = own_redis.snapshot()
    consumer.next()
    consumer.poll()
    site.await_state(None)
    own_redis.restart_from(snapshot)

    def candidate():
        report = producer.delivered(mail())
        return report if not report.header("jobgate-unclaimed") else None

    report = wait_until(candidate, 30, "the store is asked again")
    assert report.header("jobgate-candidate-of") == original.stamp
    wait_until(lambda: (message := consumer.poll()) and message.stamp == report.stamp,
               30, "the candidate runs", interval_s=0)


def test_a_running_job_survives_the_loss_and_is_not_run_again(make, own_redis):
    site = make("until_executed")
    producer, consumer = site.producer(), site.consumer()
    job = mail()
    site.queued(producer, job)
    consumer.run(job_ms=-1)
    assert consumer.started().jid == own_jid(job)
    own_redis.restart_empty()
    consumer.finish()
    producer.delivered(LAST)
    assert consumer.started(2).value == LAST.encode()
    consumer.finish()


@both_modes
def test_a_flushed_redis_drops_no_job(make, own_redis, mode):
    """The same server process, all keys gone."""
    site = make(mode)
    producer, consumer = site.producer(), site.consumer(subscribe=False)
    first, second = mail(), mail()
    site.queued(producer, first)
    own_redis.client().flushall()
    site.queued(producer, second)
    producer.delivered(LAST)
    assert jids(consumer.subscribe().take(LAST)) == [own_jid(first), own_jid(second)]


def test_scripts_that_the_server_forgot_are_loaded_again(make, own_redis):
    site = make("until_executing")
    producer = site.producer()
    original = site.queued(producer)
    own_redis.client().script_flush()
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp
