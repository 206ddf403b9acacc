# SPDX-License-Identifier: Apache-2.0
"""The `jobgate` command on leases and capacity: who holds a lease, what the gauges say, and why a job does not run, for
every reason there is. What the store holds is written here as its scripts write it."""

import json

import pytest

from live.test_cli_limits import (KAFKA, KEY, NEGATIVE, OK, STORE, USAGE, jid, jobgate, now_ms, read, settings,
                                  store)
from support.processes import free_ports

OTHER_KEY = "f" * 32
INSTANCE = "0123456789abcdef"
FIRST, NEXT = jid(1), jid(1) + "-1"


def member(job, offset=17, topic="jobs.v1"):
    return f"{job}@{INSTANCE}@{topic}/0/{offset}"


class Class:
    """A class in the store, as consumers and the store's scripts leave it."""

    def __init__(self, client, name):
        self.client, self.name = client, name
        client.sadd("jg1:default:classes", name)

    def key(self, what):
        return f"jg1:default:{{{self.name}}}:{what}"

    def says(self, **settings):
        """As a running consumer tells its settings of the class."""
        told = {"limit": 0, "ttl": 30000, "ahead": 0, "max_age": 0, **settings}
        self.client.hset(self.key("limits"), mapping=told)
        self.client.hset(self.key("instances"), "host-1", f"{told['limit']} {now_ms()}")

    def runs(self, job, left_ms=30000, **place):
        self.client.zadd(self.key("run"), {member(job, **place): now_ms() + left_ms})

    def lease(self, job, token, key=None):
        self.client.hset(self.key(f"lease:{key}" if key else "lease"), mapping={"m": member(job), "tok": token})

    def chain(self, number, job=None):
        self.client.hset(self.key(f"chain:{FIRST}"), mapping={"n": number, "m": member(job) if job else ""})

    def done(self, job, following="", waits=0):
        self.client.hset(self.key(f"done:{job}"), mapping={"m": member(job), "next": following, "waits": waits})

    def ticket(self, job, position="jobs.v1/0/21"):
        self.client.hset(self.key("tkt"), job, f"{now_ms()} {position}")

    def claim(self, job, state):
        """Its claim, which was told by the store's own operations, in that state."""
        self.client.hset(self.key(f"claim:{KEY}"), mapping={"jid": job, "st": state})

    def held(self, count, age_ms=200000):
        self.client.hset(self.key("held"), mapping={"n": count, "oldest": now_ms() - age_ms if count else 0})


@pytest.fixture
def mail(redis):
    return Class(redis.client(), "Mail")


# --- words ---


@pytest.mark.parametrize("word", ["leases", "capacity", "explain"])
def test_every_word_has_help(cli, word):
    assert f"\n  {word} " in cli("help").stdout
    told = cli(word, "--help")
    assert told.returncode == OK
    assert told.stdout.startswith(f"usage: jobgate {word} ")
    assert "--json" in told.stdout
    assert cli("help", word).stdout == told.stdout


@pytest.mark.parametrize("words", [
    ["leases", "Mail", "x"], ["leases", ""], ["leases", "--nonsense"], ["capacity"], ["capacity", ""],
    ["capacity", "Mail", "5"], ["capacity", "x" * 513], ["explain", KEY, "--group", "g"], ["explain", KEY, "--topic", "t"],
    ["explain", KEY, "--timeout", "5"], ["explain", KEY, "--scan", "--topic", "t", "--timeout", "soon"],
    ["explain", KEY, "--scan", "--topic", "^t"], ["explain", KEY, "--scan"], ["explain", KEY, "--scan", "--topic", "t"],
    ["explain", KEY, "--scan", "--topic", "t", "--group", "g" * 300]])
def test_wrong_usage_ends_with_2(jobgate, words):
    told = jobgate(*words)
    assert told.returncode == USAGE
    assert told.stdout == ""
    assert "jobgate" in told.stderr


