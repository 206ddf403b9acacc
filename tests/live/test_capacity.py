# SPDX-License-Identifier: Apache-2.0
"""A class with a capacity: a job that ends is enqueued again while load is below it, one after another, as one chain;
at capacity the chain waits in the holding topic.

In the default mode a job ends when its consumer polls again.
"""

import time

import pytest

from live.capacity import (CAPACITY, CLS, ENQUEUER, FOLLOWS_S, GAUGE, assert_alive_once, await_full, chain_of,
                           close_topic, end_migration, enqueuer, fill, load, migrate, next_job, number_of, reopen_topic,
                           setting, site, stamp_of, waiting)
from live.limits import MANUAL, SKIP, STORING, assert_idle, await_skips, pair, poll_until
from support.app import produce_job, raw_produce
from support.processes import wait_until

WORK = "work"


# --- the chain ---

def test_one_job_fills_the_capacity_and_waits_there(site, slow):
    """The second source change: job by job until load is 10, then one more for each migration that ends."""
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    stamps = fill(site, consumer)
    assert stamps == [stamp_of(first.stamp, number) for number in range(CAPACITY)]
    assert await_full(site, consumer) == stamp_of(first.stamp, CAPACITY)
    (record,) = waiting(site)
    assert len(site.log()) == CAPACITY, "it did not come up in vain"
    last = site.log()[-1]
    assert record.header("jobgate-held-reason") == "capacity"
    assert (record.header("jobgate-held-from"), record.header("jobgate-held-time")) == \
        (f"0/{last.offset}", str(last.event["timestamp_ms"]))
    assert record.value == first.value
    assert_idle(consumer)
    assert load(site) == CAPACITY
    began = time.monotonic()
    end_migration(site)
    assert migrate(site, consumer) == record.stamp
    assert time.monotonic() - began < FOLLOWS_S + 2 * slow
    assert_idle(consumer)
    assert await_full(site, consumer) == stamp_of(first.stamp, CAPACITY + 1)


def test_jobs_of_a_chain_keep_key_payload_headers_and_partition(make_site):
    site = make_site(ENQUEUER, partitions=3)
    headers = [("trace", b"abc"), ("trace", b"twice"), ("empty", b""), ("null", None), ("bytes", b"\x00\xff")]
    first = site.producer().delivered(enqueuer(), key=b"\xfe key", headers=headers, partition=2)
    consumer = site.consumer()
    for _ in range(CAPACITY):
        message = next_job(site, consumer)
        site.redis.client().incr(GAUGE)
        assert (message.value, message.key, message.partition) == (first.value, b"\xfe key", 2)
        assert [pair for pair in message.headers if not pair[0].startswith("jobgate-")] == headers
    await_full(site, consumer)
    (record,) = waiting(site)
    assert (record.value, record.key, record.partition) == (first.value, b"\xfe key", 2)
    assert [pair for pair in record.headers if not pair[0].startswith("jobgate-")] == headers


def test_two_consumers_run_a_chain_one_job_at_a_time(make_site):
    """The chain stays on its partition; another consumer that is idle changes nothing."""
    site = make_site(ENQUEUER, partitions=2)
    first, second = pair(site)
    site.producer().delivered(enqueuer(), partition=1)
    stamps = fill(site, second)
    assert [number_of(stamp) for stamp in stamps] == list(range(CAPACITY))
    assert_idle(first)
    await_full(site, second)


def test_a_second_chain_ends_as_a_no_op_while_the_lease_is_taken_and_does_not_go_on(make_site):
    site = make_site(ENQUEUER, partitions=2)
    first, second = pair(site)
    producer = site.producer()
    producer.delivered(enqueuer(1), partition=0)
    chain = migrate(site, first)
    for number in range(3):
        producer.delivered(enqueuer(2, number), partition=1)
    await_skips(second, 3)
    assert second.app.counter("noops") == 3
    assert [number_of(stamp) for stamp in fill(site, first, CAPACITY - 1)] == list(range(1, CAPACITY))
    assert_idle(second)
    assert chain_of(await_full(site, first)) == chain
    assert [message.stamp for message in site.log() if chain_of(message.stamp) != chain] == \
        [message.stamp for message in site.log() if message.partition == 1]
    assert len([message for message in site.log() if message.partition == 1]) == 3


# --- the gauges ---

