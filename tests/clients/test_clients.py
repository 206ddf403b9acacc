# SPDX-License-Identifier: Apache-2.0
"""The same ordinary program on three client libraries, each with its librdkafka, on a real Kafka and a real Redis:
a C program on Debian's, Debian's Python client on the same (older than the librdkafka under it), and the current
confluent-kafka wheel, which brings its own. What each sees of a skipped message is what docs/clients.md says."""

import re
import subprocess

import pytest

from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

SKIPPED = "jobgate: skipped: a duplicate of another job"
ROWS = {"c": "C:", "cpp": "C++:", "debian-python": "Python, Debian", "wheel-python": "Python, wheel"}
PYTHONS = ["debian-python", "wheel-python"]

every_client = pytest.mark.parametrize("kind", ROWS)
every_python = pytest.mark.parametrize("kind", PYTHONS)


def test_the_clients_are_the_ones_that_the_table_names(kinds, row):
    for kind in PYTHONS:
        said = subprocess.run([*kinds[kind], "version"], capture_output=True, text=True, check=True).stdout.split()
        for version in said:
            assert re.search(rf" {re.escape(version.rpartition('.')[0])}[. ]", row(ROWS[kind])), f"{kind} has {version}"


@every_client
def test_a_duplicate_never_runs_and_shows_as_the_end_of_a_partition(queue, job, kind, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last)
    seen = queue.consumer(kind).take_until(last)
    assert seen == [f"job 0 0 {first}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {last}"]
    assert "`_PARTITION_EOF`" in row(ROWS[kind])


@every_client
def test_a_duplicate_shows_as_a_timeout_where_the_end_of_a_partition_means_something(queue, job, kind, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last)
    consumer = queue.consumer(kind, {"enable.partition.eof": "true"})
    seen = consumer.take_until(last)
    assert seen == [f"job 0 0 {first}", f"error _TIMED_OUT 0 1 {SKIPPED}", f"job 0 2 {last}"]
    consumer.line("error _PARTITION_EOF 0 3 ")
    assert "`_TIMED_OUT`" in row(ROWS[kind])


@every_python
def test_with_the_line_to_add_a_program_sees_jobs_only(queue, job, kind, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last)
    condition = re.search(r"`if (.*): continue`", row(ROWS[kind]))[1]
    seen = queue.consumer(kind, env={"CLIENT_PASS_OVER": condition}).take_until(last)
    assert seen == [f"job 0 0 {first}", f"job 0 2 {last}"]


@every_client
def test_skip_error_is_what_the_application_asks_for(queue, job, kind):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last)
    seen = queue.consumer(kind, {"enable.partition.eof": "true", "jobgate.skip.error": "partition_eof"}).take_until(last)
    assert seen[1] == f"error _PARTITION_EOF 0 1 {SKIPPED}"


@every_client
def test_a_rejected_duplicate_fails_the_produce_call_and_is_not_sent(queue, job, kind):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    said = queue.produce(kind, first, again, last, settings={"jobgate.default.dedup.action": "reject"})
    assert said == ["delivered 0 0", "refused _UNKNOWN_PARTITION", "delivered 0 1"]
    assert queue.consumer(kind).take_until(last) == [f"job 0 0 {first}", f"job 0 1 {last}"]


@every_client
def test_a_job_produced_after_its_equal_started_runs(queue, job, kind):
    first, second = job("Mail", [1]), job("Mail", [1])
    queue.produce(kind, first)
    consumer = queue.consumer(kind, env={"CLIENT_WORK_MS": 500})
    consumer.line("job 0 0 ")
    queue.produce(kind, second)
    consumer.line(r"done 0 1")
    assert consumer.found("job |error ") == [f"job 0 0 {first}", f"job 0 1 {second}"]


@every_client
def test_a_duplicate_of_a_running_job_never_runs_and_one_of_a_done_job_does(queue, job, kind):
    settings = {"jobgate.default.dedup": "until_executed"}
    first, during, after, last = job("Mail", [1]), job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, settings=settings)
    consumer = queue.consumer(kind, settings, {"CLIENT_WORK_MS": 2000})
    consumer.line("job 0 0 ")
    queue.produce(kind, during, settings=settings)
    assert not consumer.found("done"), "the machine is too slow for this test"
    consumer.line("error _PARTITION_EOF 0 1 ")
    queue.await_no_claim()
    queue.produce(kind, after, last, settings=settings)
    assert consumer.take_until(last) == [f"job 0 0 {first}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {after}",
                                         f"job 0 3 {last}"]


