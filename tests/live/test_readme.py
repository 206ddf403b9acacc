# SPDX-License-Identifier: Apache-2.0
"""What the README and the pages tell a user to type works."""

import json
import os
import re
import signal
import sys
import uuid

import pytest

from checks.tree import ROOT
from clients.programs import Program
from support.app import produce_job
from support.processes import wait_until

LAST = produce_job("Last", [])
CLAIMS = 5000


def acl_words():
    """The page's `ACL SETUSER`, as one list of words."""
    page = (ROOT / "docs" / "operate.md").read_text()
    found = re.search(r"^    (ACL SETUSER (?:.*\\\n)*.*)$", page, re.MULTILINE)
    return found.group(1).replace("\\\n", " ").replace(">PASSWORD", ">secret").split()


def test_the_acl_of_the_page_is_enough(make_site, own_redis, cli):
    own_redis.client().execute_command(*acl_words())
    url = own_redis.url(user="jobgate", password="secret")
    site = make_site({"jobgate.store": url, "jobgate.default.dedup": "until_executed"}, redis=own_redis)
    producer = site.producer()
    job = produce_job("Mail", [1])
    site.queued(producer, job)
    duplicate = producer.delivered(produce_job("Mail", [1]))
    producer.delivered(LAST)
    assert duplicate.header("jobgate-duplicate-of")
    consumer = site.consumer()
    assert len(consumer.take(LAST)) == 1
    status = cli("status", "--json", "-X", f"jobgate.store={url}")
    assert status.returncode == 0, status.stderr
    explained = cli("explain", duplicate.stamp, "-X", f"jobgate.store={url}")
    assert explained.returncode == 0, explained.stderr
    assert "NOPERM" not in producer.app.stderr + consumer.app.stderr + status.stderr + explained.stderr


# --- examples, typed as they stand there, but for addresses and names ---

