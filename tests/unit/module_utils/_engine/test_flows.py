# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live flows under a policy that changes: which end, and which do not notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.process import NOT_INSTALLED
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import FailedError, RefusedError
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.grouped_host import Host

# Somebody else's, on the same host.
NAT = """\
table ip others {
    chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        ip daddr 192.168.56.103 tcp dport 8080 dnat to 10.10.10.10:80
        ip daddr 192.168.56.103 tcp dport 8081 dnat to 10.10.10.10:81
    }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        oifname "eth0" ip saddr 10.10.0.0/16 masquerade
    }
}
"""
PING4 = {"protocol": "icmp", "type": "echo-request"}
PING6 = {"protocol": "icmpv6", "type": "echo-request"}


def web(*ingress: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "web", "ingress": list(ingress), **more}


def ports(*numbers: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    return {"protocol": protocol, "ports": list(numbers), **more}


@pytest.fixture(params=["nftables", "iptables"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path, request.param)
    yield found
    found.close()


def test_only_what_is_refused_ends(host: Host) -> None:
    before = host.plan(
        [web(ports(80, 81), ports(53, 54, protocol="udp"), PING4, PING6)], vm1=["web"], vm3=["web"], vm4=["web"]
    )
    # One rule less of TCP and of UDP, and none for ICMPv6.
    after = host.plan([web(ports(81), ports(54, protocol="udp"), PING4)], vm1=["web"], vm3=["web"], vm4=["web"])
    host.apply(before, "security_groups")
    host.apply(before, "hypervisor")
    host.plug("vm1", "vm3", "vm4")
    host.netns.apply([Command(("nft", "-f", "-"), NAT)])
    for name in ("vm1", "vm3"):
        host.echo(host.guests[name], 80, 81, 53, 54)
    host.echo(host.out, 7)
    host.echo(host.netns, 9)
    going, staying = [], []
    for ends in ("10.10.10.10", "2001:db8:10::10"):
        going += [f"tcp,{ends},80", f"udp,{ends},53"]
        staying += [f"tcp,{ends},81", f"udp,{ends},54"]
    outside = host.talk(host.out, *going, "tcp,192.168.56.103,8080", *staying, "tcp,192.168.56.103,8081")
    # What a guest sends stays allowed: through the masquerade, to the host itself, and to a neighbour on its bridge.
    inside = host.talk(host.guests["vm1"], "tcp,192.168.56.1,7", "udp,192.168.56.1,7", "tcp,10.10.10.2,9")
    beside = host.talk(host.guests["vm4"], "tcp,10.10.20.10,80", "tcp,10.10.20.10,81", "tcp,2001:db8:20::10,80")
    assert all([*outside.answered().values(), *inside.answered().values(), *beside.answered().values()])
    pings = [host.ping(target) for target in ("10.10.10.10", "2001:db8:10::10")]
    assert any("ended" in text for text in host.apply(after, "security_groups").commands)
    kept = outside.answered(0.5)
    assert [ping.missed() > 0 for ping in pings] == [False, True]
    assert kept == {
        **dict.fromkeys([*going, "tcp,192.168.56.103,8080"], False),
        **dict.fromkeys([*staying, "tcp,192.168.56.103,8081"], True),
    }
    assert all(inside.answered().values())
    assert beside.answered(0.5) == {
        "tcp,10.10.20.10,80": False,
        "tcp,10.10.20.10,81": True,
        "tcp,2001:db8:20::10,80": False,
    }


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_flow_cannot_be_taken_up_in_the_middle(host: Host, kind: str) -> None:
    """The guest may send to anybody, and what comes back to what it sends passes."""
    before, after = (host.plan([web(ports(*numbers, protocol=kind))], vm1=["web"]) for numbers in ((80, 81), (81,)))
    host.apply(before, "security_groups")
    host.apply(before, "hypervisor")
    host.plug("vm1")
    host.stream(host.guests["vm1"], kind, 80)
    download = host.talk(host.out, f"{kind}-stream,10.10.10.10,80")
    assert all(download.answered().values())
    host.apply(after, "security_groups")
    # What is on its way still arrives.
    download.answered(0.3)
    assert not any(download.answered(0.5).values())
    # Allowed again, it goes on where it was.
    done = host.apply(before, "security_groups")
    assert "conntrack: 1 flows that had been ended may go on" in done.commands
    assert all(download.answered(10).values())


def test_a_host_without_the_program(host: Host) -> None:
    plan = host.plan([web(ports(80))], vm1=["web"])
    before = host.netns.sh("nft list ruleset; iptables-save; ipset save")

    def run(command: Command) -> Output:
        return Output(NOT_INSTALLED, "") if command.argv[0] == "conntrack" else host.run(command)

    assert host.apply(plan, "security_groups", run, check=True).changed
    with pytest.raises(RefusedError, match="conntrack is not installed"):
        host.apply(plan, "security_groups", run)
    assert host.netns.sh("nft list ruleset; iptables-save; ipset save") == before
    assert not host.root.exists() or not list(host.root.rglob("record.json"))
    # Nobody's flows can be refused where nobody is in a group.
    host.apply(host.plan(), "security_groups", run)


@pytest.mark.parametrize("failing", ["-L", "-c"])
def test_a_failure_is_undone(host: Host, failing: str) -> None:
    before, after = (host.plan([web(ports(*numbers))], vm1=["web"]) for numbers in ((80, 81), (81,)))
    host.apply(before, "security_groups")
    host.apply(before, "hypervisor")
    host.plug("vm1")
    host.echo(host.guests["vm1"], 80)
    talk = host.talk(host.out, "tcp,10.10.10.10,80")
    assert all(talk.answered().values())

    broken = [failing]

    def run(command: Command) -> Output:
        if broken and broken[0] in command.argv:
            broken.clear()
            return Output(1, "", "conntrack: out of order")
        return host.run(command)

    with pytest.raises(FailedError, match=r"out of order\. Nothing was changed: what had been written was undone"):
        host.apply(after, "security_groups", run)
    assert all(talk.answered().values())
    assert not host.apply(before, "security_groups", check=True).changed


def test_a_later_failure_lets_flows_go_on(host: Host) -> None:
    before, after = (host.plan([web(ports(*numbers))], vm1=["web"]) for numbers in ((80, 81), (81,)))
    host.apply(before, "security_groups")
    host.apply(before, "hypervisor")
    host.plug("vm1")
    host.echo(host.guests["vm1"], 80)
    talk = host.talk(host.out, "tcp,10.10.10.10,80")
    assert all(talk.answered().values())
    # A file of the role cannot be replaced.
    folder = host.root / "etc/plainlinux-vpc/security_groups"
    victim = folder / {"nftables": "nftables.nft", "iptables": "iptables.filter"}[host.backend]
    host.netns.sh(f"chattr +i {victim}")
    try:
        with pytest.raises(FailedError):
            host.apply(after, "security_groups")
    finally:
        host.netns.sh(f"chattr -i {victim}")
    assert all(talk.answered().values())
    assert not host.apply(before, "security_groups", check=True).changed


def test_a_run_that_was_killed_before_it_ended_flows(host: Host) -> None:
    before, after = (host.plan([web(ports(*numbers))], vm1=["web"]) for numbers in ((80, 81), (81,)))
    host.apply(before, "security_groups")
    host.apply(before, "hypervisor")
    host.plug("vm1")
    host.echo(host.guests["vm1"], 80)
    talk = host.talk(host.out, "tcp,10.10.10.10,80")
    assert all(talk.answered().values())

    class Killed(BaseException):
        pass

    dead = False

    def run(command: Command) -> Output:
        nonlocal dead
        dead = dead or "-L" in command.argv
        if dead:
            raise Killed
        return host.run(command)

    with pytest.raises((Killed, FailedError)):
        host.apply(after, "security_groups", run)
    # Nobody undid the rules, since nothing could be run any more.
    assert all(talk.answered().values())
    assert any("ended 1 flows" in text for text in host.apply(after, "security_groups").commands)
    assert not any(talk.answered(0.5).values())


def test_a_run_that_changes_nothing_asks_nothing_of_conntrack(host: Host) -> None:
    plan = host.plan([web(ports(80))], vm1=["web"])
    assert any(program.startswith("conntrack") for program in (host.apply(plan, "security_groups"), host.programs)[1])
    assert not host.apply(plan, "security_groups").changed
    assert not any(program.startswith("conntrack") for program in host.programs)
    assert host.absent("security_groups").changed


HELPER = """\
table ip others {
    ct helper ftp {
        type "ftp" protocol tcp;
    }
    chain prerouting {
        type filter hook prerouting priority -150; policy accept;
        tcp dport 21 ct helper set "ftp"
    }
}
"""


def test_what_a_helper_announced_goes_with_what_announced_it(host: Host) -> None:
    """Rules know the port of FTP's commands only; that of data is between 1024 and 65535."""
    plans = [host.plan([web(ports(*numbers))], vm1=["web"]) for numbers in ((21, 80), (21,), (80,))]
    host.apply(plans[0], "security_groups")
    host.apply(plans[0], "hypervisor")
    host.plug("vm1")
    host.netns.apply([Command(("nft", "-f", "-"), HELPER)])
    host.echo(host.guests["vm1"], 21, 80, 1234)
    talk = host.talk(host.out, "ftp,10.10.10.10,21", "tcp,10.10.10.10,1234", "tcp,10.10.10.10,80")
    assert list(talk.answered().values()) == [True, True, True]
    host.apply(plans[1], "security_groups")
    assert list(talk.answered(0.5).values()) == [True, True, False]
    host.apply(plans[2], "security_groups")
    assert list(talk.answered(0.5).values()) == [False, False, True]
