# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of a hypervisor: what stands in them, that nothing else can, and that dnsmasq takes them."""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import parse as parse_fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.hosts import policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths, texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from hypothesis import given, settings
from hypothesis import strategies as st

HOSTS = {
    name: {
        "groups": [group],
        "vpc_underlay_address": f"192.168.56.{number}",
        "vpc_underlay_address6": f"fe80::{number}",
    }
    for name, group, number in (
        ("host1", "hypervisors", 103),
        ("host2", "hypervisors", 104),
        ("router", "routers", 101),
    )
}
NETWORKS = [
    {
        "name": "net1",
        "cidr": "10.10.10.0/24",
        "cidr6": "2001:db8:10::/64",
        "dhcp": True,
        "mtu": 1400,
        "search": ["net1.internal", "example.com"],
        "routes": [{"to": "10.50.0.0/16", "via": "10.10.10.5"}],
    },
    {"name": "net_2", "cidr": "10.10.20.0/29", "cidr6": "2001:db8:20::/64", "dhcp": True, "ipv6_addressing": "slaac"},
    {"name": "net6", "cidr6": "2001:db8:60::/126", "dhcp": True, "domain": "net1.internal", "dns": [], "search": []},
    {"name": "old", "cidr": "10.10.70.0/24", "cidr6": "2001:db8:70::/64"},
]
GUESTS = [
    {"name": "vm2", "hypervisor": "host1", "network": "net1", "address": "10.10.10.20", "address6": "2001:db8:10::20"},
    {
        "name": "vm1",
        "hypervisor": "host1",
        "interfaces": [
            {"network": "net6", "address6": "2001:db8:60::3", "mac": "52:54:00:00:00:06"},
            {"network": "net1", "address": "10.10.10.10", "address6": "none", "mac": "52:54:00:00:00:07"},
            {"network": "old", "address": "10.10.70.10", "address6": "2001:db8:70::10"},
        ],
    },
    {
        "name": "web_1.shop",
        "hypervisor": "host1",
        "network": "net_2",
        "address": "10.10.20.3",
        "mac": "52:54:00:0a:0a:0a",
    },
    {"name": "vm3", "hypervisor": "host2", "network": "net1", "address": "10.10.10.30", "address6": "2001:db8:10::30"},
    {"name": "old1", "hypervisor": "host2", "network": "old", "address": "10.10.70.11", "address6": "2001:db8:70::11"},
]


def plan_of(**changes: Any) -> Plan:
    raw = {"vpc_networks": NETWORKS, "vpc_instances": GUESTS, "hosts": HOSTS, **changes}
    return Plan(parse(raw), "test")


def files(plan: Plan, host: str = "host1") -> dict[str, Any]:
    found: dict[str, Any] = dict(plan.hosts())[host]["files"][GUEST_NETWORK]
    return found


def contents(plan: Plan, host: str = "host1") -> dict[str, list[str]]:
    """Lines without comments, by path."""
    return {
        file["dest"]: [line for line in file["content"].splitlines() if not line.startswith("#")]
        for file in files(plan, host)["files"]
    }


