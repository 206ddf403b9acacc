# SPDX-License-Identifier: Apache-2.0
"""Every Lua script says, in its first lines, what it asks, takes and answers, and means it."""

import re

import pytest

from checks.tree import files, relative, report

SCRIPTS = files(".lua")
# Not operations: the loader puts the first in front of each script, the others in front of those that need them.
PRELUDE = "prelude"
SHARED = (PRELUDE, "follow", "heirs", "runs")
FIELDS = ("KEYS", "ARGV", "OUT", "TIME", "AGAIN")


def header(path):
    """The field names and their text; a line without a field's name goes on with the field above it."""
    first, *rest = path.read_text().splitlines()
    fields = {}
    name = None
    for line in rest:
        if not line.startswith("-- "):
            break
        found = re.match(r"-- ([A-Z]+) +(\S.*)", line)
        if found:
            name, text = found.groups()
            fields[name] = text
        elif name:
            fields[name] += " " + line[3:].strip()
    return first, fields


def numbers(text):
    return [int(number) for number in re.findall(r"(?:^| )(\d+) [a-z_]+", text)]


def test_there_are_scripts():
    assert SCRIPTS


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_it_is(path):
    first, fields = header(path)
    problems = []
    if not first.startswith(f"-- {path.stem}: "):
        problems.append(f"{relative(path)}:1: not '-- {path.stem}: ...'")
    wanted = [name for name in FIELDS if path.stem not in SHARED or name not in ("OUT", "AGAIN")]
    if [name for name in fields if name in FIELDS] != wanted:
        problems.append(f"{relative(path)}: wants the lines {', '.join(wanted)}, in this order; has {', '.join(fields)}")
    report(problems)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_uses_what_it_lists_and_no_more(path):
    _, fields = header(path)
    prelude = path.with_name(f"{PRELUDE}.lua").read_text()
    code = "\n".join(line for line in (prelude + path.read_text()).splitlines() if not line.startswith("--"))
    problems = []
    for name in ("KEYS", "ARGV"):
        listed = numbers(fields.get(name, ""))
        if listed != list(range(1, len(listed) + 1)):
            problems.append(f"{relative(path)}: {name} are not numbered 1, 2, 3 ...: {listed}")
        used = {int(number) for number in re.findall(rf"{name}\[(\d+)\]", code)}
        if used != set(listed):
            problems.append(f"{relative(path)}: {name} listed {listed}, used {sorted(used)}")
    report(problems)
