# SPDX-License-Identifier: Apache-2.0
"""What the README and the pages name is there: pages, files, settings, variables, headers, the command's words and options.
Settings that they show as examples are valid. What the examples do is shown by tests/live/test_readme.py."""

import functools
import json
import re
import subprocess

import pytest

from checks.tree import ROOT, files, relative, report

# A line or a span of code in Markdown, without links' targets.
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4,}\S.*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Files, names in Kafka and in programs; and a misspelling whose error a page shows.
NO_SETTING = re.compile(r"jobgate\.(so|h|conf|rules\.yml|pc|service|jobgate_complete|<namespace>\.<group>|topic\.mails\.fromat)$")


def pages():
    return [path for path in files(".md") if path.name != "LICENSE"]


def code(path):
    text = path.read_text()
    yield from (line for block in FENCE.findall(text) for line in block.splitlines())
    text = FENCE.sub("", text)
    yield from INDENTED.findall(text)
    yield from SPAN.findall(INDENTED.sub("", text))


def everywhere(pattern):
    """-> (page, what is named), once for each page"""
    return sorted({(relative(page), found) for page in pages() for line in code(page) for found in re.findall(pattern, line)})


@pytest.fixture(scope="module")
def command(build_dir):
    @functools.cache
    def run(*words):
        result = subprocess.run([build_dir / "jobgate", *words], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="module")
def settings(command):
    return json.loads(command("settings", "--json"))


def anchor(heading):
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def anchors(path):
    return {anchor(found) for found in re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)}


def broken(page, target):
    name, _, part = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return True
    return bool(part) and part not in anchors(path)


def test_every_link_leads_somewhere():
    report([f"{relative(page)}: {target}" for page in pages() for target in LINK.findall(FENCE.sub("", page.read_text()))
            if "://" not in target and broken(page, target)])


def test_a_heading_has_the_anchor_that_github_gives_it():
    assert anchor("What goes wrong, and how it shows") == "what-goes-wrong-and-how-it-shows"
    assert anchor("Say that a job has ended: `jobgate_complete`") == "say-that-a-job-has-ended-jobgate_complete"


def test_the_readme_links_every_page():
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall((ROOT / "README.md").read_text())}
    # A table that the README holds itself, see scripts/readme-tables.
    report([relative(page) for page in pages()
            if page.parent == ROOT / "docs" and page.name != "clients.md" and page not in linked])


def test_every_file_that_a_page_names_is_there():
    named = everywhere(r"(?<![\w/.<>*-])((?:scripts|tests|docs|plugin|connectors|schemas|cli)/[\w./*-]*[\w*/])")
    report([f"{page}: {name}" for page, name in named
            if not (list(ROOT.glob(name)) if "*" in name else (ROOT / name).exists())])


def is_setting(name, settings):
    if re.match(r"jobgate\.kafka\.[a-z]", name) or name in ("jobgate.default.*", "jobgate.kafka.*"):
        return True
    for setting in settings:
        if name == setting["name"]:
            return True
        if setting["for_one"] and re.fullmatch(re.sub(r"<\w+>", ".+", setting["for_one"]), name):
            return True
    return bool(re.fullmatch(r"jobgate\.(class|topic)\.(<\w+>|\w+)\.\*", name))


def test_every_setting_that_a_page_names_exists(settings):
    named = everywhere(r"(?<![\w/.-])(jobgate\.[a-z](?:[\w.<>*:-]*[\w>*])?)(?![\w@])")
    report([f"{page}: {name}" for page, name in named if not NO_SETTING.match(name) and not is_setting(name, settings)])


def test_every_setting_that_a_page_names_in_short_exists(settings):
    # `limit.ttl.ms` for jobgate.default.limit.ttl.ms: what begins as one of ours does, is one of ours.
    short = {re.sub(r"^jobgate\.(default\.)?", "", setting["name"]) for setting in settings}
    ours = {name.split(".")[0] for name in short if "." in name}
    report([f"{relative(page)}: {name}" for page in pages() for span in SPAN.findall(FENCE.sub("", page.read_text()))
            if (name := re.sub(r"=.*", "", span)) not in short
            and re.fullmatch(r"[a-z]+(\.[a-z]+)+", name) and name.split(".")[0] in ours])


def test_every_variable_that_a_page_names_is_read(settings):
    known = {setting["environment"] for setting in settings} | {"JOBGATE_DISABLE", "JOBGATE_CONFIG"}
    report([f"{page}: {name}" for page, name in everywhere(r"\bJOBGATE_[A-Z_]+\b") if name not in known])


def test_every_word_and_option_of_the_command_exists(command):
    words = re.findall(r"^  ([a-z]+)  ", command("--help"), re.MULTILINE) + ["help"]
    problems = []
    for page, line in everywhere(r"(?:^ *(?:\$ )?|[|;] *|JOBGATE_CONFIG=\S+ )(jobgate [a-z]+\b(?!:)[^`|#]*)"):
        word = line.split()[1].strip(",.;:")
        if word not in words:
            problems.append(f"{page}: jobgate {word}")
            continue
        said = command(word, "--help")
        problems += [f"{page}: jobgate {word} {option}" for option in re.findall(r"(?<=\s)--[a-z][a-z-]+", line)
                     if option not in said]
    report(problems)


def test_every_header_that_a_page_names_is_one(settings):
    header = (ROOT / "plugin" / "jobgate.h").read_text()
    known = set(re.findall(r'"(jobgate-[a-z-]*)"', header))
    named = [(relative(page), name) for page in pages() for span in SPAN.findall(FENCE.sub("", page.read_text()))
             for name in re.findall(r"^(jobgate-[a-z-]+)(?:: .*)?$", span)]
    report([f"{page}: {name}" for page, name in named if name not in known])


def examples():
    """Settings as they stand in pages, one block at a time, without remarks."""
    for page in pages():
        for block in re.findall(r"(?:^ {4,}jobgate\.[a-z][^\n]*=[^\n]*\n)+", FENCE.sub("", page.read_text()), re.MULTILINE):
            yield pytest.param(re.sub(r" {2,}#.*", "", block), id=f"{relative(page)}:{block.split('=')[0].strip()}")


@pytest.mark.parametrize("block", examples())
def test_settings_in_examples_are_valid(build_dir, tmp_path, block):
    lines = [line.strip().replace("/path/to/job.avsc", str(ROOT / "schemas" / "job.avsc")) for line in block.splitlines()]
    # What an excerpt leaves out.
    for needed in ("jobgate.topics=jobs", "jobgate.store=memory:"):
        if not any(line.startswith(needed.split("=")[0] + "=") for line in lines):
            lines.append(needed)
    tmp_path.joinpath("jobgate.conf").write_text("\n".join(lines) + "\n")
    result = subprocess.run([build_dir / "jobgate", "key", "--topic", "x", "--config", tmp_path / "jobgate.conf"],
                            input="{}", capture_output=True, text=True)
    assert result.returncode != 2, result.stderr
