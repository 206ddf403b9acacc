# SPDX-License-Identifier: Apache-2.0
"""The store: one suite for Redis and memory, random sequences that compare the two, and many threads on one."""

import os
import re
import subprocess

import pytest

SEEDS = range(1, 5)
LONG_SEEDS = range(5, 10)


def run(command, redis, timeout_s=200):
    result = subprocess.run(command, env={**os.environ, "JOBGATE_TEST_REDIS": redis.url()}, capture_output=True,
                            text=True, timeout=timeout_s)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_both_stores_keep_every_promise_of_the_suite(program, redis):
    run([program("store_suite")], redis)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_get_the_same_answers_from_both_stores(program, redis, seed):
    run([program("store_compare"), "4999", str(seed)], redis)


def test_random_operations_come_to_every_situation(program, redis):
    """A run of 5000 steps and more has to have seen each at least once; some are rare, and what a seed leads to differs
    by the compiler."""
    for seed in LONG_SEEDS:
        try:
            run([program("store_compare"), "20000", str(seed)], redis)
            return
        except AssertionError as error:
            if seed == LONG_SEEDS[-1] or "something never came up" not in str(error):
                raise


def test_threads_share_a_redis_and_forks_leave_it_alone(program, redis):
    run([program("store_threads"), redis.url(), "3"], redis)


def test_threads_share_a_redis_on_a_unix_socket(program, redis):
    run([program("store_threads"), redis.unix_url(), "1"], redis)


def test_threads_share_a_memory_store(program, redis):
    run([program("store_threads"), "memory:", "1"], redis)


def commands(redis):
    """Calls a command, from INFO commandstats: those of scripts are listed like those of clients."""
    with redis.client() as client:
        return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in client.info("commandstats").items()}


# What each operation costs, in the state that it usually meets: commands inside the script.
COSTS = [
    ("claim 1 1", 6),  # an original
    ("claim 1 2", 7),  # a candidate
    ("claim 1 2", 2),  # told again
    ("confirm 1 1", 5),
    ("confirm 1 2", 3),  # the newest candidate
    ("claim 1 3", 7),  # a duplicate
    ("keep 1 1", 2),  # not provisional
    ("admit 1 1", 5),  # until_executing, with candidates
    ("claim 2 1", 6),
    ("release 2 1", 4),
    ("claim 3 1", 6),
    ("claim 3 2", 7),
    ("release 3 1", 7),  # passed on
    ("admit 3 2", 5),
    ("claim 5 1", 6),
    ("executed 5 1", 8),
    ("renew 5 1", 8),
    ("complete 5 1", 8),
    ("limited 6 1", 12),  # not claimed, a slot is free; the class is settled
    ("limited 6 1", 7),  # told again
    ("limited 6 2", 11),  # held
    ("claim 6 3", 6),
    ("limited 6 3", 11),  # held, the claim's owner
    ("sync 6 1", 6),
    ("take 6 2", 10),  # no slot is free
    ("complete 6 1", 7),  # nothing is held
    ("take 6 2", 11),  # a ticket
    ("take 6 2", 10),
    ("place 6 2", 4),
    ("drop 6 2", 3),
    ("bury 6 3", 6),
    ("lead 6 1", 4),
    ("leave 6 1", 5),
    ("group 6 1", 3),
    ("announce 6 1", 3),
    ("leased 7 1", 17),  # not claimed
    ("leased_leave 7 1", 7),
    ("leased 7 1", 17),
    ("leased 7 1", 9),  # told again
    ("leased 7 2", 14),  # held
    ("leased_renew 7 1", 9),
    ("leased_complete 7 1", 15),  # one is held
    ("leased_complete 7 1", 6),  # told again
    ("take 6 2", 11),
    ("drop 6 2", 3),
    ("chained 8 1", 15),  # its gauge does not exist
    ("chained_complete 8 1", 17),  # a successor with a claim
    ("chained 8 1", 7),  # done
    ("slotted 10 1", 18),  # not claimed
    ("slotted 10 1", 9),  # told again
    ("slotted_renew 10 1", 7),
    ("slotted_complete 10 1", 18),  # a successor with a claim
    ("free 10 1", 6),
    ("free 10 1", 3),  # told again
    ("keyed 9 1", 15),
    ("keyed 9 1", 9),  # told again
    ("keyed 9 2", 13),  # held
    ("keyed_renew 9 1", 8),
    ("keyed_sync 9 1", 6),
    ("take 9 2", 12),  # a ticket, among keys
    ("keyed_complete 9 1", 8),
    ("mark 9 1", 5),
    ("unmark 9 1", 4),
    ("followed_claim 11 1", 7),  # an original
    ("confirm 11 1", 5),
    ("followed 11 1", 10),
    ("followed_claim 11 2", 13),  # a follow-up
    ("followed_claim 11 2", 5),  # told again
    ("followed_confirm 11 2", 6),  # the newest
    ("followed 11 2", 14),  # held
    ("followed_claim 11 3", 13),
    ("followed_confirm 11 3", 6),
    ("followed 11 2", 8),  # skipped
    ("followed_take 11 3", 13),
    ("renew 11 1", 9),
    ("followed_complete 11 1", 15),  # the claim goes to it
    ("followed 11 3", 15),  # it runs
    ("followed_complete 11 3", 13),
    ("followed_claim 11 4", 9),  # newer than follow-ups
    ("followed 11 4", 13),
    ("override 6 1", 5),
]


def test_a_script_costs_what_its_header_says(program, redis, capsys):
    with subprocess.Popen([program("store_shell")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:

        def say(line):
            shell.stdin.write(line + "\n")
            shell.stdin.flush()
            return shell.stdout.readline()

        assert say(f"open {redis.url()} 5000") == "ok\n"
        say("claim 999 1")  # the first on the connection names the class and starts the epoch
        table = []
        for line, cost in COSTS:
            before = commands(redis)
            answer = say(line).split()[0]
            after = commands(redis)
            inner = {name: calls - before.get(name, 0) for name, calls in after.items()
                     if calls > before.get(name, 0) and name not in ("evalsha", "info", "client|setinfo", "select")}
            table.append((line, answer, sum(inner.values()), cost, inner))
        shell.stdin.close()
    with capsys.disabled():
        print()
        for line, answer, found, _, inner in table:
            print(f"  {line:14} {answer:10} {found} inner commands: "
                  + ", ".join(f"{count} {name}" for name, count in sorted(inner.items())))
    assert [(line, found) for line, _, found, _, _ in table] == [(line, cost) for line, _, _, cost, _ in table]


def test_the_loader_gives_each_script_what_its_header_lists(program, root):
    """store_shell prints the loader's table; the scripts' headers are the other side."""
    listed = subprocess.run([program("store_shell")], input="scripts\n", capture_output=True, text=True, timeout=20,
                            check=True).stdout.splitlines()
    found = []
    for path in sorted((root / "connectors/redis/scripts").glob("*.lua")):
        if path.stem in ("prelude", "follow", "heirs", "runs"):
            continue
        text = path.read_text()
        keys, arguments = (re.search(rf"^-- {field} (.*(?:\n--  .*)*)", text, re.MULTILINE).group(1).replace("\n--", "").strip()
                           for field in ("KEYS", "ARGV"))
        found.append(f"{path.stem}: {re.sub(' +', ' ', keys)} | {re.sub(' +', ' ', arguments)}")
    assert sorted(listed) == found
