# SPDX-License-Identifier: Apache-2.0
"""Exclusive leases: of a class, or of a job key, one job runs at a time; the others end as no-ops or are held. Whoever
holds a lease knows its fencing token, and how long the lease is surely its own.

Where one consumer has several jobs running, it commits by hand: there a job lasts until its offset is committed.
"""

import time

import pytest

from live.leases import (DONE_TEXT, DONE_TTL, HELD_TEXT, LEASE, LEASE_TTL, NEVER_COMMITS, NOOP_TEXT, TAKEN,
                         TOKEN_HEADER, await_holder, end, is_done, lease_of, token_of)
from live.limits import (LAST, MANUAL, NO_DEDUP, SKIP, SOON_S, STORING, assert_idle, finish, jids, mail,
                         overlap_of_consumers, pair, poll_until)
from support.app import PATIENCE_S, own_jid, produce_job, raw_produce
from support.processes import wait_until

both_modes = pytest.mark.parametrize("settings", [{}, MANUAL], ids=["poll", "commit"])
both_answers = pytest.mark.parametrize("taken", ["skip", "hold"])


def two_partitions(make_site, settings=None, **options):
    return make_site({LEASE: "class", **(settings or {})}, partitions=2, **options)


def ran(consumer):
    return [message for message in consumer.seen if not message.error]


# --- taken: a no-op ---

@both_modes
def test_a_job_that_finds_its_classs_lease_taken_ends_at_once_as_a_noop(make_site, settings):
    site = two_partitions(make_site)
    first, second = pair(site, settings)
    producer = site.producer()
    holder = producer.delivered(mail(1), partition=0)
    running = first.next()
    assert await_holder(site, holder.stamp).token == token_of(running)
    report = producer.delivered(mail(2), partition=1)
    skip = second.next_error(SKIP)
    assert (skip.partition, skip.offset, skip.text) == (1, report.offset, NOOP_TEXT)
    assert "no-op" in second.app.wait_log(f"job {report.stamp} ")
    assert (second.counter("noops"), second.counter("held"), first.counter("noops")) == (1, 0, 0)
    # Its own claim is gone with it, and the holder keeps what it has.
    assert not site.claims()
    assert lease_of(site).jid == holder.stamp
    again = producer.delivered(mail(2), partition=1)
    assert again.is_original
    assert second.next_error(SKIP).offset == again.offset
    end(first, running, settings)
    await_holder(site, "")
    report = producer.delivered(mail(2), partition=1)
    assert report.is_original
    assert second.next().stamp == report.stamp
    assert len(ran(second)) == 1 and second.counter("noops") == 2
    assert not site.exists(site.held_topic())


@both_modes
def test_a_noop_is_not_run_later_by_a_consumer_that_starts_anew(make_site, settings):
    site = two_partitions(make_site)
    first, second = pair(site, settings)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    running = first.next()
    producer.delivered(mail(2), partition=1)
    second.next_error(SKIP)
    end(first, running, settings)
    await_holder(site, "")
    for consumer in (first, second):
        consumer.close()
        consumer.destroy()
    assert site.committed(1) == 1
    producer.delivered(LAST, partition=1)
    assert site.consumer(settings).take(LAST) == []


def test_a_noop_whose_offset_was_not_committed_is_not_run_when_it_is_delivered_again(make_site):
    """Its consumer was killed, and its lease is free by then."""
    site = two_partitions(make_site)
    first = site.consumer(NEVER_COMMITS, subscribe=False)
    second, third = [site.consumer(NEVER_COMMITS, subscribe=False) for _ in range(2)]
    producer = site.producer()
    for consumer, partition in ((first, 0), (second, 1)):
        consumer.assign((partition, 0))
    producer.delivered(mail(1), partition=0)
    first.next()
    noop = producer.delivered(mail(2), partition=1)
    assert second.next_error(SKIP).text == NOOP_TEXT
    first.poll()
    await_holder(site, "")
    second.app.kill()
    third.assign((1, 0))
    assert third.next_error(SKIP).offset == noop.offset
    producer.delivered(LAST, partition=1)
    assert third.take(LAST) == []
    assert third.counter("done_again") == 1


