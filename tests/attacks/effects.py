# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of effects: what attacks do to real stacks, and exchanges between real stacks that have to work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, REQUEST, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.dhcp import bootp, server
from ansible_collections.plainlinux.vpc.tests.attacks.l2 import BRIDGE_GROUP, EAPOL_GROUP, bpdu, frame, length
from ansible_collections.plainlinux.vpc.tests.attacks.nd import (
    ALL_NODES,
    behind,
    disguised,
    na,
    ns,
    ra,
    solicited_node,
    to_group,
    to_one,
)
from ansible_collections.plainlinux.vpc.tests.attacks.stage import Effect, Stage, ping
from ansible_collections.plainlinux.vpc.tests.attacks.world import ABSENT, ANY4, BROADCAST, FLAT, ISOLATED, World
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr
from scapy.packet import Packet, Raw

_ZERO = "00:00:00:00:00:00"
_LLDP_GROUP = "01:80:c2:00:00:0e"
_PORT = 9999
_MANY = 3000


def effects(world: World) -> list[Effect]:
    """All effects that this kind of world has, in the order in which they have to be tried; some may be impossible."""
    found = [*_exchanges(world), *_hypervisor(world), *_bridge(world)]
    if world.kind != ISOLATED:
        found += _neighbour(world)
    found.append(Effect("bad:effect/BPDU makes a the root, STP on", "effect: STP", False, _root))
    return found


def _exchanges(world: World) -> Iterator[Effect]:
    b, c, second = world.guest("b"), world.guest("c"), world.second
    host, gw, outside4, outside6 = world.host, world.gw, world.ext.ip4, world.ext.ip6
    pings = {
        "b to outside": ("b", outside4),
        "b to outside, IPv6": ("b", outside6),
        "b's second to outside": ("b", outside4, "-I", second.ip4),
        "b's second to outside, IPv6": ("b", outside6, "-I", second.ip6),
        "b to gateway": ("b", gw.ip4),
        "b to gateway's link-local": ("b", gw.ll),
        "b to hypervisor": ("b", host.ip4),
        "b to hypervisor, IPv6": ("b", host.ip6),
        "b to c": ("b", c.ip4),
        "c to b's second": ("c", second.ip4),
        "a to b": ("a", b.ip4),
        "a to b, IPv6": ("a", b.ip6),
        "c to outside": ("c", outside4),
        "hypervisor to b": ("host", b.ip4),
        "hypervisor to b's second, IPv6": ("host", second.ip6),
        "outside to b": ("ext", b.ip4),
        "outside to b's second, IPv6": ("ext", second.ip6),
        "b to outside, 20,000 octets": ("b", outside4, "-s", "20000"),
        "b to outside, IPv6, 20,000 octets": ("b", outside6, "-s", "20000"),
    }
    if world.routed:
        pings["b to a remote guest"] = ("b", world.scene.remote4)
    for name, (source, target, *options) in pings.items():
        absent = not {target, *options}.isdisjoint((ABSENT.ip4, ABSENT.ip6)) or (source == "c" and c == ABSENT)
        possible = not absent and (source != "ext" or world.scene.inwards)
        possible = possible and (target not in (outside4, outside6) or world.scene.answers)
        yield Effect(f"ok:effect/ping {name}", "effect: ping", True, ping(source, target, *options), possible)
    yield Effect("ok:effect/b's own DAD", "effect: DAD", True, lambda stage: not stage.rejected(), b.ip6 != ABSENT.ip6)
    if not world.routed:
        advertisement = to_group(gw, gw.ll, ALL_NODES) / ra(gw.mac)
        yield Effect(
            "ok:effect/default route from the gateway's RA",
            "effect: RA",
            True,
            lambda stage: stage.advertised("ext", gw.ll, advertisement),
        )


