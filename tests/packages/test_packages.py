# SPDX-License-Identifier: Apache-2.0
"""What scripts/package made, in a clean Debian of this machine's release: installed, it works with no other step, and
it leaves nothing behind."""

import os
import re
import shutil
from pathlib import Path

import pytest

from packages.clean_root import run

# The first one may have to fetch a Debian.
pytestmark = pytest.mark.timeout(900)
HERE = Path(__file__).parent
UNIT = "jobgate-resume@.service"
RAN = ["0", "2"]  # of three jobs, the second of which is a duplicate


def test_the_same_sources_give_the_same_bytes(root, deb, tarball):
    before = [file.read_bytes() for file in (deb, tarball)]
    # As long as nothing was committed since, it is the same by itself. It stands in the first header of the archive.
    time = before[0][24:36].decode().strip()
    again = run(root / "scripts" / "package", "--no-build", env={**os.environ, "SOURCE_DATE_EPOCH": time})
    assert again.returncode == 0, again.stderr
    assert [file.read_bytes() for file in (deb, tarball)] == before


@pytest.fixture(scope="module")
def installed(make_root, deb):
    """The package and what it depends on; nothing else was needed for the command to start."""
    tree = make_root("deb")
    tree.install(tree.put(deb))
    assert re.fullmatch(r"jobgate \d+\.\d+\.\d+\n", tree.run("jobgate", "--version"))
    return tree


@pytest.fixture(scope="module")
def with_clients(installed):
    installed.install("kcat", "python3-confluent-kafka")
    return installed


def test_the_package_brings_what_its_command_needs_and_nothing_that_the_plugin_would_not(depends, plugin_path):
    assert depends == ["libc6", "libgcc-s1", "libmicrohttpd12", "librdkafka1"]
    assert "rdkafka" not in run("ldd", plugin_path).stdout


def test_kcat_finds_the_plugin_by_its_name(with_clients, jobs):
    assert jobs.by_kcat(with_clients) == RAN


def test_python_finds_the_plugin_by_its_name(with_clients, jobs):
    assert jobs.by_python(with_clients, with_clients.put(HERE / "py_job.py")) == RAN


def test_the_command_looks_at_settings_store_and_topics(installed, jobs, kafka):
    governing = ["-X", jobs.store, "-X", f"jobgate.topics={jobs.topic}", "-X", "jobgate.default.dedup=until_executing"]
    told = installed.run("jobgate", "check", *governing, "--bootstrap-servers", kafka.bootstrap)
    assert "error" not in told
    assert re.search(r"^ok\b.*", told, re.MULTILINE)


def test_the_command_tells_what_ran(with_clients, jobs):
    jobs.by_kcat(with_clients)
    assert "Mail" in with_clients.run("jobgate", "status", "-X", jobs.store)


def test_the_man_pages_are_there(installed):
    for name in ("man1/jobgate.1.gz", "man5/jobgate.conf.5.gz"):
        page = installed.run("gzip", "-dc", f"/usr/share/man/{name}")
        assert page.splitlines()[1].startswith(".TH jobgate")


def test_documents_and_the_example_are_there(installed, root):
    documents = "/usr/share/doc/jobgate"
    assert installed.run("ls", f"{documents}/docs").split() == sorted(path.name for path in (root / "docs").iterdir())
    notices = installed.read(f"{documents}/copyright")
    assert re.findall(r"^---- (\S+)$", notices, re.MULTILINE) == [
        "libhiredis-dev", "libavro-dev", "libjansson-dev", "libyajl-dev", "libmd-dev"]
    assert "jobgate.topics=" in installed.read(f"{documents}/examples/resume.conf")


def test_a_program_finds_the_header_by_pkg_config(installed):
    package = installed.read("/usr/lib/pkgconfig/jobgate.pc")
    (path,) = re.findall(r"^includedir=\$\{pcfiledir\}(\S+)$", package, re.MULTILINE)
    assert "jobgate_complete" in installed.read(f"/usr/lib/pkgconfig{path}/jobgate.h")


def test_settings_of_services_are_for_root_alone(installed):
    assert installed.run("stat", "-c", "%U %a", "/etc/jobgate") == "root 700\n"


def test_systemd_has_no_complaint_of_the_unit(installed, build_dir, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze: systemd is not installed")
    text = installed.read(f"/usr/lib/systemd/system/{UNIT}")
    # The command is installed in the tree, and not on this machine, whose systemd is asked.
    assert text.count("ExecStart=jobgate ") == 1
    instance = tmp_path / UNIT.replace("@", "@workers")
    instance.write_text(text.replace("ExecStart=jobgate ", f"ExecStart={build_dir}/jobgate "))
    told = run("systemd-analyze", "verify", "--man=no", instance)
    assert [line for line in told.stderr.splitlines() if "jobgate" in line] == []


def test_removing_the_package_leaves_nothing(make_root, deb):
    tree = make_root("purged")
    before = tree.files()
    tree.install(tree.put(deb))
    cache = tree.run("ldconfig", "-p")
    assert re.search(r"^\tjobgate\.so ", cache, re.MULTILINE)
    # As `systemctl enable` does, which is not in this tree.
    wants = "etc/systemd/system/multi-user.target.wants"
    enabled = f"{wants}/{UNIT.replace('@', '@workers')}"
    tree.run("mkdir", f"/{wants}")
    tree.run("ln", "-s", f"/usr/lib/systemd/system/{UNIT}", f"/{enabled}")
    tree.run("apt-get", "remove", "-q", "-y", "--auto-remove", "jobgate")
    # Enabled it stays, for when it is installed again.
    assert tree.files() - before == {f"{wants}/", enabled}
    assert "jobgate" not in tree.run("ldconfig", "-p")
    tree.run("apt-get", "purge", "-q", "-y", "jobgate")
    tree.run("rmdir", f"/{wants}")
    assert tree.files() == before


def test_purging_keeps_the_settings_that_somebody_wrote(make_root, deb):
    tree = make_root("kept")
    tree.install(tree.put(deb))
    tree.run("touch", "/etc/jobgate/workers.conf")
    tree.run("dpkg", "--purge", "jobgate")
    assert sorted(name for name in tree.files() if "jobgate" in name) == ["etc/jobgate/", "etc/jobgate/workers.conf"]


@pytest.fixture
def note(root):
    """The commands of packaging/INSTALL: to install, and to take away."""
    commands = re.findall(r"(?:^    .*\n)+", (root / "packaging" / "INSTALL").read_text(), re.MULTILINE)
    assert len(commands) == 2
    return commands


def test_the_tarball_works_as_its_note_says_and_goes_again(make_root, tarball, note, jobs):
    tree = make_root("tarball")
    tree.install("kcat", "python3-confluent-kafka", "libmicrohttpd12")
    before = tree.files()
    file = tree.put(tarball)
    install, take_away = (text.replace("jobgate-VERSION-linux-ARCH.tar.gz", file) for text in note)
    tree.run("sh", "-e", "-c", install)
    assert {"usr/local/bin/jobgate", "usr/local/lib/jobgate.so", "usr/local/share/man/man1/jobgate.1",
            f"usr/local/lib/systemd/system/{UNIT}"} <= tree.files()
    assert jobs.by_kcat(tree) == RAN
    assert tree.run("jobgate", "status", "-X", jobs.store)
    tree.run("sh", "-e", "-c", take_away)
    assert [name for name in tree.files() - before if not name.endswith("/")] == []
