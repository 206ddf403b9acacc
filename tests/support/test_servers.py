# SPDX-License-Identifier: Apache-2.0
"""The harness itself: real servers start, break and come back as told, and nothing outlives the test run."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis as redis_client
from confluent_kafka import Consumer, KafkaError, Producer

from support.kafka import QUIET, KafkaCluster
from support.processes import ServerError, wait_until
from support.redis import RedisServer


def produce(cluster, topic, value, timeout_s=30):
    outcome = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", **QUIET})
    producer.produce(topic, value, on_delivery=lambda error, _: outcome.append(error))
    producer.flush(timeout_s)
    assert outcome == [None]


def consume(cluster, topic, count, timeout_s=30):
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": os.urandom(8).hex(),
                         "auto.offset.reset": "earliest", **QUIET})
    consumer.subscribe([topic])
    values = []

    def enough():
        message = consumer.poll(0.1)
        if message and not message.error():
            values.append(message.value())
        elif message:
            assert message.error().code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
        return len(values) >= count

    try:
        wait_until(enough, timeout_s, f"{count} messages from {topic}", interval_s=0)
    finally:
        consumer.close()
    return values


def processes_in(directory):
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(directory) in os.readlink(entry / "cwd"):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def test_a_broker_takes_and_gives_messages(kafka, make_topic):
    topic = make_topic()
    produce(kafka, topic, b"hello")
    assert consume(kafka, topic, 1) == [b"hello"]


def test_a_killed_broker_comes_back_with_its_data(make_kafka):
    cluster = make_kafka()
    topic = cluster.create_topic("kept")
    produce(cluster, topic, b"before")
    cluster.kill()
    assert not cluster.node(1).process.running()
    cluster.start_node()
    produce(cluster, topic, b"after")
    assert consume(cluster, topic, 2) == [b"before", b"after"]
    cluster.restart()
    assert consume(cluster, topic, 2) == [b"before", b"after"]


def test_three_brokers_survive_the_death_of_a_leader(make_kafka):
    cluster = make_kafka(nodes=3)
    topic = cluster.create_topic("spread")
    produce(cluster, topic, b"before")
    leader = cluster.leader_of(topic)
    cluster.kill(leader)
    wait_until(lambda: cluster.leader_of(topic) not in (leader, -1), 30, "another leader")
    produce(cluster, topic, b"after")
    cluster.start_node(leader)
    assert consume(cluster, topic, 2) == [b"before", b"after"]


def test_a_broker_that_cannot_start_says_why():
    with pytest.raises(ServerError, match="no.such.class"):
        KafkaCluster(settings={"authorizer.class.name": "no.such.class"}).start()


def test_redis_answers_on_its_port_and_its_socket(redis):
    redis.client().set("a", 1)
    assert redis_client.Redis(unix_socket_path=str(redis.socket_path)).get("a") == b"1"
    assert redis_client.Redis.from_url(redis.url(database=3)).get("a") is None


@pytest.mark.parametrize("time", ["first", "second"])
def test_redis_is_empty_when_a_test_begins(redis, time):
    assert redis.client().dbsize() == 0
    redis.client().set("left behind", time)


def test_a_restarted_redis_keeps_its_data_and_an_emptied_one_does_not(own_redis):
    own_redis.client().set("a", 1)
    run_id = own_redis.client().info("server")["run_id"]
    own_redis.restart()
    assert own_redis.client().get("a") == "1"
    assert own_redis.client().info("server")["run_id"] != run_id
    own_redis.restart_empty()
    assert own_redis.client().get("a") is None


@pytest.mark.parametrize("appendonly", [False, True])
def test_redis_goes_back_to_an_old_snapshot(make_redis, appendonly):
    server = make_redis(appendonly=appendonly)
    server.client().set("a", "old")
    snapshot = server.snapshot()
    server.client().set("a", "new")
    server.client().set("b", "new")
    server.restart_from(snapshot)
    assert server.client().get("a") == "old"
    assert server.client().get("b") is None


def test_a_killed_redis_keeps_what_it_appended(make_redis):
    server = make_redis(appendonly=True, settings={"appendfsync": "always"})
    server.client().set("a", 1)
    server.kill()
    server.start()
    assert server.client().get("a") == "1"


def test_redis_asks_for_passwords(make_redis):
    server = make_redis(password="top secret".replace(" ", "-"), users={"jobs": "on >pass ~jg1:* &* +@all"})
    assert server.client().ping()
    assert redis_client.Redis.from_url(server.url(user="jobs", password="pass")).ping()
    with pytest.raises(redis_client.exceptions.AuthenticationError):
        redis_client.Redis(port=server.port).ping()
    with pytest.raises(redis_client.exceptions.NoPermissionError):
        redis_client.Redis.from_url(server.url(user="jobs", password="pass")).get("other")


def test_a_paused_redis_answers_nothing_until_it_is_resumed(own_redis):
    own_redis.pause()
    with pytest.raises(redis_client.exceptions.TimeoutError):
        own_redis.client(socket_timeout=0.2).ping()
    own_redis.resume()
    assert own_redis.client().ping()


def test_a_redis_that_cannot_start_says_why():
    with pytest.raises(ServerError, match="no-such-setting"):
        RedisServer(settings={"no-such-setting": "1"}).start()


def test_a_killed_test_run_leaves_no_server(root):
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys, time
            from support.kafka import KafkaCluster
            from support.redis import RedisServer
            cluster, server = KafkaCluster().start(), RedisServer().start()
            print(cluster.directory, server.directory, flush=True)
            time.sleep(600)
        """)],
        env={**os.environ, "PYTHONPATH": str(root / "tests")}, stdout=subprocess.PIPE, text=True,
    )
    try:
        directories = [Path(word) for word in run.stdout.readline().split()]
        assert len(directories) == 2
        assert all(len(processes_in(directory)) == 1 for directory in directories)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_until(lambda: not any(map(processes_in, directories)), 10, "the servers are gone")
    wait_until(lambda: not any(directory.exists() for directory in directories), 10, "their data is gone")
