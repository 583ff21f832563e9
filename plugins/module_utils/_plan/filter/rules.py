# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the model as JSON, for plan.json and the hosts' slices. match.py reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Peer, Rule


def to_json(rule: Rule) -> dict[str, Any]:
    """{action, protocol, ports: [[first, last]], icmp: [type, code or null], peers: [{prefix|list|group}], path}.

    Only action and path are always there; a key that is absent does not narrow what the rule matches.
    """
    found: dict[str, Any] = {"action": rule.action}
    if rule.protocol is not None:
        found["protocol"] = rule.protocol
    if rule.ports:
        found["ports"] = [list(pair) for pair in rule.ports]
    if rule.icmp is not None:
        found["icmp"] = list(rule.icmp)
    if rule.peers:
        found["peers"] = [_peer(peer) for peer in rule.peers]
    found["path"] = rule.path
    return found


def many(rules: Iterable[Rule] | None) -> list[dict[str, Any]] | None:
    """The rules of one direction; None stays None."""
    return None if rules is None else [to_json(rule) for rule in rules]


def _peer(peer: Peer) -> dict[str, str]:
    if peer.prefix is not None:
        return {"prefix": peer.prefix.text}
    if peer.list is not None:
        return {"list": peer.list}
    return {"group": peer.group or ""}