def _neighbour(world: World) -> Iterator[Effect]:
    """What guest a does to guest b, over the bridge alone."""
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    has6 = ABSENT.ip6 not in (a.ip6, b.ip6)
    to_b = (b.mac, b.ip4)
    fake = (a.mac, gw.ip4)

    def cache(name: str, *frames: Packet | bytes) -> Effect:
        return Effect(
            f"bad:effect/ARP cache, {name}",
            "effect: ARP cache",
            False,
            lambda stage: stage.poisoned("b", gw.ip4, gw.mac, *frames),
        )

    yield cache("reply", arp(REPLY, fake, to_b, b.mac))
    yield cache("broadcast request", arp(REQUEST, fake, (_ZERO, b.ip4)))
    yield cache("unicast request", arp(REQUEST, fake, (_ZERO, b.ip4), b.mac))
    yield cache("gratuitous request", arp(REQUEST, fake, (_ZERO, gw.ip4)))
    yield cache("gratuitous reply", arp(REPLY, fake, (a.mac, gw.ip4)))
    plain = bytes(arp(REPLY, fake, to_b, b.mac))
    yield cache("reply with priority tag", plain[:12] + b"\x81\0\0\0" + plain[12:])
    yield cache("body of another MAC", arp(REPLY, ("00:16:3e:00:00:55", gw.ip4), to_b, b.mac, header=a.mac))

    def cache6(name: str, *frames: Packet | bytes) -> Effect:
        return Effect(
            f"bad:effect/NDP cache, {name}",
            "effect: NDP cache",
            False,
            lambda stage: stage.poisoned("b", gw.ll, gw.mac, *frames),
            has6,
        )

    spoof = na(gw.ll, a.mac, router=1)
    everybody = to_group(a, a.ll, ALL_NODES)
    yield cache6("NA", to_one(a, a.ll, b, b.ll) / spoof)
    yield cache6("NA to all", everybody / spoof)
    for what in ("destination options", "hop-by-hop", "two headers"):
        yield cache6(f"NA behind {what}", behind(everybody, spoof, what))
    yield cache6("NA behind its own disguise", disguised(a, everybody, spoof))
    to_global = to_one(a, a.ip6, b, b.ip6)
    yield cache6("NA to b's global address", to_global / spoof)
    yield cache6("disguised NA to b's global address", disguised(a, to_global, spoof))
    yield cache6("NS with option", to_group(a, gw.ll, solicited_node(b.ip6)) / ns(b.ip6, a.mac))

    def route(name: str, sent: Packet | bytes) -> Effect:
        attempt: Callable[[Stage], bool] = lambda stage: stage.advertised("a", a.ll, sent)  # noqa: E731
        return Effect(f"bad:effect/default route, {name}", "effect: RA", False, attempt, has6)

    plain = bytes(everybody / ra(a.mac))
    yield route("RA", plain)
    yield route("RA behind destination options", behind(everybody, ra(a.mac), "destination options"))
    yield route("RA with priority tag", plain[:12] + b"\x81\0\0\0" + plain[12:])
    spare = world.spare6
    collision = to_group(a, "::", solicited_node(spare)) / ns(spare)
    for name, packet in (("NS", collision), ("NA", everybody / na(spare, a.mac))):
        yield Effect(
            f"bad:effect/DAD of b fails, {name}",
            "effect: DAD",
            False,
            lambda stage, packet=packet: stage.rejected(packet),  # type: ignore[misc]
            has6,
        )
    yield Effect("bad:effect/IPv4 redirect", "effect: redirect", False, _redirected)
    yield Effect("bad:effect/IPv6 redirect", "effect: redirect", False, _redirected6, has6)
    yield Effect("bad:effect/offer of a rogue server", "effect: DHCP", False, _offered)


def _redirected(stage: Stage) -> bool:
    world = stage.world
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    device = stage.topology.device("b")
    stage.change("b", **{f"net/ipv4/conf/{name}/accept_redirects": 1 for name in ("all", device)})
    stage.ask("b", f"ip neigh replace {a.ip4} lladdr {a.mac} nud reachable dev {device}")
    # The kernel takes a redirect for an echo reply without asking which socket it belongs to.
    original = IP(src=b.ip4, dst=world.ext.ip4) / ICMP(type=0) / Raw(bytes(8))
    stage.send("a", eth(a, b) / IP(src=gw.ip4, dst=b.ip4) / ICMP(type=5, code=1, gw=a.ip4) / original)
    found = stage.ask("b", f"ip -4 route get {world.ext.ip4}")
    stage.ask("b", "ip route flush cache")
    return f"via {a.ip4} " in found


