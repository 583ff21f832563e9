# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of security groups: what the planner writes is what nft prints, and a change touches what it must."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Peer, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_rules import matches
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import TYPES, Table
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_probes import (
    LOST,
    PASSED,
    REFUSED,
    SHORT,
    Probe,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    HOST,
    NETWORKS,
    World,
    guest,
    plan,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LISTS = [{"name": "office", "prefixes": ["203.0.113.0/24", "198.51.100.0/25", "2001:db8:f::/48"]}]
GROUPS: list[dict[str, Any]] = [
    {
        "name": "web",
        "log": True,
        "ingress": [
            {"protocol": "tcp", "ports": [80, 443]},
            {"protocol": "tcp", "ports": "8000-8010", "from": ["app", "self", "office", "2001:db8::1"]},
            {"protocol": "tcp", "ports": 22, "action": "reject"},
            {"protocol": "udp", "from": "office", "action": "drop"},
        ],
    },
    {"name": "app", "ingress": [{"from": "web"}], "egress": [{"protocol": "icmp", "action": "drop"}, {}]},
    {"name": "1-tcp_ip.x".replace(".", "-"), "stateful": False, "ingress": [{"protocol": 47}], "egress": []},
]
GUESTS = [
    guest("vm1", "net1", "web", "app"),
    guest("vm2", "net2", "app"),
    guest("vm3", "net3", "web"),
    guest("vm4", "net1"),
    guest("far", "net1", "app", hypervisor="host2"),
]
STATELESS = guest("raw", "net2", "1-tcp_ip-x", allowed_addresses=["10.10.20.64/26", "0.0.0.0/0", "2001:db8:99::/64"])
OTHERS = guest("raw3", "net3", "1-tcp_ip-x", allowed_addresses=["0.0.0.0/0", "172.16.0.0/12", "::/0"])
ACL = {"ingress": [{"protocol": "tcp", "ports": 80, "from": ["10.0.0.0/8", "office"]}], "egress": []}
TABLE = "inet plainlinux_security_groups"
SUBSYSTEM = Nft()


def made(**changes: Any) -> Plan:
    return plan(
        **{
            "vpc_networks": NETWORKS,
            "vpc_prefix_lists": LISTS,
            "vpc_security_groups": GROUPS,
            "vpc_instances": GUESTS,
            **changes,
        }
    )


def nft(found: Plan) -> dict[str, str]:
    state: dict[str, str] = found.slice(HOST, SECURITY_GROUPS.name)["state"]["nft"]
    return state


@pytest.fixture(scope="module")
def netns() -> Iterator[Netns]:
    found = Netns()
    yield found
    found.remove()


def same(netns: Netns, state: dict[str, str]) -> None:
    wanted = context(state, None, SECURITY_GROUPS)
    netns.converge(SUBSYSTEM, wanted)
    assert Delta.between(netns.read(SUBSYSTEM, wanted), state) == Delta({}, {})


def with_acl(*numbers: int) -> list[dict[str, Any]]:
    return [{**network, "acl": ACL} if number in numbers else network for number, network in enumerate(NETWORKS)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vpc_networks": with_acl(0, 1)},
        {"vpc_networks": with_acl(0), "vpc_security_groups": [], "vpc_instances": [guest("vm1", "net1")]},
        {"vpc_instances": [*GUESTS, STATELESS, OTHERS]},
        {"vpc_instances": [guest("vm1", "net1", "1-tcp_ip-x")]},
        {"vpc_instances": [guest("vm1", "net1", "app", address6="none", address="10.10.10.7")]},
    ],
)
def test_nft_prints_what_the_plan_says(netns: Netns, changes: dict[str, Any]) -> None:
    same(netns, nft(made(**changes)))


def prefix(family: int, value: int, length: int) -> Prefix:
    bits = 32 if family == 4 else 128
    base = {4: 0x0A000000, 6: 0x20010DB8 << 96}[family]
    return Prefix(family, (base + value) >> bits - length << bits - length, length)


