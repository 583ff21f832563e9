# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system of the lab hosts: built once, cached, never written again.

Directories, the first two of which are lower layers of every host's overlay:

    base-<suite>-<key>      a small Debian from debootstrap
    packages-<suite>-<key>  on top of it: /srv/labrepo, a package repository with what the roles install, and an index
                            of it, so that apt works without a network
    double-<suite>-<key>    on top of both: the packages of machines that Ansible does not configure, installed; only
                            built for a lab that has such machines

A key is a digest of everything that decides what is in the directory. A directory that exists is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .system import LabError, run

FORMAT = 1
SUITES = ("bookworm", "trixie")
BASE = (
    "systemd,systemd-sysv,dbus,udev,python3,python3-apt,iproute2,iputils-ping,procps,kmod,ca-certificates,curl"
).split(",")

# Units that only cost time, or that make no sense in a host that lives for minutes.
MASKED = (
    "e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer "
    "man-db.timer logrotate.timer systemd-tmpfiles-clean.timer systemd-timesyncd.service console-getty.service "
    "getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service systemd-binfmt.service dev-hugepages.mount "
    "systemd-update-utmp.service systemd-update-utmp-runlevel.service"
).split()

# udevd is skipped in containers, and with it the per-interface keys of sysctl.d: lab hosts run it as machines do.
UDEV_UNITS = ("systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket")
ANYWAY = "[Unit]\nConditionPathIsReadWrite=\n"

# A kernel has a limit of instances of inotify, and each of these units takes some. Nobody logs in to such a machine.
NOT_IN_DOUBLE = (
    "dbus.service dbus.socket systemd-logind.service systemd-ask-password-console.path systemd-ask-password-wall.path"
).split() + list(UDEV_UNITS)

SOURCES = "deb [trusted=yes] file:/srv/labrepo ./\n"


def key(*parts: object) -> str:
    """A short digest of everything that decides the content of a cached directory."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def names(suite: str, packages: Sequence[str], mirror: str | None) -> tuple[str, str]:
    """Names of the two cached directories: base and packages."""
    machine = os.uname().machine
    base = key(FORMAT, suite, machine, BASE, MASKED, mirror)
    return f"base-{suite}-{base}", f"packages-{suite}-{key(base, SOURCES, sorted(set(packages)))}"


def layers(cache: Path, suite: str, packages: Sequence[str], mirror: str | None = None) -> tuple[Path, ...]:
    """The lower layers of a host, topmost first, whether they exist or not."""
    base, top = names(suite, packages, mirror)
    return cache / top, cache / base


def ensure(cache: Path, suite: str, packages: Sequence[str], mirror: str | None = None) -> bool:
    """Build what is missing of a root file system. Returns whether anything was built. LabError if that fails."""
    if suite not in SUITES:
        raise LabError(f"suite: {suite} is not supported; allowed are {', '.join(SUITES)}")
    for package in packages:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package):
            raise LabError(f"packages: {package!r} is not the name of a Debian package")
    if set(":,\\\n") & set(str(cache)):
        raise LabError(f"cache_dir: {cache} contains a character (colon, comma, backslash) that a mount option cannot")
    top, base = layers(cache, suite, packages, mirror)
    if top.is_dir() and base.is_dir():
        return False
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        log = cache / f"build-{suite}.log"
        if not base.is_dir():
            log.unlink(missing_ok=True)
            _atomically(base, lambda new: _build_base(new, suite, mirror or own_mirror(), log))
        if not top.is_dir():
            _atomically(top, lambda new: _build_packages(new, base, packages, log))
    return True


def double(lowers: Sequence[Path], suite: str, packages: Sequence[str]) -> Path:
    """The layer upon the two others in which packages are installed, whether it exists or not."""
    return lowers[0].parent / f"double-{suite}-{key(FORMAT, lowers[0].name, NOT_IN_DOUBLE, sorted(set(packages)))}"


def ensure_double(lowers: Sequence[Path], suite: str, packages: Sequence[str]) -> bool:
    """Build that layer unless it is there; the two others must be. Returns whether it was built."""
    layer = double(lowers, suite, packages)
    if layer.is_dir():
        return False
    with _locked(layer.parent):
        if not layer.is_dir():
            _atomically(layer, lambda new: _build_double(new, lowers, packages, layer.parent / f"build-{suite}.log"))
    return True


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One build at a time; whoever waited finds the work done. Also clears what a killed build left."""
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in cache.glob(".*.new"):
            _remove(stale)
        yield


def _remove(tree: Path) -> None:
    run(["rm", "-rf", "--one-file-system", "--", str(tree)])


def _atomically(path: Path, build: Callable[[Path], None]) -> None:
    """Have a directory built as `tree` in a new directory, and only then give it its name."""
    new = path.with_name(f".{path.name}.new")
    new.mkdir(mode=0o755)
    try:
        build(new)
        (new / "tree").chmod(0o755)
        os.rename(new / "tree", path)
    finally:
        _remove(new)


def _script(text: str, log: Path) -> None:
    """Run a shell script in a mount namespace of its own: its mounts vanish with it, however it ends."""
    with open(log, "ab") as output:
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", f"umask 022\n{text}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={
                **proxies,
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C",
                "HOME": "/root",
                "DEBIAN_FRONTEND": "noninteractive",
            },
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise LabError(f"the root file system could not be built (whole output: {log}):\n{tail}")