# --- taken: held ---

@both_modes
def test_a_job_that_finds_its_lease_taken_is_held_and_comes_when_the_first_has_ended(make_site, settings):
    site = two_partitions(make_site, {TAKEN: "hold"})
    first, second = pair(site, settings)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    running = first.next()
    report = producer.delivered(mail(2), partition=1)
    assert second.next_error(SKIP).text == HELD_TEXT
    site.await_held(1)
    (record,) = site.read(site.held_topic())
    assert (record.stamp, record.header("jobgate-held-reason")) == (report.stamp, "lease")
    assert record.header(TOKEN_HEADER) is None
    assert_idle(second)
    began = time.monotonic()
    end(first, running, settings)
    resumed = second.next()
    assert time.monotonic() - began < SOON_S
    assert resumed.stamp == report.stamp and resumed.header("jobgate-resumed") == "1"
    assert token_of(resumed) > token_of(running)
    assert (second.counter("held"), second.counter("noops")) == (1, 0)
    end(second, resumed, settings)
    await_holder(site, "")
    site.await_held(0)
    wait_until(lambda: site.tickets() == 0, PATIENCE_S, "no ticket is left")


def test_held_jobs_run_one_after_the_other_in_their_order(make_site):
    site = make_site({LEASE: "class", TAKEN: "hold"})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(8)]
    for job in jobs:
        producer.delivered(job)
    tokens, order = [], []
    for _ in jobs:
        message = consumer.next()
        order.append(message.jid)
        tokens.append(token_of(message))
        assert site.running() == 1 and lease_of(site).jid == message.stamp
        finish(consumer, message)
    assert order == list(map(own_jid, jobs))
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize("settings, settle", [
    ({}, None), (MANUAL, "commit"), (MANUAL, "commit_async"), (STORING, "store"),
], ids=["poll", "commit", "commit-async", "store"])
def test_a_lease_is_exclusive_however_offsets_are_committed(make_site, slow, settings, settle):
    site = make_site({LEASE: "class", TAKEN: "hold", **NO_DEDUP}, partitions=3)
    assert overlap_of_consumers(site, settings, settle, 24, 60 * slow) == 1
    await_holder(site, "")
    site.await_held(0)


@both_answers
def test_with_a_lease_by_key_other_keys_run_and_the_same_key_does_not(make_site, taken):
    site = make_site({LEASE: "key", TAKEN: taken})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    first, same, other = mail(1), mail(1), mail(2)
    producer.delivered(first)
    running = consumer.next()
    assert await_holder(site, running.stamp, job_key=running.header("jobgate-key")).token == token_of(running)
    report = producer.delivered(same)
    assert consumer.next_error(SKIP).text == (NOOP_TEXT if taken == "skip" else HELD_TEXT)
    if taken == "skip":
        producer.delivered(other)
        beside = consumer.next()
        assert beside.jid == own_jid(other)
        assert lease_of(site, beside.header("jobgate-key")).jid == beside.stamp
        assert site.running() == 2
    assert lease_of(site, running.header("jobgate-key")).jid == running.stamp
    assert report.header("jobgate-key") == running.header("jobgate-key")
    finish(consumer, running)
    if taken == "hold":
        assert consumer.next().stamp == report.stamp


def test_a_lease_by_key_lets_other_keys_start_beside_it_while_nothing_is_held(make_site):
    site = make_site({LEASE: "key", TAKEN: "hold"})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        producer.delivered(job)
    messages = [consumer.next() for _ in jobs]
    assert jids(messages) == list(map(own_jid, jobs))
    assert site.running() == 4
    for message in messages:
        assert lease_of(site, message.header("jobgate-key")).jid == message.stamp


