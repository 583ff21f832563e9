# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks cannot share: bridges, uplinks, prefixes, addresses of hosts; and whether their guests fit in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ifname import OWN_BRIDGE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import SECTION, Networks


def check_bridges(report: Report, found: Networks) -> None:
    """Report bridges and uplinks that two networks claim."""
    own = {f"{OWN_BRIDGE}{place.name}": place.path for place in found.places.values() if not place.flat}
    claimed = found.claimed
    for place in found.flat.values():
        name = place.bridge
        if name is None:
            continue
        if name in own:
            report.add(f"{place.path}.bridge", f"{name} is the name of the bridge that {own[name]} gets")
        elif name in claimed:
            report.add(f"{place.path}.bridge", f"{name} is already {claimed[name]}")
        else:
            claimed[name] = f"the bridge of {place.path}"
    for place in found.flat.values():
        for name in place.uplinks:
            if name in claimed:
                report.add(f"{place.path}.uplinks", f"{name} is already {claimed[name]}")
            else:
                claimed[name] = f"an uplink of {place.path}"


def check_overlaps(report: Report, found: Networks) -> None:
    """Report, at the later of them, networks that overlap: a router has one table for all VPCs."""
    for family, key in ((4, "cidr"), (6, "cidr6")):
        prefixes = found.prefixes[family]
        texts = {index: prefix for prefix, index in prefixes}
        others: dict[int, list[int]] = {}
        for one, two in _overlaps(prefixes):
            others.setdefault(max(one, two), []).append(min(one, two))
        for index, earlier in others.items():
            first = min(earlier)
            more = f" and {len(earlier) - 1} more" if len(earlier) > 1 else ""
            report.add(
                f"{SECTION}[{index}].{key}",
                f"{texts[index].text} overlaps {SECTION}[{first}].{key} {texts[first].text}{more}",
            )


def _overlaps(prefixes: Sequence[tuple[Prefix, int]]) -> list[tuple[int, int]]:
    """Pairs of indexes of overlapping prefixes; of several equal prefixes only the first stands for the others.

    Two prefixes are disjoint or nested, so in sorted order whatever encloses a prefix is on a short stack.
    """
    pairs: list[tuple[int, int]] = []
    stack: list[tuple[int, int, int]] = []
    for prefix, index in sorted(prefixes):
        base, last = prefix.base, prefix.last
        while stack and stack[-1][1] < base:
            stack.pop()
        pairs.extend((index, other) for start, end, other in stack)
        if not stack or stack[-1][:2] != (base, last):
            stack.append((base, last, index))
    return pairs


def check_underlay(report: Report, found: Networks, underlay: Mapping[int, list[tuple[int, str]]]) -> None:
    """Report networks that contain a host's own address: guests would take the hosts' traffic.

    In a flat network, where hosts may be at home, their addresses are reserved.
    """
    for family, key in ((4, "cidr"), (6, "cidr6")):
        hosts = sorted(underlay[family])
        for prefix, index in found.prefixes[family]:
            at = bisect_left(hosts, (prefix.first, ""))
            end = bisect_left(hosts, (prefix.last + 1, ""))
            if index in found.flat:
                place = found.flat[index]
                reserved = place.reserved if family == 4 else place.reserved6
                for address, path in hosts[at:end]:
                    reserved.setdefault(address, path)
            elif at < end:
                address, path = hosts[at]
                more = f" and {end - at - 1} more" if end - at > 1 else ""
                report.add(
                    f"{SECTION}[{index}].{key}",
                    f"{prefix.text} contains {path} {format_address(family, address)}{more}",
                )


def check_space(report: Report, found: Networks) -> None:
    """Report networks with more interfaces than addresses: those left out are allocated from what is free."""
    for place in found.places.values():
        cidr, cidr6 = place.cidr[4], place.cidr[6]
        # Network and broadcast address; the subnet-router anycast address.
        taken, taken6 = 2 + len(place.reserved), 1 + len(place.reserved6)
        for family, key, prefix, free in ((4, "cidr", cidr, -taken), (6, "cidr6", cidr6, -taken6)):
            needed = place.interfaces - place.without[family]
            if prefix is not None and needed > prefix.size + free:
                report.add(
                    f"{place.path}.{key}",
                    f"{prefix.text} has {prefix.size + free} addresses for guests, {needed} are needed",
                )