class Reader:
    """Somebody who has a broker, a Redis, an installed jobgate, and a new topic and group instead of the page's."""

    def __init__(self, kafka, redis, build_dir, topic, folder):
        self.redis, self.folder = redis, folder
        self._replaced = [("localhost:9092", kafka.bootstrap), ("redis://localhost:6379", redis.url()),
                          (r'"jobs"', f'"{topic}"'), (r"(-t |_TOPICS=|topics=)jobs\b", rf"\g<1>{topic}"),
                          (r" jobs$", f" {topic}"), (r"\b(readers|workers)\b", f"\\1-{uuid.uuid4().hex[:8]}")]
        self._env = {"LD_LIBRARY_PATH": str(build_dir), "PATH": f"{build_dir}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
        self._programs = []

    def own(self, text):
        for pattern, replacement in self._replaced:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        return text

    def start(self, *command, env=None):
        self._programs.append(Program(command, {**self._env, **(env or {})}, cwd=self.folder, start_new_session=True))
        return self._programs[-1]

    def python(self, page, number=0, env=None):
        """Run the page's Python program of that number."""
        blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
        script = self.folder / f"{number}.py"
        script.write_text(self.own(blocks[number]))
        return self.start(sys.executable, script, env=env)

    def shell(self, text):
        return self.start("bash", "-c", f"set -e\n{self.own(text)}")


    def end(self):
        for program in self._programs:
            try:
                os.killpg(program.pid, signal.SIGKILL)  # a shell, and what it has started
            except ProcessLookupError:
                pass
            program.end()


@pytest.fixture
def reader(kafka, redis, build_dir, make_topic, tmp_path):
    reader = Reader(kafka, redis, build_dir, make_topic(2), tmp_path)
    yield reader
    reader.end()


@pytest.mark.foreign_host
def test_the_python_program_of_the_readme_runs_one_job_and_skips_its_duplicate(reader):
    program = reader.python("README.md")
    program.line('run: {"class": "EmailWorker", "args": \\[42\\], "jid": "a1"}')
    # Not to be confirmed before the second is produced makes a candidate of it, which is skipped when it comes up.
    program.line("no job: jobgate: skipped: a duplicate of another job")
    assert len(program.found("run: ")) == 1


@pytest.mark.foreign_host
def test_the_lines_for_kcat_of_the_readme_run_one_job_and_skip_its_duplicate(reader):
    found = re.search(r"^    export JOBGATE_TOPICS(?:.*\n)+?\n", (ROOT / "README.md").read_text(), re.MULTILINE)
    # Unbuffered, since it writes into a pipe here.
    program = reader.shell(re.sub(r"^    ", "", found.group(), flags=re.MULTILINE).replace("kcat -G", "kcat -u -G"))
    program.line("class +claims +running")
    program.line('{"class": "EmailWorker", "args": \\[43\\]}')
    program.error_line("% Reached end of topic .* at offset")
    program.error_line("JOBGATE-SKIP.* is a duplicate of ")
    assert not program.found('{"args"')


@pytest.mark.foreign_host
def test_the_enqueuer_of_the_page_fills_its_capacity_and_goes_on_when_there_is_room(reader, cli):
    page = (ROOT / "docs" / "capacity.md").read_text()
    block = re.search(r"^    \$ cat jobgate.conf\n((?:    jobgate\..*\n)+)", page, re.MULTILINE).group(1)
    config = reader.folder / "jobgate.conf"
    config.write_text(reader.own(re.sub(r"^    ", "", block, flags=re.MULTILINE)))
    enqueuer = reader.python("docs/capacity.md", env={"JOBGATE_CONFIG": str(config)})
    (line,) = re.findall(r"^    \$ (echo .*Enqueuer.*)$", page, re.MULTILINE)
    assert reader.shell(f"export JOBGATE_CONFIG={config}\n{line}").wait() == 0
    enqueuer.line("started ", count=3)
    (name,) = re.findall(r"load=redis:(\w+)", block)
    client = reader.redis.client()

    def held():
        said = cli("capacity", "Enqueuer", "--json", "--config", config)
        return json.loads(said.stdout)["held"] == 1

    wait_until(held, 30, "the next one is held")
    assert client.scard(name) == 3 and len(enqueuer.found("started ")) == 3
    client.spop(name)
    enqueuer.line("started ", count=4)


@pytest.mark.foreign_host
def test_the_migrator_of_the_page_takes_slots_and_goes_on_when_one_is_released(reader, cli):
    page = (ROOT / "docs" / "capacity.md").read_text()
    lines = re.findall(r"^    (jobgate\.class\.Migrator\..*)$", page, re.MULTILINE)
    config = reader.folder / "jobgate.conf"
    settings = ["jobgate.topics=jobs", "jobgate.store=redis://localhost:6379"]
    config.write_text(reader.own("\n".join(settings + [re.sub(r" +#.*", "", line) for line in lines]) + "\n"))
    migrator = reader.python("docs/capacity.md", 1, env={"JOBGATE_CONFIG": str(config)})
    produce = """echo '{"class":"Migrator","args":[]}' | kcat -P -b localhost:9092 -t jobs -X plugin.library.paths=jobgate"""
    assert reader.shell(f"export JOBGATE_CONFIG={config}\n{produce}").wait() == 0
    # One release for each that starts from the third on: it never ends.
    migrator.line("started ", count=5)
    migrator.line("reported ", count=2)
    said = json.loads(cli("capacity", "Migrator", "--json", "--config", config).stdout)
    assert said["capacity"]["slots"]["taken"] <= said["capacity"]["capacity"] == 3


# --- figures ---

@pytest.mark.foreign_host
def test_a_claim_costs_less_than_half_a_kib(kafka, own_redis, build_dir, make_topic):
    settings = {"JOBGATE_TOPICS": (topic := make_topic()), "JOBGATE_STORE": own_redis.url(),
                "JOBGATE_DEFAULT_DEDUP": "until_executing", "LD_LIBRARY_PATH": build_dir}
    client = own_redis.client()

    def produce(numbers):
        program = Program(["kcat", "-P", "-b", kafka.bootstrap, "-t", topic, "-X", "plugin.library.paths=jobgate"], settings)
        for number in numbers:
            program.write(f'{{"class":"Mail","args":[{number}]}}')
        program.end_input()
        assert program.wait() == 0, program.story()
        program.end()

    def claims():
        return sum(1 for _ in client.scan_iter("jg1:*:claim:*", count=1000))

    produce([0])
    before = client.info("memory")["used_memory"]
    produce(range(1, CLAIMS + 1))
    assert claims() == CLAIMS + 1
    each = (client.info("memory")["used_memory"] - before) / CLAIMS
    print(f"{CLAIMS} claims: {each:.0f} bytes of Redis's memory each")
    assert each < 512
