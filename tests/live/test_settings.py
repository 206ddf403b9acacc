# SPDX-License-Identifier: Apache-2.0
"""Settings as an application meets them: what is refused, how it is told, and that no secret is told."""

import pytest

from support.app import own_jid, produce_job, raw_produce
from support.processes import wait_until

LAST = produce_job("Last", [])
SECRET = "s3cr3t-Pa55"


def mail(*args):
    return produce_job("Mail", args or [1])


def refusal(site, settings, role="producer"):
    """What rd_kafka_conf_set or rd_kafka_new says to these properties."""
    app = site.app()
    reply = app.create("x", site.properties(role, settings), consumer=role == "consumer")
    assert "text" in reply, "the handle was made"
    return reply


@pytest.mark.parametrize("name, nearest", [
    ("jobgate.stor", "jobgate.store"),
    ("jobgate.default.dedupe", "jobgate.default.dedup"),
    ("jobgate.default.dedup.ttl", "jobgate.default.dedup.ttl.ms"),
    ("jobgate.class.Mail.dedup.acton", "jobgate.class.Mail.dedup.action"),
    ("jobgate.topic.jobs.fromat", "jobgate.topic.jobs.format"),
    ("jobgate.dedup", "jobgate.default.dedup"),
])
def test_an_unknown_setting_is_refused_with_the_nearest_valid_name(site, name, nearest):
    reply = refusal(site, {name: "1"})
    assert reply["property"] == name
    assert nearest in reply["text"]


@pytest.mark.parametrize("name, value, words", [
    ("jobgate.default.dedup", "sometimes", ["until_executing", "until_executed", "none"]),
    ("jobgate.store.timeout.ms", "fast", ["jobgate.store.timeout.ms", "fast"]),
    ("jobgate.store.timeout.ms", "1", ["jobgate.store.timeout.ms", "10"]),
    ("jobgate.default.dedup.ttl.ms", "-5", ["jobgate.default.dedup.ttl.ms"]),
    ("jobgate.skip.error", "eof", ["partition_eof"]),
    ("jobgate.class", "body:x", ["field:"]),
    ("jobgate.config", "/no/such/file", ["/no/such/file"]),
])
def test_a_bad_value_is_refused_with_what_is_valid(site, name, value, words):
    reply = refusal(site, {name: value})
    assert reply["property"] == name
    assert all(word in reply["text"] for word in words), reply["text"]


@pytest.mark.parametrize("url", [f"redis://jobs:{SECRET}@127.0.0.1:notaport", f"http://jobs:{SECRET}@127.0.0.1",
                                 f"redis://:{SECRET}@", f"{SECRET}"])
def test_a_bad_store_is_refused_without_telling_its_password(site, url):
    app = site.app()
    reply = app.create("x", site.properties("producer", {"jobgate.store": url, "debug": "all", "jobgate.log.level": "debug"}))
    if "text" in reply:
        assert SECRET not in reply["text"] or url == SECRET
    app.leave()
    assert f"{SECRET}@" not in app.stderr
    assert f":{SECRET}" not in app.stderr


@pytest.mark.parametrize("accepted", [True, False], ids=["right", "wrong"])
def test_passwords_never_reach_standard_error(make_site, make_redis, accepted):
    server = make_redis(users={"jobs": f"on >{SECRET if accepted else 'another'} ~jg1:* &* +@all"})
    site = make_site({"jobgate.store": server.url(user="jobs", password=SECRET), "debug": "all",
                      "jobgate.log.level": "debug", "jobgate.store.wait.ms": 300}, redis=server)
    # By Redis's default user, who has no password here.
    site.queued(site.producer({"jobgate.store": server.url()}))
    producer, consumer = site.producer(), site.consumer()
    report = producer.delivered(mail(2))
    assert bool(report.header("jobgate-unclaimed")) is not accepted
    if accepted:
        consumer.next()
    else:
        consumer.next_error("_STATE")
    for handle in (producer, consumer):
        handle.app.leave()
        assert handle.app.stderr
        assert SECRET not in handle.app.stderr
    assert not any(SECRET in message.text for message in consumer.seen)


def test_an_acl_user_and_a_database_of_its_own_work(make_site, make_redis):
    server = make_redis(password="default-users", users={"jobs": f"on >{SECRET} ~jg1:* &* +@all"})
    site = make_site({"jobgate.store": server.url(database=3, user="jobs", password=SECRET)}, redis=server)
    producer = site.producer()
    wait_until(lambda: not producer.delivered(mail("first")).header("jobgate-unclaimed"), 30, "claimed")
    assert server.client(3).dbsize() and not server.client(0).dbsize()


def test_a_unix_socket_works(make_site, redis):
    site = make_site({"jobgate.store": redis.unix_url()})
    producer = site.producer()
    site.queued(producer)
    assert producer.delivered(mail()).header("jobgate-duplicate-of")


def test_the_embedded_store_works_within_one_process(make_site):
    site = make_site({"jobgate.store": "memory:"})
    producer = site.producer()
    consumer = site.consumer(app=producer.app)
    job = mail()
    producer.delivered(job)
    wait_until(lambda: producer.delivered(mail()).header("jobgate-duplicate-of"), 30, "a duplicate")
    producer.delivered(LAST)
    ran = [message for message in consumer.take(LAST) if "jobgate-candidate-of" not in message.stamps]
    assert [message.jid for message in ran] == [own_jid(job)]


