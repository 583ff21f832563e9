# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stock clients of guests are given under the guard: each exactly its own, in every kind of network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.served import Served, texts, until

# What BusyBox' client hands over, but for the address and what is the same for all; the name is the guest's.
DHCP4 = {
    "vm1": {
        "mask": "24",
        "router": "10.10.10.1",
        "dns": "10.10.10.2",
        "mtu": "1400",
        "domain": "dual.internal",
        "search": "dual.internal example.com",
        "staticroutes": "0.0.0.0/0 10.10.10.1 10.50.0.0/16 10.10.10.1 10.60.1.0/24 10.10.10.9",
        "hostname": "vm1",
    },
    "web_1.shop": {
        "mask": "24",
        "router": "10.10.10.1",
        "dns": "10.10.10.2",
        "mtu": "1400",
        "domain": "dual.internal",
        "search": "dual.internal example.com",
        "staticroutes": "0.0.0.0/0 10.10.10.1 10.50.0.0/16 10.10.10.1 10.60.1.0/24 10.10.10.9",
    },
    "vm3": {
        "mask": "24",
        "router": "10.10.10.1",
        "dns": "10.10.10.2",
        "mtu": "1400",
        "domain": "dual.internal",
        "search": "dual.internal example.com",
        "staticroutes": "0.0.0.0/0 10.10.10.1 10.50.0.0/16 10.10.10.1 10.60.1.0/24 10.10.10.9",
        "hostname": "vm3",
    },
    "vm4": {
        "mask": "23",
        "router": "10.10.20.1",
        "dns": "10.10.20.2",
        "domain": "corp.example",
        "search": "corp.example",
        "hostname": "vm4",
    },
    "vm6": {
        "mask": "24",
        "router": "10.10.30.1",
        "dns": "10.10.30.2",
        "mtu": "1300",
        "domain": "auto.internal",
        "search": "auto.internal",
        "hostname": "vm6",
    },
    "vm7": {
        "mask": "24",
        "router": "10.10.40.1",
        "dns": "10.10.40.2",
        "domain": "both.internal",
        "search": "both.internal",
        "hostname": "vm7",
    },
    "vm8": {
        "mask": "24",
        "router": "10.10.50.1",
        "dns": "10.10.50.2",
        "domain": "four.internal",
        "hostname": "vm8",
    },
    "vm9": {},
    "vm10": {
        "mask": "29",
        "router": "10.10.80.1",
        "dns": "192.0.2.53 192.0.2.54",
        "domain": "own.internal",
        "search": "own.internal",
        "hostname": "vm10",
    },
    "old": {},
}
# Not compared: what follows from the mask, and the daemon's times.
_USUAL = ("event", "interface", "broadcast", "lease", "serverid", "siaddr", "subnet", "opt53", "opt58", "opt59")
# By DHCPv6: DNS servers and search domains. None: nothing is given, but perhaps announced.
DHCP6: dict[str, tuple[str, str] | None] = {
    "vm1": ("2001:db8:10::2", "dual.internal. example.com."),
    "vm3": ("2001:db8:10::2", "dual.internal. example.com."),
    "vm4": ("2001:db8:20::2", "corp.example."),
    "vm9": ("2001:db8:60::2", "six.internal."),
    "vm10": ("", "own.internal."),
    "vm8": None,
    "old": None,
}
# What rdisc6 shows: managed, other, prefix, on-link, autonomous, MTU, DNS servers, search domains.
ADVERTISED = {
    "vm1": ("Yes", "Yes", "2001:db8:10::/64", "No", "No", "1400", "2001:db8:10::2", "dual.internal example.com"),
    "vm4": ("Yes", "Yes", "2001:db8:20::/64", "No", "No", "", "2001:db8:20::2", "corp.example"),
    "vm6": ("No", "Yes", "2001:db8:30::/64", "No", "Yes", "1300", "2001:db8:30::2", "auto.internal"),
    "vm7": ("No", "Yes", "2001:db8:40::/64", "No", "Yes", "", "2001:db8:40::53", "both.internal"),
    "vm9": ("Yes", "Yes", "2001:db8:60::/80", "No", "No", "", "2001:db8:60::2", "six.internal"),
    "vm10": ("Yes", "Yes", "2001:db8:80::/120", "No", "No", "", "", "own.internal"),
}


@pytest.mark.parametrize("name", DHCP4)
def test_udhcpc(served: Served, name: str) -> None:
    found = served.udhcpc(served.guests[name], tries=4 if DHCP4[name] else 2)
    if not DHCP4[name]:
        assert not found
        return
    assert found.pop("ip") == texts(served.port(served.plan(), name))[4]
    assert {key: value for key, value in found.items() if key not in _USUAL and key.islower()} == DHCP4[name]
    assert (found["lease"], found["serverid"]) == ("43200", f"{found['router'][:-1]}2")


