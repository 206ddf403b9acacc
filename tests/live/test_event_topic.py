# SPDX-License-Identifier: Apache-2.0
"""jobgate.events.topic: what happens to jobs, as Avro records that any program can read, never at the cost of a job."""

import re
import time

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from checks.tree import ROOT
from live.capacity import CAPACITY, CLS, ENQUEUER, GAUGE, enqueuer, setting
from live.events import AVSC, TOPIC, await_kinds, new_name, read
from live.limits import LIMIT, MANUAL, SKIP, blocked, finish, mail, poll_until
from support.app import PATIENCE_S, produce_job
from support.processes import free_ports, wait_until

API = {"jobgate.completion": "api"}
MOST_EVENTS = 10000  # as many may wait
CLOSE_S = 1          # what a close may wait for events
KAFKA = "jobgate.kafka.bootstrap.servers"


def await_counter(app, name, condition):
    wait_until(lambda: condition(app.counter(name)), PATIENCE_S, f"{name} is as wanted; it is {app.counter(name)}")


def test_each_step_of_a_jobs_life_is_a_record_in_order(make_site):
    site = make_site({LIMIT: 1, "jobgate.class.Mail.capacity.retry.ms": 100, "jobgate.class.Old.limit": 1,
                      "jobgate.class.Old.hold.max.age.ms": 1000, **ENQUEUER,
                      setting("lease"): "class", TOPIC: new_name(), **API})
    producer = site.producer({"client.id": "the-producer"})
    consumer = site.consumer({"client.id": "the-consumer"})

    first = site.queued(producer, mail(1))
    duplicate = producer.delivered(mail(1))
    running = consumer.next()
    consumer.next_error(SKIP)
    second = producer.delivered(mail(2))
    consumer.next_error(SKIP)
    consumer.complete(running)
    resumed = consumer.next()
    consumer.complete(resumed, failed=True)
    again = consumer.next()
    consumer.complete(again)

    chain = producer.delivered(enqueuer())
    link = consumer.next()
    site.redis.client().set(GAUGE, CAPACITY)
    consumer.complete(link)

    old, doomed = producer.delivered(produce_job("Old", [1])), producer.delivered(produce_job("Old", [2]))
    consumer.next()
    consumer.next_error(SKIP)
    poll_until(consumer, lambda: site.read(site.dead_topic), PATIENCE_S, "it is dead")

    found = await_kinds(site, {
        first.stamp: ["produced", "start", "done"],
        duplicate.stamp: ["duplicate", "skipped"],
        second.stamp: ["produced", "held", "resumed", "start", "failed"],
        again.stamp: ["resumed", "start", "done"],
        chain.stamp: ["produced", "start", "reenqueued"],
        old.stamp: ["produced", "start"],
        doomed.stamp: ["produced", "held", "buried"],
    })

    def the(kind, jid):
        (event,) = [event for event in found if (event["event"], event["jid"]) == (kind, jid)]
        assert event["topic"] == site.topic and abs(event["time"].timestamp() - time.time()) < 300
        assert event["namespace"] == "default" and event["host"] and event["version"] == "0.5.0"
        return event

    event = the("produced", first.stamp)
    assert (event["class"], event["key"], event["job_status"]) == ("Mail", first.header("jobgate-key"), "queued")
    assert (event["client_id"], event["group"], event["partition"]) == ("the-producer", None, None)
    assert event["pid"] == producer.app.pid
    event = the("start", first.stamp)
    assert (event["partition"], event["offset"], event["job_status"]) == (0, first.offset, "running")
    assert (event["client_id"], event["group"], event["pid"]) == ("the-consumer", site.group, consumer.app.pid)
    assert event["waited_ms"] >= 0 and event["ran_ms"] is None and event["lease_token"] is None
    assert the("done", first.stamp)["ran_ms"] >= 0
    assert the("duplicate", duplicate.stamp)["duplicate_of"] == first.stamp
    assert (the("held", second.stamp)["reason"], the("held", second.stamp)["job_status"]) == ("limit", "held")
    assert the("resumed", second.stamp)["offset"] == resumed.offset
    assert the("failed", second.stamp)["next"] == again.stamp and the("start", again.stamp)["attempt"] == 1
    event = the("reenqueued", chain.stamp)
    assert (event["class"], event["reason"]) == (CLS, "capacity") and event["next"].startswith(chain.stamp)
    assert the("start", chain.stamp)["lease_token"] == int(link.header("jobgate-lease-token"))
    assert "hold.max.age.ms" in the("buried", doomed.stamp)["reason"]
    # The topic was made by the programs: it forgets, and nothing else is lost.
    resource, admin = ConfigResource(ResourceType.TOPIC, site.settings[TOPIC]), site.kafka.admin()
    config = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    assert (config["cleanup.policy"].value, config["retention.ms"].value) == ("delete", str(7 * 86400000))
    told = {jid for jid in (event["jid"] for event in found) if jid}
    assert len(told) >= 7 and producer.app.counter("events_dropped") == consumer.counter("events_dropped") == 0
    await_counter(consumer.app, "events_sent", lambda count: count == sum(
        event["pid"] == consumer.app.pid for event in found))


