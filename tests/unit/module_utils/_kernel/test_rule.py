# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules: texts of iproute2, and the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.rule import Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import (
    ANTISPOOF,
    ROUTER,
    SCOPES,
    SECURITY_GROUPS,
    Scope,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

RULE = Rule()

# iproute2 6.1.0, `ip -4 -N rule show`, kernel 6.18
IPV4 = """\
0:\tfrom all lookup 255
20000:\tfrom all iif br-net1 [detached] lookup 1000000101 proto 173
20000:\tfrom all iif br-net1 [detached] lookup 1000000101 proto 9
20000:\tfrom all iif br-net2 lookup 1000000102 proto 173
20000:\tfrom all iif br-net2 lookup 55 proto 173
20001:\tfrom 10.1.0.0/16 to 10.0.0.0/8 fwmark 0x1/0xff iif br-net3 [detached] lookup 254 proto 173
20002:\tfrom all lookup 254 proto 173
20003:\tnot from 10.1.0.0/16 iif br-a lookup 254 suppress_prefixlength 0 proto 173
20004:\tfrom all iif br-x [detached] 7 proto 173
20005:\tfrom all iif br-y lookup 254 proto 1734
32766:\tfrom all lookup 254
32767:\tfrom all lookup 253
"""
IPV4_STATE = {
    "4 20000 iif br-net1": "lookup 1000000101",
    "4 20000 iif br-net2": "lookup 1000000102\nlookup 55",
    "4 20001 from 10.1.0.0/16 to 10.0.0.0/8 fwmark 0x1/0xff iif br-net3": "lookup 254",
    "4 20002 from all": "lookup 254",
    "4 20003 not from 10.1.0.0/16 iif br-a": "lookup 254 suppress_prefixlength 0",
    "4 20004 iif br-x": "7",
}
IPV6 = """\
0:\tfrom all lookup 255
20000:\tfrom all iif br-net1 [detached] lookup 1000000101 proto 173
32766:\tfrom all lookup 254
"""

DESIRED = {
    "4 20000 iif br-net1": "lookup 1000000101",
    "4 20000 iif br-net2": "lookup 1000000102",
    "4 20001 from 10.1.0.0/16 iif br-net2": "lookup 254",
    "4 20002 from all": "lookup 77",
    "6 20000 iif br-net1": "lookup 1000000101",
}
FOREIGN = """
ip -4 rule add iif br-net1 lookup 1000000101 pref 20000 proto 9
ip -4 rule add iif br-net1 lookup 1000000101 pref 20000 proto 17
ip -4 rule add iif br-net1 lookup 55 pref 20000
ip -6 rule add iif br-net1 lookup 55 pref 20000 proto 174
ip -4 rule add from 10.0.0.0/8 lookup 66
"""


@pytest.fixture
def host(netns: Netns) -> Netns:
    """A namespace with one bridge, and rules of others with our priorities."""
    netns.sh("ip link add br-net1 type bridge" + FOREIGN)
    return netns


def foreign(netns: Netns) -> list[str]:
    lines = netns.lines("ip -4 -N rule show") + netns.lines("ip -6 -N rule show")
    return [line for line in lines if not line.endswith("proto 173")]


def test_parse() -> None:
    state = RULE.parse(context(), texts(IPV4, IPV4, IPV6, IPV6))
    assert state == {**IPV4_STATE, "6 20000 iif br-net1": "lookup 1000000101"}


@pytest.mark.parametrize("family, outputs", [("4", (IPV4, "", "", "")), ("6", (IPV4, IPV4, "", IPV6))])
def test_parse_refuses_two_different_dumps(family: str, outputs: tuple[str, ...]) -> None:
    with pytest.raises(KernelError, match=f"ip -{family} rule show: changed while read"):
        RULE.parse(context(), texts(*outputs))


