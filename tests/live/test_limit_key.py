# SPDX-License-Identifier: Apache-2.0
"""A limit of its own for each value of limit.key: jobs of one value wait for each other, and for no other value's."""

import json

from live.limits import LIMIT, MANUAL, NO_DEDUP, SKIP, assert_idle, await_skips, finish, mail, poll_until
from support.app import PATIENCE_S, own_jid, raw_produce_many
from support.crew import overlap_of
from support.jobs import timed_job
from support.processes import wait_until

LIMIT_KEY, PER_KEY, LIMIT_TTL = (f"jobgate.class.Mail.limit.{name}" for name in ("key", "per.key", "ttl.ms"))
KEY_HEADER = "jobgate-limit-key"
TENANT = "field:args.0.tenant"


def of_tenant(tenant, number):
    return mail({"tenant": tenant}, number)


def key_of(site, held):
    """The key that a held job was given, and how many live members the store has of it."""
    key = held.header(KEY_HEADER)
    assert len(key) == 32
    client = site.redis.client()
    seconds, micros = client.time()
    return key, client.zcount(site.key(f"run:{key}"), f"({seconds * 1000 + micros // 1000}", "+inf")


def one_tenant_waits(site, producer, consumer, jobs, fields=({}, {}, {})):
    """Of two jobs of one tenant the second is held; the third job is another tenant's and runs. Returns what runs, and
    what is held."""
    first, second, other = jobs
    producer.delivered(first, **fields[0])
    running = consumer.next()
    producer.delivered(second, **fields[1])
    consumer.next_error(SKIP)
    producer.delivered(other, **fields[2])
    others = consumer.next()
    site.await_held(1)
    (held,) = site.read(site.held_topic())
    assert held.header("jobgate-held-reason") == "key"
    assert key_of(site, held)[1] == 1
    assert site.running() == 2
    return running, others, held


# --- what the key is found by ---

def test_a_field_of_the_payload_tells_tenants_apart(make_site):
    site = make_site({LIMIT_KEY: TENANT})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [of_tenant("a", 1), of_tenant("a", 2), of_tenant("b", 3)]
    running, _, held = one_tenant_waits(site, producer, consumer, jobs)
    assert running.header(KEY_HEADER) is None
    # Its slot alone is what the held one waits for; offsets are committed in order.
    finish(consumer, running)
    back = consumer.next()
    assert back.jid == own_jid(jobs[1]) and back.header("jobgate-resumed") == "1"
    assert back.header(KEY_HEADER) == held.header(KEY_HEADER)
    assert site.running() == 2
    finish(consumer, back)
    wait_until(lambda: not site.redis.client().keys(site.key("run:*")), PATIENCE_S, "no key has a slot")
    assert consumer.counter("keyless") == 0


