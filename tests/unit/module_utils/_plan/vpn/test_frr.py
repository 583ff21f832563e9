# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR: what is written is what a real FRR says it runs, byte by byte, and a reload from there finds nothing to do."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import frr
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import changed, gateway, some
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Frr, run

HOSTNAME = socket.gethostname().partition(".")[0]
CASES = [gateway(), gateway(changed(mode="active_passive")), *(gateway(*some(seed)) for seed in range(6))]


def text(of: Gateway) -> str:
    return frr.config(of, "192.0.2.7", HOSTNAME, False)


@pytest.fixture
def daemons() -> Iterator[Frr]:
    found = Frr()
    try:
        yield found
    finally:
        found.remove()


def test_example() -> None:
    found = text(gateway())
    assert "router bgp 65000\n bgp router-id 192.0.2.7\n" in found
    assert " neighbor 169.254.252.5 timers 10 30\n" in found
    assert "ip prefix-list aws1-in seq 5 permit 10.20.0.0/16 le 32\n" in found
    assert "ip prefix-list aws1-out seq 5 permit 10.10.10.0/24\n" in found
    assert "10.30.0.0/24" not in found  # that of another VPC
    assert "  maximum-paths 2\n" in found
    # Both tunnels are equal: what AWS says by its metric decides.
    assert "local-preference" not in found
    assert "prepend" not in found
    assert "0.0.0.0/0" not in found


def test_only_active_passive_prefers_a_tunnel() -> None:
    found = text(gateway(changed(mode="active_passive")))
    assert found.count(" set community no-advertise\n set local-preference 200\n") == found.count("preference") == 1
    assert (
        found.index("route-map aws1-1-in permit") < found.index("preference") < found.index("route-map aws1-1-out per")
    )
    assert "route-map aws1-1-in permit 10\n match ip address prefix-list aws1-in\n" in found
    assert found.count("set as-path prepend 65000 65000") == 1
    second = (
        "route-map aws1-2-out permit 10\n match ip address prefix-list aws1-out\n set as-path prepend 65000 65000\n"
    )
    assert second in found
    assert "  maximum-paths 1\n" in found


def test_default_route_only_where_it_is_listed() -> None:
    found = text(gateway(changed(accept=["10.0.0.0/8", "0.0.0.0/0"], announce=["0.0.0.0/0"])))
    rules = re.findall(r"ip prefix-list aws1-in seq \d+ (.*)", found)
    # Itself only, and nothing of ours, whatever VPC has it: a longer prefix would take it.
    assert rules == [
        "deny 10.10.10.0/24 le 32",
        "deny 10.10.20.0/24 le 32",
        "deny 10.30.0.0/24 le 32",
        "permit 0.0.0.0/0",
        "permit 10.0.0.0/8 le 32",
    ]
    assert "\n  network 0.0.0.0/0\n" in found
    assert "blackhole" not in found


def test_static_routes_without_bgp() -> None:
    connection = changed(static_routes=["10.20.0.0/16"])
    del connection["accept"]
    of = gateway(connection)
    assert "ip route 10.20.0.0/16 aws1-1\nip route 10.20.0.0/16 aws1-2 2\n" in text(of)
    assert "router bgp" not in text(of)
    assert frr.daemons(of).startswith("bgpd=no\n")
    assert frr.daemons(gateway()).startswith("bgpd=yes\n")


def test_ipv6_forwarding_stays_as_it_is() -> None:
    assert "no ipv6 forwarding\n" in frr.config(gateway(), "192.0.2.7", "vpn1", False)
    assert "ipv6 forwarding" not in frr.config(gateway(), "192.0.2.7", "vpn1", True)


def written(daemons: Frr, of: Gateway) -> Path:
    path = daemons.folder / "frr.conf"
    path.write_text(text(of))
    checked = run("vtysh", "-C", "-f", str(path))
    assert checked.returncode == 0, checked
    return path


@pytest.mark.parametrize("of", CASES)
def test_a_real_frr_says_the_same(daemons: Frr, of: Gateway) -> None:
    daemons.vtysh("-f", str(written(daemons, of)))
    found, wanted = daemons.running(), text(of)
    if daemons.mgmtd:
        # FRR 10 has the blocks in another order, which a reload does not look at.
        assert sorted(found.split("\n!\n")) == sorted(wanted.split("\n!\n"))
    else:
        assert found == wanted


def test_a_reload_leaves_no_difference(daemons: Frr) -> None:
    for number, of in enumerate(CASES[:3]):
        path = written(daemons, of)
        daemons.reload(path, "--reload")
        output = daemons.reload(path, "--test")
        assert "Loading Config object from vtysh show running" in output
        assert "Lines To" not in output, (number, output)


def test_the_checkers_see_a_mistake(daemons: Frr, tmp_path: Path) -> None:
    path = tmp_path / "frr.conf"
    path.write_text(text(gateway()).replace(" bgp log-neighbor-changes", " bgp log-neighbour-changes"))
    assert run("vtysh", "-C", "-f", str(path)).returncode == 2
    path.write_text(text(gateway()).replace("permit 10.10.10.0/24", "permit 10.10.11.0/24"))
    assert "Lines To" in daemons.reload(path, "--test")
