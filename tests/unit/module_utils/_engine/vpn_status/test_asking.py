# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a gateway's daemons, with recorded answers in place of processes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import frr, quagga, racoon, swanctl, verdict
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Argv
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.verdict import Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.vpn_status import asking
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.vpn_status.asking import Wanted
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.interfaces import READ
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon import test_quagga, test_racoon
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon.records import text

ONE = Tunnel("aws1-1", "aws1", "198.51.100.1", "203.0.113.10", "169.254.252.2", "169.254.252.1", True, True, True)
TWO = dataclasses.replace(
    ONE, name="aws1-2", peer="198.51.100.17", inside_address="169.254.12.2", peer_inside_address="169.254.12.1"
)
KERNEL = Wanted("strongswan_frr", "kernel", (ONE, TWO))
USERLAND = dataclasses.replace(KERNEL, ipsec_backend="userland")
LEGACY = dataclasses.replace(KERNEL, provider="racoon_quagga")
SOCKETS = ["/run/plainlinux-vpc-vpn/aws1-1/vici", "/run/plainlinux-vpc-vpn/aws1-2/vici"]

LINKS = json.dumps(
    [
        {
            "ifname": name,
            "flags": ["UP"],
            "mtu": 1400,
            "addr_info": [{"family": "inet", "local": local, "prefixlen": 30}],
        }
        for name, local in (("aws1-1", "169.254.252.2"), ("aws1-2", "169.254.12.2"))
    ]
)
# They were asked for in this order.
ROUTES = dict(zip(("169.254.252.1", "169.254.12.1"), text("routes.txt").partition('{ "warning"')[::2]))
ROUTES["169.254.12.1"] = '{ "warning"' + ROUTES["169.254.12.1"]
MISSING = Output(asking.NOT_INSTALLED, "")
NO_DAEMON = Output(2, "", "connecting to 'unix:///run/a/vici' failed: No such file or directory\nusage:\n")


class Host:
    """Answers by program and words, and counts what it was asked."""

    def __init__(self, **answers: Output | str) -> None:
        self.answers = answers
        self.asked: list[Argv] = []

    def __call__(self, argv: Argv) -> Output:
        self.asked.append(argv)
        key = self._key(argv)
        if key == "routes" and key not in self.answers:
            return Output(0, "".join(found for address, found in sorted(ROUTES.items()) if address in " ".join(argv)))
        found = self.answers[key]
        return found if isinstance(found, Output) else Output(0, found)

    @staticmethod
    def _key(argv: Argv) -> str:
        if argv == READ.argv:
            return "links"
        if argv in (frr.NEIGHBOURS, quagga.NEIGHBOURS):
            return "neighbours"
        if argv[0] == swanctl.PROGRAM:
            return "sas" if argv[1] == "--list-sas" else "connections"
        return {racoon.ISAKMP: "isakmp", racoon.ESP: "esp"}.get(argv, "routes")


def gateway(**answers: Output | str) -> Host:
    up = text("up.txt")
    given: dict[str, Output | str] = {
        "links": LINKS,
        "sas": up + up.replace("aws1-1", "aws1-2"),
        "connections": text("connections.txt"),
        "neighbours": text("neighbors.json"),
    }
    return Host(**{**given, **answers})


def verdicts(wanted: Wanted, host: Host, **options: Any) -> list[tuple[str, str]]:
    found = asking.watch(wanted, 0, host, **options)
    return [verdict.of(tunnel, found[tunnel.name]) for tunnel in wanted.tunnels]


def single(wanted: Wanted) -> Wanted:
    return dataclasses.replace(wanted, tunnels=(ONE,))


def test_one_daemon_has_all_tunnels() -> None:
    host = gateway()
    assert verdicts(KERNEL, host) == [
        ("up", ""),
        ("BGP up, no prefixes", "the peer announces none"),
    ]
    assert [argv[0] for argv in host.asked] == ["ip", "swanctl", "vtysh", "vtysh"]
    assert host.asked[1] == swanctl.sas()


def test_userland_has_a_daemon_for_each() -> None:
    host = gateway()
    verdicts(USERLAND, host)
    assert host.asked[1:3] == [swanctl.sas(socket) for socket in SOCKETS]


def test_a_daemon_that_is_gone_takes_one_tunnel_only() -> None:
    class Half(Host):
        def __call__(self, argv: Argv) -> Output:
            return NO_DAEMON if SOCKETS[1] in argv[-1] else super().__call__(argv)

    assert verdicts(USERLAND, Half(**gateway().answers)) == [
        ("up", ""),
        ("IPsec down", "no daemon listens at /run/a/vici"),
    ]


