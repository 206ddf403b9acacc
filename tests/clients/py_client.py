# SPDX-License-Identifier: Apache-2.0
"""A program as people write them on confluent-kafka. It knows nothing of jobgate but the properties that it is given.

  py_client.py produce TOPIC NAME=VALUE...   one message a line of standard input, until it ends
  py_client.py consume TOPIC NAME=VALUE...   until SIGTERM
  py_client.py bench-produce TOPIC N NAME=VALUE...   N jobs, from the first produce to the last acknowledgement
  py_client.py bench-consume TOPIC N NAME=VALUE...   N messages, from the first to the last
  py_client.py version

CLIENT_WORK_MS: how long each job takes. CLIENT_BATCH: take up to so many messages a call. CLIENT_STORE: store each
message's offset when its job is done. CLIENT_PASS_OVER: an expression on `msg`; what fulfils it is passed over, unseen.
It prints the lines that c_client prints, and `batch N` before the jobs of a batch; after a bench one line of JSON.
"""

import json
import os
import signal
import sys
import time

import confluent_kafka

WORK_S = int(os.environ.get("CLIENT_WORK_MS", "0")) / 1000
BATCH = int(os.environ.get("CLIENT_BATCH", "0"))
STORE = "CLIENT_STORE" in os.environ
PASS_OVER = compile(os.environ.get("CLIENT_PASS_OVER", "False"), "CLIENT_PASS_OVER", "eval")


def say(*words):
    print(*words, flush=True)


def on_delivery(error, message):
    if error:
        say("failed", error.name())
    else:
        say("delivered", message.partition(), message.offset())


def produce(topic, properties):
    producer = confluent_kafka.Producer(properties)
    for line in sys.stdin:
        try:
            producer.produce(topic, line.rstrip("\n"), on_delivery=on_delivery)
        except confluent_kafka.KafkaException as refusal:
            say("refused", refusal.args[0].name())
        producer.flush(30)


def handle(consumer, message):
    error = message.error()
    if error:
        say("error", error.name(), message.partition(), message.offset(), error.str())
        return
    say("job", message.partition(), message.offset(), message.value().decode())
    time.sleep(WORK_S)
    say("done", message.partition(), message.offset())
    if STORE:
        consumer.store_offsets(message)


def take(consumer):
    if not BATCH:
        message = consumer.poll(0.1)
        return [message] if message else []
    messages = consumer.consume(BATCH, 1.0)
    if messages:
        say("batch", len(messages))
    return messages


def consume(topic, properties):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    consumer = confluent_kafka.Consumer(properties)
    consumer.subscribe([topic])
    try:
        while not over:
            for message in take(consumer):
                if eval(PASS_OVER, {"msg": message, "KafkaError": confluent_kafka.KafkaError}):
                    continue
                handle(consumer, message)
    finally:
        consumer.close()


def bench_produce(topic, count, properties):
    left, failures = [count], []

    def on_report(error, message):
        left[0] -= 1
        if error:
            failures.append(error.name())

    producer = confluent_kafka.Producer(properties)
    producer.list_topics(topic, 30)
    jobs = [json.dumps({"class": "Mail", "args": [number, "of a bench"]}) for number in range(count)]
    began = time.monotonic()
    for job in jobs:
        while True:
            try:
                producer.produce(topic, job, on_delivery=on_report)
                break
            except BufferError:
                producer.poll(1)
        producer.poll(0)
    while left[0]:
        producer.poll(1)
    seconds = time.monotonic() - began
    if failures:
        sys.exit(f"{len(failures)} messages failed: {failures[0]}")
    return seconds


def bench_consume(topic, count, properties):
    consumer = confluent_kafka.Consumer(properties)
    consumer.subscribe([topic])
    taken, began = 0, None
    while taken < count:
        message = consumer.poll(1)
        if message and not message.error():
            began = began or time.monotonic()
            taken += 1
    seconds = time.monotonic() - began
    consumer.close()
    return seconds


def bench(word, topic, count, properties):
    seconds = {"bench-produce": bench_produce, "bench-consume": bench_consume}[word](topic, count, properties)
    say(json.dumps({"messages": count, "seconds": seconds}))


def main():
    if sys.argv[1] == "version":
        own = confluent_kafka.version()  # text; in older clients a pair
        say(own if isinstance(own, str) else own[0], confluent_kafka.libversion()[0])
        return
    if sys.argv[1].startswith("bench-"):
        bench(sys.argv[1], sys.argv[2], int(sys.argv[3]), dict(word.split("=", 1) for word in sys.argv[4:]))
        return
    properties = dict(word.split("=", 1) for word in sys.argv[3:])
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], properties)
    say("closed")


main()
