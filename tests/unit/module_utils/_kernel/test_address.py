# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: texts of iproute2, and the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.address import Address
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

ADDRESS = Address()

# iproute2 6.1.0, `ip -o -N addr show`
SHOWN = r"""
1: lo    inet 127.0.0.1/8 scope 254 lo\       valid_lft forever preferred_lft forever
1: lo    inet 10.10.10.1/32 scope 0 lo\       valid_lft forever preferred_lft forever
1: lo    inet6 2001:db8:10::1/128 scope 0 nodad \       valid_lft forever preferred_lft forever
2: br-a    inet 10.10.10.2/32 scope 0 br-a\       valid_lft forever preferred_lft forever
2: br-a    inet6 fe80::1/64 scope 253 nodad \       valid_lft forever preferred_lft forever
3: eth0    inet 192.168.56.2/24 metric 100 brd 192.168.56.255 scope 0 dynamic eth0\       valid_lft 300sec preferred_lft 300sec
4: v0    inet 10.0.0.1 peer 10.0.0.9/32 scope 0 v0\       valid_lft forever preferred_lft forever
4: v0    inet6 fe80::5/64 scope 253 dadfailed tentative \       valid_lft forever preferred_lft forever
""".lstrip()  # noqa: E501
DESIRED = {
    "br-a 10.10.10.2/32": "present",
    "br-a fe80::1/64": "present",
    "lo 10.10.10.1/32": "present",
    "lo 2001:db8:10::1/128": "present",
}


@pytest.fixture
def host(netns: Netns) -> Netns:
    netns.sh("ip link add br-a type bridge; ip link set br-a addrgenmode none; ip link set br-a up")
    netns.sh("ip addr add 10.10.10.3/24 dev br-a; ip addr add fe80::2/64 dev br-a nodad")
    netns.sh("ip addr add 10.9.9.9/32 dev lo")
    return netns


def test_parse() -> None:
    desired = {**DESIRED, "eth0 192.168.56.2/24": "present", "br-a 10.9.9.9/32": "present"}
    recorded = {"v0 fe80::5/64": "present"}
    assert ADDRESS.parse(context(desired, recorded), texts(SHOWN)) == {
        **DESIRED,
        "eth0 192.168.56.2/24": "dynamic",
        "v0 fe80::5/64": "dadfailed tentative",
    }
    assert ADDRESS.parse(context(), texts(SHOWN)) == {}


def test_parse_without_the_route_to_the_prefix() -> None:
    """Only where it was asked for, now or then: others set the flag for reasons of their own."""
    key = "br-a 2001:db8:10::2/64"
    shown = texts("2: br-a    inet6 2001:db8:10::2/64 scope 0 nodad noprefixroute \\       valid_lft forever\n")
    assert ADDRESS.parse(context({key: "present"}), shown) == {key: "present"}
    assert ADDRESS.parse(context({key: "noprefixroute"}), shown) == {key: "noprefixroute"}
    assert ADDRESS.parse(context({}, {key: "noprefixroute"}), shown) == {key: "noprefixroute"}
    assert ADDRESS.parse(context({key: "noprefixroute"}), texts(shown[0].stdout.replace("noprefixroute", ""))) == {
        key: "present"
    }


def test_parse_refuses_other_texts() -> None:
    with pytest.raises(KernelError, match="cannot read"):
        ADDRESS.parse(context(DESIRED), texts("RTNETLINK answers: no\n"))


def test_round(host: Netns, tmp_path: Path) -> None:
    others = host.lines("ip -o -N addr show")
    wanted = context(DESIRED)
    host.converge(ADDRESS, wanted)
    assert host.read(ADDRESS, wanted) == DESIRED
    assert not host.converge(ADDRESS, wanted)
    delta = host.converge(ADDRESS, context({}, DESIRED))
    assert sorted(delta.removed) == sorted(DESIRED)
    assert host.lines("ip -o -N addr show") == others
    host.apply(ADDRESS.drop(context(), delta))  # gone already: no failure

    for _again in range(2):
        assert host.boot(ADDRESS, wanted, tmp_path) == Output(0, "")
        assert host.read(ADDRESS, wanted) == DESIRED
    host.sh("ip addr del 10.10.10.1/32 dev lo; ip addr del fe80::1/64 dev br-a")
    host.apply(ADDRESS.put(wanted, delta.between({}, DESIRED)))  # written over what is there
    assert host.read(ADDRESS, wanted) == DESIRED