def test_a_lease_spans_the_topics_of_a_namespace(make_site, make_topic):
    other = make_topic()
    site = make_site({LEASE: "class"})
    site.settings["jobgate.topics"] = f"{site.topic},{other}"
    producer, consumer = site.producer(), site.consumer(MANUAL, subscribe=False).subscribe(site.topic, other)
    producer.delivered(mail(1))
    running = consumer.next()
    producer.delivered(mail(2), topic=other)
    skip = consumer.next_error(SKIP)
    assert (skip.topic, skip.text) == (other, NOOP_TEXT)
    finish(consumer, running)
    await_holder(site, "")
    job = mail(3)
    producer.delivered(job, topic=other)
    assert consumer.next().jid == own_jid(job)


# --- the fencing token ---

@both_modes
def test_each_job_is_given_a_larger_token_in_its_header_and_by_the_api(make_site, settings):
    site = make_site({LEASE: "class"})
    producer, consumer = site.producer(), site.consumer(settings)
    tokens = []
    for number in range(5):
        producer.delivered(mail(number))
        message = consumer.next()
        lease = consumer.lease(message)
        assert lease.token == token_of(message) == lease_of(site).token > 0
        assert 0 < lease.left_ms <= 30000
        tokens.append(lease.token)
        end(consumer, message, settings)
        await_holder(site, "")
        gone = consumer.lease(message)
        assert (gone.token, gone.left_ms) == (-1, -1)
    assert tokens == sorted(set(tokens))


def test_a_job_without_a_lease_has_no_token(make_site):
    site = make_site({LEASE: "class"})
    consumer = site.consumer(MANUAL)
    site.producer().delivered(produce_job("Other", [1]))
    message = consumer.next()
    assert message.header(TOKEN_HEADER) is None
    assert (consumer.lease(message).token, consumer.lease(message).left_ms) == (-1, -1)


@pytest.mark.parametrize("dedup", ["until_executing", "none"])
def test_a_forged_token_never_reaches_the_application(make_site, dedup):
    """Of a message without a plugin's stamp; one with a stamp of its own class's namespace; of a class without lease."""
    site = make_site({LEASE: "class", "jobgate.default.dedup": dedup})
    consumer = site.consumer(MANUAL)
    forged = [(TOKEN_HEADER, b"99999999999999"), ("mine", b"kept"), (TOKEN_HEADER, b"1")]
    raw_produce(site.kafka, site.topic, mail(1), headers=forged)
    message = consumer.next()
    assert message.header(TOKEN_HEADER) == str(consumer.lease(message).token) == str(lease_of(site).token)
    assert consumer.lease(message).token < 99999999999999
    assert message.header("mine") == "kept"
    raw_produce(site.kafka, site.topic, produce_job("Other", [1]), headers=forged)
    other = consumer.next()
    assert (other.header(TOKEN_HEADER), other.header("mine")) == (None, "kept")
    raw_produce(site.kafka, site.topic, b"no job", headers=forged)
    assert consumer.next().header(TOKEN_HEADER) is None
    # A stamp that a plugin made, with the forged header added by who copied it.
    stamped = site.producer().delivered(produce_job("Other", [2]))
    consumer.next()
    raw_produce(site.kafka, site.topic, stamped.value, headers=[*stamped.headers, *forged])
    assert consumer.next().header(TOKEN_HEADER) is None


def test_a_token_that_a_program_forwards_is_removed_by_its_own_plugin(make_site):
    site = make_site({LEASE: "class"})
    site.producer().delivered(mail(1), headers=[(TOKEN_HEADER, b"99999999999999"), ("mine", b"kept")])
    (message,) = site.log()
    assert (message.header(TOKEN_HEADER), message.header("mine")) == (None, "kept")


# --- it lasts while the job does, and not longer ---

