# SPDX-License-Identifier: Apache-2.0
"""Capacity by slots: a job that starts takes one, which its end does not free. A later message with `jobgate-release`
does, or the slot's time.

In the default mode a job ends when its consumer polls again. JGTEST_SLOT_RUNS says how many jobs the random test runs:
scripts/soak asks for more.
"""

import json
import os
import random
import time

import pytest

from live.capacity import number_of, stamp_of
from live.limits import NO_DEDUP, assert_idle, await_skips, pair, poll_until
from support.app import PATIENCE_S, committed, produce_job, raw_produce
from support.processes import wait_until

CLS = "Enqueuer"
SLOTS = 10
RUNS = int(os.environ.get("JGTEST_SLOT_RUNS", "50"))
MISSING = f"{'0' * 32}-{'0' * 20}"


def setting(name, cls=CLS):
    return f"jobgate.class.{cls}.{name}"


def by_slots(count, ttl_ms=600000, **more):
    return {setting("capacity"): count, setting("capacity.load"): "slots", setting("capacity.slot.ttl.ms"): ttl_ms,
            setting("limit.ttl.ms"): 1000, **NO_DEDUP, **more}


def slots(site, cls=CLS):
    """The jids that have one, as the store has them."""
    client = site.redis.client()
    seconds, micros = client.time()
    return client.zrangebyscore(site.key("cap", cls), f"({seconds * 1000 + micros // 1000}", "+inf")


def await_slots(site, count, cls=CLS, timeout_s=PATIENCE_S):
    wait_until(lambda: len(slots(site, cls)) == count, timeout_s, f"{count} slots are taken")


def await_waiting(site, consumer):
    poll_until(consumer, lambda: site.held(CLS) == 1, PATIENCE_S, "the chain waits")


def enqueuer(number=0):
    return produce_job(CLS, [number])


def report(site, *values, payload=b'{"class":"Report","args":[]}', partition=0, topic=None):
    """A program without a plugin says that work has ended."""
    raw_produce(site.kafka, topic or site.topic, payload, [("jobgate-release", value) for value in values],
                partition=partition)


def reader(site, topic, settings=None):
    """A consumer of another group and topic, whose settings do not know the class."""
    without = {name: None for name in site.settings if name.startswith("jobgate.class.")}
    consumer = site.consumer({"jobgate.topics": topic, "group.id": f"{site.group}-other", **without, **(settings or {})},
                             subscribe=False)
    consumer.subscribe(topic)
    return consumer


def begin(site, consumer, number=0, partition=0):
    """A job runs; its slot, as it was told."""
    forged = [("jobgate-slot", b"Other/forged")]  # which the program must not see
    raw_produce(site.kafka, site.topic, enqueuer(number), forged, partition=partition)
    slot = consumer.next().header("jobgate-slot")
    assert slot.split("/")[1] in slots(site)
    return slot


# --- the promise ---

class Ledger:
    """What a program that watches knows: which jobs began and did not report. A slot counts until its report was
    produced, or its time is over at the latest."""

    def __init__(self, ttl_s):
        self._ttl_s = ttl_s
        self._ends = {}
        self.most = 0

    def began(self, slot, asked_s):
        self._ends[slot] = asked_s + self._ttl_s
        self.most = max(self.most, len(self.open()))

    def reports(self, slot):
        self._ends.pop(slot, None)

    def open(self):
        now_s = time.monotonic()
        return [slot for slot, end_s in self._ends.items() if end_s > now_s]


