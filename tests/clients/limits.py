# SPDX-License-Identifier: Apache-2.0
"""A limit, kept by consumers that are processes of their own, and what they ran at once."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from clients.programs import PATIENCE_S
from support.kafka import QUIET
from support.processes import wait_until

# Producers: each message goes to a partition of its own choice. Of a new class, a limit is known at once.
SPREAD = {"sticky.partitioning.linger.ms": 0}
QUICK = {"jobgate.store.grace.ms": 100}


class Journal:
    """The lines of several programs, in one file that they append to: they stand in the order in which they were written,
    so what overlaps here overlapped there."""

    def __init__(self, path):
        self._path = path
        path.touch()

    def takes(self, command):
        """The command of a program whose standard output goes here."""
        return ["/bin/sh", "-c", 'exec "$@" >>"$0"', self._path, *command]

    def text(self):
        """Its lines. What is not yet a whole one is left out."""
        return self._path.read_text().split("\n")[:-1]

    def lines(self, word):
        return [line for line in self.text() if line.startswith(f"{word} ")]

    def most_at_once(self):
        most = now = 0
        for line in self.text():
            now += line.startswith("job ") - line.startswith("done ")
            most = max(most, now)
        return most


def await_members(queue, count, timeout_s=PATIENCE_S):
    """Until each of so many members of its group has a partition."""
    admin = AdminClient({"bootstrap.servers": queue.kafka.bootstrap, **QUIET})

    def assigned():
        try:
            group = admin.describe_consumer_groups([queue.group], request_timeout=5)[queue.group].result(5)
        except (KafkaException, TimeoutError):
            return False  # the broker does not yet know that it is this group's coordinator
        return [bool(member.assignment.topic_partitions) for member in group.members] == [True] * count

    wait_until(assigned, timeout_s, f"{count} consumers have partitions")


def run_all(queue, journal, jobs, produce, consumers):
    """Two consumers run what `produce` produces while they wait. -> how many ran at once, at most"""
    started = [consumer() for consumer in consumers]
    await_members(queue, len(started))
    produce()

    def ran():
        return [line.split(" ", 3)[3] for line in journal.lines("job")]

    wait_until(lambda: set(ran()) == set(jobs), 2 * PATIENCE_S, "every job ran")
    wait_until(lambda: len(journal.lines("done")) == len(journal.lines("job")), PATIENCE_S, "none runs any more")
    assert sorted(ran()) == sorted(jobs), "\n".join(journal.text())
    assert {line.split()[1] for line in journal.lines("job")} == {"0", "1"}, "one of the consumers had nothing to do"
    most = journal.most_at_once()
    for program in started:
        program.stop()
    return most