@both_modes
def test_a_job_that_runs_for_several_ttls_keeps_its_lease_while_another_waits(make_site, settings):
    site = two_partitions(make_site, {TAKEN: "hold", LEASE_TTL: 1000})
    first, second = pair(site, settings)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    running = first.next()
    producer.delivered(mail(2), partition=1)
    second.next_error(SKIP)
    client = site.redis.client()
    began_s = client.time()[0]
    while client.time()[0] - began_s < 5:
        assert lease_of(site).jid == running.stamp
        lease = first.lease(running)
        assert lease.token == token_of(running) and 0 < lease.left_ms <= 1000
        assert_idle(second, 0.1)
    assert first.counter("leases_lost") == 0
    end(first, running, settings)
    assert token_of(second.next()) > token_of(running)


def test_the_shorter_of_both_ttls_counts_where_a_class_has_a_limit_too(make_site):
    site = make_site({LEASE: "class", LEASE_TTL: 60000, "jobgate.class.Mail.limit": 5,
                      "jobgate.class.Mail.limit.ttl.ms": 2000})
    consumer = site.consumer(MANUAL)
    site.producer().delivered(mail(1))
    message = consumer.next()
    assert 0 < consumer.lease(message).left_ms <= 2000
    consumer.app.kill()
    await_holder(site, "")


def test_a_lease_within_a_limit_lets_one_run_whatever_the_limit_is(make_site):
    site = make_site({LEASE: "class", TAKEN: "hold", "jobgate.class.Mail.limit": 3})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        producer.delivered(job)
    order = []
    for _ in jobs:
        message = consumer.next()
        order.append(message.jid)
        assert site.running() == 1
        finish(consumer, message)
    assert sorted(order) == sorted(map(own_jid, jobs))


def test_an_unfinished_job_frees_its_lease_at_once_when_its_consumer_closes_in_order(make_site):
    """And is not a copy of itself when it comes again, although its lease would have lasted for long."""
    site = two_partitions(make_site, {"jobgate.close": "redeliver"})
    first, second = pair(site)
    producer = site.producer()
    report = producer.delivered(mail(1), partition=0)
    running = first.next()
    await_holder(site, report.stamp)
    first.close()
    await_holder(site, "", timeout_s=SOON_S)
    assert not is_done(site, report.stamp)
    again = second.next()
    assert again.stamp == report.stamp and again.header("jobgate-resumed") is None
    assert token_of(again) > token_of(running)


def test_a_finished_job_frees_its_lease_when_its_consumer_closes_in_order(make_site):
    site = make_site({LEASE: "class"})
    consumer = site.consumer()
    report = site.producer().delivered(mail(1))
    consumer.next()
    consumer.close()
    await_holder(site, "", timeout_s=SOON_S)
    assert is_done(site, report.stamp)
    assert site.committed() == 1


# --- a consumer that is killed ---

@both_answers
def test_a_job_whose_own_killed_run_still_holds_the_lease_is_held_and_runs_then(make_site, taken):
    """Never a no-op: it would be lost."""
    site = two_partitions(make_site, {TAKEN: taken, LEASE_TTL: 8000})
    first, second = [site.consumer(NEVER_COMMITS, subscribe=False) for _ in range(2)]
    producer = site.producer()
    first.assign((0, 0))
    report = producer.delivered(mail(1), partition=0)
    running = first.next()
    await_holder(site, report.stamp)
    first.app.kill()
    second.assign((0, 0), (1, 0))
    skip = second.next_error(SKIP)
    assert (skip.partition, skip.offset, skip.text) == (0, report.offset, HELD_TEXT)
    (record,) = wait_until(lambda: site.read(site.held_topic()), PATIENCE_S, "it is in the holding topic")
    assert (record.stamp, record.header("jobgate-held-reason")) == (report.stamp, "lease")
    assert lease_of(site).member.split("@")[2] == f"{site.topic}/0/0", "its lease ran out too soon for this test"
    if taken == "skip":
        producer.delivered(mail(2), partition=1)
        other = second.next_error(SKIP)
        assert (other.partition, other.text) == (1, NOOP_TEXT)
        assert lease_of(site).token == token_of(running), "its lease ran out too soon for this test"
    again = second.next()
    assert again.stamp == report.stamp and again.header("jobgate-resumed") == "1"
    assert token_of(again) > token_of(running)
    assert jids(ran(second)) == [running.jid]


