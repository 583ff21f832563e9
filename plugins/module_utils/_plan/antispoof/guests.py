# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one guest interface adds to the guard, with a placeholder for the name that its port has today.

The same text serves the engine, for names that the plan knows, and the helper on the host, for names that appear with
a guest's start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import (
    FRAME_SETS,
    IPTABLES,
    NFTABLES,
    TABLE,
)

# Not in the alphabet of interface names.
VIF = "@vif@"
ROUTER = "router"
DHCP_SERVER = "dhcp_server"
VRRP = "vrrp"
ROLES = (ROUTER, DHCP_SERVER, VRRP)

_IN = f"-m physdev --physdev-in {VIF}"
_OUT = f"-m physdev --physdev-out {VIF} --physdev-is-bridged"

# Set and key; a map's elements have their data after ` : `, as nft prints them.
Element = tuple[str, str]


class Guest(NamedTuple):
    """One interface of one guest.

    mac: its own, lower case with colons. addresses: (family, integer) that it may use with that MAC, without
    link-local ones. pairs: (mac, family, address) that it may use besides, as the virtual MAC of a VRRP router.
    prefixes: whole networks that it may use with its own MAC, but for protected and local guests' addresses.
    roles: of ROLES. shared: MACs and (family, address) that machines behind an uplink may have as well.
    logged: whether its drops are logged. open6: it may have the IPv6 address that its start names, if it has no other.
    """

    mac: str
    addresses: tuple[tuple[int, int], ...] = ()
    pairs: tuple[tuple[str, int, int], ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    roles: frozenset[str] = frozenset()
    shared_macs: frozenset[str] = frozenset()
    shared: frozenset[tuple[int, int]] = frozenset()
    logged: bool = False
    open6: bool = False

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


class _Address(NamedTuple):
    """number, words: as nft and iptables print what they compare octets with; words: of 32 bits, of IPv6 only."""

    family: int
    value: int
    text: str
    number: str
    words: tuple[str, ...] = ()


# The address that a start names; its value is nobody's.
_NAMED = _Address(6, -1, "@address@", "@number@", ("@word1@", "@word2@", "@word3@", "@word4@"))


class _Facts(NamedTuple):
    """A guest and all (MAC, address) that it may use, with the families of which it has any."""

    guest: Guest
    families: list[int]
    tuples: list[tuple[str, _Address]]


def _facts(guest: Guest) -> _Facts:
    return _Facts(guest, guest.families, [(mac, _address(family, value)) for mac, family, value in guest.tuples])


def _opened(guest: Guest) -> _Facts:
    """The guest with the address that its start named."""
    facts = _facts(guest)
    own = (guest.mac, _address(6, link_local(guest.mac)))
    return _Facts(guest, [*facts.families, 6], [*facts.tuples, (guest.mac, _NAMED), own])


def _address(family: int, value: int) -> _Address:
    if family == 4:
        return _Address(4, value, format_ipv4(value), f"{value:#x}")
    return _Address(6, value, format_ipv6(value), f"{value:#x}", iptables.words(value))


def elements(guest: Guest, backend: str = NFTABLES) -> list[Element]:
    """Every element of a guest, its port's name being VIF, in a fixed order."""
    return list(_elements(_facts(guest), backend))


def _elements(facts: _Facts, backend: str) -> Iterator[Element]:
    for space, text in _all_elements(facts):
        if backend != IPTABLES or space.split(" ")[1] in FRAME_SETS:
            yield space, text


def _all_elements(facts: _Facts) -> Iterator[Element]:
    guest, families, tuples = facts
    port = f'"{VIF}"'
    yield "map ports", f"{port} : goto from_vif"
    yield "map outs", f"{port} : goto to_vif"
    for mac in guest.macs:
        yield "set macs", f"{port} . {mac}"
        if mac not in guest.shared_macs:
            yield "set local_macs", mac
    for family in families:
        yield f"set has{family}", port
    for mac in guest.macs if 6 in families else ():
        yield "set nd_macs", f"{port} . {mac} . {_hex(mac)}"
    if 4 in families:
        yield "set dhcp_own", f"{port} . {guest.mac} . 0x0 . {_hex(guest.mac)}"
    for mac, address in tuples:
        family, _value, text, number, _words = address
        yield f"set own{family}", f"{port} . {mac} . {text}"
        if family == 4:
            yield "set arp_own", f"{port} . {mac} . {mac} . {text}"
            if mac == guest.mac:
                yield "set dhcp_own", f"{port} . {mac} . {number} . {_hex(mac)}"
        else:
            yield "set nd_targets", f"{port} . {mac} . {number}"
        if VRRP in guest.roles and mac == guest.mac:
            # Advertisements come from the interface's own address, also with the virtual MAC (RFC 9568, 7.2).
            for source in guest.macs:
                yield f"set vrrp{family}", f"{port} . {source} . {text}"
    if VRRP in guest.roles:
        for mac, family, value in guest.pairs:
            if mac != guest.mac:
                yield f"set vrrp{family}", f"{port} . {mac} . {_address(family, value).text}"
    for address in _addresses(facts):
        if (address.family, address.value) not in guest.shared:
            yield f"set local{address.family}", address.text
            if address.family == 6:
                yield "set local_targets", address.number
    for prefix in _outermost(guest.prefixes):
        yield from _prefix(port, guest.mac, prefix)
    if ROUTER in guest.roles:
        yield "set routers", port
    if DHCP_SERVER in guest.roles:
        yield "set dhcp_servers", port
    if guest.logged:
        yield "set logged", port


def _addresses(facts: _Facts) -> list[_Address]:
    """Each address once, whatever its MACs."""
    return sorted({address for _mac, address in facts.tuples})


def _outermost(prefixes: Sequence[Prefix]) -> list[Prefix]:
    """The kernel refuses intervals inside of others; of equal ones a mapping keeps one."""
    return [
        prefix
        for prefix in prefixes
        if not any(other != prefix and other.overlaps(prefix) and other.size > prefix.size for other in prefixes)
    ]


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


def template(guest: Guest, backend: str = NFTABLES) -> str:
    """The guest's file for the helper and the engine, with VIF for the port's name; _kernel/template.py has its form.

    Lines that count where a start names an address come first: then iptables' rules for it are before those that refuse
    the family.
    """
    facts = _facts(guest)
    own = [*_elements(facts, backend), *_rules(facts, backend)]
    named: list[Element] = []
    if guest.open6 and 6 not in facts.families:
        opened, known = _opened(guest), set(own)
        named = [item for item in (*_elements(opened, backend), *_rules(opened, backend)) if item not in known]
    lines = [f"# port {port_flags(guest)}", *(f"# ipv6 {line}" for line in _lines(named)), *_lines(own)]
    return "\n".join(lines) + "\n"


def _lines(items: list[Element]) -> Iterator[str]:
    by_set: dict[str, list[str]] = {}
    for space, text in items:
        by_set.setdefault(space, []).append(text)
    for space, texts in by_set.items():
        kind, _space, name = space.partition(" ")
        if kind in ("set", "map"):
            yield f"add element {TABLE} {name} {{ {', '.join(texts)} }}"
        else:
            yield from (f"# {space} {text}" for text in texts)


def _rules(facts: _Facts, backend: str) -> Iterator[Element]:
    """Rules of backend iptables: family and place as `4 FROM`, and the rule."""
    for family in (4, 6) if backend == IPTABLES else ():
        for place, rule in (*_packet_rules(facts, family), *(_discovery_rules(facts) if family == 6 else ())):
            yield f"{family} {place}", iptables.rule(place, rule)


def _packet_rules(facts: _Facts, family: int) -> Iterator[tuple[str, str]]:
    guest = facts.guest
    has = family in facts.families
    length = {4: 32, 6: 128}[family]
    addresses = [address for address in _addresses(facts) if address.family == family]
    for address in addresses:
        yield iptables.FROM, f"-s {address.text}/{length} {_IN} -g {iptables.P}own"
        yield iptables.TO, f"-d {address.text}/{length} {_OUT} -j RETURN"
        if VRRP in guest.roles:
            yield iptables.VRRP, f"-s {address.text}/{length} {_IN} -j RETURN"
    for prefix in guest.prefixes:
        if prefix.family == family:
            # iptables-save leaves out what matches all.
            yield iptables.FROM, f"{f'-s {prefix.text} ' if prefix.length else ''}{_IN} -g {iptables.P}net"
            yield iptables.TO, f"{f'-d {prefix.text} ' if prefix.length else ''}{_OUT} -j RETURN"
    yield iptables.PORT, f"{_IN} -g {iptables.P}{'none' if has else 'drop'}"
    yield iptables.OUT, f"{_OUT} -g {iptables.P}{'group' if has else 'drop'}"
    if family == 4 and has:
        high, low = iptables.mac_words(guest.mac)
        own = [number for mac, (kind, _value, _text, number, _words) in facts.tuples if kind == 4 and mac == guest.mac]
        for clients in iptables.lots(own):
            yield iptables.DHCP, f"{_IN} {iptables.dhcp_client(clients, high, low)} -j RETURN"
    if has and ROUTER in guest.roles:
        yield iptables.ROUTER, f"{_IN} -j RETURN"
    if has and DHCP_SERVER in guest.roles:
        yield iptables.SERVER, f"{_IN} -j RETURN"
    if guest.logged:
        yield iptables.LOG, f"{_IN} {iptables.LOGGED}"
        yield iptables.LOST, f"{_OUT} {iptables.LOGGED}"


def _discovery_rules(facts: _Facts) -> Iterator[tuple[str, str]]:
    for address in _addresses(facts):
        if address.family == 6:
            yield iptables.TARGET, f"{_IN} {iptables.u32(iptables.target(address.words))} -g {iptables.P}found"
    for prefix in facts.guest.prefixes:
        if prefix.family == 6:
            test = iptables.target(iptables.words(prefix.base), prefix.length)
            yield iptables.TARGET, f"{_IN} {f'{iptables.u32(test)} ' if test else ''}-g {iptables.P}target-net"
    for mac in facts.guest.macs if 6 in facts.families else ():
        yield iptables.LLADDR, f"{_IN} {iptables.u32(iptables.lladdr(*iptables.mac_words(mac)))} -j RETURN"


def file_name(mac: str) -> str:
    """The name of a guest's file."""
    return mac.replace(":", "-")
