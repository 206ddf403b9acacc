# SPDX-License-Identifier: Apache-2.0
"""A program on confluent-kafka that says itself when a job has ended: jobgate_complete, by ctypes.

  py_complete.py PLUGIN TOPIC COUNT NAME=VALUE...   until COUNT jobs were handed out

Threads work on the jobs; the first job fails. A line for each: `JID done|failed ANSWER`.
"""

import ctypes
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka

DONE, FAILED = 0, 1


def api(path):
    """The plugin that librdkafka has loaded: the same library, once more."""
    library = ctypes.CDLL(path)
    library.jobgate_complete.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_int]
    return library


def work(library, message, outcome):
    answer = library.jobgate_complete(message.topic().encode(), message.partition(), message.offset(), outcome)
    print(json.loads(message.value())["jid"], ["done", "failed"][outcome], answer, flush=True)


def main():
    path, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = confluent_kafka.Consumer(dict(word.split("=", 1) for word in sys.argv[4:]))
    library = api(path)
    consumer.subscribe([topic])
    seen = 0
    with ThreadPoolExecutor(4) as threads:
        while seen < count:
            message = consumer.poll(0.1)
            if message is None or message.error():
                continue
            seen += 1
            if seen == 1:
                work(library, message, FAILED)
            else:
                threads.submit(work, library, message, DONE)
    consumer.close()


main()
