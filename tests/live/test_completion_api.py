# SPDX-License-Identifier: Apache-2.0
"""completion=api: a job has ended when the program calls jobgate_complete, on any thread and in any order. A job that
failed is enqueued again, after a backoff."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from live.capacity import close_topic, reopen_topic
from live.limits import LIMIT, NO_DEDUP, SKIP, assert_idle, await_skips, mail, poll_until
from support.app import PATIENCE_S, own_jid, raw_produce
from support.processes import wait_until

API = {"jobgate.completion": "api"}
OK, PENDING, UNKNOWN, MODE, INVALID, FAILED = 0, 1, -1, -2, -3, -4
DONE_OUTCOME, FAILED_OUTCOME = 0, 1
RETRY_MS = 400
# The first job that is held makes its topic, which takes its time on a busy machine.
RETRY = {"jobgate.class.Mail.capacity.retry.ms": RETRY_MS, "jobgate.store.wait.ms": 30000}


@pytest.fixture
def site(make_site):
    return make_site({**API, "jobgate.class.Mail.dedup": "until_executed"})


def take(site, consumer, count, producer=None):
    """So many jobs are handed out, none of them complete; their messages."""
    producer = producer or site.producer()
    for number in range(count):
        producer.delivered(mail(number), partition=0)
    return [consumer.next() for _ in range(count)]


def stored(site, consumer):
    """What a crash leaves of the offsets that are stored now."""
    consumer.call("commit")
    return max(site.committed(), 0)


# --- offsets ---

def test_offsets_are_stored_up_to_the_first_job_that_is_not_complete(site):
    consumer = site.consumer()
    messages = take(site, consumer, 6)
    expected = {4: 0, 2: 0, 0: 1, 1: 3, 5: 3, 3: 6}
    for number, offset in expected.items():
        assert consumer.complete(messages[number]) == OK
        assert stored(site, consumer) == offset, f"after job {number}"
    assert not site.claims()


def test_polling_completes_nothing(site):
    consumer = site.consumer()
    take(site, consumer, 3)
    assert_idle(consumer)
    assert stored(site, consumer) == 0
    assert [claim["st"] for claim in site.claims()] == ["r", "r", "r"]


def test_several_threads_complete_in_any_order(site):
    count, threads = 60, 6
    consumer = site.consumer()
    messages = take(site, consumer, count)
    dice = random.Random(2)
    dice.shuffle(messages)
    last = max(messages, key=lambda message: message.offset)
    first = min(messages, key=lambda message: message.offset)
    messages.remove(first)
    calls = [consumer.app.send("complete", library=site.plugin, on=f"t{number % threads}",
                               calls=[[message.topic, message.partition, message.offset, DONE_OUTCOME]])
             for number, message in enumerate(messages)]
    assert [consumer.app.reply(call)["answers"] for call in calls] == [[OK]] * (count - 1)
    assert stored(site, consumer) == 0
    assert consumer.complete(first, on="t0") == OK
    assert stored(site, consumer) == last.offset + 1
    assert not site.claims()


def test_threads_that_complete_one_job_at_once_end_it_once(site):
    consumer = site.consumer()
    for message in take(site, consumer, 20):
        calls = [consumer.app.send("complete", library=site.plugin, on=f"t{number}",
                                   calls=[[message.topic, message.partition, message.offset, DONE_OUTCOME]])
                 for number in range(3)]
        answers = [consumer.app.reply(call)["answers"][0] for call in calls]
        assert OK in answers and set(answers) <= {OK, PENDING}, answers
    assert site.stats()["completed"] == 20
    assert stored(site, consumer) == 20


def test_where_the_program_stores_offsets_they_are_its_own(site):
    consumer = site.consumer({"enable.auto.offset.store": "false"})
    messages = take(site, consumer, 2)
    assert consumer.complete(*messages) == [OK, OK]
    assert stored(site, consumer) == 0
    consumer.store_offset(0, 1)
    assert stored(site, consumer) == 1


@pytest.mark.parametrize("lease", ["none", "key"])
def test_a_crash_redelivers_what_was_not_complete(make_site, lease):
    """With a lease it is remembered which jobs are done: one that is delivered again does not run."""
    site = make_site({**API, **NO_DEDUP, "jobgate.class.Mail.lease": lease, "jobgate.class.Mail.lease.ttl.ms": 1000})
    consumer = site.consumer()
    messages = take(site, consumer, 5)
    for number in (0, 3, 1):
        assert consumer.complete(messages[number]) == OK
    assert stored(site, consumer) == 2
    consumer.app.kill()
    other = site.consumer()
    wanted = [2, 4] if lease == "key" else [2, 3, 4]
    again = []

    def all_again():
        message = other.poll()
        if message and not message.error:
            again.append(message)
        return len(again) >= len(wanted)

    wait_until(all_again, 60, "they are delivered again", interval_s=0)
    assert_idle(other)
    assert sorted(message.jid for message in again) == sorted(messages[number].jid for number in wanted)
    assert set(other.complete(*again)) == {OK}
    assert stored(site, other) >= 5


# --- limits ---

def test_a_limit_is_kept_with_several_jobs_of_one_consumer(make_site):
    site = make_site({**API, LIMIT: 3})
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(8)]
    for job in jobs:
        producer.delivered(job)
    running = [consumer.next() for _ in range(3)]
    await_skips(consumer, 5)
    site.await_held(5)
    assert_idle(consumer)
    assert site.running() == 3
    ran = [message.jid for message in running]
    while running:
        # The youngest first: slots are not bound to order.
        assert consumer.complete(running.pop()) == OK
        if len(ran) < len(jobs):
            running.append(consumer.next())
            ran.append(running[-1].jid)
        assert site.running() <= 3
    assert ran == [own_jid(job) for job in jobs]
    site.await_running(0)
    site.await_held(0)


def test_batch_calls_go_with_calls(make_site):
    """Elsewhere they are refused where a limit holds: there the end of their jobs cannot be seen."""
    site = make_site({**API, LIMIT: 2})
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(7)]
    for job in jobs:
        producer.delivered(job)
    ran, deadline = [], time.monotonic() + 60
    running = []
    while len(ran) < len(jobs) and time.monotonic() < deadline:
        running += [message for message in consumer.batch(10, 200) if not message.error]
        assert site.running() <= 2
        if running:
            ran.append(running.pop())
            assert consumer.complete(ran[-1]) == OK
    assert sorted(message.jid for message in ran) == sorted(map(own_jid, jobs))
    site.await_running(0)
    assert stored(site, consumer) >= len(jobs)


# --- a job that failed ---

def failed_once(site, consumer, message):
    """It failed; its record in the holding topic, and when that was told (Unix ms)."""
    offsets = {record.offset for record in site.read(site.held_topic())}  # what was resumed is deleted some time
    at_ms = time.time() * 1000
    assert consumer.complete(message, failed=True) == OK
    (record,) = [record for record in site.read(site.held_topic()) if record.offset not in offsets]
    return record, at_ms


def test_a_job_that_fails_runs_again_after_a_backoff_that_doubles(make_site):
    site = make_site({**API, **RETRY, LIMIT: 1, "jobgate.class.Mail.lease": "key",
                      "jobgate.class.Mail.dedup": "until_executed"})
    first = site.queued(site.producer(), mail(1), key=b"key", headers=[("mine", b"kept")])
    consumer = site.consumer()
    message = consumer.next()
    assert message.header("jobgate-attempt") is None
    for attempt in range(1, 4):
        record, at_ms = failed_once(site, consumer, message)
        assert record.stamp == f"{first.stamp}-{attempt}"
        assert (record.value, record.key, record.header("mine")) == (first.value, b"key", "kept")
        assert record.header("jobgate-held-reason") == "retry"
        assert record.header("jobgate-attempt") == str(attempt)
        # Its age counts from its first failure.
        assert (record.header("jobgate-held-from"), record.header("jobgate-held-time")) == \
            (f"0/{first.offset}", str(site.log()[0].event["timestamp_ms"]))
        wait_ms = RETRY_MS << (attempt - 1)
        not_before_ms = int(record.header("jobgate-not-before"))
        assert at_ms + wait_ms - 50 <= not_before_ms <= time.time() * 1000 + wait_ms
        # The claim is the successor's already.
        assert site.claim()["jid"] == record.stamp
        message = consumer.next()
        assert time.time() * 1000 >= not_before_ms - 50
        assert message.stamp == record.stamp
        assert message.header("jobgate-attempt") == str(attempt)
        assert message.header("jobgate-not-before") is None
    assert consumer.complete(message) == OK
    site.await_state(None)
    site.await_running(0)
    assert_idle(consumer)
    assert consumer.app.counter("failed") == 3
    site.await_held(0)


def test_a_job_that_failed_frees_its_slot_and_its_lease_while_it_waits(make_site):
    site = make_site({**API, **NO_DEDUP, LIMIT: 1, "jobgate.class.Mail.lease": "class",
                      "jobgate.class.Mail.capacity.retry.ms": 60000}, partitions=2)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    consumer = site.consumer()
    record, _ = failed_once(site, consumer, consumer.next())
    site.await_running(0)
    assert site.held() == 1
    assert record.partition == 0


def test_a_failed_job_of_a_class_without_policies_runs_again(make_site):
    """The store remembers it for the sake of its chain alone."""
    site = make_site({**API, **NO_DEDUP, **RETRY})
    site.producer().delivered(mail(1))
    consumer = site.consumer()
    record, _ = failed_once(site, consumer, consumer.next())
    assert stored(site, consumer) == 1
    message = consumer.next()
    assert message.stamp == record.stamp and record.stamp.endswith("-1")
    assert consumer.complete(message) == OK
    assert_idle(consumer)
    site.await_held(0)


def test_a_failed_job_of_a_plugin_less_producer_runs_again(make_site):
    site = make_site({**API, **NO_DEDUP, **RETRY})
    raw_produce(site.kafka, site.topic, mail(1))
    consumer = site.consumer()
    message = consumer.next()
    record, _ = failed_once(site, consumer, message)
    again = consumer.next()
    assert again.stamp == record.stamp and again.value == message.value
    assert consumer.complete(again) == OK


@pytest.mark.parametrize("settings", [{}, {LIMIT: 1}, {"jobgate.default.dedup": "until_executed"}],
                         ids=["dedup", "limit", "until_executed"])
def test_a_crash_while_a_failed_job_waits_neither_loses_nor_doubles_it(make_site, settings):
    site = make_site({**API, **settings, "jobgate.class.Mail.capacity.retry.ms": 3000})
    first = site.producer().delivered(mail(1))
    consumer = site.consumer({"auto.commit.interval.ms": 3600000})
    failed_once(site, consumer, consumer.next())
    consumer.app.kill()
    # The failed job is delivered again, is done, and so its successor is there twice.
    other = site.consumer()
    message = other.next(timeout_s=60)
    assert message.stamp == f"{first.stamp}-1"
    assert other.complete(message) == OK
    site.await_running(0)
    poll_until(other, lambda: site.held() == 0, 60, "nothing is held")
    assert_idle(other)
    assert [each.stamp for each in other.seen if not each.error] == [message.stamp]


# --- what is answered ---

def test_a_position_that_nobody_was_handed_is_unknown(site):
    consumer = site.consumer()
    (message,) = take(site, consumer, 1)
    app = consumer.app
    assert app.complete((site.topic, 0, message.offset + 1, DONE_OUTCOME), (site.topic, 7, 0, DONE_OUTCOME),
                        ("another", 0, 0, DONE_OUTCOME), (site.topic, 0, 99, FAILED_OUTCOME)) == [UNKNOWN] * 4
    assert consumer.complete(message) == OK
    consumer.destroy()
    assert app.complete((site.topic, 0, message.offset, DONE_OUTCOME)) == [UNKNOWN]


def test_a_job_that_has_ended_may_be_completed_again_but_cannot_fail(site):
    consumer = site.consumer()
    (message,) = take(site, consumer, 1)
    assert consumer.complete(message) == OK
    assert consumer.complete(message) == OK
    assert consumer.complete(message, failed=True) == UNKNOWN
    assert site.stats()["completed"] == 1


def test_no_topic_and_no_such_outcome_are_invalid(site):
    consumer = site.consumer()
    (message,) = take(site, consumer, 1)
    assert consumer.app.complete((None, 0, 0, DONE_OUTCOME), (site.topic, 0, message.offset, 2),
                                 (site.topic, 0, message.offset, -1)) == [INVALID] * 3
    assert stored(site, consumer) == 0
    assert consumer.complete(message) == OK


@pytest.mark.parametrize("settings", [{}, {"enable.auto.commit": "false"}], ids=["poll", "commit"])
def test_a_consumer_of_another_mode_says_so(make_site, settings):
    site = make_site({"jobgate.class.Mail.dedup": "until_executed"})
    consumer = site.consumer(settings)
    (message,) = take(site, consumer, 1)
    assert consumer.complete(message) == MODE
    assert site.claim()["st"] == "r"


def test_what_cannot_be_enqueued_again_stays_open_until_it_is_done(make_site):
    """Without a store, or without a class, there is no holding topic for it."""
    site = make_site({**API, **NO_DEDUP, "jobgate.store": None})
    raw_produce(site.kafka, site.topic, mail(1))
    raw_produce(site.kafka, site.topic, b"no job")
    consumer = site.consumer()
    for number in range(2):
        message = consumer.next()
        assert consumer.complete(message, failed=True) == FAILED
        assert stored(site, consumer) == number
        assert consumer.complete(message) == OK
        assert stored(site, consumer) == number + 1


def test_an_unidentified_message_is_completed_like_a_job(site):
    raw_produce(site.kafka, site.topic, b"no job")
    consumer = site.consumer()
    message = consumer.next()
    assert consumer.complete(message, failed=True) == FAILED
    assert consumer.complete(message) == OK
    assert stored(site, consumer) == 1


def test_a_store_that_is_down_makes_an_end_pending_and_it_goes_on_in_the_background(make_site, own_redis):
    site = make_site({**API, LIMIT: 1, "jobgate.store.wait.ms": 300}, redis=own_redis)
    consumer = site.consumer()
    (message,) = take(site, consumer, 1)
    own_redis.pause()
    assert consumer.complete(message) == PENDING
    assert stored(site, consumer) == 0
    own_redis.resume()
    site.await_running(0)
    wait_until(lambda: stored(site, consumer) == 1, PATIENCE_S, "its offset is stored", interval_s=0.1)


def test_capacity_goes_with_calls(make_site):
    """The answer comes when the successor is acknowledged."""
    site = make_site({**API, "jobgate.class.Mail.capacity": 2, "jobgate.class.Mail.capacity.load": "redis:load",
                      "jobgate.class.Mail.lease": "class"})
    first = site.producer().delivered(mail(1))
    consumer = site.consumer()
    redis = site.redis.client()
    for number in range(2):
        message = consumer.next()
        redis.incr("load")
        assert consumer.complete(message) == OK
        assert stored(site, consumer) == number + 1
        if number == 0:
            assert site.log()[-1].stamp == f"{first.stamp}-1"
    assert site.held() == 1
    assert_idle(consumer)
    redis.decr("load")
    assert consumer.next().stamp == f"{first.stamp}-2"


def test_an_offset_stays_while_the_successor_cannot_be_produced(make_site):
    site = make_site({**API, "jobgate.class.Mail.capacity": 2, "jobgate.class.Mail.capacity.load": "redis:load",
                      "jobgate.store.wait.ms": 500})
    consumer = site.consumer()
    (message,) = take(site, consumer, 1)
    close_topic(site)
    assert consumer.complete(message) == PENDING
    assert stored(site, consumer) == 0
    reopen_topic(site)
    assert consumer.next().stamp == f"{message.stamp}-1"
    wait_until(lambda: stored(site, consumer) == 1, PATIENCE_S, "its offset is stored", interval_s=0.1)


# --- from another language ---

@pytest.mark.foreign_host
def test_a_python_program_completes_by_ctypes_as_the_readme_shows(make_site):
    site = make_site({**API, **RETRY, LIMIT: 2})
    producer = site.producer()
    jobs = [mail(number) for number in range(6)]
    for job in jobs:
        producer.delivered(job)
    program = Path(__file__).parents[1] / "clients" / "py_complete.py"
    words = [f"{name}={value}" for name, value in site.properties("consumer", None)]
    result = subprocess.run([sys.executable, program, site.plugin, site.topic, "7", *words], capture_output=True,
                            text=True, timeout=90)
    assert result.returncode == 0, result.stdout + result.stderr
    # The first one failed, and ran once more.
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [word for _, word, _ in lines] == ["failed"] + ["done"] * 6
    assert sorted(jid for jid, word, _ in lines if word == "done") == sorted(map(own_jid, jobs))
    assert {answer for _, _, answer in lines} == {"0"}
    site.await_running(0)
    site.await_held(0)
