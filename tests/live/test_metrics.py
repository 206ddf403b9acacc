# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told: by `jobgate status --prometheus`, and by the endpoint of `jobgate resume --metrics`. The
numbers are those of what happened; names of classes may hold any bytes; and whatever becomes of the store, or of those
who ask, the endpoint answers soon."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from live.leases import await_holder
from live.limits import LIMIT, MANUAL, await_skips, blocked, finish, mail
from live.metrics import Endpoint, Metrics, status
from support.app import PATIENCE_S, produce_job
from support.processes import free_ports, wait_until

SEPARATE = {"jobgate.resumer": "separate"}
IMPORT = {"jobgate.class.Import.lease": "class", "jobgate.class.Import.lease.ttl.ms": 1000}
# Answers come in milliseconds; a store that is dead costs its timeout. Far above both, far below a hang.
BOUND_S = 15


@pytest.fixture
def make_endpoint(make_resumer):
    """make_endpoint(site): `jobgate resume --metrics` on a free port."""
    return lambda site, settings=None, where="0": Endpoint(make_resumer(site, settings, words=["--metrics", where]))


@pytest.fixture
def site(make_site):
    return make_site({LIMIT: 1})


def listening(pid):
    """The TCP ports, local addresses as the kernel spells them, that a process listens on."""
    links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/{pid}/net/{name}").readlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]


def await_status(site, cls, wanted):
    """Until these are the numbers of the class; they come from several places in the background."""

    def differing():
        found = status(site).of(cls)
        return {name: (found(name), value) for name, value in wanted.items() if found(name) != value}

    try:
        wait_until(lambda: not differing(), PATIENCE_S, "the numbers are as wanted", interval_s=0.3)
    except AssertionError:
        raise AssertionError(f"(found, wanted): {differing()}") from None


# --- the numbers ---


def test_the_numbers_of_a_class_are_those_of_what_happened(site):
    producer = site.producer()
    site.queued(producer, mail(1))
    for _ in range(2):
        producer.delivered(mail(1))
    before = status(site).of("Mail")
    assert before("jobgate_claims", state="queued") == 1 and before("jobgate_claims", state="held") == 0
    assert before("jobgate_jobs_claimed_total") == 1 and before("jobgate_jobs_duplicate_total") == 2
    assert before("jobgate_claims_confirmed_total") == 1
    assert before("jobgate_limit") is None, "no consumer has told it"
    consumer = site.consumer(MANUAL)
    running = consumer.next()
    for number in (2, 3):
        producer.delivered(mail(number))
    await_skips(consumer, 4)
    site.await_held(2)
    await_status(site, "Mail", {"jobgate_running_jobs": 1, "jobgate_held_jobs": 2, "jobgate_limit": 1,
                                "jobgate_settings_limit": 1, "jobgate_paused": 0, "jobgate_limit_overridden": 0,
                                "jobgate_limit_disagreement": 0, "jobgate_jobs_held_total": 2,
                                "jobgate_jobs_admitted_total": 1, "jobgate_jobs_resumed_total": 0})
    assert status(site).of("Mail")("jobgate_claims", state="held") == 2
    first_age_s = wait_until(lambda: status(site).of("Mail")("jobgate_oldest_held_age_seconds"), PATIENCE_S, "an age")
    wait_until(lambda: status(site).of("Mail")("jobgate_oldest_held_age_seconds") > first_age_s, PATIENCE_S, "it grows")
    for _ in range(2):
        finish(consumer, running)
        running = consumer.next()
    finish(consumer, running)
    await_status(site, "Mail", {"jobgate_running_jobs": 0, "jobgate_held_jobs": 0, "jobgate_tickets": 0,
                                "jobgate_oldest_held_age_seconds": 0, "jobgate_jobs_completed_total": 3,
                                "jobgate_jobs_failed_total": 0, "jobgate_jobs_admitted_total": 3})
    found, stats = status(site).of("Mail"), site.stats()
    # A job that was resumed too soon is held once more: as often as it was held, it was resumed.
    assert found("jobgate_jobs_resumed_total") == found("jobgate_jobs_held_total") == stats["held"] >= 2
    assert found("jobgate_instances") >= 1
    assert found("jobgate_jobs_dead_lettered_total") == found("jobgate_runs_lost_total") == 0


