# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests are told of their network, by DHCP, router advertisement or a text of their own.

The limits are those of the protocols (RFC 791, 1035, 1123, 2131, 3397, 3442, 8200) and of dnsmasq.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_address,
    format_ipv6,
    parse_address,
    parse_ipv6,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

DHCPV6, SLAAC = "dhcpv6", "slaac"
IPV6_ADDRESSING = (DHCPV6, SLAAC)

KEYS = ("dhcp", "ipv6_addressing", "bridge_address6", "dns", "domain", "search", "mtu", "routes")
# They need somebody of ours on the bridge.
_SERVED = ("ipv6_addressing", "bridge_address6")
_ROUTE_KEYS = frozenset(("to", "via"))
_LEAST_MTU, _LEAST_MTU6, _LARGEST_MTU = 576, 1280, 65535
# What dnsmasq gives addresses of by DHCPv6, and what a bridge has two addresses in.
_LENGTHS6 = (64, 126)
_SLAAC_LENGTH = 64
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# A guest's name and a dot go before it, and a name has 253 characters.
_DOMAIN_LENGTH = 200
_DOMAIN_ALLOWED = (
    f"names of a-z 0-9 -, first and last a letter or digit, with dots, at most 63 characters each and {_DOMAIN_LENGTH} "
    "in all, the last not only digits"
)
DEFAULT_DOMAIN = "internal"
_MOST_SERVERS = 8
# A client that says nothing takes 312 octets of options; the rest is for those that every answer has.
_ROOM = 200


@dataclass(frozen=True)
class GuestSettings:
    """dhcp: whether role guest_network serves the network; then there is bridge_address6 where there is cidr6.

    ipv6_addressing: of IPV6_ADDRESSING. dns: addresses, in order. domain: that of the guests' names. search: domains,
    in order. mtu: octets, None for the link's own. routes: (to, via), both of one family.
    """

    dhcp: bool = False
    ipv6_addressing: str = DHCPV6
    bridge_address6: int | None = None
    dns: tuple[str, ...] = ()
    domain: str = DEFAULT_DOMAIN
    search: tuple[str, ...] = ()
    mtu: int | None = None
    routes: tuple[tuple[Prefix, int], ...] = ()

    @property
    def slaac(self) -> bool:
        return self.ipv6_addressing == SLAAC

    def servers(self, family: int) -> list[str]:
        """The DNS servers of one family."""
        return [server for server in self.dns if (":" in server) == (family == 6)]


class Place(Protocol):
    """What is needed of network.Place."""

    path: str
    name: str
    flat: bool
    cidr: dict[int, Prefix | None]
    low: int
    high: int
    low6: int
    high6: int
    reserved6: dict[int, str]

    def refusal(self, family: int, address: int) -> str: ...


