# SPDX-License-Identifier: Apache-2.0
"""Leases that are lost, stores that lose theirs, and what log.format=json tells of a job's life."""

import pytest

from live.leases import (HELD_TEXT, LEASE, LEASE_TTL, NOOP_TEXT, TAKEN, await_holder, end, events, is_done, lease_of,
                         token_of)
from live.limits import MANUAL, SKIP, assert_idle, finish, mail, pair, poll_until
from support.app import PATIENCE_S, produce_job
from support.processes import wait_until

JSON = {"jobgate.log.format": "json"}
both_modes = pytest.mark.parametrize("settings", [{}, MANUAL], ids=["poll", "commit"])


def stopped_past_its_lease(site, consumer):
    """The consumer is stopped until nobody holds the lease."""
    consumer.app.pause()
    await_holder(site, "")


# --- a lost lease ---

@both_modes
def test_a_lease_that_is_lost_is_told_and_its_jobs_late_end_changes_nothing(make_site, settings):
    site = make_site({LEASE: "class", LEASE_TTL: 1000, **JSON}, partitions=2, session_ms=45000)
    first, second = pair(site, settings)
    producer = site.producer()
    old = producer.delivered(mail(1), partition=0)
    running = first.next()
    await_holder(site, old.stamp)
    stopped_past_its_lease(site, first)
    new = producer.delivered(mail(2), partition=1)
    other = second.next()
    assert other.stamp == new.stamp and token_of(other) > token_of(running)
    first.app.resume()
    assert first.lease(running).left_ms == 0
    assert first.lease(running).token == token_of(running)
    assert f"job {old.stamp} has lost its lease" in first.app.wait_log("has lost its lease")
    assert first.counter("leases_lost") == 1
    (event,) = events(first.app, "lease_lost")
    assert (event["jid"], event["class"], event["lease_token"]) == (old.stamp, "Mail", token_of(running))
    # Its end comes late.
    end(first, running, settings)
    wait_until(lambda: first.counter("completed") == 1, PATIENCE_S, "the store was told of its end")
    assert lease_of(site).jid == new.stamp and lease_of(site).token == token_of(other)
    assert site.running() == 1
    assert not is_done(site, old.stamp)
    assert second.lease(other).left_ms > 0
    # And it is the other's still: a third one does not get it.
    producer.delivered(mail(3), partition=1 if settings else 0)
    assert (second if settings else first).next_error(SKIP).text == NOOP_TEXT
    end(second, other, settings)
    await_holder(site, "")
    assert is_done(site, new.stamp)
    assert second.counter("leases_lost") == 0


def test_a_lease_that_ran_out_while_nobody_wanted_it_is_lost_too(make_site):
    """By then another may have had it and gone: nothing tells."""
    site = make_site({LEASE: "class", LEASE_TTL: 1000}, session_ms=45000)
    consumer = site.consumer(MANUAL)
    site.producer().delivered(mail(1))
    running = consumer.next()
    stopped_past_its_lease(site, consumer)
    consumer.app.resume()
    consumer.app.wait_log("has lost its lease")
    assert consumer.lease(running).left_ms == 0
    assert lease_of(site).jid == ""
    assert consumer.counter("leases_lost") == 1


def test_a_job_that_lost_its_lease_is_told_so_once(make_site):
    site = make_site({LEASE: "class", LEASE_TTL: 1000, **JSON}, session_ms=45000)
    consumer = site.consumer(MANUAL)
    producer = site.producer()
    producer.delivered(mail(1))
    running = consumer.next()
    stopped_past_its_lease(site, consumer)
    consumer.app.resume()
    consumer.app.wait_log("has lost its lease")
    # Another job's heartbeats come and go meanwhile.
    producer.delivered(mail(2))
    other = consumer.next()
    client = site.redis.client()
    began_s = client.time()[0]
    wait_until(lambda: client.time()[0] - began_s >= 3, PATIENCE_S, "three seconds on the server's clock")
    assert consumer.lease(other).left_ms > 0 and consumer.lease(running).left_ms == 0
    assert consumer.counter("leases_lost") == 1 and len(events(consumer.app, "lease_lost")) == 1


# --- a store that lost its data ---

@both_modes
def test_a_lease_outlives_a_redis_that_is_emptied_and_nobody_else_gets_it(make_site, own_redis, settings):
    site = make_site({LEASE: "class", TAKEN: "hold", LEASE_TTL: 6000}, redis=own_redis, partitions=2)
    first, second = pair(site, settings)
    producer = site.producer()
    holder = producer.delivered(mail(1), partition=0)
    running = first.next()
    before = await_holder(site, holder.stamp)
    own_redis.restart_empty()
    report = producer.delivered(mail(2), partition=1)
    poll_until(second, lambda: [skip for skip in second.skips() if skip.text == HELD_TEXT], 60, "the other is held")
    after = await_holder(site, holder.stamp)
    assert (after.member, after.token) == (before.member, before.token) and after.token == token_of(running)
    assert_idle(second, 3)
    lease = first.lease(running)
    assert lease.token == token_of(running) and lease.left_ms > 0
    assert first.counter("leases_lost") == 0
    end(first, running, settings)
    resumed = second.next()
    assert resumed.stamp == report.stamp and token_of(resumed) > token_of(running)


