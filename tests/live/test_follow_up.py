# SPDX-License-Identifier: Apache-2.0
"""dedup.follow.up: of the duplicates that come while a job runs, the latest runs after it, once.

Jobs are equal by class and arguments; the field `number` of a payload tells which of them it is.
"""

import json

import pytest

from live.limits import MANUAL, mail, pair, poll_until
from support.app import PATIENCE_S, produce_job
from support.processes import wait_until

FOLLOW_UP = {"jobgate.default.dedup": "until_executed", "jobgate.default.dedup.follow.up": "true"}
THREADS, EACH = 8, 125
HEADER = "jobgate-follow-up"


def number_of(message):
    return json.loads(message.value).get("number")


def numbered(number):
    return mail("same", number=number)


def numbers_of(*consumers):
    """Of the jobs of class Mail that they started, by when."""
    starts = [message for consumer in consumers for message in consumer.starts()]
    starts.sort(key=lambda message: message.event["mono_us"])
    return [number_of(message) for message in starts if json.loads(message.value)["class"] == "Mail"]


def runs_original(site, producer, *consumers):
    """The consumers take jobs; one of them runs the original, number 0, until its finish(). Returns that one first."""
    for consumer in consumers:
        consumer.run(job_ms=-1)
    producer.delivered(numbered(0), partition=0)
    site.await_state("r")
    return sorted(consumers, key=lambda consumer: not consumer.starts())


def crowd(producer, first=1, each=EACH):
    """Eight threads produce the same numbers, so that the latest of all is the last of some."""
    answers = producer.send(*(numbered(first + number) for number in range(each)), race=[producer.name] * THREADS)
    assert len(answers) == THREADS * each and not [answer.error for answer in answers if answer.error]


def settle(site, producer, consumers, partitions):
    """Until all that is in the log has come up, and nothing is held or claimed. Jobs end as they start from here on."""
    for consumer in consumers:
        for _ in range(partitions + 20):
            consumer.finish()
    lasts = [produce_job("Last", [number]) for number in range(partitions)]
    for number, last in enumerate(lasts):
        producer.delivered(last, partition=number)
    wait_until(lambda: {last.encode() for last in lasts} <= {m.value for c in consumers for m in c.starts()}, PATIENCE_S,
               "the last jobs ran")
    wait_until(lambda: not site.claims(), PATIENCE_S, "no claim is left")
    site.await_held(0)


@pytest.mark.parametrize("action", ["mark", "reject"])
def test_of_1000_duplicates_from_8_threads_the_latest_runs_once_after_the_original(make_site, action):
    site = make_site({**FOLLOW_UP, "jobgate.default.dedup.action": action}, partitions=2)
    producer, consumers = site.producer(), pair(site)
    runs_original(site, producer, *consumers)
    crowd(producer)
    producer.flush()
    assert numbers_of(*consumers) == [0]
    settle(site, producer, consumers, 2)
    assert numbers_of(*consumers) == [0, EACH]
    assert site.stats()["follow_ups"] == 1 and site.stats()["admitted"] == 2
    follow_ups = [message for message in site.log() if message.header(HEADER)]
    assert len({message.offset for message in follow_ups if not message.header("jobgate-resumed")}) >= EACH
    assert not [message for message in site.log() if message.header("jobgate-duplicate-of")]


def test_duplicates_of_a_follow_up_that_runs_have_one_of_their_own(make_site):
    site = make_site(FOLLOW_UP)
    producer, consumer = site.producer(), site.consumer()
    runs_original(site, producer, consumer)
    for number in range(1, 4):
        producer.delivered(numbered(number))
    consumer.finish()
    assert number_of(consumer.started(2)) == 3
    for number in range(4, 7):
        producer.delivered(numbered(number))
    settle(site, producer, [consumer], 1)
    assert numbers_of(consumer) == [0, 3, 6]


def test_without_duplicates_there_is_no_follow_up_and_a_queued_original_has_plain_ones(make_site):
    site = make_site(FOLLOW_UP)
    producer, consumer = site.producer(), site.consumer()
    site.queued(producer, numbered(0))
    assert producer.delivered(numbered(1)).header("jobgate-duplicate-of")
    consumer.run(job_ms=-1)
    settle(site, producer, [consumer], 1)
    assert numbers_of(consumer) == [0]


