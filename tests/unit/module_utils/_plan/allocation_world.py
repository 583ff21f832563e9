# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that leave addresses out, and what is allocated for them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import render
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock_read import read
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model, parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation import settle as settling
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.settle import Settled
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import host

NAME = "vpc-lock.txt"
HOSTS = {
    "host1": host(103, "hypervisors"),
    "host2": host(104, "hypervisors"),
    "router": host(101, "routers"),
}
NET1: dict[str, Any] = {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64"}
NET2: dict[str, Any] = {"name": "net2", "cidr": "10.10.20.0/26"}
SIX: dict[str, Any] = {"name": "six", "cidr6": "2001:db8:66::/64"}
WAN: dict[str, Any] = {"name": "wan", "cidr": "192.0.2.0/24", "bridge": "br0"}
NETWORKS = [NET1, NET2, SIX]

Values = tuple[Any, ...]


def guest(name: str, network: str = "net1", **more: Any) -> dict[str, Any]:
    return {"name": name, "hypervisor": "host1", "network": network, **more}


def model(guests: list[dict[str, Any]], networks: list[dict[str, Any]] | None = None) -> Model:
    return parse({"vpc_networks": networks or NETWORKS, "vpc_instances": guests, "hosts": HOSTS})


def settle(guests: list[dict[str, Any]], before: str = "", networks: list[dict[str, Any]] | None = None) -> Settled:
    """With the text of a lock file. Whatever is settled stays so: that is looked at each time."""
    made = model(guests, networks)
    found = settling.settle(made, read(before, NAME) if before else None)
    text = render(found.lock)
    again = settling.settle(made, read(text, NAME))
    assert (again.ports, again.tables, again.bridge_macs) == (found.ports, found.tables, found.bridge_macs)
    assert render(again.lock) == text
    assert again.changes == []
    return found


def text_of(guests: list[dict[str, Any]], before: str = "", networks: list[dict[str, Any]] | None = None) -> str:
    return render(settle(guests, before, networks).lock)


def values(found: Settled) -> dict[tuple[str, str], Values]:
    """(address, address6, MAC) by guest and network."""
    return {(port.instance, port.network): (port.address, port.address6, port.mac) for port in found.ports}


def refusals(guests: list[dict[str, Any]], before: str, networks: list[dict[str, Any]] | None = None) -> list[str]:
    with pytest.raises(ModelErrors) as caught:
        settling.settle(model(guests, networks), read(before, NAME))
    return str(caught.value).splitlines()


def body(text: str) -> list[str]:
    """Lines that say something."""
    return [line for line in text.splitlines() if line and not line.startswith(("#", "format"))]


def given_to(text: str, owner: str) -> list[str]:
    """The words of a guest's only line."""
    (found,) = [line.split() for line in body(text) if line.startswith("guest") and line.split()[5] == owner]
    return found


def number_of(text: str, line: str) -> int:
    """The number of the first line that begins so."""
    return next(number for number, item in enumerate(text.splitlines(), 1) if item.startswith(line))
