# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What checks a gateway's files before they are in place, and what takes them up, in the words of the module render.

Nothing that runs is ended because of a file that a running daemon can take up.

racoon and Quagga are no part of any current distribution: their commands have tokens, as their files have. @racoon@,
@policies@ and @quagga@ are paths (see files.LEGACY); `@unit setkey@`, `@unit racoon@`, `@unit zebra@` and `@unit bgpd@`
are names of units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import files, initiate, scripts, userland
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

_RELOAD = "/usr/lib/frr/frr-reload.py"
# A daemon that starts may be slow where the machine is.
_SECONDS = 120

Program = dict[str, Any]


@dataclass
class Programs:
    """validate, apply: items of these options of the module render. units: see gateway.files_of()."""

    validate: list[Program] = field(default_factory=list)
    apply: list[Program] = field(default_factory=list)
    units: list[str] = field(default_factory=list)


def strongswan_frr(gateway: Gateway) -> Programs:
    found = Programs()
    ipsec = _userland if gateway.ipsec == USERLAND else _kernel
    found.apply.append({"command": ["systemctl", "daemon-reload"], "when_changed": [files.UNIT, *files.INITIATE]})
    ipsec(gateway, found)
    _frr(found)
    found.apply.append({"command": ["systemctl", "try-restart", initiate.TIMER], "when_changed": [files.INITIATE[1]]})
    found.units.append(initiate.TIMER)
    return found


def racoon_quagga() -> Programs:
    """Nobody can say that the checkers are there. Quagga takes up nothing while it runs."""
    policies, folder = files.LEGACY.policies, files.LEGACY.quagga
    setkey, racoon, zebra, bgpd = (f"@unit {name}@" for name in ("setkey", "racoon", "zebra", "bgpd"))
    conf = f"{files.LEGACY.racoon}/racoon.conf"
    return Programs(
        [
            {"command": ["racoon", "-t", "-f", f"{{dest:{conf}}}"], "required": False},
            {"command": ["setkey", "-n", "-f", f"{{dest:{policies}}}"], "required": False},
            {"command": ["zebra", "-C", "-f", f"{{dest:{folder}/zebra.conf}}"], "required": False},
            {"command": ["bgpd", "-C", "-f", f"{{dest:{folder}/bgpd.conf}}"], "required": False},
        ],
        [
            # It ends with status 0 whatever it finds.
            {
                "command": ["sh", scripts.POLICIES, policies],
                "when_changed": [policies],
                "refuse": "File exists|[Ii]nvalid|parse failed|[Ee]rror",
            },
            # Keys are read when one is needed.
            {"command": ["systemctl", "reload-or-restart", racoon], "when_changed": [conf]},
            {"command": ["systemctl", "restart", zebra], "when_changed": [f"{folder}/zebra.conf", f"{folder}/daemons"]},
            {"command": ["systemctl", "restart", bgpd], "when_changed": [f"{folder}/*"]},
        ],
        [setkey, racoon, zebra, bgpd],
    )


def _kernel(gateway: Gateway, found: Programs) -> None:
    pattern = f"{files.SWANCTL}/{files.PREFIX}-*.conf"
    unit = "strongswan.service"
    if gateway.tunnels:
        found.validate.append(_check(gateway, pattern))
    found.apply += [
        {"command": ["systemctl", "restart", unit], "when_changed": [files.DAEMON], "timeout": _SECONDS},
        {
            "command": ["systemctl", "start", unit],
            "when_changed": [files.DEAD_PEERS, pattern],
            "timeout": _SECONDS,
        },
        {"command": ["swanctl", "--reload-settings"], "when_changed": [files.DEAD_PEERS]},
        {
            # Connections that are in no file any more go, with their SAs; so do keys.
            "command": ["swanctl", "--load-all", "--noprompt", "--clear"],
            "when_changed": [files.DAEMON, pattern],
            "expect": _loaded(gateway),
        },
    ]
    found.units.append(unit)


def _userland(gateway: Gateway, found: Programs) -> None:
    pattern = f"{userland.FOLDER}/*/conf.d/*.conf"
    if gateway.tunnels:
        found.validate.append(_check(gateway, pattern))
    found.validate.append({"command": ["sh", "-n", f"{{dest:{userland.FOLDER}/device}}"]})
    daemon = f"{userland.FOLDER}/*/strongswan.conf"
    found.apply.append({"command": ["sh", scripts.PRUNE], "when_changed": [daemon], "timeout": _SECONDS})
    for plan in gateway.tunnels:
        unit = userland.UNIT.replace("@", f"@{plan.name}")
        folder = f"{userland.FOLDER}/{plan.name}"
        found.units.append(unit)
        # Those that do not run yet are started when all is there.
        found.apply += [
            {
                "command": ["systemctl", "try-reload-or-restart", unit],
                "when_changed": [f"{folder}/conf.d/*", f"{folder}/device.env", f"{userland.FOLDER}/device"],
                "timeout": _SECONDS,
            },
            {
                "command": ["systemctl", "try-restart", unit],
                "when_changed": [files.UNIT, f"{folder}/strongswan.conf"],
                "timeout": _SECONDS,
            },
        ]


def _check(gateway: Gateway, pattern: str) -> Program:
    command = ["sh", f"{{dest:{scripts.CHECK}}}", "{folder}", pattern]
    return {"command": command, "expect": _loaded(gateway)}


def _loaded(gateway: Gateway) -> str:
    """Every tunnel's connection and key: for a file that it cannot take apart, swanctl ends with status 0."""
    words = [
        text
        for plan in gateway.tunnels
        for text in (f"loaded connection '{plan.name}'", f"loaded ike secret 'ike-{plan.name}'")
    ]
    return r"\A" + "".join(rf"(?=[\s\S]*^{word}$)" for word in words)


def _frr(found: Programs) -> None:
    conf, daemons = f"{files.FRR}/frr.conf", f"{files.FRR}/daemons"
    unit = "frr.service"
    found.validate += [
        {"command": ["sh", "-n", f"{{dest:{daemons}}}"]},
        {"command": ["vtysh", "-C", "-f", f"{{dest:{conf}}}"]},
    ]
    found.apply += [
        {"command": ["systemctl", "restart", unit], "when_changed": [daemons], "timeout": _SECONDS},
        {"command": ["systemctl", "start", unit], "when_changed": [conf], "timeout": _SECONDS},
        {"command": [_RELOAD, "--reload", conf], "when_changed": [conf], "timeout": _SECONDS},
        # It ends with status 0 whatever it finds.
        {
            "command": [_RELOAD, "--test", "--stdout", conf],
            "when_changed": [conf],
            "refuse": "^Lines [Tt]o",
            "timeout": _SECONDS,
        },
    ]
    found.units.append(unit)
