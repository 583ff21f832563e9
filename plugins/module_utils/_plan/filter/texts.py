# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters, and what is open, in the words of people. All from the summary of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ICMP, ICMPV6, TCP, UDP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

_PROTOCOLS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6"}
# So many names, or other sides of a rule, are written out.
_NAMED = 4


def rows(item: Mapping[str, Any]) -> Iterator[tuple[bool, tuple[str, str, str, str]]]:
    """(whether it is the first, (rule, what, other side, action)) of a group or an ACL; at least one."""
    found: list[tuple[str, str, str, str]] = []
    for side in ("ingress", "egress"):
        if item[side] is None:
            found.append((side, "everything", "anybody", "accept"))
        for index, rule in enumerate(item[side] or ()):
            found.append((f"{side}[{index}]", what(rule), peers(rule), rule["action"]))
        if item[side] == []:
            found.append((side, "everything", "anybody", "drop"))
    for index, row in enumerate(found):
        yield index == 0, row


def what(rule: Mapping[str, Any]) -> str:
    """Protocol, ports and ICMP type of a rule."""
    if "protocol" not in rule:
        return "everything"
    words = [_PROTOCOLS.get(rule["protocol"], f"protocol {rule['protocol']}")]
    words += [f"{first}-{last}" if first < last else str(first) for first, last in rule.get("ports", ())]
    if "icmp" in rule:
        number, code = rule["icmp"]
        words.append(f"type {number}" + (f" code {code}" if code is not None else ""))
    return " ".join(words)


def peers(rule: Mapping[str, Any]) -> str:
    """The other side of a rule."""
    return _some([word for peer in rule.get("peers", ()) for word in peer.values()]) or "anybody"


def members(summary: Mapping[str, Any]) -> dict[str, int]:
    """Number of interfaces in each group."""
    found = dict.fromkeys(summary["security_groups"], 0)
    for instance in summary["instances"].values():
        for interface in instance["interfaces"]:
            for group in interface.get("security_groups", ()):
                found[group] += 1
    return found


def public(summary: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """(address, ports, guest, port there, helper) of everything that leads from outside to a guest."""
    found = [
        (address, "all", _interface(item), "same", "") for address, item in summary.get("public_addresses", {}).items()
    ]
    for item in summary.get("port_forwards", {}).values():
        ports = what({"protocol": item["protocol"], "ports": [item["ports"]]})
        found.append(
            (item["address"] or "router's", ports, _interface(item), str(item["to_port"]), item["helper"] or "")
        )
    return found


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """What somebody who uses groups may not expect."""
    if not summary.get("security_groups"):
        return []
    found = []
    grouped: set[str] = set()
    open_ones: dict[str, None] = {}
    for name, instance in summary["instances"].items():
        for interface in instance["interfaces"]:
            if interface.get("security_groups"):
                grouped.add(instance["hypervisor"])
            else:
                open_ones[name] = None
    if grouped and open_ones:
        count = f"{len(open_ones)} guests are" if len(open_ones) > 1 else "1 guest is"
        found.append(
            f"{count} in no security group, and open: {_some(list(open_ones))}. "
            "A group named default would be that of guests that name none."
        )
    unguarded = [name for name in sorted(grouped) if ANTISPOOF.name not in summary["hosts"][name]["roles"]]
    if unguarded:
        found.append(
            f"security groups trust source addresses, but vpc_antispoof is off on {_some(unguarded)}: "
            "guests there may pass for others"
        )
    return found


def _interface(item: Mapping[str, Any]) -> str:
    return f"{item['instance']}.{item['number']}" if item["number"] else str(item["instance"])


def _some(words: list[str]) -> str:
    more = [f"and {len(words) - _NAMED} more"] if len(words) > _NAMED else []
    return ", ".join([*words[:_NAMED], *more])
