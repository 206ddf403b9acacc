# SPDX-License-Identifier: Apache-2.0
"""A chain whose workers are killed at random moments, by SIGKILL: it neither ends nor forks, and load never passes the
capacity.

A job's migration is written under the job's jid (tests/support/worker.c), so that a job that runs twice is one.
JGTEST_KILLS says how many are killed, one after another: scripts/soak asks for more.
"""

import os
import random
import time

import pytest

from live.capacity import (CAPACITY, CLS, ENQUEUER, GAUGE, chain_of, number_of, setting, waiting)
from support.app import raw_produce_many
from support.crew import overlap_of
from support.jobs import timed_job
from support.processes import wait_until

WORKERS = 4
PARTITIONS = 4
TTL_MS = 5000
KILLS = int(os.environ.get("JGTEST_KILLS", "10"))
SETTINGS = {**ENQUEUER, setting("lease.ttl.ms"): TTL_MS, setting("done.ttl.ms"): 3600000}


def begin(make_crew_site, make_crew, recorder):
    """A crew that is at work on a chain, produced without a plugin."""
    site = make_crew_site(SETTINGS, partitions=PARTITIONS, mortal=True)
    crew = make_crew(site, WORKERS, {"auto.commit.interval.ms": 200}, load=(site.redis.socket_path, GAUGE))
    site.await_workers(recorder, WORKERS)
    raw_produce_many(site.kafka, site.topic, [timed_job(CLS, 20, ["all"])])
    wait_until(lambda: recorder.runs(CLS), 60, "the chain begins")
    return site, crew


def load(site):
    return site.redis.client().scard(GAUGE)


def end_migrations(site, dice):
    """Some of those that are under way end, in no order."""
    migrations = site.redis.client().smembers(GAUGE)
    for jid in dice.sample(sorted(migrations), min(len(migrations), dice.randint(1, 4))):
        site.redis.client().srem(GAUGE, jid)


def kill_and_go_on(site, crew, recorder, dice, timeout_s=120):
    """Kill a worker, mostly the one that runs the chain, at a random moment; until the chain has gone on since."""
    runs = recorder.runs(CLS)
    by_pid = {crew.pid(number): number for number in crew.running()}
    victim = by_pid.get(runs[-1].pid) if dice.random() < 0.8 else None
    time.sleep(dice.uniform(0, 0.06))  # the moment is what the test is about: in a job, at its end, or between two
    victim = dice.randrange(WORKERS) if victim is None else victim
    crew.kill(victim)
    crew.restart(victim)
    before = number_of(recorder.runs(CLS)[-1].stamp)

    def went_on():
        if load(site) >= CAPACITY:
            end_migrations(site, dice)
        return number_of(recorder.runs(CLS)[-1].stamp) > before + 2

    wait_until(went_on, timeout_s, f"the chain goes on after number {before}", interval_s=0.05)


def assert_one_chain(recorder):
    """Its numbers never went back, and a number ran at a second place only after it was held."""
    runs = recorder.runs(CLS)
    assert len({chain_of(run.stamp) if run.stamp != "-" else "-" for run in runs} - {"-"}) == 1
    numbers = [number_of(run.stamp) for run in runs]
    assert numbers == sorted(numbers), f"a number ran after a larger one: {numbers}"
    assert sorted(set(numbers)) == list(range(max(numbers) + 1)), "a number was left out"
    for before, after in zip(runs, runs[1:]):
        same = before.stamp == after.stamp
        assert not same or before.position == after.position or after.resumed > 0, f"a copy ran: {before} {after}"
    assert overlap_of([(run.start_us, run.end_us) for run in runs if run.end_us]) == 1
    return len(numbers) - len(set(numbers))


def await_rest(site, timeout_s=60):
    """Until the capacity is full and the chain waits; the one jid that is alive."""

    def at_rest():
        if load(site) < CAPACITY or site.running(CLS) or site.tickets(CLS):
            return None
        committed = [site.committed(number) for number in range(PARTITIONS)]
        log = site.log()
        ends = [max([record.offset + 1 for record in log if record.partition == number], default=0)
                for number in range(PARTITIONS)]
        # The last record of a transaction is a mark of the broker's.
        behind = any(end > max(at, 0) for at, end in zip(committed, ends))
        return None if behind else {record.stamp for record in waiting(site)} or None

    stamps = wait_until(at_rest, timeout_s, "the chain waits, and nothing else is on its way", interval_s=0.2)
    assert len(stamps) == 1, f"the chain has forked: {sorted(stamps)}"
    return stamps.pop()


@pytest.mark.timeout(120 + 40 * KILLS)
def test_workers_killed_at_random_leave_one_chain_and_the_capacity_kept(make_crew_site, make_crew, recorder):
    dice = random.Random(11)
    site, crew = begin(make_crew_site, make_crew, recorder)
    for number in range(KILLS):
        kill_and_go_on(site, crew, recorder, dice)
        assert int(site.redis.client().get(f"{GAUGE}:most")) <= CAPACITY, f"after kill {number + 1}"
    alive = await_rest(site)
    # Once more: one migration ends, one step, and no more.
    for _ in range(3):
        site.redis.client().spop(GAUGE)
        after = await_rest(site)
        assert number_of(after) == number_of(alive) + 1
        alive = after
    second = assert_one_chain(recorder)
    runs = recorder.runs(CLS)
    print(f"{KILLS} kills, {len(runs)} runs, {second} of them second ones, the chain is at {number_of(alive)}; "
          f"killed in a job: {sum(run.killed for run in runs)}")
    assert int(site.redis.client().get(f"{GAUGE}:most")) == CAPACITY
    assert not site.read(site.dead_topic)
    crew.check()
