# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts, reloads, guests that move, groups that let nothing out; and what the bridge's address does to routes."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.messages import (
    NO_BINDING,
    RENEW,
    REQUEST,
    SERVER,
    SOLICIT,
    ask6,
    ask_name,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.served import Served, texts, until

DUID = bytes.fromhex("00030001525400000001")
OTHER = bytes.fromhex("00030001525400000002")


class Client:
    """BusyBox' client of a guest that goes on running, and what it was told."""

    def __init__(self, served: Served, name: str) -> None:
        self._record = served.folder / f"running-{name}"
        self._record.unlink(missing_ok=True)
        self._process = served.background(
            served.guests[name],
            *("env", f"RECORD={self._record}", "udhcpc", "-f", "-i", "eth0", "-s", f"{served.folder}/record"),
        )
        assert until(lambda: self.told("bound") == 1)

    def told(self, event: str) -> int:
        return self._record.read_text().count(f"event={event}\n") if self._record.exists() else 0

    def renew(self) -> bool:
        """Ask now; whether the lease was renewed, and nothing else happened."""
        before = self.told("renew")
        self._process.send_signal(signal.SIGUSR1)
        return until(lambda: self.told("renew") == before + 1) and self.told("bound") == 1

    def address(self) -> str:
        return next(
            line.partition("=")[2] for line in reversed(self._record.read_text().splitlines()) if line.startswith("ip=")
        )

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _bind(served: Served, name: str) -> str:
    """Have a guest lease its IPv6 address."""
    address = texts(served.port(served.plan(), name))[6]
    answer = ask6(served.guests[name], REQUEST, DUID, address)
    assert answer is not None
    assert answer.addresses == [address]
    return address


def test_leases_outlive_a_restart(served: Served) -> None:
    plan = served.plan()
    address6 = _bind(served, "vm1")
    client = Client(served, "vm1")
    try:
        served.configured(plan, "vm1")
        served.stop("host1")
        served.start(plan, "host1")
        assert texts(served.port(plan, "vm1"))[4] in {lease[2] for lease in served.leases("host1")}
        assert client.renew()
        assert client.address() == texts(served.port(plan, "vm1"))[4]
    finally:
        client.end()
    # Of IPv6 none does: who renews is told so, and asks for the address that it has.
    answer = ask6(served.guests["vm1"], RENEW, DUID, address6)
    assert answer is not None
    assert (answer.addresses, answer.status) == ([], [NO_BINDING])
    assert _bind(served, "vm1") == address6


def test_another_system_on_a_guest(served: Served) -> None:
    """Its client has another identity: IPv4 goes by the MAC; of IPv6, the lease goes with a restart."""
    plan = served.plan()
    address6 = _bind(served, "vm1")
    assert served.udhcpc(served.guests["vm1"])["ip"] == texts(served.port(plan, "vm1"))[4]
    found = served.udhcpc(served.guests["vm1"], "-x", "61:00aabbcc")
    assert found["ip"] == texts(served.port(plan, "vm1"))[4]
    answer = ask6(served.guests["vm1"], SOLICIT, OTHER)
    assert answer is not None
    assert answer.addresses == []
    served.stop("host1")
    served.start(plan, "host1")
    answer = ask6(served.guests["vm1"], SOLICIT, OTHER)
    assert answer is not None
    assert answer.addresses == [address6]


def test_an_address_that_is_now_another_guests(served: Served) -> None:
    """Leases of guests whose line changed are forgotten, the others' are kept."""
    plan = served.plan()
    four = [texts(served.port(plan, name))[4] for name in ("vm1", "vm2", "vm4")]
    for name in ("vm1", "vm2", "vm4"):
        assert served.udhcpc(served.guests[name])["ip"] in four
    _bind(served, "vm1")
    try:
        changed = served.plan(
            vpc_instances=[
                {
                    **item,
                    "address": four[1 - ("vm1", "vm2").index(item["name"])],
                    "mac": served.port(plan, item["name"]).mac,
                }
                if item["name"] in ("vm1", "vm2")
                else item
                for item in served.inventory()["vpc_instances"]
            ]
        )
        served.apply(changed)
        served.take_up(changed, "host1")
        assert [lease[2] for lease in served.leases("host1") if lease[2] in four] == [four[2]]
        assert served.udhcpc(served.guests["vm1"])["ip"] == four[1]
        assert served.udhcpc(served.guests["vm2"])["ip"] == four[0]
    finally:
        served.apply(plan)
        served.take_up(plan, "host1")


def test_new_options_are_read_by_a_daemon_that_runs(served: Served) -> None:
    plan = served.plan()
    pid = served.running("host1")
    networks = [
        {**network, "dns": ["192.0.2.1"], "search": ["new.example"]} if network["name"] == "wide" else network
        for network in served.networks
    ]
    try:
        changed = served.plan(vpc_networks=networks)
        assert served.write(changed, "host1") == [paths.OPTIONS]
        served.hup("host1")
        found = served.udhcpc(served.guests["vm4"])
        assert (found["dns"], found["search"]) == ("192.0.2.1", "new.example")
        assert served.running("host1") == pid
    finally:
        served.take_up(plan, "host1")