def test_a_resumer_of_its_own_tells_what_it_resumes(make_site, make_resumer):
    site = make_site({LIMIT: 1, TOPIC: new_name(), "jobgate.resumer": "separate"})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    make_resumer(site)
    running = blocked(site, consumer, producer)
    held = producer.delivered(mail(2))
    consumer.next_error(SKIP)
    finish(consumer, running)
    consumer.next()
    found = await_kinds(site, {held.stamp: ["produced", "held", "resumed", "start"]})
    (event,) = [event for event in found if event["event"] == "resumed"]
    assert event["instance"].startswith("jobgate-resume-") and event["group"] == site.group


def test_without_the_setting_nothing_is_sent(make_site):
    site = make_site()
    producer, consumer = site.producer(), site.consumer()
    site.queued(producer)
    consumer.next()
    consumer.poll()
    site.await_state(None)
    assert producer.app.counter("events_sent") == producer.app.counter("events_dropped") == 0
    assert not [topic for topic in site.kafka.admin().list_topics(timeout=PATIENCE_S).topics if "event" in topic
                and topic.endswith(site.topic)]


# --- never at the cost of a job ---

@pytest.mark.parametrize("broker", ["paused", "gone"])
def test_jobs_go_on_while_the_brokers_of_events_do_not_answer(request, make_site, slow, broker):
    """Events are dropped and counted; verdicts stay as they are, and nothing waits for events but a close, for a second."""
    if broker == "paused":
        other = request.getfixturevalue("paused_kafka")
        servers = other.bootstrap
        other.pause()
    else:
        servers = f"127.0.0.1:{free_ports(1)[0]}"
    # A resumer inside the consumer would ask these brokers, too, and a close would wait for its question to end.
    site = make_site({TOPIC: new_name(), KAFKA: servers, "jobgate.resumer": "separate"})
    producer, consumer = site.producer(), site.consumer()
    site.queued(producer, mail(0))
    assert producer.delivered(mail(0)).header("jobgate-duplicate-of")
    assert consumer.next().is_original
    consumer.next_error(SKIP)
    consumer.poll()
    site.await_state(None)
    if broker == "paused":
        jobs = [mail(number) for number in range(1, MOST_EVENTS + 100)]
        for at in range(0, len(jobs), 1000):
            assert {answer.error for answer in producer.send(*jobs[at:at + 1000])} == {None}
        producer.flush(60000)
        assert producer.app.counter("events_dropped") >= 100
        producer.app.wait_log("its brokers are slow, or do not answer")
    for handle in (producer, consumer):
        began = time.monotonic()
        handle.destroy()
        assert time.monotonic() - began < (CLOSE_S + 4) * slow
    told = MOST_EVENTS + 101 if broker == "paused" else 2
    assert producer.app.counter("events_dropped") == told and producer.app.counter("events_sent") == 0
    assert consumer.counter("events_dropped") >= 3
    consumer.app.wait_log("events of jobs do not reach topic")