def test_the_grace_keeps_others_from_a_lease_that_is_not_put_back(make_site, own_redis):
    """Its holder is stopped as Redis loses its data: nobody gets it before the grace is over, and then with a larger
    token; the holder cannot put it back."""
    site = make_site({LEASE: "class", LEASE_TTL: 3000, "jobgate.store.grace.ms": 4000, "jobgate.store.wait.ms": 500},
                     redis=own_redis, partitions=2, session_ms=45000)
    first, second = pair(site)
    producer = site.producer()
    holder = producer.delivered(mail(1), partition=0)
    running = first.next()
    await_holder(site, holder.stamp)
    first.app.pause()
    own_redis.restart_empty()
    assert lease_of(site).jid == ""
    report = producer.delivered(mail(2), partition=1)
    assert "told who runs" in second.next_error("_STATE").text
    other = second.next()
    assert other.stamp == report.stamp and token_of(other) > token_of(running)
    first.app.resume()
    first.app.wait_log("has lost its lease")
    assert lease_of(site).jid == report.stamp and lease_of(site).token == token_of(other)
    assert second.lease(other).left_ms > 0


def test_tokens_grow_past_the_loss_of_all_that_was_known(make_site, own_redis):
    site = make_site({LEASE: "class", "jobgate.store.grace.ms": 500}, redis=own_redis)
    producer, consumer = site.producer(), site.consumer()
    tokens = []
    for number in range(3):
        producer.delivered(mail(number))
        tokens.append(token_of(consumer.next(timeout_s=60)))
        consumer.poll()
        own_redis.restart_empty()
    assert tokens == sorted(set(tokens))


# --- log.format=json ---

def test_each_step_of_a_jobs_life_is_a_line_of_json(make_site):
    site = make_site({LEASE: "class", TAKEN: "hold", "jobgate.class.Note.lease": "class",
                      "jobgate.store.grace.ms": 500, **JSON})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    report = producer.delivered(mail(1))
    running = consumer.next()
    held = site.queued(producer, mail(2))
    consumer.next_error(SKIP)
    duplicate = producer.delivered(mail(2))
    consumer.next_error(SKIP)
    finish(consumer, running)
    resumed = consumer.next()
    assert resumed.stamp == held.stamp
    producer.delivered(produce_job("Note", [1]))
    consumer.next()
    noop = producer.delivered(produce_job("Note", [2]))
    consumer.next_error(SKIP)
    consumer.commit((0, resumed.offset + 1))
    wait_until(lambda: len(events(consumer.app, "done")) >= 2, PATIENCE_S, "two are done")
    found = events(producer.app) + events(consumer.app)

    def the(kind, of):
        (event,) = [event for event in found if event["event"] == kind and event["jid"] == of.stamp]
        assert event["class"] == ("Note" if of is noop else "Mail") and event["key"] == of.header("jobgate-key")
        assert event["topic"] == site.topic and event["time_ms"] > 0
        return event

    assert the("produced", report)["job_status"] == "queued"
    start = the("start", report)
    assert start["job_status"] == "running" and start["waited_ms"] >= 0
    assert (start["lease_token"], start["partition"], start["offset"]) == (token_of(running), 0, report.offset)
    done = the("done", report)
    assert done["job_status"] == "done" and done["ran_ms"] >= 0 and done["lease_token"] == token_of(running)
    event = the("held", held)
    assert (event["job_status"], event["reason"]) == ("held", "lease")
    event = the("duplicate", duplicate)
    assert (event["job_status"], event["duplicate-of"]) == ("duplicate", held.stamp)
    event = the("resumed", held)
    assert event["job_status"] == "queued" and event["waited_ms"] >= 0 and event["offset"] == resumed.offset
    assert 0 <= the("start", held)["waited_ms"] <= PATIENCE_S * 1000
    event = the("noop", noop)
    assert (event["job_status"], event["offset"]) == ("done", noop.offset)
    assert "duplicate-of" not in event and "ran_ms" not in event
    assert not [event for event in found if event["event"] == "produced" and event["jid"] == duplicate.stamp]


def test_without_it_no_line_is_json(make_site):
    site = make_site({LEASE: "class"})
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    consumer.next()
    consumer.poll()
    await_holder(site, "")
    assert not events(producer.app) and not events(consumer.app)
