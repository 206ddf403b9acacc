# SPDX-License-Identifier: Apache-2.0
"""The C application tests/support/app.c as a process that tests drive, and what they ask Kafka without any plugin."""

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

from confluent_kafka import Consumer as RawConsumer
from confluent_kafka import Producer as RawProducer
from confluent_kafka import TopicPartition

from support.kafka import QUIET
from support.processes import wait_until

BUILD = (Path(__file__).parents[2] / os.environ.get("JGTEST_BUILD", "build/release")).resolve()
# How long to wait for what must come. Only a failing test waits so long.
PATIENCE_S = 30
REPORTS = ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "ERROR: LeakSanitizer", "runtime error:",
           "FATAL: ThreadSanitizer")


class AppError(AssertionError):
    """The application did not do what every application can."""


def produce_job(cls, args, **more):
    """A job's payload as Sidekiq writes it. Its own jid is new each time."""
    now = time.time()
    return json.dumps({"retry": True, "queue": "default", "class": cls, "args": args, "jid": uuid.uuid4().hex[:24],
                       "created_at": now, "enqueued_at": now, **more})


def own_jid(payload):
    """What produce_job() put in, to tell equal jobs apart."""
    return json.loads(payload)["jid"]


def to_bytes(value):
    """An application's bytes: text, {"hex": ...} or null."""
    if value is None:
        return None
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()


def from_bytes(value):
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}


class Message:
    """A message, or a poll's error, as the application saw it; also one read without a plugin."""

    def __init__(self, event):
        self.event = event
        self.error = None if event["name"] == "NO_ERROR" else event["name"]
        self.text = event["text"]
        self.topic = event["topic"]
        self.partition = event["partition"]
        self.offset = event["offset"]
        self.value = to_bytes(event.get("value"))
        self.key = to_bytes(event.get("key"))
        self.headers = [(name, to_bytes(value)) for name, value in event.get("headers", [])]

    def header(self, name):
        """The value of the header of that name as text; None: there is none."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2, f"{name} stands twice in {self.headers}"
        return found[0].decode() if found else None

    @property
    def stamps(self):
        return {name: value.decode() for name, value in self.headers if name.startswith("jobgate-")}

    @property
    def jid(self):
        """What produce_job() put into the payload."""
        return own_jid(self.value)

    @property
    def stamp(self):
        """The jid that the producing plugin gave the job."""
        jid = self.header("jobgate-jid")
        assert jid, f"no plugin produced {self}"
        return jid

    @property
    def is_original(self):
        """A plugin produced it, claimed, as nobody's duplicate or candidate."""
        return bool(self.stamp) and not set(self.stamps) & {"jobgate-duplicate-of", "jobgate-candidate-of",
                                                            "jobgate-unclaimed"}

    def __repr__(self):
        what = self.error and f"{self.error}: {self.text}" or f"{self.value!r} {self.headers}"
        return f"<{self.topic}[{self.partition}]@{self.offset} {what}>"


