# SPDX-License-Identifier: Apache-2.0
"""`jobgate tail`: a topic of events, read by people and by their scripts; and what else may lie in it."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import NewPartitions

from live.events import FINGERPRINT, TOPIC, encode, new_name
from live.limits import mail
from support.app import PATIENCE_S, raw_produce
from support.kafka_proxy import KafkaProxy
from support.processes import free_ports, wait_until

OK, NEGATIVE, USAGE = 0, 1, 2
KEY = "0123456789abcdef0123456789abcdef"
JID = f"{KEY}-{1:020x}"
# No byte of a terminal's own: C0 but line ends, DEL, or C1 in UTF-8 or alone.
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]")


@pytest.fixture
def site(make_site):
    return make_site({TOPIC: new_name()})


@pytest.fixture
def topic(site):
    return site.kafka.create_topic(site.settings[TOPIC], 2)


def tail(site, *words, ends=OK, text=True):
    """It ends by itself, at the latest when a test would have failed."""
    command = [str(Path(site.plugin).parent / "jobgate"), "tail", "--timeout", str(PATIENCE_S), "--bootstrap-servers",
               site.kafka.bootstrap, *map(str, words), *site.jobgate_words()]
    told = subprocess.run(command, capture_output=True, text=text, timeout=3 * PATIENCE_S)
    assert told.returncode == ends, (told.stdout, told.stderr)
    return told


def put(site, **event):
    raw_produce(site.kafka, site.settings[TOPIC], encode(event), key=event.get("jid", "").encode())


class Following:
    """`jobgate tail` in the background, as a person leaves it running."""

    def __init__(self, site, *words, servers=None):
        command = [str(Path(site.plugin).parent / "jobgate"), "tail", "--bootstrap-servers",
                   servers or site.kafka.bootstrap, *words, *site.jobgate_words()]
        command += ["--timeout", str(3 * PATIENCE_S)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def interrupt(self):
        """Ctrl-C: -> (result, standard output, standard error)"""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


def test_it_waits_for_its_topic_and_follows_what_happens(site):
    with Following(site) as following:
        assert "is not there yet" in following.process.stderr.readline()
        report = site.producer().delivered(mail(1))
        line = following.process.stdout.readline()
        assert following.interrupt() == (OK, "", "")
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3}  produced  +Mail  (\S+)  (\S+)  by \S+\n", line)
    assert found, line
    assert abs(time.mktime(time.strptime(found.group(1), "%Y-%m-%d %H:%M:%S")) - time.time()) < 300
    assert found.group(2) == f"{report.stamp[:8]}..{report.stamp[-8:]}" and found.group(3) == site.topic


def test_it_reads_partitions_that_are_added_meanwhile(site, topic):
    put(site, time=1, event="start", jid="first")
    with Following(site, "--from-beginning") as following:
        assert "first" in following.process.stdout.readline()
        admin = site.kafka.admin()
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(PATIENCE_S)
        wait_until(lambda: len(admin.list_topics(topic, PATIENCE_S).topics[topic].partitions) == 3, PATIENCE_S, "there")
        raw_produce(site.kafka, topic, encode({"event": "done", "jid": "added"}), partition=2)
        assert "added" in following.process.stdout.readline()


@pytest.mark.usefixtures("topic")
def test_it_shows_what_was_asked_for(site):
    now_ms = int(time.time() * 1000)
    put(site, time=now_ms, event="start", **{"class": "Mail"}, jid=JID, key=KEY, topic="jobs", partition=3,
        offset=7, waited_ms=1200, lease_token=17, attempt=2)
    put(site, time=now_ms + 1, event="done", **{"class": "Mail"}, jid=JID, key=KEY, topic="jobs", ran_ms=250)
    put(site, time=now_ms + 2, event="held", **{"class": "Other"}, jid="x", reason="limit", client_id="me")
    put(site, time=now_ms + 3, event="duplicate", **{"class": "Mail"}, jid="y", key="z", duplicate_of=JID)
    told = tail(site, "--from-beginning", "--count", 4).stdout.splitlines()
    assert told[0].endswith(f"  start       Mail  {JID[:8]}..{JID[-8:]}  jobs/3/7  waited 1.2 s  attempt 2  token 17")
    assert told[1].endswith("  jobs  ran 250 ms") and told[2].endswith("  held        Other  x  limit  by me")
    assert told[3].endswith(f"  duplicate   Mail  y  of {JID[:8]}..{JID[-8:]}")

    def kinds(*words, count):
        lines = tail(site, "--from-beginning", "--json", "--count", count, *words).stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    assert kinds("--class", "Other", count=1) == ["held"]
    assert kinds("--event", "done", "--event", "held", count=2) == ["done", "held"]
    assert kinds("--jid", JID, count=2) == kinds("--key", KEY, count=2) == ["start", "done"]
    (line,) = tail(site, "--since", "1h", "--json", "--count", 1, "--event", "start").stdout.splitlines()
    assert json.loads(line) == {
        "time": now_ms, "event": "start", "job_status": "running", "class": "Mail", "jid": JID, "key": KEY,
        "topic": "jobs", "partition": 3, "offset": 7, "lease_token": 17, "attempt": 2, "waited_ms": 1200}
    late = tail(site, "--from-beginning", "--count", 2, "--jid", "x", "--timeout", 3, ends=NEGATIVE)
    assert len(late.stdout.splitlines()) == 1


def test_nothing_in_the_topic_harms_a_terminal_or_ends_it(site, topic):
    hostile = "\x1b]0;owned\x07\x1b[31m\n\x9b\u009b31m\u202e\x7f"
    whole = encode({"event": "done", "jid": JID, "class": "Mail"})
    mark = b"\xc3\x01"
    strange = [b"", b"{}", b"\xc3", whole[:10], whole[:-1], whole + b"\0", mark + b"\0" * 8, mark + b"newer!!!" + whole[10:],
               mark + b"newer!!!" + b"\xff" * 100, mark + FINGERPRINT + b"\xff" * 40,
               mark + FINGERPRINT + b"\x00\x02\x02\x02" + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
               mark + FINGERPRINT + b"\x00\x7f", hostile.encode()]
    for value in strange:
        raw_produce(site.kafka, topic, value)
    put(site, event="held", **{"class": hostile}, jid=hostile, reason=hostile, topic=hostile, client_id=hostile)
    put(site, event="done", jid="the last")
    for words in ([], ["--json"]):
        told = tail(site, "--from-beginning", "--count", 2, *words, text=False)
        assert not CONTROL.search(told.stdout + told.stderr) and b"owned" in told.stdout and b"the last" in told.stdout
        said = told.stderr.decode()
        assert said.count("has another schema (fingerprint 212121726577656e;") == 1
        assert "4 records of topic" in said and "are no events of jobgate" in said
        assert "6 records of topic" in said and "damaged" in said and "3 records of topic" in said


@pytest.mark.usefixtures("topic")
def test_it_says_that_no_broker_answers_and_tries_on(site):
    (port,) = free_ports(1)
    put(site, event="done", jid="there before")
    with Following(site, "--from-beginning", servers=f"127.0.0.1:{port}") as following:
        assert "no broker answers" in following.process.stderr.readline()
        with KafkaProxy(lambda: site.kafka.nodes[0].broker_port, port):
            assert "there before" in following.process.stdout.readline()
            result, _, said = following.interrupt()
    assert result == OK and "the brokers answer again" in said


@pytest.mark.parametrize("words, says", [
    (["--event", "nonsense"], "there are: produced, duplicate, held"),
    (["--since", "10"], "10m"),
    (["--since", "10m", "--from-beginning"], "takes these arguments"),
    (["--count", "0"], "--count takes a whole number"),
    (["--timeout", "x"], "--timeout takes a whole number"),
    ([], "jobgate.events.topic"),
    (["--topic", "events"], "--bootstrap-servers"),
])
def test_a_wrong_call_says_what_is_right(cli, words, says):
    told = cli("tail", *words)
    assert told.returncode == USAGE and says in told.stderr


def test_what_others_write_is_never_waited_for_beyond_the_time_given(site, topic):
    raw_produce(site.kafka, topic, b"no event")
    began = time.monotonic()
    told = tail(site, "--from-beginning", "--timeout", 2)
    assert told.stdout == "" and "1 records of topic" in told.stderr and time.monotonic() - began >= 2
