# SPDX-License-Identifier: Apache-2.0
"""What scripts/package made, and clean Debian roots to install it in."""

import json
import re

import pytest

from packages.clean_root import Holder, image, run, what_is_missing

CLIENTS = ("kcat", "python3-confluent-kafka")


@pytest.fixture(scope="session")
def made(root):
    """made("*.deb"): the one package of that kind."""

    def find(pattern):
        found = list((root / "build" / "packages").glob(pattern))
        if len(found) != 1:
            pytest.fail(f"{len(found)} packages {pattern} in build/packages: run scripts/package")
        return found[0]

    return find


@pytest.fixture(scope="session")
def deb(made):
    return made("jobgate_*.deb")


@pytest.fixture(scope="session")
def tarball(made):
    return made("jobgate-*.tar.gz")


@pytest.fixture(scope="session")
def depends(deb):
    """The names of the packages that the package depends on."""
    told = run("dpkg-deb", "--field", deb, "Depends").stdout
    return sorted({re.match(r"\S+", item.strip()).group() for item in told.split(",")})


@pytest.fixture(scope="session")
def make_root(depends):
    """make_root("deb"): a tree of this name; it may install, without the network, what the packages need."""
    missing = what_is_missing()
    if missing:
        pytest.skip(missing)
    holder = Holder(image([*depends, *CLIENTS]))
    yield holder.tree
    holder.close()


class Jobs:
    """A governed topic, and three jobs for it: the second equals the first."""

    def __init__(self, kafka, redis, topic):
        self.topic = topic
        self.store = f"jobgate.store={redis.url()}"
        self.settings = {"plugin.library.paths": "jobgate", "bootstrap.servers": kafka.bootstrap,
                         "jobgate.topics": topic, "jobgate.store": redis.url(),
                         "jobgate.default.dedup": "until_executing"}
        jobs = [{"class": "Mail", "args": [1]}, {"class": "Mail", "args": [1]}, {"class": "Last", "args": []}]
        self.lines = "".join(f"{json.dumps(job)}\n" for job in jobs)
        self.bootstrap = kafka.bootstrap

    def words(self, option=None):
        words = [f"{name}={value}" for name, value in self.settings.items()]
        return [word for each in words for word in ([option] if option else []) + [each]]

    def by_kcat(self, tree):
        """-> the offsets of what ran"""
        tree.run("kcat", "-P", "-t", self.topic, *self.words("-X"), stdin=self.lines)
        told = tree.run("kcat", "-G", f"{self.topic}-kcat", "-c", "2", "-f", "%o ", *self.words("-X"),
                        "-X", "jobgate.skip.error=partition_eof", "-X", "auto.offset.reset=earliest", self.topic)
        return told.split()

    def by_python(self, tree, script):
        told = tree.run("python3", script, self.topic, *self.words(), stdin=self.lines)
        return re.findall(r"^job (\d+)$", told, re.MULTILINE)


@pytest.fixture
def jobs(kafka, redis, make_topic):
    return Jobs(kafka, redis, make_topic())
