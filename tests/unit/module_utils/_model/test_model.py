# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What correct input becomes."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    format_ipv4,
    parse_ipv4,
    parse_ipv6,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import GuestSettings
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Host
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model, parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.permission import Pair
from hypothesis import given
from hypothesis import strategies as st

HOSTS = {
    "host1": {
        "groups": ["all", "hypervisors"],
        "vpc_underlay_address": "192.168.56.103",
        "vpc_antispoof": False,
        "vpc_antispoof_trusted_ports": ["mon0", "eth9.100"],
    },
    "other": {"groups": ["all"]},
    "host2": {
        "groups": ["routers", "hypervisors"],
        "vpc_underlay_address": "192.168.56.104",
        "vpc_underlay_address6": "2001:db8:56::104",
        "vpc_backend": "iptables",
    },
    "router": {
        "groups": ["routers"],
        "vpc_underlay_address": "192.168.56.101",
        "vpc_underlay_address6": None,
        "vpc_backend": None,
        "vpc_antispoof": None,
        "vpc_antispoof_trusted_ports": None,
    },
}
FULL: dict[str, Any] = {
    "vpc_networks": [
        {
            "name": "net2",
            "vpc": "shop",
            "cidr": "10.10.20.0/24",
            "cidr6": "2001:db8:20::/64",
            "gateway": "10.10.20.254",
            "bridge_address": "10.10.20.253",
            "nat": True,
            "local_switching": "bridged",
        },
        {"name": "net1", "cidr": "10.10.10.0/24"},
        {"name": "net6", "cidr6": "2001:db8:6::/64", "log_drops": True},
        {
            "name": "lan",
            "cidr": "192.168.56.0/24",
            "cidr6": "2001:db8:56::/64",
            "bridge": "xenbr0",
            "uplinks": ["peth0", "peth1.7"],
            "gateway6": "2001:db8:56::1",
        },
    ],
    "vpc_instances": [
        {
            "name": "vm2",
            "hypervisor": "host2",
            "interfaces": [
                {
                    "network": "net2",
                    "vif": "vif2.0",
                    "allowed_addresses": ["10.10.20.9", "0.0.0.0/0", "fe80::9", "2001:db8:20::/64"],
                    "allowed_pairs": [{"mac": "00:00:5e:00:01:07", "address": "10.10.20.7"}],
                    "roles": ["vrrp", "router"],
                },
                {"network": "net2", "address6": "2001:db8:20::ffff"},
            ],
            "security_groups": ["web", "db"],
        },
        {
            "name": "vm1",
            "hypervisor": "host1",
            "network": "net1",
            "address": "10.10.10.10",
            "mac": "52:54:00:0a:0a:0a",
            "vif": "vif2.0",
        },
        {"name": "vm3", "hypervisor": "host1", "network": "lan", "address6": "none"},
    ],
    "vpc_prefix_lists": [{"name": "office", "prefixes": ["203.0.113.0/24"]}],
    "vpc_security_groups": [
        {"name": "web", "ingress": [{"protocol": "tcp", "ports": "80-90", "from": ["db", "office"]}]},
        {"name": "db"},
    ],
    "vpc_peerings": [{"name": "shop-default", "vpcs": ["shop", "default"], "networks": ["net2"]}],
    "vpc_public_addresses": [{"address": "198.51.100.50", "instance": "vm1"}],
    "vpc_port_forwards": [{"protocol": "tcp", "ports": 21, "instance": "vm2", "helper": "ftp"}],
    "vpc_nat_pools": [{"name": "pool1", "addresses": "198.51.100.60", "networks": ["net2"]}],
    "vpc_expectations": [{"from": "vm1", "to": "vm2.0", "port": "tcp/80", "expect": "drop"}],
    "vpc_vpn_connections": [],
    "hosts": HOSTS,
}


class Text(str):
    """A string as Ansible tags it: str() keeps the class."""

    __slots__ = ()

    def __str__(self) -> str:  # pylint: disable=invalid-str-returned
        return self


class Items(list):  # type: ignore[type-arg]
    pass


