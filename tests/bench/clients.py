# SPDX-License-Identifier: Apache-2.0
"""scripts/bench --clients: the rates of each client library with the plugin, against the same client without it."""

import json
import subprocess
import uuid
from statistics import median

from bench.programs import BUILD, LIMIT_S, ROOT, BenchError
from bench.report import spread, table

# How each client's program is started; scripts/clients builds them.
CLIENTS = {
    "Python": [ROOT / "build" / "venv" / "bin" / "python", ROOT / "tests" / "clients" / "py_client.py"],
    "Go": [ROOT / "build" / "clients" / "go" / "client"],
    "Node": ["node", ROOT / "build" / "clients" / "node" / "kafka_javascript.js"],
}
# Messages of one run: a governed one costs a round trip to Redis.
PLAIN, GOVERNED = 20000, 2000
STEPS = ["produce", "consume"]


def governing(redis, topic):
    return {"plugin.library.paths": BUILD / "jobgate.so", "jobgate.topics": topic, "jobgate.store": redis.url(),
            "jobgate.default.dedup": "until_executing", "jobgate.log.level": "error"}


def run(client, step, topic, count, properties):
    """One run of a client's program. -> messages per second"""
    command = [*CLIENTS[client], f"bench-{step}", topic, count, *(f"{name}={value}" for name, value in properties.items())]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{client}: {error}") from None
    if done.returncode != 0 or not done.stdout.strip():
        raise BenchError(f"{client}: {step} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found["messages"] / found["seconds"]


def both(client, kafka, redis, governed, count):
    """Into a new topic, and out of it. -> {step: messages per second}"""
    topic = kafka.create_topic(f"jobs-{uuid.uuid4().hex}", 1, {"file.delete.delay.ms": 1000})
    redis.flush()
    loaded = governing(redis, topic) if governed else {}
    base = {"bootstrap.servers": kafka.bootstrap}
    group = {"group.id": f"bench-{uuid.uuid4().hex}", "auto.offset.reset": "earliest"}
    # The plugin stands before its settings.
    rates = {"produce": run(client, "produce", topic, count, {**base, **loaded})}
    with redis.client() as store:
        claimed = int(store.hget("jg1:default:{Mail}:stats", "claimed") or 0)
    if governed and claimed != count:  # what went out without a claim would make a fast and worthless figure
        raise BenchError(f"{client}: {claimed} of {count} jobs were claimed")
    rates["consume"] = run(client, "consume", topic, count, {**base, **group, **loaded})
    admin = kafka.admin()
    for done in admin.delete_topics([topic]).values():
        done.result(30)
    return rates


def measure(kafka, redis, rounds, say):
    """-> {client: {step: {"plain": [rate], "governed": [rate]}}}; each round turns the order around."""
    found = {client: {step: {"plain": [], "governed": []} for step in STEPS} for client in CLIENTS}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}" if number else "warming up")
        for client in CLIENTS:
            for governed in (False, True) if number % 2 else (True, False):
                rates = both(client, kafka, redis, governed, GOVERNED if governed else PLAIN)
                for step in STEPS if number else ():
                    found[client][step]["governed" if governed else "plain"].append(rates[step])
    return found


def results(found):
    return {client: {step: {**{kind: {**spread(rates), "samples": rates} for kind, rates in kinds.items()},
                            "ratio": median(kinds["governed"]) / median(kinds["plain"])}
                     for step, kinds in steps.items()} for client, steps in found.items()}


def text(found):
    rows = []
    for client, steps in found.items():
        for step, entry in steps.items():
            rows.append([f"{client}, {step}", *(f"{entry[kind]['median']:,.0f}" for kind in ("plain", "governed")),
                         f"{entry['ratio']:.3f}",
                         f"governed: {entry['governed']['min']:,.0f} to {entry['governed']['max']:,.0f}"])
    return "\n".join(table(["jobs per second", "plain", "governed", "ratio", ""], rows))
