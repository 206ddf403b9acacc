# SPDX-License-Identifier: Apache-2.0
"""Every word of the command tells its options, and stands in the man pages, which are made of the same tables."""

import json
import re
import shutil
import subprocess

import pytest

from checks.tree import report


@pytest.fixture
def words(cli):
    return re.findall(r"^  (\w+) +\S", cli("--help").stdout, re.MULTILINE)


def options_of(told):
    """What the list of options names: {"--json": "-j", ...}"""
    return {long: short for short, long in re.findall(r"^  (-\w), (--[\w-]+)", told, re.MULTILINE)}


def plain(page):
    """The page's text, without roff's own signs."""
    return re.sub(r"\\f[BIR]|\\&", "", page).replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")


def sections(page):
    """The part of each word: {"status": text}"""
    parts = re.split(r"^\.S[SH] (.*)\n", plain(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_every_word_tells_the_options_that_its_usage_names(cli, words):
    assert len(words) >= 15
    problems = []
    for word in words:
        told = cli(word, "--help")
        usage = told.stdout.splitlines()[0]
        if told.returncode != 0 or not usage.startswith(f"usage: jobgate {word} "):
            problems.append(f"{word} --help: {told.stdout}{told.stderr}")
        listed = options_of(told.stdout)
        named = re.findall(r"--[\w-]+", usage)
        problems += [f"{word} --help tells nothing of {name}" for name in named if name not in listed]
        if "--help" not in listed:
            problems.append(f"{word} --help tells nothing of --help")
    report(problems)


def test_every_word_and_option_is_in_the_man_page(cli, words):
    found = sections(cli("help", "--man").stdout)
    problems = []
    for word in words:
        told = cli(word, "--help").stdout
        for text in (told.splitlines()[0].removeprefix("usage: "), told.splitlines()[2]):
            if text not in found.get(word, ""):
                problems.append(f"{word}: the man page has not: {text}")
        problems += [f"{word}: the man page has not {short}, {long}" for long, short in options_of(told).items()
                     if f"\n{short}, {long}" not in found.get(word, "")]
    report(problems)


def test_every_setting_is_in_the_man_page(cli):
    page = plain(cli("settings", "--man").stdout)
    report([setting["name"] for setting in json.loads(cli("settings", "--json").stdout)
            if f"\n{setting['name']}\n" not in page
            or setting["doc"].replace("`", "") not in page.replace("\\(ha", "^")])


@pytest.mark.parametrize("words", [["help", "--man"], ["settings", "--man"]], ids=" ".join)
def test_man_has_no_complaint(cli, words, tmp_path):
    if not shutil.which("man"):
        pytest.skip("no man: run scripts/setup")
    (tmp_path / "page").write_text(cli(*words).stdout)
    shown = subprocess.run(["man", "--warnings", "-l", tmp_path / "page"], capture_output=True, text=True,
                           env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": "/usr/bin:/bin"})
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "NAME" in shown.stdout and "SEE ALSO" in shown.stdout


def test_what_looks_like_a_request_to_roff_is_text(cli):
    # A line of text that began with a dot or a quote would be taken for a request, and vanish.
    for words in (["help", "--man"], ["settings", "--man"]):
        requests = re.findall(r"^[.'](\S*)", cli(*words).stdout, re.MULTILINE)
        assert set(requests) <= {'\\"', "TH", "nh", "ad", "SH", "SS", "PP", "TP", "TQ", "br", "BR"}