GAUGES = {
    "string": (lambda redis, n: redis.incr(GAUGE), lambda redis: redis.decr(GAUGE)),
    "list": (lambda redis, n: redis.rpush(GAUGE, n), lambda redis: redis.lpop(GAUGE)),
    "set": (lambda redis, n: redis.sadd(GAUGE, n), lambda redis: redis.spop(GAUGE)),
    "zset": (lambda redis, n: redis.zadd(GAUGE, {n: n}), lambda redis: redis.zpopmin(GAUGE)),
    "hash": (lambda redis, n: redis.hset(GAUGE, n, "x"), lambda redis: redis.hdel(GAUGE, redis.hkeys(GAUGE)[0])),
    "stream": (lambda redis, n: redis.xadd(GAUGE, {"n": n}),
               lambda redis: redis.xdel(GAUGE, redis.xrange(GAUGE, count=1)[0][0])),
}


@pytest.mark.parametrize("kind", GAUGES)
def test_the_load_may_be_of_any_type(make_site, kind):
    site = make_site({**ENQUEUER, setting("capacity"): 3})
    begin, end = GAUGES[kind]
    redis = site.redis.client()
    site.producer().delivered(enqueuer())
    consumer = site.consumer()
    for number in range(3):
        assert number_of(consumer.next().stamp) == number
        begin(redis, number)
    assert redis.type(GAUGE) == kind
    waits = await_full(site, consumer)
    assert_idle(consumer)
    end(redis)
    assert consumer.next().stamp == waits
    begin(redis, 3)
    assert number_of(await_full(site, consumer)) == 4


@pytest.mark.parametrize("wrong", ["many", "", "1.5x"], ids=["words", "empty", "half-a-number"])
def test_a_load_that_is_no_number_counts_as_full_until_it_is_repaired(site, wrong):
    site.redis.client().set(GAUGE, wrong)
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    await_skips(consumer, 1)
    assert await_full(site, consumer) == first.stamp
    assert waiting(site)[0].header("jobgate-held-reason") == "capacity"
    assert consumer.app.counter("gauge_troubles") > 0
    assert GAUGE in consumer.app.wait_log("capacity.load")
    assert_idle(consumer)
    site.redis.client().delete(GAUGE)
    stamps = fill(site, consumer, 3)
    assert stamps == [stamp_of(first.stamp, number) for number in range(3)]
    # It breaks while a job of the chain runs.
    site.redis.client().set(GAUGE, wrong)
    assert number_of(await_full(site, consumer)) == 3
    site.redis.client().set(GAUGE, CAPACITY - 1)
    assert number_of(migrate(site, consumer)) == 3


def test_a_load_whose_key_does_not_exist_counts_as_0_and_is_told(site):
    site.producer().delivered(enqueuer())
    consumer = site.consumer({"jobgate.log.level": "info"})
    for number in range(CAPACITY + 2):
        assert number_of(consumer.next().stamp) == number
    assert consumer.app.counter("gauge_troubles") > 0
    consumer.app.wait_log("does not exist")


# --- work ---

def test_a_chain_ends_when_no_work_is_left(make_site):
    site = make_site({**ENQUEUER, setting("capacity.work"): f"redis:{WORK}"})
    redis = site.redis.client()
    redis.set(WORK, 3)
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    for number in range(3):
        assert migrate(site, consumer) == stamp_of(first.stamp, number)
        redis.decr(WORK)
    assert_idle(consumer)
    site.await_running(0, CLS)
    assert [message.stamp for message in site.log()] == [stamp_of(first.stamp, number) for number in range(3)]
    assert site.held(CLS) == 0
    assert not site.claims()
    # Work comes, and somebody asks for it: a new chain.
    redis.set(WORK, 2)
    again = site.producer().delivered(enqueuer())
    assert again.is_original
    assert migrate(site, consumer) == again.stamp


def test_a_chain_at_capacity_waits_also_when_its_work_is_gone_meanwhile_and_ends_then(make_site):
    """The job that waits has not run: it runs once more, and finds nothing."""
    site = make_site({**ENQUEUER, setting("capacity"): 2, setting("capacity.work"): f"redis:{WORK}"})
    redis = site.redis.client()
    redis.rpush(WORK, *range(5))
    site.producer().delivered(enqueuer())
    consumer = site.consumer()
    fill(site, consumer, 2)
    waits = await_full(site, consumer)
    redis.delete(WORK)
    end_migration(site)
    assert consumer.next().stamp == waits
    assert_idle(consumer)
    site.await_running(0, CLS)
    assert not waiting(site) and not site.tickets(CLS)


