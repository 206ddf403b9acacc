# SPDX-License-Identifier: Apache-2.0
"""A Rust program on the rdkafka crate, with librdkafka linked in: its functions are found by the program's own symbol
table, it takes events instead of callbacks, and its settings of jobgate come from the file alone, since the crate passes
properties in an order of its own. Of an error the crate tells no more than its code."""

import re
import shutil
import subprocess

import pytest

from clients.conftest import Queue
from clients.limits import QUICK, SPREAD, Journal, run_all
from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

ROW = "Rust:"
SKIP = "error PartitionEOF 0"
UNTIL_EXECUTED = {"jobgate.default.dedup": "until_executed"}
STORING = {"enable.auto.offset.store": "false"}
STORE = {"CLIENT_STORE": 1}

# BaseConsumer's thread polls; StreamConsumer's task polls on whichever of tokio's threads runs it.
every_api = pytest.mark.parametrize("api", ["base", "stream"])


class RustQueue(Queue):
    """Settings of jobgate go into a file, all others are properties."""

    folder = None
    _files = 0

    def start(self, command, env=None, **options):
        of_jobgate = [word for word in command if str(word).startswith("jobgate.")]
        self._files += 1
        path = self.folder / f"settings{self._files}"
        path.write_text("".join(f"{word}\n" for word in of_jobgate))
        command = [word for word in command if word not in of_jobgate]
        return super().start(command, {"JOBGATE_CONFIG": path, **(env or {})}, **options)


@pytest.fixture(scope="session")
def built(root):
    folder = root / "build" / "clients" / "rust"
    if not (folder / "jobgate.stamp").exists():
        pytest.fail(f"{folder} holds no program: run scripts/clients")
    return folder


@pytest.fixture
def make_rust_queue(make_queue, built, tmp_path):
    def make(partitions=1):
        queue = make_queue(RustQueue, partitions)
        queue.folder = tmp_path
        queue.kinds = {"rust": [built / "client"], "stripped": [built / "client-stripped"]}
        return queue

    return make


@pytest.fixture
def queue(make_rust_queue):
    return make_rust_queue()


# --- what the table says ---


def test_the_versions_are_the_ones_that_the_table_names(built, row, root):
    lock = (root / "tests/clients/rust/Cargo.lock.in").read_text()
    crate = re.search(r'name = "rdkafka"\nversion = "(.*)"', lock)[1]
    library = subprocess.run([built / "client", "version"], capture_output=True, text=True, check=True).stdout.strip()
    assert f"rdkafka {crate} (librdkafka {library}, static)" in row(ROW)


@every_api
def test_a_duplicate_never_runs_and_shows_as_the_end_of_a_partition(queue, job, row, api):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("rust", first, again, last)
    seen = queue.consumer("rust", env={"CLIENT_API": api}).take_until(last)
    assert seen == [f"job 0 0 {first}", SKIP, f"job 0 2 {last}"]
    assert "`Err(KafkaError::PartitionEOF(_))`" in row(ROW)


@every_api
def test_a_duplicate_shows_as_a_timeout_where_the_end_of_a_partition_means_something(queue, job, row, api):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("rust", first, again, last)
    consumer = queue.consumer("rust", {"enable.partition.eof": "true"}, {"CLIENT_API": api})
    assert consumer.take_until(last) == [f"job 0 0 {first}", "error OperationTimedOut", f"job 0 2 {last}"]
    consumer.line(SKIP)
    assert "`Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))`" in row(ROW)


def test_skip_error_is_what_the_application_asks_for(queue, job):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("rust", first, again, last)
    seen = queue.consumer("rust", {"jobgate.skip.error": "timed_out"}).take_until(last)
    assert seen == [f"job 0 0 {first}", "error OperationTimedOut", f"job 0 2 {last}"]


