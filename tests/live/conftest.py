# SPDX-License-Identifier: Apache-2.0
"""A governed topic, the servers around it, and the applications that a test runs on it."""

import itertools
import uuid

import pytest

from support.app import App, Consumer, Producer, committed, produce_job, raw_consume
from support.processes import wait_until

FAILED = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "app: drives the C application, which sanitizer builds instrument too")


def pytest_collection_modifyitems(items):
    for item in items:
        if {"site", "make_site", "make_app"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("app")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and call.when != "teardown":
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def slow(build_dir):
    """What bounds of time are multiplied with: sanitizers cost."""
    return 5 if (build_dir / "test_environment").read_text().strip() else 1


@pytest.fixture
def make_app(program, request):
    """make_app(env={...}): an application, ended with the test."""
    apps = []

    def make(env=None):
        apps.append(App(program("app"), env))
        return apps[-1]

    yield make
    failed = request.node.stash.get(FAILED, False)
    errors = []
    for app in apps:
        try:
            app.end(failed)
        except AssertionError as error:
            errors.append(error)
    if failed or errors:
        print("\n".join(app.story() for app in apps))
    if errors:
        raise errors[0]


class Site:
    """A new governed topic. Settings are client properties; short names of settings get their `jobgate.` here.

    `settings` hold for producers and consumers alike; those of one handle go over them; None leaves one out.
    """

    def __init__(self, make_app, kafka, redis, plugin, topic, settings):
        self.kafka, self.redis, self.plugin, self.topic = kafka, redis, plugin, topic
        self.group = f"group-{uuid.uuid4().hex[:8]}"
        self.settings = {
            "bootstrap.servers": kafka.bootstrap,
            "jobgate.topics": topic,
            "jobgate.store": redis.url(),
            "jobgate.default.dedup": "until_executing",
            **settings,
        }
        self._make_app = make_app
        self._names = itertools.count(1)

    def properties(self, role, settings):
        """In the order that every client sets them: the plugin first."""
        defaults = {
            "producer": {"linger.ms": 0},
            "consumer": {"group.id": self.group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                         "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 50},
        }[role]
        merged = {"plugin.library.paths": self.plugin, **defaults, **self.settings, **(settings or {})}
        return [(name, value) for name, value in merged.items() if value is not None]

    def app(self, env=None):
        return self._make_app(env)

    def producer(self, settings=None, app=None, env=None, **options):
        app = app or self.app(env)
        name = f"p{next(self._names)}"
        options = {"know": self.topic, **options}
        reply = app.create(name, self.properties("producer", settings), **options)
        assert "text" not in reply, f"no producer: {reply['text']}"
        return Producer(app, name, self.topic)

    def holding_producer(self, settings=None, **options):
        """One whose messages stay in its queue, unacknowledged, until it is flushed."""
        return self.producer({"linger.ms": 100000, **(settings or {})}, **options)

    def consumer(self, settings=None, app=None, env=None, subscribe=True, **options):
        app = app or self.app(env)
        name = f"c{next(self._names)}"
        reply = app.create(name, self.properties("consumer", settings), consumer=True, **options)
        assert "text" not in reply, f"no consumer: {reply['text']}"
        consumer = Consumer(app, name, self.topic)
        return consumer.subscribe() if subscribe else consumer

    def log(self, isolation="read_committed"):
        """The topic as any program sees it."""
        return raw_consume(self.kafka, self.topic, isolation)

    def committed(self, partition=0):
        return committed(self.kafka, self.group, self.topic, partition)

    # --- the store, as it is ---

    def claims(self):
        """All claims, as the store's hashes."""
        client = self.redis.client()
        found = [client.hgetall(name) for name in client.scan_iter("jg1:*:claim:*", count=1000)]
        return [claim for claim in found if claim]

    def claim(self):
        """The only claim; None: there is none."""
        claims = self.claims()
        assert len(claims) < 2, claims
        return claims[0] if claims else None

    def await_state(self, state, timeout_s=30):
        """Until the only claim is provisional (p), queued (q), running (r), or gone (None)."""
        def reached():
            claim = self.claim()
            return (claim["st"] if claim else None) == state

        wait_until(reached, timeout_s, f"claim state {state}; it is {self.claim()}")

    def queued(self, producer, job=None, **fields):
        """Produce a job and wait until its claim is confirmed. Returns its delivery report."""
        report = producer.delivered(job or produce_job("Mail", [1]), **fields)
        jid = report.stamp
        wait_until(lambda: any(claim["jid"] == jid and claim["st"] == "q" for claim in self.claims()), 30,
                   f"the claim of {jid} is confirmed")
        return report


@pytest.fixture
def make_site(request, make_app, make_topic, plugin_path):
    """make_site({"jobgate.default.dedup": "none"}, redis=own_redis, partitions=2)"""

    def make(settings=None, redis=None, kafka=None, partitions=1, topic_config=None, name="jobs"):
        if not redis:
            redis = request.getfixturevalue("redis")
            redis.flush()
        if kafka:
            topic = kafka.create_topic(f"{name}-{uuid.uuid4().hex[:12]}", partitions, topic_config)
        else:
            kafka = request.getfixturevalue("kafka")
            topic = make_topic(partitions, topic_config, name)
        return Site(make_app, kafka, redis, plugin_path, topic, settings or {})

    return make


@pytest.fixture
def site(make_site):
    return make_site()


@pytest.fixture(scope="session")
def pausable_kafka():
    """A broker that tests may stop for a while; it runs at the end of each."""
    from support.kafka import KafkaCluster

    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def paused_kafka(pausable_kafka):
    """It, resumed when the test is over."""
    yield pausable_kafka
    pausable_kafka.resume()
