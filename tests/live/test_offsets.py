# SPDX-License-Identifier: Apache-2.0
"""Which jobs come again: those that were not finished, once; and no others."""

import pytest

from support.app import own_jid, produce_job, raw_produce
from support.processes import wait_until

LAST = produce_job("Last", [])
OFTEN = {"auto.commit.interval.ms": 100}
# A killed member's successor of the same name gets its partitions at once.
STATIC = {**OFTEN, "group.instance.id": "worker"}
both_modes = pytest.mark.parametrize("mode", ["until_executing", "until_executed"])


def mail(*args):
    return produce_job("Mail", args or [1])


def jids(messages):
    return [message.jid for message in messages]


def await_committed(site, offset, partition=0):
    wait_until(lambda: site.committed(partition) == offset, 30,
               f"offset {offset} is committed; it is {site.committed(partition)}", interval_s=0.1)


@both_modes
def test_a_consumer_killed_in_mid_job_gets_the_job_again_once_more_and_it_is_not_its_own_duplicate(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode})
    producer, first = site.producer(), site.consumer(STATIC)
    job = mail()
    site.queued(producer, job)
    first.run(job_ms=-1)
    assert first.started().jid == own_jid(job)
    first.app.kill()
    second = site.consumer(STATIC)
    assert second.next().jid == own_jid(job)
    producer.delivered(LAST)
    assert second.take(LAST) == []
    assert not second.skips()
    second.close()
    third = site.consumer(STATIC)
    probe = produce_job("Probe", [])
    producer.delivered(probe)
    assert third.take(probe) == []


def test_a_crash_redelivers_the_running_job_and_none_that_was_finished(site):
    producer, first = site.producer(), site.consumer(STATIC)
    jobs = [mail(number) for number in range(4)]
    for job in jobs:
        producer.delivered(job)
    first.run(job_ms=-1)
    for count in (1, 2):
        first.started(count)
        first.finish()
    assert first.started(3).jid == own_jid(jobs[2])
    await_committed(site, 2)
    first.app.kill()
    producer.delivered(LAST)
    assert jids(site.consumer(STATIC).take(LAST)) == [own_jid(job) for job in jobs[2:]]


def test_the_offset_of_a_running_job_is_not_committed(site):
    producer, consumer = site.producer(), site.consumer(OFTEN)
    producer.delivered(mail(1))
    producer.delivered(mail(2))
    consumer.run(job_ms=-1)
    consumer.started(1)
    consumer.finish()
    consumer.started(2)
    await_committed(site, 1)
    # Several intervals later it still is.
    client = site.redis.client()
    began_s = client.time()[0]
    wait_until(lambda: client.time()[0] - began_s >= 2, 30, "two seconds")
    assert site.committed() == 1
    consumer.finish()
    await_committed(site, 2)


def test_skipped_messages_are_committed(site):
    producer = site.producer()
    site.queued(producer)
    for _ in range(3):
        producer.delivered(mail())
    consumer = site.consumer(OFTEN)
    consumer.next()
    wait_until(lambda: consumer.poll() is None and len(consumer.skips()) == 3, 30, "three skips")
    await_committed(site, 4)


def close_in_order(consumer):
    consumer.close()
    consumer.destroy()


def destroy_only(consumer):
    consumer.destroy()


def return_from_main(consumer):
    consumer.app.leave()


@both_modes
@pytest.mark.parametrize("end", [close_in_order, destroy_only, return_from_main])
def test_a_clean_close_reruns_nothing(make_site, mode, end):
    site = make_site({"jobgate.default.dedup": mode})
    producer, first = site.producer(), site.consumer()
    for number in range(3):
        assert producer.delivered(mail(number)).is_original
    for _ in range(3):
        first.next()
    end(first)
    assert site.committed() == 3
    producer.delivered(LAST)
    assert site.consumer().take(LAST) == []


def test_a_clean_close_ends_the_last_jobs_claim(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    consumer = site.consumer()
    site.queued(site.producer())
    consumer.next()
    consumer.close()
    site.await_state(None)


@both_modes
def test_close_redeliver_runs_the_last_job_again(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode, "jobgate.close": "redeliver"})
    producer, first = site.producer(), site.consumer()
    jobs = [mail(number) for number in range(3)]
    for job in jobs:
        producer.delivered(job)
    for _ in range(3):
        first.next()
    close_in_order(first)
    assert site.committed() == 2
    producer.delivered(LAST)
    assert jids(site.consumer().take(LAST)) == [own_jid(jobs[2])]


def test_a_close_without_a_job_in_hand_commits_what_was_done(site):
    producer, first = site.producer(), site.consumer()
    assert producer.delivered(mail()).is_original
    first.next()
    first.poll()
    close_in_order(first)
    assert site.committed() == 1


