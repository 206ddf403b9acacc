# SPDX-License-Identifier: Apache-2.0
"""What is particular to a C++ program on librdkafka++, beyond what test_clients.py shows of every client: its handles are
made from copies of the configuration, and a call that finds nothing gives a message, too."""

import re

import pytest

from clients.limits import QUICK, SPREAD, Journal, run_all

pytestmark = pytest.mark.foreign_host

SKIPPED = "jobgate: skipped: a duplicate of another job"
HELD = "jobgate: skipped: held"


@pytest.fixture
def spread_queue(make_queue):
    return make_queue(partitions=2)


def test_the_version_is_the_one_that_the_table_names(queue, row):
    program = queue.start([*queue.kinds["cpp"], "version"])
    assert program.wait() == 0
    assert f"librdkafka++ {program.lines[0]}" in row("C++:")


def test_with_the_cases_that_the_table_names_a_program_sees_jobs_only(queue, job, row, root):
    case = re.search(r"`(case .*?;)`", row("C++:"))[1]
    assert case in " ".join((root / "tests/clients/cpp_client.cpp").read_text().split())
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("cpp", first, again, last)
    seen = queue.consumer("cpp", env={"CLIENT_PASS_OVER": 1}).take_until(last)
    assert seen == [f"job 0 0 {first}", f"job 0 2 {last}"]


def test_a_skip_can_be_what_a_call_gives_that_finds_nothing(queue, job, row):
    setting = re.search(r"`(jobgate.skip.error=timed_out)`", row("C++:"))[1]
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("cpp", first, again, last)
    seen = queue.consumer("cpp", dict([setting.split("=")])).take_until(last)
    assert seen == [f"job 0 0 {first}", f"error _TIMED_OUT 0 1 {SKIPPED}", f"job 0 2 {last}"]


def test_a_program_that_stores_offsets_itself_says_so_when_a_job_is_done(queue, job):
    settings = {"jobgate.default.dedup": "until_executed", "enable.auto.offset.store": "false"}
    first, during, after, last = job("Mail", [1]), job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce("cpp", first, settings=settings)
    consumer = queue.consumer("cpp", settings, {"CLIENT_STORE": 1, "CLIENT_WORK_MS": 1500})
    consumer.line("job 0 0 ")
    queue.produce("cpp", during, settings=settings)
    assert not consumer.found("done"), "the machine is too slow for this test"
    consumer.line("done 0 0")
    queue.await_no_claim()
    queue.produce("cpp", after, last, settings=settings)
    assert consumer.take_until(last) == [f"job 0 0 {first}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {after}",
                                         f"job 0 3 {last}"]


def test_two_consumers_never_run_more_than_the_limit_and_all_is_run(spread_queue, job, tmp_path):
    queue, journal = spread_queue, Journal(tmp_path / "journal")
    settings = {"jobgate.class.Mail.limit": 1, **QUICK}
    queue.kinds = {**queue.kinds, "cpp": journal.takes(queue.kinds["cpp"]), "producer": queue.kinds["cpp"]}
    jobs = [job("Mail", [number]) for number in range(30)]
    most = run_all(queue, journal, jobs, lambda: queue.produce("producer", *jobs, settings=SPREAD),
                   [lambda: queue.consumer("cpp", settings, {"CLIENT_WORK_MS": 50})] * 2)
    assert most == 1


def test_held_jobs_come_back_to_a_program_that_starts_when_nothing_else_comes(queue, job):
    jobs = [job("Mail", [number]) for number in range(3)]
    queue.produce("cpp", *jobs)
    paused = queue.consumer("cpp", {"jobgate.class.Mail.limit": -1, **QUICK})
    paused.line(f"error _PARTITION_EOF 0 2 {HELD}")
    paused.stop()
    assert queue.committed() == len(jobs)
    consumer = queue.consumer("cpp", {"jobgate.class.Mail.limit": 1, **QUICK})
    consumer.line("done ", count=len(jobs))
    assert [line.split(" ", 3)[3] for line in consumer.found("job ")] == jobs
