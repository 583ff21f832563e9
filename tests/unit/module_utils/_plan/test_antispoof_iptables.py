# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of backend iptables: what the planner writes is what real tools print, and nothing of others changes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import template as files
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import forms, iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import ROLES, Guest, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import (
    COUNTED,
    FRAME_SETS,
    IPTABLES,
    NFTABLES,
    TABLE,
    Policy,
    chains,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import of_guests, static, whole
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_antispoof import (
    FULL,
    GUESTS,
    PLAIN,
    POLICIES,
    address,
)

SUBSYSTEM = Iptables()
TOOLS = ("iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore")
# Chains to which others jump have names of at most this many characters.
LONGEST = 28
# As many addresses as no single u32 takes.
MANY = Guest("02:00:00:00:00:03", tuple((4, 0x0A000000 + number) for number in range(25)))
ALL = {**GUESTS, "vif7.0": MANY, "vif8.0": PLAIN._replace(addresses=PLAIN.addresses[:1], open6=True)}


def desired(policy: Policy, guests: Mapping[str, Guest]) -> dict[str, str]:
    """What the engine makes of the plan: jumps, and chains with the rules of the guests' ports."""
    places: dict[str, list[str]] = {}
    for vif in sorted(guests):
        for place, rule in files.bind(template(guests[vif], IPTABLES), vif).rules:
            places.setdefault(place, []).append(rule)
    found = iptables.jumps()
    for family, text in iptables.chains(policy).items():
        found.update(files.compose(family, text, places))
    return found


@pytest.fixture(params=["nft", "legacy"])
def tool(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both implementations of iptables, under the names that hosts call them by."""
    program = shutil.which(f"xtables-{request.param}-multi")
    if program is None:
        pytest.skip(f"no iptables-{request.param} here")
    for name in TOOLS:
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    name: str = request.param
    return name


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_iptables_prints_what_is_planned(netns: Netns, policy: Policy, tool: str) -> None:
    wanted = desired(policy, ALL)
    one = context(wanted, scope=ANTISPOOF)
    netns.converge(SUBSYSTEM, one)
    assert netns.read(SUBSYSTEM, one) == wanted, tool


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_nft_prints_what_is_planned(netns: Netns, policy: Policy) -> None:
    wanted = whole(policy, ALL, IPTABLES)
    one = context(wanted, scope=ANTISPOOF)
    netns.converge(Nft(), one)
    assert netns.read(Nft(), one) == wanted


def test_one_backend_leads_to_the_other_and_back(netns: Netns) -> None:
    for backend in (NFTABLES, IPTABLES, NFTABLES):
        wanted = whole(Policy(("peth0",)), ALL, backend)
        netns.converge(Nft(), context(wanted, scope=ANTISPOOF))
        assert netns.read(Nft(), context(scope=ANTISPOOF)) == wanted


def test_rules_of_others_stay_as_they_are(netns: Netns) -> None:
    netns.sh(
        "for program in iptables ip6tables; do\n"
        '"$program" -P FORWARD DROP\n'
        '"$program" -A FORWARD -i eth0 -j ACCEPT\n'
        '"$program" -t raw -A PREROUTING -i eth0 -j ACCEPT\n'
        '"$program" -N vpc-hypervisor-output\n'
        "done"
    )
    before = _saved(netns)
    wanted = desired(Policy(), ALL)
    netns.converge(SUBSYSTEM, context(wanted, scope=ANTISPOOF))
    mine = [line for line in _saved(netns) if ANTISPOOF.prefix not in line]
    assert mine == before
    netns.converge(SUBSYSTEM, context({}, wanted, scope=ANTISPOOF))
    assert _saved(netns) == before


def _saved(netns: Netns) -> list[str]:
    texts = "".join(
        netns.sh(f"{name}-save -t {table}") for name in ("iptables", "ip6tables") for table in ("raw", "filter")
    )
    # Counters of packets, and times.
    return [re.sub(r" \[\d+:\d+\]", "", line) for line in texts.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_chains_are_whole(policy: Policy) -> None:
    state = desired(policy, ALL)
    jumps = {key: key.split(" -> ")[1] for key in state if " -> " in key}
    for family in ("4", "6"):
        for table in ("raw", "filter"):
            start = f"{family} {table} "
            texts = {
                key[len(start) :]: text for key, text in state.items() if key.startswith(start) and "->" not in key
            }
            assert all(len(name) <= LONGEST for name in texts)
            reached = {chain for key, chain in jumps.items() if key.startswith(start)}
            for name, text in texts.items():
                targets = set(re.findall(r"-[gj] (vpc-\S+)", text))
                assert targets <= texts.keys()
                reached |= targets
                # What no rule decides returns, but only to the chains of others.
                last = text.split("\n")[-1]
                ends = last == "-j DROP" or last.startswith("-g ") or name == f"{iptables.P}own"
                assert ends or name in (f"{iptables.P}from", f"{iptables.P}to"), (name, last)
            assert reached == texts.keys()


def test_a_guest_more_changes_chains_of_guests_only() -> None:
    """So that the helper, and a run of the role, replace them in one transaction and nothing else."""
    delta = Delta.between(desired(Policy(), {"vif1.0": PLAIN}), desired(Policy(), {"vif1.0": PLAIN, "vif-2": FULL}))
    assert not delta.added
    assert not delta.removed
    named = {key.split(" ")[2][len(iptables.P) :] for key in delta.changed}
    assert named == {"from", "to", "dhcp", "target", "lladdr", "router", "udp", "vrrp"}


def test_logging_is_the_policys() -> None:
    logged = [text for text in desired(Policy(log=True), ALL).values() if "-j LOG" in text]
    assert len(logged) == 4
    assert not [text for text in desired(Policy(), ALL).values() if "-j LOG" in text]


def test_trusted_prefixes_are_spelled_as_iptables_does() -> None:
    assert "--physdev-in veth+ -j RETURN" in desired(Policy(trusted=("veth*",)), {})["4 raw vpc-antispoof-from"]


def test_the_table_asks_only_sets_that_guests_fill() -> None:
    texts = "\n".join(chains(Policy(log=True), IPTABLES).values())
    asked = set(re.findall(r"@([a-z]\w*)", texts)) - {"nh", "th"}
    assert asked - COUNTED.keys() - {"planned", "protected4"} == FRAME_SETS
    filled = {key.split(" ")[3] for key in of_guests(ALL, IPTABLES)}
    assert filled == FRAME_SETS


@pytest.mark.parametrize("backend", [NFTABLES, IPTABLES])
@pytest.mark.parametrize("text", ["2001:db8:10::10", "2001:db8::1:0:0:1", "fd00::"])
def test_a_named_address_makes_the_guest_that_has_it(backend: str, text: str) -> None:
    four = PLAIN.addresses[:1]
    named = files.bind(template(PLAIN._replace(addresses=four, open6=True), backend), "vif1.0", text)
    declared = files.bind(template(PLAIN._replace(addresses=(*four, address(text))), backend), "vif1.0")
    assert (named.elements, named.local) == (declared.elements, declared.local)
    # The last say what becomes of a family without an address; first ones say more.
    refusing = [rule for rule in named.rules if rule not in declared.rules]
    assert sorted(declared.rules) == sorted(rule for rule in named.rules if rule not in refusing)
    assert [place for place, _rule in refusing] == (["6 PORT", "6 OUT"] if backend == IPTABLES else [])
    for place, rule in refusing:
        assert rule.endswith("-g vpc-antispoof-drop")
        assert [one for key, one in named.rules if key == place][-1] == rule


@pytest.mark.parametrize("backend", [NFTABLES, IPTABLES])
def test_without_a_named_address_nothing_is_open(backend: str) -> None:
    closed = PLAIN._replace(addresses=PLAIN.addresses[:1])
    named = files.bind(template(closed._replace(open6=True), backend), "vif1.0")
    assert named == files.bind(template(closed, backend), "vif1.0")


@pytest.mark.parametrize("backend", [NFTABLES, IPTABLES])
@pytest.mark.parametrize("families", [(4,), (6,), (4, 6)])
@pytest.mark.parametrize("open6", [False, True])
@pytest.mark.parametrize("roles", [(), ROLES])
def test_a_form_says_what_a_template_says(
    backend: str, families: tuple[int, ...], open6: bool, roles: tuple[str, ...]
) -> None:
    for number in (0, 1, 0xFFFF, 0x01020304, 0xFFFFFFFF):
        guest = Guest(
            f"02:00:{number >> 24:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            tuple(
                item for item in ((4, number), (6, (0x20010DB8 << 96) + (number << 16) + number)) if item[0] in families
            ),
            roles=frozenset(roles),
            open6=open6,
        )
        assert forms.template_of(guest, backend) == template(guest, backend)


def test_static_state_has_no_guest() -> None:
    assert not {key for key in static(Policy(), (), IPTABLES) if " element" in key or '"' in key}
    assert static(Policy(), ("vm1.0",), IPTABLES)[f'{TABLE} set planned "vm1.0"'] == "element"
