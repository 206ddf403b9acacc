# SPDX-License-Identifier: Apache-2.0
"""Programs end in every order. None of them hangs, crashes or leaks because of the plugin.

The fixture that makes applications ends each in order and fails on its exit code, and on what sanitizers report.
"""

import time

import pytest

from live.events import TOPIC, new_name
from live.limits import LIMIT, MANUAL, await_skips, blocked
from support.app import PATIENCE_S, own_jid, produce_job
from support.processes import wait_until

LAST = produce_job("Last", [])
# By default the plugin waits for nothing longer than a few seconds.
BOUND_S = 8
modes = pytest.mark.parametrize("mode", ["until_executing", "until_executed"])


def mail(*args):
    return produce_job("Mail", args or [1])


@pytest.fixture
def bound_s(slow):
    return BOUND_S * slow


@pytest.fixture
def timed(bound_s):
    """timed(action): it returns within the bound."""
    def run(action):
        began = time.monotonic()
        action()
        assert time.monotonic() - began < bound_s

    return run


def with_job_in_hand(site, settings=None):
    consumer = site.consumer(settings)
    assert site.producer().delivered(mail()).is_original
    assert consumer.next().is_original
    return consumer


def close_and_destroy(consumer):
    consumer.close()
    consumer.destroy()
    consumer.app.leave()


def destroy_only(consumer):
    consumer.destroy()
    consumer.app.leave()


def close_only(consumer):
    consumer.close()
    consumer.app.leave("exit")


def exit_without_either(consumer):
    consumer.app.leave("exit")


def exit_at_once(consumer):
    consumer.app.leave("_exit")


ORDERS = [close_and_destroy, destroy_only, close_only, exit_without_either, exit_at_once]


@modes
@pytest.mark.parametrize("end", ORDERS)
def test_a_consumer_with_a_job_in_hand_ends_in_any_order(make_site, timed, mode, end):
    consumer = with_job_in_hand(make_site({"jobgate.default.dedup": mode}))
    timed(lambda: end(consumer))
    assert consumer.app.returncode == 0


@pytest.mark.parametrize("end", ORDERS)
def test_a_consumer_that_commits_itself_ends_in_any_order(make_site, timed, end):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    consumer = with_job_in_hand(site, {"enable.auto.commit": "false"})
    timed(lambda: end(consumer))
    assert consumer.app.returncode == 0


@pytest.mark.parametrize("end", [close_and_destroy, destroy_only, exit_without_either])
def test_a_consumer_that_never_polled_ends_in_any_order(site, timed, end):
    consumer = site.consumer()
    timed(lambda: end(consumer))
    assert consumer.app.returncode == 0


def test_a_consumer_that_never_subscribed_ends(site, timed):
    timed(lambda: close_and_destroy(site.consumer(subscribe=False)))


def test_a_program_may_exit_while_another_thread_runs_a_job(make_site, timed):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    consumer = site.consumer()
    site.producer().delivered(mail())
    consumer.run(job_ms=-1)
    consumer.started()
    timed(lambda: consumer.app.leave("exit"))
    assert consumer.app.returncode == 0


def test_a_program_may_exit_while_another_thread_polls(site, timed):
    consumer = site.consumer()
    site.producer().delivered(mail())
    consumer.run()
    consumer.started()
    timed(lambda: consumer.app.leave("exit"))
    assert consumer.app.returncode == 0


@modes
def test_an_abort_in_mid_job_runs_the_job_again_elsewhere(make_site, mode):
    site = make_site({"jobgate.default.dedup": mode})
    settings = {"group.instance.id": "worker"}
    first = site.consumer(settings)
    job = mail()
    site.queued(site.producer(), job)
    first.run(job_ms=-1)
    first.started()
    first.app.leave("abort")
    assert first.app.returncode == -6
    assert site.consumer(settings).next().jid == own_jid(job)


def test_a_producer_with_unacknowledged_messages_is_destroyed(make_site, timed):
    site = make_site()
    producer = site.holding_producer()
    for number in range(20):
        producer.accepted(mail(number))
    assert len(site.claims()) == 20
    timed(producer.destroy)
    wait_until(lambda: not [claim for claim in site.claims() if claim["st"] != "p"], 5, "no claim is confirmed")


def test_what_a_destroyed_producer_never_sent_turns_nothing_away(make_site):
    site = make_site({"jobgate.default.dedup.provisional.ms": 1000})
    held = site.holding_producer()
    held.accepted(mail())
    assert site.claim()
    held.destroy()
    site.await_state(None, timeout_s=1 + 2)
    report = site.producer().delivered(mail())
    assert report.is_original


@pytest.mark.parametrize("how", ["return", "exit", "_exit"])
def test_a_producer_with_unacknowledged_messages_exits(site, timed, how):
    producer = site.holding_producer()
    for number in range(20):
        producer.accepted(mail(number))
    assert len(site.claims()) == 20
    timed(lambda: producer.app.leave(how))
    assert producer.app.returncode == 0


def test_a_flushed_and_destroyed_producers_jobs_are_confirmed(site):
    """A short-lived program: its last acknowledgement and its end come together."""
    producer = site.holding_producer()
    jobs = [mail(number) for number in range(20)]
    for job in jobs:
        producer.accepted(job)
    producer.flush()
    producer.destroy()
    wait_until(lambda: [claim["st"] for claim in site.claims()] == ["q"] * 20, 5, "all claims are confirmed")


