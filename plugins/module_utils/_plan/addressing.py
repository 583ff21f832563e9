# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interface of a guest with its addresses, and how many of them a network has."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network


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
