# SPDX-License-Identifier: Apache-2.0
"""`jobgate explain --scan`: where in Kafka a job is, and what its messages say of it; and what was looked through when it
is nowhere."""

import json
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from live.limits import LIMIT, MANUAL, SKIP, blocked, finish, mail, poll_until
from support.app import committed, raw_produce, raw_produce_many
from support.jobs import timed_job
from support.processes import wait_until

OK, NEGATIVE = 0, 1
KEY = "0123456789abcdef0123456789abcdef"
JID = f"{KEY}-{1:020x}"


def now_ms():
    return int(time.time() * 1000)


@pytest.fixture
def site(make_site):
    return make_site({LIMIT: 1})


def run(site, subject, *words, ends=OK):
    told = site.jobgate("explain", subject, "--scan", "--bootstrap-servers", site.kafka.bootstrap, *words,
                        succeeds=False)
    assert told.returncode == ends, told.stdout + told.stderr
    return told


def scan(site, subject, *words, ends=OK):
    return json.loads(run(site, subject, "--json", *words, ends=ends).stdout)


def found(told, place=None):
    return [one for one in told["scan"]["found"] if place in (None, one["place"])]


def reasons(told):
    return [why["reason"] for why in told["why"]]


def stamped(site, name_space="default", **more):
    """The headers of a job as a plugin produces it."""
    headers = {"jobgate-v": "1", "jobgate-origin": f"{name_space}/{site.topic}", "jobgate-jid": JID,
               "jobgate-class": "Mail", "jobgate-key": KEY, "jobgate-dedup": "until_executing"}
    headers.update({f"jobgate-{name.replace('_', '-')}": str(value) for name, value in more.items()})
    return [(name, value.encode()) for name, value in headers.items()]


def held_headers(site, **more):
    return stamped(site, held_since=now_ms() - 200000, held_reason="limit", held_from="0/3", held_time=now_ms() - 300000,
                   **more)


def test_a_job_that_is_queued_is_found_and_one_that_was_started_is_passed(site):
    report = site.producer().delivered(mail(1))
    told = scan(site, report.stamp)
    (one,) = found(told)
    assert (one["place"], one["topic"], one["partition"], one["offset"]) == ("topic", site.topic, 0, report.offset)
    assert (one["jid"], one["class"], one["stamp"]) == (report.stamp, "Mail", "ours")
    assert (one["group"], one["passed"]) == (None, None)
    assert abs(one["timestamp_ms"] - now_ms()) < 60000
    assert "no group has the topic now" in run(site, report.stamp).stdout
    consumer = site.consumer(MANUAL)
    finish(consumer, consumer.next())
    told = scan(site, report.stamp)
    (one,) = found(told)
    assert (one["group"], one["committed"], one["passed"]) == (site.group, report.offset + 1, True)
    assert f"group {site.group} is past it" in run(site, report.stamp).stdout
    assert found(scan(site, report.stamp, "--group", "another"))[0]["committed"] is None
    assert committed(site.kafka, "jobgate-explain", site.topic) < 0, "looking commits nothing"


