# SPDX-License-Identifier: Apache-2.0
"""When a job is over: at the next poll, or when a commit covers it. With until_executed its claim lasts until then."""

import time

import pytest

from support.app import own_jid, produce_job
from support.processes import wait_until

LAST = produce_job("Last", [])
MANUAL = {"enable.auto.commit": "false"}
STORING = {"enable.auto.offset.store": "false"}


def mail(*args):
    return produce_job("Mail", args or [1])


@pytest.fixture
def site(make_site):
    return make_site({"jobgate.default.dedup": "until_executed"})


def states(site):
    return sorted(claim["st"] for claim in site.claims())


# --- by poll ---

# Who takes events, as the clients of Go and Rust do, is called back at no poll.
however_it_polls = pytest.mark.parametrize("how", [{}, {"events": True}], ids=["called back", "by events"])


@however_it_polls
def test_a_job_is_complete_at_the_next_poll_and_not_before(site, how):
    producer, consumer = site.producer(), site.consumer(**how)
    original = site.queued(producer)
    consumer.next()
    site.await_state("r")
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp
    assert site.claim()["st"] == "r"
    consumer.poll()
    site.await_state(None)


@however_it_polls
def test_a_job_is_complete_while_the_next_poll_still_waits(site, how):
    """Nothing more comes, so it is the blocked poll itself that must be noticed."""
    consumer = site.consumer(**how)
    site.queued(site.producer())
    consumer.next()
    poll = consumer.app.send("poll", handle=consumer.name, timeout_ms=20000)
    site.await_state(None, timeout_s=10)
    assert not consumer.app.replied(poll)
    # The next job ends its wait.
    site.producer().delivered(mail(2))
    assert consumer.app.reply(poll)["message"]


def test_a_polling_loop_completes_every_job(site):
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(50)]
    for job in jobs:
        producer.accepted(job)
    producer.flush()
    consumer.run()
    consumer.started(50)
    wait_until(lambda: not site.claims(), 30, "all claims end")
    assert [message.jid for message in consumer.starts()] == [own_jid(job) for job in jobs]
    assert all(message.is_original for message in consumer.starts())


def test_a_running_job_keeps_its_claim_past_the_ttl(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed", "jobgate.default.dedup.ttl.ms": 1000,
                      "jobgate.default.dedup.provisional.ms": 500})
    producer, consumer = site.producer(), site.consumer()
    original = producer.delivered(mail())
    consumer.run(job_ms=-1)
    consumer.started()
    client = site.redis.client()
    began_s = client.time()[0]
    wait_until(lambda: client.time()[0] - began_s >= 4, 30, "four seconds on the server's clock")
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == original.stamp
    consumer.finish()
    site.await_state(None)


def test_a_killed_consumers_claim_ends_with_its_ttl(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed", "jobgate.default.dedup.ttl.ms": 1500,
                      "jobgate.default.dedup.provisional.ms": 500})
    consumer = site.consumer()
    site.producer().delivered(mail())
    consumer.run(job_ms=-1)
    consumer.started()
    site.await_state("r")
    consumer.app.kill()
    site.await_state(None, timeout_s=1.5 + 1.5)


# --- by commit ---

@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("settings", [MANUAL, {**MANUAL, **STORING}], ids=["manual", "manual-and-storing"])
def test_with_manual_commits_a_job_is_complete_when_a_commit_covers_it(site, settings, asynchronous):
    producer, consumer = site.producer(), site.consumer(settings)
    first, second = site.queued(producer), producer.delivered(mail(2))
    consumer.next()
    consumer.next()
    consumer.poll()
    assert states(site) == ["r", "r"]
    assert producer.delivered(mail()).header("jobgate-duplicate-of") == first.stamp
    consumer.commit((0, 1), asynchronous=asynchronous)
    wait_until(lambda: [claim["jid"] for claim in site.claims()] == [second.stamp], 30,
               "the first job is complete, the second is not")
    consumer.commit((0, 2), asynchronous=asynchronous)
    wait_until(lambda: not site.claims(), 30, "the second is complete too")


