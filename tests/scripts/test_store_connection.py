# SPDX-License-Identifier: Apache-2.0
"""The connection to Redis: who may use it, how long anything takes, and how it comes back."""

import contextlib
import os
import pathlib
import re
import socket
import threading
import time

import pytest

from scripts.shell import TIMEOUT_MS

# What the machine may add to a bound when it is busy with other tests.
SLACK_MS = 400
PASSWORD = "pa ss:w@rd/%"


@pytest.fixture
def fake():
    """fake(answer): a server that gives each connection to `answer(connection)`; returns its URL."""
    listeners = []

    def make(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve(connection):
            with contextlib.suppress(OSError), connection:
                answer(connection)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"redis://127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for listener in listeners:
        listener.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- who may use it ---


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_a_password_with_every_odd_character_is_understood(shell, make_redis, way):
    server = make_redis(users={"jobs": "on >odd:@/%x ~* +@all"})
    url = server.url(user="jobs", password="odd:@/%x") if way == "tcp" else server.unix_url(user="jobs", password="odd:@/%x")
    assert shell().open(url).word("claim 1 1") == "original"


def test_the_default_users_password_is_enough(shell, make_redis):
    server = make_redis(password="hush")
    assert shell().open(server.url()).word("claim 1 1") == "original"


def test_databases_are_apart(shell, redis):
    one, two = shell().open(redis.url(0)), shell().open(redis.url(5))
    assert one.word("claim 1 1") == "original"
    assert two.word("claim 1 2") == "original"
    assert one.word("claim 1 3") == "candidate"
    assert shell().open(redis.unix_url(5)).word("claim 1 4") == "candidate"


@pytest.mark.parametrize("userinfo", ["", ":wrong@", "jobs:wrong@", "nobody:hush@", "hush@"])
def test_without_the_right_password_it_says_so_and_never_the_password(shell, make_redis, userinfo):
    server = make_redis(password="hush", users={"jobs": "on >secret ~* +@all"})
    one = shell().open(f"redis://{userinfo}127.0.0.1:{server.port}")
    assert one.word("claim 1 1") == "estore"
    one.await_log(r"jobgate\.store redis://.*127\.0\.0\.1.*(asks for a password|password in the URL is wrong)")
    log = one.log()
    assert not re.search("wrong@|secret|hush|:wrong", log), log


def test_a_server_that_repeats_the_password_does_not_get_it_into_the_log(shell, fake):
    def answer(connection):
        got, answered = b"\r\n", 0
        while text := connection.recv(1 << 20):
            got += text
            commands = got.count(b"\r\n*") - answered
            answered += commands
            secret = got.decode(errors="replace").split("\r\n")[7]
            connection.sendall(f"-ERR unknown command `AUTH`, with args beginning with: `{secret}`\r\n".encode() * commands)

    url = fake(answer).replace("redis://", "redis://jobs:hush@")
    one = shell().open(url)
    assert one.word("claim 1 1") == "estore"
    one.await_log("not accepted")
    assert "hush" not in one.log()


@pytest.mark.parametrize("rules", ["~* +@all -evalsha", "~* +@all -info", "~* +@all -script", "~* +@all -hset",
                                   "~* -@all", "~other:* +@all"])
def test_a_user_without_rights_is_told_which_setting_to_look_at(shell, make_redis, rules):
    server = make_redis(users={"jobs": f"on >hush {rules}"})
    one = shell().open(server.url(user="jobs", password="hush"))
    assert one.word("claim 1 1") == "estore"
    one.await_log(r"jobgate\.store redis://\*\*\*@127\.0\.0\.1:\d+/0: the user in the URL lacks rights")
    assert one.word("up") == "no"
    assert "hush" not in one.log()


def test_the_smallest_acl_is_enough(shell, make_redis):
    rules = ("~jg1:shell:* &jg1:shell:* +auth +select +info +script|load +evalsha +publish +subscribe +time +get +set +del "
             "+exists +incr +pexpire +pttl +hget +hset +hmget +hdel +hexists +hlen +hgetall +hincrby +lpush +ltrim +lrange "
             "+zadd +zrem +zscore +zcard +zcount +zremrangebyscore +sadd +smembers +scan")
    server = make_redis(users={"jobs": f"on >hush {rules}"})
    one = shell().open(server.url(user="jobs", password="hush", database=1))
    for line, wanted in [("claim 1 1", "original"), ("claim 1 2", "candidate"), ("confirm 1 1", "changed"),
                         ("claim 1 3", "duplicate"), ("admit 1 1", "run"), ("claim 2 1", "original"),
                         ("keep 2 1", "changed"), ("release 2 1", "changed"), ("claim 3 1", "original"),
                         ("claim 3 2", "candidate"), ("release 3 1", "changed"), ("executed 3 2", "run"),
                         ("renew 3 2", "changed"), ("complete 3 2", "changed"), ("report", "ok"), ("duplicates", "ok"),
                         ("sync 4 1", "told"), ("limited 4 1", "run"), ("limited 4 2", "hold"), ("watch", "ok"),
                         ("complete 4 1", "changed"), ("woken", "yes"), ("woken", "no"), ("take 4 2", "1"),
                         ("place 4 2", "changed"), ("tickets", "ok"), ("limited 4 3", "hold"), ("drop 4 2", "changed"),
                         ("woken", "yes"), ("limited 4 4", "hold"), ("bury 4 4", "unchanged"), ("override 4 1", "told"),
                         ("woken", "yes"), ("lead 4 1", "changed"), ("leave 4 1", "unchanged"), ("woken", "yes"),
                         ("group 4 1", "changed"), ("announce 4 1", "changed"), ("woken", "yes"), ("check", "ok")]:
        assert one.word(line) == wanted, (line, one.log())


@pytest.mark.parametrize("setting, value, said", [("maxmemory", "1", "memory is full"),
                                                  ("min-replicas-to-write", "1", "without its replicas")])
def test_a_server_that_refuses_to_write_is_down_and_says_why(shell, own_redis, setting, value, said):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    with own_redis.client() as client:
        client.config_set(setting, value)
        assert one.word("claim 2 1") == "estore"
        one.await_log(said)
        assert one.word("up") == "no"
        client.config_set(setting, "0")
    one.until("claim 2 1", "original")
    one.await_log("answers again")
    # Nothing was done by halves.
    with own_redis.client() as client:
        assert all(client.pttl(key) > 0 for key in client.keys("*:claim:*"))


def test_a_replica_is_no_store(shell, own_redis, make_redis):
    one = shell().open(own_redis.url())
    with own_redis.client() as client:
        client.replicaof("127.0.0.1", str(make_redis().port))
        deadline = time.monotonic() + 10
        while client.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert one.word("claim 1 1") == "estore"
    one.await_log("is a replica: point the URL at the master")


def test_a_busy_server_is_down_until_it_answers(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    with own_redis.client(socket_timeout=30) as client:
        client.config_set("lua-time-limit", "10")
        looping = threading.Thread(target=loop, args=[own_redis])
        looping.start()
        deadline = time.monotonic() + 10
        while one.word("claim 2 1") != "estore":
            assert time.monotonic() < deadline
        with own_redis.client() as killer:
            until_killed(killer)
        looping.join()
    one.until("claim 3 1", "original")


def loop(server):
    with contextlib.suppress(Exception), server.client(socket_timeout=30) as client:
        client.eval("while true do end", 0)


def until_killed(client):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            client.execute_command("SCRIPT", "KILL")
            return
        except Exception:
            time.sleep(0.01)


# --- how long anything takes ---


def test_a_server_that_is_not_there_costs_no_timeout(shell):
    one = shell().open(f"redis://127.0.0.1:{free_port()}")
    word, took_ms = one("claim 1 1")
    assert word == "estore" and took_ms < TIMEOUT_MS
    one.await_log("Connection refused")


def test_a_name_that_does_not_resolve_is_an_error_within_the_bound(shell):
    one = shell().open("redis://no-such-host.invalid:6379")
    word, took_ms = one("claim 1 1")
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS
    one.await_log("no-such-host.invalid")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1"])
def test_a_host_may_be_a_name_or_an_address(shell, redis, host):
    assert shell().open(f"redis://{host}:{redis.port}").word("claim 1 1") == "original"


def test_ipv6_addresses_are_understood(shell, own_redis):
    with own_redis.client() as client:
        try:
            client.config_set("bind", "127.0.0.1 ::1")
        except Exception:
            pytest.skip("this machine has no IPv6")
    assert shell().open(f"redis://[::1]:{own_redis.port}").word("claim 1 1") == "original"


def test_a_server_that_stops_answering_costs_one_timeout_not_one_a_message(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    # Somebody tends the store, so no message has to try.
    one("tend")
    own_redis.pause()
    word, took_ms = one("claim 2 1")
    assert word == "estore" and TIMEOUT_MS - 1 <= took_ms < 2 * TIMEOUT_MS + SLACK_MS
    one.await_log("did not answer in time")
    assert one.word("up") == "no"
    # Longer than the pause before the next try.
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        word, took_ms = one("claim 3 1")
        assert word == "estore" and took_ms < TIMEOUT_MS / 2
    own_redis.resume()
    word, took_ms = one("wait 10000")
    assert word == "yes" and took_ms < 5000
    assert one.word("up") == "yes"
    assert one.word("claim 4 1") == "original"
    one.await_log("answers again")


def test_callers_that_wait_for_another_are_bounded_too(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("crowd 32") == "ok"
    own_redis.pause()
    word, took_ms = one("crowd 32")
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS
    own_redis.resume()
    one.until("crowd 32", "ok")


def test_a_first_connection_that_hangs_bounds_all_who_wait(shell, own_redis):
    one = shell().open(own_redis.url())
    own_redis.pause()
    word, took_ms = one("crowd 32")
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS
    own_redis.resume()
    one.until("crowd 32", "ok")


def test_a_server_that_accepts_and_says_nothing_is_given_up_within_the_bound(shell, fake):
    over = threading.Event()
    one = shell().open(fake(lambda connection: over.wait(30)))
    word, took_ms = one("claim 1 1")
    over.set()
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS
    one.await_log("did not answer in time")


def test_a_server_that_answers_byte_by_byte_is_given_up_within_the_bound(shell, fake):
    """The bound is on the whole exchange, not on each read."""

    def trickle(connection):
        for byte in b"$1000000\r\n" + b"x" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    word, took_ms = shell().open(fake(trickle))("claim 1 1")
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS


def test_waiting_ends_when_its_time_is_over(shell):
    one = shell().open(f"redis://127.0.0.1:{free_port()}")
    assert one.word("claim 1 1") == "estore"
    word, took_ms = one("wait 600")
    assert word == "no" and 599 <= took_ms < 600 + TIMEOUT_MS + SLACK_MS


def test_waiting_for_a_store_that_is_up_ends_at_once(shell, redis):
    one = shell().open(redis.url())
    assert one.word("claim 1 1") == "original"
    assert one("wait 5000")[1] < 100


# --- how it comes back ---


def test_without_anybody_to_tend_it_a_message_tries_again(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    own_redis.kill()
    assert one.word("claim 2 1") == "estore"
    own_redis.start()
    one.until("claim 3 1", "original")


def test_tending_closes_the_breaker(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    own_redis.kill()
    assert one.word("claim 2 1") == "estore"
    own_redis.start()
    deadline = time.monotonic() + 10
    while one.word("up") == "no":
        one("tend")
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert one.word("claim 3 1") == "original"


def test_a_restarted_server_is_used_at_once(shell, own_redis):
    """It closed the connection and forgot the scripts: that says nothing about whether it works."""
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    own_redis.restart()
    # Its data are there, but of an older epoch: the claim turns nothing away.
    assert one.word("claim 1 2") == "candidate"
    own_redis.restart_empty()
    assert one.word("claim 1 3") == "original"
    assert one.log() == ""


def test_forgotten_scripts_are_loaded_again(shell, redis):
    one = shell().open(redis.url())
    assert one.word("claim 1 1") == "original"
    with redis.client() as client:
        client.script_flush()
    assert one.word("claim 1 2 20") == "original"
    assert one.word("claim 1 3") == "candidate"
    assert one.log() == ""


def test_a_connection_that_was_closed_while_idle_costs_nothing(shell, redis):
    """And no SIGPIPE reaches the host."""
    one = shell().open(redis.url())
    for number in range(5):
        assert one.word(f"claim {number} 1") == "original"
        with redis.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert one.log() == ""


def test_a_closed_unix_socket_sends_no_sigpipe(shell, own_redis):
    one = shell().open(own_redis.unix_url())
    assert one.word("claim 1 1") == "original"
    own_redis.kill()
    assert one.word("claim 2 1 1000") == "estore"
    own_redis.start()
    one.until("claim 2 1", "original")


def test_classes_are_named_again_after_a_reconnect(shell, own_redis):
    one = shell().open(own_redis.url())
    assert one.word("claim 1 1") == "original"
    own_redis.restart_empty()
    assert one.word("claim 1 1") == "original"
    with own_redis.client() as client:
        assert client.smembers("jg1:shell:classes") == {"Class"}


def test_a_child_has_a_connection_of_its_own(shell, redis):
    one = shell().open(redis.url())
    assert one.word("claim 1 1") == "original"
    for number in range(5):
        assert one.word(f"fork 1 {number + 2}") == "candidate"
        assert one.word(f"claim 1 {number + 20}") == "candidate"
    with redis.client() as client:
        # The children's are closed, the parent's never was.
        assert client.info("stats")["total_connections_received"] >= 6
    assert one.log() == ""


def test_a_connection_is_not_inherited_by_programs_that_the_host_starts(shell, redis):
    one = shell().open(redis.url())
    assert one.word("claim 1 1") == "original"
    pid = one._process.pid
    sockets = [name for name in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")]
    assert sockets
    for name in sockets:
        with open(f"/proc/{pid}/fdinfo/{name}") as info:
            flags = int(re.search(r"flags:\s+(\d+)", info.read()).group(1), 8)
        assert flags & os.O_CLOEXEC


# --- a server that is none ---

NONSENSE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "ok to everything": b"+OK\r\n" * 20,
    "integers": b":1\r\n" * 20,
    "nil": b"$-1\r\n" * 20,
    "nothing in an array": b"*0\r\n" * 20,
    "a nil array": b"*-1\r\n" * 20,
    "an array of 2^31 elements": b"*2147483647\r\n" + b"+OK\r\n" * 50,
    "more elements than there are": b"*99999999999999999999\r\n",
    "arrays in arrays": b"*1\r\n" * 200,
    "a bulk of negative length": b"$-5\r\nabc\r\n",
    "a bulk of 2^40 bytes": b"$1099511627776\r\n" + b"x" * 1000,
    "zeros": b"\0" * 1000,
    "errors without a text": b"-\r\n" * 20,
    "an error with a tail": b"-ERR " + b"x" * 100000 + b"\r\n",
    "another protocol's map": b"%2\r\n+a\r\n+b\r\n+c\r\n+d\r\n",
    "a closed connection": b"",
    "half of a reply": b"$100\r\nabc",
    "run_id without an end": b"$20\r\nrun_id:" + b"a" * 12 + b"\r\n" + b"$3\r\nabc\r\n" * 7,
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_for_a_greeting_is_a_store_failure(shell, fake, nonsense):
    def answer(connection):
        connection.recv(65536)
        connection.sendall(nonsense)

    one = shell().open(fake(answer))
    word, took_ms = one("claim 1 1")
    assert word == "estore" and took_ms < 2 * TIMEOUT_MS + SLACK_MS
    one.await_log(r"jobgate\.store redis://127")
    assert one.word("report") == "estore"


JID = b"0" * 32 + b"-" + b"1" * 20
ANSWERS = {
    "of another shape": b"*1\r\n:1\r\n",
    "a status": b"+OK\r\n",
    "nil": b"$-1\r\n",
    "an error": b"-ERR something\r\n",
    "an unknown verdict": b"*5\r\n$7\r\nperhaps\r\n$0\r\n\r\n$1\r\nn\r\n:0\r\n:0\r\n",
    "a duplicate of nobody": b"*5\r\n$9\r\nduplicate\r\n$0\r\n\r\n$1\r\nq\r\n:0\r\n:0\r\n",
    "a duplicate of something long": b"*5\r\n$9\r\nduplicate\r\n$200\r\n" + b"a" * 200 + b"\r\n$1\r\nq\r\n:0\r\n:0\r\n",
    "a duplicate with a NUL": b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + b"\0" * 53 + b"\r\n$1\r\nq\r\n:0\r\n:0\r\n",
    "an unknown state": b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + JID + b"\r\n$1\r\nx\r\n:0\r\n:0\r\n",
    "a since that is a word": b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + JID + b"\r\n$1\r\nq\r\n$4\r\nsoon\r\n:0\r\n",
    "a follow-up that is none": b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + JID + b"\r\n$1\r\nr\r\n:17\r\n:1\r\n",
    "nested": b"*5\r\n:0\r\n*1\r\n:1\r\n*1\r\n:1\r\n*1\r\n:1\r\n*1\r\n:1\r\n",
}


# TIME, and since when it has our data.
SINCE = b"*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n" + b"$42\r\n" + b"0" * 40 + b" 1\r\n"
SCRIPTS = len(list((pathlib.Path(__file__).parents[2] / "connectors/redis/scripts").glob("*.lua"))) - 4  # four are none


def pretend(answer):
    """A server that greets as a Redis does, and then answers each call with that."""

    def serve(connection):
        rest = b""
        greeted = False
        while text := connection.recv(1 << 20):
            rest += text
            if not greeted:
                if rest.count(b"$6\r\nSCRIPT\r\n") < SCRIPTS or not rest.endswith(b"\r\n"):
                    continue
                info = b"# Server\r\nrun_id:" + b"0" * 40 + b"\r\n"
                connection.sendall(b"$%d\r\n%s\r\n" % (len(info), info) + (b"$40\r\n" + b"a" * 40 + b"\r\n") * SCRIPTS)
                greeted, rest = True, b""
                continue
            if b"since" in rest and rest.endswith(b"\r\n"):
                connection.sendall(SINCE)
                rest = b""
            if b"EVALSHA" in rest and rest.endswith(b"\r\n"):
                connection.sendall(b":1\r\n" * rest.count(b"$4\r\nSADD\r\n") + answer * rest.count(b"$7\r\nEVALSHA\r\n"))
                rest = b""

    return serve


def test_the_pretended_server_is_believed_when_it_makes_sense(shell, fake):
    sense = b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + JID + b"\r\n$1\r\nq\r\n:17\r\n:0\r\n"
    assert shell().open(fake(pretend(sense))).word("claim 1 1") == "duplicate"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_makes_no_sense_is_a_store_failure(shell, fake, answer):
    one = shell().open(fake(pretend(answer)))
    assert one.word("claim 1 1") == "estore"
    one.await_log("claim of class Class failed")
    # It concerned one operation: the others are not made to wait for the breaker.
    assert one.word("up") == "yes"


def test_a_reply_too_many_breaks_the_connection_not_the_next_answer(shell, fake):
    sense = b"*5\r\n$9\r\nduplicate\r\n$53\r\n" + JID + b"\r\n$1\r\nq\r\n:17\r\n:0\r\n"
    one = shell().open(fake(pretend(sense + sense)))
    assert one.word("claim 1 1") in ("duplicate", "estore")
    one.await_log("more replies than commands")


# --- URLs ---


@pytest.mark.parametrize("url, said", [
    ("redis://", "names no host"),
    ("redis://:hush@", "names no host"),
    ("redis://localhost:0", "port"),
    ("redis://localhost:99999", "port"),
    ("redis://localhost:hush", "port"),
    ("redis://user:hu/sh@localhost", "port"),
    ("redis://localhost/hush", "database"),
    ("redis://user:%zz@localhost", "percent"),
    ("redis://user:%00hush@localhost", "percent"),
    ("redis://user:hush%4@localhost", "percent"),
    ("redis://[::1", "bracket"),
    ("redis://[::1]6379", "between host and port"),
    ("rediss://user:hush@localhost", "TLS"),
    ("redis+unix://path", "starts with"),
    ("redis+unix:///", "path"),
    ("redis+unix:///tmp/x?db=hush", "db=N"),
    ("redis+unix:///tmp/x?db=1&x=hush", "db=N"),
    ("redis+unix:///" + "x" * 108, "107"),
    ("postgres://user:hush@localhost", "expected redis://"),
    ("hush", "expected redis://"),
])
def test_a_wrong_url_is_refused_and_never_repeated(shell, url, said):
    answer = shell().line(f"open {url} 250")
    assert answer.startswith("error jobgate.store: ") and said in answer
    assert "hush" not in answer and "%00" not in answer
