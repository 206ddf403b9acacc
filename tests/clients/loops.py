# SPDX-License-Identifier: Apache-2.0
"""The ways in which programs take messages off librdkafka, each as a small program of its own.

  loops.py SHAPE TOPIC NAME=VALUE...   until standard input ends

It prints `job PARTITION OFFSET PAYLOAD` when a job begins, `done PARTITION OFFSET` when it ends, `error TEXT`, and
`closed`. A job whose payload holds "Slow" lasts until a line `finish` comes. LOOP_STORE: store a job's offset when it is
done. The partitions are 0, or, for `partition-queues`, 0 and 1; they are assigned, since the shapes differ in nothing
that comes before the first message.
"""

import os
import sys
import threading

from clients.librdkafka import CONSUMER, NO_ERROR, ON_CONSUMED, Handle, Librdkafka

STORE = "LOOP_STORE" in os.environ
OVER, FINISH = threading.Event(), threading.Semaphore(0)
WAIT_MS = 50
printing = threading.Lock()


def say(*words):
    with printing:
        print(*words, flush=True)


def listen():
    for line in sys.stdin:
        if line == "finish\n":
            FINISH.release()
    OVER.set()
    FINISH.release()


class Loop:
    def __init__(self, topic, properties):
        self.library = Librdkafka("librdkafka.so.1")
        self.topic = topic
        self.handle = Handle(self.library, CONSUMER, properties)

    def take(self, message):
        """A message that was handed out: work at it, as a pointer that is not ours."""
        seen = message.contents
        if seen.err:
            say("error", self.library.message_errstr(message).decode())
            return
        say("job", seen.partition, seen.offset, seen.value().decode())
        if b"Slow" in seen.value():
            FINISH.acquire()
        self.end(seen)

    def end(self, seen):
        say("done", seen.partition, seen.offset)
        if STORE:
            self.library.offset_store(seen.rkt, seen.partition, seen.offset)

    def take_own(self, message):
        """The same, of one that is ours to destroy."""
        if message:
            self.take(message)
            self.library.message_destroy(message)

    def assign(self, *partitions):
        wanted = self.library.topic_partition_list_new(1)
        for partition in partitions:
            self.library.topic_partition_list_add(wanted, self.topic.encode(), partition).contents.offset = 0
        assert self.library.assign(self.handle.rk, wanted) == NO_ERROR
        return wanted  # for its owner to destroy, where it is used on: it may come to hold what keeps a handle alive

    # --- the shapes ---

    def poll(self):
        self.assign(0)
        while not OVER.is_set():
            self.take_own(self.library.consumer_poll(self.handle.rk, WAIT_MS))

    def callback_queue(self):
        """The job runs in a callback, of which one call makes many."""
        self.assign(0)
        queue = self.library.queue_get_consumer(self.handle.rk)
        take = ON_CONSUMED(lambda message, _: self.take(message))
        while not OVER.is_set():
            self.library.consume_callback_queue(queue, WAIT_MS, take, None)
        self.library.queue_destroy(queue)

    def partition_queues(self):
        """A thread for each partition's own queue, and one that polls for what else there is."""
        queues = [self.library.queue_get_partition(self.handle.rk, self.topic.encode(), number) for number in (0, 1)]
        for queue in queues:
            self.library.queue_forward(queue, None)
        self.assign(0, 1)
        threads = [threading.Thread(target=self._read_queue, args=(queue,)) for queue in queues]
        for thread in threads:
            thread.start()
        while not OVER.is_set():
            self.take_own(self.library.consumer_poll(self.handle.rk, WAIT_MS))
        for thread, queue in zip(threads, queues):
            thread.join()
            self.library.queue_destroy(queue)

    def _read_queue(self, queue):
        while not OVER.is_set():
            self.take_own(self.library.consume_queue(queue, WAIT_MS))

    def legacy(self):
        """The consumer of before there were groups."""
        rkt = self.library.topic_new(self.handle.rk, self.topic.encode(), None)
        assert self.library.consume_start(rkt, 0, 0) == 0
        while not OVER.is_set():
            self.take_own(self.library.consume(rkt, 0, WAIT_MS))
        self.library.consume_stop(rkt, 0)
        self.library.topic_destroy(rkt)

    def legacy_callback(self):
        rkt = self.library.topic_new(self.handle.rk, self.topic.encode(), None)
        take = ON_CONSUMED(lambda message, _: self.take(message))
        assert self.library.consume_start(rkt, 0, 0) == 0
        while not OVER.is_set():
            self.library.consume_callback(rkt, 0, WAIT_MS, take, None)
        self.library.consume_stop(rkt, 0)
        self.library.topic_destroy(rkt)

    def pause_and_poll(self):
        """The job runs on another thread; its partitions are paused meanwhile, and polled, to stay in the group."""
        partitions = self.assign(0)
        while not OVER.is_set():
            message = self.library.consumer_poll(self.handle.rk, WAIT_MS)
            if not message or message.contents.err:
                self.take_own(message)
                continue
            self.library.pause_partitions(self.handle.rk, partitions)
            worker = threading.Thread(target=self.take, args=(message,))
            worker.start()
            while worker.is_alive():
                assert not self.library.consumer_poll(self.handle.rk, WAIT_MS)
                say("polled")
            self.library.message_destroy(message)
            self.library.resume_partitions(self.handle.rk, partitions)
        self.library.topic_partition_list_destroy(partitions)


def main():
    shape, topic, properties = sys.argv[1], sys.argv[2], dict(word.split("=", 1) for word in sys.argv[3:])
    threading.Thread(target=listen, daemon=True).start()
    loop = Loop(topic, properties)
    getattr(loop, shape.replace("-", "_"))()
    loop.handle.__exit__()
    say("closed")


main()
