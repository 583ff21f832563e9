# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of subnets: where everything is. The way from one plan to another is in test_steps.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.subnets.requests import judge

TIERS = ("elb", "app", "backend", "databases", "misc")
TWO_ZONES: dict[str, Any] = {
    "prefix": "10.20.0.0/20",
    "zones": ["a", "b"],
    "purposes": [{"name": tier, "length": 24} for tier in TIERS],
}
THREE_ZONES: dict[str, Any] = {
    "prefix": "10.20.0.0/20",
    "zones": ["a", "b", "c"],
    "purposes": [
        {"name": "elb", "length": 25, "block": 23},
        {"name": "app", "length": 25, "block": 23},
        {"name": "backend", "length": 25, "block": 23},
        {"name": "databases", "length": 26, "block": 23},
        {"name": "misc", "length": 24, "zones": ["a", "b"]},
    ],
}


def table(result: dict[str, Any], cidr: str = "cidr") -> dict[str, list[str]]:
    """By purpose, the prefixes of its zones."""
    found: dict[str, list[str]] = {}
    for item in result["subnets"]:
        found.setdefault(item["purpose"], []).append(item[cidr])
    return found


def plan(*purposes: dict[str, Any], zones: str = "ab", current: Any = None, **more: Any) -> dict[str, Any]:
    """An answer that has been judged. prefix is 10.20.0.0/24 unless it is given."""
    request = {
        "zones": list(zones),
        "purposes": list(purposes),
        **({} if "prefix6" in more else {"prefix": "10.20.0.0/24"}),
    }
    request.update(more)
    result = plan_subnets({**request, "current": current})
    judge(request, result)
    return result


def now(**subnets: str) -> list[dict[str, str]]:
    """A list of current subnets: web_a="10.20.0.0/26" is that of web in zone a."""
    return [
        {"purpose": name.split("_")[0], "zone": name.split("_")[1], "cidr6" if ":" in prefix else "cidr": prefix}
        for name, prefix in subnets.items()
    ]


def test_the_first_plan() -> None:
    result = plan_subnets(TWO_ZONES)
    judge(TWO_ZONES, result)
    assert table(result) == {
        "elb": ["10.20.0.0/24", "10.20.1.0/24"],
        "app": ["10.20.2.0/24", "10.20.3.0/24"],
        "backend": ["10.20.4.0/24", "10.20.5.0/24"],
        "databases": ["10.20.6.0/24", "10.20.7.0/24"],
        "misc": ["10.20.8.0/24", "10.20.9.0/24"],
    }
    assert result["subnets"][1] == {"name": "elb-b", "purpose": "elb", "zone": "b", "cidr": "10.20.1.0/24"}
    assert result["blocks"] == {
        "elb": ["10.20.0.0/23"],
        "app": ["10.20.2.0/23"],
        "backend": ["10.20.4.0/23"],
        "databases": ["10.20.6.0/23"],
        "misc": ["10.20.8.0/23"],
    }
    assert result["spare"] == {tier: [] for tier in TIERS}
    assert result["free"] == ["10.20.10.0/23", "10.20.12.0/22"]
    assert result["largest_free"] == {"ipv4": "10.20.12.0/22"}
    counted = {"total": 4096, "used": 2560, "spare": 0, "reserved": 0, "free": 1536, "percent": 62.5}
    assert result["utilisation"] == {"ipv4": counted}
    assert (result["stays"], result["moves"]) == ([], [])


def test_the_plan_for_a_third_zone() -> None:
    result = plan_subnets({**THREE_ZONES, "current": plan_subnets(TWO_ZONES)})
    judge(THREE_ZONES, result)
    assert table(result) == {
        "elb": ["10.20.0.0/25", "10.20.0.128/25", "10.20.1.0/25"],
        "app": ["10.20.2.0/25", "10.20.2.128/25", "10.20.3.0/25"],
        "backend": ["10.20.4.0/25", "10.20.4.128/25", "10.20.5.0/25"],
        "databases": ["10.20.6.0/26", "10.20.6.64/26", "10.20.6.128/26"],
        "misc": ["10.20.8.0/24", "10.20.9.0/24"],
    }
    assert result["spare"] == {
        "elb": ["10.20.1.128/25"],
        "app": ["10.20.3.128/25"],
        "backend": ["10.20.5.128/25"],
        "databases": ["10.20.6.192/26", "10.20.7.0/24"],
        "misc": [],
    }
    assert result["blocks"] == plan_subnets(TWO_ZONES)["blocks"]
    assert [item["name"] for item in result["stays"]] == ["misc-a", "misc-b"]
    assert result["free"] == ["10.20.10.0/23", "10.20.12.0/22"]
    counted = {"total": 4096, "used": 1856, "spare": 704, "reserved": 0, "free": 1536, "percent": 45.31}
    assert result["utilisation"] == {"ipv4": counted}
    # A first plan for three zones would be the same.
    assert table(plan_subnets(THREE_ZONES)) == table(result)


