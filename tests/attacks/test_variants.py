# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of other names than a hypervisor's, or without settings, and a guest that has only IPv6."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.tests.attacks.guards import COMPLETE, PARTIAL, load
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.variants import Variant, variants
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire

pytestmark = pytest.mark.attacks

VARIANTS = list(variants())


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_without_a_guard_everything_gets_through(variant: Variant) -> None:
    with Topology(variant.world) as topology, Wire(topology) as wire:
        assert [one.case.id for one in wire.run(variant.cases) if one.got != one.case.seen] == []


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("name", [*COMPLETE, *PARTIAL])
def test_guarded(name: str, variant: Variant) -> None:
    with Topology(variant.world) as topology:
        load(name)(topology, variant.world.policy)
        variant.change(topology)
        with Wire(topology) as wire:
            results = wire.run(variant.cases)
        assert [f"{one.case.id} {sorted(one.got)}" for one in results if one.passed != one.case.legit] == []
