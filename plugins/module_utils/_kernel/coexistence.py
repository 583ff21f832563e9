# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other network software on a host must be told, and what it must not do to us."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES, Scope

_HEAD = "# Written by the Ansible collection plainlinux.vpc; changes are overwritten.\n"
_NETWORKD = "/etc/systemd/networkd.conf.d/plainlinux-vpc.conf"
_PROTOCOLS = "/etc/iproute2/rt_protos.d/plainlinux-vpc.conf"
_NFTABLES = "/etc/systemd/system/nftables.service.d/plainlinux-vpc.conf"
# Files of a host rather than of one role on it.
SHARED = (_NETWORKD, _PROTOCOLS, _NFTABLES)
_CHAIN = re.compile(r"type filter hook forward priority [^;]*; policy drop;")


def files(scope: Scope, links: Iterable[str], tables: dict[str, str], network_manager: bool) -> dict[str, str]:
    """Drop-in files (path -> text): names for people, and orders to leave our objects alone.

    links: our bridges and XFRM interfaces. tables: route table id -> name. network_manager: whether it is installed.
    """
    names = sorted(links)
    found = {
        # networkd deletes routes and rules that it did not make (networkd.conf(5)).
        _NETWORKD: f"{_HEAD}[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n",
        # Its start flushes every table, and PartOf= does not see a start of what was not active (systemd.unit(5)).
        _NFTABLES: f"{_HEAD}[Service]\nExecStartPost=-/bin/systemctl --no-block try-restart plainlinux-vpc.service\n",
        _PROTOCOLS: _HEAD + "".join(f"{mark.protocol}\tvpc-{mark.name}\n" for mark in SCOPES.values()),
    }
    if tables:
        found[f"/etc/iproute2/rt_tables.d/plainlinux-vpc-{scope.name}.conf"] = _HEAD + "".join(
            f"{table}\t{name}\n" for table, name in sorted(tables.items(), key=lambda item: item[1])
        )
    if names:
        found[f"/etc/systemd/network/00-plainlinux-vpc-{scope.name}.network"] = (
            f"{_HEAD}[Match]\nName={' '.join(names)}\n\n[Link]\nUnmanaged=yes\n"
        )
        if network_manager:
            found[f"/etc/NetworkManager/conf.d/plainlinux-vpc-{scope.name}.conf"] = (
                f"{_HEAD}[keyfile]\nunmanaged-devices+={';'.join(f'interface-name:{name}' for name in names)}\n"
            )
    return found


def forward_read() -> list[Command]:
    """Commands whose outputs forward_drops() takes."""
    return [Command(("nft", "-nny", "list", "chains"), ok=tuple(range(256)))]


def forward_drops(outputs: Sequence[Output]) -> list[str]:
    """Chains of others that drop forwarded packets by policy, such as Docker's: `table ip filter chain FORWARD`.

    An accept of ours cannot overrule them (nft(8): a drop is final).
    """
    found = []
    table = chain = ""
    for line in outputs[0].stdout.splitlines():
        text = line.strip()
        if text.startswith("table "):
            table = text.rstrip(" {")
        elif text.startswith("chain "):
            chain = text.rstrip(" {")
        elif _CHAIN.match(text) and " plainlinux_" not in table:
            found.append(f"{table} {chain}")
    return found


def helper_read() -> Command:
    """The command whose output helped_unasked() takes. Kernels since 6.0 have no such parameter."""
    return Command(("cat", "/proc/sys/net/netfilter/nf_conntrack_helper"), ok=tuple(range(256)))


def helped_unasked(output: Output) -> bool:
    """Whether conntrack gives helpers to any flow with a well-known port: that opens ports that nobody allowed."""
    return output.status == 0 and output.stdout.strip() != "0"