def test_golden() -> None:
    found = contents(plan_of())
    assert found[paths.MAIN] == [
        "pid-file",
        "log-facility=-",
        "quiet-ra",
        "no-hosts",
        "addn-hosts=/etc/plainlinux-vpc/guest_network/names",
        "bind-dynamic",
        "except-interface=lo",
        "interface=br-net1",
        "interface=br-net6",
        "interface=br-net_2",
        "domain-needed",
        "local=/net-2.internal/",
        "local=/net1.internal/",
        "local=/10.10.10.in-addr.arpa/",
        "local=/0.0.0.0.0.1.0.0.8.b.d.0.1.0.0.2.ip6.arpa/",
        *(f"local=/{number}{'.0' * 20}.6.0.0.8.b.d.0.1.0.0.2.ip6.arpa/" for number in range(4)),
        *(f"local=/{number}.20.10.10.in-addr.arpa/" for number in range(8)),
        "local=/0.0.0.0.0.2.0.0.8.b.d.0.1.0.0.2.ip6.arpa/",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-ignore-names",
        "dhcp-hostsfile=/etc/plainlinux-vpc/guest_network/hosts",
        "dhcp-optsfile=/etc/plainlinux-vpc/guest_network/options",
        "dhcp-leasefile=/var/lib/plainlinux-vpc-guest-network/leases",
        "dhcp-lease-max=100000",
        "dhcp-duid=32473,70:6c:61:69:6e:6c:69:6e:75:78:2e:76:70:63",
        "dhcp-range=set:net-net1,10.10.10.0,static,255.255.255.0,10.10.10.255,12h",
        "enable-ra",
        "dhcp-range=set:net-net1,2001:db8:10::,static,off-link,64,1h",
        "ra-param=br-net1,mtu:1400,600,9000",
        "dhcp-range=set:net-net6,2001:db8:60::,static,off-link,126,1h",
        "ra-param=br-net6,mtu:off,600,9000",
        "dhcp-range=set:net-net_2,10.10.20.0,static,255.255.255.248,10.10.20.7,12h",
        "dhcp-range=set:net-net_2,2001:db8:20::,ra-stateless,off-link,64,12h",
        "ra-param=br-net_2,mtu:off,600,9000",
    ]
    assert found[paths.HOSTS] == [
        "52:54:00:00:00:06,id:*,[2001:db8:60::3],vm1",
        "52:54:00:00:00:07,id:*,10.10.10.10,vm1",
        "52:54:00:0a:0a:0a,id:*,10.10.20.3,[2001:db8:20:0:5054:ff:fe0a:a0a]",
        "52:54:00:0a:0a:14,id:*,10.10.10.20,[2001:db8:10::20],vm2",
    ]
    assert found[paths.OPTIONS] == [
        "tag:net-net1,option:router,10.10.10.1",
        "tag:net-net1,option:dns-server,10.10.10.2",
        "tag:net-net1,option:domain-name,net1.internal",
        "tag:net-net1,option:domain-search,net1.internal,example.com",
        "tag:net-net1,option:mtu,1400",
        "tag:net-net1,option:classless-static-route,0.0.0.0/0,10.10.10.1,10.50.0.0/16,10.10.10.5",
        "tag:net-net1,option6:dns-server,[2001:db8:10::2]",
        "tag:net-net1,option6:domain-search,net1.internal,example.com",
        "tag:net-net6,option6:dns-server",
        "tag:net-net_2,option:router,10.10.20.1",
        "tag:net-net_2,option:dns-server,10.10.20.2",
        "tag:net-net_2,option:domain-name,net-2.internal",
        "tag:net-net_2,option:domain-search,net-2.internal",
        "tag:net-net_2,option6:dns-server,[2001:db8:20::2]",
        "tag:net-net_2,option6:domain-search,net-2.internal",
    ]
    assert found[paths.NAMES] == [
        "10.10.10.10 vm1.net1.internal",
        "10.10.10.20 vm2.net1.internal",
        "10.10.10.30 vm3.net1.internal",
        "2001:db8:10::20 vm2.net1.internal",
        "2001:db8:10::30 vm3.net1.internal",
        "2001:db8:60::3 vm1.net1.internal",
        "10.10.20.3 web_1.shop.net-2.internal",
        "2001:db8:20:0:5054:ff:fe0a:a0a web_1.shop.net-2.internal",
    ]


def test_a_host_has_what_its_guests_need() -> None:
    """Guests of its own are answered, those of their networks named; without such guests there is nothing at all."""
    plan = plan_of()
    other = contents(plan, "host2")
    assert [line for line in other[paths.MAIN] if line.startswith("interface=")] == ["interface=br-net1"]
    assert other[paths.HOSTS] == ["52:54:00:0a:0a:1e,id:*,10.10.10.30,[2001:db8:10::30],vm3"]
    assert "10.10.10.10 vm1.net1.internal" in other[paths.NAMES]
    nothing: dict[str, Any] = {"files": [], "validate": [], "apply": [], "units": [], "questions": []}
    alone = plan_of(vpc_instances=[guest for guest in GUESTS if guest["name"] not in ("vm3",)])
    assert files(alone, "host2") == {"format": 1, "id": "test", "host": "host2", **nothing}
    assert [(host, role) for host, content in alone.hosts() for role in content["files"]] == [
        ("host1", GUEST_NETWORK),
        ("host2", GUEST_NETWORK),
    ]


