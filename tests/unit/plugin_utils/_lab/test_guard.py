# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests are plugged in as hypervisors do it: the anti-spoofing guard is told before a port is up."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import guard
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.flat import Bridge
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import Host
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.supervisor import Guests
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.topology import Vif
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


class Recorder(guard.Guard):
    """Keeps what the guard is told, and what the ports look like at that moment."""

    def __init__(self, host: Netns) -> None:
        super().__init__(Paths("unit"), "h")
        self.host = host
        self.installed = True
        self.calls: list[tuple[list[str], dict[str, Any]]] = []

    def is_there(self) -> bool:
        return self.installed

    def call(self, lines: Sequence[str]) -> None:
        if lines:
            links = json.loads(self.host.sh("ip -json link"))
            self.calls.append((list(lines), {link["ifname"]: link for link in links}))


@pytest.fixture
def guest(netns: Netns) -> Iterator[Netns]:
    """The namespace of a guest; `netns` is that of its host."""
    netns.sh("ip link add br0 type bridge")
    namespace = Netns()
    try:
        yield namespace
    finally:
        namespace.remove()


def vif(guest: Netns, number: int) -> Vif:
    """An interface of the guest."""
    return Vif(
        guest="vm",
        netns=guest.name,
        name=f"eth{number}",
        host="h",
        bridge="br0",
        vif=f"vif1.{number}",
        mac=f"52:54:00:00:00:0{number}",
        isolated=True,
        address=f"192.0.2.1{number}/24",
        gateway=None,
        address6=None,
        gateway6=None,
        table=None,
    )


def host(netns: Netns, *bridges: Bridge) -> Host:
    """The host, as far as its guests are concerned."""
    return Host("h", netns.name, "p-h", "02:00:00:00:00:01", (), (), bridges=bridges)


def test_guard_knows_ports_before_they_are_up(netns: Netns, guest: Netns) -> None:
    recorder = Recorder(netns)
    guests = Guests(host(netns), recorder)
    guests.want([vif(guest, 0), vif(guest, 1)])
    assert guests.plug() == ["vif1.0", "vif1.1"]
    ((lines, links),) = recorder.calls
    assert [line.partition(" </dev/null")[0] for line in lines] == [
        "/etc/plainlinux-vpc/antispoof/vif add vif1.0 52:54:00:00:00:00",
        "/etc/plainlinux-vpc/antispoof/vif add vif1.1 52:54:00:00:00:01",
    ]
    for name in ("vif1.0", "vif1.1"):
        assert links[name]["master"] == "br0"
        assert "UP" not in links[name]["flags"]
        assert "isolated on" in netns.sh(f"ip -d link show {name}")
        assert "UP" in json.loads(netns.sh(f"ip -json link show {name}"))[0]["flags"]


def test_guard_is_told_again_when_the_bridge_is_another(netns: Netns, guest: Netns) -> None:
    recorder = Recorder(netns)
    guests = Guests(host(netns), recorder)
    guests.want([vif(guest, 0)])
    guests.plug()
    assert guests.plug() == []
    netns.sh("ip link del br0; ip link add br0 type bridge")
    assert guests.plug() == ["vif1.0"]
    lines, links = recorder.calls[1]
    assert len(recorder.calls) == 2
    assert lines[0].startswith("/etc/plainlinux-vpc/antispoof/vif add vif1.0")
    assert "UP" not in links["vif1.0"]["flags"]
    assert "192.0.2.10/24" in guest.sh("ip -o addr show dev eth0")


def test_guard_forgets_what_is_gone(netns: Netns, guest: Netns) -> None:
    recorder = Recorder(netns)
    guests = Guests(host(netns), recorder)
    guests.want([vif(guest, 0), vif(guest, 1)])
    guests.plug()
    guests.want([vif(guest, 1)])
    assert [pulled.vif for pulled in guests.unplug(set())] == ["vif1.0"]
    lines, links = recorder.calls[-1]
    assert len(lines) == 1
    assert lines[0].startswith("/etc/plainlinux-vpc/antispoof/vif del vif1.0 ")
    assert "vif1.0" not in links


def test_without_guard_nobody_is_told(netns: Netns, guest: Netns) -> None:
    recorder = Recorder(netns)
    recorder.installed = False
    guests = Guests(host(netns), recorder)
    guests.want([vif(guest, 0)])
    assert guests.plug() == ["vif1.0"]
    assert "isolated on" in netns.sh("ip -d link show vif1.0")
    guests.want([])
    guests.unplug(set())
    assert recorder.calls == []


def test_guests_on_bridges_of_the_boot_configuration_start_last(netns: Netns, guest: Netns) -> None:
    guests = Guests(host(netns, Bridge("br0", "02:00:00:00:00:02", None, None)), Recorder(netns))
    guests.want([vif(guest, 0)])
    assert guests.plug() == []
    assert guests.waiting() == ["vif1.0"]
    guests.booted = True
    assert guests.plug() == ["vif1.0"]
    guests.switched_off()
    netns.sh("ip link del vif1.0")
    assert guests.plug() == []


def test_what_cannot_be_plugged_in_is_removed_and_the_others_are(netns: Netns, guest: Netns) -> None:
    guests = Guests(host(netns), Recorder(netns))
    guests.want([dataclasses.replace(vif(guest, 0), address="nonsense"), vif(guest, 1)])
    assert guests.plug() == ["vif1.1"]
    assert list(guests.failed) == ["vif1.0"]
    assert "vif1.0" not in netns.sh("ip link")


def test_a_helper_that_fails_stops_nobody(tmp_path: Path) -> None:
    helper = tmp_path / "vif"
    # it also reads what is not meant for it
    helper.write_text('#!/bin/sh\ncat >/dev/null\necho "$@"\n[ "$2" != a ] || { echo unknown >&2; exit 3; }\n')
    helper.chmod(0o755)
    text = "\n".join(guard.withdraw(["a", "b"])).replace(guard.HELPER, str(helper))
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["del a", "del b"]
    assert done.stderr.splitlines() == ["unknown", "del a: status 3"]


def test_guard_of_a_host_is_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paths, "disk", lambda _paths, name: tmp_path / name)
    own = guard.Guard(Paths("unit"), "h")
    assert not own.is_there()
    file = tmp_path / "h/root/etc/plainlinux-vpc/antispoof/vif"
    file.parent.mkdir(parents=True)
    file.touch()
    assert own.is_there()
