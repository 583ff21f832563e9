# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's table without its guests: sets, chains and rules, which change with the policy of a host only.

Every question is one lookup of all that must belong together: port, MAC and address are one key. Frames are matched by
what is allowed; every chain ends in a refusal, so that what cannot be read is refused as well. The rules are written as
nft 1.0.6 and 1.1 both print them; where these differ (fragment offsets, `icmpv6 taddr`), raw offsets say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

TABLE = f"bridge {ANTISPOOF.table}"

# Prefixes of interface names that hypervisors give to guests: Xen, libvirt, QEMU.
PATTERNS = ("vif*", "vnet*", "tap*")
EVERY = "*"

# Before br_netfilter (0) and ebtables (-300), and before the bridge learns the source address.
_PRIORITY = "-310"
# Bridges hand these to the host, or forward them, by rules of their own (IEEE 802.1Q, 8.6.3).
_LINK_LOCAL = "01:80:c2:00:00:00-01:80:c2:00:00:0f"
_MULTICAST = "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00"
_TYPES = "ether type vmap {{ 0x0800 : goto {0}_ip4, 0x0806 : goto {0}_arp, 0x86dd : goto {0}_ip6 }}"

# Of the IPv4 flags and fragment offset: all values with offset 0. The rest are later fragments, where what looks like
# ports is payload, which nft would compare all the same.
_LATER4 = "@nh,48,16 != { 0x0, 0x2000, 0x4000, 0x6000, 0x8000, 0xa000, 0xc000, 0xe000 }"
_WHOLE4 = "@nh,48,16 { 0x0, 0x4000 }"

_ARP = "arp htype 1 arp ptype 0x0800 arp hlen 6 arp plen 4 arp operation"
# op 1, Ethernet, 6 octets, no hops; yiaddr, siaddr and giaddr 0; ciaddr 0 or own, chaddr own (RFC 2131, figure 1).
_DHCP = (
    "udp sport 68 udp dport 67 @th,64,32 0x1010600 @th,192,96 0x0"
    " iifname . ether saddr . @th,160,32 . @th,288,48 @dhcp_own accept"
)
# What clients send (RFC 8415, 7.3); the rest is for relays and servers.
_DHCP6 = "udp sport 546 udp dport 547 @th,64,8 { 0x1, 0x3, 0x4, 0x5, 0x6, 0x8, 0x9, 0xb } accept"
_IGMP_REPORTS = "igmp type { 18, 22, 23, 34 } accept"
_MLD = "ip6 nexthdr 0 hbh nexthdr 58 icmpv6 type"
_MLD_REPORTS = "{ 131, 132, 143 }"

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


def chains(policy: Policy) -> dict[str, str]:
    """Chain name -> text, of all chains."""
    texts = {
        "prerouting": _base("prerouting", _ports(policy, "iifname", "ports", "unknown")),
        # Frames to link-local groups that the bridge keeps for the host come here without passing prerouting.
        "input": _base(
            "input", [f"ether daddr != {_LINK_LOCAL} accept", *_ports(policy, "iifname", "ports", "unknown")]
        ),
        "postrouting": _base("postrouting", _ports(policy, "oifname", "outs", "delivery")),
        # Frames to one station, which are most, are not asked what only those to many are.
        "from_vif": _lines(f"{_MULTICAST} goto from_vif_to_group", _TYPES.format("from"), "goto refuse_type"),
        "from_vif_to_group": _lines(
            f"ether daddr {_LINK_LOCAL} goto refuse_type", *_storm(policy), _TYPES.format("from"), "goto refuse_type"
        ),
        "to_vif": _lines(_TYPES.format("to"), "goto refuse_delivery"),
        **_FROM_ARP,
        **_FROM_IPV4,
        **_FROM_IPV6,
        **_FROM_UPLINK,
        **_TO_VIF,
    }
    for reason in REASONS:
        texts[f"refuse_{reason}"] = _refusal(policy, reason)
    return texts


def headers() -> dict[str, str]:
    """`set NAME` or `map NAME` -> header lines, of all sets and maps."""
    return {**_EXACT, **_PREFIXES, **{f"set {name}": text for name, text in COUNTED.items()}}


