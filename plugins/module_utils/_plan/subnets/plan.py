# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole answer to a request for subnets."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_current import Key
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_request import (
    Request,
    read_request,
    subnet_name,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.layout import Layout, layouts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.moves import Journey, travel
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.space import size
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.steps import Steps

_CIDRS = {4: "cidr", 6: "cidr6"}
_FAMILIES = {4: "ipv4", 6: "ipv6"}


def plan_subnets(raw: Any) -> dict[str, Any]:
    """Read a request and answer it, in values that YAML and JSON have. Raises ModelErrors with every mistake."""
    request = read_request(raw)
    found: dict[int, Layout] = {}
    journeys: dict[int, Journey] = {}
    errors: list[ModelError] = []
    for family in request.prefixes:
        try:
            found[family], journeys[family] = _best(request, family)
        except ModelErrors as refused:
            errors += refused.errors
    if errors:
        raise ModelErrors(errors)
    return _Answer(request, found, journeys).result()


def _best(request: Request, family: int) -> tuple[Layout, Journey]:
    """The best layout to which there is a way."""
    first: ModelErrors | None = None
    for layout in layouts(request, family):
        try:
            return layout, travel(request, layout)
        except ModelErrors as stuck:
            first = first or stuck
    raise first or ModelErrors(())


class _Answer:
    """layouts, journeys: by family."""

    def __init__(self, request: Request, layouts: dict[int, Layout], journeys: dict[int, Journey]) -> None:
        self.request = request
        self.layouts = layouts
        self.journeys = journeys

    def result(self) -> dict[str, Any]:
        steps = Steps()
        for family, journey in self.journeys.items():
            steps.add(family, journey)
        purposes = self.request.purposes
        free = {family: layout.free() for family, layout in self.layouts.items()}
        largest = {family: space.largest() for family, space in free.items()}
        return {
            "subnets": [self._subnet(key) for purpose in purposes for key in purpose.keys],
            "networks": [
                {"name": subnet_name(key), **self._cidrs(key), **copy.deepcopy(purpose.network)}
                for purpose in purposes
                for key in purpose.keys
            ],
            "blocks": {
                purpose.name: _texts(block for layout in self.layouts.values() for block in layout.blocks[purpose.name])
                for purpose in purposes
            },
            "spare": {
                purpose.name: _texts(rest for layout in self.layouts.values() for rest in layout.spare(purpose.name))
                for purpose in purposes
            },
            "free": _texts(prefix for space in free.values() for prefix in space.prefixes),
            "largest_free": {_FAMILIES[family]: found.text if found else None for family, found in largest.items()},
            "reserved": _texts(prefix for layout in self.layouts.values() for prefix in layout.reserved),
            "utilisation": {
                _FAMILIES[family]: self._utilisation(layout, free[family].prefixes)
                for family, layout in self.layouts.items()
            },
            "stays": [
                {"family": family, "name": subnet_name(key), "zone": key[1], "prefix": prefix.text}
                for family, journey in self.journeys.items()
                for key, prefix in journey.stays.items()
            ],
            "moves": [move for family in self.layouts for move in self._moves(family)],
            "steps": steps.listed,
        }

    def _subnet(self, key: Key) -> dict[str, Any]:
        return {"name": subnet_name(key), "purpose": key[0], "zone": key[1], **self._cidrs(key)}

    def _cidrs(self, key: Key) -> dict[str, str]:
        return {_CIDRS[family]: layout.subnets[key].text for family, layout in self.layouts.items()}

    def _utilisation(self, layout: Layout, free: list[Prefix]) -> dict[str, int | float]:
        """In addresses, but percent: what the subnets have of the whole."""
        used = size(layout.subnets.values())
        return {
            "total": layout.whole.size,
            "used": used,
            "spare": sum(size(layout.spare(purpose.name)) for purpose in self.request.purposes),
            "reserved": size(layout.reserved),
            "free": size(free),
            "percent": round(100 * used / layout.whole.size, 2),
        }

    def _moves(self, family: int) -> list[dict[str, Any]]:
        """From where to where, in the order of the subnets. via: temporary prefixes."""
        current = self.request.current.get(family, {})
        temporary: dict[Key, str] = {}
        for visit in self.journeys[family].visits:
            temporary.update({hop.key: hop.target.text for hop in visit.hops if hop.temporary})
        return [
            {
                "family": family,
                "name": subnet_name(key),
                "zone": key[1],
                "from": current[key].text,
                "to": prefix.text,
                "via": temporary.get(key),
            }
            for key, prefix in self.layouts[family].subnets.items()
            if key in current and current[key] != prefix
        ]


def _texts(prefixes: Iterable[Prefix]) -> list[str]:
    return [prefix.text for prefix in prefixes]