def test_networks_are_accepted_as_they_are() -> None:
    network = {"nat": True, "vpc": "shop", "local_switching": "bridged"}
    request = {
        **TWO_ZONES,
        "prefix6": "2001:db8:20::/56",
        "purposes": [{**TWO_ZONES["purposes"][0], "network": network}, *TWO_ZONES["purposes"][1:]],
    }
    result = plan_subnets(request)
    assert result["networks"][0] == {"name": "elb-a", "cidr": "10.20.0.0/24", "cidr6": "2001:db8:20::/64", **network}
    model = parse({"vpc_networks": result["networks"]})
    assert {name: network.cidr.text for name, network in model.networks.items() if network.cidr} == {
        item["name"]: item["cidr"] for item in result["subnets"]
    }
    assert (model.networks["elb-b"].nat, model.networks["elb-b"].vpc, model.networks["app-a"].nat) == (
        True,
        "shop",
        False,
    )
    # Nobody who changes one network changes another.
    result["networks"][0]["acl"] = result["networks"][0].pop("nat")
    assert result["networks"][1]["nat"] is network["nat"] is True


def test_ipv6_is_planned_as_ipv4_is() -> None:
    purposes = [{"name": "web"}, {"name": "db", "length6": 80, "block6": 72}, {"name": "app", "block6": 62}]
    first = plan(*purposes, zones="abc", prefix6="2001:db8:20::/56")
    assert table(first, "cidr6") == {
        "web": ["2001:db8:20::/64", "2001:db8:20:1::/64", "2001:db8:20:2::/64"],
        "db": ["2001:db8:20:4::/80", "2001:db8:20:4:1::/80", "2001:db8:20:4:2::/80"],
        "app": ["2001:db8:20:8::/64", "2001:db8:20:9::/64", "2001:db8:20:a::/64"],
    }
    assert first["spare"]["web"] == ["2001:db8:20:3::/64"]
    assert first["largest_free"] == {"ipv6": "2001:db8:20:80::/57"}
    assert first["utilisation"]["ipv6"]["used"] == 6 * (1 << 64) + 3 * (1 << 48)
    assert {step["family"] for step in first["steps"]} == {6}
    both = plan({"name": "web", "hosts": 20}, prefix="10.20.0.0/24", prefix6="2001:db8:20::/56")
    assert both["subnets"][1] == {
        "name": "web-b",
        "purpose": "web",
        "zone": "b",
        "cidr": "10.20.0.32/27",
        "cidr6": "2001:db8:20:1::/64",
    }


def test_a_family_that_is_added_moves_nothing() -> None:
    web = {"name": "web", "hosts": 20}
    first = plan(web)
    both = plan(web, prefix="10.20.0.0/24", prefix6="2001:db8:20::/56", current=first)
    assert table(both) == table(first)
    assert [(step["action"], step["to"]) for step in both["steps"]] == [
        ("create", "2001:db8:20::/64"),
        ("create", "2001:db8:20:1::/64"),
    ]


def test_zones_of_a_purpose_have_its_order() -> None:
    assert table(plan({"name": "web", "length": 27, "zones": ["c", "a"]}, zones="abc")) == {
        "web": ["10.20.0.0/27", "10.20.0.32/27"]
    }
    assert plan({"name": "web", "length": 27, "zones": ["c", "a"]}, zones="abc")["subnets"][0]["zone"] == "c"