# Sets to which packets add names of ports, and which no plan names elements of.
COUNTED = {
    "storm": "type ifname; size 65535; flags dynamic",
    **{f"dropped_{reason}": "type ifname; size 65535; flags dynamic; counter" for reason in REASONS},
}


def _lines(*rules: str) -> str:
    return "\n".join(rules)


def _base(hook: str, rules: list[str]) -> str:
    return _lines(f"type filter hook {hook} priority {_PRIORITY}; policy accept;", *rules)


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
        rules.append(
            f'{name} @logged limit rate 5/second burst 10 packets log prefix "plainlinux.vpc antispoof {reason}: "'
        )
    # By itself: a full set ends the rule that updates it.
    return _lines(*rules, "drop")


_FROM_ARP = {
    "from_arp": _lines(
        f"{_ARP} {{ 1, 2 }} iifname . ether saddr . arp saddr ether . arp saddr ip @arp_own accept",
        # Probes for one's own address (RFC 5227).
        f"{_ARP} 1 arp saddr ip 0.0.0.0 iifname . ether saddr . arp saddr ether . arp daddr ip @arp_own accept",
        f"{_ARP} {{ 1, 2 }} arp saddr ip != @local4 arp saddr ip != @protected4"
        " iifname . ether saddr . arp saddr ether . arp saddr ip @arp_nets accept",
        f"{_ARP} 1 arp saddr ip 0.0.0.0 arp daddr ip != @local4 arp daddr ip != @protected4"
        " iifname . ether saddr . arp saddr ether . arp daddr ip @arp_nets accept",
        "goto refuse_arp",
    ),
}

_FROM_IPV4 = {
    "from_ip4": _lines(
        "iifname . ether saddr . ip saddr @own4 goto from_ip4_own",
        "ip saddr 0.0.0.0 goto from_ip4_none",
        # A virtual router's MAC speaks for the addresses of its owner in this protocol only.
        "meta l4proto 112 iifname . ether saddr . ip saddr @vrrp4 accept",
        "ip saddr != @local4 ip saddr != @protected4 iifname . ether saddr . ip saddr @nets4 goto from_ip4_own",
        "goto refuse_ipv4",
    ),
    # l4proto, unlike the header's protocol, has a value only where the header is well-formed.
    "from_ip4_own": _lines(
        "meta l4proto vmap { 1 : goto from_icmp, 2 : goto from_igmp, 6 : accept, 17 : goto from_udp4,"
        " 51 : goto from_ah4, 103 : goto from_router, 112 : goto from_vrrp4 }",
        "meta l4proto != { 1, 2, 6, 17, 51, 103, 112 } accept",
        "goto refuse_ipv4",
    ),
    "from_icmp": _lines(
        f"{_LATER4} accept", "icmp type != { 5, 9 } accept", "iifname @routers accept", "goto refuse_router"
    ),
    "from_igmp": _lines(f"ether type 0x0800 {_IGMP_REPORTS}", "iifname @routers accept", "goto refuse_router"),
    "from_udp4": _lines(
        f"{_LATER4} accept",
        "udp sport != 67 udp dport != { 67, 68, 1985, 3222 } accept",
        # HSRP and GLBP, the other protocols of virtual routers.
        "udp dport { 1985, 3222 } goto from_hsrp",
        "iifname @dhcp_servers accept",
        _DHCP,
        "goto refuse_dhcp",
    ),
    # Behind an authentication header: nothing that other rules decide on, but VRRP version 2 where it is allowed.
    "from_ah4": _lines(
        f"{_LATER4} accept",
        "@th,0,8 0x11 goto from_ah_udp",
        "@th,0,8 0x70 goto from_vrrp4",
        "@th,0,8 != { 0x1, 0x2, 0x11, 0x33, 0x67, 0x70 } accept",
        "goto refuse_ipv4",
    ),
    # Its length is in its second octet, in words and less two: those of the usual digests.
    "from_ah_udp": _lines(
        *(
            f"@th,8,8 {length:#x} @th,{32 * length + 64},16 != {{ 0x43, 0x223 }}"
            f" @th,{32 * length + 80},16 != {{ 0x43, 0x44, 0x222, 0x223, 0x7c1, 0x7ed, 0xc96 }} accept"
            for length in (1, 4, 5, 6, 7, 8, 9, 10)
        ),
        "goto refuse_dhcp",
    ),
    "from_hsrp": _lines("ip daddr != 224.0.0.0/4 accept", "goto from_vrrp4"),
    "from_vrrp4": _lines("iifname . ether saddr . ip saddr @vrrp4 accept", "goto refuse_vrrp"),
    # A guest without an address yet: DHCP, and reports of its groups (RFC 3376, 4.2.13).
    "from_ip4_none": _lines(
        f"{_WHOLE4} ip daddr 255.255.255.255 ether daddr ff:ff:ff:ff:ff:ff {_DHCP}",
        f"iifname @has4 iifname . ether saddr @macs ip daddr 224.0.0.0/4 {_IGMP_REPORTS}",
        "udp dport 67 goto refuse_dhcp",
        "goto refuse_ipv4",
    ),
}

