# SPDX-License-Identifier: Apache-2.0
"""Ordinary Node programs on @confluentinc/kafka-javascript, with the librdkafka that it brings, and on node-rdkafka,
with the system's, on a real Kafka and a real Redis. Node's clients poll ahead of the program, so only a stored or
committed offset tells that a job has ended. What each way of theirs sees of a skipped message is what docs/clients.md
says."""

import json
import re
import subprocess
from dataclasses import dataclass, field

import pytest

from clients.limits import await_members
from support.crew import overlap_of
from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

ROWS = {"kafka-javascript": "Node: @confluentinc/kafka-javascript", "node-rdkafka": "Node: node-rdkafka"}
STORING = {"enable.auto.offset.store": "false"}
COMMITTING = {"enable.auto.commit": "false"}
EXECUTED = {"jobgate.default.dedup": "until_executed"}
LIMITED = {"jobgate.default.dedup": "none", "jobgate.class.Mail.limit": 1, "jobgate.store.grace.ms": 100}


@dataclass(frozen=True)
class Way:
    """A client, one of its ways, and how the program then says which jobs are done."""

    kind: str
    api: str
    settings: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)
    sees_skips: bool = True

    def consumer(self, queue, settings=None, env=None):
        return queue.consumer(self.kind, {**self.settings, **(settings or {})},
                              {"CLIENT_API": self.api, **self.env, **(env or {})})

    def skips(self, *offsets):
        return [f"error _PARTITION_EOF 0 {offset}" for offset in offsets if self.sees_skips]


WAYS = {
    "kafka-javascript-kafkajs": Way("kafka-javascript", "kafkajs", sees_skips=False),
    "kafka-javascript-flowing": Way("kafka-javascript", "flowing", STORING, {"CLIENT_STORE": 1}),
    "kafka-javascript-batches": Way("kafka-javascript", "batches", STORING, {"CLIENT_STORE": 1}),
    "node-rdkafka-flowing": Way("node-rdkafka", "flowing", COMMITTING, {"CLIENT_COMMIT": 1}),
    "node-rdkafka-batches": Way("node-rdkafka", "batches", STORING, {"CLIENT_STORE": 1}),
}
every_client = pytest.mark.parametrize("kind", ROWS)
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
# The ways whose default is that the client stores offsets as it polls.
careless = pytest.mark.parametrize("way", [way for way in WAYS.values() if way.sees_skips],
                                   ids=[name for name in WAYS if WAYS[name].sees_skips])


def produce_at_once(queue, kind, jobs, settings=None):
    producer = queue.producer(kind, settings)
    for job in jobs:
        producer.write(job)
    producer.end_input()
    assert producer.wait() == 0, producer.story()
    assert len(producer.found("delivered ")) == len(jobs), producer.story()


def payloads(*programs):
    return [line.split(" ", 3)[3] for program in programs for line in program.found("job ")]


def intervals(*programs):
    """From when to when their jobs ran."""
    return [tuple(map(int, line.split()[1:])) for program in programs for line in program.found("ran ")]


# --- loaded ---


def test_the_code_in_the_table_is_that_of_the_programs(root, row):
    source = (root / "tests/clients/node/callbacks.js").read_text()
    calls = [call for kind in ROWS for call in re.findall(r"`(consumer\..*?)`", row(ROWS[kind]))]
    assert len(calls) == 3 and all(call in source for call in calls)


@every_client
def test_the_client_is_the_one_that_the_table_names(kinds, row, kind):
    said = subprocess.run([*kinds[kind], "version"], capture_output=True, text=True, check=True).stdout
    version, librdkafka = said.split()
    assert re.search(rf"{kind} {re.escape(version)} (with its own|on Debian's) librdkafka {re.escape(librdkafka)} ",
                     row(ROWS[kind]))


@every_client
@pytest.mark.parametrize("word", ["produce", "consume"])
def test_an_unknown_property_is_an_error_that_names_the_nearest_one(queue, kind, word):
    start = queue.producer if word == "produce" else queue.consumer
    program = start(kind, {"jobgate.class.Mail.limt": 1})
    assert program.wait() == 2
    assert "jobgate.class.Mail.limit" in program.error_line("Error: ")


