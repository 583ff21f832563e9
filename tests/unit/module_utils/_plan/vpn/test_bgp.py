# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BGP with a real neighbour: what a gateway lets in, what it tells, and what its kernel gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import changed, gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Frr
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.test_frr import text

# The other side, by hand: it announces what it should, and what it should not.
PEER = """\
ip route 10.20.0.0/16 blackhole
ip route 10.20.5.0/24 blackhole
ip route 10.21.0.0/16 blackhole
ip route 10.10.10.128/25 blackhole
ip route 0.0.0.0/0 blackhole
router bgp 64512
 bgp router-id 198.51.100.1
 no bgp ebgp-requires-policy
 neighbor 169.254.252.2 remote-as 65000
 neighbor 169.254.252.6 remote-as 65000
 address-family ipv4 unicast
  network 10.20.0.0/16
  network 10.20.5.0/24
  network 10.21.0.0/16
  network 10.10.10.128/25
  network 0.0.0.0/0
 exit-address-family
"""


Ends = tuple[Frr, Frr]
CASES = {
    "equal": changed(accept=["10.20.0.0/16", "10.10.0.0/16"]),
    "preferred": changed(mode="active_passive"),
}


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Ends]]:
    """(ours, the peer) by case, all at once: a session takes its time to come up."""
    found: dict[str, Ends] = {}
    try:
        for name, connection in CASES.items():
            ours, peer = found[name] = (Frr(), Frr(listen=True))
            join(ours, peer)
            load(peer, PEER)
            load(ours, text(gateway(connection)))
        yield found
    finally:
        for ends in found.values():
            for end in ends:
                end.remove()


def join(ours: Frr, peer: Frr) -> None:
    """By two interfaces in place of tunnels."""
    for number, last in ((1, 0), (2, 4)):
        ours.netns.sh(
            f"ip link add aws1-{number} type veth peer name aws1-{number} netns {peer.netns.name};"
            f"ip addr add 169.254.252.{last + 2}/30 dev aws1-{number}; ip link set aws1-{number} up"
        )
        peer.netns.sh(f"ip addr add 169.254.252.{last + 1}/30 dev aws1-{number}; ip link set aws1-{number} up")


def until(what: Callable[[], list[str]], expected: list[str]) -> None:
    end = time.monotonic() + 40
    while (found := what()) != expected and time.monotonic() < end:
        time.sleep(0.2)
    assert found == expected


def routes(end: Frr) -> list[str]:
    """What BGP brought to the kernel, with the number of ways."""
    found = end.netns.sh("ip -o route show proto bgp").splitlines()
    return sorted(f"{line.split()[0]} {max(line.count('nexthop'), 1)}" for line in found)


def devices(end: Frr) -> list[str]:
    """Where these routes lead."""
    return [word for word in end.netns.sh("ip -o route show proto bgp").split() if word.startswith("aws1-")]


def load(end: Frr, config: str) -> None:
    path = end.folder / "frr.conf"
    path.write_text(config)
    end.vtysh("-f", str(path))


def test_equal_tunnels(cases: dict[str, Ends]) -> None:
    ours, peer = cases["equal"]
    # Not 10.21.0.0/16 and no default route, which nobody listed; no part of our own 10.10.10.0/24.
    until(lambda: routes(ours), ["10.20.0.0/16 2", "10.20.5.0/24 2"])
    shown = peer.vtysh("-c", "show bgp ipv4 unicast neighbors 169.254.252.2 routes")
    assert [network in shown for network in ("10.10.10.0/24", "10.10.20.0/24", "10.30.0.0/24")] == [True, True, False]
    # What one tunnel brought is not for the others.
    assert "Community: no-advertise" in ours.vtysh("-c", "show bgp ipv4 unicast 10.20.0.0/16")
    # Packets for nobody stay.
    assert "blackhole 10.10.10.0/24" in ours.netns.sh("ip route show")


def test_the_first_tunnel_is_preferred_both_ways(cases: dict[str, Ends]) -> None:
    ours, peer = cases["preferred"]
    until(lambda: routes(ours), ["10.20.0.0/16 1", "10.20.5.0/24 1"])
    until(lambda: routes(peer), ["10.10.10.0/24 1", "10.10.20.0/24 1"])
    until(lambda: devices(ours), ["aws1-1", "aws1-1"])
    until(lambda: devices(peer), ["aws1-1", "aws1-1"])
    # It takes over when the first one has gone, long before the hold time: the interface says so.
    ours.netns.sh("ip link set aws1-1 down")
    until(lambda: devices(ours), ["aws1-2", "aws1-2"])
