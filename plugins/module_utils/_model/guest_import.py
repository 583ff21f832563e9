# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of a hypervisor's own files as items of vpc_instances. What cannot become one is told, never dropped."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import ifname, instance, libvirt_domain, xen_config
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import check_mac
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.domain import Card, Domain

XEN, LIBVIRT, LIBVIRT_NETWORK = "xen", "libvirt", "libvirt_network"

_Address = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
_Entries = dict[str, list[dict[str, Any]]]
_NOT_HEX = re.compile("[^0-9a-f]")


class File(NamedTuple):
    """A file of a hypervisor. kind: XEN, LIBVIRT or LIBVIRT_NETWORK."""

    path: str
    kind: str
    text: str


class _Network(NamedTuple):
    name: str
    cidrs: Mapping[int, Union[ipaddress.IPv4Network, ipaddress.IPv6Network]]

    def families(self) -> list[str]:
        """The keys of the addresses that an interface may have."""
        return [key for family, key in ((4, "address"), (6, "address6")) if family in self.cidrs]


@dataclass
class Found:
    """instances: in order of name. left_out: what is not among them. notes: what is, but should be looked at.

    An entry of left_out and notes has file, guest (none where its name is unknown), interface (its number, none where
    the whole guest is meant) and reason.
    """

    instances: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)


def collect(files: Iterable[File], hypervisor: str, networks: Iterable[Any], default_bridge: str) -> Found:
    """The guests of one hypervisor.

    networks: as in vpc_networks; what cannot be read of them is left alone, since the planner tells it.
    default_bridge: of Xen's interfaces that name none.
    """
    files = sorted(files)
    found = Found()
    reader = _Importer(hypervisor, _by_bridge(networks), default_bridge, found)
    for file in files:
        if file.kind == LIBVIRT_NETWORK:
            reader.network(file)
    for file in files:
        if file.kind != LIBVIRT_NETWORK:
            reader.guest(file)
    found.instances.sort(key=lambda item: str(item["name"]))
    return found


def merge(results: Iterable[Mapping[str, Any]], inventory: Iterable[tuple[str, Any]]) -> _Entries:
    """What all hypervisors have, in their order, without what an inventory has.

    results: of collect(), as mappings. inventory: (path, item) of its guests. Gives instances, existing (with guest,
    hypervisor and reason), left_out and notes.
    """
    names: dict[str, str] = {}
    macs: dict[str, str] = {}
    for path, item in inventory:
        if isinstance(item, Mapping):
            names.setdefault(str(item.get("name")), path)
            for mac in _macs(item):
                macs.setdefault(mac, path)
    merged: _Entries = {"instances": [], "existing": [], "left_out": [], "notes": []}
    seen: dict[str, str] = {}
    for result in results:
        for key in ("left_out", "notes"):
            merged[key] += result[key]
        for item in result["instances"]:
            name, host = item["name"], item["hypervisor"]
            same = next((macs[mac] for mac in _macs(item) if mac in macs), "")
            reason = f"the name is that of {names[name]}" if name in names else f"the MAC address is that of {same}"
            if name in names or same:
                merged["existing"].append({"guest": name, "hypervisor": host, "reason": reason})
            elif name in seen:
                reason = f"is on {seen[name]} as well, and written for that one"
                merged["left_out"].append({"file": host, "guest": name, "interface": None, "reason": reason})
            else:
                seen[name] = host
                merged["instances"].append(item)
    return merged


def _macs(item: Mapping[str, Any]) -> list[str]:
    parts = item.get("interfaces", [item])
    return [part["mac"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("mac"), str)]


