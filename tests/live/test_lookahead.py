# SPDX-License-Identifier: Apache-2.0
"""The resumer looks past held jobs that wait for something of their own key.

Large numbers of held jobs are copies, with jids of their own, of one that was held; who has a lease for long is written
into the store. Both are as jobgate leaves them.
"""

import json
import time

from confluent_kafka import Producer as RawProducer

from live.leases import LEASE, TAKEN
from live.limits import LIMIT, MANUAL, NO_DEDUP, SOON_S, blocked, mail
from support.app import PATIENCE_S, own_jid
from support.kafka import QUIET
from support.processes import wait_until

BY_KEY = {LEASE: "key", TAKEN: "hold", **NO_DEDUP}
PER_TENANT = {"jobgate.class.Mail.limit.key": "field:args.0"}
API = {"jobgate.completion": "api"}
HELD_OF_A = 50000
TENANTS = 1700
FULL = 1530


def copy_held(site, record, stamps):
    """Held records like that one, with these jids, in its partition."""
    failed = []
    producer = RawProducer({"bootstrap.servers": site.kafka.bootstrap, "acks": "all", "enable.idempotence": True,
                            "linger.ms": 20, "queue.buffering.max.messages": 1000000, **QUIET})
    kept = [(name, value) for name, value in record.headers if name not in ("jobgate-jid", "jobgate-key")]
    for number, stamp in enumerate(stamps):
        producer.produce(site.held_topic(), record.value, partition=record.partition,
                         headers=[*kept, ("jobgate-jid", stamp), ("jobgate-key", stamp[:32])],
                         on_delivery=lambda error, _: error and failed.append(error))
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(2 * PATIENCE_S) == 0 and not failed, failed[:3]


def stamps_of(key, count, first=0):
    return [f"{key}-{number:020x}" for number in range(first, first + count)]


def key_of(number):
    return f"{number:032x}"


def give_lease(site, key, seconds=3600):
    """A run that nobody ends has the lease of the job key."""
    client, member = site.redis.client(), f"{key}-{0:020x}@nobody@{site.topic}/0/0"
    client.zadd(site.key("run"), {member: int((time.time() + seconds) * 1000)})
    client.hset(site.key(f"lease:{key}"), mapping={"m": member, "tok": 1})


def resumed(site):
    """The jids that came back, by their offsets."""
    return [message.stamp for message in site.log() if message.header("jobgate-resumed")]


def hold_two(site, consumer):
    """-> (the message of a job that runs, the record of one that waits for it)."""
    producer = site.producer()
    running = blocked(site, consumer, producer, mail("A"))
    producer.delivered(mail("A"))
    consumer.poll()
    site.await_held(1)
    (record,) = site.read(site.held_topic())
    return running, record


def test_a_held_tenant_does_not_stand_in_front_of_another(make_site, slow):
    site = make_site({**API, **NO_DEDUP, **PER_TENANT})
    consumer, producer = site.consumer(), site.producer()
    running, record = hold_two(site, consumer)
    of_a = stamps_of(record.stamp[:32], HELD_OF_A)
    copy_held(site, record, of_a)
    site.await_held(HELD_OF_A + 1)
    # One of B runs at once, and the next, held behind all of A's, as soon as that has ended.
    producer.delivered(mail("B"))
    first_of_b = consumer.next()
    assert first_of_b.header("jobgate-resumed") is None
    job = mail("B")
    producer.delivered(job)
    consumer.poll()
    site.await_held(HELD_OF_A + 2)
    began = time.monotonic()
    assert consumer.complete(first_of_b) == 0
    assert own_jid(consumer.next().value) == own_jid(job)
    assert time.monotonic() - began < SOON_S * slow
    site.await_held(HELD_OF_A + 1)
    assert site.holding.passed(site.held_topic()) == 1
    listed = site.jobgate("held", "Mail", "--topic", site.topic, "--group", site.group, "--json", "--bootstrap-servers",
                          site.kafka.bootstrap)
    assert json.loads(listed.stdout)["total"] == HELD_OF_A + 1
    # Its own jobs come back one by one in their order, many more than those whose payloads were kept.
    assert consumer.complete(running) == 0
    for stamp in [record.stamp, *of_a[:40]]:
        message = consumer.next()
        assert message.stamp == stamp
        assert message.value == record.value
        assert consumer.complete(message) == 0


