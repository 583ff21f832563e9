# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of an inventory plays whom: the plan's guests on one bridge of one hypervisor. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.plainlinux.vpc.tests.attacks.policy import DHCP_SERVER, ROUTER, VRRP, Pair, Vif
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, ISOLATED, ROUTED, free

_EVERYTHING = {ROUTER, DHCP_SERVER, VRRP}
_STRANGERS_MAC = "00:16:3e:00:00:{:02x}"


class NoCastError(Exception):
    """The inventory has too few guests for a play."""


@dataclass(frozen=True)
class Cast:
    """The play of one bridge. names: the instances of a, b, c and r, as many of these as there are.

    devices: of guests, in their namespaces. network: of plan.json, with name. remote4: "" for none. others: addresses
    that are taken by nobody of the cast.
    """

    hypervisor: str
    network: Mapping[str, Any]
    kind: str
    vifs: tuple[Vif, ...]
    names: Mapping[str, str]
    devices: Mapping[str, str]
    remote4: str
    stranger: Vif
    others: frozenset[str]

    @property
    def title(self) -> str:
        """Who plays whom, for people."""
        roles = ", ".join(f"{letter} {name}" for letter, name in sorted(self.names.items()))
        return f"network {self.network['name']} on {self.hypervisor}: {roles}"


@dataclass(frozen=True)
class _Player:
    name: str
    device: str
    vif: Vif

    @property
    def plain(self) -> bool:
        return not self.vif.pairs and not self.vif.roles


def choose(plan: Mapping[str, Any], hypervisor: str | None = None, network: str | None = None) -> Cast:
    """The bridge with the largest cast, of those asked for. NoCastError if none has an attacker and a victim."""
    casts = []
    for name in plan["hosts"]:
        for one in plan["networks"]:
            if hypervisor in (None, name) and network in (None, one) and (cast := _cast(plan, name, one)):
                casts.append(cast)
    if not casts:
        raise NoCastError("no network has two guests with the same families and without roles on one hypervisor")
    return max(casts, key=lambda cast: len(cast.names))


def _cast(plan: Mapping[str, Any], hypervisor: str, network: str) -> Cast | None:
    facts = {"name": network, **plan["networks"][network]}
    here = [player for host, player in _players(plan, network) if host == hypervisor]
    families = (facts.get("cidr"), facts.get("cidr6"))
    complete = [
        player for player in here if all(bool(cidr) == bool(own) for cidr, own in zip(families, _own(player.vif)))
    ]
    plain = [player for player in complete if player.plain]
    if len(plain) < 2:
        return None
    b = max(reversed(plain), key=lambda player: len(player.vif.addresses4) + len(player.vif.addresses6))
    found = {"a": next(player for player in plain if player is not b), "b": b}
    for player in here:
        if player.plain and facts.get("cidr6") and player.vif.addresses4 and not player.vif.addresses6:
            found.setdefault("c", player)
        if player in complete and player.vif.roles >= _EVERYTHING:
            found.setdefault("r", player)
    vifs = tuple(_as(letter, player.vif) for letter, player in sorted(found.items()))
    names = {letter: player.name for letter, player in found.items()}
    elsewhere = [player.vif for host, player in _players(plan, network) if host != hypervisor]
    taken = set(_addresses(plan, network))
    return Cast(
        hypervisor,
        facts,
        _kind(facts),
        vifs,
        names,
        {letter: player.device for letter, player in found.items()},
        next((vif.addresses4[0] for vif in elsewhere if vif.addresses4), ""),
        _stranger(plan, hypervisor, facts, taken),
        frozenset(taken),
    )


def _kind(network: Mapping[str, Any]) -> str:
    if network.get("flat"):
        return FLAT
    return ISOLATED if network["local_switching"] == "isolated" else ROUTED


def _players(plan: Mapping[str, Any], network: str) -> Iterator[tuple[str, _Player]]:
    """(hypervisor, player) of all interfaces in a network."""
    for name, instance in plan["instances"].items():
        for number, interface in enumerate(instance["interfaces"]):
            if interface["network"] == network:
                yield instance["hypervisor"], _Player(name, f"eth{number}", _vif(interface))


def _vif(interface: Mapping[str, Any]) -> Vif:
    main = [str(interface[key]).partition("/")[0] for key in ("address", "address6") if interface.get(key)]
    more = [ipaddress.ip_network(text) for text in interface.get("allowed_addresses") or ()]
    own = [*main, *(str(item.network_address) for item in more if item.num_addresses == 1)]
    return Vif(
        interface["vif"],
        "",
        interface["mac"],
        tuple(address for address in own if ":" not in address),
        tuple(address for address in own if ":" in address),
        tuple(Pair(pair["mac"], pair["address"]) for pair in interface.get("allowed_pairs") or ()),
        frozenset(interface.get("roles") or ()),
    )


def _own(vif: Vif) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return vif.addresses4, vif.addresses6


def _as(letter: str, vif: Vif) -> Vif:
    return Vif(vif.name, letter, vif.mac, vif.addresses4, vif.addresses6, vif.pairs, vif.roles)


def _addresses(plan: Mapping[str, Any], network: str) -> Iterator[str]:
    """All addresses of a network that are somebody's."""
    for _host, player in _players(plan, network):
        yield from (*player.vif.addresses4, *player.vif.addresses6, *(pair.address for pair in player.vif.pairs))
    facts = plan["networks"][network]
    yield from (facts[key] for key in ("gateway", "gateway6", "bridge_address") if facts.get(key))
    for host in plan["hosts"].values():
        yield from (host[key] for key in ("underlay", "underlay6") if host.get(key))


def _stranger(plan: Mapping[str, Any], hypervisor: str, network: Mapping[str, Any], taken: set[str]) -> Vif:
    """Guest d, whom nobody declared. Its port has the name that Xen would give it."""
    interfaces = [(host["hypervisor"], item) for host in plan["instances"].values() for item in host["interfaces"]]
    macs = {item["mac"] for _host, item in interfaces}
    ports = {item["vif"] for host, item in interfaces if host == hypervisor}
    address4, address6 = (free(network.get(key) or "", taken, 1) for key in ("cidr", "cidr6"))
    return Vif(
        next(name for number in range(9, 99) if (name := f"vif{number}.0") not in ports),
        "d",
        next(mac for number in range(9, 99) if (mac := _STRANGERS_MAC.format(number)) not in macs),
        tuple(filter(None, address4)),
        tuple(filter(None, address6)),
    )
