# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that read the texts in a guest, each in the namespace of a guest with a file system of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

# What .ci/packages unpacks.
BUILD = Path(__file__).resolve().parents[5] / ".build"
IFUPDOWN, NETPLAN, UDEV = BUILD / "ifupdown", BUILD / "netplan", BUILD / "udev"
CLOUD_INIT, LIBVIRT = BUILD / "cloud-init", BUILD / "libvirt"
NETWORKD = "/usr/lib/systemd/systemd-networkd"


def libraries(folder: Path) -> dict[str, str]:
    """The environment of a program that was unpacked into a folder with what it needs."""
    return {**os.environ, "LD_LIBRARY_PATH": str(folder / "usr/lib" / f"{platform.machine()}-linux-gnu")}


# $1: a folder of the guest's. Its root is the machine's, where /etc/network, /run and /sys are its own; nothing in /sys
# can be written, by which programs know that there is no udev to wait for.
_ENTER = """
mount --make-rprivate /
mount -t overlay -o lowerdir="$1/etc:/etc" overlay /etc
if [ -d "$2/usr/lib/ifupdown" ]; then mount -t overlay -o lowerdir="$2/usr/lib:/usr/lib" overlay /usr/lib; fi
mount --bind "$1/run" /run
mount -o remount,bind,ro /sys
PATH=$2/usr/sbin:$PATH
shift 2
exec "$@"
"""
# What ifup tells the programs that know DNS.
_HOOK = """#!/bin/sh
echo "$LOGICAL $ADDRFAM $IF_DNS_NAMESERVERS / $IF_DNS_SEARCH" >>/run/dns
"""


class Machine:
    """A guest: a namespace, and what it has of its own in a folder. Its interfaces are the test's affair."""

    def __init__(self, folder: Path, netns: Netns) -> None:
        self.folder = folder
        self.netns = netns
        self.daemon: subprocess.Popen[bytes] | None = None
        hooks = [f"etc/network/if-{name}.d" for name in ("pre-up", "up", "down", "post-down")]
        for name in (*hooks, "etc/network/interfaces.d", "etc/systemd/network", "run/network", "run/dbus"):
            (folder / name).mkdir(parents=True)
        hook = folder / "etc/network/if-up.d/dns"
        hook.write_text(_HOOK)
        hook.chmod(0o755)
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o055)

    def close(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None

    def command(self, *words: str) -> list[str]:
        enter = ["unshare", "--mount", "dash", "-euc", _ENTER, "enter", str(self.folder), str(IFUPDOWN)]
        return ["ip", "netns", "exec", self.netns.name, *enter, *words]

    def run(self, *words: str) -> Output:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        return Output(done.returncode, done.stdout, done.stderr)

    def ifup(self, text: str, *words: str) -> Output:
        """As an image does at its start, with a text for /etc/network/interfaces.d."""
        (self.folder / "etc/network/interfaces").write_text("source /etc/network/interfaces.d/*\n")
        (self.folder / "etc/network/interfaces.d/vpc").write_text(text)
        return self.run("ifup", "-a", *words)

    def networkd(self, files: Mapping[str, str], wait: bool = True) -> None:
        """Start systemd-networkd, and wait until every interface is as it shall be."""
        for name, text in files.items():
            (self.folder / "etc/systemd/network" / name).write_text(text)
        state = self.folder / "run/systemd/netif"
        for name in ("links", "leases", "lldp"):
            (state / name).mkdir(parents=True)
        subprocess.run(["chown", "-R", "systemd-network:systemd-network", str(state)], check=True)
        with (self.folder / "log").open("wb") as log:
            environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "info", "SYSTEMD_LOG_TARGET": "console"}
            self.daemon = subprocess.Popen(self.command(NETWORKD), stdout=log, stderr=log, env=environment)
        wanted = sum("[Network]" in text for text in files.values())
        deadline = time.monotonic() + 30
        while (
            wait
            and sum("ADMIN_STATE=configured" in path.read_text() for path in (state / "links").glob("[0-9]*")) < wanted
        ):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def udev_name(self, device: str) -> str:
        """The name that udev would give an interface by the files of networkd()."""
        unpacked = UDEV / "usr/bin/udevadm"
        program = str(unpacked) if unpacked.exists() else "udevadm"
        found = self.run(program, "test-builtin", "net_setup_link", f"/sys/class/net/{device}").stdout
        return found.partition("ID_NET_NAME=")[2].partition("\n")[0]

    def said(self) -> str:
        """What systemd-networkd complained about."""
        log = (self.folder / "log").read_text()
        known = ("bus", "D-Bus", "udev", "MESSAGE")
        return "\n".join(
            line for line in log.splitlines() if "ignor" in line.lower() and not any(map(line.count, known))
        )


def netplan_generate(text: str, folder: Path, deprecated: bool = False) -> dict[str, str]:
    """Texts of systemd-networkd that netplan makes of one of its own, by file name.

    deprecated: whether netplan may say that gateway4 and gateway6 are.
    """
    file = folder / "etc/netplan/60-vpc.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(0o600)
    installed = Path("/usr/libexec/netplan/generate")
    program = installed if installed.exists() else NETPLAN / "usr/libexec/netplan/generate"
    done = subprocess.run(
        [str(program), "--root-dir", str(folder)],
        capture_output=True,
        text=True,
        env=libraries(NETPLAN),
        check=False,
    )
    known = "has been deprecated, use default routes instead" if deprecated else ""
    said = [line for line in done.stderr.splitlines() if "WARN" in line and not (known and known in line)]
    assert (done.returncode, said) == (0, []), done.stderr
    return {path.name: path.read_text() for path in (folder / "run/systemd/network").iterdir()}


def cloud_init_convert(text: str, renderer: str, folder: Path, macs: Mapping[str, str]) -> dict[str, str]:
    """Files that cloud-init makes of a network-config, by path. macs: of the machine's interfaces, by name."""
    folder.mkdir()
    file = folder / "network-config"
    file.write_text(text)
    out = folder / renderer
    words = [word for name, mac in macs.items() for word in ("-m", f"{name},{mac}")]
    distribution = "rhel" if renderer in ("sysconfig", "network-manager") else "debian"
    options = ["-p", str(file), "-k", "yaml", "-d", str(out), "-O", renderer, "-D", distribution]
    packages = CLOUD_INIT / "usr/lib/python3/dist-packages"
    done = subprocess.run(
        [sys.executable, "-m", "cloudinit.cmd.devel.net_convert", *options, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(out)): path.read_text() for path in sorted(out.rglob("*")) if path.is_file()}
