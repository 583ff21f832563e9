# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host by the engine and the helper together, while names come and go."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    Options,
    RefusedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import HYPERVISOR
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.guarded_host import (
    BRIDGES,
    EITHER,
    FLAT,
    LOUD,
    NAMES,
    ONE,
    OPEN,
    OWN,
    THREE,
    TWO,
    Host,
    planned,
)


@EITHER
def test_first_run_second_run_and_absent(host: Host) -> None:
    for name in ("vm1.0", "vm9.0"):
        host.port(name)
    host.port("vif7.0", "xenbr0")
    before = host.dump()
    content = host.slice([ONE, TWO, THREE], NAMES, BRIDGES)
    assert set(host.changed(content, check=True)) == {*host.objects, "vif", "file"}
    assert host.dump() == before
    assert host.files() == []
    assert set(host.changed(content)) == {*host.objects, "vif", "file"}
    # vm9.0 is a stranger on a bridge of ours.
    assert host.elements() == {**host.of_guests(**NAMES), **planned(*NAMES, "vm9.0")}
    assert not host.changed(content)
    host.port("vm3.0")
    host.vif("add", "vm3.0", THREE.mac)
    host.vif("add", "vif7.0", TWO.mac)
    assert not host.changed(content)
    assert host.elements() == {**host.of_guests(**NAMES, vif7_0=TWO), **planned(*NAMES, "vm9.0")}
    host.unplug("vm3.0")
    host.absent()
    assert host.dump() == before
    assert host.files() == []
    assert not host.absent().changed
    assert not host.run_folder.exists()


@EITHER
def test_what_was_plugged_in_stays_when_the_policy_changes(host: Host) -> None:
    host.apply(host.slice([ONE, TWO], {"vm1.0": ONE}))
    host.vif("add", "vnet0", TWO.mac)
    host.port("vnet0")
    host.vif("add", "vnet0", TWO.mac)
    assert not host.changed(host.slice([ONE, TWO], {"vm1.0": ONE}))
    two = TWO._replace(addresses=((4, parse_ipv4("10.10.10.99")),))
    content = host.slice([ONE, two], {"vm1.0": ONE}, broadcasts=7)
    assert set(host.changed(content)) - {"iptables"} == {"nft", "file"}
    assert {**host.of_guests(vm1_0=ONE, vnet0=two), **planned("vm1.0")}.items() <= host.elements().items()
    assert not host.changed(content)
    # What the helper does next starts from the new elements.
    host.vif("del", "vnet0")
    assert "vnet0" not in str(host.elements())


@EITHER
def test_a_record_counts_for_a_minute_without_its_interface(host: Host) -> None:
    content = host.slice([ONE, TWO])
    host.apply(content)
    host.vif("add", "vnet0", TWO.mac)
    host.age("vnet0", 50)
    assert not host.changed(content)
    host.age("vnet0", 61)
    assert set(host.changed(content, check=True)) == host.objects
    assert host.records() == ["vnet0"]
    host.apply(content)
    assert host.elements() == {}
    assert host.records() == []
    assert not host.changed(content)


def test_many_guests_that_were_shut_down_are_no_removal(host: Host) -> None:
    content = host.slice([ONE, TWO, THREE])
    host.apply(content)
    for number, guest in enumerate((ONE, TWO, THREE)):
        host.vif("add", f"vnet{number}", guest.mac)
        host.age(f"vnet{number}")
    host.apply(content)
    assert host.elements() == {}


def test_guests_that_leave_the_inventory_count_as_removed(host: Host) -> None:
    host.apply(host.slice([ONE, TWO, THREE]))
    before = host.dump(), host.files()
    with pytest.raises(RefusedError, match="would remove 2 of the 3 guests that role antispoof has on this host"):
        host.apply(host.slice([TWO]))
    assert (host.dump(), host.files()) == before
    assert host.apply(host.slice([ONE, TWO])).changed
    assert host.apply(host.slice([TWO], broadcasts=7), removal_limit=None).changed