# --- refused handles ---

NO_STORE = {"jobgate.store": None}


def test_a_producer_with_dedup_and_no_store_is_refused(make_site, make_topic):
    site, other = make_site(NO_STORE), make_topic()
    producer = site.producer()
    assert producer.failed(mail()) == "_UNKNOWN_PARTITION"
    producer.app.wait_log("jobgate.store")
    producer.delivered("plain", topic=other)
    producer.delivered(mail(), topic=other)
    assert site.log() == []


def test_a_consumer_with_dedup_and_no_store_is_refused(make_site, make_topic):
    site, other = make_site(NO_STORE), make_topic()
    raw_produce(site.kafka, site.topic, mail())
    raw_produce(site.kafka, other, "plain")
    consumer = site.consumer(subscribe=False)
    consumer.subscribe(site.topic, other)
    error = consumer.next_error("_STATE")
    assert "jobgate.store" in error.text
    wait_until(lambda: [m for m in consumer.seen if m.value == b"plain"] or not consumer.poll(), 30, "the plain one",
               interval_s=0)
    consumer.next_error("_STATE")
    assert [m.topic for m in consumer.seen if not m.error] == [other] or consumer.next().topic == other
    assert not [m for m in consumer.seen if not m.error and m.topic == site.topic]
    consumer.close()
    assert site.committed() < 1


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_governed_topic_that_is_compacted_is_refused(make_site, policy):
    site = make_site(topic_config={"cleanup.policy": policy})
    producer = site.producer()

    def refused():
        (answer,) = producer.send(mail(), key="k")
        return answer.error or producer.report(answer).error

    assert wait_until(refused, 30, "the produce call fails") == "_UNKNOWN_PARTITION"
    assert site.topic in producer.app.wait_log("compact")
    # No duplicate has taken its original's place before that was known.
    assert not [message for message in site.log() if "jobgate-duplicate-of" in message.stamps]


def test_the_reason_of_a_refusal_is_logged_once_in_a_while_and_not_per_message(make_site):
    site = make_site(NO_STORE)
    producer = site.producer()
    for _ in range(50):
        producer.failed(mail())
    assert len([line for line in producer.app.stderr_lines if "jobgate.store" in line]) <= 3


# --- where settings come from ---

def without_settings(site):
    return {name: None for name in site.settings if name.startswith("jobgate.")}


def is_governed(site, producer):
    site.queued(producer)
    return producer.delivered(mail()).header("jobgate-duplicate-of") is not None


def settings_file(site, path, **more):
    lines = {name: value for name, value in site.settings.items() if name.startswith("jobgate.")}
    path.write_text("".join(f"{name}={value}\n" for name, value in {**lines, **more}.items()))
    return path


def test_a_file_is_enough_for_everything(site, tmp_path):
    path = settings_file(site, tmp_path / "jobgate.conf")
    assert is_governed(site, site.producer({**without_settings(site), "jobgate.config": path}))


def test_the_environment_may_name_the_file(site, tmp_path):
    path = settings_file(site, tmp_path / "jobgate.conf")
    assert is_governed(site, site.producer(without_settings(site), env={"JOBGATE_CONFIG": path}))


def test_environment_variables_are_enough(site):
    env = {"JOBGATE_TOPICS": site.topic, "JOBGATE_STORE": site.redis.url(), "JOBGATE_DEFAULT_DEDUP": "until_executing"}
    assert is_governed(site, site.producer(without_settings(site), env=env))


def test_client_properties_go_over_the_environment_and_that_over_the_file(site, tmp_path):
    path = settings_file(site, tmp_path / "jobgate.conf", **{"jobgate.namespace": "file"})
    settings = {**without_settings(site), "jobgate.config": path}
    env = {"JOBGATE_NAMESPACE": "environment"}
    producers = [site.producer(settings), site.producer(settings, env=env),
                 site.producer({**settings, "jobgate.namespace": "property"}, env=env)]
    for producer in producers:
        producer.delivered(mail())
    origins = [message.stamps["jobgate-origin"].split("/")[0] for message in site.log()]
    assert origins == ["file", "environment", "property"]


@pytest.mark.parametrize("content, word", [("jobgate.stor=redis://localhost\n", "jobgate.store"),
                                           ("what is this\n", "jobgate.conf")], ids=["unknown", "garbage"])
def test_a_bad_file_fails_the_client(site, tmp_path, content, word):
    path = tmp_path / "jobgate.conf"
    path.write_text(content)
    assert word in refusal(site, {"jobgate.config": path})["text"]
    app = site.app(env={"JOBGATE_CONFIG": path})
    assert word in app.create("x", site.properties("producer", without_settings(site)))["text"]


def test_a_copied_configuration_is_governed_too(site):
    """As C++, Node and PHP clients make their handles."""
    producer, consumer = site.producer(dup=True), site.consumer(dup=True)
    job = mail()
    site.queued(producer, job)
    producer.delivered(mail())
    producer.delivered(LAST)
    assert [message.jid for message in consumer.take(LAST)] == [own_jid(job)]


def test_two_handles_of_one_program_may_differ(site):
    governed = site.producer()
    plain = site.producer({"jobgate.default.dedup": "none"}, app=governed.app)
    site.queued(governed)
    assert not plain.delivered(mail()).stamps
    assert governed.delivered(mail()).header("jobgate-duplicate-of")