@pytest.mark.parametrize("words", [["leases"], ["leases", "Mail"], ["capacity", "Mail"], ["explain", NEXT]])
def test_a_store_that_does_not_answer_ends_with_3(cli, settings, words):
    (port,) = free_ports(1)
    told = cli(*words, "-X", f"jobgate.store=redis://127.0.0.1:{port}")
    assert told.returncode == STORE
    assert "jobgate.store" in told.stderr


def test_a_scan_of_a_kafka_that_does_not_answer_ends_with_4(jobgate):
    (port,) = free_ports(1)
    told = jobgate("explain", KEY, "--scan", "--topic", "jobs", "--bootstrap-servers", f"127.0.0.1:{port}")
    assert told.returncode == KAFKA
    assert "Kafka does not tell" in told.stderr


# --- leases ---


def test_no_lease_is_held_when_none_was_given(jobgate, read, mail):
    assert "No lease is held" in jobgate("leases").stdout
    assert read("leases")["leases"] == []


def test_a_lease_is_shown_with_its_holder_and_its_token(jobgate, read, mail):
    mail.runs(FIRST)
    mail.lease(FIRST, 1700000000001)
    (lease,) = read("leases")["leases"]
    assert (lease["class"], lease["key"], lease["held"], lease["token"]) == ("Mail", None, True, 1700000000001)
    holder = lease["holder"]
    assert (holder["jid"], holder["instance"]) == (FIRST, INSTANCE)
    assert (holder["topic"], holder["partition"], holder["offset"]) == ("jobs.v1", 0, 17)
    assert 0 < holder["expires_ms"] - now_ms() <= 30000
    text = jobgate("leases").stdout
    assert "Mail  held, token 1700000000001, expires in " in text
    assert f"job {FIRST}, on {INSTANCE}, at jobs.v1/0/17" in text


def test_leases_by_key_of_all_classes_are_listed_in_order(jobgate, read, redis, mail):
    report = Class(redis.client(), "Report::Daily")
    redis.client().sadd("jg1:default:classes", "Report")
    report.key = lambda what: f"jg1:default:{{Report-3a-3aDaily}}:{what}"
    report.runs(jid(3))
    report.lease(jid(3), 7)
    mail.says(lease="key")
    for number, key in ((1, OTHER_KEY), (2, KEY)):
        mail.runs(jid(number, key))
        mail.lease(jid(number, key), number, key)
    told = read("leases")["leases"]
    assert [(one["class"], one["key"], one["token"]) for one in told] == [
        ("Mail", KEY, 2), ("Mail", OTHER_KEY, 1), ("Report::Daily", None, 7)]
    assert f"Mail  key {KEY}  held, token 2" in jobgate("leases").stdout
    assert [one["class"] for one in read("leases", "Report::Daily")["leases"]] == ["Report::Daily"]


def test_a_lease_whose_run_has_expired_is_free_and_its_last_token_is_told(jobgate, read, mail):
    mail.says(lease="key")
    mail.runs(FIRST, left_ms=-1)
    mail.lease(FIRST, 5)
    mail.lease(jid(1, OTHER_KEY), 6, OTHER_KEY)
    told = read("leases")
    assert (told["leases"], told["free"]) == ([], 2)
    assert "2 free" in jobgate("leases").stdout
    told = read("leases", "--all")["leases"]
    assert [(one["held"], one["token"], one["holder"]) for one in told] == [(False, 5, None), (False, 6, None)]
    assert "Mail  free, last token 5\n" in jobgate("leases", "--all").stdout


def test_leases_of_a_class_that_is_not_known_end_with_1(jobgate, read, mail):
    assert read("leases", "Male", ends=NEGATIVE)["leases"] == []
    told = jobgate("leases", "Male")
    assert told.returncode == NEGATIVE
    assert "'Male' is not known" in told.stderr


# --- capacity ---


def next_of(read):
    return read("capacity", "Mail")["next"]


def test_a_class_that_is_not_known_has_no_capacity(jobgate, read, redis):
    assert read("capacity", "Mail", ends=NEGATIVE)["known"] is False
    assert "'Mail' is not known" in jobgate("capacity", "Mail").stderr


def test_a_class_without_capacity_says_how_to_get_one(jobgate, read, mail):
    mail.says(limit=3)
    assert read("capacity", "Mail")["capacity"] is None
    assert "jobgate.class.Mail.capacity" in jobgate("capacity", "Mail").stdout


