# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from one plan of subnets to another."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.subnets.requests import judge, replay
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.subnets.test_plan import (
    THREE_ZONES,
    TWO_ZONES,
    now,
)

BASE = "10.20."


def short(result: dict[str, Any]) -> list[str]:
    """A line for each step; a temporary prefix in brackets."""
    lines = []
    for step in result["steps"]:
        ends = [end.removeprefix(BASE) for end in (step["from"], step["to"]) if end is not None]
        if step["temporary"]:
            ends[-1] = f"({ends[-1]})"
        lines.append(" ".join([step["action"], step["name"] or step["zone"], " -> ".join(ends)]).strip())
    return lines


def move(request: dict[str, Any], current: list[dict[str, str]]) -> dict[str, Any]:
    """The answer, whose steps have been made one after the other."""
    result = plan_subnets({"prefix": "10.20.0.0/24", "zones": ["a", "b"], **request, "current": current})
    request = {"prefix": "10.20.0.0/24", "zones": ["a", "b"], **request}
    judge(request, result)
    names = [{"name": f"{item['purpose']}-{item['zone']}", **item} for item in current]
    replay(request, {"subnets": names}, result, [step["number"] for step in result["steps"]])
    return result


def test_the_first_plan_is_created() -> None:
    result = plan_subnets(TWO_ZONES)
    assert short(result)[:3] == ["create elb-a 0.0/24", "create elb-b 1.0/24", "create app-a 2.0/24"]
    assert result["steps"][0] == {
        "number": 1,
        "action": "create",
        "family": 4,
        "name": "elb-a",
        "zone": "a",
        "from": None,
        "to": "10.20.0.0/24",
        "temporary": False,
        "needs": [],
        "text": "Create elb-a, 10.20.0.0/24.",
    }


def test_the_way_to_a_third_zone() -> None:
    first = plan_subnets(TWO_ZONES)
    result = plan_subnets({**THREE_ZONES, "current": first})
    assert short(result) == [
        "vacate a",
        "move elb-a 0.0/24 -> (15.0/25)",
        "move elb-a 15.0/25 -> 0.0/25",
        "move app-a 2.0/24 -> (15.0/25)",
        "move app-a 15.0/25 -> 2.0/25",
        "move backend-a 4.0/24 -> (15.0/25)",
        "move backend-a 15.0/25 -> 4.0/25",
        "move databases-a 6.0/24 -> (15.0/26)",
        "move databases-a 15.0/26 -> 6.0/26",
        "return a",
        "vacate b",
        "move elb-b 1.0/24 -> 0.128/25",
        "move app-b 3.0/24 -> 2.128/25",
        "move backend-b 5.0/24 -> 4.128/25",
        "move databases-b 7.0/24 -> 6.64/26",
        "return b",
        "create elb-c 1.0/25",
        "create app-c 3.0/25",
        "create backend-c 5.0/25",
        "create databases-c 6.128/26",
    ]
    assert result["moves"][0] == {
        "family": 4,
        "name": "elb-a",
        "zone": "a",
        "from": "10.20.0.0/24",
        "to": "10.20.0.0/25",
        "via": "10.20.15.0/25",
    }
    assert [found["via"] for found in result["moves"]] == ["10.20.15.0/25", None] * 3 + ["10.20.15.0/26", None]
    # Of elb: its zone is empty; what it left is free; the zone has moved; the other one is back.
    needs = {step["number"]: step["needs"] for step in result["steps"]}
    assert {number: needs[number] for number in (1, 2, 3, 4, 10, 11, 12, 17)} == {
        1: [],
        2: [1],
        3: [1, 2],
        4: [1, 3],
        10: [2, 3, 4, 5, 6, 7, 8, 9],
        11: [10],
        12: [2, 11],
        17: [12],
    }
    assert result["steps"][0]["text"] == (
        "Vacate zone a: elb-a, app-a, backend-a and databases-a will move; other zones serve until step 10."
    )
    assert result["steps"][1]["text"] == (
        "Move elb-a: create 10.20.15.0/25 for the time being, then remove 10.20.0.0/24."
    )
    assert result["steps"][9]["text"] == "Return to zone a: elb-a, app-a, backend-a and databases-a can serve again."
    assert result["steps"][10]["zone"] == "b"
    assert result["steps"][10]["name"] is None


