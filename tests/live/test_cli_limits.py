# SPDX-License-Identifier: Apache-2.0
"""The `jobgate` command on limits: what it sets in the store and says of it; what it reads in holding topics; what it
finds wrong with topics; and that it brings back what is held, without any consumer."""

import json
import os
import signal
import subprocess
import time
import uuid
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer as RawConsumer
from confluent_kafka import Producer as RawProducer
from confluent_kafka import TopicPartition

from support.app import raw_consume
from support.kafka import QUIET
from support.processes import free_ports, wait_until

KEY = "0123456789abcdef0123456789abcdef"
OK, NEGATIVE, USAGE, STORE, KAFKA = 0, 1, 2, 3, 4
HOLDING = {"retention.ms": -1, "retention.bytes": -1, "cleanup.policy": "delete", "max.message.bytes": 1114124}


def jid(number, key=KEY):
    return f"{key}-{number:020x}"


def now_ms():
    return int(time.time() * 1000)


@pytest.fixture
def settings(monkeypatch, redis):
    """Words that name the test's Redis; nothing of the environment counts."""
    for name in list(os.environ):
        if name.startswith("JOBGATE_"):
            monkeypatch.delenv(name)
    return ["-X", f"jobgate.store={redis.url()}"]


@pytest.fixture
def jobgate(cli, settings):
    def run(word, *words, **options):
        result = cli(word, *words, *settings, **options)
        assert "Sanitizer" not in result.stderr
        return result

    return run


@pytest.fixture
def read(jobgate):
    """read("limit", "Mail") -> what it prints with --json; the command must end well."""

    def run(word, *words, ends=OK):
        result = jobgate(word, *words, "--json")
        assert result.returncode == ends, result.stdout + result.stderr
        return json.loads(result.stdout)

    return run


