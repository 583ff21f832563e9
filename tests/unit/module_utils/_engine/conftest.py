# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.guarded_host import Host


@pytest.fixture(params=["nftables"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path, request.param)
    yield found
    found.netns.remove()
