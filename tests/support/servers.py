# SPDX-License-Identifier: Apache-2.0
"""scripts/servers: a broker and a Redis for a person, until Ctrl-C."""

import argparse
import signal
import threading

from support.kafka import KafkaCluster
from support.processes import ServerError
from support.redis import RedisServer

TEXT = """
Kafka  {kafka}
Redis  {redis}

Send the same job twice through the plugin, look at its claim, and read what is left of the two:

  export JOBGATE_TOPICS=jobs JOBGATE_STORE={redis} JOBGATE_DEFAULT_DEDUP=until_executing
  plugin="-X plugin.library.paths=$PWD/build/release/jobgate.so"
  job='{{"class":"Mail","args":[1]}}'
  echo "$job" | kcat -b {kafka} $plugin -P -t jobs
  echo "$job" | kcat -b {kafka} $plugin -P -t jobs
  build/release/jobgate status
  kcat -b {kafka} $plugin -X auto.offset.reset=earliest -G readers jobs

Ctrl-C stops both and removes their data.
"""


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/servers",
        description="Start Apache Kafka and Redis on free loopback ports, print their addresses, and stop both on Ctrl-C.",
    )
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="how many Kafka brokers (default 1)")
    options = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    print("Starting ...", flush=True)
    try:
        with KafkaCluster(options.brokers, {"auto.create.topics.enable": "true"}) as kafka, RedisServer() as redis:
            print(TEXT.format(kafka=kafka.bootstrap, redis=redis.url()), flush=True)
            over.wait()
            print("\nStopping ...", flush=True)
    except ServerError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
