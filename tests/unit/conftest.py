# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that tests of several layers share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


def pytest_configure() -> None:
    # `make test` ends what it started by this signal: namespaces have to be removed all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def netns() -> Iterator[Netns]:
    """A private network namespace with its loopback up, removed after the test."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    namespace = Netns()
    try:
        yield namespace
    finally:
        namespace.remove()