def test_the_plan_of_the_kernel() -> None:
    """Without dhcp there is nothing more than without this role; with it the address, neighbours and refusals."""
    plain = [{key: network[key] for key in ("name", "cidr", "cidr6") if key in network} for network in NETWORKS]
    told = [{**network, "mtu": 1400, "dns": ["2001:db8::53"], "domain": "a.example"} for network in plain]
    fixed = [
        {**guest, "address6": "2001:db8:20:0:5054:ff:fe0a:a0a"} if guest["name"] == "web_1.shop" else guest
        for guest in GUESTS
    ]
    before, same, now = (
        plan_of(vpc_networks=networks, vpc_instances=fixed).slice("host1", "hypervisor")["state"]
        for networks in (plain, told, NETWORKS)
    )
    assert before == same
    assert {key: now["address"][key] for key in now["address"].keys() - before["address"].keys()} == {
        "br-net1 2001:db8:10::2/64": "noprefixroute",
        "br-net6 2001:db8:60::2/126": "noprefixroute",
        "br-net_2 2001:db8:20::2/64": "noprefixroute",
    }
    assert sorted(now["nft"].keys() - before["nft"].keys()) == [
        "inet plainlinux_hypervisor chain input",
        "inet plainlinux_hypervisor set served",
        'inet plainlinux_hypervisor set served "br-net1"',
        'inet plainlinux_hypervisor set served "br-net6"',
        'inet plainlinux_hypervisor set served "br-net_2"',
    ]
    assert before["neighbour"] == {}
    assert now["neighbour"]["br-net1 fe80::5054:ff:fe00:7"] == "52:54:00:00:00:07"
    assert {key.split(" ")[0] for key in now["neighbour"]} == {"br-net1", "br-net6", "br-net_2"}
    for part in ("nft", "address", "neighbour"):
        for state in (before, now):
            state[part] = {key: state[part][key] for key in before[part]}
    assert now == before


def test_no_guest_may_say_that_it_is_the_bridge() -> None:
    """Not even one that may use the whole prefix."""
    guests = [{**GUESTS[0], "allowed_addresses": ["2001:db8:10::/64"]}]
    assert policy(plan_of(vpc_instances=guests).layout, "host1").protected6 == (
        parse_ipv6("2001:db8:10::2"),
        parse_ipv6("fe80::1"),
    )


def test_the_role_can_take_the_file_plan() -> None:
    found = files(plan_of())
    fileset = parse_fileset({"role": GUEST_NETWORK, **{key: found[key] for key in ("files", "validate", "apply")}})
    known = {file.dest for file in fileset.files if file is not None}
    assert {path for item in found["apply"] for path in item["when_changed"]} <= known
    assert found["units"] == [paths.SERVICE]


def test_the_order_of_the_input_does_not_matter() -> None:
    chance = random.Random(6)
    wanted = files(plan_of())
    for _round in range(5):
        networks, guests = list(NETWORKS), list(GUESTS)
        chance.shuffle(networks)
        chance.shuffle(guests)
        assert files(plan_of(vpc_networks=networks, vpc_instances=guests)) == wanted


WORDS = st.text(st.sampled_from("a1.-_,/#\n \t=[]:*\"'\\$%é"), max_size=20) | st.text(max_size=12)
LINES = {
    paths.MAIN: r"[a-z0-9-]+(=[a-z0-9_./:,!-]+)?",
    paths.HOSTS: r"[0-9a-f:]{17},id:\*(,[0-9.]+)?(,\[[0-9a-f:]+\])?(,[a-z][a-z0-9-]*)?",
    paths.OPTIONS: r"tag:net-[a-z0-9_-]+,option6?:[a-z-]+(,[][a-z0-9./:-]+)*",
    paths.NAMES: r"[0-9a-f.:]+ [a-z0-9._-]+",
}


