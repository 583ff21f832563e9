# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is what is read: each format is taken apart again, whatever names and numbers the plan has."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ET
from typing import Any

import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.xen_config import read_xen
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import guest_config
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_plan import summary
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

# What YAML, Python or a shell may take for something else.
ODD = ("null", "yes", "no", "on", "off", "1e3", "0x1f", "1_0", "2026-11-22", "1.0", "12", "a--b", "true", "0b1", "y")
MAC = r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}"


def words(pattern: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(ODD), st.from_regex(pattern, fullmatch=True))


def pairs(pattern: str) -> st.SearchStrategy[list[str]]:
    return st.lists(words(pattern), min_size=2, max_size=2, unique=True)


@st.composite
def networks(draw: st.DrawFn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    bridges = draw(pairs(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}"))
    for number, name in enumerate(draw(pairs(r"[a-z0-9_][a-z0-9_-]{0,11}")), 1):
        item: dict[str, Any] = {
            "name": name,
            "cidr": f"10.{number}.0.0/16",
            "cidr6": f"2001:db8:{number}::/64",
            "dns": [f"10.{number}.0.53", f"2001:db8:{number}::53"],
            "search": draw(pairs(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2})?")),
        }
        if draw(st.booleans()):
            item.update(bridge=bridges.pop(), gateway=f"10.{number}.0.1")
        if draw(st.booleans()):
            item["mtu"] = draw(st.integers(1280, 65535))
        if draw(st.booleans()):
            item["routes"] = [{"to": "198.51.100.0/24", "via": f"10.{number}.0.9"}]
        found.append(item)
    return found


@st.composite
def plans(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A plan's summary with one guest, whose names are of all kinds that are allowed."""
    chosen = draw(networks())
    name = draw(words(r"[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?"))
    macs = draw(st.lists(st.from_regex(MAC, fullmatch=True), min_size=2, max_size=2, unique=True))
    # libvirt has no place for some, which begin with v or m.
    vifs = draw(pairs(r"[a-ln-uw-z0-9_][A-Za-z0-9_.-]{0,14}"))
    interfaces = [
        {"network": network["name"], "mac": mac, "vif": vif}
        for network, mac, vif in zip(chosen, macs, vifs, strict=True)
    ]
    try:
        return summary(chosen, [{"name": name, "interfaces": interfaces}]), name
    except ModelErrors:
        reject()


def sections(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """A file of systemd."""
    found: list[tuple[str, dict[str, list[str]]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif line and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            found[-1][1].setdefault(key, []).append(value)
    return found


def interfaces_of(plan: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Those of a guest, with what its networks tell it."""
    items = plan["instances"][name]["interfaces"]
    return [{**item, **plan["networks"][item["network"]]["guests_get"]} for item in items]


EVERYTHING = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@EVERYTHING
@given(plans())
def test_yaml(found: tuple[dict[str, Any], str]) -> None:
    plan, name = found
    for form in ("netplan", "cloud-init"):
        content = yaml.safe_load(str(guest_config(plan, name, form)))
        links = content.get("network", content)["ethernets"]
        assert list(links) == ["vpc0", "vpc1"]
        for link, item in zip(links.values(), interfaces_of(plan, name), strict=True):
            assert link["match"] == {"macaddress": item["mac"]}
            assert link["addresses"] == [item["address"], item["address6"]]
            assert link["nameservers"] == {"addresses": item["dns"], "search": item["search"]}
            assert link.get("mtu") == item["mtu"]
            assert (link["dhcp4"], link["dhcp6"], link["accept-ra"]) == (False, False, False)


@EVERYTHING
@given(plans())
def test_systemd(found: tuple[dict[str, Any], str]) -> None:
    plan, name = found
    texts = guest_config(plan, name, "systemd-networkd")
    assert isinstance(texts, dict)
    for text, item in zip(texts.values(), interfaces_of(plan, name), strict=True):
        parts = dict(sections(text))
        assert parts["Match"] == {"MACAddress": [item["mac"]], "Type": ["ether"]}
        network = parts["Network"]
        assert network["Address"] == [item["address"], item["address6"]]
        assert (network["DNS"], network["Domains"]) == (item["dns"], [" ".join(item["search"])])
        assert parts.get("Link") == (None if item["mtu"] is None else {"MTUBytes": [str(item["mtu"])]})


@EVERYTHING
@given(plans())
def test_ifupdown(found: tuple[dict[str, Any], str]) -> None:
    plan, name = found
    items = interfaces_of(plan, name)
    lines = [line.split() for line in str(guest_config(plan, name, "ifupdown")).splitlines() if line]

    def of(word: str) -> list[list[str]]:
        return [line[1:] for line in lines if line[0] == word]

    assert of("auto") == [[f"mac/{item['mac']}=vpc{number}"] for number, item in enumerate(items)]
    assert of("address") == [[item[key]] for item in items for key in ("address", "address6")]
    assert of("dns-nameservers") == [[server] for item in items for server in item["dns"]]
    assert of("dns-search") == [item["search"] for item in items]
    mtus = [item["mtu"] for item in items if item["mtu"] is not None]
    assert [int(line[-1]) for line in of("pre-up")] == mtus


@EVERYTHING
@given(plans())
def test_xen(found: tuple[dict[str, Any], str]) -> None:
    plan, name = found
    items = interfaces_of(plan, name)
    text = str(guest_config(plan, name, "xen"))
    cards = read_xen(f'name = "{name}"\n{text}').cards
    for card, item in zip(cards, items, strict=True):
        assert (card.mac, card.bridge, card.vif) == (item["mac"], item["bridge"], item["vif"])
    # As xm read it: a program.
    specs = ast.literal_eval(text[text.index("[") :].strip())
    for spec, item in zip(specs, items, strict=True):
        words_ = dict(word.split("=") for word in spec.split(","))
        assert words_["ip"] == item["address"].partition("/")[0]
        assert words_.get("mtu") == (None if item["mtu"] is None else str(item["mtu"]))


@EVERYTHING
@given(plans())
def test_libvirt(found: tuple[dict[str, Any], str]) -> None:
    plan, name = found
    elements = ET.fromstring(f"<devices>{guest_config(plan, name, 'libvirt')}</devices>")  # noqa: S314
    for element, item in zip(elements, interfaces_of(plan, name), strict=True):
        shown = {part.tag: part.attrib for part in element}
        assert (shown["mac"], shown["source"]) == ({"address": item["mac"]}, {"bridge": item["bridge"]})
        assert (shown["target"], shown["model"]) == ({"dev": item["vif"]}, {"type": "virtio"})
        assert shown.get("port") == ({"isolated": "yes"} if item["isolated"] else None)
        assert shown.get("mtu") == (None if item["mtu"] is None else {"size": str(item["mtu"])})
