# SPDX-License-Identifier: Apache-2.0
"""scripts/bench: rates of plain librdkafka, of the plugin, and of Redis alone, side by side in one run."""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from confluent_kafka import KafkaException

from bench import clients, report, slots
from bench.plan import SERIES, Plan
from bench.programs import Bench, BenchError
from support.kafka import JARS, KafkaCluster
from support.processes import ServerError
from support.redis import RedisServer

# Jobs of each series in the first, discarded, round. From its rates follow the numbers for the others.
FIRST = {"plain": 50000, "redis": 5000, "governed": 4000}
LEAST, MOST = 1000, 400000

HELP = """
Starts one Kafka broker and one Redis on loopback, measures, and stops them. Every series runs once a round (the
ungoverned ones twice), next to what it is compared with; min, median and max are over the rounds of this run, and a
ratio is one of medians of this run. docs/bench.md tells how to read it. It measures, and judges nothing: whatever the
rates, it ends with 0.
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0], epilog=HELP)
    parser.add_argument("--quick", action="store_true", help="2 short rounds, about a minute; for a first look only")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds (default 11)")
    parser.add_argument("--clients", action="store_true",
                        help="instead, each client library (Python, Go, Node) with the plugin, against itself without it")
    parser.add_argument("--slots", action="store_true",
                        help="instead, how busy the slots of a limited class are while jobs are held")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--no-build", action="store_true", help="(of the script) measure what is built, as it is")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def first_sizes():
    kinds = {"produce.plain": "plain", "consume.plain": "plain"}
    return {name: FIRST[kinds.get(name, "redis" if name.startswith("redis.") else "governed")] for name in SERIES}


def sizes_for(samples, seconds):
    """So many jobs that a run of each series takes about so long."""
    return {name: max(LEAST, min(MOST, round(found[0]["rate"] * seconds / 1000) * 1000))
            for name, found in samples.items()}


def machine():
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"cpus": os.cpu_count(), "model": model[0] if model else platform.processor(), "kernel": platform.release(),
            "load": os.getloadavg()}


def versions(bench):
    jar = next(JARS.glob("kafka-server-[0-9]*.jar"), None) or next(JARS.glob("kafka_*.jar"), None)
    with bench.redis.client() as client:
        redis = client.info("server")["redis_version"]
    return {"librdkafka": bench.librdkafka, "redis": redis, "kafka": jar.stem.split("-")[-1] if jar else None}


def measure(options, bench):
    seconds, rounds = (0.25, 2) if options.quick else (0.5, 11)
    rounds = options.rounds or rounds
    say("warming up")
    trial = Plan(bench, first_sizes())
    trial.fill()
    trial.round(0)
    trial.end()
    plan = Plan(bench, sizes_for(trial.samples, seconds))
    plan.fill()
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        plan.round(number)
    return rounds, plan


def measure_clients(options, bench):
    rounds = options.rounds or (2 if options.quick else 7)
    return rounds, clients.results(clients.measure(bench.kafka, bench.redis, rounds, say))


def main():
    options = arguments()
    began = time.monotonic()
    before = machine()
    say("starting Kafka and Redis")
    try:
        with KafkaCluster() as kafka, RedisServer() as redis:
            bench = Bench(kafka, redis)
            if options.clients:
                rounds, rates = measure_clients(options, bench)
                measured = {"jobs_per_run": {"plain": clients.PLAIN, "governed": clients.GOVERNED}, "clients": rates}
            elif options.slots:
                rounds = 1
                measured = {"slots": slots.measure(kafka, redis, options.quick, say)}
            else:
                rounds, plan = measure(options, bench)
                measured = {"jobs_per_run": plan.sizes, **report.results(plan.samples, plan.gaps_ms)}
            found = {"rounds": rounds, "quick": options.quick, "machine": before, "versions": versions(bench), **measured}
    except (BenchError, ServerError, KafkaException) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    found["load_after"] = os.getloadavg()
    found["took_s"] = time.monotonic() - began
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    libraries = "" if options.clients or options.slots else f"librdkafka {found['versions']['librdkafka']}, "
    print(f"{before['cpus']} CPUs, {before['model']}; {libraries}"
          f"Redis {found['versions']['redis']}, Kafka {found['versions']['kafka']}; load {before['load'][0]:.1f} before, "
          f"{found['load_after'][0]:.1f} after; {rounds} rounds, {found['took_s']:.0f} s\n")
    tables = slots.text(found["slots"]) if options.slots else clients.text(found["clients"]) if options.clients else None
    print(tables or report.text(found))


if __name__ == "__main__":
    main()
