# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a tunnel, for everything that can be found of one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import verdict
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Bgp, Esp, Ike, Ipsec
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.verdict import Found, Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.interfaces import Interface

TUNNEL = Tunnel("aws1-1", "aws1", "198.51.100.1", "203.0.113.10", "169.254.252.2", "169.254.252.1", True, True, True)
STATIC = dataclasses.replace(TUNNEL, bgp=False, accepts=False)
BARE = dataclasses.replace(STATIC, inside_address=None, peer_inside_address=None)
IKE = Ike("ESTABLISHED", True, 2, 60)
ESP = Esp("INSTALLED", True, 60)
BGP = Bgp("Established", 50, accepted_count=1, advertised_count=1)
LINK = Interface("aws1-1", True, 1400, ("169.254.252.2/30",))
FINE = Found(Ipsec(IKE, ESP), interface=LINK, bgp=BGP)


def judged(tunnel: Tunnel = TUNNEL, **changed: Any) -> tuple[str, str]:
    return verdict.of(tunnel, dataclasses.replace(FINE, **changed))


def test_up() -> None:
    assert judged() == ("up", "")
    assert judged(STATIC, bgp=None) == ("up", "")
    assert judged(BARE, bgp=None, interface=dataclasses.replace(LINK, addresses=())) == ("up", "")


@pytest.mark.parametrize(
    "ipsec, configured, text, reason",
    [
        (Ipsec(IKE), None, "IKE up, ESP down", "there is no ESP SA"),
        (Ipsec(IKE, Esp("INSTALLING", False)), None, "IKE up, ESP down", "ESP is INSTALLING"),
        (Ipsec(Ike("CONNECTING", False)), None, "IPsec down", "IKE is CONNECTING"),
        (
            Ipsec(Ike("CONNECTING", False, answered=False)),
            None,
            "IPsec down",
            "IKE is CONNECTING, 198.51.100.1 has not answered",
        ),
        (Ipsec(), None, "IPsec down", "there is no IKE SA, and the daemon is not making one"),
        (Ipsec(), True, "IPsec down", "there is no IKE SA, and the daemon is not making one"),
        (Ipsec(), False, "not configured", "the daemon does not know the tunnel"),
    ],
)
def test_ipsec(ipsec: Ipsec, configured: bool | None, text: str, reason: str) -> None:
    assert judged(ipsec=ipsec, configured=configured) == (text, reason)
    assert judged(STATIC, ipsec=ipsec, configured=configured) == (text, reason)


def test_esp_may_outlive_ike() -> None:
    assert judged(ipsec=Ipsec(None, ESP)) == ("up", "")


def test_ipsec_that_cannot_be_asked() -> None:
    reason = "swanctl is not installed"
    assert judged(ipsec=Ipsec(), ipsec_error=reason) == ("unknown", reason)
    assert judged(ipsec=Ipsec(), ipsec_error="no daemon listens", running=False) == ("IPsec down", "no daemon listens")


@pytest.mark.parametrize(
    "link, text, reason",
    [
        (None, "IPsec up, interface missing", "there is no interface aws1-1"),
        (dataclasses.replace(LINK, up=False), "IPsec up, interface down", "aws1-1 is not up"),
        (
            dataclasses.replace(LINK, addresses=("169.254.252.20/30",)),
            "IPsec up, interface down",
            "aws1-1 does not have 169.254.252.2",
        ),
    ],
)
def test_interface(link: Interface | None, text: str, reason: str) -> None:
    assert judged(interface=link) == (text, reason)


def test_interface_of_policies() -> None:
    assert judged(own_interface=False, interface=dataclasses.replace(LINK, name="eth0")) == ("up", "")
    found = judged(own_interface=False, interface=None)
    assert found == ("IPsec up, interface missing", "no interface has 169.254.252.2")
    assert judged(BARE, own_interface=False, interface=None) == ("up", "")


@pytest.mark.parametrize(
    "bgp, text, reason",
    [
        (None, "IPsec up, BGP down", "the daemon has no neighbor 169.254.252.1"),
        (Bgp("Active"), "IPsec up, BGP down", "Active, no session with 169.254.252.1 yet"),
        (
            Bgp("Connect", None, "notification sent: Hold Timer Expired"),
            "IPsec up, BGP down",
            "Connect, notification sent: Hold Timer Expired",
        ),
        (
            dataclasses.replace(BGP, unfiltered=("in", "out")),
            "BGP up, no prefixes",
            "no policy for the way in and out: nothing passes",
        ),
        (dataclasses.replace(BGP, accepted_count=0), "BGP up, no prefixes", "the peer announces none"),
        (
            dataclasses.replace(BGP, accepted_count=0, received_count=3),
            "BGP up, no prefixes",
            "of 3 that the peer announces, none is accepted",
        ),
        (dataclasses.replace(BGP, advertised_count=0), "BGP up, no prefixes", "none is announced"),
    ],
)
def test_bgp(bgp: Bgp | None, text: str, reason: str) -> None:
    assert judged(bgp=bgp) == (text, reason)
    assert judged(STATIC, bgp=bgp) == ("up", "")


def test_prefixes_count_only_where_there_should_be_some() -> None:
    nothing = dataclasses.replace(BGP, accepted_count=0, advertised_count=0)
    assert judged(dataclasses.replace(TUNNEL, announces=False, accepts=False), bgp=nothing) == ("up", "")
    # Quagga does not say how many it announces.
    assert judged(bgp=dataclasses.replace(BGP, advertised_count=None)) == ("up", "")


def test_bgp_that_cannot_be_asked() -> None:
    assert judged(bgp=None, bgp_error="vtysh is not installed") == ("IPsec up, BGP down", "vtysh is not installed")


def test_what_is_below_comes_first() -> None:
    assert judged(ipsec=Ipsec(), interface=None, bgp=None)[0] == "IPsec down"
    assert judged(interface=None, bgp=None)[0] == "IPsec up, interface missing"
