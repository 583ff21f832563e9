# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups of backend iptables, where it differs from nftables: texts, sets, marks, and rules of others."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.ipset import Ipset
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.template import bind, compose
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups import iptables, iptables_sets
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import of_host
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, SECURITY_GROUPS
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    HOST,
    LOST,
    NETWORKS,
    PASSED,
    Probe,
    World,
    guest,
    plan,
)

TOOLS = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
# Chains to which others jump, and sets with room for the name of a spare.
LONGEST_CHAIN, LONGEST_SET = 28, 27
EVERY_RULE: list[dict[str, Any]] = [
    {"protocol": "tcp", "ports": [80, 443]},
    {"protocol": "tcp", "ports": 22, "from": ["abcdefghijklmnop", "10.0.0.0/8", "office", "self", "2001:db8::1"]},
    {"protocol": "tcp", "ports": "8000-8010", "from": "192.0.2.1"},
    {"protocol": "udp", "ports": [*range(1, 40, 2), "50-60", "70-80"], "action": "reject"},
    {"protocol": "udp", "ports": [*range(1, 28, 2), "50-60"], "action": "drop"},
    {"protocol": "sctp", "ports": 5},
    {"protocol": "udplite", "ports": [5, "7-9"]},
    {"protocol": "icmp"},
    {"protocol": "icmp", "type": "echo-request", "from": "0.0.0.0/0"},
    {"protocol": "icmp", "type": 3, "code": 1},
    {"protocol": "icmp", "type": 255, "code": 3},
    {"protocol": "icmp", "type": 255, "action": "drop"},
    {"protocol": "icmpv6", "type": "echo-request"},
    {"protocol": "icmpv6", "type": 1, "code": 4},
    {"protocol": "icmpv6", "action": "reject"},
    {"protocol": "tcp", "action": "reject"},
    {"from": "everybody", "action": "reject"},
    # Every other protocol, whatever its name on this host.
    *({"protocol": number} for number in range(1, 256) if number not in (1, 58)),
]
LISTS = [
    {"name": "office", "prefixes": ["203.0.113.0/24", "203.0.114.7/32", "2001:db8:f::/48"]},
    {"name": "everybody", "prefixes": ["0.0.0.0/0", "::/0"]},
]
GROUPS: list[dict[str, Any]] = [
    {"name": "web", "ingress": EVERY_RULE, "log": True},
    {"name": "abcdefghijklmnop", "ingress": EVERY_RULE[2:6], "egress": EVERY_RULE[3:6], "stateful": False},
    {"name": "shut", "egress": []},
    *({"name": f"many{number}", "ingress": [{"protocol": "udp", "ports": 9000}]} for number in range(20)),
]
ACL = {"ingress": [{"protocol": "tcp", "from": "office"}, {"from": "10.9.0.0/16", "action": "drop"}], "egress": []}
RICH: dict[str, Any] = {
    "vpc_networks": [{**NETWORKS[0], "acl": ACL}, *NETWORKS[1:]],
    "vpc_prefix_lists": LISTS,
    "vpc_security_groups": GROUPS,
    "vpc_instances": [
        guest("a", "net1", "web"),
        guest("b", "net1", "shut", "abcdefghijklmnop", allowed_addresses=["10.10.10.128/28", "10.50.0.0/16"]),
        guest("c", "net2", "abcdefghijklmnop", allowed_addresses=["2001:db8:20:0:1::/80"]),
        guest("d", "net2", "web", "shut"),
        guest("e", "net2", allowed_addresses=["10.10.10.130/32"]),
        guest("f", "net3", "web", allowed_addresses=["10.60.0.0/16"]),
        guest("g", "net3"),
        guest("far", "net1", "abcdefghijklmnop", hypervisor="host2"),
        *(guest(f"m{number}", "net1", f"many{number}") for number in range(20)),
    ],
}


