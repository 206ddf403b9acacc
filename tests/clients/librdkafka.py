# SPDX-License-Identifier: Apache-2.0
"""One copy of librdkafka, called by ctypes: handles with interceptors, and nothing of jobgate."""

import ctypes
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p,
                    string_at)

PRODUCER, CONSUMER = 0, 1
NO_ERROR, PARTITION_EOF, UNKNOWN_PARTITION, NO_OFFSET = 0, -191, -190, -168
UNASSIGNED, COPY = -1, 2
INVALID_OFFSET = -1001


class Message(Structure):
    _fields_ = [("err", c_int), ("rkt", c_void_p), ("partition", c_int32), ("payload", c_char_p), ("len", c_size_t),
                ("key", c_void_p), ("key_len", c_size_t), ("offset", c_int64), ("_private", c_void_p)]

    def value(self):
        """The payload's bytes; no NUL ends them."""
        return string_at(c_void_p.from_buffer(self, Message.payload.offset).value, self.len)


class Partition(Structure):
    _fields_ = [("topic", c_char_p), ("partition", c_int32), ("offset", c_int64), ("metadata", c_void_p),
                ("metadata_size", c_size_t), ("opaque", c_void_p), ("err", c_int), ("_private", c_void_p)]


class PartitionList(Structure):
    _fields_ = [("cnt", c_int), ("size", c_int), ("elems", POINTER(Partition))]


ON_NEW = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)
ON_MESSAGE = CFUNCTYPE(c_int, c_void_p, POINTER(Message), c_void_p)
ON_DELIVERY = CFUNCTYPE(None, c_void_p, POINTER(Message), c_void_p)
ON_CONSUMED = CFUNCTYPE(None, POINTER(Message), c_void_p)
ON_COMMIT = CFUNCTYPE(None, c_void_p, c_int, POINTER(PartitionList), c_void_p)
ON_REBALANCE = CFUNCTYPE(None, c_void_p, c_int, POINTER(PartitionList), c_void_p)

