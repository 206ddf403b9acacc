# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` puts where, and that `plugin.library.paths=jobgate` finds it."""

import os
import re
import subprocess

import pytest


def run(*words, **options):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)


@pytest.fixture
def prefix(build_dir, sanitized, tmp_path):
    if sanitized:
        pytest.skip("nobody installs a sanitizer's build")
    result = run("cmake", "--install", build_dir, "--prefix", tmp_path)
    assert result.returncode == 0, result.stderr
    return tmp_path


def test_every_part_is_installed(prefix):
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    libraries = next(path.parent.relative_to(prefix) for path in prefix.rglob("jobgate.so"))
    assert {"bin/jobgate", "include/jobgate.h", "share/jobgate/schemas/job.avsc", f"{libraries}/libjobgate.so",
            f"{libraries}/jobgate.so", f"{libraries}/pkgconfig/jobgate.pc"} <= found


def test_pkg_config_knows_where_the_header_is(prefix):
    package = next(prefix.rglob("jobgate.pc"))
    flags = run("pkg-config", "--cflags", package).stdout
    (folder,) = re.findall(r"-I(\S+)", flags)
    assert os.path.exists(f"{folder}/jobgate.h")


def test_the_loaders_list_has_the_plugin_by_its_short_name(prefix, tmp_path):
    libraries = next(prefix.rglob("jobgate.so")).parent
    (tmp_path / "ld.so.conf").write_text(f"{libraries}\n")
    cache = tmp_path / "ld.so.cache"
    run("/sbin/ldconfig", "-C", cache, "-f", tmp_path / "ld.so.conf")
    assert re.search(r"^\s*jobgate\.so ", run("/sbin/ldconfig", "-p", "-C", cache).stdout, re.MULTILINE)


def test_librdkafka_finds_the_plugin_by_its_short_name(prefix):
    libraries = next(prefix.rglob("jobgate.so")).parent
    # The plugin's own complaint shows that it was loaded; no broker is asked.
    result = run("kcat", "-b", "127.0.0.1:1", "-X", "plugin.library.paths=jobgate", "-X", "jobgate.no-such-setting=1",
                 "-L", env={**os.environ, "LD_LIBRARY_PATH": str(libraries)})
    assert "jobgate.no-such-setting" in result.stderr
    assert "dlopen" not in result.stderr
