# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""swanctl: one file for each tunnel, and one with its key. Both ways of doing ESP read the same texts.

strongSwan's parser takes one setting for each line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import GCM, Esp, Ike
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import KERNEL
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import TunnelPlan, psk_token

_ENCRYPTION = {
    "aes256-gcm16": "aes256gcm16",
    "aes128-gcm16": "aes128gcm16",
    "aes256": "aes256",
    "aes128": "aes128",
}
_GROUPS = {
    2: "modp1024",
    5: "modp1536",
    14: "modp2048",
    15: "modp3072",
    16: "modp4096",
    17: "modp6144",
    18: "modp8192",
    19: "ecp256",
    20: "ecp384",
    21: "ecp521",
    22: "modp1024s160",
    23: "modp2048s224",
    24: "modp2048s256",
}
# AWS starts to rekey up to 540 s before the end of an ESP SA; some of its VPNs need that we are first.
_ESP_MARGIN, _IKE_MARGIN = 600, 3600
# What AWS uses; strongSwan's 32 drops packets of fast tunnels.
_REPLAY_WINDOW = 1024

Lines = list[str]


def block(name: str, lines: Iterable[str]) -> Lines:
    """A section of a strongSwan file."""
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]


def connection(plan: TunnelPlan, ipsec: str) -> str:
    """The connection and its child; both have the name of the tunnel. ipsec: of IPSEC_BACKENDS."""
    tunnel, ike = plan.tunnel, plan.tunnel.ike
    lines = [
        f"version = {ike.version}",
        f"local_addrs = {tunnel.local_address}",
        f"remote_addrs = {tunnel.peer_outside_address}",
        f"proposals = {ike_proposals(ike)}",
        *_lifetime(ike.lifetime, _IKE_MARGIN, "over_time"),
        f"dpd_delay = {tunnel.dpd.interval}s",
    ]
    if ike.version == 1:
        # Version 2 has none: there, a peer is dead that does not answer, see strongswan.py.
        lines.append(f"dpd_timeout = {tunnel.dpd.interval * tunnel.dpd.retries}s")
    lines += [
        "mobike = no",
        "fragmentation = yes",
        "unique = replace",
        "keyingtries = 0",
        *block("local", ("auth = psk", f"id = {tunnel.outside_address}")),
        *block("remote", ("auth = psk", f"id = {tunnel.peer_outside_address}")),
        *block("children", block(plan.name, _child(plan, ipsec))),
    ]
    return _text(block("connections", block(plan.name, lines)))


def secret(plan: TunnelPlan) -> str:
    """The tunnel's key for these two ends, as psk_token(); for a file of its own that only root can read."""
    tunnel = plan.tunnel
    lines = [
        f"id-1 = {tunnel.outside_address}",
        f"id-2 = {tunnel.peer_outside_address}",
        f'secret = "{psk_token(tunnel)}"',
    ]
    return _text(block("secrets", block(f"ike-{plan.name}", lines)))


def ike_proposals(ike: Ike) -> str:
    groups = [_GROUPS[number] for number in ike.dh]
    return _proposals(ike.encryption, ike.integrity, [f"prf{name}" for name in ike.prf], groups, ike.version)


def esp_proposals(esp: Esp, version: int) -> str:
    """version: that of IKE."""
    return _proposals(esp.encryption, esp.integrity, [], [_GROUPS[number] for number in esp.dh], version)


def _child(plan: TunnelPlan, ipsec: str) -> Lines:
    esp = plan.tunnel.esp
    return [
        # AWS has one pair of SAs for each tunnel: routes choose what goes in.
        "local_ts = 0.0.0.0/0",
        "remote_ts = 0.0.0.0/0",
        f"if_id_in = {plan.id}",
        f"if_id_out = {plan.id}",
        f"esp_proposals = {esp_proposals(esp, plan.tunnel.ike.version)}",
        *_lifetime(esp.lifetime, _ESP_MARGIN, "life_time"),
        f"replay_window = {_REPLAY_WINDOW}",
        # Clears "do not fragment" outside, as AWS does.
        "copy_df = no",
        # Userland ESP has no traps before strongSwan 5.9.11.
        f"start_action = {'trap|start' if ipsec == KERNEL else 'start'}",
        "dpd_action = restart",
        "close_action = start",
    ]


def _lifetime(lifetime: int, margin: int, hard: str) -> Lines:
    """When to rekey, and when the SA ends at the latest: after `lifetime` seconds, like the peer's."""
    margin = min(margin, lifetime // 2)
    end = margin if hard == "over_time" else lifetime
    return [f"rekey_time = {lifetime - margin}s", f"rand_time = {margin // 4}s", f"{hard} = {end}s"]


def _proposals(
    encryption: Sequence[str], integrity: Sequence[str], prf: Sequence[str], groups: Sequence[str], version: int
) -> str:
    """GCM and the rest cannot be in one proposal; the one that is preferred comes first."""
    found: list[tuple[Sequence[str], ...]] = []
    for gcm in sorted({name in GCM for name in encryption}, reverse=encryption[0] in GCM):
        ciphers = [_ENCRYPTION[name] for name in encryption if (name in GCM) == gcm]
        found.append((ciphers, prf if gcm else integrity, groups))
    if version == 1:
        # There, a proposal is one combination.
        found = [
            ((cipher,), (check,) if check else (), (group,))
            for ciphers, hashes, names in found
            for cipher in ciphers
            for check in hashes or ("",)
            for group in names
        ]
    return ", ".join("-".join(word for words in proposal for word in words) for proposal in found)


def _text(lines: Lines) -> str:
    return "\n".join(lines) + "\n"
