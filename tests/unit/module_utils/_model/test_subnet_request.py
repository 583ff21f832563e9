# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for subnets: what correct ones become, and the exact lines that answer mistakes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_request import Cut, Request, read_request
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import usable
from hypothesis import given
from hypothesis import strategies as st

TABLE = yaml.safe_load(Path(__file__).with_name("subnet_mistakes.yml").read_text(encoding="utf-8"))
BASE: dict[str, Any] = TABLE["base"]
KEYS = [
    *BASE,
    "reserved",
    "current",
    "subnets",
    "name",
    "hosts",
    "length",
    "block6",
    "network",
    "purpose",
    "zone",
    "cidr",
]


def change(by: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**BASE, **by}.items() if value is not None}


def read(**by: Any) -> Request:
    return read_request(change(by))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["rule"]) for case in TABLE["cases"]])
def test_mistakes(case: dict[str, Any]) -> None:
    raw = case["request"] if "request" in case else change(case["given"])
    with pytest.raises(ModelErrors) as caught:
        read_request(raw)
    assert str(caught.value).splitlines() == case["errors"]


def test_the_base_of_the_table_has_no_mistake() -> None:
    found = read()
    assert found.prefixes == {4: parse_prefix(4, "10.20.0.0/20"), 6: parse_prefix(6, "2001:db8:20::/56")}
    assert (found.reserved, found.current) == ({}, {})
    (web,) = found.purposes
    assert (web.name, web.zones, web.network) == ("web", ("a", "b"), {})
    assert web.cuts == {4: Cut(25, 24, False), 6: Cut(64, 63, False)}


SIZES = {1: 29, 4: 29, 5: 28, 12: 28, 13: 27, 120: 25, 124: 25, 125: 24, 252: 24, 4092: 20}


@pytest.mark.parametrize("hosts,length", SIZES.items())
def test_hosts_are_guests_in_each_zone(hosts: int, length: int) -> None:
    (web,) = read(zones=["a"], purposes=[{"name": "web", "hosts": hosts}]).purposes
    assert web.cuts[4].length == length
    # As many as the network has room for, and in no smaller one.
    for size, room in ((length, True), (length + 1, False)):
        if size < 30:
            model = parse({"vpc_networks": [{"name": "web-a", "cidr": f"10.20.0.0/{size}"}]})
            assert (usable(model, model.networks["web-a"]) >= hosts) == room


@pytest.mark.parametrize("zones,block", [(1, 24), (2, 23), (3, 22), (4, 22), (5, 21)])
def test_a_block_holds_all_zones(zones: int, block: int) -> None:
    names = [f"z{number}" for number in range(zones)]
    (web,) = read(zones=names, purposes=[{"name": "web", "length": 24}]).purposes
    assert web.cuts[4] == Cut(24, block, fixed=False)
    (web,) = read(zones=names, purposes=[{"name": "web", "length": 24, "block": block - 1}]).purposes
    assert web.cuts[4] == Cut(24, block - 1, fixed=True)


def test_what_there_is_already() -> None:
    one = {"name": "old-z", "purpose": "old", "zone": "z", "cidr": "10.20.1.0/24", "cidr6": "2001:db8:20:5::/64"}
    reserved = ["10.20.15.0/24", "2001:db8:20:ff::/64", "10.20.0.0/30"]
    found = read(current=[one], reserved=reserved)
    assert found.current == {
        4: {("old", "z"): Prefix(4, 0x0A140100, 24)},
        6: {("old", "z"): parse_prefix(6, "2001:db8:20:5::/64")},
    }
    assert found.reserved == {
        4: (parse_prefix(4, "10.20.0.0/30"), parse_prefix(4, "10.20.15.0/24")),
        6: (parse_prefix(6, "2001:db8:20:ff::/64"),),
    }
    assert read(current={"subnets": [one], "steps": "whatever"}, reserved=reserved) == found
    assert read_request({**BASE, "current": None}).current == {}


def test_networks_may_have_what_networks_have() -> None:
    network = {"nat": True, "vpc": "shop", "acl": {"ingress": [{"from": "office"}]}, "local_switching": "bridged"}
    (web,) = read(purposes=[{"name": "web", "hosts": 5, "network": network}]).purposes
    assert web.network == network


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["10.20.0.0/24", "a", "web"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
        max_leaves=20,
    ),
    st.sampled_from(KEYS),
)
def test_anything_is_read_or_refused(raw: Any, key: str) -> None:
    """Never another exception, whatever YAML holds."""
    for request in (raw, {**BASE, key: raw}, {**BASE, "purposes": [{"name": "web", "hosts": 5, key: raw}]}):
        with contextlib.suppress(ModelErrors):
            read_request(request)