def test_load_and_work_are_told_and_what_comes_next(jobgate, read, mail, redis):
    mail.says(capacity=10, load="app:load", work="app:work")
    redis.client().set("app:load", 7)
    redis.client().rpush("app:work", "a", "b")
    told = read("capacity", "Mail")
    assert told["capacity"] == {"capacity": 10, "full": False,
                                "load": {"key": "app:load", "value": 7, "state": "fine"},
                                "work": {"key": "app:work", "value": 2, "state": "fine"}}
    assert told["next"].startswith("Below capacity: the next job of the class starts as it comes up")
    text = jobgate("capacity", "Mail").stdout
    assert "capacity  10\n" in text
    assert "load      7, by Redis key 'app:load'" in text and "work      2, by Redis key 'app:work'" in text


def test_at_capacity_the_next_job_waits(jobgate, read, mail, redis):
    mail.says(capacity=10, load="app:load")
    mail.held(2)
    redis.client().set("app:load", 10)
    told = read("capacity", "Mail")
    assert (told["capacity"]["full"], told["held"]) == (True, 2)
    assert told["next"] == ("At capacity: the next job of the class waits until load falls below 10, in the holding "
                            "topic.")
    text = jobgate("capacity", "Mail").stdout
    assert text.split()[-len(told["next"].split()):] == told["next"].split()
    assert "held      2, the oldest for 3 min" in text and "so work always remains" in text


@pytest.mark.parametrize("value", ["many", ""])
def test_a_load_that_is_no_number_counts_as_full_and_the_cure_is_told(jobgate, read, mail, redis, value):
    mail.says(capacity=10, load="app:load")
    redis.client().set("app:load", value)
    told = read("capacity", "Mail")
    assert told["capacity"]["full"] is True
    assert told["capacity"]["load"] == {"key": "app:load", "value": None, "state": "wrong"}
    text = jobgate("capacity", "Mail").stdout
    assert "'app:load' holds no number and no collection, so it counts as full" in text
    assert "jobgate.class.Mail.capacity.load" in text and "Counts as full" in text


def test_a_load_that_is_not_there_counts_as_0_and_is_said_to_be_absent(jobgate, read, mail):
    mail.says(capacity=10, load="app:load")
    assert read("capacity", "Mail")["capacity"]["load"] == {"key": "app:load", "value": 0, "state": "absent"}
    assert "Redis key 'app:load' does not exist" in jobgate("capacity", "Mail").stdout


def test_work_that_is_no_number_counts_as_work_and_the_cure_is_told(jobgate, read, mail, redis):
    mail.says(capacity=10, load="app:load", work="app:work")
    redis.client().mset({"app:load": 1, "app:work": "much"})
    assert read("capacity", "Mail")["capacity"]["work"] == {"key": "app:work", "value": None, "state": "wrong"}
    text = jobgate("capacity", "Mail").stdout
    assert "'app:work' holds no number and no collection, so it counts as work" in text
    assert "jobgate.class.Mail.capacity.work" in text


def test_without_work_no_job_is_enqueued_again(read, mail, redis):
    mail.says(capacity=10, load="app:load", work="app:work")
    redis.client().mset({"app:load": 1, "app:work": 0})
    assert next_of(read).endswith("no work remains, so a job that ends is not enqueued again.")


def test_what_else_is_in_the_way_is_said(read, mail, redis):
    redis.client().set("app:load", 1)
    mail.says(capacity=10, load="app:load", limit=1, lease="class")
    mail.held(1)
    assert "those that wait longest first" in next_of(read)
    mail.runs(FIRST)
    assert "as many jobs as its limit of 1 allows" in next_of(read)
    mail.says(capacity=10, load="app:load", lease="class")
    assert "holds its lease" in next_of(read)
    mail.says(capacity=10, load="app:load", limit=-1)
    assert next_of(read) == "Paused: no job of the class starts until `jobgate unpause Mail`."


# --- status ---