def test_with_releases_lost_doubled_and_late_no_more_than_ten_slots_are_taken_and_all_come_back(make_site):
    ttl_s = 2
    site = make_site(by_slots(SLOTS, ttl_s * 1000), partitions=2)
    dice = random.Random(7)
    ledger = Ledger(ttl_s)
    counts, runs, due, most = {"lost": 0, "doubled": 0, "late": 0, "timely": 0}, 0, [], 0
    consumers = pair(site)
    producer = site.producer()
    for number in range(6):
        producer.delivered(enqueuer(number), partition=number % 2)
    deadline = time.monotonic() + 60 + RUNS
    while runs < RUNS or ledger.open():
        assert time.monotonic() < deadline, f"{runs} runs, {counts}, {len(slots(site))} slots are taken"
        for consumer in consumers:
            asked_s = time.monotonic()
            message = consumer.poll(20)
            taken = len(slots(site))
            most = max(most, taken)
            assert taken <= SLOTS
            if not message or message.error or not message.header("jobgate-slot"):
                continue
            slot = message.header("jobgate-slot")
            runs += 1
            ledger.began(slot, asked_s)
            assert len(ledger.open()) <= SLOTS
            fate = dice.choices(["lost", "doubled", "late", "timely"], [2, 2, 2, 6])[0]
            counts[fate] += 1
            wait_s = ttl_s + dice.uniform(0, 1) if fate == "late" else dice.uniform(0, 0.5)
            due += [] if fate == "lost" else [(asked_s + wait_s, slot)] * (2 if fate == "doubled" else 1)
        if runs >= RUNS:
            due = []  # from here on every release is lost
        for each in [each for each in due if each[0] <= time.monotonic()]:
            due.remove(each)
            ledger.reports(each[1])
            producer.accepted(b'{"class":"Report","args":[]}', headers=[("jobgate-release", each[1].encode())],
                              partition=dice.randrange(2))
        if runs >= RUNS:
            break
    assert most == SLOTS and min(counts.values()) > 0
    # Nobody releases any more: ten are taken, and none starts until the time of one is over.
    full = poll_all(consumers, site, lambda: len(slots(site)) == SLOTS and slots(site))
    client = site.redis.client()
    first_ms = min(score for _, score in client.zrange(site.key("cap", CLS), 0, -1, withscores=True))
    poll_all(consumers, site, lambda: set(slots(site)) - set(full))
    seconds, micros = client.time()
    assert seconds * 1000 + micros // 1000 >= first_ms, "a job started before a slot was free"
    stats = site.stats(CLS)
    print(f"{runs} runs, {counts}, at most {most} slots, {ledger.most} by the reports; {stats}")
    assert stats["slots_freed"] > 0 and stats["slots_unknown"] >= counts["doubled"] // 2


def poll_all(consumers, site, condition, timeout_s=30):
    def step():
        for consumer in consumers:
            consumer.poll(20)
        assert len(slots(site)) <= SLOTS
        return condition()

    return wait_until(step, timeout_s, "it comes to that", interval_s=0)


# --- a slot's life ---

def test_the_end_of_a_job_frees_no_slot_and_a_release_lets_the_chain_go_on(make_site, slow):
    site = make_site(by_slots(2, **{setting("lease"): "class"}))
    producer = site.producer()
    producer.delivered(enqueuer(), headers=[("jobgate-slot", b"Other/forged"), ("trace", b"x")])
    consumer = site.consumer()
    messages = [consumer.next(), consumer.next()]
    tags = [message.header("jobgate-slot") for message in messages]
    jids = [tag.split("/")[1] for tag in tags]
    assert tags == [f"{CLS}/{jid}" for jid in jids] and messages[0].header("trace") == "x"
    assert [number_of(jid) for jid in jids] == [0, 1]
    await_waiting(site, consumer)
    assert_idle(consumer)
    assert slots(site) == sorted(jids, key=number_of)
    began = time.monotonic()
    # As a program forwards it: what came along stays behind, but for the release.
    sent = producer.delivered(produce_job("Report", []), headers=[("jobgate-slot", tags[0].encode()),
                                                                ("jobgate-release", tags[0].encode())])
    assert sent.header("jobgate-slot") is None and sent.header("jobgate-release") == tags[0]
    assert consumer.next().header("jobgate-release") == tags[0]
    assert consumer.next().header("jobgate-slot") == f"{CLS}/{stamp_of(jids[0], 2)}"
    assert time.monotonic() - began < 5 * slow
    assert slots(site) == [jids[1], stamp_of(jids[0], 2)]
    assert consumer.counter("slots_freed") == 1


def test_a_job_that_comes_up_while_all_slots_are_taken_is_held_until_a_release(make_site):
    site = make_site(by_slots(1), partitions=2)
    first, second = pair(site)
    slot = begin(site, first)
    raw_produce(site.kafka, site.topic, enqueuer(1), partition=1)
    await_waiting(site, second)
    (record,) = site.read(site.held_topic(CLS))
    assert record.header("jobgate-held-reason") == "capacity" and slots(site) == slot.split("/")[1:]
    report(site, slot, partition=1)
    messages = [second.next() for _ in range(2)]
    assert [message.header("jobgate-release") for message in messages] == [slot, None]
    assert slots(site) == [messages[1].header("jobgate-slot").split("/")[1]]


