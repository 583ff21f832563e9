# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model to plan: what will be where, and the slice of each role on each host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    format_address,
    format_ipv4,
    format_ipv6,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Host
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import hypervisor, identity, router
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import usable
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.settle import Settled
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import hosts as antispoof
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.forms import unpack
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import summary as filter_summary
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups import hosts as security_groups
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network.files import GuestNetworks
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network.summary import guests_get
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout, State, bridge_of
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import (
    ANTISPOOF,
    GUEST_NETWORK,
    HYPERVISOR,
    SECURITY_GROUPS,
    VPN_GATEWAY,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import gateway
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import summary as vpn_summary

FORMAT = 1
SLICES: dict[str, Callable[[Layout, str], State]] = {
    "hypervisor": hypervisor.slice_of,
    "router": router.slice_of,
    VPN_GATEWAY.name: gateway.slice_of,
}


def whole(content: dict[str, Any]) -> dict[str, Any]:
    """A slice with the texts that it was written without, but not the common part."""
    return {**content, "ports": unpack(content["ports"])} if "ports" in content else content


def merge(content: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """A whole slice from a host's own part and the common one."""
    state = dict(content["state"])
    for name, objects in common["state"].items():
        state[name] = {**objects, **state.get(name, {})}
    return {**content, "common": False, "state": state}


class Plan:
    """The plan of one model. Everything is computed from the model only: the same model gives the same bytes."""

    def __init__(self, model: Model, plan_id: str, settled: Settled | None = None) -> None:
        """settled: what was allocated; without, it is allocated as if there were no lock file."""
        self.id = plan_id
        self.model = model
        self.layout = Layout.of(model, settled)

    def hosts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(host, what it gets) of every host, one at a time: a large fleet's slices need not be in memory together.

        slices: by role. One with "common" lacks what common() has: it is the same for all, and grows with hosts times
        networks. The guests of a guard are packed: whole() makes texts of them.
        files: file plans by role, of roles whose programs have files; see vpn/gateway.py and guest_network/.
        """
        guest_networks = GuestNetworks(self.layout)
        for host in self.model.hosts.values():
            files: dict[str, Any] = {}
            if HYPERVISOR.name in host.roles:
                files[GUEST_NETWORK] = {"format": FORMAT, "id": self.id, **guest_networks.files_of(host.name)}
            if VPN_GATEWAY.name in host.roles:
                files[VPN_GATEWAY.name] = {"format": FORMAT, "id": self.id, **gateway.files_of(self.model, host.name)}
            yield host.name, {"slices": {role: self._slice(host.name, role) for role in host.roles}, "files": files}

    def common(self) -> dict[str, Any]:
        return {"format": FORMAT, "id": self.id, "state": hypervisor.common(self.layout)}

    def slice(self, name: str, role: str) -> dict[str, Any]:
        """The whole slice of one role on one host."""
        content = whole(self._slice(name, role))
        return merge(content, self.common()) if content["common"] else content

    def _slice(self, name: str, role: str) -> dict[str, Any]:
        if role == ANTISPOOF.name:
            state, ports = antispoof.slice_of(self.layout, name)
            return {**self._frame(name, role), "state": state, "ports": ports}
        if role == SECURITY_GROUPS.name:
            return {**self._frame(name, role), **security_groups.slice_of(self.layout, name)}
        if role == "hypervisor" and self.layout.idle(name):
            return self._frame(name, role)
        if role == VPN_GATEWAY.name and name not in self.layout.gateways:
            return self._frame(name, role)
        host = self.model.hosts[name]
        return {
            **self._frame(name, role),
            "underlay": host.underlay,
            # An IPv6 underlay address is asked for only where something depends on it.
            "underlay6": host.underlay6 if self.layout.has_ipv6() else None,
            "tables": {
                str(self.layout.tables[network.name]): identity.table_name(network.name)
                for network in self.layout.bridges(name)
            }
            if role == "hypervisor"
            else {},
            "common": self._lacks_networks(name, role),
            "state": SLICES[role](self.layout, name),
        }

    def _lacks_networks(self, name: str, role: str) -> bool:
        """Whether common() is a part of the slice."""
        if role == VPN_GATEWAY.name:
            return gateway.lacks_networks(self.layout, name)
        return role == "hypervisor" and "router" not in self.model.hosts[name].roles

    def _frame(self, name: str, role: str) -> dict[str, Any]:
        """A slice of a role that has nothing to do on the host, nor with the underlay."""
        return {
            "format": FORMAT,
            "id": self.id,
            "host": name,
            "scope": role,
            "underlay": None,
            "underlay6": None,
            "tables": {},
            "common": False,
            "state": {},
        }

    def summary(self) -> dict[str, Any]:
        """What a person or another program wants to know, without the hosts' slices."""
        used: dict[str, int] = {}
        unused: dict[str, int] = {}
        instances: dict[str, dict[str, Any]] = {}
        shared = {network.name: _interface(network) for network in self.model.networks.values()}
        for port in self.layout.ports:
            used[port.network] = used.get(port.network, 0) + 1
            if port.address is None:
                unused[port.network] = unused.get(port.network, 0) + 1
            if port.instance not in instances:
                instances[port.instance] = {"hypervisor": port.hypervisor, "interfaces": []}
            template, length, length6 = shared[port.network]
            interface = {**template, "vif": port.vif, "mac": port.mac}
            for family, text in port.addresses:
                if family == 4:
                    interface["address"] = f"{text}/{length}"
                else:
                    interface["address6"] = f"{text}/{length6}"
            written = self.model.instances[port.instance].interfaces[port.number]
            interface.update(_permissions(written))
            if written.security_groups:
                interface["security_groups"] = list(written.security_groups)
            instances[port.instance]["interfaces"].append(interface)
        return {
            "format": FORMAT,
            "id": self.id,
            "hosts": {host.name: _host(host) for host in self.model.hosts.values()},
            "networks": {
                network.name: self._network(network, used.get(network.name, 0), unused.get(network.name, 0))
                for network in self.model.networks.values()
            },
            "instances": instances,
            "connections": vpn_summary.connections(self.model),
            **filter_summary.of_model(self.model),
        }

    def _network(self, network: Network, guests: int, without: int) -> dict[str, Any]:
        """without: how many of the guests have no IPv4 address."""
        return {
            "vpc": network.vpc,
            "cidr": network.cidr.text if network.cidr is not None else None,
            "cidr6": network.cidr6.text if network.cidr6 is not None else None,
            "gateway": format_ipv4(network.gateway) if network.gateway is not None else None,
            "gateway6": _gateway6(network),
            "flat": network.flat,
            "bridge": bridge_of(network),
            "uplinks": list(network.uplinks),
            "bridge_address": format_ipv4(network.bridge_address) if network.bridge_address is not None else None,
            "bridge_mac": self.layout.bridge_macs.get(network.name),
            "table": self.layout.tables.get(network.name),
            "nat": network.nat,
            "local_switching": network.local_switching if not network.flat else None,
            "log_drops": network.log_drops,
            "guests": guests,
            "guests_get": guests_get(network),
            "free": usable(self.model, network) - guests + without if network.cidr is not None else None,
            **filter_summary.of_network(network),
        }


def _host(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = {
        "roles": list(host.roles),
        "backend": host.backend,
        "underlay": host.underlay,
        "underlay6": host.underlay6,
    }
    if VPN_GATEWAY.name in host.roles:
        found["vpn"] = {"provider": host.vpn_provider, "ipsec_backend": host.ipsec_backend}
    return found


def _gateway6(network: Network) -> str | None:
    if network.flat:
        return format_ipv6(network.gateway6) if network.gateway6 is not None else None
    return identity.GATEWAY6 if network.cidr6 is not None else None


def _permissions(interface: Interface) -> dict[str, Any]:
    """What a guest may send besides its own; no keys for the many that may send nothing else."""
    found: dict[str, Any] = {}
    if interface.allowed_addresses:
        found["allowed_addresses"] = [prefix.text for prefix in interface.allowed_addresses]
    if interface.allowed_pairs:
        found["allowed_pairs"] = [
            {"mac": pair.mac, "address": format_address(pair.family, pair.address)} for pair in interface.allowed_pairs
        ]
    if interface.roles:
        found["roles"] = list(interface.roles)
    return found


def _interface(network: Network) -> tuple[dict[str, Any], int, int]:
    """What all interfaces in a network have in common, and the lengths of their prefixes.

    Where a network is ours, everybody's way to anybody is the gateway: no IPv6 address is on-link.
    """
    interface = {
        "network": network.name,
        "bridge": bridge_of(network),
        "vif": "",
        "mac": "",
        "address": None,
        "gateway": format_ipv4(network.gateway) if network.gateway is not None else None,
        "address6": None,
        "gateway6": _gateway6(network),
        "isolated": not network.flat and network.local_switching == "isolated",
    }
    length = network.cidr.length if network.cidr is not None else 0
    return interface, length, network.cidr6.length if network.flat and network.cidr6 is not None else 128
