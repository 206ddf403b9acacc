# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that a program can check, on the text of the sources."""

import json
import re
import subprocess

from checks.tree import ROOT, files, relative, report

FUNCTION_LINES = 80
FILE_LINES = 600

SOURCE_SUFFIXES = {".c", ".cpp", ".h", ".js", ".py", ".rs", ".cmake", ".map", ".xml"}
SOURCE_NAMES = {"CMakeLists.txt", ".clang-format", ".clang-tidy"}


def is_source(path):
    if path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES:
        return True
    return path.suffix in ("", ".sh") and path.read_bytes().startswith(b"#!")


def test_every_source_names_its_licence():
    # Not the Lua scripts: their first line is their operation, and goes to Redis.
    report([
        relative(path) for path in files()
        if is_source(path) and "SPDX-License-Identifier: Apache-2.0" not in "".join(path.open().readlines()[:3])
    ])


def test_no_file_is_too_long():
    counted = ((path, len(path.read_text().splitlines())) for path in files(".c", ".cpp", ".h", ".lua", ".py", ".rs"))
    report([f"{relative(path)}: {count} lines, at most {FILE_LINES}" for path, count in counted if count > FILE_LINES])


def long_functions(lines):
    """In the house's format a function's braces, and only these, stand alone in the first column."""
    opened = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif line == "}" and opened:
            if number - opened > FUNCTION_LINES:
                yield opened, number - opened
            opened = None


def test_no_function_is_too_long():
    report([
        f"{relative(path)}:{number}: a function of {count} lines, at most {FUNCTION_LINES}"
        for path in files(".c", ".cpp", ".h") for number, count in long_functions(path.read_text().splitlines())
    ])


def test_the_length_of_a_function_is_seen():
    fits = ["int", "f(void)", "{"] + ["    ;"] * (FUNCTION_LINES - 1) + ["}"]
    assert list(long_functions(fits)) == []
    assert list(long_functions(fits[:3] + ["    ;"] + fits[3:])) == [(3, FUNCTION_LINES + 1)]


def test_sources_are_in_the_house_format():
    result = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=1", "-Werror", *files(".c", ".cpp", ".h")],
                            cwd=ROOT, capture_output=True, text=True)
    report(sorted({line.split(": ")[0].replace(f"{ROOT}/", "") for line in result.stderr.splitlines() if "error:" in line}))
    assert result.returncode == 0, result.stderr


def test_every_source_is_listed_in_cmake(build_dir):
    compiled = {entry["file"] for entry in json.loads((build_dir / "compile_commands.json").read_text())}
    elsewhere = ("tests/fuzz/", "tests/support/tsan_threads.c")
    report([
        f"{relative(path)} is compiled by nothing" for path in files(".c", ".cpp")
        if str(path) not in compiled and not relative(path).startswith(elsewhere)
    ])


def test_no_file_names_a_package_registry():
    # Whoever builds this has a registry of their own choice set up, or none. Written in two halves, for this file's sake.
    hosts = [".".join(halves) for halves in (
        ("pypi", "org"), ("pythonhosted", "org"), ("repo.maven.apache", "org"), ("repo1.maven", "org"),
        ("packages.confluent", "io"), ("registry.npmjs", "org"), ("registry.yarnpkg", "com"), ("proxy.golang", "org"),
        ("sum.golang", "org"), ("crates", "io"), ("rubygems", "org"), ("packagist", "org"), ("deb.debian", "org"),
        ("docker", "io"),
    )]
    named = re.compile("|".join(map(re.escape, hosts)).encode())
    report([
        f"{relative(path)}:{number}: {found.group().decode()}"
        for path in files() for number, line in enumerate(path.read_bytes().splitlines(), 1)
        for found in named.finditer(line)
    ])
