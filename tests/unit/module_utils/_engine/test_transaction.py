# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction against a real kernel: each test has a network namespace and a folder for files of its own."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.lock import held
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.process import NOT_INSTALLED
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    FailedError,
    LockedError,
    Options,
    RefusedError,
    Result,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.families import FAMILIES, only

NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64", "nat": True, "dhcp": True},
    {"name": "net2", "cidr": "10.10.20.0/24", "local_switching": "bridged"},
]
GUESTS = [
    {"name": "vm1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10", "address6": "2001:db8:10::10"},
    {"name": "vm2", "hypervisor": "host1", "network": "net2", "address": "10.10.20.10"},
    {"name": "vm3", "hypervisor": "host2", "network": "net1", "address": "10.10.10.12", "address6": "2001:db8:10::12"},
]


def inventory(backend: str = "nftables", **changes: Any) -> dict[str, Any]:
    hosts = {
        name: {
            "groups": [group],
            "vpc_underlay_address": f"192.168.56.{number}",
            "vpc_underlay_address6": None,
            "vpc_backend": backend,
        }
        for name, group, number in (
            ("host1", "hypervisors", 103),
            ("host2", "hypervisors", 104),
            ("router", "routers", 101),
        )
    }
    return {"vpc_networks": NETWORKS, "vpc_instances": GUESTS, "hosts": hosts, **changes}


# The iptables tools make their base tables with the first rule, and leave them: they are everybody's.
BASE_TABLES = """
    for tool in iptables ip6tables; do
        for chain in 'nat POSTROUTING' 'filter INPUT' 'filter OUTPUT' 'filter FORWARD'; do
            $tool -t ${chain% *} -A ${chain#* } -j RETURN; $tool -t ${chain% *} -D ${chain#* } -j RETURN
        done
    done
"""


class Host:
    """A host of the plan: a namespace with an underlay interface, and a folder for its root."""

    def __init__(self, name: str, number: int, root: Path) -> None:
        self.name = name
        self.root = root
        self.netns = Netns()
        self.netns.sh(
            f"""
            echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
            ip link add eth0 type veth peer name wire
            ip link set wire up
            ip link set eth0 up
            ip addr add 192.168.56.{number}/24 dev eth0
            ip addr add fe80::c0a8:38{number:02x}/64 dev eth0 nodad
            ip route add default via 192.168.56.254
            """
        )

    def slice(self, role: str, raw: dict[str, Any]) -> dict[str, Any]:
        return Plan(parse(raw), "test").slice(self.name, role)

    def apply(
        self,
        content: dict[str, Any],
        scope: str,
        run: Callable[[Command], Output] | None = None,
        **options: Any,
    ) -> Result:
        chosen = Options(**{"root": str(self.root), "lock": str(self.root / "lock"), **options})
        return Transaction(SCOPES[scope], content, chosen, run or self.netns.run).apply()

    def dump(self) -> list[str]:
        """Everything that a user could see of this host's network, without counters."""
        return self.netns.sh(
            """
            ip -br link | sort; ip -br addr | sort; ip -4 rule; ip -6 rule
            ip -4 route show table all; ip -6 route show table all; ip -6 neigh show nud permanent | sort
            ipset save | sed 's/ initval.*//'
            iptables-save | sed '/^#/d; s/\\[.*//'; ip6tables-save | sed '/^#/d; s/\\[.*//'
            nft -s list ruleset
            cd /proc/sys/net; grep -rs '' ipv4/conf ipv6/conf ipv4/ip_forward ipv4/neigh ipv6/neigh | sort
            """
        ).splitlines()

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file() and path.name != "lock"
        )