@pytest.mark.parametrize(
    "lengths,reserved,found",
    [
        # What is small goes into the gaps that alignment leaves, in the order of the request.
        ((28, 26, 28), [], ["0/28", "64/26", "16/28"]),
        ((27, 26, 27, 25), [], ["0/27", "64/26", "32/27", "128/25"]),
        ((25, 26, 27, 28, 29, 29), [], ["0/25", "128/26", "192/27", "224/28", "240/29", "248/29"]),
        ((26, 25), ["0/26"], ["64/26", "128/25"]),
        # In their order the last one would find no room: the largest first, and equal ones as they were.
        ((26, 25), ["192/26"], ["128/26", "0/25"]),
        ((27, 25, 27), ["192/26"], ["128/27", "0/25", "160/27"]),
    ],
)
def test_sizes_pack_without_waste(lengths: tuple[int, ...], reserved: list[str], found: list[str]) -> None:
    purposes = [{"name": f"p{number}", "length": length} for number, length in enumerate(lengths)]
    result = plan(*purposes, zones="a", reserved=[f"10.20.0.{text}" for text in reserved])
    assert [item["cidr"] for item in result["subnets"]] == [f"10.20.0.{text}" for text in found]


def test_spare_that_nobody_asked_for_is_given_up_for_others() -> None:
    web, db = {"name": "web", "length": 26}, {"name": "db", "length": 26, "zones": ["a"]}
    result = plan(web, zones="abc")
    assert (result["blocks"]["web"], result["spare"]["web"]) == (["10.20.0.0/24"], ["10.20.0.192/26"])
    for current in (None, result):
        together = plan(web, db, zones="abc", current=current)
        assert table(together) == {**table(result), "db": ["10.20.0.192/26"]}
        assert (together["blocks"]["web"], together["spare"]["web"]) == (["10.20.0.0/25", "10.20.0.128/26"], [])
    with pytest.raises(ModelErrors, match="no room for a /26 for db-a: nothing is free"):
        plan({**web, "block": 24}, db, zones="abc")


def test_reserved_prefixes_are_given_to_nobody() -> None:
    web = {"name": "web", "length": 27}
    first = plan(web, reserved=["10.20.0.0/28"])
    assert (table(first), first["reserved"]) == ({"web": ["10.20.0.64/27", "10.20.0.96/27"]}, ["10.20.0.0/28"])
    # A block may hold one if there is room for all zones beside it.
    tight = plan({"name": "web", "length": 26}, zones="abc", reserved=["10.20.0.16/28"])
    assert table(tight) == {"web": ["10.20.0.64/26", "10.20.0.128/26", "10.20.0.192/26"]}
    assert tight["blocks"]["web"] == ["10.20.0.0/24"]
    assert tight["spare"]["web"] == ["10.20.0.0/28", "10.20.0.32/27"]
    # The one with small subnets takes the block with a hole.
    both = plan(web, {"name": "db", "length": 26}, reserved=["10.20.0.64/29"])
    assert table(both)["db"] == ["10.20.0.128/26", "10.20.0.192/26"]
    # What is reserved later moves only what is in it.
    later = plan(web, current=plan(web), reserved=["10.20.0.32/29"])
    assert [(move["name"], move["to"]) for move in later["moves"]] == [("web-b", "10.20.0.64/27")]


def test_purposes_keep_their_blocks() -> None:
    """A spare zone is used where the purpose is, and the order of the request means nothing any more."""
    web, db = {"name": "web", "length": 28, "block": 26}, {"name": "db", "length": 28}
    first = plan(web, db)
    more = plan({"name": "new", "length": 28}, db, web, zones="abc", current=first)
    assert table(more)["web"] == [*table(first)["web"], "10.20.0.32/28"]
    # db has no spare, but its neighbour is free.
    assert table(more)["db"] == [*table(first)["db"], "10.20.0.96/28"]
    assert table(more)["new"] == ["10.20.0.128/28", "10.20.0.144/28", "10.20.0.160/28"]
    assert more["moves"] == []


