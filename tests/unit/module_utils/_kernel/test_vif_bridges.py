# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of guarded bridges, which the guard's helper keeps and gives back."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    TWO,
    Host,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


LINE = "br0 no_linklocal_learn 1 multicast_router 2\n"


def settings(host: Host, bridge: str) -> list[str]:
    """The two settings of LINE."""
    return host.netns.sh(f"cd /sys/class/net/{bridge}/bridge; cat no_linklocal_learn multicast_router").split()


def test_the_bridge_of_a_port(host: Host) -> None:
    host.declare([ONE, TWO], bridges=f"other multicast_router 0\n{LINE}")
    host.port("vnet0")
    host.netns.sh("ip link add other type bridge")
    host.ok("add", "vnet0", ONE.mac)
    assert settings(host, "br0") == ["1", "2"]
    assert settings(host, "other") == ["0", "1"]
    host.netns.sh("echo 0 >/sys/class/net/br0/bridge/multicast_router")
    host.ok("add", "vnet0", ONE.mac)
    assert settings(host, "br0") == ["1", "2"]
    host.ok("release")
    # As it was first, not as it was found later.
    assert settings(host, "br0") == ["0", "1"]


def test_all_bridges(host: Host) -> None:
    host.netns.sh("for name in br0 br1; do ip link add $name type bridge; done")
    host.declare([ONE], bridges=f"{LINE}br1 multicast_router 0\nbr2 no_linklocal_learn 1\n")
    for _turn in range(2):
        host.ok("sync")
        assert settings(host, "br0") == ["1", "2"]
        assert settings(host, "br1") == ["0", "0"]
    # One is not guarded any more, of another the plan has less to say.
    host.declare([ONE], bridges="br0 no_linklocal_learn 1\n")
    host.ok("sync")
    assert settings(host, "br0") == ["1", "1"]
    assert settings(host, "br1") == ["0", "1"]
    # One was made anew.
    host.netns.sh("ip link del br0; ip link add br0 type bridge")
    host.ok("sync")
    assert settings(host, "br0") == ["1", "1"]
    host.netns.sh("ip link del br1")
    host.ok("release")
    assert settings(host, "br0") == ["0", "1"]
    assert not host.run.exists()


def test_a_setting_that_the_kernel_does_not_have(host: Host) -> None:
    host.declare([ONE], bridges="br0 imagined 1 no_linklocal_learn 1\n")
    host.port("vnet0")
    for words in (("add", "vnet0", ONE.mac), ("sync",)):
        host.netns.sh("echo 0 >/sys/class/net/br0/bridge/no_linklocal_learn")
        output = host.vif(*words)
        assert output.status == 1
        assert "imagined" in output.stderr
        assert settings(host, "br0") == ["1", "1"]
        host.has(vnet0=ONE)
