# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What correct groups, ACLs, peerings, public addresses and expectations become."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.acl import Acl
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors, Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import Expectation
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.peering import Peering
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.port import read_ports
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import NatPool, PortForward, PublicAddress
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import DROP, REJECT, Peer, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import PrefixList, SecurityGroup
from hypothesis import given
from hypothesis import strategies as st

FULL = """
vpc_prefix_lists:
  - {name: office, prefixes: [2001:db8:f::/48, 203.0.113.9, 203.0.113.0/29]}
  - {name: nobody, prefixes: []}
vpc_security_groups:
  - name: web
    log: true
    ingress:
      - {protocol: tcp, ports: [443, 80, 81-90, "8000-8010"]}
      - {protocol: 17, ports: 53, from: [app, 10.0.0.0/8, office, self, 2001:db8::1], action: drop}
      - {protocol: icmp, type: echo-request, from: 0.0.0.0/0}
      - {protocol: icmp, type: 3, code: 4}
      - {protocol: icmpv6, type: echo-request, from: [office, "::/0"]}
      - {protocol: 47, from: nobody, action: reject}
      - {}
  - {name: app, stateful: false, egress: [{to: self}]}
  - {name: 0_-a, egress: []}
vpc_networks:
  - name: net1
    vpc: a
    cidr: 10.10.1.0/24
    cidr6: 2001:db8:1::/64
    nat: true
    nat_helpers: [sip, ftp]
    acl:
      ingress: [{protocol: tcp, ports: 22, from: [office, 10.0.0.0/8], action: drop}, {}]
  - {name: net2, vpc: a, cidr: 10.10.2.0/24, nat: true, acl: {egress: []}}
  - {name: net3, vpc: b, cidr: 10.10.3.0/24}
  - {name: net4, vpc: b, cidr6: "2001:db8:4::/64"}
  - {name: lan, vpc: b, cidr: 10.20.0.0/16, bridge: xenbr0}
vpc_instances:
  - {name: vm1, hypervisor: host1, network: net1, security_groups: [web, app]}
  - {name: vm2, hypervisor: host1, network: net1, security_groups: []}
  - name: vm3
    hypervisor: host1
    security_groups: [app]
    interfaces: [{network: net4}, {network: net1, security_groups: [web]}, {network: net2, security_groups: []}]
vpc_peerings:
  - {name: b-a, vpcs: [b, a], networks: [net1]}
vpc_public_addresses:
  - {address: 198.51.100.51, instance: vm3}
  - {address: 198.51.100.50, instance: vm3, interface: 2}
vpc_port_forwards:
  - {address: 198.51.100.52, protocol: tcp, ports: 8000-8010, instance: vm2, to_port: 80, helper: ftp}
  - {protocol: udp, ports: 53, instance: vm3, interface: 2}
vpc_nat_pools:
  - {name: pool1, addresses: 198.51.100.60-198.51.100.63, networks: [net2, net1]}
  - {name: pool0, addresses: 198.51.100.64/30, networks: [net7]}
vpc_expectations:
  - {from: vm3.2, to: vm1, port: tcp/443, expect: accept, family: 4}
  - {from: internet, to: host1, port: udp/53, expect: drop}
  - {from: 10.0.0.1, to: vm1, expect: accept}
  - {from: internet, to: 198.51.100.50, expect: accept}
  - {from: internet, to: 10.10.1.0/25, expect: drop}
hosts:
  host1: {groups: [hypervisors], vpc_underlay_address: 192.168.56.103}
  router: {groups: [routers], vpc_underlay_address: 192.168.56.101}
"""


def full() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(FULL)
    raw["vpc_networks"].append({"name": "net7", "cidr": "10.10.7.0/24", "nat": True})
    return raw


def test_rules_and_groups() -> None:
    model = parse(full())
    list4 = (parse_prefix(4, "203.0.113.0/29"), parse_prefix(4, "203.0.113.9/32"), parse_prefix(6, "2001:db8:f::/48"))
    assert list(model.prefix_lists.values()) == [PrefixList("", "nobody", ()), PrefixList("", "office", list4)]
    web = (
        Rule("", protocol=6, ports=((80, 90), (443, 443), (8000, 8010))),
        Rule(
            "",
            DROP,
            17,
            ((53, 53),),
            peers=(
                Peer(group="app"),
                Peer(prefix=parse_prefix(4, "10.0.0.0/8")),
                Peer(list="office"),
                Peer(group="web"),
                Peer(prefix=parse_prefix(6, "2001:db8::1/128")),
            ),
        ),
        Rule("", protocol=1, icmp=(8, None), peers=(Peer(prefix=parse_prefix(4, "0.0.0.0/0")),)),
        Rule("", protocol=1, icmp=(3, 4)),
        Rule("", protocol=58, icmp=(128, None), peers=(Peer(list="office"), Peer(prefix=parse_prefix(6, "::/0")))),
        Rule("", REJECT, 47, peers=(Peer(list="nobody"),)),
        Rule(""),
    )
    assert list(model.groups.values()) == [
        SecurityGroup("", "0_-a", egress=()),
        SecurityGroup("", "app", egress=(Rule("", peers=(Peer(group="app"),)),), stateful=False),
        SecurityGroup("", "web", web, log=True),
    ]
    assert [rule.path for rule in model.groups["web"].ingress][::6] == [
        "vpc_security_groups[0].ingress[0]",
        "vpc_security_groups[0].ingress[6]",
    ]


