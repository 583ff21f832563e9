# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR by `vtysh`: the JSON of its `show bgp` commands. The keys that are read are the same in 8.4 and 10."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import DIRECTIONS, Argv, Bgp, DaemonError

PROGRAM = "vtysh"
NEIGHBOURS: Argv = (PROGRAM, "-c", "show bgp neighbors json")

_FAMILY = "ipv4Unicast"
_UNFILTERED = ("inboundEbgpRequiresPolicy", "outboundEbgpRequiresPolicy")
_NOTIFICATION = {"BGP Notification send": "sent", "BGP Notification received": "received"}
# What FRR calls the reason before anything has happened.
_NOTHING_YET = ("", "Waiting for peer OPEN", "No AFI/SAFI activated for peer")
# Command of the view, and the key of its answer; in the order of Bgp's fields.
_VIEWS = (("received-routes", "receivedRoutes"), ("routes", "routes"), ("advertised-routes", "advertisedRoutes"))


def routes(addresses: Sequence[str]) -> Argv:
    """Lists the prefixes of these neighbours in one process."""
    shows = [f"show bgp ipv4 unicast neighbors {address} {view} json" for address in addresses for view, _key in _VIEWS]
    return (PROGRAM, *(word for show in shows for word in ("-c", show)))


def sessions(text: str) -> dict[str, Bgp]:
    """By address of the neighbour. text: output of NEIGHBOURS."""
    found = next(_documents(text), None)
    if found is None:
        raise DaemonError(f"{PROGRAM}: its output is no JSON")
    return {address: _session(item) for address, item in found.items() if isinstance(item, dict)}


def with_prefixes(found: Mapping[str, Bgp], addresses: Sequence[str], text: str) -> dict[str, Bgp]:
    """The sessions with the prefixes of these neighbours; text: output of routes(addresses)."""
    answers = list(_documents(text))
    if len(answers) != len(addresses) * len(_VIEWS):
        # Which answer is missing cannot be seen.
        raise DaemonError(f"{PROGRAM}: {len(answers)} answers to {len(addresses) * len(_VIEWS)} questions")
    sessions_ = dict(found)
    for number, address in enumerate(addresses):
        mine = answers[number * len(_VIEWS) : (number + 1) * len(_VIEWS)]
        received, accepted, advertised = (_prefixes(answer, key) for answer, (_view, key) in zip(mine, _VIEWS))
        session = sessions_[address]
        sessions_[address] = dataclasses.replace(
            session,
            received=received,
            accepted=accepted,
            advertised=advertised,
            received_count=None if received is None else len(received),
            # The counters were read a moment before the lists: people should not wonder about the difference.
            accepted_count=session.accepted_count if accepted is None else len(accepted),
            advertised_count=session.advertised_count if advertised is None else len(advertised),
        )
    return sessions_


def _session(item: Mapping[str, Any]) -> Bgp:
    families = item.get("addressFamilyInfo")
    family = families.get(_FAMILY, {}) if isinstance(families, dict) else {}
    uptime = item.get("bgpTimerUpMsec")
    return Bgp(
        str(item.get("bgpState", "unknown")),
        uptime // 1000 if isinstance(uptime, int) else None,
        _reason(item),
        _seconds(item, "bgpTimerHoldTimeMsecs"),
        _seconds(item, "bgpTimerKeepAliveIntervalMsecs"),
        tuple(way for way, key in zip(DIRECTIONS, _UNFILTERED) if key in family),
        None,
        family.get("acceptedPrefixCounter", 0),
        family.get("sentPrefixCounter", 0),
    )


def _reason(item: Mapping[str, Any]) -> str:
    """Why there is no session, or why the last one ended."""
    if item.get("adminShutDown"):
        return "shut down in FRR's configuration"
    reset = str(item.get("lastResetDueTo", ""))
    if reset in _NOTIFICATION:
        # The text of a notification stays when a later session ends for another reason.
        return f"notification {_NOTIFICATION[reset]}: {item.get('lastNotificationReason', 'unknown')}"
    return "" if reset in _NOTHING_YET else reset


def _seconds(item: Mapping[str, Any], key: str) -> int | None:
    value = item.get(key)
    return value // 1000 if isinstance(value, int) else None


def _prefixes(answer: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    table = answer.get(key)
    return tuple(table) if isinstance(table, dict) else None


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that stand one after the other in a text."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except ValueError as error:
            raise DaemonError(f"{PROGRAM}: its output is no JSON") from error
        yield found
        start = text.find("{", end)
