# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups against what no honest program sends: unknown addresses, groups, tags, fragments, a way around."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import link_local
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_probes import (
    LOST,
    PASSED,
    PATIENCE,
    SHORT,
    Frame,
    Probe,
    marked,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    BACKENDS,
    NETWORKS,
    World,
    guest,
    plan,
)
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

GROUPS = [
    {"name": "web", "ingress": [{"protocol": "udp", "ports": 9000}, {"protocol": "icmp", "type": "echo-request"}]},
    {"name": "shut", "egress": []},
    {"name": "router", "egress": [{"protocol": "udp", "ports": 9000}]},
]
# On each network: w gets port 9000, s gets and sends nothing, o is not filtered.
GUESTS = [
    guest(f"{letter}{number}", network["name"], *groups)
    for number, network in enumerate(NETWORKS, 1)
    for letter, groups in {"w": ["web"], "s": ["shut"], "o": []}.items()
]
KINDS = ("1", "2", "3")
# Where guests have neighbours that no hop lies between.
SWITCHED = ("2", "3")
OUTSIDE = "198.51.100.1"
NOBODY = str(IPv4Address(0))
EVERY = "ff:ff:ff:ff:ff:ff"


def inventory(**changes: Any) -> dict[str, Any]:
    return {"vpc_networks": NETWORKS, "vpc_security_groups": GROUPS, "vpc_instances": GUESTS, **changes}


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(plan(request.param, **inventory()))
    yield made
    made.remove()


class Scene:
    """Who is who on one network of a world."""

    def __init__(self, world: World, kind: str) -> None:
        self.world, self.kind = world, kind
        self.macs = {port.instance: port.mac for port in world.plan.layout.ports}

    def guest(self, letter: str) -> str:
        return f"{letter}{self.kind}"

    def mac(self, letter: str) -> str:
        return self.macs[self.guest(letter)]

    def address(self, letter: str, family: int = 4) -> str:
        return self.world.places[self.guest(letter)].addresses[family]

    def link_local(self, letter: str) -> str:
        return format_ipv6(link_local(self.mac(letter)))

    def gateway(self) -> str:
        """The MAC to which guests send what is for others."""
        return f"02:00:00:00:01:{int(self.kind) - 1:02x}"

    def frame(self, packet: Packet, sender: str = "o", receiver: str = "w", to: str = "") -> Frame:
        """A packet from guest to guest. to: a MAC other than the receiver's."""
        ether = Ether(src=self.mac(sender), dst=to or self.mac(receiver))
        return Frame(
            bytes(ether / packet / Raw(marked())), (self.guest(sender), "eth0"), (self.guest(receiver), "eth0")
        )


def udp(source: str, target: str, port: int = 9000) -> Packet:
    if ":" in target:
        return IPv6(src=source, dst=target, hlim=1) / UDP(sport=1234, dport=port)
    return IP(src=source, dst=target) / UDP(sport=1234, dport=port)


@pytest.mark.parametrize("kind", SWITCHED)
def test_between_neighbours(world: World, kind: str) -> None:
    scene = Scene(world, kind)
    o4, w4, s4 = (scene.address(letter) for letter in "ows")
    o6, w6 = (scene.address(letter, 6) for letter in "ow")
    local, other = scene.link_local("o"), scene.link_local("w")
    unknown4, unknown6 = w4.rsplit(".", 1)[0] + ".250", f"{w6.split('::')[0]}::fa"
    known = kind == "2"
    group = "01:00:5e:00:00:fb"
    ends = {
        "IPv4": (scene.frame(udp(o4, w4)), True),
        "IPv4, another port": (scene.frame(udp(o4, w4, 9001)), False),
        "IPv6": (scene.frame(udp(o6, w6)), True),
        "IPv6, another port": (scene.frame(udp(o6, w6, 9001)), False),
        "link-local": (scene.frame(udp(local, other)), True),
        "link-local, another port": (scene.frame(udp(local, other, 9001)), False),
        "from nobody": (scene.frame(udp(unknown4, w4)), not known),
        "from nobody, IPv6": (scene.frame(udp(unknown6, w6)), not known),
        "to nobody": (scene.frame(udp(o4, unknown4)), False),
        "to nobody, IPv6": (scene.frame(udp(o6, unknown6)), False),
        "from a filtered guest to nobody": (scene.frame(udp(w4, unknown4), "w", "o"), not known),
        "from a filtered guest as nobody": (scene.frame(udp(unknown4, o4), "w", "o"), False),
        "from a filtered guest as nobody, IPv6": (scene.frame(udp(unknown6, o6), "w", "o"), False),
        "from who may send nothing": (scene.frame(udp(s4, o4), "s", "o"), False),
        "one address in a frame to many": (scene.frame(udp(o4, w4, 9001), to=group), False),
        "one address in a frame to all": (scene.frame(udp(o4, w4, 9001), to=EVERY), False),
        "tag of no VLAN": (scene.frame(Dot1Q(vlan=0) / udp(o4, w4, 9001)), False),
        "tag of no VLAN, IPv6": (scene.frame(Dot1Q(vlan=0) / udp(o6, w6, 9001)), False),
        "tag of a VLAN": (scene.frame(Dot1Q(vlan=7) / udp(o4, w4)), False),
        "tag of no service VLAN": (scene.frame(Dot1AD(vlan=0) / udp(o4, w4, 9001)), False),
    }
    world.frames(ends)