@pytest.fixture
def store(redis, program):
    def run(*words):
        result = subprocess.run([program("store_ops"), redis.url(), "default"], input=" ".join(words) + "\n",
                                capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


@pytest.fixture
def consumer_says(redis):
    """consumer_says("Mail", 10): as a running consumer tells its settings of a class."""

    def run(name, limit, instance="host-1"):
        client = redis.client()
        client.hset(f"jg1:default:{{{name}}}:limits", mapping={"limit": limit, "ttl": 30000, "ahead": 0, "max_age": 0})
        client.hset(f"jg1:default:{{{name}}}:instances", instance, f"{limit} {now_ms()}")

    return run


# --- words ---


@pytest.mark.parametrize("word", ["check", "limit", "pause", "unpause", "held", "group", "resume", "drain"])
def test_every_word_has_help(cli, word):
    assert f"\n  {word} " in cli("help").stdout
    told = cli(word, "--help")
    assert told.returncode == OK
    assert told.stdout.startswith(f"usage: jobgate {word} ")
    assert cli("help", word).stdout == told.stdout


@pytest.mark.parametrize("words", [
    ["limit"], ["limit", "Mail", "x"], ["limit", "Mail", "1000001"], ["limit", "Mail", "-2"],
    ["limit", "Mail", "1", "2"], ["limit", ""], ["pause"], ["pause", "Mail", "1"], ["unpause"], ["unpause", "Mail", "--limit", "x"],
    ["unpause", "Mail", "--limit", "-1"], ["group"], ["group", "jobs", "a", "b"], ["group", "jobs", "a", "--clear"],
    ["group", "jobs", "g" * 300], ["held", "Mail"], ["held", "Mail", "--group", "g"],
    ["held", "Mail", "--group", "g", "--topic", "t", "--count", "x"], ["check", "x"], ["resume"],
    ["resume", "--group", "g", "x"], ["drain", "jobs"], ["drain", "--group", "g"],
    ["drain", "jobs", "--group", "g", "--timeout", "soon"], ["drain", "^jobs", "--group", "g"]])
def test_wrong_usage_ends_with_2(jobgate, words):
    told = jobgate(*words)
    assert told.returncode == USAGE
    assert told.stdout == ""
    assert "jobgate" in told.stderr


@pytest.mark.parametrize("words", [["held", "Mail", "--group", "g", "--topic", "t"], ["resume", "--group", "g", "-X",
                                   "jobgate.topics=jobs"], ["drain", "jobs", "--group", "g"]])
def test_who_needs_kafka_says_how_to_name_it(jobgate, words):
    told = jobgate(*words)
    assert told.returncode == USAGE
    assert "--bootstrap-servers" in told.stderr


def test_a_resumer_without_topics_says_what_is_missing(jobgate):
    told = jobgate("resume", "--group", "g", "--bootstrap-servers", "127.0.0.1:1")
    assert told.returncode == USAGE
    assert "jobgate.topics is not set" in told.stderr


@pytest.mark.parametrize("words", [["limit", "Mail"], ["limit", "Mail", "3"], ["pause", "Mail"], ["unpause", "Mail"],
                                   ["group", "jobs"], ["group", "jobs", "g"], ["check"]])
def test_a_store_that_does_not_answer_ends_with_3(cli, settings, words):
    (port,) = free_ports(1)
    told = cli(*words, "-X", f"jobgate.store=redis://127.0.0.1:{port}")
    assert told.returncode == STORE
    assert "jobgate.store" in told.stderr


@pytest.mark.parametrize("words", [["held", "Mail", "--group", "g", "--topic", "t"], ["check"],
                                   ["drain", "jobs", "--group", "g"]])
def test_a_kafka_that_does_not_answer_ends_with_4(jobgate, words):
    (port,) = free_ports(1)
    told = jobgate(*words, "--bootstrap-servers", f"127.0.0.1:{port}")
    assert told.returncode == KAFKA
    assert "Kafka does not tell" in told.stderr


# --- limit, pause, unpause ---


def test_a_limit_that_was_never_told_is_not_known(jobgate, read):
    told = jobgate("limit", "Mail")
    assert told.returncode == NEGATIVE
    assert "'Mail' is not known" in told.stderr
    assert read("limit", "Mail", ends=NEGATIVE)["known"] is False


def test_the_limit_of_the_settings_is_shown(jobgate, read, consumer_says):
    consumer_says("Mail", 10)
    told = read("limit", "Mail")
    assert (told["limit"]["settings"], told["limit"]["now"], told["limit"]["override"]) == (10, 10, None)
    assert told["limit"]["instances"][0]["name"] == "host-1"
    text = jobgate("limit", "Mail").stdout
    assert "limit     10, by the settings" in text


def test_a_limit_is_set_and_taken_back(jobgate, read, consumer_says):
    consumer_says("Mail", 10)
    told = jobgate("limit", "Mail", "3")
    assert told.returncode == OK
    assert "is 3 now" in told.stdout and "the settings say 10" in told.stdout
    assert told.stderr == ""
    limit = read("limit", "Mail")["limit"]
    assert (limit["settings"], limit["now"], limit["override"]["limit"]) == (10, 3, 3)
    assert abs(limit["override"]["at_ms"] - now_ms()) < 60000
    assert "the settings' own again" in jobgate("limit", "Mail", "default").stdout
    limit = read("limit", "Mail")["limit"]
    assert (limit["now"], limit["override"]) == (10, None)


@pytest.mark.parametrize("given, now", [("0", 0), ("1000000", 1000000), ("-1", -1), ("paused", -1)])
def test_every_limit_can_be_set(read, consumer_says, given, now):
    consumer_says("Mail", 10)
    assert read("limit", "Mail", given)["limit"]["now"] == now
    assert read("limit", "Mail")["limit"]["now"] == now


def test_a_limit_that_no_consumer_asks_for_is_set_and_said_to_be_so(jobgate, read, consumer_says):
    told = jobgate("limit", "Mail", "3")
    assert told.returncode == OK
    assert "no running consumer has a limit, a lease or a capacity set for class 'Mail'" in told.stderr
    assert "jobgate.class.Mail.limit" in told.stderr
    assert read("limit", "Mail")["limit"]["override"]["limit"] == 3
    consumer_says("Mail", 0)
    assert "no running consumer has a limit, a lease or" in jobgate("limit", "Mail", "3").stderr
    consumer_says("Mail", 5)
    assert jobgate("limit", "Mail", "3").stderr == ""


def test_a_class_is_paused_and_unpaused(jobgate, read, consumer_says):
    consumer_says("Mail", 10)
    assert "'Mail' is paused" in jobgate("pause", "Mail").stdout
    assert read("limit", "Mail")["limit"]["now"] == -1
    assert "paused" in jobgate("status", "Mail").stdout
    assert jobgate("unpause", "Mail").returncode == OK
    limit = read("limit", "Mail")["limit"]
    assert (limit["now"], limit["override"]) == (10, None)
    read("pause", "Mail")
    assert read("unpause", "Mail", "--limit", "4")["limit"]["now"] == 4


# --- status, explain, key ---


def test_status_shows_limits_and_what_is_held(jobgate, read, store, consumer_says, redis):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    store("claim", "Report", KEY, jid(1), "until_executing")
    consumer_says("Mail", 10)
    redis.client().hset("jg1:default:{Mail}:held", mapping={"n": 12, "oldest": now_ms() - 200000})
    jobgate("limit", "Mail", "3")
    mail, report = read("status")["classes"]
    assert (mail["held"], mail["tickets"], mail["limit"]["now"], mail["limit"]["settings"]) == (12, 0, 3, 10)
    assert 190000 < now_ms() - mail["oldest_held_ms"] < 300000
    assert (report["held"], report["limit"]["told"], report["limit"]["override"]) == (0, False, None)
    limits = jobgate("status").stdout.split("\n\n")[-1]
    header, row, remark = limits.splitlines()[:3]
    assert header.split() == ["class", "limit", "settings", "running", "tickets", "ahead", "held", "oldest"]
    assert row.split()[:7] == ["Mail", "3*", "10", "0", "0", "0", "12"]
    assert "3 min" in row
    assert remark.startswith("* set at run time")
    assert "Report" not in limits


def test_status_of_classes_without_limits_has_no_second_table(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    assert "tickets" not in jobgate("status").stdout


def test_status_names_consumers_that_disagree(jobgate, read, store, consumer_says):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    consumer_says("Mail", 10, "host-1")
    consumer_says("Mail", 5, "host-2")
    (mail,) = read("status")["classes"]
    assert mail["limit"]["disagree"] is True
    assert {one["name"]: one["limit"] for one in mail["limit"]["instances"]} == {"host-1": 10, "host-2": 5}
    text = jobgate("status").stdout
    assert "disagree on the limit of class 'Mail'" in text
    assert "host-1 says 10" in text and "host-2 says 5" in text
    consumer_says("Mail", 10, "host-2")
    assert "disagree" not in jobgate("status").stdout


def test_status_of_a_class_that_has_a_limit_and_had_no_job(jobgate, consumer_says):
    consumer_says("Mail", 10)
    told = jobgate("status", "Mail")
    assert told.returncode == OK
    assert "Mail" in told.stdout


def test_a_held_claim_is_explained(jobgate, read, store, redis):
    store("claim", "Mail::Send", KEY, jid(1), "until_executed")
    store("confirm", "Mail::Send", KEY, jid(1), "until_executed")
    (claim,) = redis.client().scan_iter("jg1:*:claim:*")
    redis.client().hset(claim, "st", "h")
    told = jobgate("explain", jid(1))
    assert told.returncode == OK
    assert "is held, and waits for a slot" in told.stdout
    assert "<topic>.held.Mail-3a-3aSend" in told.stdout
    assert "jobgate held Mail::Send" in told.stdout
    assert read("explain", KEY)["claim"]["state"] == "held"


def test_a_key_tells_its_limit(jobgate):
    words = ["--topic", "jobs", "-X", "jobgate.topics=jobs", "-X", "jobgate.class.Mail.limit=10", "-X",
             "jobgate.class.Mail.hold.max.age.ms=3600000"]
    told = jobgate("key", *words, input='{"class":"Mail","args":[]}')
    assert told.returncode == OK
    assert "limit 10" in told.stdout and "1 h 0 min" in told.stdout
    policy = json.loads(jobgate("key", *words, "--json", input='{"class":"Mail","args":[]}').stdout)["policy"]
    assert (policy["limit"], policy["limit.ttl.ms"], policy["resume.wait.ms"]) == (10, 30000, "auto")


# --- group ---


def test_a_topic_is_given_to_a_group_moved_and_cleared(jobgate, read):
    assert read("group", "jobs", ends=NEGATIVE)["group"] is None
    assert "No group executes" in jobgate("group", "jobs").stdout
    assert read("group", "jobs", "billing") == {"topic": "jobs", "group": "billing", "changed": True}
    assert read("group", "jobs") == {"topic": "jobs", "group": "billing", "changed": False}
    assert "Group 'mailing' executes topic 'jobs' now" in jobgate("group", "jobs", "mailing").stdout
    assert "Group 'mailing' executes" in jobgate("group", "jobs").stdout
    assert jobgate("group", "jobs", "--clear").returncode == OK
    assert read("group", "jobs", ends=NEGATIVE)["group"] is None


def test_asking_who_executes_a_topic_gives_it_to_nobody(read, redis):
    read("group", "jobs", ends=NEGATIVE)
    assert not [key for key in redis.client().scan_iter("jg1:*:group*")]


# --- holding topics ---


class Holding:
    """A governed topic with a holding topic, and what a holder would put there."""

    def __init__(self, kafka, topic, name, escaped, config):
        self.kafka, self.topic, self.name = kafka, topic, name
        self.group = f"group-{uuid.uuid4().hex[:8]}"
        self.holding = kafka.create_topic(f"{topic}.held.{escaped}", 1, config)

    def words(self, *words):
        return [*words, "--group", self.group, "--bootstrap-servers", self.kafka.bootstrap]

    def hold(self, number, payload=b"{}", age_ms=0, reason="limit", resumed=0):
        producer = RawProducer({"bootstrap.servers": self.kafka.bootstrap, **QUIET})
        headers = {"jobgate-v": "1", "jobgate-origin": f"default/{self.topic}", "jobgate-jid": jid(number),
                   "jobgate-class": self.name, "jobgate-key": KEY, "jobgate-dedup": "until_executing",
                   "jobgate-held-since": str(now_ms() - age_ms), "jobgate-held-reason": reason,
                   "jobgate-held-from": f"0/{number}", "jobgate-held-time": str(now_ms() - age_ms)}
        if resumed:
            headers["jobgate-resumed"] = str(resumed)
        producer.produce(self.holding, payload, headers=list(headers.items()), partition=0)
        assert producer.flush(30) == 0

    def commit(self, offset):
        consumer = RawConsumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": f"{self.group}.jobgate",
                                **QUIET})
        consumer.commit(offsets=[TopicPartition(self.holding, 0, offset)], asynchronous=False)
        consumer.close()


