# SPDX-License-Identifier: Apache-2.0
"""`jobgate demo` tells one story, and ends with 0 only when it came out so."""

import os
import pty
import re
import shutil
import subprocess
import threading
import time

import pytest

from support.processes import wait_until

ROW = re.compile(r" *(?P<time>\d+\.\d{3})  (?P<who>[a-z]+(?: 2)?) +(?P<what>\S.*?)(?:  .*)?$")
HEADER = re.compile(r" {21}(?P<name>jobgate-[a-z-]+) +(?P<value>\S+)$")

# What must be told, in this order; more may stand between.
STORY = [
    ("producer", "produce A: EmailWorker [42]"),
    ("broker", "A is at offset 0"),
    ("producer", "A claims its key"),
    ("producer", "produce B: EmailWorker [42]"),
    ("producer", "B is dropped as a duplicate of A"),
    ("producer", "C is dropped as a duplicate of A"),
    ("consumer", "A starts"),
    ("producer", "produce D: EmailWorker [42]"),
    ("producer", "D claims its key"),
    ("consumer", "A ends"),
    ("consumer", "B is skipped"),
    ("consumer", "C is skipped"),
    ("consumer", "D starts"),
    ("consumer", "E starts"),
    ("producer", "F is dropped as a duplicate of E"),
    ("consumer", "E ends"),
    ("consumer", "F is skipped"),
    ("producer", "G claims its key"),
    ("consumer", "G starts"),
    ("producer", "I claims its key"),
    ("consumer", "H starts"),
    ("consumer", "I starts"),
    ("consumer", "J starts"),
    ("producer", "produce L fails: _UNKNOWN_PARTITION"),
    ("consumer", "K starts"),
    ("producer", "M claims its key"),
    ("consumer", "M starts"),
    ("producer", "N claims its key"),
    ("consumer 2", "N starts"),
    ("producer", "O claims its key"),
    ("consumer", "O is held"),
    ("producer", "produce P: IndexWorker [2]"),
    ("producer", "P is dropped as a duplicate of O"),
    ("consumer", "P is skipped"),
    ("consumer 2", "N ends"),
    ("consumer", "O starts"),
    ("plugin", "no duplicate check on the way back"),
    ("producer", "Q claims its key"),
    ("consumer", "O ends"),
    ("consumer 2", "Q starts"),
    ("producer", "R claims its key"),
    ("consumer", "R starts"),
    ("consumer", "R starts a migration: load 1"),
    ("producer", "S claims its key"),
    ("consumer 2", "S ends at once, as a no-op"),
    ("consumer", "R ends"),
    ("consumer", "R-1 starts"),
    ("consumer", "R-1 starts a migration: load 2"),
    ("consumer", "R-1 ends"),
    ("consumer", "R-2 starts"),
    ("consumer", "R-2 starts a migration: load 3"),
    ("consumer", "R-2 ends"),
    ("plugin", "R-3 is held"),
    ("program", "a migration ends: load 2"),
    ("consumer", "R-3 starts"),
    ("consumer", "R-3 starts a migration: load 3"),
    ("plugin", "the store knows that R-3 has ended"),
    ("producer", "T claims its key"),
    ("consumer", "T starts a migration: load 1"),
    ("producer", "U is dropped as a duplicate of T"),
    ("consumer", "U is skipped"),
    ("consumer", "T-1 starts a migration: load 2"),
    ("consumer", "T-2 starts a migration: load 3"),
    ("plugin", "the store knows that T-2 has ended"),
    ("consumer 2", "V starts"),
    ("consumer", "W is held"),
    ("consumer", "X starts"),
    ("consumer 2", "V ends"),
    ("consumer", "W starts"),
    ("consumer 2", "Y starts"),
    ("consumer", "Z is held"),
    ("broker", "Z is in its topic again while Y runs"),
    ("consumer 2", "Y ends"),
    ("consumer", "Z starts"),
    ("consumer", "BA starts an import"),
    ("consumer", "BA-1 starts an import"),
    ("plugin", "BA-2 is held"),
    ("consumer", "done starts"),
    ("consumer", "BA-2 starts an import"),
    ("plugin", "the store knows that BA-2 has ended"),
    ("consumer 2", "CA starts"),
    ("producer", "CB is to follow CA"),
    ("producer", "CC is to follow CA"),
    ("consumer", "CB is skipped"),
    ("consumer", "CC is held"),
    ("consumer 2", "CA ends"),
    ("consumer", "CC starts"),
    ("reader", "event of CC: held"),
    ("reader", "event of CC: resumed"),
    ("reader", "event of CC: start"),
    ("reader", "event of CC: done"),
]


