# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One packet's way through a plan, and its answer's way back.

Like the packet, the walk stops at the first object that does not let it pass.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.journey import UNKNOWN, WAY, Stop
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.refusal import Refusals
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import (
    GUEST,
    HOST,
    INTERNET,
    NOBODY,
    PUBLIC,
    VPN,
    End,
    Nic,
    World,
    private,
)

_HOST_FIREWALL = "the firewall that {} may have besides ours"


class Way(NamedTuple):
    """What became of a packet.

    verdict: accept, drop, reject or UNKNOWN. path: of the object in the inventory that decides, "" where nothing does.
    reason: why. steps: the way, a line each. unknown: what no plan says, and could still stop the packet. source:
    the address that asks; address, port: what it asks; seen: the source address that the target sees, to, to_port: the
    address and port that it is asked at. None where the packet does not come so far, or others decide it.
    """

    verdict: str
    path: str
    reason: str
    steps: tuple[str, ...]
    unknown: tuple[str, ...]
    source: int | None
    address: int | None
    port: int
    seen: int | None
    to: int | None
    to_port: int


def walk(world: World, family: int, source: End, target: End, protocol: int | None, port: int) -> Way:
    """Follow a packet. protocol: None for a ping. Ends without an address get the one that they would use."""
    walker = _Walk(world, family, source, target, protocol, port)
    try:
        walker.go()
        verdict, path, reason = ACCEPT, *walker.allowed[1:]
    except Stop as stop:
        verdict, path, reason = walker.told(stop), stop.path, stop.reason
        walker.steps.append(f"{stop.verdict}: {stop.reason}" + (f" ({stop.path})" if stop.path else ""))
    return Way(
        verdict,
        path,
        reason,
        tuple(walker.steps),
        tuple(dict.fromkeys(walker.unknown)),
        walker.source_address,
        walker.address,
        walker.asked_port,
        walker.seen,
        walker.to,
        walker.port,
    )