# --- what a skip looks like ---


@pytest.mark.parametrize("kind, api", [("kafka-javascript", "flowing"), ("kafka-javascript", "kafkajs"),
                                       ("node-rdkafka", "flowing")])
def test_a_jobgate_property_before_the_plugin_is_unknown(queue, kind, api, row):
    words = queue.properties(queue.client, queue.consuming, queue.governing, queue.loading)
    program = queue.start([*queue.kinds[kind], "consume", queue.topic, *words], {"CLIENT_API": api})
    assert program.wait() == 2
    assert 'No such configuration property: "jobgate.' in program.error_line("Error: ")
    assert "`plugin.library.paths` before any" in row(ROWS["kafka-javascript"])


def test_kafkajs_way_stores_offsets_itself_and_takes_no_setting_for_it(queue):
    program = WAYS["kafka-javascript-kafkajs"].consumer(queue, STORING)
    assert program.wait() == 2
    program.error_line("Changing 'enable.auto.offset.store' is unsupported")


def test_a_skip_that_would_end_the_clients_loop_is_refused(queue):
    program = queue.consumer("node-rdkafka", {"jobgate.skip.error": "noop"})
    program.error_line("jobgate.skip.error=noop would end the loop of a Node client at the first skip")


@every_way
def test_a_duplicate_never_runs(queue, job, way, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(way.kind, first, again, last)
    seen = way.consumer(queue).take_until(last)
    assert seen == [f"job 0 0 {first}", *way.skips(1), f"job 0 2 {last}"]
    assert "`partition.eof`" in row(ROWS[way.kind])


@every_way
def test_a_duplicate_is_not_seen_at_all_where_the_end_of_a_partition_means_something(queue, job, way):
    jobs = [job("Mail", [number]) for number in (1, 1, 2, 2)]
    queue.produce(way.kind, *jobs)
    consumer = way.consumer(queue, {"enable.partition.eof": "true"})
    consumer.line("done 0 2")
    assert consumer.found("job ") == [f"job 0 0 {jobs[0]}", f"job 0 2 {jobs[2]}"]
    if way.sees_skips:
        consumer.line("error _PARTITION_EOF 0 4")
        assert {"error _PARTITION_EOF 0 4"} == set(consumer.found("error "))


@pytest.mark.parametrize("kind, api", [("kafka-javascript", "flowing"), ("kafka-javascript", "kafkajs"),
                                       ("node-rdkafka", "flowing")])
def test_a_rejected_duplicate_fails_the_produce_call_and_is_not_sent(queue, job, kind, api):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    said = queue.produce(kind, first, again, last, settings={"jobgate.default.dedup.action": "reject"},
                         env={"CLIENT_API": api})
    assert said == ["delivered 0 0", "refused _UNKNOWN_PARTITION", "delivered 0 1"]
    assert queue.consumer(kind).take_until(last) == [f"job 0 0 {first}", f"job 0 1 {last}"]


# --- how the end of a job is seen ---


@every_way
def test_a_duplicate_of_a_running_job_never_runs_and_one_of_a_done_job_does(queue, job, way):
    first, during, after, last = job("Mail", [1]), job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(way.kind, first, settings=EXECUTED)
    consumer = way.consumer(queue, EXECUTED, {"CLIENT_WORK_MS": 1500})
    consumer.line("job 0 0 ")
    queue.produce("c", during, settings=EXECUTED)
    assert not consumer.found("done"), "the machine is too slow for this test"
    consumer.line("done 0 0")
    queue.await_no_claim()
    queue.produce("c", after, last, settings=EXECUTED)
    assert consumer.take_until(last) == [f"job 0 0 {first}", *way.skips(1), f"job 0 2 {after}", f"job 0 3 {last}"]


@every_way
def test_a_limit_is_kept_by_two_programs_and_every_job_runs(wide, job, way):
    settings, env = {**LIMITED, "auto.commit.interval.ms": 20}, {"CLIENT_WORK_MS": 20, "CLIENT_TIMES": 1}
    consumers = [way.consumer(wide, settings, env) for _ in range(2)]
    await_members(wide, 2, 60)
    jobs = [job("Mail", [number]) for number in range(30)]
    produce_at_once(wide, way.kind, jobs, {**LIMITED, "sticky.partitioning.linger.ms": 0})
    wait_until(lambda: len(intervals(*consumers)) >= 30, 60, "every job ran")
    assert overlap_of(intervals(*consumers)) == 1
    assert sorted(payloads(*consumers)) == sorted(jobs)
    assert all(consumer.found("job ") for consumer in consumers), "only one of them ran jobs"
    for consumer in consumers:
        consumer.stop()


@careless
@pytest.mark.parametrize("settings", [EXECUTED, LIMITED], ids=["until_executed", "limit"])
def test_a_class_whose_jobs_ends_cannot_be_seen_is_refused_and_the_cure_helps(queue, job, way, settings, row):
    first, last = job("Mail", [1]), job("Last", [])
    queue.produce(way.kind, first, last, settings=settings)
    refused = queue.consumer(way.kind, settings, {"CLIENT_API": way.api})
    assert "set enable.auto.offset.store=false" in refused.error_line("cannot be seen")
    refused.line("warning UNKNOWN_TOPIC_OR_PART" if way.api == "flowing" else "error UNKNOWN_TOPIC_OR_PART")
    refused.stop()
    assert not refused.found("job ") and queue.committed() <= 0
    cured = way.consumer(queue, settings)
    assert cured.take_until(last) == [f"job 0 0 {first}", f"job 0 1 {last}"]
    ((name, value),) = way.settings.items()
    assert f"`'{name}': {value}`" in row(ROWS[way.kind])


# --- crash and close ---


@every_way
def test_a_consumer_killed_in_mid_job_gets_the_job_again_once(queue, job, way):
    done, killed, again, last = job("Mail", [1]), job("Mail", [2]), job("Mail", [2]), job("Last", [])
    queue.produce("c", done, killed, again, last, settings=EXECUTED)
    victim = way.consumer(queue, {**EXECUTED, "auto.commit.interval.ms": 50}, {"CLIENT_WORK_MS": 2000})
    victim.line("job 0 1 ")
    wait_until(lambda: queue.committed() == 1, 30, "the first job's end is committed")
    victim.kill()
    assert victim.found("done") == ["done 0 0"], "the machine is too slow for this test"
    assert way.consumer(queue, EXECUTED).take_until(last) == [f"job 0 1 {killed}", *way.skips(2), f"job 0 3 {last}"]


@every_way
def test_a_program_that_disconnects_ends_in_order_and_runs_nothing_again(queue, job, way):
    first, second, last = job("Mail", [1]), job("Mail", [2]), job("Last", [])
    queue.produce(way.kind, first, second)
    consumer = way.consumer(queue, env={"CLIENT_WORK_MS": 500})
    consumer.line("job 0 1 ")
    consumer.stop()
    assert consumer.lines[-1] == "closed" and consumer.found("done 0 1")
    queue.produce(way.kind, last)
    assert way.consumer(queue).take_until(last) == [f"job 0 2 {last}"]


# --- what KafkaJS's way fetches ahead ---


@pytest.fixture
def kafkajs():
    return WAYS["kafka-javascript-kafkajs"]


def started(queue):
    """How many jobs the store counts as running."""
    return sum(claim["st"] == "r" for claim in queue.claims())


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_was_fetched_ahead_is_neither_lost_nor_done(queue, job, kafkajs, end):
    jobs = [job("Mail", [number]) for number in range(100)]
    produce_at_once(queue, kafkajs.kind, jobs, EXECUTED)
    first = kafkajs.consumer(queue, EXECUTED, {"CLIENT_WORK_MS": 20})
    wait_until(lambda: started(queue) > 3, 30, "jobs are fetched ahead of the program", interval_s=0.01)
    getattr(first, end)()
    assert len(payloads(first)) < 97, "the machine is too slow for this test"
    second = kafkajs.consumer(queue, EXECUTED)
    second.line("done 0 99")
    queue.await_no_claim()
    done = len(first.found("done "))
    assert payloads(first)[:done] + payloads(second)[-(100 - done):] == jobs
    if end == "stop":
        assert payloads(second) == jobs[done:]


@pytest.mark.parametrize("name, adds, ahead", [
    ("kafka-javascript-kafkajs", False, True), ("kafka-javascript-kafkajs", True, False),
    ("kafka-javascript-batches", False, False), ("node-rdkafka-flowing", False, True)])
def test_what_starts_ahead_and_that_nothing_does_with_the_line_to_add(queue, job, name, adds, ahead, row):
    way = WAYS[name]
    line = re.search(r"`'(js\.[a-z.]*)': (\d+)`", row(ROWS["kafka-javascript"])).groups()
    jobs = [job("Mail", [number]) for number in range(100)]
    produce_at_once(queue, way.kind, jobs)
    consumer = way.consumer(queue, dict([line]) if adds else {}, {"CLIENT_WORK_MS": 20})
    consumer.line("done ", count=20)
    consumer.kill()
    begun = len(jobs) - len(queue.claims())  # a claim ends when its job starts
    assert (begun - len(consumer.found("job ")) > 1) == ahead


def test_a_job_that_throws_runs_again_and_keeps_its_slot(queue, job, kafkajs):
    jobs = [job("Mail", [number]) for number in range(5)]
    produce_at_once(queue, kafkajs.kind, jobs, LIMITED)
    consumer = kafkajs.consumer(queue, LIMITED, {"CLIENT_FAIL": 0})
    consumer.line("done ", count=5)
    assert payloads(consumer)[0] == jobs[0] and sorted(payloads(consumer)) == sorted(jobs)


def test_a_limit_is_kept_when_another_program_joins_in_the_middle(wide, job, kafkajs):
    jobs = [job("Mail", [number]) for number in range(30)]
    produce_at_once(wide, kafkajs.kind, jobs, {**LIMITED, "sticky.partitioning.linger.ms": 0})
    env = {"CLIENT_WORK_MS": 30, "CLIENT_TIMES": 1, "CLIENT_CONCURRENT": 2}
    first = kafkajs.consumer(wide, LIMITED, env)
    first.line("done ", count=3)
    second = kafkajs.consumer(wide, LIMITED, env)
    wait_until(lambda: len(set(payloads(first, second))) == 30, 60, "every job ran")
    assert overlap_of(intervals(first, second)) == 1


# --- the store goes down ---


@every_way
def test_a_program_goes_on_when_its_store_is_back(queue, job, own_redis, way):
    """Any consumer error but one or two would end the client's loop in flowing mode, for good."""
    queue.governing["jobgate.store"] = own_redis.url()
    settings = {**LIMITED, "jobgate.store.wait.ms": 300}
    first, last = job("Mail", [1]), job("Mail", [2])
    queue.produce(way.kind, first, settings=settings)
    consumer = way.consumer(queue, settings)
    consumer.line("done 0 0")
    own_redis.kill()
    produce_at_once(queue, way.kind, [last], settings)
    consumer.error_line("the store .* does not answer.*; it comes again")
    own_redis.start()
    consumer.line("done 0 1")
    assert payloads(consumer) == [first, last]
    if way.sees_skips:
        word = "warning" if way.api == "flowing" else "error"
        assert consumer.found(word)[0].startswith(f"{word} UNKNOWN_TOPIC_OR_PART")


# --- the programs that scripts/bench runs ---


@every_client
def test_a_benchmark_says_what_it_measured_in_one_line(queue, kind):
    words = queue.properties(queue.loading, queue.client, queue.governing)
    for word, more in (("bench-produce", {}), ("bench-consume", queue.consuming)):
        program = queue.start([*queue.kinds[kind], word, queue.topic, 300, *words, *queue.properties(more)])
        assert program.wait() == 0, program.story()
        (said,) = [json.loads(line) for line in program.lines]
        assert said["messages"] == 300 and said["seconds"] > 0
