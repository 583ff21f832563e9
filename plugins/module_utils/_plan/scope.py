# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark that each role leaves on what it owns on a host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """Whatever bears a role's mark belongs to that role, and nothing else does.

    name: role name, part of table, chain and set names.
    protocol: originator of the role's routes and policy rules (rtnetlink(7), rtm_protocol; 173 and up are unassigned),
    0 where it has none. 177 is that of role ssh_tunnel, which has no scope.
    word: what stands for the name where names are short.
    """

    name: str
    protocol: int = 0
    word: str = ""

    @property
    def table(self) -> str:
        """Name of the scope's nftables table."""
        return f"plainlinux_{self.name}"

    @property
    def prefix(self) -> str:
        """Prefix of the scope's ipset and iptables chain names."""
        return f"vpc-{self.word or self.name}-"


HYPERVISOR = Scope("hypervisor", 173)
ROUTER = Scope("router", 174)
ANTISPOOF = Scope("antispoof")
VPN_GATEWAY = Scope("vpn_gateway", 176)
SECURITY_GROUPS = Scope("security_groups", word="sg")
# A role with files only.
GUEST_NETWORK = "guest_network"
# In the order in which a booting host gets them: guard and groups stand before there is a bridge.
SCOPES = {scope.name: scope for scope in (ANTISPOOF, SECURITY_GROUPS, HYPERVISOR, ROUTER, VPN_GATEWAY)}
