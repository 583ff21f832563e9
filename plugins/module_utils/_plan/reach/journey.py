# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet on its way through the filters of a plan, and the answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP, ICMP, ICMPV6, PORTS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.match import Packet, always, first
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import EPHEMERAL, GUEST, End, Nic, World

# Of what lets a packet pass, the one that people ask for: the rule of the target, or what comes next to it.
WAY, EGRESS, ACL, INGRESS = 1, 2, 3, 4
# Nobody of ours decides it.
UNKNOWN = "unknown"
# Request and reply of a ping.
_ECHO = {4: (8, 0), 6: (128, 129)}
_LINK_LOCAL = parse_prefix(6, "fe80::/10")
_GUEST_FIREWALL = "whether {} has a firewall inside, and a program on that port"
_NETWORKS = "vpc_networks[{}]"


class Stop(Exception):
    """The packet comes no further."""

    def __init__(self, verdict: str, path: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.path = path
        self.reason = reason


class Journey:
    """The packet on its way. source_address, seen, to, port: as far as they are decided."""

    def __init__(self, world: World, family: int, source: End, target: End, protocol: int | None, port: int) -> None:
        self.world = world
        self.family = family
        self.source = source
        self.target = target
        self.ping = protocol is None
        self.protocol = (ICMP if family == 4 else ICMPV6) if protocol is None else protocol
        self.port = self.asked_port = port
        self.steps: list[str] = []
        self.unknown: list[str] = []
        # The object that lets it pass, of the highest rank.
        self.allowed = (0, "", "no security group and no ACL filters it")
        self.source_address: int | None = source.address
        self.address: int | None = target.address
        self.seen: int | None = None
        # The target whose ingress was asked where the packet left the source's host.
        self.judged: Nic | None = None
        self.to: int | None = None

    def depart(self, target: int | None, neighbour: Nic | None = None) -> None:
        """Out of the source's interface and network, if it is a guest's.

        target: the address that the packet bears. neighbour: whose address that is, if a guest's on the same host:
        both ends are asked before the packet leaves, and groups before ACLs.
        """
        if self.source.kind != GUEST:
            return
        nic = self.own(self.source.nic)
        address = nic.addresses.get(self.family)
        if address is None:
            raise Stop(DROP, "", f"{nic.text} has no IPv{self.family} address")
        self.source_address = address
        network = self.world.networks[nic.network]
        where = f"on {nic.hypervisor}, network {nic.network} of VPC {network['vpc']}"
        self.steps.append(f"{nic.text} asks from {self.text(address)} {where}")
        packet = self.packet(address, target)
        self.filter(nic, packet, False)
        if neighbour is not None and neighbour.hypervisor == nic.hypervisor:
            self.filter(neighbour, packet, True)
            self.judged = neighbour
        self.acl(nic.network, packet, False)

    def arrive(self, nic: Nic) -> None:
        """Into the target's network and interface."""
        packet = self.packet(self.seen if self.seen is not None else self.source_address, self.to)
        if self.judged is not nic:
            self.filter(nic, packet, True)
        self.acl(nic.network, packet, True)
        self.steps.append(f"{nic.text} gets it at {self.text(self.to)} on {nic.hypervisor}")
        self.unknown.append(_GUEST_FIREWALL.format(nic.guest))

    def answer(self, nic: Nic) -> None:
        """The answer of a guest, as far as something does not know that it is one."""
        for packet in self.answers(self.to, self.seen if self.seen is not None else self.source_address):
            if self.stateless(nic):
                self.filter(nic, packet, False, "the answer: ")
            self.acl(nic.network, packet, False, "the answer: ")
        if self.source.kind == GUEST:
            self.back(self.own(self.source.nic))

    def back(self, nic: Nic) -> None:
        """The answer on its last stretch, to the guest that asked."""
        for packet in self.answers(self.address, self.source_address):
            self.received(nic, packet, "the answer: ")

    def received(self, nic: Nic, packet: Packet, what: str) -> None:
        """What comes back to the guest that asked."""
        if self.stateless(nic):
            self.filter(nic, packet, True, what)
        self.acl(nic.network, packet, True, what)

    def undecided(self, target: Nic, reason: str) -> None:
        """Others decide whether it comes to the target; if so, its filters decide. Raises Stop."""
        if self.source_address is not None:
            self.seen = self.source_address
            self.arrive(target)
            self.answer(target)
        raise Stop(UNKNOWN, self.network(target.network), reason)

    def filter(self, nic: Nic, packet: Packet, ingress: bool, what: str = "") -> None:
        """The groups of an interface."""
        if not nic.groups or always(packet):
            return
        side, allowed = ("ingress" if ingress else "egress"), None
        for name in nic.groups:
            group = self.world.groups[name]
            rules = group[side]
            if rules is None:
                allowed = (f"{group['path']}", f"group {name} has no {side}: everything may be sent")
                break
            index = first(rules, packet, ingress, self.world.known)
            if index is not None:
                rule = rules[index]
                if rule["action"] != ACCEPT:
                    # Whoever is refused an answer knows it, and whoever waits for it does not.
                    raise Stop(
                        DROP if what else rule["action"], rule["path"], f"{what}rule of group {name} of {nic.text}"
                    )
                allowed = (rule["path"], f"rule of group {name} of {nic.text}")
                break
        if allowed is None:
            paths = ", ".join(f"{self.world.groups[name]['path']}.{side}" for name in nic.groups)
            many = f"groups {', '.join(nic.groups)}" if len(nic.groups) > 1 else f"group {nic.groups[0]}"
            raise Stop(DROP, paths, f"{what}no {side} rule of {many} of {nic.text} is for it")
        if not what:
            self.allow(INGRESS if ingress else EGRESS, *allowed)
            self.steps.append(f"{side} of {nic.text}: accept ({allowed[0]})")

    def acl(self, name: str, packet: Packet, ingress: bool, what: str = "") -> None:
        """The ACL of a network, which is asked of what comes from elsewhere or goes there."""
        acl: dict[str, Any] | None = self.world.networks[name].get("acl")
        other = packet.source if ingress else packet.target
        if self.world.inside(name, self.family, other) or (self.family == 6 and _LINK_LOCAL.contains(other)):
            return
        side = "ingress" if ingress else "egress"
        if acl is None or acl[side] is None or always(packet):
            return
        index = first(acl[side], packet, ingress, self.world.known)
        if index is None:
            raise Stop(DROP, f"{acl['path']}.{side}", f"{what}no rule of the ACL of {name} is for it")
        rule = acl[side][index]
        if rule["action"] != ACCEPT:
            raise Stop(rule["action"], rule["path"], f"{what}rule of the ACL of {name}")
        if not what:
            self.allow(ACL, rule["path"], f"rule of the ACL of {name}")
            self.steps.append(f"{side} of network {name}: accept ({rule['path']})")

    def allow(self, rank: int, path: str, reason: str) -> None:
        """Remember what lets it pass."""
        self.allowed = max(self.allowed, (rank, path, reason), key=lambda item: item[0])

    def stateless(self, nic: Nic) -> bool:
        """Whether nobody remembers what the interface was asked."""
        return bool(nic.groups) and not any(self.world.groups[name]["stateful"] for name in nic.groups)

    def packet(self, source: int | None, target: int | None) -> Packet:
        number = _ECHO[self.family][0] if self.ping else 0
        return Packet(self.family, source or 0, target or 0, self.protocol, EPHEMERAL[0], self.port, number, 0)

    def answers(self, source: int | None, target: int | None) -> Sequence[Packet]:
        """One answer of every kind that rules could tell from others: which port asks is not known."""
        if self.protocol not in PORTS:
            number = _ECHO[self.family][1] if self.ping else 0
            return [Packet(self.family, source or 0, target or 0, self.protocol, 0, 0, number, 0)]
        return [
            Packet(self.family, source or 0, target or 0, self.protocol, self.port, port)
            for port in self.world.ephemeral
        ]

    def routed(self, network: str) -> None:
        if self.world.router is None:
            raise Stop(DROP, "groups.routers", "has no host")
        self.steps.append(f"by router {self.world.router}")

    def knows(self, host: str) -> bool:
        """Whether a host knows the networks: as a VPN gateway only, it does for its connections."""
        return any(role in self.world.hosts[host]["roles"] for role in ("hypervisor", "router")) or any(
            connection["gateway"] == host for connection in self.world.connections.values()
        )

    def forwarded(self, address: int | None) -> bool:
        """Whether a port forward of the router's own address is for it."""
        return address == self.world.underlay(self.world.router or "", 4) and any(
            item["address"] is None
            and item["protocol"] == self.protocol
            and item["ports"][0] <= self.port <= item["ports"][1]
            for item in self.world.forwards.values()
        )

    def router_address(self) -> str | None:
        return self.world.hosts[self.world.router]["underlay"] if self.world.router is not None else None

    def own(self, nic: Nic | None) -> Nic:
        if nic is None:
            raise ValueError("a guest's end has no interface")
        return nic

    def text(self, address: int | None) -> str:
        return format_address(self.family, address) if address is not None else "?"

    def network(self, name: str, key: str = "") -> str:
        return _NETWORKS.format(name) + (f".{key}" if key else "")
