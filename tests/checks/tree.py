# SPDX-License-Identifier: Apache-2.0
"""What the project's tree consists of, as the checks see it."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_OURS = {".git", "build", "__pycache__", ".pytest_cache"}


def _walk():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        for name in names:
            yield Path(folder, name)


def files(*suffixes):
    """Tracked and new files, or, where there is no Git, all of them; those with one of the suffixes, or all."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = list(_walk())
    return sorted(path for path in found if path.is_file() and (not suffixes or path.suffix in suffixes))


def relative(path):
    return str(path.relative_to(ROOT))


def report(problems):
    """Fails with one problem a line."""
    assert not problems, "\n  " + "\n  ".join(problems)
