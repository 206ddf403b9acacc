# SPDX-License-Identifier: Apache-2.0
"""Equal jobs: which run, which are dropped, and what is to be seen of it.

A consumer that meets the job `LAST`, produced after everything else, has decided on all that was before it.
"""

import json
import time

import pytest

from support.app import own_jid, produce_job, raw_produce
from support.processes import wait_until

LAST = produce_job("Last", [])
MODES = ("until_executing", "until_executed")
both_modes = pytest.mark.parametrize("mode", MODES)


def mail(*args):
    return produce_job("Mail", args or [1])


def jids(messages):
    return [message.jid for message in messages]


@both_modes
def test_a_duplicate_of_a_queued_job_never_runs(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode})
    producer = site.producer()
    job = mail()
    site.queued(producer, job)
    for _ in range(3):
        producer.delivered(mail())
    producer.delivered(LAST)
    consumer = site.consumer()
    assert jids(consumer.take(LAST)) == [own_jid(job)]
    assert len(consumer.skips()) == 3


def test_a_duplicate_is_marked_with_its_original_and_since_when_that_stands(site):
    producer = site.producer()
    before_ms = time.time() * 1000
    original = site.queued(producer)
    after_ms = time.time() * 1000
    producer.delivered(mail())
    first, second = site.log()
    assert first.stamp == original.stamp
    assert second.stamps["jobgate-duplicate-of"] == first.stamp
    assert before_ms - 1 <= int(second.stamps["jobgate-duplicate-since"]) <= after_ms + 1
    assert "jobgate-candidate-of" not in second.stamps


def test_a_job_carries_its_stamps(site):
    site.queued(site.producer())
    (message,) = site.log()
    assert set(message.stamps) == {"jobgate-v", "jobgate-origin", "jobgate-jid", "jobgate-class", "jobgate-key",
                                   "jobgate-dedup"}
    assert message.stamps["jobgate-v"] == "1"
    assert message.stamps["jobgate-origin"] == f"default/{site.topic}"
    assert message.stamps["jobgate-class"] == "Mail"
    assert message.stamps["jobgate-dedup"] == "until_executing"
    assert message.stamp.startswith(message.stamps["jobgate-key"] + "-")


def test_a_duplicate_is_an_ordinary_message_for_a_consumer_without_the_plugin(site):
    producer = site.producer()
    site.queued(producer)
    job = mail()
    producer.delivered(job, key="42", headers=[["trace", "abc"]])
    message = site.log()[1]
    assert (message.value, message.key, message.headers[0]) == (job.encode(), b"42", ("trace", b"abc"))


def test_reject_makes_the_produce_call_fail_and_sends_nothing(make_site):
    site = make_site({"jobgate.default.dedup.action": "reject"})
    producer = site.producer()
    job = mail()
    site.queued(producer, job)
    answer = producer.refused(mail(), headers=[["trace", "abc"]])
    assert answer.error == "_UNKNOWN_PARTITION"
    producer.delivered(LAST)
    assert [message.value for message in site.log()] == [job.encode(), LAST.encode()]
    assert jids(site.consumer().take(LAST)) == [own_jid(job)]


def test_reject_before_the_topic_is_known_fails_the_delivery(make_site):
    site = make_site({"jobgate.default.dedup.action": "reject"})
    site.queued(site.producer())
    assert site.producer(know=None).failed(mail()) == "_UNKNOWN_PARTITION"
    assert len(site.log()) == 1


@both_modes
def test_a_rejected_duplicate_leaves_its_originals_claim_alone(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode, "jobgate.default.dedup.action": "reject"})
    producer = site.producer()
    original = site.queued(producer)
    for _ in range(3):
        assert producer.failed(mail()) == "_UNKNOWN_PARTITION"
    assert site.claim()["jid"] == original.stamp
    assert site.claim()["st"] == "q"


def test_a_job_produced_after_its_equal_started_runs(site):
    producer, consumer = site.producer(), site.consumer()
    first, second = mail(), mail()
    site.queued(producer, first)
    consumer.run(job_ms=-1)
    assert consumer.started().jid == own_jid(first)
    assert producer.delivered(second).is_original
    consumer.finish()
    assert consumer.started(2).jid == own_jid(second)


