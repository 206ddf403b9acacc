# SPDX-License-Identifier: Apache-2.0
"""Debians of this machine's own release, as small as they get, in memory. Programs run in them by chroot, and share
the network with the tests. All mounts are in a namespace of one process, and gone with it; it ends when the tests do,
however they end."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "clean-roots"
SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]
# Unpacks the tree that all others are laid over, and holds them until its input ends.
HOLD = """mount -t tmpfs -o size=3g tmpfs "$1"
mkdir "$1/base"
tar -C "$1/base" -xf "$2"
echo $$
exec cat >/dev/null
"""
# A tree of its own, where the kernel has no overlays a copy.
LAY = """mkdir -p "$2/upper" "$2/work" "$2/tree"
mount -t overlay overlay -o "lowerdir=$1/base,upperdir=$2/upper,workdir=$2/work" "$2/tree" ||
    cp -a "$1/base/." "$2/tree"
"""
# The tree's own /proc and the machine's /dev, for this program and its children alone.
ENTER = """tree=$1
shift
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
exec chroot "$tree" "$@"
"""


def run(*words, timeout_s=300, **options):
    return subprocess.run([str(word) for word in words], timeout=timeout_s, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)


def as_root(*words, **options):
    result = run(*SUDO, *words, **options)
    assert result.returncode == 0, f"{' '.join(map(str, words))}\n{result.stdout}{result.stderr}"
    return result.stdout


def what_is_missing():
    """Why there can be no such tree here; None: there can."""
    if SUDO and (not shutil.which("sudo") or run(*SUDO, "true").returncode != 0):
        return "a clean Debian root wants root, or sudo without a password"
    if run(*SUDO, "unshare", "--mount", "--pid", "--fork", "true").returncode != 0:
        return "root may not mount anything here (a container without CAP_SYS_ADMIN)"
    for program in ("mmdebstrap", "apt-get"):
        if not shutil.which(program):
            return f"no {program}: run scripts/setup on a Debian system"
    return None


def release():
    return re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE).group(1)


def sources(codename):
    """The lines of sources.list that this machine's own apt has for its release."""
    told = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
               "Created-By: Packages").stdout
    lines = sorted({f"deb {line}" for line in told.splitlines()
                    if re.fullmatch(rf"\S+ {codename}(-updates|-security)? \S+", line)})
    assert lines, f"apt knows no source for {codename}\n{told}"
    return "".join(f"{line}\n" for line in lines)


def settings():
    """How this machine's apt reaches them: proxies and the like."""
    told = run("apt-config", "dump").stdout
    return "".join(re.findall(r"^Acquire::(?:https?|ftp|Retries|Check-[\w-]+)\b.*\n", told, re.MULTILINE))


def image(packages):
    """A tar file of the tree, made once for these sources and these packages: apt's lists and the packages' files with
    all that they depend on are in it, not installed."""
    codename = release()
    text = {"sources": sources(codename), "settings": settings(), "packages": " ".join(packages)}
    key = hashlib.sha256("\0".join([*text.values(), Path(__file__).read_text()]).encode()).hexdigest()[:16]
    made = CACHE / f"{codename}-{key}.tar"
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob("*.tar*"):
        old.unlink()
    for name in ("sources", "settings"):
        (CACHE / name).write_text(text[name])
    unfinished = CACHE / f"{made.name}.part"
    download = "apt-get install -q -y --no-install-recommends --download-only " + text["packages"]
    as_root("mmdebstrap", "--quiet", "--variant=apt", "--format=tar", "--skip=cleanup/apt",
            f"--aptopt={CACHE / 'settings'}", f'--customize-hook=chroot "$1" {download}', codename, unfinished,
            CACHE / "sources", timeout_s=800)
    unfinished.rename(made)
    return made


class Holder:
    """Where the trees are."""

    def __init__(self, image):
        self.folder = CACHE / "mounted"  # empty, for all but the holding process and what runs in the trees
        self.folder.mkdir(exist_ok=True)
        words = [*SUDO, "unshare", "--mount", "sh", "-e", "-c", HOLD, "sh", self.folder, image]
        self._process = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)
        told = self._process.stdout.readline().strip()
        assert told.isdigit(), "the tree could not be unpacked in memory"
        self.enter = ("nsenter", f"--mount=/proc/{told}/ns/mnt")

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def tree(self, name):
        folder = self.folder / name
        as_root(*self.enter, "sh", "-e", "-c", LAY, "sh", self.folder, folder)
        return CleanRoot(self, folder / "tree")


class CleanRoot:
    def __init__(self, holder, path):
        self.holder, self.path = holder, path

    def try_run(self, *words, timeout_s=120, stdin="", **environment):
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                     "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **environment}
        return run(*SUDO, "timeout", "--kill-after=5", timeout_s, *self.holder.enter, "unshare", "--mount", "--pid",
                   "--fork", "--kill-child", "sh", "-e", "-c", ENTER, "sh", self.path, "env", "-i",
                   *(f"{name}={value}" for name, value in variables.items()), *words, timeout_s=timeout_s + 30,
                   input=stdin)

    def run(self, *words, **options):
        """-> what it told"""
        result = self.try_run(*words, **options)
        shown = " ".join(map(str, words))
        assert result.returncode == 0, f"{shown}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def install(self, *packages):
        self.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages)

    def put(self, file):
        """-> its path in the tree"""
        as_root(*self.holder.enter, "install", "-m", "644", file, self.path / "tmp")
        return f"/tmp/{Path(file).name}"

    def read(self, path):
        return self.run("cat", path)

    def files(self):
        """What the tree holds, folders with a / at the end; but not what apt, dpkg and ldconfig write about what they
        did."""
        listed = self.run("find", "/", "-xdev", "-mindepth", "1", "-type", "d", "-printf", "%P/\n", "-o",
                          "-printf", "%P\n")
        own = re.compile(r"(var/(lib/(dpkg|apt)|cache|log)|tmp|run)/|etc/ld\.so\.cache$")
        return {name for name in listed.splitlines() if not own.match(name)}
