# SPDX-License-Identifier: Apache-2.0
"""A governed topic, the servers around it, and the applications that a test runs on it."""

import itertools
import re
import subprocess
import uuid
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer as RawConsumer
from confluent_kafka import KafkaException, TopicPartition

from clients.librdkafka import CONSUMER, Handle, Librdkafka
from support.app import PATIENCE_S, App, Consumer, Producer, committed, produce_job, raw_consume, raw_produce_many
from support.crew import Crew, Recorder, shortened
from support.jobs import timed_job
from support.kafka import QUIET
from support.passed import passed
from support.processes import ServerProcess, drop_directory, new_directory, wait_until

FAILED = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "app: drives the C application, which sanitizer builds instrument too")


# Their tests take up to minutes: begun first, they do not stand alone at the end.
LONG = ["test_limits_resumer", "test_leases_crew", "test_capacity_crew", "test_limits_burst", "test_demo",
        "test_limits_transaction", "test_capacity"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
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


def in_names(cls):
    """A class as it stands in names of topics and keys."""
    return "".join(char if re.fullmatch("[A-Za-z0-9_]", char) else "".join(f"-{byte:02x}" for byte in char.encode())
                   for char in cls)


class HoldingTopics:
    """How many jobs are held, as any tool sees it: what lies behind the offsets of group `<group>.jobgate`, without what
    was resumed ahead of them."""

    def __init__(self, kafka, group):
        group = f"{group}.jobgate"
        self._consumer = RawConsumer({"bootstrap.servers": kafka.bootstrap, "group.id": group,
                                      "enable.auto.commit": False, **QUIET})
        # Python's client takes metadata for text that a NUL ends, and reads on behind it.
        self._offsets = Handle(Librdkafka("librdkafka.so.1"), CONSUMER,
                               {"bootstrap.servers": kafka.bootstrap, "group.id": group, **QUIET})

    def passed(self, topic):
        """How many were resumed ahead of the committed offsets."""
        return sum(len(passed(metadata, topic, number, offset))
                   for number, offset, metadata in self._offsets.all_committed(topic, self._partitions(topic)))

    def _partitions(self, topic):
        return list(self._consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)

    def count(self, topic):
        total = 0
        for number, offset, metadata in self._offsets.all_committed(topic, self._partitions(topic)):
            at = TopicPartition(topic, number)
            low, high = wait_until(lambda at=at: self._marks(at), PATIENCE_S, f"the ends of {at}")
            ahead = passed(metadata, topic, number, offset)
            total += high - max(low, offset) - sum(each >= low for each in ahead)
        return total

    def _marks(self, at):
        """None: the topic is so new that not every broker leads what it is to lead, or one restarts."""
        try:
            return self._consumer.get_watermark_offsets(at, timeout=PATIENCE_S)
        except KafkaException:
            return None

    def close(self):
        self._consumer.close()
        self._offsets.__exit__()


class ResumerProcess:
    """`jobgate resume`, as a person starts it."""

    def __init__(self, command):
        self.directory = new_directory("resumer")
        self._command = command
        self._process = None

    def start(self):
        self._process = ServerProcess(self._command, self.directory)
        return self

    @property
    def log(self):
        return (self.directory / "server.log").read_text(errors="replace")

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process.running()

    def send(self, signal_number):
        self._process.send(signal_number)

    def kill(self):
        """SIGKILL."""
        self._process.kill()

    def stop(self):
        self._process.stop()

    def close(self):
        if self._process:
            self._process.kill()
        drop_directory(self.directory)


class Site:
    """A new governed topic. Settings are client properties; short names of settings get their `jobgate.` here.

    `settings` hold for producers and consumers alike; those of one handle go over them; None leaves one out.
    """

    def __init__(self, make_app, kafka, redis, plugin, topic, settings, session_ms=6000):
        self.kafka, self.redis, self.plugin, self.topic = kafka, redis, plugin, topic
        self.session_ms = session_ms
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
        self._holding = None

    def properties(self, role, settings):
        """In the order that every client sets them: the plugin first."""
        defaults = {
            "producer": {"linger.ms": 0},
            "consumer": {"group.id": self.group, "auto.offset.reset": "earliest", "session.timeout.ms": self.session_ms,
                         "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 50},
        }[role]
        merged = {"plugin.library.paths": self.plugin, **defaults, **self.settings, **(settings or {})}
        return [(name, value) for name, value in merged.items() if value is not None]

    def app(self, env=None):
        app = self._make_app(env)
        app.library = self.plugin
        return app

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

    # --- the `jobgate` command ---

    def jobgate_words(self, settings=None):
        """What tells the command of this site: the store, the topics, the policies."""
        merged = {**self.settings, **(settings or {})}
        return [word for name, value in merged.items() if name.startswith("jobgate.") and value is not None
                for word in ("-X", f"{name}={value}")]

    def jobgate(self, *words, succeeds=True, settings=None):
        """Run `jobgate WORD ...` on this site; returns the CompletedProcess."""
        command = [str(Path(self.plugin).parent / "jobgate"), *map(str, words), *self.jobgate_words(settings)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert not succeeds or result.returncode == 0, f"{words}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def resumer_command(self, settings=None, group=None, words=()):
        return [Path(self.plugin).parent / "jobgate", "resume", "--group", group or self.group, *words,
                "--bootstrap-servers", self.settings["bootstrap.servers"], *self.jobgate_words(settings)]

    # --- what is held ---

    def held_topic(self, cls="Mail", topic=None):
        return f"{topic or self.topic}.held.{in_names(cls)}"

    @property
    def dead_topic(self):
        return f"{self.topic}.dead"

    def exists(self, topic):
        return topic in self.kafka.admin().list_topics(timeout=PATIENCE_S).topics

    def read(self, topic):
        """All records of a topic; none when there is no such topic."""
        return raw_consume(self.kafka, topic) if self.exists(topic) else []

    def held(self, cls="Mail"):
        """The number of held jobs, by the holding topic and its group's offsets."""
        if not self.exists(self.held_topic(cls)):
            return 0
        return self.holding.count(self.held_topic(cls))

    @property
    def holding(self):
        self._holding = self._holding or HoldingTopics(self.kafka, self.group)
        return self._holding

    def await_held(self, count, cls="Mail", timeout_s=PATIENCE_S):
        try:
            wait_until(lambda: self.held(cls) == count, timeout_s, f"{count} jobs of {cls} are held", interval_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.held(cls)}; the store says {self.stats(cls)}") from None

    def await_workers(self, recorder, count):
        """Until each of so many workers has partitions, and the group is at rest: each runs a job without a limit."""
        seen = set()

        def all_serve():
            raw_produce_many(self.kafka, self.topic, [timed_job("Hello", 0) for _ in range(2 * count)])
            seen.update(run.pid for run in recorder.runs("Hello"))
            return len(seen) >= count

        wait_until(all_serve, 2 * PATIENCE_S, f"all {count} workers serve", interval_s=0.5)

    def close(self):
        if self._holding:
            self._holding.close()

    # --- the store, as it is ---

    def key(self, what, cls="Mail"):
        name_space = self.settings.get("jobgate.namespace", "default")
        return f"jg1:{name_space}:{{{in_names(cls)}}}:{what}"

    def running(self, cls="Mail"):
        """How many slots are taken, by members that have not expired."""
        client = self.redis.client()
        seconds, micros = client.time()
        return client.zcount(self.key("run", cls), f"({seconds * 1000 + micros // 1000}", "+inf")

    def await_running(self, count, cls="Mail", timeout_s=PATIENCE_S):
        wait_until(lambda: self.running(cls) == count, timeout_s, f"{count} of {cls} run")

    def tickets(self, cls="Mail"):
        return self.redis.client().hlen(self.key("tkt", cls))

    def stats(self, cls="Mail"):
        """The class's counters, which the scripts keep: claimed, duplicates, held, resumed, admitted ..."""
        found = self.redis.client().hgetall(self.key("stats", cls))
        return Counter({name: int(value) for name, value in found.items()})

    def script_calls(self):
        """EVALSHA calls since the server's statistics began, those of every instance's background too."""
        return self.redis.client().info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]

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


def _topic(request, kafka, partitions, config, name):
    """-> (cluster, topic): on a cluster of the test's own, or on the one for all."""
    if kafka:
        return kafka, kafka.create_topic(f"{name}-{uuid.uuid4().hex[:12]}", partitions, config)
    make_topic = request.getfixturevalue("make_topic")
    return request.getfixturevalue("kafka"), make_topic(partitions, config, name)


def _sites(request, plugin, make_app):
    """Yields a function that makes sites; closes them."""
    sites = []

    def make(settings=None, redis=None, kafka=None, partitions=1, topic_config=None, name="jobs", **options):
        if not redis:
            redis = request.getfixturevalue("redis")
            redis.flush()
        kafka, topic = _topic(request, kafka, partitions, topic_config, name)
        sites.append(Site(make_app, kafka, redis, plugin, topic, settings or {}, **options))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def make_site(request, make_app, plugin_path):
    """make_site({"jobgate.default.dedup": "none"}, redis=own_redis, partitions=2)"""
    yield from _sites(request, plugin_path, make_app)


@pytest.fixture
def make_crew_site(request, plugin_path):
    """As make_site, for a crew instead of applications: what is large, and runs in the release build only. With
    mortal=True its workers are to be killed: the group gives their partitions to others after seconds. Else it has
    patience with workers that a busy machine lets wait, since who is taken for dead has its jobs run twice."""
    for make in _sites(request, plugin_path, None):
        yield lambda *args, mortal=False, **options: make(*args, session_ms=6000 if mortal else 45000, **options)


@pytest.fixture
def recorder():
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def make_crew(request, build_dir, recorder):
    """make_crew(site, 16, {"jobgate.class.Mail.limit": 10}): workers of the site's group, ended with the test."""
    crews, sites = [], set()

    def make(site, workers, settings=None, settle=None, **options):
        sites.add((site.kafka, site.group))
        program = build_dir / "tests" / "worker"
        crews.append(Crew(program, recorder, site.topic, site.properties("consumer", settings), settle,
                          **options))
        return crews[-1].start(workers)

    yield make
    for crew in crews:
        if request.node.stash.get(FAILED, False):
            print(crew.logs())
        crew.close()
    for kafka, group in sites if request.node.stash.get(FAILED, False) else ():
        print(f"--- what Kafka says of {group}\n{shortened(kafka.says_of(group))}")


@pytest.fixture
def make_resumer(request):
    """make_resumer(site): `jobgate resume` for the site's group, ended with the test."""
    resumers = []

    def make(site, settings=None, **options):
        resumers.append(ResumerProcess(site.resumer_command(settings, **options)))
        return resumers[-1].start()

    yield make
    for resumer in resumers:
        if request.node.stash.get(FAILED, False):
            print(f"--- jobgate resume\n{resumer.log[-4000:]}")
        resumer.close()


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
