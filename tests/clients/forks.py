# SPDX-License-Identifier: Apache-2.0
"""A program that has children, as servers with prefork and Python's multiprocessing do.

  forks.py METHOD TOPIC NAME=VALUE...   METHOD: fork, forkserver or spawn

A first child produces `early`, before there is any handle. Then the parent produces `shared` and takes a job from
partition 0, at which it works until it is told to `finish`. A second child drops the producer that it inherited, produces `shared`
and `late` by a producer of its own, and runs jobs of partition 1 by a consumer of its own until it has run one. On
`spawn` it prints what descriptors another program gets of it.
"""

import gc
import json
import multiprocessing
import subprocess
import sys

import confluent_kafka

HANDLES = {}


def say(*words):
    print(*words, flush=True)


def produce(who, producer, topic, *names):
    def delivered(error, message):
        say(who, "failed" if error else "delivered", message.partition(), message.offset())

    for name in names:
        producer.produce(topic, json.dumps({"class": "Mail", "args": [name]}), partition=0, on_delivery=delivered)
    if producer.flush(30):
        say(who, "not flushed")


def take(who, consumer):
    while True:
        message = consumer.poll(0.1)
        if message and message.error():
            say(who, "error", message.error().str())
        elif message and json.loads(message.value())["class"] == "Slow":
            say(who, "job", message.partition(), message.offset())
            return


def reader(properties, topic, partition):
    consumer = confluent_kafka.Consumer(properties)
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0)])
    return consumer


def be_early_child(topic, properties):
    produce("early", confluent_kafka.Producer(properties), topic, "early")


def be_child(topic, properties):
    HANDLES.pop("producer", None)  # of a consumer that has partitions librdkafka itself does not survive it
    gc.collect()
    say("child collected")
    produce("child", confluent_kafka.Producer(properties), topic, "shared", "late")
    consumer = reader(properties, topic, 1)
    take("child", consumer)
    consumer.close()
    say("child closed")


def child(context, work, *arguments):
    process = context.Process(target=work, args=arguments)
    process.start()
    return process


def spawn():
    looking = ["/bin/sh", "-c", "for each in /proc/$$/fd/*; do readlink $each; done"]
    seen = subprocess.run(looking, close_fds=False, capture_output=True, text=True, check=False).stdout.split("\n")
    say("inherited", *sorted(line.split(":")[0] for line in seen if line and not line.startswith("/")))


def main():
    method, topic, properties = sys.argv[1], sys.argv[2], dict(word.split("=", 1) for word in sys.argv[3:])
    context = multiprocessing.get_context(method)
    early = child(context, be_early_child, topic, properties)
    early.join()
    say("early ended", early.exitcode)
    HANDLES["producer"] = confluent_kafka.Producer(properties)
    produce("parent", HANDLES["producer"], topic, "shared")
    HANDLES["consumer"] = reader(properties, topic, 0)
    take("parent", HANDLES["consumer"])
    late = child(context, be_child, topic, properties)
    for line in sys.stdin:
        if line == "spawn\n":
            spawn()
        elif line == "finish\n":
            say("parent finished")
            HANDLES["consumer"].poll(1)
    late.join()
    say("child ended", late.exitcode)
    produce("parent", HANDLES["producer"], topic, "shared", "last")
    HANDLES["consumer"].close()
    say("closed")


if __name__ == "__main__":
    main()