def test_a_program_that_forgets_its_producer_exits(site, timed):
    producer = site.producer()
    assert producer.delivered(mail()).is_original
    timed(lambda: producer.app.leave("exit"))
    assert producer.app.returncode == 0


@pytest.mark.parametrize("end", ORDERS)
def test_a_paused_store_holds_up_no_consumers_end(make_site, own_redis, timed, end):
    site = make_site({"jobgate.default.dedup": "until_executed"}, redis=own_redis)
    consumer = with_job_in_hand(site)
    own_redis.pause()
    timed(lambda: end(consumer))
    assert consumer.app.returncode == 0


@pytest.mark.parametrize("how", ["destroy", "return", "exit"])
def test_a_paused_store_holds_up_no_producers_end(make_site, own_redis, timed, how):
    site = make_site(redis=own_redis)
    producer = site.holding_producer()
    for number in range(20):
        producer.accepted(mail(number))
    assert len(site.claims()) == 20
    own_redis.pause()
    timed(lambda: producer.destroy() if how == "destroy" else producer.app.leave(how))


def test_a_consumer_that_waits_for_a_dead_store_ends(make_site, own_redis, timed):
    site = make_site({"jobgate.store.wait.ms": 3000}, redis=own_redis)
    consumer = site.consumer(subscribe=False)
    site.queued(site.producer())
    own_redis.kill()
    consumer.subscribe()
    consumer.run()
    consumer.app.wait_event("error", name="_STATE")
    timed(consumer.app.leave)
    assert consumer.app.returncode == 0


@pytest.mark.parametrize("how", ["destroy", "return", "exit"])
def test_a_paused_broker_holds_up_no_producers_end(make_site, paused_kafka, timed, how):
    """A consumer's end is not tested so: librdkafka's own waits for its broker for ever."""
    site = make_site(kafka=paused_kafka)
    producer = site.producer()
    producer.delivered(LAST)
    paused_kafka.pause()
    for number in range(20):
        producer.accepted(mail(number))
    timed(lambda: producer.destroy() if how == "destroy" else producer.app.leave(how))


def with_jobs_to_bring_back(site):
    """A job that was held runs, another is held, and a resumer leads; what runs is returned, too."""
    # So long an application waits for an answer, a transaction does not.
    producer, consumer = site.producer(), site.consumer({**MANUAL, "socket.timeout.ms": 60000})
    running = blocked(site, consumer, producer)
    for number in range(2):
        producer.delivered(mail(number))
    await_skips(consumer, 2)
    consumer.complete(running)
    resumed = consumer.next()
    wait_until(lambda: not site.tickets(), PATIENCE_S, "its ticket is used")
    return consumer, resumed


def with_a_job_to_hold(site):
    """The first one that there is to hold, and its consumer has it already, behind one that runs."""
    producer = site.producer()
    for number in range(2):
        producer.accepted(mail(number))
    producer.flush()
    consumer = site.consumer()
    consumer.next()
    return consumer


def test_servers_that_are_gone_hold_up_no_consumer_that_holds_and_resumes(make_kafka, own_redis, make_site, bound_s):
    """One is in the middle of a transaction then, one about to make a holding topic. Nothing is to be committed for
    either: with that librdkafka's own close waits for a coordinator, for longer than a minute."""
    kafka = make_kafka()
    settings = {LIMIT: 1, "jobgate.completion": "api"}
    servers = {"kafka": kafka, "redis": own_redis}
    resuming = make_site({**settings, "jobgate.namespace": "resuming", TOPIC: new_name()}, **servers)
    holding = make_site({**settings, "jobgate.namespace": "holding"}, **servers)
    resumer, running = with_jobs_to_bring_back(resuming)
    holder = with_a_job_to_hold(holding)
    kafka.pause()
    resumer.complete(running)
    wait_until(resuming.tickets, PATIENCE_S, "the next one has a ticket")
    await_skips(holder, 1)
    kafka.kill()
    own_redis.kill()
    began = time.monotonic()
    ends = [(consumer, consumer.app.send(word, handle=consumer.name))
            for word in ("close", "destroy") for consumer in (resumer, holder)]
    for consumer, number in ends:
        consumer.app.reply(number)
    assert time.monotonic() - began < bound_s
    for consumer in (resumer, holder):
        assert "abandoned" not in consumer.app.stderr


def test_handles_come_and_go(make_site):
    site = make_site({"jobgate.default.dedup": "until_executed"})
    app = site.app()
    for number in range(5):
        producer, consumer = site.producer(app=app), site.consumer(app=app)
        job = mail(number)
        assert producer.delivered(job).is_original
        assert consumer.next().jid == own_jid(job)
        consumer.close()
        consumer.destroy()
        producer.destroy()
    assert app.leave() < BOUND_S * 5
    assert app.returncode == 0


def test_one_handles_end_leaves_the_others_working(site):
    first = site.producer()
    second = site.producer(app=first.app)
    site.queued(first)
    first.destroy()
    assert second.delivered(mail()).header("jobgate-duplicate-of")
