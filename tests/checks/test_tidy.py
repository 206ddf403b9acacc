# SPDX-License-Identifier: Apache-2.0
"""clang-tidy (.clang-tidy) has no complaint of what goes into hosts and the command. What was clean is looked at again
only when it, or a header, has changed."""

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from checks.tree import ROOT, files, relative, report


def fingerprint(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


FOLDERS = ("base/", "plugin/", "connectors/", "cli/")


@pytest.mark.timeout(1800)
def test_clang_tidy_has_no_complaint(build_dir):
    compiled = {entry["file"] for entry in json.loads((build_dir / "compile_commands.json").read_text())}
    sources = [path for path in files(".c") if str(path) in compiled and relative(path).startswith(FOLDERS)]
    shared = fingerprint([ROOT / ".clang-tidy", ROOT / "cmake" / "CompilerOptions.cmake", *files(".h")])
    clean = ROOT / "build" / "tidy"
    clean.mkdir(parents=True, exist_ok=True)

    def complaints(path):
        mark = clean / hashlib.sha256((shared + fingerprint([path])).encode()).hexdigest()
        if mark.exists():
            return None
        result = subprocess.run(["clang-tidy", "--quiet", "-p", build_dir, path], capture_output=True, text=True)
        if result.returncode == 0:
            mark.touch()
            return None
        return f"{relative(path)}\n{result.stdout}{result.stderr if not result.stdout else ''}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(complaints, sources))
    assert found
    report([text for text in found if text])
