# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules: only what can be asked without loading one here."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.module import Module
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

MODULE = Module()
MISSING = "vpc_no_such_module"


def test_parse() -> None:
    wanted = context({"br_netfilter": "loaded", "bridge": "loaded"})
    assert MODULE.parse(wanted, texts("bridge\n")) == {"bridge": "loaded"}
    assert MODULE.parse(context(), []) == {}
    assert MODULE.read(context()) == []


def test_never_removed() -> None:
    assert not MODULE.prunable
    assert MODULE.drop(context(), Delta.between({"bridge": "loaded"}, {})) == []


@pytest.fixture
def present(netns: Netns) -> str:
    """A module that this kernel has now, built in or loaded."""
    netns.sh("ip link add br-a type bridge")
    return "bridge"


def test_read(netns: Netns, present: str) -> None:
    assert netns.read(MODULE, context({present: "loaded", MISSING: "loaded"})) == {present: "loaded"}


def test_br_netfilter_built_in(netns: Netns) -> None:
    """It has neither parameters nor a version: its sysctls tell."""
    known = netns.sh("[ ! -d /proc/sys/net/bridge ] && [ ! -d /sys/module/br_netfilter ] || echo br_netfilter").split()
    assert sorted(netns.read(MODULE, context({"br_netfilter": "loaded"}))) == known


def test_put_and_boot(netns: Netns, present: str, tmp_path: Path) -> None:
    """What is there needs no modprobe, which fails for a module built in where /lib/modules is missing."""
    wanted = context({present: "loaded"})
    netns.apply(MODULE.put(wanted, Delta.between({}, wanted.desired)))
    assert netns.boot(MODULE, wanted, tmp_path) == Output(0, "")
    assert netns.boot(MODULE, context(), tmp_path / "..") == Output(0, "")


def test_a_missing_module_is_named(netns: Netns, present: str, tmp_path: Path) -> None:
    wanted = context({present: "loaded", MISSING: "loaded"})
    (command,) = MODULE.put(wanted, Delta.between({}, wanted.desired))
    for output in (netns.run(command), netns.boot(MODULE, wanted, tmp_path)):
        assert output.status == 1
        assert f"Module {MISSING} not found" in output.stderr