def test_a_consumer_that_is_killed_while_the_original_runs_costs_no_follow_up_and_makes_no_second(make_site):
    """The original is delivered again, runs, and does not wait for what waits for it."""
    site = make_site(FOLLOW_UP, partitions=2)
    producer, consumers = site.producer(), pair(site)
    first, other = runs_original(site, producer, *consumers)
    crowd(producer)
    producer.flush()
    first.app.kill()
    wait_until(lambda: 0 in numbers_of(other), PATIENCE_S, "the original runs again")
    assert numbers_of(other) == [0]
    settle(site, producer, [other], 2)
    assert numbers_of(other) == [0, EACH]


def test_an_original_whose_run_died_long_ago_is_done_by_its_follow_up(make_site, make_resumer):
    """Its follow-up need not wait for a consumer that may never come back; and nothing older runs after it."""
    site = make_site({**FOLLOW_UP, "jobgate.class.Mail.limit": 1, "jobgate.class.Mail.limit.ttl.ms": 1000,
                      "jobgate.resumer": "separate"}, partitions=2)
    make_resumer(site)
    producer, consumers = site.producer(), pair(site)
    first, other = runs_original(site, producer, *consumers)
    for number in range(1, 9):
        producer.delivered(numbered(number), partition=1)
    first.app.kill()
    wait_until(lambda: numbers_of(other) == [8], PATIENCE_S, "the follow-up runs")
    settle(site, producer, [other], 2)
    assert numbers_of(other) == [8]


def test_an_original_with_a_limit_that_is_delivered_again_never_waits_for_its_follow_up(make_site):
    """It has to be held itself, for its own old run; its follow-up is held before it."""
    site = make_site({**FOLLOW_UP, "jobgate.class.Mail.limit": 1, "jobgate.class.Mail.limit.ttl.ms": 9000}, partitions=2)
    producer, consumers = site.producer(), pair(site)
    first, other = runs_original(site, producer, *consumers)
    for number in range(1, 9):
        producer.delivered(numbered(number), partition=number % 2)
    wait_until(lambda: site.stats()["held"] >= 1, PATIENCE_S, "a follow-up is held")
    first.app.kill()
    wait_until(lambda: numbers_of(other) == [0], PATIENCE_S, "the original runs again")
    settle(site, producer, [other], 2)
    assert numbers_of(other) == [0, 8]


def test_a_consumer_that_is_killed_after_both_have_run_runs_neither_again(make_site):
    """It had committed nothing."""
    site = make_site({**FOLLOW_UP, "auto.commit.interval.ms": "600000"})
    producer, consumer = site.producer({"auto.commit.interval.ms": None}), site.consumer()
    runs_original(site, producer, consumer)
    for number in range(1, 9):
        producer.delivered(numbered(number))
    for _ in range(3):
        consumer.finish()
    wait_until(lambda: numbers_of(consumer) == [0, 8] and not site.claims(), PATIENCE_S, "both have run")
    consumer.app.kill()
    other = site.consumer()
    other.run(job_ms=-1)
    settle(site, producer, [other], 1)
    assert numbers_of(other) == []


def test_a_producer_that_is_killed_in_the_middle_leaves_the_latest_that_reached_the_log(make_site):
    """Whether what was not acknowledged is in the log, nobody knew."""
    site = make_site({**FOLLOW_UP, "jobgate.default.dedup.provisional.ms": "2000"}, partitions=2)
    doomed, producer, consumers = site.producer(), site.producer(), pair(site)
    runs_original(site, producer, *consumers)
    messages = [{"topic": site.topic, "value": numbered(number)} for number in range(1, 5000)]
    doomed.app.send("produce", handle=doomed.name, messages=messages, race=[doomed.name] * THREADS)
    wait_until(lambda: site.stats()["candidates"] > 1000, PATIENCE_S, "1000 duplicates", interval_s=0)
    doomed.app.kill()
    settle(site, producer, consumers, 2)
    in_log = [message for message in site.log() if message.header(HEADER) and not message.header("jobgate-resumed")]
    latest = max(in_log, key=lambda message: int(message.header(HEADER)))
    assert len(in_log) > 1
    assert numbers_of(*consumers) == [0, number_of(latest)]


def test_a_redis_that_is_killed_and_keeps_its_data_costs_nothing(make_site, make_redis):
    redis = make_redis(appendonly=True, settings={"appendfsync": "always"})
    site = make_site({**FOLLOW_UP, "jobgate.store.failure": "closed", "jobgate.store.timeout.ms": "1000"}, redis=redis,
                     partitions=2)
    producer, consumers = site.producer(), pair(site)
    runs_original(site, producer, *consumers)
    crowd(producer, each=60)
    redis.kill()
    redis.start()
    wait_until(lambda: not producer.send(numbered(61))[0].error, PATIENCE_S, "the store answers")
    crowd(producer, first=62, each=60)
    producer.flush()
    settle(site, producer, consumers, 2)
    assert numbers_of(*consumers) == [0, 121]