_FROM_IPV6 = {
    "from_ip6": _lines(
        "iifname . ether saddr . ip6 saddr @own6 goto from_ip6_own",
        "ip6 saddr :: goto from_ip6_none",
        "meta l4proto 112 iifname . ether saddr . ip6 saddr @vrrp6 accept",
        "ip6 saddr != @local6 ip6 saddr != @protected6 iifname . ether saddr . ip6 saddr @nets6 goto from_ip6_own",
        "goto refuse_ipv6",
    ),
    # l4proto is what follows the extension headers; 59 is nothing, but some read on.
    "from_ip6_own": _lines(
        "meta l4proto vmap { 6 : accept, 17 : goto from_udp6, 51 : goto from_ah6, 58 : goto from_icmp6,"
        " 103 : goto from_router, 112 : goto from_vrrp6 }",
        "meta l4proto != { 6, 17, 51, 58, 59, 103, 112 } accept",
        # A later fragment of what starts with an extension header has none.
        "frag frag-off != 0 accept",
        "goto refuse_ipv6",
    ),
    "from_ah6": _lines(
        "@th,0,8 0x11 goto from_ah_udp",
        "@th,0,8 != { 0x0, 0x11, 0x2b, 0x2c, 0x33, 0x3a, 0x3b, 0x3c, 0x67, 0x70 } accept",
        "goto refuse_ipv6",
    ),
    "from_udp6": _lines(
        "ip6 nexthdr != 17 frag frag-off != 0 accept",
        "udp sport != 547 udp dport != { 546, 547, 2029, 3222 } accept",
        "udp dport { 2029, 3222 } goto from_hsrp6",
        "iifname @dhcp_servers accept",
        _DHCP6,
        "goto refuse_dhcp",
    ),
    # Neighbour discovery has no extension header, and only the options whose place is known.
    "from_icmp6": _lines(
        "ip6 nexthdr 58 icmpv6 type vmap { 1 : accept, 2 : accept, 3 : accept, 4 : accept, 128 : accept, 129 : accept,"
        " 133 : goto from_rs, 134 : goto from_router, 135 : goto from_ns, 136 : goto from_na, 137 : goto from_router }",
        "ip6 nexthdr != 58 frag frag-off != 0 accept",
        "icmpv6 type { 1, 2, 3, 4, 128, 129 } accept",
        f"{_MLD} {_MLD_REPORTS} accept",
        f"{_MLD} 130 goto from_router",
        "icmpv6 type { 130, 134, 137, 151, 152, 153 } goto refuse_router",
        "goto refuse_nd",
    ),
    "from_router": _lines("iifname @routers accept", "goto refuse_router"),
    "from_rs": _lines(
        "ip6 length 8 accept",
        "ip6 length 16 @th,64,16 0x101 iifname . ether saddr . @th,80,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_ns": _lines(
        "ip6 length 24 accept",
        "ip6 length 32 @th,192,16 0x101 iifname . ether saddr . @th,208,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_na": _lines(
        "iifname . ether saddr . @th,64,128 @nd_targets goto from_na_own",
        "@th,64,128 != @local_targets @th,64,128 != @protected_targets"
        " iifname . ether saddr . @th,64,128 @nd_nets goto from_na_own",
        "goto refuse_nd",
    ),
    "from_na_own": _lines(
        "ip6 length 24 accept",
        "ip6 length 32 @th,192,16 0x201 iifname . ether saddr . @th,208,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_hsrp6": _lines("ip6 daddr != ff00::/8 accept", "goto from_vrrp6"),
    "from_vrrp6": _lines("iifname . ether saddr . ip6 saddr @vrrp6 accept", "goto refuse_vrrp"),
    # Before an address is a guest's own: is it taken, is there a router, and reports of groups (RFC 3590).
    "from_ip6_none": _lines(
        "ip6 nexthdr 58 icmpv6 type 135 ip6 daddr ff02::1:ff00:0/104 goto from_dad",
        "ip6 length 8 ip6 nexthdr 58 icmpv6 type 133 iifname @has6 iifname . ether saddr @macs accept",
        f"{_MLD} {_MLD_REPORTS} iifname @has6 iifname . ether saddr @macs accept",
        "goto refuse_ipv6",
    ),
    "from_dad": _lines(
        "iifname . ether saddr . @th,64,128 @nd_targets goto from_dad_own",
        "@th,64,128 != @local_targets @th,64,128 != @protected_targets"
        " iifname . ether saddr . @th,64,128 @nd_nets goto from_dad_own",
        "goto refuse_nd",
    ),
    # With the nonce of RFC 7527 or without.
    "from_dad_own": _lines("ip6 length 24 accept", "ip6 length 32 @th,192,16 0xe01 accept", "goto refuse_nd"),
}

# Everybody but the guests of this host is there; nobody there has a local guest's MAC or address.
_FROM_UPLINK = {
    "from_uplink": _lines(
        "ether saddr @local_macs goto refuse_uplink",
        "ether type vmap { 0x0800 : goto uplink_ip4, 0x0806 : goto uplink_arp, 0x8100 : goto uplink_tagged,"
        " 0x86dd : goto uplink_ip6, 0x88a8 : goto uplink_tagged }",
        "accept",
    ),
    # Receivers take VLAN 0 for no VLAN; the others have addresses of their own. Behind the tag is meta protocol.
    "uplink_tagged": _lines(
        "vlan id != 0 accept",
        "ether type 0x88a8 vlan id != 0 accept",
        "meta protocol vmap { 0x0800 : goto uplink_ip4, 0x0806 : goto uplink_arp, 0x86dd : goto uplink_ip6 }",
        "meta protocol { 0x8100, 0x88a8 } goto refuse_uplink",
        "accept",
    ),
    "uplink_arp": _lines(
        "arp saddr ip @local4 goto refuse_uplink", "arp saddr ether @local_macs goto refuse_uplink", "accept"
    ),
    "uplink_ip4": _lines("ip saddr @local4 goto refuse_uplink", "accept"),
    "uplink_ip6": _lines(
        "ip6 saddr @local6 goto refuse_uplink",
        "icmpv6 type 136 goto uplink_nd",
        "ip6 saddr :: icmpv6 type 135 goto uplink_nd",
        "accept",
    ),
    "uplink_nd": _lines("@th,64,128 @local_targets goto refuse_uplink", "accept"),
}

# A frame to a guest is for its MAC and address, or for all. Without an address in a family it gets none of that.
_TO_VIF = {
    "to_arp": _lines(
        "oifname != @has4 goto refuse_delivery",
        f"{_MULTICAST} accept",
        "oifname . ether daddr @macs accept",
        "goto refuse_delivery",
    ),
    "to_ip4": _lines(
        "oifname . ether daddr . ip daddr @own4 accept",
        "oifname != @has4 goto refuse_delivery",
        f"{_MULTICAST} accept",
        "ip daddr { 224.0.0.0/4, 255.255.255.255 } oifname . ether daddr @macs accept",
        "oifname . ether daddr . ip daddr @nets4 accept",
        "goto refuse_delivery",
    ),
    "to_ip6": _lines(
        "oifname . ether daddr . ip6 daddr @own6 accept",
        "oifname != @has6 goto refuse_delivery",
        f"{_MULTICAST} accept",
        "ip6 daddr ff00::/8 oifname . ether daddr @macs accept",
        "oifname . ether daddr . ip6 daddr @nets6 accept",
        "goto refuse_delivery",
    ),
}