@EITHER
def test_a_name_that_came_back_for_another_interface(host: Host) -> None:
    content = host.slice([ONE, TWO])
    host.apply(content)
    host.port("vnet0")
    host.vif("add", "vnet0", TWO.mac)
    assert not host.changed(content)
    # Nobody said a word.
    host.unplug("vnet0")
    host.port("vnet0")
    host.apply(content)
    assert host.elements() == planned("vnet0")
    assert host.records() == []
    assert not host.changed(content)
    host.vif("add", "vnet0", ONE.mac)
    assert host.elements() == {**host.of_guests(vnet0=ONE), **planned("vnet0")}


@EITHER
def test_a_name_of_the_plan_that_another_guest_has_now(host: Host) -> None:
    content = host.slice([ONE, TWO], {"vm1.0": ONE})
    host.port("vm1.0")
    host.apply(content)
    host.vif("add", "vm1.0", TWO.mac)
    assert not host.changed(content)
    assert host.elements() == {**host.of_guests(vm1_0=TWO), **planned("vm1.0")}
    host.vif("add", "vm1.0", ONE.mac)
    assert not host.changed(content)
    # Its guest leaves the inventory: the name is the plan's again.
    host.vif("add", "vm1.0", TWO.mac)
    content = host.slice([ONE], {"vm1.0": ONE})
    host.apply(content)
    assert host.elements() == {**host.of_guests(vm1_0=ONE), **planned("vm1.0")}
    assert not host.changed(content)


@EITHER
def test_a_guest_that_nobody_declares_any_more_is_refused_while_it_is_plugged_in(host: Host) -> None:
    for name in ("vm1.0", "tab0"):
        host.port(name)
    host.apply(host.slice([ONE, TWO], {"vm1.0": ONE}))
    host.vif("add", "tab0", TWO.mac)
    content = host.slice([ONE], {"vm1.0": ONE})
    host.apply(content)
    assert host.elements() == {**host.of_guests(vm1_0=ONE), **planned("vm1.0", "tab0")}
    assert host.records() == ["vm1.0"]
    assert not host.changed(content)
    before = host.dump()
    host.unplug("tab0")
    host.apply(content)
    assert host.elements() == {**host.of_guests(vm1_0=ONE), **planned("vm1.0")}
    assert host.dump() != before


@EITHER
def test_an_address_that_a_start_named(host: Host) -> None:
    content = host.slice([ONE, OPEN], bridges=BRIDGES)
    host.apply(content)
    host.port("vif3.0", "xenbr0")
    host.vif("add", "vif3.0", OPEN.mac, "2001:DB8:0::13")
    named = OPEN._replace(addresses=(*OPEN.addresses, (6, parse_ipv6("2001:db8::13"))))
    assert host.elements() == host.of_guests(vif3_0=named)
    assert not host.changed(content)
    host.netns.sh(f"nft delete table {TABLE}")
    host.apply(content)
    assert host.elements() == host.of_guests(vif3_0=named)


DRIFTS = {
    "learning": "bridge link set dev vm1.0 learning on",
    "flood": "bridge link set dev vm1.0 flood on",
    "guard": "bridge link set dev vm1.0 guard off",
    "mask": "echo 0 >/sys/class/net/vm1.0/brport/group_fwd_mask",
    "no static entry": "bridge fdb del 52:54:00:0a:0a:0a dev vm1.0 master",
    "entry that can be stolen": "bridge fdb replace 52:54:00:0a:0a:0a dev vm1.0 master static",
    "address of the port": "echo 0 >/proc/sys/net/ipv6/conf/vm1.0/disable_ipv6",
    "bridge": "echo 0 >/sys/class/net/br-net1/bridge/no_linklocal_learn",
    "bridge of others": "echo 1 >/sys/class/net/xenbr0/bridge/nf_call_arptables",
    "element": f"nft delete element {TABLE} macs '{{ \"vm1.0\" . 52:54:00:0a:0a:0a }}'",
    "table": f"nft delete table {TABLE}",
    "records": "rm -r $RUN/antispoof",
    "file of a guest": "rm $ROOT/etc/plainlinux-vpc/antispoof/guests/52-54-00-0a-0a-0a",
    "helper": "chmod 644 $ROOT/etc/plainlinux-vpc/antispoof/vif",
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS.keys())
def test_what_was_changed_by_hand_is_seen_and_repaired(host: Host, drift: str) -> None:
    for name in NAMES:
        host.port(name)
    content = host.slice([ONE, THREE], NAMES, {**BRIDGES, "xenbr0": LOUD})
    host.netns.sh("echo 1 >/sys/class/net/xenbr0/bridge/nf_call_arptables")
    host.apply(content)
    right = host.dump()
    host.netns.sh(f"ROOT={host.root} RUN={host.run_folder}\n{drift}")
    assert host.changed(content, check=True)
    host.apply(content)
    assert host.dump() == right
    assert not host.changed(content)


