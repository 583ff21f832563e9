# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a provider cannot do. It is refused: nobody gets a weaker connection than the one that was written."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import GCM, MODES, Connection, Tunnel

STRONGSWAN, RACOON = "strongswan_frr", "racoon_quagga"
PROVIDERS = (STRONGSWAN, RACOON)
# Who encrypts: the kernel, or strongSwan itself.
KERNEL, USERLAND = "kernel", "userland"
IPSEC_BACKENDS = (KERNEL, USERLAND)

# racoon knows the MODP groups of RFC 3526 and before, and no elliptic curves.
_RACOON_GROUPS = (2, 5, 14, 15, 16, 17, 18)


def impossible(connection: Connection, provider: str) -> list[ModelError]:
    """What of a connection the provider, one of PROVIDERS, cannot do; strongSwan and FRR can all of it."""
    if provider != RACOON:
        return []
    found = []
    if len(connection.tunnels) > 1 and connection.mode != MODES[1]:
        # A policy belongs to one tunnel whatever the routes say, and there can be one policy only for two networks.
        found.append(
            ModelError(f"{connection.path}.mode", f"{connection.mode} is not possible with {RACOON}: {MODES[1]}")
        )
    for tunnel in connection.tunnels:
        found += [ModelError(f"{tunnel.path}.{key}", message) for key, message in _racoon(tunnel)]
    return found


def _racoon(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    """(key, message) of everything in a tunnel that racoon cannot do."""
    version = tunnel.ike.version
    if version != 1:
        yield "ike.version", f"{version} is not possible with {RACOON}: 1"
    for key, offer in (("ike", tunnel.ike), ("esp", tunnel.esp)):
        gcm = [word for word in offer.encryption if word in GCM]
        if gcm:
            yield f"{key}.encryption", f"{', '.join(gcm)} is not possible with {RACOON}: aes256 or aes128"
        groups = [group for group in offer.dh if group not in _RACOON_GROUPS]
        if groups:
            known = ", ".join(map(str, _RACOON_GROUPS))
            yield f"{key}.dh", f"{', '.join(map(str, groups))} is not possible with {RACOON}: {known}"
