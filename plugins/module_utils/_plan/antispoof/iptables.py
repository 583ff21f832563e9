# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend iptables: what a guest's IP packets may say, in chains without guests, and how the guests' rules fit in.

What a guest sends is decided in table raw, chain PREROUTING: br_netfilter brings all of it there once, whether it then
is bridged, routed or for the host itself, before connections are tracked and before anybody else accepts it. What a
guest gets is decided in FORWARD, where the port that a bridged packet leaves by is known. What is allowed returns to
the chain that led here, so that other rules and policies count as before; what is not is dropped here.

Every rule is written as iptables-save prints it: u32 in hexadecimal, protocols without a name by u32, as their names
depend on the host's /etc/protocols. u32 reads from the IP header on: `0x0>>0x16&0x3c@N` is octet N behind IPv4's, and
of IPv6's `0x4>>0x8` is length and next header.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

P = ANTISPOOF.prefix
DROP = f"-g {P}drop"

# Places of the guests' rules, and their chains. FROM: sources; PORT: what else comes by a port. DHCP: what its client
# may say. TARGET: addresses that the guest may advertise; LLADDR: MACs. TO: what is for it; OUT: what else goes there.
FROM, PORT, DHCP, TARGET, LLADDR = "FROM", "PORT", "DHCP", "TARGET", "LLADDR"
ROUTER, SERVER, VRRP, TO, OUT, LOG, LOST = "ROUTER", "SERVER", "VRRP", "TO", "OUT", "LOG", "LOST"
_CHAINS = {
    FROM: "from",
    PORT: "from",
    DHCP: "dhcp",
    TARGET: "target",
    LLADDR: "lladdr",
    ROUTER: "router",
    SERVER: "udp",
    VRRP: "vrrp",
    TO: "to",
    OUT: "to",
    LOG: "drop",
    LOST: "drop",
}
# The longest that LOG takes has 29 characters.
LOGGED = '-m limit --limit 5/sec --limit-burst 10 -j LOG --log-prefix "plainlinux.vpc antispoof: "'
# Values that u32 compares one place with.
_MOST = 10

_BROADCAST = "-m pkttype --pkt-type broadcast"
_BEHIND4 = "0x0>>0x16&0x3c@"
_TYPE4 = f"{_BEHIND4}0x0>>0x18"
# As in packets.py: a request of a client on Ethernet, no hops; yiaddr, siaddr and giaddr 0.
_DHCP = f"{_BEHIND4}0x8=0x1010600&&{_BEHIND4}0x18=0x0&&{_BEHIND4}0x1c=0x0&&{_BEHIND4}0x20=0x0"
_DHCP6 = "0x4>>0x8&0xff=0x11&&0x30>>0x18=0x1,0x3:0x6,0x8:0x9,0xb"
_IGMP_REPORTS = f"0x6&0xff=0x2&&{_TYPE4}=0x12,0x16:0x17,0x22"
# An authentication header's protocol; behind it, at the end that its second octet tells, UDP's ports.
_AH_END = f"{_BEHIND4}0x0>>0xe&0x3fc@"

_ICMP6 = "0x4>>0x8&0xff=0x3a&&0x28>>0x18="
# Always with the router alert, so behind a hop-by-hop header of eight octets.
_MLD = "0x4>>0x8&0xff=0x0&&0x28>>0x10=0x3a00&&0x30>>0x18="
_MLD_REPORTS = f"{_MLD}0x83:0x84,0x8f"
_LATER6 = "0x4>>0x8&0xff=0x2c&&0x28&0xfff8=0x1:0xfff8"
_AH6 = "0x4>>0x8&0xff=0x33&&0x28>>0x18=0x1:0x10,0x12:0x2a,0x2d:0x32,0x34:0x39,0x3d:0x66,0x68:0x6f,0x71:0xff"
_AH6_UDP = (
    "0x4>>0x8&0xff=0x33&&0x28>>0x18=0x11&&0x28>>0xe&0x3fc@0x30>>0x10=0x0:0x222,0x224:0xffff"
    "&&0x28>>0xe&0x3fc@0x30&0xffff=0x0:0x221,0x224:0x7ec,0x7ee:0xc95,0xc97:0xffff"
)
# Without extension headers, and none of what is asked below.
_PLAIN6 = "0x4>>0x8&0xff=0x1:0x5,0x7:0x10,0x12:0x2a,0x2d:0x32,0x34:0x39,0x3d:0x66,0x68:0x6f,0x71:0x86,0x88:0xff"


