# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of what a user may write, read and checked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.clashes import (
    check_bridges,
    check_overlaps,
    check_space,
    check_underlay,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors, Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import SECTION as EXPECTATIONS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import Expectation, read_expectations
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_check import check_guests
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Host, read_hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, read_instances
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import VARIABLE as FILE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import Source
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network, read_networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.peering import SECTION as PEERINGS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.peering import Peering, read_peerings
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import (
    ADDRESSES,
    FORWARDS,
    POOLS,
    NatPool,
    PortForward,
    PublicAddress,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public_read import read_public
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import (
    LISTS,
    PrefixList,
    SecurityGroup,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import SECTION as GROUPS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group_read import read_groups, read_names
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import SECTION as CONNECTIONS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_read import read_connections

# In the order in which their mistakes are told.
SECTIONS = (
    "vpc_networks",
    "vpc_instances",
    LISTS,
    GROUPS,
    PEERINGS,
    ADDRESSES,
    FORWARDS,
    POOLS,
    CONNECTIONS,
    EXPECTATIONS,
)
_KEYS = (*SECTIONS, "hosts")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Model:
    """A model without a mistake. Mappings are in the order of their names, but hosts in the inventory's.

    public, forwards: of public.py, in order of address. expectations: in the order of the input.
    """

    networks: dict[str, Network]
    instances: dict[str, Instance]
    hosts: dict[str, Host]
    connections: dict[str, Connection] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    prefix_lists: dict[str, PrefixList] = field(default_factory=dict)
    peerings: dict[str, Peering] = field(default_factory=dict)
    public: tuple[PublicAddress, ...] = ()
    forwards: tuple[PortForward, ...] = ()
    pools: dict[str, NatPool] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()


def parse(raw: Mapping[str, Any]) -> Model:
    """Read the variables of a run; an absent one is empty. Raises ModelErrors with every mistake that was found.

    Guests of a file stand at the end of vpc_instances; vpc_instances_file is then what Source takes.
    """
    source = Source(raw.get(FILE))
    reports = {section: Report() for section in (*_KEYS, "groups", "")}
    for key in raw:
        if key not in _KEYS and key != FILE:
            reports[""].add(str(key), f"unknown variable{reports[''].hint(str(key), _KEYS)}")
    hosts = read_hosts(reports["hosts"], raw.get("hosts", {}))
    names, lists = read_names(reports[LISTS], reports[GROUPS], raw.get(LISTS, []), raw.get(GROUPS, []))
    groups = read_groups(reports[GROUPS], raw.get(GROUPS, []), names)
    networks = read_networks(reports["vpc_networks"], raw.get("vpc_networks", []), names)
    check_bridges(reports["vpc_networks"], networks)
    check_overlaps(reports["vpc_networks"], networks)
    check_underlay(reports["vpc_networks"], networks, hosts.underlay)
    reports["vpc_instances"].errors += source.mistakes
    instances = read_instances(reports["vpc_instances"], raw.get("vpc_instances", []), hosts, networks, names, source)
    check_guests(reports["vpc_instances"], instances, networks.places)
    check_space(reports["vpc_networks"], networks)
    connections = read_connections(reports[CONNECTIONS], raw.get(CONNECTIONS, []), hosts, networks)
    peerings = read_peerings(reports[PEERINGS], raw.get(PEERINGS, []), networks)
    public = read_public(reports, raw, hosts, networks, instances, connections)
    expectations = read_expectations(
        reports[EXPECTATIONS], raw.get(EXPECTATIONS, []), hosts, networks, instances, public.reachable
    )
    if networks.routed and hosts.hypervisors and not hosts.routers and hosts.complete:
        reports["groups"].add("groups.routers", "has no host; networks need at least one router")
    errors: list[ModelError] = []
    for section, report in reports.items():
        report.errors = [source.told(error) for error in report.errors]
        errors += report.errors if section == "hosts" else report.ordered(source.name)
    if errors:
        raise ModelErrors(errors)
    return Model(
        _named(networks.networks),
        _named(instances),
        hosts.hosts,
        _named(connections),
        _named(groups),
        _named(lists),
        _named(peerings),
        tuple(sorted(public.addresses, key=attrgetter("address"))),
        tuple(sorted(public.forwards, key=lambda item: (item.address or 0, item.protocol, item.ports))),
        _named(public.pools),
        tuple(expectations),
    )


def _named(items: Iterable[_Item]) -> dict[str, _Item]:
    found = sorted(items, key=attrgetter("name"))
    return dict(zip(map(attrgetter("name"), found), found))
