# SPDX-License-Identifier: Apache-2.0
"""The resumer killed at each step of its transaction: no held job is lost, and none is produced twice. Among those that
go are some that have to wait for their key, so that others go ahead of them."""

import queue
import random
import time
from collections import defaultdict

import pytest

from support.app import raw_produce_many
from support.jobs import timed_job, timed_jobs
from support.kafka import KafkaCluster
from support.kafka_proxy import (ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN, END_TXN, PRODUCE, TXN_OFFSET_COMMIT,
                                 KafkaProxy)
from support.processes import wait_until

LIMIT = "jobgate.class.Mail.limit"
PAUSED = -1
SETTINGS = {LIMIT: PAUSED, "jobgate.class.Mail.lease": "key", "jobgate.class.Mail.lease.taken": "hold",
            "jobgate.default.dedup": "none", "jobgate.resumer": "separate"}
VICTIM = "the-resumer"
PARTITIONS = 2
# More than one transaction's worth: what a first one brought back is not brought back again, either. No more than the
# tickets that there are, where nothing but keys bounds them.
JOBS = 900
WAIT_EVERY = 10
STEPS = {"AddPartitionsToTxn": ADD_PARTITIONS_TO_TXN, "Produce": PRODUCE, "AddOffsetsToTxn": ADD_OFFSETS_TO_TXN,
         "TxnOffsetCommit": TXN_OFFSET_COMMIT, "EndTxn": END_TXN}


@pytest.fixture(scope="module")
def proxied_kafka():
    """-> (cluster, proxy): a broker that tells its clients to come through the proxy."""
    cluster = KafkaCluster()
    with KafkaProxy(lambda: cluster.node(1).broker_port) as proxy:
        cluster.settings["advertised.listeners"] = f"PLAINTEXT://{proxy.address}"
        with cluster:
            yield cluster, proxy


@pytest.fixture
def make_victim(proxied_kafka, make_resumer):
    """make_victim(site, api_key, when, nth): a resumer that is killed there; returns when it is."""
    _, proxy = proxied_kafka

    def make(site, api_key, when, nth):
        started = queue.Queue()
        proxy.arm(VICTIM, api_key, when, lambda: started.get(timeout=30).kill(), nth)
        victim = make_resumer(site, {"jobgate.kafka.client.id": VICTIM})
        started.put(victim)
        assert proxy.await_pulled(30), f"it never came to request {nth} with key {api_key}:\n{victim.log}"
        assert not victim.running()

    yield make
    proxy.disarm()


def hold_all(site, recorder, crew, jobs):
    """All are held, and committed, so that nobody gets them again; then no consumer is left."""
    raw_produce_many(site.kafka, site.topic, jobs)
    site.await_held(len(jobs), timeout_s=60)
    ends = {message.partition: message.offset + 1 for message in site.log()}
    wait_until(lambda: all(site.committed(number) == end for number, end in ends.items()), 30, "all is committed",
               interval_s=0.1)
    crew.kill(0)
    assert not recorder.runs("Mail")


