# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN connections: what a user may write in vpc_vpn_connections, each by itself. vpn_check.py compares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import (
    AMAZON_ASN,
    CUSTOMER_ASN,
    HOLD_TIME,
    MODES,
    SECTION,
    Bgp,
    Connection,
    Tunnel,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_check import check_connections, check_remote
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_fields import number, prefixes
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_tunnel import read_tunnel

_BGP_KEYS = ("customer_asn", "amazon_asn", "hold_time", "accept")
_KEYS = frozenset(
    ("name", "gateway", "vpc", "announce", "static_routes", "mode", "internet", "tunnels", *_BGP_KEYS),
)
_REQUIRED = frozenset(("name", "gateway", "tunnels"))
# A tunnel's interface is <name>-<number>, and br- begins the name of a bridge.
_NAME = re.compile(r"(?!br(?:-|$))[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?")
_NAME_ALLOWED = "1 to 10 of a-z 0-9 -, first and last a letter or digit, not br and not starting with br-"
# What a virtual private gateway takes; with one more it drops the session.
_ANNOUNCED = 100
_MOST_TUNNELS = 2
# AS_TRANS and the last numbers of both sizes belong to nobody.
_NO_ASN = frozenset((23456, 65535))
_MOST_ASN = 4294967294
_AMAZON_RANGES = ((64512, 65534), (4200000000, _MOST_ASN))
# Virtual private gateways of before 2018, by region.
_AMAZON_OLD = (7224, 9059, 10124, 17493)
_AMAZON_ALLOWED = "64512 to 65534, 4200000000 to 4294967294, or of an old gateway " + ", ".join(map(str, _AMAZON_OLD))


def read_connections(report: Report, raw: Any, hosts: Hosts, networks: Networks) -> list[Connection]:
    """Read the list `vpc_vpn_connections`; the result is in its order, and of use only where nothing was reported.

    A key may be in `psk` or not, as hide_psks() leaves it: none is in the result.
    """
    reader = _Reader(report, hosts, networks)
    for index, value in enumerate(fields.sequence(report, SECTION, raw)):
        reader.connection(f"{SECTION}[{index}]", value)
    check_connections(report, reader.connections, hosts, networks)
    return reader.connections


def read_name(report: Report, path: str, item: Mapping[str, Any]) -> str | None:
    """The name of a connection; None where it is absent or refused."""
    name = fields.text(report, path, item, "name")
    if name is not None and not _NAME.fullmatch(name):
        report.add(f"{path}.name", f"{show(name)} is not allowed: {_NAME_ALLOWED}")
        return None
    return name


def read_bgp(report: Report, path: str, item: Mapping[str, Any]) -> Bgp | None:
    """The numbers of a connection with BGP; None where one was refused."""
    before = len(report.errors)
    customer = number(report, path, item, "customer_asn", 1, _MOST_ASN, CUSTOMER_ASN)
    if customer in _NO_ASN:
        report.add(f"{path}.customer_asn", f"{customer} is reserved")
    amazon = number(report, path, item, "amazon_asn", 1, _MOST_ASN, AMAZON_ASN)
    if amazon not in _AMAZON_OLD and not any(low <= amazon <= high for low, high in _AMAZON_RANGES):
        report.add(f"{path}.amazon_asn", f"{amazon} is not allowed: {_AMAZON_ALLOWED}")
    if customer == amazon and len(report.errors) == before:
        key, other = ("customer_asn", "amazon_asn") if "customer_asn" in item else ("amazon_asn", "customer_asn")
        report.add(f"{path}.{key}", f"{customer} is the {other} as well{'' if other in item else ', by default'}")
    hold_time = number(report, path, item, "hold_time", 9, 180, HOLD_TIME)
    return Bgp(customer, amazon, hold_time) if len(report.errors) == before else None


def read_tunnels(report: Report, path: str, item: Mapping[str, Any], name: str, bgp: bool) -> list[Tunnel]:
    """The tunnels of a connection that have no mistake of their own."""
    values = item.get("tunnels")
    if not isinstance(values, (list, tuple)):
        if "tunnels" in item:
            report.add(f"{path}.tunnels", f"{kind(values)} is not allowed; a list is needed")
        return []
    if not 1 <= len(values) <= _MOST_TUNNELS:
        report.add(f"{path}.tunnels", f"has {len(values)} items; a connection has one or two tunnels")
    found = [
        read_tunnel(report, f"{path}.tunnels[{index}]", value, name, index + 1, bgp)
        for index, value in enumerate(values)
    ]
    return [tunnel for tunnel in found if tunnel is not None]