def test_a_slot_comes_back_by_its_ttl_and_no_sooner(make_site):
    site = make_site(by_slots(1, 3000))
    consumer = site.consumer()
    began = time.monotonic()
    jid = begin(site, consumer).split("/")[1]
    message = consumer.next()
    assert message.header("jobgate-slot") == f"{CLS}/{stamp_of(jid, 1)}"
    assert time.monotonic() - began > 2.5


def test_a_job_whose_consumer_was_killed_has_its_slot_when_it_comes_again(make_site):
    site = make_site(by_slots(1))
    first = site.consumer()
    slot = begin(site, first)
    first.app.kill()
    second = site.consumer()
    assert second.next().header("jobgate-slot") == slot
    assert slots(site) == slot.split("/")[1:]
    site.await_running(1, CLS)


def test_a_release_before_the_end_of_its_job_frees_the_slot_for_good(make_site):
    site = make_site(by_slots(1), partitions=2)
    first, second = pair(site)
    slot = begin(site, first)
    report(site, slot, partition=1)
    assert second.next().header("jobgate-release") == slot
    await_slots(site, 0)
    admitted = site.stats(CLS)["admitted"]
    renewed_until = time.monotonic() + 1.2  # its run is renewed three times a second
    poll_until(second, lambda: time.monotonic() > renewed_until or slots(site), 10, "some heartbeats")
    assert not slots(site) and site.running(CLS) == 1 and site.stats(CLS)["admitted"] == admitted
    assert number_of(first.next().header("jobgate-slot").split("/")[1]) == 1
    assert site.stats(CLS)["held"] == 0


def test_a_release_is_told_by_consumers_of_other_settings_whatever_the_message_is(make_site, make_topic):
    site = make_site(by_slots(6))
    consumer = site.consumer()
    tags = [begin(site, consumer)]
    while len(tags) < 6:
        tags.append(consumer.next().header("jobgate-slot"))
    await_slots(site, 6)
    results = make_topic(1, None, "results")
    other = reader(site, results, {"jobgate.class.Paused.limit": -1})
    stamp = {"jobgate-v": "1", "jobgate-origin": f"default/{results}", "jobgate-class": "Report", "jobgate-key": "1" * 32,
             "jobgate-jid": f"{'1' * 32}-{'1' * 20}", "jobgate-dedup": "until_executing",
             "jobgate-duplicate-of": f"{'1' * 32}-{'2' * 20}", "jobgate-duplicate-since": "1700000000000"}
    release = [("jobgate-release", tags[0].encode())]
    raw_produce(site.kafka, results, produce_job("Report", []), [(name, value.encode()) for name, value in stamp.items()]
                + release)  # a marked duplicate
    report(site, tags[1], topic=results, payload=None)  # no job
    report(site, tags[2], topic=results, payload=b"no JSON")  # unidentified
    report(site, tags[3], topic=results, payload=produce_job("Paused", []))  # held
    report(site, tags[4], tags[5], topic=results)  # a job
    taken = [other.next() for _ in range(3)]
    assert [message.value for message in taken] == [None, b"no JSON", b'{"class":"Report","args":[]}']
    await_skips(other, 2)
    poll_until(other, lambda: not set(slots(site)) & {tag.split("/")[1] for tag in tags}, PATIENCE_S, "all are free")
    assert site.stats(CLS)["slots_freed"] == 6 and not site.stats(CLS)["slots_unknown"]


