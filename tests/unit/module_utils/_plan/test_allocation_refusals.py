# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lock file and the inventory contradict each other in: the exact lines, and that their hints work."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.allocation_world import (
    NET1,
    NET2,
    SIX,
    body,
    given_to,
    guest,
    model,
    number_of,
    refusals,
    settle,
    text_of,
    values,
)


def test_an_address_of_another_is_refused_with_both_paths() -> None:
    guests = [guest("a"), guest("b")]
    text = text_of(guests)
    port = settle(guests, text).ports[1]
    (_four, word), (_six, word6) = port.addresses
    at = f"vpc-lock.txt:{number_of(text, f'guest net1 {word} ')}"
    more = guest("c", address=word, address6=word6, mac=port.mac)
    assert refusals([*guests, more], text) == [
        f"vpc_instances[2].{key}: {value} was given to b (vpc_instances[1], {at}): choose another one here, or "
        "delete that line to have b given another"
        for key, value in (("address", word), ("address6", word6), ("mac", port.mac))
    ]
    # The hint works, and none is refused where nothing is written down.
    without = "\n".join(item for item in text.splitlines() if " b " not in item)
    assert values(settle([*guests, more], without))["c", "net1"] == (port.address, port.address6, port.mac)
    assert settle([*guests, more])


@pytest.mark.parametrize("key", ["gateway", "bridge_address"])
def test_an_address_of_the_network_itself_is_refused(key: str) -> None:
    text = text_of([guest("a", "net2")])
    word = given_to(text, "a")[2]
    (message,) = refusals([guest("a", "net2")], text, [NET1, {**NET2, key: word}, SIX])
    assert message.startswith(
        f"vpc_networks[1].{key}: {word} was given to a (vpc_instances[0], vpc-lock.txt:{number_of(text, 'guest')})"
    )


def test_a_bridges_mac_is_refused() -> None:
    text = text_of([guest("a")])
    mac = body(text)[0].split()[5]
    line = number_of(text, "network net1")
    assert refusals([guest("a"), guest("b", mac=mac)], text) == [
        f"vpc_instances[1].mac: {mac} was given to the bridge of net1 (vpc-lock.txt:{line}): choose another one"
    ]


def test_a_network_that_was_renumbered_is_one_mistake() -> None:
    guests = [guest("a"), guest("b"), guest("c", address="10.10.10.9")]
    text = text_of(guests)
    networks = [{**NET1, "cidr": "10.10.30.0/24"}, NET2, SIX]
    found = [line for line in text.splitlines() if line.startswith("guest net1 10")]
    first, last = (number_of(text, line) for line in (found[0], found[-1]))
    _kind, _network, word, _word6, _mac, owner, _number = found[0].split()
    assert refusals([*guests[:2], guest("c", address="10.10.30.9")], text, networks) == [
        (
            f"vpc-lock.txt:{first}: {word} of {owner} is outside vpc_networks[0].cidr 10.10.30.0/24, and 1 more down "
            f"to line {last}. If the network was renumbered, write - in place of these addresses to have others given; "
            "if the file is another inventory's, take this one's"
        )
    ]
    edited = "\n".join(line.replace(line.split()[2], "-") if line in found else line for line in text.splitlines())
    after = settle([*guests[:2], guest("c", address="10.10.30.9")], edited, networks)
    before = values(settle(guests, text))
    assert {key: value[1] for key, value in values(after).items()} == {key: value[1] for key, value in before.items()}


def test_an_address_that_has_become_the_broadcast_address() -> None:
    text = "format 1\nguest net2 10.10.20.31 - - a 1\n"
    (message,) = refusals([guest("a", "net2")], text, [{**NET2, "cidr": "10.10.20.0/27"}])
    assert message.startswith("vpc-lock.txt:2: 10.10.20.31 of a is no address for guests in vpc_networks[0].cidr")


def test_a_family_that_the_network_has_no_longer() -> None:
    text = text_of([guest("a")])
    words, at = given_to(text, "a"), number_of(text, "guest")
    without = {key: value for key, value in NET1.items() if key != "cidr6"}
    assert refusals([guest("a")], text, [without, NET2, SIX]) == [
        (
            f"vpc-lock.txt:{at}: {words[3]} of a is given, but vpc_networks[0] has no cidr6. Write it again, or - "
            "in place of these addresses to give them up"
        )
    ]
    edited = text.replace(words[3], "-")
    assert values(settle([guest("a")], edited, [without, NET2, SIX]))["a", "net1"] == (
        parse_ipv4(words[2]),
        None,
        words[4],
    )


def test_the_file_of_another_inventory() -> None:
    text = text_of([guest("a"), guest("b", "net2")])
    assert refusals([guest("x", "dmz")], text, [{"name": "dmz", "cidr": "10.99.0.0/24"}]) == [
        (
            f"vpc-lock.txt:{number_of(text, 'network')}: none of its networks is in vpc_networks: net1 10.10.10.0/24 "
            "2001:db8:10::/64, net2 10.10.20.0/26, six 2001:db8:66::/64; the file is another inventory's. Take this "
            "one's, or delete the file to have everything allocated anew"
        )
    ]
    assert refusals([guest("x"), guest("y", "net2")], text) == [
        (
            f"vpc-lock.txt:{number_of(text, 'guest')}: none of its guests is in vpc_instances: a, b; the file is "
            "another inventory's. Take this one's, or delete the lines of guests that are gone for good"
        )
    ]
    assert settle([], text), "all guests may be gone"


def test_a_table_of_others_is_refused() -> None:
    text = text_of([guest("a")])
    table = body(text)[0].split()[4]
    assert refusals([guest("a")], text.replace(table, "254")) == [
        (
            f"vpc-lock.txt:{number_of(text, 'network')}: table 254 of net1 is not allowed: 1000000000 to 1999999999; "
            "delete the line to have the network given another"
        )
    ]


def test_a_network_without_room_is_told() -> None:
    shared = [guest("a", "net2", allowed_addresses=[f"10.10.20.{last}/32" for last in (3, 4, 5, 6)])]
    network = [{"name": "net2", "cidr": "10.10.20.0/29"}]
    assert refusals(shared, "format 1\n", network) == [
        "vpc_networks[0].cidr: 10.10.20.0/29 has no free address left for a"
    ]


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(ModelErrors, match=r"^vpc_networks\[0\].mac_scheme: fixed is not allowed: address or random$"):
        model([], [{**NET1, "mac_scheme": "fixed"}])


def test_slaac_refuses_another_address() -> None:
    network = {**NET1, "dhcp": True, "ipv6_addressing": "slaac"}
    guests = [guest("a", address="10.10.10.7", address6="2001:db8:10:0:5054:ff:fe0a:a07")]
    assert settle(guests, networks=[network]).ports[0].address6 == parse_ipv6("2001:db8:10:0:5054:ff:fe0a:a07")
    assert refusals([{**guests[0], "address6": "2001:db8:10::7"}], "format 1\n", [network]) == [
        (
            "vpc_instances[0].address6: 2001:db8:10::7 is not 2001:db8:10:0:5054:ff:fe0a:a07, which 52:54:00:0a:0a:07 "
            "makes: ipv6_addressing of vpc_networks[0] is slaac"
        )
    ]