@every_api
def test_with_the_line_to_add_a_program_sees_jobs_only(queue, job, row, root, api):
    arm = re.search(r"`(Err\(KafkaError::PartitionEOF\(_\)\)) => continue,?`", row(ROW))[1]
    assert (root / "tests/clients/rust/src/main.rs").read_text().count(f"({arm}) if passes_over()") == 2
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("rust", first, again, last)
    seen = queue.consumer("rust", env={"CLIENT_API": api, "CLIENT_PASS_OVER": 1}).take_until(last)
    assert seen == [f"job 0 0 {first}", f"job 0 2 {last}"]


def test_a_stripped_program_is_refused_with_the_cure(queue):
    producer = queue.producer("stripped")
    assert producer.wait() == 2
    refusal = producer.error_line("jobgate")
    assert "was stripped: do not strip it" in refusal and "strip = false" in refusal


def test_a_program_without_its_debug_information_serves(built, tmp_path, queue, job):
    """It may go alone, as cargo's `strip = "debuginfo"` has it."""
    program = tmp_path / "client"
    shutil.copy(built / "client", program)
    subprocess.run(["strip", "--strip-debug", program], check=True)
    queue.kinds["debug-stripped"] = [program]
    assert queue.produce("debug-stripped", job("Mail", [1])) == ["delivered 0 0"]


# --- producing ---


def test_a_rejected_duplicate_fails_the_send_and_is_not_sent(queue, job):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    said = queue.produce("rust", first, again, last, settings={"jobgate.default.dedup.action": "reject"})
    assert said == ["delivered 0 0", "refused UnknownPartition", "delivered 0 1"]
    assert queue.consumer("rust").take_until(last) == [f"job 0 0 {first}", f"job 0 1 {last}"]


# --- how the end of a job is seen ---


@every_api
def test_a_job_produced_after_its_equal_started_runs(queue, job, api):
    first, second = job("Mail", [1]), job("Mail", [1])
    queue.produce("rust", first)
    consumer = queue.consumer("rust", env={"CLIENT_API": api, "CLIENT_WORK_MS": 500})
    consumer.line("job 0 0 ")
    queue.produce("rust", second)
    consumer.line("done 0 1")
    assert consumer.found("job |error ") == [f"job 0 0 {first}", f"job 0 1 {second}"]


@every_api
@pytest.mark.parametrize("stores", [{}, STORE], ids=["by the next poll", "by the offset that it stores"])
def test_a_duplicate_of_a_running_job_never_runs_and_one_of_a_done_job_does(queue, job, api, stores):
    settings = {**UNTIL_EXECUTED, **(STORING if stores else {})}
    first, during, after, last = job("Mail", [1]), job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("rust", first, settings=UNTIL_EXECUTED)
    consumer = queue.consumer("rust", settings, {"CLIENT_API": api, "CLIENT_WORK_MS": 1500, **stores})
    consumer.line("job 0 0 ")
    queue.produce("rust", during, settings=UNTIL_EXECUTED)
    assert not consumer.found("done"), "the machine is too slow for this test"
    consumer.line(SKIP)
    queue.await_no_claim()
    queue.produce("rust", after, last, settings=UNTIL_EXECUTED)
    assert consumer.take_until(last) == [f"job 0 0 {first}", SKIP, f"job 0 2 {after}", f"job 0 3 {last}"]


@every_api
def test_the_end_of_a_job_is_seen_though_no_message_comes_after_it(queue, job, api):
    queue.produce("rust", job("Mail", [1]), settings=UNTIL_EXECUTED)
    consumer = queue.consumer("rust", UNTIL_EXECUTED, {"CLIENT_API": api, "CLIENT_WORK_MS": 1000})
    consumer.line("job 0 0 ")
    while not consumer.found("done"):
        claims = queue.claims()
        assert claims or consumer.found("done"), "it counts as done while it runs"
    consumer.line("done 0 0")
    queue.await_no_claim()
    wait_until(lambda: queue.committed() == 1, 30, "its offset is committed")


