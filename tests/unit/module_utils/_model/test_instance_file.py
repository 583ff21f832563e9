# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of guests: what a line becomes, where a mistake is told, and that what is written is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import instance
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import (
    COLUMNS,
    VARIABLE,
    read_csv,
    write_csv,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model, parse
from hypothesis import given
from hypothesis import strategies as st

TABLE = yaml.safe_load(Path(__file__).with_name("instance_file_mistakes.yml").read_text(encoding="utf-8"))
NAME = "guests.csv"


def with_table(raw: dict[str, Any], text: str) -> dict[str, Any]:
    """The inputs of a plan with the guests of a table, after a way through JSON, as a plan's identity takes it."""
    content = read_csv(NAME, text)
    found = {**raw, "vpc_instances": [*raw.get("vpc_instances", []), *content.instances], VARIABLE: content.raw(NAME)}
    result: dict[str, Any] = json.loads(json.dumps(found))
    return result


def model(text: str) -> Model:
    return parse(with_table(TABLE["base"], text))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["rule"])
def test_mistake(case: dict[str, Any]) -> None:
    with pytest.raises(ModelErrors) as caught:
        parse(with_table({**TABLE["base"], **case.get("given", {})}, case["text"]))
    assert str(caught.value).split("\n") == case["errors"]


def test_columns_are_the_keys_of_a_guest() -> None:
    assert set(COLUMNS) | {"interfaces"} == instance._KEYS


def test_a_line_is_a_guest() -> None:
    content = read_csv(
        NAME,
        "name,hypervisor,network,address,address6,mac,vif,allowed_addresses,allowed_pairs,roles,security_groups\n"
        "vm1,host1,net1,10.10.10.10,none,52:54:00:00:00:01,vif1.0,10.10.10.11 10.9.0.0/16,"
        "00:00:5e:00:01:07=10.10.10.48 00:00:5e:00:02:07=2001:db8::1,router vrrp,web base\n"
        "vm2,host1,net2,,,,,,,,\n",
    )
    assert content.mistakes == []
    assert content.lines == [2, 3]
    assert content.instances == [
        {
            "name": "vm1",
            "hypervisor": "host1",
            "network": "net1",
            "address": "10.10.10.10",
            "address6": "none",
            "mac": "52:54:00:00:00:01",
            "vif": "vif1.0",
            "allowed_addresses": ["10.10.10.11", "10.9.0.0/16"],
            "allowed_pairs": [
                {"mac": "00:00:5e:00:01:07", "address": "10.10.10.48"},
                {"mac": "00:00:5e:00:02:07", "address": "2001:db8::1"},
            ],
            "roles": ["router", "vrrp"],
            "security_groups": ["web", "base"],
        },
        {"name": "vm2", "hypervisor": "host1", "network": "net2"},
    ]


def test_a_name_without_a_hypervisor_is_one_more_interface_wherever_it_stands() -> None:
    content = read_csv(NAME, "name,hypervisor,network,mac\na,h,n1,m1\nb,h,n1,m2\na,,n2,m3\na,,n3,\n")
    assert content.instances == [
        {
            "name": "a",
            "hypervisor": "h",
            "interfaces": [{"network": "n1", "mac": "m1"}, {"network": "n2", "mac": "m3"}, {"network": "n3"}],
        },
        {"name": "b", "hypervisor": "h", "network": "n1", "mac": "m2"},
    ]
    assert (content.lines, content.more) == ([2, 3], {2: [4, 5]})


@pytest.mark.parametrize(
    "text",
    [
        "name,hypervisor,network,address\nvm1,host1,net1,10.10.10.10\nvm2,host1,net2,\n",
        "name,hypervisor,network,address\nvm1,host1,net1,10.10.10.10\nvm2,host1,net2,",
        "\ufeffname,hypervisor,network,address\r\nvm1,host1,net1,10.10.10.10\r\nvm2,host1,net2,\r\n",
        "name,hypervisor,network,address\rvm1,host1,net1,10.10.10.10\rvm2,host1,net2,\r",
        '"name","hypervisor","network","address"\n"vm1","host1","net1","10.10.10.10"\nvm2,"host1",net2,""\n',
        'name, hypervisor,network , address\n vm1,\thost1, "net1",10.10.10.10\nvm2 ,host1,net2, \n',
        "# a, b\nname,hypervisor,network,address\n\nvm1,host1,net1,10.10.10.10\n,,,\n  # vm3,\nvm2,host1,net2,\n \n",
        "network,address,name,hypervisor\nnet1,10.10.10.10,vm1,host1\nnet2,,vm2,host1\n",
    ],
)
def test_spellings_of_one_table(text: str) -> None:
    given = {
        "vpc_instances": [
            {"name": "vm1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10"},
            {"name": "vm2", "hypervisor": "host1", "network": "net2"},
        ]
    }
    assert model(text) == parse({**TABLE["base"], **given})


