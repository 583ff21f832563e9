# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that is declared for a host and runs elsewhere: a migration that is prepared, or one that nobody declared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import BOOT_FILE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.guarded_host import (
    BRIDGES,
    EITHER,
    ONE,
    TWO,
    Host,
    planned,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import of_ports
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

MOVED = ONE._replace(addresses=(*ONE.addresses[:1], (6, parse_ipv6("2001:db8:10::10"))))
STAYS = TWO._replace(addresses=(*TWO.addresses, (6, parse_ipv6("2001:db8:10::11"))))


class Flat:
    """A flat bridge with the port of a guest, and the wire to another hypervisor where a second guest may run."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.here, self.elsewhere = Netns(), Netns()
        host.port("vif7.0", "xenbr0")
        host.netns.sh("echo 0 >/sys/class/net/xenbr0/bridge/multicast_snooping")
        self._live("vif7.0-p", self.here, STAYS, "10.10.10.11", "2001:db8:10::11")
        self._live("wire", self.elsewhere, MOVED, "10.10.10.10", "2001:db8:10::10")

    def _live(self, device: str, netns: Netns, guest: Guest, *addresses: str) -> None:
        self.host.netns.sh(f"ip link set {device} netns {netns.name}")
        netns.sh(f"ip link set {device} address {guest.mac} up")
        for address in addresses:
            length = "64 nodad" if ":" in address else "24"
            netns.sh(f"ip addr add {address}/{length} dev {device}")

    def is_heard(self) -> bool:
        """Whether the guest that runs elsewhere reaches the one here: in both families, or in none."""
        for netns in (self.here, self.elsewhere):
            netns.sh("ip neigh flush all; ip -6 neigh flush all")
        found = {
            self.elsewhere.sh(f"ping -c 1 -W 0.5 {address} >/dev/null 2>&1 && echo yes || echo no")
            for address in ("10.10.10.11", "2001:db8:10::11")
        }
        assert len(found) == 1, found
        return found == {"yes\n"}


@pytest.fixture
def flat(host: Host) -> Iterator[Flat]:
    found = Flat(host)
    yield found
    for netns in (found.here, found.elsewhere):
        netns.remove()


def local(host: Host) -> set[str]:
    return {key.split(" ")[4] for key in host.elements() if " set local_macs " in key}


@EITHER
@pytest.mark.parametrize("names", [{}, {"vif1.0": MOVED}])
def test_a_guest_that_runs_elsewhere_is_heard_until_it_comes(flat: Flat, names: dict[str, Guest]) -> None:
    host = flat.host
    content = host.slice([MOVED, STAYS], names, BRIDGES)
    host.apply(content)
    host.vif("add", "vif7.0", STAYS.mac)
    assert flat.is_heard()
    assert not host.changed(content)
    # Its start here is told before its interface is there.
    host.vif("add", "vif1.0", MOVED.mac)
    assert flat.is_heard()
    assert not host.changed(content)
    host.port("vif1.0", "xenbr0")
    host.vif("add", "vif1.0", MOVED.mac)
    assert not flat.is_heard()
    assert local(host) == {MOVED.mac, STAYS.mac}
    assert not host.changed(content)
    host.unplug("vif1.0")
    host.vif("del", "vif1.0")
    assert flat.is_heard()
    assert local(host) == {STAYS.mac}
    assert not host.changed(content)


def test_an_interface_that_nobody_reports(flat: Flat) -> None:
    """The next run sees that it came, or went."""
    host = flat.host
    content = host.slice([MOVED, STAYS], {"vif1.0": MOVED, "vif7.0": STAYS}, BRIDGES)
    host.apply(content)
    assert flat.is_heard()
    for heard in (False, True):
        if heard:
            host.unplug("vif1.0")
        else:
            host.port("vif1.0", "xenbr0")
        assert host.apply(content).changed
        assert flat.is_heard() == heard
        assert not host.changed(content)
        host.vif("sync")
        assert not host.changed(content)


def test_del_of_a_name_of_the_plan_whose_interface_stays(flat: Flat) -> None:
    host = flat.host
    content = host.slice([MOVED, STAYS], {"vif1.0": MOVED, "vif7.0": STAYS}, BRIDGES)
    host.port("vif1.0", "xenbr0")
    host.apply(content)
    assert not flat.is_heard()
    host.vif("del", "vif1.0")
    assert flat.is_heard()
    # The name is the guest's whoever was bound to it, and its port is here.
    assert host.apply(content).changed
    assert not flat.is_heard()
    assert not host.changed(content)


@EITHER
def test_boot_files_know_no_port(host: Host) -> None:
    host.port("vm1.0")
    host.apply(host.slice([ONE, TWO], {"vm1.0": ONE, "vm2.0": TWO}))
    assert local(host) == {ONE.mac}
    right = host.dump()
    host.netns.sh(f"nft flush ruleset; nft -f {host.root}/etc/plainlinux-vpc/antispoof/{BOOT_FILE}")
    found = of_ports({"vm1.0": ONE, "vm2.0": TWO}, (), host.backend)
    assert host.elements() == {**found, **planned("vm1.0", "vm2.0")}
    host.netns.sh("nft flush ruleset")
    host.boot()
    assert sorted(host.dump()) == sorted(right)
    assert local(host) == {ONE.mac}
