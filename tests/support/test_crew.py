# SPDX-License-Identifier: Apache-2.0
"""The workers and the recorder of the burst tests, without any plugin; and brokers that ask who one is."""

import os
import random
import signal

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from support.app import raw_consume, raw_produce, raw_produce_many
from support.crew import Crew, Recorder, Run, overlap_of, percentile, refused_by_fence
from support.jobs import timed_job
from support.kafka import QUIET
from support.processes import wait_until

GROUPED = {"auto.offset.reset": "earliest", "session.timeout.ms": 6000, "fetch.wait.max.ms": 50}


@pytest.fixture
def crew(program, kafka, make_topic):
    """crew(topic, workers) -> a crew that consumes it as one group."""
    made = []

    def make(topic, workers, **options):
        properties = {"bootstrap.servers": kafka.bootstrap, "group.id": os.urandom(8).hex(), **GROUPED}
        made.append(Crew(program("worker"), Recorder(), topic, properties.items(), **options).start(workers))
        return made[-1]

    yield make
    for crew in made:
        crew.close()
        crew.recorder.close()


@pytest.mark.parametrize("intervals, most", [
    ([], 0), ([(1, 2)], 1), ([(1, 2), (2, 3)], 1), ([(1, 3), (2, 4), (3, 5)], 2), ([(1, 9), (2, 8), (3, 7)], 3)])
def test_overlaps_are_counted(intervals, most):
    assert overlap_of(intervals) == most


def test_percentiles_are_of_the_values():
    assert [percentile(range(101), percent) for percent in (0, 50, 99, 100)] == [0, 50, 99, 100]


@pytest.mark.parametrize("runs, refused", [
    ([(1, 1, 2), (2, 3, 4)], []), ([(1, 1, 5), (2, 3, 4)], [1]), ([(2, 1, 2), (1, 3, 4)], [1]), ([(1, 1, 5), (1, 3, 4)], [])])
def test_a_fenced_resource_refuses_smaller_tokens_than_it_has_seen(runs, refused):
    """(token, start, end)"""
    found = refused_by_fence([Run(1, "Mail", "jid", 0, start, token, 9, end_us=end) for token, start, end in runs])
    assert [run.token for run in found] == refused


@pytest.mark.parametrize("settle", [None, "commit"])
def test_workers_run_each_job_once_and_side_by_side(crew, kafka, make_topic, settle):
    topic = make_topic(4)
    jobs = [timed_job("Mail", 20) for _ in range(200)]
    raw_produce_many(kafka, topic, jobs)
    group = crew(topic, 4, settle=settle)
    group.recorder.await_all([job.jid for job in jobs], 30)
    assert set(group.recorder.counts("Mail").values()) == {1}
    assert not group.recorder.second_runs()
    assert 2 <= group.recorder.max_overlap("Mail") <= 4
    assert group.recorder.max_overlap("Other") == 0
    group.stop()


def test_a_killed_workers_job_ends_with_it_and_comes_back(crew, kafka, make_topic):
    topic = make_topic(1)
    job = timed_job("Mail", 60000)
    raw_produce_many(kafka, topic, [job])
    group = crew(topic, 1)
    wait_until(group.recorder.runs, 30, "it starts")
    group.kill(0)
    (run,) = group.recorder.runs()
    assert run.killed and run.end_us and run.jid == job.jid
    assert group.running() == []
    group.restart(0)
    wait_until(lambda: group.recorder.counts()[job.jid] == 2, 30, "it starts again")
    assert group.recorder.second_runs() == {job.jid: 2}
    assert group.recorder.max_overlap() == 1


def test_many_short_jobs_are_all_recorded(crew, kafka, make_topic):
    topic = make_topic(4)
    jobs = [timed_job("Mail", 0) for _ in range(5000)]
    random.Random(1).shuffle(jobs)
    raw_produce_many(kafka, topic, jobs)
    group = crew(topic, 4)
    group.recorder.await_all([job.jid for job in jobs], 60)
    assert len(group.recorder.runs()) == 5000


def test_workers_go_with_a_killed_recorder(crew, kafka, make_topic):
    topic = make_topic(1)
    group = crew(topic, 1)
    group.recorder.close()
    raw_produce_many(kafka, topic, [timed_job("Mail", 0)])
    wait_until(lambda: not group.running(), 30, "the worker is gone")


def test_a_worker_stops_in_order(crew, make_topic):
    group = crew(make_topic(1), 2)
    wait_until(lambda: len(group.running()) == 2, 10, "both run")
    group.pause(0, signal.SIGSTOP)
    group.pause(0, signal.SIGCONT)
    group.stop()
    assert group.running() == []


def test_a_secure_broker_serves_whom_it_knows_and_nobody_else(make_kafka):
    cluster = make_kafka(security="sasl_ssl")
    topic = cluster.create_topic("secret")
    properties = {name: str(value) for name, value in cluster.client_properties.items()}
    outcome = []
    producer = Producer({**properties, **QUIET})
    producer.produce(topic, b"hello", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(30)
    assert outcome == [None]
    raw_produce(cluster, topic, b"in the open")
    assert [message.value for message in raw_consume(cluster, topic)] == [b"hello", b"in the open"]
    for wrong in ({"sasl.password": "wrong"}, {"security.protocol": "SASL_PLAINTEXT"}, {"security.protocol": "PLAINTEXT"}):
        stranger = Consumer({**properties, **wrong, "group.id": "strangers", **QUIET})
        with pytest.raises(KafkaException):
            stranger.list_topics(timeout=3)
        stranger.close()


def test_a_broker_takes_unsigned_tokens_where_it_is_told_to(make_kafka):
    cluster = make_kafka(security="oauthbearer")
    topic = cluster.create_topic("tokens")
    client = Consumer({**cluster.client_properties, "group.id": "known", "enable.sasl.oauthbearer.unsecure.jwt": True,
                       "sasl.oauthbearer.config": "principal=jobs", **QUIET})
    client.poll(1)
    assert topic in client.list_topics(timeout=20).topics
    client.close()