spans = st.tuples(st.integers(1, 300), st.integers(0, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))
peers = st.one_of(
    st.builds(prefix, st.just(4), st.integers(0, 0xFFFF), st.integers(16, 32)),
    st.builds(prefix, st.just(6), st.integers(0, 0xFFFF), st.integers(112, 128)),
    st.sampled_from([Prefix(4, 0, 0), Prefix(6, 0, 0)]),
).map(Peer)
named = st.sampled_from([Peer(list="office"), Peer(group="app")])
rules = st.builds(
    lambda what, found: Rule("", peers=tuple(found), **what),
    st.one_of(
        st.fixed_dictionaries(
            {
                "protocol": st.sampled_from([6, 17, 132, 136]),
                "ports": st.lists(st.one_of(spans, st.just((0, 65535))), max_size=5).map(tuple),
            }
        ),
        st.fixed_dictionaries(
            {
                "protocol": st.sampled_from([1, 58]),
                "icmp": st.tuples(st.integers(0, 255), st.one_of(st.none(), st.integers(0, 255))),
            }
        ),
        st.fixed_dictionaries({"protocol": st.sampled_from([None, 1, 58, 2, 47, 50, 51, 89, 255])}),
    ),
    st.lists(st.one_of(peers, named), max_size=6, unique=True),
)