# --- with dedup until_executed ---

def test_with_until_executed_the_chain_still_fills_up_and_equal_jobs_are_duplicates_all_the_while(make_site):
    """What the first source change had to avoid: there the re-enqueue was a duplicate of the job that ran."""
    site = make_site({**ENQUEUER, setting("dedup"): "until_executed"})
    producer = site.producer()
    first = site.queued(producer, enqueuer())
    consumer = site.consumer()
    for number in range(CAPACITY):
        stamp = migrate(site, consumer)
        assert stamp == stamp_of(first.stamp, number)
        assert producer.delivered(enqueuer()).header("jobgate-duplicate-of") == stamp
    waits = await_full(site, consumer)
    assert number_of(waits) == CAPACITY
    assert site.claim()["jid"] == waits
    assert producer.delivered(enqueuer()).header("jobgate-duplicate-of") == waits
    end_migration(site)
    assert migrate(site, consumer) == waits
    assert number_of(await_full(site, consumer)) == CAPACITY + 1


# --- ends in order ---

def test_a_close_while_a_job_runs_leaves_its_successor_and_the_next_consumer_goes_on(site):
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    migrate(site, consumer)
    consumer.close()
    wait_until(lambda: site.committed() == 1, 30, "the job's offset is committed")
    assert [message.stamp for message in site.log()] == [first.stamp, stamp_of(first.stamp, 1)]
    other = site.consumer()
    assert [number_of(stamp) for stamp in fill(site, other, CAPACITY - 1)] == list(range(1, CAPACITY))
    assert_alive_once(site, other, 1)


def test_an_offset_is_not_committed_before_the_successor_is_acknowledged(site):
    """The broker takes nothing into the topic for a while; the chain goes on when it does."""
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    migrate(site, consumer)
    close_topic(site)
    consumer.close()
    assert site.committed() < 1
    assert [message.stamp for message in site.log()] == [first.stamp]
    reopen_topic(site)
    other = site.consumer()
    assert migrate(site, other) == stamp_of(first.stamp, 1)
    assert other.app.counter("done_again") == 1
    assert [number_of(stamp) for stamp in fill(site, other, CAPACITY - 2)] == list(range(2, CAPACITY))
    assert_alive_once(site, other, 1)


@pytest.mark.parametrize("settings", [MANUAL, STORING], ids=["commit", "store"])
def test_a_consumer_that_commits_or_stores_by_itself_is_refused_with_the_cure_named(site, settings):
    consumer = site.consumer(settings)
    site.producer().delivered(enqueuer())
    text = consumer.next_error("_STATE").text
    assert setting("capacity") in text
    for word in ("before the job is enqueued again", "enable.auto.commit", "jobgate.completion=api"):
        assert word in text
    assert not [message for message in consumer.seen if not message.error]


def test_a_capacity_without_a_load_is_an_error_that_names_the_cure(site):
    """As other settings that do not go together: the handle is there, and refuses all that is governed."""
    site.settings[setting("capacity.load")] = None
    consumer = site.consumer()
    raw_produce(site.kafka, site.topic, enqueuer())
    producer = site.producer()
    producer.refused(enqueuer())
    for text in (consumer.next_error("_STATE").text, consumer.app.wait_log("refused"),
                 producer.app.wait_log("a message for topic")):
        assert setting("capacity") in text and "capacity.load" in text and "redis:<key>" in text
    assert not [message for message in consumer.seen if not message.error]


# --- crashes ---

def test_a_kill_between_the_end_of_a_job_and_its_offset_leaves_one_chain(make_site):
    """The successor exists, and is produced once more, since that is not known: the copy does not run."""
    site = make_site({**ENQUEUER, setting("lease.ttl.ms"): 1000})
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer({"auto.commit.interval.ms": 3600000})
    migrate(site, consumer)
    assert migrate(site, consumer) == stamp_of(first.stamp, 1)
    consumer.app.kill()
    assert site.committed() < 1
    other = site.consumer()
    # The second one's end was not seen: it runs again.
    assert migrate(site, other) == stamp_of(first.stamp, 1)
    assert other.app.counter("done_again") == 1
    stamps = fill(site, other, CAPACITY - load(site))
    assert [number_of(stamp) for stamp in stamps] == list(range(2, 2 + len(stamps)))
    await_full(site, other)
    ones = [message for message in site.log() if number_of(message.stamp) == 1]
    assert len(ones) == 2, "the successor was produced once more"
    assert other.app.counter("done_again") >= 2, "its copy did not run"
    assert_alive_once(site, other)


