# SPDX-License-Identifier: Apache-2.0
"""How the plugin gets into a process, what it must find there, and what it must leave as it was."""

import shutil
import signal
import sys
from pathlib import Path

import pytest

from support.app import raw_consume

pytestmark = pytest.mark.foreign_host

SKIPPED = "jobgate: skipped: a duplicate of another job"
KINDS = ["c", "debian-python", "wheel-python"]


def drops_a_duplicate(queue, job, kind, settings=None, env=None):
    """The whole way, produced and consumed; true or an assertion."""
    first, again, last = job("Mail", [1]), job("Mail", [1]), job("Last", [])
    queue.produce(kind, first, again, last, settings=settings, env=env)
    consumer = queue.consumer(kind, settings, env)
    assert consumer.take_until(last) == [f"job 0 0 {first}", f"error _PARTITION_EOF 0 1 {SKIPPED}", f"job 0 2 {last}"]
    consumer.stop()
    return True


@pytest.fixture
def settings_file(queue, tmp_path):
    """The environment that names a file of all settings; the queue's programs get none as properties."""
    path = tmp_path / "jobgate.conf"
    path.write_text("".join(f"{line}\n" for line in queue.properties(queue.governing)))
    queue.governing = {}
    return {"JOBGATE_CONFIG": path}


# --- found ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_name_is_found_where_the_loader_looks(queue, job, kind, build_dir):
    assert drops_a_duplicate(queue, job, kind, {"plugin.library.paths": "jobgate"}, {"LD_LIBRARY_PATH": build_dir})


@pytest.mark.parametrize("kind", KINDS)
def test_a_settings_file_alone_is_enough(queue, job, kind, settings_file):
    assert drops_a_duplicate(queue, job, kind, env=settings_file)


def test_a_handle_made_from_a_copied_configuration_is_governed(queue, job):
    assert drops_a_duplicate(queue, job, "c", env={"CLIENT_CONF_DUP": 1})


@pytest.mark.parametrize("copied", [{}, {"CLIENT_CONF_DUP": 1}], ids=["as made", "copied"])
def test_a_plugin_named_twice_governs_once(queue, job, settings_file, copied):
    """By two names of one file: librdkafka itself sees to equal ones. By a settings file: a property would reach only
    the first of two."""
    settings = {"plugin.library.paths": f"{queue.plugin};{queue.plugin.removesuffix('.so')}"}
    assert drops_a_duplicate(queue, job, "c", settings, {**settings_file, **copied})
    for message in raw_consume(queue.kafka, queue.topic):
        names = [name for name, _ in message.headers]
        assert len(names) == len(set(names)), names


# --- resolved ---


@pytest.mark.parametrize("kind", ["static-whole", "static-exporting"])
def test_a_static_librdkafka_serves_whether_it_exports_its_functions_or_not(queue, job, kind):
    assert drops_a_duplicate(queue, job, kind, {"jobgate.default.limit": 1, "jobgate.store.grace.ms": 100})


def test_a_stripped_static_librdkafka_is_refused_with_the_cure(queue):
    producer = queue.producer("static-stripped")
    assert producer.wait() == 2
    refusal = producer.error_line("configuration: jobgate: ")
    assert "was stripped" in refusal and "do not strip it" in refusal and "-rdynamic" in refusal
    assert queue.kinds["static-stripped"][0] in refusal


def test_a_static_librdkafka_of_which_the_linker_left_parts_out_drops_duplicates(queue, job):
    assert drops_a_duplicate(queue, job, "static")


def test_a_static_librdkafka_of_which_the_linker_left_parts_out_is_refused_a_limit_with_the_cure(queue, job):
    consumer = queue.consumer("static", {"jobgate.default.limit": 1})
    assert "--whole-archive" in consumer.error_line("this handle is refused")


def test_a_program_whose_file_was_replaced_since_it_started_finds_its_own_functions(queue, tmp_path):
    """The addresses in the file that lies at its path now are not the running program's."""
    program = tmp_path / "client"
    shutil.copy(queue.kinds["static-whole"][0], program)
    other = tmp_path / "other"
    shutil.copy(queue.kinds["static"][0], other)
    script = ("import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); os.rename(sys.argv[2], sys.argv[1]); "
              "os.execv(f'/proc/self/fd/{fd}', sys.argv[1:2] + sys.argv[3:])")
    words = queue.properties(queue.loading, queue.client, queue.governing)
    producer = queue.start([sys.executable, "-c", script, program, other, "produce", queue.topic, *words])
    producer.end_input()
    assert producer.wait() == 0, producer.story()


