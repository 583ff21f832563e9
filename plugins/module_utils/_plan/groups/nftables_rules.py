# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule of a security group or a network ACL in the words of nft, as nft 1.0.6 and 1.1 both print them.

nft leaves out what it takes for implied, and then reads less than was meant: of `meta nfproto 10 meta l4proto 58` it
prints the second half only, which IPv4 packets match as well. The forms here survive being printed and read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ICMP, ICMPV6, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import IP

# Where the other side of a packet stands, by direction.
_PEER = {"in": "saddr", "out": "daddr"}
_BITS = {4: 32, 6: 128}
_PORTS = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
_ICMP = {ICMP: (4, "icmp"), ICMPV6: (6, "icmpv6")}


def members_set(family: int, group: str) -> str:
    return f"members{family}_{group}"


def list_set(family: int, name: str) -> str:
    return f"list{family}_{name}"


def matches(rule: Rule, way: str) -> list[str]:
    """What a rule matches: the conditions of the nft rules that say the same; "" where it matches everything.

    way: "in" or "out". No condition at all where the rule's peers are of another family than its protocol.
    """
    what = _what(rule)
    if not rule.peers:
        return [_alone(rule, what)]
    return [f"{peer} {what}".strip() for family in _families(rule) for peer in _peers(rule, family, _PEER[way])]


def _families(rule: Rule) -> tuple[int, ...]:
    return (_ICMP[rule.protocol][0],) if rule.protocol in (ICMP, ICMPV6) else (4, 6)


def _alone(rule: Rule, what: str) -> str:
    """What it says of the protocol where no address implies the family; nft adds it to types, but not to protocols."""
    if rule.icmp is None and rule.protocol == ICMP:
        return f"ip protocol {ICMP}"
    if rule.icmp is None and rule.protocol == ICMPV6:
        return f"{what} meta nfproto 10"
    return what


def _what(rule: Rule) -> str:
    protocol = rule.protocol
    if protocol is None:
        return ""
    if rule.ports:
        return f"{_PORTS[protocol]} dport {one_of(_port_words(rule.ports))}"
    if rule.icmp is not None:
        word = _ICMP[protocol][1]
        kind, code = rule.icmp
        return f"{word} type {kind}" + (f" {word} code {code}" if code is not None else "")
    return f"meta l4proto {protocol}"


def _peers(rule: Rule, family: int, side: str) -> list[str]:
    """Conditions on the other side's address: those written, then the sets."""
    field = f"{IP[family]} {side}"
    written = [peer.prefix for peer in rule.peers if peer.prefix is not None and peer.prefix.family == family]
    found = [f"{field} {addresses(written)}"] if written else []
    found += [f"{field} @{list_set(family, peer.list)}" for peer in rule.peers if peer.list is not None]
    found += [f"{field} @{members_set(family, peer.group)}" for peer in rule.peers if peer.group is not None]
    return found


def addresses(prefixes: Sequence[Prefix]) -> str:
    """Prefixes of one family in the words of nft, which joins those that touch."""
    spans = _joined((prefix.first, prefix.last) for prefix in prefixes)
    family = prefixes[0].family
    return one_of([_span_word(family, first, last) for first, last in spans])


def _span_word(family: int, first: int, last: int) -> str:
    size = last - first + 1
    if size == 1:
        return format_address(family, first)
    if size & (size - 1) == 0 and first % size == 0:
        return Prefix(family, first, _BITS[family] - size.bit_length() + 1).text
    return f"{format_address(family, first)}-{format_address(family, last)}"


def _port_words(ports: Iterable[tuple[int, int]]) -> list[str]:
    return [f"{first}-{last}" if first < last else str(first) for first, last in _joined(ports)]


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in order, without spans that overlap or touch."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def one_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"
