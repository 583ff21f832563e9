# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One world of hosts and guests for all tests of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_network.served import Served


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """All guests run, and dnsmasq does on both hypervisors."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    world = Served(request.param)
    try:
        plan = world.plan()
        world.plug(plan)
        world.start(plan)
        world.wait_for_link_local(*world.guests)
        yield world
    finally:
        world.remove()