@every_api
def test_a_consumer_killed_in_mid_job_gets_the_job_again_once(queue, job, api):
    done, killed, again, last = job("Mail", [1]), job("Mail", [2]), job("Mail", [2]), job("Last", [])
    queue.produce("rust", done, killed, again, last, settings=UNTIL_EXECUTED)
    victim = queue.consumer("rust", {**UNTIL_EXECUTED, "auto.commit.interval.ms": 50},
                            {"CLIENT_API": api, "CLIENT_WORK_MS": 3000})
    victim.line("job 0 1 ")
    wait_until(lambda: queue.committed() == 1, 30, "the first job's end is committed")
    victim.kill()
    assert victim.found("done") == ["done 0 0"], "the machine is too slow for this test"
    seen = queue.consumer("rust", UNTIL_EXECUTED, {"CLIENT_API": api}).take_until(last)
    assert seen == [f"job 0 1 {killed}", SKIP, f"job 0 3 {last}"]


@every_api
def test_a_clean_close_runs_nothing_again(queue, job, api):
    jobs = [job("Mail", [number]) for number in (1, 2, 2)]
    queue.produce("rust", *jobs)
    consumer = queue.consumer("rust", env={"CLIENT_API": api})
    consumer.line(SKIP)
    consumer.stop()
    last = job("Last", [])
    queue.produce("rust", last)
    assert queue.consumer("rust", env={"CLIENT_API": api}).take_until(last) == [f"job 0 3 {last}"]


@every_api
def test_a_program_that_stores_offsets_runs_nothing_again_and_loses_nothing_when_it_closes_in_mid_job(queue, job, api):
    """The crate's drop of a consumer takes messages that are left in its queue and throws them away. By librdkafka's own
    settings they count as consumed."""
    jobs = [job("Mail", [number]) for number in range(20)]
    queue.produce("rust", *jobs)
    consumer = queue.consumer("rust", STORING, {"CLIENT_API": api, "CLIENT_WORK_MS": 1000, **STORE})
    consumer.line("job 0 0 ")
    consumer.stop()
    assert consumer.lines[-1] == "closed" and consumer.found("done") == ["done 0 0"]
    assert queue.committed() == 1
    seen = queue.consumer("rust", STORING, {"CLIENT_API": api, **STORE}).take_until(jobs[-1])
    assert seen == [f"job 0 {number} {jobs[number]}" for number in range(1, len(jobs))]


# --- limits ---


@pytest.mark.parametrize("limit, settings, env", [
    (1, {}, {"CLIENT_API": "base"}), (1, {}, {"CLIENT_API": "stream"}),
    (3, STORING, {"CLIENT_API": "stream", "CLIENT_SIDE_BY_SIDE": 4, **STORE}),
], ids=["base", "stream", "stream side by side"])
def test_two_consumers_never_run_more_than_the_limit_and_all_is_run(make_rust_queue, job, tmp_path, limit, settings, env):
    queue, journal = make_rust_queue(partitions=2), Journal(tmp_path / "journal")
    queue.kinds = {"rust": journal.takes(queue.kinds["rust"]), "producer": queue.kinds["rust"]}
    settings = {"jobgate.class.Mail.limit": limit, **QUICK, **settings}
    jobs = [job("Mail", [number]) for number in range(30)]
    most = run_all(queue, journal, jobs, lambda: queue.produce("producer", *jobs, settings=SPREAD),
                   [lambda: queue.consumer("rust", settings, {"CLIENT_WORK_MS": 50, **env})] * 2)
    assert most == limit
    assert not [line for line in journal.lines("error") if not line.startswith("error PartitionEOF ")]


@every_api
def test_held_jobs_come_back_to_a_program_that_starts_when_nothing_else_comes(queue, job, api):
    jobs = [job("Mail", [number]) for number in range(3)]
    queue.produce("rust", *jobs)
    paused = queue.consumer("rust", {"jobgate.class.Mail.limit": -1, **QUICK}, {"CLIENT_API": api})
    paused.line(SKIP, count=len(jobs))
    paused.stop()
    assert queue.committed() == len(jobs)
    consumer = queue.consumer("rust", {"jobgate.class.Mail.limit": 1, **QUICK}, {"CLIENT_API": api})
    consumer.line("done ", count=len(jobs))
    assert [line.split(" ", 3)[3] for line in consumer.found("job ")] == jobs
