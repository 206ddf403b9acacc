# SPDX-License-Identifier: Apache-2.0
"""A class's limit: no more run at once; the others wait in the holding topic, unchanged and in order, and come back
when a slot is free.

Where one consumer has several jobs running, it commits by hand: there a job lasts until its offset is committed.
"""

import json
import time

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from live.limits import (LIMIT, MANUAL, NO_DEDUP, SKIP, SOON_S, STORING, assert_idle, await_skips, blocked, finish,
                         jids, mail, overlap_of_consumers, pair, poll_until, site)
from support.app import PATIENCE_S, own_jid, produce_job
from support.processes import wait_until


# --- the second source scenario ---

def test_the_second_source_scenario_step_by_step(site):
    """Duplicates are found before the limit is asked; a held job keeps its claim; resuming checks nothing again."""
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocker = blocked(site, consumer, producer)

    def calls_of(step):
        """What the step cost, without the consumer's background."""
        consumer.app.pause()
        before = site.script_calls()
        result = step()
        cost = site.script_calls() - before
        consumer.app.resume()
        return cost, result

    # Job 1 sets the claim: claim and confirm.
    first = mail(1)
    cost, report = calls_of(lambda: site.queued(producer, first))
    assert cost == 2 and report.is_original
    assert site.stats()["claimed"] == 2
    # It is deferred, and its claim lives.
    skip = consumer.next_error(SKIP)
    assert skip.offset == report.offset
    site.await_held(1)
    assert site.claim()["st"] == "h" and site.claim()["jid"] == report.stamp
    assert site.stats()["held"] == 1 and site.stats()["admitted"] == 1
    # Job 2 with the same arguments is a duplicate at once.
    cost, duplicate = calls_of(lambda: producer.delivered(mail(1)))
    assert cost == 1 and duplicate.header("jobgate-duplicate-of") == report.stamp
    assert consumer.next_error(SKIP).offset == duplicate.offset
    assert site.stats()["duplicates"] == 1
    # The slot is free: only job 1 is resumed, and no claim is asked for.
    finish(consumer, blocker)
    resumed = consumer.next()
    assert resumed.jid == own_jid(first) and resumed.stamp == report.stamp
    assert resumed.header("jobgate-resumed") == "1"
    # Its claim is gone as it starts.
    site.await_state(None)
    wait_until(lambda: "resumed" in site.stats(), PATIENCE_S, "the resumer tells what it resumed")
    stats = site.stats()
    assert [stats[name] for name in ("claimed", "duplicates", "candidates", "held", "resumed", "admitted")] == \
        [2, 1, 0, 1, 1, 2]
    assert producer.delivered(mail(1)).is_original
    finish(consumer, resumed)
    assert consumer.next().is_original


def test_holding_a_job_costs_one_store_call_and_resuming_it_no_claim(make_site, make_resumer):
    site = make_site({LIMIT: 1, "jobgate.resumer": "separate"})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    jobs = [mail(number) for number in range(50)]
    for job in jobs:
        site.queued(producer, job)
    before = site.script_calls()
    await_skips(consumer, 50)
    cost = site.script_calls() - before
    # The instance's background, too, says something now and then.
    assert 50 <= cost <= 60
    assert site.stats()["held"] == 50 and site.stats()["admitted"] == 1
    claims = site.stats()["claimed"] + site.stats()["duplicates"] + site.stats()["candidates"]
    make_resumer(site)
    before = site.script_calls()
    for job in jobs:
        finish(consumer, running)
        running = consumer.next()
        assert running.jid == own_jid(job)
    print(f"script calls per resumed job, with limit 1: {(site.script_calls() - before) / 50:.2f}")
    # The resumer counts what it has committed, which the consumer may have before.
    wait_until(lambda: site.stats()["resumed"] == 50, PATIENCE_S, "50 are counted as resumed")
    stats = site.stats()
    assert stats["claimed"] + stats["duplicates"] + stats["candidates"] == claims
    assert stats["admitted"] == 51


# --- what is held ---

def test_a_held_message_shows_as_a_skip_that_says_so(site):
    consumer = site.consumer(MANUAL)
    blocked(site, consumer)
    report = site.producer().delivered(mail(2))
    skip = consumer.next_error(SKIP)
    assert skip.text.startswith("jobgate: skipped")
    assert (skip.topic, skip.partition, skip.offset) == (site.topic, report.partition, report.offset)


