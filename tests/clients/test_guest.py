# SPDX-License-Identifier: Apache-2.0
"""What a host may do with itself while it has us in it: fork, start other programs, make handles by the hundred, meet a
connection that was reset. And what it does not pay for when there is nothing to govern."""

import os
import re
import sys
from pathlib import Path

import pytest

from support.app import raw_consume, raw_produce
from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

HERE = Path(__file__).parent
SLOW = '{"class": "Slow", "args": []}'


# --- forks ---


@pytest.fixture
def family(queue, kafka):
    """family(method): the program of forks.py on a topic of two partitions, each with a job of a class of which one may
    run at a time."""
    queue.topic = kafka.create_topic(f"{queue.topic}-of-two", 2)
    queue.governing |= {"jobgate.topics": queue.topic, "jobgate.class.Slow.limit": "1", "jobgate.store.grace.ms": "100",
                        "jobgate.events.topic": f"{queue.topic}-events"}
    for partition in (0, 1):
        raw_produce(kafka, queue.topic, SLOW, partition=partition)

    def start(method):
        words = queue.properties(queue.loading, queue.client, queue.governing, queue.consuming)
        return queue.start([sys.executable, HERE / "forks.py", method, queue.topic, *words])

    return start


def runners(redis):
    """The instances whose jobs of class Slow run."""
    return {member.split("@")[1] for member in redis.client().zrange("jg1:default:{Slow}:run", 0, -1)}


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_with_handles_of_its_own_and_its_parent_keep_the_promises_together(queue, redis, family, method):
    program = family(method)
    program.line("early ended 0")
    program.line("parent job 0 ")
    (parent,) = runners(redis)
    program.line("child collected")
    program.line("child delivered 0 ", count=2)
    program.line("child error jobgate: skipped: held")
    assert runners(redis) == {parent}, "two of a class that may run once"
    program.write("finish")
    program.line("child job 1 ")
    assert program.lines.index("parent finished") < program.lines.index(program.found("child job")[0])
    assert not runners(redis) & {parent}
    program.end_input()
    assert program.wait() == 0, program.story()
    assert program.found("child (closed|ended)") == ["child closed", "child ended 0"]
    mail = {}
    for message in raw_consume(queue.kafka, queue.topic):
        if b"Mail" in message.value:
            mail.setdefault(re.search(rb'\["(\w+)"\]', message.value)[1].decode(), []).append(message)
    assert {name: len(messages) for name, messages in mail.items()} == {"early": 1, "shared": 3, "late": 1, "last": 1}
    original, *others = mail["shared"]
    for message in others:
        assert message.header("jobgate-duplicate-of") == original.header("jobgate-jid") is not None, message
    assert all(mail[name][0].is_original for name in ("early", "late", "last"))


def test_a_fork_in_the_middle_of_traffic_leaves_no_child_that_hangs(queue, program, job):
    queue.produce("c", job("Mail", [1]))
    words = queue.properties(queue.loading, queue.client, queue.governing, queue.consuming,
                             {"linger.ms": 0, "jobgate.events.topic": f"{queue.topic}-events"})
    storm = queue.start([program("guest_client"), "storm", queue.topic, 60, *words])
    storm.line("children 60 hung 0 failed 0", timeout_s=120)
    assert storm.wait() == 0


def test_another_program_that_the_host_starts_gets_no_descriptor_of_ours(queue, family):
    """Sockets and eventfds are all that the plugin opens."""
    program = family("spawn")
    program.line("child error jobgate: skipped: held")  # every client of the plugin's own is there by now
    program.write("spawn")
    inherited = program.line("inherited").split()[1:]
    assert "socket" not in inherited and "anon_inode" not in inherited, inherited
    program.kill()


# --- connections that were reset ---


def test_a_connection_that_was_reset_sends_the_host_no_sigpipe(queue, redis, job):
    """Which would end a program in C that has no handler."""
    producer = queue.producer("c")
    for number in range(1, 11):
        producer.write(job("Mail", [number]))
        producer.line("delivered ", count=number)
        with redis.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
    producer.end_input()
    assert producer.wait() == 0, producer.story()
    assert len(raw_consume(queue.kafka, queue.topic)) == 10


# --- nothing to govern ---