def _build_base(new: Path, suite: str, mirror: str | None, log: Path) -> None:
    root = new / "tree"
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", suite, str(root)]
    _script(shlex.join([*command, mirror] if mirror else command), log)
    system = root / "etc/systemd/system"
    _mask(root, MASKED)
    (system / "default.target").unlink(missing_ok=True)
    (system / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    for unit in UDEV_UNITS:
        _file(system / f"{unit}.d/lab.conf", ANYWAY)
    _file(root / "etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=volatile\n")
    _file(root / "etc/fstab", "")
    _file(root / "etc/resolv.conf", "")
    _file(root / "etc/machine-id", "")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    _script(f"{shlex.join(['chroot', str(root), 'systemctl', 'enable', 'systemd-networkd.service'])}", log)


def _overlay(new: Path, lowers: Sequence[Path]) -> tuple[Path, Path, str]:
    """The directories that take the changes and show the whole, and the command that mounts them."""
    upper, work, root = new / "tree", new / "work", new / "root"
    for directory in (upper, work, root):
        directory.mkdir(mode=0o755)
    options = f"lowerdir={':'.join(map(str, lowers))},upperdir={upper},workdir={work}"
    return upper, root, shlex.join(["mount", "-t", "overlay", "overlay", "-o", options, str(root)])


def _build_double(new: Path, lowers: Sequence[Path], packages: Sequence[str], log: Path) -> None:
    upper, root, mount = _overlay(new, lowers)
    # what is installed is enabled, but must not be started here
    _file(upper / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
    (upper / "usr/sbin/policy-rc.d").chmod(0o755)
    into = shlex.quote(str(root))
    _script(
        f"{mount}\nmount -t proc proc {into}/proc\n"
        f"chroot {into} apt-get -q -y --no-install-recommends install {' '.join(sorted(set(packages)))}\n"
        f"chroot {into} apt-get clean\n",
        log,
    )
    (upper / "usr/sbin/policy-rc.d").unlink()
    _mask(upper, NOT_IN_DOUBLE)


def _build_packages(new: Path, base: Path, packages: Sequence[str], log: Path) -> None:
    upper, root, mount = _overlay(new, [base])
    apt = f"chroot {shlex.quote(str(root))} apt-get -q -y -c /root/lab-apt.conf"
    repository = upper / "srv/labrepo"
    repository.mkdir(parents=True)
    _file(upper / "root/lab-apt.conf", "".join(_apt_proxies()))
    (upper / "root").chmod(0o700)
    own = [name for name in ("/etc/resolv.conf", "/etc/hosts") if os.path.exists(name)]
    if packages:
        copies = "\n".join(f"cp -L {name} {shlex.quote(str(root) + name)}" for name in own)
        wanted = " ".join(sorted(set(packages)))
        _script(
            f"{mount}\n{copies}\n{apt} update\n"
            f"{apt} --no-install-recommends --download-only install {wanted}\n"
            f"cd {shlex.quote(str(root))}\n"
            "mv var/cache/apt/archives/*.deb srv/labrepo/\n"
            "rm -rf var/lib/apt/lists/* var/cache/apt/*.bin\n",
            log,
        )
    for name in own:
        (upper / name[1:]).unlink(missing_ok=True)
    _file(repository / "Packages", "".join(_stanza(path) for path in sorted(repository.glob("*.deb"))))
    _file(upper / "etc/apt/sources.list", SOURCES)
    _script(f"{mount}\n{apt} update", log)
    (upper / "root/lab-apt.conf").unlink()


def _mask(root: Path, units: Iterable[str]) -> None:
    system = root / "etc/systemd/system"
    system.mkdir(parents=True, exist_ok=True)
    for unit in units:
        (system / unit).unlink(missing_ok=True)
        (system / unit).symlink_to("/dev/null")


def _stanza(path: Path) -> str:
    """A package's entry in the index of a repository."""
    control = run(["dpkg-deb", "--field", str(path)]).strip()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{control}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n\n"


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _apt_proxies() -> list[str]:
    """How this machine's apt reaches its mirror, as lines of an apt configuration file."""
    if not shutil.which("apt-config"):
        return []
    lines = run(["apt-config", "dump"]).splitlines(keepends=True)
    return [line for line in lines if re.match(r"Acquire::(https?::proxy|retries)\b", line, re.IGNORECASE)]


def own_mirror(root: Path = Path("/etc/apt")) -> str | None:
    """The Debian mirror of this machine's own apt sources; None (debootstrap's own default) if there is none."""
    for path in (root / "sources.list", *sorted((root / "sources.list.d").glob("*"))):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        if path.suffix in (".list", ".sources"):
            for address in mirrors(text):
                return address
    return None


def mirrors(text: str) -> Iterator[str]:
    """Addresses of Debian archives in a sources file, one-line or deb822 style.

    An archive of Debian ends in /debian by convention; those of updates, other distributions and vendors do not.
    """
    for line in text.splitlines():
        found = re.match(r"\s*(?:deb\s+(?:\[[^]]*\]\s*)?|URIs:\s*)(.*)", line, re.IGNORECASE)
        for word in found.group(1).split() if found else ():
            if re.fullmatch(r"(?:https?|file|copy)://?\S*/debian/?", word):
                yield word.rstrip("/")