@pytest.fixture
def make_holding(kafka, make_topic):
    def make(name="Mail", escaped="Mail", config=HOLDING):
        return Holding(kafka, make_topic(), name, escaped, config)

    return make


def test_what_was_never_held_is_said(jobgate, kafka, make_topic):
    told = jobgate("held", "Mail", "--topic", make_topic(), "--group", "g", "--bootstrap-servers", kafka.bootstrap)
    assert told.returncode == NEGATIVE
    assert "was ever held" in told.stderr


def test_held_jobs_are_listed_the_oldest_first(jobgate, read, make_holding):
    holding = make_holding("Mail::Send", "Mail-3a-3aSend")
    words = holding.words("held", "Mail::Send", "--topic", holding.topic)
    assert "Nothing is held" in jobgate(*words).stdout
    holding.hold(1, b'{"class":"Mail::Send"}', age_ms=1000)
    holding.hold(2, b"\x1b[31m" + b"x" * 100, age_ms=200000, reason="behind", resumed=2)
    holding.hold(3, "é".encode() * 100, age_ms=500)
    told = read(*words)
    assert (told["total"], told["holding_topic"]) == (3, holding.holding)
    assert [(one["jid"], one["offset"], one["from"]) for one in told["held"]] == [
        (jid(2), 1, "0/2"), (jid(1), 0, "0/1"), (jid(3), 2, "0/3")]
    second, first, third = told["held"]
    assert (first["class"], first["reason"], first["resumed"]) == ("Mail::Send", "limit", 0)
    assert (second["reason"], second["resumed"], second["payload_bytes"]) == ("behind", 2, 105)
    assert third["payload"] == "é" * 30
    text = jobgate(*words).stdout
    assert "\x1b" not in text
    assert "3 held in" in text and "reason behind, from 0/2" in text and "3 min" in text