def held_by(pid):
    """-> (threads, sockets, eventfds) of a process"""
    kinds = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds.append(os.readlink(each).split(":")[0] + ("" if "[eventfd]" not in os.readlink(each) else " eventfd"))
        except FileNotFoundError:
            pass
    return len(list(Path(f"/proc/{pid}/task").iterdir())), kinds.count("socket"), kinds.count("anon_inode eventfd")


LIMITED = {"jobgate.default.limit": "5", "jobgate.default.lease": "key"}
NOTHING = {
    "no-setting": ({"jobgate.topics": None, "jobgate.store": None, "jobgate.default.dedup": None}, {}),
    "other-topics": ({"jobgate.topics": "another-topic", **LIMITED}, {}),
    "disabled": (LIMITED, {"JOBGATE_DISABLE": "all"}),
    "observing": ({"jobgate.observe": "true", **LIMITED}, {}),
}


def at_rest(queue, role, settings=None, env=None):
    """A program that has had one message. -> it"""
    if role == "producer":
        program = queue.producer("c", settings, env)
        program.write('{"class": "Mail", "args": []}')
        program.line("delivered ")
    else:
        program = queue.consumer("c", settings, env)
        program.line("job 0 0 ")
    return program


@pytest.mark.parametrize("role, case", [(role, case) for role in ("producer", "consumer") for case in NOTHING
                                        if (role, case) != ("producer", "observing")])
def test_a_handle_that_governs_nothing_has_no_thread_and_no_connection_of_ours(queue, redis, role, case):
    raw_produce(queue.kafka, queue.topic, '{"class": "Mail", "args": []}')
    settings, env = NOTHING[case]
    with_plugin = at_rest(queue, role, settings, env)
    loading, governing = queue.loading, queue.governing
    queue.loading, queue.governing, queue.group = {}, {}, queue.group
    if role == "consumer":
        queue.consuming = {**queue.consuming, "group.id": f"{queue.group}-bare"}
    without = at_rest(queue, role)
    wait_until(lambda: held_by(with_plugin.pid) == held_by(without.pid), 30, "both hold the same")
    assert len(redis.client().client_list()) == 1, "somebody else than this test is connected"
    queue.loading, queue.governing = loading, governing
    if role == "consumer":
        queue.consuming = {**queue.consuming, "group.id": f"{queue.group}-governed"}
    governed = at_rest(queue, role, LIMITED)
    wait_until(lambda: held_by(governed.pid)[0] > held_by(without.pid)[0], 30, "a governed handle has more")


# --- many handles ---


REPORT = re.compile(r"after \d+: descriptors (\d+) threads (\d+) heap_kb (\d+) resident_kb (\d+)")


def growth(queue, program, handles, *parts):
    """What a program that made so many handles came to hold from its first report to its last."""
    words = queue.properties(*parts, queue.client, queue.consuming, {"log_level": 0, "linger.ms": 0})
    host = queue.start([program("guest_client"), "flat", queue.topic, handles, *words])
    assert host.wait(120) == 0, host.story()
    assert not re.search("not (produced|consumed)", host.stderr), host.story()
    first, *_, last = [list(map(int, REPORT.match(line).groups())) for line in host.found("after ")]
    return [after - before for before, after in zip(first, last)]


@pytest.mark.parametrize("store", ["redis", "memory"])
def test_a_thousand_handles_that_come_and_go_leave_nothing_behind(queue, program, store):
    """Some of them are used for a job of a class with a limit: its consumers have clients of their own, too."""
    raw_produce(queue.kafka, queue.topic, '{"class": "Mail", "args": [], "jid": "first"}')
    governing = {**queue.governing, **LIMITED, "jobgate.log.level": "error", "jobgate.store.grace.ms": "100",
                 "jobgate.default.lease": "none"}
    if store == "memory":
        governing["jobgate.store"] = "memory:"
    bare = growth(queue, program, 1000)
    governed = growth(queue, program, 1000, queue.loading, governing)
    assert governed[:2] == [0, 0], "descriptors and threads"
    heap_kb, resident_kb = governed[2] - bare[2], governed[3] - bare[3]
    assert heap_kb < 100, f"{heap_kb} kB for 800 handles"
    assert resident_kb < 2000, f"{resident_kb} kB for 800 handles"