class _Walk(Refusals):
    """The ways to every kind of target."""

    def go(self) -> None:
        """Raises Stop where the packet comes no further."""
        if self.source.kind == NOBODY:
            text = self.text(self.source.address)
            raise Stop(DROP, self.network(self.source.name), f"nobody has {text}, and no guest may send for it")
        if self.source.kind == PUBLIC:
            raise Stop(DROP, "", f"{self.source.name} is no sender: name the guest that has it")
        if self.target.kind == NOBODY:
            self.depart(self.target.address)
            text = self.text(self.target.address)
            raise Stop(DROP, self.network(self.target.name), f"nobody has {text}")
        if self.target.kind == PUBLIC:
            self.public(self.target.name, f"asked at the public address {self.target.name}")
        elif self.target.kind == GUEST:
            self.guest(self.own(self.target.nic), None)
        elif self.target.kind == HOST:
            self.host()
        elif self.target.kind == VPN:
            self.vpn()
        else:
            self.outside()

    def guest(self, target: Nic, way: str | None) -> None:
        """To a guest, at its own address. way: the public address's path if the packet came by one."""
        address = target.addresses.get(self.family)
        if address is None:
            raise Stop(DROP, "", f"{target.text} has no IPv{self.family} address")
        if way is None:
            self.address = address
        self.to = address
        if self.source.kind == GUEST:
            self.between(self.own(self.source.nic), target, way)
        elif way is not None:
            pass  # the router has it already
        elif self.source.kind == HOST:
            self.from_host(target)
        elif self.source.kind == VPN:
            self.from_vpn(target)
        elif not self.world.networks[target.network]["flat"]:
            self.from_outside(target)
            return
        else:
            self.seen = self.source_address
            self.unknown.append(f"what the gateway of the flat network {target.network} does")
            self.steps.append(f"from {self.text(self.seen)} by the outside of the flat network {target.network}")
        self.arrive(target)
        self.answer(target)

    def between(self, source: Nic, target: Nic, way: str | None) -> None:
        """From guest to guest, up to the target's network."""
        one, other = self.world.networks[source.network], self.world.networks[target.network]
        if way is None:
            self.depart(self.to, target)
            self.seen = self.source_address
        if source.network == target.network:
            together = source.hypervisor == target.hypervisor
            if one["flat"]:
                if not together and not one["uplinks"]:
                    raise Stop(UNKNOWN, self.network(source.network, "uplinks"), "two hypervisors, and no uplinks")
                self.steps.append(f"on bridge {one['bridge']}" + ("" if together else " and by its uplinks"))
            elif together and way is None:
                self.steps.append(f"on {source.hypervisor}, bridge {one['bridge']}")
            else:
                self.routed(source.network)
            return
        if one["flat"] or other["flat"]:
            flat = source.network if one["flat"] else target.network
            self.undecided(target, f"the outside of the flat network {flat} decides who reaches it")
            return
        path = self.world.together(source.network, target.network)
        if path is None and way is None:
            reason = f"VPC {one['vpc']} of {source.network} has no peering with VPC {other['vpc']} of {target.network}"
            raise Stop(DROP, self.network(source.network, "vpc"), reason)
        self.routed(source.network)
        if path:
            self.steps.append(f"VPC {one['vpc']} to VPC {other['vpc']} by {path}")
            self.allow(WAY, path, "joins the VPCs")

    def from_host(self, target: Nic) -> None:
        """From a host of ours, up to the target's network."""
        name, network = self.source.name, self.world.networks[target.network]
        underlay = self.world.underlay(name, self.family)
        self.unknown.append(_HOST_FIREWALL.format(name))
        if network["flat"]:
            if underlay is None or not self.world.inside(target.network, self.family, underlay):
                self.seen = self.source_address = underlay
                self.undecided(target, f"{name} is not at home in the flat network {target.network}")
                return
            self.seen = underlay
        elif target.hypervisor == name:
            self.seen = self.asker(name, target)
        elif not self.knows(name):
            raise Stop(DROP, "", f"{name} has no VPN connection, and knows no networks")
        elif underlay is None:
            raise Stop(DROP, "", f"{name} has no IPv{self.family} address that others can answer")
        else:
            self.seen = underlay
        self.source_address = self.seen
        self.steps.append(f"{name} asks from {self.text(self.seen)}")
        if not network["flat"] and target.hypervisor != name:
            self.steps.append(f"to {target.hypervisor}")

    def from_vpn(self, target: Nic) -> None:
        """From behind a VPN connection, up to the target's network."""
        self.seen = self.source_address
        self.steps.append(f"{self.text(self.seen)}, behind VPN connection {self.source.name}")
        self.tunnel(self.source.name, target)

    def from_outside(self, target: Nic) -> None:
        """From the internet, or anywhere that is not ours, to a guest in a network of ours."""
        for path, text, port in self.world.ways_in(target, self.protocol, self.port) if self.family == 4 else ():
            public = text if text is not None else self.router_address()
            if public is not None:
                self.asked_port, self.address = port, parse_address(4, public)
                self.translate(target, path, self.port)
                return
        address, network = self.to or 0, target.network
        word = self.text(address)
        self.seen = self.source_address
        if private(self.family, address):
            why = f"{word} is no address of the internet"
        elif self.world.networks[network]["nat"] and self.family == 4:
            why = f"{network} is behind NAT"
        else:
            self.undecided(target, f"whether others have a route for {word} to the router")
            return
        raise Stop(DROP, self.network(network), f"no public address leads to {target.text}, and {why}")

    def public(self, text: str, step: str) -> None:
        """To a public address on the router."""
        if self.source.kind == GUEST:
            self.depart(self.target.address)
        self.steps.append(step)
        item = self.world.public.get(text)
        if item is not None:
            self.translate(self.world.nic(item["instance"], item["number"]), item["path"], self.port)
            return
        for path, forward in self.world.forwards.items():
            low, high = forward["ports"]
            named = forward["address"] if forward["address"] is not None else self.router_address()
            if named == text and forward["protocol"] == self.protocol and low <= self.port <= high:
                target = self.world.nic(forward["instance"], forward["number"])
                self.translate(target, path, forward["to_port"] + self.port - low)
                return
        if not self.ping:
            raise Stop(DROP, "vpc_port_forwards", f"no port forward of {text} is for it")
        # It answers for its addresses, and offers nothing else on them.
        self.to = self.target.address
        self.allow(WAY, "", f"the router {self.world.router} answers a ping to {text}")
        if self.source.kind == GUEST:
            self.back(self.own(self.source.nic))

    def translate(self, target: Nic, path: str, port: int) -> None:
        """The router writes the guest's own address and port into the packet."""
        self.to, self.port = target.addresses.get(self.family), port
        self.seen = self.source_address
        if self.source.kind == GUEST:
            # Its answer would find a shorter way back, where nobody knows whose answer it is.
            self.seen = self.shown(self.own(self.source.nic))[0]
        elif self.source.kind == HOST:
            if self.source.name == self.world.router:
                raise Stop(DROP, path, "the router itself has no way to what it translates for others")
            self.source_address = self.world.underlay(self.source.name, self.family)
            guests = "hypervisor" in self.world.hosts[self.source.name]["roles"]
            self.seen = self.world.underlay(self.world.router or "", self.family) if guests else self.source_address
        word = self.text(self.to)
        self.steps.append(f"the router sends it to {word}" + (f" port {port}" if port else "") + f" ({path})")
        self.allow(WAY, path, f"leads to {target.text}")
        self.guest(target, path)
        if self.source.kind == HOST:
            raise Stop(UNKNOWN, path, f"whether the router is {self.source.name}'s way to {self.text(self.address)}")

    def host(self) -> None:
        """To a host of ours."""
        name = self.target.name
        if self.source.kind == GUEST:
            nic = self.own(self.source.nic)
            name = name or nic.hypervisor
            network = self.world.networks[nic.network]
        if self.address is None:
            self.address = self.world.underlay(name, self.family)
            if self.address is None:
                raise Stop(DROP, "", f"{name} has no IPv{self.family} address that guests can ask")
        self.to = self.address
        self.unknown.append(_HOST_FIREWALL.format(name or "the hypervisor"))
        if self.source.kind == GUEST:
            # A port forward of the router's own address takes what it is for.
            if self.family == 4 and name == self.world.router and self.forwarded(self.address):
                self.public(self.text(self.address), f"asked at the router's own address {self.text(self.address)}")
                return
            self.depart(self.address)
            self.gateway(nic)
            if network["flat"]:
                if not self.world.inside(nic.network, self.family, self.address):
                    raise Stop(UNKNOWN, "", f"the gateway of the flat network {nic.network} decides who reaches {name}")
            elif name != nic.hypervisor:
                self.routed(nic.network)
            self.seen = self.source_address
            if not network["flat"] and name not in (nic.hypervisor, self.world.router):
                self.other_host(nic, name)
            self.back(nic)
        elif self.source.kind != HOST:
            if self.family == 4 and name == self.world.router and self.forwarded(self.address):
                self.public(self.text(self.address), f"asked at the router's own address {self.text(self.address)}")
                return
            raise Stop(UNKNOWN, "", f"the underlay decides who reaches {name}")
        else:
            raise Stop(UNKNOWN, "", "the underlay decides which hosts reach each other")

    def other_host(self, nic: Nic, name: str) -> None:
        """The router sends a packet on to a host as it does to the internet."""
        public = self.world.public_source(nic) if self.family == 4 else None
        if public is None and not self.world.networks[nic.network]["nat"]:
            return
        self.seen, path = self.shown(nic)
        self.steps.append(f"{self.world.router} sends it on from {self.text(self.seen)} ({path})")
        if public is not None:
            raise Stop(UNKNOWN, path, f"whether {name} has a way back to {public[0]}")

    def gateway(self, nic: Nic) -> None:
        """A host's address that belongs to a network: who does not reach the network does not reach it."""
        for prefix, name in self.world.prefixes:
            if prefix.family == self.family and self.address is not None and prefix.contains(self.address):
                if self.world.together(nic.network, name) is None:
                    reason = f"{nic.network} and {name} are in different VPCs that no peering joins"
                    raise Stop(DROP, self.network(nic.network, "vpc"), reason)
                if not self.target.name and name != nic.network:
                    raise Stop(UNKNOWN, "", f"{nic.hypervisor} has the address where it has guests in {name}")

    def vpn(self) -> None:
        """To what is behind a VPN connection."""
        if self.source.kind != GUEST:
            raise Stop(UNKNOWN, "", "only guests are known to a VPN connection")
        nic = self.own(self.source.nic)
        self.depart(self.address)
        self.to = self.address
        self.tunnel(self.target.name, nic)
        self.seen = self.source_address
        self.back(nic)

    def tunnel(self, name: str, nic: Nic) -> None:
        """Between a guest and the other side of a connection, either way."""
        connection, network = self.world.connections[name], self.world.networks[nic.network]
        path = f"vpc_vpn_connections[{name}]"
        if network["flat"]:
            raise Stop(
                UNKNOWN, "", f"the gateway of the flat network {nic.network} decides who reaches a VPN connection"
            )
        if connection["vpc"] != network["vpc"]:
            raise Stop(DROP, f"{path}.vpc", f"it is for VPC {connection['vpc']}, not for VPC {network['vpc']}")
        own = nic.addresses.get(4)
        if own is None or not any(prefix.contains(own) for prefix in self.world.announced(name)):
            raise Stop(DROP, f"{path}.announce", f"the other side is not told of {nic.text}")
        self.unknown.append(f"what the other side of VPN connection {name} lets pass")
        self.steps.append(f"by {connection['gateway']} and the tunnels of VPN connection {name}")
        self.allow(WAY, path, "leads there")

    def outside(self) -> None:
        """To the internet, or whatever is not ours."""
        if self.source.kind != GUEST:
            raise Stop(UNKNOWN, "", "neither end is a guest: nothing of ours decides")
        nic = self.own(self.source.nic)
        network = self.world.networks[nic.network]
        if self.address is None:
            self.address = parse_address(self.family, INTERNET[self.family])
        self.to = self.address
        self.depart(self.address)
        if network["flat"]:
            gateway = network["gateway" if self.family == 4 else "gateway6"]
            if not network["uplinks"] or not gateway:
                missing = "uplinks" if gateway else "gateway" if self.family == 4 else "gateway6"
                raise Stop(DROP, self.network(nic.network, missing), f"{nic.network} has no way out")
            if self.text(self.address) != gateway:
                self.unknown.append(f"what the gateway {gateway} of the flat network {nic.network} does")
            self.steps.append(f"by the uplinks of {network['bridge']}")
            self.seen = self.source_address
        else:
            self.masquerade(nic)
        self.back(nic)

    def masquerade(self, nic: Nic) -> None:
        """The router writes an address that the internet can answer into the packet."""
        router, network = self.world.router, self.world.networks[nic.network]
        if router is None:
            raise Stop(DROP, "groups.routers", "has no host")
        self.routed(nic.network)
        if not network["nat"] and (self.family == 6 or self.world.public_source(nic) is None):
            path, word = self.network(nic.network, "nat"), self.text(self.source_address)
            if private(self.family, self.source_address or 0):
                raise Stop(DROP, path, f"{nic.network} has nat: false, and the internet does not answer {word}")
            self.seen = self.source_address
            self.back(nic)
            raise Stop(
                UNKNOWN, path, f"{nic.network} has nat: false; whether others have a route for {word} to the router"
            )
        self.seen, path = self.shown(nic)
        shown = self.text(self.seen) if self.seen is not None else "an address of the router's"
        self.steps.append(f"{router} sends it on from {shown} ({path})")
        self.allow(WAY, path, f"seen as {shown}")

    def shown(self, nic: Nic) -> tuple[int | None, str]:
        """(address, path) of what the router shows of a guest; of a pool's addresses the first."""
        router = self.world.router or ""
        public = self.world.public_source(nic) if self.family == 4 else None
        if public is not None:
            return parse_address(4, public[0]), public[1]
        pool = next((item for item in self.world.pools.values() if nic.network in item["networks"]), None)
        if pool is None or self.family == 6:
            return self.world.underlay(router, self.family), self.network(nic.network, "nat")
        return parse_address(4, pool["addresses"][0]), str(pool["path"])