def test_no_more_are_listed_than_asked_for_and_all_are_counted(jobgate, read, make_holding):
    holding = make_holding()
    for number in range(25):
        holding.hold(number, age_ms=10000 - number)
    words = holding.words("held", "Mail", "--topic", holding.topic)
    told = read(*words)
    assert (told["total"], len(told["held"])) == (25, 20)
    assert [one["offset"] for one in told["held"]] == list(range(20))
    assert "and 5 more" in jobgate(*words).stdout
    assert len(read(*words, "--count", "3")["held"]) == 3
    assert len(read(*words, "--count", "100")["held"]) == 25
    assert read(*words, "--count", "0")["total"] == 25


def test_what_was_resumed_is_not_listed_and_looking_commits_nothing(read, make_holding):
    holding = make_holding()
    for number in range(3):
        holding.hold(number, age_ms=1000 - number)
    holding.commit(2)
    words = holding.words("held", "Mail", "--topic", holding.topic)
    for _ in range(2):
        told = read(*words)
        assert [one["offset"] for one in told["held"]] == [2]


# --- check ---


def findings(told, level):
    return [one["text"] for one in told["findings"] if one["level"] == level]


def check(read, kafka, topics, *words, ends=OK):
    return read("check", "-X", f"jobgate.topics={topics}", "--bootstrap-servers", kafka.bootstrap, *words, ends=ends)


