# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnsmasq of a hypervisor reads: dnsmasq(8), and option.c of 2.90.

The main file changes with the host's networks, and then dnsmasq starts anew; the others it reads again on SIGHUP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network.paths import (
    HOSTS,
    LEASES,
    NAMES,
    OPTIONS,
)

_HEAD = "# plainlinux.vpc: made by the role guest_network, do not edit\n"
# Of an IPv4 lease, and of what router advertisements say. A guest asks again after half of it.
LEASE = "12h"
# While it lasts dnsmasq gives the address to no other DUID or IAID, which another system on the same guest has.
LEASE6 = "1h"
# Seconds between advertisements, and how long a router counts: guests outlive a daemon that is away for a while.
_INTERVAL, _LIFETIME = 600, 9000
# Beyond what a hypervisor has of guests; dnsmasq's default is 1000.
_MOST_LEASES = 100_000
# One identity on all hypervisors, so that a guest that moved renews what another one gave. 32473: RFC 5612.
_DUID = f"32473,{b'plainlinux.vpc'.hex(':')}"
# What dnsmasq takes for a name, and not for an address, a lease time or a keyword; one that a guest can use (RFC 1123).
_HOSTNAME = re.compile(r"(?!(?:ignore|infinite)\Z)[a-z](?:[a-z0-9-]*[a-z0-9])?")


def tag(network: Network) -> str:
    """What dnsmasq knows a network by; some names without a prefix have a meaning of their own."""
    return f"net-{network.name}"


def domain_name(instance: str, network: Network) -> str:
    """A guest's full name."""
    return f"{instance}.{network.guests.domain}"


def main(networks: Sequence[Network]) -> str:
    """The main file. networks: those with dhcp whose bridge is on the host, in order of name."""
    domains = sorted({network.guests.domain for network in networks})
    lines = [
        "pid-file",
        "log-facility=-",
        "quiet-ra",
        "no-hosts",
        f"addn-hosts={NAMES}",
        # Each address by itself, also of bridges that come later; nothing on the loopback interface or any other.
        "bind-dynamic",
        "except-interface=lo",
        *(f"interface={identity.bridge_name(network.name)}" for network in networks),
        # Whatever is ours is asked of nobody else, so nobody else can answer it.
        "domain-needed",
        *(f"local=/{domain}/" for domain in domains),
        *(f"local=/{zone}/" for network in networks for zone in reverse_zones(network)),
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-ignore-names",
        f"dhcp-hostsfile={HOSTS}",
        f"dhcp-optsfile={OPTIONS}",
        f"dhcp-leasefile={LEASES}",
        f"dhcp-lease-max={_MOST_LEASES}",
        f"dhcp-duid={_DUID}",
        *(line for network in networks for line in _ranges(network)),
    ]
    return _text(lines)


def _ranges(network: Network) -> Iterable[str]:
    guests = network.guests
    if network.cidr is not None:
        first, last = format_ipv4(network.cidr.first), format_ipv4(network.cidr.last)
        mask = format_ipv4(~(network.cidr.size - 1) & 0xFFFFFFFF)
        yield f"dhcp-range=set:{tag(network)},{first},static,{mask},{last},{LEASE}"
    if network.cidr6 is not None:
        bridge = identity.bridge_name(network.name)
        mode, lease = ("ra-stateless", LEASE) if guests.slaac else ("static", LEASE6)
        # Off-link: everybody's way to anybody is the gateway, here and on other hypervisors.
        first = format_ipv6(network.cidr6.first)
        yield "enable-ra"
        yield f"dhcp-range=set:{tag(network)},{first},{mode},off-link,{network.cidr6.length},{lease}"
        yield f"ra-param={bridge},mtu:{guests.mtu or 'off'},{_INTERVAL},{_LIFETIME}"


def options(networks: Iterable[Network]) -> str:
    """DHCP options by network, also those of router advertisements. An empty one keeps dnsmasq from its own default."""
    return _text([f"tag:{tag(network)},{option}" for network in networks for option in _options(network)])


def _options(network: Network) -> Iterable[str]:
    guests = network.guests
    search = ",".join(("option:domain-search", *guests.search))
    if network.cidr is not None:
        gateway = format_ipv4(network.gateway or 0)
        yield f"option:router,{gateway}"
        yield ",".join(("option:dns-server", *guests.servers(4)))
        yield f"option:domain-name,{guests.domain}"
        if guests.search:
            yield search
        if guests.mtu is not None:
            yield f"option:mtu,{guests.mtu}"
        routes = [f"{to.text},{format_ipv4(via)}" for to, via in guests.routes if to.family == 4]
        if routes:
            # Who takes these ignores the router (RFC 3442).
            yield ",".join(("option:classless-static-route", f"0.0.0.0/0,{gateway}", *routes))
    if network.cidr6 is not None:
        yield ",".join(("option6:dns-server", *(f"[{server}]" for server in guests.servers(6))))
        if guests.search:
            yield search.replace("option:", "option6:")


def hosts(ports: Iterable[Port]) -> str:
    """Who is answered, and with which addresses: the interfaces on this host."""
    lines = []
    for port in ports:
        words = [port.mac, "id:*", *(text if family == 4 else f"[{text}]" for family, text in port.addresses)]
        if _HOSTNAME.fullmatch(port.instance):
            words.append(port.instance)
        lines.append(",".join(words))
    return _text(sorted(lines))


def names(ports: Iterable[Port], network: Network) -> str:
    """Lines for the addresses of all guests in a network."""
    found = sorted((family, port.instance, port.number, text) for port in ports for family, text in port.addresses)
    return "".join(f"{text} {domain_name(instance, network)}\n" for _family, instance, _number, text in found)


def names_file(parts: Iterable[str]) -> str:
    return _HEAD + "".join(parts)


def reverse_zones(network: Network) -> list[str]:
    """The zones that names of addresses are in: those of whole octets or digits."""
    zones: list[str] = []
    for prefix, step, end in ((network.cidr, 8, "in-addr.arpa"), (network.cidr6, 4, "ip6.arpa")):
        if prefix is not None:
            zones += [f"{name}.{end}" for name in _reverse(prefix, step)]
    return zones


def _reverse(prefix: Prefix, step: int) -> list[str]:
    bits = 32 if prefix.family == 4 else 128
    length = -(-prefix.length // step) * step
    found = []
    for number in range(1 << (length - prefix.length)):
        value = (prefix.base >> (bits - length)) + number
        parts = [value >> shift & ((1 << step) - 1) for shift in range(0, length, step)]
        found.append(".".join(str(part) if step == 8 else f"{part:x}" for part in parts))
    return found


def _text(lines: Iterable[str]) -> str:
    return _HEAD + "".join(f"{line}\n" for line in dict.fromkeys(lines))
