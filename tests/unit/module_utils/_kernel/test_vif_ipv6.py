# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests whose IPv6 address is what their start says."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    OPEN,
    TWO,
    Host,
    opened,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


ADDRESS = "2607:f590:0:ffff::60"


@pytest.mark.parametrize("text", ["2607:F590:0000:FFFF:0000:0000:0000:0060", ADDRESS])
def test_an_address_of_the_start(host: Host, text: str) -> None:
    host.ok("add", "vif1.0", OPEN.mac, text)
    host.has(vif1_0=opened(ADDRESS))
    assert f"# ipv6 {ADDRESS}" in host.record("vif1.0")
    host.ok("sync")
    host.has(vif1_0=opened(ADDRESS))
    host.ok("add", "vif1.0", OPEN.mac, "2001:db8::1:0:0:1")
    host.has(vif1_0=opened("2001:db8::1:0:0:1"))
    host.ok("add", "vif1.0", OPEN.mac)
    host.has(vif1_0=OPEN)
    host.ok("add", "vif1.0", OPEN.mac, text)
    host.ok("del", "vif1.0")
    host.has()


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:0db8::", "2001:db8::"),
        ("2001:db8:1:1:1:1:0:1", "2001:db8:1:1:1:1:0:1"),
        ("2001:db8:0:1::", "2001:db8:0:1::"),
        ("2001:db8:1:2:3:4:5::", "2001:db8:1:2:3:4:5:0"),
    ],
)
def test_addresses_are_written_as_the_kernel_does(host: Host, text: str, canonical: str) -> None:
    host.ok("add", "vif1.0", OPEN.mac, text)
    assert f"# ipv6 {canonical}" in host.record("vif1.0")
    host.has(vif1_0=opened(canonical))


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1",
        "2001:db8::1::2",
        "2001:db8::12345",
        "2001:db8:1:2:3:4:5",
        "2001:db8:1:2:3:4:5:6:7",
        "2001:db8::g",
        ":2001:db8::1",
        "2001:db8:::1",
        "2001:db8::1/64",
        "fe80::1",
        "ff02::1",
        "::1",
        "::ffff:1.2.3.4",
        "2001:db8::1 }; flush ruleset",
    ],
)
def test_what_is_no_address_of_a_guest(host: Host, text: str) -> None:
    output = host.vif("add", "vif1.0", OPEN.mac, text)
    assert output.status == 0
    assert text in output.stderr
    host.has(vif1_0=OPEN)


def test_another_guests_address(host: Host) -> None:
    for text, owner in (("2001:db8:10::10", ONE.mac), ("2001:db8:10::1", "gateway")):
        output = host.vif("add", "vif1.0", OPEN.mac, text)
        assert output.status == 0
        assert owner in output.stderr
        host.has(vif1_0=OPEN)


def test_two_starts_name_the_same_address(host: Host) -> None:
    other = OPEN._replace(mac="00:16:3e:00:00:05", addresses=())
    host.declare([OPEN, other])
    host.port("vif1.0")
    host.ok("add", "vif1.0", OPEN.mac, ADDRESS)
    # The same guest may: the port of its emulated interface is its own.
    host.ok("add", "vif1.0-emu", OPEN.mac, ADDRESS)
    output = host.vif("add", "vif2.0", other.mac, ADDRESS)
    assert output.status == 0
    assert OPEN.mac in output.stderr
    host.has({"vif1.0": opened(ADDRESS), "vif1.0-emu": opened(ADDRESS), "vif2.0": other})
    host.ok("del", "vif1.0-emu")
    host.has({"vif1.0": opened(ADDRESS), "vif2.0": other})
    # A guest that is not there any more keeps nobody from it.
    host.netns.sh("ip link del vif1.0")
    host.ok("add", "vif2.0", other.mac, ADDRESS)


def test_the_inventory_gives_the_address_to_another_guest(host: Host) -> None:
    host.ok("add", "vif1.0", OPEN.mac, ADDRESS)
    owner = TWO._replace(addresses=opened(ADDRESS).addresses[1:])
    host.declare([ONE, owner, OPEN])
    host.ok("add", "vif2.0", owner.mac)
    output = host.vif("sync")
    assert output.status == 0
    assert owner.mac in output.stderr
    host.has(vif1_0=OPEN, vif2_0=owner)
    host.ok("sync")


def test_an_address_that_the_inventory_does_not_leave_to_the_start(host: Host) -> None:
    host.ok("add", "vif1.0", TWO.mac, ADDRESS)
    host.has(vif1_0=TWO)
    assert not any("ipv6" in line for line in host.record("vif1.0"))