def test_bridges_of_others_must_be_there_with_an_uplink(host: Host) -> None:
    before = host.dump()
    content = host.slice([ONE], bridges={"br9": FLAT})
    with pytest.raises(RefusedError, match=r"no bridge br9 .*; this host has br-net1, xenbr0"):
        host.apply(content)
    content = host.slice([ONE], bridges={"xenbr0": {**FLAT, "uplinks": ["eth7", "eth8"]}})
    with pytest.raises(RefusedError, match=r"xenbr0 has no port eth7 or eth8 .*; its ports are peth0"):
        host.apply(content)
    assert host.dump() == before
    assert host.files() == []
    # The hypervisor role makes ours later.
    assert host.apply(host.slice([ONE], bridges={"br-new": OWN})).changed
    assert not host.apply(host.slice([ONE], bridges={"br-new": OWN})).changed


def test_ports_of_others_bridges_that_nothing_guards_are_named(host: Host) -> None:
    for name in ("vif1.0", "mon0", "lab7", "vm1.0", "eth9"):
        host.port(name, "xenbr0")
    content = host.slice([ONE], {"vm1.0": ONE}, BRIDGES, trusted=["mon0", "lab*"])
    warnings = host.apply(content).warnings
    assert [warning.split(" is not guarded")[0] for warning in warnings] == ["port eth9 of bridge xenbr0"]
    assert host.elements().keys() & planned("vif1.0", "eth9").keys() == set()


def test_a_bridge_that_another_role_makes_gets_its_settings(host: Host) -> None:
    content = host.slice([ONE], bridges={"br-net2": OWN})
    host.apply(content)
    link = {"state": {"link": {"br-net2": "bridge address 02:00:00:00:00:01"}}}
    Transaction(HYPERVISOR, link, Options(**{**host.options, "removal_limit": None}), host.netns.run).apply()
    assert host.netns.sh("cat /sys/class/net/br-net2/bridge/no_linklocal_learn") == "1\n"
    assert not host.changed(content)


@EITHER
def test_boot(host: Host) -> None:
    host.port("vm1.0")
    host.port("vif7.0", "xenbr0")
    content = host.slice([ONE, TWO], {"vm1.0": ONE}, BRIDGES)
    host.apply(content)
    host.vif("add", "vif7.0", TWO.mac)
    assert not host.changed(content)
    right = host.dump()
    # nftables.service was reloaded; then a boot, after which a name is somebody else's.
    host.netns.sh("nft flush ruleset")
    host.boot()
    assert sorted(host.dump()) == sorted(right)
    assert not host.changed(content)
    host.netns.sh(f"nft flush ruleset; rm -r {host.run_folder}")
    host.boot()
    assert host.elements() == {**host.of_guests(vm1_0=ONE), **planned("vm1.0")}
    assert not host.changed(content, check=True)


def test_what_a_record_cannot_say_is_no_record(host: Host) -> None:
    content = host.slice([ONE])
    host.apply(content)
    for name, text in (("vnet0", ""), ("vnet1", "nonsense\n"), ("vnet2", "# guest 52-54-00-0a-0a-ff\n")):
        (host.run_folder / "antispoof/vif" / name).write_text(text)
    assert not host.changed(content)
    assert host.elements() == {}