def test_what_is_good_is_said_to_be_good(jobgate, read, kafka, make_holding):
    holding = make_holding()
    told = check(read, kafka, holding.topic)
    assert (told["good"], told["errors"]) == (True, 0)
    good = findings(told, "ok")
    assert any(f"topic {holding.topic} is governed" in text for text in good)
    assert any(holding.holding in text for text in good)
    assert any("cannot be asked" in text for text in findings(told, "notice"))
    text = jobgate("check", "-X", f"jobgate.topics={holding.topic}", "--bootstrap-servers", kafka.bootstrap).stdout
    for line in text.splitlines():
        assert line.split()[0] in ("ok", "notice", "warning", "error")


def test_without_kafka_the_rest_is_checked(read):
    told = read("check", "-X", "jobgate.topics=jobs")
    assert any("--bootstrap-servers" in text for text in findings(told, "notice"))


def test_settings_that_would_be_refused_end_with_2(cli, settings):
    told = cli("check", "-X", "jobgate.topics=jobs", "-X", "jobgate.default.limit=3")
    assert told.returncode == USAGE
    assert "jobgate.store is not set" in told.stderr


def test_a_compacted_topic_is_an_error(read, kafka, make_topic):
    topic = make_topic(config={"cleanup.policy": "compact"})
    told = check(read, kafka, topic, ends=NEGATIVE)
    (text,) = findings(told, "error")
    assert topic in text and "cleanup.policy=delete" in text


def test_a_topic_that_is_not_governed_is_not_looked_at(read, kafka, make_topic):
    topic = make_topic(config={"cleanup.policy": "compact"})
    told = check(read, kafka, "some-topic-that-is-not-there")
    assert topic not in json.dumps(told)
    assert any("jobgate.topics" in text for text in findings(told, "warning"))


@pytest.mark.parametrize("name, value, cure", [("retention.ms", 3600000, "retention.ms=-1"),
                                               ("retention.bytes", 1000000, "retention.bytes=-1"),
                                               ("cleanup.policy", "compact", "cleanup.policy=delete"),
                                               ("max.message.bytes", 1000, "max.message.bytes=1114124")])
def test_a_holding_topic_that_loses_jobs_is_an_error_with_its_cure(read, kafka, make_holding, name, value, cure):
    holding = make_holding(config={**HOLDING, name: value})
    told = check(read, kafka, f"^{holding.topic}$", ends=NEGATIVE)
    (text,) = findings(told, "error")
    assert holding.holding in text and f"{name}={value}" in text and cure in text


def test_a_holding_topic_with_other_partitions_is_an_error(read, kafka, make_topic):
    topic = make_topic(partitions=2)
    kafka.create_topic(f"{topic}.held.Mail", 1, HOLDING)
    (text,) = findings(check(read, kafka, topic, ends=NEGATIVE), "error")
    assert "1 partitions" in text and "--partitions" in text


def test_a_topic_of_another_group_is_an_error(jobgate, read, kafka, make_topic):
    topic = make_topic()
    assert check(read, kafka, topic, "--group", "mailing")["good"]
    jobgate("group", topic, "billing")
    (text,) = findings(check(read, kafka, topic, "--group", "mailing", ends=NEGATIVE), "error")
    assert f"jobgate group {topic} mailing" in text
    assert check(read, kafka, topic, "--group", "billing")["good"]
    assert check(read, kafka, topic)["good"]


# --- resume and drain ---