class _Importer:
    """Takes file after file."""

    def __init__(self, hypervisor: str, bridges: dict[str, _Network], default_bridge: str, found: Found) -> None:
        self.hypervisor = hypervisor
        self.bridges = bridges
        self.default_bridge = default_bridge
        self.found = found
        # Bridge of each of libvirt's networks.
        self.networks: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def network(self, file: File) -> None:
        try:
            name, bridge = libvirt_domain.read_network(file.text)
        except ValueError as error:
            self.leave_out(file, "", None, str(error))
        else:
            self.networks[name] = bridge

    def guest(self, file: File) -> None:
        domain = _READERS[file.kind](file.text)
        name = domain.name.lower()
        reason = domain.fault or instance.refusal(name)
        if not reason and not domain.cards:
            reason = "has no interface"
        if not reason and name in self.files:
            reason = f"is in {self.files[name]} already"
        if reason:
            self.leave_out(file, domain.name, None, reason)
            return
        cards = []
        for number, card in enumerate(domain.cards):
            item = self.interface(file, domain, number, card)
            if item is not None:
                cards.append(item)
        if not cards:
            return
        self.files[name] = file.path
        if name != domain.name:
            self.note(file, domain.name, None, f"is written as {name}")
        for text in domain.notes:
            self.note(file, domain.name, None, text)
        item = {"name": name, "hypervisor": self.hypervisor}
        self.found.instances.append({**item, **cards[0]} if len(cards) == 1 else {**item, "interfaces": cards})

    def interface(self, file: File, domain: Domain, number: int, card: Card) -> dict[str, Any] | None:
        network, reason = self.place(file, card)
        if network is None:
            self.leave_out(file, domain.name, number, reason)
            return None
        item: dict[str, Any] = {"network": network.name}
        mac = _mac(card.mac)
        if not card.mac:
            self.note(file, domain.name, number, "has no MAC address: the plan gives it one, which the guest must have")
        elif not mac:
            self.note(file, domain.name, number, f"{card.mac!r} is no MAC address, and left out")
        reason = ifname.refusal(card.vif) if card.vif else ""
        if reason:
            self.note(file, domain.name, number, f"name of the interface left out: {reason}")
        self.addresses(file, domain, number, card, network, item)
        if mac:
            item["mac"] = mac
        if card.vif and not reason:
            item["vif"] = card.vif
        return item

    def place(self, file: File, card: Card) -> tuple[_Network | None, str]:
        """The network that an interface is in, or why it is in none."""
        bridge = card.bridge
        if not bridge and card.network and self.networks.get(card.network):
            bridge = self.networks[card.network]
        if card.fault:
            return None, card.fault
        if bridge:
            network = self.bridges.get(bridge)
            return network, f"is on bridge {bridge}, which is of no network of vpc_networks"
        if card.network:
            return None, f"is in libvirt's network {card.network}, whose bridge is not known"
        if file.kind == XEN:
            network = self.bridges.get(self.default_bridge)
            return network, f"names no bridge, and {self.default_bridge} is of no network of vpc_networks"
        return None, "names no bridge"

    def addresses(
        self, file: File, domain: Domain, number: int, card: Card, network: _Network, item: dict[str, Any]
    ) -> None:
        """Give the interface its addresses: the first in the network's prefix is its own, it may send all others."""
        found: dict[int, list[_Address]] = {4: [], 6: []}
        for word in dict.fromkeys(card.addresses):
            try:
                if "%" in word:
                    raise ValueError
                address = ipaddress.ip_interface(word)
            except ValueError:
                self.note(file, domain.name, number, f"{word!r} is no address, and left out")
            else:
                found[address.version].append(address)
        others = []
        for family, key in ((4, "address"), (6, "address6")):
            single = [one for one in found[family] if _is_address(one) and not one.ip.is_link_local]
            cidr = network.cidrs.get(family)
            own = next((one for one in single if cidr is not None and one.ip in cidr), next(iter(single), None))
            if own is not None:
                item[key] = str(own.ip)
            others += [str(one.ip if _is_address(one) else one.network) for one in found[family] if one is not own]
        if "address" not in item and "address6" not in item:
            self.note(file, domain.name, number, "has no address: the plan gives it one, which the guest must have")
        else:  # what the files do not say it has, it has not
            item.update({key: instance.NONE for key in network.families() if key not in item})
        if others:
            item["allowed_addresses"] = list(dict.fromkeys(others))

    def leave_out(self, file: File, guest: str, number: int | None, reason: str) -> None:
        self.found.left_out.append(_entry(file, guest, number, reason))

    def note(self, file: File, guest: str, number: int | None, reason: str) -> None:
        self.found.notes.append(_entry(file, guest, number, reason))


_READERS = {XEN: xen_config.read_xen, LIBVIRT: libvirt_domain.read_domain}


def _by_bridge(networks: Iterable[Any]) -> dict[str, _Network]:
    found = {}
    for item in networks:
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(name, str):
            bridge = item.get("bridge", f"{ifname.OWN_BRIDGE}{name}")
            cidrs = {}
            for family, key in ((4, "cidr"), (6, "cidr6")):
                try:
                    cidrs[family] = ipaddress.ip_network(str(item[key]))
                except (KeyError, ValueError):
                    continue
            found[str(bridge)] = _Network(name, cidrs)
    return found


def _is_address(found: _Address) -> bool:
    """Whether one address is meant: where bits of a host are set, the length says how large its network is."""
    return found.network.num_addresses == 1 or found.ip != found.network.network_address


def _mac(text: str) -> str:
    """The MAC address in the one spelling, "" where it is none."""
    digits = _NOT_HEX.sub("", text.lower())
    mac = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    try:
        check_mac(mac)
    except ValueError:
        return ""
    return mac


def _entry(file: File, guest: str, number: int | None, reason: str) -> dict[str, Any]:
    return {"file": file.path, "guest": guest or None, "interface": number, "reason": reason}
