# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for, and asked of, hosts and guests."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import cgroup, guest, machine, paths, system, teardown
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import Host
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.topology import Vif

HOST = Host("h", "lab-h", "p-h", "02:00:00:00:00:01", ("192.0.2.1/24", "fe80::1/64"), ("192.0.2.254", "fe80::fe"))
VIF = Vif(
    guest="vm1",
    netns="lab-vm-vm1",
    name="eth0",
    host="h",
    bridge="br-net1",
    vif="vm1.0",
    mac="52:54:00:00:00:01",
    isolated=True,
    address="10.10.10.10/24",
    gateway="10.10.10.1",
    address6="2001:db8::10/128",
    gateway6="fe80::1",
    table=None,
)


def test_built_in_modules() -> None:
    config = "CONFIG_BRIDGE=y\nCONFIG_TUN=m\n# CONFIG_VETH is not set\nCONFIG_BRIDGE_NETFILTER=y\n"
    assert machine.built_in(config) == ["bridge", "br_netfilter"]


def test_only_interface_of_a_guest() -> None:
    assert guest.configuration(VIF) == [
        "address add 10.10.10.10/24 dev eth0",
        "address add 2001:db8::10/128 dev eth0",
        "link set dev eth0 up",
        "route add default via 10.10.10.1 dev eth0",
        "route add default via fe80::1 dev eth0",
    ]
    assert guest.rules(VIF, 4) == guest.rules(VIF, 6) == []


def test_a_guest_of_a_flat_network_has_its_neighbours_on_link() -> None:
    flat = dataclasses.replace(VIF, address6="2001:db8::10/64", gateway6="2001:db8::1", table=100)
    lines = guest.configuration(flat)
    assert "address add 2001:db8::10/64 dev eth0" in lines
    assert "route add default via 2001:db8::1 dev eth0" in lines
    # also for what it answers by its own table, and there before the gateway is looked for
    assert lines.index("route add 2001:db8::/64 dev eth0 table 100") < lines.index(
        "route add default via 2001:db8::1 dev eth0 table 100"
    )
    assert guest.rules(flat, 6) == ["rule add from 2001:db8::10 lookup 100 priority 1100"]


def test_no_gateway_in_a_family_without_address() -> None:
    flat = dataclasses.replace(VIF, address6=None, gateway6="2001:db8::1")
    assert "2001:db8" not in str(guest.configuration(flat))


def test_second_interface_of_a_guest() -> None:
    second = dataclasses.replace(VIF, name="eth1", table=101, address6=None, gateway6=None)
    assert guest.configuration(second) == [
        "address add 10.10.10.10/24 dev eth1",
        "link set dev eth1 up",
        "route add 10.10.10.0/24 dev eth1 table 101",
        "route add default via 10.10.10.1 dev eth1 table 101",
    ]
    assert guest.rules(second, 4) == ["rule add from 10.10.10.10 lookup 101 priority 1101"]
    assert guest.rules(second, 6) == []


@pytest.mark.parametrize("isolated, flag", [(True, "on"), (False, "off")])
def test_port(isolated: bool, flag: str) -> None:
    vif = dataclasses.replace(VIF, isolated=isolated)
    assert guest.enslave(vif) == [
        "link set dev vm1.0 master br-net1",
        f"link set dev vm1.0 type bridge_slave isolated {flag}",
    ]
    assert guest.lift(vif) == ["link set dev vm1.0 up"]


def test_a_process_is_recalled_while_it_lives(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    file = tmp_path / "pid"
    system.remember(file, process.pid)
    assert system.recall(file) == process.pid
    pid, start = file.read_text().split()
    file.write_text(f"{pid} {int(start) + 1}\n")
    assert system.recall(file) is None, "another process with the same pid"
    system.remember(file, process.pid)
    process.kill()
    deadline = time.monotonic() + 5
    while system.recall(file) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert system.recall(file) is None, "a zombie is no process"
    process.wait()
    assert system.recall(file) is None
    assert system.recall(tmp_path / "none") is None


def test_write_replaces(tmp_path: Path) -> None:
    system.write(tmp_path / "x", "1")
    system.write(tmp_path / "x", "2", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "2"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_run_says_what_failed() -> None:
    with pytest.raises(system.LabError, match="sh -c echo no >&2; exit 3: exit status 3: no"):
        system.run(["sh", "-c", "echo no >&2; exit 3"])
    with pytest.raises(system.LabError, match="no-such-program: No such file"):
        system.run(["no-such-program"])


@pytest.mark.parametrize(
    "files, found",
    [
        (["cgroup.controllers"], ["."]),
        (["systemd/cgroup.procs", "unified/cgroup.procs", "cpu/cgroup.procs"], ["systemd", "unified"]),
        (["systemd/tasks"], []),
    ],
)
def test_hierarchies(tmp_path: Path, files: list[str], found: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert cgroup.hierarchies(tmp_path) == [tmp_path / name for name in found]


def test_socket_paths_fit() -> None:
    assert len(os.fsencode(paths.Paths("l" * 32).control("h" * 60))) <= 107


def test_wait() -> None:
    start = time.monotonic()
    assert teardown.wait(lambda: True, 9)
    assert teardown.wait(lambda: time.monotonic() - start > 0.1, 9, unless=lambda: False)
    assert not teardown.wait(lambda: False, 0.1)
    assert not teardown.wait(lambda: False, 60, unless=lambda: True)
    assert time.monotonic() - start < 5
