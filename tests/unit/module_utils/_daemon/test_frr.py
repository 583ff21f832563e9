# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR's JSON, recorded from 8.4.4; what 10 prints otherwise is imitated."""

from __future__ import annotations

import json

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import frr
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Bgp, DaemonError
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon.records import text

PEER = "169.254.252.1"
BOTH = ("in", "out")


@pytest.mark.parametrize(
    "address, session",
    [
        (PEER, Bgp("Established", 124, "", 30, 10, (), None, 1, 1)),
        # No route-map in either direction: the session is established and nothing passes.
        ("169.254.11.1", Bgp("Established", 443, "", 180, 60, BOTH, None, 0, 0)),
        # A route-map that permits nothing.
        ("169.254.12.1", Bgp("Established", 443, "", 30, 10, (), None, 0, 1)),
        (
            "169.254.13.1",
            Bgp("Idle", None, "notification sent: OPEN Message Error/Bad Peer AS", 180, 60, BOTH, None, 0, 0),
        ),
        # The peer refuses the TCP connection.
        ("169.254.14.1", Bgp("Active", None, "", 180, 60, BOTH, None, 0, 0)),
        # The peer says nothing.
        ("169.254.15.1", Bgp("Connect", None, "", 180, 60, BOTH, None, 0, 0)),
        ("169.254.16.1", Bgp("Idle", None, "shut down in FRR's configuration", 180, 60, BOTH, None, 0, 0)),
        # No route to the peer.
        ("169.254.99.1", Bgp("Active", None, "Waiting for NHT", 180, 60, BOTH, None, 0, 0)),
    ],
)
def test_recorded(address: str, session: Bgp) -> None:
    assert frr.sessions(text("neighbors.json"))[address] == session


@pytest.mark.parametrize(
    "name, state, seconds, reason",
    [
        ("peer_shut.json", "Active", None, "notification received: Cease/Administrative Shutdown"),
        ("hold.json", "Connect", None, "notification sent: Hold Timer Expired"),
        # It says why the session before this one ended.
        ("again.json", "Established", 15, "notification received: Cease/Administrative Shutdown"),
    ],
)
def test_recorded_ends(name: str, state: str, seconds: int | None, reason: str) -> None:
    found = frr.sessions(text(name))[PEER]
    assert (found.state, found.seconds, found.reason) == (state, seconds, reason)
    assert found.up == (state == "Established")


def test_an_old_notification_is_no_reason_for_a_later_end() -> None:
    content = json.loads(text("peer_shut.json"))
    content[PEER]["lastResetDueTo"] = "Peer closed the session"
    assert frr.sessions(json.dumps(content))[PEER].reason == "Peer closed the session"


def test_no_bgp_is_no_session() -> None:
    assert frr.sessions("{}\n") == {}
    assert frr.sessions('{\n  "bgpNoSuchNeighbor":true\n}\n') == {}


@pytest.mark.parametrize("output", ["", "% Unknown command: show bgp neighbors json\n", '{"169.254.252.1": {'])
def test_what_is_no_json_is_refused(output: str) -> None:
    with pytest.raises(DaemonError):
        frr.sessions(output)


def test_a_message_before_the_json_does_no_harm() -> None:
    assert frr.sessions("% Can't open configuration file\n" + text("hold.json")) == frr.sessions(text("hold.json"))


def test_keys_that_are_not_there() -> None:
    assert frr.sessions('{"192.0.2.1": {"bgpState": "OpenSent"}}') == {
        "192.0.2.1": Bgp("OpenSent", accepted_count=0, advertised_count=0)
    }


def test_prefixes() -> None:
    other = "169.254.12.1"
    found = frr.with_prefixes(frr.sessions(text("neighbors.json")), [PEER, other], text("routes.txt"))
    assert found[PEER].received == ("10.10.0.0/24", "10.20.0.0/16", "172.31.0.0/20", "192.168.77.0/24")
    assert found[PEER].received_count == 4
    assert found[PEER].accepted == ("10.20.0.0/16",)
    assert found[PEER].advertised == ("10.10.0.0/24",)
    # Without soft reconfiguration nobody knows what came and was refused.
    assert found[other].received is None
    assert found[other].received_count is None
    assert found[other].accepted == ()
    assert found[other].advertised_count == 1
    assert found["169.254.13.1"].accepted is None


def test_prefixes_of_frr_10() -> None:
    # It has no line breaks, and `origin`, `valid` and `best` in each route; the keys are prefixes as before.
    route = '{"addrPrefix":"10.20.0.0","prefixLen":16,"network":"10.20.0.0/16","origin":"IGP","valid":true,"best":true}'
    answers = (
        f'{{"bgpTableVersion":4,"receivedRoutes":{{"10.20.0.0/16":{route}}},"totalPrefixCounter":1}}',
        '{"vrfId":0,"routes":{"10.20.0.0/16":[{"valid":true,"bestpath":true}]},"totalRoutes":1,"totalPaths":1}',
        '{"bgpTableVersion":4,"advertisedRoutes":{}}',
    )
    found = frr.with_prefixes({PEER: Bgp("Established")}, [PEER], "\n".join(answers))[PEER]
    assert (found.received, found.accepted, found.advertised) == (("10.20.0.0/16",), ("10.20.0.0/16",), ())


def test_an_answer_that_is_missing_is_noticed() -> None:
    with pytest.raises(DaemonError, match="5 answers to 6"):
        frr.with_prefixes({}, [PEER, "169.254.12.1"], text("routes.txt").rpartition('{\n  "bgpTableVersion"')[0])


def test_a_session_that_is_gone_has_no_prefixes() -> None:
    gone = '{"warning":"No such neighbor in this view/vrf"}\n' * 3
    found = frr.with_prefixes({PEER: Bgp("Established", accepted_count=2)}, [PEER], gone)[PEER]
    assert (found.received, found.accepted, found.advertised, found.accepted_count) == (None, None, None, 2)


def test_commands() -> None:
    argv = frr.routes([PEER])
    assert argv[:3] == ("vtysh", "-c", f"show bgp ipv4 unicast neighbors {PEER} received-routes json")
    assert len(argv) == 7
