# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's guests and policy of one hypervisor, from the inventory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout


def guests(layout: Layout, host: str, logged: Collection[str] = ()) -> dict[str, Guest]:
    """Guests of a hypervisor by the name of the port that the plan gives them. logged: networks whose drops are logged.

    What a guest elsewhere may use as well, such as a virtual router's address, is no proof of a spoofed sender.
    """
    elsewhere_macs: set[str] = set()
    elsewhere: set[tuple[int, int]] = set()
    for port in layout.ports:
        if port.hypervisor != host:
            for mac, family, address in _extra(port, _interface(layout, port)):
                elsewhere_macs.add(mac)
                elsewhere.add((family, address))
    return {
        port.vif: _guest(layout, port, elsewhere_macs, elsewhere, port.network in logged)
        for port in layout.by_hypervisor.get(host, [])
    }


def _interface(layout: Layout, port: Port) -> Interface:
    return layout.model.instances[port.instance].interfaces[port.number]


def _extra(port: Port, interface: Interface) -> list[tuple[str, int, int]]:
    """What an interface may use besides its own address: (mac, family, address)."""
    found = [(port.mac, item.family, item.base) for item in interface.allowed_addresses if item.size == 1]
    return [*found, *interface.allowed_pairs]


def _guest(
    layout: Layout, port: Port, elsewhere_macs: set[str], elsewhere: set[tuple[int, int]], logged: bool
) -> Guest:
    interface = _interface(layout, port)
    own = [(4, port.address), (6, port.address6)]
    pairs = tuple(_extra(port, interface))
    guest = Guest(
        port.mac,
        tuple((family, address) for family, address in own if address is not None),
        pairs,
        tuple(item for item in interface.allowed_addresses if item.size > 1),
        frozenset(interface.roles),
        logged=logged,
    )
    if not pairs:
        return guest
    return guest._replace(
        shared_macs=frozenset(mac for mac, _family, _address in pairs if mac in elsewhere_macs and mac != port.mac),
        shared=frozenset((family, address) for _mac, family, address in pairs if (family, address) in elsewhere),
    )


def policy(layout: Layout, host: str, base: Policy) -> Policy:
    """The host's policy with the gateways of its networks protected: no prefix of a guest covers them."""
    networks = layout.bridges(host)
    addresses = {address for network in networks for address in (network.gateway, network.bridge_address)}
    protected4 = {address for address in addresses if address is not None}
    protected6 = {parse_ipv6(identity.GATEWAY6)} if any(network.cidr6 is not None for network in networks) else set()
    return replace(
        base,
        protected4=tuple(sorted(protected4.union(base.protected4))),
        protected6=tuple(sorted(protected6.union(base.protected6))),
    )
