# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What daemons say of tunnels, in one form for all of them.

The files beside this one know how one program each spells it: what to run, and what its output means. They run nothing.
Nothing here holds a key, though the output of some programs does.
"""

from __future__ import annotations

from dataclasses import dataclass

Argv = tuple[str, ...]


class DaemonError(Exception):
    """A program printed what cannot be read; the message says which program, without its output: it may hold keys."""


@dataclass(frozen=True)
class Ike:
    """An IKE SA. state: the daemon's word. up: established, or about to be replaced by one that is.

    version: 1 or 2. seconds: since it was established, None where it is not. created: the same as the host's local time
    in the form of TIME, for a daemon that says only that. answered: whether the peer has sent anything.
    """

    state: str
    up: bool
    version: int | None = None
    seconds: int | None = None
    created: str | None = None
    proposal: str | None = None
    answered: bool = True


TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Esp:
    """A pair of ESP SAs, one for each direction. up: carries traffic. seconds: since it was installed."""

    state: str
    up: bool
    seconds: int | None = None
    bytes_in: int | None = None
    packets_in: int | None = None
    bytes_out: int | None = None
    packets_out: int | None = None
    proposal: str | None = None


@dataclass(frozen=True)
class Ipsec:
    """The newest SAs of one tunnel that work, else the newest that do not; None where there are none at all."""

    ike: Ike | None = None
    esp: Esp | None = None


@dataclass(frozen=True)
class Bgp:
    """A BGP session. state: the word of RFC 4271. reason: of the last end of a session, "" where none is known.

    seconds: since it was established; None where it is not. hold, keepalive: seconds, as negotiated.
    unfiltered: directions of DIRECTIONS that have no policy, so that nothing passes (RFC 8212).
    *_count: prefixes; None where the daemon does not say. received, accepted, advertised: the prefixes themselves:
    what the peer sent, what of that is used, what it was told; None where they were not asked for.
    """

    state: str
    seconds: int | None = None
    reason: str = ""
    hold: int | None = None
    keepalive: int | None = None
    unfiltered: tuple[str, ...] = ()
    received_count: int | None = None
    accepted_count: int | None = None
    advertised_count: int | None = None
    received: tuple[str, ...] | None = None
    accepted: tuple[str, ...] | None = None
    advertised: tuple[str, ...] | None = None

    @property
    def up(self) -> bool:
        return self.state == ESTABLISHED


ESTABLISHED = "Established"
DIRECTIONS = ("in", "out")
