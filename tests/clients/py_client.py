# SPDX-License-Identifier: Apache-2.0
"""A program as people write them on confluent-kafka. It knows nothing of jobgate but the properties that it is given.

  py_client.py produce TOPIC NAME=VALUE...   one message a line of standard input, until it ends
  py_client.py consume TOPIC NAME=VALUE...   until SIGTERM
  py_client.py version

CLIENT_WORK_MS: how long each job takes. CLIENT_BATCH: take up to so many messages a call. CLIENT_STORE: store each
message's offset when its job is done. CLIENT_PASS_OVER: an expression on `msg`; what fulfils it is passed over, unseen.
It prints the lines that c_client prints, and `batch N` before the jobs of a batch.
"""

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


def main():
    if sys.argv[1] == "version":
        own = confluent_kafka.version()  # text; in older clients a pair
        say(own if isinstance(own, str) else own[0], confluent_kafka.libversion()[0])
        return
    properties = dict(word.split("=", 1) for word in sys.argv[3:])
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], properties)
    say("closed")


main()
