# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Isolation of bridge ports: texts of iproute2, and the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.port import Port
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

PORT = Port()

# iproute2 6.1.0, `bridge -d -j link show`, shortened; the last one is a network card with a bridge of its own.
SHOWN = """[
{"ifindex":5,"link":"p1","ifname":"vif1.0","flags":["BROADCAST"],"mtu":1500,"master":"br-net1","state":"disabled",
 "hairpin":false,"isolated":true,"locked":false},
{"ifindex":6,"link":"p2","ifname":"vif2.0","flags":["BROADCAST"],"mtu":1500,"master":"br-net1","isolated":false,"new":[]},
{"ifindex":7,"ifname":"vif3.0","master":"br-net1"},
{"ifindex":8,"ifname":"vif4.0","master":"br-net2","isolated":true},
{},
{"ifindex":9,"ifname":"eth0","hwmode":"VEB"}
]"""


@pytest.mark.parametrize(
    "bridge, desired, value",
    [
        ("br-net1", "isolated on", "isolated off: vif2.0 vif3.0"),
        ("br-net1", "isolated off", "isolated on: vif1.0"),
        ("br-net2", "isolated on", "isolated on"),
        ("br-net2", "isolated off", "isolated on: vif4.0"),
        ("br-net3", "isolated on", "isolated on"),
        ("br-net3", "isolated off", "isolated off"),
        # What an undo wants.
        ("br-net1", "isolated off: vif2.0 vif3.0", "isolated off: vif2.0 vif3.0"),
        ("br-net1", "isolated off: vif2.0", "isolated off: vif2.0 vif3.0"),
        ("br-net1", "isolated on: vif1.0", "isolated on: vif1.0"),
        ("br-net2", "isolated off: vif4.0", "isolated on"),
    ],
)
def test_parse(bridge: str, desired: str, value: str) -> None:
    assert PORT.parse(context({bridge: desired}), texts(SHOWN)) == {bridge: value}


def test_nothing_desired() -> None:
    assert PORT.read(context()) == []
    assert PORT.parse(context(), []) == {}


@pytest.fixture
def host(netns: Netns) -> Netns:
    """Two bridges of ours and one of somebody else, with two ports each."""
    netns.sh(
        "for bridge in net1 net2 other; do ip link add br-$bridge type bridge;"
        "for i in 1 2; do ip link add $bridge.$i type veth peer name peer-$bridge.$i;"
        "ip link set $bridge.$i master br-$bridge; done; done"
    )
    return netns


def flags(netns: Netns) -> str:
    return netns.sh("for port in /sys/class/net/*/brport; do cat $port/isolated; done").replace("\n", "")


def test_round(host: Netns, tmp_path: Path) -> None:
    wanted = context({"br-net1": "isolated on", "br-net2": "isolated off", "br-gone": "isolated on"})
    before = host.read(PORT, wanted)
    assert before == {**wanted.desired, "br-net1": "isolated off: net1.1 net1.2"}
    delta = host.converge(PORT, wanted)
    assert host.read(PORT, wanted) == wanted.desired
    assert flags(host) == "110000"
    assert not host.converge(PORT, wanted)
    host.apply(PORT.put(wanted, delta))
    assert flags(host) == "110000"

    host.sh("ip link set net1.2 type bridge_slave isolated off; ip link set net2.1 type bridge_slave isolated on")
    drifted = host.read(PORT, wanted)
    assert drifted == {**wanted.desired, "br-net1": "isolated off: net1.2", "br-net2": "isolated on: net2.1"}
    host.converge(PORT, wanted)
    assert flags(host) == "110000"
    # As an undo does: back to what was read.
    host.apply(PORT.put(context(drifted), Delta.between(host.read(PORT, context(drifted)), drifted)))
    assert flags(host) == "101000"
    assert host.read(PORT, context(drifted)) == drifted

    for _again in range(2):
        assert host.boot(PORT, wanted, tmp_path) == Output(0, "")
        assert flags(host) == "110000"
    assert PORT.drop(wanted, Delta.between(wanted.desired, {})) == []


def test_unplugged_while_written(host: Netns) -> None:
    wanted = context({"br-net1": "isolated on"})
    delta = Delta.between(host.read(PORT, wanted), wanted.desired)
    host.sh("ip link del net1.1")
    host.apply(PORT.put(wanted, delta))
    assert host.read(PORT, wanted) == wanted.desired