def test_draining_a_topic_of_which_nothing_is_held_ends_at_once(jobgate, make_holding, kafka, make_topic):
    told = jobgate("drain", make_topic(), "--group", "g", "--bootstrap-servers", kafka.bootstrap)
    assert told.returncode == OK
    assert "nothing was ever held" in told.stdout
    holding = make_holding()
    holding.hold(1)
    holding.commit(1)
    told = jobgate(*holding.words("drain", holding.topic))
    assert told.returncode == OK
    assert "0 jobs" in told.stdout


def test_drain_brings_back_what_is_held_without_any_consumer(jobgate, make_holding, kafka, consumer_says):
    holding = make_holding()
    consumer_says("Mail", 10)
    for number in range(3):
        holding.hold(number, b"payload %d" % number)
    told = jobgate(*holding.words("drain", holding.topic, "--timeout", "50"))
    assert told.returncode == OK, told.stdout + told.stderr
    assert f"3 jobs of topic '{holding.topic}' are held" in told.stdout
    assert "any more" in told.stdout
    assert "3 resumed jobs of class 'Mail' have not started yet" in told.stdout
    assert told.stderr.count("warning") == 0
    came = [message.value for message in raw_consume(kafka, holding.topic)]
    assert came == [b"payload 0", b"payload 1", b"payload 2"]


def test_drain_goes_by_its_own_settings_where_nobody_has_told_a_limit(jobgate, make_holding, kafka):
    holding = make_holding()
    holding.hold(1)
    told = jobgate(*holding.words("drain", holding.topic, "--timeout", "50"))
    assert told.returncode == OK, told.stdout + told.stderr
    assert len(raw_consume(kafka, holding.topic)) == 1


def test_a_paused_class_drains_only_when_its_limit_is_lifted(jobgate, read, make_holding, kafka):
    holding = make_holding("Mail::Send", "Mail-3a-3aSend")
    holding.hold(1)
    jobgate("pause", "Mail::Send")
    told = jobgate(*holding.words("drain", holding.topic, "--timeout", "3"))
    assert told.returncode == NEGATIVE
    assert "gave up after 3 s" in told.stderr
    assert "class 'Mail::Send' is paused" in told.stderr
    assert not raw_consume(kafka, holding.topic)
    told = jobgate(*holding.words("drain", holding.topic, "--now", "--timeout", "50"))
    assert told.returncode == OK, told.stdout + told.stderr
    assert "`jobgate limit Mail::Send default` takes it back" in told.stdout
    assert len(raw_consume(kafka, holding.topic)) == 1
    assert read("limit", "Mail::Send")["limit"]["override"]["limit"] == 0


@contextmanager
def resumer(build_dir, settings, holding):
    """`jobgate resume` while the block lasts; yields what it told, complete once it has ended, in order."""
    command = [build_dir / "jobgate", *holding.words("resume"), "-X", f"jobgate.topics={holding.topic}", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        told = []
        try:
            for line in process.stdout:
                told.append(line)
                if f"leads for group {holding.group}" in line:
                    break
            yield told
            assert process.poll() is None, "".join(told)
        finally:
            process.send_signal(signal.SIGTERM)
        told.append(process.communicate(timeout=30)[0])
    assert process.returncode == OK, "".join(told)


def test_a_resumer_of_its_own_resumes_until_it_is_told_to_end(cli, build_dir, settings, make_holding, kafka,
                                                              consumer_says):
    holding = make_holding()
    consumer_says("Mail", 10)
    holding.hold(1)
    with resumer(build_dir, settings, holding) as lines:
        wait_until(lambda: raw_consume(kafka, holding.topic), 40, "the held job is back")
    told = "".join(lines)
    assert f"stands by for group {holding.group}" in told
    assert f"leads for group {holding.group}" in told
    assert "resumed 1" in told


def test_drain_waits_for_another_resumer_that_leads(jobgate, read, build_dir, settings, make_holding, kafka,
                                                    consumer_says):
    holding = make_holding()
    consumer_says("Mail", 10)
    with resumer(build_dir, settings, holding):
        told = check(read, kafka, holding.topic, "--group", holding.group)
        assert any(f"resumes what is held for group {holding.group}" in text for text in findings(told, "ok"))
        holding.hold(1)
        told = jobgate(*holding.words("drain", holding.topic, "--timeout", "50"))
        assert told.returncode == OK, told.stdout + told.stderr
        assert len(raw_consume(kafka, holding.topic)) == 1
    assert "stands by: another resumer" in told.stdout
