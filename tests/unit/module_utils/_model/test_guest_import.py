# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a hypervisor's files to guests of an inventory: all is there, or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import ifname
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_import import (
    LIBVIRT,
    LIBVIRT_NETWORK,
    XEN,
    File,
    Found,
    collect,
    merge,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import read_csv, write_csv
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model, parse

TOP = Path(__file__).resolve().parents[4]
NETWORKS: list[Any] = [
    {"name": "lan", "bridge": "xenbr0", "cidr": "192.0.2.0/24", "cidr6": "2001:db8::/64"},
    {"name": "net1", "cidr": "10.10.10.0/24"},
    {"name": "net6", "cidr6": "2001:db8:6::/64"},
    {"name": "odd", "cidr": 5},
    {"cidr": "10.0.0.0/8"},
    "net2",
]


def xen(vif: str, name: str = "vm1", more: str = "") -> File:
    return File(f"/etc/xen/{name}.cfg", XEN, f"name = '{name}'\nvif = [ {vif} ]\n{more}")


def libvirt(interfaces: str, name: str = "vm1") -> File:
    text = f"<domain><name>{name}</name><devices>{interfaces}</devices></domain>"
    return File(f"/etc/libvirt/qemu/{name}.xml", LIBVIRT, text)


def network(name: str, content: str) -> File:
    return File(f"/etc/libvirt/qemu/networks/{name}.xml", LIBVIRT_NETWORK, f"<network>{content}</network>")


def found(*files: File) -> Found:
    return collect(files, "dom0", NETWORKS, "xenbr0")


def reasons(entries: list[dict[str, Any]]) -> list[tuple[Any, Any, str]]:
    return [(entry["guest"], entry["interface"], entry["reason"]) for entry in entries]


@pytest.mark.parametrize(
    "vif, interface",
    [
        (
            "'mac=00:16:3E:00:00:01,bridge=xenbr0,ip=192.0.2.10 2001:DB8:0::10,vifname=www0'",
            {"address": "192.0.2.10", "address6": "2001:db8::10", "mac": "00:16:3e:00:00:01", "vif": "www0"},
        ),
        ("'ip=192.0.2.10,mac=00-16-3e-00-00-01'", {"address": "192.0.2.10", "address6": "none"}),
        ("'ip=192.0.2.10/24 2001:db8::10/64'", {"address": "192.0.2.10", "address6": "2001:db8::10"}),
        (
            "'ip=198.51.100.9 192.0.2.10 192.0.2.11/32 10.8.0.0/16 fe80::1 2001:db8::5 2001:db8::5'",
            {
                "address": "192.0.2.10",
                "address6": "2001:db8::5",
                "allowed_addresses": ["198.51.100.9", "192.0.2.11", "10.8.0.0/16", "fe80::1"],
            },
        ),
        # Outside of the network: the plan says so.
        ("'ip=198.51.100.9'", {"address": "198.51.100.9", "address6": "none"}),
        ("'ip=fe80::1'", {"allowed_addresses": ["fe80::1"]}),
    ],
)
def test_addresses_of_an_interface(vif: str, interface: dict[str, Any]) -> None:
    (item,) = found(xen(vif)).instances
    base = {"name": "vm1", "hypervisor": "dom0", "network": "lan"}
    assert {key: value for key, value in item.items() if key != "mac"} == {
        **base,
        **{key: value for key, value in interface.items() if key != "mac"},
    }
    assert ("mac" in item) == ("mac" in vif)
    assert item.get("mac") in (None, "00:16:3e:00:00:01")


def test_a_family_that_the_network_has_not_is_left_out() -> None:
    result = found(
        xen("'bridge=br-net1,ip=10.10.10.10'"),
        xen("'bridge=br-net6,ip=2001:db8:6::1'", "vm2"),
        xen("'bridge=br-odd,ip=10.0.0.1'", "vm3"),
    )
    assert [sorted(item) for item in result.instances] == [
        ["address", "hypervisor", "name", "network"],
        ["address6", "hypervisor", "name", "network"],
        ["address", "hypervisor", "name", "network"],
    ]


def test_several_interfaces() -> None:
    result = found(
        xen(
            "'bridge=br-net1,ip=10.10.10.10', 'bridge=ovs0', 'mac=00:16:3e:00:00:02,ip=192.0.2.2'",
            more="#ipv6=2001:DB8::9",
        )
    )
    assert result.instances == [
        {
            "name": "vm1",
            "hypervisor": "dom0",
            "interfaces": [
                {"network": "net1", "address": "10.10.10.10", "address6": "2001:db8::9"},
                {"network": "lan", "address": "192.0.2.2", "address6": "none", "mac": "00:16:3e:00:00:02"},
            ],
        }
    ]
    assert reasons(result.left_out) == [("vm1", 1, "is on bridge ovs0, which is of no network of vpc_networks")]


def test_networks_of_libvirt_lead_to_bridges() -> None:
    source = "<interface type='network'><mac address='52:54:00:00:00:0{0}'/><source network='{1}'/></interface>"
    result = found(
        libvirt("".join(source.format(number, name) for number, name in enumerate(("inside", "pool", "gone")))),
        network("inside", "<name>inside</name><bridge name='br-net1'/>"),
        network("pool", "<name>pool</name>"),
        network("bad", ""),
    )
    assert [(item["network"], item["mac"]) for item in result.instances] == [("net1", "52:54:00:00:00:00")]
    assert reasons(result.left_out) == [
        (None, None, "describes no network with a name"),
        ("vm1", 1, "is in libvirt's network pool, whose bridge is not known"),
        ("vm1", 2, "is in libvirt's network gone, whose bridge is not known"),
    ]


def test_all_that_is_left_out() -> None:
    result = found(
        File("/etc/xen/a.cfg", XEN, "memory = 5"),
        xen("", "b"),
        xen("'bridge=lan'", "c"),
        xen("''", "d_"),
        xen("''", "e"),
        File("/etc/xen/f.cfg", XEN, "name = 'E'\nvif = ['']"),
        libvirt("<interface type='user'/>", "g"),
        libvirt("<interface type='bridge'/>", "h"),
    )
    assert [item["name"] for item in result.instances] == ["e"]
    assert reasons(result.left_out) == [
        ("g", 0, "is of type user, which is on no bridge"),
        ("h", 0, "names no bridge"),
        (None, None, "has no name"),
        ("b", None, "has no interface"),
        ("c", 0, "is on bridge lan, which is of no network of vpc_networks"),
        ("d_", None, "d_ is not allowed: 1 to 40 of a-z 0-9 . _ -, first and last a letter or digit"),
        ("E", None, "is in /etc/xen/e.cfg already"),
    ]
    assert {entry["file"] for entry in result.left_out} >= {"/etc/xen/a.cfg", "/etc/libvirt/qemu/g.xml"}
    nowhere = collect([xen("''")], "dom0", [], "xenbr7")
    assert reasons(nowhere.left_out) == [("vm1", 0, "names no bridge, and xenbr7 is of no network of vpc_networks")]


def test_all_that_is_noted() -> None:
    result = found(xen("'mac=01:00:5e:00:00:01,vifname=br-net1,ip=192.0.2.300 dhcp fe80::1%eth0'", "WWW"), xen("''"))
    assert result.instances == [
        {"name": "vm1", "hypervisor": "dom0", "network": "lan"},
        {"name": "www", "hypervisor": "dom0", "network": "lan"},
    ]
    none = "has no address: the plan gives it one, which the guest must have"
    assert reasons(result.notes) == [
        ("WWW", 0, "'01:00:5e:00:00:01' is no MAC address, and left out"),
        (
            "WWW",
            0,
            f"name of the interface left out: {ifname.refusal('br-net1')}",
        ),
        ("WWW", 0, "'192.0.2.300' is no address, and left out"),
        ("WWW", 0, "'dhcp' is no address, and left out"),
        ("WWW", 0, "'fe80::1%eth0' is no address, and left out"),
        ("WWW", 0, none),
        ("WWW", None, "is written as www"),
        ("vm1", 0, "has no MAC address: the plan gives it one, which the guest must have"),
        ("vm1", 0, none),
    ]


def test_hypervisors_are_put_together_without_what_is_known() -> None:
    guests = {
        name: {"name": name, "hypervisor": host, "network": "lan", "mac": f"00:16:3e:00:00:0{number}"}
        for number, (name, host) in enumerate({"a": "h1", "b": "h1", "c": "h2", "d": "h2", "e": "h2"}.items())
    }
    moved = {**guests["b"], "hypervisor": "h2"}
    entry = {"file": "x", "guest": None, "interface": None, "reason": "y"}
    results = [
        {"instances": [guests["a"], guests["b"]], "left_out": [entry], "notes": []},
        {"instances": [moved, guests["c"], guests["d"], guests["e"]], "left_out": [], "notes": [entry]},
    ]
    inventory: list[tuple[str, Any]] = [
        ("vpc_instances[0]", {"name": "c"}),
        ("vpc_instances[1]", {"name": "z", "interfaces": [{"mac": "00:16:3e:00:00:03"}, 5]}),
        ("guests.csv:2", 5),
    ]
    assert merge(results, inventory) == {
        "instances": [guests["a"], guests["b"], guests["e"]],
        "existing": [
            {"guest": "c", "hypervisor": "h2", "reason": "the name is that of vpc_instances[0]"},
            {"guest": "d", "hypervisor": "h2", "reason": "the MAC address is that of vpc_instances[1]"},
        ],
        "left_out": [
            entry,
            {"file": "h2", "guest": "b", "interface": None, "reason": "is on h1 as well, and written for that one"},
        ],
        "notes": [entry],
    }


def written(name: str, interface: Interface, bridge: str, libvirt_too: bool) -> File:
    """The file that an administrator would have written for a guest with this interface."""
    four = [] if interface.address is None else [format_ipv4(interface.address)]
    six = [] if interface.address6 is None else [format_ipv6(interface.address6)]
    for prefix in interface.allowed_addresses:
        (four if prefix.family == 4 else six).append(prefix.text.partition("/")[0])
    if libvirt_too:
        parameters = [("IP", word) for word in four] + [("IPV6", word) for word in six]
        filters = "".join(f"<parameter name='{key}' value='{word}'/>" for key, word in parameters)
        return libvirt(
            f"<interface type='bridge'><mac address='{interface.mac}'/><source bridge='{bridge}'/>"
            f"<target dev='{name}0'/><filterref filter='clean-traffic'>{filters}</filterref></interface>",
            name,
        )
    more = "".join(f"#ipv6={word.upper()}\n" for word in six)
    vif = f"'mac={(interface.mac or '').upper()},bridge={bridge},ip={' '.join(four)},vifname={name}0'"
    return xen(vif, name, more)


@pytest.mark.parametrize("libvirt_too", [False, True])
def test_the_guests_of_the_xen_inventory_come_back(libvirt_too: bool) -> None:
    variables = yaml.safe_load((TOP / "inventories" / "xen" / "group_vars" / "all.yml").read_text(encoding="utf-8"))
    hosts = {"dom0": {"groups": ["hypervisors"], "vpc_underlay_address": "216.146.46.2"}}
    for guest in variables["vpc_instances"]:
        guest["vif"] = f"{guest['name']}0"  # libvirt keeps no vif1.0
        for key in ("roles", "allowed_pairs"):  # of which the files know nothing
            guest.pop(key, None)

    def model(guests: list[Any]) -> Model:
        return parse({"hosts": hosts, "vpc_networks": variables["vpc_networks"], "vpc_instances": guests})

    wanted = model(variables["vpc_instances"])
    assert len(wanted.instances) == 4
    files = [
        written(name, guest.interfaces[0], "xenbr0", libvirt_too and name != "www")
        for name, guest in wanted.instances.items()
    ]
    result = collect(files, "dom0", variables["vpc_networks"], "xenbr0")
    assert (result.left_out, result.notes) == ([], [])
    text = write_csv(result.instances)
    assert model(read_csv("guests.csv", text).instances) == wanted