def test_status_lists_leases_and_capacity_where_there_are_any(jobgate, read, mail, redis):
    Class(redis.client(), "Report").says(lease="key")
    Class(redis.client(), "Other")
    assert read("status")["classes"][0]["lease"] == "none"
    mail.says(capacity=10, load="app:load", lease="class")
    redis.client().set("app:load", 12)
    told = {one["class"]: one for one in read("status")["classes"]}
    assert (told["Mail"]["lease"], told["Mail"]["capacity"]["load"]["value"]) == ("class", 12)
    assert (told["Report"]["lease"], told["Report"]["capacity"], told["Other"]["lease"]) == ("key", None, "none")
    table = [line.split() for line in jobgate("status").stdout.split("\n\n")[-1].splitlines()]
    assert table == [["class", "lease", "capacity", "load"], ["Mail", "class", "10", "12,", "full"],
                     ["Report", "key", "-", "-"]]


def test_status_of_classes_without_leases_has_no_such_table(jobgate, mail):
    mail.says(limit=3)
    assert "capacity" not in jobgate("status").stdout


# --- explain: the job itself ---


def explain(read, subject, *words, ends=OK):
    return read("explain", subject, *words, ends=ends)


def reasons(told):
    return [why["reason"] for why in told["why"]]


@pytest.mark.parametrize("suffix", ["-1", "-57", "-9999999999"])
def test_a_jid_of_a_chain_is_taken(read, redis, suffix):
    told = explain(read, jid(1).upper() + suffix, ends=NEGATIVE)
    assert (told["jid"], told["key"], told["found"]) == (jid(1) + suffix, KEY, False)


@pytest.mark.parametrize("suffix", ["-", "-0", "-01", "-x", "-12345678901", "-1-1", "1"])
def test_a_jid_with_a_wrong_number_is_refused(jobgate, redis, suffix):
    told = jobgate("explain", jid(1) + suffix)
    assert told.returncode == USAGE
    assert "neither a job key" in told.stderr


def test_a_job_without_a_claim_that_runs_is_explained(jobgate, read, mail):
    mail.runs(NEXT)
    told = explain(read, NEXT)
    assert (told["class"], told["claim"], told["why"]) == ("Mail", None, [])
    assert told["job"]["run"]["member"] == member(NEXT)
    text = jobgate("explain", NEXT).stdout
    assert f"It runs now: job {NEXT}, on {INSTANCE}, at jobs.v1/0/17" in text
    assert "does not run" not in text
    assert explain(read, FIRST, ends=NEGATIVE)["found"] is False


def test_a_job_that_has_ended_names_its_successor(jobgate, read, mail):
    mail.done(FIRST, NEXT)
    mail.chain(0, FIRST)
    told = explain(read, FIRST)
    assert (told["job"]["done"], told["job"]["next"], reasons(told)) == (True, NEXT, ["done"])
    assert told["job"]["chain"] == {"number": 0, "run": told["job"]["chain"]["run"]}
    assert f"was enqueued again as {NEXT}" in jobgate("explain", FIRST).stdout


def test_a_job_that_may_have_been_a_no_op_is_said_to_be_so(read, mail):
    mail.says(lease="class")
    mail.done(FIRST)
    (why,) = explain(read, FIRST)["why"]
    assert why["reason"] == "done" and "no-op" in why["text"] and "reason taken" in why["text"]


def test_a_job_whose_chain_has_gone_on_is_a_copy(jobgate, read, mail):
    mail.chain(3, jid(1) + "-3")
    told = explain(read, NEXT)
    assert (told["job"]["chain"]["number"], reasons(told)) == (3, ["copy"])
    assert "Number 3 of its chain has started, and this is number 1" in jobgate("explain", NEXT).stdout
    (why,) = explain(read, jid(1) + "-3")["why"]
    assert why["reason"] == "copy" and member(jid(1) + "-3") in why["text"]


def test_a_job_that_was_resumed_is_explained(jobgate, read, mail):
    mail.ticket(FIRST)
    told = explain(read, FIRST)
    assert told["job"]["ticket"]["position"] == "jobs.v1/0/21"
    assert reasons(told) == ["resuming"]
    assert "It was resumed, and has a ticket since" in jobgate("explain", FIRST).stdout


