# SPDX-License-Identifier: Apache-2.0
"""The ways in which programs take messages off librdkafka (loops.py): where the end of a job can be seen, limits are
kept; where it cannot, the consumer is refused, with the cure; and the cure helps."""

import sys
from pathlib import Path

import pytest

from support.app import raw_produce
from support.processes import wait_until

pytestmark = pytest.mark.foreign_host

HERE = Path(__file__).parent
CURE = "set enable.auto.offset.store=false and store offsets when jobs are done"
STORING = {"enable.auto.offset.store": "false"}


@pytest.fixture
def loop(queue, kafka):
    """loop("poll"): the program, on two partitions with a job each, of a class of which one may run at a time."""
    queue.topic = kafka.create_topic(f"{queue.topic}-of-two", 2)
    queue.governing |= {"jobgate.topics": queue.topic, "jobgate.class.Slow.limit": "1", "jobgate.store.grace.ms": "100"}
    for partition in (0, 1):
        raw_produce(kafka, queue.topic, f'{{"class": "Slow", "args": [{partition}]}}', partition=partition)

    def start(shape, settings=None, env=None):
        words = queue.properties(queue.loading, queue.client, queue.governing, queue.consuming, settings)
        return queue.start([sys.executable, HERE / "loops.py", shape, queue.topic, *words],
                           {"PYTHONPATH": HERE.parent, **(env or {})})

    return start


@pytest.fixture
def running(redis):
    """The runs of class Slow that the store knows of."""
    return lambda: redis.client().zrange("jg1:default:{Slow}:run", 0, -1)


def test_a_loop_of_polls_frees_its_slot_when_it_polls_again(loop, running):
    program = loop("poll")
    program.line("job 0 0 ")
    assert len(running()) == 1
    program.write("finish")
    program.line("done 0 0")
    wait_until(lambda: not running(), 30, "the slot is free, though no message came")
    program.end_input()
    assert program.wait() == 0, program.story()


@pytest.mark.parametrize("shape", ["legacy", "legacy-callback"])
def test_consuming_without_an_assignment_is_refused_with_the_cure(loop, running, shape):
    program = loop(shape)
    refusal = program.line("error jobgate: ")
    assert CURE in refusal and "jobgate.class.Slow.limit" in refusal and "rd_kafka_consume_start" in refusal
    assert not program.found("job ") and not running()
    program.end_input()
    assert program.wait() == 0, program.story()


def test_a_class_that_nothing_needs_the_end_of_is_consumed_without_an_assignment_too(queue, loop):
    del queue.governing["jobgate.class.Slow.limit"]
    program = loop("legacy")
    program.line("job 0 0 ")
    program.error_line("without an assignment")
    program.write("finish")
    program.line("done 0 0")
    program.end_input()
    assert program.wait() == 0, program.story()


def test_a_thread_for_each_partitions_queue_is_refused_with_the_cure(queue, loop):
    program = loop("partition-queues")
    program.line("job ")
    program.error_line("on a second thread while a job is open")
    for partition in (0, 1):
        raw_produce(queue.kafka, queue.topic, '{"class": "Slow", "args": [2]}', partition=partition)
    assert CURE in program.line("error jobgate: jobgate.class.Slow.limit")
    assert len(program.found("job ")) == 1, "a second job of a class that may run once"
    program.write("finish")
    program.end_input()
    assert program.wait() == 0, program.story()


def test_the_cure_helps_a_thread_for_each_partitions_queue(loop, running):
    program = loop("partition-queues", STORING, {"LOOP_STORE": 1})
    program.line("job ")
    program.line("error jobgate: skipped: held")
    assert len(program.found("job ")) == len(running()) == 1
    program.write("finish")
    program.line("job ", count=2)
    assert program.lines.index(program.found("done ")[0]) < program.lines.index(program.found("job ")[1])
    program.write("finish")
    program.end_input()
    assert program.wait() == 0, program.story()


def test_a_job_on_another_thread_while_its_partition_is_paused_counts_as_done_at_the_next_poll(loop, running):
    """No hook and no function of librdkafka tells of a pause: the README's first lines on consumers have the cure."""
    program = loop("pause-and-poll")
    program.error_line("a job counts as done when this consumer polls again")
    program.line("job 0 0 ")
    wait_until(lambda: not running(), 30, "the slot is free, while the job is at work")
    assert not program.found("done ")


def test_the_cure_helps_a_job_on_another_thread(loop, running):
    program = loop("pause-and-poll", STORING, {"LOOP_STORE": 1})
    program.line("job 0 0 ")
    program.line("polled", count=10)
    assert len(running()) == 1
    program.write("finish")
    wait_until(lambda: not running(), 30, "the slot is free when the job's offset is stored and committed")
    program.end_input()
    assert program.wait() == 0, program.story()