@every_client
@pytest.mark.parametrize("dedup", ["until_executing", "until_executed"])
def test_a_consumer_killed_in_mid_job_gets_the_job_again_once(queue, job, kind, dedup):
    settings = {"jobgate.default.dedup": dedup}
    done, killed, again, last = job("Mail", [1]), job("Mail", [2]), job("Mail", [2]), job("Last", [])
    queue.produce(kind, done, killed, again, last, settings=settings)
    victim = queue.consumer(kind, {**settings, "auto.commit.interval.ms": 50}, {"CLIENT_WORK_MS": 3000})
    victim.line("job 0 1 ")
    wait_until(lambda: queue.committed() == 1, 30, "the first job's end is committed")
    victim.kill()
    assert victim.found("done") == ["done 0 0"], "the machine is too slow for this test"
    seen = queue.consumer(kind, settings).take_until(last)
    assert seen == [f"job 0 1 {killed}", f"error _PARTITION_EOF 0 2 {SKIPPED}", f"job 0 3 {last}"]


@every_client
def test_a_clean_close_runs_nothing_again(queue, job, kind):
    jobs = [job("Mail", [number]) for number in (1, 2, 2)]
    queue.produce(kind, *jobs)
    consumer = queue.consumer(kind)
    consumer.line("error _PARTITION_EOF 0 2 ")
    consumer.stop()
    last = job("Last", [])
    queue.produce(kind, last)
    assert queue.consumer(kind).take_until(last) == [f"job 0 3 {last}"]


@every_client
def test_a_close_right_after_a_job_does_not_run_it_again(queue, job, kind):
    """The application never polls again: the close is what ends its last job."""
    first, second, last = job("Mail", [1]), job("Mail", [2]), job("Last", [])
    queue.produce(kind, first, second)
    consumer = queue.consumer(kind, env={"CLIENT_WORK_MS": 1000})
    consumer.line("job 0 1 ")
    consumer.stop()
    assert consumer.lines[-1] == "closed" and consumer.found("done 0 1")
    queue.produce(kind, last)
    assert queue.consumer(kind).take_until(last) == [f"job 0 2 {last}"]


@every_client
def test_a_job_of_any_client_is_a_duplicate_for_every_other(queue, job, kind):
    jobs = [job("Mail", [1]) for _ in ROWS]
    for other, payload in zip(ROWS, jobs):
        queue.produce(other, payload)
    last = job("Last", [])
    queue.produce(kind, last)
    assert queue.consumer(kind).take_until(last) == [
        f"job 0 0 {jobs[0]}", *[f"error _PARTITION_EOF 0 {number} {SKIPPED}" for number in range(1, len(ROWS))],
        f"job 0 {len(ROWS)} {last}"]


# --- Python's consume(n) ---


@every_python
def test_until_executing_works_with_batch_calls(queue, job, kind):
    jobs = [job("Mail", [number]) for number in (1, 1, 2, 3, 3)] + [job("Last", [])]
    queue.produce(kind, *jobs)
    consumer = queue.consumer(kind, env={"CLIENT_BATCH": 10})
    assert consumer.take_until(jobs[5]) == [
        f"job 0 0 {jobs[0]}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {jobs[2]}", f"job 0 3 {jobs[3]}",
        f"error _PARTITION_EOF 0 4 {SKIPPED}", f"job 0 5 {jobs[5]}"]
    assert len(consumer.found("batch ")) < len(jobs), "no call took more than one message"
    consumer.error_line("this consumer takes messages in batches")


@every_python
def test_until_executed_is_refused_with_batch_calls_and_the_cure_helps(queue, job, kind):
    settings = {"jobgate.default.dedup": "until_executed"}
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last, settings=settings)
    refused = queue.consumer(kind, settings, {"CLIENT_BATCH": 10})
    refusal = refused.line("error _STATE 0 0 ")
    assert "set enable.auto.offset.store=false and store offsets when jobs are done" in refusal
    refused.line("error _STATE 0 2 ")
    assert not refused.found("job ")
    refused.stop()
    assert queue.committed() <= 0, "what was refused counts as consumed"

    cured = queue.consumer(kind, {**settings, "enable.auto.offset.store": "false"},
                           {"CLIENT_BATCH": 10, "CLIENT_STORE": 1})
    assert cured.take_until(last) == [f"job 0 0 {first}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {last}"]
    queue.await_no_claim()
    cured.stop()
    assert queue.committed() == 3
