# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and their IPv4 addresses, whoever made them: to look at, not to change."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, KernelError

READ = Command(("ip", "-j", "addr", "show"))


@dataclass(frozen=True)
class Interface:
    """up: administratively. mtu: octets. addresses: IPv4, with their lengths."""

    name: str
    up: bool
    mtu: int
    addresses: tuple[str, ...] = ()


def parse(text: str) -> dict[str, Interface]:
    """By name; text: output of READ."""
    try:
        links = json.loads(text)
    except ValueError as error:
        raise KernelError("ip -j addr show: its output is no JSON") from error
    return {
        link["ifname"]: Interface(
            link["ifname"],
            "UP" in link.get("flags", []),
            int(link.get("mtu", 0)),
            tuple(
                f"{entry['local']}/{entry['prefixlen']}"
                for entry in link.get("addr_info", [])
                if entry.get("family") == "inet" and "local" in entry
            ),
        )
        for link in links
        if "ifname" in link
    }
