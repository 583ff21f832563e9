# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, MACs and names of interfaces that nobody has yet."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import MAC_SCHEMES, Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity

# An IPv6 network is searched for a free address only in its first 2^32: that is enough, and keeps addresses short.
SEARCH6 = 1 << 32
# A MAC that had to give way this often is taken for one that does not follow from its address.
_ATTEMPTS = 8
_RANDOM = MAC_SCHEMES[1]


def free_address(taken: set[int], prefix: Prefix, instance: str, index: int) -> int | None:
    """The first free address from the one on that the guest's name prefers, so that other guests do not move it."""
    # Not the network's and the broadcast address; not the subnet-router anycast address.
    size = prefix.size - 2 if prefix.family == 4 else min(prefix.size - 1, SEARCH6)
    first = prefix.first + 1
    start = identity.preferred_offset(instance, index, size)
    for step in range(size):
        address = first + (start + step) % size
        if address not in taken:
            taken.add(address)
            return address
    return None


def from_name(network: Network, address: int | None) -> bool:
    """Whether a MAC in the network follows from the guest's name.

    With SLAAC an IPv6 address follows from the MAC, and not the other way round.
    """
    return network.mac_scheme == _RANDOM or (address is None and network.guests.slaac)


def free_mac(
    taken: set[str], network: Network, address: int | None, address6: int | None, instance: str, index: int
) -> str:
    """The MAC that follows from the address, or the name; where somebody has that one, another that follows too.

    Nobody else on any host has it: a guest is known by its MAC.
    """
    attempt = 0
    mac = _mac(network, address, address6, instance, index, attempt)
    while mac in taken:
        attempt += 1
        mac = _mac(network, address, address6, instance, index, attempt)
    taken.add(mac)
    return mac


def _mac(network: Network, address: int | None, address6: int | None, instance: str, index: int, attempt: int) -> str:
    if from_name(network, address):
        return identity.mac_of_guest(instance, index, attempt)
    return _mac_of_address(address, address6, attempt)


def _mac_of_address(address: int | None, address6: int | None, attempt: int) -> str:
    if address is not None and not attempt:
        return identity.mac_of_address(address)
    return identity.mac_of_address6((address if address is not None else address6 or 0) + (attempt << 128))


def follows(network: Network, mac: str, address: int | None, address6: int | None) -> bool:
    """Whether a MAC is one that free_mac can have given; one that follows from a name is good for any address."""
    if from_name(network, address):
        return True
    return any(mac == _mac_of_address(address, address6, attempt) for attempt in range(_ATTEMPTS))


def free_vif(taken: set[tuple[str, str]], bridges: set[str], instance: Instance, index: int) -> str:
    """A name that no other interface of the hypervisor has. bridges: names that are taken on every host."""
    vif = identity.vif_name(instance.name, index)
    attempt = 0
    while (instance.hypervisor, vif) in taken or vif in bridges:
        attempt += 1
        vif = identity.vif_name(f"{instance.name} {attempt}", index)
    taken.add((instance.hypervisor, vif))
    return vif