def slice_of(made: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = made.slice(HOST, SECURITY_GROUPS.name)["state"]
    return found


@pytest.fixture(params=["nft", "legacy"])
def tool(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both implementations of iptables, under the names that hosts call them by."""
    program = shutil.which(f"xtables-{request.param}-multi")
    if program is None:
        pytest.skip(f"no iptables-{request.param} here")
    for name in TOOLS:
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    name: str = request.param
    return name


def test_tools_print_what_is_planned(netns: Netns, tool: str) -> None:
    state = slice_of(plan("iptables", **RICH))
    for subsystem in (Ipset(), Iptables()):
        one = context(state[subsystem.name], scope=SECURITY_GROUPS)
        netns.converge(subsystem, one)
        assert netns.read(subsystem, one) == state[subsystem.name], tool


def test_a_boot_gives_the_same(netns: Netns, tool: str, tmp_path: Path) -> None:
    state = slice_of(plan("iptables", **RICH))
    for _once in range(2):
        for subsystem in (Ipset(), Iptables()):
            one = context(state[subsystem.name], scope=SECURITY_GROUPS)
            output = netns.boot(subsystem, one, tmp_path)
            assert output.status == 0, (tool, output)
            assert netns.read(subsystem, one) == state[subsystem.name], tool


def test_chains_and_sets_are_whole() -> None:
    state = slice_of(plan("iptables", **RICH))
    sets = {key for key in state["ipset"] if " " not in key}
    assert all(len(name) <= LONGEST_SET for name in sets)
    assert iptables_sets.count(of_host(plan("iptables", **RICH).layout, HOST)) == len(sets)
    used: set[str] = set()
    for family, name in itertools.product(("4", "6"), ("filter", "raw", "mangle")):
        start = f"{family} {name} "
        texts = {key[len(start) :]: value for key, value in state["iptables"].items() if key.startswith(start)}
        chains = {key for key in texts if " -> " not in key}
        assert all(len(chain) <= LONGEST_CHAIN for chain in chains)
        reached = {key.split(" -> ")[1] for key in texts if " -> " in key}
        for chain, text in texts.items():
            # To accept in a table of others would end their rules as well.
            assert "-j ACCEPT" not in text, chain
            targets = set(re.findall(r"-[gj] (vpc-\S+)", text))
            assert targets <= chains
            reached |= targets
            used |= set(re.findall(r"--match-set (\S+)", text))
        assert chains <= reached
    assert used == sets


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, set[str]]:
    """Keys that differ between two inventories, by subsystem."""
    old, new = (slice_of(plan("iptables", **inventory)) for inventory in (before, after))
    deltas = {name: Delta.between(old[name], new[name]) for name in old}
    return {name: {*delta.before, *delta.after} for name, delta in deltas.items() if delta}


def test_what_changes() -> None:
    group = {**GROUPS[0], "ingress": [EVERY_RULE[1], EVERY_RULE[0], *EVERY_RULE[2:]]}
    assert changed(RICH, {**RICH, "vpc_security_groups": [group, *GROUPS[1:]]}) == {
        "iptables": {"4 filter vpc-sg-gi-web", "6 filter vpc-sg-gi-web"}
    }
    # A guest elsewhere.
    more = guest("more", "net1", "abcdefghijklmnop", hypervisor="host2")
    found = changed(RICH, {**RICH, "vpc_instances": [*RICH["vpc_instances"], more]})
    assert found.keys() == {"ipset"}
    assert {key.split(" ")[0] for key in found["ipset"]} == {f"vpc-sg-m{family}-abcdefghijklmnop" for family in "46"}
    # A guest here more, and another one's groups.
    more = guest("more", "net1", "web")
    found = changed(RICH, {**RICH, "vpc_instances": [*RICH["vpc_instances"], more]})
    assert found.keys() == {"ipset"}
    moved = [guest("a", "net1", "many3"), *RICH["vpc_instances"][1:]]
    found = changed(RICH, {**RICH, "vpc_instances": moved})
    assert found.keys() == {"ipset"}


def test_more_sets_than_a_kernel_has_at_first(netns: Netns) -> None:
    groups = [{"name": f"g{number}", "ingress": []} for number in range(200)]
    guests = [guest(f"vm{number}", "net1", f"g{number}") for number in range(200)]
    made = plan("iptables", vpc_networks=NETWORKS, vpc_security_groups=groups, vpc_instances=guests)
    assert iptables_sets.count(of_host(made.layout, HOST)) > 400
    state = slice_of(made)
    for subsystem in (Ipset(), Iptables()):
        one = context(state[subsystem.name], scope=SECURITY_GROUPS)
        netns.converge(subsystem, one)
        assert netns.read(subsystem, one) == state[subsystem.name]
    # And away with all of them, although the kernel forgets rules only some time after they went.
    for subsystem in (Iptables(), Ipset()):
        gone = context({}, state[subsystem.name], scope=SECURITY_GROUPS)
        netns.converge(subsystem, gone)
        assert netns.read(subsystem, gone) == {}


# Packets.


def inventory(*guests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    groups = [
        {"name": f"g{number}", "ingress": [{"protocol": "tcp", "ports": port} for port in (80, 1000 + number)]}
        for number in range(20)
    ]
    return {"vpc_networks": NETWORKS, "vpc_security_groups": groups, "vpc_instances": list(guests), **changes}


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.remove()


def started(worlds: list[World], variables: dict[str, Any]) -> World:
    worlds.append(World(plan("iptables", **variables)))
    return worlds[-1]


OTHERS = [guest(f"x{number}", "net1", f"g{number}", "g0") for number in range(1, 20)]
ONE = guest("vm", "net1", "g3", address="10.10.10.9", mac="52:54:00:00:00:09")


def test_with_legacy_tools(worlds: list[World], tool: str) -> None:
    """Packets are treated the same by both implementations, here with as many combinations as need larger sets."""
    world = started(worlds, inventory(ONE, guest("o", "net1"), guest("p", "net2"), guest("v2", "net2", "g3"), *OTHERS))
    rows: dict[Probe, str] = {}
    for source, family in itertools.product(("o", "p", "outside", "host"), (4, 6)):
        for target in ("vm", "v2"):
            for port, result in ((80, PASSED), (1003, PASSED), (1002, LOST), (1004, LOST), (22, LOST)):
                rows[Probe("tcp", source, target, port, family)] = result
        rows[Probe("tcp", source, "x7", 1007, family)] = PASSED
        rows[Probe("tcp", source, "x7", 1000, family)] = PASSED
        rows[Probe("tcp", source, "x7", 1003, family)] = LOST
    world.compare(rows)
    assert tool


@pytest.mark.parametrize("others", [OTHERS[:3], OTHERS], ids=["few", "many"])
def test_no_moment_without_groups(worlds: list[World], others: list[dict[str, Any]]) -> None:
    """After each single line of ipset, and of iptables, a guest whose groups change is judged by old or new ones."""
    before = inventory(ONE, guest("o", "net1"), *others)
    # The new combination is one that nobody had; the old one's chains go.
    after = inventory({**ONE, "security_groups": ["g5", "g6"]}, guest("o", "net1"), *others)
    world = started(worlds, before)
    world.enforce()
    world.passes(Probe("tcp", "o", "vm", 80), Probe("tcp", "o", "vm", 1003))
    old, new = (slice_of(plan("iptables", **variables)) for variables in (before, after))
    server = world.socket("vm", socket.AF_INET, socket.SOCK_STREAM)
    server.bind((world.places["vm"].addresses[4], 80))
    server.listen(64)
    steps: list[Command] = []
    for subsystem, verb in ((Ipset(), "put"), (Iptables(), "put"), (Iptables(), "drop"), (Ipset(), "drop")):
        one = context(new[subsystem.name], old[subsystem.name], SECURITY_GROUPS)
        steps += getattr(subsystem, verb)(one, Delta.between(old[subsystem.name], new[subsystem.name]))
    count = 0
    with server:
        for command in steps:
            text = command.stdin or ""
            lines = text.splitlines(keepends=True) if command.argv[0] == "ipset" else [text]
            for line in lines:
                output = world.run(Command(command.argv, line))
                assert output.status == 0, (line, output)
                count += 1
                with world.socket("o", socket.AF_INET, socket.SOCK_STREAM) as client:
                    client.settimeout(5)
                    client.connect((world.places["vm"].addresses[4], 80))
    assert count > 8
    world.enforce(plan("iptables", **after))
    world.loses(Probe("tcp", "o", "vm", 1003))
    world.passes(Probe("tcp", "o", "vm", 1005), Probe("tcp", "o", "vm", 1006))


def test_a_mark_of_others_says_nothing(worlds: list[World]) -> None:
    """And ours stays with us."""
    world = started(worlds, inventory(ONE, guest("o", "net1"), guest("w", "net2", "g3"), guest("p", "net2")))
    both = iptables.YES | iptables.SEEN
    world.shell(
        "for program in iptables ip6tables; do\n"
        f'"$program" -t mangle -A PREROUTING -j MARK --set-xmark {iptables.YES:#x}/{iptables.YES:#x}\n'
        f'"$program" -t mangle -A OUTPUT -j MARK --set-xmark {iptables.YES:#x}/{iptables.YES:#x}\n'
        f'"$program" -t mangle -A POSTROUTING -m mark ! --mark 0x0/{both:#x}\n'
        "done"
    )
    probes = [
        Probe("tcp", source, target, 22, family)
        for source, target in (("o", "vm"), ("p", "w"), ("outside", "vm"), ("host", "w"))
        for family in (4, 6)
    ]
    world.compare({**dict.fromkeys(probes, LOST), **{probe._replace(port=80): PASSED for probe in probes}})
    world.shell(
        'for program in iptables ip6tables; do "$program" -t mangle -F PREROUTING; "$program" -t mangle -F OUTPUT; done'
    )
    world.shell('for program in iptables ip6tables; do "$program" -t mangle -Z POSTROUTING; done')
    world.forget()
    world.passes(Probe("tcp", "o", "vm", 80), Probe("tcp", "p", "w", 80))
    for program in ("iptables", "ip6tables"):
        marked = world.shell(f"{program} -t mangle -nvxL POSTROUTING | grep '! 0x0/'").split()[0]
        assert marked == "0"


def test_rules_of_others_count_as_before(worlds: list[World]) -> None:
    world = started(worlds, inventory(ONE, guest("o", "net1"), guest("w", "net2", "g3"), guest("p", "net2")))
    world.enforce()
    probes = [Probe("tcp", "o", "vm", 80), Probe("tcp", "p", "w", 80), Probe("tcp", "outside", "w", 80)]
    world.passes(*probes)
    # A policy, and a rule that is behind ours.
    world.shell("iptables -P FORWARD DROP")
    world.forget()
    world.loses(*probes)
    world.shell("iptables -P FORWARD ACCEPT; iptables -A FORWARD -p tcp --dport 80 -j DROP")
    world.forget()
    world.loses(*probes)


def test_rules_that_others_flushed_let_nothing_pass_on_a_bridge(worlds: list[World]) -> None:
    """What only br_netfilter shows has to have been seen by these rules, not just by anybody's."""
    world = started(worlds, inventory(guest("w", "net2", "g3"), guest("p", "net2"), guest("f", "net3", "g3")))
    world.enforce()
    probes = [Probe("tcp", source, "w", 80, family) for source in ("p",) for family in (4, 6)]
    probes += [Probe("tcp", "outside", "f", 80, family) for family in (4, 6)]
    world.passes(*probes)
    world.shell("iptables -F FORWARD; ip6tables -F FORWARD")
    world.forget()
    world.loses(*probes)
    world.enforce()
    world.passes(*probes)


@pytest.mark.parametrize("first", ["guard", "groups"])
def test_with_the_guard_in_either_order(worlds: list[World], first: str) -> None:
    variables = inventory(ONE, guest("o", "net1"), guest("w", "net2", "g3"), guest("p", "net2"))
    world = started(worlds, variables)
    ports = world.plan.slice(HOST, ANTISPOOF.name)["ports"]
    rules: dict[str, list[str]] = {}
    for vif, name in sorted(ports["names"].items()):
        for place, rule in bind(ports["guests"][name], vif).rules:
            rules.setdefault(place, []).append(rule)
    guard = dict(world.plan.slice(HOST, ANTISPOOF.name)["state"]["iptables"])
    for family, text in ports["chains"].items():
        guard.update(compose(family, text, rules))
    one = context(guard, scope=ANTISPOOF)

    def put() -> None:
        subsystem = Iptables()
        found = subsystem.parse(one, [world.run(command) for command in subsystem.read(one)])
        for command in subsystem.put(one, Delta.between(found, guard)):
            output = world.run(command)
            assert output.status == 0, output

    if first == "groups":
        put()
    world.enforce()
    if first == "guard":
        put()
    chains = [line for line in world.shell("iptables-save -t filter").splitlines() if line.startswith("-A FORWARD")]
    assert [ANTISPOOF.prefix in line for line in chains] == [first == "guard", first != "guard"]
    passed, lost = [], []
    for source, target in (("o", "vm"), ("p", "w"), ("outside", "w"), ("w", "vm")):
        passed += [Probe("tcp", source, target, port, family) for port in (80, 1003) for family in (4, 6)]
        lost += [Probe("tcp", source, target, port, family) for port in (81, 22) for family in (4, 6)]
    world.passes(*passed)
    world.loses(*lost)


def test_logs_what_it_drops(worlds: list[World]) -> None:
    """Counted by the rule: a kernel prints for the first namespace only."""
    group = {
        "name": "abcdefghijklmnop",
        "log": True,
        "ingress": [
            {"protocol": "tcp", "ports": 81, "action": "reject"},
            {"protocol": "tcp", "ports": 82, "action": "drop"},
        ],
        "egress": [],
    }
    world = started(
        worlds,
        inventory(guest("vm", "net1", "abcdefghijklmnop"), guest("o", "net1"), vpc_security_groups=[group]),
    )
    world.enforce()
    world.results([Probe("tcp", "o", "vm", port) for port in (80, 81, 82)], 0.2)
    world.results([Probe("udp", "vm", "o", 80)], 0.2)
    logged = {
        line.split('"')[1]: int(line.split()[0])
        for line in world.shell("iptables -nvxL | grep LOG | sed 's/prefix \"/&/'").splitlines()
    }
    assert set(logged) == {
        "sg in abcdefghijkl: no rule: ",
        "sg in abcdefghijklmno: drop: ",
        "sg in abcdefghijklm: reject: ",
        "sg out abcdefghijk: no rule: ",
    }
    assert all(logged.values())
    assert all(len(text) == 29 for text in logged)
