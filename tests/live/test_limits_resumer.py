# SPDX-License-Identifier: Apache-2.0
"""Whatever becomes of the resumer, of Redis, of the brokers: what is held comes back, each time once."""

import random
import signal
import time
from collections import defaultdict

import pytest
from confluent_kafka import Consumer as RawConsumer
from confluent_kafka import TopicPartition

from support.app import PATIENCE_S, own_jid, produce_job, raw_produce, raw_produce_many
from support.jobs import timed_job, timed_jobs
from support.kafka import QUIET
from support.processes import wait_until

LIMIT = "jobgate.class.Mail.limit"
NO_DEDUP = {"jobgate.default.dedup": "none"}
SEPARATE = {"jobgate.resumer": "separate"}
MANUAL = {"enable.auto.commit": "false"}
SKIP = "_PARTITION_EOF"
# The resumer's transaction.timeout.ms, and how often the broker of the test looks for overdue ones.
TRANSACTION_S, BROKER_LOOKS_S = 5, 1


def jids(jobs):
    return [job.jid for job in jobs]


def mail(*args):
    return produce_job("Mail", args or [1])


def assert_resumed_once_per_hold(site, jobs):
    """In the origin topic as consumers read it: of each job a first copy, and one for each time it was held, numbered
    from 1 without a gap or a double. Returns how many came back."""
    copies = defaultdict(list)
    for message in site.log():
        copies[message.jid].append(int(message.header("jobgate-resumed") or 0))
    for job in jobs:
        assert sorted(copies[job.jid]) == list(range(len(copies[job.jid]))), (job.jid, copies[job.jid])
    total = sum(len(copies[job.jid]) - 1 for job in jobs)
    assert total >= len(jobs)
    return total


def hold_all(site, recorder, jobs):
    """The class is paused, in its settings or by hand: all of them are held."""
    raw_produce_many(site.kafka, site.topic, jobs)
    site.await_held(len(jobs), timeout_s=60)
    assert not recorder.runs("Mail")


def test_a_resumer_of_its_own_brings_held_jobs_back(make_site, make_resumer):
    site = make_site({LIMIT: 1, **NO_DEDUP, **SEPARATE})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(5)]
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    for _ in jobs[1:]:
        consumer.next_error(SKIP)
    consumer.commit((0, message.offset + 1))
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        polled = consumer.poll()
        assert not polled or polled.error, "nobody is there to bring it back"
    resumer = make_resumer(site)
    for job in jobs[1:]:
        message = consumer.next()
        assert message.jid == own_jid(job) and message.header("jobgate-resumed") == "1"
        consumer.commit((0, message.offset + 1))
    site.await_held(0)
    resumer.stop()
    assert not resumer.running()


def test_a_resumer_waits_for_brokers_that_are_new(make_site, make_kafka, make_resumer):
    """The first transaction of a cluster finds its coordinator still loading: that is no refusal, and nobody leaves the
    lead for it."""
    site = make_site({LIMIT: 1, **NO_DEDUP, **SEPARATE}, kafka=make_kafka())
    resumer = make_resumer(site)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(number) for number in range(2)]
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    consumer.next_error(SKIP)
    consumer.commit((0, message.offset + 1))
    assert consumer.next().jid == own_jid(jobs[1])
    assert "transactions are refused" not in resumer.log and resumer.log.count("this resumer leads") == 1


def test_of_two_resumers_one_works_and_the_other_takes_over(make_site, make_resumer):
    site = make_site({LIMIT: 1, **NO_DEDUP, **SEPARATE})
    producer, consumer = site.producer(), site.consumer(MANUAL)
    one, other = make_resumer(site), make_resumer(site)
    jobs = [mail(number) for number in range(6)]
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    for _ in jobs[1:]:
        consumer.next_error(SKIP)
    for number, job in enumerate(jobs[1:]):
        # Whichever leads at first, it dies.
        if number == 1:
            one.kill()
        if number == 3:
            one.start()
            other.kill()
        consumer.commit((0, message.offset + 1))
        message = consumer.next(timeout_s=60)
        assert message.jid == own_jid(job)
    assert len(site.log()) == 6 + 5