def slaac_address(prefix: Prefix, mac: str) -> int:
    """The address that a host makes of a /64 and its MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, octets[3], octets[4], octets[5]))
    return prefix.base | int.from_bytes(identifier, "big")


def read_guest_settings(
    report: Report, place: Place, item: Mapping[str, Any], bridge_address: int | None
) -> GuestSettings:
    """Read the keys of a network; reserves bridge_address6. bridge_address: None where there is none."""
    return _Reader(report, place, item).read(bridge_address)


class _Reader:
    """Reads one network's keys; what depends on a refused one is not reported a second time."""

    def __init__(self, report: Report, place: Place, item: Mapping[str, Any]) -> None:
        self.report = report
        self.place = place
        self.item = item
        self.path = place.path

    def read(self, bridge_address: int | None) -> GuestSettings:
        before = len(self.report.errors)
        dhcp = self.dhcp()
        addressing = self.addressing(dhcp)
        bridge_address6 = self.bridge_address6(dhcp, addressing)
        domain = self.domain()
        search = self.each("search", self.name) if "search" in self.item else (domain,)
        if "dns" in self.item:
            dns = self.each("dns", self.server)
            if len(dns) > _MOST_SERVERS:
                self.refuse("dns", f"has {len(dns)} addresses; at most {_MOST_SERVERS} are allowed")
        else:
            dns = _bridge_addresses(bridge_address, bridge_address6) if dhcp else ()
        routes = self.routes(dhcp) if "routes" in self.item else ()
        found = GuestSettings(dhcp, addressing, bridge_address6, dns, domain, search, self.mtu(), routes)
        if dhcp and len(self.report.errors) == before:
            self.room(found)
        return found

    def refuse(self, key: str, message: str) -> None:
        self.report.add(f"{self.path}.{key}", message)

    def dhcp(self) -> bool:
        dhcp = fields.flag(self.report, self.path, self.item, "dhcp")
        if dhcp and self.place.flat:
            self.refuse("dhcp", "true cannot be combined with bridge: whoever made the bridge answers there")
        cidr6 = self.place.cidr[6]
        low, high = _LENGTHS6
        if dhcp and cidr6 is not None and not self.place.flat and not low <= cidr6.length <= high:
            self.refuse("cidr6", f"{cidr6.text} is not allowed with dhcp: prefix length {low} to {high}")
        return dhcp and not self.place.flat

    def addressing(self, dhcp: bool) -> str:
        word = fields.choice(self.report, self.path, self.item, "ipv6_addressing", IPV6_ADDRESSING)
        if not self.served("ipv6_addressing", dhcp):
            return DHCPV6
        cidr6 = self.place.cidr[6]
        if word == SLAAC and cidr6 is not None and cidr6.length != _SLAAC_LENGTH:
            self.refuse("ipv6_addressing", f"{SLAAC} needs a /{_SLAAC_LENGTH}: {self.path}.cidr6 is {cidr6.text}")
            return DHCPV6
        return word

    def bridge_address6(self, dhcp: bool, addressing: str) -> int | None:
        key = "bridge_address6"
        address = fields.address(self.report, self.path, self.item, key, parse_ipv6)
        cidr6 = self.place.cidr[6]
        if not self.served(key, dhcp) or not dhcp or cidr6 is None or (address is None and key in self.item):
            return None
        if address is None:
            address = cidr6.first + 2
            if address > cidr6.last:
                return None
        elif not self.place.low6 <= address <= self.place.high6:
            self.refuse(key, self.place.refusal(6, address).replace(f"{self.path}.", ""))
            return None
        elif addressing == SLAAC and address >> 24 & 0xFFFF == 0xFFFE:
            self.refuse(key, f"{format_ipv6(address)} may be a guest's: with {SLAAC} theirs have ff:fe in the middle")
            return None
        self.place.reserved6[address] = f"the {key} of {self.path}"
        return address

    def served(self, key: str, dhcp: bool) -> bool:
        """Whether a key that needs dhcp and cidr6 counts; where it does not, that is reported."""
        if key not in self.item:
            return True
        if self.place.flat:
            self.refuse(key, "cannot be combined with bridge")
        elif not dhcp:
            # Where dhcp itself is refused, it may be meant to be true.
            if isinstance(self.item.get("dhcp", False), bool):
                self.refuse(key, "needs dhcp: true")
        elif "cidr6" not in self.item:
            self.refuse(key, "needs cidr6")
        else:
            return True
        return False

    def domain(self) -> str:
        if "domain" in self.item:
            word = fields.text(self.report, self.path, self.item, "domain")
            return (word and self.name(f"{self.path}.domain", word)) or DEFAULT_DOMAIN
        # A network's name may begin and end, and be joined, with what no domain has.
        name = self.place.name.replace("_", "-").strip("-")
        return f"{name}.{DEFAULT_DOMAIN}" if name else DEFAULT_DOMAIN

    def name(self, path: str, value: Any) -> str | None:
        if not isinstance(value, str):
            self.report.add(path, f"{show(value)} is no domain")
            return None
        word = fields.plain(value)
        labels = word.split(".")
        if len(word) <= _DOMAIN_LENGTH and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit():
            return word
        self.report.add(path, f"{show(word)} is no domain: {_DOMAIN_ALLOWED}")
        return None

    def each(self, key: str, read: Callable[[str, Any], str | None]) -> tuple[str, ...]:
        return fields.each(self.report, f"{self.path}.{key}", self.item[key], read)

    def server(self, path: str, value: Any) -> str | None:
        if not isinstance(value, str):
            self.report.add(path, f"{show(value)} is not the address of a DNS server")
            return None
        word = fields.plain(value)
        family = 6 if ":" in word else 4
        try:
            parse_address(family, word)
        except ValueError as error:
            self.report.add(path, str(error))
            return None
        key = "cidr" if family == 4 else "cidr6"
        if key not in self.item:
            self.report.add(path, f"{word} is given, but {self.path} has no {key}")
            return None
        return word

    def mtu(self) -> int | None:
        if "mtu" not in self.item:
            return None
        value = self.item["mtu"]
        cidr6 = "cidr6" in self.item
        least = _LEAST_MTU6 if cidr6 else _LEAST_MTU
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST_MTU:
            return int(value)
        why = f" with cidr6 (without: {_LEAST_MTU})" if cidr6 else ""
        self.refuse("mtu", f"{show(value)} is not allowed: a number from {least}{why} to {_LARGEST_MTU}")
        return None

    def routes(self, dhcp: bool) -> tuple[tuple[Prefix, int], ...]:
        found: dict[Prefix, int] = {}
        places: dict[Prefix, int] = {}
        for index, value in enumerate(fields.sequence(self.report, f"{self.path}.routes", self.item["routes"])):
            path = f"{self.path}.routes[{index}]"
            item = fields.mapping(self.report, path, value, _ROUTE_KEYS, _ROUTE_KEYS)
            if item is None:
                continue
            route = self.route(path, item, dhcp)
            if route is None:
                continue
            if places.setdefault(route[0], index) != index:
                self.report.add(f"{path}.to", f"{route[0].text} is also that of routes[{places[route[0]]}]")
            found[route[0]] = route[1]
        return tuple(found.items())

    def route(self, path: str, item: Mapping[str, Any], dhcp: bool) -> tuple[Prefix, int] | None:
        word, hop = (fields.text(self.report, path, item, key) for key in ("to", "via"))
        family = 6 if ":" in (word or hop or "") else 4
        to = via = None
        if word is not None:
            try:
                to = parse_prefix(family, word)
            except ValueError as error:
                self.report.add(f"{path}.to", str(error))
        if to is not None and not to.length:
            self.report.add(f"{path}.to", f"{to.text} is not allowed: the default route is the gateway's")
            to = None
        if hop is not None:
            try:
                via = parse_address(family, hop)
            except ValueError as error:
                self.report.add(f"{path}.via", str(error))
        if via is not None and not self.inside(family, via):
            self.report.add(f"{path}.via", self.place.refusal(family, via).replace(f"{self.path}.", ""))
            via = None
        if to is None or via is None:
            return None
        if family == 6 and dhcp:
            self.report.add(
                path,
                f"{to.text} is not allowed with dhcp: true: neither DHCPv6 nor dnsmasq's advertisements have routes",
            )
            return None
        return to, via

    def inside(self, family: int, address: int) -> bool:
        if family == 4:
            return self.place.low <= address <= self.place.high
        return self.place.low6 <= address <= self.place.high6

    def room(self, found: GuestSettings) -> None:
        """Report what no answer has room for: dnsmasq would leave it out."""
        if "cidr" not in self.item:
            return
        routes = [to for to, via in found.routes if to.family == 4]
        # The default route is one of them.
        octets = sum(5 + (to.length + 7) // 8 for to in routes) + 5 if routes else 0
        octets += 4 * len(found.servers(4)) + len(found.domain) + sum(len(name) + 2 for name in found.search)
        if octets > _ROOM:
            self.refuse(
                "dhcp",
                f"true is not allowed: dns, domain, search and routes take {octets} octets of an answer, which has "
                f"room for {_ROOM}",
            )


def _bridge_addresses(address: int | None, address6: int | None) -> tuple[str, ...]:
    found = ((4, address), (6, address6))
    return tuple(format_address(family, value) for family, value in found if value is not None)
