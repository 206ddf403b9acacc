# SPDX-License-Identifier: Apache-2.0
"""kcat, Debian's, on a real Kafka and a real Redis. It asks for the ends of partitions by itself, and it ends at every
other error: hence the line to add in docs/clients.md."""

import signal
import subprocess

import pytest

pytestmark = pytest.mark.foreign_host

CURE = "jobgate.skip.error=partition_eof"


@pytest.fixture
def kcat(queue):
    """kcat("-P", "-t", topic): loaded with the plugin. -> the running program"""

    def start(*words, settings=None, env=None):
        properties = queue.properties(queue.loading, queue.governing, settings)
        return queue.start(["kcat", "-b", queue.kafka.bootstrap, *(word for each in properties for word in ("-X", each)),
                            *words], env)

    return start


@pytest.fixture
def produce(kcat, queue):
    """Each job by a kcat -P of its own, once the claim of the one before is confirmed."""

    def run(*jobs, env=None):
        for job in jobs:
            producer = kcat("-P", "-t", queue.topic, env=env)
            producer.write(job)
            producer.end_input()
            assert producer.wait() == 0, producer.story()
            queue.await_confirmed()

    return run


@pytest.fixture
def read(kcat, queue):
    """kcat -G, which prints offset and payload."""

    def run(*words, settings=None):
        consuming = {"auto.offset.reset": "earliest", "fetch.wait.max.ms": 50, **(settings or {})}
        return kcat("-G", queue.group, "-f", "job %o %s\n", *words, queue.topic, settings=consuming)

    return run


def test_the_row_names_the_version(row):
    said = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
    for mode in ("-P", "-G", "-C"):
        version = row(f"kcat {mode}").split("(")[1].split(")")[0]
        assert f"Version {version} " in said


def test_a_duplicate_that_kcat_produced_never_runs_in_kcat(produce, read, queue, job, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    produce(first, again, last)
    assert f"`-X {CURE}`" in row("kcat -G")
    reader = read("-X", CURE, "-c", "2")
    assert reader.wait() == 0, reader.story()
    assert reader.lines == [f"job 0 {first}", f"job 2 {last}"]
    assert f"% Reached end of topic {queue.topic} [0] at offset 1" in reader.stderr
    assert "`% Reached end of topic`" in row("kcat -G")


def test_without_the_line_to_add_kcat_ends_at_the_first_skip_and_says_why(produce, read, job, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    produce(first, again, last)
    reader = read("-c", "2")
    assert reader.wait() == 1
    assert reader.lines == [f"job 0 {first}"]
    said = reader.error_line("ERROR: Topic")
    assert "jobgate: skipped" in said
    assert "`ERROR: Topic`" in row("kcat -G") and "`jobgate: skipped`" in row("kcat -G")


def test_exit_at_the_end_means_exit_at_the_first_skip(produce, read, job, row):
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    produce(first, again, last)
    reader = read("-X", CURE, "-e")
    assert reader.wait() == 0, reader.story()
    assert reader.lines == [f"job 0 {first}"]
    assert "no `-e`" in row("kcat -G")


def test_kcat_stopped_in_order_runs_nothing_again(produce, read, job):
    produce(job("Mail", [1]), job("Mail", [1]))
    reader = read("-X", CURE)
    reader.error_line(r"% Reached end of topic \S+ \[0\] at offset 2")
    reader.stop(signal.SIGINT)
    last = job("Last", [])
    produce(last)
    reader = read("-X", CURE, "-c", "1")
    assert reader.wait() == 0, reader.story()
    assert reader.lines == [f"job 2 {last}"]


def test_a_rejected_duplicate_is_a_failed_delivery(produce, kcat, queue, job, row):
    produce(job("Mail", [1]))
    rejecting = kcat("-P", "-t", queue.topic, settings={"jobgate.default.dedup.action": "reject"})
    rejecting.write(job("Mail", [1]))
    rejecting.end_input()
    assert rejecting.wait() == 1
    failure = "Local: Unknown partition"  # of the call, or of the delivery where the topic is not known yet
    assert failure in rejecting.stderr
    assert f"`{failure}`" in row("kcat -P")


def test_a_consumer_without_a_group_is_left_alone(produce, kcat, queue, job, row):
    jobs = [job("Mail", [1]), job("Mail", [1]), job("Last", [])]
    produce(*jobs)
    reader = kcat("-C", "-t", queue.topic, "-o", "beginning", "-e", "-f", "job %o %s\n")
    assert reader.wait() == 0, reader.story()
    assert reader.lines == [f"job {offset} {payload}" for offset, payload in enumerate(jobs)]
    assert [claim["st"] for claim in queue.claims()] == ["q", "q"], "it changed a claim"
    assert "left alone" in row("kcat -C")


def test_a_settings_file_alone_is_enough(produce, kcat, queue, job, tmp_path):
    settings = tmp_path / "jobgate.conf"
    lines = queue.properties(queue.governing, dict([CURE.split("=")]))
    settings.write_text("".join(f"{line}\n" for line in lines))
    queue.governing = {}
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    produce(first, again, last, env={"JOBGATE_CONFIG": settings})
    reader = kcat("-G", queue.group, "-X", "auto.offset.reset=earliest", "-c", "2", "-f", "job %o %s\n", queue.topic,
                  env={"JOBGATE_CONFIG": settings})
    assert reader.wait() == 0, reader.story()
    assert reader.lines == [f"job 0 {first}", f"job 2 {last}"]
