# SPDX-License-Identifier: Apache-2.0
"""jobgate-resume@.service: what it runs does with the settings that come along as an example, ends in order when
systemd says so, whatever is away then, and ends by itself only for what the unit takes for final."""

import os
import re
import shlex
import signal

import pytest

from clients.programs import Program
from support.processes import free_ports, wait_until

GROUP = "workers-eu"  # %I would make it workers/eu
WRONG_SETTINGS = 2


@pytest.fixture(scope="module")
def unit(root):
    """unit("TimeoutStopSec")"""
    text = (root / "packaging" / "systemd" / "jobgate-resume@.service").read_text()
    return lambda name: re.search(rf"^{name}=(.*)$", text, re.MULTILINE).group(1)


@pytest.fixture
def service(unit, build_dir, root, tmp_path):
    """service("jobgate.store=...", ...): the unit's own command, with the example's settings, and these instead."""
    started = []

    def start(*settings):
        lines = (root / "packaging" / "systemd" / "resume.conf").read_text().splitlines()
        for setting in settings:
            name = setting.split("=")[0]
            lines = [line for line in lines if line.split("=")[0] != name] + [setting]
        (tmp_path / "settings").write_text("".join(f"{line}\n" for line in lines))
        command = unit("ExecStart").replace("%i", GROUP).replace("${CREDENTIALS_DIRECTORY}", str(tmp_path))
        program, *words = shlex.split(command)
        started.append(Program([build_dir / program, *words]))
        return started[-1]

    yield start
    for program in started:
        program.end()


def ends_in_order(program, unit):
    os.kill(program.pid, signal.SIGTERM)
    assert program.wait(int(unit("TimeoutStopSec").removesuffix("s"))) == 0, program.story()


def at(kafka):
    return f"jobgate.kafka.bootstrap.servers={kafka.bootstrap}"


def test_with_the_examples_settings_it_leads_and_ends_in_order(service, unit, kafka, redis):
    program = service(f"jobgate.store={redis.url()}", at(kafka))
    program.line(rf".* leads for group {GROUP}")
    # A broker that was never asked for a transaction is not ready at once, which no permission would cure.
    assert "allow this client" not in program.stderr
    ends_in_order(program, unit)


def test_it_ends_in_order_when_the_store_has_gone(service, unit, kafka, own_redis):
    program = service(f"jobgate.store={own_redis.url()}", at(kafka))
    program.line(rf".* leads for group {GROUP}")
    own_redis.kill()
    ends_in_order(program, unit)


def test_it_leads_again_when_the_store_comes_back_empty(service, unit, kafka, own_redis, cli):
    program = service(f"jobgate.store={own_redis.url()}", at(kafka))
    program.line(rf".* leads for group {GROUP}")
    own_redis.restart_empty()
    asked = ("check", "--group", GROUP, "-X", f"jobgate.store={own_redis.url()}", "-X", "jobgate.topics=jobs")
    wait_until(lambda: f"resumes what is held for group {GROUP}" in cli(*asked).stdout, 60, "it leads again")
    ends_in_order(program, unit)


def test_it_ends_in_order_while_kafka_does_not_answer(service, unit, redis):
    (port,) = free_ports(1)
    program = service(f"jobgate.store={redis.url()}", f"jobgate.kafka.bootstrap.servers=127.0.0.1:{port}")
    program.line(rf".* stands by for group {GROUP}")
    ends_in_order(program, unit)


def test_it_waits_for_a_store_that_is_not_there_yet(service, unit, kafka, own_redis):
    own_redis.kill()
    program = service(f"jobgate.store={own_redis.url()}", at(kafka))
    program.error_line("Connection refused")
    own_redis.start()
    program.line(rf".* leads for group {GROUP}")
    ends_in_order(program, unit)


def test_wrong_settings_are_a_failure_after_which_it_is_not_started_again(service, unit):
    program = service("jobgate.no.such.setting=1")
    assert program.wait() == WRONG_SETTINGS, program.story()
    assert unit("Restart") == "on-failure"
    assert str(WRONG_SETTINGS) in unit("RestartPreventExitStatus").split()