def test_a_kill_while_a_job_runs_runs_it_again_within_the_capacity(make_site):
    site = make_site({**ENQUEUER, setting("lease.ttl.ms"): 1000})
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    fill(site, consumer)
    # All ten are there when the last one's consumer dies: its job comes again, and waits.
    consumer.app.kill()
    other = site.consumer()
    waits = await_full(site, other)
    assert waits == stamp_of(first.stamp, CAPACITY - 1)
    assert load(site) == CAPACITY
    assert_alive_once(site, other)


def test_an_empty_redis_loses_no_chain(make_site, own_redis):
    """The application's gauge is back before the next job starts."""
    site = make_site(ENQUEUER, redis=own_redis)
    site.producer().delivered(enqueuer())
    consumer = site.consumer()
    fill(site, consumer, 3)
    own_redis.restart_empty()
    site.redis.client().set(GAUGE, 3)
    stamps = fill(site, consumer, CAPACITY - 3)
    assert [number_of(stamp) for stamp in stamps] == list(range(3, CAPACITY))
    assert_alive_once(site, consumer)


# --- forged headers ---

def forged(site, message, jid, resumed=None):
    """What a plugin would have written into a job of that jid; `resumed`: as the resumer would."""
    values = {"jobgate-v": "1", "jobgate-origin": f"default/{site.topic}", "jobgate-jid": jid,
              "jobgate-class": CLS, "jobgate-key": message.header("jobgate-key"), "jobgate-dedup": "until_executing"}
    if resumed:
        values |= {"jobgate-held-since": "1700000000000", "jobgate-held-reason": "capacity",
                   "jobgate-held-from": "0/0", "jobgate-held-time": "1700000000000", "jobgate-resumed": resumed}
    return [(name, value.encode()) for name, value in values.items()]


@pytest.mark.parametrize("number, resumed", [
    (1, None), (4, None), (3, "1"), (100, "7"),
], ids=str)
def test_a_forged_jid_of_a_chain_leaves_it_alive_exactly_once(make_site, number, resumed):
    """A program without a plugin writes a lower, the present, the next or a larger number of a chain that runs."""
    site = make_site(ENQUEUER)
    first = site.producer().delivered(enqueuer())
    consumer = site.consumer()
    message = [next_job(site, consumer), site.redis.client().incr(GAUGE)][0]
    assert fill(site, consumer, 3)[-1] == stamp_of(first.stamp, 3)
    for _ in range(2):
        raw_produce(site.kafka, site.topic, message.value,
                    forged(site, message, stamp_of(first.stamp, number), resumed))
    fill_up(site, consumer)
    # What was forged and waits gets its turn.
    for _ in range(3):
        end_migration(site)
        fill_up(site, consumer)
    assert len({record.stamp for record in waiting(site)}) == 1
    numbers = [number_of(message.stamp) for message in consumer.seen if not message.error]
    assert numbers == sorted(set(numbers)), "no number runs twice, none goes back"
    assert_alive_once(site, consumer)


def fill_up(site, consumer):
    """Migrations begin until there is no room, and nothing is on its way."""

    def full():
        message = consumer.poll()
        if message and not message.error:
            assert load(site) < CAPACITY, f"{message} starts at load {load(site)}"
            site.redis.client().incr(GAUGE)
        return load(site) == CAPACITY and not site.running(CLS) and not site.tickets(CLS) and waiting(site)

    wait_until(full, 60, "the capacity is full and the chain waits", interval_s=0)


def test_a_job_of_a_plugin_less_producer_begins_a_chain_too(site):
    """Its jid is made of its position, so that it is the same however often it comes."""
    raw_produce(site.kafka, site.topic, enqueuer())
    consumer = site.consumer()
    consumer.next()
    site.redis.client().incr(GAUGE)
    stamps = fill(site, consumer, CAPACITY - 1)
    assert [number_of(stamp) for stamp in stamps] == list(range(1, CAPACITY))
    assert len({chain_of(stamp) for stamp in stamps}) == 1
    assert_alive_once(site, consumer, 1)
