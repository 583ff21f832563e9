# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as the files of its hypervisor describe it, before anybody asks which of our networks it is in."""

from __future__ import annotations

from typing import NamedTuple


class Card(NamedTuple):
    """An interface, each text as it is written, "" where nothing is.

    network: libvirt's, in place of a bridge. vif: its fixed name on the hypervisor. addresses: of both families, each
    with or without a prefix length. fault: why it cannot be one of ours.
    """

    bridge: str = ""
    network: str = ""
    mac: str = ""
    vif: str = ""
    addresses: tuple[str, ...] = ()
    fault: str = ""


class Domain(NamedTuple):
    """A guest. fault: why it cannot be read. notes: what a reader of the file should know."""

    name: str = ""
    cards: tuple[Card, ...] = ()
    fault: str = ""
    notes: tuple[str, ...] = ()