def test_a_name_that_looks_like_a_place_is_left_alone() -> None:
    raw = {**TABLE["base"], "vpc_instances": [{"name": "guests.csv:9.x", "hypervisor": "host1", "network": "net1"}]}
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    assert "guests.csv:9.x" in str(caught.value)


def test_guests_of_a_list_are_told_by_index() -> None:
    raw = {
        **TABLE["base"],
        "vpc_instances": [
            {"name": "A", "hypervisor": "host1", "network": "net1"},
            *({"name": f"vm{index}", "hypervisor": "host1", "network": "net1"} for index in range(13)),
            {"name": "vm9", "hypervisor": "host1", "interfaces": [{"network": "net1", "address": "10.10.11.7"}]},
        ],
        VARIABLE: {"name": "guests.yml", "count": 14, "lines": None, "more": {}, "mistakes": []},
    }
    raw["vpc_instances"][3]["mac"] = 5
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    assert [error.path for error in caught.value.errors] == [
        "vpc_instances[0].name",
        "guests.yml[2].mac",
        "guests.yml[13].name",
        "guests.yml[13].interfaces[0].address",
    ]
    assert "is already the name of guests.yml[9]" in str(caught.value)


ADDRESSES = st.ip_addresses().map(str)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=12)
# What no guest may have, but a table could: separators, quotes and a first character that is a comment's elsewhere.
ODD = st.text("ab,\"# ;{}%'=\\", min_size=1, max_size=8).map(str.strip).filter(lambda text: text.strip('"'))
INTERFACES = st.fixed_dictionaries(
    {"network": WORDS},
    optional={
        "address": ADDRESSES,
        "address6": ADDRESSES | st.just("none"),
        "mac": WORDS,
        "vif": ODD,
        "allowed_addresses": st.lists(ADDRESSES, min_size=1, max_size=3),
        "allowed_pairs": st.lists(
            st.fixed_dictionaries({"mac": WORDS, "address": ADDRESSES}),
            min_size=1,
            max_size=3,
        ),
        "roles": st.lists(WORDS, min_size=1, max_size=3),
        "security_groups": st.lists(WORDS, min_size=1, max_size=3),
    },
)
GUESTS = st.lists(
    st.tuples(WORDS, WORDS, st.lists(INTERFACES, min_size=1, max_size=3)), max_size=5, unique_by=lambda guest: guest[0]
).map(
    lambda guests: [
        {"name": name, "hypervisor": host, **(found[0] if len(found) == 1 else {"interfaces": found})}
        for name, host, found in guests
    ]
)


@given(GUESTS)
def test_what_is_written_is_read_again(guests: list[dict[str, Any]]) -> None:
    text = write_csv(guests)
    content = read_csv(NAME, text)
    assert content.mistakes == []
    assert content.instances == guests
    assert write_csv(content.instances) == text
    starts = [1 + sum(len(item.get("interfaces", [0])) for item in guests[:index]) for index in range(len(guests))]
    assert content.lines == [start + 1 for start in starts]


@given(st.text('abn,"\n\r#= \ufeff\x00{', max_size=60), st.booleans())
def test_anything_is_a_table_or_has_mistakes(text: str, header: bool) -> None:
    content = read_csv(NAME, f"name,hypervisor,network\n{text}" if header else text)
    assert header or content.mistakes
    assert all(path.startswith(f"{NAME}:") and "\n" not in message for path, message in content.mistakes)
    assert len(content.lines or []) == len(content.instances)


def test_groups_of_a_guest_are_those_of_each_interface() -> None:
    item = {
        "name": "vm1",
        "hypervisor": "host1",
        "security_groups": ["web"],
        "interfaces": [{"network": "net1"}, {"network": "net2", "security_groups": ["base"]}],
    }
    text = write_csv([item])
    assert text == "name,hypervisor,network,security_groups\nvm1,host1,net1,web\nvm1,,net2,base\n"
    found = [one.security_groups for one in model(text).instances["vm1"].interfaces]
    plain = parse({**TABLE["base"], "vpc_instances": [item]})
    assert found == [one.security_groups for one in plain.instances["vm1"].interfaces]
