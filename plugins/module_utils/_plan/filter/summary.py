# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plan.json says of filters, peerings, public addresses and expectations; nothing where a user has none."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import Expectation
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.rules import many


def of_model(model: Model) -> dict[str, Any]:
    """Keys of the summary: only those of which the user wrote something."""
    found: dict[str, Any] = {
        "security_groups": {
            group.name: {
                "path": group.path,
                "stateful": group.stateful,
                "log": group.log,
                "ingress": many(group.ingress),
                "egress": many(group.egress),
            }
            for group in model.groups.values()
        },
        "prefix_lists": {
            item.name: {"path": item.path, "prefixes": [prefix.text for prefix in item.prefixes]}
            for item in model.prefix_lists.values()
        },
        "peerings": {
            item.name: {
                "path": item.path,
                "vpcs": list(item.vpcs),
                "networks": [sorted(networks) for networks in item.networks],
            }
            for item in model.peerings.values()
        },
        "public_addresses": {
            format_ipv4(item.address): {"path": item.path, "instance": item.instance, "number": item.number}
            for item in model.public
        },
        "port_forwards": {
            item.path: {
                "address": format_ipv4(item.address) if item.address is not None else None,
                "protocol": item.protocol,
                "ports": list(item.ports),
                "instance": item.instance,
                "number": item.number,
                "to_port": item.to_port,
                "helper": item.helper,
            }
            for item in model.forwards
        },
        "nat_pools": {
            item.name: {
                "path": item.path,
                "addresses": [format_ipv4(address) for address in item.addresses],
                "networks": list(item.networks),
            }
            for item in model.pools.values()
        },
        "expectations": {item.path: _expectation(item) for item in model.expectations},
    }
    return {key: value for key, value in found.items() if value}


def of_network(network: Network) -> dict[str, Any]:
    """Keys of a network: only those of which the user wrote something."""
    found: dict[str, Any] = {}
    if network.acl is not None:
        found["acl"] = {
            "path": network.acl.path,
            "ingress": many(network.acl.ingress),
            "egress": many(network.acl.egress),
        }
    if network.nat_helpers:
        found["nat_helpers"] = list(network.nat_helpers)
    return found


def _expectation(item: Expectation) -> dict[str, Any]:
    return {
        "from": _word(item.source),
        "to": _word(item.target),
        "protocol": item.protocol,
        "port": item.port,
        "family": item.family,
        "accept": item.accept,
    }


def _word(end: str | Prefix) -> str:
    return end.text if isinstance(end, Prefix) else end
