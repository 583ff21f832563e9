# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strongSwan by `swanctl --pretty`: the messages of its vici protocol, one setting in each line (5.9 and 6.0)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Argv, DaemonError, Esp, Ike, Ipsec

PROGRAM = "swanctl"

Section = dict[str, Any]

_SETTING = re.compile(r"(\S+) =(?: (.*))?")
# An SA that was replaced still takes packets until it is deleted.
_IKE_UP = ("ESTABLISHED", "REKEYING", "REKEYED")
_ESP_UP = ("INSTALLED", "UPDATING", "REKEYING", "REKEYED")
_NO_DAEMON = re.compile(r"connecting to '(?:unix://)?([^']*)' failed: (No such file or directory|Connection refused)")


def sas(socket: str | None = None) -> Argv:
    """Lists all SAs. socket: path of the daemon's vici socket; None for the one that swanctl knows."""
    return _list("--list-sas", socket)


def connections(socket: str | None = None) -> Argv:
    """Lists what is configured."""
    return _list("--list-conns", socket)


def _list(what: str, socket: str | None) -> Argv:
    return (PROGRAM, what, "--pretty", *(("--uri", f"unix://{socket}") if socket else ()))


def names(text: str) -> set[str]:
    """Names of the connections that are configured."""
    return {name for name, item in _events(text, "list-conn")}


def tunnels(text: str) -> dict[str, Ipsec]:
    """By name of the connection. While keys are replaced, and where both ends began, there are several SAs."""
    found: dict[str, list[Section]] = {}
    for name, item in _events(text, "list-sa"):
        found.setdefault(name, []).append(item)
    return {name: Ipsec(_ike(items), _esp(name, items)) for name, items in found.items()}


def not_running(error: str) -> str:
    """What the error says if it is that no daemon listens, else ""."""
    match = _NO_DAEMON.search(error)
    return f"no daemon listens at {match[1]}" if match else ""


def _ike(items: Iterable[Section]) -> Ike:
    best = max(items, key=lambda item: (item.get("state") in _IKE_UP, *_age(item, "established")))
    up = best.get("state") in _IKE_UP
    return Ike(
        str(best.get("state", "unknown")),
        up,
        _number(best, "version"),
        _number(best, "established") if up else None,
        proposal=_proposal(best),
        answered=str(best.get("responder-spi", "")).strip("0") != "" or best.get("initiator") != "yes",
    )


def _esp(name: str, items: Iterable[Section]) -> Esp | None:
    children = [child for item in items for child in item.get("child-sas", {}).values() if child.get("name") == name]
    if not children:
        return None
    best = max(
        children, key=lambda child: (child.get("state") in _ESP_UP, child.get("state") == _ESP_UP[0], *_age(child))
    )
    return Esp(
        str(best.get("state", "unknown")),
        best.get("state") in _ESP_UP,
        _number(best, "install-time"),
        _number(best, "bytes-in"),
        _number(best, "packets-in"),
        _number(best, "bytes-out"),
        _number(best, "packets-out"),
        _proposal(best),
    )


def _age(item: Mapping[str, Any], key: str = "install-time") -> tuple[int, int]:
    """Greater for newer ones. Those of one second are told apart by their number."""
    return -(_number(item, key) or 0), _number(item, "uniqueid") or 0


def _proposal(item: Mapping[str, Any]) -> str | None:
    """As swanctl prints it for people: AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384."""
    if "encr-alg" not in item:
        return None
    cipher = "-".join(str(item[key]) for key in ("encr-alg", "encr-keysize") if key in item)
    return "/".join([cipher, *(str(item[key]) for key in ("integ-alg", "prf-alg", "dh-group") if key in item)])


def _number(item: Mapping[str, Any], key: str) -> int | None:
    value = str(item.get(key, ""))
    return int(value) if value.isdigit() else None


def _events(text: str, event: str) -> Iterator[tuple[str, Section]]:
    """(name, section) of each section in the events of this name."""
    root: Section = {}
    stack = [root]
    items: list[str] | None = None
    for line in map(str.strip, text.splitlines()):
        setting = _SETTING.fullmatch(line) if items is None else None
        if items is not None:
            if line == "]":
                items = None
            else:
                items.append(line)
        elif setting and setting[2] == "[":
            items = stack[-1][setting[1]] = []
        elif setting:
            stack[-1][setting[1]] = setting[2] or ""
        elif line.endswith("{"):
            section: Section = {}
            stack[-1].setdefault(line[:-1].strip(), []).append(section)
            stack.append(section)
        elif line == "}" and len(stack) > 1:
            stack.pop()
    if len(stack) > 1 or items is not None:
        raise DaemonError(f"{PROGRAM}: its output ends too early")
    for message in root.get(f"{event} event", []):
        for name, sections in message.items():
            for section in sections:
                children = section.get("child-sas", [{}])[0]
                yield name, {**section, "child-sas": {key: inner[0] for key, inner in children.items()}}