def test_a_zone_that_waits_for_another_comes_after_it() -> None:
    """Although app-a need not wait: a zone is vacated once."""
    result = move(
        {"purposes": [{"name": "app", "length": 28, "zones": ["a"]}, {"name": "web", "length": 27}]},
        now(web_a="10.20.0.64/26", web_b="10.20.0.0/26", app_a="10.20.0.128/27"),
    )
    assert short(result) == [
        "vacate b",
        "move web-b 0.0/26 -> (0.192/27)",
        "move web-b 0.192/27 -> 0.32/27",
        "return b",
        "vacate a",
        "move app-a 0.128/27 -> (0.224/28)",
        "move app-a 0.224/28 -> 0.128/28",
        "move web-a 0.64/26 -> 0.0/27",
        "return a",
    ]


def test_two_that_wait_at_temporary_prefixes_do_not_meet() -> None:
    """c has to go where a and b are, and they to the two halves of what it has."""
    result = move(
        {"prefix": "10.20.0.0/23", "zones": ["a", "b", "c"], "purposes": [{"name": "web", "length": 26}]},
        now(web_a="10.20.0.128/27", web_b="10.20.0.160/27", web_c="10.20.0.0/25"),
    )
    assert [line for line in short(result) if line.startswith("move")] == [
        "move web-a 0.128/27 -> (1.192/26)",
        "move web-b 0.160/27 -> (1.128/26)",
        "move web-c 0.0/25 -> 0.128/26",
        "move web-a 1.192/26 -> 0.0/26",
        "move web-b 1.128/26 -> 0.64/26",
    ]


def test_subnets_that_wait_for_each_other_go_by_a_temporary_prefix() -> None:
    # b has to go where a is, and a where b is.
    result = move(
        {"zones": ["a", "b", "c"], "purposes": [{"name": "web", "length": 27, "zones": ["b", "c", "a"]}]},
        now(web_a="10.20.0.0/26", web_b="10.20.0.64/26", web_c="10.20.0.128/26"),
    )
    assert short(result) == [
        "vacate a",
        "move web-a 0.0/26 -> (0.192/27)",
        "return a",
        "vacate b",
        "move web-b 0.64/26 -> 0.0/27",
        "return b",
        "vacate a",
        "move web-a 0.192/27 -> 0.64/27",
        "return a",
        "vacate c",
        "move web-c 0.128/26 -> 0.32/27",
        "return c",
    ]
    needs = {step["number"]: step["needs"] for step in result["steps"]}
    assert (needs[5], needs[8], needs[11]) == ([2, 4], [2, 5, 7], [2, 10])


def test_a_temporary_prefix_may_be_spare() -> None:
    """Where nothing is free: what is unused now, and not needed in the end."""
    request = {"purposes": [{"name": "web", "length": 26, "block": 24}]}
    result = move({**request, "purposes": [{"name": "web", "length": 27, "block": 24}]}, plan_of(request))
    assert short(result) == [
        "vacate a",
        "move web-a 0.0/26 -> (0.192/27)",
        "move web-a 0.192/27 -> 0.0/27",
        "return a",
        "vacate b",
        "move web-b 0.64/26 -> 0.32/27",
        "return b",
    ]


def plan_of(request: dict[str, Any]) -> list[dict[str, str]]:
    """The subnets of a first plan."""
    found: list[dict[str, str]] = plan_subnets({"prefix": "10.20.0.0/24", "zones": ["a", "b"], **request})["subnets"]
    return [{key: value for key, value in item.items() if key != "name"} for item in found]


def test_what_is_wanted_no_longer_goes_first_only_if_it_is_in_the_way() -> None:
    current = now(web_a="10.20.0.0/26", old_a="10.20.0.64/26", far_a="10.20.0.192/26")
    result = move({"purposes": [{"name": "web", "length": 26, "block": 25}]}, current)
    assert short(result) == ["remove old-a 0.64/26", "create web-b 0.64/26", "remove far-a 0.192/26"]
    assert [step["needs"] for step in result["steps"]] == [[], [1], []]
    # In the way of one that moves, out of what is reserved.
    request = {
        "zones": ["a"],
        "purposes": [{"name": "web", "length": 26}],
        "reserved": ["10.20.0.0/28", "10.20.0.128/26"],
    }
    assert short(move(request, current)) == [
        "remove old-a 0.64/26",
        "vacate a",
        "move web-a 0.0/26 -> 0.64/26",
        "return a",
        "remove far-a 0.192/26",
    ]
    # All of them, as none is left to go by.
    moved = move({"zones": ["a"], "purposes": [{"name": "web", "length": 25}]}, current)
    assert short(moved) == ["remove old-a 0.64/26", "remove far-a 0.192/26", *short(moved)[2:]]


