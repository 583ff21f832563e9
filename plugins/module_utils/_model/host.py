# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: what the inventory says about hypervisors, routers and VPN gateways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields, ifname
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv4,
    format_ipv6,
    parse_ipv4,
    parse_ipv6,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    IPSEC_BACKENDS,
    KERNEL,
    PROVIDERS,
    RACOON,
    STRONGSWAN,
)

BACKENDS = ("nftables", "iptables")
# On hypervisors, in this order before their own role: guard and groups stand before there is a bridge.
ANTISPOOF, SECURITY_GROUPS = "antispoof", "security_groups"
# In this order in Host.roles.
VPN_GATEWAY = "vpn_gateway"
ROLES = {"hypervisors": "hypervisor", "routers": "router", "vpn_gateways": VPN_GATEWAY}

_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")
# Those that say something of a host.
VARIABLES = (
    "vpc_underlay_address",
    "vpc_underlay_address6",
    "vpc_backend",
    "vpc_antispoof",
    "vpc_antispoof_trusted_ports",
    "vpn_gateway_provider",
    "vpn_gateway_ipsec_backend",
)
_KEYS = frozenset(("groups", *VARIABLES))
_HOST_NAME = re.compile(r"^[^:]*[A-Za-z][^:]*$")
_LINK_LOCAL = 0xFE80 << 112


@dataclass(frozen=True)
class Host:
    """A machine with at least one role.

    roles: of "antispoof", "security_groups", "hypervisor", "router", "vpn_gateway", in this order. underlay,
    underlay6: canonical addresses on the network that the hosts share; underlay6 defaults to fe80:: with the IPv4
    address in its last 32 bits. backend: "nftables" or "iptables". trusted_ports: bridge ports that are nobody's
    guests, which the guard lets alone.
    vpn_provider, of PROVIDERS, and ipsec_backend, of IPSEC_BACKENDS: of use on a VPN gateway only.
    """

    name: str
    roles: tuple[str, ...]
    underlay: str
    underlay6: str | None
    backend: str
    trusted_ports: tuple[str, ...] = ()
    vpn_provider: str = STRONGSWAN
    ipsec_backend: str = KERNEL


@dataclass
class Hosts:
    """What is known of the hosts, also where some of them are refused.

    hosts: those without a mistake. names: every host of the inventory; idle: those without a role. hypervisors: names
    of that group's hosts.
    gateways: those of the group vpn_gateways; providers: what each of them runs.
    complete: False where a host's groups could not be read. underlay: (address, path) of each family.
    trusted: trusted ports of each hypervisor that has some. unguarded: hypervisors without the anti-spoofing guard.
    """

    hosts: dict[str, Host] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    hypervisors: dict[str, str] = field(default_factory=dict)
    gateways: set[str] = field(default_factory=set)
    providers: dict[str, str] = field(default_factory=dict)
    routers: int = 0
    complete: bool = True
    underlay: dict[int, list[tuple[int, str]]] = field(default_factory=lambda: {4: [], 6: []})
    trusted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unguarded: set[str] = field(default_factory=set)


def read_hosts(report: Report, raw: Any) -> Hosts:
    """Read `hosts`: inventory name -> groups and host variables. Hosts without a role are left out."""
    found = Hosts()
    if not isinstance(raw, Mapping):
        fields.mapping(report, "hosts", raw, _KEYS, frozenset())
        found.complete = False
        return found
    seen: dict[int, str] = {}
    chosen: list[tuple[Host, int, int | None]] = []
    for name, value in raw.items():
        before = len(report.errors)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            report.add(f"hosts.{show(name)}", "a host name is 1 to 63 of A-Z a-z 0-9 . _ -")
        name = fields.plain(name) if isinstance(name, str) else show(name)
        found.names.add(name)
        item = fields.mapping(report, name, value, _KEYS, frozenset(("groups",)))
        roles = None if item is None else _roles(report, name, item)
        if item is None or roles is None:
            found.complete = False
            continue
        if "vpn_gateways" in item["groups"]:
            found.gateways.add(name)
        if not roles:
            found.idle.add(name)
            continue
        if "hypervisor" in roles:
            found.hypervisors[name] = name
        found.routers += "router" in roles
        # An absent host variable arrives as null.
        item = {key: word for key, word in item.items() if word is not None}
        underlay = _underlay(report, name, item)
        explicit = fields.address(report, name, item, "vpc_underlay_address6", parse_ipv6)
        if explicit is not None and _refused(report, f"{name}.vpc_underlay_address6", Prefix(6, explicit, 128)):
            explicit = None
        backend = fields.choice(report, name, item, "vpc_backend", BACKENDS)
        roles, trusted = _antispoof(report, name, item, roles)
        if trusted:
            found.trusted[name] = trusted
        if name in found.hypervisors and ANTISPOOF not in roles:
            found.unguarded.add(name)
        provider, ipsec = _vpn(report, name, item)
        if name in found.gateways:
            found.providers[name] = provider
        if underlay is None:
            continue
        found.underlay[4].append((underlay, f"{name}.vpc_underlay_address"))
        if underlay in seen:
            report.add(f"{name}.vpc_underlay_address", f"{format_ipv4(underlay)} is already taken by {seen[underlay]}")
            continue
        seen[underlay] = f"{name}.vpc_underlay_address"
        if len(report.errors) == before:
            underlay6 = _LINK_LOCAL | underlay if explicit is None else explicit
            host = Host(name, roles, format_ipv4(underlay), format_ipv6(underlay6), backend, trusted, provider, ipsec)
            chosen.append((host, underlay6, explicit))
    _check_underlay6(report, found, chosen)
    found.hosts = {host.name: host for host, underlay6, explicit in chosen}
    return found


