# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`absent` gives ports back what they had before the role first came, whatever happened to their guests since."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import FailedError
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.guarded_host import (
    BRIDGES,
    EITHER,
    ONE,
    OWN,
    THREE,
    TWO,
    Host,
)


@pytest.fixture
def ports(host: Host) -> Host:
    """A host whose ports are not as new ones are: one that the plan names, one that it does not."""
    host.port("vm1.0")
    host.port("vif7.0", "xenbr0")
    host.netns.sh(
        """
        bridge link set dev vif7.0 learning off guard on
        echo 0x4000 >/sys/class/net/vif7.0/brport/group_fwd_mask
        echo 1 >/proc/sys/net/ipv6/conf/vm1.0/disable_ipv6
        """
    )
    return host


def static_entries(host: Host, name: str) -> list[str]:
    return [line for line in host.netns.lines(f"bridge fdb show dev {name}") if "static" in line]


def unplugged(host: Host) -> None:
    for name in ("vif7.0", "vm1.0"):
        host.vif("del", name)


def undeclared(host: Host) -> None:
    host.apply(host.slice([THREE], bridges=BRIDGES), removal_limit=None)
    for name in ("vif7.0", "vm1.0"):
        assert static_entries(host, name) == []
        assert host.netns.sh(f"cat /sys/class/net/{name}/brport/group_fwd_mask") == "0xfffd\n"


def handed_over(host: Host) -> None:
    host.vif("add", "vm1.0", TWO.mac)
    host.vif("del", "vif7.0")
    host.vif("add", "vif7.0", ONE.mac)
    host.apply(host.slice([ONE, THREE], {"vm1.0": THREE}, BRIDGES), removal_limit=None)


def made_anew(host: Host) -> None:
    host.unplug("vm1.0")
    host.port("vm1.0")
    host.netns.sh("bridge link set dev vm1.0 flood off; echo 1 >/proc/sys/net/ipv6/conf/vm1.0/disable_ipv6")


@EITHER
@pytest.mark.parametrize("change", [unplugged, undeclared, handed_over])
def test_absent_after_a_port_lost_its_guest(ports: Host, change: Callable[[Host], None]) -> None:
    before, settings = ports.dump(), ports.settings()
    content = ports.slice([ONE, TWO], {"vm1.0": ONE}, BRIDGES)
    ports.apply(content)
    ports.vif("add", "vif7.0", TWO.mac)
    change(ports)
    ports.absent()
    assert ports.settings() == settings
    assert ports.dump() == before
    assert not ports.run_folder.exists()


def test_an_interface_that_was_made_anew(ports: Host) -> None:
    content = ports.slice([ONE, TWO], {"vm1.0": ONE}, BRIDGES)
    ports.apply(content)
    made_anew(ports)
    settings = ports.settings()
    ports.apply(content)
    assert ports.settings() != settings
    ports.absent()
    after = ports.settings()
    assert [line for line in after if "vm1.0" in line] == [line for line in settings if "vm1.0" in line]


def failing(host: Host, word: str) -> Callable[[Command], Output]:
    """Run commands; the first call of the helper with this word does its work, but fails."""
    seen: list[str] = []

    def run(command: Command) -> Output:
        output = host.netns.run(command)
        if word in command.argv and not seen:
            seen.append(word)
            return Output(1, "", "made to fail")
        return output

    return run


def test_undo_opens_what_the_failed_run_closed(ports: Host) -> None:
    """And keeps what it closed before, also of a port that is nobody's by now."""
    first = ports.settings()
    ports.port("web0", "xenbr0")
    ports.netns.sh("bridge link set dev web0 flood off")
    old = ports.slice([ONE, TWO], {"vm1.0": ONE}, BRIDGES)
    ports.apply(old)
    ports.vif("add", "vif7.0", TWO.mac)
    ports.vif("del", "vif7.0")
    state = ports.dump(), ports.settings(), ports.files()
    new = ports.slice([ONE, THREE], {"vm1.0": ONE, "web0": THREE}, BRIDGES)
    with pytest.raises(FailedError, match=r"made to fail\. Nothing was changed"):
        ports.apply(new, run=failing(ports, "sync"))
    assert (ports.dump(), ports.settings(), ports.files()) == state
    assert not ports.changed(old)
    ports.apply(new)
    assert static_entries(ports, "web0") == [f"{THREE.mac} sticky master xenbr0 static"]
    ports.unplug("web0")
    ports.absent()
    assert [line for line in ports.settings() if "self" not in line] == [line for line in first if "self" not in line]


def test_undo_leaves_closed_what_a_guest_has(ports: Host) -> None:
    """A port of a name that the plan knew before, whose coming nobody told: the failed run found it."""
    old = ports.slice([ONE, TWO], {"vm1.0": ONE, "web0": TWO}, BRIDGES)
    ports.apply(old)
    ports.port("web0")
    open_ = ports.settings()
    with pytest.raises(FailedError, match="made to fail"):
        ports.apply(
            ports.slice([ONE, TWO], {"vm1.0": ONE, "web0": TWO}, BRIDGES, broadcasts=7), run=failing(ports, "sync")
        )
    assert static_entries(ports, "web0") == [f"{TWO.mac} sticky master br-net1 static"]
    assert not ports.changed(old)
    ports.absent()
    assert [line for line in ports.settings() if "web0" in line] == [line for line in open_ if "web0" in line]


@EITHER
def test_absent_that_fails_keeps_what_was_plugged_in(ports: Host) -> None:
    before = ports.dump()
    content = ports.slice([ONE, TWO], {"vm1.0": ONE}, BRIDGES)
    ports.apply(content)
    ports.vif("add", "vif7.0", TWO.mac)
    state, records = ports.dump(), ports.records()

    def run(command: Command) -> Output:
        if command.argv[-1] == "release":
            assert ports.netns.run(command).status == 0
            return Output(1, "", "made to fail")
        return ports.netns.run(command)

    with pytest.raises(FailedError, match=r"made to fail\. Nothing was changed"):
        ports.apply({}, run=run, removal_limit=None)
    assert ports.records() == records
    assert ports.dump() == state
    assert not ports.changed(content)
    ports.absent()
    assert ports.dump() == before


def test_a_port_of_a_bridge_of_ours_that_is_gone(ports: Host) -> None:
    """Nothing of it is left in the run folder after the next run."""
    content = ports.slice([ONE], {"vm1.0": ONE}, {"br-net1": OWN})
    ports.apply(content)
    assert len(list(ports.run_folder.glob("antispoof/was/*"))) == 1
    ports.unplug("vm1.0")
    ports.apply(content)
    assert list(ports.run_folder.glob("antispoof/was/*")) == []
