# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway's file plan on its way to the host: what stands for its tokens, and what takes away what it has no more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    KERNEL,
    RACOON,
    STRONGSWAN,
    USERLAND,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import files, frr, initiate, scripts

_PSK = re.compile(r"@psk ([^@\n]+)@")
_SECONDS = 120


def tokens(legacy: Mapping[str, str], hostname: str, forwarding6: bool) -> dict[str, str]:
    """Text by token, without keys. legacy: see the module's documentation. The line's end belongs to a line's token."""
    line = "" if forwarding6 else "no ipv6 forwarding\n"
    found = {files.HOSTNAME: hostname, f"{frr.NO_FORWARDING6}\n": line}
    found.update({f"@{name.replace('_', ' ')}@": text for name, text in legacy.items()})
    return found


def filled(plan: Mapping[str, Any], values: Mapping[str, str], psks: Mapping[str, str]) -> dict[str, Any]:
    """files, validate, apply and units of a file plan with all tokens replaced, in one pass: no value is looked into.

    psks: key by name of tunnel. Raises AnsibleActionFail where a key would get into anything but a secret file.
    """
    known = re.compile("|".join(re.escape(token) for token in sorted(values, key=len, reverse=True)))

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return known.sub(lambda match: values[match.group()], value)
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return value

    found = {key: fill(plan[key]) for key in ("files", "validate", "apply", "units")}
    for file in found["files"]:
        if file["secret"]:
            file["content"] = _PSK.sub(lambda match: psks[match.group(1)], file["content"])
    if _PSK.search(repr(found)):
        raise AnsibleActionFail("the plan would write a key to a file that is not secret, or to a command")
    return found


def farewell(plan: Mapping[str, Any] | None, legacy: Mapping[str, str]) -> list[dict[str, Any]]:
    """Programs for the end of `apply`: they take up that files of another provider or backend have gone.

    plan: the file plan; None where all is to go. Each program does nothing where its unit does not run.
    """
    provider, ipsec = (plan["provider"], plan["ipsec"]) if plan and plan["files"] else ("", "")
    folder, quagga, policies = (legacy[name] for name in ("racoon", "quagga", "policies"))
    programs: list[tuple[list[str], list[str]]] = []
    if provider != RACOON:
        programs += [
            (["sh", "-c", scripts.FORGET, "sh", policies], [policies]),
            (["systemctl", "try-restart", legacy["unit_racoon"]], [f"{folder}/*"]),
            (["systemctl", "try-restart", legacy["unit_zebra"], legacy["unit_bgpd"]], [f"{quagga}/*"]),
        ]
    if provider != STRONGSWAN:
        programs.append((["sh", "-c", scripts.STOP, "sh", initiate.TIMER], [files.INITIATE[1]]))
    reread = [*([] if ipsec == USERLAND else [files.UNIT]), *([] if provider == STRONGSWAN else files.INITIATE)]
    if reread:
        programs.append((["systemctl", "daemon-reload"], reread))
    if (provider, ipsec) != (STRONGSWAN, KERNEL):
        programs += [
            # What it loads at its start stays until its end.
            (["systemctl", "try-restart", "strongswan.service"], [files.DAEMON]),
            (["systemctl", "try-reload-or-restart", "strongswan.service"], [f"{files.SWANCTL}/{files.PREFIX}-*"]),
        ]
    if provider != STRONGSWAN:
        programs.append((["systemctl", "try-restart", "frr.service"], [f"{files.FRR}/*"]))
    return [{"command": command, "when_changed": paths, "timeout": _SECONDS} for command, paths in programs]
