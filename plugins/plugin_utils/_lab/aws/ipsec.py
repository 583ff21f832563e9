# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strongSwan of an endpoint: IPsec in user space, because the kernel of a lab may have none. Pure.

AWS waits for the customer, takes whatever networks are offered, and of the algorithms that both sides allow the
weakest. A change of the key interrupts the tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..host import File
from .connection import Connection, Tunnel

SERVICE = "strongswan.service"
DEVICE = "ipsec0"
SETTINGS = "etc/strongswan.conf"
CONNECTION = "etc/swanctl/conf.d/tunnel.conf"
KEY = "etc/swanctl/conf.d/key.conf"
DROP_IN = f"etc/systemd/system/{SERVICE}.d/lab.conf"
UPDOWN = "usr/local/sbin/lab-updown"

# libipsec reads no more of a packet, whatever the MTU of its device.
_MTU_MAX = 1400
# Its own routes are not wanted, but it makes them: into a table that no packet is looked up in.
_NOWHERE = 4500

_PLUGINS = (
    "random nonce openssl aes des sha1 sha2 hmac kdf gcm cmac gmp curve25519 drbg pem pkcs1 x509 pubkey constraints "
    "kernel-libipsec kernel-netlink socket-default vici updown"
)

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


def files(connection: Connection, tunnel: Tunnel) -> Iterator[File]:
    """What an endpoint's strongSwan reads, but for the key."""
    yield File(SETTINGS, _settings())
    yield File(CONNECTION, _connection(connection, tunnel))
    yield File(DROP_IN, _drop_in(tunnel))
    if connection.customer_asn is None:
        yield File(UPDOWN, _updown(connection), 0o755)


def secret(key: str) -> str:
    """The file with the pre-shared key, as the one secret that an endpoint has."""
    return f'secrets {{\n  ike-customer {{\n    secret = "{key}"\n  }}\n}}\n'


def offers(algorithms: dict[str, Sequence[str]], groups: Iterable[int]) -> list[str]:
    """Proposals, the weakest first. algorithms: `encryption`, `integrity` and perhaps `prf`, the strongest first.

    Ciphers that authenticate by themselves and others cannot be in one proposal.
    """
    dh = [_GROUPS[group] for group in groups][::-1]
    found = []
    for combined in (False, True):
        ciphers = [word.replace("-", "") for word in algorithms["encryption"] if ("gcm" in word) is combined][::-1]
        prfs = [f"prf{word}" for word in algorithms.get("prf", ())] if combined else list(algorithms["integrity"])
        if ciphers:
            found.append("-".join([*ciphers, *prfs[::-1], *dh]))
    return found


def _settings() -> str:
    return f"""\
charon {{
  load_modular = no
  load = {_PLUGINS}
  install_routes = no
  routing_table = {_NOWHERE}
  # three probes, ten seconds apart: 30 s from the first until a customer is dead
  retransmit_timeout = 10.0
  retransmit_base = 1.0
  retransmit_tries = 2
  plugins {{
    kernel-netlink {{
      fwmark = {_NOWHERE}
      # routes change with every word of BGP
      roam_events = no
    }}
  }}
}}
swanctl {{
  load = random nonce openssl pem pkcs1 x509 pubkey
}}
"""


def _connection(connection: Connection, tunnel: Tunnel) -> str:
    ike = {key: tunnel.ike[key] for key in ("encryption", "integrity", "prf")}
    esp = {key: tunnel.esp[key] for key in ("encryption", "integrity")}
    updown = f"        updown = /{UPDOWN}\n" if connection.customer_asn is None else ""
    return f"""\
connections {{
  customer {{
    version = {tunnel.version}
    local_addrs = {tunnel.peer}
    remote_addrs = {tunnel.outside}
    proposals = {", ".join(offers(ike, tunnel.ike["dh"]))}
    rekey_time = {tunnel.ike["lifetime"]}s
    dpd_delay = 10s
    dpd_timeout = 30s
    mobike = no
    unique = replace
    local {{
      auth = psk
      id = {tunnel.peer}
    }}
    remote {{
      auth = psk
      id = {tunnel.outside}
    }}
    children {{
      vpc {{
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        esp_proposals = {", ".join(offers(esp, tunnel.esp["dh"]))}
        rekey_time = {tunnel.esp["lifetime"] - 270}s
        life_time = {tunnel.esp["lifetime"]}s
        start_action = none
        dpd_action = clear
{updown}\
      }}
    }}
  }}
}}
"""


def _drop_in(tunnel: Tunnel) -> str:
    """The device comes and goes with the daemon, and so do its address and routes."""
    lines = ["[Service]", "Restart=always", "RestartSec=1", "ExecStartPre=rm -rf /run/lab-updown"]
    if tunnel.inside is not None:
        lines.append(f"ExecStartPost=ip address replace {tunnel.inside} dev {DEVICE}")
    lines.append(f"ExecStartPost=ip link set dev {DEVICE} mtu {min(tunnel.mtu, _MTU_MAX)} up")
    return "\n".join(lines) + "\n"


def _updown(connection: Connection) -> str:
    """Without BGP, the customer's networks are behind a tunnel as long as it has an SA."""
    routes = "\n".join(f"    ip route replace {network} dev {DEVICE}" for network in connection.announce)
    return f"""\
#!/bin/sh
# Called by charon. A customer may have a new IKE SA before the old one is gone.
set -u
sas=/run/lab-updown
case $PLUTO_VERB in
up-*)
    mkdir -p "$sas" && : >"$sas/$PLUTO_UNIQUEID"
{routes}
    ;;
down-*)
    rm -f "$sas/$PLUTO_UNIQUEID"
    rmdir "$sas" 2>/dev/null && ip route flush dev {DEVICE} proto boot
    ;;
esac
exit 0
"""
