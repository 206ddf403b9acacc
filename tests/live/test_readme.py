# SPDX-License-Identifier: Apache-2.0
"""What the README tells a user to type works."""

import re

from checks.tree import ROOT
from support.app import produce_job

LAST = produce_job("Last", [])


def acl_words():
    """The README's `ACL SETUSER`, as one list of words."""
    found = re.search(r"^    (ACL SETUSER (?:.*\\\n)*.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return found.group(1).replace("\\\n", " ").replace(">PASSWORD", ">secret").split()


def test_the_acl_of_the_readme_is_enough(make_site, own_redis, cli):
    own_redis.client().execute_command(*acl_words())
    url = own_redis.url(user="jobgate", password="secret")
    site = make_site({"jobgate.store": url, "jobgate.default.dedup": "until_executed"}, redis=own_redis)
    producer = site.producer()
    job = produce_job("Mail", [1])
    site.queued(producer, job)
    duplicate = producer.delivered(produce_job("Mail", [1]))
    producer.delivered(LAST)
    assert duplicate.header("jobgate-duplicate-of")
    consumer = site.consumer()
    assert len(consumer.take(LAST)) == 1
    status = cli("status", "--json", "-X", f"jobgate.store={url}")
    assert status.returncode == 0, status.stderr
    explained = cli("explain", duplicate.stamp, "-X", f"jobgate.store={url}")
    assert explained.returncode == 0, explained.stderr
    assert "NOPERM" not in producer.app.stderr + consumer.app.stderr + status.stderr + explained.stderr