def rows(text):
    found = (ROW.match(line) for line in text.splitlines())
    return [(float(row["time"]), row["who"], row["what"]) for row in found if row]


def assert_told(result):
    assert result.returncode == 0, result.stdout + result.stderr
    told = iter(rows(result.stdout))
    for who, what in STORY:
        assert any(row[1] == who and row[2].startswith(what) for row in told), f"{who}: {what}\n{result.stdout}"
    times = [row[0] for row in rows(result.stdout)]
    assert times == sorted(times)
    assert "All as promised" in result.stdout
    assert result.stdout.count("\n  shown  ") == 12
    assert "not shown" not in result.stdout
    assert "\033" not in result.stdout


def headers(text):
    """Those that stand together: of A, of B, what O got by being held and resumed, of R and its successors, of T and
    its."""
    groups, before = [], None
    for match in map(HEADER.match, text.splitlines()):
        if match and not before:
            groups.append({})
        if match:
            groups[-1][match["name"]] = match["value"]
        before = match
    return groups


def assert_goes_on(jobs):
    """Each job of a chain has the next jid, and a larger fencing token."""
    first = jobs[0]["jobgate-jid"]
    assert [job["jobgate-jid"] for job in jobs] == [first] + [f"{first}-{number}" for number in range(1, len(jobs))]
    tokens = [int(job["jobgate-lease-token"]) for job in jobs]
    assert tokens == sorted(set(tokens))


@pytest.fixture
def real(kafka, redis):
    return ["--bootstrap-servers", kafka.bootstrap, "--redis", redis.url()]


@pytest.fixture
def mock(monkeypatch, sanitized):
    """librdkafka (2.0.2) loses a queue when a broker does not know DeleteRecords, which the resumer asks for; the mock
    cluster does not."""
    if sanitized and "ASAN_OPTIONS" in os.environ:
        monkeypatch.setenv("ASAN_OPTIONS", os.environ["ASAN_OPTIONS"] + ":detect_leaks=0")


@pytest.mark.usefixtures("mock")
def test_the_demo_shows_in_under_a_minute_and_without_a_server_what_it_promises(cli, slow):
    """Whatever settings its environment has."""
    env = {**os.environ, "JOBGATE_DISABLE": "all", "JOBGATE_DEFAULT_DEDUP": "none", "JOBGATE_CONFIG": "/nowhere",
           "JOBGATE_NAMESPACE": "other"}
    began = time.monotonic()
    result = cli("demo", env=env, timeout_s=60 * slow)
    assert time.monotonic() - began < 60 * slow
    assert_told(result)
    original, duplicate, resumed, *others = headers(result.stdout)
    enqueuers, (tenants, ahead, *imports) = others[:7], others[7:]
    assert (tenants["jobgate-held-reason"], ahead["jobgate-held-reason"]) == ("key", "limit")
    *imports, followed = imports
    assert followed == {"jobgate-held-reason": "follow-up"}
    slots = [job["jobgate-slot"] for job in imports if "jobgate-slot" in job]
    assert len(slots) == len(set(slots)) == 3
    assert duplicate["jobgate-duplicate-of"] == original["jobgate-jid"]
    assert duplicate["jobgate-key"] == original["jobgate-key"]
    assert "jobgate-duplicate-of" not in original
    assert (resumed["jobgate-held-reason"], resumed["jobgate-resumed"]) == ("limit", "1")
    assert len(enqueuers) == 7
    assert_goes_on(enqueuers[:4])
    assert_goes_on(enqueuers[4:])
    full = [(job.get("jobgate-held-reason"), job.get("jobgate-resumed")) for job in enqueuers]
    assert full == [(None, None)] * 3 + [("capacity", "1")] + [(None, None)] * 3
    assert_shows_its_settings(result.stdout)