def test_limits_that_are_set_at_run_time_are_told(site):
    blocked(site, site.consumer(MANUAL))
    site.jobgate("limit", "Mail", "7")
    await_status(site, "Mail", {"jobgate_limit": 7, "jobgate_settings_limit": 1, "jobgate_limit_overridden": 1})
    site.jobgate("pause", "Mail")
    await_status(site, "Mail", {"jobgate_limit": 0, "jobgate_paused": 1})


def test_a_lease_that_was_lost_is_counted(make_site):
    site = make_site(IMPORT, session_ms=45000)
    consumer = site.consumer(MANUAL)
    producer = site.producer()
    old = producer.delivered(produce_job("Import", [1])).stamp
    running = consumer.next()
    token = await_holder(site, old, cls="Import").token
    await_status(site, "Import", {"jobgate_leases_held": 1, "jobgate_lease_token": token,
                                  "jobgate_leases_lost_total": 0})
    consumer.app.pause()
    await_holder(site, "", cls="Import")
    consumer.app.resume()
    consumer.app.wait_log("has lost its lease")
    finish(consumer, running)
    await_status(site, "Import", {"jobgate_leases_held": 0, "jobgate_lease_token": token,
                                  "jobgate_leases_lost_total": 1, "jobgate_runs_lost_total": 1})


def test_capacity_and_load_are_told(make_site):
    key = "load-of-metrics"
    site = make_site({"jobgate.class.Mail.capacity": 3, "jobgate.class.Mail.capacity.load": f"redis:{key}"})
    client = site.redis.client()
    client.set(key, 5)
    site.producer().delivered(mail(1))
    await_skips(site.consumer(), 1)
    await_status(site, "Mail", {"jobgate_capacity": 3, "jobgate_load": 5, "jobgate_gauge_wrong": 0})
    client.set(key, "many")
    await_status(site, "Mail", {"jobgate_capacity": 3, "jobgate_load": None, "jobgate_gauge_wrong": 1})


def test_a_loss_of_data_shows(make_site, own_redis):
    site = make_site({LIMIT: 1}, redis=own_redis)
    site.queued(site.producer(), mail(1))
    before = status(site)
    own_redis.restart_empty()
    site.queued(site.producer(), mail(1))
    after = status(site)
    name = "jobgate_class_epoch_timestamp_seconds"
    assert after.of("Mail")(name) > before.of("Mail")(name) > 0
    (old,), (new,) = before.all("jobgate_store_info"), after.all("jobgate_store_info")
    assert old.labels["run_id"] != new.labels["run_id"]
    assert after.value("jobgate_store_start_time_seconds") > 0
    assert after.of("Mail")("jobgate_jobs_claimed_total") == 1, "counters begin anew"


def test_a_redis_that_forgets_keys_shows(site):
    site.queued(site.producer(), mail(1))
    assert status(site).value("jobgate_store_evicts") == 0
    assert status(site).value("jobgate_store_evicted_keys_total") == 0
    client = site.redis.client()
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert status(site).value("jobgate_store_evicts") == 1
    finally:
        client.config_set("maxmemory-policy", "noeviction")


# --- the command ---


def test_status_tells_only_the_classes_that_it_is_asked_for(site):
    producer = site.producer()
    for cls in ("Mail", "Other"):
        site.queued(producer, produce_job(cls, [1]))
    assert {sample.labels["class"] for sample in status(site).all("jobgate_held_jobs")} == {"Mail", "Other"}
    assert {sample.labels["class"] for sample in status(site, "Other").all("jobgate_held_jobs")} == {"Other"}
    told = site.jobgate("status", "--prometheus", "Nobody", succeeds=False)
    assert told.returncode == 1 and "'Nobody' is not known" in told.stderr
    assert Metrics(told.stdout).all("jobgate_held_jobs") == []


def test_status_says_that_the_store_is_down(cli):
    (port,) = free_ports(1)
    told = cli("status", "--prometheus", "-X", f"jobgate.store=redis://:geheim@127.0.0.1:{port}")
    assert told.returncode == 3
    assert Metrics(told.stdout).value("jobgate_store_up", namespace="default") == 0
    assert "geheim" not in told.stdout + told.stderr


def test_json_and_prometheus_do_not_go_together(cli, redis):
    told = cli("status", "--prometheus", "--json", "-X", f"jobgate.store={redis.url()}")
    assert told.returncode == 2 and told.stdout == ""