def test_a_job_that_was_done_and_whose_offset_was_not_committed_is_not_run_twice(make_site):
    site = make_site({LEASE: "class"})
    first, second = [site.consumer(NEVER_COMMITS, subscribe=False) for _ in range(2)]
    producer = site.producer()
    first.assign((0, 0))
    report = producer.delivered(mail(1))
    first.next()
    first.poll()
    wait_until(lambda: is_done(site, report.stamp), PATIENCE_S, "the store knows that it is done")
    first.app.kill()
    second.assign((0, 0))
    skip = second.next_error(SKIP)
    assert (skip.offset, skip.text) == (report.offset, DONE_TEXT)
    assert "is done already" in second.app.wait_log(f"job {report.stamp} ")
    job = mail(2)
    producer.delivered(job)
    assert second.next().jid == own_jid(job)
    assert len(ran(second)) == 1
    assert (second.counter("done_again"), second.counter("noops")) == (1, 0)


def test_a_job_that_was_done_is_remembered_for_done_ttl_ms(make_site):
    site = make_site({LEASE: "class", DONE_TTL: 1000})
    first, second = [site.consumer(NEVER_COMMITS, subscribe=False) for _ in range(2)]
    report = site.producer().delivered(mail(1))
    first.assign((0, 0))
    first.next()
    first.poll()
    await_holder(site, "")
    wait_until(lambda: not is_done(site, report.stamp), PATIENCE_S, "it is forgotten")
    first.app.kill()
    second.assign((0, 0))
    assert second.next().stamp == report.stamp


def test_a_held_copy_of_a_job_is_skipped_when_the_first_run_ends_after_all(make_site):
    """Its partition was taken away while it ran: the copy waits for the lease, and finds the job done."""
    site = two_partitions(make_site, {TAKEN: "hold"})
    first, second = [site.consumer({**MANUAL, **NEVER_COMMITS}, subscribe=False) for _ in range(2)]
    producer = site.producer()
    first.assign((0, 0))
    report = producer.delivered(mail(1), partition=0)
    running = first.next()
    second.assign((0, 0))
    assert second.next_error(SKIP).text == HELD_TEXT
    site.await_held(1)
    finish(first, running)
    wait_until(lambda: is_done(site, report.stamp), PATIENCE_S, "the store knows that it is done")
    poll_until(second, lambda: DONE_TEXT in [skip.text for skip in second.skips()], PATIENCE_S, "the copy is skipped")
    assert not ran(second)
    await_holder(site, "")


# --- calls that hand out many ---

def test_a_batch_call_with_a_lease_is_refused_with_the_cure_named(make_site):
    site = make_site({LEASE: "class", **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    producer.delivered(mail(2))
    wait_until(lambda: [message for message in consumer.batch() if message.error == "_STATE"], 30, "a refusal",
               interval_s=0)
    text = next(message.text for message in consumer.seen if message.error == "_STATE").lower()
    assert "lease" in text and "enable.auto.offset.store=false" in text, text
    assert not ran(consumer)


def test_a_batch_call_with_a_lease_and_manual_commits_hands_out_one(make_site):
    site = make_site({LEASE: "class", TAKEN: "hold", **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        producer.delivered(job)
    found = []

    def step():
        got = [message for message in consumer.batch(timeout_ms=200) if not message.error]
        assert len(got) <= 1 and site.running() <= 1
        found.extend(got)
        if got:
            consumer.commit((0, max(message.offset for message in got) + 1))
        return len(found) >= len(jobs)

    wait_until(step, PATIENCE_S, "all ran", interval_s=0)
    assert sorted(jids(found)) == sorted(map(own_jid, jobs))