def test_where_the_program_stores_offsets_a_job_is_complete_when_they_are_committed(site):
    producer, consumer = site.producer(), site.consumer(STORING)
    site.queued(producer)
    consumer.next()
    consumer.poll(300)
    assert site.claim()["st"] == "r"
    consumer.store_offset(0, 1)
    # Well before librdkafka's five seconds: the interval was lowered.
    site.await_state(None, timeout_s=4)
    assert site.committed() == 1


def test_a_commit_interval_that_the_program_set_is_kept(site):
    producer = site.producer()
    consumer = site.consumer({**STORING, "auto.commit.interval.ms": 60000})
    site.queued(producer)
    consumer.next()
    consumer.store_offset(0, 1)
    consumer.poll(1500)
    assert site.claim()["st"] == "r"
    consumer.commit()
    site.await_state(None)


def test_completion_by_commit_can_be_asked_for(site):
    producer, consumer = site.producer(), site.consumer({**MANUAL, "jobgate.completion": "commit"})
    site.queued(producer)
    consumer.next()
    consumer.poll()
    assert site.claim()["st"] == "r"
    consumer.commit((0, 1))
    site.await_state(None)


def test_batch_calls_with_manual_commits_run_and_complete(site):
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(5)]
    for job in jobs:
        site.queued(producer, job)
    got = []
    wait_until(lambda: got.extend(consumer.batch()) or len(got) >= 5, 30, "five jobs", interval_s=0)
    assert [message.jid for message in got] == [own_jid(job) for job in jobs]
    assert states(site) == ["r"] * 5
    consumer.commit((0, 5))
    wait_until(lambda: not site.claims(), 30, "all claims end")


# --- where the end of a job cannot be seen ---

def assert_names_the_cure(error):
    assert error.error == "_STATE"
    text = error.text.lower()
    assert "enable.auto.commit" in text or "enable.auto.offset.store" in text, error.text


def test_a_batch_call_is_refused_for_until_executed_with_the_cure_named(site):
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    producer.delivered(mail(2))
    wait_until(lambda: [message for message in consumer.batch() if message.error == "_STATE"], 30, "a refusal",
               interval_s=0)
    assert_names_the_cure(next(message for message in consumer.seen if message.error == "_STATE"))
    assert not [message for message in consumer.seen if not message.error]


def test_a_batch_call_is_fine_for_until_executing(make_site):
    site = make_site()
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(5)]
    for job in jobs:
        site.queued(producer, job)
    producer.delivered(mail(0))
    producer.delivered(LAST)
    wait_until(lambda: [m for m in consumer.batch() if m.value == LAST.encode()], 30, "the last job", interval_s=0)
    ran = [message.jid for message in consumer.seen if not message.error]
    assert ran == [*map(own_jid, jobs), own_jid(LAST)]
    assert len(consumer.skips()) == 1


def test_a_second_polling_thread_is_refused_for_until_executed_with_the_cure_named(site):
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    consumer.next(on="first")
    producer.delivered(mail(2))
    error = consumer.next_error("_STATE", on="second")
    assert_names_the_cure(error)
    assert len([message for message in consumer.seen if not message.error]) == 1


def test_a_second_polling_thread_is_fine_for_until_executing(make_site):
    site = make_site()
    producer, consumer = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        assert producer.delivered(job).is_original
    got = [consumer.next(on=f"thread{i % 2}").jid for i in range(4)]
    assert got == [own_jid(job) for job in jobs]


def test_a_refused_consumer_says_so_once_a_second_and_no_faster(site):
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(mail(1))
    consumer.next(on="first")
    producer.delivered(mail(2))
    consumer.next_error("_STATE", on="second")
    count = len(consumer.skips("_STATE"))
    began = time.monotonic()
    consumer.next_error("_STATE", on="second")
    consumer.next_error("_STATE", on="second")
    assert time.monotonic() - began > 1
    assert len(consumer.skips("_STATE")) == count + 2


def test_the_first_admission_says_what_completion_by_poll_assumes(site):
    consumer = site.consumer()
    site.producer().delivered(mail())
    consumer.next()
    consumer.app.wait_log("poll")
