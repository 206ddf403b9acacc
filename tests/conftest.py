# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every test shares: servers, topics, and what was built.

JGTEST_BUILD names the build folder under test (build/release unless set). In a sanitizer's build only those tests run
that start what was built there (fixtures `program`, `cli`), and load the plugin into nothing else (marker
`foreign_host`); a report of the sanitizer fails the test in which it was made.
"""

import ctypes
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from support.kafka import KafkaCluster
from support.redis import RedisServer

ROOT = Path(__file__).parents[1]
BUILD = (ROOT / os.environ.get("JGTEST_BUILD", "build/release")).resolve()
ADDR_NO_RANDOMIZE = 0x0040000


SANITIZER_OPTIONS = (BUILD / "test_environment").read_text().split() if (BUILD / "test_environment").exists() else []
# Each of several test processes looks at its own programs' reports.
SANITIZER_REPORTS = BUILD / "reports" / os.environ.get("PYTEST_XDIST_WORKER", "main")


def pytest_configure():
    """What a sanitizer build's programs need in their environment; programs that tests start inherit it."""
    if not SANITIZER_OPTIONS:
        return
    shutil.rmtree(SANITIZER_REPORTS, ignore_errors=True)
    SANITIZER_REPORTS.mkdir(parents=True, exist_ok=True)
    for line in SANITIZER_OPTIONS:
        name, _, value = line.partition("=")
        os.environ[name] = f"{value}:log_path={SANITIZER_REPORTS}/report"
        if name == "TSAN_OPTIONS":
            # ThreadSanitizer's memory layout does not get on with much address randomisation. Refused in some
            # containers, where it may not be needed.
            ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)


def pytest_collection_modifyitems(config, items):
    if not SANITIZER_OPTIONS:
        return
    kept, left_out = [], []
    for item in items:
        runs_here = {"program", "cli"} & set(item.fixturenames) and not item.get_closest_marker("foreign_host")
        (kept if runs_here else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=bool(SANITIZER_OPTIONS))
def _no_sanitizer_report():
    """A program that is killed, or whose exit code nobody looks at, does not hide a report either."""
    yield
    reports = sorted(SANITIZER_REPORTS.glob("report*"))
    text = "\n".join(report.read_text(errors="replace") for report in reports)
    for report in reports:
        report.unlink()
    if text:
        pytest.fail(f"the sanitizer reported:\n{text}", pytrace=False)


def built(path):
    if not path.exists():
        pytest.fail(f"{path} is not there: run scripts/build")
    return path


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def build_dir():
    return built(BUILD)


@pytest.fixture(scope="session")
def sanitized(build_dir):
    """True when the build under test carries a sanitizer: hosts that are not built with it cannot load the plugin."""
    return bool(SANITIZER_OPTIONS)


@pytest.fixture(scope="session")
def plugin_path(build_dir):
    """For `plugin.library.paths`."""
    return str(built(build_dir / "jobgate.so"))


@pytest.fixture(scope="session")
def cli(build_dir):
    """Runs the `jobgate` command: cli("settings", "--json") -> CompletedProcess, whatever its result."""
    command = str(built(build_dir / "jobgate"))

    def run(*words, timeout_s=60, **options):
        return subprocess.run([command, *map(str, words)], capture_output=True, text=True, timeout=timeout_s, **options)

    return run


@pytest.fixture(scope="session")
def program(build_dir):
    """Path of a C program of the tests: program("host")."""
    return lambda name: str(built(build_dir / "tests" / name))


@pytest.fixture(scope="session")
def kafka():
    """One broker for all tests; leave it running."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis():
    """One Redis for all tests, empty at the start of each; leave it running."""
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _empty_redis(request):
    if "redis" in request.fixturenames:
        request.getfixturevalue("redis").flush()


@pytest.fixture
def make_kafka():
    """make_kafka(nodes=3): a cluster that the test may break."""
    clusters = []

    def make(nodes=1, settings=None, security=None):
        cluster = KafkaCluster(nodes, settings, security)
        clusters.append(cluster)
        return cluster.start()

    yield make
    for cluster in clusters:
        cluster.close()


@pytest.fixture
def make_redis():
    """make_redis(appendonly=True): a server that the test may break."""
    servers = []

    def make(**options):
        server = RedisServer(**options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def own_redis(make_redis):
    """A Redis of this test's own, which it may kill, pause and empty."""
    return make_redis()


@pytest.fixture
def make_topic(kafka):
    """make_topic(partitions=3, config={"cleanup.policy": "compact"}) -> a new topic's name."""

    def make(partitions=1, config=None, name="jobs"):
        return kafka.create_topic(f"{name}-{uuid.uuid4().hex[:12]}", partitions, config)

    return make