class App:
    """One process. Replies and events are collected by a thread; every wait has a deadline."""

    def __init__(self, program=None, env=None):
        self.events = []
        self.stderr_lines = []
        self.library = None  # the plugin's path, once a handle was made with it
        self._changed = threading.Condition()
        self._ended = False
        self._ids = iter(range(1, 1 << 60))
        self._tags = iter(range(1, 1 << 60))
        self._process = subprocess.Popen(
            [str(program or BUILD / "tests" / "app")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**{name: value for name, value in os.environ.items() if not name.startswith("JOBGATE_")},
                 **{name: str(value) for name, value in (env or {}).items()}},
        )
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read_events, self._read_stderr)]
        for thread in self._threads:
            thread.start()

    # --- the process ---

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.poll()

    @property
    def stderr(self):
        return "\n".join(self.stderr_lines)

    def kill(self):
        """SIGKILL."""
        self._process.kill()
        self.wait()

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def leave(self, how="return", timeout_s=PATIENCE_S):
        """End it: "return" (close and destroy what is open, return from main), "exit", "_exit" or "abort".
        Returns how long that took, in seconds."""
        began = time.monotonic()
        self._write({"exit": how})
        self.wait(timeout_s)
        return time.monotonic() - began

    def wait(self, timeout_s=PATIENCE_S):
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AppError(f"the application did not end within {timeout_s} s") from None
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return self._process.returncode

    def end(self, failed=False):
        """The test is over: in order, unless it has ended or the test failed. Reports of sanitizers are failures."""
        try:
            if self.returncode is None and not failed:
                self.leave()
                if self.returncode != 0:
                    raise AppError(f"the application ended with {self.returncode}")
        finally:
            if self.returncode is None:
                self.resume()
                self.kill()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        reports = [line for line in self.stderr_lines if any(word in line for word in REPORTS)]
        if reports:
            raise AppError("a sanitizer reports: " + self.stderr)

    def story(self):
        """All that happened, to be shown with a failure."""
        lines = [f"--- application {self.pid}, result {self.returncode}"]
        lines += [f"{event['mono_us'] / 1e6:.3f} {_short(event)}" for event in self.events]
        return "\n".join(lines + ["--- its standard error"] + self.stderr_lines)

    # --- commands ---

    def send(self, cmd, **fields):
        """Send a command; returns the id that reply() takes."""
        number = next(self._ids)
        self._write({"cmd": cmd, "id": number, **{name: value for name, value in fields.items() if value is not None}})
        return number

    def reply(self, number, timeout_s=PATIENCE_S):
        return self.wait_event("reply", timeout_s, id=number)

    def replied(self, number):
        return any(event["event"] == "reply" and event.get("id") == number for event in self.events)

    def call(self, cmd, timeout_s=PATIENCE_S, **fields):
        reply = self.reply(self.send(cmd, **fields), timeout_s)
        if "failure" in reply:
            raise AppError(f"{cmd} {fields}: {reply['failure']}")
        return reply

    def create(self, name, properties, consumer=False, **options):
        """`properties`: pairs, in order. Returns the reply: "text" in it says why there is no such handle."""
        return self.call("create", name=name, consumer=consumer, properties=[[str(k), str(v)] for k, v in properties],
                         **options)

    def next_tag(self):
        return next(self._tags)

    # --- the plugin's own functions ---

    def complete(self, *calls, on=None):
        """jobgate_complete(topic, partition, offset, outcome) for each of the calls; returns what they answered."""
        return self.call("complete", library=self.library, calls=[list(call) for call in calls], on=on)["answers"]

    def counter(self, name):
        """jobgate_counter(name)"""
        return self.call("counter", library=self.library, name=name)["value"]

    # --- events ---

    def found(self, kind, condition=None, **match):
        """The events of that kind so far whose fields equal `match`."""
        return [event for event in list(self.events)
                if event["event"] == kind and all(event.get(name) == value for name, value in match.items())
                and (condition is None or condition(event))]

    def wait_event(self, kind, timeout_s=PATIENCE_S, condition=None, count=1, **match):
        """The `count`th such event, now or as soon as it comes."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = self.found(kind, condition, **match)
                if len(found) >= count:
                    return found[count - 1]
                if self._ended:
                    raise AppError(f"the application is gone, and no {kind} {match} came")
                if not self._changed.wait(max(0, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise AppError(f"no {kind} {match} within {timeout_s} s ({len(found)} of {count})")

    def wait_log(self, text, timeout_s=PATIENCE_S):
        """The first line on standard error that holds `text`."""
        return wait_until(lambda: next((line for line in self.stderr_lines if text in line), None), timeout_s,
                          f"{text!r} on standard error")

    def _write(self, command):
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def _read_events(self):
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_stderr(self):
        for line in self._process.stderr:
            self.stderr_lines.append(line.decode(errors="replace").rstrip("\n"))


def _short(event):
    text = json.dumps({name: value for name, value in event.items() if name not in ("mono_us", "wall_ms")})
    return text if len(text) < 600 else text[:600] + " ..."


class Producer:
    """One producer handle of an application."""

    def __init__(self, app, name, topic):
        self.app, self.name, self.topic = app, name, topic

    def send(self, *values, call="producev", race=None, **fields):
        """Produce, one message for each value; returns what the calls answered: .tag .error .text .ms each.
        `fields`: headers (pairs), key, partition, topic."""
        if "headers" in fields:
            fields["headers"] = [[name, from_bytes(value)] for name, value in fields["headers"]]
        messages = [{"topic": self.topic, "value": from_bytes(value), "tag": self.app.next_tag(),
                     **{name: from_bytes(field) for name, field in fields.items()}} for value in values]
        reply = self.app.call("produce", handle=self.name, call=call, messages=messages, race=race)
        return [SimpleNamespace(tag=message["tag"], error=None if result["name"] == "NO_ERROR" else result["name"],
                                text=result["text"], ms=result.get("ms"), call_ms=reply["ms"])
                for message, result in zip(messages * len(race or [1]), reply["results"])]

    def refused(self, value, **fields):
        """Produce one message; the call must fail. Returns its answer."""
        (answer,) = self.send(value, **fields)
        assert answer.error, "the produce call went through"
        return answer

    def accepted(self, value, **fields):
        """Produce one message; the call must succeed. Returns its answer."""
        (answer,) = self.send(value, **fields)
        assert not answer.error, f"the produce call failed: {answer.error}: {answer.text}"
        return answer

    def report(self, answer, timeout_s=PATIENCE_S):
        """The delivery report of what accepted() or send() answered."""
        return Message(self.app.wait_event("dr", timeout_s, handle=self.name, tag=answer.tag))

    def delivered(self, value, **fields):
        """Produce one message and wait until the broker has acknowledged it. Returns its delivery report."""
        report = self.report(self.accepted(value, **fields))
        assert not report.error, f"the delivery failed: {report}"
        return report

    def failed(self, value, **fields):
        """Produce one message, whose call or whose delivery must fail. Returns the error's name."""
        (answer,) = self.send(value, **fields)
        if answer.error:
            return answer.error
        report = self.report(answer)
        assert report.error, f"the delivery succeeded: {report}"
        return report.error

    def flush(self, timeout_ms=10000):
        return self.app.call("flush", handle=self.name, timeout_ms=timeout_ms)

    def transaction(self, verb):
        reply = self.app.call("transaction", handle=self.name, do=verb)
        assert reply["name"] == "NO_ERROR", f"{verb}: {reply}"

    def destroy(self):
        return self.app.call("destroy", handle=self.name)


