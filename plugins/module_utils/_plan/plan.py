# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model to plan: what will be where, and the slice of each role on each host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import hypervisor, identity, router
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import usable
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout, State

FORMAT = 1
SLICES: dict[str, Callable[[Layout, str], State]] = {
    "hypervisor": hypervisor.slice_of,
    "router": router.slice_of,
}


def merge(content: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """A whole slice from a host's own part and the common one."""
    state = dict(content["state"])
    for name, objects in common["state"].items():
        state[name] = {**objects, **state.get(name, {})}
    return {**content, "common": False, "state": state}


class Plan:
    """The plan of one model. Everything is computed from the model only: the same model gives the same bytes."""

    def __init__(self, model: Model, plan_id: str) -> None:
        self.id = plan_id
        self.model = model
        self.layout = Layout.of(model)

    def slices(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(host, role, slice) of every host, one at a time: a large fleet's slices need not be in memory together.

        A slice with "common" lacks what common() has: it is the same for all, and grows with hosts times networks.
        """
        for host in self.model.hosts.values():
            for role in host.roles:
                yield host.name, role, self._slice(host.name, role)

    def common(self) -> dict[str, Any]:
        return {"format": FORMAT, "id": self.id, "state": hypervisor.common(self.layout)}

    def slice(self, name: str, role: str) -> dict[str, Any]:
        """The whole slice of one role on one host."""
        content = self._slice(name, role)
        return merge(content, self.common()) if content["common"] else content

    def _slice(self, name: str, role: str) -> dict[str, Any]:
        host = self.model.hosts[name]
        return {
            "format": FORMAT,
            "id": self.id,
            "host": name,
            "scope": role,
            "underlay": host.underlay,
            # An IPv6 underlay address is asked for only where something depends on it.
            "underlay6": host.underlay6 if self.layout.has_ipv6() else None,
            "tables": {
                str(self.layout.tables[network.name]): identity.table_name(network.name)
                for network in self.layout.bridges(name)
            }
            if role == "hypervisor"
            else {},
            "common": role == "hypervisor" and "router" not in host.roles,
            "state": SLICES[role](self.layout, name),
        }

    def summary(self) -> dict[str, Any]:
        """What a person or another program wants to know, without the hosts' slices."""
        used: dict[str, int] = {}
        instances: dict[str, dict[str, Any]] = {}
        shared = {network.name: _interface(network) for network in self.model.networks.values()}
        for port in self.layout.ports:
            used[port.network] = used.get(port.network, 0) + 1
            if port.instance not in instances:
                instances[port.instance] = {"hypervisor": port.hypervisor, "interfaces": []}
            template, length = shared[port.network]
            interface = {**template, "vif": port.vif, "mac": port.mac}
            for family, text in port.addresses:
                if family == 4:
                    interface["address"] = f"{text}/{length}"
                else:
                    interface["address6"] = f"{text}/128"
            instances[port.instance]["interfaces"].append(interface)
        return {
            "format": FORMAT,
            "id": self.id,
            "hosts": {
                host.name: {
                    "roles": list(host.roles),
                    "backend": host.backend,
                    "underlay": host.underlay,
                    "underlay6": host.underlay6,
                }
                for host in self.model.hosts.values()
            },
            "networks": {
                network.name: self._network(network, used.get(network.name, 0))
                for network in self.model.networks.values()
            },
            "instances": instances,
        }

    def _network(self, network: Network, guests: int) -> dict[str, Any]:
        return {
            "vpc": network.vpc,
            "cidr": network.cidr.text if network.cidr is not None else None,
            "cidr6": network.cidr6.text if network.cidr6 is not None else None,
            "gateway": format_ipv4(network.gateway) if network.gateway is not None else None,
            "bridge": identity.bridge_name(network.name),
            "bridge_address": format_ipv4(network.bridge_address) if network.bridge_address is not None else None,
            "bridge_mac": identity.bridge_mac(network.name),
            "table": self.layout.tables[network.name],
            "nat": network.nat,
            "local_switching": network.local_switching,
            "guests": guests,
            "free": usable(network) - guests if network.cidr is not None else None,
        }


def _interface(network: Network) -> tuple[dict[str, Any], int]:
    """What all interfaces in a network have in common, and the length of its IPv4 prefix."""
    return {
        "network": network.name,
        "bridge": identity.bridge_name(network.name),
        "vif": "",
        "mac": "",
        "address": None,
        "gateway": format_ipv4(network.gateway) if network.gateway is not None else None,
        "address6": None,
        "gateway6": identity.GATEWAY6 if network.cidr6 is not None else None,
        "isolated": network.local_switching == "isolated",
    }, network.cidr.length if network.cidr is not None else 0
