# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is around the gateway, in network namespaces of its machine: a double of AWS, the internet, a LAN, a stranger.

    lan (a router with a guest) --+
                                  br0 in inet -- endpoints (strongSwan with the kernel's ESP, FRR) -- vpc (FRR, a host)
    the machine itself, wan0 -----+    |
                                    stranger

Its texts are its own. Where the collection is wrong about AWS, this must not be wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FOLDER = "/etc/vm"
GATEWAY, ROUTER, INTERNET, STRANGER = "192.168.56.102", "192.168.56.101", "192.168.56.254", "192.0.2.66"
# How the internet sees the gateway where it is behind NAT.
PUBLIC = "203.0.113.10"
GUEST = "10.10.10.10"
# Several, so that their packets take both tunnels.
VPC = "10.20.0.0/16"
VPC_HOSTS = tuple(f"10.20.0.{number}" for number in range(10, 18))
CUSTOMER_ASN, AMAZON_ASN = 65000, 64512
HOLD_TIME = 30
PORT = 8080
SPACES = ("inet", "lan", "stranger", "vpc")


# Like AWS: an endpoint allows a lot, weak things first, and takes the first that the other side offers too.
_GROUPS = "modp2048-modp3072-modp4096-ecp256-ecp384-ecp521"
_WEAK = f"aes128-sha1-modp1024, aes128-aes256-sha1-sha256-sha384-{_GROUPS}"
_IKE = f"{_WEAK}, aes128gcm16-aes256gcm16-prfsha256-prfsha384-prfsha512-{_GROUPS}"
_ESP = f"{_WEAK}, aes128gcm16-aes256gcm16-{_GROUPS}"
_PLUGINS = (
    "random nonce openssl aes sha1 sha2 hmac kdf gmp drbg pem x509 pubkey constraints"
    " kernel-netlink socket-default vici"
)


@dataclass(frozen=True)
class Endpoint:
    """AWS's end of a tunnel. address: outside. peer: the gateway's, as seen from here. link: to the vpc, a /30."""

    name: str
    address: str
    peer: str
    inside: str
    peer_inside: str
    link: str
    peer_link: str
    psk: str


def files(endpoints: tuple[Endpoint, ...]) -> dict[str, str]:
    """Path -> text. Programs begin with #!."""
    found = {
        f"{FOLDER}/net": _net(endpoints),
        f"{FOLDER}/double": _double(endpoints),
        f"{FOLDER}/serve": _SERVE,
        f"{FOLDER}/connect": _CONNECT,
        f"{FOLDER}/strange": _STRANGE,
        "/etc/systemd/network/eth0.network": "[Match]\nName=eth0\n\n[Network]\nAddress=10.0.2.15/24\nIPv6AcceptRA=no\n",
        "/etc/systemd/network/wan0.network": (
            f"[Match]\nName=wan0\n\n[Network]\nAddress={GATEWAY}/24\nGateway={INTERNET}\nIPv6AcceptRA=no\n"
        ),
        "/etc/systemd/system/vm-net.service": _NET_UNIT,
        "/etc/systemd/system/vm-double.service": _DOUBLE_UNIT,
        "/etc/frr/vpc/bgpd.conf": _vpc_bgp(endpoints),
    }
    for endpoint in endpoints:
        found[f"/etc/frr/{endpoint.name}/bgpd.conf"] = _endpoint_bgp(endpoint)
        found[f"{FOLDER}/{endpoint.name}/strongswan.conf"] = _strongswan(endpoint)
        found[f"{FOLDER}/{endpoint.name}/swanctl.conf"] = _swanctl(endpoint)
    return found


# The gateway's own network is configured as an administrator does it, before the collection comes.
_NET_UNIT = f"""\
[Unit]
Description=Cables around the gateway
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service
Before=systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={FOLDER}/net

[Install]
WantedBy=multi-user.target
"""
_DOUBLE_UNIT = f"""\
[Unit]
Description=Daemons around the gateway
After=vm-net.service network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={FOLDER}/double

[Install]
WantedBy=multi-user.target
"""
_HEAD = [
    "#!/bin/sh",
    "set -eux",
    'into() { space=$1; shift; ip netns exec "$space" "$@"; }',
]


def _net(endpoints: tuple[Endpoint, ...]) -> str:
    spaces = " ".join([*SPACES, *(endpoint.name for endpoint in endpoints)])
    lines = [
        *_HEAD,
        f"for space in {spaces}; do ip netns add $space; ip -n $space link set lo up; done",
        'cable() { ip -n inet link add "$1" type veth peer name eth0 netns "$1"; ip -n inet link set "$1" up; }',
        "ip -n inet link add br0 type bridge",
        f"ip -n inet addr add {INTERNET}/24 dev br0",
        "ip -n inet link set br0 up",
        "into inet sysctl -q -w net.ipv4.ip_forward=1",
        "ip -n inet link add gw type veth peer name wan0 netns 1",
        "ip -n inet link set gw master br0 up",
        # the router, and a guest as one of its own addresses
        "cable lan",
        "ip -n inet link set lan master br0",
        f"ip -n lan addr add {ROUTER}/24 dev eth0",
        f"ip -n lan addr add {GUEST}/32 dev lo",
        "ip -n lan link set eth0 up",
        f"ip -n lan route add {VPC} via {GATEWAY} src {GUEST}",
        # else the size of a segment shows without that of its options
        "into lan sysctl -q -w net.ipv4.tcp_timestamps=0",
        *_hang("stranger", STRANGER),
        *(f"ip -n vpc addr add {address}/32 dev lo" for address in VPC_HOSTS),
        "into vpc sysctl -q -w net.ipv4.fib_multipath_hash_policy=1",
    ]
    for endpoint in endpoints:
        lines += _hang(endpoint.name, endpoint.address)
        lines += _endpoint(endpoint)
        if endpoint.peer == PUBLIC:
            lines += _nat(endpoint)
    return "\n".join([*lines, ""])


def _double(endpoints: tuple[Endpoint, ...]) -> str:
    lines = list(_HEAD)
    for endpoint in endpoints:
        name, socket = endpoint.name, f"/run/vm/{endpoint.name}/vici"
        lines += [
            f"mkdir -p /run/vm/{name}",
            f"export STRONGSWAN_CONF={FOLDER}/{name}/strongswan.conf SWANCTL_DIR={FOLDER}/{name}",
            f"into {name} charon-systemd &",
            f"until [ -S {socket} ]; do sleep 0.2; done",
            f"swanctl --load-all --noprompt --uri unix://{socket}",
        ]
    for space in ("vpc", *(endpoint.name for endpoint in endpoints)):
        lines += [
            f"install -d -o frr -g frr /run/frr /run/frr/{space}",
            f"into {space} /usr/lib/frr/zebra -d -N {space} -A 127.0.0.1 -f /dev/null",
            f"into {space} /usr/lib/frr/bgpd -d -N {space} -A 127.0.0.1 -f /etc/frr/{space}/bgpd.conf",
        ]
    return "\n".join([*lines, f"into vpc {FOLDER}/serve &", ""])


def _hang(space: str, address: str) -> list[str]:
    """A machine on the internet."""
    return [
        f"cable {space}",
        f"ip -n {space} addr add {address}/32 dev eth0",
        f"ip -n {space} link set eth0 up",
        f"ip -n {space} route add {INTERNET} dev eth0",
        f"ip -n {space} route add default via {INTERNET} src {address}",
        f"ip -n inet route add {address} dev {space}",
    ]


def _nat(endpoint: Endpoint) -> list[str]:
    """One to one, towards this endpoint only."""
    return [
        "into inet nft -f - <<END",
        f"table ip nat_{endpoint.name.replace('-', '_')} {{",
        f"  chain out {{ type nat hook postrouting priority 100; ip daddr {endpoint.address} snat to {PUBLIC}; }}",
        f"  chain in {{ type nat hook prerouting priority -100; ip saddr {endpoint.address} dnat to {GATEWAY}; }}",
        "}",
        "END",
    ]


def _endpoint(endpoint: Endpoint) -> list[str]:
    name = endpoint.name
    return [
        f"into {name} sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0",
        f"ip -n {name} link add tunnel type xfrm if_id 7",
        f"ip -n {name} addr add {endpoint.inside}/30 dev tunnel",
        f"ip -n {name} link set tunnel up",
        f"ip -n {name} link add vpc type veth peer name {name} netns vpc",
        f"ip -n {name} addr add {endpoint.link}/30 dev vpc",
        f"ip -n {name} link set vpc up",
        f"ip -n vpc addr add {endpoint.peer_link}/30 dev {name}",
        f"ip -n vpc link set {name} up",
    ]


def _strongswan(endpoint: Endpoint) -> str:
    return f"""\
charon {{
  load_modular = no
  load = {_PLUGINS}
  install_routes = no
  retransmit_tries = 2
  plugins {{
    vici {{
      socket = unix:///run/vm/{endpoint.name}/vici
    }}
  }}
}}
"""


def _swanctl(endpoint: Endpoint) -> str:
    return f"""\
connections {{
  customer {{
    version = 2
    local_addrs = {endpoint.address}
    remote_addrs = {endpoint.peer}
    proposals = {_IKE}
    dpd_delay = 10s
    local {{
      auth = psk
      id = {endpoint.address}
    }}
    remote {{
      auth = psk
      id = {endpoint.peer}
    }}
    children {{
      customer {{
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        if_id_in = 7
        if_id_out = 7
        esp_proposals = {_ESP}
        copy_df = no
        start_action = none
        dpd_action = clear
      }}
    }}
  }}
}}
secrets {{
  ike-customer {{
    id-1 = {endpoint.address}
    id-2 = {endpoint.peer}
    secret = "{endpoint.psk}"
  }}
}}
"""


def _endpoint_bgp(endpoint: Endpoint) -> str:
    return f"""\
router bgp {AMAZON_ASN}
 bgp router-id {endpoint.address}
 no bgp ebgp-requires-policy
 neighbor {endpoint.peer_inside} remote-as {CUSTOMER_ASN}
 neighbor {endpoint.peer_inside} timers {HOLD_TIME // 3} {HOLD_TIME}
 neighbor {endpoint.peer_link} remote-as {AMAZON_ASN}
 neighbor {endpoint.peer_link} timers connect 3
 address-family ipv4 unicast
  neighbor {endpoint.peer_link} next-hop-self
"""


def _vpc_bgp(endpoints: tuple[Endpoint, ...]) -> str:
    def lines() -> Iterator[str]:
        yield f"router bgp {AMAZON_ASN}"
        yield f" bgp router-id {VPC_HOSTS[0]}"
        yield " no bgp network import-check"
        for endpoint in endpoints:
            yield f" neighbor {endpoint.link} remote-as {AMAZON_ASN}"
            yield f" neighbor {endpoint.link} timers connect 3"
        yield " address-family ipv4 unicast"
        yield f"  network {VPC}"
        yield "  maximum-paths ibgp 2"

    return "\n".join(lines()) + "\n"


_SERVE = f"""\
#!/usr/bin/python3
# Tells whoever connects how large its segments may be.
import socket

server = socket.create_server(("", {PORT}))
while True:
    client = server.accept()[0]
    client.sendall(b"%d" % client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    client.close()
"""

_CONNECT = f"""\
#!/usr/bin/python3
# Prints the sizes of segments from and to here, of one connection to each address.
import socket
import sys

for address in sys.argv[1:]:
    client = socket.create_connection((address, {PORT}), timeout=10, source_address=("{GUEST}", 0))
    print(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), client.recv(100).decode())
"""

# An IKE header of version 3: whoever hears it says that it does not know that version (RFC 7296, 2.5). ESP of an
# unknown SPI: the kernel counts it, if it gets that far.
_STRANGE = f"""\
#!/usr/bin/python3
# usage: strange ike|esp|bgp. Prints "heard" if the gateway answers.
import socket
import sys

kind = sys.argv[1]
if kind == "ike":
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.connect(("{GATEWAY}", 500))
    line.settimeout(2)
    for attempt in range(3):
        line.send(b"strange!" + bytes(8) + bytes([33, 0x30, 34, 8]) + bytes(4) + (28).to_bytes(4, "big"))
        try:
            print("heard" if line.recv(1000) else "")
            break
        except TimeoutError:
            pass
elif kind == "esp":
    line = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
    line.sendto(b"\\x11\\x22\\x33\\x44" + bytes(60), ("{GATEWAY}", 0))
else:
    try:
        socket.create_connection(("{GATEWAY}", 179), timeout=3).close()
        print("heard")
    except OSError:
        pass
"""
