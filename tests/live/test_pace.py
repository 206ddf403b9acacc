# SPDX-License-Identifier: Apache-2.0
"""resume.ahead=auto, live: the resumer lets some jobs go ahead of free slots where that keeps slots busy, and the limit
holds all the same; a number stays that number. How busy they are is measured by `scripts/bench --slots`."""

import json
import random

from support.app import raw_produce_many
from support.jobs import timed_jobs
from support.processes import wait_until

LIMIT = 3
WORKERS = 6
JOB_MS = 20
SETTINGS = {"jobgate.default.dedup": "none", "jobgate.class.Mail.limit": LIMIT, "jobgate.class.Report.limit": LIMIT,
            "jobgate.class.Report.resume.ahead": 0}


def ahead(site):
    classes = json.loads(site.jobgate("status", "--json").stdout)["classes"]
    return {each["class"]: (each["ahead"]["now"], each["ahead"]["auto"]) for each in classes}


def test_with_auto_some_go_ahead_with_a_number_so_many_and_the_limit_holds(make_crew_site, make_crew, recorder):
    site = make_crew_site(SETTINGS, partitions=WORKERS)
    crew = make_crew(site, WORKERS)
    site.await_workers(recorder, WORKERS)
    mails, reports = (timed_jobs(cls, count, random.Random(1), JOB_MS, JOB_MS) for cls, count in (("Mail", 500), ("Report", 60)))
    raw_produce_many(site.kafka, site.topic, [*reports, *mails])
    seen = []

    def some_go_ahead():
        seen.append(ahead(site))
        return seen[-1].get("Mail", (0, True))[0] > 0

    wait_until(some_go_ahead, 60, "some go ahead")
    recorder.await_all([job.jid for job in [*mails, *reports]], 120)
    for cls in ("Mail", "Report"):
        assert recorder.max_overlap(cls) <= LIMIT
        assert not recorder.second_runs(cls)
    assert {found["Report"] for found in seen if "Report" in found} == {(0, False)}
    assert {found["Mail"][1] for found in seen if "Mail" in found} == {True}
    assert site.stats("Report")["resumed"] > 0 and "missed" not in site.stats("Report")
    found = site.jobgate("status", "--prometheus").stdout
    assert 'jobgate_resume_ahead{namespace="default",class="Mail"} ' in found
    assert f'jobgate_tickets_missed_total{{namespace="default",class="Mail"}} {site.stats().get("missed", 0)}' in found
    crew.check()