def test_hostile_releases_are_counted_and_change_nothing(make_site):
    site = make_site(by_slots(2))
    consumer = site.consumer()
    slot = begin(site, consumer)
    bad = [b"", b"/", b"x" * 100000, b"no-slash", b"Enqueuer/", b"/" + MISSING.encode(), b"\x00/" + MISSING.encode(),
           b"E\x00r/" + MISSING.encode(), slot.encode()[:-1], slot.encode() + b"\n", b"c" * 513 + b"/" + MISSING.encode()]
    for value in bad:
        report(site, value)
    raw_produce(site.kafka, site.topic, b"{}", [("jobgate-release", None)])
    report(site, *[f"Un/known\x1b[2J/{MISSING}".encode()] * 17)  # one too many, of no class that anybody knows
    report(site, f"{CLS}/{MISSING}")
    poll_until(consumer, lambda: consumer.counter("slots_unknown") == 17, PATIENCE_S, "all were told")
    assert consumer.counter("releases_malformed") == len(bad) + 2
    assert slot.split("/")[1] in slots(site) and consumer.counter("slots_freed") == 0
    assert "jobgate-release" in consumer.app.wait_log("is ignored")


# --- the store is away ---

AWAY = {"jobgate.store.timeout.ms": 100, "jobgate.store.wait.ms": 500, "auto.commit.interval.ms": 100}


@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
def test_a_release_that_comes_while_the_store_is_down_is_told_when_it_is_back_before_its_offset_is_past(
        make_site, make_topic, own_redis, killed):
    site = make_site(by_slots(1, **AWAY), redis=own_redis)
    slot = begin(site, site.consumer())
    results = make_topic(1, None, "results")
    consumer = reader(site, results)
    report(site, topic=results)
    consumer.next()

    def past(offset):
        return committed(site.kafka, f"{site.group}-other", results) >= offset

    poll_until(consumer, lambda: past(1), PATIENCE_S, "commits are made")
    own_redis.pause()
    report(site, slot, topic=results)
    report(site, topic=results)
    assert consumer.next().header("jobgate-release") == slot, "an ordinary message waits for no store"
    consumer.next()
    over = time.monotonic() + 1
    poll_until(consumer, lambda: time.monotonic() > over, 10, "some commits were due")
    assert not past(2)
    if killed:
        # With what it has to tell: the message comes again, and says it.
        consumer.app.kill()
        consumer = reader(site, results)
    own_redis.resume()
    poll_until(consumer, lambda: not slots(site), 2 * PATIENCE_S, "the slot is free")
    poll_until(consumer, lambda: past(3), PATIENCE_S, "its offset is past")


def test_jobs_that_run_put_their_slots_back_into_an_empty_store(make_site, own_redis):
    site = make_site(by_slots(1, **{setting("limit.ttl.ms"): 2000}), redis=own_redis)
    consumer = site.consumer()
    slot = begin(site, consumer)
    own_redis.restart_empty()
    await_slots(site, 1)
    assert slots(site) == slot.split("/")[1:]


# --- people ---

def test_people_see_slots_and_free_them_by_hand(make_site):
    site = make_site(by_slots(2, **{setting("lease"): "class", "jobgate.default.dedup": "until_executing"}))
    site.producer().delivered(enqueuer())
    consumer = site.consumer()
    jids = [consumer.next().header("jobgate-slot").split("/")[1] for _ in range(2)]
    await_waiting(site, consumer)
    text = site.jobgate("capacity", CLS, "--slots").stdout
    assert "2 of 2 capacity slots taken" in text and "At capacity" in text and text.index(jids[0]) < text.index(jids[1])
    told = json.loads(site.jobgate("capacity", CLS, "--slots", "--json").stdout)
    assert [slot["jid"] for slot in told["slots"]] == jids
    assert told["capacity"]["slots"]["taken"] == told["capacity"]["load"]["value"] == 2 and told["capacity"]["full"]
    assert "2 slots, full" in site.jobgate("status").stdout
    assert "capacity slots are taken" in site.jobgate("explain", stamp_of(jids[0], 2)).stdout
    assert "It has a capacity slot" in site.jobgate("explain", jids[0]).stdout
    assert f'jobgate_load{{namespace="default",class="{CLS}"}} 2' in site.jobgate("status", "--prometheus").stdout
    assert jids[0] in site.jobgate("capacity", CLS, "--free", jids[0]).stdout
    again = site.jobgate("capacity", CLS, "--free", jids[0], succeeds=False)
    assert again.returncode == 1 and "no capacity slot" in again.stderr
    assert site.jobgate("capacity", CLS, "--free", "nonsense", succeeds=False).returncode == 2
    assert consumer.next().header("jobgate-slot") == f"{CLS}/{stamp_of(jids[0], 2)}"