@given(st.lists(rules, min_size=1, max_size=20), st.sampled_from(["in", "out"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nft_prints_any_rule_as_it_is_written(netns: Netns, found: list[Rule], way: str) -> None:
    table = Table(TABLE)
    for family, kind in TYPES.items():
        table.set(f"members{family}_app", kind, [])
        table.set(f"list{family}_office", kind, [], interval=True)
    table.chain("rules", *(f"{match} accept".lstrip() for rule in found for match in matches(rule, way)))
    same(netns, table.state)


def changed(before: Plan, after: Plan) -> Delta:
    return Delta.between(nft(before), nft(after))


def test_swapping_two_rules_changes_one_chain() -> None:
    groups = [{**GROUPS[0], "ingress": [GROUPS[0]["ingress"][index] for index in (1, 0, 2, 3)]}, *GROUPS[1:]]
    delta = changed(made(), made(vpc_security_groups=groups))
    assert (delta.put, delta.added, delta.removed) == ([f"{TABLE} chain in_web"], [], [])


def test_a_guest_elsewhere_is_an_element_of_a_set() -> None:
    more = guest("farther", "net1", "app", address="10.10.10.77", address6="2001:db8:10::77", hypervisor="host2")
    delta = changed(made(), made(vpc_instances=[*GUESTS, more]))
    keys = [f"{TABLE} set members4_app 10.10.10.77", f"{TABLE} set members6_app 2001:db8:10::77"]
    assert (delta.added, delta.changed, delta.removed) == (keys, [], [])


def test_other_groups_of_a_guest_are_other_elements_of_maps() -> None:
    """Where a guest is that asks for no log, and the combination is known."""
    before = [*GUESTS, guest("vm5", "net1", "app", address="10.10.10.55", address6="none")]
    after = [*GUESTS, guest("vm5", "net1", address="10.10.10.55", address6="none")]
    delta = changed(made(vpc_instances=before), made(vpc_instances=after))
    assert all(" map " in key for key in delta.changed)
    assert [key for key in delta.removed if " set " not in key] == []
    assert f"{TABLE} map to4 10.10.10.55" in delta.changed
    new = changed(
        made(vpc_instances=after),
        made(
            vpc_instances=[
                *after[:-1],
                guest("vm5", "net1", "web", "1-tcp_ip-x", address="10.10.10.55", address6="none"),
            ]
        ),
    )
    chains = {key.rsplit(" ", 1)[1] for key in new.added if " chain " in key}
    assert {"to_web.1-tcp_ip-x", "from_web.1-tcp_ip-x", "in_1-tcp_ip-x", "out_1-tcp_ip-x"} <= chains


def test_the_number_of_rules_does_not_follow_the_number_of_guests() -> None:
    """But of those for logs, which are asked of dropped packets only."""
    few = [guest(f"g{number}", "net1", "app") for number in range(2)]
    many = [guest(f"g{number}", "net1", "app") for number in range(200)]
    delta = changed(made(vpc_instances=few), made(vpc_instances=many))
    assert {key.split(" ")[2] for key in [*delta.put, *delta.removed]} <= {"map", "set"}


def test_nobody_is_filtered_who_names_no_group() -> None:
    idle = made(vpc_security_groups=[], vpc_instances=[guest("vm1", "net1")])
    assert idle.slice(HOST, SECURITY_GROUPS.name)["state"] == {}
    assert "policy" not in idle.slice(HOST, SECURITY_GROUPS.name)
    # Groups are in use, but not here.
    far = made(vpc_instances=[guest("vm1", "net1"), guest("far", "net1", "app", hypervisor="host2")])
    assert far.slice(HOST, SECURITY_GROUPS.name)["state"] == {}


def test_files_and_policy() -> None:
    found = made().slice(HOST, SECURITY_GROUPS.name)
    layout = made().layout
    lines = {
        f"{text} {port.instance}"
        for port in layout.ports
        for _family, text in port.addresses
        if port.instance in ("vm1", "vm2", "far")
    }
    assert set(found["texts"]) == {"members/app", "members/web"}
    assert set(found["texts"]["members/app"].splitlines()) == lines
    policy = found["policy"]
    assert sorted(policy["members"]["app"]) == sorted(line.split()[0] for line in lines)
    assert policy["lists"] == {"office": ["198.51.100.0/25", "203.0.113.0/24", "2001:db8:f::/48"]}
    assert {tuple(groups) for groups in policy["guests"].values()} == {("web", "app"), ("app",), ("web",)}
    assert policy["groups"]["web"]["egress"] is None
    assert found["state"]["module"] == {"br_netfilter": "loaded"}


def test_an_address_that_guests_share_is_judged_by_the_groups_of_all() -> None:
    virtual = "10.10.10.200"
    guests = [
        guest(f"vm{number}", "net1", *groups, allowed_addresses=[virtual])
        for number, groups in enumerate((["app"], ["web"], []))
    ]
    assert nft(made(vpc_instances=guests))[f"{TABLE} map to4 {virtual}"] == "goto to_app.web"


def test_long_names_fit() -> None:
    names = [f"group-of-guests{number}" for number in range(10)]
    groups = [
        {"name": name, "log": True, "ingress": [{"protocol": "tcp", "ports": 1, "action": "drop"}]} for name in names
    ]
    state = nft(made(vpc_security_groups=groups, vpc_instances=[guest("g" * 40, "net1", *names)]))
    assert all(len(key.split(" ")[-1]) <= 128 for key in state if " chain " in key)
    prefixes = re.findall(r'log prefix "([^"]*)"', "\n".join(state.values()))
    assert max(map(len, prefixes)) == 127
    assert all(text.startswith("plainlinux.vpc " + "g" * 40) and text.endswith(": ") for text in prefixes)


@contextmanager
def logged(world: World) -> Iterator[set[str]]:
    """The prefixes of log rules that packets meet in a world, as nft traces them, meanwhile."""
    hooks = "\n".join(
        f"chain {hook} {{\ntype filter hook {hook} priority -400;\nmeta nftrace set 1\n}}"
        for hook in ("prerouting", "output")
    )
    world.shell(f"nft -f - <<'EOF'\ntable inet watch {{\n{hooks}\n}}\nEOF")
    command = ["ip", "netns", "exec", world.host, "nft", "monitor", "trace"]
    found: set[str] = set()

    def read(lines: IO[str]) -> None:
        for line in lines:
            found.update(re.findall(r'log prefix "([^"]*)" \(verdict continue\)', line))

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None
        pool.submit(read, process.stdout)
        yield found
        process.terminate()
    world.shell("nft delete table inet watch")


def test_what_is_dropped_is_logged_with_guest_groups_and_reason() -> None:
    world = World(made())
    try:
        probes = {
            Probe("tcp", "outside", "vm1", 81): LOST,
            Probe("tcp", "outside", "vm1", 22): REFUSED,
            Probe("udp", "office", "vm3", 53, 6): LOST,
            Probe("tcp", "outside", "vm2", 81): LOST,
            Probe("tcp", "outside", "vm1", 80): PASSED,
        }
        world.compare(probes)
        expected = {
            "plainlinux.vpc vm1 ingress web app: no rule: ",
            "plainlinux.vpc vm1 ingress web app: web ingress[2] reject: ",
            "plainlinux.vpc vm3 ingress web: web ingress[3] drop: ",
        }
        with logged(world) as found:
            for _attempt in range(50):
                world.results(probes, SHORT)
                if found >= expected:
                    break
        assert found == expected
    finally:
        world.remove()
