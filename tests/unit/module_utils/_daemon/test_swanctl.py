# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""swanctl's messages, recorded from strongSwan 5.9.8."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import swanctl
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import DaemonError, Esp, Ike, Ipsec
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon.records import text

NAME = "aws1-1"
GCM = "AES_GCM_16-256"
IKE = f"{GCM}/PRF_HMAC_SHA2_384/ECP_384"
# The first child has the keys of the IKE SA and no exchange of its own.
REKEYED = f"{GCM}/ECP_384"


@pytest.mark.parametrize(
    "name, ike, esp",
    [
        (
            "up.txt",
            Ike("ESTABLISHED", True, 2, 3, proposal=IKE),
            Esp("INSTALLED", True, 3, 252, 3, 252, 3, GCM),
        ),
        ("connecting.txt", Ike("CONNECTING", False, 2, answered=False), None),
        ("no_child.txt", Ike("ESTABLISHED", True, 2, 0, proposal=IKE), None),
        # The request to replace the keys is on its way: the old SAs work.
        ("rekeying.txt", Ike("ESTABLISHED", True, 2, 53, proposal=IKE), Esp("REKEYING", True, 53, 0, 0, 0, 0, GCM)),
        # Both generations are there, the old one as DELETED.
        ("rekeyed.txt", Ike("ESTABLISHED", True, 2, 4, proposal=IKE), Esp("INSTALLED", True, 0, 0, 0, 0, 0, REKEYED)),
        # A new IKE SA has taken over the ESP SAs of the old one.
        (
            "ike_rekeyed.txt",
            Ike("ESTABLISHED", True, 2, 0, proposal=IKE),
            Esp("INSTALLED", True, 33, 0, 0, 0, 0, REKEYED),
        ),
    ],
)
def test_recorded(name: str, ike: Ike, esp: Esp | None) -> None:
    assert swanctl.tunnels(text(name)) == {NAME: Ipsec(ike, esp)}


def test_no_sa_is_no_tunnel() -> None:
    assert swanctl.tunnels(text("down.txt")) == {}
    assert swanctl.tunnels("") == {}


@pytest.mark.parametrize("order", [("up.txt", "connecting.txt"), ("connecting.txt", "up.txt")])
def test_an_sa_that_works_comes_before_one_that_begins(order: tuple[str, str]) -> None:
    found = swanctl.tunnels("".join(map(text, order)))
    assert found == swanctl.tunnels(text("up.txt"))


@pytest.mark.parametrize("order", [("up.txt", "ike_rekeyed.txt"), ("ike_rekeyed.txt", "up.txt")])
def test_of_two_that_work_the_newest_of_each_kind_counts(order: tuple[str, str]) -> None:
    # Both ends began at the same time: two IKE SAs, each with a child.
    found = swanctl.tunnels("".join(map(text, order)))[NAME]
    assert found.ike == Ike("ESTABLISHED", True, 2, 0, proposal=IKE)
    assert found.esp == Esp("INSTALLED", True, 3, 252, 3, 252, 3, GCM)


def test_equal_ages_are_told_apart_by_the_number() -> None:
    old = text("rekeyed.txt").replace("DELETED", "INSTALLED").replace("install-time = 4", "install-time = 0")
    esp = swanctl.tunnels(old)[NAME].esp
    assert esp is not None
    assert esp.proposal == REKEYED


def test_cbc_has_a_hash() -> None:
    other = text("up.txt").replace("AES_GCM_16\n", "AES_CBC\n        integ-alg = HMAC_SHA2_256_128\n")
    esp = swanctl.tunnels(other)[NAME].esp
    assert esp is not None
    assert esp.proposal == "AES_CBC-256/HMAC_SHA2_256_128"


def test_children_of_other_names_are_not_counted() -> None:
    assert swanctl.tunnels(text("up.txt").replace("name = aws1-1", "name = other"))[NAME].esp is None


def test_what_the_peer_began_has_been_answered() -> None:
    theirs = text("connecting.txt").replace("initiator = yes", "initiator = no")
    ike = swanctl.tunnels(theirs)[NAME].ike
    assert ike is not None
    assert ike.answered


def test_names_of_connections() -> None:
    assert swanctl.names(text("connections.txt")) == {NAME}
    assert swanctl.names(text("down.txt")) == set()


def test_half_an_output_is_refused() -> None:
    whole = text("up.txt")
    for end in (whole.index("child-sas"), whole.index("0.0.0.0/0")):
        with pytest.raises(DaemonError):
            swanctl.tunnels(whole[:end])


def test_commands() -> None:
    assert swanctl.sas() == ("swanctl", "--list-sas", "--pretty")
    assert swanctl.connections("/run/x/vici")[-2:] == ("--uri", "unix:///run/x/vici")


@pytest.mark.parametrize(
    "error, reason",
    [
        (
            "plugin 'ldap': failed\nconnecting to 'unix:///run/a/vici' failed: No such file or directory\nusage:\n",
            "no daemon listens at /run/a/vici",
        ),
        ("connecting to 'default' failed: Connection refused\n", "no daemon listens at default"),
        ("connecting to 'unix:///run/a/vici' failed: Permission denied\n", ""),
        ("", ""),
    ],
)
def test_who_does_not_listen(error: str, reason: str) -> None:
    assert swanctl.not_running(error) == reason