def test_what_is_wanted_no_longer_makes_room_for_a_temporary_prefix() -> None:
    result = move(
        {"purposes": [{"name": "web", "length": 26}], "zones": ["a"]},
        now(web_a="10.20.0.0/25", old_a="10.20.0.128/25"),
    )
    assert short(result) == [
        "remove old-a 0.128/25",
        "vacate a",
        "move web-a 0.0/25 -> (0.128/26)",
        "move web-a 0.128/26 -> 0.0/26",
        "return a",
    ]
    assert result["steps"][2]["needs"] == [1, 2]


def test_who_has_no_other_zone_is_told_so() -> None:
    request = {"purposes": [{"name": "web", "length": 28, "zones": ["a"]}, {"name": "db", "length": 28}]}
    result = move(request, now(web_a="10.20.0.0/27", db_a="10.20.0.32/27", db_b="10.20.0.64/27"))
    first, second = (step["text"] for step in result["steps"] if step["action"] == "vacate")
    assert first.startswith("Vacate zone a: web-a and db-a will move; other zones serve until step 6.")
    assert first.endswith(" web has none: expect an interruption.")
    assert second == "Vacate zone b: db-b will move; other zones serve until step 9."


def test_both_families_have_their_steps() -> None:
    request = {
        "prefix": "10.20.0.0/24",
        "prefix6": "2001:db8:20::/62",
        "zones": ["a", "b"],
        "purposes": [{"name": "web", "length": 28, "length6": 65}],
    }
    current = [
        {"purpose": "web", "zone": "a", "cidr": "10.20.0.0/27", "cidr6": "2001:db8:20::/64"},
        {"purpose": "web", "zone": "b", "cidr": "10.20.0.32/27", "cidr6": "2001:db8:20:1::/64"},
    ]
    result = plan_subnets({**request, "current": current})
    actions = ["vacate", "move", "move", "return", "vacate", "move", "return"]
    assert [(step["family"], step["action"]) for step in result["steps"]] == [
        (family, action) for family in (4, 6) for action in actions
    ]
    # Nobody goes before the others are back.
    assert result["steps"][7]["needs"] == [7]
    assert [move["to"] for move in result["moves"]][2:] == ["2001:db8:20::/65", "2001:db8:20:0:8000::/65"]


def test_no_room_for_a_temporary_prefix() -> None:
    request: dict[str, Any] = {"zones": ["a", "b"], "purposes": [{"name": "web", "length": 26}]}
    current = now(web_a="10.20.0.0/25", web_b="10.20.0.128/25")
    with pytest.raises(ModelErrors) as caught:
        plan_subnets({**request, "prefix": "10.20.0.0/24", "current": current})
    why = "no temporary /26 is both unused now and not needed in the end: nothing is"
    assert str(caught.value).splitlines() == [
        f"subnets.purposes[0]: web-a cannot move from 10.20.0.0/25 to 10.20.0.0/26, where web-a is: {why}",
        f"subnets.purposes[0]: web-b cannot move from 10.20.0.128/25 to 10.20.0.64/26, where web-a is: {why}",
    ]
    # A little room somewhere is enough, but not if it is reserved, and not if it is too little.
    larger = {**request, "prefix": "10.20.0.0/23", "current": current}
    assert short(plan_subnets(larger))[1] == "move web-a 0.0/25 -> (1.128/26)"
    for reserved, left in (
        (["10.20.1.0/24"], "nothing is"),
        (
            ["10.20.1.0/25", "10.20.1.128/26", "10.20.1.192/27"],
            "the largest such prefix is 10.20.1.224/27",
        ),
    ):
        with pytest.raises(ModelErrors, match=f"not needed in the end: {left}$"):
            plan_subnets({**larger, "reserved": reserved})


def test_others_leave_room_for_a_temporary_prefix() -> None:
    """The new purpose could have 10.20.0.192/26, where nobody is; but a and b, which change places, need it."""
    web = {"name": "web", "length": 27, "zones": ["b", "c", "a"]}
    new = {"name": "new", "length": 26, "zones": ["a"]}
    current = now(web_a="10.20.0.0/26", web_b="10.20.0.64/26", web_c="10.20.0.128/26")
    result = move({"zones": ["a", "b", "c"], "purposes": [web, new]}, current)
    assert short(result)[1] == "move web-a 0.0/26 -> (0.192/27)"
    assert short(result)[-1] == "create new-a 0.128/26"
    # Where nobody has to wait, it has that.
    web["zones"] = ["a", "b", "c"]
    current = now(web_a="10.20.0.0/27", web_b="10.20.0.32/27", web_c="10.20.0.128/26")
    assert short(move({"zones": ["a", "b", "c"], "purposes": [web, new]}, current))[-1] == "create new-a 0.192/26"
