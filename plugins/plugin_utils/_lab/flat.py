# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat networks: guests on a bridge that a host makes when it boots, with a port that leads to the underlay. Pure.

A plan marks a network as flat where its bridge is not the collection's. In a lab the switch of the underlay is the
wire that all flat networks share, and the internet is their gateway.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
INTERFACE_MAX = 15


@dataclass(frozen=True)
class Bridge:
    """A bridge of a host's own boot configuration.

    uplink: its port that leads to the switch, None if it has none. port: the switch's end of the cable to that port,
    None where the uplink is the host's network card.
    """

    name: str
    mac: str
    uplink: str | None
    port: str | None


class Flat(NamedTuple):
    """A flat network of a plan. gateway, gateway6: without prefix length; what has no family is None there."""

    name: str
    bridge: str
    uplink: str | None
    cidr: ipaddress.IPv4Network | None
    cidr6: ipaddress.IPv6Network | None
    gateway: str | None
    gateway6: str | None

    def holds(self, address: str | None) -> bool:
        """Whether an IPv4 address lies in the network."""
        return self.cidr is not None and address is not None and ipaddress.IPv4Address(address) in self.cidr

    def gateways(self) -> Iterator[str]:
        """Its gateways with prefix lengths."""
        if self.cidr and self.gateway:
            yield f"{self.gateway}/{self.cidr.prefixlen}"
        if self.cidr6 and self.gateway6:
            yield f"{self.gateway6}/{self.cidr6.prefixlen}"


def read(networks: Mapping[str, Any]) -> tuple[Flat, ...]:
    """The flat networks of a plan."""
    return tuple(
        Flat(
            name=name,
            bridge=network["bridge"],
            uplink=next(iter(network.get("uplinks") or ()), None),
            cidr=ipaddress.IPv4Network(network["cidr"]) if network.get("cidr") else None,
            cidr6=ipaddress.IPv6Network(network["cidr6"]) if network.get("cidr6") else None,
            gateway=network.get("gateway"),
            gateway6=network.get("gateway6"),
        )
        for name, network in networks.items()
        if network.get("flat")
    )


def of_hosts(
    flats: Sequence[Flat], hosts: Mapping[str, Any], instances: Mapping[str, Any]
) -> dict[str, tuple[Flat, ...]]:
    """Which host has which flat networks: those of its guests, and on a hypervisor the one that it is in itself."""
    used = {
        (instance.get("hypervisor"), interface.get("bridge"))
        for instance in instances.values()
        for interface in instance.get("interfaces") or ()
    }
    return {
        name: tuple(
            flat
            for flat in flats
            if (name, flat.bridge) in used
            or ("hypervisor" in (host.get("roles") or ()) and flat.holds(host.get("underlay")))
        )
        for name, host in hosts.items()
    }


def card(flats: Iterable[Flat]) -> str:
    """Name of the network card of hosts that have it for themselves: eth0 unless that is the name of an uplink."""
    uplinks = {flat.uplink for flat in flats}
    number = 0
    while f"eth{number}" in uplinks:
        number += 1
    return f"eth{number}"


def errors(flats: Sequence[Flat], placed: Mapping[str, Sequence[Flat]]) -> Iterator[str]:
    """What cannot be made, as paths into the plan. placed: what `of_hosts` found."""
    own = card(flats)
    for flat in flats:
        for key, name in (("bridge", flat.bridge), ("uplinks[0]", flat.uplink)):
            path = f"plan.networks.{flat.name}.{key}"
            if name is None:
                continue
            if not INTERFACE.fullmatch(name) or len(name) > INTERFACE_MAX:
                yield f"{path}: {name!r} is no interface name of at most {INTERFACE_MAX} characters"
            elif name in ("lo", own):
                yield f"{path}: {name} is the name of an interface that a host has already"
    for host, its in placed.items():
        seen: dict[str, str] = {}
        for flat in its:
            for name in (flat.bridge, flat.uplink):
                if name is not None and name in seen:
                    yield f"plan.networks.{flat.name}: {name} is also an interface of {seen[name]} on {host}"
                elif name is not None:
                    seen[name] = f"plan.networks.{flat.name}"
