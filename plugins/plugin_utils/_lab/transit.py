# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the internet of a lab carries: packets between VPN gateways and their endpoints, and nothing else.

It translates one to one the address of a gateway that is behind NAT. A lab without VPN connections has none of this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import netns
from .aws.connection import Connection, Tunnel
from .paths import Paths
from .system import run, write

TABLE = "lab"
CARD = "eth0"
_SYSCTLS = ("net.ipv4.conf.all.send_redirects=0", f"net.ipv4.conf.{CARD}.send_redirects=0")


def tunnels(connections: Iterable[Connection]) -> list[Tunnel]:
    """All tunnels of a lab. No two of them have the same endpoint."""
    return [tunnel for connection in connections for tunnel in connection.tunnels]


def addresses(connections: Iterable[Connection], there: Iterable[str]) -> set[str]:
    """What is on the underlay besides the underlay addresses. there: those."""
    found = {address for tunnel in tunnels(connections) for address in (tunnel.peer, tunnel.local)}
    return found - set(there)


def rules(connections: Iterable[Connection]) -> str:
    """The rules of nftables that replace those of an earlier lab; none where there is no tunnel."""
    replace = f"add table ip {TABLE}\ndelete table ip {TABLE}\n"
    wanted = tunnels(connections)
    if not wanted:
        return replace
    pairs = [f"{tunnel.local} . {tunnel.peer}, {tunnel.peer} . {tunnel.local}" for tunnel in wanted]
    natted = [tunnel for tunnel in wanted if tunnel.outside != tunnel.local]
    inside = _elements(f"{tunnel.peer} . {tunnel.outside} : {tunnel.local}" for tunnel in natted)
    outside = _elements(f"{tunnel.local} . {tunnel.peer} : {tunnel.outside}" for tunnel in natted)
    return f"""{replace}\
table ip {TABLE} {{
    set blackhole {{
        type ipv4_addr
    }}
    set tunnels {{
        type ipv4_addr . ipv4_addr
        {_elements(pairs)}
    }}
    map inside {{
        type ipv4_addr . ipv4_addr : ipv4_addr
        {inside}
    }}
    map outside {{
        type ipv4_addr . ipv4_addr : ipv4_addr
        {outside}
    }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        ip saddr @blackhole drop
        ip daddr @blackhole drop
        ip saddr . ip daddr @tunnels accept
    }}
    chain prerouting {{
        type nat hook prerouting priority -100;
        dnat to ip saddr . ip daddr map @inside
    }}
    chain postrouting {{
        type nat hook postrouting priority 100;
        snat to ip saddr . ip daddr map @outside
    }}
}}
"""


def _elements(items: Iterable[str]) -> str:
    text = ", ".join(items)
    return f"elements = {{ {text} }}" if text else ""


def differs(paths: Paths, name: str, connections: Sequence[Connection], there: Iterable[str]) -> bool:
    """Whether the internet carries anything else, or in another way, than it should."""
    recorded = _record(paths)
    if not connections and not recorded.exists():
        return False
    if not recorded.exists() or recorded.read_text(encoding="utf-8") != rules(connections):
        return True
    tables = json.loads(run(["ip", "netns", "exec", name, "nft", "-j", "list", "tables"]))["nftables"]
    loaded = any(item.get("table", {}).get("name") == TABLE for item in tables)
    return loaded != bool(connections) or _routes(name) != addresses(connections, there)


def ensure(paths: Paths, name: str, connections: Sequence[Connection], there: Iterable[str]) -> bool:
    """Let the internet, a namespace, carry what it should. Returns whether that is new. there: underlay addresses.

    What is black-holed stays so as long as the connections are the same.
    """
    if not differs(paths, name, connections, there):
        return False
    text = rules(connections)
    run(["ip", "netns", "exec", name, "nft", "-f", "-"], stdin=text)
    forward = f"net.ipv4.ip_forward={int(bool(connections))}"
    run(["ip", "netns", "exec", name, "sysctl", "-q", "-w", forward, *_SYSCTLS])
    wanted, found = addresses(connections, there), _routes(name)
    lines = [f"route delete {address}/32 dev {CARD}" for address in sorted(found - wanted)]
    lines += [f"route add {address}/32 dev {CARD} proto static" for address in sorted(wanted - found)]
    netns.batch(name, lines)
    write(_record(paths), text)
    return True


def _routes(name: str) -> set[str]:
    found: list[dict[str, Any]] = json.loads(
        run(["ip", "-n", name, "-4", "-json", "route", "show", "dev", CARD, "proto", "static"]) or "[]"
    )
    return {route["dst"] for route in found}


def _record(paths: Paths) -> Path:
    """What was loaded last. A table is not compared with what it was made of: someone may have added to it."""
    return paths.run / "internet.nft"
