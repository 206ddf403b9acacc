# SPDX-License-Identifier: Apache-2.0
"""A process with two copies of librdkafka: the wheel's own, and the system's, which some other library brought along.

  two_copies.py TOPIC NAME=VALUE...

Each line of standard input is `wheel PAYLOAD` or `system PAYLOAD`: produce it by that copy; or `drop`: end the system's
handle. It prints what became of it."""

import sys

import confluent_kafka

from clients.librdkafka import PRODUCER, Handle, Librdkafka

topic, properties = sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:])
system_copy, system = None, None
reports = []
wheel = confluent_kafka.Producer(properties)
for line in sys.stdin:
    word, _, payload = line.rstrip("\n").partition(" ")
    if word == "wheel":
        wheel.produce(topic, payload, on_delivery=lambda error, message: reports.append(error))
        wheel.flush(30)
        print("wheel", "failed" if reports.pop() else "delivered", flush=True)
    elif word == "system":
        system_copy = system_copy or Librdkafka("librdkafka.so.1")
        system = system or Handle(system_copy, PRODUCER, properties)
        print("system", "delivered" if system.produce(topic, payload.encode()) == (0, [0]) else "failed", flush=True)
    else:
        system.__exit__()
        system = None
        print("dropped", flush=True)
print("closed", flush=True)
