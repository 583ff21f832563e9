# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allocations that stay: what is kept, given and freed with a lock file."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, parse_ipv4, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import slaac_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Lock, render
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.freed import OTHERS_FIRST
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.allocation_world import (
    NET1,
    NET2,
    NETWORKS,
    SIX,
    WAN,
    body,
    given_to,
    guest,
    settle,
    text_of,
    values,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# What stays


def test_without_a_file_a_name_decides_and_with_it_the_file() -> None:
    first = settle([guest("a"), guest("b")])
    assert values(first)["a", "net1"][0] == 0x0A0A0A01 + identity.preferred_offset("a", 0, 254)
    text = render(first.lock).replace(format_ipv4(first.ports[0].address or 0), "10.10.10.77")
    text = text.replace(first.ports[0].mac, "52:54:00:0a:0a:4d")
    assert values(settle([guest("a"), guest("b")], text))["a", "net1"][0] == parse_ipv4("10.10.10.77")


def test_what_the_inventory_says_is_not_in_the_file() -> None:
    whole = guest("a", "wan", address="192.0.2.7", mac="52:54:00:00:00:01")
    found = settle([whole], networks=[WAN])
    assert not found.lock
    text = text_of([guest("a", address="10.10.10.9"), guest("b", address6="2001:db8:10::9", mac="52:54:00:00:00:02")])
    lines = {line.split()[5]: line.split() for line in body(text) if line.startswith("guest")}
    assert lines["a"][2] == "-"
    assert lines["a"][4] == "52:54:00:0a:0a:09"
    assert lines["b"][3:5] == ["-", "-"]


def test_one_guest_more_is_one_line_more() -> None:
    guests = [guest(f"vm{number}", ("net1", "net2")[number % 2]) for number in range(60)]
    before = text_of(guests).splitlines()
    after = text_of([guest("new"), *guests], "\n".join(before)).splitlines()
    assert len(after) == len(before) + 1
    assert sorted(set(after) - set(before))[0].split()[5] == "new"
    assert not set(before) - set(after)


def test_a_network_of_another_name_is_the_same_network() -> None:
    guests = [guest("a"), guest("b"), guest("c", "net2")]
    before = text_of(guests)
    renamed = [{**NET1, "name": "front"}, NET2, SIX]
    after = settle([guest("a", "front"), guest("b", "front"), guest("c", "net2")], before, renamed)
    assert {key[0]: value for key, value in values(after).items()} == {
        key[0]: value for key, value in values(settle(guests, before)).items()
    }
    assert after.tables["front"] == settle(guests, before).tables["net1"]
    assert after.bridge_macs["front"] == identity.bridge_mac("net1")
    assert ("was net1", "front") in [(change.what, change.network) for change in after.changes]


def test_a_network_that_grows_keeps_its_guests() -> None:
    guests = [guest(f"g{number}", "net2") for number in range(20)]
    before = settle(guests)
    after = settle(guests, render(before.lock), [NET1, {**NET2, "cidr": "10.10.20.0/24"}, SIX])
    assert after.ports == before.ports


def test_several_interfaces_in_one_network_are_told_apart_in_whatever_order_others_stand() -> None:
    both = [{"network": "net1"}, {"network": "net1"}, {"network": "net2"}]
    first = {"name": "a", "hypervisor": "host1", "interfaces": both}
    text = text_of([first])
    assert [line.split()[5] for line in body(text) if " net1 " in line and line.startswith("guest")].count("a#2") == 1
    turned = settle([{**first, "interfaces": [both[2], both[0], both[1]]}], text)
    assert render(turned.lock) == text
    before = settle([first], text)
    assert [port.address for port in turned.ports] == [before.ports[at].address for at in (2, 0, 1)]


# MACs


def test_a_mac_follows_its_address_or_stays_for_ever() -> None:
    networks = [NET1, {**NET2, "mac_scheme": "random"}, SIX]
    one, two = guest("a", address="10.10.10.7"), guest("b", "net2", address="10.10.20.7")
    before = settle([one, two], networks=networks)
    random_mac = values(before)["b", "net2"][2]
    assert values(before)["a", "net1"][2] == "52:54:00:0a:0a:07"
    assert random_mac == identity.mac_of_guest("b", 0)
    assert int(random_mac[:2], 16) & 3 == 2
    moved = [{**one, "address": "10.10.10.8"}, {**two, "address": "10.10.20.8"}]
    after = settle(moved, render(before.lock), networks)
    assert values(after)["a", "net1"][2] == "52:54:00:0a:0a:08"
    assert values(after)["b", "net2"][2] == random_mac


def test_whoever_has_a_mac_keeps_it_from_a_later_one_that_would_come_first() -> None:
    """The last octets of addresses of two networks can be the same."""
    networks = [NET1, {"name": "other", "cidr": "172.10.10.0/24"}]
    before = settle([guest("z", address="10.10.10.7")], networks=networks)
    guests = [guest("a", "other", address="172.10.10.7"), guest("z", address="10.10.10.7")]
    without = values(settle(guests, networks=networks))
    assert without["a", "other"][2] == "52:54:00:0a:0a:07", "else nothing is proved"
    after = values(settle(guests, render(before.lock), networks))
    assert after["z", "net1"][2] == "52:54:00:0a:0a:07"
    assert after["a", "other"][2] != "52:54:00:0a:0a:07"
    # Also where it need no longer give way.
    text = text_of(guests, render(before.lock), networks)
    assert values(settle(guests[:1], text, networks)) == {("a", "other"): after["a", "other"]}


def test_equal_names_of_macs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [{**NET1, "mac_scheme": "random"}, NET2, SIX]
    monkeypatch.setattr(identity, "mac_of_guest", lambda _name, _index, attempt=0: f"02:00:00:00:00:{attempt:02x}")
    monkeypatch.setattr(identity, "bridge_mac", lambda _name, attempt=0: f"02:00:00:00:01:{attempt:02x}")
    found = settle([guest("a"), guest("b"), guest("c", mac="02:00:00:00:01:00")], networks=networks)
    macs = [port.mac for port in found.ports] + list(found.bridge_macs.values())
    assert len(set(macs)) == 6


@pytest.mark.parametrize("scheme", ["address", "random"])
def test_slaac_makes_the_address_from_the_mac(scheme: str) -> None:
    dual = {**NET1, "dhcp": True, "ipv6_addressing": "slaac", "mac_scheme": scheme}
    only = {**SIX, "dhcp": True, "ipv6_addressing": "slaac", "mac_scheme": scheme}
    guests = [guest("a"), guest("b", "six"), guest("c", mac="52:54:00:00:00:09"), guest("d", address6="none")]
    found = settle(guests, networks=[dual, only])
    for port in found.ports:
        cidr6 = parse_prefix(6, (dual if port.network == "net1" else only)["cidr6"])
        wanted = None if port.instance == "d" else slaac_address(cidr6, port.mac)
        assert port.address6 == wanted
    assert all(item.address6 is None for item in found.lock.guests)


def test_the_second_address_of_a_network_that_is_served_is_nobodys() -> None:
    small = {**SIX, "cidr6": "2001:db8:66::/125", "dhcp": True}
    found = settle([guest(f"g{number}", "six") for number in range(6)], networks=[small])
    assert 0x20010DB80066 << 80 | 2 not in [port.address6 for port in found.ports]


# Freed addresses


def test_a_freed_address_is_kept_from_others_and_for_its_owner() -> None:
    everybody = [guest(f"g{number}", "net2") for number in range(20)]
    before = settle(everybody)
    gone = next(port for port in before.ports if port.instance == "g7")
    text = text_of([item for item in everybody if item["name"] != "g7"], render(before.lock))
    word = format_ipv4(gone.address or 0)
    assert f"freed net2 {word} - {gone.mac} g7 20" in text.splitlines()
    back = settle(everybody, text)
    assert back.ports == before.ports
    assert "freed" not in "".join(body(render(back.lock)))
    assert [change.what for change in back.changes] == ["taken again"]


def test_after_enough_others_a_freed_address_is_free() -> None:
    """In a network so small that the next ones would take it at once."""
    networks = [{"name": "net2", "cidr": "10.10.20.0/27"}]
    text = text_of([guest("first", "net2")], networks=networks)
    word = given_to(text, "first")[2]
    text = text_of([], text, networks)
    assert f"freed net2 {word}" in text
    for number in range(OTHERS_FIRST):
        assert f"freed net2 {word}" in text, number
        guests = [guest(f"g{at}", "net2") for at in range(number + 1)]
        text = text_of(guests, text, networks)
        assert f"guest net2 {word} " not in text
    assert word not in text
    more = [guest(f"g{at}", "net2") for at in range(28)]
    assert f"guest net2 {word} " in text_of(more, text, networks)


def test_a_full_network_gives_what_was_freed_first() -> None:
    networks = [{"name": "net2", "cidr": "10.10.20.0/29"}]
    four = [guest(name, "net2") for name in "abcd"]
    text = text_of(four, networks=networks)
    owners = {line.split()[5]: line.split()[2] for line in body(text)[1:]}
    text = text_of(four[1:], text, networks)
    text = text_of([*four[2:], guest("new", "net2")], text, networks)
    text = text_of([*four[2:], guest("new", "net2"), guest("last", "net2")], text, networks)
    now = {line.split()[5]: line.split()[2] for line in body(text)[1:] if line.startswith("guest")}
    assert len(now) == 4
    assert len(set(now.values())) == 4
    assert owners["a"] in now.values()


def test_an_explicit_address_takes_a_freed_one_and_pins_ones_own() -> None:
    text = text_of([guest("a", "net2"), guest("b", "net2")])
    addresses = {line.split()[5]: line.split()[2] for line in body(text) if line.startswith("guest")}
    text = text_of([guest("b", "net2")], text)
    taken = settle([guest("b", "net2"), guest("c", "net2", address=addresses["a"])], text)
    assert "freed" not in "".join(body(render(taken.lock)))
    pinned = settle([guest("b", "net2", address=addresses["b"])], text)
    assert values(pinned)["b", "net2"] == values(settle([guest("b", "net2")], text))["b", "net2"]
    assert "freed net2 " + addresses["b"] not in render(pinned.lock)


def test_another_address_that_is_written_down_frees_the_one_before() -> None:
    text = text_of([guest("a", "net2")])
    word = given_to(text, "a")[2]
    other = "10.10.20.60" if word != "10.10.20.60" else "10.10.20.61"
    after = text_of([guest("a", "net2", address=other)], text)
    assert f"freed net2 {word}" in after
    assert [line.split()[2] for line in body(text_of([guest("a", "net2")], after)) if line.startswith("guest")] == [
        word
    ]


def test_a_family_that_a_guest_does_not_want_any_more_is_freed() -> None:
    text = text_of([guest("a")])
    words = given_to(text, "a")
    after = text_of([guest("a", address6="none")], text)
    assert f"guest net1 {words[2]} - {words[4]} a 1" in after
    assert f"freed net1 - {words[3]} {words[4]} a 1" in after
    assert body(text_of([guest("a")], after)) == body(text)


def test_a_network_that_is_gone_takes_its_lines_with_it() -> None:
    text = text_of([guest("a"), guest("b", "net2")])
    after = settle([guest("a")], text, [NET1, SIX])
    assert "net2" not in render(after.lock)
    assert [(item.what, item.owner) for item in after.changes] == [("forgotten", ""), ("forgotten", "b")]
    assert text_of([guest("a"), guest("b", "net2")], render(after.lock)) == text


# For any order of any edits


@st.composite
def histories(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Inventories one after the other: guests come, go, return, move between networks, in whatever order."""
    steps = []
    shuffle = draw(st.randoms(use_true_random=False))
    for members in draw(st.lists(st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=25), max_size=6)):
        guests = [guest(f"g{number}", NETWORKS[network]["name"]) for number, network in members.items()]
        shuffle.shuffle(guests)
        steps.append(guests)
    return steps


@given(histories())
@settings(max_examples=150, deadline=None)
def test_nobodys_address_changes_while_others_come_and_go(steps: list[list[dict[str, Any]]]) -> None:
    text, before = "", {}
    networks = NETWORKS
    for guests in steps:
        known = {line.split()[5] for line in body(text) if line.startswith("guest")}
        if len(known) > 1 and guests and not known & {item["name"] for item in guests}:
            continue  # refused as another inventory's
        found = settle(guests, text, networks)
        now = values(found)
        assert {key: value for key, value in now.items() if key in before} == {
            key: value for key, value in before.items() if key in now
        }
        for at in range(3):
            given_out = [value[at] for value in now.values() if value[at] is not None]
            assert len(set(given_out)) == len(given_out)
        freed = [line.split()[2] for line in body(text) if line.startswith("freed")]
        was = {line.split()[2]: line.split()[5] for line in body(text)}
        for port in found.ports:
            word = format_ipv4(port.address) if port.address is not None else "-"
            if word in freed and word != "-":
                assert was[word] == port.instance
        text, before = render(found.lock), now


@given(st.permutations([guest(f"g{number}", NETWORKS[number % 3]["name"]) for number in range(12)]), st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_guests_and_lines_does_not_matter(guests: list[dict[str, Any]], shuffle: random.Random) -> None:
    text = text_of(sorted(guests, key=lambda item: str(item["name"])))
    assert text_of(guests) == text
    lines = text.splitlines()
    shuffle.shuffle(lines)
    assert text_of(guests, "\n".join(lines)) == text


def test_a_lock_that_is_empty_is_as_none() -> None:
    assert text_of([guest("a")], render(Lock())) == text_of([guest("a")])
