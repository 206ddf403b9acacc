# SPDX-License-Identifier: Apache-2.0
"""An ordinary Go program on confluent-kafka-go, with librdkafka linked into it, on a real Kafka and a real Redis. The
client takes events instead of callbacks, and its goroutines move between threads. What it sees of a skipped message is
what docs/clients.md says."""

import json
import re
import subprocess

import pytest

from clients.limits import await_members
from support.crew import overlap_of
from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

SKIPPED = "jobgate: skipped: a duplicate of another job"
HELD = "jobgate: skipped: held"
EXECUTED = {"jobgate.default.dedup": "until_executed"}
STORING = {"enable.auto.offset.store": "false"}
LIMITED = {"jobgate.default.dedup": "none", "jobgate.class.Mail.limit": 1, "jobgate.store.grace.ms": 100}
# A program that says itself which jobs are done: its settings, and what it does.
OWN = {"stores": (STORING, {"CLIENT_STORE": 1}), "commits": ({"enable.auto.commit": "false"}, {"CLIENT_COMMIT": 1})}
OTHERS = ["c", "debian-python", "wheel-python"]

each_api = pytest.mark.parametrize("api", ["readmessage", "poll"])


@pytest.fixture
def go_row(row):
    return row("Go:")


@pytest.fixture
def jobgate(cli, redis):
    def run(*words):
        result = cli(*words, "-X", f"jobgate.store={redis.url()}")
        assert result.returncode == 0, result.stdout + result.stderr

    return run


def consumer(queue, api, settings=None, env=None):
    return queue.consumer("go", settings, {"CLIENT_API": api, **(env or {})})


def skip(offset, name="_TIMED_OUT", partition=0):
    return f"error {name} {partition} {offset} {SKIPPED}"


def intervals(*consumers):
    """From when to when their jobs ran."""
    return [tuple(map(int, line.split()[1:])) for each in consumers for line in each.found("ran ")]


def running(queue):
    client = queue.redis.client()
    return sum(client.zcard(key) for key in client.scan_iter("jg1:*:run", count=1000))


# --- loaded ---


def test_the_client_is_the_one_that_the_table_names(kinds, go_row):
    said = subprocess.run([*kinds["go"], "version"], capture_output=True, text=True, check=True).stdout
    version, linked, how = said.split(maxsplit=2)
    assert f"confluent-kafka-go {version[1:]} (librdkafka {linked}, static)" in go_row and how.startswith("static ")


def test_a_program_without_symbol_table_is_refused_with_the_cure(queue, go_row):
    """In the first 127 bytes: the client cuts off the rest."""
    for program in (queue.producer("go-stripped"), queue.consumer("go-stripped")):
        assert program.wait() == 2
        refusal = program.error_line("jobgate: ")
        assert "was stripped" in refusal and "do not strip it (Go: no -ldflags \"-s -w\"" in refusal
    assert "no `-ldflags \"-s -w\"`" in go_row


# --- what a skip looks like ---


@each_api
@pytest.mark.parametrize("eof", [None, "true"])
def test_a_duplicate_never_runs_and_shows_as_a_timeout(queue, job, api, eof, go_row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, again, last)
    reader = consumer(queue, api, {"enable.partition.eof": eof})
    assert reader.take_until(last) == [f"job 0 0 {first}", skip(1), f"job 0 2 {last}"]
    if eof and api == "poll":
        reader.line("error _PARTITION_EOF 0 3 ")
    assert "`_TIMED_OUT`" in go_row


@each_api
def test_with_the_line_to_add_a_program_sees_jobs_only(queue, job, api, root, go_row):
    source = (root / "tests/clients/go/main.go").read_text()
    conditions = re.findall(r"`if (\S*?) \{ continue \}`|`if (.*?) \{ continue \}`", go_row)
    assert len(conditions) == 2 and all("".join(condition) in source for condition in conditions)
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, again, last)
    reader = consumer(queue, api, env={"CLIENT_PASS_OVER": 1})
    assert reader.take_until(last) == [f"job 0 0 {first}", f"job 0 2 {last}"]


@each_api
def test_skip_error_is_what_the_application_asks_for(queue, job, api):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, again, last)
    reader = consumer(queue, api, {"jobgate.skip.error": "partition_eof"})
    assert reader.take_until(last)[1] == skip(1, "_PARTITION_EOF")