def _redirected6(stage: Stage) -> bool:
    world = stage.world
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    device = stage.topology.device("b")
    stage.change("b", **{f"net/ipv6/conf/{name}/accept_redirects": 1 for name in ("all", device)})
    # A redirect counts if it comes from the router that is in use, by its link-local address.
    route = f"{world.ext.ip6} via {gw.ll} dev {device}"
    stage.ask("b", f"ip -6 route add {route}")
    message = ICMPv6ND_Redirect(tgt=a.ll, dst=world.ext.ip6) / ICMPv6NDOptDstLLAddr(lladdr=a.mac)
    stage.send("a", to_one(a, gw.ll, b, b.ip6) / message)
    found = stage.ask("b", f"ip -6 route get {world.ext.ip6}")
    stage.ask("b", "ip -6 route flush cache")
    stage.ask("b", f"ip -6 route del {route}")
    return f"via {a.ll} " in found


def _offered(stage: Stage) -> bool:
    a, b = stage.world.guest("a"), stage.world.guest("b")
    with stage.topology.udp_socket("b", ANY4, 68) as client:
        stage.send("a", server(a, a.ip4, bootp("offer", b.mac, 2, yiaddr=stage.world.nobody[0].ip4)))
        try:
            return MARK in client.recv(2000)
        except BlockingIOError:
            return False


def _hypervisor(world: World) -> Iterator[Effect]:
    """What guest a does to the hypervisor itself."""
    a, b, host = world.guest("a"), world.guest("b"), world.host
    arps = {
        "reply": arp(REPLY, (a.mac, b.ip4), (host.mac, host.ip4), host.mac),
        "request": arp(REQUEST, (a.mac, b.ip4), (_ZERO, host.ip4)),
        "gratuitous": arp(REQUEST, (a.mac, b.ip4), (_ZERO, b.ip4)),
    }
    for name, packet in arps.items():
        yield Effect(
            f"bad:effect/hypervisor's ARP cache, {name}",
            "effect: hypervisor",
            False,
            lambda stage, packet=packet: stage.poisoned("host", b.ip4, b.mac, packet),  # type: ignore[misc]
        )
    advertisement = to_group(a, a.ll, ALL_NODES) / na(b.ip6, a.mac)
    yield Effect(
        "bad:effect/hypervisor's NDP cache, NA",
        "effect: hypervisor",
        False,
        lambda stage: stage.poisoned("host", b.ip6, b.mac, advertisement),
        b.ip6 != ABSENT.ip6,
    )

    def spoofed(stage: Stage) -> bool:
        with stage.topology.udp_socket("host", host.ip4, _PORT) as service:
            stage.send("a", eth(a, host) / IP(src=b.ip4, dst=host.ip4) / udp(dport=_PORT))
            try:
                return bool(service.recvfrom(2000)[1][0] == b.ip4)
            except BlockingIOError:
                return False

    yield Effect("bad:effect/hypervisor's socket believes a is b", "effect: hypervisor", False, spoofed)