@settings(max_examples=300, deadline=None)
@given(name=WORDS, network=WORDS, domain=WORDS, search=st.lists(WORDS, max_size=3), server=WORDS)
def test_nothing_of_the_input_becomes_a_line_of_its_own(
    name: str, network: str, domain: str, search: list[str], server: str
) -> None:
    """Each value by itself, so that one that is refused hides no other."""
    for chosen in (
        {"name": name},
        {"network": network},
        {"domain": domain},
        {"search": search},
        {"dns": [server]},
    ):
        settled: dict[str, Any] = {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64", "dhcp": True}
        guest = {"name": "vm1", "hypervisor": "host1"}
        guest["name"] = str(chosen.pop("name", guest["name"]))
        settled["name"] = chosen.pop("network", "net1")
        try:
            plan = plan_of(
                vpc_networks=[{**settled, **chosen}], vpc_instances=[{**guest, "network": str(settled["name"])}]
            )
        except ModelErrors:
            continue
        for path, pattern in LINES.items():
            for line in contents(plan)[path]:
                assert re.fullmatch(pattern, line), (path, line)


@pytest.mark.parametrize(
    "name, told",
    [
        ("vm1", True),
        ("a-b", True),
        ("ignored", True),
        ("ignore", False),
        ("infinite", False),
        ("10m", False),
        ("5", False),
        ("1w", False),
        ("10.10.10.99", False),
        ("a_b", False),
        ("a.b", False),
    ],
)
def test_names_that_dnsmasq_would_read_as_something_else(name: str, told: bool) -> None:
    """As a keyword, a lease time or an address. Such guests are answered, and are in DNS."""
    plan = plan_of(vpc_instances=[{**GUESTS[0], "name": name}])
    assert contents(plan)[paths.HOSTS] == [
        "52:54:00:0a:0a:14,id:*,10.10.10.20,[2001:db8:10::20]" + (f",{name}" if told else "")
    ]
    assert f"10.10.10.20 {name}.net1.internal" in contents(plan)[paths.NAMES]


def test_reverse_zones_are_those_of_the_prefix_and_of_nobody_else() -> None:
    networks = [
        {"name": "a", "cidr": "11.8.0.0/13", "cidr6": "2001:db8:0:abcd::/66", "dhcp": True},
        {"name": "b", "cidr": "10.10.20.128/25", "dhcp": True},
    ]
    model = parse({"vpc_networks": networks, "hosts": HOSTS})
    assert texts.reverse_zones(model.networks["a"]) == [
        *(f"{number}.11.in-addr.arpa" for number in range(8, 16)),
        *(f"{number}.d.c.b.a.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" for number in range(4)),
    ]
    assert texts.reverse_zones(model.networks["b"]) == [f"{number}.20.10.10.in-addr.arpa" for number in range(128, 256)]


def _many(count: int) -> Plan:
    networks = [
        {"name": f"n{number}", "cidr": f"10.{number}.0.0/20", "cidr6": f"2001:db8:{number + 1:x}::/64", "dhcp": True}
        for number in range(20)
    ]
    guests = [{"name": f"vm{number}", "hypervisor": "host1", "network": f"n{number % 20}"} for number in range(count)]
    return plan_of(vpc_networks=networks, vpc_instances=guests)


def test_1000_guests(netns: Netns, tmp_path: Path) -> None:
    """dnsmasq takes them all, and reads the files of which nobody tests the syntax."""
    placed = {
        dest: "\n".join(lines)
        .replace("/etc/plainlinux-vpc/guest_network", str(tmp_path))
        .replace("/var/lib", str(tmp_path))
        for dest, lines in contents(_many(1000)).items()
    }
    (tmp_path / paths.STATE).mkdir()
    for dest, text in placed.items():
        (tmp_path / Path(dest).name).write_text(f"{text}\n")
    main = f"--conf-file={tmp_path / Path(paths.MAIN).name}"
    subprocess.run(["dnsmasq", "--test", main], check=True, capture_output=True)
    for number in range(20):
        netns.sh(f"ip link add br-n{number} up type bridge; ip addr add 10.{number}.0.2/32 dev br-n{number}")
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = ["ip", "netns", "exec", netns.name, "dnsmasq", "--keep-in-foreground", "--user=root", main]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        end = time.monotonic() + 30
        while "/options" not in log.read_text() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert process.poll() is None
        assert f"read {tmp_path}/names - 2000 names" in log.read_text()
        assert " at line " not in log.read_text()
        assert "error" not in log.read_text().lower()
    finally:
        process.kill()
        process.wait()
