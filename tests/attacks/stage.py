# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attacks do to real network stacks: caches, routes, addresses and the bridge's own tables."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.tests.attacks.namespaces import Namespaces
from ansible_collections.plainlinux.vpc.tests.attacks.nd import ADVERTISED
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from ansible_collections.plainlinux.vpc.tests.attacks.world import World
from scapy.packet import Packet

# Seconds for which a new entry of a neighbour table is not replaced: one tick of the kernel.
_LOCK = 0.02
# Times that an attack is tried which a chance frame of the victim undoes.
_TRIES = 3
# Seconds until duplicate address detection has ended, however busy the machine is.
_DETECTION = 20.0


@dataclass(frozen=True)
class Effect:
    """Something that happens, or not, on a real stack.

    attempt: True if it happened: bad for an attack, good for a legitimate exchange. possible: whether this world has
    all that it needs.
    """

    id: str
    klass: str
    legit: bool
    attempt: Callable[[Stage], bool]
    possible: bool = True


class Stage:
    """What effects use: the wire, and questions to the stacks of guests, hypervisor and bridge."""

    def __init__(self, topology: Namespaces, wire: Wire) -> None:
        self.topology = topology
        self.wire = wire

    @property
    def world(self) -> World:
        return self.topology.world

    def send(self, sender: str, *frames: Packet | bytes) -> None:
        """Send frames and wait until the receivers' stacks have read them."""
        self.wire.send(sender, *(bytes(frame) for frame in frames))
        self.wire.settle()

    def ask(self, name: str, command: str) -> str:
        """Standard output of a command in the namespace of host, ext or a guest."""
        return self.topology.run(*command.split(), inside=name)

    def change(self, name: str, **settings: int) -> None:
        """Set sysctls, written with slashes, in the namespace of host, ext or a guest."""
        self.topology.change(name, settings)

    def try_(self, name: str, command: str) -> None:
        """Run a command of which nobody cares whether it fails."""
        self.topology.run(*command.split(), inside=name, check=False)

    def poisoned(self, victim: str, address: str, mac: str, *frames: Packet | bytes) -> bool:
        """Whether the frames of guest a change what the victim knows about an address, which now has this MAC."""
        device = self.topology.device(victim)
        self.ask(victim, f"ip neigh replace {address} lladdr {mac} nud stale dev {device}")
        time.sleep(_LOCK)
        self.send("a", *frames)
        found = self.ask(victim, f"ip neigh show to {address} dev {device}")
        self.ask(victim, f"ip neigh replace {address} lladdr {mac} nud stale dev {device}")
        self.wire.refresh()
        return f"lladdr {mac}" not in found

    def stolen(self, mac: str, port: str, *frames: bytes) -> bool:
        """Whether, after the frames of guest a, the bridge expects the MAC address elsewhere than behind its port."""
        for _turn in range(_TRIES):
            self.wire.refresh()
            self.send("a", *frames)
            entries = self.entries(mac)
            self.wire.refresh()
            if entries and not any(f" {port} " in f"{entry} " for entry in entries):
                return True
        return False

    def entries(self, pattern: str) -> list[str]:
        """Lines of the bridge's forwarding table that match a regular expression."""
        lines = self.ask("host", f"bridge fdb show br {self.world.bridge}").splitlines()
        return [line for line in lines if re.search(pattern, line)]

    def count(self, receiver: str, data: bytes) -> int:
        """How many frames with these bytes a receiver got since the last look."""
        return sum(1 for name, frame in self.wire.collect() if name == receiver and data in frame)

    def advertised(self, sender: str, router: str, frame: Packet | bytes) -> bool:
        """Whether a router advertisement gives b a default route via the router."""
        device = self.topology.device("b")
        defaults = [" ".join(line.split()[:5]) for line in self.ask("b", "ip -6 route show default").splitlines()]
        for default in defaults:
            self.ask("b", f"ip -6 route del {default}")
        self.change("b", **{f"net/ipv6/conf/{device}/accept_ra": 1})
        self.send(sender, frame)
        routes = self.ask("b", "ip -6 route show default proto ra")
        self.change("b", **{f"net/ipv6/conf/{device}/accept_ra": 0})
        self.ask("b", "ip -6 route flush proto ra")
        for default in defaults:
            self.ask("b", f"ip -6 route add {default}")
        for address in re.findall(r"inet6 (2001:db8:bad:\S+)", self.ask("b", f"ip -6 addr show dev {device}")):
            self.try_("b", f"ip addr del {address} dev {device}")
        self.try_("b", f"ip -6 route flush {ADVERTISED} dev {device}")
        return f"via {router} " in routes

    def rejected(self, *frames: Packet) -> bool:
        """Whether duplicate address detection of b's spare address fails while guest a sends the frames."""
        device, address = self.topology.device("b"), self.world.spare6
        found = re.search(rf"inet6 {address}(/\d+) ", self.ask("b", f"ip -6 addr show dev {device}"))
        length = found.group(1) if found else "/128"
        detection = {f"net/ipv6/conf/{name}/accept_dad": 1 for name in ("all", device)}
        self.change("b", **detection)
        self.change(
            "b",
            **{
                f"net/ipv6/conf/{device}/router_solicitation_delay": 0,
                f"net/ipv6/neigh/{device}/retrans_time_ms": 300,
            },
        )
        self.ask("b", f"ip addr del {address}{length} dev {device}")
        self.ask("b", f"ip addr add {address}{length} dev {device}")
        for _turn in range(6):
            self.send("a", *frames)
            time.sleep(0.04)
        deadline = time.monotonic() + _DETECTION
        while "tentative" in (state := self.ask("b", f"ip -6 addr show dev {device} to {address}")):
            if "dadfailed" in state or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.ask("b", f"ip addr del {address}{length} dev {device}")
        self.change("b", **dict.fromkeys(detection, 0))
        self.ask("b", f"ip addr add {address}{length} dev {device} nodad")
        return "tentative" in state


def ping(source: str, target: str, *options: str) -> Callable[[Stage], bool]:
    """Whether an echo request of a real stack is answered; neighbours are asked for anew."""

    def attempt(stage: Stage) -> bool:
        for name in (*(name for name in "abc" if name in stage.world.vifs), "host", "ext"):
            stage.ask(name, "ip neigh flush all")
        zone = f"%{stage.topology.device(source)}" if target.startswith("fe80:") else ""
        return " 0% packet loss" in stage.topology.run(
            "ping", "-n", "-c1", "-W1", *options, f"{target}{zone}", inside=source, check=False
        )

    return attempt
