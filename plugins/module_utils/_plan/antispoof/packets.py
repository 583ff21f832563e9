# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest's IP packets may say, in the words of nft: chains that follow once a frame is known to be IP.

Packets are matched by what is allowed; every chain ends in a refusal, so that what cannot be read is refused as well.
"""

from __future__ import annotations

MULTICAST = "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00"
UNICAST = "ether daddr & 01:00:00:00:00:00 != 01:00:00:00:00:00"

# Of the IPv4 flags and fragment offset: all values with offset 0. The rest are later fragments, where what looks like
# ports is payload, which nft would compare all the same.
_LATER4 = "@nh,48,16 != { 0x0, 0x2000, 0x4000, 0x6000, 0x8000, 0xa000, 0xc000, 0xe000 }"
_WHOLE4 = "@nh,48,16 { 0x0, 0x4000 }"

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


def lines(*rules: str) -> str:
    return "\n".join(rules)


FROM_IPV4 = {
    "from_ip4": lines(
        "iifname . ether saddr . ip saddr @own4 goto from_ip4_own",
        "ip saddr 0.0.0.0 goto from_ip4_none",
        # A virtual router's MAC speaks for the addresses of its owner in this protocol only.
        "meta l4proto 112 iifname . ether saddr . ip saddr @vrrp4 accept",
        "ip saddr != @local4 ip saddr != @protected4 iifname . ether saddr . ip saddr @nets4 goto from_ip4_own",
        "goto refuse_ipv4",
    ),
    # l4proto, unlike the header's protocol, has a value only where the header is well-formed.
    "from_ip4_own": lines(
        "meta l4proto 6 accept",
        "meta l4proto vmap { 1 : goto from_icmp, 2 : goto from_igmp, 17 : goto from_udp4,"
        " 51 : goto from_ah4, 103 : goto from_router, 112 : goto from_vrrp4 }",
        "meta l4proto != { 1, 2, 6, 17, 51, 103, 112 } accept",
        "goto refuse_ipv4",
    ),
    "from_icmp": lines(
        f"{_LATER4} accept", "icmp type != { 5, 9 } accept", "iifname @routers accept", "goto refuse_router"
    ),
    "from_igmp": lines(f"ether type 0x0800 {_IGMP_REPORTS}", "iifname @routers accept", "goto refuse_router"),
    "from_udp4": lines(
        f"{_LATER4} accept",
        "udp sport != 67 udp dport != { 67, 68, 1985, 3222 } accept",
        # HSRP and GLBP, the other protocols of virtual routers.
        "udp dport { 1985, 3222 } goto from_hsrp",
        "iifname @dhcp_servers accept",
        _DHCP,
        "goto refuse_dhcp",
    ),
    # Behind an authentication header: nothing that other rules decide on, but VRRP version 2 where it is allowed.
    "from_ah4": lines(
        f"{_LATER4} accept",
        "@th,0,8 0x11 goto from_ah_udp",
        "@th,0,8 0x70 goto from_vrrp4",
        "@th,0,8 != { 0x1, 0x2, 0x11, 0x33, 0x67, 0x70 } accept",
        "goto refuse_ipv4",
    ),
    # Its length is in its second octet, in words and less two: those of the usual digests.
    "from_ah_udp": lines(
        *(
            f"@th,8,8 {length:#x} @th,{32 * length + 64},16 != {{ 0x43, 0x223 }}"
            f" @th,{32 * length + 80},16 != {{ 0x43, 0x44, 0x222, 0x223, 0x7c1, 0x7ed, 0xc96 }} accept"
            for length in (1, 4, 5, 6, 7, 8, 9, 10)
        ),
        "goto refuse_dhcp",
    ),
    "from_hsrp": lines("ip daddr != 224.0.0.0/4 accept", "goto from_vrrp4"),
    "from_vrrp4": lines("iifname . ether saddr . ip saddr @vrrp4 accept", "goto refuse_vrrp"),
    # A guest without an address yet: DHCP, and reports of its groups (RFC 3376, 4.2.13).
    "from_ip4_none": lines(
        f"{_WHOLE4} ip daddr 255.255.255.255 ether daddr ff:ff:ff:ff:ff:ff {_DHCP}",
        f"iifname @has4 iifname . ether saddr @macs ip daddr 224.0.0.0/4 {_IGMP_REPORTS}",
        "udp dport 67 goto refuse_dhcp",
        "goto refuse_ipv4",
    ),
}

FROM_IPV6 = {
    "from_ip6": lines(
        "iifname . ether saddr . ip6 saddr @own6 goto from_ip6_own",
        "ip6 saddr :: goto from_ip6_none",
        "meta l4proto 112 iifname . ether saddr . ip6 saddr @vrrp6 accept",
        "ip6 saddr != @local6 ip6 saddr != @protected6 iifname . ether saddr . ip6 saddr @nets6 goto from_ip6_own",
        "goto refuse_ipv6",
    ),
    # l4proto is what follows the extension headers; 59 is nothing, but some read on.
    "from_ip6_own": lines(
        "meta l4proto 6 accept",
        "meta l4proto vmap { 17 : goto from_udp6, 51 : goto from_ah6, 58 : goto from_icmp6,"
        " 103 : goto from_router, 112 : goto from_vrrp6 }",
        "meta l4proto != { 6, 17, 51, 58, 59, 103, 112 } accept",
        # A later fragment of what starts with an extension header has none.
        "frag frag-off != 0 accept",
        "goto refuse_ipv6",
    ),
    "from_ah6": lines(
        "@th,0,8 0x11 goto from_ah_udp",
        "@th,0,8 != { 0x0, 0x11, 0x2b, 0x2c, 0x33, 0x3a, 0x3b, 0x3c, 0x67, 0x70 } accept",
        "goto refuse_ipv6",
    ),
    "from_udp6": lines(
        "ip6 nexthdr != 17 frag frag-off != 0 accept",
        "udp sport != 547 udp dport != { 546, 547, 2029, 3222 } accept",
        "udp dport { 2029, 3222 } goto from_hsrp6",
        "iifname @dhcp_servers accept",
        _DHCP6,
        "goto refuse_dhcp",
    ),
    # Neighbour discovery has no extension header, and only the options whose place is known.
    "from_icmp6": lines(
        "ip6 nexthdr 58 icmpv6 type vmap { 1 : accept, 2 : accept, 3 : accept, 4 : accept, 128 : accept, 129 : accept,"
        " 133 : goto from_rs, 134 : goto from_router, 135 : goto from_ns, 136 : goto from_na, 137 : goto from_router }",
        "ip6 nexthdr != 58 frag frag-off != 0 accept",
        "icmpv6 type { 1, 2, 3, 4, 128, 129 } accept",
        f"{_MLD} {_MLD_REPORTS} accept",
        f"{_MLD} 130 goto from_router",
        "icmpv6 type { 130, 134, 137, 151, 152, 153 } goto refuse_router",
        "goto refuse_nd",
    ),
    "from_router": lines("iifname @routers accept", "goto refuse_router"),
    "from_rs": lines(
        "ip6 length 8 accept",
        "ip6 length 16 @th,64,16 0x101 iifname . ether saddr . @th,80,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_ns": lines(
        "ip6 length 24 accept",
        "ip6 length 32 @th,192,16 0x101 iifname . ether saddr . @th,208,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_na": lines(
        "iifname . ether saddr . @th,64,128 @nd_targets goto from_na_own",
        "@th,64,128 != @local_targets @th,64,128 != @protected_targets"
        " iifname . ether saddr . @th,64,128 @nd_nets goto from_na_own",
        "goto refuse_nd",
    ),
    "from_na_own": lines(
        "ip6 length 24 accept",
        "ip6 length 32 @th,192,16 0x201 iifname . ether saddr . @th,208,48 @nd_macs accept",
        "goto refuse_nd",
    ),
    "from_hsrp6": lines("ip6 daddr != ff00::/8 accept", "goto from_vrrp6"),
    "from_vrrp6": lines("iifname . ether saddr . ip6 saddr @vrrp6 accept", "goto refuse_vrrp"),
    # Before an address is a guest's own: is it taken, is there a router, and reports of groups (RFC 3590).
    "from_ip6_none": lines(
        "ip6 nexthdr 58 icmpv6 type 135 ip6 daddr ff02::1:ff00:0/104 goto from_dad",
        "ip6 length 8 ip6 nexthdr 58 icmpv6 type 133 iifname @has6 iifname . ether saddr @macs accept",
        f"{_MLD} {_MLD_REPORTS} iifname @has6 iifname . ether saddr @macs accept",
        "goto refuse_ipv6",
    ),
    "from_dad": lines(
        "iifname . ether saddr . @th,64,128 @nd_targets goto from_dad_own",
        "@th,64,128 != @local_targets @th,64,128 != @protected_targets"
        " iifname . ether saddr . @th,64,128 @nd_nets goto from_dad_own",
        "goto refuse_nd",
    ),
    # With the nonce of RFC 7527 or without.
    "from_dad_own": lines("ip6 length 24 accept", "ip6 length 32 @th,192,16 0xe01 accept", "goto refuse_nd"),
}

# Packets of others with a local guest's address.
UPLINK_IP = {
    "uplink_ip4": lines("ip saddr @local4 goto refuse_uplink", "accept"),
    "uplink_ip6": lines(
        "ip6 saddr @local6 goto refuse_uplink",
        "icmpv6 type 136 goto uplink_nd",
        "ip6 saddr :: icmpv6 type 135 goto uplink_nd",
        "accept",
    ),
    "uplink_nd": lines("@th,64,128 @local_targets goto refuse_uplink", "accept"),
}

# A packet to a guest is for its MAC and address, or for all. Without an address in a family it gets none of that.
TO_IP = {
    "to_ip4": lines(
        "oifname . ether daddr . ip daddr @own4 accept",
        "oifname != @has4 goto refuse_delivery",
        f"{MULTICAST} accept",
        "ip daddr { 224.0.0.0/4, 255.255.255.255 } oifname . ether daddr @macs accept",
        "oifname . ether daddr . ip daddr @nets4 accept",
        "goto refuse_delivery",
    ),
    "to_ip6": lines(
        "oifname . ether daddr . ip6 daddr @own6 accept",
        "oifname != @has6 goto refuse_delivery",
        f"{MULTICAST} accept",
        "ip6 daddr ff00::/8 oifname . ether daddr @macs accept",
        "oifname . ether daddr . ip6 daddr @nets6 accept",
        "goto refuse_delivery",
    ),
}
