# SPDX-License-Identifier: Apache-2.0
"""All that a version left behind, as one readable document: Redis's keys, and Kafka's records and committed offsets.

It is put back so that it looks as if that version had run until just now: whatever is a time of the recording moves with
it, also inside of values and headers, and the store's epoch is of the server that it is put into. Largest fencing
tokens stay what they were.
"""

import re
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from support.app import PATIENCE_S, from_bytes, raw_consume, to_bytes
from support.kafka import QUIET

HOUR_MS = 3600000


def _server_ms(client):
    seconds, micros = client.time()
    return seconds * 1000 + micros // 1000


# --- looked at ---

_READ = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: dict(client.zrange(key, 0, -1, withscores=True)),
    "set": lambda client, key: sorted(client.smembers(key)),
    "list": lambda client, key: client.lrange(key, 0, -1),
}


def read_redis(redis):
    client = redis.client()
    keys = {}
    for key in sorted(client.scan_iter("*", count=1000)):
        kind = client.type(key)
        keys[key] = {"type": kind, "ttl_ms": client.pttl(key), "value": _READ[kind](client, key)}
    return {"time_ms": _server_ms(client), "run_id": client.info("server")["run_id"], "keys": keys}


def _record(message):
    return {"partition": message.partition, "offset": message.offset, "time_ms": message.event["timestamp_ms"],
            "key": from_bytes(message.key), "value": from_bytes(message.value),
            "headers": [[name, from_bytes(value)] for name, value in message.headers]}


def read_kafka(kafka, groups):
    admin = kafka.admin()
    topics = {name: topic for name, topic in admin.list_topics(timeout=PATIENCE_S).topics.items()
              if not name.startswith("__")}
    offsets = {}
    for group in groups:
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, **QUIET})
        asked = [TopicPartition(name, number) for name, topic in topics.items() for number in topic.partitions]
        found = consumer.committed(asked, timeout=PATIENCE_S)
        offsets[group] = [[at.topic, at.partition, at.offset, at.metadata] for at in found if at.offset >= 0]
        consumer.close()
    return {"topics": {name: {"partitions": len(topic.partitions),
                              "records": [_record(message) for message in raw_consume(kafka, name)]}
                       for name, topic in topics.items()},
            "offsets": offsets}


# --- put back ---


class Clock:
    """Moves times of about the recording to now."""

    def __init__(self, recorded_ms):
        self._recorded_ms, self._by_ms = recorded_ms, int(time.time() * 1000) - recorded_ms

    def move(self, value):
        if isinstance(value, dict) and "hex" not in value:
            return {name: each if name == "tok" else self.move(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.move(each) for each in value]
        if isinstance(value, (int, float)):
            return value + self._by_ms if abs(value - self._recorded_ms) < HOUR_MS else value
        if isinstance(value, str):
            return re.sub(r"(?<![0-9a-f])1\d{12}(?![0-9a-f])", lambda found: str(self.move(int(found[0]))), value)
        return value


def write_redis(redis, state):
    client = redis.client()
    clock, run_id = Clock(state["time_ms"]), client.info("server")["run_id"]
    for key, entry in state["keys"].items():
        value = clock.move(entry["value"])
        if entry["type"] == "string":
            client.set(key, value.replace(state["run_id"], run_id))
        elif entry["type"] == "hash":
            client.hset(key, mapping=value)
        elif entry["type"] == "zset":
            client.zadd(key, value)
        elif entry["type"] == "set":
            client.sadd(key, *value)
        else:
            client.rpush(key, *value)
        if entry["ttl_ms"] > 0:
            client.pexpire(key, entry["ttl_ms"])


def _write_run(kafka, topic, run, clock, transaction):
    """Records at offsets that follow one another; a transaction leaves its marker at the next one."""
    properties = {"bootstrap.servers": kafka.bootstrap, "linger.ms": 0, **QUIET}
    producer = Producer({**properties, "transactional.id": f"restore-{topic}"} if transaction else properties)
    offsets = []
    if transaction:
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
    for record in run:
        producer.produce(topic, to_bytes(record["value"]), key=to_bytes(record["key"]), partition=record["partition"],
                         headers=[(name, to_bytes(clock.move(value))) for name, value in record["headers"]],
                         timestamp=clock.move(record["time_ms"]),
                         on_delivery=lambda error, message: offsets.append(message.offset()))
    producer.flush(PATIENCE_S)
    if transaction:
        producer.commit_transaction(PATIENCE_S)
    assert offsets == [record["offset"] for record in run], f"{topic}: {offsets}"


def write_kafka(kafka, state, recorded_ms):
    clock = Clock(recorded_ms)
    for name, topic in state["topics"].items():
        kafka.create_topic(name, topic["partitions"])
        for number in range(topic["partitions"]):
            run = []
            for record in (each for each in topic["records"] if each["partition"] == number):
                if run and record["offset"] != run[-1]["offset"] + 1:
                    _write_run(kafka, name, run, clock, transaction=True)
                    run = []
                run.append(record)
            if run:
                _write_run(kafka, name, run, clock, transaction=False)
    for group, offsets in state["offsets"].items():
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, **QUIET})
        places = [TopicPartition(*at[:3], *([at[3]] if at[3] else [])) for at in offsets]
        if places:
            consumer.commit(offsets=places, asynchronous=False)
        consumer.close()
