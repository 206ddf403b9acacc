# SPDX-License-Identifier: Apache-2.0
"""What jobgate leaves alone, what it takes off, and what it does not believe."""

import pytest

from support.app import own_jid, produce_job, raw_produce
from support.processes import wait_until

LAST = produce_job("Last", [])
KEY = "0123456789abcdef" * 2
JID = f"{KEY}-00000000000000000001"
OTHER_JID = f"{KEY}-00000000000000000002"
HEADERS = [("trace", b"abc"), ("trace", b"twice"), ("empty", b""), ("null", None), ("bytes", b"\x00\xff"),
           ("Jobgate-Not", b"ours")]
FORGED = [("jobgate-v", b"1"), ("jobgate-jid", JID.encode()), ("jobgate-key", KEY.encode()),
          ("jobgate-class", b"Mail"), ("jobgate-dedup", b"until_executing"),
          ("jobgate-duplicate-of", OTHER_JID.encode()), ("jobgate-duplicate-since", b"1"),
          ("jobgate-candidate-of", OTHER_JID.encode()), ("jobgate-unclaimed", b"1"), ("jobgate-anything", b"x")]


def mail(*args):
    return produce_job("Mail", args or [1])


def stamps(site, origin=None, version="1", **more):
    """What a plugin would have written."""
    values = {"jobgate-v": version, "jobgate-origin": origin or f"default/{site.topic}", "jobgate-jid": JID,
              "jobgate-class": "Mail", "jobgate-key": KEY, "jobgate-dedup": "until_executing", **more}
    return [(name, value.encode()) for name, value in values.items()]


def marked(site, **fields):
    return stamps(site, **{"jobgate-duplicate-of": OTHER_JID, "jobgate-duplicate-since": "1700000000000"}, **fields)


def assert_identical(messages, value, key, headers):
    for message in messages:
        assert (message.value, message.key, message.headers) == (value, key, headers)


@pytest.mark.parametrize("value", [b"any \x00\xff bytes", mail().encode(), b"", None],
                         ids=["bytes", "job", "empty", "null"])
def test_a_message_of_an_ungoverned_topic_is_byte_identical(site, make_topic, value):
    site.settings["jobgate.topics"] = "another-topic"
    producer, consumer = site.producer(), site.consumer()
    headers = HEADERS + FORGED
    for _ in range(2):
        producer.delivered(value, key=b"\xfe key", headers=headers)
    assert_identical(site.log(), value, b"\xfe key", headers)
    assert_identical([consumer.next(), consumer.next()], value, b"\xfe key", headers)
    assert not site.redis.client().dbsize()


def test_an_ungoverned_message_without_headers_gets_none(site):
    site.settings["jobgate.topics"] = "another-topic"
    producer = site.producer()
    for call in ("producev", "produce", "batch"):
        producer.report(producer.send(mail(), call=call)[0])
    assert_identical([], None, None, [])
    assert [message.headers for message in site.log()] == [[], [], []]


@pytest.mark.parametrize("settings", [{"jobgate.default.dedup": "none"},
                                      {"jobgate.default.dedup": None, "jobgate.class.Post.dedup": "until_executing"}],
                         ids=["none", "another-class"])
def test_a_message_of_a_class_without_policy_is_byte_identical(make_site, settings):
    site = make_site(settings)
    producer, consumer = site.producer(), site.consumer()
    job = mail().encode()
    for _ in range(2):
        producer.delivered(job, key="k", headers=HEADERS)
    assert_identical(site.log(), job, b"k", HEADERS)
    assert_identical([consumer.next(), consumer.next()], job, b"k", HEADERS)
    assert not site.claims()


def test_without_any_setting_the_plugin_does_nothing(site):
    bare = {name: None for name in site.settings if name.startswith("jobgate.")}
    producer, consumer = site.producer(bare), site.consumer(bare)
    job = mail().encode()
    producer.delivered(job, headers=HEADERS + FORGED)
    assert_identical(site.log() + [consumer.next()], job, None, HEADERS + FORGED)


def test_forged_headers_of_an_application_are_stripped(site):
    site.producer().delivered(mail(), headers=HEADERS + FORGED)
    (message,) = site.log()
    assert message.headers[:len(HEADERS)] == HEADERS
    assert set(message.stamps) == {"jobgate-v", "jobgate-origin", "jobgate-jid", "jobgate-class", "jobgate-key",
                                   "jobgate-dedup"}
    assert message.stamp not in (JID, OTHER_JID)
    assert site.consumer().next().is_original


def test_a_forged_duplicate_runs(site):
    producer = site.producer()
    job = mail()
    producer.delivered(job, headers=marked(site))
    producer.delivered(LAST)
    (ran,) = site.consumer().take(LAST)
    assert ran.jid == own_jid(job)
    assert ran.is_original


def test_the_release_header_of_an_application_is_kept(site):
    site.producer().delivered(mail(), headers=[("jobgate-release", b"Mail/x"), *FORGED])
    (message,) = site.log()
    assert message.header("jobgate-release") == "Mail/x"
    assert message.stamps.get("jobgate-jid") != JID
    assert "jobgate-anything" not in message.stamps