def test_a_rejected_duplicate_fails_the_produce_call_and_is_not_sent(queue, job):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    said = queue.produce("go", first, again, last, settings={"jobgate.default.dedup.action": "reject"})
    assert said == ["delivered 0 0", "refused _UNKNOWN_PARTITION", "delivered 0 1"]
    assert consumer(queue, "readmessage").take_until(last) == [f"job 0 0 {first}", f"job 0 1 {last}"]


def test_a_batch_producers_duplicate_is_marked_where_it_cannot_be_rejected(queue, job):
    """go.batch.producer: the one call of librdkafka that takes many messages cannot refuse one of them."""
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    said = queue.produce("go", first, again, last, env={"CLIENT_API": "channel"},
                         settings={"jobgate.default.dedup.action": "reject", "go.batch.producer": "true"})
    assert said == ["delivered 0 0", "delivered 0 1", "delivered 0 2"]
    assert consumer(queue, "readmessage").take_until(last) == [f"job 0 0 {first}", skip(1), f"job 0 2 {last}"]


@pytest.mark.parametrize("other", OTHERS)
def test_a_job_of_go_is_a_duplicate_for_every_other_client_and_theirs_for_go(queue, job, other):
    ours, theirs, again, ours_again = job("Mail", [1]), job("Mail", [2]), job("Mail", [1]), job("Mail", [2])
    last = job("Last", [])
    for kind, payload in (("go", ours), (other, theirs), (other, again), ("go", ours_again), ("go", last)):
        queue.produce(kind, payload)
    assert consumer(queue, "poll").take_until(last) == [f"job 0 0 {ours}", f"job 0 1 {theirs}", skip(2), skip(3),
                                                        f"job 0 4 {last}"]


# --- how the end of a job is seen ---


@each_api
def test_a_job_produced_after_its_equal_started_runs(queue, job, api):
    first, second = job("Mail", [1]), job("Mail", [1])
    queue.produce("go", first)
    reader = consumer(queue, api, env={"CLIENT_WORK_MS": 500})
    reader.line("job 0 0 ")
    queue.produce("go", second)
    reader.line(r"done 0 1")
    assert reader.found("job |error ") == [f"job 0 0 {first}", f"job 0 1 {second}"]


@each_api
def test_a_duplicate_of_a_running_job_never_runs_and_one_of_a_done_job_does(queue, job, api):
    first, during, after, last = job("Mail", [1]), job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, settings=EXECUTED)
    reader = consumer(queue, api, EXECUTED, {"CLIENT_WORK_MS": 2000})
    reader.line("job 0 0 ")
    queue.produce("go", during, settings=EXECUTED)
    assert not reader.found("done"), "the machine is too slow for this test"
    reader.line(re.escape(skip(1)))
    queue.await_no_claim()
    queue.produce("go", after, last, settings=EXECUTED)
    assert reader.take_until(last) == [f"job 0 0 {first}", skip(1), f"job 0 2 {after}", f"job 0 3 {last}"]


@each_api
def test_a_long_job_is_not_over_before_its_end(queue, job, api):
    """The client's queue is empty all the while: that alone is no poll."""
    queue.produce("go", job("Mail", [1]), settings=EXECUTED)
    reader = consumer(queue, api, EXECUTED, {"CLIENT_WORK_MS": 4000})
    reader.line("job 0 0 ")
    claims_during = []
    while not reader.found("done"):
        claims = len(queue.claims())
        if not reader.found("done"):
            claims_during.append(claims)
    assert set(claims_during) == {1}
    queue.await_no_claim()


@each_api
def test_every_job_of_a_busy_loop_ends_though_it_moves_between_threads(queue, job, api):
    jobs = [job("Mail", [number]) for number in range(300)]
    producer = queue.producer("go", EXECUTED)
    for each in jobs:
        producer.write(each)
    producer.end_input()
    assert producer.wait() == 0, producer.story()
    reader = consumer(queue, api, EXECUTED, {"GOMAXPROCS": 4, "CLIENT_WORK_MS": 1})
    reader.line("done 0 299")
    queue.await_no_claim()
    assert reader.found("job |error ") == [f"job 0 {number} {each}" for number, each in enumerate(jobs)]
    wait_until(lambda: queue.committed() == 300, 30, "all is committed")


# --- crash and close ---


