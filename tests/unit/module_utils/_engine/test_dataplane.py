# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps of the data plane, each shown with real packets: without our guard it snaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.test_transaction import Host, inventory
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

PAIR = [
    {"name": f"g{number}", "hypervisor": "host1", "network": "net1", "address": f"10.10.10.1{number}",
     "address6": f"2001:db8:10::1{number}"}
    for number in (1, 2)
]  # fmt: skip


@pytest.fixture
def host1(tmp_path: Path) -> Iterator[Host]:
    host = Host("host1", 103, tmp_path)
    yield host
    host.netns.remove()


@pytest.fixture
def guests(host1: Host) -> Iterator[list[Netns]]:
    """Two guests in the isolated network net1 of host1."""
    host1.apply(host1.slice("hypervisor", inventory(vpc_instances=PAIR)), "hypervisor")
    found = [Netns(), Netns()]
    for number, guest in enumerate(found, 1):
        host1.netns.sh(
            f"""
            ip link add vif{number} type veth peer name eth0 netns {guest.name}
            ip link set vif{number} master br-net1 up
            bridge link set dev vif{number} isolated on
            """
        )
        guest.sh(
            f"""
            ip link set eth0 up
            ip addr add 10.10.10.1{number}/24 dev eth0
            ip addr add 2001:db8:10::1{number}/128 dev eth0 nodad
            ip route add default via 10.10.10.1
            ip -6 route add default via fe80::1 dev eth0
            """
        )
    yield found
    for guest in found:
        guest.remove()


def lost(guest: Netns, address: str, count: int = 12) -> int:
    """Percent of pings without an answer."""
    printed = guest.sh(f"ping -n -q -i 0.2 -W 1 -c {count} {address} || true")
    found = re.search(r"([\d.]+)% packet loss", printed)
    assert found is not None, printed
    return round(float(found.group(1)))


def test_isolated_guests_of_one_host_talk_over_ipv4(guests: list[Netns], host1: Host) -> None:
    assert lost(guests[0], "10.10.10.12") == 0
    # Through the host: the neighbour's hardware address is the bridge's.
    assert identity.bridge_mac("net1") in guests[0].sh("ip neigh show 10.10.10.12")
    host1.netns.sh("echo 0 >/proc/sys/net/ipv4/conf/br-net1/proxy_arp_pvlan")
    guests[0].sh("ip neigh flush all")
    assert lost(guests[0], "10.10.10.12", count=2) == 100


def test_a_redirect_would_cut_isolated_guests_off_from_each_other(guests: list[Netns], host1: Host) -> None:
    assert lost(guests[0], "2001:db8:10::12") == 0
    host1.netns.sh("nft delete table inet plainlinux_hypervisor")
    assert lost(guests[0], "2001:db8:10::12") > 50


ADVERTISE = """
import socket, struct, sys
# Router advertisement, RFC 4861 4.2: lifetime 1800 s, nothing else in it.
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
out.sendto(packet, ("ff02::1", 0, 0, socket.if_nametoindex("gw0")))
"""


@pytest.fixture
def gateway(host1: Host) -> Iterator[Netns]:
    """A router on the underlay that advertises itself."""
    found = Netns()
    host1.netns.sh(f"ip link del eth0; ip link add eth0 type veth peer name gw0 netns {found.name}")
    found.sh("echo 0 >/proc/sys/net/ipv6/conf/gw0/accept_dad; ip link set gw0 up")
    host1.netns.sh(
        """
        echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
        ip link set eth0 up
        ip addr add 192.168.56.103/24 dev eth0
        ip addr add fe80::c0a8:3867/64 dev eth0 nodad
        """
    )
    yield found
    found.remove()


def default_route(host: Host, gateway: Netns) -> bool:
    """Whether the host takes its IPv6 default route from an advertisement sent now."""
    for _attempt in range(50):
        gateway.sh(f"python3 -c '{ADVERTISE}'")
        if "proto ra" in host.netns.sh("ip -6 route show default; sleep 0.1"):
            return True
        if int(host.netns.sh("cat /proc/sys/net/ipv6/conf/eth0/forwarding")) and _attempt > 5:
            return False
    return False


def test_the_host_keeps_its_own_ipv6_default_route(host1: Host, gateway: Netns) -> None:
    assert default_route(host1, gateway)
    host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    assert "proto ra" in host1.netns.sh("ip -6 route show default")
    assert default_route(host1, gateway)
    assert host1.netns.sh("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "2"
    host1.apply({}, "hypervisor", removal_limit=None)
    assert host1.netns.sh("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "1"


def test_forwarding_alone_would_lose_it(host1: Host, gateway: Netns) -> None:
    assert default_route(host1, gateway)
    host1.netns.sh("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    assert "proto ra" not in host1.netns.sh("ip -6 route show default")
    assert not default_route(host1, gateway)