def assert_shows_its_settings(told):
    shown = dict(re.findall(r"^  ([a-z]\S+\.\S+) +(\S+)$", told, re.MULTILINE))
    assert shown["jobgate.default.dedup"] == "until_executing"
    for name, dedup in (("Enqueuer", None), ("StrictEnqueuer", "until_executed")):
        its = {key.removeprefix(f"jobgate.class.{name}."): value for key, value in shown.items() if f".{name}." in key}
        assert its.pop("dedup", None) == dedup
        assert its == {"lease": "class", "capacity": "3", "capacity.load": "redis:jobs:migrations",
                       "capacity.work": "redis:jobs:accounts"}


def test_the_demo_shows_the_same_on_a_real_kafka_and_redis(cli, real, slow):
    result = cli("demo", *real, timeout_s=60 * slow)
    assert_told(result)
    store = [what for _, who, what in rows(result.stdout) if who == "store"]
    assert store == ["claim of A: queued, 2 duplicates", "no claim of EmailWorker [42]",
                     "claim of E: running, 0 duplicates", "no claim of ReportWorker [7]",
                     "claim of K: queued, 1 duplicate",
                     "claim of O: held, 1 duplicate", "no claim of IndexWorker [2]",
                     "no claim of Enqueuer []", "no claim of Enqueuer []", "claim of R-3: held, 0 duplicates",
                     "claim of T: running, 1 duplicate", "claim of T-1: running, 1 duplicate",
                     "no claim of StrictEnqueuer []",
                     "claim of CC: running, 2 duplicates", "no claim of SyncWorker [8]"]
    assert re.search(r"EmailWorker +0 claims, claimed 5, duplicates 2,", result.stdout)
    assert re.search(r"IndexWorker +0 claims, claimed 3, .*completed 3, held 1, resumed 1$", result.stdout, re.MULTILINE)
    assert re.search(r" Enqueuer +0 claims, claimed 2, .*admitted 4, completed 4, .*noops 1, reenqueued 3$", result.stdout,
                     re.MULTILINE)
    assert re.search(r"StrictEnqueuer +0 claims, claimed 1, .*completed 3, reenqueued 2$", result.stdout, re.MULTILINE)


def test_the_demo_deletes_its_topics_and_gauges_and_can_be_shown_again(cli, real, kafka, redis, slow):
    for _ in range(2):
        assert_told(cli("demo", *real, timeout_s=60 * slow))
    wait_until(lambda: not [name for name in kafka.admin().list_topics(timeout=10).topics if "demo" in name], 20,
               "the demo's topics are deleted")
    assert [key for key in redis.client().keys("*") if "demo" in key and not key.startswith("jg1:")] == []


@pytest.mark.usefixtures("mock")
def test_an_installed_demo_finds_the_installed_plugin(build_dir, cli, tmp_path, slow):
    assert cli  # runs in sanitizer builds too
    command = shutil.copy(build_dir / "jobgate", tmp_path)
    shutil.copy(build_dir / "jobgate.so", tmp_path / "lib.so")
    (tmp_path / "lib").mkdir()
    os.rename(tmp_path / "lib.so", tmp_path / "lib" / "jobgate.so")
    result = subprocess.run([command, "demo"], env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "lib")},
                            capture_output=True, text=True, timeout=60 * slow)
    assert_told(result)
    assert re.search(r"plugin\.library\.paths +jobgate$", result.stdout, re.MULTILINE)