def test_a_program_may_forward_what_it_consumed(make_site, make_topic):
    """With all headers, to another governed topic: the forwarded job is one of its own."""
    site, target = make_site(), make_topic()
    site.settings["jobgate.topics"] += f",{target}"
    producer, consumer = site.producer(), site.consumer()
    first = site.queued(producer)
    message = consumer.next()
    consumer.poll()
    site.await_state(None)
    producer.delivered(message.value, headers=message.headers, topic=target)
    site.topic = target
    (forwarded,) = site.log()
    assert forwarded.header("jobgate-origin") == f"default/{target}"
    assert forwarded.stamp != first.stamp
    assert forwarded.is_original


@pytest.mark.parametrize("fields", [{"origin": "default/another-topic"}, {"origin": "another/{topic}"},
                                    {"version": "2"}, {"version": "0"}, {"version": ""}],
                         ids=["topic", "namespace", "newer", "older", "empty"])
def test_stamps_of_another_origin_or_version_are_not_believed(site, fields):
    fields = {name: value.format(topic=site.topic) for name, value in fields.items()}
    job = mail()
    raw_produce(site.kafka, site.topic, job, headers=marked(site, **fields))
    assert site.consumer().next().jid == own_jid(job)


def test_stamps_of_this_origin_and_version_are_believed(site):
    raw_produce(site.kafka, site.topic, mail(), headers=marked(site))
    raw_produce(site.kafka, site.topic, LAST)
    assert site.consumer().take(LAST) == []


def test_broken_stamps_crash_nothing_and_drop_nothing(site):
    consumer = site.consumer()
    broken = [
        [("jobgate-v", b"1")],
        [("jobgate-v", None), ("jobgate-origin", None)],
        stamps(site, **{"jobgate-jid": "x"}),
        stamps(site, **{"jobgate-jid": "x" * 10000}),
        stamps(site, **{"jobgate-key": "../../etc"}),
        stamps(site, **{"jobgate-dedup": "sometimes"}),
        stamps(site, **{"jobgate-class": "a\x00b"}),
        stamps(site, **{"jobgate-class": "c" * 10000}),
        stamps(site, **{"jobgate-duplicate-of": ""}),
        stamps(site) + stamps(site),
    ]
    jobs = [mail(number) for number in range(len(broken))]
    for job, headers in zip(jobs, broken):
        raw_produce(site.kafka, site.topic, job, headers=headers)
    assert [consumer.next().jid for _ in jobs] == [own_jid(job) for job in jobs]


@pytest.fixture
def with_duplicate(site):
    """A job and its marked duplicate are in the topic. Returns both payloads."""
    producer = site.producer()
    payloads = [mail().encode(), mail().encode()]
    site.queued(producer, payloads[0])
    assert producer.delivered(payloads[1]).header("jobgate-duplicate-of")
    return payloads


def test_disabled_it_still_skips_marked_duplicates(site, with_duplicate):
    raw_produce(site.kafka, site.topic, LAST)
    consumer = site.consumer(env={"JOBGATE_DISABLE": "1"})
    assert [message.value for message in consumer.take(LAST)] == with_duplicate[:1]
    assert len(consumer.skips()) == 1


def test_disabled_altogether_it_skips_nothing(site, with_duplicate):
    raw_produce(site.kafka, site.topic, LAST)
    consumer = site.consumer(env={"JOBGATE_DISABLE": "all"})
    assert [message.value for message in consumer.take(LAST)] == with_duplicate


@pytest.mark.parametrize("value", ["1", "all"])
def test_disabled_it_claims_nothing(site, value):
    producer = site.producer(env={"JOBGATE_DISABLE": value})
    for _ in range(2):
        producer.delivered(mail(), headers=HEADERS)
    assert all("jobgate-jid" not in message.stamps for message in site.log())
    assert not site.claims()


def test_an_observer_reads_everything_untouched_and_changes_no_claim(site, with_duplicate):
    log = site.log()
    observer = site.consumer({"jobgate.observe": "true", "group.id": "observers"})
    for expected in log:
        message = observer.next()
        assert (message.value, message.headers) == (expected.value, expected.headers)
    observer.poll()
    observer.close()
    assert site.claim()["st"] == "q"
    # And the group that executes is not disturbed.
    raw_produce(site.kafka, site.topic, LAST)
    assert [message.value for message in site.consumer().take(LAST)] == with_duplicate[:1]


def test_an_ungoverned_topic_beside_a_governed_one_passes(site, make_topic):
    other = make_topic()
    producer, consumer = site.producer(), site.consumer(subscribe=False)
    consumer.subscribe(site.topic, other)
    producer.delivered(mail())
    producer.delivered(b"plain", topic=other, headers=FORGED)
    got = {}
    wait_until(lambda: (m := consumer.poll()) and (m.error or got.update({m.topic: m})) or len(got) == 2, 30, "both",
               interval_s=0)
    assert_identical([got[other]], b"plain", None, FORGED)
    assert "jobgate-jid" in got[site.topic].stamps


def test_topics_may_be_a_pattern(site):
    site.settings["jobgate.topics"] = "another-topic,^" + site.topic[:-4] + "."
    producer = site.producer()
    site.queued(producer)
    assert producer.delivered(mail()).header("jobgate-duplicate-of")