def test_a_job_produced_while_its_equal_runs_is_dropped_and_runs_after_it_completed(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer, consumer = site.producer(), site.consumer()
    first, during, after = mail(), mail(), mail()
    site.queued(producer, first)
    consumer.run(job_ms=-1)
    assert consumer.started().jid == own_jid(first)
    site.await_state("r")
    producer.delivered(during)
    assert site.log()[1].stamps["jobgate-duplicate-of"] == site.log()[0].stamp
    consumer.finish()
    site.await_state(None)
    assert producer.delivered(after).is_original
    assert consumer.started(2).jid == own_jid(after)


def test_jobs_of_other_arguments_or_another_class_are_not_duplicates(site):
    producer = site.producer()
    for job in [mail(1), mail(2), mail(1, 2), mail([1]), mail("1"), produce_job("Post", [1])]:
        assert site.queued(producer, job).is_original


def test_equal_jobs_of_two_namespaces_are_not_duplicates(site):
    one, other = (site.producer({"jobgate.namespace": name}) for name in ("one", "other"))
    site.queued(one)
    assert other.delivered(mail()).is_original
    assert one.delivered(mail()).header("jobgate-duplicate-of")


def test_a_claim_spans_the_topics_of_a_namespace(make_site, make_topic):
    other = make_topic()
    site = make_site()
    site.settings["jobgate.topics"] += f",{other}"
    producer = site.producer()
    site.queued(producer)
    assert producer.delivered(mail(), topic=other).header("jobgate-duplicate-of")


def test_a_claim_older_than_its_ttl_turns_nothing_away(make_site):
    site = make_site({"jobgate.default.dedup.ttl.ms": 1000, "jobgate.default.dedup.provisional.ms": 500})
    producer = site.producer()
    first, second = mail(), mail()
    site.queued(producer, first)
    site.await_state(None)
    assert producer.delivered(second).is_original
    producer.delivered(LAST)
    assert jids(site.consumer().take(LAST)) == [own_jid(first), own_jid(second)]


def test_a_message_that_no_plugin_produced_runs_and_releases_nobodys_claim(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer, consumer = site.producer(), site.consumer()
    foreign = [mail(), mail()]
    for job in foreign:
        raw_produce(site.kafka, site.topic, job)
    assert consumer.next().jid == own_jid(foreign[0])
    original = site.queued(producer)
    assert consumer.next().jid == own_jid(foreign[1])
    # The first one is complete by now, and has ended no claim but its own.
    assert site.claim()["jid"] == original.stamp
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp


def test_only_its_owner_ends_a_claim(make_site):
    """The first job's claim passes its TTL, the second claims; then the first one starts."""
    site = make_site({"jobgate.default.dedup.provisional.ms": 400})
    short = site.producer({"jobgate.default.dedup.ttl.ms": 500})
    producer, consumer = site.producer(), site.consumer()
    first = mail()
    site.queued(short, first)
    site.await_state(None)
    second = site.queued(producer)
    consumer.run(job_ms=-1)
    assert consumer.started().jid == own_jid(first)
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == second.stamp


def test_a_skipped_duplicate_does_not_end_its_originals_claim(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"}, partitions=2)
    producer, consumer = site.producer(), site.consumer(subscribe=False)
    original = site.queued(producer, partition=0)
    producer.delivered(mail(), partition=1)
    producer.delivered(LAST, partition=1)
    consumer.assign((1, 0))
    assert consumer.take(LAST) == []
    assert {claim["jid"]: claim["st"] for claim in site.claims()}[original.stamp] == "q"
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp


def test_a_claim_ends_as_its_producer_said_whatever_the_consumers_settings_are(site):
    producer = site.producer({"jobgate.default.dedup": "until_executing"})
    consumer = site.consumer({"jobgate.default.dedup": "none"})
    site.queued(producer)
    consumer.run(job_ms=-1)
    consumer.started()
    site.await_state(None)


@pytest.mark.parametrize("action", ["mark", "reject"])
def test_in_a_batch_call_duplicates_are_marked(make_site, action):
    site = make_site({"jobgate.default.dedup.action": action})
    producer = site.producer()
    original = site.queued(producer)
    answers = producer.send(mail(), mail(2), mail(), call="batch")
    assert [answer.error for answer in answers] == [None, None, None]
    assert [producer.report(answer).error for answer in answers] == [None, None, None]
    marks = [message.stamps.get("jobgate-duplicate-of") for message in site.log()]
    assert marks == [None, original.stamp, None, original.stamp]
    assert producer.flush()["name"] == "NO_ERROR"


def test_the_old_produce_call_is_governed_too(site):
    producer = site.producer()
    original = site.queued(producer)
    report = producer.delivered(mail(), call="produce")
    assert report.header("jobgate-duplicate-of") == original.stamp


@pytest.mark.parametrize("handles", [1, 16])
def test_sixteen_producers_racing_on_one_key_produce_exactly_one_original(site, handles):
    producers = [site.producer()]
    producers += [site.producer(app=producers[0].app) for _ in range(handles - 1)]
    names = [producers[i % handles].name for i in range(16)]
    answers = producers[0].send(mail("raced"), race=names)
    assert len(answers) == 16
    assert not any(answer.error for answer in answers)
    for producer in producers:
        producer.flush()
    raced = [message for message in site.log() if message.stamps["jobgate-class"] == "Mail"]
    assert len(raced) == 16
    originals = [message for message in raced if message.is_original]
    assert len(originals) == 1
    jid = originals[0].stamp
    wait_until(lambda: any(claim["jid"] == jid and claim["st"] == "q" for claim in site.claims()), 30, "it is confirmed")
    producers[0].delivered(LAST)
    ran = [message for message in site.consumer().take(LAST) if message.stamps["jobgate-class"] == "Mail"]
    assert [message.stamp for message in ran] == [jid]


@pytest.mark.parametrize("settings, error", [
    ({}, "_PARTITION_EOF"),
    ({"enable.partition.eof": "true"}, "_TIMED_OUT"),
    ({"jobgate.skip.error": "timed_out"}, "_TIMED_OUT"),
    ({"jobgate.skip.error": "noop"}, "_NOOP"),
], ids=["default", "eof-enabled", "timed_out", "noop"])
def test_a_skipped_message_shows_as_the_error_that_is_set(site, settings, error):
    producer = site.producer()
    site.queued(producer)
    producer.delivered(mail())
    producer.delivered(LAST)
    consumer = site.consumer(settings)
    assert len(consumer.take(LAST)) == 1
    (skip,) = consumer.skips(error)
    assert skip.value is None
    assert (skip.topic, skip.partition, skip.offset) == (site.topic, 0, 1)


def test_a_null_payload_is_no_job(site):
    producer = site.producer()
    for _ in range(2):
        producer.delivered(None, key="gone")
    assert [(message.value, message.headers) for message in site.log()] == [(None, [])] * 2


def test_a_class_may_have_a_policy_of_its_own(make_site):
    site = make_site({"jobgate.default.dedup": "none", "jobgate.class.Mail.dedup": "until_executing"})
    producer = site.producer()
    site.queued(producer)
    marked = producer.delivered(mail())
    assert marked.header("jobgate-duplicate-of")
    for _ in range(2):
        assert not producer.delivered(json.dumps({"class": "Post", "args": []})).stamps
