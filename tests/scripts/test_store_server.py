# SPDX-License-Identifier: Apache-2.0
"""What the server's state means for limits: data lost, a class that is new, settings that lose data."""

import re

import pytest


def test_a_server_that_lost_its_data_gives_no_slots_during_the_grace(shell, own_redis):
    one = shell().open(own_redis.url())
    one.until("graced 1 1", "run")
    assert one.word("complete 1 1") == "changed"
    own_redis.restart_empty()
    assert one.word("graced 1 2") == "later"
    one.until("graced 1 2", "run")
    with own_redis.client() as client:
        client.flushall()
    assert one.word("complete 1 2") == "unchanged"
    assert one.word("graced 1 3") == "later"
    one.until("graced 1 3", "run")


def test_a_class_that_is_new_to_a_server_that_lost_nothing_gets_slots_at_once(shell, own_redis):
    one = shell().open(own_redis.url())
    one.until("graced 1 1", "run")
    with own_redis.client() as client:
        client.delete(*client.keys("jg1:shell:{*"))
    assert one.word("graced 1 2") == "run"
    # ... also for who comes new: the server has said since when it has our data.
    with own_redis.client() as client:
        client.delete(*client.keys("jg1:shell:{*"))
    assert shell().open(own_redis.url()).word("graced 1 3") == "run"


def test_a_watch_is_broken_by_its_servers_end(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("watch") == "ok"
    assert one.word("woken") == "no"
    own_redis.restart_empty()
    assert one.word("woken") == "estore"
    assert one.word("unwatch") == "ok"
    assert one.word("watch") == "ok"
    assert one.word("announce 1 1") == "changed"
    assert one.word("woken") == "yes"
    assert one.word("unwatch") == "ok"


@pytest.mark.parametrize("settings, level, said", [
    ({}, None, None),
    ({"maxmemory-policy": "allkeys-lru"}, 5, "maxmemory-policy is allkeys-lru"),
    ({"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"}, 3, "maxmemory-policy is allkeys-lru"),
    ({"save": "", "appendonly": "no"}, 4, "saves nothing"),
])
def test_check_finds_what_is_wrong_with_a_server(shell, own_redis, settings, level, said):
    with own_redis.client() as client:
        for name, value in {"save": "3600 1", **settings}.items():
            client.config_set(name, value)
    one = shell().open(own_redis.url())
    assert one.word("check") == "ok"
    found = re.findall(r"check: (\d) (.*)", one.close())
    assert (not found) if said is None else [(int(number), said in text) for number, text in found] == [(level, True)]


@pytest.mark.parametrize("right", ["publish", "subscribe", "evalsha", "script"])
def test_check_finds_a_right_that_is_missing(shell, make_redis, right):
    server = make_redis(users={"jobs": f"on >hush ~* &* +@all -{right}"})
    one = shell().open(server.url(user="jobs", password="hush"))
    assert one.word("check") == "ok"
    log = one.close()
    assert f"check: 3 {'SCRIPT LOAD' if right == 'script' else right.upper()} is refused" in log
    assert "the user needs: ~jg1:shell:* &jg1:shell:* +auth" in log