def test_prefixes_are_asked_for_in_one_process() -> None:
    host = gateway()
    found = asking.watch(KERNEL, 0, host)
    assert host.asked[-1] == frr.routes(["169.254.12.1", "169.254.252.1"])
    one, two = found["aws1-1"].bgp, found["aws1-2"].bgp
    assert one is not None
    assert two is not None
    assert (one.accepted, one.advertised, one.received_count) == (("10.20.0.0/16",), ("10.10.0.0/24",), 4)
    assert (two.accepted, two.advertised, two.received_count) == ((), ("10.10.0.0/24",), None)


@pytest.mark.parametrize("routes", [Output(1, "", "Exiting: failed"), "nothing", text("hold.json")])
def test_without_prefixes_the_state_is_still_known(routes: Output | str) -> None:
    found = asking.watch(single(KERNEL), 0, gateway(routes=routes))
    bgp = found["aws1-1"].bgp
    assert bgp is not None
    assert (bgp.accepted, bgp.accepted_count) == (None, 1)
    assert verdict.of(ONE, found["aws1-1"]) == ("up", "")


@pytest.mark.parametrize(
    "answers, text_, reason",
    [
        ({"sas": MISSING}, "unknown", "swanctl is not installed"),
        ({"sas": Output(asking.TIMED_OUT, "")}, "unknown", "swanctl has not answered within 10 seconds"),
        ({"sas": NO_DAEMON}, "IPsec down", "no daemon listens at /run/a/vici"),
        (
            {"sas": Output(2, "", "connecting to 'default' failed: Permission denied\n")},
            "unknown",
            "swanctl: connecting to 'default' failed: Permission denied",
        ),
        ({"sas": "list-sa event {\n"}, "unknown", "swanctl: its output ends too early"),
        ({"sas": ""}, "IPsec down", "there is no IKE SA, and the daemon is not making one"),
        ({"sas": "", "connections": ""}, "not configured", "the daemon does not know the tunnel"),
        ({"sas": "", "connections": MISSING}, "IPsec down", "there is no IKE SA, and the daemon is not making one"),
        ({"links": MISSING}, "unknown", "ip is not installed"),
        ({"links": "{"}, "unknown", "ip -j addr show: its output is no JSON"),
        ({"links": "[]"}, "IPsec up, interface missing", "there is no interface aws1-1"),
        ({"neighbours": MISSING}, "IPsec up, BGP down", "vtysh is not installed"),
        (
            {"neighbours": Output(1, "", "Exiting: failed to connect to any daemons.\n")},
            "IPsec up, BGP down",
            "vtysh: Exiting: failed to connect to any daemons.",
        ),
        ({"neighbours": Output(1, "", "")}, "IPsec up, BGP down", "vtysh: status 1"),
        ({"neighbours": "% Unknown command"}, "IPsec up, BGP down", "vtysh: its output is no JSON"),
        ({"neighbours": "{}"}, "IPsec up, BGP down", "the daemon has no neighbor 169.254.252.1"),
        ({"neighbours": text("hold.json")}, "IPsec up, BGP down", "Connect, notification sent: Hold Timer Expired"),
    ],
)
def test_what_can_be_missing(answers: dict[str, Output | str], text_: str, reason: str) -> None:
    assert verdicts(single(KERNEL), gateway(**answers)) == [(text_, reason)]


def test_without_bgp_nobody_asks_for_it() -> None:
    static = dataclasses.replace(ONE, bgp=False, accepts=False)
    host = gateway()
    assert verdicts(dataclasses.replace(KERNEL, tunnels=(static,)), host) == [("up", "")]
    assert "vtysh" not in {argv[0] for argv in host.asked}


def test_without_tunnels_nobody_is_asked() -> None:
    host = gateway()
    assert asking.watch(dataclasses.replace(KERNEL, tunnels=()), 60, host) == {}
    assert host.asked == []


def legacy(**answers: Output | str) -> Host:
    pairs = [pair for peer in (ONE.peer, TWO.peer) for pair in ((peer, ONE.local), (ONE.local, peer))]
    phase1 = [test_racoon.phase1(peer, 9, "2026-06-02 15:37:52") for peer in (ONE.peer, TWO.peer)]
    given: dict[str, Output | str] = {
        "links": LINKS.replace("aws1-1", "eth0").replace("aws1-2", "eth1"),
        "isakmp": test_racoon.HEADER + "".join(phase1),
        "esp": "".join(test_racoon.sa(*pair) for pair in pairs),
        "neighbours": test_quagga.UP + test_quagga.ACTIVE.replace("169.254.252.5", TWO.peer_inside_address or ""),
        "routes": test_quagga.TABLE,
    }
    return Host(**{**given, **answers})