def test_networks() -> None:
    networks = parse(full()).networks
    peers = (Peer(list="office"), Peer(prefix=parse_prefix(4, "10.0.0.0/8")))
    assert networks["net1"].acl == Acl("", (Rule("", DROP, 6, ((22, 22),), peers=peers), Rule("")), None)
    assert networks["net2"].acl == Acl("", None, ())
    assert networks["net3"].acl is None
    assert networks["net1"].nat_helpers == ("ftp", "sip")


def test_groups_of_interfaces() -> None:
    raw = full()
    found = {name: instance.interfaces for name, instance in parse(raw).instances.items()}
    assert [interface.security_groups for interface in found["vm1"]] == [("web", "app")]
    assert [interface.security_groups for interface in found["vm2"]] == [()]
    assert [interface.security_groups for interface in found["vm3"]] == [("app",), ("web",), ()]
    raw["vpc_security_groups"].append({"name": "default"})
    found = {name: instance.interfaces for name, instance in parse(raw).instances.items()}
    assert [interface.security_groups for interface in found["vm1"]] == [("web", "app")]
    assert [interface.security_groups for interface in found["vm2"]] == [("default",)]
    assert [interface.security_groups for interface in found["vm3"]] == [("app",), ("web",), ("default",)]


def test_a_list_of_groups_that_was_checked_is_no_word_of_its_letters() -> None:
    raw = full()
    raw["vpc_security_groups"] += [{"name": "a"}, {"name": "b"}]
    raw["vpc_instances"][0]["security_groups"] = ["a", "b"]
    raw["vpc_instances"][1]["security_groups"] = "ab"
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    assert [error.path for error in caught.value.errors] == ["vpc_instances[1].security_groups"]


def test_peerings() -> None:
    raw = full()
    # net1 alone of a; of b all but the flat one.
    assert parse(raw).peerings == {
        "b-a": Peering("", "b-a", ("b", "a"), (frozenset(("net3", "net4")), frozenset(("net1",))))
    }
    del raw["vpc_peerings"][0]["networks"]
    assert parse(raw).peerings["b-a"].networks == (frozenset(("net3", "net4")), frozenset(("net1", "net2")))


def test_public_addresses() -> None:
    model = parse(full())
    address = parse_ipv4
    # The first interface with an IPv4 address where none is named.
    assert model.public == (
        PublicAddress("", address("198.51.100.50"), "vm3", 2),
        PublicAddress("", address("198.51.100.51"), "vm3", 1),
    )
    assert model.forwards == (
        PortForward("", None, 17, (53, 53), "vm3", 2, 53),
        PortForward("", address("198.51.100.52"), 6, (8000, 8010), "vm2", 0, 80, "ftp"),
    )
    assert list(model.pools.values()) == [
        NatPool("", "pool0", (address("198.51.100.64"), address("198.51.100.67")), ("net7",)),
        NatPool("", "pool1", (address("198.51.100.60"), address("198.51.100.63")), ("net2", "net1")),
    ]


def test_expectations() -> None:
    assert parse(full()).expectations == (
        Expectation("", "vm3.2", "vm1", 6, 443, 4, True),
        Expectation("", "internet", "host1", 17, 53, 0, False),
        Expectation("", parse_prefix(4, "10.0.0.1/32"), "vm1", None, 0, 0, True),
        Expectation("", "internet", parse_prefix(4, "198.51.100.50/32"), None, 0, 0, True),
        Expectation("", "internet", parse_prefix(4, "10.10.1.0/25"), None, 0, 0, False),
    )


def test_hypervisors_have_the_role() -> None:
    raw = full()
    raw["hosts"]["host1"]["groups"] = ["hypervisors", "routers"]
    raw["hosts"]["host2"] = {
        "groups": ["hypervisors"],
        "vpc_underlay_address": "192.168.56.104",
        "vpc_antispoof": False,
    }
    hosts = parse(raw).hosts
    assert hosts["host1"].roles == ("antispoof", "security_groups", "hypervisor", "router")
    assert hosts["host2"].roles == ("security_groups", "hypervisor")
    assert hosts["router"].roles == ("router",)


def test_input_is_not_changed() -> None:
    raw = full()
    before = copy.deepcopy(raw)
    parse(raw)
    assert raw == before


@given(st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted), max_size=8))
def test_ports_become_disjoint_ranges_in_order(ranges: list[list[int]]) -> None:
    report = Report()
    found = read_ports(report, "p", [f"{first}-{last}" for first, last in ranges])
    listed = [port for first, last in found for port in range(first, last + 1)]
    assert listed == sorted(set(listed))
    assert all(one[1] + 1 < two[0] for one, two in zip(found, found[1:]))
    if ranges and not report.errors:
        assert set(listed) == {port for first, last in ranges for port in range(first, last + 1)}