def test_the_demo_fails_when_the_plugin_cannot_be_loaded(build_dir, cli, tmp_path):
    assert cli
    command = shutil.copy(build_dir / "jobgate", tmp_path)
    (tmp_path / "jobgate.so").touch()
    result = subprocess.run([command, "demo"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"{tmp_path}/jobgate.so" in result.stderr
    assert "shown" not in result.stdout


def test_the_demo_fails_when_its_store_goes_away(cli, kafka, own_redis, slow):
    def kill_once_a_job_is_claimed():
        client = own_redis.client()
        wait_until(lambda: list(client.scan_iter("jg1:*:claim:*", count=1000)), 30, "a claim", interval_s=0.002)
        own_redis.kill()

    killer = threading.Thread(target=kill_once_a_job_is_claimed)
    killer.start()
    result = cli("demo", "--bootstrap-servers", kafka.bootstrap, "--redis", own_redis.url(), timeout_s=120 * slow)
    killer.join()
    assert result.returncode == 1, result.stdout
    assert "NOT AS PROMISED" in result.stdout
    assert "REFUTED" in result.stdout


def test_the_demo_says_so_when_redis_or_kafka_is_not_there(cli, kafka, redis):
    result = cli("demo", "--bootstrap-servers", kafka.bootstrap, "--redis", "redis://127.0.0.1:1")
    assert result.returncode == 3
    assert "redis://127.0.0.1:1" in result.stderr
    result = cli("demo", "--bootstrap-servers", "127.0.0.1:1", "--redis", redis.url())
    assert result.returncode == 1
    assert "127.0.0.1:1" in result.stderr


def test_the_demo_shows_no_password(cli, kafka, make_redis, slow):
    server = make_redis(password="sesame")
    result = cli("demo", "--bootstrap-servers", kafka.bootstrap, "--redis", server.url(), timeout_s=60 * slow)
    assert_told(result)
    assert "sesame" in server.url()
    assert "sesame" not in result.stdout + result.stderr


@pytest.mark.parametrize("words", [("--redis", "redis://localhost"), ("--bootstrap-servers", "localhost"), ("now",),
                                   ("--colour",)], ids=" ".join)
def test_a_wrong_command_line_starts_nothing(cli, words):
    result = cli("demo", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert "jobgate demo" in result.stderr


def on_terminal(command, env, until, timeout_s):
    """What a program writes to a terminal, until it has written that; then it is killed."""
    own, its = pty.openpty()
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.DEVNULL, env=env) as process:
        os.close(its)
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        told = ""
        try:
            while until not in told and (chunk := os.read(own, 65536)):
                told += chunk.decode(errors="replace")
        except OSError:
            pass  # how the end of a terminal shows
        timer.cancel()
        process.kill()
    os.close(own)
    return told


@pytest.mark.usefixtures("mock")
def test_the_demo_is_coloured_on_a_terminal_unless_asked_not_to(build_dir, cli, slow):
    assert cli
    env = {**os.environ, "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    command = [build_dir / "jobgate", "demo"]
    assert "\033[32mA starts" in on_terminal(command, env, "A starts", 60 * slow)
    plain = on_terminal(command, {**env, "NO_COLOR": "1"}, "A starts", 60 * slow)
    assert "A starts" in plain
    assert "\033" not in plain


def test_the_script_tells_how_it_is_used(root):
    told = subprocess.run([root / "scripts" / "demo", "--help"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    for option in ("--kafka", "--bootstrap-servers", "--redis"):
        assert option in told.stdout
    for words in (["--kafka", "--redis", "redis://localhost"], ["--redis"], ["now"]):
        refused = subprocess.run([root / "scripts" / "demo", *words], capture_output=True, text=True, timeout=60)
        assert (refused.returncode, refused.stderr) == (2, told.stdout)