def usual(address: str, local: str) -> dict[str, tuple[Packet, str]]:
    """What keeps a network up, and the MAC to which it goes, from a guest with these addresses."""
    return {
        "IGMP": (IP(src=address, dst="224.0.0.22", ttl=1, proto=2) / Raw(b"\x22\0\0\0\0\0\0\0"), "01:00:5e:00:00:16"),
        "VRRP": (IP(src=address, dst="224.0.0.18", ttl=255, proto=112), "01:00:5e:00:00:12"),
        "DHCP": (IP(src=NOBODY, dst="255.255.255.255") / UDP(sport=68, dport=67), EVERY),
        "ND": (IPv6(src=local, dst="ff02::1", hlim=255) / ICMPv6ND_NS(tgt=local), "33:33:00:00:00:01"),
        "MLD": (
            IPv6(src=local, dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2(),
            "33:33:00:00:00:16",
        ),
        "DHCPv6": (IPv6(src=local, dst="ff02::1:2") / UDP(sport=546, dport=547), "33:33:00:01:00:02"),
    }


@pytest.mark.parametrize("kind", SWITCHED)
def test_to_groups(world: World, kind: str) -> None:
    """Of frames to many, a filtered guest gets what keeps its network up, and an unfiltered one whatever there is."""
    scene = Scene(world, kind)
    o4, local = scene.address("o"), scene.link_local("o")
    others: dict[str, tuple[Packet, str]] = {
        "mDNS": (udp(o4, "224.0.0.251", 5353), "01:00:5e:00:00:fb"),
        "mDNS, IPv6": (udp(local, "ff02::fb", 5353), "33:33:00:00:00:fb"),
        "a port that is open": (udp(o4, "224.0.0.251"), "01:00:5e:00:00:fb"),
        "to all": (udp(o4, "255.255.255.255"), EVERY),
        "to all of the network": (udp(o4, o4.rsplit(".", 1)[0] + ".255"), EVERY),
        "OSPF": (IP(src=o4, dst="224.0.0.5", ttl=1, proto=89), "01:00:5e:00:00:05"),
        "ND from afar": (IPv6(src=local, dst="ff02::1", hlim=254) / ICMPv6ND_NS(tgt=local), "33:33:00:00:00:01"),
        "echo": (IPv6(src=local, dst="ff02::1", hlim=255) / ICMPv6EchoRequest(), "33:33:00:00:00:01"),
    }
    ends = {name: (scene.frame(packet, to=mac), True) for name, (packet, mac) in usual(o4, local).items()}
    # And what it sends, whatever its groups say.
    for name, (packet, mac) in usual(scene.address("s"), scene.link_local("s")).items():
        ends[f"{name}, sent"] = (scene.frame(packet, "s", "o", to=mac), True)
    ends.update({name: (scene.frame(packet, to=mac), False) for name, (packet, mac) in others.items()})
    world.frames(ends)


@pytest.mark.parametrize("kind", SWITCHED)
def test_nothing_passes_without_br_netfilter(world: World, kind: str) -> None:
    ways = [Probe("udp", f"o{kind}", f"w{kind}", 9000, family) for family in (4, 6)]
    ways += [Probe("udp", "outside", "w3", 9000, family) for family in (4, 6)]
    routed = [Probe("udp", "outside", f"w{kind}", 9000, family) for kind in "12" for family in (4, 6)]
    world.compare(dict.fromkeys(ways + routed, PASSED))
    world.bridge_nf(False)
    world.forget()
    world.loses(*ways)
    world.passes(*routed)
    world.bridge_nf(True)
    world.passes(*ways)


def test_no_mark_is_left_for_the_choice_of_routes(world: World) -> None:
    world.enforce()
    world.shell("ip rule add fwmark 0x2000/0x2000 unreachable priority 10")
    try:
        world.passes(
            Probe("udp", "w2", "outside", 9000), Probe("udp", "o2", "w2", 9000), Probe("udp", "w2", "host", 53)
        )
    finally:
        world.shell("ip rule del priority 10")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_known_flows_pass(world: World, kind: str, family: int) -> None:
    """No rule of w lets these in; a port without a server is how the sender learns of one."""
    world.open()
    for filtered in (False, True):
        if filtered:
            world.enforce()
            world.forget()
        for target in ("outside", f"o{kind}"):
            with world.client(Probe("udp", f"w{kind}", target, 4242, family), PATIENCE, socket.SOCK_DGRAM) as (
                made,
                word,
            ):
                made.connect((word, 4242))
                made.send(b"anybody?")
                with pytest.raises(ConnectionRefusedError):
                    made.recv(100)


@pytest.mark.parametrize("kind", SWITCHED)
def test_errors_of_no_flow_do_not_pass(world: World, kind: str) -> None:
    scene = Scene(world, kind)
    o4, w4 = scene.address("o"), scene.address("w")
    error = IP(src=o4, dst=w4) / ICMP(type=3, code=3) / IP(src=w4, dst=o4) / UDP(sport=1, dport=2)
    ping = IP(src=o4, dst=w4) / ICMP(type=8)
    mask = IP(src=o4, dst=w4) / ICMP(type=17)
    world.frames(
        {
            "error": (scene.frame(error), False),
            "echo request": (scene.frame(ping), True),
            "mask request": (scene.frame(mask), False),
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_fragments(world: World, kind: str) -> None:
    rows = {}
    for source in (f"o{kind}", "outside"):
        for family in (4, 6):
            rows[Probe("udp", source, f"w{kind}", 9000, family, 4000)] = PASSED
            rows[Probe("udp", source, f"w{kind}", 9001, family, 4000)] = LOST
    world.compare(rows)


@pytest.mark.parametrize("kind", SWITCHED)
def test_later_fragments_have_no_ports(world: World, kind: str) -> None:
    scene = Scene(world, kind)
    o4, w4 = scene.address("o"), scene.address("w")
    alone = IP(src=o4, dst=w4, id=77, frag=100, proto=17) / Raw(bytes(UDP(sport=1, dport=9000, len=20)))
    short = IP(src=o4, dst=w4, id=78, flags="MF", proto=17) / Raw(b"\x12\x34")
    world.frames({"alone": (scene.frame(alone), False), "short": (scene.frame(short), False)})


def test_a_refused_flow_cannot_be_answered(world: World) -> None:
    """Between two networks of a host packets come twice: what the first pass denies is not remembered by conntrack."""
    one, two = Scene(world, "1"), Scene(world, "2")
    o4, s4 = one.address("o"), two.address("s")

    def there() -> Frame:
        packet = IP(src=o4, dst=s4) / UDP(sport=1111, dport=2222) / Raw(marked())
        return Frame(bytes(Ether(src=one.mac("o"), dst=one.gateway()) / packet), ("o1", "eth0"), ("s2", "eth0"))

    def back() -> Frame:
        packet = IP(src=s4, dst=o4) / UDP(sport=2222, dport=1111) / Raw(marked())
        return Frame(bytes(Ether(src=two.mac("s"), dst=two.gateway()) / packet), ("s2", "eth0"), ("o1", "eth0"))

    world.open()
    assert world.seen([there()], PATIENCE) == [True]
    assert world.seen([back()], PATIENCE) == [True]
    world.enforce()
    world.forget()
    assert world.seen([there()], SHORT) == [False]
    assert o4 not in world.shell("conntrack -L 2>/dev/null")
    assert world.seen([back()], SHORT) == [False]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_router_among_the_guests(backend: str) -> None:
    """What it passes on is judged by its groups, and what others send by theirs."""
    guests = [
        *GUESTS,
        guest("r1", "net1", "router", allowed_addresses=["0.0.0.0/0", "10.10.10.96/27"]),
        guest("r3", "net3", "router", allowed_addresses=["0.0.0.0/0"]),
    ]
    made = World(plan(backend, **inventory(vpc_instances=guests)))
    try:
        taken = {address for place in made.places.values() for address in place.addresses.values()}
        own = next(address for address in (f"10.10.10.{number}" for number in range(97, 127)) if address not in taken)
        for kind, sends in (("1", ("198.18.0.7", own)), ("3", ("198.18.0.7",))):
            scene = Scene(made, kind)
            gateway = scene.gateway() if kind == "1" else made.mac("router", "leg2")
            receiver = ("router", "und0" if kind == "1" else "leg2")
            ends = {}
            for source in sends:
                for port in (9000, 9001):
                    packet = Ether(src=scene.mac("r"), dst=gateway) / udp(source, OUTSIDE, port) / Raw(marked())
                    ends[f"{kind} {source} {port}"] = (
                        Frame(bytes(packet), (f"r{kind}", "eth0"), receiver),
                        port == 9000,
                    )
            made.frames(ends)
        made.passes(*(Probe("udp", f"o{kind}", "outside", 9001) for kind in KINDS))
        made.passes(*(Probe("udp", "outside", f"o{kind}", 9001) for kind in KINDS))
        made.passes(*(Probe("udp", "outside", f"w{kind}", 9000) for kind in KINDS))
    finally:
        made.remove()