@pytest.fixture(params=["nftables", "iptables"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def host1(tmp_path: Path) -> Iterator[Host]:
    host = Host("host1", 103, tmp_path)
    yield host
    host.netns.remove()


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Host]:
    host = Host("router", 101, tmp_path)
    yield host
    host.netns.remove()


@pytest.mark.parametrize("kind", ["mixed", *FAMILIES])
@pytest.mark.parametrize("name, scope", [("host1", "hypervisor"), ("router", "router")])
def test_apply_again_and_take_away(
    name: str, scope: str, kind: str, backend: str, request: pytest.FixtureRequest
) -> None:
    host: Host = request.getfixturevalue(name)
    networks, guests = NETWORKS, GUESTS
    if kind != "mixed":
        networks = only(FAMILIES[kind], ({"cidr6": "2001:db8:20::/64", **network} for network in NETWORKS))
        guests = only(FAMILIES[kind], GUESTS)
    host.netns.sh(BASE_TABLES)
    before = host.dump()
    content = host.slice(scope, inventory(backend, vpc_networks=networks, vpc_instances=guests))
    assert host.apply(content, scope, check=True).changed
    assert host.dump() == before
    assert host.files() == []
    first = host.apply(content, scope)
    assert first.changed
    assert first.commands
    second = host.apply(content, scope)
    assert {name: delta for name, delta in second.deltas.items() if delta} == {}
    assert second.commands == []
    assert host.dump() != before
    host.apply({}, scope, removal_limit=None)
    assert host.dump() == before
    assert host.files() == []


def test_two_roles_on_one_host_leave_each_other_alone(host1: Host) -> None:
    raw = inventory()
    raw["hosts"]["host1"]["groups"] = ["hypervisors", "routers"]
    del raw["hosts"]["router"]
    before = host1.dump()
    for scope in ("router", "hypervisor"):
        host1.apply(host1.slice(scope, raw), scope)
    for scope in ("router", "hypervisor"):
        assert not host1.apply(host1.slice(scope, raw), scope).changed
    host1.apply({}, "hypervisor", removal_limit=None)
    assert not host1.apply(host1.slice("router", raw), "router").changed
    assert host1.netns.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    host1.apply({}, "router", removal_limit=None)
    assert host1.dump() == before
    assert host1.files() == []


@pytest.mark.parametrize("first, then", [("router", "hypervisor"), ("hypervisor", "router")])
def test_the_last_role_takes_the_folders_that_the_first_made(host1: Host, first: str, then: str) -> None:
    """In whatever order they go: Debian 13 has no /etc/iproute2."""
    raw = inventory()
    raw["hosts"]["host1"]["groups"] = ["hypervisors", "routers"]
    del raw["hosts"]["router"]
    for scope in (first, then):
        host1.apply(host1.slice(scope, raw), scope)
    made = host1.root / "etc/iproute2"
    for scope in (first, then):
        assert made.is_dir()
        host1.apply({}, scope, removal_limit=None)
    assert list((host1.root / "etc").iterdir()) == []


DRIFTS = {
    "route removed": "ip route del 10.10.10.10 table 254",
    "route changed": "ip route replace 10.10.10.10/32 via 192.168.56.9",
    "default removed from a bridge's table": "ip route flush table all proto 173",
    "rule removed": "ip rule del iif br-net1",
    "bridge address removed": "ip addr del 10.10.10.2/32 dev br-net1",
    "neighbours removed": "ip -6 neigh flush nud permanent",
    "sysctl": "echo 0 >/proc/sys/net/ipv4/conf/br-net1/proxy_arp",
    "forwarding": "echo 0 >/proc/sys/net/ipv4/ip_forward",
    "set member removed": "nft delete element inet plainlinux_hypervisor isolated '{ br-net1 }'",
    "set member added": "nft add element inet plainlinux_hypervisor isolated '{ br-other }'",
    "rule added to our chain": "nft add rule inet plainlinux_hypervisor output accept",
    "table removed": "nft delete table inet plainlinux_hypervisor",
    "bridge down": "ip link set br-net1 down",
    "bridge MAC": "ip link set br-net1 address 02:00:00:00:00:01",
    "bridge removed": "ip link del br-net1",
    "port not isolated": "ip link add tap0 type veth peer name tap1; ip link set tap0 master br-net1",
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS.keys())
def test_what_was_changed_by_hand_is_seen_and_repaired(host1: Host, drift: str) -> None:
    content = host1.slice("hypervisor", inventory())
    host1.apply(content, "hypervisor")
    host1.netns.sh(drift)
    assert host1.apply(content, "hypervisor", check=True).changed
    assert host1.apply(content, "hypervisor").changed
    assert not host1.apply(content, "hypervisor", check=True).changed


@pytest.mark.parametrize(
    "after, lost",
    [
        ("bridge address 02:00:00:00:00:01", True),
        ("bridge address {mac} nf_call_iptables 1 nf_call_ip6tables 1", False),
    ],
)
def test_a_bridge_that_changes_keeps_its_neighbours(host1: Host, after: str, lost: bool) -> None:
    """The kernel forgets all neighbours of a link whose MAC is set: they are written again, in the same run."""
    content = host1.slice("hypervisor", inventory())
    host1.apply(content, "hypervisor")
    before = host1.netns.lines("ip -6 neigh show nud permanent")
    assert len(before) == 1
    changed = copy.deepcopy(content)
    mac = content["state"]["link"]["br-net1"].split()[2]
    changed["state"]["link"]["br-net1"] = after.format(mac=mac)
    done = host1.apply(changed, "hypervisor")
    assert bool(done.deltas["neighbour"]) is lost
    assert host1.netns.lines("ip -6 neigh show nud permanent") == before
    assert not host1.apply(changed, "hypervisor").changed
    for number in (1, 2) if lost else (1,):
        assert attempt(host1, content, number)
        assert host1.netns.lines("ip -6 neigh show nud permanent") == before
        assert not host1.apply(changed, "hypervisor").changed


FOREIGN = """
    ip link add br-docker type bridge
    ip link set br-docker up
    ip addr add 172.17.0.1/16 dev br-docker
    ip route add 10.99.0.0/16 via 192.168.56.9
    ip route add 10.10.10.99/32 via 192.168.56.9 proto static
    ip -6 neigh add fe80::99 lladdr 02:00:00:00:00:99 dev br-docker nud permanent
    ip rule add from 10.99.0.1 lookup 77 pref 20000
    ip route add default via 192.168.56.9 table 77
    iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
    ipset create mine hash:ip
    ipset add mine 1.2.3.4
    nft add table inet mine
    nft add chain inet mine c
    nft add rule inet mine c counter accept
    echo 0 >/proc/sys/net/ipv4/conf/br-docker/rp_filter
"""


def test_foreign_objects_stay_byte_identical(host1: Host, backend: str) -> None:
    host1.netns.sh(BASE_TABLES)
    host1.netns.sh(FOREIGN)
    before = host1.dump()
    for _round in range(2):
        host1.apply(host1.slice("hypervisor", inventory(backend)), "hypervisor")
    host1.netns.sh("ip addr add 10.10.10.250/32 dev br-net1; ip route add 10.10.10.251 dev br-net1 proto static")
    assert not host1.apply(host1.slice("hypervisor", inventory(backend)), "hypervisor").changed
    host1.netns.sh("ip route del 10.10.10.251; ip addr del 10.10.10.250/32 dev br-net1")
    host1.apply({}, "hypervisor", removal_limit=None)
    assert host1.dump() == before


def test_a_foreign_bridge_of_our_name_is_refused(host1: Host) -> None:
    host1.netns.sh("ip link add br-net1 type bridge")
    before = host1.dump()
    with pytest.raises(RefusedError, match="br-net1 exists and is not ours"):
        host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    assert host1.dump() == before


def test_an_empty_inventory_is_refused_unless_confirmed(host1: Host) -> None:
    host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    before = host1.dump()
    empty = host1.slice("hypervisor", inventory(vpc_instances=[]))
    with pytest.raises(RefusedError, match=r"would remove \d+ of the \d+ objects .* vpc_confirm_removal=true"):
        host1.apply(empty, "hypervisor")
    assert host1.dump() == before
    host1.apply(empty, "hypervisor", removal_limit=None)
    assert not [line for line in host1.dump() if "br-net1" in line]


def test_one_guest_less_touches_its_routes_only(host1: Host) -> None:
    host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    more = [*GUESTS, {"name": "vm9", "hypervisor": "host1", "network": "net2", "address": "10.10.20.19"}]
    done = host1.apply(host1.slice("hypervisor", inventory(vpc_instances=more)), "hypervisor")
    changed = {name: delta for name, delta in done.deltas.items() if delta}
    assert set(changed) == {"route", "file"}
    assert len(changed["route"].added) == 2
    assert done.commands == ["ip -4 -batch - (2 lines)"]
    done = host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    assert len(done.deltas["route"].removed) == 2


def test_without_underlay_address_nothing_is_written(host1: Host) -> None:
    host1.netns.sh("ip addr flush dev eth0 scope link; ip addr del 192.168.56.103/24 dev eth0")
    before = host1.dump()
    with pytest.raises(RefusedError, match=r"no interface has the underlay address 192\.168\.56\.103"):
        host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    assert host1.dump() == before


def test_without_ipv6_underlay_address_the_message_names_what_there_is(host1: Host) -> None:
    host1.netns.sh("ip addr del fe80::c0a8:3867/64 dev eth0; ip addr add fe80::77/64 dev eth0 nodad")
    with pytest.raises(RefusedError, match=r"eth0 has no address fe80::c0a8:3867.*vpc_underlay_address6.*fe80::77"):
        host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")


def failing(host: Host, number: int) -> Callable[[Command], Output]:
    """Run commands, but let the numbered one of those that write fail after half of its lines."""
    seen = 0

    def run(command: Command) -> Output:
        nonlocal seen
        writes = "-batch" in command.argv or command.argv[:2] == ("nft", "-f") or "restore" in command.argv[0]
        writes = writes or command.argv[:2] == ("ipset", "restore")
        if writes:
            seen += 1
            if seen == number:
                lines = (command.stdin or "").splitlines(keepends=True)
                if "nft" not in command.argv[0]:
                    host.netns.run(Command(command.argv, "".join(lines[: len(lines) // 2])))
                return Output(2, "", f"Command failed -:{len(lines) // 2 + 1}")
        return host.netns.run(command)

    return run


def attempt(host: Host, content: dict[str, Any], number: int) -> str:
    """Apply, let the numbered write fail; gives the message, "" where there were fewer writes."""
    try:
        host.apply(content, "hypervisor", run=failing(host, number))
    except FailedError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", range(1, 10))
def test_a_write_that_fails_half_way_leaves_what_was_there(host1: Host, number: int, backend: str) -> None:
    host1.netns.sh(BASE_TABLES)
    before = host1.dump()
    content = host1.slice("hypervisor", inventory(backend))
    problem = attempt(host1, content, number)
    if problem:
        assert "Nothing was changed: what had been written was undone" in problem
        assert host1.dump() == before
        assert host1.files() == []
        host1.apply(content, "hypervisor")
    assert not host1.apply(content, "hypervisor").changed


@pytest.mark.parametrize("number", range(1, 6))
def test_a_change_that_fails_half_way_leaves_the_old_state(host1: Host, number: int) -> None:
    # nft lists sets in the order in which they were made: one that goes and comes back must be the last.
    plain = [{**network, "dhcp": False} for network in NETWORKS]
    host1.apply(host1.slice("hypervisor", inventory(vpc_networks=plain)), "hypervisor")
    before, files = host1.dump(), host1.files()
    other = [GUESTS[0], {**GUESTS[1], "address": "10.10.20.77"}, {**GUESTS[2], "hypervisor": "host1"}]
    networks = [{**plain[0], "local_switching": "bridged"}, plain[1]]
    content = host1.slice("hypervisor", inventory(vpc_instances=other, vpc_networks=networks))
    if attempt(host1, content, number):
        assert host1.dump() == before
        assert host1.files() == files
        host1.apply(content, "hypervisor")
    assert not host1.apply(content, "hypervisor").changed


def test_a_refused_line_is_named(host1: Host) -> None:
    content = host1.slice("hypervisor", inventory())
    content["state"]["route"]["4 254 10.10.10.77"] = "via 203.0.113.1 dev eth0"
    with pytest.raises(FailedError) as caught:
        host1.apply(content, "hypervisor")
    assert "ip -4 -batch -: status 1: RTNETLINK answers: Network is unreachable" in str(caught.value) or (
        "Nexthop has invalid gateway" in str(caught.value)
    )
    assert "refused line: route add 10.10.10.77" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)


def test_killed_in_the_middle_then_run_again(host1: Host, tmp_path: Path) -> None:
    """A real process, killed by SIGKILL at many moments of its apply."""
    content = host1.slice("hypervisor", inventory())
    (tmp_path / "slice.json").write_text(json.dumps(content))
    program = tmp_path / "apply.py"
    program.write_text(
        f"""
import json, sys
sys.path.insert(0, {os.environ.get("PYTHONPATH", sys.path[0])!r})
sys.path[:0] = {sys.path!r}
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process, transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
content = json.load(open({str(tmp_path / "slice.json")!r}))
options = transaction.Options(root={str(tmp_path / "root")!r}, lock={str(tmp_path / "lock")!r})
print("ready", flush=True)
transaction.Transaction(SCOPES["hypervisor"], content, options).apply()
"""
    )
    killed = 0
    for delay in range(0, 300, 20):
        child = subprocess.Popen(
            ["ip", "netns", "exec", host1.netns.name, sys.executable, str(program)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay / 1000)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        child.stdout.close()
        options = {"root": str(tmp_path / "root"), "lock": str(tmp_path / "lock")}
        host1.apply(content, "hypervisor", **options)
        assert not host1.apply(content, "hypervisor", **options).changed
        host1.apply({}, "hypervisor", removal_limit=None, **options)
    assert killed > 3


def test_a_missing_program_is_an_empty_host_in_check_mode_and_an_error_else(host1: Host) -> None:
    def run(command: Command) -> Output:
        return Output(NOT_INSTALLED, "", "") if command.argv[0] == "nft" else host1.netns.run(command)

    before = host1.dump()
    content = host1.slice("hypervisor", inventory())
    assert host1.apply(content, "hypervisor", run=run, check=True).changed
    with pytest.raises(FailedError, match="nft is not installed"):
        host1.apply(content, "hypervisor", run=run)
    assert host1.dump() == before


def test_nobody_else_can_hold_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    path.chmod(0o644)
    with held(str(path), "role router"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_lock_is_held_by_one_and_freed_by_death(host1: Host, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        ["flock", "--no-fork", str(lock), "sh", "-c", "echo held; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    lock.write_text("role router, process 7, since 2026-01-01T00:00:00+0000\n")
    content = host1.slice("hypervisor", inventory())
    with pytest.raises(LockedError, match="role router, process 7, since 2026"):
        host1.apply(content, "hypervisor", patience=0.2)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert host1.apply(content, "hypervisor").changed


def test_a_foreign_forward_drop_is_named(host1: Host) -> None:
    host1.netns.sh("iptables -P FORWARD DROP")
    done = host1.apply(host1.slice("hypervisor", inventory()), "hypervisor")
    assert done.warnings == [
        (
            "table ip filter chain FORWARD drops forwarded packets by its policy: "
            "guests are cut off unless a rule there accepts them"
        )
    ]


def test_boot_files_restore_the_same_state_without_python(host1: Host, backend: str) -> None:
    host1.netns.sh(BASE_TABLES)
    host1.apply(host1.slice("hypervisor", inventory(backend)), "hypervisor")
    wanted = host1.dump()
    script = (
        (host1.root / "etc/plainlinux-vpc/boot")
        .read_text()
        .replace("/etc/plainlinux-vpc", str(host1.root / "etc/plainlinux-vpc"))
    )
    assert "python" not in script
    (host1.root / "boot.sh").write_text(script)
    for damage in ("true", "ip link del br-net1; ip route flush table all proto 173; ip rule del iif br-net1 || true"):
        host1.netns.sh(damage)
        host1.netns.sh(f"dash {host1.root}/boot.sh")
        assert sorted(host1.dump()) == sorted(wanted)
        assert not host1.apply(host1.slice("hypervisor", inventory(backend)), "hypervisor", check=True).changed