HOSTILE = ['quo"te', "back\\slash", "new\nline", "\\n", "tab\tbell\a", "{a=\"b\"}", "été 日本 🦀", "# HELP x", "a\r", " ",
           "\u2028", "{"]


def test_names_of_classes_may_hold_any_text(make_site, make_endpoint):
    names = ['we"ird\\n {class "Mail"}', "été 日本 🦀", "\\"]
    site = make_site({f"jobgate.class.{name}.limit": 1 for name in names} | {"jobgate.store.grace.ms": 500} | SEPARATE)
    producer, consumer = site.producer(), site.consumer(MANUAL)
    for name in names:
        for number in range(2):
            producer.delivered(produce_job(name, [number]))
    await_skips(consumer, len(names))
    for name in names:
        await_status(site, name, {"jobgate_running_jobs": 1, "jobgate_held_jobs": 1, "jobgate_limit": 1})
    endpoint = make_endpoint(site)
    for name in names:
        endpoint.await_value(1, "jobgate_resumer_held_jobs", **{"class": name, "topic": site.topic})


def test_names_in_the_store_may_hold_any_bytes(redis, build_dir):
    replaced = "\ufffd"
    raw = {name.encode(): name for name in HOSTILE}
    raw |= {b"\xff": f"{replaced}ff", b"a\xc3": f"a{replaced}c3", b"\xed\xa0\x80": "".join(
        f"{replaced}{byte}" for byte in ("ed", "a0", "80")), f"{replaced}ff".encode(): "".join(
            f"{replaced}{byte}" for byte in ("ef", "bf", "bd")) + "ff"}
    with redis.client() as client:
        client.sadd("jg1:default:classes", *raw)
    told = subprocess.run([build_dir / "jobgate", "status", "--prometheus", "-X", f"jobgate.store={redis.url()}"],
                          capture_output=True, timeout=60)
    assert told.returncode == 0, told.stderr
    metrics = Metrics(told.stdout.decode())
    found = {sample.labels["class"] for sample in metrics.all("jobgate_held_jobs")}
    assert found == set(raw.values())
    assert metrics.value("jobgate_classes") == len(raw)


# --- the endpoint ---


def test_the_endpoint_tells_what_the_resumer_does(make_site, make_endpoint):
    site = make_site({LIMIT: 1, **SEPARATE})
    endpoint = make_endpoint(site)
    endpoint.await_value(1, "jobgate_resumer_leading", group=site.group)
    consumer = site.consumer(MANUAL)
    running = blocked(site, consumer)
    producer = site.producer()
    for number in range(3):
        producer.delivered(mail(number))
    await_skips(consumer, 3)
    endpoint.await_value(3, "jobgate_resumer_held_jobs", topic=site.topic, **{"class": "Mail"})
    endpoint.await_value(3, "jobgate_held_jobs", **{"class": "Mail"})
    for _ in range(3):
        finish(consumer, running)
        running = consumer.next()
    endpoint.await_value(0, "jobgate_resumer_held_jobs", topic=site.topic, **{"class": "Mail"})
    endpoint.await_value(1, "jobgate_resumer_caught_up")
    # The store's tally of resumed jobs follows their transaction.
    wait_until(lambda: site.stats()["resumed"] == site.stats()["held"], PATIENCE_S, "all are told of")
    found = endpoint.scrape()
    resumed = found.value("jobgate_resumer_jobs_resumed_total")
    assert resumed == site.stats()["resumed"] >= 3
    assert found.value("jobgate_process_events_total", event="resumed") == resumed
    committed = found.value("jobgate_resumer_transactions_total", outcome="committed")
    aborted = found.value("jobgate_resumer_transactions_total", outcome="aborted")
    assert 1 <= committed <= resumed
    name = "jobgate_resumer_transaction_duration_seconds"
    assert found.value(f"{name}_count") == committed + aborted
    assert found.value(f"{name}_bucket", le="+Inf") == committed + aborted and found.value(f"{name}_sum") > 0
    assert found.value("jobgate_store_exchange_duration_seconds_count") > 0
    assert found.value("jobgate_store_up") == 1 and found.value("jobgate_store_breaker_open") == 0
    assert found.value("jobgate_store_failures_total") == 0
    (build,) = found.all("jobgate_build_info")
    assert f"jobgate {build.labels['version']}\n" == site.jobgate("--version").stdout
    assert abs(found.value("process_start_time_seconds") - time.time()) < 600
    assert found.of("Mail")("jobgate_jobs_held_total") == site.stats()["held"]
    assert not found.all("jobgate_claims"), "counting claims walks over the store"


