# SPDX-License-Identifier: Apache-2.0
"""What the plugin rests on in librdkafka beyond its documentation, one test for each fact, with interceptors of their
own and no plugin: a version of librdkafka that changes one is caught here, by name."""

import ctypes
import threading
import time
import uuid
from pathlib import Path

import confluent_kafka
import pytest

from clients.librdkafka import (CONSUMER, INVALID_OFFSET, NO_ERROR, NO_OFFSET, ON_COMMIT, ON_REBALANCE, PARTITION_EOF,
                                PRODUCER, UNKNOWN_PARTITION, Handle, Librdkafka, set_property)
from support.processes import wait_until

IMPOSSIBLE_PARTITION = 2**31 - 1
TEXT = ctypes.c_char_p(b"a text of the hook's own")


def wheel_copy():
    (path,) = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka-*.so*")
    return path


@pytest.fixture(scope="module", params=["debian", "wheel"])
def library(request):
    return Librdkafka("librdkafka.so.1" if request.param == "debian" else wheel_copy())


@pytest.fixture
def make(library, kafka):
    """make(CONSUMER, {...}, on_consume=...): a handle, ended with the test; a consumer is of a group of its own."""
    handles = []

    def make(kind, properties=None, **hooks):
        own = {"group.id": f"facts-{uuid.uuid4().hex}", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}
        handle = Handle(library, kind, {"bootstrap.servers": kafka.bootstrap, **(own if kind == CONSUMER else {}),
                                        **(properties or {})}, **hooks)
        handles.append(handle)
        return handle

    yield make
    for handle in handles:
        handle.__exit__()


def next_of(consumer):
    return wait_until(consumer.poll, 30, "a message", interval_s=0)


@pytest.fixture
def topic(make, make_topic):
    """One with three messages."""
    name = make_topic()
    producer = make(PRODUCER)
    for value in (b"zero", b"one", b"two"):
        assert producer.produce(name, value) == (NO_ERROR, [NO_ERROR])
    return name


def test_the_two_copies_are_different_ones():
    assert Librdkafka("librdkafka.so.1").version() != Librdkafka(wheel_copy()).version()


@pytest.mark.parametrize("changed", [False, True])
def test_on_new_can_still_change_what_the_application_set(library, kafka, topic, changed):
    assigned = []

    def on_new(handle, conf):
        if not changed:
            return
        set_property(library, conf, "enable.auto.offset.store", "false")
        handle.on_rebalance = ON_REBALANCE(
            lambda rk, err, partitions, _: assigned.append(err) or library.assign(rk, partitions))
        library.conf_set_rebalance_cb(conf, handle.on_rebalance)

    properties = {"bootstrap.servers": kafka.bootstrap, "group.id": f"facts-{uuid.uuid4().hex}",
                  "auto.offset.reset": "earliest", "enable.auto.offset.store": "true"}
    with Handle(library, CONSUMER, properties, on_new=on_new) as consumer:
        consumer.subscribe(topic)
        assert next_of(consumer) == (NO_ERROR, 0, b"zero")
        next_of(consumer)
    with Handle(library, CONSUMER, properties) as looking:
        assert looking.committed(topic) == (INVALID_OFFSET if changed else 2)
    assert bool(assigned) == changed


def test_an_impossible_partition_makes_the_produce_call_fail_and_nothing_is_sent(make, make_topic):
    topic = make_topic()

    def on_send(handle, message):
        if message.value() == b"refuse":
            message.partition = IMPOSSIBLE_PARTITION

    producer = make(PRODUCER, on_send=on_send)
    # Where the topic's metadata is not known yet, it is the delivery report that says so.
    assert producer.produce(topic, b"refuse") in ((NO_ERROR, [UNKNOWN_PARTITION]), (UNKNOWN_PARTITION, []))
    assert producer.produce(topic, b"zero") == (NO_ERROR, [NO_ERROR])
    assert producer.produce(topic, b"refuse") == (UNKNOWN_PARTITION, [])
    assert producer.produce(topic, b"one") == (NO_ERROR, [NO_ERROR])
    consumer = make(CONSUMER)
    consumer.read(topic)
    assert [next_of(consumer), next_of(consumer)] == [(NO_ERROR, 0, b"zero"), (NO_ERROR, 1, b"one")]


def test_a_consumed_message_can_be_turned_into_an_error_and_counts_as_consumed(make, topic):
    def on_consume(handle, message):
        if message.offset < 2:
            message.err = PARTITION_EOF
            ctypes.c_void_p.from_buffer(message, type(message).payload.offset).value = ctypes.cast(
                TEXT, ctypes.c_void_p).value
            message.len = len(TEXT.value)

    consumer = make(CONSUMER, {"auto.commit.interval.ms": 50}, on_consume=on_consume)
    consumer.subscribe(topic)
    seen = [next_of(consumer) for _ in range(2)]
    assert seen == [(PARTITION_EOF, offset, TEXT.value) for offset in (0, 1)]
    assert next_of(consumer) == (NO_ERROR, 2, b"two")
    wait_until(lambda: consumer.committed(topic) >= 2, 30, "the offsets of what became errors are committed")


def probe(library, consumer, topic, answer):
    queue = library.queue_get_consumer(consumer.rk)
    one = library.partitions(topic, 0)
    assert library.commit_queue(consumer.rk, one, queue, answer, None) == NO_ERROR
    library.topic_partition_list_destroy(one)
    return queue


def test_a_poll_probe_is_answered_at_the_next_poll_on_its_thread_and_commits_nothing(library, make, topic):
    answers = []
    answer = ON_COMMIT(lambda rk, err, partitions, _: answers.append((err, threading.get_ident())))
    consumer = make(CONSUMER, {"enable.auto.commit": "false"})
    consumer.subscribe(topic)
    for _ in range(3):
        next_of(consumer)
    queue = probe(library, consumer, topic, answer)
    wait_until(lambda: library.queue_length(queue) == 1, 30, "the answer waits in the queue")
    library.queue_destroy(queue)
    assert answers == []
    assert consumer.poll(0) is None
    assert answers == [(NO_OFFSET, threading.get_ident())]
    assert consumer.committed(topic) == INVALID_OFFSET


def test_a_poll_probe_is_answered_at_once_while_the_application_is_blocked_in_a_poll(library, make, topic):
    answered = []
    answer = ON_COMMIT(lambda *_: answered.append(time.monotonic()))
    consumer = make(CONSUMER, {"enable.auto.commit": "false"})
    consumer.subscribe(topic)
    for _ in range(3):
        next_of(consumer)
    began = time.monotonic()
    poller = threading.Thread(target=consumer.poll, args=(5000,))
    poller.start()
    library.queue_destroy(probe(library, consumer, topic, answer))
    wait_until(lambda: answered, 30, "an answer")
    poller.join()
    assert answered[0] - began < 4


def test_a_seek_in_on_consume_outdates_at_once_what_was_fetched(library, make, topic):
    """Else a message that is held back would be overtaken by those behind it."""
    seeks = []

    def on_consume(handle, message):
        if message.offset == 1 and len(seeks) < 2:
            seeks.append(library.seek(message.rkt, message.partition, message.offset, 0))

    consumer = make(CONSUMER, on_consume=on_consume)
    consumer.read(topic)
    assert next_of(consumer) == (NO_ERROR, 0, b"zero")
    assert [next_of(consumer)[1] for _ in range(4)] == [1, 1, 1, 2]
    assert seeks == [NO_ERROR, NO_ERROR]
