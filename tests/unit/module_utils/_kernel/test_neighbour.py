# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permanent neighbours: texts of iproute2, and the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.neighbour import Neighbour
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, HYPERVISOR, ROUTER, Scope
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

NEIGHBOUR = Neighbour()

# iproute2 6.1.0, `ip -6 -N neigh show proto 173`
SHOWN = """\
fe80::b dev br-a lladdr 52:54:00:0a:0a:0b STALE proto 173 
fe80::a dev br-a lladdr 52:54:00:0a:0a:0a PERMANENT proto 173 
fe80::d dev br-b lladdr 52:54:00:0a:0a:0d router PERMANENT proto 173 
fe80::c dev br-a FAILED proto 173 
"""  # noqa: W291
STATE = {
    "br-a fe80::a": "52:54:00:0a:0a:0a",
    "br-a fe80::b": "52:54:00:0a:0a:0b STALE",
    "br-a fe80::c": "FAILED",
    "br-b fe80::d": "52:54:00:0a:0a:0d",
}
DESIRED = {"br-a fe80::a": "52:54:00:0a:0a:0a", "br-b fe80::a": "52:54:00:0a:0a:0b"}


@pytest.fixture
def host(netns: Netns) -> Netns:
    netns.sh("for name in br-a br-b; do ip link add $name type bridge; ip link set $name up; done")
    netns.sh("ip -6 neigh replace fe80::f lladdr 52:54:00:0a:0a:0f dev br-a nud permanent")
    netns.sh("ip -6 neigh replace fe80::e lladdr 52:54:00:0a:0a:0e dev br-a nud permanent proto 9")
    return netns


def test_parse() -> None:
    assert NEIGHBOUR.parse(context(DESIRED), texts(SHOWN)) == STATE
    assert NEIGHBOUR.parse(context(DESIRED), texts("")) == {}


@pytest.mark.parametrize("text", ["RTNETLINK answers: no\n", "fe80::b dev br-a lladdr 52:54:00:0a:0a:0b STALE\n"])
def test_parse_refuses_other_texts(text: str) -> None:
    with pytest.raises(KernelError, match="cannot read"):
        NEIGHBOUR.parse(context(DESIRED), texts(text))


@pytest.mark.parametrize(
    "scope, desired, recorded, count",
    [
        (HYPERVISOR, DESIRED, {}, 1),
        (HYPERVISOR, {}, DESIRED, 1),
        (HYPERVISOR, {}, {}, 0),
        (ROUTER, {}, {}, 0),
        (ANTISPOOF, {}, {}, 0),
    ],
)
def test_a_role_that_has_none_asks_for_none(
    scope: Scope, desired: dict[str, str], recorded: dict[str, str], count: int
) -> None:
    assert len(NEIGHBOUR.read(context(desired, recorded, scope))) == count


def test_life(host: Netns) -> None:
    before = host.lines("ip -6 neigh show")
    wanted = context(DESIRED)
    assert host.converge(NEIGHBOUR, wanted) == Delta({}, DESIRED)
    assert host.read(NEIGHBOUR, wanted) == DESIRED
    assert not host.converge(NEIGHBOUR, wanted)
    other = {"br-a fe80::a": "52:54:00:0a:0a:99", "br-a fe80::c": "52:54:00:0a:0a:0c"}
    host.converge(NEIGHBOUR, context(other, DESIRED))
    assert host.read(NEIGHBOUR, context(other)) == other
    host.converge(NEIGHBOUR, context({}, other))
    assert host.lines("ip -6 neigh show") == before


@pytest.mark.parametrize(
    "damage",
    [
        "ip -6 neigh replace fe80::a lladdr 52:54:00:0a:0a:0a dev br-a nud stale proto 173",
        "ip -6 neigh replace fe80::a lladdr 52:54:00:0a:0a:99 dev br-a nud permanent proto 173",
        "ip -6 neigh replace fe80::a lladdr 52:54:00:0a:0a:0a dev br-a nud permanent proto 9",
        "ip -6 neigh del fe80::a dev br-a",
        "ip link set br-a down; ip link set br-a up",
    ],
)
def test_repair(host: Netns, tmp_path: Path, damage: str) -> None:
    wanted = context(DESIRED, DESIRED)
    host.converge(NEIGHBOUR, wanted)
    host.sh(damage)
    assert host.read(NEIGHBOUR, wanted) != DESIRED
    host.converge(NEIGHBOUR, wanted)
    assert host.read(NEIGHBOUR, wanted) == DESIRED
    host.sh(damage)
    assert host.boot(NEIGHBOUR, wanted, tmp_path) == Output(0, "")
    assert host.read(NEIGHBOUR, wanted) == DESIRED


def test_one_that_is_gone_already_is_no_failure(host: Netns) -> None:
    host.converge(NEIGHBOUR, context(DESIRED))
    host.sh("ip link del br-b")
    host.apply(NEIGHBOUR.drop(context({}, DESIRED), Delta(DESIRED, {})))
    assert host.read(NEIGHBOUR, context({}, DESIRED)) == {}