class Consumer:
    """One consumer handle of an application."""

    def __init__(self, app, name, topic):
        self.app, self.name, self.topic = app, name, topic
        self.seen = []  # every message and error that next() and take() met, in order

    def call(self, cmd, **fields):
        return self.app.call(cmd, handle=self.name, **fields)

    def lease(self, message):
        """What the plugin says of the lease of the job in `message`: .token and .left_ms."""
        reply = self.app.call("lease", library=self.app.library, topic=message.topic, partition=message.partition,
                              offset=message.offset)
        return SimpleNamespace(token=reply["token"], left_ms=reply["left_ms"])

    def counter(self, name):
        """The plugin's counter, of the consumer's process."""
        value = self.app.counter(name)
        assert value >= 0, f"no counter {name}"
        return value

    def subscribe(self, *topics):
        reply = self.call("subscribe", topics=list(topics or [self.topic]))
        assert reply["name"] == "NO_ERROR", reply
        return self

    def unsubscribe(self):
        return self.call("subscribe", topics=[])

    def poll(self, timeout_ms=100, on=None):
        """One poll: a Message, or None."""
        reply = self.call("poll", timeout_ms=timeout_ms, on=on)
        message = reply["message"] and Message(reply["message"])
        if message:
            message.poll_ms = reply["ms"]
            self.seen.append(message)
        return message

    def next(self, timeout_s=PATIENCE_S, on=None):
        """Poll until a message comes; errors on the way are in .seen."""
        return self._poll_until(lambda message: not message.error, timeout_s, "a message", on)

    def next_error(self, name, timeout_s=PATIENCE_S, on=None):
        """Poll until an error of that name comes."""
        return self._poll_until(lambda message: message.error == name, timeout_s, f"error {name}", on)

    def take(self, until, timeout_s=PATIENCE_S):
        """Poll until the message with the payload `until` comes; returns the messages before it."""
        wanted = until if isinstance(until, bytes) else until.encode()
        taken = []
        self._poll_until(lambda message: message.value == wanted or taken.append(message), timeout_s, f"{until}", None)
        return [message for message in taken if not message.error]

    def skips(self, error="_PARTITION_EOF"):
        """The errors of that name so far, as skipped messages show."""
        return [message for message in self.seen if message.error == error]

    def _poll_until(self, condition, timeout_s, what, on):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.poll(on=on)
            if message and condition(message):
                return message
        raise AppError(f"{what} did not come within {timeout_s} s; seen: {self.seen}")

    def batch(self, count=10, timeout_ms=1000):
        messages = [Message(event) for event in self.call("batch", max=count, timeout_ms=timeout_ms)["messages"]]
        self.seen += messages
        return messages

    def run(self, job_ms=0, settle=None, on=None):
        """Run jobs in a loop on a thread of its own; job_ms=-1: each until finish()."""
        return self.app.send("run", handle=self.name, job_ms=job_ms, settle=settle, on=on or f"loop-{self.name}")

    def started(self, count=1, timeout_s=PATIENCE_S):
        """The `count`th job that the loop started."""
        return Message(self.app.wait_event("start", timeout_s, handle=self.name, count=count))

    def starts(self):
        return [Message(event) for event in self.app.found("start", handle=self.name)]

    def finish(self):
        self.call("finish")

    def complete(self, *messages, failed=False, on=None):
        """jobgate_complete() for each; returns what they answered, of one message only its answer."""
        answers = self.app.complete(*((message.topic, message.partition, message.offset, int(failed))
                                      for message in messages), on=on)
        return answers if len(messages) > 1 else answers[0]

    def stop(self):
        self.call("stop")

    def commit(self, *offsets, asynchronous=False):
        """Commit these (partition, offset) pairs of its topic; none: what is stored."""
        reply = self.call("commit", partitions=self._list(offsets), **{"async": asynchronous})
        assert reply["name"] == "NO_ERROR", reply

    def store_offset(self, partition, offset):
        reply = self.call("store_offsets", partitions=self._list([(partition, offset)]))
        assert reply["name"] == "NO_ERROR", reply

    def assign(self, *offsets):
        return self.call("assign", partitions=self._list(offsets))

    def seek(self, partition, offset):
        reply = self.call("seek", partitions=self._list([(partition, offset)]))
        assert reply["name"] == "NO_ERROR", reply

    def pause(self, *partitions, resume=False):
        return self.call("pause", partitions=self._list([(partition, -1001) for partition in partitions]), resume=resume)

    def close(self, on=None):
        return self.call("close", on=on)

    def destroy(self, on=None):
        return self.call("destroy", on=on)

    def _list(self, offsets):
        return [[self.topic, *offset] for offset in offsets] or None


