# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory says itself: nobody else is given it."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model


class Claims:
    """addresses: path of the key that says it, by family and address. macs: the same. shared: addresses that guests
    share, such as a virtual router's, by family. vifs: (hypervisor, name). bridges: names that are taken on every host.
    """

    def __init__(self, model: Model) -> None:
        self.addresses: dict[int, dict[int, str]] = {4: {}, 6: {}}
        self.macs: dict[str, str] = {}
        self.shared: dict[int, set[int]] = {4: set(), 6: set()}
        self.vifs: set[tuple[str, str]] = set()
        self.bridges: set[str] = set()
        self._hosts(model)
        self._networks(model)
        self._guests(model)

    def _hosts(self, model: Model) -> None:
        for host in model.hosts.values():
            self.addresses[4][parse_ipv4(host.underlay)] = f"{host.name}.vpc_underlay_address"
            if host.underlay6 is not None:
                self.addresses[6][parse_ipv6(host.underlay6)] = f"{host.name}.vpc_underlay_address6"
            self.vifs.update((host.name, port) for port in host.trusted_ports)

    def _networks(self, model: Model) -> None:
        for network in model.networks.values():
            for family, key, address in (
                (4, "gateway", network.gateway),
                (4, "bridge_address", network.bridge_address),
                (6, "gateway6", network.gateway6),
                (6, "bridge_address6", network.guests.bridge_address6),
            ):
                if address is not None:
                    self.addresses[family][address] = f"{network.path}.{key}"
            if network.bridge is not None:
                self.bridges.update((network.bridge, *network.uplinks))

    def _guests(self, model: Model) -> None:
        addresses, addresses6 = self.addresses[4], self.addresses[6]
        for instance in model.instances.values():
            for interface in instance.interfaces:
                if interface.address is not None:
                    addresses[interface.address] = f"{interface.path}.address"
                if interface.address6 is not None:
                    addresses6[interface.address6] = f"{interface.path}.address6"
                if interface.mac is not None:
                    self.macs[interface.mac] = f"{interface.path}.mac"
                if interface.vif is not None:
                    self.vifs.add((instance.hypervisor, interface.vif))
                for item in interface.allowed_addresses:
                    if item.size == 1:
                        self.shared[item.family].add(item.base)
                for pair in interface.allowed_pairs:
                    self.shared[pair.family].add(pair.address)

    def taken(self, family: int, others: Iterable[int | None]) -> set[int]:
        """Addresses that cannot be given: those of the inventory, and others."""
        found = {address for address in others if address is not None}
        found.update(self.addresses[family], self.shared[family])
        return found
