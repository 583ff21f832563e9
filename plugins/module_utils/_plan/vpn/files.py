# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of a gateway: where each goes, whose it is, and who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import (
    frr,
    initiate,
    quagga,
    racoon,
    scripts,
    strongswan,
    swanctl,
    userland,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

PREFIX = "plainlinux-vpc"

SWANCTL = "/etc/swanctl/conf.d"
DAEMON = f"/etc/strongswan.d/{PREFIX}.conf"
DEAD_PEERS = f"/etc/strongswan.d/{PREFIX}-dpd.conf"
UNIT = f"/etc/systemd/system/{userland.UNIT}"
INITIATE = (f"/etc/systemd/system/{initiate.SERVICE}", f"/etc/systemd/system/{initiate.TIMER}")
FRR = "/etc/frr"

# Tokens of what the plan does not know, beside psk_token(); the action plugin vpn_gateway replaces them. A host has its
# own name, and says whether the line that stands in frr.NO_FORWARDING6 is there.
HOSTNAME = "@hostname@"


@dataclass(frozen=True)
class Text:
    """One file. secret: it has psk_token() where the role puts the keys, and nobody else may see it."""

    dest: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    folder_mode: str = "0755"
    secret: bool = False


@dataclass(frozen=True)
class Host:
    """What only the host knows. hostname: as FRR sees it.

    forwarding6: whether it forwards IPv6 now; None for a token.
    """

    router_id: str
    hostname: str
    forwarding6: bool | None


@dataclass(frozen=True)
class Legacy:
    """Where racoon and Quagga have their files: no current distribution says."""

    racoon: str = "/etc/racoon"
    policies: str = "/etc/ipsec-tools.conf"
    quagga: str = "/etc/quagga"
    owner: str = "quagga"


# Variables of the role say where; the action plugin puts them in.
LEGACY = Legacy("@racoon@", "@policies@", "@quagga@", "@quagga owner@")


def strongswan_frr(gateway: Gateway, host: Host) -> list[Text]:
    """The files of the provider strongswan_frr."""
    ipsec = _userland(gateway) if gateway.ipsec == USERLAND else _kernel(gateway)
    return [
        *ipsec,
        *_initiate(gateway),
        Text(f"{FRR}/daemons", frr.daemons(gateway), "frr", "frr", "0640"),
        Text(f"{FRR}/vtysh.conf", frr.VTYSH, "frr", "frrvty", "0640"),
        Text(
            f"{FRR}/frr.conf",
            frr.config(gateway, host.router_id, host.hostname, host.forwarding6),
            "frr",
            "frr",
            "0640",
        ),
    ]


def racoon_quagga(gateway: Gateway, host: Host, paths: Legacy = Legacy()) -> list[Text]:
    """The files of the provider racoon_quagga."""
    psk = f"{paths.racoon}/psk.txt"
    return [
        Text(psk, racoon.psk(gateway), mode="0600", secret=True),
        Text(f"{paths.racoon}/racoon.conf", racoon.config(gateway, psk), mode="0600"),
        Text(paths.policies, racoon.policies(gateway), mode="0755"),
        Text(scripts.POLICIES, scripts.POLICIES_SCRIPT, mode="0755"),
        Text(f"{paths.quagga}/daemons", quagga.daemons(gateway), paths.owner, paths.owner, "0640"),
        Text(f"{paths.quagga}/zebra.conf", quagga.zebra(gateway, host.hostname), paths.owner, paths.owner, "0640"),
        Text(
            f"{paths.quagga}/bgpd.conf",
            quagga.bgpd(gateway, host.router_id, host.hostname),
            paths.owner,
            paths.owner,
            "0640",
        ),
    ]


def _kernel(gateway: Gateway) -> Iterator[Text]:
    yield Text(DAEMON, strongswan.kernel())
    yield Text(DEAD_PEERS, strongswan.dead_peers(gateway))
    yield Text(scripts.CHECK, scripts.CHECK_SCRIPT, mode="0755")
    for plan in gateway.tunnels:
        start = f"{SWANCTL}/{PREFIX}-{plan.name}"
        yield Text(f"{start}.conf", swanctl.connection(plan, gateway.ipsec), mode="0640")
        yield Text(f"{start}.secret.conf", swanctl.secret(plan), mode="0600", secret=True)


def _userland(gateway: Gateway) -> Iterator[Text]:
    yield Text(UNIT, userland.unit())
    yield Text(f"{userland.FOLDER}/device", userland.SCRIPT, mode="0755")
    yield Text(scripts.CHECK, scripts.CHECK_SCRIPT, mode="0755")
    yield Text(scripts.PRUNE, scripts.PRUNE_SCRIPT, mode="0755")
    for plan in gateway.tunnels:
        folder = f"{userland.FOLDER}/{plan.name}"
        yield Text(f"{folder}/strongswan.conf", strongswan.userland(plan, userland.socket(plan.name)))
        yield Text(f"{folder}/device.env", userland.environment(plan))
        yield Text(f"{folder}/swanctl.conf", "include conf.d/*.conf\n")
        yield Text(f"{folder}/conf.d/{plan.name}.conf", swanctl.connection(plan, gateway.ipsec), mode="0640")
        yield Text(f"{folder}/conf.d/{plan.name}.secret.conf", swanctl.secret(plan), mode="0600", secret=True)


def _initiate(gateway: Gateway) -> Iterator[Text]:
    service, timer = INITIATE
    yield Text(service, initiate.service(gateway))
    yield Text(timer, initiate.timer())
    yield Text(initiate.PROGRAM, initiate.SCRIPT, mode="0755")
