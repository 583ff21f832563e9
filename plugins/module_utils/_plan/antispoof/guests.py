# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one guest interface adds to the guard's sets, with a placeholder for the name that its port has today.

The same elements serve the engine, for names that the plan knows, and the helper on the host, for names that appear
with a guest's start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_address,
    format_ipv4,
    format_ipv6,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE

# Not in the alphabet of interface names.
VIF = "@vif@"
ROUTER = "router"
DHCP_SERVER = "dhcp_server"
VRRP = "vrrp"
ROLES = (ROUTER, DHCP_SERVER, VRRP)

# Set and key; a map's elements have their data after ` : `, as nft prints them.
Element = tuple[str, str]


class Guest(NamedTuple):
    """One interface of one guest.

    mac: its own, lower case with colons. addresses: (family, integer) that it may use with that MAC, without
    link-local ones. pairs: (mac, family, address) that it may use besides, as the virtual MAC of a VRRP router.
    prefixes: whole networks that it may use with its own MAC, but for protected and local guests' addresses.
    roles: of ROLES. shared: MACs and (family, address) that machines behind an uplink may have as well.
    logged: whether its drops are logged.
    """

    mac: str
    addresses: tuple[tuple[int, int], ...] = ()
    pairs: tuple[tuple[str, int, int], ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    roles: frozenset[str] = frozenset()
    shared_macs: frozenset[str] = frozenset()
    shared: frozenset[tuple[int, int]] = frozenset()
    logged: bool = False

    @property
    def tuples(self) -> list[tuple[str, int, int]]:
        """All (mac, family, address) in a fixed order, with the link-local address of a guest that has IPv6."""
        found = {(self.mac, family, address) for family, address in self.addresses}
        found.update(self.pairs)
        if any(family == 6 for _mac, family, _address in found) or any(item.family == 6 for item in self.prefixes):
            found.add((self.mac, 6, link_local(self.mac)))
        return sorted(found)

    @property
    def macs(self) -> list[str]:
        return sorted({self.mac, *(mac for mac, _family, _address in self.pairs)})

    @property
    def families(self) -> list[int]:
        return sorted({item[1] for item in self.tuples} | {prefix.family for prefix in self.prefixes})


def link_local(mac: str) -> int:
    """The link-local address that a kernel derives from a MAC (RFC 4291, appendix A)."""
    raw = int(mac.replace(":", ""), 16) ^ 0x020000000000
    return 0xFE80 << 112 | (raw >> 24) << 40 | 0xFFFE << 24 | (raw & 0xFFFFFF)


def elements(guest: Guest) -> list[Element]:
    """Every element of a guest, its port's name being VIF, in a fixed order."""
    return list(_elements(guest))


def _elements(guest: Guest) -> Iterator[Element]:
    port = f'"{VIF}"'
    yield "map ports", f"{port} : goto from_vif"
    yield "map outs", f"{port} : goto to_vif"
    for mac in guest.macs:
        yield "set macs", f"{port} . {mac}"
        if mac not in guest.shared_macs:
            yield "set local_macs", mac
    families = guest.families
    for family in families:
        yield f"set has{family}", port
    for mac in guest.macs if 6 in families else ():
        yield "set nd_macs", f"{port} . {mac} . {_hex(mac)}"
    if 4 in families:
        yield "set dhcp_own", f"{port} . {guest.mac} . 0x0 . {_hex(guest.mac)}"
    addresses = set()
    for mac, family, address in guest.tuples:
        text = format_address(family, address)
        yield f"set own{family}", f"{port} . {mac} . {text}"
        if family == 4:
            yield "set arp_own", f"{port} . {mac} . {mac} . {text}"
            if mac == guest.mac:
                yield "set dhcp_own", f"{port} . {mac} . {address:#x} . {_hex(mac)}"
        else:
            yield "set nd_targets", f"{port} . {mac} . {address:#x}"
        if (family, address) not in guest.shared:
            addresses.add((family, address))
        if VRRP in guest.roles and mac == guest.mac:
            # Advertisements come from the interface's own address, also with the virtual MAC (RFC 9568, 7.2).
            for source in guest.macs:
                yield f"set vrrp{family}", f"{port} . {source} . {text}"
    if VRRP in guest.roles:
        for mac, family, address in guest.pairs:
            if mac != guest.mac:
                yield f"set vrrp{family}", f"{port} . {mac} . {format_address(family, address)}"
    for family, address in sorted(addresses):
        yield f"set local{family}", format_address(family, address)
        if family == 6:
            yield "set local_targets", f"{address:#x}"
    for prefix in guest.prefixes:
        # The kernel refuses intervals inside of others; of equal ones a mapping keeps one.
        if not any(other != prefix and other.overlaps(prefix) and other.size > prefix.size for other in guest.prefixes):
            yield from _prefix(port, guest.mac, prefix)
    if ROUTER in guest.roles:
        yield "set routers", port
    if DHCP_SERVER in guest.roles:
        yield "set dhcp_servers", port
    if guest.logged:
        yield "set logged", port


def _prefix(port: str, mac: str, prefix: Prefix) -> Iterator[Element]:
    if prefix.family == 4:
        # nft prints a single address without its length.
        text = prefix.text if prefix.length < 32 else format_ipv4(prefix.base)
        yield "set nets4", f"{port} . {mac} . {text}"
        yield "set arp_nets", f"{port} . {mac} . {mac} . {text}"
        return
    text = prefix.text if prefix.length < 128 else format_ipv6(prefix.base)
    yield "set nets6", f"{port} . {mac} . {text}"
    span = f"{prefix.first:#x}-{prefix.last:#x}" if prefix.length < 128 else f"{prefix.first:#x}"
    yield "set nd_nets", f"{port} . {mac} . {span}"


def _hex(mac: str) -> str:
    """A MAC as nft prints raw bytes: a number without leading zeroes."""
    return f"{int(mac.replace(':', ''), 16):#x}"


def bound(items: list[Element], vif: str) -> dict[str, str]:
    """Elements as a kernel state's keys and values, for the port that is called so."""
    state = {}
    for space, text in items:
        key, colon, data = text.replace(VIF, vif).partition(" : ")
        state[f"{TABLE} {space} {key}"] = data if colon else "element"
    return state


def port_flags(guest: Guest) -> str:
    """Settings of the guest's bridge port, as bridge(8) takes them.

    The rules see no LLDP frame, and with STP no BPDU: what these teach the bridge, its port must not learn. With more
    than one MAC the bridge has to learn, or to flood, where each is.
    """
    learn = "off" if guest.macs == [guest.mac] else "on"
    return f"learning {learn} flood {learn} guard on"


def template(guest: Guest) -> str:
    """The guest's file for the helper: `port` and the flags, then commands of nft, with VIF for the port's name."""
    by_set: dict[str, list[str]] = {}
    for space, text in elements(guest):
        by_set.setdefault(space.partition(" ")[2], []).append(text)
    lines = [f"# port {port_flags(guest)}"]
    lines += [f"add element {TABLE} {name} {{ {', '.join(texts)} }}" for name, texts in by_set.items()]
    return "\n".join(lines) + "\n"


def file_name(mac: str) -> str:
    """The name of a guest's file."""
    return mac.replace(":", "-")
