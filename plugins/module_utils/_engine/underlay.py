# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the host's underlay address is: the plan names the address, only the host knows the interface."""

from __future__ import annotations

import json
from collections.abc import Callable

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import UNDERLAY


def place(
    states: dict[str, dict[str, str]], address: str | None, address6: str | None, run: Callable[[Command], Output]
) -> dict[str, dict[str, str]]:
    """The states with the underlay interface's name in place of its placeholder.

    Raises KernelError where no interface has the address, naming what the host has.
    """
    if address is None or not any(
        UNDERLAY in text for state in states.values() for item in state.items() for text in item
    ):
        return {name: dict(state) for name, state in states.items()}
    interface = find(address, address6, run)
    # Few different values stand behind very many keys.
    values: dict[str, str] = {}
    placed: dict[str, dict[str, str]] = {}
    for name, state in states.items():
        target = placed.setdefault(name, {})
        for key, value in state.items():
            if value not in values:
                values[value] = value.replace(UNDERLAY, interface)
            target[key.replace(UNDERLAY, interface) if UNDERLAY in key else key] = values[value]
    return placed


def find(address: str, address6: str | None, run: Callable[[Command], Output]) -> str:
    """The interface that carries the underlay address; the IPv6 one must be on the same interface."""
    command = Command(("ip", "-j", "addr", "show"))
    output = run(command)
    if output.status != 0:
        raise KernelError(f"ip -j addr show: status {output.status}: {output.stderr.strip()}")
    found: dict[str, list[str]] = {}
    for link in json.loads(output.stdout):
        for entry in link.get("addr_info", []):
            if "local" in entry:
                found.setdefault(link["ifname"], []).append(entry["local"])
    for interface, addresses in found.items():
        if address in addresses:
            if address6 is None or address6 in addresses:
                return interface
            others = [text for text in addresses if ":" in text]
            raise KernelError(
                f"interface {interface} has no address {address6}, by which the other hosts reach this one over IPv6: "
                f"add it to your network configuration, or set vpc_underlay_address6 to one that it has"
                f" ({', '.join(others) or 'it has none'})"
            )
    mine = sorted(text for addresses in found.values() for text in addresses if ":" not in text)
    raise KernelError(
        f"no interface has the underlay address {address} (vpc_underlay_address, by default ansible_host);"
        f" this host has {', '.join(mine)}"
    )