def u32(text: str) -> str:
    """A match of octets."""
    return f'-m u32 --u32 "{text}"'


def _sent4(policy: Policy) -> dict[str, list[str]]:
    return {
        "from": _entry(policy),
        "own": [
            "-p tcp -j RETURN",
            f"-p udp -g {P}udp",
            f"-p icmp -g {P}icmp",
            f"-p ah -g {P}ah",
            f"{u32(_IGMP_REPORTS)} -j RETURN",
            f"{u32('0x6&0xff=0x2,0x67')} -g {P}router",
            f"{u32('0x6&0xff=0x70')} -g {P}vrrp",
            "-j RETURN",
        ],
        # No address at all lies in 0.0.0.0/0 too.
        "net": [
            f"-s 0.0.0.0/32 -g {P}none",
            *(f"-s {format_ipv4(address)}/32 {DROP}" for address in policy.protected4),
            f"-g {P}own",
        ],
        # Later fragments have no ports; what nobody has the beginning of is never put together.
        "udp": [
            "-f -j RETURN",
            "-p udp -m udp ! --sport 67 -m multiport ! --dports 67,68,1985,3222 -j RETURN",
            f"-p udp -m multiport --dports 1985,3222 -g {P}hsrp",
            _place(SERVER),
            f"-p udp -m udp --sport 68 --dport 67 {u32(_DHCP)} -g {P}dhcp",
            DROP,
        ],
        "icmp": ["-f -j RETURN", f"{u32(f'{_TYPE4}=0x0:0x4,0x6:0x8,0xa:0xff')} -j RETURN", f"-g {P}router"],
        "ah": [
            "-f -j RETURN",
            f"{u32(f'{_TYPE4}=0x70')} -g {P}vrrp",
            f"{u32(f'{_TYPE4}=0x0,0x3:0x10,0x12:0x32,0x34:0x66,0x68:0x6f,0x71:0xff')} -j RETURN",
            # UDP, but no DHCP and no HSRP.
            u32(
                f"{_TYPE4}=0x11&&{_AH_END}0x8>>0x10=0x0:0x42,0x44:0xffff"
                f"&&{_AH_END}0x8&0xffff=0x0:0x42,0x45:0x7c0,0x7c2:0xc95,0xc97:0xffff"
            )
            + " -j RETURN",
            DROP,
        ],
        "hsrp": ["! -d 224.0.0.0/4 -j RETURN", f"-g {P}vrrp"],
        # A guest without an address yet: DHCP, and reports of its groups (RFC 3376, 4.2.13).
        "none": [
            (
                f"-s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 {_BROADCAST}"
                f" {u32(f'0x4&0xbfff=0x0&&{_DHCP}')} -g {P}dhcp"
            ),
            f"-s 0.0.0.0/32 -d 224.0.0.0/4 {u32(_IGMP_REPORTS)} -j RETURN",
            DROP,
        ],
        "dhcp": [_place(DHCP), DROP],
        **_roles(),
        "drop": _drop(policy, LOG),
    }