@each_api
@pytest.mark.parametrize("dedup", ["until_executing", "until_executed"])
def test_a_consumer_killed_in_mid_job_gets_the_job_again_once(queue, job, api, dedup):
    settings = {"jobgate.default.dedup": dedup}
    done, killed, again, last = job("Mail", [1]), job("Mail", [2]), job("Mail", [2]), job("Last", [])
    queue.produce("go", done, killed, again, last, settings=settings)
    victim = consumer(queue, api, {**settings, "auto.commit.interval.ms": 50}, {"CLIENT_WORK_MS": 3000})
    victim.line("job 0 1 ")
    wait_until(lambda: queue.committed() == 1, 30, "the first job's end is committed")
    victim.kill()
    assert victim.found("done") == ["done 0 0"], "the machine is too slow for this test"
    assert consumer(queue, api, settings).take_until(last) == [f"job 0 1 {killed}", skip(2), f"job 0 3 {last}"]


@each_api
def test_a_clean_close_runs_nothing_again(queue, job, api):
    jobs = [job("Mail", [number]) for number in (1, 2, 2)]
    queue.produce("go", *jobs)
    reader = consumer(queue, api)
    reader.line(re.escape(skip(2)))
    reader.stop()
    last = job("Last", [])
    queue.produce("go", last)
    assert consumer(queue, api).take_until(last) == [f"job 0 3 {last}"]


@each_api
def test_a_close_right_after_a_job_runs_it_once_more_at_most_and_gives_its_slot_back(queue, job, api):
    """The program does not poll again, and the client's close commits before jobgate can tell that it polls."""
    settings = {**LIMITED, "jobgate.class.Mail.limit.ttl.ms": 300000}
    second, last = job("Mail", [2]), job("Last", [])
    queue.produce("go", job("Mail", [1]), second, settings=settings)
    reader = consumer(queue, api, settings, {"CLIENT_WORK_MS": 1000})
    reader.line("job 0 1 ")
    reader.stop()
    assert reader.lines[-1] == "closed" and reader.found("done 0 1")
    assert not running(queue)
    queue.produce("go", last, settings=settings)
    assert consumer(queue, api, settings).take_until(last)[-2:] in (
        [f"job 0 2 {last}"], [f"job 0 1 {second}", f"job 0 2 {last}"])


@each_api
@pytest.mark.parametrize("own", OWN)
def test_a_close_right_after_a_job_runs_nothing_again_where_the_program_says_what_is_done(queue, job, api, own):
    queue.produce("go", job("Mail", [1]), job("Mail", [2]))
    reader = consumer(queue, api, OWN[own][0], {"CLIENT_WORK_MS": 1000, **OWN[own][1]})
    reader.line("job 0 1 ")
    reader.stop()
    assert reader.lines[-1] == "closed" and reader.found("done 0 1")
    last = job("Last", [])
    queue.produce("go", last)
    assert consumer(queue, api).take_until(last) == [f"job 0 2 {last}"]


# --- offsets that the program stores; goroutines; the events channel ---


def ends_its_jobs(queue, job, api, settings, env):
    """A duplicate of a running job never runs, and the end of that job is seen. -> the consumer, with another job done"""
    first, during, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, settings=settings)
    reader = consumer(queue, api, settings, {"CLIENT_WORK_MS": 2000, **env})
    reader.line("job 0 0 ")
    queue.produce("go", during, settings=settings)
    assert not reader.found("done"), "the machine is too slow for this test"
    queue.await_no_claim()
    queue.produce("go", last, settings=settings)
    assert reader.take_until(last) == [f"job 0 0 {first}", skip(1), f"job 0 2 {last}"]
    return reader


@each_api
@pytest.mark.parametrize("own", OWN)
def test_a_program_that_stores_or_commits_offsets_ends_its_jobs_so(queue, job, api, own):
    settings = {**EXECUTED, **OWN[own][0]}
    reader = ends_its_jobs(queue, job, api, settings, OWN[own][1])
    reader.stop()
    assert queue.committed() == 3


