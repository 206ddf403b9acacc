# SPDX-License-Identifier: Apache-2.0
"""The `jobgate` command: what it says of settings, of a payload, of the store, of a key and of a job; its results,
which scripts branch on; and that it never shows a password."""

import json
import os
import subprocess

import pytest

from support.processes import free_ports

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "f" * 32
MEMBER_PLACE = "@host-1/jobs/0/17"
SECRET = "geheim"
OK, NEGATIVE, USAGE, STORE = 0, 1, 2, 3


def jid(number, key=KEY):
    return f"{key}-{number:020x}"


@pytest.fixture
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("JOBGATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def jobgate(cli, clean_environment, request):
    """jobgate("status", store=...) -> CompletedProcess; the store is the test's Redis where it has one."""

    def run(word, *words, store=None, properties=(), **options):
        if store is None and "redis" in request.fixturenames:
            store = request.getfixturevalue("redis").url()
        given = [*properties, f"jobgate.store={store}"] if store else properties
        settings = [part for setting in given for part in ("-X", setting)]
        result = cli(word, *words, *settings, **options)
        assert SECRET not in result.stdout + result.stderr
        assert "Sanitizer" not in result.stderr
        return result

    return run


@pytest.fixture
def store(redis, program):
    """store("claim", class, key, jid, dedup, ...) -> the outcome of that store operation, in a word."""

    def run(*words, namespace="default"):
        result = subprocess.run([program("store_ops"), redis.url(), namespace], input=" ".join(words) + "\n",
                                capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


def identify(jobgate, payload, *words, properties=("jobgate.topics=jobs",), **options):
    return jobgate("key", "--topic", "jobs", *words, properties=properties, input=payload, **options)


# --- words and usage ---


def test_help_names_every_word_and_every_word_has_help(cli):
    overview = cli("help")
    assert overview.returncode == OK
    for word in ("settings", "key", "status", "explain"):
        assert f"\n  {word} " in overview.stdout
        told = cli(word, "--help")
        assert told.returncode == OK
        assert told.stdout.startswith(f"usage: jobgate {word} ")
        assert "--json" in told.stdout
        assert cli("help", word).stdout == told.stdout


def test_the_version_is_told(cli):
    told = cli("--version")
    assert told.returncode == OK
    assert told.stdout.startswith("jobgate ")


@pytest.mark.parametrize("words", [[], ["nonsense"], ["help", "nonsense"], ["settings", "--nonsense"],
                                   ["settings", "x"], ["key"], ["key", "--topic", "t", "x"], ["explain"],
                                   ["explain", KEY, KEY], ["key", "--topic", "t", "--header", "x"],
                                   ["status", "-X", "jobgate.store"]])
def test_wrong_usage_ends_with_2_and_says_so_on_standard_error(cli, words, clean_environment):
    result = cli(*words)
    assert result.returncode == USAGE
    assert "jobgate" in result.stderr
    assert result.stdout == ""


def test_an_unknown_setting_is_refused_with_the_nearest_one(jobgate):
    result = jobgate("status", properties=[f"jobgate.stoer=redis://:{SECRET}@h"])
    assert result.returncode == USAGE
    assert "did you mean jobgate.store?" in result.stderr


def test_a_property_of_others_is_refused(jobgate):
    result = jobgate("status", properties=["bootstrap.servers=h"])
    assert result.returncode == USAGE
    assert "jobgate." in result.stderr


# --- settings ---


def test_settings_are_listed_alike_in_every_style(cli):
    listed = json.loads(cli("settings", "--json").stdout)
    text = cli("settings").stdout
    markdown = cli("settings", "--markdown").stdout
    assert len(listed) > 20
    for setting in listed:
        assert setting["name"] in text
        assert f"`{setting['name']}`" in markdown
        assert setting["doc"] in markdown
    assert len(markdown.splitlines()) == len(listed) + 2
    timeout = next(setting for setting in listed if setting["name"] == "jobgate.store.timeout.ms")
    assert (timeout["default"], timeout["min"], timeout["environment"]) == ("250", 10, "JOBGATE_STORE_TIMEOUT_MS")


# --- key ---


def test_a_payload_is_identified_as_by_the_plugin(jobgate):
    told = identify(jobgate, '{"jid": "a1", "args": [42, {"b": 1, "a": 2}], "class": "Mail"}', "--json")
    assert told.returncode == OK
    read = json.loads(told.stdout)
    assert read["governed"] and read["identified"]
    assert (read["class"], read["args"], read["id"]) == ("Mail", '[42,{"a":2,"b":1}]', "a1")
    assert len(read["key"]) == 32
    again = identify(jobgate, '{"args":[42,{"a":2,"b":1}],"class":"Mail"}', "--json")
    assert json.loads(again.stdout)["key"] == read["key"]


def test_the_policy_that_applies_is_told(jobgate):
    properties = ["jobgate.topics=jobs", "jobgate.class.Mail.dedup=until_executed",
                  "jobgate.class.Mail.dedup.ttl.ms=90000", "jobgate.default.dedup=until_executing",
                  f"jobgate.store=redis://:{SECRET}@h"]
    told = identify(jobgate, '{"class":"Mail","args":[]}', "--json", properties=properties)
    assert json.loads(told.stdout)["policy"] == {"dedup": "until_executed", "dedup.ttl.ms": 90000,
                                                 "dedup.provisional.ms": 30000, "dedup.action": "mark",
                                                 "limit": 0, "limit.ttl.ms": 30000, "hold.max": 0,
                                                 "hold.max.age.ms": 0, "resume.ahead": "auto",
                                                 "resume.wait.ms": "auto", "limit.per.key": 0}
    assert "until_executed" in identify(jobgate, '{"class":"Mail","args":[]}', properties=properties).stdout
    other = identify(jobgate, '{"class":"Other","args":[]}', "--json", properties=properties)
    assert json.loads(other.stdout)["policy"]["dedup"] == "until_executing"


def test_selectors_read_header_and_kafka_key(jobgate):
    properties = ["jobgate.topics=jobs", "jobgate.format=raw", "jobgate.class=header:kind", "jobgate.args=key"]
    told = identify(jobgate, "any bytes", "--header", "kind=Old", "--header", "kind=Mail=1", "--header", "kin=d",
                    "--key", "tenant", "--json", properties=properties)
    read = json.loads(told.stdout)
    assert read["class"] == "Mail=1"
    assert "tenant" in read["args"]
    alone = identify(jobgate, "any bytes", "--header", "kind=Mail", "--json", "--key", "", properties=properties)
    assert json.loads(alone.stdout)["class"] == "Mail"


def test_a_payload_comes_from_a_file_too(jobgate, tmp_path):
    path = tmp_path / "payload.json"
    path.write_text('{"class":"Mail","args":[1]}')
    from_file = identify(jobgate, "", "--payload", path)
    assert from_file.returncode == OK
    assert from_file.stdout == identify(jobgate, path.read_text(), "--payload", "-").stdout
    missing = identify(jobgate, "", "--payload", tmp_path / "missing")
    assert missing.returncode == USAGE
    assert "missing" in missing.stderr


def test_each_line_is_a_payload_when_asked_for(jobgate):
    told = identify(jobgate, '{"class":"Mail","args":[1]}\nnonsense\n{"class":"Mail","args":[2]}', "--lines", "--json")
    read = [json.loads(line) for line in told.stdout.splitlines()]
    assert [one["identified"] for one in read] == [True, False, True]
    assert told.returncode == NEGATIVE


def test_an_unidentified_payload_is_told_with_its_reason(jobgate):
    told = identify(jobgate, "nonsense")
    assert told.returncode == NEGATIVE
    assert told.stdout.startswith("unidentified: ")
    assert "pass" in told.stdout
    rejected = identify(jobgate, "nonsense", "--json",
                        properties=["jobgate.topics=jobs", "jobgate.on.unidentified=reject"])
    assert json.loads(rejected.stdout)["on.unidentified"] == "reject"


def test_a_topic_that_is_not_governed_is_told(jobgate):
    told = identify(jobgate, "{}", properties=["jobgate.topics=others"])
    assert told.returncode == NEGATIVE
    assert "jobgate.topics" in told.stdout


def test_settings_that_a_client_would_be_refused_with_are_an_error(jobgate):
    told = identify(jobgate, "{}", properties=["jobgate.topics=jobs", "jobgate.default.dedup=until_executing"])
    assert told.returncode == USAGE
    assert "jobgate.store is not set" in told.stderr


# --- where settings come from ---


def test_settings_come_from_a_file_the_environment_and_the_command_line(jobgate, tmp_path, monkeypatch):
    path = tmp_path / "jobgate.conf"
    path.write_text("jobgate.topics = jobs\njobgate.class = const:File\n")
    monkeypatch.setenv("JOBGATE_CONFIG", str(path))
    assert json.loads(identify(jobgate, "{}", "--json", properties=[]).stdout)["class"] == "File"
    monkeypatch.setenv("JOBGATE_CLASS", "const:Environment")
    assert json.loads(identify(jobgate, "{}", "--json", properties=[]).stdout)["class"] == "Environment"
    line = identify(jobgate, "{}", "--json", properties=["jobgate.class=const:Line"])
    assert json.loads(line.stdout)["class"] == "Line"


def test_the_file_of_the_command_line_stands_in_for_one_that_cannot_be_read(jobgate, tmp_path, monkeypatch):
    path = tmp_path / "jobgate.conf"
    path.write_text("jobgate.topics = jobs\n")
    monkeypatch.setenv("JOBGATE_CONFIG", "/nonexistent")
    assert identify(jobgate, "{}", properties=[]).returncode == USAGE
    assert identify(jobgate, "{}", "--config", path, properties=[]).returncode == OK


def test_an_error_in_a_file_names_its_line(jobgate, tmp_path):
    path = tmp_path / "jobgate.conf"
    path.write_text(f"# our queues\njobgate.stoer = redis://:{SECRET}@h\n")
    result = identify(jobgate, "{}", "--config", path, properties=[])
    assert result.returncode == USAGE
    assert f"{path}:2: jobgate.stoer" in result.stderr


# --- status ---


def test_status_of_an_empty_store_says_so(jobgate, redis):
    told = jobgate("status")
    assert told.returncode == OK
    assert f"127.0.0.1:{redis.port}" in told.stdout
    assert ", up" in told.stdout
    assert "No job was claimed" in told.stdout
    assert json.loads(jobgate("status", "--json").stdout)["classes"] == []


def test_status_counts_claims_and_runs_of_each_class(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executed")
    store("confirm", "Mail", KEY, jid(1), "until_executed")
    store("claim", "Mail", KEY, jid(2), "until_executed")
    store("claim", "Report", OTHER_KEY, jid(1, OTHER_KEY), "until_executing")
    store("admit", "Mail", KEY, jid(1), "until_executed", jid(1) + MEMBER_PLACE)
    told = json.loads(jobgate("status", "--json").stdout)
    assert told["up"] is True
    mail, report = told["classes"]
    assert (mail["class"], mail["claims"], mail["running"]) == ("Mail", 1, 1)
    assert (mail["counters"]["claimed"], mail["counters"]["duplicates"]) == (1, 1)
    assert (report["class"], report["claims"], report["running"]) == ("Report", 1, 0)
    text = jobgate("status").stdout
    assert "Mail" in text and "Report" in text and "duplicates" in text
    only = jobgate("status", "Report")
    assert "Report" in only.stdout and "Mail" not in only.stdout


def test_status_of_a_class_that_is_not_known_ends_with_1(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executed")
    told = jobgate("status", "Mail", "Male")
    assert told.returncode == NEGATIVE
    assert "'Male'" in told.stderr
    assert "Mail" in told.stdout


def test_status_looks_at_its_own_namespace_only(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executed", namespace="billing")
    assert json.loads(jobgate("status", "--json").stdout)["classes"] == []
    billing = jobgate("status", "--json", properties=["jobgate.namespace=billing"])
    assert json.loads(billing.stdout)["classes"][0]["class"] == "Mail"


@pytest.mark.parametrize("word", [["status"], ["explain", KEY]])
def test_a_store_that_does_not_answer_ends_with_3_and_names_the_setting(jobgate, word):
    (port,) = free_ports(1)
    told = jobgate(*word, store=f"redis://u:{SECRET}@127.0.0.1:{port}")
    assert told.returncode == STORE
    assert "jobgate.store" in told.stderr
    assert f"redis://u:***@127.0.0.1:{port}" in told.stderr


def test_a_store_that_is_down_is_told_as_json_too(jobgate):
    (port,) = free_ports(1)
    told = jobgate("status", "--json", store=f"redis://127.0.0.1:{port}")
    assert told.returncode == STORE
    assert json.loads(told.stdout)["up"] is False


def test_a_wrong_password_ends_with_3(jobgate, make_redis):
    server = make_redis(password=SECRET)
    assert jobgate("status", store=server.url()).returncode == OK
    assert jobgate("status", store=server.url(password=SECRET + "x")).returncode == STORE


@pytest.mark.parametrize("word", [["status"], ["explain", KEY]])
@pytest.mark.parametrize("url, says", [(None, "jobgate.store is not set"), ("memory:", "inside one process"),
                                       (f"redis://:{SECRET}@@h:x", "jobgate.store"),
                                       (f"http://:{SECRET}@h", "jobgate.store")])
def test_a_store_that_cannot_be_looked_into_ends_with_2(jobgate, word, url, says):
    told = jobgate(*word, store=url)
    assert told.returncode == USAGE
    assert says in told.stderr


# --- explain ---


def explain(jobgate, subject, *words):
    told = jobgate("explain", subject, "--json", *words)
    return told.returncode, json.loads(told.stdout)


def test_a_key_that_nobody_claims_is_explained_as_unknown(jobgate, redis):
    told = jobgate("explain", KEY)
    assert told.returncode == NEGATIVE
    assert "Nothing is known of key" in told.stdout
    assert "jobgate-unclaimed" in told.stdout
    result, read = explain(jobgate, KEY)
    assert (result, read["found"], read["claim"]) == (NEGATIVE, False, None)


def test_who_holds_a_key_is_explained_through_the_life_of_its_claim(jobgate, store):
    def state():
        return explain(jobgate, KEY)[1]["claim"]["state"]

    assert store("claim", "Mail", KEY, jid(1), "until_executed") == "original"
    assert state() == "provisional"
    assert "has not acknowledged" in jobgate("explain", KEY).stdout
    store("confirm", "Mail", KEY, jid(1), "until_executed")
    assert state() == "queued"
    assert "no consumer has started it" in jobgate("explain", KEY).stdout
    member = jid(1) + MEMBER_PLACE
    assert store("admit", "Mail", KEY, jid(1), "until_executed", member) == "run"
    assert state() == "running"
    text = jobgate("explain", KEY).stdout
    assert "runs now" in text and member in text and f"Claimed by job {jid(1)}" in text
    result, read = explain(jobgate, KEY)
    assert (result, read["class"], read["claim"]["owner"]) == (OK, "Mail", jid(1))
    assert 0 < read["claim"]["ttl_ms"] <= 600000
    store("complete", "Mail", KEY, jid(1), "until_executed", member)
    assert explain(jobgate, KEY)[0] == NEGATIVE


def test_why_a_job_did_not_run_is_explained(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    assert store("claim", "Mail", KEY, jid(2), "until_executing") == "candidate"
    store("confirm", "Mail", KEY, jid(1), "until_executing")
    assert store("claim", "Mail", KEY, jid(3), "until_executing", "mark") == "duplicate"
    assert store("claim", "Mail", KEY, jid(4), "until_executing", "reject") == "duplicate"
    assert f"Job {jid(2)} was sent as a candidate of {jid(1)}" in jobgate("explain", jid(2)).stdout
    marked = jobgate("explain", jid(3)).stdout
    assert f"Job {jid(3)} was turned away as a duplicate of {jid(1)}, which was queued" in marked
    assert "skipped when consumed" in marked
    assert "its produce call failed" in jobgate("explain", jid(4)).stdout
    assert "It holds the claim of its key" in jobgate("explain", jid(1)).stdout
    _, read = explain(jobgate, KEY)
    assert read["claim"]["duplicates"] == 3
    assert [(one["jid"], one["candidate"], one["action"]) for one in read["duplicates"]] == [
        (jid(4), False, "reject"), (jid(3), False, "mark"), (jid(2), True, "mark")]


def test_duplicates_are_told_after_their_claim_has_ended(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    store("confirm", "Mail", KEY, jid(1), "until_executing")
    store("claim", "Mail", KEY, jid(2), "until_executing")
    store("admit", "Mail", KEY, jid(1), "until_executing", jid(1) + MEMBER_PLACE)
    told = jobgate("explain", jid(2))
    assert told.returncode == OK
    assert "turned away as a duplicate" in told.stdout
    assert "Nobody claims it now" in told.stdout


def test_a_job_that_had_candidates_and_ran_is_explained(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    store("claim", "Mail", KEY, jid(2), "until_executing")
    store("confirm", "Mail", KEY, jid(1), "until_executing")
    store("admit", "Mail", KEY, jid(1), "until_executing", jid(1) + MEMBER_PLACE)
    told = jobgate("explain", jid(1))
    assert f"Job {jid(1)} did run" in told.stdout
    assert explain(jobgate, jid(1))[1]["was"] is True


def test_one_class_is_looked_at_when_asked_for(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    assert explain(jobgate, KEY, "--class", "Mail")[0] == OK
    assert explain(jobgate, KEY, "--class", "Report")[0] == NEGATIVE


def test_a_key_in_capital_letters_is_the_same_key(jobgate, store):
    store("claim", "Mail", KEY, jid(1), "until_executing")
    assert explain(jobgate, KEY.upper())[1]["key"] == KEY


@pytest.mark.parametrize("subject", ["", "a1", KEY[:-1], KEY + "0", KEY + "-12", "x" * 32, jid(1)[:-1] + "g",
                                     jid(1) + "0"])
def test_what_is_neither_key_nor_jid_is_refused(jobgate, redis, subject):
    told = jobgate("explain", subject)
    assert told.returncode == USAGE
    assert "neither a job key" in told.stderr