def _roles(report: Report, name: str, item: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The roles of a host by its groups; None where these cannot be read."""
    if "groups" not in item:
        return None
    groups = item["groups"]
    if not isinstance(groups, (list, tuple)):
        fields.sequence(report, f"{name}.groups", groups)
        return None
    return tuple(role for group, role in ROLES.items() if group in groups)


def _antispoof(
    report: Report, name: str, item: Mapping[str, Any], roles: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(roles, trusted ports). The variables may stand in a group with routers, whom they do not concern."""
    guarded = fields.flag(report, name, item, "vpc_antispoof", default=True)
    key = "vpc_antispoof_trusted_ports"
    trusted = ifname.read_names(report, f"{name}.{key}", item[key]) if key in item else ()
    if "hypervisor" not in roles:
        return roles, ()
    return (*((ANTISPOOF,) if guarded else ()), SECURITY_GROUPS, *roles), trusted


def _vpn(report: Report, name: str, item: Mapping[str, Any]) -> tuple[str, str]:
    """(provider, backend of IPsec). The variables may stand in a group with hosts that are no gateways."""
    provider = fields.choice(report, name, item, "vpn_gateway_provider", PROVIDERS)
    ipsec = fields.choice(report, name, item, "vpn_gateway_ipsec_backend", IPSEC_BACKENDS)
    if provider == RACOON and ipsec != KERNEL:
        report.add(f"{name}.vpn_gateway_ipsec_backend", f"{ipsec} is not possible with {RACOON}: {KERNEL}")
    return provider, ipsec


def _underlay(report: Report, name: str, item: Mapping[str, Any]) -> int | None:
    path = f"{name}.vpc_underlay_address"
    if "vpc_underlay_address" not in item:
        report.add(path, "is missing: the host's IPv4 address on the network that the hosts share")
        return None
    word = fields.text(report, name, item, "vpc_underlay_address")
    if word is None:
        return None
    try:
        address = parse_ipv4(word)
    except ValueError as error:
        if _HOST_NAME.search(word):
            report.add(
                path, f"{show(word)} is no IPv4 address: set vpc_underlay_address, whose default is ansible_host"
            )
        else:
            report.add(path, str(error))
        return None
    return None if _refused(report, path, Prefix(4, address, 32)) else address


def _refused(report: Report, path: str, prefix: Prefix) -> bool:
    """Report an address that no host can have."""
    meaning = special(prefix, link_local=True)
    if meaning:
        report.add(path, f"{prefix.text.partition('/')[0]} is in {meaning}: a unicast address is needed")
    return bool(meaning)


def _check_underlay6(report: Report, found: Hosts, chosen: list[tuple[Host, int, int | None]]) -> None:
    """Only a given address can clash: the defaults differ as the IPv4 addresses do."""
    given: dict[int, str] = {}
    derived = {underlay6: host.name for host, underlay6, explicit in chosen if explicit is None}
    for host, underlay6, explicit in chosen:
        if explicit is None:
            continue
        path = f"{host.name}.vpc_underlay_address6"
        if underlay6 in derived:
            report.add(path, f"{host.underlay6} is the default of {derived[underlay6]} (fe80:: and its IPv4 address)")
        elif underlay6 in given:
            report.add(path, f"{host.underlay6} is already taken by {given[underlay6]}")
        given.setdefault(underlay6, path)
        found.underlay[6].append((underlay6, path))
