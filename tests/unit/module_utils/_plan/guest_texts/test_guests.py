# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that are configured by the texts, by the programs that read them, behind a hypervisor with the guard on.

guests.yml says what must come out of it. Programs: ifupdown, systemd-networkd, netplan, cloud-init.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import guest_config
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_tools import (
    cloud_init_convert,
    netplan_generate,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_world import World

EXPECTED: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "guests.yml").read_text())
INTERFACES = {name: {key: item for key, item in found.items() if key != "reaches"} for name, found in EXPECTED.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    found = World(tmp_path)
    yield found
    found.close()


def state(netns: Netns) -> dict[str, Any]:
    """What a guest has, in the words of guests.yml."""
    found: dict[str, Any] = {}
    rules: dict[str, list[str]] = {}
    for family in "46":
        for item in json.loads(netns.sh(f"ip -{family} -j -N rule")):
            if item["src"] != "all":
                rules.setdefault(item["table"], []).append(item["src"])
    routes = [item for family in "46" for item in json.loads(netns.sh(f"ip -{family} -j -N route show table all"))]
    for link in json.loads(netns.sh("ip -j address")):
        if link["ifname"] == "lo":
            continue
        tables: dict[str, list[str]] = {}
        for item in routes:
            # 2: the kernel's own.
            if item["dev"] == link["ifname"] and item.get("protocol") != "2":
                via = f" via {item['gateway']}" if "gateway" in item else ""
                tables.setdefault(str(item.get("table", "254")), []).append(f"{item['dst']}{via}")
        own = {
            "mtu": link["mtu"],
            "addresses": sorted(
                f"{item['local']}/{item['prefixlen']}" for item in link["addr_info"] if item["scope"] == "global"
            ),
            "main": sorted(tables.pop("254", [])),
        }
        for table, ways in tables.items():
            own.update({"table": int(table), "own": sorted(ways), "from": sorted(rules[table])})
        found[link["ifname"]] = own
    return found


def wanted(name: str, *keys: str) -> dict[str, Any]:
    return {
        device: {key: sorted(value) if isinstance(value, list) else value for key, value in item.items() if key in keys}
        for device, item in INTERFACES[name].items()
    }


def by_ifupdown(world: World, name: str) -> None:
    done = world.guests[name].ifup(str(guest_config(world.summary, name, "ifupdown")))
    assert done.status == 0, done


def by_networkd(world: World, name: str) -> None:
    texts = guest_config(world.summary, name, "systemd-networkd")
    assert isinstance(texts, dict)
    world.guests[name].networkd(texts)


def by_netplan(world: World, name: str) -> None:
    texts = netplan_generate(str(guest_config(world.summary, name, "netplan")), world.folder / f"{name}-netplan")
    # The cards of virtual machines have a permanent MAC address; those here have none.
    world.guests[name].networkd({file: text.replace("PermanentMAC", "MAC") for file, text in texts.items()})


ALL = ("mtu", "addresses", "main", "table", "own", "from")


@pytest.mark.parametrize("configure", [by_ifupdown, by_networkd, by_netplan])
def test_guests_have_what_the_plan_says_and_reach_each_other(
    world: World, configure: Callable[[World, str], None]
) -> None:
    world.plug(*EXPECTED)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: configure(world, name), EXPECTED))
    assert {name: state(world.guests[name].netns) for name in EXPECTED} == {
        name: wanted(name, *ALL) for name in EXPECTED
    }
    silent = {
        (name, source): world.reaches(name, *targets, source=source)
        for name, item in EXPECTED.items()
        for source, targets in item["reaches"].items()
    }
    assert not {key: targets for key, targets in silent.items() if targets}


def test_ifupdown_tells_others_of_dns_takes_names_and_leaves_nothing(world: World) -> None:
    world.plug("two", "six", "split")
    guests = {name: machine.netns for name, machine in world.guests.items()}
    rules = {name: [netns.sh(f"ip -{family} rule") for family in "46"] for name, netns in guests.items()}
    for name in ("two", "six"):
        by_ifupdown(world, name)
    said = (world.guests["two"].folder / "run/dns").read_text().splitlines()
    assert "vpc0 inet 10.10.10.2 / net1.internal example.com" in said
    assert "vpc0 inet6 2001:db8:10::2 / " in said
    guests["split"].sh("ip link set ens3 name eth0; ip link set ens4 name eth1")
    done = world.guests["split"].ifup(str(guest_config(world.summary, "split", "ifupdown", "eth")))
    assert done.status == 0, done
    assert list(state(guests["split"]).values()) == list(wanted("split", *ALL).values())
    for name, machine in world.guests.items():
        done = machine.run("ifdown", "-a")
        assert done.status == 0, done
        assert [machine.netns.sh(f"ip -{family} rule") for family in "46"] == rules[name]
        for found in state(machine.netns).values():
            assert {key: value for key, value in found.items() if key != "mtu"} == {"addresses": [], "main": []}


