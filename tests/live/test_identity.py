# SPDX-License-Identifier: Apache-2.0
"""What makes two jobs equal, through the plugin on real topics. The exhaustive cases are unit tests."""

import json
from pathlib import Path

import pytest

from support.app import produce_job

FIXTURES = Path(__file__).parents[1] / "unit" / "fixtures"
ACTIVE_JOB = {"class": "field:wrapped", "args": "field:args.0.arguments", "id": "field:args.0.job_id"}


def is_duplicate(site, producer, first, second, **fields):
    site.queued(producer, first, **fields)
    return producer.delivered(second, **fields).header("jobgate-duplicate-of") is not None


@pytest.mark.parametrize("one, other", [
    ('{"a":1,"b":[2,3]}', '{ "b" : [2, 3],\n "a" : 1 }'),
    ('["\\u00e9"]', '["é"]'),
    ('[]', '[ ]'),
], ids=["order-and-spacing", "escapes", "empty"])
def test_equal_arguments_are_equal_however_they_are_written(site, one, other):
    assert is_duplicate(site, site.producer(), f'{{"class":"Mail","args":{one}}}', f'{{"args":{other},"class":"Mail"}}')


@pytest.mark.parametrize("one, other", [
    ('[1]', '["1"]'),
    ('["a","b"]', '["a,b"]'),
    ('[null]', '[]'),
    ('[12345678901234567890123]', '[12345678901234567890124]'),
    ('[true]', '["true"]'),
    ('{"a":{"b":1}}', '{"a":{"b":2}}'),
], ids=["number-text", "two-one", "null", "big", "boolean", "nested"])
def test_different_arguments_are_different(site, one, other):
    assert not is_duplicate(site, site.producer(), f'{{"class":"Mail","args":{one}}}', f'{{"class":"Mail","args":{other}}}')


def test_sidekiqs_jobs_work_with_the_defaults(site):
    one, other = (FIXTURES.joinpath(name).read_text() for name in ("sidekiq.json", "sidekiq8.json"))
    producer = site.producer()
    assert is_duplicate(site, producer, one, other)
    assert site.log()[0].stamps["jobgate-class"] == "HardWorker"


def test_active_jobs_work_with_selectors(make_site):
    settings = {f"jobgate.{name}": value for name, value in ACTIVE_JOB.items()}
    site = make_site(settings)
    one, other = (FIXTURES.joinpath(name).read_text() for name in ("activejob.json", "activejob_wrapper.json"))
    assert is_duplicate(site, site.producer(), one, other)
    assert site.log()[0].stamps["jobgate-class"] == "EmailJob"


def test_a_topic_may_have_selectors_of_its_own(site):
    producer = site.producer({f"jobgate.topic.{site.topic}.class": "const:Thumbnail",
                              f"jobgate.topic.{site.topic}.args": "key"})
    assert is_duplicate(site, producer, '{"x":1}', '{"x":2}', key="image-7")
    assert site.log()[0].stamps["jobgate-class"] == "Thumbnail"


def test_class_and_arguments_may_be_headers(make_site):
    site = make_site({"jobgate.format": "raw", "jobgate.class": "header:kind", "jobgate.args": "header:what"})
    producer = site.producer()
    headers = [["kind", "Mail"], ["what", "42"]]
    assert is_duplicate(site, producer, {"hex": "00ff"}, {"hex": "01ff"}, headers=headers)
    assert not producer.delivered("x", headers=[["kind", "Mail"], ["what", "43"]]).header("jobgate-duplicate-of")


def test_raw_jobs_are_compared_by_topic_and_payload(make_site):
    site = make_site({"jobgate.format": "raw"})
    producer = site.producer()
    assert is_duplicate(site, producer, {"hex": "00ff10"}, {"hex": "00ff10"})
    assert not producer.delivered({"hex": "00ff11"}).header("jobgate-duplicate-of")
    assert site.log()[0].stamps["jobgate-class"] == site.topic


def test_a_job_of_json_without_class_and_args_is_its_topic_and_payload(site):
    producer = site.producer()
    assert is_duplicate(site, producer, '{"user":1,"mail":2}', '{"mail":2, "user":1}')
    assert site.log()[0].stamps["jobgate-class"] == site.topic


UNIDENTIFIED = {
    "not-json": ({}, "no json {"),
    "empty-class": ({}, produce_job("", [1])),
    "no-such-field": ({"jobgate.class": "field:kind"}, produce_job("Mail", [1])),
    "no-such-header": ({"jobgate.args": "header:what"}, produce_job("Mail", [1])),
}


@pytest.mark.parametrize("settings, payload", UNIDENTIFIED.values(), ids=UNIDENTIFIED)
def test_an_unidentified_message_passes_untouched(make_site, settings, payload):
    site = make_site(settings)
    producer, consumer = site.producer(), site.consumer()
    for _ in range(2):
        producer.delivered(payload, key="k", headers=[["trace", "1"]])
    assert [(m.value, m.key, m.headers) for m in site.log()] == [(payload.encode(), b"k", [("trace", b"1")])] * 2
    assert [consumer.next().value for _ in range(2)] == [payload.encode()] * 2


@pytest.mark.parametrize("settings, payload", UNIDENTIFIED.values(), ids=UNIDENTIFIED)
def test_an_unidentified_message_is_refused_where_that_is_set(make_site, settings, payload):
    site = make_site({"jobgate.on.unidentified": "reject", **settings})
    producer = site.producer()
    assert producer.failed(payload) == "_UNKNOWN_PARTITION"
    assert site.log() == []


def test_a_null_payload_is_not_unidentified(make_site):
    site = make_site({"jobgate.on.unidentified": "reject"})
    site.producer().delivered(None, key="k")
    assert len(site.log()) == 1


# Avro's binary encoding, by hand: strings and bytes are a zigzag length and their bytes.
def avro_text(text):
    data = text.encode()
    assert len(data) < 64
    return bytes([len(data) * 2]) + data


def test_avro_jobs_are_compared_by_their_fields(make_site, tmp_path):
    schema = tmp_path / "task.avsc"
    schema.write_text(json.dumps({"type": "record", "name": "Task", "fields": [
        {"name": "kind", "type": "string"}, {"name": "user", "type": "long"}, {"name": "note", "type": "string"}]}))
    site = make_site({"jobgate.format": "avro", "jobgate.schema": schema, "jobgate.class": "field:kind",
                      "jobgate.args": "field:user"})
    producer = site.producer()

    def task(user, note):
        return {"hex": (avro_text("Mail") + bytes([user * 2]) + avro_text(note)).hex()}

    assert is_duplicate(site, producer, task(7, "one"), task(7, "two"))
    assert not producer.delivered(task(8, "one")).header("jobgate-duplicate-of")
    assert site.log()[0].stamps["jobgate-class"] == "Mail"