def test_without_the_route_to_the_prefix(host: Netns, tmp_path: Path) -> None:
    """The address answers, and its prefix stays where the routes say; also undone, and at boot."""
    key = "br-a 2001:db8:10::2/64"
    wanted = context({key: "noprefixroute"})

    def routes() -> list[str]:
        return [line for line in host.lines("ip -6 route show table all") if line.startswith("2001:db8:10::/64")]

    host.sh("ip addr add 2001:db8:10::2/64 dev br-a nodad")
    assert routes()
    assert host.read(ADDRESS, wanted) == {key: "present"}
    host.converge(ADDRESS, wanted)
    assert host.read(ADDRESS, wanted) == {key: "noprefixroute"}
    assert not routes()
    assert host.sh("ip -6 route get 2001:db8:10::2").startswith("local 2001:db8:10::2")
    assert not host.converge(ADDRESS, wanted)

    gone = context({}, wanted.desired)
    delta = host.converge(ADDRESS, gone)
    assert host.read(ADDRESS, gone) == {}
    host.apply(ADDRESS.put(gone, delta.inverse()))
    assert host.read(ADDRESS, wanted) == {key: "noprefixroute"}
    assert not routes()

    host.sh("ip addr del 2001:db8:10::2/64 dev br-a")
    assert host.boot(ADDRESS, wanted, tmp_path) == Output(0, "")
    assert host.read(ADDRESS, wanted) == {key: "noprefixroute"}
    assert not routes()


def test_link_gone(host: Netns) -> None:
    host.converge(ADDRESS, context(DESIRED))
    host.sh("ip link del br-a")
    delta = host.converge(ADDRESS, context({}, DESIRED))
    assert delta.removed == ["lo 10.10.10.1/32", "lo 2001:db8:10::1/128"]
    assert host.read(ADDRESS, context({}, DESIRED)) == {}


def test_failed_duplicate_detection_is_repaired(host: Netns) -> None:
    """A neighbour on the bridge has our address. Found so by the kernel, it stays unusable until it is added anew."""
    host.sh(
        "ip link add v0 type veth peer name v1; ip link set v0 master br-a; ip link set v0 up;"
        "ip link set v1 addrgenmode none; ip link set v1 up; ip addr add fe80::1/64 dev v1 nodad;"
        "ip addr add fe80::1/64 dev br-a;"
        "for i in $(seq 100); do ip addr show dev br-a | grep -q dadfailed && break; sleep 0.1; done"
    )
    key = "br-a fe80::1/64"
    wanted = context({key: "present"})
    assert host.read(ADDRESS, wanted) == {key: "dadfailed tentative"}
    host.converge(ADDRESS, wanted)
    assert host.read(ADDRESS, wanted) == {key: "present"}


def test_an_address_that_would_expire_is_made_permanent(host: Netns) -> None:
    key = "br-a 10.10.10.2/32"
    host.sh("ip addr add 10.10.10.2/32 dev br-a valid_lft 300 preferred_lft 300")
    host.sh("ip route add 10.77.0.0/16 dev br-a src 10.10.10.2")
    assert host.read(ADDRESS, context({key: "present"})) == {key: "dynamic"}
    host.converge(ADDRESS, context({key: "present"}))
    assert host.read(ADDRESS, context({key: "present"})) == {key: "present"}
    assert any("10.77.0.0/16" in line for line in host.lines("ip route show"))


def test_boot_reports_a_missing_link_and_adds_the_rest(host: Netns, tmp_path: Path) -> None:
    output = host.boot(ADDRESS, context({"a 10.1.1.1/32": "present", **DESIRED}), tmp_path)
    assert output.status != 0
    assert 'Cannot find device "a"' in output.stderr
    assert host.read(ADDRESS, context(DESIRED)) == DESIRED
