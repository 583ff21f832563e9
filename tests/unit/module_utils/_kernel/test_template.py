# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine reads from a guest's file must be what the planner meant."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import KernelError
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.template import bind, compose
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import Record, parse_record
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import (
    VRRP,
    Guest,
    bound,
    elements,
    port_flags,
    template,
)

GUEST = Guest(
    "52:54:00:0a:0a:0a",
    ((4, parse_ipv4("10.10.10.10")), (6, parse_ipv6("2001:db8:10::10"))),
    (("00:00:5e:00:01:07", 4, parse_ipv4("10.10.10.7")),),
    roles=frozenset((VRRP,)),
)
CHAINS = """\
*raw
:own-from - [0:0]
:own-drop - [0:0]
-A own-from -i lo -j RETURN
@FROM@
-A own-drop -j DROP
COMMIT
*filter
:own-to - [0:0]
@TO@
@NOBODY@
COMMIT
"""
RULES = """\
# port learning off
# ipv6 # 6 FROM -A own-from -i @vif@ -d @address@ --u32 "0x8=@word1@&&0xc=@word2@&&0x10=@word3@&&0x14=@word4@"
# ipv6 add element bridge t nd { "@vif@" . @number@ }
# 4 FROM -A own-from -i @vif@ -s 10.0.0.1/32 -j RETURN
# 4 FROM -A own-from -i @vif@ -j DROP
# 4 TO -A own-to -o @vif@ -j DROP
"""


def test_elements_are_those_of_the_planner() -> None:
    found = bind(template(GUEST), "vif1.0")
    assert {**found.elements, **found.local} == bound(elements(GUEST), "vif1.0")
    assert {key.split(" ")[3] for key in found.local} == {"local_macs", "local4", "local6", "local_targets"}
    assert not any("vif1.0" in key for key in found.local)
    assert all("vif1.0" in key for key in found.elements)
    assert found.flags == port_flags(GUEST)
    assert found.rules == []


def test_rules_stand_in_their_places_in_order() -> None:
    rules: dict[str, list[str]] = {}
    for name in ("vif1.0", "vif2.0"):
        for place, rule in bind(RULES, name).rules:
            rules.setdefault(place, []).append(rule)
    assert compose("4", CHAINS, rules) == {
        "4 raw own-from": (
            "-i lo -j RETURN\n-i vif1.0 -s 10.0.0.1/32 -j RETURN\n-i vif1.0 -j DROP\n"
            "-i vif2.0 -s 10.0.0.1/32 -j RETURN\n-i vif2.0 -j DROP"
        ),
        "4 raw own-drop": "-j DROP",
        "4 filter own-to": "-o vif1.0 -j DROP\n-o vif2.0 -j DROP",
    }
    assert compose("6", CHAINS, rules) == {
        "6 raw own-from": "-i lo -j RETURN",
        "6 raw own-drop": "-j DROP",
        "6 filter own-to": "",
    }


def test_lines_for_an_address_count_where_there_is_one() -> None:
    found = bind(RULES, "vif1.0", "2001:DB8:0::13")
    assert found.rules[0] == (
        "6 FROM",
        '-A own-from -i vif1.0 -d 2001:db8::13 --u32 "0x8=0x20010db8&&0xc=0x0&&0x10=0x0&&0x14=0x13"',
    )
    assert found.elements == {'bridge t set nd "vif1.0" . 0x20010db8000000000000000000000013': "element"}
    assert len(bind(RULES, "vif1.0").rules) == 3


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(KernelError, match="cannot read the line 'flush ruleset'"):
        bind("flush ruleset\n", "vif1.0")


def test_records() -> None:
    text = "# guest 52-54-00-0a-0a-0a\n# ipv6 2001:db8::13\n# ifindex 7\n"
    rules = "# port learning off\n# ipv6 add element bridge t nd { 1 }\n# ifindex 9\n"
    assert parse_record(text + rules) == Record("52-54-00-0a-0a-0a", "2001:db8::13", "7", here=True)
    gone = text.replace("ifindex 7", "ifindex 7 gone")
    assert parse_record(gone + rules) == Record("52-54-00-0a-0a-0a", "2001:db8::13", "7")
    assert parse_record("# guest 52-54-00-0a-0a-0a\n# ifindex none\n") == Record("52-54-00-0a-0a-0a", "", "none")
    assert parse_record("# guest 52-54-00-0a-0a-0a\n") == Record("52-54-00-0a-0a-0a")
    assert parse_record("") is None
    assert parse_record("nonsense\n# guest 52-54-00-0a-0a-0a\n") is None