@pytest.mark.parametrize("name", ["vm1", "vm4", "vm10"])
def test_dhclient(served: Served, name: str) -> None:
    found = served.dhclient(served.guests[name], 4)
    wanted = DHCP4[name]
    assert found["new_ip_address"] == texts(served.port(served.plan(), name))[4]
    assert found["new_routers"] == wanted["router"]
    assert found["new_domain_name_servers"] == wanted["dns"]
    assert found["new_domain_search"] == "".join(f"{domain}. " for domain in wanted["search"].split()).strip()
    assert found.get("new_interface_mtu") == wanted.get("mtu")
    assert found["new_host_name"] == name
    if name == "vm1":
        routes = "0 10 10 10 1 16 10 50 10 10 10 1 24 10 60 1 10 10 10 9"
        assert found["new_rfc3442_classless_static_routes"] == routes


@pytest.mark.parametrize("name", DHCP6)
def test_dhclient_of_ipv6(served: Served, name: str) -> None:
    wanted = DHCP6[name]
    found = served.dhclient(served.guests[name], 6, seconds=20 if wanted else 4)
    if wanted is None:
        assert not found
        return
    assert (found["reason"], found["new_ip6_prefixlen"]) == ("BOUND6", "128")
    assert found["new_ip6_address"] == texts(served.port(served.plan(), name))[6]
    assert (found.get("new_dhcp6_name_servers", ""), found["new_dhcp6_domain_search"]) == wanted


@pytest.mark.parametrize("name", ADVERTISED)
def test_advertisement(served: Served, name: str) -> None:
    text = served.guests[name].sh("rdisc6 -1 eth0")
    assert text.count(" from fe80::1\n") == 1

    def shown(label: str) -> str:
        found = re.search(rf"^ *{label} *: +(.*?)(?: bytes.*)?$", text, re.M)
        return found.group(1).strip() if found else ""

    labels = ("Stateful address conf.", "Stateful other conf.", "Prefix", "On-link", "Autonomous address conf.")
    more = ("MTU", "Recursive DNS server", "DNS search list")
    assert tuple(shown(re.escape(label)) for label in (*labels, *more)) == ADVERTISED[name]
    assert shown("Router lifetime").startswith("9000 ")


@pytest.mark.parametrize("name", ["vm6", "vm7"])
def test_the_kernel_makes_its_address_itself(served: Served, name: str) -> None:
    """Exactly the plan's, without a route to the prefix, and with the MTU and the way out that are announced."""
    guest = served.guests[name]
    address = texts(served.port(served.plan(), name))[6]
    assert until(lambda: f"inet6 {address}/64" in guest.sh("ip -6 addr show dev eth0"))
    assert guest.sh("ip -6 -o addr show dev eth0 scope global").count("inet6") == 1
    routes = guest.sh("ip -6 route show dev eth0")
    assert "default via fe80::1 proto ra" in routes
    assert "2001:db8" not in routes
    assert guest.sh("cat /proc/sys/net/ipv6/conf/eth0/mtu") == ("1300\n" if name == "vm6" else "1500\n")


def test_nobody_is_told_of_a_network_without_dhcp(served: Served) -> None:
    """Its bridge is as it was before there were such keys; a guest hears of no router."""
    assert "2001:db8:70" not in served.hosts["host1"].sh("ip -6 addr show dev br-none")
    assert "from" not in served.guests["old"].sh("rdisc6 -1 -r 1 -w 1500 eth0 || true")


# Who asks, for which names; the addresses are the plan's.
NAMES = [
    ("vm1", "vm2", "vm2.dual.internal"),
    ("vm1", "vm3.dual.internal", "vm3.dual.internal"),
    ("vm1", "web_1.shop", "web_1.shop.dual.internal"),
    ("vm4", "vm5", "vm5.corp.example"),
    ("vm6", "vm6", "vm6.auto.internal"),
    ("vm8", "vm8.four.internal", "vm8.four.internal"),
    ("vm9", "vm9", "vm9.six.internal"),
]


@pytest.mark.parametrize("asks, name, full", NAMES)
def test_names(served: Served, asks: str, name: str, full: str, tmp_path: Path) -> None:
    """The C library of the guest resolves names, short ones by what it was told to search, and addresses."""
    plan = served.plan()
    guest = served.configured(plan, asks)
    owner = full.split(".")[0] if full.split(".")[0] != "web_1" else "web_1.shop"
    wanted = texts(served.port(plan, owner))
    search = plan.model.networks[served.port(plan, asks).network].guests.search
    servers = plan.summary()["networks"][served.port(plan, asks).network]["guests_get"]["dns"]
    # Each server by itself: those of both families answer.
    for server in servers:
        resolver = tmp_path / "resolv.conf"
        resolver.write_text(f"nameserver {server}\noptions timeout:3 attempts:1\nsearch {' '.join(search) or '.'}\n")
        # The namespace of mounts is that of `ip netns exec`.
        seen = f"mount --bind {resolver} $(readlink -f /etc/resolv.conf); getent -s hosts:dns"
        found = guest.sh(f"{seen} ahosts {name}").splitlines()
        assert {line.split()[0] for line in found} == set(wanted.values())
        for address in wanted.values():
            assert guest.sh(f"{seen} hosts {address}").split()[1] == full