def test_a_queued_job_tells_how_many_are_before_it(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    finish(consumer, blocked(site, consumer, producer))
    consumer.close()
    reports = [producer.delivered(mail(number)) for number in range(3)]
    told = scan(site, reports[-1].stamp, "--group", site.group)
    assert found(told)[0]["passed"] is False
    assert reasons(told)[0] == "queued"
    assert "2 messages are before it" in told["why"][0]["text"]


def test_a_held_job_is_found_where_it_waits_and_where_it_came_from(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    running = blocked(site, consumer, producer)
    report = producer.delivered(mail(2))
    consumer.next_error(SKIP)
    site.await_held(1)
    told = scan(site, report.stamp)
    (one,) = found(told, "held")
    assert one["topic"] == site.held_topic() and one["origin"] == site.topic
    assert one["group"] == f"{site.group}.jobgate" and not one["passed"]
    held = one["held"]
    assert (held["reason"], held["from_partition"], held["from_offset"]) == ("limit", 0, report.offset)
    assert (held["not_before_ms"], held["resumed"]) == (None, 0)
    assert len(found(told, "topic")) == 1
    assert told["claim"]["state"] == "held" and "limit" in reasons(told)
    text = run(site, report.stamp).stdout
    assert f"{site.held_topic()}/0/0, the holding topic of {site.topic}" in text
    assert "it waits here" in text and "reason limit: its class ran as many jobs as it may" in text
    finish(consumer, running)
    finish(consumer, consumer.next())
    site.await_held(0)
    again = found(scan(site, report.stamp))[-1]
    assert (again["place"], again["held"]["resumed"]) == ("topic", 1)


def test_a_limited_job_without_a_claim_is_explained_by_its_message(make_site):
    site = make_site({LIMIT: 1, "jobgate.default.dedup": "none"})
    consumer = site.consumer(MANUAL)
    blocked(site, consumer)
    raw_produce(site.kafka, site.topic, mail(2).encode())
    consumer.next_error(SKIP)
    site.await_held(1)
    key = json.loads(subprocess.run(
        [Path(site.plugin).parent / "jobgate", "key", "--topic", site.topic, "--json", *site.jobgate_words()],
        input=mail(2), capture_output=True, text=True, timeout=60, check=True).stdout)["key"]
    told = scan(site, key)
    (message,), (held,) = found(told, "topic"), found(told, "held")
    assert (told["found"], message["stamp"], message["jid"], message["class"]) == (False, "none", None, "Mail")
    assert "no plugin produced it" in run(site, key).stdout
    told = scan(site, held["jid"])
    assert (told["class"], told["found"], told["claim"]) == ("Mail", False, None)
    assert reasons(told)[0] == "limit"


def test_a_marked_duplicate_and_a_candidate_name_their_original(make_site):
    site = make_site()
    producer = site.producer()
    original = site.queued(producer, mail(1))
    duplicate = producer.delivered(mail(1))
    told = scan(site, duplicate.stamp)
    (one,) = found(told)
    assert (one["duplicate_of"], one["candidate_of"]) == (original.stamp, None)
    assert reasons(told) == ["duplicate"]
    assert f"marked as a duplicate of {original.stamp}, claimed " in run(site, duplicate.stamp).stdout
    told = scan(site, original.stamp.split("-")[0])
    assert [one["jid"] for one in found(told)] == [original.stamp, duplicate.stamp]
    raw_produce(site.kafka, site.topic, mail(3).encode(), headers=stamped(site, candidate_of=f"{KEY}-{2:020x}"))
    assert found(scan(site, JID))[0]["candidate_of"] == f"{KEY}-{2:020x}"


def test_a_dead_job_is_found_with_its_reason(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.hold.max.age.ms": 1000})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    blocked(site, consumer, producer)
    report = producer.delivered(mail(2))
    consumer.next_error(SKIP)
    poll_until(consumer, lambda: site.read(site.dead_topic), 30, "it is dead")
    told = scan(site, report.stamp)
    (one,) = found(told, "dead")
    assert one["topic"] == site.dead_topic and "hold.max.age.ms" in one["dead_reason"]
    assert "dead" in reasons(told)
    assert "Nothing brings it back by itself" in run(site, report.stamp).stdout


def test_a_job_that_failed_waits_for_its_backoff(site):
    site.kafka.create_topic(site.held_topic(), 1, {"retention.ms": -1})
    headers = held_headers(site, not_before=now_ms() + 600000, attempt=3)
    raw_produce(site.kafka, site.held_topic(), mail(1).encode(), headers=headers)
    told = scan(site, JID, "--group", site.group)
    (one,) = found(told)
    assert (one["attempt"], one["held"]["not_before_ms"] > now_ms()) == (3, True)
    (why,) = told["why"]
    assert why["reason"] == "retry" and "failed 3 times" in why["text"]
    text = run(site, JID, "--group", site.group).stdout
    assert "not to be resumed before" in text and "it has failed 3 times" in text
    words = ["held", "Mail", "--topic", site.topic, "--group", site.group, "--bootstrap-servers", site.kafka.bootstrap]
    assert "failed 3 times, not resumed before" in site.jobgate(*words).stdout
    (listed,) = json.loads(site.jobgate(*words, "--json").stdout)["held"]
    assert (listed["attempt"], listed["not_before_ms"]) == (3, one["held"]["not_before_ms"])


@pytest.mark.parametrize("reason", ["limit", "behind", "paused", "lease", "capacity"])
def test_every_reason_of_being_held_is_told(site, reason):
    site.kafka.create_topic(site.held_topic(), 1, {"retention.ms": -1})
    headers = stamped(site, held_since=now_ms() - 1000, held_reason=reason, held_from="0/3", held_time=now_ms())
    raw_produce(site.kafka, site.held_topic(), mail(1).encode(), headers=headers)
    told = scan(site, JID)
    assert found(told)[0]["held"]["reason"] == reason
    assert reasons(told) == [reason]


def test_a_message_of_another_namespace_is_said_to_be_foreign(site):
    raw_produce(site.kafka, site.topic, mail(1).encode(), headers=stamped(site, name_space="elsewhere"))
    told = scan(site, JID)
    (one,) = found(told)
    assert (one["stamp"], one["jid"], one["class"], told["why"]) == ("foreign", JID, "Mail", [])
    assert "not of this namespace" in run(site, JID).stdout


def test_nothing_found_says_what_was_looked_through(site):
    site.kafka.create_topic(site.held_topic(), 1, {})
    for number in range(3):
        raw_produce(site.kafka, site.topic, mail(number).encode())
    told = scan(site, JID, ends=NEGATIVE)["scan"]
    assert (told["total"], told["messages"], told["partitions"], told["complete"]) == (0, 3, 2, True)
    assert sorted(told["topics"]) == [site.topic, site.held_topic()]
    text = run(site, JID, ends=NEGATIVE).stdout
    assert f"In Kafka nothing was found of job {JID}." in text
    assert "Looked through 3 messages in 2 partitions of" in text and site.held_topic() in text


def test_a_topic_that_is_not_there_is_no_reason_to_fail(site):
    told = run(site, JID, "--topic", f"{site.topic}-gone", ends=NEGATIVE)
    assert "no topic" in told.stdout


def test_one_topic_is_scanned_when_asked_for(site, make_topic):
    raw_produce(site.kafka, site.topic, mail(1).encode(), headers=stamped(site))
    assert scan(site, JID, "--topic", make_topic(), ends=NEGATIVE)["scan"]["total"] == 0
    assert scan(site, JID, "--topic", site.topic)["scan"]["total"] == 1


def test_a_scan_ends_with_its_time_and_says_so(site):
    for _ in range(2):
        raw_produce(site.kafka, site.topic, mail(1).encode())
    told = scan(site, JID, "--timeout", "0.001", ends=NEGATIVE)["scan"]
    assert (told["complete"], told["messages"] + told["left"]) == (False, 2)
    text = run(site, JID, "--timeout", "0.001", ends=NEGATIVE).stdout
    assert "nothing was found" in text and "so far." in text
    assert "The time was over after 0.001 s: at most " in text and "--timeout" in text
    assert scan(site, JID, "--timeout", "0", ends=NEGATIVE)["scan"]["complete"] is True


def test_all_partitions_are_read(make_site):
    site = make_site({LIMIT: 1}, partitions=4)
    raw_produce_many(site.kafka, site.topic, [timed_job("Mail", 0) for _ in range(200)], 4)
    for partition in range(4):
        raw_produce(site.kafka, site.topic, mail(1).encode(), headers=stamped(site), partition=partition)
    told = scan(site, JID)
    assert sorted((one["partition"], one["offset"]) for one in found(told)) == [(number, 50) for number in range(4)]
    assert told["scan"]["messages"] == 204


def test_no_more_are_listed_than_fit_and_all_are_counted(site):
    for _ in range(103):
        raw_produce(site.kafka, site.topic, mail(1).encode(), headers=stamped(site))
    told = scan(site, JID)["scan"]
    assert (told["total"], len(told["found"])) == (103, 100)
    assert "and 3 more" in run(site, JID).stdout


def test_progress_is_shown_on_a_terminal_alone(site):
    raw_produce(site.kafka, site.topic, mail(1).encode())
    assert "messages read" not in run(site, JID, ends=NEGATIVE).stderr
    command = [Path(site.plugin).parent / "jobgate", "explain", JID, "--scan", "--bootstrap-servers",
               site.kafka.bootstrap, *site.jobgate_words()]
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
        assert ended.returncode == NEGATIVE
        assert b"of 1 messages read, 0 found" in wait_until(lambda: os.read(ours, 4096), 5, "progress")
    finally:
        os.close(ours)
        os.close(theirs)