def test_a_redis_that_comes_back_empty_loses_no_follow_up(make_site, own_redis):
    """What it knew of them is gone, so some may run that a newer one stands for; the latest runs last."""
    site = make_site({**FOLLOW_UP, "jobgate.store.failure": "closed"}, redis=own_redis)
    producer, consumer = site.producer(), site.consumer()
    runs_original(site, producer, consumer)
    for number in range(1, 6):
        producer.delivered(numbered(number))
    own_redis.restart_empty()
    wait_until(site.claims, PATIENCE_S, "the original's claim is back")
    for number in range(6, 10):
        wait_until(lambda number=number: not producer.send(numbered(number))[0].error, PATIENCE_S, "the store answers")
    producer.flush()
    settle(site, producer, [consumer], 1)
    assert numbers_of(consumer) == [0, 9]


@pytest.mark.parametrize("outcome", ["commit", "abort"])
def test_follow_ups_of_a_transaction_run_when_it_is_committed(make_site, outcome):
    site = make_site({**FOLLOW_UP, "jobgate.default.dedup.provisional.ms": "1000"})
    producer = site.producer()
    transactional = site.producer({"transactional.id": f"tx-{site.topic}"})
    consumer = site.consumer()
    runs_original(site, producer, consumer)
    transactional.transaction("init")
    transactional.transaction("begin")
    for number in range(1, 4):
        transactional.delivered(numbered(number))
    transactional.transaction(outcome)
    settle(site, producer, [consumer], 1)
    assert numbers_of(consumer) == ([0, 3] if outcome == "commit" else [0])


def test_jobs_of_other_keys_and_their_turn_pass_a_follow_up_that_is_held(make_site):
    site = make_site({**FOLLOW_UP, "jobgate.class.Mail.limit": 2, **MANUAL})
    producer, consumer = site.producer(), site.consumer()
    producer.delivered(numbered(0))
    original = consumer.next()
    producer.delivered(numbered(1))
    poll_until(consumer, lambda: site.held() == 1, PATIENCE_S, "the follow-up is held")
    # It stands in nobody's way: the next one takes the other slot at once, and those behind it have their turns.
    producer.delivered(mail("other"))
    other = consumer.next()
    assert other.header("jobgate-resumed") is None
    producer.delivered(mail("third"))
    poll_until(consumer, lambda: site.held() == 2, PATIENCE_S, "the third is held")
    (held, _) = site.read(site.held_topic())
    assert held.header("jobgate-held-reason") == "follow-up"
    words = ("held", "Mail", "--group", site.group, "--topic", site.topic, "--bootstrap-servers", site.kafka.bootstrap)
    assert site.jobgate(*words).stdout.count("follow-up") == 1
    site.redis.client().zrem(site.key("run"), *[m for m in site.redis.client().zrange(site.key("run"), 0, -1)
                                                if m.startswith(other.stamp)])
    third = consumer.next()
    assert json.loads(third.value)["args"] == ["third"]
    consumer.commit((original.partition, third.offset + 1))
    assert number_of(consumer.next()) == 1


def test_with_a_capacity_the_follow_up_takes_the_place_of_the_re_enqueue(make_site):
    site = make_site({**FOLLOW_UP, "jobgate.class.Mail.capacity": 3, "jobgate.class.Mail.capacity.load": "redis:load",
                      "jobgate.class.Mail.capacity.work": "redis:work"})
    client = site.redis.client()
    client.mset({"load": 0, "work": 1})
    producer, consumer = site.producer(), site.consumer()
    runs_original(site, producer, consumer)
    for number in range(1, 4):
        producer.delivered(numbered(number))
    wait_until(lambda: site.stats()["confirmed"] == 1 and site.redis.client().hget(
        site.key("fol:" + site.claim()["jid"][:32]), "u") is None, PATIENCE_S, "all are acknowledged")
    consumer.finish()
    follow_up = consumer.started(2)
    assert number_of(follow_up) == 3 and follow_up.stamp != consumer.started().stamp
    consumer.finish()  # it goes on as its original would have
    assert consumer.started(3).stamp == f"{follow_up.stamp}-1" and number_of(consumer.started(3)) == 3
    client.set("work", 0)
    settle(site, producer, [consumer], 1)
    assert numbers_of(consumer) == [0, 3, 3]