def test_health_tells_who_leads_and_whether_the_store_is_up(make_site, make_endpoint, own_redis):
    site = make_site({LIMIT: 1, **SEPARATE}, redis=own_redis)
    first = make_endpoint(site)
    wait_until(lambda: "resumer leads" in first.get("/healthz")[1], PATIENCE_S, "it leads")
    second = make_endpoint(site)
    code, text = second.get("/healthz")
    assert code == 200 and "resumer stands by\n" in text and "store up\n" in text
    assert second.scrape().value("jobgate_resumer_leading") == 0
    assert second.get("/-/ready")[0] == first.get("/-/ready")[0] == 200
    own_redis.kill()
    for endpoint in (first, second):
        wait_until(lambda: endpoint.get("/-/ready")[0] == 503, PATIENCE_S, "it is not ready")
        code, text = endpoint.get("/healthz")
        assert code == 200 and "store down\n" in text
    own_redis.start()
    for endpoint in (first, second):
        wait_until(lambda: endpoint.get("/-/ready")[0] == 200, PATIENCE_S, "it is ready again")


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_dead_store_keeps_nobody_waiting(make_site, make_endpoint, own_redis, how):
    site = make_site({LIMIT: 1, **SEPARATE}, redis=own_redis)
    site.queued(site.producer(), mail(1))
    endpoint = make_endpoint(site)
    assert endpoint.scrape().value("jobgate_store_up") == 1
    getattr(own_redis, how)()
    endpoint.await_value(0, "jobgate_store_up")
    endpoint.await_value(1, "jobgate_store_breaker_open")
    for _ in range(3):
        began = time.monotonic()
        found = endpoint.scrape()
        assert time.monotonic() - began < BOUND_S
        assert found.value("jobgate_store_up") == 0 and not found.all("jobgate_held_jobs")
        assert found.value("jobgate_store_failures_total") > 0
        assert found.all("jobgate_resumer_leading") and found.all("jobgate_build_info")
    getattr(own_redis, {"kill": "start", "pause": "resume"}[how])()
    endpoint.await_value(1, "jobgate_store_up")
    endpoint.await_value(0, "jobgate_store_breaker_open")


def test_many_may_ask_at_once_and_the_store_is_asked_once_a_second(make_site, make_endpoint):
    site = make_site({LIMIT: 1, **SEPARATE})
    site.queued(site.producer(), mail(1))
    endpoint = make_endpoint(site)
    client = site.redis.client()

    def surveys():
        return client.info("commandstats").get("cmdstat_smembers", {"calls": 0})["calls"]

    before, began = surveys(), time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: endpoint.get(), range(100)))
    took_s = time.monotonic() - began
    assert {code for code, _ in answers} == {200}
    assert {Metrics(text).of("Mail")("jobgate_jobs_claimed_total") for _, text in answers} == {1}
    assert 1 <= surveys() - before <= 2 + took_s


def test_those_who_say_nothing_keep_nobody_out(make_site, make_endpoint):
    endpoint = make_endpoint(make_site({LIMIT: 1, **SEPARATE}))
    silent = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(100)]
    try:
        for connection in silent[::2]:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert endpoint.get(timeout_s=60)[0] == 200
    finally:
        for connection in silent:
            connection.close()


def test_those_who_draw_a_request_out_keep_nobody_out(make_site, make_endpoint):
    endpoint = make_endpoint(make_site({LIMIT: 1, **SEPARATE}))
    slow = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(100)]
    over = threading.Event()

    def trickle():
        while not over.wait(0.5):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"G")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        for _ in range(3):
            assert endpoint.get(timeout_s=60)[0] == 200
    finally:
        over.set()
        thread.join()
        for connection in slow:
            connection.close()