# --- Kafka without a plugin ---

def raw_produce(kafka, topic, value, headers=None, key=None, partition=0):
    """Produce one message as a program without jobgate does; returns its offset."""
    outcome = []
    producer = RawProducer({"bootstrap.servers": kafka.bootstrap, "acks": "all", **QUIET})
    producer.produce(topic, value, key=key, headers=headers, partition=partition,
                     on_delivery=lambda error, message: outcome.append((error, message.offset())))
    producer.flush(PATIENCE_S)
    ((error, offset),) = outcome
    assert error is None
    return offset


def raw_produce_many(kafka, topic, jobs, partitions=None):
    """Produce timed jobs (support.jobs) as a program without jobgate does, spread evenly over the partitions."""
    failed = []
    producer = RawProducer({"bootstrap.servers": kafka.bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
                            "queue.buffering.max.messages": 1000000, **QUIET})
    if not partitions:  # a broker that was just started may not know of any yet
        partitions = wait_until(lambda: len(producer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions),
                                PATIENCE_S, f"topic {topic} has partitions", interval_s=0.1)
    for number, job in enumerate(jobs):
        producer.produce(topic, job.payload, partition=number % partitions,
                         on_delivery=lambda error, _: error and failed.append(error))
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(2 * PATIENCE_S) == 0, "not all were delivered"
    assert not failed, failed[:3]


def raw_consume(kafka, topic, isolation="read_committed"):
    """All messages of a topic as they are in the log, by partition and offset."""
    consumer = RawConsumer({"bootstrap.servers": kafka.bootstrap, "group.id": uuid.uuid4().hex,
                            "enable.auto.commit": False, "auto.offset.reset": "earliest",
                            "enable.partition.eof": True, "isolation.level": isolation, **QUIET})
    try:
        partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, at_end = [], set()

        def step():
            message = consumer.poll(0.2)
            if message is not None and message.error() and message.error().name() == "_PARTITION_EOF":
                at_end.add(message.partition())
            elif message is not None and not message.error():
                found.append(_raw_message(message))
            return len(at_end) == len(partitions)

        wait_until(step, PATIENCE_S, f"the end of {topic}", interval_s=0)
    finally:
        consumer.close()
    return sorted(found, key=lambda message: (message.partition, message.offset))


def _raw_message(message):
    raw = Message({"name": "NO_ERROR", "text": "", "topic": message.topic(), "partition": message.partition(),
                   "offset": message.offset(), "timestamp_ms": message.timestamp()[1]})
    raw.value, raw.key, raw.headers = message.value(), message.key(), list(message.headers() or [])
    return raw


def committed(kafka, group, topic, partition=0):
    """The group's committed offset; negative: none."""
    consumer = RawConsumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, **QUIET})
    try:
        return consumer.committed([TopicPartition(topic, partition)], timeout=PATIENCE_S)[0].offset
    finally:
        consumer.close()
