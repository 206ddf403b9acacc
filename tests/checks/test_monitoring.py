# SPDX-License-Identifier: Apache-2.0
"""The alert rules and the dashboard are sound, and speak of metrics that docs/metrics.md lists; that jobgate tells these
is shown by live/test_metrics.py."""

import json
import re
import shutil
import subprocess

import pytest

from checks.tree import ROOT, report

RULES = ROOT / "docs/monitoring/jobgate.rules.yml"
DASHBOARD = ROOT / "docs/monitoring/jobgate-dashboard.json"
RULES_TEST = ROOT / "tests/checks/rules_test.yml"
OF_HISTOGRAMS = re.compile("_(bucket|sum|count)$")


def documented():
    """{name: type} of the tables in docs/metrics.md."""
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    return dict(rows)


def unknown_metrics(text):
    """Names of metrics that are in no table; a histogram is asked for by its parts."""
    known = documented()
    named = set(re.findall(r"(?<![\w:.])jobgate_\w+", text))
    for name in sorted(named):
        base = OF_HISTOGRAMS.sub("", name)
        if known.get(name) in ("counter", "gauge") or (base != name and known.get(base) == "histogram"):
            continue
        yield name


def expressions():
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


@pytest.fixture(scope="session")
def promtool():
    own = ROOT / "build/promtool/promtool"
    found = str(own) if own.exists() else shutil.which("promtool")
    assert found, "promtool is not there: run scripts/setup"

    def run(*words):
        return subprocess.run([found, *map(str, words)], capture_output=True, text=True, timeout=120)

    return run


def test_the_alert_rules_are_sound(promtool):
    told = promtool("check", "rules", RULES)
    assert told.returncode == 0, told.stdout + told.stderr


def test_each_alert_fires_when_it_should(promtool):
    told = promtool("test", "rules", RULES_TEST)
    assert told.returncode == 0, told.stdout + told.stderr
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    tested = set(re.findall(r"labels: 'ALERTS\{alertname=\"(\w+)\"", RULES_TEST.read_text()))
    assert alerts and alerts == tested


def test_each_alert_says_what_it_means(promtool):
    for alert in re.split(r"\n(?= +- (?:alert|record): )", RULES.read_text())[1:]:
        if "- alert:" in alert:
            for word in ("expr:", "severity:", "summary:", "description:"):
                assert word in alert, alert


def test_rules_and_dashboard_speak_of_metrics_that_there_are():
    assert len(documented()) > 50
    exprs = "\n".join(re.findall(r"expr: (\|?.*?)\n(?: +for| +labels)", RULES.read_text(), re.DOTALL))
    report([f"{RULES.name}: {name}" for name in unknown_metrics(exprs)]
           + [f"{DASHBOARD.name}: {name}" for name in unknown_metrics("\n".join(expressions()))]
           + [f"docs/metrics.md: {name}" for name in unknown_metrics("\n".join(
               re.findall(r"^    .*", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)))
              if name not in ("jobgate_counter", "jobgate_counter_name", "jobgate_process_events")])


def test_a_metric_that_there_is_not_is_seen():
    assert list(unknown_metrics("rate(jobgate_no_such_total[5m]) + jobgate_limit")) == ["jobgate_no_such_total"]
    assert list(unknown_metrics("jobgate_limit_bucket + jobgate_store_exchange_duration_seconds")) == [
        "jobgate_limit_bucket", "jobgate_store_exchange_duration_seconds"]


def test_the_dashboard_asks_for_its_data_source_and_each_panel_uses_it(promtool, tmp_path):
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["targets"], panel["title"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]), panel["title"]
    used = set(re.findall(r"\$(\w+)", "\n".join(expressions())))
    assert used - {"__rate_interval"} == variables.keys() - {"datasource"}
    # As recording rules, the expressions meet Prometheus' own parser.
    rules = tmp_path / "dashboard.rules.yml"
    rules.write_text("groups:\n- name: dashboard\n  rules:\n" + "".join(
        f"  - {{record: panel:{number}, expr: {json.dumps(expr.replace('$__rate_interval', '5m'))}}}\n"
        for number, expr in enumerate(expressions())))
    told = promtool("check", "rules", rules)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_events_in_the_docs_are_the_plugins_counters():
    counters = re.findall(r'X\(\w+, +"(\w+)", +"([^"]*)"\)', (ROOT / "plugin/counters.h").read_text())
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    assert rows == counters
