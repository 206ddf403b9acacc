# SPDX-License-Identifier: Apache-2.0
"""Events of jobs as another program reads them: fastavro, given the schema, and nothing of jobgate."""

import io
import json
import uuid
from pathlib import Path

import fastavro

from support.app import PATIENCE_S
from support.processes import wait_until

AVSC = Path(__file__).parents[2] / "schemas" / "event.avsc"
SCHEMA = fastavro.parse_schema(json.loads(AVSC.read_text()))
CANONICAL = fastavro.schema.to_parsing_canonical_form(json.loads(AVSC.read_text()))
FINGERPRINT = bytes.fromhex(fastavro.schema.fingerprint(CANONICAL, "CRC-64-AVRO"))
TOPIC = "jobgate.events.topic"


def new_name():
    return f"events-{uuid.uuid4().hex[:12]}"


def decode(value):
    """One record in Avro's single-object encoding, to its last byte."""
    assert value[:2] == b"\xc3\x01" and value[2:10] == FINGERPRINT, value[:10].hex()
    stream = io.BytesIO(value[10:])
    event = fastavro.schemaless_reader(stream, SCHEMA)
    assert not stream.read(), "bytes are left"
    return event


def encode(event, fingerprint=FINGERPRINT):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMA, {"time": 0, "event": "done", "job_status": "done", **event})
    return b"\xc3\x01" + fingerprint + stream.getvalue()


def read(site):
    """All events there are, in the order of their times; those of one program keep theirs."""
    messages = site.read(site.settings[TOPIC])
    for message in messages:
        message.happened = decode(message.value)
        assert message.key == (message.happened["jid"] or "").encode()
    return sorted((message.happened for message in messages), key=lambda event: event["time"])


def kinds_of(events, jid):
    return [event["event"] for event in events if event["jid"] == jid]


def await_kinds(site, wanted):
    """Until each jid of {jid: kinds} has had these events; returns all events."""
    last = []

    def complete():
        last[:] = read(site)
        return all(kinds_of(last, jid) == kinds for jid, kinds in wanted.items())

    try:
        wait_until(complete, PATIENCE_S, "all events are there", interval_s=0.2)
    except AssertionError as error:
        found = {jid: kinds_of(last, jid) for jid in wanted}
        raise AssertionError(f"{error}: wanted {wanted}, found {found}") from None
    return last
