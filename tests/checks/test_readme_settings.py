# SPDX-License-Identifier: Apache-2.0
"""The README's tables are what the command prints."""

import os
import subprocess

from checks.tree import ROOT


def test_the_tables_of_the_readme_are_those_that_the_command_prints(build_dir):
    result = subprocess.run([ROOT / "scripts" / "readme-tables", "--check"], capture_output=True, text=True,
                            env={**os.environ, "JGTEST_BUILD": str(build_dir)})
    assert result.returncode == 0, result.stderr
