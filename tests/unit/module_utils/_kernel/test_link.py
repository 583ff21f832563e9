# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges: texts of iproute2, and the kernel itself."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Context,
    Delta,
    KernelError,
    Output,
    State,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import FILTERED, FILTERED_FILE, Link
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


# What the guard of backend iptables has written for its helper.
GUARDED = """\
br-net1 no_linklocal_learn 1 nf_call_iptables 1 nf_call_ip6tables 1
br-net2 no_linklocal_learn 1
"""
FILTERED_BRIDGES = {name: f"{value} {FILTERED}" for name, value in DESIRED.items()}


def switches(netns: Netns) -> list[str]:
    """Of each bridge, in order of name."""
    return netns.sh("cd /sys/class/net; cat br-net*/bridge/nf_call_iptables br-net*/bridge/nf_call_ip6tables").split()


def test_switches_for_br_netfilter_come_and_go_with_the_value(netns: Netns, tmp_path: Path) -> None:
    netns.converge(LINK, context(DESIRED))
    numbers = netns.sh("cat /sys/class/net/br-net*/ifindex")
    one = {**DESIRED, "br-net2": FILTERED_BRIDGES["br-net2"]}
    for desired, found in ((one, "0101"), (FILTERED_BRIDGES, "1111"), (DESIRED, "0000")):
        assert netns.converge(LINK, context(desired))
        assert netns.read(LINK, context(desired)) == desired
        assert "".join(switches(netns)) == found
        assert not netns.converge(LINK, context(desired))
    # Nobody made a bridge anew.
    assert netns.sh("cat /sys/class/net/br-net*/ifindex") == numbers

    # Drift, in both directions.
    netns.converge(LINK, context(one))
    netns.sh("ip link set br-net2 type bridge nf_call_ip6tables 0; ip link set br-net1 type bridge nf_call_iptables 1")
    drifted = netns.read(LINK, context(one))
    assert drifted == {
        "br-net1": f"{DESIRED['br-net1']} nf_call_iptables 1 nf_call_ip6tables 0",
        "br-net2": f"{DESIRED['br-net2']} nf_call_iptables 1 nf_call_ip6tables 0",
    }
    netns.converge(LINK, context(one))
    assert netns.read(LINK, context(one)) == one
    netns.converge(LINK, context(drifted))  # as an undo does
    assert netns.read(LINK, context(drifted)) == drifted

    netns.converge(LINK, context())
    for script in ("true", "true", "ip link set br-net2 type bridge nf_call_ip6tables 0", "ip link del br-net2"):
        netns.sh(script)
        assert netns.boot(LINK, context(one), tmp_path) == Output(0, "")
        assert netns.read(LINK, context(one)) == one
    assert (tmp_path / FILTERED_FILE).read_text() == "br-net2\n"


def test_what_the_guard_wants_is_left_to_it(netns: Netns, tmp_path: Path) -> None:
    folder = tmp_path / "etc/plainlinux-vpc/antispoof"
    folder.mkdir(parents=True)

    def wanted(desired: State) -> Context:
        return replace(context(desired), root=str(tmp_path))

    netns.converge(LINK, wanted(FILTERED_BRIDGES))
    (folder / "bridges").write_text(GUARDED)
    assert netns.read(LINK, wanted(FILTERED_BRIDGES)) == FILTERED_BRIDGES
    assert netns.converge(LINK, wanted(DESIRED)).after == {"br-net2": DESIRED["br-net2"]}
    assert switches(netns) == ["1", "0", "1", "0"]
    assert not netns.converge(LINK, wanted(DESIRED))
    # The last one that wanted it is gone.
    (folder / "bridges").unlink()
    assert netns.converge(LINK, wanted(DESIRED))
    assert switches(netns) == ["0", "0", "0", "0"]


def test_a_foreign_bridge_is_not_switched_at_boot(netns: Netns, tmp_path: Path) -> None:
    netns.sh("ip link add br-net1 type bridge")
    assert netns.boot(LINK, context(FILTERED_BRIDGES), tmp_path).status != 0
    assert switches(netns)[0] == "0"


def test_switching_loses_no_packet(netns: Netns) -> None:
    netns.converge(LINK, context(DESIRED))
    guests = [Netns(), Netns()]
    try:
        netns.sh("echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables")
        for number, guest in enumerate(guests, 1):
            netns.sh(f"ip link add vm{number} type veth peer name eth0 netns {guest.name}")
            netns.sh(f"ip link set vm{number} up master br-net1")
            guest.sh(f"ip link set eth0 up; ip addr add 192.0.2.{number}/24 dev eth0; ping -q -c 1 192.0.2.{number}")
        guests[0].sh("ping -q -c 1 -W 5 192.0.2.2")
        ping = subprocess.Popen(
            ["ip", "netns", "exec", guests[0].name, "ping", "-q", "-i", "0.005", "192.0.2.2"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for desired in (FILTERED_BRIDGES, DESIRED) * 5:
            netns.converge(LINK, context(desired))
        ping.send_signal(signal.SIGINT)
        words = ping.communicate()[0].rpartition(" packets transmitted, ")
        # The last one may be on its way.
        assert int(words[0].split()[-1]) - int(words[2].split()[0]) <= 1
    finally:
        for guest in guests:
            guest.remove()