def test_legacy() -> None:
    host = legacy()
    found = asking.watch(LEGACY, 0, host)
    assert verdict.of(ONE, found["aws1-1"]) == ("up", "")
    assert verdict.of(TWO, found["aws1-2"]) == ("IPsec up, BGP down", "Active, no session with 169.254.12.1 yet")
    link, bgp = found["aws1-1"].interface, found["aws1-1"].bgp
    assert link is not None
    assert link.name == "eth0"
    assert bgp is not None
    assert bgp.advertised_count == 6
    # The list of the session that is up, three views of it.
    assert [argv[0] for argv in host.asked] == ["ip", "racoonctl", "setkey", *["vtysh"] * 4]


@pytest.mark.parametrize(
    "answers, text_, reason",
    [
        ({"isakmp": MISSING}, "unknown", "racoonctl is not installed"),
        ({"esp": MISSING}, "unknown", "setkey is not installed"),
        (
            {"isakmp": Output(1, "", "send: Bad file descriptor\n")},
            "IPsec down",
            "racoonctl: send: Bad file descriptor",
        ),
        ({"esp": "No SAD entries.\n"}, "IKE up, ESP down", "there is no ESP SA"),
        ({"isakmp": test_racoon.HEADER}, "up", ""),
        (
            {"isakmp": test_racoon.HEADER, "esp": ""},
            "IPsec down",
            "there is no IKE SA, and the daemon is not making one",
        ),
        ({"links": "[]"}, "IPsec up, interface missing", "no interface has 169.254.252.2"),
        (
            {"neighbours": "% BGP instance not found\n"},
            "IPsec up, BGP down",
            "the daemon has no neighbor 169.254.252.1",
        ),
    ],
)
def test_what_can_be_missing_of_legacy(answers: dict[str, Output | str], text_: str, reason: str) -> None:
    assert verdicts(single(LEGACY), legacy(**answers)) == [(text_, reason)]


def test_no_key_in_a_message() -> None:
    # setkey prints keys; a failure of it must not show its output.
    found = asking.watch(LEGACY, 0, legacy(esp=Output(1, test_racoon.sa(ONE.local, ONE.peer), "")))
    assert test_racoon.KEY.split()[0] not in str(found)


class Clock:
    """A clock that only sleeping moves; after `until` seconds of it, something happens."""

    def __init__(self, until: float, event: Callable[[], None]) -> None:
        self.now, self.until, self.event = 1000.0, 1000.0 + until, event
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        if self.now >= self.until:
            self.event()


def waited(seconds: float, until: float) -> tuple[Host, Clock, str]:
    host = gateway(neighbours=text("hold.json"))
    clock = Clock(until, lambda: host.answers.update(neighbours=text("again.json")))
    found = asking.watch(single(KERNEL), seconds, host, clock, clock.sleep)
    return host, clock, verdict.of(ONE, found["aws1-1"])[0]


def test_wait_ends_when_all_is_up() -> None:
    host, clock, text_ = waited(120, 3)
    assert text_ == "up"
    assert clock.naps == [asking.PAUSE] * 3
    # Three processes for each of four looks, and the prefixes at the end.
    assert len(host.asked) == 4 * 3 + 1


def test_wait_ends_when_time_is_over() -> None:
    _host, clock, text_ = waited(2.5, 60)
    assert text_ == "IPsec up, BGP down"
    assert clock.naps == [1.0, 1.0, 0.5]


def test_without_waiting_there_is_one_look() -> None:
    host, clock, text_ = waited(0, 3)
    assert (text_, clock.naps, len(host.asked)) == ("IPsec up, BGP down", [], 3)


def test_of_content() -> None:
    content = {"provider": "strongswan_frr", "ipsec_backend": "kernel", "tunnels": [dataclasses.asdict(ONE)]}
    assert Wanted.of(content) == single(KERNEL)


def test_real_processes() -> None:
    assert asking.ask(("printf", "a\\377b")) == Output(0, "a\ufffdb", "")
    assert asking.ask(("no-such-program-of-ours",)).status == asking.NOT_INSTALLED
    assert asking.ask(("sh", "-c", "echo wrong >&2; exit 3")) == Output(3, "", "wrong\n")


def test_a_process_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.05)
    assert asking.ask(("sleep", "60")).status == asking.TIMED_OUT
