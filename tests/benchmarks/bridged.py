# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flat bridge and its guests: network namespaces inside of a sandbox, which end with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import RUNTIME, Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import HELPER
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

BRIDGE = "xenbr0"
UPLINK = "peth0"
OUTSIDE = str(fleet.FLAT_GATEWAY)


def vif(number: int) -> str:
    return f"vif{number}.0"


def slice_of(count: int, backend: str) -> dict[str, Any]:
    """The role's slice for a host with so many guests."""
    return fleet.slice_of("hv0", ANTISPOOF.name, fleet.flat(count, backend, BRIDGE, UPLINK))


def inside(namespace: str, *argv: str, stdin: str = "") -> str:
    """Standard output of a program in a namespace; one that fails ends the benchmark."""
    done = subprocess.run(
        ("ip", "netns", "exec", namespace, *argv), input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{namespace}: {' '.join(argv)}: status {done.returncode}: {done.stderr}")
    return done.stdout


class World:
    """A bridge with an uplink and two guests: the last two of many, of whom the others are entries of filters only.

    Namespaces: `host` has the bridge, `guest` is the last guest, `neighbour` the one before, `outside` is behind the
    uplink.
    """

    def __init__(self, name: str, count: int, folder: Path) -> None:
        """name: begins the names of the namespaces. folder: for the files that are written on the host."""
        self.name = name
        self.count = count
        self.root = str(folder / name)
        self._addresses = {
            "guest": str(fleet.FLAT + count),
            "neighbour": str(fleet.FLAT + count - 1),
            "outside": OUTSIDE,
        }
        self._ports = {"guest": vif(count), "neighbour": vif(count - 1), "outside": UPLINK}
        lines = [f"netns add {self.namespace(end)}\n" for end in ("host", *self._ports)]
        subprocess.run(("ip", "-batch", "-"), input="".join(lines), text=True, check=True)
        if has_bridge_nf():
            self.bridge_nf(False)

    def close(self) -> None:
        """Remove the namespaces, and with them all that is in them."""
        lines = [f"netns del {self.namespace(end)}\n" for end in ("host", *self._ports)]
        subprocess.run(("ip", "-batch", "-"), input="".join(lines), text=True, check=True)

    def namespace(self, end: str) -> str:
        return f"{self.name}-{end}"

    def address(self, end: str) -> str:
        return self._addresses[end]

    def plug(self, macs: dict[str, str]) -> None:
        """Make bridge and ports. macs: of guests, by the name of their port."""
        self.run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in self._bridge(macs)))
        for end, address in self._addresses.items():
            lines = ("link set lo up", "link set eth0 up", f"addr add {address}/16 dev eth0")
            inside(self.namespace(end), "ip", "-batch", "-", stdin="\n".join(lines))

    def _bridge(self, macs: dict[str, str]) -> Iterator[str]:
        yield f"link add {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
        yield f"link set {BRIDGE} up"
        for end, port in self._ports.items():
            mac = f"address {macs[port]}" if port in macs else ""
            yield f"link add {port} type veth peer name eth0 {mac} netns {self.namespace(end)}"
            yield f"link set {port} master {BRIDGE} up"

    def run(self, *argv: str, stdin: str = "") -> str:
        """Standard output of a program on the host."""
        return inside(self.namespace("host"), *argv, stdin=stdin)

    def bridge_nf(self, on: bool) -> None:
        """Whether frames on bridges pass iptables."""
        names = ("iptables", "ip6tables", "arptables")
        self.run("sysctl", "-qw", *(f"net.bridge.bridge-nf-call-{name}={int(on)}" for name in names))

    def apply(self, content: dict[str, Any], check: bool = False) -> Result:
        """Run the engine on the host, with the slice of role antispoof."""
        options = Options(check=check, removal_limit=None, root=self.root, lock=f"{self.root}.lock")
        return Transaction(ANTISPOOF, content, options, self._engine).apply()

    def _engine(self, command: Command) -> Output:
        argv = ("ip", "netns", "exec", self.namespace("host"), *command.argv)
        return process.run(Command(argv, command.stdin, command.ok))

    def helper(self, *words: str) -> tuple[str, ...]:
        """The command that calls the helper on the host."""
        return (
            *("ip", "netns", "exec", self.namespace("host")),
            *("env", f"PLAINLINUX_VPC_RUN={self.root}{RUNTIME}", f"{self.root}{HELPER}", *words),
        )


def has_bridge_nf() -> bool:
    """Whether this kernel has br_netfilter; loading it here would change how this machine's own bridges filter."""
    return Path("/proc/sys/net/bridge").is_dir()
