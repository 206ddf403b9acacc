# SPDX-License-Identifier: Apache-2.0
"""What the tests of leases share."""

import json
from types import SimpleNamespace

from live.limits import MANUAL, finish
from support.processes import wait_until

LEASE = "jobgate.class.Mail.lease"
TAKEN = "jobgate.class.Mail.lease.taken"
LEASE_TTL = "jobgate.class.Mail.lease.ttl.ms"
DONE_TTL = "jobgate.class.Mail.done.ttl.ms"
TOKEN_HEADER = "jobgate-lease-token"
NOOP_TEXT = "jobgate: skipped: a no-op, since another job holds its lease"
DONE_TEXT = "jobgate: skipped: a job that is done, or a copy of one that was started"
HELD_TEXT = "jobgate: skipped: held until its class lets it run"
# Offsets are stored, and not committed before the consumer closes: what a kill leaves behind is the same each time.
NEVER_COMMITS = {"auto.commit.interval.ms": 600000}


def token_of(message):
    """The fencing token that a job was given, as it reached the application."""
    return int(message.header(TOKEN_HEADER))


def end(consumer, message, settings):
    """Its job ends: by a commit where the program commits, else by the next poll, which must not bring another."""
    if settings == MANUAL:
        finish(consumer, message)
    else:
        consumer.poll()


def lease_of(site, job_key=None, cls="Mail"):
    """The lease as it stands in the store: .jid of the job that holds it ("" when it is free), .member, .token (of the
    last that was given; 0: none was)."""
    client = site.redis.client()
    found = client.hgetall(site.key(f"lease:{job_key}" if job_key else "lease", cls))
    member = found.get("m", "")
    seconds, micros = client.time()
    expires_ms = client.zscore(site.key("run", cls), member) if member else None
    if not expires_ms or expires_ms <= seconds * 1000 + micros // 1000:
        member = ""
    return SimpleNamespace(jid=member.split("@")[0], member=member, token=int(found.get("tok", 0)))


def await_holder(site, jid, timeout_s=30, **which):
    """Until the job with that stamp holds the lease; "": nobody."""
    wait_until(lambda: lease_of(site, **which).jid == jid, timeout_s,
               f"the lease is held by {jid or 'nobody'}; it is {lease_of(site, **which)}")
    return lease_of(site, **which)


def is_done(site, stamp, cls="Mail"):
    """The store remembers that the job has ended."""
    return bool(site.redis.client().exists(site.key(f"done:{stamp}", cls)))


def events(app, kind=None):
    """What log.format=json wrote so far: the events of that kind."""
    lines = [line for line in list(app.stderr_lines) if "JOBGATE-EVENT" in line]
    found = [json.loads(line[line.index("| ") + 2:]) for line in lines]
    return [event for event in found if kind in (None, event["event"])]
