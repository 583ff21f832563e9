# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own for each test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.fileset.hosts import (
    Host,
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