def test_put_adds_before_it_deletes() -> None:
    delta = Delta.between(IPV4_STATE, {**IPV4_STATE, "4 20000 iif br-net1": "lookup 9"})
    add, remove = RULE.put(context(), delta)
    assert add.stdin == "rule add pref 20000 from all iif br-net1 lookup 9 proto 173\n"
    assert remove.stdin == "rule del pref 20000 from all iif br-net1 lookup 1000000101 proto 173\n"
    assert 1 in remove.ok
    assert 1 not in add.ok


def test_round(host: Netns, tmp_path: Path) -> None:
    others = foreign(host)
    wanted = context(DESIRED)
    assert host.read(RULE, wanted) == {}
    assert sorted(host.converge(RULE, wanted).added) == sorted(DESIRED)
    assert host.read(RULE, wanted) == DESIRED
    assert not host.converge(RULE, wanted)

    changed = {**DESIRED, "4 20000 iif br-net1": "lookup 999", "6 20000 iif br-net1": "lookup 999"}
    host.converge(RULE, context(changed))
    assert host.read(RULE, wanted) == changed
    # What a run leaves that was killed before it deleted the old rule.
    host.sh("ip rule add iif br-net1 lookup 1000000101 pref 20000 proto 173")
    assert host.read(RULE, wanted)["4 20000 iif br-net1"] == "lookup 999\nlookup 1000000101"
    host.converge(RULE, wanted)
    assert host.read(RULE, wanted) == DESIRED

    gone = host.converge(RULE, context())
    assert host.read(RULE, context()) == {}
    host.apply(RULE.drop(context(), gone))  # gone already: no failure

    for _again in range(2):
        assert host.boot(RULE, wanted, tmp_path) == Output(0, "")
        assert host.read(RULE, wanted) == DESIRED
    host.sh("ip rule del pref 20001; ip -6 rule del pref 20000 proto 173")
    assert host.boot(RULE, wanted, tmp_path) == Output(0, "")
    assert host.read(RULE, wanted) == DESIRED
    assert foreign(host) == others


def test_numeric_action_can_be_put_back(host: Netns) -> None:
    """An undo writes what parse() read."""
    host.sh("ip rule add pref 20004 iif br-x unreachable proto 173")
    state = host.read(RULE, context())
    assert state == {"4 20004 iif br-x": "7"}
    host.converge(RULE, context())
    host.converge(RULE, context(state))
    assert host.read(RULE, context()) == state


def test_scopes_do_not_see_each_other(host: Netns) -> None:
    host.converge(RULE, context(DESIRED))
    assert host.read(RULE, context(scope=ROUTER)) == {"6 20000 iif br-net1": "lookup 55"}


def test_boot_fails_where_a_rule_cannot_be(host: Netns, tmp_path: Path) -> None:
    desired = {**DESIRED, "4 20009 iif br-net1": "lookup nowhere"}
    output = host.boot(RULE, context(desired), tmp_path)
    assert output.status != 0
    assert "rules missing: rule add pref 20009 from all iif br-net1 lookup nowhere" in output.stderr
    assert host.read(RULE, context()) == DESIRED


@pytest.mark.parametrize("scope", [ANTISPOOF, SECURITY_GROUPS], ids=lambda scope: scope.name)
def test_a_scope_without_rules_and_routes_owns_none(netns: Netns, scope: Scope) -> None:
    """Whatever number others use: role ssh_tunnel marks its routes by 177."""
    for number in (0, 4, 175, 177):
        netns.sh(f"ip rule add iif lo pref {1000 + number} lookup 254 proto {number}")
        netns.sh(f"ip route add 192.0.2.{number}/32 dev lo proto {number}; ip -6 route add fd00:{number}::/64 dev lo")
    for subsystem in (Rule(), Route()):
        assert netns.converge(subsystem, context(scope=scope)) == Delta({}, {})
    assert netns.sh("ip rule; ip route show table all; ip -6 route").count("177") >= 3


def test_every_other_scope_has_a_number_of_its_own() -> None:
    numbers = [scope.protocol for scope in SCOPES.values() if scope.protocol]
    assert len({*numbers, 177}) == len(numbers) + 1