def test_what_is_not_asked_for_is_refused(make_site, make_endpoint):
    endpoint = make_endpoint(make_site({LIMIT: 1, **SEPARATE}))
    assert endpoint.get("/")[0] == endpoint.get("/metrics/x")[0] == endpoint.get("/" + "x" * 4000)[0] == 404
    for line in ("POST /metrics HTTP/1.1", "DELETE /metrics HTTP/1.1", "rubbish", "GET /metrics HTTP/1.1\r\nX: " + "x" * 20000):
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE_S) as connection:
            connection.sendall(f"{line}\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        assert b" 200 " not in answer.split(b"\r\n")[0], line
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert b" 200 " in head and b"version=0.0.4" in head and body == b""
    assert endpoint.get()[0] == 200


def test_the_endpoint_is_on_loopback_and_ends_with_its_process(make_site, make_endpoint):
    endpoint = make_endpoint(make_site({LIMIT: 1, **SEPARATE}))
    assert endpoint.url.startswith("http://127.0.0.1:")
    with ThreadPoolExecutor(1) as pool:
        idle = socket.create_connection(("127.0.0.1", endpoint.port))
        ended = pool.submit(endpoint.resumer.stop)
        ended.result(PATIENCE_S)
    assert not endpoint.resumer.running()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE_S)
    idle.close()


def test_a_port_that_is_taken_is_an_error_that_says_so(make_site):
    site = make_site({LIMIT: 1, **SEPARATE})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        told = subprocess.run([str(word) for word in site.resumer_command(words=["--metrics", where])],
                              capture_output=True, text=True, timeout=60)
    assert told.returncode == 2
    assert f"--metrics {where}: cannot listen there: Address already in use" in told.stderr


@pytest.mark.parametrize("where", ["", "x", "70000", "1.2.3.4:", "::1:9464", "[::1:9464", "127.0.0.1:9464x", "-1",
                                   "no.such.host.invalid:9464"])
def test_an_address_that_is_none_is_an_error_that_says_so(make_site, where):
    site = make_site({LIMIT: 1, **SEPARATE})
    told = subprocess.run([str(word) for word in site.resumer_command(words=[f"--metrics={where}"])],
                          capture_output=True, text=True, timeout=60)
    assert told.returncode == 2
    assert "--metrics" in told.stderr


def test_without_the_option_nothing_listens(make_site, make_resumer):
    site = make_site({LIMIT: 1, **SEPARATE})
    asked = Endpoint(make_resumer(site, words=["--metrics", "0"]))
    assert listening(asked.resumer.pid) == [f"0100007F:{asked.port:04X}"]
    asked.resumer.stop()
    resumer = make_resumer(site)
    wait_until(lambda: "leads for group" in resumer.log, PATIENCE_S, "it leads")
    assert listening(resumer.pid) == []


# --- what the docs say ---


def test_the_docs_list_every_metric(make_site, make_endpoint, root):
    site = make_site({LIMIT: 1, **SEPARATE})
    of_endpoint, of_status = make_endpoint(site).scrape().described, status(site).described
    text = (root / "docs/metrics.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", text, re.MULTILINE)
    assert {name: (kind, told) for name, kind, told in listed} == of_endpoint | of_status
    assert of_status.keys() - of_endpoint.keys() == {"jobgate_claims"}


def test_a_program_tells_its_plugins_counters_as_the_docs_show(kafka, make_topic, plugin_path, root):
    (example,) = re.findall(r"<!-- example:begin -->\n```python\n(.*?)```\n<!-- example:end -->",
                            (root / "docs/metrics.md").read_text(), re.DOTALL)
    program = "\n".join([
        "import sys", "from confluent_kafka import Producer", "from prometheus_client import generate_latest",
        "producer = Producer({'bootstrap.servers': sys.argv[1], 'plugin.library.paths': sys.argv[2],",
        "                     'jobgate.topics': sys.argv[3], 'jobgate.store': 'memory:',",
        "                     'jobgate.default.dedup': 'until_executing'})",
        "for _ in range(3):", "    producer.produce(sys.argv[3], '{\"class\": \"Mail\", \"args\": [1]}')",
        "    producer.flush(30)",
        example.replace('library="jobgate.so"', "library=sys.argv[2]"),
        "print(generate_latest().decode())"])
    told = subprocess.run([sys.executable, "-c", program, kafka.bootstrap, plugin_path, make_topic()],
                          capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    found = Metrics(told.stdout)
    assert found.value("jobgate_process_events_total", event="original") == 1
    turned_away = [found.value("jobgate_process_events_total", event=event) for event in ("duplicate", "candidate")]
    assert sum(turned_away) == 2
