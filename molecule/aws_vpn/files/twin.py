# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of this scenario: who is where, sockets and commands there. Read by the other programs of this folder."""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import ENVIRONMENT, recall

GUEST, STRANGER = "vm-vm1", "vm-vm3"
_ALL = 3
_IPV4 = 0x0800
_BUFFER_FORCE = 33
_BUFFER = 32 << 20
OUTGOING = 4


def parser(text: str) -> argparse.ArgumentParser:
    """With the arguments that all programs have."""
    found = argparse.ArgumentParser(description=text)
    found.add_argument("--lab", required=True)
    found.add_argument("--plan", required=True, type=Path)
    return found


def say(text: str) -> None:
    """A line for people."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail(text: str) -> NoReturn:
    """End the program: what was to be proved is not true."""
    say(f"FAILED: {text}")
    sys.exit(1)


def wait(what: str, seconds: float, is_so: Callable[[], bool]) -> float:
    """Wait until something is so, and return how long that took; fail where it takes too long."""
    start = time.monotonic()
    while not is_so():
        if time.monotonic() > start + seconds:
            fail(f"in {seconds:.0f} s it did not happen: {what}")
        time.sleep(0.1)
    return time.monotonic() - start


class Machines:
    """The machines of a lab."""

    def __init__(self, lab: str) -> None:
        self.lab = lab

    def entered(self, name: str) -> list[str]:
        """What comes before a command that is to run on a machine, as root there."""
        pid = recall(Paths(self.lab).pid(name))
        if pid is None:
            fail(f"{name} does not run")
        environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        return ["nsenter", "--target", str(pid), "--all", "--", "/usr/bin/env", "-i", *environment]

    def on(self, name: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on a machine."""
        return subprocess.run(
            [*self.entered(name), *command], input=stdin, capture_output=True, text=True, check=False, errors="replace"
        )

    def names(self) -> list[str]:
        """Those that run."""
        return sorted(path.stem for path in Paths(self.lab).hosts.glob("*.pid"))


class Twin(Machines):
    """The lab of one plan with one connection."""

    def __init__(self, lab: str, plan: Path) -> None:
        super().__init__(lab)
        summary = json.loads(plan.read_text(encoding="utf-8"))
        (self.name, connection) = next(iter(summary["connections"].items()))
        self.connection: dict[str, Any] = connection
        self.gateway = str(connection["gateway"])
        self.far = f"{self.name}-vpc"
        self.far_address = str(connection["lab_host"])
        self.tunnels: dict[str, dict[str, Any]] = {tunnel["name"]: tunnel for tunnel in connection["tunnels"]}
        self.mtu = min(int(tunnel["mtu"]) for tunnel in self.tunnels.values())
        self.mss = min(int(tunnel["mss"]) for tunnel in self.tunnels.values())
        self.address = {
            f"vm-{name}": str(instance["interfaces"][0]["address"]).partition("/")[0]
            for name, instance in summary["instances"].items()
        }
        self.address[self.far] = self.far_address
        self.underlay = {name: str(host["underlay"]) for name, host in summary["hosts"].items()}

    def socket(self, name: str, *kind: int) -> socket.socket:
        """A socket in a namespace, given without the lab's name."""
        return netns.inside(f"{self.lab}-{name}", lambda: socket.socket(*kind))

    def sniffer(self, name: str, device: str) -> socket.socket:
        """A socket, not blocking, that gets every IPv4 packet of a device without its link header."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            made.setsockopt(socket.SOL_SOCKET, _BUFFER_FORCE, _BUFFER)
            made.bind((device, _ALL))
            made.setblocking(False)
            return made

        return netns.inside(f"{self.lab}-{name}", make)

    def inside(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine in a namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", f"{self.lab}-{name}", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )

    def cut(self, *tunnels: str) -> None:
        """Black-hole these tunnels and no others."""
        peers = ", ".join(self.tunnels[name]["peer_outside_address"] for name in tunnels)
        lines = "flush set ip lab blackhole\n" + (f"add element ip lab blackhole {{ {peers} }}\n" if peers else "")
        done = subprocess.run(
            ["ip", "netns", "exec", f"{self.lab}-internet", "nft", "-f", "-"], input=lines, text=True, check=False
        )
        if done.returncode:
            fail("the tunnels could not be cut")


def drain(sniffer: socket.socket) -> Iterator[tuple[bytes, bool]]:
    """(packet, whether it went out) of all IPv4 packets that a sniffer has got."""
    while True:
        try:
            packet, address = sniffer.recvfrom(65535)
        except BlockingIOError:
            return
        if address[1] == _IPV4 and len(packet) >= 20:
            yield packet, address[2] == OUTGOING


def ends(packet: bytes) -> tuple[str, str, int, bytes]:
    """(source, destination, protocol, payload) of an IPv4 packet."""
    length = (packet[0] & 15) * 4
    return socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], packet[length:]


def ports(payload: bytes) -> tuple[int, int]:
    """Source and destination port of UDP or TCP."""
    found: tuple[int, int] = struct.unpack("!HH", payload[:4])
    return found


@contextmanager
def without_firewall(twin: Twin) -> Iterator[None]:
    """The gateway has not the role's rules. Afterwards it has them as before."""
    table = ("table", "inet", "plainlinux_vpn_gateway")
    rules = twin.inside(twin.gateway, "nft", "-s", "list", *table).stdout
    if not rules:
        fail("the gateway has no table of the role")
    twin.inside(twin.gateway, "nft", "delete", *table)
    try:
        yield
    finally:
        done = twin.on(twin.gateway, "nft", "-f", "-", stdin=rules)
        if done.returncode:
            fail(f"the rules could not be put back: {done.stderr}")
