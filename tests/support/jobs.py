# SPDX-License-Identifier: Apache-2.0
"""Jobs whose payload says how long they take, for the workers of a crew."""

import json
import uuid
from typing import NamedTuple


class TimedJob(NamedTuple):
    jid: str
    payload: bytes


def timed_job(cls, ms, args=None):
    """As Sidekiq writes it, with a field `ms`; its arguments are its own unless given."""
    jid = uuid.uuid4().hex[:24]
    return TimedJob(jid, json.dumps({"class": cls, "args": [jid] if args is None else args, "jid": jid, "ms": ms}).encode())


def timed_jobs(cls, count, random, least_ms, most_ms):
    return [timed_job(cls, random.randint(least_ms, most_ms)) for _ in range(count)]
