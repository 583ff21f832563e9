# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges: texts of iproute2, and the kernel itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, KernelError, Output, State
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import Link
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

LINK = Link()
MAC1 = "02:11:22:33:44:01"
MAC2 = "02:11:22:33:44:02"
DESIRED = {"br-net1": f"bridge address {MAC1}", "br-net2": f"bridge address {MAC2}"}

# iproute2 6.1.0, `ip -d -j link show`, shortened
BRIDGE = {
    "ifindex": 2,
    "ifname": "br-net1",
    "flags": ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"],
    "mtu": 1500,
    "operstate": "DOWN",
    "link_type": "ether",
    "address": MAC1,
    "linkinfo": {"info_kind": "bridge", "info_data": {"forward_delay": 1500, "vlan_filtering": 0}},
    "inet6_addr_gen_mode": "none",
    "ifalias": "plainlinux.vpc:hypervisor",
}
LOOPBACK = {
    "ifindex": 1,
    "ifname": "lo",
    "flags": ["LOOPBACK", "UP", "LOWER_UP"],
    "link_type": "loopback",
    "address": "00:00:00:00:00:00",
    "inet6_addr_gen_mode": "eui64",
}


def shown(**changes: object) -> str:
    """The dump with a changed bridge; None leaves a field out."""
    bridge = {key: value for key, value in {**BRIDGE, **changes}.items() if value is not None}
    return json.dumps([{}, LOOPBACK, bridge])


@pytest.mark.parametrize(
    "text, value",
    [
        (shown(), f"bridge address {MAC1}"),
        (shown(flags=["BROADCAST"]), f"bridge address {MAC1} down"),
        (shown(inet6_addr_gen_mode="eui64"), f"bridge address {MAC1} addrgenmode eui64"),
        (shown(inet6_addr_gen_mode=None), f"bridge address {MAC1}"),
        (shown(flags=[], inet6_addr_gen_mode="random"), f"bridge address {MAC1} down addrgenmode random"),
        (shown(address=MAC2), f"bridge address {MAC2}"),
        (shown(ifalias=None), f"bridge address {MAC1} unmarked"),
        (shown(ifalias=None, address=MAC2), "foreign bridge"),
        (shown(ifalias="plainlinux.vpc:router"), "foreign bridge"),
        (shown(linkinfo={"info_kind": "veth"}), "foreign veth"),
        (shown(linkinfo=None), "foreign ether"),
        (shown(ifname="br-other"), None),
        (json.dumps([]), None),
        ("", None),
    ],
)
def test_parse(text: str, value: str | None) -> None:
    wanted = {"br-net1": f"bridge address {MAC1}"}
    state = LINK.parse(context(wanted), texts(text))
    assert state.get("br-net1") == value


def test_parse_gives_what_is_ours_and_no_longer_desired() -> None:
    assert LINK.parse(context(), texts(shown())) == {"br-net1": f"bridge address {MAC1}"}
    assert LINK.parse(context(), texts(shown(ifalias=None))) == {}
    assert LINK.parse(context(), texts(shown(linkinfo={"info_kind": "vxlan"}))) == {}


def test_parse_refuses_other_texts() -> None:
    with pytest.raises(KernelError, match="ip -d -j link show: not readable as JSON"):
        LINK.parse(context(), texts("[{"))


def test_put_refuses_a_foreign_link() -> None:
    with pytest.raises(KernelError, match=r"link br-net1: exists already and is not ours \(veth\)"):
        LINK.put(context(DESIRED), Delta.between({"br-net1": "foreign veth"}, DESIRED))


def others(netns: Netns) -> list[str]:
    return [line for line in netns.lines("ip -d -o link show") if "br-net" not in line]


