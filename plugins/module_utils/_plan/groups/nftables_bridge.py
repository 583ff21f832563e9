# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge side of security groups, for both backends: where br_netfilter has to hand packets over, and does not.

Whatever comes through br_netfilter carries a mark, which the backend's own rules set in prerouting and take back in
postrouting. An IP frame of a guest without it was seen by no rule, and is dropped: so switching br_netfilter off, or
packing IP into VLAN tags, lets nothing pass.

On flat bridges others are there as well, so what a filtered guest may use there is also a question of its MAC: whatever
it sends or gets in an address that the plan does not know would be judged by nobody. Frames to groups have no address
of the guest at all; of these it gets what keeps its network up.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.packets import MULTICAST
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import (
    DHCP,
    IGMP,
    IP,
    MLD,
    ND,
    TYPES,
    VRRP,
    Table,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import HostPolicy, Outer
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import destination
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS

# The bit of the packet mark. Kubernetes, Calico, Cilium and Tailscale use others by default.
SEEN = 0x2000
SEEN_MATCH = f"meta mark & {SEEN:#010x} == {SEEN:#010x}"
SEEN_SET = f"meta mark set meta mark | {SEEN:#010x}"
SEEN_CLEAR = f"{SEEN_MATCH} meta mark set meta mark & {0xFFFFFFFF ^ SEEN:#010x}"

# After br_netfilter, which is at 0.
_PRIORITY = 10
# What is left of a frame with two tags where the first is off. Linux takes off as many as name no VLAN, and so gets
# packets that br_netfilter, which looks behind one tag, never saw.
_TAGGED = "meta protocol { 0x8100, 0x88a8 }"
_FAMILIES = "meta protocol vmap {{ 0x0800 : goto {0}4, 0x86dd : goto {0}6 }}"


def bridge(policy: HostPolicy) -> dict[str, str]:
    """The table of family bridge; empty where no bridge depends on br_netfilter."""
    if not policy.netfiltered():
        return {}
    table = Table(f"bridge {SECURITY_GROUPS.table}")
    local = table.addresses("local", policy.judged(bridged=True), [net for net, _groups in policy.nets(bridged=True)])
    guests = [item for item in policy.endpoints if item.flat and item.groups]
    filtered = [item for item in policy.endpoints if item.bridged and item.groups]
    table.set("filtered", "ether_addr", [mac for item in filtered for mac in item.macs])
    table.set("filtered_ports", "ifname", [f'"{item.vif}"' for item in filtered])
    forward: list[str] = []
    last = [f"{_TAGGED} ether {side} @filtered drop" for side in ("saddr", "daddr")]
    leaving = [f"{_TAGGED} oifname @filtered_ports drop"]
    if guests:
        _flat(table, local, [item for item in policy.outer() if item.mac])
        table.set("macs", "ether_addr", [mac for item in guests for mac in item.macs])
        table.set("ports", "ifname", [f'"{item.vif}"' for item in guests])
        leaving.append(f"{MULTICAST} oifname @ports jump to_group")
        forward = ["ether saddr @macs jump from_flat", "ether daddr @macs jump to_flat"]
        last += [f"meta protocol {{ 0x0800, 0x86dd }} ether {side} @macs drop" for side in ("saddr", "daddr")]
        table.base("output", "output", _PRIORITY, forward[1])
    unseen = [
        f"{IP[family]} {side} {name} drop"
        for family, names in local.items()
        for name in names
        for side in ("saddr", "daddr")
    ]
    table.base("forward", "forward", _PRIORITY, *forward, f"{SEEN_MATCH} accept", *unseen, *last)
    table.base("postrouting", "postrouting", _PRIORITY, *leaving)
    # What goes up to the host needs the bit no more; routes chosen by marks must not see it.
    table.base("input", "input", _PRIORITY, *forward[:1], SEEN_CLEAR)
    return table.state


def _flat(table: Table, local: dict[int, list[str]], outer: list[Outer]) -> None:
    """Chains that return what filtered guests may send and get on a flat bridge, and drop the rest."""
    for family, key in TYPES.items():
        words = [f"{item.mac} . {destination(item.prefix)}" for item in outer if item.prefix.family == family]
        if words:
            table.set(f"outer{family}", f"ether_addr . {key}", words, interval=True)
    for family, ip in IP.items():
        dhcp = [f"{pair} return" for pair in DHCP[family]]
        usual = [f"{IGMP} return"] if family == 4 else [f"{ND} return", f"{MLD} return"]
        for chain, side in (("from_flat", "saddr"), ("to_flat", "daddr")):
            known = [f"{ip} {side} {name} return" for name in local[family]]
            if any(item.prefix.family == family for item in outer):
                known.append(f"ether {side} . {ip} {side} @outer{family} return")
            table.chain(f"{chain}{family}", *known, *dhcp, *usual, "drop")
        vrrp = f"{ip} daddr {VRRP[family]} meta l4proto 112 return"
        table.chain(f"to_group{family}", *usual, *dhcp, vrrp, "drop")
    for chain in ("from_flat", "to_flat", "to_group"):
        table.chain(chain, _FAMILIES.format(chain), "return")