class _Reader:
    """Reads one connection after the other and remembers the names."""

    def __init__(self, report: Report, hosts: Hosts, networks: Networks) -> None:
        self.report = report
        self.hosts = hosts
        self.networks = networks
        self.connections: list[Connection] = []
        self.names: dict[str, str] = {}
        self.vpcs = {network.vpc for network in networks.networks}

    def connection(self, path: str, value: Any) -> None:
        report = self.report
        item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
        if item is None:
            return
        name = read_name(report, path, item)
        if name is not None and self.names.setdefault(name, path) is not path:
            report.add(f"{path}.name", f"{show(name)} is already the name of {self.names[name]}")
        gateway = self.gateway(path, item)
        vpc = fields.text(report, path, item, "vpc")
        static = prefixes(report, path, item, "static_routes")
        # A list that is refused is no reason to speak of BGP.
        dynamic = item.get("static_routes", ()) in ([], ())
        bgp = read_bgp(report, path, item) if dynamic else None
        accept = prefixes(report, path, item, "accept")
        if not dynamic:
            for key in _BGP_KEYS:
                if key in item:
                    report.add(f"{path}.{key}", "has no use with static_routes: there is no BGP")
        elif "accept" not in item:
            report.add(f"{path}.accept", "is missing: the networks that BGP may bring (or static_routes)")
        elif item["accept"] in ([], ()):
            report.add(f"{path}.accept", "is empty; at least one network is needed")
        announce = self.announce(path, item, vpc or "default")
        check_remote(report, accept if dynamic else static, announce, self.hosts, self.networks)
        mode = fields.choice(report, path, item, "mode", MODES)
        internet = fields.flag(report, path, item, "internet")
        tunnels = read_tunnels(report, path, item, name or "", dynamic)
        if mode == MODES[1] and isinstance(item.get("tunnels"), (list, tuple)) and len(item["tunnels"]) == 1:
            report.add(f"{path}.mode", f"{mode} needs two tunnels")
        self.connections.append(
            Connection(
                path,
                name or "",
                gateway or "",
                vpc or "default",
                bgp,
                _sorted(announce),
                _sorted(accept),
                _sorted(static),
                mode,
                internet,
                tuple(tunnels),
            )
        )

    def gateway(self, path: str, item: Mapping[str, Any]) -> str | None:
        name = fields.text(self.report, path, item, "gateway")
        if name is not None and name not in self.hosts.gateways and self.hosts.complete:
            where = "group vpn_gateways" if name in self.hosts.names else "the inventory's group vpn_gateways"
            hint = "" if name in self.hosts.names else self.report.hint(name, self.hosts.gateways)
            self.report.add(f"{path}.gateway", f"{show(name)} is not in {where}{hint}")
        return name

    def announce(self, path: str, item: Mapping[str, Any], vpc: str) -> list[tuple[Prefix, str]]:
        """The networks of our side; by default those of the VPC. Each with the path that it has in messages."""
        networks = self.networks
        # Of a refused network nothing is known.
        complete = networks.complete and len(networks.networks) == len(networks.places)
        mine = [network for network in networks.networks if network.vpc == vpc]
        if "vpc" in item and not mine and complete:
            self.report.add(f"{path}.vpc", f"{show(vpc)} is the vpc of no network{self.report.hint(vpc, self.vpcs)}")
        if "announce" in item:
            found = prefixes(self.report, path, item, "announce")
            if item["announce"] in ([], ()):
                self.report.add(f"{path}.announce", "is empty; leave it out to announce the networks of the vpc")
        else:
            # A flat network is others' to route.
            routed = [network for network in mine if not network.flat]
            found = [(network.cidr, f"{network.path}.cidr") for network in routed if network.cidr is not None]
            if not found and complete and (mine or "vpc" not in item):
                aside = "" if len(routed) == len(mine) else ", flat ones aside"
                self.report.add(f"{path}.announce", f"is missing: no network of the vpc {vpc} has a cidr{aside}")
        if len(found) > _ANNOUNCED:
            self.report.add(f"{path}.announce", f"has {len(found)} networks: AWS takes at most {_ANNOUNCED}")
        return found


def _sorted(found: list[tuple[Prefix, str]]) -> tuple[Prefix, ...]:
    return tuple(sorted(prefix for prefix, path in found))
