# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every plan of subnets, first or not."""

from __future__ import annotations

import copy
import re
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.subnets.requests import (
    CIDRS,
    PREFIXES,
    changes,
    families,
    judge,
    nets,
    orders,
    replay,
    requests,
    subnets,
    wholes,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

NOTHING: dict[str, Any] = {"subnets": []}
SETTINGS = settings(deadline=None, max_examples=200)


def planned(request: dict[str, Any]) -> dict[str, Any] | None:
    """The answer; None where there is no room, which is the only refusal."""
    try:
        return plan_subnets(request)
    except ModelErrors as refused:
        for error in refused.errors:
            assert error.path.startswith("subnets.purposes["), error
            assert error.message.startswith("no room for a /") or "cannot move from" in error.message
            assert re.search(r": (the largest (free|such) prefix is \S+/\d+|nothing is( free)?)$", error.message)
        return None


def in_order(result: dict[str, Any]) -> list[int]:
    return [step["number"] for step in result["steps"]]


@SETTINGS
@given(requests(), st.data())
def test_a_first_plan(request: dict[str, Any], data: Any) -> None:
    given_request = copy.deepcopy(request)
    result = planned(request)
    assume(result is not None)
    assert result is not None
    judge(request, result)
    assert {step["action"] for step in result["steps"]} == {"create"}
    replay(request, NOTHING, result, orders(result, data.draw))
    # The same request always has the same answer, and is left as it was.
    assert request == given_request
    assert plan_subnets(given_request) == result


@SETTINGS
@given(requests())
def test_the_same_request_again_moves_nothing(request: dict[str, Any]) -> None:
    first = planned(request)
    assume(first is not None)
    assert first is not None
    again = plan_subnets({**request, "current": first})
    assert again["steps"] == []
    assert [item["name"] for item in again["stays"]] == [
        item["name"] for _family in families(request) for item in first["subnets"]
    ]
    for key in set(first) - {"steps", "stays"}:
        assert again[key] == first[key]
    # The list of subnets says all of a plan.
    assert plan_subnets({**request, "current": first["subnets"]}) == again


def check_replanned(request: dict[str, Any], before: dict[str, Any], result: dict[str, Any], data: Any) -> None:
    judge(request, result)
    replay(request, before, result, in_order(result))
    replay(request, before, result, orders(result, data.draw))
    assert plan_subnets({**request, "current": result})["steps"] == []
    for family in families(request):
        old, new = subnets(before, family), subnets(result, family)
        reserved = nets(request["reserved"], family)
        for purpose in request["purposes"]:
            block = "block" if family == 4 else "block6"
            for zone in purpose.get("zones", request["zones"]):
                name = f"{purpose['name']}-{zone}"
                can_stay = name in old and old[name].prefixlen == new[name].prefixlen and block not in purpose
                if can_stay and not any(old[name].overlaps(net) for net in reserved):
                    assert old[name] == new[name]


@SETTINGS
@given(wholes(), st.data())
def test_from_any_plan_to_any_other(lengths: dict[int, int], data: Any) -> None:
    first = data.draw(requests(lengths))
    before = planned(first)
    assume(before is not None)
    assert before is not None
    second = data.draw(st.one_of(changes(first), requests(lengths)))
    result = planned({**second, "current": before["subnets"]})
    assume(result is not None)
    assert result is not None
    check_replanned(second, before, result, data)


@SETTINGS
@given(requests(), st.data())
def test_what_is_added_at_the_end_moves_nothing(request: dict[str, Any], data: Any) -> None:
    before = planned(request)
    assume(before is not None)
    assert before is not None
    more = copy.deepcopy(request)
    if data.draw(st.booleans()):
        lengths = {key: value for key, value in more["purposes"][0].items() if key.startswith(("hosts", "length"))}
        more["purposes"].append({"name": "new", **lengths})
    else:
        # A block that was asked for may be too small for another zone.
        assume(not any(key.startswith("block") for purpose in more["purposes"] for key in purpose))
        more["zones"].append("e")
    result = planned_or_too_small(more, before)
    assume(result is not None)
    assert result is not None
    assert result["moves"] == []
    assert {step["action"] for step in result["steps"]} == {"create"} or result["steps"] == []
    check_replanned(more, before, result, data)


def planned_or_too_small(request: dict[str, Any], current: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return plan_subnets({**request, "current": current})
    except ModelErrors:
        return None


@SETTINGS
@given(requests(blocks=False))
def test_sizes_that_add_up_to_the_whole_fit(request: dict[str, Any]) -> None:
    """Powers of two pack without waste. Only what is reserved can be in the way."""
    request["reserved"] = []
    if 6 in families(request):
        request["purposes"] = [{"length6": 64, **purpose} for purpose in request["purposes"]]
    room = True
    for family in families(request):
        bits = 32 if family == 4 else 128
        needed = 0
        for purpose in request["purposes"]:
            length = purpose["length6"] if family == 6 else purpose.get("length")
            size = 1 << (bits - length) if length is not None else purpose["hosts"] + 4
            needed += size * len(purpose.get("zones", request["zones"]))
        room = room and needed <= 1 << (bits - int(request[PREFIXES[family]].partition("/")[2]))
    result = planned(request)
    assert (result is not None) == room
    if result is not None:
        judge(request, result)


@given(requests())
def test_networks_are_the_subnets(request: dict[str, Any]) -> None:
    request["purposes"][0]["network"] = {"nat": True, "vpc": "shop"}
    result = planned(request)
    assume(result is not None)
    assert result is not None
    cidrs = ["name", *(CIDRS[family] for family in families(request))]
    for subnet, network in zip(result["subnets"], result["networks"], strict=True):
        extra = {"nat": True, "vpc": "shop"} if subnet["purpose"] == request["purposes"][0]["name"] else {}
        assert network == {**{key: subnet[key] for key in cidrs}, **extra}