def test_a_guest_that_moves(served: Served) -> None:
    """The other hypervisor renews its lease at once, as the server that it had."""
    plan, moved = served.plan(), served.plan(vm2="host2")
    wanted = texts(served.port(plan, "vm2"))
    assert served.files(moved, "host1").keys() == served.files(plan, "host1").keys()
    address6 = _bind(served, "vm2")
    client = Client(served, "vm2")
    guest = served.configured(plan, "vm2")
    try:
        served.migrate(moved, "vm2", "host1")
        for host in ("host1", "host2"):
            served.take_up(moved, host)
        seen = len(served.log("host2"))
        assert client.renew()
        assert client.address() == wanted[4]
        assert f"DHCPACK(br-dual) {wanted[4]}" in served.log("host2")[seen:]
        assert "DHCPDISCOVER" not in served.log("host2")[seen:]
        answer = ask6(guest, RENEW, DUID, address6)
        assert answer is not None
        assert (answer.status, answer.server) == ([NO_BINDING], SERVER)
        answer = ask6(guest, REQUEST, DUID, address6)
        assert answer is not None
        assert (answer.addresses, answer.server) == ([address6], SERVER)
        assert ask_name(guest, "10.10.10.2", "vm1.dual.internal") == "0 1"
        assert ask_name(guest, "2001:db8:10::2", "vm1.dual.internal", "AAAA") == "0 1"
    finally:
        client.end()
        served.migrate(plan, "vm2", "host2")
        for host in ("host1", "host2"):
            served.take_up(plan, host)


def test_traffic_to_guests_elsewhere_goes_by_the_router(served: Served) -> None:
    """The bridge's address has a prefix, and no way through the bridge comes of it; also by way of the real packets."""
    plan = served.plan()
    here, there = served.port(plan, "vm1"), served.port(plan, "vm3")
    host = served.hosts["host1"]
    for family in (4, 6):
        way = host.sh(f"ip -{family} route get {texts(there)[family]}")
        assert "dev eth0" in way
        assert "192.168.56.101" in way or "fe80::c0a8:3865" in way
        way = host.sh(f"ip -{family} route get {texts(there)[family]} from {texts(here)[family]} iif br-dual")
        assert "dev eth0" in way
    assert host.sh("ip -6 route show table all dev br-dual 2001:db8:10::/64") == ""
    # Its own guests see the bridge's address, which they can answer; others see the host's own.
    assert " src 2001:db8:10::2 " in host.sh(f"ip -6 route get {texts(here)[6]}")
    assert " src 2001:db8:56::103 " in host.sh(f"ip -6 route get {texts(there)[6]}")
    # Whatever nobody has is unreachable by the router, not looked for on the bridge.
    assert "dev eth0" in host.sh("ip -6 route get 2001:db8:10::dead")
    for name in ("vm1", "vm3"):
        served.configured(plan, name)
    for source, target in (("vm1", there), ("vm3", here)):
        for family in (4, 6):
            assert "1 received" in served.guests[source].sh(f"ping -n -c 1 -W 3 {texts(target)[family]}")
        # The bridge's own, on either hypervisor.
        assert "1 received" in served.guests[source].sh("ping -n -c 1 -W 3 2001:db8:10::2")


def test_the_second_run_changes_nothing(served: Served) -> None:
    plan = served.plan()
    root = served.folder / "host1"
    options = Options(root=str(root), lock=str(root / "lock"))
    result = Transaction(
        SCOPES["hypervisor"], plan.slice("host1", "hypervisor"), options, served.hosts["host1"].run
    ).apply()
    assert not result.changed, result.deltas


@pytest.mark.parametrize("name", ["vm1", "vm4", "vm6"])
def test_a_group_that_lets_nothing_out(served: Served, name: str) -> None:
    """What a guest asks to be configured passes; names are traffic like any other, which `egress` is about."""
    wanted = texts(served.port(served.plan(), name))

    def grouped(*egress: dict[str, Any]) -> dict[str, Any]:
        return {
            "vpc_security_groups": [{"name": "closed", "ingress": [], "egress": list(egress)}],
            "vpc_instances": [
                {**item, "security_groups": ["closed"] if item["name"] == name else []}
                for item in served.inventory()["vpc_instances"]
            ],
        }

    guest = served.configured(served.plan(), name)
    network = served.plan().model.networks[served.port(served.plan(), name).network]
    servers = network.guests.dns
    full = f"{name}.{network.guests.domain}"
    try:
        closed = served.plan(**grouped())
        served.apply(closed)
        assert served.udhcpc(guest)["ip"] == wanted[4]
        assert "from fe80::1" in guest.sh("rdisc6 -1 eth0")
        assert f"{wanted[6]}" in (
            guest.sh("ip -6 addr show dev eth0") if name == "vm6" else served.dhclient(guest, 6).values()
        )
        guest.sh("ip -6 neigh flush dev eth0; ip neigh flush dev eth0")
        for server in servers:
            assert ask_name(guest, server, full, patience=1.5) in ("TimeoutError", "ConnectionRefusedError")
        # The address of the bridge, let out by name.
        rules = [
            {"to": f"{server}/{128 if ':' in server else 32}", "protocol": "udp", "ports": 53} for server in servers
        ]
        served.apply(served.plan(**grouped(*rules)))
        for server in servers:
            assert ask_name(guest, server, full) == "0 1"
    finally:
        served.apply(served.plan())
