# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the gateway: print what a restart of a daemon or a new SA or session would change, a line for each thing."""

from __future__ import annotations

import json
import re
import subprocess
import sys

UNITS = ("frr.service", "plainlinux-vpc-vpn@*.service")


def output(*command: str) -> str:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def main() -> None:
    lines = []
    shown = ("--property", "Id,MainPID,NRestarts,ActiveEnterTimestampMonotonic")
    for block in output("systemctl", "show", *shown, *UNITS).split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        lines.append(f"unit {values.pop('Id')} {' '.join(f'{key}={values[key]}' for key in sorted(values))}")
        instance = re.search(r"@(.+)\.service", lines[-1])
        if instance:
            socket = f"unix:///run/plainlinux-vpc-vpn/{instance[1]}/vici"
            sas = output("swanctl", "--list-sas", "--raw", "--uri", socket)
            found = re.findall(r"\b(initiator-spi|responder-spi|spi-in|spi-out)=(\w+)", sas)
            lines.append(f"sa {instance[1]} {' '.join(f'{key}={value}' for key, value in sorted(found))}")
    for daemon in ("zebra", "bgpd", "staticd", "watchfrr"):
        lines.append(f"process {daemon} {output('pidof', daemon).strip()}")
    for neighbor in json.loads(output("vtysh", "-c", "show bgp neighbors json")).values():
        if isinstance(neighbor, dict):
            counts = [neighbor[key] for key in ("connectionsEstablished", "connectionsDropped")]
            lines.append(f"bgp {neighbor['nbrDesc']} {neighbor['bgpState']} {counts}")
    sys.stdout.write("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
