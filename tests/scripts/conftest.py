# SPDX-License-Identifier: Apache-2.0
import pytest

from scripts.shell import Shell


@pytest.fixture
def shell(program):
    shells = []

    def make():
        shells.append(Shell(program))
        return shells[-1]

    yield make
    for one in shells:
        one.close()