def test_a_resumer_killed_at_random_moments_resumes_each_held_job_once_and_loses_none(
        make_crew_site, make_crew, make_resumer, recorder):
    site = make_crew_site({LIMIT: 8, "jobgate.class.Mail.resume.ahead": 50, "jobgate.class.Mail.limit.ttl.ms": 3000,
                           **NO_DEDUP, **SEPARATE}, partitions=8)
    make_crew(site, 8)
    site.await_workers(recorder, 8)
    site.jobgate("pause", "Mail")
    dice = random.Random(11)
    jobs = timed_jobs("Mail", 2000, dice, 0, 3)
    hold_all(site, recorder, jobs)
    site.jobgate("unpause", "Mail")
    resumer = make_resumer(site)
    kills = 0
    deadline = time.monotonic() + 60
    while recorder.missing(jids(jobs)) and time.monotonic() < deadline:
        # Every other time it may begin to resume first; else it may not even have started.
        enough = recorder.ended() + (20 if kills % 2 else 0)
        wait_until(lambda enough=enough: recorder.ended() >= enough or not recorder.missing(jids(jobs)), 60,
                   "it resumes")
        moment = time.monotonic() + dice.uniform(0.01, 0.8)
        wait_until(lambda moment=moment: time.monotonic() > moment, 5, "a random moment", interval_s=0.001)
        resumer.kill()
        kills += 1
        resumer.start()
    recorder.await_all(jids(jobs), 60)
    site.await_held(0)
    resumed = assert_resumed_once_per_hold(site, jobs)
    print(f"killed {kills} times; {len(jobs)} jobs were resumed {resumed} times; "
          f"{len(recorder.second_runs('Mail'))} ran more than once")
    assert kills >= 5
    assert recorder.max_overlap("Mail") <= 8
    assert not recorder.second_runs("Mail")


def test_tickets_that_a_dead_resumer_took_and_did_not_use_stand_in_nobodys_way(
        make_crew_site, make_crew, make_resumer, recorder):
    """It saw a job that was not the first to go for its successor, which had read other partitions by then."""
    site = make_crew_site({LIMIT: -1, **NO_DEDUP, **SEPARATE})
    make_crew(site, 1)
    site.await_workers(recorder, 1)
    jobs = timed_jobs("Mail", 3, random.Random(1), 0, 1)
    hold_all(site, recorder, jobs)
    last = site.read(site.held_topic())[-1].header("jobgate-jid")
    site.redis.client().hset(site.key("tkt"), last, f"{int(time.time() * 1000)} ")
    site.jobgate("limit", "Mail", 1)
    make_resumer(site)
    recorder.await_all(jids(jobs), 30)
    wait_until(lambda: site.tickets() == 0, 30, "no ticket is out")


@pytest.mark.parametrize("mode", ["embedded", "separate"])
def test_held_jobs_are_found_again_after_everything_else_was_lost(make_crew_site, make_crew, make_resumer, recorder,
                                                                  own_redis, mode):
    """Redis empty, every consumer and the resumer gone: the holding topic is the truth."""
    site = make_crew_site({LIMIT: -1, "jobgate.resumer": mode, **NO_DEDUP}, redis=own_redis, partitions=4, mortal=True)
    crew = make_crew(site, 4)
    site.await_workers(recorder, 4)
    jobs = timed_jobs("Mail", 200, random.Random(1), 0, 2)
    hold_all(site, recorder, jobs)
    # Else what was held comes to the next consumers again, and is held twice.
    ends = {message.partition: message.offset + 1 for message in site.log()}
    wait_until(lambda: all(site.committed(number) == end for number, end in ends.items()), 30, "all is committed",
               interval_s=0.2)
    for number in range(4):
        crew.kill(number)
    own_redis.restart_empty()
    site.settings[LIMIT] = 5
    make_crew(site, 4)
    if mode == "separate":
        make_resumer(site)
    recorder.await_all(jids(jobs), 90)
    site.await_held(0)
    assert assert_resumed_once_per_hold(site, jobs) >= len(jobs)
    assert recorder.max_overlap("Mail") <= 5