def _bridge(world: World) -> Iterator[Effect]:
    """What guest a does to the bridge's own tables, and what it overhears by that."""
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    tagged = bytes(arp(REQUEST, (b.mac, a.ip4), (_ZERO, gw.ip4)))
    frames = {
        "broadcast": bytes(arp(REQUEST, (b.mac, a.ip4), (_ZERO, gw.ip4))),
        "unicast": bytes(eth(b.mac, gw) / IP(src=a.ip4, dst=gw.ip4) / udp()),
        "tagged": tagged[:12] + b"\x81\0\0\0" + tagged[12:],
        "LLDP": frame(b.mac, _LLDP_GROUP, 0x88CC, MARK),
        "EAPOL": frame(b.mac, EAPOL_GROUP, 0x888E, MARK),
        "address of STP": length(b.mac, BRIDGE_GROUP, bpdu(b.mac)),
    }
    for name, data in frames.items():
        yield Effect(
            f"bad:effect/b's FDB entry, {name}",
            "effect: FDB theft",
            False,
            lambda stage, data=data: stage.stolen(b.mac, world.vifs["b"].name, data),  # type: ignore[misc]
        )
    others = [("virtual MAC of r", world.virtual(4).mac, world.vifs["r"].name if "r" in world.vifs else "")]
    if world.kind == FLAT:
        others.append(("gateway's", gw.mac, world.scene.uplinks[0]))
    for name, mac, port in others:
        for how, target, number in (("broadcast", BROADCAST, 0x0806), ("LLDP", _LLDP_GROUP, 0x88CC)):
            data = frame(mac, target, number, MARK)
            yield Effect(
                f"bad:effect/FDB entry, {name}, {how}",
                "effect: FDB theft",
                False,
                lambda stage, mac=mac, port=port, data=data: stage.stolen(mac, port, data),  # type: ignore[misc]
                mac != ABSENT.mac,
            )
    yield Effect("bad:effect/FDB filled with made-up MACs", "effect: FDB filled", False, _filled)
    yield Effect("bad:effect/a reads b's unicast after b's entry is gone", "effect: sniffing", False, _overheard)
    yield Effect("bad:effect/broadcast storm", "effect: storm", False, _storm)


def _filled(stage: Stage) -> bool:
    # One half over a path that netfilter sees, one half over the one that it does not.
    for number in range(100):
        mac = f"02:77:00:00:00:{number:02x}"
        target, kind = ((BROADCAST, 0x0800), (_LLDP_GROUP, 0x88CC))[number % 2]
        stage.wire.send("a", frame(mac, target, kind, MARK))
    stage.wire.settle()
    return len(stage.entries(f"^02:77:00:00:00:.* {re.escape(stage.world.vifs['a'].name)} ")) > 0


def _overheard(stage: Stage) -> bool:
    world = stage.world
    b, port = world.guest("b"), world.vifs["b"].name
    sender, source = ("host", world.host) if world.routed else ("ext", world.gw)
    for _turn in range(3):
        entry = stage.entries(f"^{b.mac} ")
        if entry and not any("static" in line or "permanent" in line for line in entry):
            stage.try_("host", f"bridge fdb del {b.mac} dev {port} master")
        stage.wire.collect()
        stage.send(sender, eth(source, b) / IP(src=source.ip4, dst=b.ip4) / udp())
        count = stage.count("a", MARK)
        stage.wire.refresh()
        if count:
            return True
    return False


def _storm(stage: Stage) -> bool:
    """Whether more than half of 3,000 broadcasts that are sent at once arrive."""
    a = stage.world.guest("a")
    receiver = "host" if stage.world.kind == ISOLATED else "b"
    storm = bytes(arp(REQUEST, (a.mac, a.ip4), (_ZERO, stage.world.nobody[0].ip4))) + MARK
    stage.wire.collect()
    stage.wire.send("a", *[storm] * _MANY)
    return stage.count(receiver, MARK) > _MANY // 2


def _root(stage: Stage) -> bool:
    world = stage.world
    a = world.guest("a")
    before = stage.ask("host", f"ip -d link show {world.bridge}")
    stage.ask("host", f"ip link set {world.bridge} type bridge stp_state 1")
    stage.send("a", length(a.mac, BRIDGE_GROUP, bpdu(a.mac)))
    # 0: the bridge is the root itself.
    found = stage.ask("host", f"ip -d link show {world.bridge}")
    stage.ask("host", f"ip link set {world.bridge} type bridge stp_state 0")
    # With STP, the shortest delay is two seconds.
    delay = re.findall(r" forward_delay (\d+) ", before)[0]
    stage.ask("host", f"ip link set {world.bridge} type bridge forward_delay {delay}")
    # A port with a guard against BPDU is disabled now; without one, the bridge believes what it heard.
    for state in ("down", "up"):
        stage.ask("host", f"ip link set {world.vifs['a'].name} {state}")
    return " root_port 0 " not in found