def _sent6(policy: Policy) -> dict[str, list[str]]:
    return {
        "from": _entry(policy),
        "own": [
            "-p tcp -j RETURN",
            f"{u32(_LATER6)} -j RETURN",
            f"-p udp -g {P}udp",
            f"-p ipv6-icmp -g {P}icmp",
            f"{u32(_PLAIN6)} -j RETURN",
            f"{u32('0x4>>0x8&0xff=0x67')} -g {P}router",
            f"{u32('0x4>>0x8&0xff=0x70')} -g {P}vrrp",
            # What an authentication header hides: -p looks behind it with iptables-legacy only.
            f"{u32(_AH6)} -j RETURN",
            f"{u32(_AH6_UDP)} -j RETURN",
            # Behind other extension headers only what iptables can name everywhere.
            "-p esp -j RETURN",
            "-p sctp -j RETURN",
            DROP,
        ],
        "net": [
            f"-s ::/128 -g {P}none",
            *(f"-s {format_ipv6(address)}/128 {DROP}" for address in policy.protected6),
            f"-g {P}own",
        ],
        "udp": [
            "-p udp -m udp ! --sport 547 -m multiport ! --dports 546,547,2029,3222 -j RETURN",
            f"-p udp -m multiport --dports 2029,3222 -g {P}hsrp",
            _place(SERVER),
            # What clients send (RFC 8415, 7.3).
            f"-p udp -m udp --sport 546 --dport 547 {u32(_DHCP6)} -j RETURN",
            DROP,
        ],
        # Neighbour discovery has no extension header, and only the options whose place is known.
        "icmp": [
            *(f"-p ipv6-icmp -m icmp6 --icmpv6-type {number} -j RETURN" for number in (1, 2, 3, 4, 128, 129)),
            # Solicitations of neighbours and routers without an option, then with one.
            f"{u32('0x4>>0x8=0x183a&&0x28>>0x18=0x87')} -j RETURN",
            f"{u32('0x4>>0x8=0x203a&&0x28>>0x18=0x87&&0x40>>0x10=0x101')} -g {P}lladdr",
            f"{u32('0x4>>0x8=0x83a&&0x28>>0x18=0x85')} -j RETURN",
            f"{u32('0x4>>0x8=0x103a&&0x28>>0x18=0x85&&0x30>>0x10=0x101')} -g {P}lladdr",
            f"{u32('0x4>>0x8=0x183a,0x203a&&0x28>>0x18=0x88')} -g {P}target",
            f"{u32(_MLD_REPORTS)} -j RETURN",
            f"{u32(f'{_ICMP6}0x86,0x89')} -g {P}router",
            f"{u32(f'{_MLD}0x82')} -g {P}router",
            DROP,
        ],
        "target": [_place(TARGET), DROP],
        "target-net": [*(f"{u32(target(words(address)))} {DROP}" for address in policy.protected6), f"-g {P}found"],
        # The target is the guest's own: duplicate address detection, with the nonce of RFC 7527 or without, or an NA.
        "found": [
            f"-s ::/128 {u32('0x4>>0x8=0x183a&&0x28>>0x18=0x87')} -j RETURN",
            f"-s ::/128 {u32('0x4>>0x8=0x203a&&0x28>>0x18=0x87&&0x40>>0x10=0xe01')} -j RETURN",
            f"-s ::/128 {DROP}",
            f"{u32('0x4>>0x8=0x183a')} -j RETURN",
            f"{u32('0x40>>0x10=0x201')} -g {P}lladdr",
            DROP,
        ],
        "lladdr": [_place(LLADDR), DROP],
        "hsrp": ["! -d ff00::/8 -j RETURN", f"-g {P}vrrp"],
        # Before an address is a guest's own: is it taken, is there a router, and reports of groups (RFC 3590).
        "none": [
            f"-s ::/128 -d ff02::1:ff00:0/104 {u32('0x4>>0x8=0x183a,0x203a&&0x28>>0x18=0x87')} -g {P}target",
            f"-s ::/128 {u32('0x4>>0x8=0x83a&&0x28>>0x18=0x85')} -j RETURN",
            f"-s ::/128 {u32(_MLD_REPORTS)} -j RETURN",
            DROP,
        ],
        **_roles(),
        "drop": _drop(policy, LOG),
    }


def _delivered(policy: Policy, family: str) -> dict[str, list[str]]:
    groups = {
        "4": (_BROADCAST, "-d 224.0.0.0/4", "-d 255.255.255.255/32"),
        "6": ("-d ff00::/8",),
    }[family]
    return {
        "to": [
            "-m physdev ! --physdev-is-bridged -j RETURN",
            *(f"-m physdev --physdev-out {_name(name)} --physdev-is-bridged -j RETURN" for name in _others(policy)),
            _place(TO),
            _place(OUT),
        ],
        # A guest that has an address in the family gets what is for all.
        "group": [
            "-m pkttype --pkt-type multicast -j RETURN",
            *(f"{group} -j RETURN" for group in groups),
            DROP,
        ],
        "drop": _drop(policy, LOST),
    }


