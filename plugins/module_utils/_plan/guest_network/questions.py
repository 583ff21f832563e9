# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify asks the daemon of a hypervisor: on each bridge, in each family, for one guest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import texts


def of_network(network: Network, ports: Sequence[Port]) -> Iterator[dict[str, Any]]:
    """{server, name, family, addresses} of one network. ports: of all its guests, wherever they are."""
    servers = []
    if network.bridge_address is not None:
        servers.append((4, format_ipv4(network.bridge_address)))
    if network.guests.bridge_address6 is not None:
        servers.append((6, format_ipv6(network.guests.bridge_address6)))
    for family, server in servers:
        # Of the guest whose name comes first, but it may have several interfaces there.
        found = sorted((port.instance, text) for port in ports for of, text in port.addresses if of == family)
        if found:
            name = found[0][0]
            yield {
                "server": server,
                "name": texts.domain_name(name, network),
                "family": family,
                "addresses": [text for instance, text in found if instance == name],
            }
