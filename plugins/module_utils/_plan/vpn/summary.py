# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN connections as people and other programs see them: no key of any tunnel, only where each is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway, TunnelPlan

# Which address of the other side's network a lab gives to the host that stands for that network.
_LAB_HOST = 10


def connections(model: Model) -> dict[str, dict[str, Any]]:
    """By name. lab_host: the address in a lab of a host of the other side; None where there is no place for one."""
    found = {}
    for name in sorted({connection.gateway for connection in model.connections.values()}):
        gateway = Gateway.of(model, name)
        for connection in gateway.connections:
            found[connection.name] = {
                "gateway": connection.gateway,
                "vpc": connection.vpc,
                "bgp": dataclasses.asdict(connection.bgp) if connection.bgp is not None else None,
                "announce": _texts(connection.announce),
                "accept": _texts(connection.accept),
                "static_routes": _texts(connection.static_routes),
                "remote": _texts(connection.remote),
                "mode": connection.mode,
                "internet": connection.internet,
                "lab_host": lab_host(connection.remote, gateway.internal),
                "tunnels": [_tunnel(plan) for plan in gateway.tunnels if plan.connection is connection],
            }
    return dict(sorted(found.items()))


def lab_host(remote: Iterable[Prefix], internal: Iterable[Prefix]) -> str | None:
    """An address in the first network of the other side that has one which is in none of ours."""
    ours = sorted(internal)
    for prefix in remote:
        if prefix.length in (0, 32):
            continue
        address = prefix.base + (_LAB_HOST if prefix.length <= 28 else 1 if prefix.length < 31 else 0)
        for other in ours:
            if other.contains(address):
                address = other.last + _LAB_HOST
        if prefix.contains(address):
            return format_ipv4(address)
    return None


def _texts(prefixes: Iterable[Prefix]) -> list[str]:
    return [prefix.text for prefix in prefixes]


def _tunnel(plan: TunnelPlan) -> dict[str, Any]:
    tunnel = plan.tunnel
    return {
        "path": tunnel.path,
        "name": tunnel.name,
        "number": tunnel.number,
        "outside_address": tunnel.outside_address,
        "local_address": tunnel.local_address,
        "peer_outside_address": tunnel.peer_outside_address,
        "inside_cidr": tunnel.inside_cidr.text if tunnel.inside_cidr is not None else None,
        "inside_address": tunnel.inside_address,
        "peer_inside_address": tunnel.peer_inside_address,
        "psk_variable": tunnel.psk_variable,
        "mtu": plan.mtu,
        "mss": plan.mss,
        "ike": _plain(tunnel.ike),
        "esp": _plain(tunnel.esp),
        "dpd": _plain(tunnel.dpd),
    }


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON has it."""
    return {key: list(item) if isinstance(item, tuple) else item for key, item in dataclasses.asdict(value).items()}