def test_a_zone_is_added_elsewhere_where_the_block_cannot_grow() -> None:
    first = plan_subnets(TWO_ZONES)
    request = {**TWO_ZONES, "zones": ["a", "b", "c"]}
    result = plan_subnets({**request, "current": first})
    judge(request, result)
    assert [found[2] for found in table(result).values()] == [
        "10.20.12.0/24",
        "10.20.13.0/24",
        "10.20.14.0/24",
        "10.20.15.0/24",
        "10.20.10.0/24",
    ]
    assert result["blocks"]["elb"] == ["10.20.0.0/23", "10.20.12.0/24"]
    # The last one has room beside it.
    assert (result["blocks"]["misc"], result["spare"]["misc"]) == (["10.20.8.0/22"], ["10.20.11.0/24"])


def test_subnets_that_share_no_block_keep_nothing_beside_them() -> None:
    web, new = {"name": "web", "length": 27}, {"name": "new", "length": 27, "zones": ["a"]}
    result = plan(web, new, zones="abc", current=now(web_a="10.20.0.0/27", web_b="10.20.0.128/27"))
    assert table(result) == {"web": ["10.20.0.0/27", "10.20.0.128/27", "10.20.0.32/27"], "new": ["10.20.0.64/27"]}
    assert (result["blocks"]["web"], result["spare"]["web"]) == (["10.20.0.0/26", "10.20.0.128/27"], [])


def test_a_block_that_is_asked_for_is_kept_together() -> None:
    current = now(web_a="10.20.0.0/27", db_a="10.20.0.32/27", web_b="10.20.0.64/27")
    web, db = {"name": "web", "length": 27}, {"name": "db", "length": 27, "zones": ["a"]}
    assert plan(web, db, current=current)["steps"] == []
    together = plan({**web, "block": 26}, db, current=current)
    assert [(move["name"], move["to"]) for move in together["moves"]] == [("web-a", "10.20.0.96/27")]
    # Rather in a new place than where db stays.
    elsewhere = plan({**web, "block": 25}, db, current=current)
    assert table(elsewhere) == {"web": ["10.20.0.128/27", "10.20.0.160/27"], "db": ["10.20.0.32/27"]}
    # Where db has to leave, nobody is in the way.
    alone = plan({**web, "block": 25}, db, current=current, reserved=["10.20.0.32/28"])
    assert table(alone) == {"web": ["10.20.0.0/27", "10.20.0.64/27"], "db": ["10.20.0.128/27"]}


def test_a_larger_prefix_moves_nothing() -> None:
    web = {"name": "web", "length": 26}
    first = plan(web, zones="abcd")
    more = plan(web, {"name": "db", "length": 26}, zones="abcd", prefix="10.20.0.0/23", current=first)
    assert (more["moves"], table(more)["db"][0]) == ([], "10.20.1.0/26")


@pytest.mark.parametrize(
    "purposes,more,errors",
    [
        (
            [{"name": "web", "length": 26}, {"name": "db", "length": 25}, {"name": "app", "length": 27}],
            {},
            [
                "subnets.purposes[0]: no room for a /26 for web-a: nothing is free",
                "subnets.purposes[0]: no room for a /26 for web-b: nothing is free",
                "subnets.purposes[2]: no room for a /27 for app-a: nothing is free",
                "subnets.purposes[2]: no room for a /27 for app-b: nothing is free",
            ],
        ),
        (
            [{"name": "web", "length": 27, "block": 25}, {"name": "db", "length": 26, "block": 25}],
            {"reserved": ["10.20.0.64/29", "10.20.0.128/29"]},
            ["subnets.purposes[1]: no room for a /25 for db-a, db-b: the largest free prefix is 10.20.0.0/26"],
        ),
        (
            [{"name": "web", "length": 25}],
            {"reserved": ["10.20.0.64/29"]},
            ["subnets.purposes[0]: no room for a /25 for web-b: the largest free prefix is 10.20.0.0/26"],
        ),
        (
            [{"name": "web", "hosts": 5}, {"name": "db", "hosts": 100, "zones": ["a"]}],
            {"prefix6": "2001:db8:20::/63", "prefix": "10.20.0.0/24"},
            ["subnets.purposes[1]: no room for a /64 for db-a: nothing is free"],
        ),
    ],
)
def test_no_room(purposes: list[dict[str, Any]], more: dict[str, Any], errors: list[str]) -> None:
    with pytest.raises(ModelErrors) as caught:
        plan(*purposes, **more)
    assert str(caught.value).splitlines() == errors
