# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mistake that a user can make, with the exact lines that answer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse

THEMES = (
    "mistakes",
    "security_group_mistakes",
    "peering_mistakes",
    "public_mistakes",
    "expectation_mistakes",
    "guest_mistakes",
)
TABLES = {
    theme: yaml.safe_load(Path(__file__).with_name(f"{theme}.yml").read_text(encoding="utf-8")) for theme in THEMES
}
TABLE = TABLES["mistakes"]
CASES = [
    pytest.param({**table["base"], **case["given"]}, case["errors"], id=f"{theme}-{case['rule']}")
    for theme, table in TABLES.items()
    for case in table["cases"]
]


def lines(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    return str(caught.value).split("\n")


@pytest.mark.parametrize("theme", THEMES)
def test_base_has_no_mistake(theme: str) -> None:
    assert "net1" in parse(TABLES[theme]["base"]).networks


@pytest.mark.parametrize("given, errors", CASES)
def test_mistake(given: dict[str, Any], errors: list[str]) -> None:
    assert lines(given) == errors


def test_all_sections_at_once_in_the_order_of_the_input() -> None:
    raw = {
        "hosts": {"host1": {"groups": ["hypervisors"], "vpc_underlay_address": "10.5"}},
        "vpc_expectations": [1],
        "vpc_peerings": [1],
        "vpc_security_groups": [{"name": "self"}],
        "vpc_prefix_lists": 1,
        "vpc_nat_pools": [1],
        "vpc_port_forwards": [1],
        "vpc_public_addresses": [1],
        "vpc_instances": [{"name": f"VM{index}", "hypervisor": "host1", "network": "a"} for index in range(11)],
        "vpc_networks": [
            {"name": "a", "cidr": "10.0.0.0/8"},
            {"name": "b", "cidr": "10.1.0.0/16", "nat": 1},
            {"name": "C", "cidr": "11.0.0.0/8"},
        ],
    }
    assert [line.split(": ")[0] for line in lines(raw)] == [
        "vpc_networks[1].nat",
        "vpc_networks[1].cidr",
        "vpc_networks[2].name",
        *(f"vpc_instances[{index}].name" for index in range(11)),
        "vpc_prefix_lists",
        "vpc_security_groups[0].name",
        "vpc_peerings[0]",
        "vpc_public_addresses[0]",
        "vpc_port_forwards[0]",
        "vpc_nat_pools[0]",
        "vpc_expectations[0]",
        "host1.vpc_underlay_address",
        "groups.routers",
    ]


def test_errors_are_pairs() -> None:
    with pytest.raises(ModelErrors) as caught:
        parse({"vpc_peerings": [1], "vpc_networks": None})
    assert caught.value.errors == (
        ModelError("vpc_networks", "null is not allowed; a list is needed"),
        ModelError("vpc_peerings[0]", "1 is a number; a mapping is needed"),
    )


def test_hints_end_before_they_cost_much() -> None:
    raw = {
        **TABLE["base"],
        "vpc_instances": [{"name": f"vm{n}", "hypervisor": "host1", "network": f"net1{n}"} for n in range(200)],
    }
    found = lines(raw)
    assert len(found) == 200
    assert found[99] == "vpc_instances[99].network: net199 is not a network of vpc_networks; did you mean net1?"
    assert found[100] == "vpc_instances[100].network: net1100 is not a network of vpc_networks"


def test_many_overlaps_are_one_line() -> None:
    networks = [{"name": f"n{n}", "cidr": f"10.{n // 256}.{n % 256}.0/24"} for n in range(1000)]
    raw = {**TABLE["base"], "vpc_networks": [*networks, {"name": "all", "cidr": "10.0.0.0/8"}]}
    assert lines(raw) == ["vpc_networks[1000].cidr: 10.0.0.0/8 overlaps vpc_networks[0].cidr 10.0.0.0/24 and 999 more"]


def test_a_line_stays_a_line() -> None:
    raw = {**TABLE["base"], "vpc_networks": [{"name": "a\nb: c\u2028", "cidr": "10.0.0.0/24", "x\ny": 1}]}
    assert len(lines(raw)) == 2
    assert len(str(ModelErrors([ModelError("a", "b")])).splitlines()) == 1
