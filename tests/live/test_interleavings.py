# SPDX-License-Identifier: Apache-2.0
"""What happens at the same time: rebalances in mid batch, a store that stalls between messages, several polling threads,
commits around a message that is held back, closes from elsewhere."""

import threading
import time

import confluent_kafka
import pytest

from support.app import produce_job
from support.processes import wait_until

STORING = {"enable.auto.offset.store": "false"}


def mail(number=1):
    return produce_job("Mail", [number])


def runs(messages):
    return {message.offset for message in messages if not message.error}


@pytest.mark.foreign_host
@pytest.mark.parametrize("topics", ["governed", "other"])
def test_a_rebalance_that_cuts_a_batch_call_short_loses_nothing(make_site, topics):
    """The first consumer has gathered everything in one long call when the second one joins. With the wheel's librdkafka:
    2.0 itself loses what a revocation purges."""
    site = make_site(partitions=2)
    producer = site.producer()
    properties = dict(site.properties("consumer", {} if topics == "governed" else {"jobgate.topics": "other"}))
    consumers = [confluent_kafka.Consumer(properties) for _ in range(2)]
    got = []

    def gather(consumer, timeout_s):
        got.extend((each.partition(), each.offset()) for each in consumer.consume(1000, timeout_s) if not each.error())

    consumers[0].subscribe([site.topic])
    wait_until(lambda: consumers[0].consume(1, 0.2) or consumers[0].assignment(), 60, "the first assignment")
    for number in range(20):
        producer.delivered(mail(number), partition=number % 2)
    long_call = threading.Thread(target=gather, args=(consumers[0], 8))
    long_call.start()
    if topics == "governed":
        wait_until(lambda: not site.claims(), 60, "all admitted")  # every job was admitted, and is in the call's hands
    consumers[1].subscribe([site.topic])
    end = time.monotonic() + 60
    while len(set(got)) < 20 and time.monotonic() < end:
        gather(consumers[1], 1)
        if not long_call.is_alive():
            gather(consumers[0], 1)
    long_call.join()
    for consumer in consumers:
        consumer.close()
    assert len(set(got)) == 20


def test_a_commit_does_not_cover_a_job_that_is_held_back(make_site, own_redis):
    """The program commits by hand, and librdkafka would store what it hands out, errors too."""
    site = make_site({"jobgate.store.wait.ms": 300}, redis=own_redis)
    producer = site.producer()
    consumer = site.consumer({"enable.auto.commit": "false"})
    producer.delivered(mail(1))
    producer.delivered(mail(2))
    consumer.next()
    own_redis.pause()
    try:
        consumer.next_error("_STATE")
        consumer.commit()
        assert site.committed() == 1
    finally:
        own_redis.resume()
    assert consumer.next().offset == 1


def test_two_threads_that_hold_messages_back_lose_none(make_site, own_redis):
    """Both are in the hook when the store stalls, with two messages of one partition; each goes back to its own."""
    site = make_site({"jobgate.store.wait.ms": 1000}, redis=own_redis)
    producer = site.producer()
    jobs = 6
    for number in range(jobs):
        producer.delivered(mail(number))
    consumer = site.consumer()
    consumer.next(on="t0")
    own_redis.pause()
    try:
        waiting = [consumer.app.send("poll", handle=consumer.name, timeout_ms=10000, on=f"t{thread}")
                   for thread in range(2)]
        replies = [consumer.app.reply(number)["message"] for number in waiting]
    finally:
        own_redis.resume()
    seen = {reply["offset"] for reply in replies if reply and not reply["err"]}

    def all_seen():
        consumer.poll(on="t0")
        return seen | runs(consumer.seen) == set(range(jobs))

    wait_until(all_seen, 60, "all jobs")


def test_threads_whose_admissions_coincide_leave_no_offset_open(make_site, own_redis):
    site = make_site({"jobgate.store.wait.ms": 20000}, redis=own_redis)
    producer = site.producer()
    consumer = site.consumer()
    jobs = 8
    for number in range(jobs):
        producer.delivered(mail(number))
    own_redis.pause()
    try:
        waiting = [consumer.app.send("poll", handle=consumer.name, timeout_ms=20000, on=f"t{thread}")
                   for thread in range(4)]
        time.sleep(1)  # more waiting threads make the test harder, fewer do not make it wrong
    finally:
        own_redis.resume()
    handed_out = sum(1 for number in waiting if consumer.app.reply(number)["message"])
    end = time.monotonic() + 60
    while handed_out < jobs and time.monotonic() < end:
        handed_out += consumer.poll(on="t0") is not None
    consumer.poll(on="t0")
    consumer.close(on="t0")
    assert site.committed() == jobs


def test_a_job_whose_commit_comes_with_the_close_leaves_no_claim(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer = site.producer()
    consumer = site.consumer(STORING)
    site.queued(producer, mail())
    message = consumer.next()
    consumer.store_offset(0, message.offset + 1)
    consumer.close()
    consumer.destroy()
    assert site.committed() == 1
    wait_until(lambda: not site.claims(), 15, "the claim's end")


def test_a_close_on_another_thread_completes_the_last_job(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer = site.producer()
    consumer = site.consumer()
    site.queued(producer, mail())
    assert consumer.next(on="one")
    consumer.close(on="two")
    assert site.committed() == 1
    wait_until(lambda: not site.claims(), 15, "the claim's end")


def test_a_batch_of_produce_calls_that_fails_harms_no_one(make_site):
    """Then librdkafka acknowledges the application's own structs, which have no headers behind them."""
    site = make_site()
    producer = site.producer({"topic.metadata.propagation.max.ms": 0, "message.timeout.ms": 60000}, know=None)
    producer.topic = "no-such-topic"
    producer.send(mail())

    def refused():
        return all(result.error for result in producer.send(mail(1), mail(2), mail(3), call="batch"))

    wait_until(refused, 60, "the batch to fail")
    producer.topic = site.topic
    assert producer.delivered(mail(4)).jid


def test_a_store_that_stalls_in_mid_batch_takes_nothing_from_the_batch(make_site, own_redis):
    site = make_site({"jobgate.store.wait.ms": 1500, "auto.commit.interval.ms": 300}, redis=own_redis)
    claimed = site.producer()
    unclaimed = site.producer({"jobgate.topics": "other"})
    consumer = site.consumer()
    consumer.batch(1, 500)
    for number in range(9):
        unclaimed.delivered(mail(number), topic=site.topic)
    claimed.delivered(mail(100))
    own_redis.pause()
    try:
        ran = runs(consumer.batch(20, 3000))
    finally:
        own_redis.resume()
    end = time.monotonic() + 60
    while len(ran) < 10 and time.monotonic() < end:
        ran |= runs(consumer.batch(20, 1000))
    assert ran == set(range(10))
    wait_until(lambda: not site.claims(), 30, "the claim's end")  # told later, the store ended its claim
