# SPDX-License-Identifier: Apache-2.0
"""jobgate.so is a guest in other people's processes: what it shows, and what it brings along."""

import re
import subprocess

import pytest

from checks.tree import report


@pytest.fixture
def plugin(plugin_path, sanitized):
    if sanitized:
        pytest.skip("a sanitizer's runtime brings names and libraries of its own")
    return plugin_path


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def symbols(plugin, which):
    return {line.split()[-1].split("@")[0] for line in run("nm", "-D", which, plugin).splitlines()}


def test_the_plugin_shows_its_entry_point_and_its_public_functions_only(plugin):
    shown = symbols(plugin, "--defined-only")
    assert "conf_init" in shown
    report(sorted(name for name in shown if name != "conf_init" and not re.match(r"jobgate_\w+$", name)))


def test_the_plugin_shows_what_its_header_declares(plugin, root):
    declared = set(re.findall(r"\b(jobgate_\w+)\(", (root / "plugin" / "jobgate.h").read_text()))
    assert declared
    assert {name for name in symbols(plugin, "--defined-only") if name.startswith("jobgate_")} == declared


def test_the_plugin_asks_the_loader_for_no_function_of_librdkafka(plugin):
    report(sorted(name for name in symbols(plugin, "--undefined-only") if name.startswith("rd_kafka_")))


def test_the_plugin_brings_no_library_but_the_c_library(plugin):
    needed = {line.split()[0].split("/")[-1] for line in run("ldd", plugin).splitlines()}
    allowed = re.compile(r"linux-(vdso|gate)\.so|ld-linux[\w-]*\.so|lib(c|m|dl|pthread|gcc_s)\.so")
    report(sorted(name for name in needed if not allowed.match(name)))


def test_the_plugin_stays_loaded_when_its_handle_is_closed(plugin):
    assert "NODELETE" in run("readelf", "-d", plugin)
