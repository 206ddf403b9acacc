# SPDX-License-Identifier: Apache-2.0
"""py_job.py TOPIC NAME=VALUE...: enqueues each line of standard input, then prints the offsets of two jobs as they
come."""

import sys

import confluent_kafka

topic, *words = sys.argv[1:]
settings = dict(word.split("=", 1) for word in words)
producer = confluent_kafka.Producer(settings)
for line in sys.stdin:
    producer.produce(topic, line.rstrip("\n"))
    producer.flush(30)
consumer = confluent_kafka.Consumer({**settings, "group.id": f"{topic}-python", "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
jobs = 0
while jobs < 2:
    message = consumer.poll(0.1)
    if message is not None and not message.error():
        print("job", message.offset(), flush=True)
        jobs += 1
consumer.close()
