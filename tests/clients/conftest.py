# SPDX-License-Identifier: Apache-2.0
"""Ordinary programs on each client library, and the queue that they work on."""

import json
import re
import sys
import uuid
from pathlib import Path

import pytest

from clients.programs import Program
from support.app import committed
from support.processes import wait_until

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def kinds(program, root):
    """How each client's program is started."""
    script = HERE / "py_client.py"
    return {
        "c": [program("c_client")],
        "cpp": [program("cpp_client")],
        "debian-python": ["/usr/bin/python3", script],
        "wheel-python": [sys.executable, script],
        "crowded": [program("crowded_client")],
        "static": [program("static_client")],
        "static-whole": [program("static_whole_client")],
        "static-stripped": [program("static_stripped_client")],
        "static-exporting": [program("static_exporting_client")],
        "go": [root / "build/clients/go/client"],
        "go-stripped": [root / "build/clients/go/client-stripped"],
        "kafka-javascript": ["node", root / "build/clients/node/kafka_javascript.js"],
        "node-rdkafka": ["node", root / "build/clients/node/node_rdkafka.js"],
    }


class Queue:
    """A new governed topic, and the programs on it. A property of None is left out."""

    def __init__(self, kinds, kafka, redis, plugin, topic):
        self.kinds, self.kafka, self.redis, self.plugin, self.topic = kinds, kafka, redis, plugin, topic
        self.group = f"group-{uuid.uuid4().hex[:8]}"
        self.loading = {"plugin.library.paths": plugin}
        self.governing = {"jobgate.topics": topic, "jobgate.store": redis.url(),
                          "jobgate.default.dedup": "until_executing"}
        self.client = {"bootstrap.servers": kafka.bootstrap}
        self.consuming = {"group.id": self.group, "auto.offset.reset": "earliest", "session.timeout.ms": 3000,
                          "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 50}
        self._programs = []

    def properties(self, *parts):
        merged = {}
        for part in parts:
            merged.update(part or {})
        return [f"{name}={value}" for name, value in merged.items() if value is not None]

    def start(self, command, env=None, **options):
        program = Program(command, env, **options)
        self._programs.append(program)
        return program

    def producer(self, kind, settings=None, env=None):
        words = self.properties(self.loading, self.client, self.governing, settings)
        return self.start([*self.kinds[kind], "produce", self.topic, *words], env)

    def consumer(self, kind, settings=None, env=None, **options):
        words = self.properties(self.loading, self.client, self.governing, self.consuming, settings)
        return self.start([*self.kinds[kind], "consume", self.topic, *words], env, **options)

    def produce(self, kind, *jobs, settings=None, env=None):
        """Each job once the one before is acknowledged and its claim confirmed. -> what the program said to each"""
        producer = self.producer(kind, settings, env)
        answers = []
        for number, job in enumerate(jobs, 1):
            producer.write(job)
            answers.append(producer.line(r"(delivered|failed|refused) ", count=number))
            self.await_confirmed()
        producer.end_input()
        assert producer.wait() == 0, producer.story()
        return answers

    def claims(self):
        client = self.redis.client()
        return [claim for claim in map(client.hgetall, client.scan_iter("jg1:*:claim:*", count=1000)) if claim]

    def await_confirmed(self):
        wait_until(lambda: all(claim["st"] != "p" for claim in self.claims()), 30, "no claim is provisional")

    def await_no_claim(self):
        wait_until(lambda: not self.claims(), 30, "no claim is left")

    def committed(self, partition=0):
        return committed(self.kafka, self.group, self.topic, partition)

    def end(self, failed):
        for program in self._programs:
            program.end()
            if failed:
                print(program.story())


FAILED = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def make_queue(request, kinds, kafka, redis, plugin_path, make_topic):
    """make_queue(Queue, partitions=2)"""
    queues = []

    def make(cls=Queue, partitions=1):
        queues.append(cls(kinds, kafka, redis, plugin_path, make_topic(partitions)))
        return queues[-1]

    yield make
    for queue in queues:
        queue.end(request.node.stash.get(FAILED, False))


@pytest.fixture
def queue(make_queue):
    return make_queue()


@pytest.fixture
def wide(make_queue):
    """As `queue`, on a topic of two partitions; messages go to one or the other."""
    return make_queue(partitions=2)


@pytest.fixture
def job():
    """job("Mail", [1]): a payload, each with an id of its own."""
    return lambda cls, args: json.dumps({"class": cls, "args": args, "jid": uuid.uuid4().hex}, separators=(",", ":"))


@pytest.fixture(scope="session")
def row(root):
    """row("kcat"): that client's row in docs/clients.md. What a test saw must stand there."""
    rows = [line for line in (root / "docs" / "clients.md").read_text().splitlines() if line.startswith("|")]

    def find(client):
        found = [line for line in rows if re.match(rf"\| {re.escape(client)}", line)]
        assert len(found) == 1, f"{len(found)} rows for {client}"
        return found[0]

    return find

