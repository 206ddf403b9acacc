# SPDX-License-Identifier: Apache-2.0
"""What the tests of metrics share: Prometheus' own parser reads what jobgate tells."""

import re
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from support.app import PATIENCE_S
from support.processes import wait_until


class Metrics:
    """metrics.value("jobgate_limit", **{"class": "Mail"}) -> 10.0; None: there is no such sample."""

    def __init__(self, text):
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]
        # Prometheus refuses a whole answer that holds a sample twice, or a family in two places.
        told = [(sample.name, frozenset(sample.labels.items())) for sample in self.samples]
        assert len(told) == len(set(told)), "a sample is told twice"
        names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
        assert len(names) == len(set(names)), "a family is told twice"

    @property
    def described(self):
        """{name: (type, help)} of all families, also of those without a sample."""
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", self.text, re.MULTILINE))
        types = dict(re.findall(r"^# TYPE (\S+) (.*)$", self.text, re.MULTILINE))
        assert helps.keys() == types.keys()
        return {name: (types[name], helps[name]) for name in types}

    def all(self, name, **labels):
        return [sample for sample in self.samples
                if sample.name == name and labels.items() <= sample.labels.items()]

    def value(self, name, **labels):
        found = self.all(name, **labels)
        assert len(found) < 2, found
        return found[0].value if found else None

    def of(self, cls):
        """of("Mail")("jobgate_limit")"""
        return lambda name, **labels: self.value(name, **{"class": cls}, **labels)


def status(site, *classes):
    """What `jobgate status --prometheus` says of a site."""
    return Metrics(site.jobgate("status", "--prometheus", *classes).stdout)


class Endpoint:
    """That of a resumer which was started with --metrics."""

    def __init__(self, resumer):
        self.resumer = resumer
        found = wait_until(lambda: re.search(r"metrics at (http://\S+)/metrics", resumer.log), PATIENCE_S,
                           "the resumer says where its metrics are")
        self.url = found.group(1)

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def get(self, path="/metrics", timeout_s=PATIENCE_S):
        """-> (status, text)"""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def scrape(self):
        code, text = self.get()
        assert code == 200, text
        return Metrics(text)

    def await_value(self, wanted, name, **labels):
        def reached():
            return self.scrape().value(name, **labels) == wanted

        wait_until(reached, PATIENCE_S, f"{name}{labels} is {wanted}", interval_s=0.2)
