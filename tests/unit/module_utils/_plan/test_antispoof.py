# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's table: what the planner writes is what a real nft prints, and guests change nothing but elements."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv6,
    parse_ipv4,
    parse_ipv6,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import (
    ROLES,
    VIF,
    Guest,
    elements,
    link_local,
    port_flags,
    template,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import (
    IPTABLES,
    NFTABLES,
    TABLE,
    Policy,
    chains,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import of_guests, static, whole
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context

NFT = Nft()
VIRTUAL_MAC = "00:00:5e:00:01:07"
POLICIES = {
    "default": Policy(),
    "uplink, log": Policy(("peth0", "bond0"), protected4=(1, 167772161), protected6=(1, 0xFE80 << 112 | 1), log=True),
    "closed": Policy(("peth0",), patterns=("*",), trusted=("veth*", "lxc-1"), broadcasts=0),
    "patterns": Policy(patterns=("vif*", "vm1.0"), broadcasts=7),
}


def address(text: str) -> tuple[int, int]:
    return (6, parse_ipv6(text)) if ":" in text else (4, parse_ipv4(text))


def prefix(text: str) -> Prefix:
    return parse_prefix(6 if ":" in text else 4, text)


PLAIN = Guest("00:16:3e:00:00:01", (address("10.10.10.10"), address("2001:db8:10::10")))
# Leading zeroes, single addresses as prefixes, prefixes inside of others: all that nft prints in a form of its own.
FULL = Guest(
    "02:00:00:00:00:02",
    (address("0.0.0.1"), address("1.2.3.4"), address("::1:0:0:2")),
    ((VIRTUAL_MAC, *address("10.10.10.7")), ("00:00:5e:00:02:07", *address("2001:db8:10::7"))),
    tuple(map(prefix, ("0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"))),
    frozenset(ROLES),
    logged=True,
)
PREFIXES = Guest(
    "52:54:00:0a:0a:0a",
    (),
    (),
    tuple(map(prefix, ("10.9.8.0/24", "192.0.2.1/32", "2001:db8:5::/64", "fe80::5/128", "fc00::/7"))),
)
GUESTS = {"vif1.0": PLAIN, "vif-2": FULL, "vnet3": PREFIXES, "a_4": Guest("52:54:00:0a:0a:0b")}


def converge(netns: Netns, desired: dict[str, str]) -> Delta:
    return netns.converge(NFT, context(desired, scope=ANTISPOOF))


def read(netns: Netns) -> dict[str, str]:
    return netns.read(NFT, context(scope=ANTISPOOF))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_nft_prints_what_is_planned(netns: Netns, policy: Policy) -> None:
    desired = whole(policy, GUESTS)
    converge(netns, desired)
    assert read(netns) == desired
    assert not converge(netns, desired)


def test_one_policy_leads_to_another_and_back(netns: Netns) -> None:
    for policy in (*POLICIES.values(), Policy()):
        desired = whole(policy, GUESTS)
        converge(netns, desired)
        assert read(netns) == desired


@pytest.mark.parametrize("backend", [NFTABLES, IPTABLES])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_chain_ends_in_a_decision(policy: Policy, backend: str) -> None:
    texts = chains(policy, backend)
    for name, text in texts.items():
        last = text.split("\n")[-1]
        if name.startswith("uplink_") or name == "from_uplink":
            assert last == "accept", name
        elif name.startswith("refuse_"):
            assert last == "drop", name
        elif not text.startswith("type "):
            assert last.startswith("goto "), name
    jumps = {target for text in texts.values() for target in re.findall(r"(?:goto|jump) (\w+)", text)}
    assert jumps <= texts.keys()
    by_map = {"from_vif", "to_vif", "from_uplink"}
    unused = set() if policy.broadcasts else {"refuse_storm"}
    assert texts.keys() - jumps == {"prerouting", "input", "postrouting"} | (by_map - jumps) | unused


@pytest.mark.parametrize("backend", [NFTABLES, IPTABLES])
def test_what_is_logged(backend: str) -> None:
    """Drops of guests that asked for it; those of unknown ports, which nobody can have asked for, with them."""
    texts = {name: text for name, text in chains(Policy(log=True), backend).items() if name.startswith("refuse_")}
    assert not [name for name, text in texts.items() if " log prefix " not in text]
    assert [name for name, text in texts.items() if "name @logged limit " not in text] == ["refuse_unknown"]
    assert "log" not in "".join(chains(Policy(), backend).values())


def test_a_guest_more_changes_elements_only() -> None:
    policy = Policy(("peth0",))
    before = whole(policy, {"vif1.0": PLAIN})
    for guests in ({"vif1.0": PLAIN, "vif-2": FULL}, {"vif1.0": FULL}, {}):
        after = whole(policy, guests)
        delta = Delta.between(before, after)
        assert {key.split(" ")[2] for key in (*delta.before, *delta.after)} <= {"set", "map"}
        assert all(len(key.split(" ", 4)) == 5 for key in (*delta.before, *delta.after))
        (command,) = NFT.put(context(after, scope=ANTISPOOF), delta)
        assert not re.search(r"^(?!(add|delete) element )\S+ .*bridge", command.stdin or "", re.MULTILINE)


def test_order_of_input_does_not_matter() -> None:
    turned = FULL._replace(addresses=FULL.addresses[::-1], pairs=FULL.pairs[::-1])
    assert template(turned) == template(FULL)
    one, other = dict(GUESTS), dict(reversed(GUESTS.items()))
    assert whole(Policy(), one) == whole(Policy(), other)


def test_template_is_what_the_engine_wants(netns: Netns) -> None:
    policy = Policy(("peth0",))
    converge(netns, static(policy, GUESTS))
    for vif, guest in GUESTS.items():
        text = template(guest).replace(VIF, vif)
        netns.apply([Command(("nft", "-f", "-"), text)])
    assert read(netns) == whole(policy, GUESTS)


def test_elements_of_a_plain_guest() -> None:
    own = f'"{VIF}" . 00:16:3e:00:00:01'
    found = elements(PLAIN)
    assert len(found) == len(set(found)) == 20
    assert ("map ports", f'"{VIF}" : goto from_vif') in found
    assert ("set own6", f"{own} . fe80::216:3eff:fe00:1") in found
    assert ("set nd_targets", f"{own} . 0xfe8000000000000002163efffe000001") in found
    assert ("set dhcp_own", f"{own} . 0xa0a0a0a . 0x163e000001") in found
    assert not {name for name, _text in found} & {"set routers", "set dhcp_servers", "set vrrp4", "set logged"}


def test_a_guest_has_only_the_families_of_its_addresses() -> None:
    four = elements(PLAIN._replace(addresses=PLAIN.addresses[:1]))
    assert not {name for name, _text in four if "6" in name or name.startswith("set nd_")}
    six = elements(PLAIN._replace(addresses=PLAIN.addresses[1:]))
    assert not {name for name, _text in six if "4" in name or name in ("set arp_own", "set dhcp_own")}
    nothing = elements(PLAIN._replace(addresses=()))
    assert {name for name, _text in nothing} == {"map ports", "map outs", "set macs", "set local_macs"}


@pytest.mark.parametrize(
    "mac, text",
    [("52:54:00:0a:0a:0a", "fe80::5054:ff:fe0a:a0a"), ("02:00:00:00:00:00", "fe80::ff:fe00:0")],
)
def test_link_local(mac: str, text: str) -> None:
    assert format_ipv6(link_local(mac)) == text


def test_a_bridge_learns_only_where_a_guest_has_several_macs() -> None:
    assert port_flags(PLAIN) == "learning off flood off guard on"
    assert port_flags(FULL) == "learning on flood on guard on"


def test_4000_guests_in_one_transaction(netns: Netns, record_property: Any) -> None:
    guests = {
        f"vif{number}.0": Guest(
            f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            (*((4, 0x0A000000 + number * 4 + extra) for extra in range(2)), (6, (0x20010DB8 << 96) + number)),
        )
        for number in range(1, 4001)
    }
    desired = whole(Policy(("peth0",)), guests)
    assert len(of_guests(guests)) >= 96_000
    commands = NFT.put(context(desired, scope=ANTISPOOF), Delta.between({}, desired))
    start = time.monotonic()
    netns.apply(commands)
    seconds = time.monotonic() - start
    record_property("seconds", seconds)
    assert read(netns) == desired
    # 0.7 s on a machine with nothing else to do.
    assert seconds < 6


def test_table_is_named_for_its_scope() -> None:
    assert TABLE == "bridge plainlinux_antispoof"