def test_brokers_restarted_one_by_one_in_a_burst_lose_nothing(make_kafka, make_crew_site, make_crew, recorder):
    cluster = make_kafka(nodes=3)
    site = make_crew_site({LIMIT: 4, "jobgate.class.Mail.resume.ahead": 8, "jobgate.class.Mail.limit.ttl.ms": 3000,
                           **NO_DEDUP}, kafka=cluster, partitions=6)
    make_crew(site, 6)
    site.await_workers(recorder, 6)
    jobs = timed_jobs("Mail", 3000, random.Random(5), 5, 30)
    raw_produce_many(cluster, site.topic, jobs)
    wait_until(lambda: recorder.ended() > 100, 120, "the burst is under way")
    for number in (1, 2, 3):
        cluster.restart(number)
    recorder.await_all(jids(jobs), 120)
    site.await_held(0)
    print(f"{len(recorder.second_runs('Mail'))} of {len(jobs)} ran more than once")
    assert recorder.max_overlap("Mail") <= 4


def test_a_class_paused_for_longer_than_the_broker_keeps_other_topics_loses_nothing(
        make_crew_site, make_crew, recorder, make_kafka):
    cluster = make_kafka(settings={"log.retention.ms": 3000, "log.retention.check.interval.ms": 500,
                                   "log.segment.delete.delay.ms": 100})
    site = make_crew_site({LIMIT: -1, **NO_DEDUP}, kafka=cluster, partitions=2)
    crew = make_crew(site, 2)
    site.await_workers(recorder, 2)
    jobs = timed_jobs("Mail", 100, random.Random(2), 0, 2)
    hold_all(site, recorder, jobs)
    # It keeps nothing else: the origin's records are gone, at the least.
    reader = RawConsumer({"bootstrap.servers": cluster.bootstrap, "group.id": "watch", **QUIET})

    def gone():
        places = [TopicPartition(site.topic, number) for number in (0, 1)]
        marks = [reader.get_watermark_offsets(place, timeout=PATIENCE_S) for place in places]
        return all(low == high > 0 for low, high in marks)

    wait_until(gone, 60, "the broker has deleted what was in the origin topic", interval_s=0.2)
    reader.close()
    site.await_held(len(jobs))
    crew.check()
    site.jobgate("limit", "Mail", 5)
    recorder.await_all(jids(jobs), 60)
    assert not recorder.second_runs("Mail")
    site.await_held(0)


def test_a_stopped_resumer_delays_others_by_its_transaction_at_most(make_crew_site, make_crew, make_resumer, recorder,
                                                                    make_kafka):
    """SIGSTOP, at several moments: an open transaction stops the readers of the origin topic until it is aborted."""
    looks = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
    cluster = make_kafka(settings={looks: BROKER_LOOKS_S * 1000})
    site = make_crew_site({LIMIT: 1, "jobgate.class.Mail.resume.ahead": 20, **NO_DEDUP, **SEPARATE}, kafka=cluster,
                          partitions=2)
    make_crew(site, 2)
    site.await_workers(recorder, 2)
    raw_produce_many(cluster, site.topic, timed_jobs("Mail", 10000, random.Random(3), 1, 3))
    wait_until(lambda: site.held() > 5000, 60, "many are held", interval_s=0.1)
    resumer = make_resumer(site)
    resumed = len(recorder.runs("Mail")) + 50
    wait_until(lambda: len(recorder.runs("Mail")) > resumed, 60, "they come back")
    dice, delays_s = random.Random(4), []
    for _ in range(6):
        moment = time.monotonic() + dice.uniform(0.05, 0.4)
        wait_until(lambda moment=moment: time.monotonic() > moment, 5, "a random moment", interval_s=0.001)
        resumer.send(signal.SIGSTOP)
        other = timed_job("Other", 0)
        began = time.monotonic()
        raw_produce(cluster, site.topic, other.payload)
        recorder.await_all([other.jid], 30)
        delays_s.append(time.monotonic() - began)
        resumer.send(signal.SIGCONT)
    print("a job of another class came after " + ", ".join(f"{delay:.2f}" for delay in delays_s) + " s")
    assert max(delays_s) < TRANSACTION_S + BROKER_LOOKS_S + 2