def test_two_copies_of_librdkafka_in_one_process_are_each_served_by_their_own_functions(queue, job):
    here = Path(__file__).parent
    jobs = [job("Mail", [number]) for number in (1, 1, 2, 2, 3, 3)]
    words = queue.properties(queue.loading, queue.client, queue.governing)
    process = queue.start([sys.executable, here / "two_copies.py", queue.topic, *words], {"PYTHONPATH": here.parent})
    for copy, payload in zip(("wheel", "system", "system", "wheel"), jobs):
        process.write(f"{copy} {payload}")
        process.line(f"{copy} delivered", count=len(process.found(copy)) + 1)
        queue.await_confirmed()
    process.write("drop")
    process.line("dropped")
    for copy, payload in zip(("wheel", "system"), jobs[4:]):
        process.write(f"{copy} {payload}")
        process.line(f"{copy} delivered", count=3)
        queue.await_confirmed()
    process.end_input()
    assert process.wait() == 0, process.story()
    log = raw_consume(queue.kafka, queue.topic)
    assert [message.value.decode() for message in log] == jobs
    for original, duplicate in zip(log[::2], log[1::2]):
        assert duplicate.header("jobgate-duplicate-of") == original.header("jobgate-jid") is not None


# --- configured ---


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_a_property_that_stands_before_the_plugin_is_unknown(queue, role):
    queue.loading, queue.client = {}, {**queue.client, "jobgate.topics": queue.topic, **queue.loading}
    program = getattr(queue, role)("c")
    assert program.wait() == 2
    program.error_line('configuration: No such configuration property: "jobgate.topics"')


@pytest.mark.parametrize("kind", ["debian-python", "wheel-python"])
def test_pythons_order_of_properties_does_not_matter(queue, job, kind):
    queue.governing, queue.loading = {}, {**queue.governing, **queue.loading}
    assert drops_a_duplicate(queue, job, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_property_fails_the_client_and_names_the_right_one(queue, kind):
    program = queue.producer(kind, {"jobgate.topcs": "jobs"})
    assert program.wait() != 0
    program.error_line("jobgate.topcs.*jobgate.topics")


# --- a guest ---


def test_a_host_that_carries_other_copies_of_our_libraries_keeps_them_to_itself(queue, job, root):
    """Reading a schema, hashing, parsing a payload, speaking to Redis: none of it goes through the host's names."""
    avro = {"jobgate.topics": f"{queue.topic},other", "jobgate.topic.other.format": "avro",
            "jobgate.topic.other.schema": root / "schemas" / "job.avsc"}
    assert drops_a_duplicate(queue, job, "crowded", avro)


def signals_of(pid):
    """-> (dispositions of the process and the first thread's mask, masks of the others)"""
    def fields(task):
        lines = (line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if line.startswith("Sig"))
        return {name: value for name, value in lines}

    tasks = {int(task.name): fields(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    first = tasks.pop(pid)
    return {name: first[name] for name in ("SigBlk", "SigIgn", "SigCgt")}, [task["SigBlk"] for task in tasks.values()]


def test_the_hosts_signal_mask_and_handlers_stay_as_they_were(queue, job):
    payload = job("Mail", [1])
    settings = {"jobgate.default.dedup": "until_executed"}
    queue.produce("c", payload, settings=settings)
    block = {"preexec_fn": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})}

    def in_mid_job():
        consumer = queue.consumer("c", settings, {"CLIENT_WORK_MS": 600000}, **block)
        consumer.line("job 0 0 ")
        seen = signals_of(consumer.pid)
        consumer.kill()
        return seen

    with_plugin, others = in_mid_job()
    queue.loading = queue.governing = settings = {}
    without, librdkafkas = in_mid_job()
    assert with_plugin == without
    assert int(without["SigBlk"], 16) == 1 << (signal.SIGUSR1 - 1)
    assert len(others) > len(librdkafkas), "the plugin has no thread"
    process_directed = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
                        signal.SIGALRM, signal.SIGPIPE}
    for mask in others:
        assert all(int(mask, 16) >> (number - 1) & 1 for number in process_directed), mask