def _entry(policy: Policy) -> list[str]:
    return [
        "-m physdev ! --physdev-is-in -j RETURN",
        *(f"-m physdev --physdev-in {_name(name)} -j RETURN" for name in _others(policy)),
        _place(FROM),
        _place(PORT),
    ]


def _roles() -> dict[str, list[str]]:
    return {"router": [_place(ROUTER), DROP], "vrrp": [_place(VRRP), DROP]}


def _drop(policy: Policy, place: str) -> list[str]:
    return [*([_place(place)] if policy.log else []), "-j DROP"]


def _others(policy: Policy) -> tuple[str, ...]:
    """Ports that are no guest's."""
    return (*policy.uplinks, *policy.trusted)


def _name(name: str) -> str:
    return f"{name[:-1]}+" if name.endswith("*") else name


def _place(tag: str) -> str:
    return f"@{tag}@"


def rule(place: str, text: str) -> str:
    """A guest's rule as a line of iptables-restore."""
    return f"-A {P}{_CHAINS[place]} {text}"


def words(address: int) -> tuple[str, ...]:
    """The four words of an IPv6 address."""
    return tuple(f"{address >> shift & 0xFFFFFFFF:#x}" for shift in (96, 64, 32, 0))


def mac_words(mac: str) -> tuple[str, str]:
    """The first four octets of a MAC, and the last two."""
    number = int(mac.replace(":", ""), 16)
    return f"{number >> 16:#x}", f"{number & 0xFFFF:#x}"


def target(address: Sequence[str], length: int = 128) -> str:
    """u32 for a target of neighbour discovery: an address, or a network by its first one and its length; "" for /0."""
    tests = []
    for number, word in enumerate(address):
        bits = min(max(length - 32 * number, 0), 32)
        mask = f"&{0xFFFFFFFF >> (32 - bits) << (32 - bits):#x}" if bits < 32 else ""
        if bits:
            tests.append(f"{0x30 + 4 * number:#x}{mask}={word}")
    return "&&".join(tests)


def lladdr(high: str, low: str) -> str:
    """u32 for the MAC in the last option of a packet, which ends with it."""
    return f"0x4>>0x10@0x22={high}&&0x4>>0x10@0x24&0xffff={low}"


def lots(addresses: Sequence[str]) -> list[Sequence[str]]:
    """As many of a client's addresses as one rule takes; one lot without any where there are none."""
    step = _MOST - 1
    return [addresses[at : at + step] for at in range(0, len(addresses) or 1, step)]


def dhcp_client(addresses: Sequence[str], high: str, low: str) -> str:
    """u32 for what a client with this MAC says of itself: no address (ciaddr) or one of these, and its MAC (chaddr)."""
    own = ",".join(("0x0", *addresses))
    return u32(f"{_BEHIND4}0x14={own}&&{_BEHIND4}0x24={high}&&{_BEHIND4}0x28>>0x10={low}")


def chains(policy: Policy) -> dict[str, str]:
    """Family -> input of iptables-restore --noflush, or ip6tables-restore, with lines `@TAG@` for the guests' rules."""
    return {
        "4": _text("raw", _sent4(policy)) + _text("filter", _delivered(policy, "4")),
        "6": _text("raw", _sent6(policy)) + _text("filter", _delivered(policy, "6")),
    }


def _text(table: str, rules: dict[str, list[str]]) -> str:
    lines = [f"*{table}", *(f":{P}{chain} - [0:0]" for chain in rules)]
    for chain, texts in rules.items():
        lines += [text if text.startswith("@") else f"-A {P}{chain} {text}" for text in texts]
    return "\n".join((*lines, "COMMIT")) + "\n"


def jumps() -> dict[str, str]:
    """Keys and values of subsystem iptables that lead into the chains: before what others accept."""
    return {
        f"{family} {place}": "first"
        for family in ("4", "6")
        for place in (f"raw PREROUTING -> {P}from", f"filter FORWARD -> {P}to")
    }
