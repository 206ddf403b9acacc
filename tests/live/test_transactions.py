# SPDX-License-Identifier: Apache-2.0
"""Transactional producers: an acknowledgement comes before the commit, and an abort is seen by nobody."""

import uuid

import pytest

from support.app import own_jid, produce_job

LAST = produce_job("Last", [])


def mail():
    return produce_job("Mail", [1])


@pytest.fixture
def transactional(site):
    producer = site.producer({"transactional.id": uuid.uuid4().hex, "jobgate.default.dedup.action": "reject"})
    producer.transaction("init")
    return producer


def acknowledged(producer, job):
    """Until the broker has it, inside the transaction."""
    return producer.report(producer.accepted(job))


def test_an_aborted_transactions_claim_turns_nothing_away(site, transactional):
    producer = site.producer()
    transactional.transaction("begin")
    aborted = acknowledged(transactional, mail())
    assert aborted.error is None
    # Another handle's confirmed job shows that time for a confirmation was given.
    site.queued(producer, produce_job("Other", []))
    job = mail()
    report = producer.delivered(job)
    assert report.header("jobgate-candidate-of") == aborted.stamp
    transactional.transaction("abort")
    producer.delivered(LAST)
    ran = site.consumer().take(LAST)
    assert own_jid(job) in [message.jid for message in ran]


def test_a_job_produced_after_an_abort_runs(site, transactional):
    transactional.transaction("begin")
    assert acknowledged(transactional, mail()).is_original
    transactional.transaction("abort")
    transactional.transaction("begin")
    job = mail()
    assert acknowledged(transactional, job).header("jobgate-duplicate-of") is None
    transactional.accepted(LAST)
    transactional.transaction("commit")
    assert [message.jid for message in site.consumer().take(LAST)] == [own_jid(job)]


def test_a_committed_transactions_jobs_run(site, transactional):
    jobs = [produce_job("Mail", [number]) for number in range(3)]
    transactional.transaction("begin")
    for job in [*jobs, LAST]:
        transactional.accepted(job)
    transactional.transaction("commit")
    ran = site.consumer().take(LAST)
    assert [message.jid for message in ran] == [own_jid(job) for job in jobs]
    assert all(message.is_original for message in ran)


def test_in_a_transaction_a_duplicate_is_marked_where_it_would_be_rejected(site, transactional):
    original = site.queued(site.producer())
    transactional.transaction("begin")
    transactional.accepted(mail())
    transactional.accepted(LAST)
    transactional.transaction("commit")
    assert site.log()[1].header("jobgate-duplicate-of") == original.stamp
    consumer = site.consumer()
    assert len(consumer.take(LAST)) == 1
    assert len(consumer.skips()) == 1


def test_an_aborted_duplicate_leaves_its_originals_claim_alone(site, transactional):
    original = site.queued(site.producer())
    transactional.transaction("begin")
    acknowledged(transactional, mail())
    transactional.transaction("abort")
    assert site.claim()["jid"] == original.stamp
    assert site.claim()["st"] == "q"
