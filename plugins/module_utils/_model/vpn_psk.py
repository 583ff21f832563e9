# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-shared keys: what one may look like, and how it stays out of plans, digests and messages.

No text that leaves this file has a key or a part of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind

# No key can be spelt like this. What is wrong with a key may follow, after a blank.
HIDDEN = "<hidden>"

_ALLOWED = re.compile(r"[A-Za-z0-9._]*")
_LENGTHS = (8, 64)
_NO_KEY = (type(None), int, float, list, tuple, Mapping)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_psk(value: object) -> None:
    """Accept a key that AWS could have made and that no program reads as anything but itself.

    Raises ValueError; its text continues the name of the place where the key was found.
    """
    if not isinstance(value, str):
        hint = ": put it in quotes" if isinstance(value, (int, float)) else ""
        raise ValueError(f"is {kind(value)}; a string is needed{hint}")
    text = str.__str__(value)
    low, high = _LENGTHS
    if not low <= len(text) <= high:
        raise ValueError(f"has {len(text)} characters: {low} to {high} are needed")
    if not _ALLOWED.fullmatch(text):
        raise ValueError("has a character that is not allowed: A-Z a-z 0-9 . _")
    # racoon and strongSwan read 0x and 0s as the start of an encoding.
    if text[0] == "0":
        raise ValueError("starts with 0, which is not allowed")


def read_reference(report: Report, path: str, item: Mapping[str, Any]) -> str | None:
    """The variable that `psk_variable` of a tunnel names; None where the tunnel has `psk`, or neither can be read."""
    if "psk_variable" in item:
        if "psk" in item:
            report.add(f"{path}.psk_variable", "cannot be combined with psk")
        return _variable(report, f"{path}.psk_variable", item["psk_variable"])
    if "psk" not in item:
        report.add(f"{path}.psk", "is missing (or psk_variable, the name of a variable that has it)")
    else:
        reason = _hidden(item["psk"])[len(HIDDEN) + 1 :]
        if reason:
            report.add(f"{path}.psk", reason)
    return None


def _hidden(value: Any) -> str:
    """HIDDEN, and what is wrong with the key."""
    if isinstance(value, str) and value.startswith(HIDDEN):
        return str.__str__(value)
    try:
        check_psk(value)
    except ValueError as error:
        return f"{HIDDEN} {error}"
    return HIDDEN


def _variable(report: Report, path: str, value: Any) -> str | None:
    if not isinstance(value, str):
        report.add(path, f"is {kind(value)}; the name of a variable is needed")
    elif not _VARIABLE.fullmatch(value):
        # Not shown: it may be the key itself.
        report.add(path, "is not the name of a variable: A-Z a-z 0-9 _, not starting with a digit")
    else:
        return str.__str__(value)
    return None


def read_variables(report: Report, path: str, value: Any) -> tuple[str | None, ...]:
    """A list of names of variables; None for what is refused."""
    if not isinstance(value, (list, tuple)):
        report.add(path, f"is {kind(value)}; a list of names of variables is needed")
        return ()
    return tuple(_variable(report, f"{path}[{index}]", item) for index, item in enumerate(value))


def hide_psks(connections: Any, resolve: Callable[[Any], Any] | None = None) -> Any:
    """vpc_vpn_connections with HIDDEN in place of every key, whatever else is in it.

    What is wrong with a key is said behind it, so that the model refuses it. Values that are no key in any case (null,
    numbers, lists) stay, so that they are refused for what they are. resolve: gives the key that a value stands for, or
    raises ValueError with the reason why there is none; without it, what is no text is hidden unseen.
    """
    if isinstance(connections, (list, tuple)):
        return [_without(connection, "tunnels", resolve) for connection in connections]
    return connections


def _without(value: Any, inner: str | None, resolve: Callable[[Any], Any] | None) -> Any:
    if not isinstance(value, Mapping):
        return value
    hidden = dict(value)
    if inner is not None and isinstance(hidden.get(inner), (list, tuple)):
        hidden[inner] = [_without(item, None, resolve) for item in hidden[inner]]
    if "psk" in hidden and not isinstance(hidden["psk"], _NO_KEY):
        hidden["psk"] = _resolved(hidden["psk"], resolve)
    return hidden


def _resolved(value: Any, resolve: Callable[[Any], Any] | None) -> Any:
    if isinstance(value, str) and value.startswith(HIDDEN):
        return value
    if resolve is None:
        return _hidden(value) if isinstance(value, str) else HIDDEN
    try:
        value = resolve(value)
    except ValueError as error:
        return f"{HIDDEN} {error}"
    return value if isinstance(value, _NO_KEY) else _hidden(value)