def test_networkd_knows_dns_and_every_word(world: World) -> None:
    world.plug("two", "vm1")
    by_networkd(world, "two")
    machine, other = world.guests["two"], world.guests["vm1"]
    links = [path.read_text() for path in (machine.folder / "run/systemd/netif/links").glob("[0-9]*")]
    assert sum("DNS=10.10.10.2 2001:db8:10::2\n" in text for text in links) == 1
    assert sum("DOMAINS=net1.internal example.com\n" in text for text in links) == 1
    assert machine.said() == ""
    # It would say so of a word that it does not know.
    texts = guest_config(world.summary, "vm1", "systemd-networkd")
    assert isinstance(texts, dict)
    other.networkd({name: f"{text}GatewayOnWire=yes\n" for name, text in texts.items()})
    assert "GatewayOnWire" in other.said()


def test_udev_gives_names(world: World) -> None:
    world.plug("two")
    machine = world.guests["two"]
    assert machine.udev_name("ens4") == ""
    texts = guest_config(world.summary, "two", "systemd-networkd", "lan")
    assert isinstance(texts, dict)
    machine.networkd(texts)
    assert [machine.udev_name(device) for device in ("ens3", "ens4")] == ["lan0", "lan1"]
    # Not a bridge that has the same address.
    machine.netns.sh("ip link add br0 address $(cat /sys/class/net/ens3/address) type bridge")
    assert machine.udev_name("br0") == ""


def test_without_its_rules_a_guest_is_not_reached_at_its_second_address(world: World) -> None:
    """Its answers leave by the first interface, where the guard knows another address."""
    world.plug("two", "four")
    for name in ("two", "four"):
        by_networkd(world, name)
    assert world.reaches("four", "10.10.20.12") == []
    world.guests["two"].netns.sh("ip rule del priority 1101")
    assert world.reaches("four", "10.10.20.12") == ["10.10.20.12"]


def by_cloud_init(world: World, name: str, renderer: str) -> None:
    machine = world.guests[name]
    text = str(guest_config(world.summary, name, "cloud-init"))
    files = cloud_init_convert(text, renderer, machine.folder / "cloud-init", world.macs(name))
    if renderer == "netplan":
        texts = netplan_generate(files["etc/netplan/50-cloud-init.yaml"], machine.folder / "netplan", deprecated=True)
        machine.networkd({file: content.replace("PermanentMAC", "MAC") for file, content in texts.items()})
        return
    # Where the files have names of interfaces cloud-init itself gives them.
    for number, device in enumerate(INTERFACES[name]):
        machine.netns.sh(f"ip link set {device} name vpc{number}")
    if renderer == "networkd":
        # Version 22 leaves accept-ra out, and networkd waits long for a router.
        texts = {Path(file).name: content for file, content in files.items() if file.endswith(".network")}
        machine.networkd(texts, wait=False)
    else:
        done = machine.ifup(files["etc/network/interfaces.d/50-cloud-init"])
        assert done.status == 0, done


@pytest.mark.parametrize("renderer", ["eni", "networkd", "netplan"])
def test_cloud_init_configures_guests_with_each_of_its_renderers(world: World, renderer: str) -> None:
    world.plug(*EXPECTED)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: by_cloud_init(world, name, renderer), EXPECTED))
    for name in EXPECTED:
        expected = wanted(name, "mtu", "addresses", "main")
        for item in expected.values():
            # cloud-init cannot say that a next hop is on the link.
            item["main"] = [way for way in item["main"] if way != "2001:db8:f::/48 via 2001:db8:20::10"]
        netns = world.guests[name].netns
        deadline = time.monotonic() + (30 if renderer == "networkd" else 0)
        while (found := dict(zip(expected, state(netns).values(), strict=True))) != expected:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if renderer == "eni":
            # ifupdown is told of further routes in the words of net-tools, and goes on without them.
            for device, item in expected.items():
                ways = found[device]["main"]
                item["main"] = [way for way in item["main"] if way in ways or way.startswith("default")]
        assert found == expected, name
    device = "ens3" if renderer == "netplan" else "vpc0"
    assert world.reaches("vm1", "10.10.10.1", f"fe80::1%{device}", "10.10.10.11", "2001:db8:10::11") == []
    assert world.reaches("vm1", "10.10.40.10", "2001:db8:60::10") == []
    assert world.reaches("plain", "10.10.50.1", "2001:db8:50::1") == []
