# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and MACs of every interface: what the inventory says, and what it leaves out."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    format_ipv4,
    format_ipv6,
    parse_ipv4,
    parse_ipv6,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity

# An IPv6 network is searched for a free address only in its first 2^32: that is enough, and keeps addresses short.
SEARCH6 = 1 << 32


class Port(NamedTuple):
    """One interface of one guest, complete. addresses: (family, text) of those that it has."""

    instance: str
    number: int
    hypervisor: str
    network: str
    address: int | None
    address6: int | None
    mac: str
    vif: str
    addresses: tuple[tuple[int, str], ...]


def usable(model: Model, network: Network) -> int:
    """How many IPv4 guests fit: all addresses but network, broadcast, gateway, and bridge's or hosts' addresses."""
    if network.cidr is None:
        return 0
    reserved = {network.gateway, network.bridge_address}
    if network.flat:
        hosts = (parse_ipv4(host.underlay) for host in model.hosts.values())
        reserved.update(address for address in hosts if network.cidr.contains(address))
    return network.cidr.size - 2 - len(reserved - {None})


def complete(model: Model) -> list[Port]:
    """Every interface of every guest in order of instance name, with address and MAC.

    A missing address is searched from a place that the guest's name decides, so that other guests do not move it.
    """
    taken: set[tuple[int, int]] = set()
    macs: set[str] = set()
    vifs: set[tuple[str, str]] = set()
    claimed: set[str] = set()
    for host in model.hosts.values():
        taken.add((4, parse_ipv4(host.underlay)))
        if host.underlay6 is not None:
            taken.add((6, parse_ipv6(host.underlay6)))
        vifs.update((host.name, port) for port in host.trusted_ports)
    for network in model.networks.values():
        taken.update((4, value) for value in (network.gateway, network.bridge_address) if value is not None)
        if network.gateway6 is not None:
            taken.add((6, network.gateway6))
        if network.bridge is not None:
            claimed.update((network.bridge, *network.uplinks))
    for instance in model.instances.values():
        for interface in instance.interfaces:
            if interface.address is not None:
                taken.add((4, interface.address))
            if interface.address6 is not None:
                taken.add((6, interface.address6))
            if interface.mac is not None:
                macs.add(interface.mac)
            if interface.vif is not None:
                vifs.add((instance.hypervisor, interface.vif))
            # Addresses that guests share, such as a virtual router's, are nobody's to be given.
            taken.update((item.family, item.base) for item in interface.allowed_addresses if item.size == 1)
            taken.update((pair.family, pair.address) for pair in interface.allowed_pairs)
    ports: list[Port] = []
    for instance in model.instances.values():
        for index, interface in enumerate(instance.interfaces):
            network = model.networks[interface.network]
            address, address6 = interface.address, interface.address6
            if address is None and network.cidr is not None and 4 in interface.families:
                address = _free(taken, 4, network.cidr.first + 1, network.cidr.size - 2, instance, index)
            if address6 is None and network.cidr6 is not None and 6 in interface.families:
                size = min(network.cidr6.size - 1, SEARCH6)
                address6 = _free(taken, 6, network.cidr6.first + 1, size, instance, index)
            mac = interface.mac or _mac(macs, address, address6)
            vif = interface.vif or _vif(vifs, claimed, instance, index)
            texts = _texts(address, address6)
            ports.append(
                Port(instance.name, index, instance.hypervisor, network.name, address, address6, mac, vif, texts)
            )
    return ports


def _texts(address: int | None, address6: int | None) -> tuple[tuple[int, str], ...]:
    """Made once: the router, the hypervisor and the summary all want them."""
    found = ((4, format_ipv4(address)),) if address is not None else ()
    return (*found, (6, format_ipv6(address6))) if address6 is not None else found


def _mac(taken: set[str], address: int | None, address6: int | None) -> str:
    """A MAC that follows from the address; where somebody has that one, another that follows too.

    Nobody else on any host has it: a guest is known by its MAC.
    """
    mac = identity.mac_of_address(address) if address is not None else identity.mac_of_address6(address6 or 0)
    attempt = address if address is not None else address6 or 0
    while mac in taken:
        attempt += 1 << 128
        mac = identity.mac_of_address6(attempt)
    taken.add(mac)
    return mac


def _vif(taken: set[tuple[str, str]], claimed: set[str], instance: Instance, index: int) -> str:
    """A name that no other interface of the hypervisor has. claimed: names that are taken on every host."""
    vif = identity.vif_name(instance.name, index)
    attempt = 0
    while (instance.hypervisor, vif) in taken or vif in claimed:
        attempt += 1
        vif = identity.vif_name(f"{instance.name} {attempt}", index)
    taken.add((instance.hypervisor, vif))
    return vif


def _free(taken: set[tuple[int, int]], family: int, first: int, size: int, instance: Instance, index: int) -> int:
    """The first free address from the instance's preferred one on. The model has made sure that there is one."""
    start = identity.preferred_offset(instance.name, index, size)
    for step in range(size):
        address = first + (start + step) % size
        if (family, address) not in taken:
            taken.add((family, address))
            return address
    raise ValueError(f"no free address for {instance.name}")
