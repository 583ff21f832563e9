# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's nft table without its guests: sets, chains and rules, which change with the policy of a host only.

Every question is one lookup of all that must belong together: port, MAC and address are one key. Frames are matched by
what is allowed; every chain ends in a refusal, so that what cannot be read is refused as well. The rules are written as
nft 1.0.6 and 1.1 both print them; where these differ (fragment offsets, `icmpv6 taddr`), raw offsets say the same.

With backend iptables the table is smaller: ports, MACs, ARP and types of frames, which iptables cannot see, and what
comes from outside, which iptables would compare with one guest after the other. What guests send and get in IP packets
is then for iptables.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.packets import (
    FROM_IPV4,
    FROM_IPV6,
    MULTICAST,
    TO_IP,
    UNICAST,
    UPLINK_IP,
    lines,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

TABLE = f"bridge {ANTISPOOF.table}"
NFTABLES = "nftables"
IPTABLES = "iptables"

# Prefixes of interface names that hypervisors give to guests: Xen, libvirt, QEMU.
PATTERNS = ("vif*", "vnet*", "tap*")
EVERY = "*"

# Before br_netfilter (0) and ebtables (-300), and before the bridge learns the source address.
_PRIORITY = "-310"
# Bridges hand these to the host, or forward them, by rules of their own (IEEE 802.1Q, 8.6.3).
_LINK_LOCAL = "01:80:c2:00:00:00-01:80:c2:00:00:0f"
_ARP = "arp htype 1 arp ptype 0x0800 arp hlen 6 arp plen 4 arp operation"
# The chain for each family: with backend iptables one for both.
_BY_TYPE = "ether type vmap {{ 0x0800 : goto {0}_ip4, 0x0806 : goto {0}_arp, 0x86dd : goto {0}_ip6 }}"
_BY_TYPE_IPTABLES = "ether type vmap {{ 0x0800 : goto {0}_ip, 0x0806 : goto {0}_arp, 0x86dd : goto {0}_ip }}"

# Family, its untagged frames, its word. Not `ether type 0x0800`: before an address, nft takes that for what the address
# implies, prints it no more, and reads it again as the type behind a VLAN tag. All tags are 0x8100 or more, and the
# address implies the family.
_FAMILIES = (("4", "ether type < 0x8100", "ip"), ("6", "ether type 0x86dd-0x86de", "ip6"))
# A comparison of names is a third of a lookup: more uplinks than these are found by the maps.
_NAMED_UPLINKS = 3

# A frame from a VIF in the words of each reason, and what people look for in `nft list`.
REASONS = (
    "mac",
    "arp",
    "ipv4",
    "ipv6",
    "nd",
    "router",
    "dhcp",
    "vrrp",
    "type",
    "unknown",
    "storm",
    "uplink",
    "delivery",
)
_FRAME_REASONS = ("mac", "arp", "type", "unknown", "storm", "uplink", "delivery")

_EXACT = {
    # A port that is in both maps is guarded or an uplink; of the others, those that match a pattern are refused.
    "map ports": "type ifname : verdict",
    "map outs": "type ifname : verdict",
    "set planned": "type ifname",
    "set macs": "type ifname . ether_addr",
    "set has4": "type ifname",
    "set has6": "type ifname",
    "set own4": "type ifname . ether_addr . ipv4_addr",
    "set own6": "type ifname . ether_addr . ipv6_addr",
    "set arp_own": "type ifname . ether_addr . ether_addr . ipv4_addr",
    "set nd_targets": "typeof iifname . ether saddr . @th,64,128",
    "set nd_macs": "typeof iifname . ether saddr . @th,208,48",
    "set dhcp_own": "typeof iifname . ether saddr . @th,160,32 . @th,288,48",
    "set vrrp4": "type ifname . ether_addr . ipv4_addr",
    "set vrrp6": "type ifname . ether_addr . ipv6_addr",
    "set routers": "type ifname",
    "set dhcp_servers": "type ifname",
    "set logged": "type ifname",
    # What no other machine may have: guests of this host, and what a guest's prefix must not cover.
    "set local_macs": "type ether_addr",
    "set local4": "type ipv4_addr",
    "set local6": "type ipv6_addr",
    "set local_targets": "typeof @th,64,128",
    "set protected4": "type ipv4_addr",
    "set protected6": "type ipv6_addr",
    "set protected_targets": "typeof @th,64,128",
}
# Of these, the ones that backend iptables asks.
FRAME_SETS = frozenset("ports outs macs has4 arp_own arp_nets logged local_macs local4 local6 local_targets".split())
_PREFIXES = {
    "set nets4": "type ifname . ether_addr . ipv4_addr; flags interval",
    "set nets6": "type ifname . ether_addr . ipv6_addr; flags interval",
    "set arp_nets": "type ifname . ether_addr . ether_addr . ipv4_addr; flags interval",
    "set nd_nets": "typeof iifname . ether saddr . @th,64,128; flags interval",
}


@dataclass(frozen=True)
class Policy:
    """What a host decides once for all its guests.

    uplinks: bridge ports to the outside. patterns: names of ports that are refused until they are known; ending in `*`
    for prefixes, `*` alone for all but trusted. trusted: names or prefixes of ports that are nobody's guests and are
    let alone. protected4, protected6: addresses (integers) that no guest's prefix covers, such as gateways.
    broadcasts: frames to all that one VIF may send in a second, 0 for no limit. log: whether drops of guests that ask
    for it are logged.
    """

    uplinks: tuple[str, ...] = ()
    patterns: tuple[str, ...] = PATTERNS
    trusted: tuple[str, ...] = ()
    protected4: tuple[int, ...] = ()
    protected6: tuple[int, ...] = ()
    broadcasts: int = 100
    log: bool = False


def chains(policy: Policy, backend: str = NFTABLES) -> dict[str, str]:
    """Chain name -> text, of all chains."""
    by_type = _BY_TYPE_IPTABLES if backend == IPTABLES else _BY_TYPE
    sent, delivered = _usual(policy) if backend == NFTABLES else ([], [])
    texts = {
        "prerouting": _base("prerouting", [*sent, *_ports(policy, "iifname", "ports", "unknown")]),
        # Frames to link-local groups that the bridge keeps for the host come here without passing prerouting.
        "input": _base(
            "input", [f"ether daddr != {_LINK_LOCAL} accept", *_ports(policy, "iifname", "ports", "unknown")]
        ),
        "postrouting": _base("postrouting", [*delivered, *_ports(policy, "oifname", "outs", "delivery")]),
        # Frames to one station, which are most, are not asked what only those to many are.
        "from_vif": lines(f"{MULTICAST} goto from_vif_to_group", by_type.format("from"), "goto refuse_type"),
        "from_vif_to_group": lines(
            f"ether daddr {_LINK_LOCAL} goto refuse_type", *_storm(policy), by_type.format("from"), "goto refuse_type"
        ),
        "to_vif": lines(by_type.format("to"), "goto refuse_delivery"),
        **_ARP_CHAINS,
        **_FROM_UPLINK,
        **UPLINK_IP,
        **(_FRAMES if backend == IPTABLES else {**FROM_IPV4, **FROM_IPV6, **TO_IP}),
    }
    for reason in _FRAME_REASONS if backend == IPTABLES else REASONS:
        texts[f"refuse_{reason}"] = _refusal(policy, reason)
    return texts


def headers() -> dict[str, str]:
    """`set NAME` or `map NAME` -> header lines, of all sets and maps.

    They are the same for each backend: so what a port had before another backend was chosen can be deleted after.
    """
    return {**_EXACT, **_PREFIXES, **{f"set {name}": text for name, text in COUNTED.items()}}


# Sets to which packets add names of ports, and which no plan names elements of.
COUNTED = {
    "storm": "type ifname; size 65535; flags dynamic",
    **{f"dropped_{reason}": "type ifname; size 65535; flags dynamic; counter" for reason in REASONS},
}


def _base(hook: str, rules: list[str]) -> str:
    return lines(f"type filter hook {hook} priority {_PRIORITY}; policy accept;", *rules)


def _usual(policy: Policy) -> tuple[list[str], list[str]]:
    """Rules for what most frames are, sent and delivered: without them the chains behind say the same, later."""
    uplinks = policy.uplinks[:_NAMED_UPLINKS]
    sent = [f'iifname "{name}" goto from_uplink' for name in uplinks]
    delivered = [f'oifname "{name}" accept' for name in uplinks]
    for family, frames, word in _FAMILIES:
        own = f"@own{family}"
        sent.append(f"{frames} {UNICAST} iifname . ether saddr . {word} saddr {own} goto from_ip{family}_own")
        delivered.append(f"{frames} oifname . ether daddr . {word} daddr {own} accept")
    return sent, delivered


def _ports(policy: Policy, direction: str, ports: str, reason: str) -> list[str]:
    """A known port by its map, a port that may become one is refused, the others are none of our business."""
    rules = [f"{direction} vmap @{ports}"]
    rules += [f'{direction} "{name}" accept' for name in policy.trusted]
    if EVERY in policy.patterns:
        return [*rules, f"goto refuse_{reason}"]
    rules.append(f"{direction} @planned goto refuse_{reason}")
    return rules + [f'{direction} "{name}" goto refuse_{reason}' for name in policy.patterns]


def _storm(policy: Policy) -> list[str]:
    if not policy.broadcasts:
        return []
    # A burst of five seconds: a guest that starts, or a test, says much at once.
    limit = f"limit rate over {policy.broadcasts}/second burst {5 * policy.broadcasts} packets"
    return [f"ether daddr ff:ff:ff:ff:ff:ff update @storm {{ iifname {limit} }} goto refuse_storm"]


def _refusal(policy: Policy, reason: str) -> str:
    name = "oifname" if reason == "delivery" else "iifname"
    rules = [f"update @dropped_{reason} {{ {name} }}"]
    if reason in ("arp", "ipv4", "ipv6", "nd", "dhcp", "vrrp", "router"):
        # A foreign MAC is in no key, so it ends here: under its own name.
        rules.insert(0, "iifname . ether saddr != @macs goto refuse_mac")
    if policy.log:
        # Nobody is known at an unknown port, so nobody can have asked for it.
        asked = "" if reason == "unknown" else f"{name} @logged "
        rules.append(f'{asked}limit rate 5/second burst 10 packets log prefix "plainlinux.vpc antispoof {reason}: "')
    # By itself: a full set ends the rule that updates it.
    return lines(*rules, "drop")


_ARP_CHAINS = {
    "from_arp": lines(
        f"{_ARP} {{ 1, 2 }} iifname . ether saddr . arp saddr ether . arp saddr ip @arp_own accept",
        # Probes for one's own address (RFC 5227).
        f"{_ARP} 1 arp saddr ip 0.0.0.0 iifname . ether saddr . arp saddr ether . arp daddr ip @arp_own accept",
        f"{_ARP} {{ 1, 2 }} arp saddr ip != @local4 arp saddr ip != @protected4"
        " iifname . ether saddr . arp saddr ether . arp saddr ip @arp_nets accept",
        f"{_ARP} 1 arp saddr ip 0.0.0.0 arp daddr ip != @local4 arp daddr ip != @protected4"
        " iifname . ether saddr . arp saddr ether . arp daddr ip @arp_nets accept",
        "goto refuse_arp",
    ),
    "uplink_arp": lines(
        "arp saddr ip @local4 goto refuse_uplink", "arp saddr ether @local_macs goto refuse_uplink", "accept"
    ),
    "to_arp": lines(
        "oifname != @has4 goto refuse_delivery",
        f"{MULTICAST} accept",
        "oifname . ether daddr @macs accept",
        "goto refuse_delivery",
    ),
}

# Everybody but the guests of this host is there; nobody there has a local guest's MAC or address.
_FROM_UPLINK = {
    "from_uplink": lines(
        "ether saddr @local_macs goto refuse_uplink",
        # Most frames, without the lookup of their type.
        "ip saddr != @local4 accept",
        "ether type vmap { 0x0800 : goto uplink_ip4, 0x0806 : goto uplink_arp, 0x8100 : goto uplink_tagged,"
        " 0x86dd : goto uplink_ip6, 0x88a8 : goto uplink_tagged }",
        "accept",
    ),
    # Receivers take VLAN 0 for no VLAN; the others have addresses of their own. Behind the tag is meta protocol.
    "uplink_tagged": lines(
        "vlan id != 0 accept",
        "ether type 0x88a8 vlan id != 0 accept",
        "meta protocol vmap { 0x0800 : goto uplink_ip4, 0x0806 : goto uplink_arp, 0x86dd : goto uplink_ip6 }",
        "meta protocol { 0x8100, 0x88a8 } goto refuse_uplink",
        "accept",
    ),
}

# Backend iptables: packets go on to br_netfilter, and so to iptables, once their MAC is the port's own.
_FRAMES = {
    "from_ip": lines("iifname . ether saddr @macs accept", "goto refuse_mac"),
    "to_ip": lines(f"{MULTICAST} accept", "oifname . ether daddr @macs accept", "goto refuse_delivery"),
}