class Keys(dict):  # type: ignore[type-arg]
    pass


def tagged(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Keys({tagged(key): tagged(item) for key, item in value.items()})
    if isinstance(value, list):
        return Items(map(tagged, value))
    return Text(value) if isinstance(value, str) else value


def test_everything_written() -> None:
    # What else there may be: see test_filters.py.
    model = parse(FULL)
    assert Model(model.networks, model.instances, model.hosts) == Model(
        {
            "lan": Network(
                "vpc_networks[3]",
                "lan",
                "default",
                parse_prefix(4, "192.168.56.0/24"),
                parse_prefix(6, "2001:db8:56::/64"),
                parse_ipv4("192.168.56.1"),
                None,
                False,
                "isolated",
                "xenbr0",
                ("peth0", "peth1.7"),
                parse_ipv6("2001:db8:56::1"),
                guests=GuestSettings(domain="lan.internal", search=("lan.internal",)),
            ),
            "net1": Network(
                "vpc_networks[1]",
                "net1",
                "default",
                parse_prefix(4, "10.10.10.0/24"),
                None,
                parse_ipv4("10.10.10.1"),
                parse_ipv4("10.10.10.2"),
                False,
                "isolated",
                guests=GuestSettings(domain="net1.internal", search=("net1.internal",)),
            ),
            "net2": Network(
                "vpc_networks[0]",
                "net2",
                "shop",
                parse_prefix(4, "10.10.20.0/24"),
                parse_prefix(6, "2001:db8:20::/64"),
                parse_ipv4("10.10.20.254"),
                parse_ipv4("10.10.20.253"),
                True,
                "bridged",
                guests=GuestSettings(domain="net2.internal", search=("net2.internal",)),
            ),
            "net6": Network(
                "vpc_networks[2]",
                "net6",
                "default",
                None,
                parse_prefix(6, "2001:db8:6::/64"),
                None,
                None,
                False,
                "isolated",
                log_drops=True,
                guests=GuestSettings(domain="net6.internal", search=("net6.internal",)),
            ),
        },
        {
            "vm1": Instance(
                "vpc_instances[1]",
                "vm1",
                "host1",
                (
                    Interface(
                        "vpc_instances[1]", "net1", parse_ipv4("10.10.10.10"), None, "52:54:00:0a:0a:0a", "vif2.0"
                    ),
                ),
                (),
            ),
            "vm2": Instance(
                "vpc_instances[0]",
                "vm2",
                "host2",
                (
                    Interface(
                        "vpc_instances[0].interfaces[0]",
                        "net2",
                        None,
                        None,
                        None,
                        "vif2.0",
                        (
                            parse_prefix(4, "10.10.20.9/32"),
                            parse_prefix(4, "0.0.0.0/0"),
                            parse_prefix(6, "fe80::9/128"),
                            parse_prefix(6, "2001:db8:20::/64"),
                        ),
                        (Pair("00:00:5e:00:01:07", 4, parse_ipv4("10.10.20.7")),),
                        ("router", "vrrp"),
                        security_groups=("web", "db"),
                    ),
                    Interface(
                        "vpc_instances[0].interfaces[1]",
                        "net2",
                        None,
                        parse_ipv6("2001:db8:20::ffff"),
                        None,
                        None,
                        security_groups=("web", "db"),
                    ),
                ),
                ("web", "db"),
            ),
            "vm3": Instance(
                "vpc_instances[2]",
                "vm3",
                "host1",
                (Interface("vpc_instances[2]", "lan", None, None, None, None, families=(4,)),),
                (),
            ),
        },
        {
            "host1": Host(
                "host1",
                ("security_groups", "hypervisor"),
                "192.168.56.103",
                "fe80::c0a8:3867",
                "nftables",
                ("mon0", "eth9.100"),
            ),
            "host2": Host(
                "host2",
                ("antispoof", "security_groups", "hypervisor", "router"),
                "192.168.56.104",
                "2001:db8:56::104",
                "iptables",
            ),
            "router": Host("router", ("router",), "192.168.56.101", "fe80::c0a8:3865", "nftables"),
        },
    )
    assert list(model.networks) == ["lan", "net1", "net2", "net6"]
    assert [name for name, network in model.networks.items() if network.flat] == ["lan"]
    assert list(model.instances) == ["vm1", "vm2", "vm3"]
    assert list(model.hosts) == ["host1", "host2", "router"]
    assert [instance.path for instance in model.instances.values()] == [
        "vpc_instances[1]",
        "vpc_instances[0]",
        "vpc_instances[2]",
    ]


@pytest.mark.parametrize(
    "address, derived",
    [("192.168.56.104", "fe80::c0a8:3868"), ("10.0.0.16", "fe80::a00:10"), ("1.0.0.0", "fe80::100:0")],
)
def test_underlay6_is_derived(address: str, derived: str) -> None:
    hosts = {"router": {"groups": ["routers"], "vpc_underlay_address": address}}
    assert parse({"hosts": hosts}).hosts["router"].underlay6 == derived


def test_nothing_written() -> None:
    assert parse({}) == Model({}, {}, {})
    assert parse({"vpc_networks": [{"name": "a", "cidr": "10.0.0.0/8"}]}).hosts == {}


def test_limits_that_are_allowed() -> None:
    model = parse(
        {
            "vpc_networks": [
                {"name": "_", "cidr": "10.0.0.0/30"},
                {"name": "abcdefghij-_", "cidr": "11.0.0.0/8", "vpc": "9"},
                {"name": "0", "cidr6": "2001:db8::/126"},
            ],
            "vpc_instances": [
                {"name": "a" + "." * 38 + "z", "hypervisor": "h", "network": "0", "vif": "vif123456789012"},
                {"name": "a", "hypervisor": "h", "network": "0", "address6": "2001:db8::3"},
                {"name": "b_-.9", "hypervisor": "h", "network": "0", "vif": "eth0"},
                {"name": "c", "hypervisor": "h", "network": "abcdefghij-_", "address": "11.255.255.254"},
            ],
            "hosts": {
                "h": {"groups": ["hypervisors"], "vpc_underlay_address": "169.254.1.1"},
                "H" * 63: {"groups": ("routers",), "vpc_underlay_address": "1.0.0.1"},
            },
        }
    )
    assert [network.gateway for network in model.networks.values()] == [None, 0x0A000001, 0x0B000001]


def test_tagged_input_leaves_plain_text() -> None:
    raw = tagged(FULL)
    assert (str(raw["vpc_networks"][0]["name"])).__class__ is Text  # else this test proves nothing
    model = parse(raw)
    assert model == parse(FULL)
    texts: list[Any] = [*model.networks, *model.instances, *model.hosts]
    for network in model.networks.values():
        texts += [
            network.path,
            network.name,
            network.vpc,
            network.local_switching,
            network.bridge or "",
            *network.uplinks,
        ]
    texts += [*model.groups, *model.prefix_lists, *model.pools]
    for group in model.groups.values():
        texts += [group.name, group.path]
        for rule in group.ingress:
            texts += [rule.path, rule.action, *(peer.group or peer.list for peer in rule.peers)]
    for peering in model.peerings.values():
        texts += [peering.name, *peering.vpcs, *peering.networks[0], *peering.networks[1]]
    texts += [item.instance for item in (*model.public, *model.forwards)]
    texts += [item.helper for item in model.forwards]
    texts += [network for pool in model.pools.values() for network in (pool.name, *pool.networks)]
    texts += [word for item in model.expectations for word in (item.source, item.target)]
    for instance in model.instances.values():
        texts += [instance.path, instance.name, instance.hypervisor, *instance.security_groups]
        for interface in instance.interfaces:
            texts += [text for text in interface[:6] if not isinstance(text, int) and text is not None]
            texts += [*interface.security_groups, *interface.roles, *(pair.mac for pair in interface.allowed_pairs)]
    for host in model.hosts.values():
        texts += [host.name, *host.roles, host.underlay, host.underlay6, host.backend, *host.trusted_ports]
    assert {type(text) for text in texts} == {str}


def test_input_is_not_changed() -> None:
    raw = copy.deepcopy(FULL)
    parse(raw)
    assert raw == FULL


def test_path_is_no_part_of_identity() -> None:
    one = Interface("a", "net1", 1, None, None, None)
    two = one._replace(path="b")
    assert one == two
    assert (one != two) is False
    assert hash(one) == hash(two)
    assert one != one._replace(address=2)
    assert one != tuple(one)
    guest = Instance("a", "vm1", "host1", (one,), ())
    assert guest == guest._replace(path="b", interfaces=(two,))
    assert len({guest, guest._replace(path="b")}) == 1
    assert guest != guest._replace(hypervisor="host2")


NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """Inventories without a mistake: disjoint /24s, each address at most once."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    networks = [{"name": name, "cidr": f"10.0.{index}.0/24"} for index, name in enumerate(names)]
    free = {name: list(range(3, 255)) for name in names}
    instances: list[dict[str, Any]] = []
    for guest in draw(st.lists(NAMES, max_size=8, unique=True)):
        name = draw(st.sampled_from(names))
        item: dict[str, Any] = {"name": guest, "hypervisor": draw(st.sampled_from(["host1", "host2"]))}
        interface: dict[str, Any] = {"network": name}
        if draw(st.booleans()):
            host = free[name].pop(draw(st.integers(0, len(free[name]) - 1)))
            interface["address"] = f"10.0.{names.index(name)}.{host}"
        instances.append({**item, **interface} if draw(st.booleans()) else {**item, "interfaces": [interface]})
    return {"vpc_networks": networks, "vpc_instances": instances, "hosts": HOSTS}


@given(inventories(), st.randoms(use_true_random=False))
def test_order_of_the_input_does_not_matter(raw: dict[str, Any], chance: random.Random) -> None:
    model = parse(raw)
    mixed = dict(raw)
    for key in ("vpc_networks", "vpc_instances"):
        mixed[key] = [dict(chance.sample(sorted(item.items()), len(item))) for item in raw[key]]
        chance.shuffle(mixed[key])
    other = parse(mixed)
    assert other == model
    assert list(other.instances) == list(model.instances) == sorted(model.instances)
    assert list(other.networks) == list(model.networks) == sorted(model.networks)
    assert parse(tagged(raw)) == model


@given(inventories(), st.data())
def test_one_mistake_is_one_line(raw: dict[str, Any], data: st.DataObject) -> None:
    """Whatever else is written, a single mistake is found where it is and causes no other line."""
    index = data.draw(st.integers(0, len(raw["vpc_networks"]) - 1))
    base = parse_ipv4("10.0.0.0") + 256 * index
    choices: list[tuple[str, dict[str, Any]]] = [
        (f"vpc_networks[{index}].cidr", {"cidr": f"{format_ipv4(base + 1)}/24"}),
        (f"vpc_networks[{index}].cidr", {"cidr": 10.1}),
        (f"vpc_networks[{index}].nat", {"nat": "yes"}),
        (f"vpc_networks[{index}].gateway", {"gateway": format_ipv4(base)}),
        (f"vpc_networks[{index}].cidr6", {"cidr6": "2001:DB8::/64"}),
        (f"vpc_networks[{index}].vpc", {"vpc": None}),
    ]
    path, bad = data.draw(st.sampled_from(choices))
    networks = [dict(item) for item in raw["vpc_networks"]]
    networks[index].update(bad)
    with pytest.raises(ModelErrors) as caught:
        parse({**raw, "vpc_networks": networks})
    assert [error.path for error in caught.value.errors] == [path]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats() | st.text(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a nested one."""
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found += places(item, (*path, key))
    return found


@given(st.sampled_from(places(FULL)), JUNK)
def test_junk_anywhere_is_a_mistake_or_a_model(path: tuple[Any, ...], junk: Any) -> None:
    raw = copy.deepcopy(FULL)
    inside = raw
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    found = ModelErrors([ModelError("", "")])
    try:
        parse(raw)
    except ModelErrors as errors:
        found = errors
    assert 0 < len(found.errors) == len(str(found).splitlines())