def test_held_jobs_cost_no_redis_memory(make_crew_site, make_crew, recorder, own_redis):
    site = make_crew_site({LIMIT: -1, **NO_DEDUP}, redis=own_redis, partitions=4)
    make_crew(site, 2)
    site.await_workers(recorder, 2)
    hold_all(site, recorder, timed_jobs("Mail", 1000, random.Random(1), 0, 0))
    before = own_redis.client().info("memory")["used_memory"]
    raw_produce_many(site.kafka, site.topic, timed_jobs("Mail", 100000, random.Random(2), 0, 0))
    site.await_held(101000, timeout_s=120)
    grown = own_redis.client().info("memory")["used_memory"] - before
    print(f"100,000 more held: Redis grew by {grown / 1024:.0f} KiB")
    assert grown < 1 << 20


# --- clients that must prove who they are ---

def secure(cluster):
    """What a client of the application is told, and what our own clients then need no word of."""
    return {name: str(value) for name, value in cluster.client_properties.items()}


def test_holder_and_resumer_use_the_applications_credentials(make_site, make_kafka):
    cluster = make_kafka(security="sasl_ssl")
    site = make_site({LIMIT: 1, **secure(cluster)}, kafka=cluster)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(1), mail(2)]
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    consumer.next_error(SKIP)
    site.await_held(1)
    consumer.commit((0, message.offset + 1))
    assert consumer.next().jid == own_jid(jobs[1])
    assert cluster.client_properties["sasl.password"] not in consumer.app.stderr


def test_a_resumer_of_its_own_is_told_credentials(make_site, make_kafka, make_resumer):
    cluster = make_kafka(security="sasl_ssl")
    site = make_site({LIMIT: 1, **SEPARATE, **secure(cluster)}, kafka=cluster)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    jobs = [mail(1), mail(2)]
    for job in jobs:
        producer.delivered(job)
    message = consumer.next()
    consumer.next_error(SKIP)
    kafka = {f"jobgate.kafka.{name}": value for name, value in secure(cluster).items() if name != "bootstrap.servers"}
    resumer = make_resumer(site, kafka)
    consumer.commit((0, message.offset + 1))
    assert consumer.next().jid == own_jid(jobs[1])
    assert cluster.client_properties["sasl.password"] not in resumer.log


def test_a_token_callback_is_refused_with_the_reason_named(make_site, make_kafka):
    """Our own clients cannot call the application's, so nothing could be held."""
    cluster = make_kafka(security="oauthbearer")
    site = make_site({LIMIT: 1, **secure(cluster)}, kafka=cluster)
    raw_produce(cluster, site.topic, mail(1).encode())
    consumer = site.consumer(token_cb=True)
    error = consumer.next_error("_STATE")
    assert "oauthbearer" in error.text.lower(), error.text
    assert not [message for message in consumer.seen if not message.error]


def test_a_token_callback_is_no_matter_where_nothing_is_limited(make_site, make_kafka):
    cluster = make_kafka(security="oauthbearer")
    site = make_site(secure(cluster), kafka=cluster)
    job = mail(1)
    raw_produce(cluster, site.topic, job.encode())
    assert site.consumer(token_cb=True).next().jid == own_jid(job)