def test_round(netns: Netns, tmp_path: Path) -> None:
    netns.sh("ip link add br-other type bridge; ip link set br-other alias plainlinux.vpc:router")
    foreign = others(netns)
    wanted = context(DESIRED)
    netns.converge(LINK, wanted)
    assert netns.read(LINK, wanted) == DESIRED
    assert not netns.converge(LINK, wanted)
    assert netns.lines("ip -6 -o addr show dev br-net1") == []
    assert netns.read(LINK, context(scope=ROUTER)).keys() == {"br-other"}

    netns.sh(
        f"ip link set br-net1 down; ip link set br-net1 address {MAC2}; ip link set br-net2 addrgenmode eui64;"
        "ip link set br-net1 addrgenmode random"
    )
    drifted = netns.read(LINK, wanted)
    assert drifted == {
        "br-net1": f"bridge address {MAC2} down addrgenmode random",
        "br-net2": f"bridge address {MAC2} addrgenmode eui64",
    }
    delta = netns.converge(LINK, wanted)
    netns.apply(LINK.put(wanted, delta))
    assert netns.read(LINK, wanted) == DESIRED
    netns.converge(LINK, context(drifted))  # as an undo does
    assert netns.read(LINK, wanted) == drifted

    netns.converge(LINK, context())
    assert netns.read(LINK, context()) == {}
    assert others(netns) == foreign

    for _again in range(2):
        assert netns.boot(LINK, wanted, tmp_path) == Output(0, "")
        assert netns.read(LINK, wanted) == DESIRED
    netns.sh(f"ip link del br-net1; ip link set br-net2 down; ip link set br-net2 address {MAC1}")
    assert netns.boot(LINK, wanted, tmp_path) == Output(0, "")
    assert netns.read(LINK, wanted) == DESIRED
    assert others(netns) == foreign


@pytest.mark.parametrize("boot", [False, True])
def test_killed_between_add_and_alias(netns: Netns, tmp_path: Path, boot: bool) -> None:
    netns.sh(f"ip link add br-net1 address {MAC1} type bridge")
    wanted = context(DESIRED)
    assert netns.read(LINK, wanted) == {"br-net1": f"bridge address {MAC1} down addrgenmode eui64 unmarked"}
    if boot:
        assert netns.boot(LINK, wanted, tmp_path) == Output(0, "")
    else:
        netns.converge(LINK, wanted)
    assert netns.read(LINK, wanted) == DESIRED


def test_undo_takes_the_mark_away_again(netns: Netns) -> None:
    netns.sh(f"ip link add br-net1 address {MAC1} type bridge")
    netns.sh("ip link set br-net1 addrgenmode none; ip link set br-net1 up")
    before = netns.read(LINK, context(DESIRED))
    netns.converge(LINK, context(DESIRED))
    now = netns.read(LINK, context(DESIRED))
    netns.apply(LINK.put(context(before), Delta.between(now, before)))
    netns.apply(LINK.drop(context(before), Delta.between(now, before)))
    assert netns.read(LINK, context(DESIRED)) == before == {"br-net1": f"bridge address {MAC1} unmarked"}


def test_foreign_link_is_left_alone(netns: Netns, tmp_path: Path) -> None:
    netns.sh("ip link add br-net1 type veth peer name other")
    before = netns.lines("ip -d -o link show")
    state: State = netns.read(LINK, context(DESIRED))
    assert state == {"br-net1": "foreign veth"}
    assert LINK.drop(context(), Delta.between(state, {})) == []
    output = netns.boot(LINK, context(DESIRED), tmp_path)
    assert output.status != 0
    assert "link br-net1: exists already and is not ours" in output.stderr
    after = netns.lines("ip -d -o link show")
    assert [line for line in after if "br-net2" not in line] == before
    assert netns.read(LINK, context(DESIRED))["br-net2"] == DESIRED["br-net2"]


def test_a_race_for_the_name_is_lost_aloud(netns: Netns) -> None:
    """Made by someone else since it was read."""
    commands = LINK.put(context(DESIRED), Delta.between({}, DESIRED))
    netns.sh("ip link add br-net1 type bridge")
    output = netns.run(commands[0])
    assert output.status not in commands[0].ok
    assert "File exists" in output.stderr