def marks(site):
    """The keys of which the store believes that jobs are held."""
    return set(site.redis.client().zrange(site.key("heldk"), 0, -1))


def test_newcomers_of_a_key_wait_no_longer_than_jobs_of_it_are_held(make_site, make_resumer):
    site = make_site({**API, **NO_DEDUP, **PER_TENANT, "jobgate.resumer": "separate"})
    consumer = site.consumer()
    running, record = hold_two(site, consumer)
    key = record.header("jobgate-limit-key")
    assert marks(site) == {key}
    # Who resumes tells the store, whatever that has forgotten.
    site.redis.client().delete(site.key("heldk"))
    make_resumer(site)
    wait_until(lambda: marks(site) == {key}, PATIENCE_S, "the key is marked again")
    assert consumer.complete(running) == 0
    message = consumer.next()
    assert message.stamp == record.stamp
    wait_until(lambda: not marks(site), PATIENCE_S, "it is not, when its last held job was resumed")
    assert consumer.complete(message) == 0


def test_a_failed_job_in_its_backoff_stands_in_front_of_no_other(make_site):
    site = make_site({**API, **NO_DEDUP, LIMIT: 1, "jobgate.class.Mail.capacity.retry.ms": 60000})
    producer = site.producer()
    job = mail(2)
    producer.delivered(mail(1))
    consumer = site.consumer()
    failed = consumer.next()
    assert consumer.complete(failed, failed=True) == 0
    site.await_held(1)
    producer.delivered(job)
    began = time.monotonic()
    message = consumer.next()
    assert own_jid(message.value) == own_jid(job)
    assert message.header("jobgate-resumed") == "1"
    assert time.monotonic() - began < SOON_S
    site.await_held(1)
    assert site.holding.passed(site.held_topic()) == 1


def test_what_was_resumed_ahead_is_known_to_the_next_resumer_and_what_no_longer_fits_goes_on_later(
        make_site, make_resumer):
    """More tenants' jobs between those of one than fit into a commit's metadata."""
    site = make_site({**BY_KEY, "jobgate.resumer": "separate"})
    consumer = site.consumer(MANUAL)
    _, record = hold_two(site, consumer)
    consumer.app.kill()
    key_a = record.stamp[:32]
    give_lease(site, key_a)
    of_a = stamps_of(key_a, TENANTS)
    of_others = [stamps_of(key_of(number), 1)[0] for number in range(TENANTS)]
    copy_held(site, record, [stamp for pair in zip(of_a, of_others) for stamp in pair])
    site.redis.client().hset(site.key("limits"), mapping={"lease": "key"})

    first = make_resumer(site)
    wait_until(lambda: site.holding.passed(site.held_topic()) >= 500, PATIENCE_S, "some were resumed ahead")
    first.kill()
    second = make_resumer(site)
    # Each takes two bytes, of the three thousand that there are. No consumer runs, which would use the tickets.
    wait_until(lambda: site.redis.client().delete(site.key("tkt")) in (0, 1) and
               site.holding.passed(site.held_topic()) >= FULL, PATIENCE_S, "no more fit", interval_s=0.2)
    second.kill()
    ahead = site.holding.passed(site.held_topic())
    assert ahead < FULL + 10
    assert sorted(resumed(site)) == sorted(of_others[:ahead])
    # They all go when what is before them does.
    site.jobgate("drain", site.topic, "--group", site.group, "--now", "--bootstrap-servers", site.kafka.bootstrap)
    assert sorted(resumed(site)) == sorted([record.stamp, *of_a, *of_others])
    assert [jid for jid in resumed(site) if jid[:32] == key_a] == [record.stamp, *of_a]
    assert site.holding.passed(site.held_topic()) == 0
