# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's interfaces in the form that all formats are written from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import ifname
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    parse_address,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
# The guest's own route tables, and the priorities of the rules that lead there: any below that of the table main.
_TABLE, _PRIORITY = 100, 1100
_KEYS = {4: ("address", "cidr", "gateway"), 6: ("address6", "cidr6", "gateway6")}
_BITS = {4: 32, 6: 128}
_LINK_LOCAL = parse_prefix(6, "fe80::/10")
# What all formats carry without quotes. The plan holds nothing else, unless somebody edited it.
_WORD = re.compile(r"[A-Za-z0-9_.:/-]+")


class Unfit(ValueError):
    """A guest of the plan that some format cannot describe."""


class Route(NamedTuple):
    """to: a prefix. via: an address, "" where the prefix is on the link.

    on_link: whether via is on the link though no address of the interface says so.
    """

    family: int
    to: str
    via: str
    on_link: bool = False


class Link(NamedTuple):
    """An interface of a guest. name: which the guest is to give it, "" for none.

    addresses: (family, address, prefix length). gateways: (family, address) of the default routes. routes: the others.
    dns, search: in order. mtu: None for the device's own. table, priority, table_routes: of the policy routing by which
    a guest with several interfaces answers on the one that it was asked on; table is None where it has one. strict:
    whether the interface may send from its own addresses only.
    """

    number: int
    name: str
    network: str
    mac: str
    vif: str
    bridge: str
    isolated: bool
    addresses: tuple[tuple[int, str, int], ...]
    gateways: tuple[tuple[int, str], ...]
    routes: tuple[Route, ...]
    dns: tuple[str, ...]
    search: tuple[str, ...]
    mtu: int | None
    table: int | None
    priority: int
    table_routes: tuple[Route, ...]
    strict: bool

    @property
    def label(self) -> str:
        """A name for it within a text."""
        return self.name or f"vpc{self.number}"

    def has(self, family: int) -> bool:
        return any(found == family for found, _address, _length in self.addresses)


class Guest(NamedTuple):
    name: str
    links: tuple[Link, ...]

    @property
    def title(self) -> str:
        """For a comment at the top of a text."""
        networks = ", ".join(dict.fromkeys(link.network for link in self.links))
        return f"{self.name} in {networks}, by plainlinux.vpc"


def read_guest(summary: Mapping[str, Any], name: str, prefix: str = "") -> Guest:
    """The guest of a plan's summary. prefix: what its interfaces shall be called, before a number; "" for no names.

    Raises ValueError.
    """
    try:
        instances, networks = summary["instances"], summary["networks"]
    except (KeyError, TypeError):
        raise ValueError("this is no plan: the content of plan.json is needed") from None
    if name not in instances:
        hint = Report().hint(name, instances) if isinstance(name, str) else ""
        raise ValueError(f"{show(name)} is no guest of the plan{hint or _known(instances)}")
    items = instances[name]["interfaces"]
    if prefix:
        reason = ifname.refusal(f"{prefix}{len(items) - 1}")
        if reason:
            raise ValueError(f"prefix: {reason}")
    defaults = {family: _default(items, family) for family in DEFAULT}
    # Guests that others' routes lead to are told nothing of these.
    mine = {item[key].partition("/")[0] for item in items for key, _cidr, _gateway in _KEYS.values() if item[key]}
    taken: set[str] = set()
    links = []
    for number, item in enumerate(items):
        chosen = [family for family, first in defaults.items() if first == number]
        called = f"{prefix}{number}" if prefix else ""
        network = networks[item["network"]]
        ways = [route for route in network["guests_get"]["routes"] if route["via"] not in mine]
        links.append(_link(number, called, item, network, ways, chosen, taken, len(items) > 1))
    return Guest(_word(name), tuple(links))


def _known(instances: Mapping[str, Any]) -> str:
    shown = 10
    listed = ", ".join(list(instances)[:shown])
    return f"; guests are {listed}{f' and {len(instances) - shown} more' if len(instances) > shown else ''}"


