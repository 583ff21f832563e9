# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for subnets by chance, and a judge of the answers that knows nothing of the planner."""

from __future__ import annotations

import copy
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

Net = IPv4Network | IPv6Network
Subnets = dict[str, Net]
CIDRS = {4: "cidr", 6: "cidr6"}
PREFIXES = {4: "prefix", 6: "prefix6"}
WORDS = {4: "ipv4", 6: "ipv6"}
MARGIN = 6


def nets(texts: Any, family: int) -> list[Net]:
    found = [ip_network(text) for text in texts]
    return [net for net in found if net.version == family]


def families(request: dict[str, Any]) -> list[int]:
    return [family for family, key in PREFIXES.items() if key in request]


def subnets(result: dict[str, Any], family: int) -> Subnets:
    return {item["name"]: ip_network(item[CIDRS[family]]) for item in result["subnets"] if CIDRS[family] in item}


def disjoint(found: Any) -> bool:
    return not any(one.overlaps(other) for one, other in combinations(found, 2))


def judge(request: dict[str, Any], result: dict[str, Any]) -> None:
    """Everything is inside, nothing overlaps, nothing is lost, and the figures say so."""
    zones = [f"{item['name']}-{zone}" for item in request["purposes"] for zone in item.get("zones", request["zones"])]
    assert [item["name"] for item in result["subnets"]] == zones
    for family in families(request):
        whole = ip_network(request[PREFIXES[family]])
        found = subnets(result, family)
        assert list(found) == zones
        for item in result["subnets"]:
            purpose = next(one for one in request["purposes"] if one["name"] == item["purpose"])
            net = found[item["name"]]
            wanted = purpose.get("length") if family == 4 else purpose.get("length6", 64)
            if wanted is None:
                assert net.num_addresses - 4 >= purpose["hosts"] > net.num_addresses // 2 - 4
            else:
                assert net.prefixlen == wanted
            blocks = nets(result["blocks"][item["purpose"]], family)
            assert any(net.subnet_of(block) for block in blocks)
            block = purpose.get("block" if family == 4 else "block6")
            assert block is None or [one.prefixlen for one in blocks] == [block]
        parts = {
            "used": list(found.values()),
            "spare": nets([text for spare in result["spare"].values() for text in spare], family),
            "reserved": nets(request.get("reserved", []), family),
            "free": nets(result["free"], family),
        }
        assert disjoint([net for part in parts.values() for net in part])
        assert list(collapse_addresses(net for part in parts.values() for net in part)) == [whole]
        assert list(collapse_addresses(parts["free"])) == parts["free"]
        sizes = {name: sum(net.num_addresses for net in part) for name, part in parts.items()}
        percent = round(100 * sizes["used"] / whole.num_addresses, 2)
        assert result["utilisation"][WORDS[family]] == {"total": whole.num_addresses, **sizes, "percent": percent}
        largest = min(parts["free"], key=lambda net: net.prefixlen, default=None)
        assert result["largest_free"][WORDS[family]] == (str(largest) if largest else None)
        blocks = [net for found in result["blocks"].values() for net in nets(found, family)]
        assert disjoint(blocks)


def replay(request: dict[str, Any], before: dict[str, Any], result: dict[str, Any], order: list[int]) -> None:
    """Make the steps in the given order; at no moment does anything overlap."""
    steps = {step["number"]: step for step in result["steps"]}
    assert sorted(order) == list(steps)
    state = {family: subnets(before, family) for family in families(request)}
    final = {family: subnets(result, family) for family in families(request)}
    vacated: dict[str, str] = {}
    for number in order:
        step = steps[number]
        name, action, family = step["name"], step["action"], step["family"]
        if action == "vacate":
            # Two zones are never empty at once.
            assert not vacated
            vacated[step["zone"]] = action
            continue
        if action == "return":
            del vacated[step["zone"]]
            continue
        now = state[family]
        assert name.endswith(f"-{step['zone']}")
        assert str(now.get(name)) == str(step["from"])
        assert (action == "move") == (step["from"] is not None and step["to"] is not None)
        assert action != "move" or step["zone"] in vacated
        if step["to"] is not None:
            target = ip_network(step["to"])
            assert not any(target.overlaps(net) for net in now.values()), f"{number} overlaps"
            assert target.subnet_of(ip_network(request[PREFIXES[family]]))
            assert not any(target.overlaps(net) for net in nets(request.get("reserved", []), family))
            if step["temporary"]:
                assert not any(target.overlaps(net) for net in final[family].values())
            now[name] = target
        else:
            del now[name]
    assert state == final
    assert not vacated


