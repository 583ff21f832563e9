# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot unit: restores what was applied, with the distribution's tools only (systemd.service(5))."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
)

UNIT = "plainlinux-vpc.service"
FOLDER = "/etc/plainlinux-vpc"
SCRIPT = f"{FOLDER}/boot"

UNIT_TEXT = f"""# Written by the Ansible collection plainlinux.vpc; changes are overwritten.
[Unit]
Description=Private cloud network (plainlinux.vpc)
Documentation=file:{FOLDER}
Wants=network-online.target
After=network-online.target systemd-networkd.service systemd-modules-load.service systemd-sysctl.service
After=nftables.service netfilter-persistent.service firewalld.service ufw.service docker.service
Before=libvirtd.service libvirt-guests.service virtqemud.service
Before=xen.service xendomains.service lxc.service pve-guests.service
# nftables.service flushes every table when it stops, starts or reloads. systemd-networkd, when it starts, may take
# addresses away and give them back, and the kernel removes the routes with them. Come back after both.
PartOf=nftables.service systemd-networkd.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}
ExecReload={SCRIPT}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target nftables.service systemd-networkd.service
"""

SCRIPT_HEAD = """#!/bin/sh
# Written by the Ansible collection plainlinux.vpc; changes are overwritten.
# Restores the state that was applied last. May run at any time: what is there already stays as it is.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

# Routes need the underlay address; give a slow interface a minute.
wait_for() {
  n=0
  until index=$(ip -o addr show | grep -F " $1/"); do
    n=$((n + 1))
    if [ "$n" -gt 120 ]; then
      echo "no interface has the underlay address $1" >&2
      exit 1
    fi
    sleep 0.5
  done
  settle "${index%%:*}"
}

# A networkd that has just started may yet take the address away and give it back: half a minute to finish.
settle() {
  n=0
  while [ -e /run/systemd/units/invocation:systemd-networkd.service ] && [ "$n" -lt 150 ]; do
    grep -qsE '^ADMIN_STATE=(configured|unmanaged|failed|linger)$' "/run/systemd/netif/links/$1" && break
    n=$((n + 1))
    sleep 0.2
  done
}
"""


def script(shells: Sequence[str], scopes: Sequence[str]) -> str:
    """The boot script: every subsystem's shell, for the folder of each scope that is installed."""
    body = "\n".join(shell.strip("\n") for shell in shells if shell)
    indented = "\n".join(f"  {line}" if line else line for line in body.splitlines())
    return (
        f"{SCRIPT_HEAD}\nfor scope in {' '.join(scopes)}; do\n"
        f"  cd {FOLDER}/$scope 2>/dev/null || continue\n"
        '  if [ -s underlay ]; then\n    while read -r address; do\n      wait_for "$address"\n'
        "    done <underlay\n  fi\n"
        f"{indented}\ndone\n"
    )


class Unit(Subsystem):
    """Whether the boot unit is enabled and has run."""

    name = "unit"

    def read(self, context: Context) -> list[Command]:
        # Both questions answer with a status of their own; the text is what counts.
        return [
            Command(("systemctl", "is-enabled", UNIT), ok=tuple(range(256))),
            Command(("systemctl", "is-active", UNIT), ok=tuple(range(256))),
        ]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        enabled, active = (output.stdout.strip() or "unknown" for output in outputs)
        if enabled in ("", "unknown", "not-found"):
            return {}
        return {UNIT: f"{enabled} {active}"}

    def put(self, context: Context, delta: Delta) -> list[Command]:
        if not delta.after:
            return []
        return [
            Command(("systemctl", "enable", "--quiet", UNIT)),
            # The network is up, we came in by it: do not wait for what a boot would wait for.
            Command(("systemctl", "start", "--job-mode=ignore-dependencies", UNIT)),
        ]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        if not delta.removed:
            return []
        return [Command(("systemctl", "disable", "--quiet", "--now", UNIT))]

    def boot(self, context: Context) -> dict[str, str]:
        return {}
