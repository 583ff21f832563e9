# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is not answered, and what no guest can do to another one's lease. Each question is answered to somebody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import link_local
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.messages import (
    REBIND,
    REQUEST,
    SOLICIT,
    ask6,
    ask_name,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.served import (
    Served,
    texts,
    until,
)

DUID = bytes.fromhex("00030001525400000001")
OTHER = bytes.fromhex("00030001525400000002")


@pytest.fixture
def stranger(served: Served) -> Iterator[Netns]:
    """A guest that the plan does not know, on a bridge of ours without the guard, with a MAC of the test's choice."""
    netns = Netns()
    try:
        yield netns
    finally:
        served.hosts["host1"].sh("ip link del x0 2>/dev/null || true")
        netns.remove()


def _plug(served: Served, netns: Netns, bridge: str, mac: str) -> None:
    """Without the guard: with it the stranger would not even be heard."""
    # As trusted as the host's own; the guard's tables stay as they are.
    served.hosts["host1"].sh(
        f"""
        ip link add x0 type veth peer name eth0 netns {netns.name} address {mac}
        ip link set x0 master {bridge} up
        """
    )
    netns.sh("ip link set eth0 up")
    assert until(lambda: "fe80" in netns.sh("ip -6 addr show dev eth0 -tentative"))


def _without_guard(served: Served) -> None:
    served.hosts["host1"].sh(
        "nft delete table bridge plainlinux_antispoof 2>/dev/null || true;"
        "for tool in iptables ip6tables; do $tool -t raw -F; $tool -F FORWARD; done"
    )


def _open(served: Served) -> None:
    """Take away the guard, and what refuses messages of DHCPv6."""
    _without_guard(served)
    flush = {
        "nftables": "nft flush chain inet plainlinux_hypervisor input",
        "iptables": "ip6tables -F vpc-hypervisor-input",
    }
    served.hosts["host1"].sh(flush[served.backend])


def _as_planned(served: Served) -> None:
    """As before the test, also what was leased."""
    plan = served.plan()
    served.apply(plan)
    served.stop("host1")
    served.path("host1", paths.LEASES).unlink()
    served.start(plan, "host1")


def test_a_stranger_is_given_nothing(served: Served, stranger: Netns) -> None:
    plan = served.plan()
    known = served.port(plan, "vm1")
    mac = "52:54:00:ff:ff:ff"
    try:
        _open(served)
        _plug(served, stranger, "br-dual", mac)
        assert not served.udhcpc(stranger, tries=2)
        assert ask6(stranger, SOLICIT, DUID, patience=1.5) is None
        # Not even where it names an address or a guest.
        named = ("-r", texts(known)[4], "-x", "hostname:vm1", "-x", f"61:01{known.mac.replace(':', '')}")
        assert not served.udhcpc(stranger, *named, tries=2)
        assert ask6(stranger, REQUEST, DUID, texts(known)[6], patience=1.5) is None
        # The same questions as soon as the plan knows it; dnsmasq goes on running.
        instances = served.inventory()["vpc_instances"]
        guest = {"name": "new", "hypervisor": "host1", "network": "dual", "mac": mac}
        grown = served.plan(vpc_instances=[*instances, guest])
        pid = served.running("host1")
        assert sorted(served.write(grown, "host1")) == [paths.HOSTS, paths.NAMES]
        served.hup("host1")
        assert served.running("host1") == pid
        assert served.udhcpc(stranger)["ip"] == texts(served.port(grown, "new"))[4]
        answer = ask6(stranger, SOLICIT, DUID)
        assert answer is not None
        assert answer.addresses == [texts(served.port(grown, "new"))[6]]
    finally:
        _as_planned(served)


@pytest.mark.parametrize("bridge", ["br-wide", "br-six"])
def test_a_guest_is_given_nothing_in_another_network(served: Served, stranger: Netns, bridge: str) -> None:
    plan = served.plan()
    try:
        _open(served)
        _plug(served, stranger, bridge, served.port(plan, "vm1").mac)
        assert not served.udhcpc(stranger, tries=2)
        assert ask6(stranger, SOLICIT, DUID, patience=1.5) is None
    finally:
        _as_planned(served)


def test_the_underlay_is_not_answered(served: Served) -> None:
    """Neither where it asks the host, nor where it asks for a bridge's address by way of the host."""
    plan = served.plan()
    outside = Netns()
    try:
        served.wire.sh(f"ip link add px type veth peer name eth0 netns {outside.name}; ip link set px master br0 up")
        # The MAC of a guest, so that only the place where it asks speaks against it.
        mac = served.port(plan, "vm2").mac
        outside.sh(
            f"""
            ip link set eth0 address {mac} up
            ip addr add 192.168.56.77/24 dev eth0
            ip addr add 2001:db8:56::77/64 dev eth0 nodad
            ip route add 10.10.10.2 via 192.168.56.103
            ip route add 2001:db8:10::2 via 2001:db8:56::103
            """
        )
        assert until(lambda: "fe80" in outside.sh("ip -6 addr show dev eth0 -tentative"))
        guest = served.configured(plan, "vm2")
        for server in ("10.10.10.2", "2001:db8:10::2"):
            for tcp in (False, True):
                # The way there is open, and the guest is answered.
                assert "1 received" in outside.sh(f"ping -c 1 -W 2 {server}")
                assert ask_name(outside, server, "vm1.dual.internal", tcp=tcp, patience=1.5) in (
                    "TimeoutError",
                    "nothing",
                )
                assert ask_name(guest, server, "vm1.dual.internal", tcp=tcp) == "0 1"
        for server in ("192.168.56.103", "2001:db8:56::103"):
            assert ask_name(outside, server, "vm1.dual.internal") == "ConnectionRefusedError"
        assert ask_name(served.hosts["host1"], "127.0.0.1", "vm1.dual.internal") == "ConnectionRefusedError"
        assert not served.udhcpc(outside, tries=2)
        assert ask6(outside, SOLICIT, DUID, patience=1.5) is None
        assert "from" not in outside.sh("rdisc6 -1 -r 1 -w 1500 eth0 || true")
        assert served.udhcpc(guest)["ip"] == texts(served.port(plan, "vm2"))[4]
        assert ask6(guest, SOLICIT, DUID) is not None
        assert "from fe80::1" in guest.sh("rdisc6 -1 eth0")
    finally:
        served.wire.sh("ip link del px 2>/dev/null || true")
        outside.remove()


def test_names_of_ours_are_asked_of_nobody_else(served: Served) -> None:
    """A server beyond that has an answer to everything is asked for names of others only."""
    upstream = served.background(
        served.hosts["router"],
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--no-resolv", "--no-hosts"),
        *("--user=root", "--listen-address=192.168.56.101", "--bind-interfaces", "--address=/#/203.0.113.66"),
        "--ptr-record=99.10.10.10.in-addr.arpa,evil.example",
    )
    try:
        guest = served.configured(served.plan(), "vm2")
        for server in ("10.10.10.2", "2001:db8:10::2"):
            assert until(lambda server=server: ask_name(guest, server, "www.example.org") == "0 1")
            assert ask_name(guest, server, "nobody.dual.internal") == "3 0"
            assert ask_name(guest, server, "dual.internal") in ("0 0", "3 0")
            assert ask_name(guest, server, "99.10.10.10.in-addr.arpa", "PTR") == "3 0"
            # A name without a domain is nobody's.
            assert ask_name(guest, server, "wpad")[0] in "35"
    finally:
        upstream.kill()
        upstream.wait()


@pytest.mark.parametrize("header", [False, True])
def test_no_guest_takes_the_address_of_another(served: Served, header: bool) -> None:
    """dnsmasq leases to a Rebind whatever that names. None gets to it, guard or not; the owner is leased its own."""
    plan = served.plan()
    victim, thief = served.guests["vm1"], served.guests["vm2"]
    address = texts(served.port(plan, "vm1"))[6]

    def steal() -> list[str]:
        answer = ask6(thief, REBIND, OTHER, address, header=header, patience=1.5)
        return [] if answer is None else answer.addresses

    try:
        assert steal() == []
        _without_guard(served)
        assert steal() == []
        answer = ask6(victim, REQUEST, DUID, address)
        assert answer is not None
        assert answer.addresses == [address]
        _open(served)
        assert steal() == [address]
    finally:
        _as_planned(served)


@pytest.mark.parametrize("own", [False, True])
def test_no_guest_keeps_the_daemon_from_others(served: Served, own: bool) -> None:
    """dnsmasq waits for the MAC of whoever asks it by DHCPv6. own: from the guest's own address, not the link-local."""
    plan = served.plan()
    mute, other = served.configured(plan, "vm1"), served.guests["vm2"]
    port = served.port(plan, "vm1")
    source = texts(port)[6] if own else format_ipv6(link_local(port.mac))
    host = served.hosts["host1"]

    def answered() -> bool:
        host.sh("ip -6 neigh flush dev br-dual")
        # It remembers for a while whose MAC it has found.
        served.stop("host1")
        served.start(plan, "host1")
        # Half a second each.
        for _time in range(20):
            ask6(mute, SOLICIT, DUID, source=source, patience=0)
        return ask6(other, SOLICIT, OTHER, patience=4) is not None

    served.wait_for_link_local("vm1", "vm2")
    mute.sh(
        """
        nft add table ip6 mute
        nft 'add chain ip6 mute output { type filter hook output priority 0; }'
        nft 'add rule ip6 mute output icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } drop'
        """
    )
    try:
        assert answered()
        if own:
            _open(served)
        else:
            host.sh(f"ip -6 neigh del {source} dev br-dual")
        assert not answered()
    finally:
        mute.sh("nft delete table ip6 mute")
        _as_planned(served)


def test_a_guest_that_says_it_is_another_gets_its_own(served: Served) -> None:
    """Neither the client id nor the name of another guest counts, nor what DUID it says it has."""
    plan = served.plan()
    one, two = served.port(plan, "vm1"), served.port(plan, "vm2")
    client_id = f"61:01{one.mac.replace(':', '')}"
    try:
        assert served.udhcpc(served.guests["vm1"])["ip"] == texts(one)[4]
        assert served.udhcpc(served.guests["vm2"], "-x", client_id, "-x", "hostname:vm1")["ip"] == texts(two)[4]
        assert {lease[2] for lease in served.leases("host1")} >= {texts(one)[4], texts(two)[4]}
        answer = ask6(served.guests["vm1"], REQUEST, DUID, texts(one)[6])
        assert answer is not None
        assert answer.addresses == [texts(one)[6]]
        answer = ask6(served.guests["vm2"], REQUEST, DUID, texts(one)[6])
        assert answer is not None
        assert answer.addresses == []
        answer = ask6(served.guests["vm2"], SOLICIT, DUID)
        assert answer is not None
        assert answer.addresses == [texts(two)[6]]
    finally:
        _as_planned(served)
