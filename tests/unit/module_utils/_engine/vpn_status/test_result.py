# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of vpn_status."""

from __future__ import annotations

import dataclasses
import time

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Bgp, Ike, Ipsec
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.verdict import Found
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.vpn_status import result
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon.test_verdict import ESP, FINE, STATIC, TUNNEL

NOW = 1795344700.9


def test_up() -> None:
    found = result.of((TUNNEL,), {TUNNEL.name: FINE}, NOW)
    assert found["up"]
    (row,) = found["tunnels"]
    assert (row["name"], row["connection"], row["peer"]) == ("aws1-1", "aws1", "198.51.100.1")
    assert (row["up"], row["verdict"], row["reason"]) == (True, "up", "")
    assert row["interface"] == {
        "name": "aws1-1",
        "present": True,
        "up": True,
        "mtu": 1400,
        "address": "169.254.252.2/30",
    }
    assert row["ike"] == {
        "state": "ESTABLISHED",
        "version": 2,
        "since": "2026-11-22T10:50:40Z",
        "seconds": 60,
        "proposal": None,
    }
    assert row["esp"]["since"] == "2026-11-22T10:50:40Z"
    assert (row["bgp"]["since"], row["bgp"]["neighbor"]) == ("2026-11-22T10:50:50Z", "169.254.252.1")


def test_nothing_is_there() -> None:
    found = result.of((TUNNEL,), {TUNNEL.name: Found()}, NOW)
    (row,) = found["tunnels"]
    assert not found["up"]
    assert (row["ike"]["state"], row["esp"]["state"], row["bgp"]["state"]) == ("none", "none", "none")
    assert not row["interface"]["present"]
    assert row["bgp"]["accepted"] == []


def test_one_that_is_down_is_enough() -> None:
    other = dataclasses.replace(TUNNEL, name="aws1-2")
    found = result.of((TUNNEL, other), {"aws1-1": FINE, "aws1-2": Found()}, NOW)
    assert not found["up"]
    assert [row["up"] for row in found["tunnels"]] == [True, False]


def test_a_static_connection_has_no_session() -> None:
    assert result.of((STATIC,), {STATIC.name: FINE}, NOW)["tunnels"][0]["bgp"] is None


def test_no_tunnels_are_up() -> None:
    assert result.of((), {}, NOW) == {"up": True, "tunnels": []}


def test_a_session_that_has_ended_has_no_since() -> None:
    found = dataclasses.replace(FINE, bgp=Bgp("Active", 99, "Peer closed the session"))
    row = result.of((TUNNEL,), {TUNNEL.name: found}, NOW)["tunnels"][0]
    assert (row["bgp"]["since"], row["bgp"]["last_reset"]) == (None, "Peer closed the session")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_local_time_of_racoon(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOW - 100))
        found = dataclasses.replace(FINE, ipsec=Ipsec(Ike("established", True, 1, created=created), ESP))
        ike = result.of((TUNNEL,), {TUNNEL.name: found}, NOW)["tunnels"][0]["ike"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (ike["since"], ike["seconds"]) == ("2026-11-22T10:50:00Z", 100)
