# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texts say of guests of all kinds, and who gets none."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import (
    FORMATS,
    files,
    guest_config,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Unfit, read_guest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_plan import (
    GUESTS,
    NETWORKS,
    summary,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.test_reading_back import sections

PLAN = summary()
NAMES = [guest["name"] for guest in GUESTS]


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_has_one_default_route_of_each_family(name: str) -> None:
    links = read_guest(PLAN, name).links
    families = [family for link in links for family, _gateway in link.gateways]
    assert len(families) == len(set(families))
    assert set(families) == {family for link in links for family, _address, _length in link.addresses}
    assert all(
        sum(route.to == way.to for one in links for route in one.routes) == 1 for link in links for way in link.routes
    )


def test_dns_and_search_of_a_network() -> None:
    """A network's own domain is of no use where nobody is asked; another one, or where somebody is, may be."""
    for keys, dns, search in (
        ({}, (), ()),
        ({"search": ["example.com"]}, (), ("example.com",)),
        ({"dns": ["192.0.2.1"]}, ("192.0.2.1",), ("net1.internal",)),
        ({"dns": ["192.0.2.1"], "search": []}, ("192.0.2.1",), ()),
        ({"domain": "example.com"}, (), ()),
        ({"dhcp": True}, ("10.0.0.2",), ("net1.internal",)),
    ):
        networks = [{"name": "net1", "cidr": "10.0.0.0/24", **keys}]
        (link,) = read_guest(summary(networks, [{"name": "vm1", "network": "net1"}]), "vm1").links
        assert (link.dns, link.search) == (dns, search), keys


def test_servers_of_a_family_that_an_interface_has_not_are_left_out() -> None:
    assert read_guest(PLAN, "only4").links[0].dns == ("10.10.10.2",)
    assert read_guest(PLAN, "only4").links[0].search == ("net1.internal", "example.com")


def test_names() -> None:
    texts = guest_config(PLAN, "two", "systemd-networkd", "lan")
    assert isinstance(texts, dict)
    assert list(texts) == ["10-vpc0.link", "10-vpc0.network", "10-vpc1.link", "10-vpc1.network"]
    assert sections(texts["10-vpc1.link"]) == [
        ("Match", {"MACAddress": ["52:54:00:0a:14:0c"], "Type": ["ether"]}),
        ("Link", {"Name": ["lan1"]}),
    ]
    for form in ("netplan", "cloud-init"):
        content = yaml.safe_load(str(guest_config(PLAN, "two", form, "lan")))
        links = content.get("network", content)["ethernets"]
        assert {key: link["set-name"] for key, link in links.items()} == {"lan0": "lan0", "lan1": "lan1"}
    assert "\nauto lan1\niface lan1 inet static\n" in str(guest_config(PLAN, "two", "ifupdown", "lan"))


@pytest.mark.parametrize(
    "plan, name, chosen, prefix, message",
    [
        (PLAN, "vm7", "xen", "", "vm7 is no guest of the plan; did you mean vm3?"),
        (PLAN, "xyz", "xen", "", "xyz is no guest of the plan; guests are four, mixed, only4, plain, six, "),
        (PLAN, "vm1", "cloudinit", "", "cloudinit is no format; did you mean cloud-init?"),
        (PLAN, "vm1", None, "", "null is no format; formats are"),
        (PLAN, 7, "xen", "", "7 is no guest of the plan; guests are"),
        ({}, "vm1", "xen", "", "this is no plan: the content of plan.json is needed"),
        (None, "vm1", "xen", "", "this is no plan"),
        ("text", "vm1", "xen", "", "this is no plan"),
        ({"instances": {"vm1": {}}, "networks": {}}, "vm1", "xen", "", "this is no plan of this version: KeyError"),
        (PLAN, "vm1", "netplan", "a/b", "prefix: a/b0 is not allowed: 1 to 15 of"),
        (PLAN, "two", "netplan", "abcdefghijklmno", "prefix: abcdefghijklmno1 is not allowed: "),
    ],
)  # fmt: skip
def test_refusals(plan: Any, name: Any, chosen: Any, prefix: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        guest_config(plan, name, chosen, prefix)


@pytest.mark.parametrize("key", ["mac", "vif", "bridge", "network", "address", "gateway", "gateway6"])
@pytest.mark.parametrize("value", [7, "a b", "a\nb", "a'b", 'a"b', "a,b", "$(a)", "a;b", "<", ""])
def test_a_plan_that_was_edited_is_refused(key: str, value: Any) -> None:
    if not value and key in ("address", "gateway", "gateway6"):
        return
    plan = copy.deepcopy(PLAN)
    plan["instances"]["vm1"]["interfaces"][0][key] = value
    for chosen in FORMATS:
        with pytest.raises(ValueError, match=r"this is no plan|the plan was edited|is not|no "):
            guest_config(plan, "vm1", chosen)


@pytest.mark.parametrize("vif", ["vnet0", "vif3.0", "macvtap1", "vnetwork"])
def test_a_name_that_libvirt_would_drop_is_refused(vif: str) -> None:
    plan = summary(NETWORKS, [{"name": "vm1", "network": "net4", "vif": vif}])
    with pytest.raises(Unfit, match=f"vm1: libvirt drops the name {vif} of interface 0"):
        guest_config(plan, "vm1", "libvirt")
    assert f"vifname={vif}" in str(guest_config(plan, "vm1", "xen"))


def test_xen_says_no_address_of_a_guest_that_may_have_more() -> None:
    guests = [{"name": "vm1", "network": "net4", "address": "10.10.40.9", "allowed_addresses": ["10.10.40.77/32"]}]
    assert "ip=" not in str(guest_config(summary(NETWORKS, guests), "vm1", "xen"))


def test_xen_numbers_the_lines_of_ipv6_as_the_interfaces() -> None:
    assert "#ipv6=\n#ipv6=2001:db8:10::13\nvif" in str(guest_config(PLAN, "split", "xen"))
    assert "#ipv6" not in str(guest_config(PLAN, "four", "xen"))


def test_file_names() -> None:
    shown = [name for chosen in FORMATS for name in files(PLAN, "vm1", chosen)]
    assert shown == [
        "vm1.cloud-init.yaml",
        "vm1.netplan.yaml",
        "vm1.ifupdown",
        "vm1.systemd-networkd/10-vpc0.network",
        "vm1.xen.cfg",
        "vm1.libvirt.xml",
    ]
