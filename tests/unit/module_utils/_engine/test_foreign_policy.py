# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain of others that drops what security groups allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.grouped_host import GROUP, Host

# As Docker's.
DROP = "iptables -P FORWARD DROP"


@pytest.fixture(params=["nftables", "iptables"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path, request.param)
    yield found
    found.close()


@pytest.mark.parametrize("check", [True, False])
def test_it_is_named(host: Host, check: bool) -> None:
    plan = host.plan([GROUP], vm1=["web"])
    assert host.apply(plan, "security_groups", check=check).warnings == []
    host.netns.sh(DROP)
    (warning,) = host.apply(plan, "security_groups", check=check).warnings
    assert warning.startswith("table ip filter chain FORWARD drops forwarded packets by its policy: ")


def test_nobody_asks_where_nobody_is_in_a_group(host: Host) -> None:
    host.netns.sh(DROP)
    assert host.apply(host.plan([GROUP]), "security_groups").warnings == []