def test_a_topic_that_is_not_there_and_cannot_be_made_is_said_to_be_so(make_site):
    """Kafka makes no topic whose name is another's but for a dot; and once it is there, events go to it."""
    name = new_name()
    site = make_site({TOPIC: f"{name}_all", "jobgate.default.dedup": "until_executing"})
    site.kafka.create_topic(f"{name}.all")
    producer = site.producer()
    assert producer.delivered(mail(0)).is_original
    producer.app.wait_log("it is not there, and cannot be created")
    assert "allow this client Create on it" in producer.app.stderr
    await_counter(producer.app, "events_dropped", lambda count: count == 1)
    assert producer.delivered(mail(1)).is_original  # dropped at once
    await_counter(producer.app, "events_dropped", lambda count: count == 2)
    admin = site.kafka.admin()
    admin.delete_topics([f"{name}.all"])[f"{name}.all"].result(PATIENCE_S)
    wait_until(lambda: not site.exists(f"{name}.all"), PATIENCE_S, "it is gone")
    numbers = iter(range(2, 10000))

    def is_sent():
        producer.delivered(mail(next(numbers)))
        return producer.app.counter("events_sent")

    wait_until(is_sent, PATIENCE_S, "events are sent again", interval_s=0.2)
    assert read(site)


def test_a_program_whose_credentials_jobgate_cannot_use_runs_without_events(make_site):
    site = make_site({TOPIC: new_name()})
    producer = site.holding_producer({"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER"}, know=None)
    producer.app.wait_log("jobgate.events.topic is set")
    assert "jobgate.kafka.sasl.*" in producer.app.stderr
    producer.accepted(mail(1))
    await_counter(producer.app, "events_dropped", lambda count: count == 1)


@pytest.mark.parametrize("topic, says", [
    ("{topic}", "governed by jobgate.topics"),
    ("{topic}.held.Mail", "a holding topic's name"),
    ("{topic}.dead", "a name for dead letters"),
])
def test_a_topic_that_has_another_use_is_refused(make_site, topic, says):
    site = make_site()
    told = site.jobgate("check", settings={TOPIC: topic.format(topic=site.topic)}, succeeds=False)
    assert told.returncode == 2 and says in told.stderr + told.stdout


def test_check_tells_of_a_topic_that_events_cannot_go_to_or_do_not_stay_in(make_site):
    site, name = make_site(), new_name()

    def told(topic, succeeds):
        out = site.jobgate("check", "--bootstrap-servers", site.kafka.bootstrap, settings={TOPIC: topic},
                           succeeds=succeeds)
        assert (out.returncode == 0) == succeeds, out.stdout
        return [line for line in out.stdout.splitlines() if topic in line]

    assert [line.split()[0] for line in told(name, True)] == ["notice", "notice"]
    assert "not there yet" in told(name, True)[0] and not site.exists(name), "it was asked for, and not made"
    site.kafka.create_topic(f"{name}.all")
    assert "cannot make it" in told(f"{name}_all", False)[0]  # another's name but for a dot
    site.kafka.create_topic(name, config={"cleanup.policy": "compact"})
    assert "is compacted" in told(name, False)[0]
    written = f"{name}-w"
    site.kafka.create_topic(written)
    good, permission = told(written, True)
    assert good.startswith("ok") and "cleanup.policy=delete" in good and "Write and Describe" in permission


def test_a_close_in_order_waits_for_events(make_site):
    """The last event waits for others to go with it (linger.ms) when its handle is closed."""
    site = make_site({TOPIC: new_name()})
    numbers = iter(range(1000))

    def loses_nothing():
        producer = site.producer()
        producer.delivered(mail(next(numbers)))
        await_counter(producer.app, "events_sent", lambda count: count == 1)
        producer.accepted(mail(next(numbers)))
        producer.destroy()
        sent, dropped = producer.app.counter("events_sent"), producer.app.counter("events_dropped")
        assert sent + dropped == 2
        return dropped == 0

    # A busy machine may need more than the second that it waits, or so long to close that nothing is left to wait for.
    assert sum(loses_nothing() for _ in range(4)) >= 3
    assert {event["event"] for event in read(site)} == {"produced"}
    # As schemas/README.md tells Python programs to read them.
    text = (ROOT / "schemas" / "README.md").read_text()
    (example,) = re.findall(r"<!-- example:begin -->\n```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(example, names)  # pylint: disable=exec-used
    schemas = dict([names["load"](AVSC)])
    values = [message.value for message in site.read(site.settings[TOPIC])]
    assert {names["read_event"](value, schemas)["event"] for value in values} == {"produced"}
    assert names["read_event"](b"\xc3\x01newer...", schemas) is names["read_event"](b"", schemas) is None
