# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of what a user may write, read and checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.clashes import (
    check_bridges,
    check_overlaps,
    check_space,
    check_underlay,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors, Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Host, read_hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, read_instances
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network, read_networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import SECTION as CONNECTIONS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_read import read_connections

_UNSUPPORTED = ("vpc_security_groups", "vpc_peerings")
_SECTIONS = ("vpc_networks", "vpc_instances", *_UNSUPPORTED, CONNECTIONS, "hosts")


@dataclass(frozen=True)
class Model:
    """A model without a mistake. Everything is in the order of its names, but hosts in the inventory's."""

    networks: dict[str, Network]
    instances: dict[str, Instance]
    hosts: dict[str, Host]
    connections: dict[str, Connection] = field(default_factory=dict)


def parse(raw: Mapping[str, Any]) -> Model:
    """Read the variables of a run; an absent one is empty. Raises ModelErrors with every mistake that was found."""
    reports = {section: Report() for section in (*_SECTIONS, "groups", "")}
    for key in raw:
        if key not in _SECTIONS:
            reports[""].add(str(key), f"unknown variable{reports[''].hint(str(key), _SECTIONS)}")
    hosts = read_hosts(reports["hosts"], raw.get("hosts", {}))
    networks = read_networks(reports["vpc_networks"], raw.get("vpc_networks", []))
    check_bridges(reports["vpc_networks"], networks)
    check_overlaps(reports["vpc_networks"], networks)
    check_underlay(reports["vpc_networks"], networks, hosts.underlay)
    instances = read_instances(reports["vpc_instances"], raw.get("vpc_instances", []), hosts, networks)
    check_space(reports["vpc_networks"], networks)
    connections = read_connections(reports[CONNECTIONS], raw.get(CONNECTIONS, []), hosts, networks)
    for section in _UNSUPPORTED:
        if fields.sequence(reports[section], section, raw.get(section, [])):
            reports[section].add(section, "is not supported by this release: it must be empty")
    if networks.routed and hosts.hypervisors and not hosts.routers and hosts.complete:
        reports["groups"].add("groups.routers", "has no host; networks need at least one router")
    errors: list[ModelError] = []
    for section, report in reports.items():
        errors += report.errors if section == "hosts" else report.ordered()
    if errors:
        raise ModelErrors(errors)
    return Model(
        {network.name: network for network in sorted(networks.networks, key=attrgetter("name"))},
        {instance.name: instance for instance in sorted(instances, key=attrgetter("name"))},
        hosts.hosts,
        {connection.name: connection for connection in sorted(connections, key=attrgetter("name"))},
    )