def test_a_header_tells_tenants_apart_also_of_messages_that_no_plugin_produced(make_site):
    site = make_site({LIMIT_KEY: "header:tenant", "jobgate.format": "raw", "jobgate.class": "const:Mail", **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    a, b = {"headers": [("tenant", b"a")]}, {"headers": [("tenant", b"b")]}
    running, _, _ = one_tenant_waits(site, producer, consumer, ("one", "two", "three"), (a, a, b))
    finish(consumer, running)
    assert consumer.next().value == b"two"


def test_a_field_of_avro_tells_tenants_apart(make_site, tmp_path):
    schema = tmp_path / "task.avsc"
    schema.write_text(json.dumps({"type": "record", "name": "Task", "fields": [
        {"name": "kind", "type": "string"}, {"name": "tenant", "type": "long"}, {"name": "number", "type": "long"}]}))
    site = make_site({"jobgate.format": "avro", "jobgate.schema": schema, "jobgate.class": "field:kind",
                      LIMIT_KEY: "field:tenant"})

    def task(tenant, number):
        return {"hex": (b"\x08Mail" + bytes([tenant * 2, number * 2])).hex()}

    one_tenant_waits(site, site.producer(), site.consumer(MANUAL), [task(7, 1), task(7, 2), task(8, 3)])


def test_jobs_without_the_value_share_one_limit_and_are_counted(make_site):
    site = make_site({LIMIT_KEY: TENANT})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    one_tenant_waits(site, producer, consumer, [mail(1), mail({"customer": "a"}), of_tenant("a", 1)])
    assert consumer.counter("keyless") == 2
    assert "finds nothing" in consumer.app.wait_log("shares one limit")


# --- who may run ---

def test_more_of_a_tenant_run_at_once_where_that_is_set_and_newcomers_of_another_wait_for_none_of_them(make_site):
    site = make_site({LIMIT_KEY: TENANT, PER_KEY: 2})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [of_tenant("a", number) for number in range(5)]
    for job in jobs:
        producer.delivered(job)
    running = [consumer.next(), consumer.next()]
    await_skips(consumer, 3)
    site.await_held(3)
    other = of_tenant("b", 1)
    producer.delivered(other)
    assert consumer.next().jid == own_jid(other)
    assert_idle(consumer)
    finish(consumer, running[0])
    assert consumer.next().jid == own_jid(jobs[2])
    assert_idle(consumer)


def test_no_two_jobs_of_a_tenant_run_at_once_over_several_consumers_nor_more_than_the_classs_limit(
        make_crew_site, make_crew, recorder):
    site = make_crew_site({LIMIT_KEY: "field:args.0", LIMIT: 2, **NO_DEDUP}, partitions=4)
    make_crew(site, 4)
    site.await_workers(recorder, 4)
    tenants = {}
    jobs = []
    for number in range(90):
        tenant = "abc"[number % 3]
        jobs.append(timed_job("Mail", 5 + number % 7, [tenant, number]))
        tenants[jobs[-1].jid] = tenant
    raw_produce_many(site.kafka, site.topic, jobs)
    recorder.await_all([job.jid for job in jobs], 120)
    runs = recorder.runs("Mail")
    for tenant in "abc":
        assert overlap_of([(run.start_us, run.end_us) for run in runs if tenants[run.jid] == tenant]) == 1, tenant
    assert overlap_of([(run.start_us, run.end_us) for run in runs]) == 2
    assert site.stats()["held"] > 0


# --- consumers die, stores are emptied ---

def test_the_slot_of_a_tenant_comes_back_when_its_consumer_is_killed(make_site):
    site = make_site({LIMIT_KEY: TENANT, LIMIT_TTL: 2000, **NO_DEDUP})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [of_tenant("a", 1), of_tenant("a", 2), of_tenant("b", 3)]
    _, _, held = one_tenant_waits(site, producer, consumer, jobs)
    consumer.app.kill()
    key, _ = key_of(site, held)
    survivor = site.consumer(MANUAL)
    # What the dead one ran comes again, and so does what was held: each when the one before has ended.
    seen = []
    while len(seen) < 3:
        message = survivor.next(timeout_s=60)
        seen.append(message.jid)
        assert key_of(site, held)[1] <= 1
        finish(survivor, message)
    assert sorted(seen) == sorted(map(own_jid, jobs))
    wait_until(lambda: not site.redis.client().exists(site.key(f"run:{key}")), PATIENCE_S, "the slot is free")


def test_a_run_keeps_the_slot_of_its_tenant_through_a_redis_that_restarts_empty(make_site, own_redis):
    site = make_site({LIMIT_KEY: TENANT, LIMIT_TTL: 3000}, redis=own_redis)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [of_tenant("a", 1), of_tenant("a", 2), of_tenant("b", 3), of_tenant("a", 4)]
    _, others, held = one_tenant_waits(site, producer, consumer, jobs[:3])
    own_redis.restart_empty()
    poll_until(consumer, lambda: key_of(site, held)[1] == 1 and site.running() == 2, 30, "both runs are put back")
    producer.delivered(jobs[3])
    assert_idle(consumer, 3)
    assert site.running() == 2
    finish(consumer, others)  # and with it the one before
    back = [consumer.next(timeout_s=30)]
    finish(consumer, back[0])
    back.append(consumer.next(timeout_s=30))
    assert sorted(message.jid for message in back) == sorted([own_jid(jobs[1]), own_jid(jobs[3])])


# --- the command ---

def test_the_command_says_which_key_a_job_has_how_many_run_of_it_and_why_it_waits(make_site, tmp_path):
    site = make_site({LIMIT_KEY: TENANT, "jobgate.resumer": "separate"})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    _, _, held = one_tenant_waits(site, producer, consumer, [of_tenant("a", 1), of_tenant("a", 2), of_tenant("b", 3)])
    key = held.header(KEY_HEADER)
    assert "1 of each value of limit.key" in site.jobgate("limit", "Mail").stdout
    status = json.loads(site.jobgate("status", "Mail", "--json").stdout)
    assert status["classes"][0]["limit"]["per_key"] == 1
    assert "class 'Mail': 1 at once of each value of limit.key" in site.jobgate("status", "Mail").stdout
    payload = tmp_path / "payload"
    payload.write_bytes(held.value)
    assert key in site.jobgate("key", "--topic", site.topic, "--payload", payload).stdout
    told = site.jobgate("explain", held.stamp, "--scan", "--group", site.group, "--bootstrap-servers",
                        site.kafka.bootstrap, "--json").stdout
    why = [each for each in json.loads(told)["why"] if each["reason"] == "key" and key in each["text"]]
    assert why and "1 run and 0 are on their way back, and limit.per.key is 1" in why[0]["text"], told