# --- explain: what is in the way of its class ---


@pytest.fixture
def held(store, mail):
    """A job that is held, by its claim."""
    store("claim", "Mail", KEY, FIRST, "until_executed")
    store("confirm", "Mail", KEY, FIRST, "until_executed")
    mail.claim(FIRST, "h")
    mail.held(1)
    return mail


def test_a_held_job_of_a_class_that_could_run_waits_for_the_resumer(jobgate, read, held):
    held.says(limit=3)
    assert reasons(explain(read, FIRST)) == ["resuming"]
    text = jobgate("explain", KEY).stdout
    assert f"Why {FIRST} does not run now:\n  resuming  " in text
    assert "`jobgate resume`" in text


@pytest.mark.parametrize("reason, told, says", [
    ("paused", {"limit": -1}, "`jobgate unpause Mail`"),
    ("limit", {"limit": 1}, "Its class runs 1 jobs, and its limit is 1"),
    ("capacity", {"capacity": 10, "load": "app:load"}, "Load is 12, and capacity 10"),
    ("capacity", {"capacity": 10, "load": "app:text"}, "'app:text', holds no number"),
    ("lease", {"lease": "class"}, f"Job {jid(2, OTHER_KEY)} holds the lease, on {INSTANCE}"),
])
def test_what_keeps_a_held_job_is_named(jobgate, read, held, redis, reason, told, says):
    redis.client().mset({"app:load": 12, "app:text": "x"})
    held.runs(jid(2, OTHER_KEY))
    held.lease(jid(2, OTHER_KEY), 5)
    held.says(**told)
    for subject in (FIRST, KEY):
        explained = explain(read, subject)
        assert reasons(explained) == [reason]
        assert says in explained["why"][0]["text"]
    assert f"\n  {reason} " in jobgate("explain", FIRST).stdout


def test_the_lease_of_its_own_key_alone_is_in_its_way(read, held):
    held.says(lease="key")
    held.runs(jid(2, OTHER_KEY))
    held.lease(jid(2, OTHER_KEY), 5, OTHER_KEY)
    assert reasons(explain(read, FIRST)) == ["resuming"]
    held.runs(NEXT)
    held.lease(NEXT, 6, KEY)
    (why,) = explain(read, FIRST)["why"]
    assert why["reason"] == "lease" and "An earlier run of it, or of one before it in its chain" in why["text"]


def test_a_successor_that_is_held_may_wait_for_its_backoff(read, held):
    held.says(capacity=10, load="app:load")
    held.claim(NEXT, "h")
    held.chain(0, FIRST)
    (why,) = explain(read, NEXT)["why"]
    assert why["reason"] == "retry" and "--scan" in why["text"]


def test_a_queued_job_goes_behind_what_is_held_and_a_full_class_stops_consumers(read, held):
    held.says(limit=3)
    held.claim(FIRST, "q")
    assert reasons(explain(read, FIRST)) == ["behind"]
    assert reasons(explain(read, FIRST, "-X", "jobgate.class.Mail.hold.max=1")) == ["behind", "full"]
    held.held(0)
    assert reasons(explain(read, FIRST)) == ["queued"]


def test_after_a_loss_of_data_the_grace_is_named(read, held, redis):
    held.says(limit=3)
    redis.client().hset(held.key(f"claim:{KEY}"), "ep", 1)
    told = explain(read, FIRST)
    assert told["claim"]["old_epoch"] is True
    assert "grace" in reasons(told)


def test_a_duplicate_is_explained_as_one(read, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    store("confirm", "Mail", KEY, jid(1), "until_executing")
    store("claim", "Mail", KEY, jid(2), "until_executing")
    assert reasons(explain(read, jid(2))) == ["duplicate"]
    assert reasons(explain(read, jid(1))) == ["queued"]


def test_json_of_a_job_that_is_not_known_has_every_part(read, redis):
    told = explain(read, FIRST, ends=NEGATIVE)
    assert json.dumps([told["why"], told["scan"]]) == "[[], null]"