def jobs_of_two_kinds():
    """-> (jobs that may go, jobs of one key that may not, all of them as they are produced)"""
    free = timed_jobs("Mail", JOBS, random.Random(1), 0, 0)
    waiting = [timed_job("Mail", 0, ["tenant"]) for _ in range(JOBS // WAIT_EVERY)]
    mixed = [job for number, some in enumerate(waiting)
             for job in (some, *free[number * WAIT_EVERY:(number + 1) * WAIT_EVERY])]
    return free, waiting, mixed


def give_lease(site, job):
    """A run that nobody ends has the lease of its key."""
    (key,) = {record.stamp[:32] for record in site.read(site.held_topic()) if record.jid == job.jid}
    client, member = site.redis.client(), f"{key}-{0:020x}@nobody@{site.topic}/0/0"
    client.zadd(site.key("run"), {member: int((time.time() + 3600) * 1000)})
    client.hset(site.key(f"lease:{key}"), mapping={"m": member, "tok": 1})


def assert_in_order(site, jobs):
    """In each partition they came back as they were produced."""
    numbers = {job.jid: number for number, job in enumerate(jobs)}
    for partition in range(PARTITIONS):
        back = [numbers[copy.jid] for copy in resumed_copies(site.log())
                if copy.partition == partition and copy.jid in numbers]
        assert back and back == sorted(back)


def resumed_copies(messages):
    return [message for message in messages if message.header("jobgate-resumed")]


def copies_by_jid(messages):
    """{jid: how often each of its copies had been resumed}."""
    copies = defaultdict(list)
    for message in messages:
        copies[message.jid].append(int(message.header("jobgate-resumed") or 0))
    return copies


@pytest.mark.parametrize("when", ["before", "sent", "answered"])
@pytest.mark.parametrize("step", STEPS)
def test_a_resumer_killed_at_this_step_loses_no_held_job_and_produces_none_twice(
        make_crew_site, make_crew, make_resumer, make_victim, proxied_kafka, recorder, step, when):
    site = make_crew_site(SETTINGS, kafka=proxied_kafka[0], partitions=PARTITIONS)
    jobs, waiting, mixed = jobs_of_two_kinds()
    hold_all(site, recorder, make_crew(site, 1, {"auto.commit.interval.ms": 100}), mixed)
    give_lease(site, waiting[0])
    site.jobgate("limit", "Mail", 0)
    # The second such request: some of the transaction, or a whole one before it, is done.
    make_victim(site, STEPS[step], when, nth=2)
    written_by_victim = len(resumed_copies(site.log("read_uncommitted")))
    successor = make_resumer(site)
    site.await_held(len(waiting))
    wait_until(lambda: len(resumed_copies(site.log())) >= JOBS, 30, "every held job is in the origin topic again",
               interval_s=0.1)
    successor.stop()
    assert site.holding.passed(site.held_topic()) >= JOBS - 2 * WAIT_EVERY * PARTITIONS
    copies = copies_by_jid(site.log())
    wrong = {job.jid: copies[job.jid] for job in jobs if sorted(copies[job.jid]) != [0, 1]}
    assert not wrong
    assert len(copies) == len(mixed)
    assert all(copies[job.jid] == [0] for job in waiting)
    site.await_held(len(waiting))
    aborted = len(resumed_copies(site.log("read_uncommitted"))) - JOBS
    print(f"{written_by_victim} were written when it was killed, {aborted} of them aborted")
    # Was it in the middle of a transaction?
    if (step, when) in (("Produce", "answered"), ("EndTxn", "before")):
        assert aborted > 0
    if (step, when) == ("EndTxn", "answered"):
        assert aborted == 0
    if step == "EndTxn":  # what was ahead is known to a third one, too, when the others may go
        site.jobgate("drain", site.topic, "--group", site.group, "--now", "--bootstrap-servers", site.kafka.bootstrap)
        copies = copies_by_jid(site.log())
        assert all(sorted(copies[job.jid]) == [0, 1] for job in mixed)
        assert_in_order(site, waiting)


def test_what_a_broker_refuses_of_a_new_holding_topic_is_not_taken_for_held(
        make_crew_site, make_crew, recorder, proxied_kafka):
    """It does not know the partition yet, and then takes what was sent behind: to an idempotent producer whose requests
    overtake each other, what was refused would then count as sent."""
    cluster, proxy = proxied_kafka
    site = make_crew_site(SETTINGS, kafka=cluster)
    proxy.refuse_first(VICTIM, site.held_topic())
    make_crew(site, 1, {"jobgate.kafka.client.id": VICTIM})
    jobs = timed_jobs("Mail", 3, random.Random(3), 0, 0)
    raw_produce_many(cluster, site.topic, jobs[:1])
    assert proxy.await_pulled(60), "nothing was refused"
    for job in jobs[1:]:
        raw_produce_many(cluster, site.topic, [job])
    site.await_held(len(jobs), timeout_s=60)
    assert [record.jid for record in site.read(site.held_topic())] == [job.jid for job in jobs]