def test_held_jobs_keep_key_payload_headers_and_order(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    headers = [("b", b"1"), ("a", b""), ("b", b"\xff\x00"), ("none", None), ("trace-id", "zoë".encode())]
    jobs = [mail(number, note="a  b\té") for number in range(20)]
    keys = [None if number % 3 == 0 else b"\x00key%d\xff" % number for number in range(20)]
    reports = [producer.delivered(job, key=key, headers=headers if number % 2 else [])
               for number, (job, key) in enumerate(zip(jobs, keys))]
    await_skips(consumer, 20)
    for job, key, report in zip(jobs, keys, reports):
        finish(consumer, running)
        running = consumer.next()
        assert running.value == job.encode()
        assert running.key == key
        assert [pair for pair in running.headers if not pair[0].startswith("jobgate-")] == \
            [pair for pair in report.headers if not pair[0].startswith("jobgate-")]
        assert {**running.stamps, **report.stamps} == running.stamps, "the producer's stamps are still there"


def test_a_held_record_tells_where_it_was_since_when_and_why(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocked(site, consumer, producer)
    began_ms = time.time() * 1000
    reports = [producer.delivered(mail(number)) for number in range(2)]
    await_skips(consumer, 2)
    records = site.read(site.held_topic())
    assert [record.header("jobgate-held-from") for record in records] == \
        [f"{report.partition}/{report.offset}" for report in reports]
    assert [record.header("jobgate-held-reason") for record in records] == ["limit", "behind"]
    log = {message.offset: message.event["timestamp_ms"] for message in site.log()}
    for record, report in zip(records, reports):
        assert began_ms - 1000 <= int(record.header("jobgate-held-since")) <= time.time() * 1000 + 1000
        assert int(record.header("jobgate-held-time")) == log[report.offset]
        assert record.stamp == report.stamp


def test_the_holding_topic_has_the_origins_partitions_and_keeps_its_records(make_site):
    site = make_site({LIMIT: -1}, partitions=3, topic_config={"retention.ms": 3600000})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    for partition in range(3):
        producer.delivered(mail(partition), partition=partition)
    await_skips(consumer, 3)
    topic = site.held_topic()
    assert sorted(record.partition for record in site.read(topic)) == [0, 1, 2]
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = site.kafka.admin()
    config = admin.describe_configs([resource])[resource].result(30)
    wanted = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
    assert {name: config[name].value for name in wanted} == wanted


def test_a_class_with_an_odd_name_is_held_too(make_site):
    name = "App::Mail/süß"
    site = make_site({f"jobgate.class.{name}.limit": -1})
    consumer = site.consumer(MANUAL)
    site.producer().delivered(produce_job(name, [1]))
    await_skips(consumer, 1)
    site.await_held(1, name)


def test_a_job_that_is_held_again_keeps_its_first_held_time_and_place(make_site):
    """More come back than there are slots, and do not wait for one."""
    site = make_site({LIMIT: 1, "jobgate.class.Mail.resume.ahead": 5, "jobgate.class.Mail.resume.wait.ms": 0})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    jobs = [mail(number) for number in range(5)]
    for job in jobs:
        producer.delivered(job)

    def records_by_jid():
        consumer.poll()
        found = {}
        for record in site.read(site.held_topic()):
            found.setdefault(record.jid, []).append(record)
        return found if any(len(records) > 1 for records in found.values()) else None

    for records in wait_until(records_by_jid, PATIENCE_S, "a job is held twice").values():
        assert len({record.header("jobgate-held-since") for record in records}) == 1
        assert len({record.header("jobgate-held-from") for record in records}) == 1
    ran = []
    for _ in jobs:
        finish(consumer, running)
        running = consumer.next()
        ran.append(running.jid)
    assert sorted(ran) == sorted(map(own_jid, jobs))


# --- coming back ---

def test_a_job_that_came_back_waits_for_a_slot_as_long_as_a_run_took(make_site):
    """resume.wait.ms=auto; by a fixed number it waits no longer than that."""
    site = make_site({LIMIT: 1, "jobgate.class.Mail.resume.ahead": 5})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    run_s = 0.7
    time.sleep(run_s)
    finish(consumer, running)
    running = blocked(site, consumer, producer, mail("long"))
    held = mail("held")
    producer.delivered(held)
    waits = []

    def is_missed():
        began = time.monotonic()
        consumer.poll(20)
        waits.append(time.monotonic() - began)
        return site.stats().get("missed")

    wait_until(is_missed, PATIENCE_S, "it comes back, finds no slot, and is held again")
    assert max(waits) >= run_s
    finish(consumer, running)
    assert consumer.next().jid == own_jid(held)


def test_the_end_of_a_job_brings_a_held_one_back(make_site):
    site = make_site({LIMIT: 1}, partitions=2)
    first, second = pair(site)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    first.next()
    site.await_running(1)
    held = mail(2)
    producer.delivered(held, partition=1)
    second.next_error(SKIP)
    site.await_held(1)
    began = time.monotonic()
    first.poll()
    assert second.next().jid == own_jid(held)
    assert time.monotonic() - began < SOON_S
    site.await_running(1)
    second.poll()
    site.await_running(0)
    site.await_held(0)
    wait_until(lambda: site.tickets() == 0, PATIENCE_S, "no ticket is left")


def test_a_held_job_comes_back_where_no_other_runs_before_one_that_is_held_longer(make_site):
    """A worker that is busy would let it wait, and its slot stand idle."""
    site = make_site({LIMIT: 2, "jobgate.class.Mail.resume.ahead": 0, **NO_DEDUP}, partitions=2)
    first, second = pair(site)
    site.jobgate("pause", "Mail")
    producer = site.producer()
    jobs = [mail(number) for number in range(3)]
    for number, (job, partition) in enumerate(zip(jobs, (0, 0, 1)), start=1):
        producer.delivered(job, partition=partition)
        (second if partition else first).next_error(SKIP)
        site.await_held(number)
    site.jobgate("unpause", "Mail")
    assert first.next().jid == own_jid(jobs[0])
    assert second.next().jid == own_jid(jobs[2])
    site.await_running(2)
    assert first.next().jid == own_jid(jobs[1])


def test_a_job_held_in_a_classs_first_second_is_back_soon_after_a_slot_is_free(site):
    producer = site.producer()
    jobs = [mail(1), mail(2)]
    for job in jobs:
        producer.delivered(job)
    consumer = site.consumer(MANUAL)
    first = consumer.next()
    consumer.next_error(SKIP)
    began = time.monotonic()
    finish(consumer, first)
    assert consumer.next().jid == own_jid(jobs[1])
    assert time.monotonic() - began < SOON_S


def test_a_newcomer_goes_behind_what_is_held(site):
    """Though a slot is free when it comes."""
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    jobs = [mail(number) for number in range(6)]
    for job in jobs[:3]:
        producer.delivered(job)
    await_skips(consumer, 3)
    finish(consumer, running)
    for job in jobs[3:]:
        producer.delivered(job)
    order = []
    for _ in jobs:
        running = consumer.next()
        order.append(running.jid)
        finish(consumer, running)
    assert order == [own_jid(job) for job in jobs]


def test_other_classes_pass_while_one_is_held(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocked(site, consumer, producer)
    for number in range(10):
        producer.delivered(mail(number))
        other = produce_job("Other", [number])
        producer.delivered(other)
        assert consumer.next().jid == own_jid(other)
    site.await_held(10)


def test_a_limit_spans_the_topics_of_a_namespace(make_site, make_topic):
    other = make_topic()
    site = make_site({LIMIT: 1})
    site.settings["jobgate.topics"] = f"{site.topic},{other}"
    producer, consumer = site.producer(), site.consumer(MANUAL, subscribe=False).subscribe(site.topic, other)
    running = blocked(site, consumer, producer)
    job = mail(2)
    producer.delivered(job, topic=other)
    assert consumer.next_error(SKIP).topic == other
    assert jids(site.read(site.held_topic(topic=other))) == [own_jid(job)]
    finish(consumer, running)
    message = consumer.next()
    assert message.topic == other and message.jid == own_jid(job)


# --- how a job ends ---

@pytest.mark.parametrize("settings, settle", [
    ({}, None), (MANUAL, "commit"), (MANUAL, "commit_async"), (STORING, "store"),
], ids=["poll", "commit", "commit-async", "store"])
def test_a_limit_holds_however_offsets_are_committed(make_site, slow, settings, settle):
    site = make_site({LIMIT: 2, **NO_DEDUP}, partitions=3)
    assert overlap_of_consumers(site, settings, settle, 45, 30 * slow) == 2
    site.await_running(0)
    site.await_held(0)


def test_a_running_job_keeps_its_slot_past_the_ttl(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.limit.ttl.ms": 1000})
    consumer = site.consumer(MANUAL)
    blocked(site, consumer)
    site.producer().delivered(mail(2))
    consumer.next_error(SKIP)
    client = site.redis.client()
    began_s = client.time()[0]
    while client.time()[0] - began_s < 4:
        assert site.running() == 1
        assert_idle(consumer, 0.1)


def test_a_killed_consumers_slot_is_free_after_its_ttl(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.limit.ttl.ms": 1000}, partitions=2)
    first, second = pair(site)
    producer = site.producer()
    producer.delivered(mail(1), partition=0)
    first.next()
    site.await_running(1)
    job = mail(2)
    producer.delivered(job, partition=1)
    second.next_error(SKIP)
    first.app.kill()
    began = time.monotonic()
    assert second.next().jid == own_jid(job)
    # The dead one may have been the resumer, too: its lease is another's after a while.
    assert time.monotonic() - began < 20


def test_a_consumer_that_closes_in_order_leaves_its_slot(make_site):
    site = make_site({LIMIT: 1})
    consumer = site.consumer()
    blocked(site, consumer)
    consumer.close()
    site.await_running(0)


def test_the_same_position_again_is_the_same_run(site):
    consumer = site.consumer(MANUAL)
    message = blocked(site, consumer)
    consumer.seek(message.partition, message.offset)
    again = consumer.next()
    assert again.offset == message.offset
    assert site.running() == 1
    finish(consumer, again)
    site.await_running(0)


def test_a_batch_call_with_a_limit_is_refused_with_the_cure_named(make_site):
    site = make_site({LIMIT: 1, **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    producer.delivered(mail(2))
    wait_until(lambda: [message for message in consumer.batch() if message.error == "_STATE"], 30, "a refusal",
               interval_s=0)
    text = next(message.text for message in consumer.seen if message.error == "_STATE").lower()
    assert "enable.auto.commit" in text or "enable.auto.offset.store" in text, text
    assert not [message for message in consumer.seen if not message.error]


def test_a_batch_call_with_a_limit_and_manual_commits_keeps_the_limit(make_site):
    site = make_site({LIMIT: 2, **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(6)]
    for job in jobs:
        producer.delivered(job)
    ran = []

    def step():
        got = [message for message in consumer.batch(timeout_ms=200) if not message.error]
        assert len(got) <= 2 and site.running() <= 2
        ran.extend(got)
        if got:
            consumer.commit((0, max(message.offset for message in got) + 1))
        return len(ran) >= 6

    wait_until(step, PATIENCE_S, "all ran", interval_s=0)
    assert sorted(jids(ran)) == sorted(map(own_jid, jobs))


# --- changed while programs run ---

def test_a_paused_class_runs_nothing_until_it_is_unpaused(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    finish(consumer, blocked(site, consumer, producer))
    site.await_running(0)
    site.jobgate("pause", "Mail")
    jobs = [mail(number) for number in range(3)]
    for job in jobs:
        producer.delivered(job)
    await_skips(consumer, 3)
    assert {record.header("jobgate-held-reason") for record in site.read(site.held_topic())} <= {"paused", "behind"}
    assert_idle(consumer, 2.5)
    site.await_held(3)
    began = time.monotonic()
    site.jobgate("unpause", "Mail")
    message = consumer.next()
    assert time.monotonic() - began < SOON_S
    assert message.jid == own_jid(jobs[0])
    for job in jobs[1:]:
        finish(consumer, message)
        message = consumer.next()
        assert message.jid == own_jid(job)


def test_a_limit_set_at_run_time_goes_over_the_settings_until_it_is_taken_back(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    message = blocked(site, consumer, producer)
    for number in range(8):
        producer.delivered(mail(number))
    await_skips(consumer, 8)
    site.jobgate("limit", "Mail", 3)
    began = time.monotonic()
    for _ in range(2):
        message = consumer.next()
    assert time.monotonic() - began < SOON_S
    assert_idle(consumer)
    assert site.running() == 3
    site.await_held(6)
    site.jobgate("limit", "Mail", "default")
    finish(consumer, message)
    for left in range(5, -1, -1):
        message = consumer.next()
        assert site.running() == 1
        site.await_held(left)
        finish(consumer, message)


def test_a_limit_set_at_run_time_outlives_the_stores_data(make_site, own_redis):
    site = make_site({LIMIT: 1, "jobgate.store.grace.ms": 500}, redis=own_redis)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    finish(consumer, blocked(site, consumer, producer))
    site.jobgate("limit", "Mail", 2)
    set_ms = int(own_redis.client().time()[0]) * 1000

    def told():
        told_ms = [int(value.split()[-1]) for value in own_redis.client().hvals(site.key("instances"))]
        return any(at_ms > set_ms + 1000 for at_ms in told_ms)

    poll_until(consumer, told, 90, "the consumer has seen it")
    own_redis.restart_empty()
    wait_until(lambda: (own_redis.client().hget(site.key("limits"), "override") or "").startswith("2 "), 60,
               "the consumer has put it back")
    for number in range(3):
        producer.delivered(mail(number))
    consumer.next()
    consumer.next()
    consumer.next_error(SKIP)
    assert site.running() == 2


def await_age(redis, age_ms):
    """jobgate has known the server for so long: until then a class that it does not know may have been lost."""
    def age():
        with redis.client() as client:
            (name,) = client.scan_iter("jg1:*since", count=1000)
            seconds, microseconds = client.time()
            return seconds * 1000 + microseconds // 1000 - int(client.get(name).split()[1]) > age_ms

    wait_until(age, PATIENCE_S, f"the server is known for {age_ms} ms")


@pytest.mark.parametrize("old", [False, True], ids=["new-server", "old-server"])
@pytest.mark.parametrize("settings", [None, MANUAL], ids=["poll", "commit"])
def test_a_store_emptied_before_a_groups_first_commit_gives_no_slot_twice(make_site, own_redis, settings, old):
    """To a member that meets the class only then, it looks as if nothing had run before. Where the server is long known,
    a class's first job runs without any question to Kafka."""
    ttl_ms = 3000
    site = make_site({LIMIT: 1, "jobgate.class.Mail.limit.ttl.ms": ttl_ms, "auto.commit.interval.ms": 600000},
                     redis=own_redis, partitions=2)
    first, second = pair(site, settings)
    producer = site.producer()
    if old:
        assert site.jobgate("status").returncode == 0
        await_age(own_redis, ttl_ms)
    producer.delivered(mail(1), partition=0)
    running = first.next()
    own_redis.restart_empty()
    held = mail(2)
    producer.delivered(held, partition=1)
    poll_until(second, second.skips, PATIENCE_S, "the other job is held")
    assert not [message for message in second.seen if not message.error]
    if settings:
        finish(first, running)
    else:
        first.poll()
    assert second.next().jid == own_jid(held)


@pytest.mark.parametrize("dedup", ["until_executing", "none"])
def test_a_class_whose_settings_were_removed_gets_its_held_jobs_back(make_site, dedup):
    site = make_site({"jobgate.default.dedup": dedup})
    producer, consumer = site.producer(), site.consumer({**MANUAL, LIMIT: 1})
    finish(consumer, blocked(site, consumer, producer))
    running = mail("running")
    producer.delivered(running)
    consumer.next()
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        producer.delivered(job)
    await_skips(consumer, 4)
    site.await_held(4)
    consumer.close()
    consumer.destroy()
    consumer = site.consumer()
    consumer.run()
    expected = {own_jid(job) for job in [running, *jobs]}
    wait_until(lambda: expected <= {message.jid for message in consumer.starts()}, 60, "all are back")
    site.await_held(0)


def test_status_shows_limit_running_and_held(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocked(site, consumer, producer)
    for number in range(2):
        producer.delivered(mail(number))
    await_skips(consumer, 2)

    def shown():
        (entry,) = json.loads(site.jobgate("status", "--json", "Mail").stdout)["classes"]
        return entry if entry.get("held") == 2 else None

    entry = wait_until(shown, PATIENCE_S, "two are held")
    assert entry["running"] == 1 and entry["limit"]["now"] == 1