def _default(items: list[dict[str, Any]], family: int) -> int | None:
    """Number of the interface that has the default route: the first that can."""
    address, _cidr, gateway = _KEYS[family]
    return next((number for number, item in enumerate(items) if item[address] and item[gateway]), None)


class _Own(NamedTuple):
    """An address of an interface. gateway: "" for none. cidr: the network's prefix. near: whether it is on the link."""

    family: int
    address: str
    length: int
    gateway: str
    cidr: Prefix
    near: bool

    def route(self, to: str, via: str) -> Route:
        value = parse_address(self.family, via)
        direct = (self.near and self.cidr.contains(value)) or (self.family == 6 and _LINK_LOCAL.contains(value))
        return Route(self.family, _word(to), _word(via), not direct)


def _own(item: Mapping[str, Any], network: Mapping[str, Any]) -> Iterator[_Own]:
    for family, (address, cidr, gateway) in _KEYS.items():
        if item[address]:
            text, _slash, length = item[address].partition("/")
            bits = _number(length)
            prefix = parse_prefix(family, network[cidr])
            yield _Own(family, _word(text), bits, item[gateway] or "", prefix, bits < _BITS[family])


def _link(
    number: int,
    name: str,
    item: Mapping[str, Any],
    network: Mapping[str, Any],
    ways: list[dict[str, str]],
    defaults: list[int],
    taken: set[str],
    several: bool,
) -> Link:
    """ways: the network's routes. defaults: families whose default route is this interface's.

    taken: what the main table has a route to already.
    """
    get = network["guests_get"]
    families = {own.family: own for own in _own(item, network)}
    gateways = [own for own in families.values() if own.gateway]
    extra = [
        families[family].route(route["to"], route["via"])
        for route in ways
        for family in families
        if (":" in route["to"]) == (family == 6)
    ]
    # Where the prefix is not on the link, and the default route is another interface's.
    others = [own.route(own.cidr.text, own.gateway) for own in gateways if not (own.near or own.family in defaults)]
    routes = [route for route in (*others, *extra) if route.to not in taken]
    taken.update(own.cidr.text for own in families.values())
    taken.update(route.to for route in routes)
    table_routes: list[Route] = []
    if several:
        table_routes += [Route(own.family, own.cidr.text, "") for own in families.values() if own.near]
        table_routes += [own.route(DEFAULT[own.family], own.gateway) for own in gateways]
        table_routes += extra
    return Link(
        number=number,
        name=name,
        network=_word(item["network"]),
        mac=_word(item["mac"]),
        vif=_word(item["vif"]),
        bridge=_word(item["bridge"]),
        isolated=bool(item["isolated"]),
        addresses=tuple((own.family, own.address, own.length) for own in families.values()),
        gateways=tuple((own.family, _word(own.gateway)) for own in gateways if own.family in defaults),
        routes=tuple(routes),
        dns=tuple(_word(server) for server in get["dns"] if (6 if ":" in server else 4) in families),
        search=tuple(map(_word, _search(get))),
        mtu=None if get["mtu"] is None else _number(get["mtu"]),
        table=_TABLE + number if several else None,
        priority=_PRIORITY + number,
        table_routes=tuple(table_routes),
        strict=not any(item.get(key) for key in ("allowed_addresses", "allowed_pairs", "roles")),
    )


def _search(get: Mapping[str, Any]) -> Iterator[str]:
    """Nobody knows the names of the network's own domain where there is no server to ask."""
    if get["dns"] or list(get["search"]) != [get["domain"]]:
        yield from get["search"]


def _word(text: Any) -> str:
    if isinstance(text, str) and _WORD.fullmatch(text):
        return text
    raise ValueError(f"the plan was edited: {show(text)} is no name, address or prefix")


def _number(text: Any) -> int:
    if re.fullmatch("[0-9]{1,5}", str(text)):
        return int(text)
    raise ValueError(f"the plan was edited: {show(text)} is no number")
