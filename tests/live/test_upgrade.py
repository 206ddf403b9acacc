# SPDX-License-Identifier: Apache-2.0
"""What earlier versions left behind in Redis and Kafka (tests/upgrade) this one goes on from; and what it leaves behind
itself they could read."""

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from live.capacity import GAUGE, await_full, migrate, number_of
from live.conftest import Site
from live.leases import DONE_TEXT, token_of
from live.limits import assert_idle
from support.app import PATIENCE_S, produce_job, raw_produce
from support.processes import wait_until
from upgrade.record import record
from upgrade.state import write_kafka, write_redis

FIXTURES = sorted((Path(__file__).parents[1] / "upgrade" / "fixtures").glob("*.json"))
API = {"jobgate.completion": "api"}


def read(path):
    return json.loads(path.read_text())


@pytest.fixture(params=FIXTURES, ids=lambda path: path.stem)
def left(request, make_kafka, make_redis, make_app, plugin_path):
    """left("jobs"): the site of that topic, as that version left it; left.keys: Redis's keys as they were recorded.
    Applications end before their servers: librdkafka waits a minute and more for a commit that one took with it."""
    state = read(request.param)
    kafka, redis, sites = make_kafka(), make_redis(), []
    write_kafka(kafka, state["kafka"], state["redis"]["time_ms"])
    write_redis(redis, state["redis"])

    def site(topic):
        sites.append(Site(make_app, kafka, redis, plugin_path, topic, state["settings"]))
        sites[-1].group = f"{topic}-workers"
        return sites[-1]

    yield SimpleNamespace(site=site, keys={key: entry["value"] for key, entry in state["redis"]["keys"].items()})
    for each in sites:
        each.close()


def claims_of(left, cls):
    return [value for key, value in left.keys.items() if f"{{{cls}}}:claim:" in key]


def name(message):
    job = json.loads(message.value)
    return f"{job['class']} {job['args'][0]}"


def test_a_duplicate_of_what_an_earlier_version_claimed_is_one(left):
    producer = left.site("jobs").producer()
    jobs = [("Queued", 1), ("Executed", 0), ("Limited", 1), ("Leased", 1), ("Paused", 1), ("Ticketed", 2)]
    for cls, number in jobs:  # its original is queued, runs, or is held
        report = producer.delivered(produce_job(cls, [number]), partition=0)
        assert report.header("jobgate-duplicate-of") in [claim["jid"] for claim in claims_of(left, cls)], cls


def run_all(site, consumer, count, timeout_s=3 * PATIENCE_S):
    """Jobs start and end until so many have; -> their messages. Of class Tuned one may run at a time, and has a while
    in which others could start."""
    ran = []

    def step():
        message = consumer.poll()
        if not message or message.error:
            return len(ran) == count
        ran.append(message)
        for _ in range(10) if name(message).startswith("Tuned") else ():
            other = consumer.poll()
            if other and not other.error:
                ran.append(other)
                assert not name(other).startswith("Tuned"), "two of a class of which one may run, by an override"
                consumer.complete(other)
        consumer.complete(message)
        return len(ran) == count

    try:
        wait_until(step, timeout_s, f"{count} jobs ran", interval_s=0)
    except AssertionError as error:
        raise AssertionError(f"{error}; but {sorted(map(name, ran))}") from None
    return ran


def test_each_job_that_an_earlier_version_left_runs_once_and_overrides_and_tokens_hold(left):
    site = left.site("jobs")
    consumer = site.consumer(API)
    ran = run_all(site, consumer, 13)
    assert Counter(map(name, ran)) == Counter(
        ["Executed 0", "Limited 0", "Leased 0", "Tuned 0",             # ran when their consumer ended
         "Limited 1", "Limited 2", "Leased 1", "Tuned 1", "Tuned 2", "Tuned 3",  # were held
         "Ticketed 2", "Queued 1", "Lost 1"])                          # had a ticket; were not consumed yet
    tokens = [token_of(message) for message in ran if name(message).startswith("Leased")]
    assert int(left.keys[site.key("lease", "Leased")]["tok"]) < tokens[0] < tokens[1]
    assert_idle(consumer, 3)
    assert site.held("Paused") == 1
    site.jobgate("unpause", "Paused")
    assert name(consumer.next()) == "Paused 1"
    assert not site.tickets("Ticketed")


def test_a_chain_of_an_earlier_version_goes_on_and_what_it_has_done_is_not_done_again(left):
    site = left.site("chains")
    (claim,) = claims_of(left, "Enqueuer")
    consumer = site.consumer()
    assert_idle(consumer, 3)
    skips = consumer.skips()
    assert {0, 1} <= {skip.offset for skip in skips}, "what is done is delivered again, since no offset was committed"
    assert {skip.text for skip in skips} == {DONE_TEXT}
    site.redis.client().decr(GAUGE)
    assert migrate(site, consumer) == claim["jid"]
    assert number_of(await_full(site, consumer)) == number_of(claim["jid"]) + 1


def test_headers_of_a_later_version_are_counted_and_not_believed(left):
    site = left.site("jobs")
    (claim,) = claims_of(left, "Queued")
    consumer = site.consumer(API)
    run_all(site, consumer, 13)
    headers = {"v": "2", "origin": "default/jobs", "jid": claim["jid"], "class": "Queued", "key": claim["jid"][:32],
               "dedup": "until_executing", "duplicate-of": claim["jid"], "duplicate-since": "1700000000000"}
    raw_produce(site.kafka, site.topic, produce_job("Queued", [1]),
                headers=[(f"jobgate-{header}", value.encode()) for header, value in headers.items()])
    assert name(consumer.next()) == "Queued 1"
    assert consumer.counter("foreign_stamps") == 1


# --- back to an earlier version ---


def shapes(state):
    """What a reader relies on: kinds of keys and their fields, and headers."""
    keys, fields, headers = {}, {}, {}
    for key, entry in state["redis"]["keys"].items():
        kind = re.sub(r"[0-9a-f]{32}(-[0-9a-f]{20}(-\d+)?)?$", "*", key)
        keys[kind] = entry["type"]
        if entry["type"] == "hash" and not kind.endswith((":instances", ":tkt", ":stats")):
            fields[kind] = fields.get(kind, set()) | set(entry["value"])
    for topic, found in state["kafka"]["topics"].items():
        for record in found["records"]:
            job = json.loads(record["value"])
            where = f"{topic} {job['class']}"
            headers[where] = headers.get(where, set()) | {header for header, _ in record["headers"]}
    return keys, fields, headers


@pytest.fixture
def leaving(make_kafka, make_redis, build_dir):
    return shapes(record(build_dir, make_kafka(), make_redis()))


def test_what_this_version_leaves_behind_has_all_that_the_last_one_wrote(leaving):
    """So that a version can be rolled back. Additions are for it to ignore."""
    keys, fields, headers = leaving
    old_keys, old_fields, old_headers = shapes(read(FIXTURES[-1]))
    assert {key: keys.get(key) for key in old_keys} == old_keys
    for now, old in ((fields, old_fields), (headers, old_headers)):
        assert {where: old[where] - now.get(where, set()) for where in old if old[where] - now.get(where, set())} == {}