def orders(result: dict[str, Any], draw: Any) -> list[int]:
    """One of the orders that `needs` allow."""
    left = {step["number"]: set(step["needs"]) for step in result["steps"]}
    order: list[int] = []
    while left:
        ready = sorted(number for number, needs in left.items() if needs <= set(order))
        number = draw(st.sampled_from(ready))
        order.append(number)
        del left[number]
    return order


@st.composite
def requests(draw: Any, lengths: dict[int, int] | None = None, blocks: bool = True) -> dict[str, Any]:
    """A request that has no mistake; there may be no room for it. lengths: of what is divided, by family."""
    lengths = lengths or draw(wholes())
    prefixes = {4: f"10.64.0.0/{lengths.get(4)}", 6: f"2001:db8::/{lengths.get(6)}"}
    zones = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    purposes = []
    for name in draw(st.lists(st.sampled_from(["elb", "app", "db", "misc", "x"]), min_size=1, unique=True)):
        purpose: dict[str, Any] = {"name": name}
        own = zones
        if draw(st.booleans()):
            own = purpose["zones"] = draw(st.lists(st.sampled_from(zones), min_size=1, unique=True))
        bits = (len(own) - 1).bit_length()
        for family, length in lengths.items():
            key, block = ("length", "block") if family == 4 else ("length6", "block6")
            purpose[key] = draw(st.integers(length + bits + draw(st.integers(0, 3)), length + MARGIN))
            if blocks and draw(st.integers(0, 2)) == 0:
                purpose[block] = draw(st.integers(max(length, purpose[key] - bits - 2), purpose[key] - bits))
            elif family == 4 and draw(st.integers(0, 3)) == 0:
                purpose["hosts"] = (1 << (32 - purpose.pop("length"))) - 4
        purposes.append(purpose)
    request: dict[str, Any] = {"zones": zones, "purposes": purposes, "reserved": []}
    for family in lengths:
        request[PREFIXES[family]] = prefixes[family]
        whole = ip_network(prefixes[family])
        for _number in range(draw(st.sampled_from([0, 0, 1, 3]))):
            deep = draw(st.integers(2, MARGIN))
            at = draw(st.integers(0, (1 << deep) - 1))
            net = list(whole.subnets(deep))[at]
            if disjoint([net, *nets(request["reserved"], family)]):
                request["reserved"].append(str(net))
    return request


@st.composite
def changes(draw: Any, request: dict[str, Any]) -> dict[str, Any]:
    """A request like the given one, with a few changes."""
    changed = copy.deepcopy(request)
    for index, purpose in enumerate(list(changed["purposes"])):
        what = draw(st.sampled_from(["nothing", "length", "length", "length", "zones", "gone"]))
        if what == "length":
            bits = (len(purpose.get("zones", changed["zones"])) - 1).bit_length()
            for family, (key, block) in {4: ("length", "block"), 6: ("length6", "block6")}.items():
                if key in purpose:
                    low = int(changed[PREFIXES[family]].partition("/")[2]) + bits
                    high = 29 if family == 4 else 126
                    purpose[key] = draw(st.integers(max(low, purpose[key] - 1), min(high, purpose[key] + 2)))
                    purpose.pop(block, None)
        elif what == "zones":
            purpose["zones"] = draw(st.permutations(purpose.get("zones", changed["zones"])))
        elif index:
            changed["purposes"].remove(purpose)
    changed["purposes"] = draw(st.permutations(changed["purposes"]))
    return changed


def wholes() -> st.SearchStrategy[dict[int, int]]:
    """Lengths of what is divided, by family."""
    four, six = st.integers(16, 23), st.integers(40, 116)
    return st.one_of(
        four.map(lambda length: {4: length}),
        six.map(lambda length: {6: length}),
        st.tuples(four, six).map(lambda both: {4: both[0], 6: both[1]}),
    )
