# SPDX-License-Identifier: Apache-2.0
"""The tables of the README and of docs/settings.md are what the command and docs/ say."""

import os
import subprocess

from checks.tree import ROOT


def test_tables_in_pages_are_those_that_the_command_prints(build_dir):
    result = subprocess.run([ROOT / "scripts" / "readme-tables", "--check"], capture_output=True, text=True,
                            env={**os.environ, "JGTEST_BUILD": str(build_dir)})
    assert result.returncode == 0, result.stderr
