# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quagga by `vtysh`: text for people; Quagga 1.2 has no JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import ESTABLISHED, Argv, Bgp

PROGRAM = "vtysh"
NEIGHBOURS: Argv = (PROGRAM, "-c", "show ip bgp neighbors")
# In the order of received, accepted, advertised in Bgp.
VIEWS = ("received-routes", "routes", "advertised-routes")

_NEIGHBOUR = re.compile(r"^BGP neighbor is ([0-9.]+),", re.MULTILINE)
_STATE = re.compile(r"^ +BGP state = (\w+)(?:, up for (\S+))?", re.MULTILINE)
_TIMERS = re.compile(r"[Hh]old time is (\d+), keepalive interval is (\d+) seconds")
_ACCEPTED = re.compile(r"^ +(\d+) accepted prefixes", re.MULTILINE)
_RESET = re.compile(r"^ +Last reset \S+, due to (.+?)\s*$", re.MULTILINE)
_SHUT = "Administratively shut down"
# 00:12:03, 3d04h05m or 01w4d15h.
_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60}
# Three columns of status, the network, and what follows; a network of a class has no length.
_ROUTE = re.compile(r"[ sdhRSi*>=]{3}(\d+\.\d+\.\d+\.\d+)(/\d+)?(?:\s|$)")


def routes(address: str, view: str) -> Argv:
    """Lists prefixes of a neighbour; view: of VIEWS. One process each: the output does not say which it is."""
    return (PROGRAM, "-c", f"show ip bgp neighbors {address} {view}")


def sessions(text: str) -> dict[str, Bgp]:
    """By address of the neighbour; text: output of NEIGHBOURS."""
    heads = list(_NEIGHBOUR.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: _session(text[head.start() : end]) for head, end in zip(heads, ends)}


def prefixes(text: str) -> tuple[str, ...] | None:
    """The prefixes of a table; None where there is no table, but a message."""
    if text.lstrip().startswith("%"):
        return None
    return tuple(_prefixes(text))


def _session(text: str) -> Bgp:
    state, timers = _STATE.search(text), _TIMERS.search(text)
    accepted, reset = _ACCEPTED.search(text), _RESET.search(text)
    name = state[1] if state else "unknown"
    reason = _SHUT if _SHUT in text else reset[1] if reset else ""
    return Bgp(
        name,
        uptime(state[2]) if state and state[2] and name == ESTABLISHED else None,
        reason,
        int(timers[1]) if timers else None,
        int(timers[2]) if timers else None,
        accepted_count=int(accepted[1]) if accepted else 0,
    )


def uptime(text: str) -> int | None:
    """Seconds; None for "never" and whatever else is no duration."""
    clock = re.fullmatch(r"(\d+):(\d\d):(\d\d)", text)
    if clock:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    parts = re.findall(r"(\d+)([wdhm])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _prefixes(text: str) -> Iterator[str]:
    for match in map(_ROUTE.match, text.splitlines()):
        if match is not None:
            yield match[1] + (match[2] or f"/{_length(match[1])}")


def _length(network: str) -> int:
    """That of the class of a network that is printed without one."""
    first = int(network.partition(".")[0])
    if network == "0.0.0.0":  # noqa: S104 - the default route
        return 0
    return 8 if first < 128 else 16 if first < 192 else 24
