# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, and what verify found, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.changes import Change
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.expectations import Result

ROWS = 200
WRONG, NOT_PROVED, PROVED = "WRONG", "not proved", "proved"


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A titled table in aligned columns; at most ROWS rows, the rest is counted."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    shown = texts[:ROWS]
    widths = [max(len(row[column]) for row in [list(header), *shown]) for column in range(len(header))]
    lines = [title, "  ".join(cell.ljust(width) for cell, width in zip(header, widths)).rstrip()]
    lines.append("  ".join("-" * width for width in widths))
    lines.extend("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown)
    if len(texts) > ROWS:
        lines.append(f"... and {len(texts) - ROWS} more")
    if not texts:
        lines.append("(none)")
    return "\n".join(lines)


def of_plan(summary: Mapping[str, Any], routes: Mapping[str, int], expectations: Sequence[Result] = ()) -> str:
    """What will be where. routes: number of routes by "host role". expectations: with their answers."""
    networks = {name: item for name, item in summary["networks"].items() if not item["flat"]}
    flat = {name: item for name, item in summary["networks"].items() if item["flat"]}
    parts = [_networks(networks)] if networks or not flat else []
    parts += [_flat_networks(flat)] if flat else []
    parts += [_hosts(summary, routes), _guests(summary), *_filters(summary)]
    connections = summary.get("connections")
    parts += [_connections(connections)] if connections else []
    parts += [of_expectations(expectations)] if expectations else []
    return "\n\n".join(parts)


def of_allocations(changes: Sequence[Change], file: str) -> str:
    """How the lock file is to be changed, as a part of a text; "" where it has all. file: its path."""
    if not changes:
        return ""
    rows = ((item.what, item.network, item.owner, item.values) for item in changes)
    return "\n\n" + table(f"Allocations for {file}", ("", "network", "guest", "what"), rows)


def _networks(networks: Mapping[str, Any]) -> str:
    return table(
        "Networks",
        (
            "name",
            "vpc",
            "prefix",
            "IPv6 prefix",
            "gateway",
            "bridge address",
            "table",
            "nat",
            "switching",
            "guests",
            "free",
        ),
        (
            (
                name,
                item["vpc"],
                item["cidr"],
                item["cidr6"],
                item["gateway"],
                item["bridge_address"],
                item["table"],
                "yes" if item["nat"] else "no",
                item["local_switching"],
                item["guests"],
                item["free"],
            )
            for name, item in networks.items()
        ),
    )


def _flat_networks(networks: Mapping[str, Any]) -> str:
    return table(
        "Flat networks, on bridges of others",
        ("name", "prefix", "IPv6 prefix", "gateway", "IPv6 gateway", "bridge", "uplinks", "guests", "free"),
        (
            (
                name,
                item["cidr"],
                item["cidr6"],
                item["gateway"],
                item["gateway6"],
                item["bridge"],
                " ".join(item["uplinks"]),
                item["guests"],
                item["free"],
            )
            for name, item in networks.items()
        ),
    )


def _hosts(summary: Mapping[str, Any], routes: Mapping[str, int]) -> str:
    return table(
        "Hosts",
        ("name", "roles", "backend", "underlay", "IPv6 underlay", "routes"),
        (
            (
                name,
                " ".join(item["roles"]),
                item["backend"],
                item["underlay"],
                item["underlay6"],
                " ".join(str(routes[f"{name} {role}"]) for role in item["roles"] if f"{name} {role}" in routes),
            )
            for name, item in summary["hosts"].items()
        ),
    )


def _guests(summary: Mapping[str, Any]) -> str:
    grouped = bool(summary.get("security_groups"))
    header = ("name", "hypervisor", "network", "address", "IPv6 address", "MAC", "interface")
    return table(
        "Guests",
        (*header, "security groups") if grouped else header,
        (
            (
                name,
                item["hypervisor"],
                interface["network"],
                interface["address"],
                interface["address6"],
                interface["mac"],
                interface["vif"],
                *((" ".join(interface.get("security_groups", ())),) if grouped else ()),
            )
            for name, item in summary["instances"].items()
            for interface in item["interfaces"]
        ),
    )


def _filters(summary: Mapping[str, Any]) -> list[str]:
    """Tables of what lets packets through, or leads them elsewhere; none of what nobody uses."""
    parts = []
    if summary.get("security_groups"):
        members = texts.members(summary)
        parts.append(
            table(
                "Security groups",
                ("name", "stateful", "logs drops", "guests", "rule", "what", "with", "action"),
                (
                    (name, *(("yes" if item[key] else "no") for key in ("stateful", "log")), members[name], *row)
                    if first
                    else ("", "", "", "", *row)
                    for name, item in summary["security_groups"].items()
                    for first, row in texts.rows(item)
                ),
            )
        )
    acls = {name: item["acl"] for name, item in summary["networks"].items() if "acl" in item}
    if acls:
        parts.append(
            table(
                "Network ACLs",
                ("network", "rule", "what", "with", "action"),
                ((name if first else "", *row) for name, item in acls.items() for first, row in texts.rows(item)),
            )
        )
    if summary.get("peerings"):
        rows = (
            (name, " ".join(item["vpcs"]), *(" ".join(names) for names in item["networks"]))
            for name, item in summary["peerings"].items()
        )
        parts.append(table("Peerings", ("name", "VPCs", "networks of the first", "of the second"), rows))
    public = texts.public(summary)
    if public:
        parts.append(table("Public addresses", ("address", "ports", "leads to", "port", "helper"), public))
    if summary.get("nat_pools"):
        pools = summary["nat_pools"].items()
        rows = ((name, "-".join(dict.fromkeys(item["addresses"])), " ".join(item["networks"])) for name, item in pools)
        parts.append(table("NAT pools", ("name", "addresses", "networks"), rows))
    return parts


def of_expectations(results: Sequence[Result]) -> str:
    """What was expected, and what the plan says; those that it does not fulfil first, so that none is cut off."""
    order = {False: 0, None: 1, True: 2}
    words = {False: WRONG, None: "others decide", True: "yes"}
    return table(
        "Expectations",
        ("from", "to", "port", "expected", "verdict", "fulfilled", "decided by"),
        (
            (
                item.question.source,
                item.question.target,
                item.question.text + (f" IPv{item.question.family}" if item.question.family else ""),
                item.expected,
                item.answer.verdict,
                words[item.right],
                item.answer.decided,
            )
            for item in sorted(results, key=lambda item: order[item.right])
        ),
    )


def _connections(connections: Mapping[str, Any]) -> str:
    return table(
        "VPN connections",
        ("name", "gateway", "vpc", "tunnel", "outside", "inside", "ASNs", "mode", "announce", "accept"),
        (
            (
                name,
                item["gateway"],
                item["vpc"],
                tunnel["name"],
                f"{_outside(tunnel)} -> {tunnel['peer_outside_address']}",
                f"{tunnel['inside_address']} -> {tunnel['peer_inside_address']}" if tunnel["inside_address"] else "",
                f"{item['bgp']['customer_asn']} -> {item['bgp']['amazon_asn']}" if item["bgp"] else "static",
                item["mode"],
                _some(item["announce"]),
                _some(item["remote"]),
            )
            for name, item in connections.items()
            for tunnel in item["tunnels"]
        ),
    )


def _outside(tunnel: Mapping[str, Any]) -> str:
    local, outside = tunnel["local_address"], tunnel["outside_address"]
    return str(local) if local == outside else f"{local} (NAT: {outside})"


def _some(texts: Sequence[str], most: int = 3) -> str:
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return "; ".join([*texts[:most], *more])


def of_verify(
    kernels: Sequence[Mapping[str, Any]],
    probes: Sequence[Mapping[str, Any]],
    tunnels: Sequence[Mapping[str, Any]] = (),
    expectations: Sequence[Result] = (),
    proofs: Sequence[Mapping[str, Any]] = (),
) -> tuple[str, int]:
    """(text, number of faults).

    kernels: {host, role, state, objects}; probes: {source, target, sent, right, wrong: [text]}; tunnels: {host, name,
    peer, up, verdict, reason, esp, bgp} as vpn_status returns them, esp None where the host gave no answer.
    expectations: with the plan's answers; proofs: {path, text, sent, outcome, fault} of the packets that prove them.
    """
    drift = table(
        "Kernel and boot files against the plan",
        ("host", "role", "state", "what differs"),
        ((item["host"], item["role"], item["state"], _some(item["objects"])) for item in kernels),
    )
    packets = table(
        "Packets",
        ("sent from", "to", "sent", "as planned"),
        ((item["source"], item["target"], item["sent"], item["right"]) for item in probes),
    )
    up = sum(1 for item in tunnels if item["up"])
    faults = sum(1 for item in kernels if item["state"] != "as planned")
    faults += sum(item["sent"] - item["right"] for item in probes) + len(tunnels) - up
    wrong = [text for item in probes for text in item["wrong"]]
    wrong += [f"{item['text']}: {item['fault']}" for item in proofs if item["sent"] and item["fault"]]
    parts = [drift, _tunnels(tunnels), packets] if tunnels else [drift, packets]
    done = [f"{len(kernels)} roles compared", f"{sum(item['sent'] for item in probes)} packets sent"]
    done += [f"{up} of {len(tunnels)} tunnels up"] if tunnels else []
    if expectations:
        text, words = _proofs(expectations, proofs)
        parts.append(text)
        faults += words.count(WRONG)
        done.append(f"{words.count(PROVED)} of {len(words)} expectations proved")
        done += [f"{words.count(NOT_PROVED)} not proved"] if NOT_PROVED in words else []
    if wrong:
        parts.append(table("Packets that went wrong", ("what",), ([text] for text in wrong)))
    parts.append(f"{', '.join(done)}: " + ("all as planned" if not faults else f"{faults} faults"))
    return "\n\n".join(parts), faults


def _proofs(expectations: Sequence[Result], proofs: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """(table, a word for each)."""
    by_path: dict[str, list[Mapping[str, Any]]] = {}
    for item in proofs:
        by_path.setdefault(item["path"], []).append(item)
    rows = []
    for result in expectations:
        found = by_path.get(result.path, [])
        faults = [item["fault"] for item in found if item["sent"] and item["fault"]]
        silent = [item["fault"] for item in found if not item["sent"]]
        outcomes = [item["outcome"] for item in found if item["outcome"]]
        counted = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes))
        if faults or result.right is False:
            word, why = WRONG, _some(list(dict.fromkeys(faults))) or result.answer.decided
        elif silent or not found:
            word, why = NOT_PROVED, _some(list(dict.fromkeys(silent))) or "no packet was sent"
        else:
            word, why = PROVED, result.answer.decided
        rows.append((word, result.text, result.expected, result.answer.verdict, counted, why))
    order = (WRONG, NOT_PROVED, PROVED)
    header = ("", "from and to", "expected", "plan", "packets", "why")
    rows.sort(key=lambda row: order.index(row[0]))
    return table("Expectations, proved with packets", header, rows), [row[0] for row in rows]


def _tunnels(tunnels: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for item in tunnels:
        esp, bgp = item["esp"] or {}, item["bgp"] or {}
        rows.append(
            (
                item["host"],
                item["name"],
                item["peer"],
                _moment(esp.get("since")),
                _moment(bgp.get("since")),
                _some(bgp.get("accepted", [])),
                _some(bgp.get("advertised", [])),
                f"{item['verdict']}: {item['reason']}" if item["reason"] else item["verdict"],
            )
        )
    header = ("host", "tunnel", "peer", "IPsec since", "BGP since", "prefixes in", "prefixes out", "verdict")
    return table("Tunnels, times in UTC", header, rows)


def _moment(text: str | None) -> str | None:
    """2026-11-22T10:49:12Z without what a column says once."""
    return text and text.replace("T", " ").rstrip("Z")