def test_goroutines_that_do_the_jobs_keep_a_limit_when_they_store_offsets(wide, job):
    settings = {**LIMITED, **STORING}
    jobs = [job("Mail", [number]) for number in range(20)]
    wide.produce("go", *jobs, settings={**settings, "sticky.partitioning.linger.ms": 0})
    reader = consumer(wide, "poll", settings, {"CLIENT_WORKERS": 2, "CLIENT_STORE": 1, "CLIENT_WORK_MS": 20,
                                               "CLIENT_TIMES": 1})
    reader.line("ran ", count=20, timeout_s=60)
    assert overlap_of(intervals(reader)) == 1
    assert sorted(line.split(" ", 3)[3] for line in reader.found("job ")) == sorted(jobs)


def test_a_duplicate_of_a_job_in_a_goroutine_never_runs_when_offsets_are_stored(queue, job):
    settings = {**EXECUTED, **STORING}
    first, during, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("go", first, settings=settings)
    reader = consumer(queue, "readmessage", settings, {"CLIENT_WORKERS": 1, "CLIENT_STORE": 1, "CLIENT_WORK_MS": 2000})
    reader.line("job 0 0 ")
    queue.produce("go", during, settings=settings)
    reader.line(re.escape(skip(1)))
    assert not reader.found("done"), "the machine is too slow for this test"
    queue.await_no_claim()
    queue.produce("go", last, settings=settings)
    assert reader.take_until(last) == [f"job 0 0 {first}", skip(1), f"job 0 2 {last}"]


def test_a_job_of_the_events_channel_is_over_when_it_is_taken(queue, job):
    """go.events.channel.enable: a goroutine of the client's polls ahead of the program. Not what anybody wants of
    until_executed: hence what docs/clients.md says, and the next test."""
    queue.produce("go", job("Mail", [1]), settings=EXECUTED)
    reader = consumer(queue, "channel", EXECUTED, {"CLIENT_WORK_MS": 5000})
    reader.line("job 0 0 ")
    queue.await_no_claim()
    assert not reader.found("done"), "the machine is too slow for this test"


def test_a_duplicate_of_a_job_of_the_events_channel_never_runs_when_offsets_are_stored(queue, job):
    ends_its_jobs(queue, job, "channel", {**EXECUTED, **STORING}, {"CLIENT_STORE": 1})


# --- limits ---


@each_api
def test_two_programs_keep_a_limit_and_run_every_job(wide, job, api):
    readers = [consumer(wide, api, LIMITED, {"CLIENT_WORK_MS": 20, "CLIENT_TIMES": 1}) for _ in range(2)]
    await_members(wide, 2, 60)
    jobs = [job("Mail", [number]) for number in range(60)]
    wide.produce("go", *jobs, settings={**LIMITED, "sticky.partitioning.linger.ms": 0})
    # One a second, as the resumer's safety net alone would have it, takes longer.
    wait_until(lambda: len(intervals(*readers)) >= 60, 40, "every job ran")
    assert overlap_of(intervals(*readers)) == 1
    ran = [line.split(" ", 3)[3] for reader in readers for line in reader.found("job ")]
    assert sorted(ran) == sorted(jobs)
    assert all(reader.found("job ") for reader in readers), "only one of them ran jobs"


@each_api
def test_held_jobs_run_after_a_restart_though_no_message_comes(queue, job, api, jobgate):
    jobs = [job("Mail", [number]) for number in range(3)]
    first = consumer(queue, api, LIMITED)
    warm = job("Mail", ["first"])  # so that the class is known
    queue.produce("go", warm, settings=LIMITED)
    first.line("done 0 0")
    jobgate("pause", "Mail")
    queue.produce("go", *jobs, settings=LIMITED)
    first.line(f"error _TIMED_OUT 0 3 {HELD}")
    first.stop()
    assert queue.committed() == 4
    jobgate("unpause", "Mail")
    second = consumer(queue, api, LIMITED)
    second.line("done ", count=3)
    assert sorted(line.split(" ", 3)[3] for line in second.found("job ")) == sorted(jobs)


# --- for scripts/bench ---


def test_the_benchmarks_say_how_long_they_took(queue):
    for word, more in (("bench-produce", {}), ("bench-consume", queue.consuming)):
        words = queue.properties(queue.loading, queue.client, queue.governing, more)
        program = queue.start([*queue.kinds["go"], word, queue.topic, 300, *words])
        assert program.wait() == 0, program.story()
        said = json.loads(program.lines[-1])
        assert said["messages"] == 300 and said["seconds"] > 0
    assert int(queue.redis.client().hget("jg1:default:{Mail}:stats", "claimed")) == 300
