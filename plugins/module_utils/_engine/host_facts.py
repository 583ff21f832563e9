# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection has on a host, read from the host alone: no plan is needed, and nothing of others shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.reading import Reader, States
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import systemd, vif
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import RUNTIME, Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, SCOPES, SECURITY_GROUPS

# Sets of members that rules name, and what leads from a guest's address to its groups: in nft and in ipset.
_MEMBERS = re.compile(
    rf"(?:inet {SECURITY_GROUPS.table} set members[46]_|{SECURITY_GROUPS.prefix}m[46]-)(\S+)(?: (\S+))?"
)
_JUDGED = re.compile(rf"(?:inet {SECURITY_GROUPS.table} map to[46](?:_nets)?|{SECURITY_GROUPS.prefix}own[46]) (\S+)")


def collect(run: Callable[[Command], Output], root: str = "") -> dict[str, Any]:
    """{roles, guests, groups, local}; see the documentation of module host_info. Raises RefusedError."""
    states: dict[str, States] = {}
    roles = []
    for scope in SCOPES.values():
        record = store.read_json(f"{root}{systemd.FOLDER}/{scope.name}/record.json")
        if not record:
            continue
        reader = Reader(scope, run, root)
        plan = record.pop("plan", {}).get("id") or None
        files = len(record.pop("file", {}))
        record.pop("folder", None)
        reader.record = record
        found = states[scope.name] = reader.read(record)
        objects = {name: len(state) for name, state in found.items() if state}
        roles.append({"name": scope.name, "plan_id": plan, "objects": {**objects, "file": files}})
    return {
        "roles": roles,
        "guests": list(_guests(f"{root}{RUNTIME}/{ANTISPOOF.name}/vif")),
        **_groups(f"{root}{systemd.FOLDER}/{SECURITY_GROUPS.name}", states.get(SECURITY_GROUPS.name, {})),
    }


def _guests(folder: str) -> Iterator[dict[str, Any]]:
    """Ports that the guard's helper knows."""
    for name in _names(folder):
        record = vif.parse_record(store.read_text(f"{folder}/{name}") or "")
        if record is not None:
            yield {"port": name, "mac": record.guest.replace("-", ":"), "present": record.here}


def _groups(folder: str, state: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Security groups with their members, and the host's own guests with their groups."""
    inside: dict[str, set[str]] = {}
    judged: set[str] = set()
    for key in (*state.get("nft", {}), *state.get("ipset", {})):
        found = _MEMBERS.fullmatch(key)
        if found:
            inside.setdefault(found[1], set()).add(found[2])
        elif own := _JUDGED.fullmatch(key):
            judged.add(own[1])
    guests: dict[str, str] = {}
    groups = []
    for group in _names(f"{folder}/members"):
        members = []
        for line in (store.read_text(f"{folder}/members/{group}") or "").splitlines():
            address, _space, guest = line.partition(" ")
            guests[address] = guest
            here = address in inside[group] if group in inside else None
            members.append({"address": address, "guest": guest, "in_kernel": here})
        groups.append({"name": group, "members": members})
    local = []
    for line in (store.read_text(f"{folder}/guests") or "").splitlines():
        address, *names = line.split()
        here = address in judged
        local.append({"address": address, "guest": guests.get(address), "groups": names, "in_kernel": here})
    return {"groups": groups, "local": local}


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