# name: (result, arguments)
FUNCTIONS = {
    "version": (c_int, []),
    "conf_new": (c_void_p, []),
    "conf_set": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
    "conf_set_dr_msg_cb": (None, [c_void_p, ON_DELIVERY]),
    "conf_set_rebalance_cb": (None, [c_void_p, ON_REBALANCE]),
    "conf_interceptor_add_on_new": (c_int, [c_void_p, c_char_p, ON_NEW, c_void_p]),
    "interceptor_add_on_send": (c_int, [c_void_p, c_char_p, ON_MESSAGE, c_void_p]),
    "interceptor_add_on_consume": (c_int, [c_void_p, c_char_p, ON_MESSAGE, c_void_p]),
    "new": (c_void_p, [c_int, c_void_p, c_char_p, c_size_t]),
    "destroy": (None, [c_void_p]),
    "topic_new": (c_void_p, [c_void_p, c_char_p, c_void_p]),
    "topic_destroy": (None, [c_void_p]),
    "produce": (c_int, [c_void_p, c_int32, c_int, c_char_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "last_error": (c_int, []),
    "flush": (c_int, [c_void_p, c_int]),
    "poll_set_consumer": (c_int, [c_void_p]),
    "subscribe": (c_int, [c_void_p, POINTER(PartitionList)]),
    "assign": (c_int, [c_void_p, POINTER(PartitionList)]),
    "consumer_poll": (POINTER(Message), [c_void_p, c_int]),
    "message_destroy": (None, [POINTER(Message)]),
    "message_errstr": (c_char_p, [POINTER(Message)]),
    "consumer_close": (c_int, [c_void_p]),
    "consume_queue": (POINTER(Message), [c_void_p, c_int]),
    "consume_callback_queue": (c_int, [c_void_p, c_int, ON_CONSUMED, c_void_p]),
    "consume_start": (c_int, [c_void_p, c_int32, c_int64]),
    "consume": (POINTER(Message), [c_void_p, c_int32, c_int]),
    "consume_callback": (c_int, [c_void_p, c_int32, c_int, ON_CONSUMED, c_void_p]),
    "consume_stop": (c_int, [c_void_p, c_int32]),
    "pause_partitions": (c_int, [c_void_p, POINTER(PartitionList)]),
    "resume_partitions": (c_int, [c_void_p, POINTER(PartitionList)]),
    "offset_store": (c_int, [c_void_p, c_int32, c_int64]),
    "seek": (c_int, [c_void_p, c_int32, c_int64, c_int]),
    "committed": (c_int, [c_void_p, POINTER(PartitionList), c_int]),
    "commit_queue": (c_int, [c_void_p, POINTER(PartitionList), c_void_p, ON_COMMIT, c_void_p]),
    "queue_get_consumer": (c_void_p, [c_void_p]),
    "queue_get_partition": (c_void_p, [c_void_p, c_char_p, c_int32]),
    "queue_forward": (None, [c_void_p, c_void_p]),
    "queue_length": (c_size_t, [c_void_p]),
    "queue_destroy": (None, [c_void_p]),
    "topic_partition_list_new": (POINTER(PartitionList), [c_int]),
    "topic_partition_list_add": (POINTER(Partition), [POINTER(PartitionList), c_char_p, c_int32]),
    "topic_partition_list_destroy": (None, [POINTER(PartitionList)]),
}


class Librdkafka:
    def __init__(self, path):
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, f"rd_kafka_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def partitions(self, topic, partition=UNASSIGNED, offset=INVALID_OFFSET):
        one = self.topic_partition_list_new(1)
        self.topic_partition_list_add(one, topic.encode(), partition).contents.offset = offset
        return one


def set_property(library, conf, name, value):
    error = ctypes.create_string_buffer(512)
    assert library.conf_set(conf, name.encode(), str(value).encode(), error, len(error)) == 0, error.value.decode()


class Handle:
    """A client whose interceptors are the functions given: on_new(handle, conf), on_send(handle, message) and
    on_consume(handle, message)."""

    def __init__(self, library, kind, properties, on_new=None, on_send=None, on_consume=None):
        self.library, self.kind, self.deliveries = library, kind, []
        # librdkafka calls these as long as the handle lives.
        self._on_new = ON_NEW(lambda rk, conf, *_: self._made(rk, conf, on_new, on_send, on_consume))
        self._on_delivery = ON_DELIVERY(lambda rk, message, _: self.deliveries.append(message.contents.err))
        self._hooks = []
        conf = library.conf_new()
        for name, value in properties.items():
            set_property(library, conf, name, value)
        if kind == PRODUCER:
            library.conf_set_dr_msg_cb(conf, self._on_delivery)
        assert library.conf_interceptor_add_on_new(conf, b"facts", self._on_new, None) == 0
        error = ctypes.create_string_buffer(512)
        self.rk = library.new(kind, conf, error, len(error))
        assert self.rk, error.value.decode()
        if kind == CONSUMER:
            library.poll_set_consumer(self.rk)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.kind == CONSUMER:
            self.library.consumer_close(self.rk)
        self.library.destroy(self.rk)

    def _made(self, rk, conf, on_new, on_send, on_consume):
        if on_new:
            on_new(self, conf)
        for add, hook in ((self.library.interceptor_add_on_send, on_send),
                          (self.library.interceptor_add_on_consume, on_consume)):
            if hook:
                self._hooks.append(ON_MESSAGE(lambda rk, message, _, hook=hook: hook(self, message.contents) or 0))
                assert add(rk, b"facts", self._hooks[-1], None) == 0
        return NO_ERROR

    def produce(self, topic, value):
        """-> (what the call answered, what the delivery reports said until everything was delivered)"""
        rkt = self.library.topic_new(self.rk, topic.encode(), None)
        failed = self.library.produce(rkt, UNASSIGNED, COPY, value, len(value), None, 0, None)
        err = self.library.last_error() if failed else NO_ERROR
        self.deliveries.clear()
        assert self.library.flush(self.rk, 30000) == NO_ERROR
        self.library.topic_destroy(rkt)
        return err, list(self.deliveries)

    def read(self, topic):
        """Take partition 0 of the topic, from its beginning."""
        one = self.library.partitions(topic, 0, 0)
        assert self.library.assign(self.rk, one) == NO_ERROR
        self.library.topic_partition_list_destroy(one)

    def subscribe(self, topic):
        one = self.library.partitions(topic)
        assert self.library.subscribe(self.rk, one) == NO_ERROR
        self.library.topic_partition_list_destroy(one)

    def poll(self, timeout_ms=100):
        """-> (error, offset, payload or the error's text); None: nothing came"""
        message = self.library.consumer_poll(self.rk, timeout_ms)
        if not message:
            return None
        seen = message.contents
        text = self.library.message_errstr(message) if seen.err else seen.value()
        found = (seen.err, seen.offset, text)
        self.library.message_destroy(message)
        return found

    def committed(self, topic):
        one = self.library.partitions(topic, 0)
        assert self.library.committed(self.rk, one, 30000) == NO_ERROR
        offset = one.contents.elems[0].offset
        self.library.topic_partition_list_destroy(one)
        return offset

    def all_committed(self, topic, partitions):
        """-> [(partition, offset, metadata)]"""
        some = self.library.topic_partition_list_new(len(partitions))
        for partition in partitions:
            self.library.topic_partition_list_add(some, topic.encode(), partition)
        assert self.library.committed(self.rk, some, 30000) == NO_ERROR
        found = []
        for each in some.contents.elems[:some.contents.cnt]:
            metadata = string_at(each.metadata, each.metadata_size).decode() if each.metadata else ""
            found.append((each.partition, each.offset, metadata))
        self.library.topic_partition_list_destroy(some)
        return found