def test_unsubscribing_completes_what_is_done(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer, consumer = site.producer(), site.consumer()
    site.queued(producer)
    consumer.next()
    consumer.unsubscribe()
    consumer.poll()
    site.await_state(None)
    await_committed(site, 1)


def test_a_seek_back_runs_the_job_again(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    producer, consumer = site.producer(), site.consumer(OFTEN)
    jobs = [mail(1), mail(2)]
    for job in jobs:
        site.queued(producer, job)
    assert jids([consumer.next()]) == [own_jid(jobs[0])]
    consumer.seek(0, 0)
    assert jids([consumer.next(), consumer.next()]) == [own_jid(job) for job in jobs]
    wait_until(lambda: consumer.poll() is None and not site.claims(), 30, "both are complete")
    await_committed(site, 2)


def test_a_program_that_stores_offsets_itself_decides_alone(site):
    producer, consumer = site.producer(), site.consumer({**OFTEN, "enable.auto.offset.store": "false"})
    for number in range(3):
        assert producer.delivered(mail(number)).is_original
    for _ in range(3):
        consumer.next()
    consumer.store_offset(0, 2)
    await_committed(site, 2)
    close_in_order(consumer)
    assert site.committed() == 2


def test_a_program_that_commits_itself_decides_alone(site):
    producer, consumer = site.producer(), site.consumer({"enable.auto.commit": "false"})
    for number in range(3):
        assert producer.delivered(mail(number)).is_original
    for _ in range(3):
        consumer.next()
    assert site.committed() < 0
    consumer.commit((0, 1))
    close_in_order(consumer)
    assert site.committed() == 1


def test_a_program_is_told_of_its_own_commits_alone(site):
    producer = site.producer()
    site.queued(producer)
    for _ in range(3):
        producer.delivered(mail())
    consumer = site.consumer({"enable.auto.commit": "false"}, commit_cb=True)
    consumer.next()
    wait_until(lambda: consumer.poll() is None and len(consumer.skips()) == 3, 30, "three skips")
    consumer.commit((0, 1))
    await_committed(site, 4)
    close_in_order(consumer)
    assert {event["offset"] for event in consumer.app.found("commit")} <= {1}


def test_ungoverned_messages_are_committed_when_handed_out(make_site, make_topic):
    site, other = make_site(), make_topic()
    raw_produce(site.kafka, other, "plain")
    consumer = site.consumer(OFTEN, subscribe=False)
    consumer.subscribe(site.topic, other)
    consumer.next()
    consumer.poll()
    consumer.close()
    site.topic = other
    assert site.committed() == 1


@pytest.mark.parametrize("callback", [False, True], ids=["no-callback", "own-callback"])
def test_a_rebalance_loses_no_job_and_finished_ones_do_not_come_again(make_site, callback):
    site = make_site(partitions=2)
    producer = site.producer()
    jobs = [mail(number) for number in range(40)]
    first = site.consumer(OFTEN, rebalance_cb=callback)
    for number, job in enumerate(jobs[:20]):
        producer.delivered(job, partition=number % 2)
    first.run()
    first.started(20)
    second = site.consumer(OFTEN, rebalance_cb=callback)
    second.run()
    for number, job in enumerate(jobs[20:]):
        producer.delivered(job, partition=number % 2)
    # Until both have work: the second one has joined.
    more = []

    def both_work():
        more.append(mail(1000 + len(more)))
        producer.delivered(more[-1], partition=len(more) % 2)
        return second.starts()

    wait_until(both_work, 30, "the second consumer has work", interval_s=0.1)
    expected = {own_jid(job) for job in jobs + more}
    wait_until(lambda: {message.jid for message in first.starts() + second.starts()} == expected, 30, "all jobs ran")
    assert all(message.is_original for message in first.starts() + second.starts())
    ran = jids(first.starts() + second.starts())
    assert len(ran) == len(set(ran))
    if callback:
        assert first.app.found("rebalance", name="_ASSIGN_PARTITIONS")
        assert first.app.found("rebalance", name="_REVOKE_PARTITIONS")


@both_modes
def test_a_job_whose_partition_moved_on_runs_elsewhere_and_its_old_run_changes_nothing(make_site, mode):
    """The first consumer stops (as if frozen) in mid-job; the group gives its partition to the second."""
    site = make_site({"jobgate.default.dedup": mode})
    producer = site.producer()
    first, second = (site.consumer({**OFTEN, "session.timeout.ms": 1500}, subscribe=False) for _ in range(2))
    job = mail()
    site.queued(producer, job)
    first.subscribe()
    first.run(job_ms=-1)
    assert first.started().jid == own_jid(job)
    first.app.pause()
    second.subscribe()
    second.run(job_ms=-1)
    assert second.started().jid == own_jid(job)
    first.app.resume()
    first.finish()
    producer.delivered(LAST)
    second.finish()
    assert second.started(2).value == LAST.encode()
    assert not first.starts()[1:]
