# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels over SSH: what a user may write in ssh_tunnels, each item by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_prefix, special
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

SECTION = "ssh_tunnels"
# Stands for a unit number that is refused.
UNREADABLE = -1
SSH_PORT = 22
# Key of the network of both ends, by family.
_INSIDE = {4: "inside_cidr", 6: "inside_cidr6"}
# Gives address and port of a host, as far as the inventory knows them.
Reach = Callable[[str], "tuple[str, int]"]

_REQUIRED = frozenset(("name", "server", "client", "server_unit"))
_KEYS = _REQUIRED | frozenset(
    (
        "server_address",
        "port",
        "client_unit",
        *_INSIDE.values(),
        "account",
        "mtu",
        "keepalive",
        "routes",
        "host_keys",
        "public_key",
        "private_key_variable",
    )
)
_SITES = frozenset(("server_site", "client_site"))
_KEEPALIVE = frozenset(("interval", "count"))
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_RESERVED_ACCOUNTS = frozenset(("root", "nobody", "daemon", "bin", "sys", "sshd"))
# Given to ssh as an argument: nothing that starts with a hyphen, and no % that it would expand.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_KEY = re.compile(
    r"(?P<kind>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) (?P<blob>AAAA[A-Za-z0-9+/]+={0,2})(?: .*)?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LENGTHS = {4: (30, 31), 6: (126, 127)}
_LONGEST = 300  # seconds
_CLOUD = parse_prefix(4, "169.254.169.0/24")
# IPv6 needs 1280 on every link.
_LEAST_MTU = {4: 576, 6: 1280}


class Route(NamedTuple):
    """A network of a site. path: where it was written."""

    path: str
    prefix: Prefix


class Side(NamedTuple):
    """One end of a tunnel. key: "server" or "client". host: inventory name. unit: the interface is tun<unit>."""

    key: str
    host: str
    unit: int


@dataclass(frozen=True)
class Tunnel:
    """A tunnel. path: where it was written; no part of its identity.

    inside, inside6: the network of both ends, at least one of them; the server has the first usable address, the client
    the second.
    interval: seconds; count: unanswered keepalives. server_site, client_site: networks behind each end. host_keys,
    public_key: `type blob`, given or empty. private_key_variable: name of the variable with the client's private key,
    empty where it is made on the client.
    """

    path: str = field(compare=False)
    name: str
    server: Side
    client: Side
    server_address: str
    port: int
    inside: Prefix | None
    inside6: Prefix | None
    account: str
    mtu: int
    interval: int
    count: int
    server_site: tuple[Route, ...]
    client_site: tuple[Route, ...]
    host_keys: tuple[str, ...]
    public_key: str
    private_key_variable: str

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.server, self.client

    @property
    def networks(self) -> list[tuple[str, Prefix]]:
        """(path, network) of both ends, of each family that it has."""
        found = ((4, self.inside), (6, self.inside6))
        return [(f"{self.path}.{_INSIDE[family]}", network) for family, network in found if network is not None]

    def address(self, key: str, family: int) -> tuple[int, Prefix] | None:
        """The inside address of a side and its network; None without one of the family."""
        network = self.inside if family == 4 else self.inside6
        if network is None:
            return None
        # The first address of a network of two is usable (RFC 3021, RFC 6164).
        first = network.first + (0 if network.size == 2 else 1)
        return first + (key == "client"), network


def read_tunnel(report: Report, path: str, value: Any, hosts: Collection[str], reach: Reach) -> Tunnel | None:
    """Read one item; None where too little of it can be read for a comparison with others. Mistakes are reported.

    hosts: every host of the inventory. reach: gives address and port of a host, where the user wrote no address.
    """
    item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
    if item is None:
        return None
    name = fields.text(report, path, item, "name")
    if name is not None and not _NAME.fullmatch(name):
        report.add(f"{path}.name", f"{show(name)} is not allowed: a lower-case letter, then at most 11 of a-z 0-9 -")
    server, client = (_host(report, path, item, key, hosts) for key in ("server", "client"))
    if server is not None and server == client:
        report.add(f"{path}.client", f"{show(client)} is the server too: a tunnel has two hosts")
    server_unit = _number(report, path, item, "server_unit", 0, 9999, UNREADABLE)
    client_unit = _number(report, path, item, "client_unit", 0, 9999, server_unit)
    inside, inside6 = (_inside(report, path, item, key, family) for family, key in _INSIDE.items())
    if not any(key in item for key in _INSIDE.values()):
        report.add(f"{path}.inside_cidr", "is missing: a tunnel has inside_cidr, inside_cidr6 or both")
    interval, count = _keepalive(report, path, item)
    server_site, client_site = _routes(report, path, item)
    least = _LEAST_MTU[6 if "inside_cidr6" in item else 4]
    public_key, variable = _client_key(report, path, item)
    known_address, known_port = reach(server) if server is not None else ("", SSH_PORT)
    server_address = _server_address(report, path, item, known_address)
    port = _number(report, path, item, "port", 1, 65535, SSH_PORT if "server_address" in item else known_port)
    account = _account(report, path, item, name or "")
    mtu = _number(report, path, item, "mtu", least, 1500, 1400)
    host_keys = _host_keys(report, path, item)
    for route in (*server_site, *client_site):
        family, key = route.prefix.family, _INSIDE[route.prefix.family]
        if key not in item and any(other in item for other in _INSIDE.values()):
            report.add(route.path, f"{route.prefix.text} is an IPv{family} network: {path}.{key} is needed")
    if (inside is None and inside6 is None) or name is None or server is None or client is None:
        return None
    return Tunnel(
        path=path,
        name=name,
        server=Side("server", server, server_unit),
        client=Side("client", client, client_unit),
        server_address=server_address,
        port=port,
        inside=inside,
        inside6=inside6,
        account=account,
        mtu=mtu,
        interval=interval,
        count=count,
        server_site=server_site,
        client_site=client_site,
        host_keys=host_keys,
        public_key=public_key,
        private_key_variable=variable,
    )


def _host(report: Report, path: str, item: Mapping[str, Any], key: str, hosts: Collection[str]) -> str | None:
    name = fields.text(report, path, item, key)
    if name is not None and name not in hosts:
        report.add(f"{path}.{key}", f"{show(name)} is not a host of the inventory{report.hint(name, hosts)}")
        return None
    return name


def _number(report: Report, path: str, item: Mapping[str, Any], key: str, least: int, most: int, default: int) -> int:
    if key not in item:
        return default
    value = item[key]
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    report.add(f"{path}.{key}", f"{show(value)} is not allowed; a number from {least} to {most} is needed")
    return default


def _inside(report: Report, path: str, item: Mapping[str, Any], key: str, family: int) -> Prefix | None:
    network = fields.prefix(report, path, item, key, family)
    if network is None:
        return None
    if network.length not in _LENGTHS[family]:
        allowed = " or ".join(f"/{length}" for length in _LENGTHS[family])
        report.add(f"{path}.{key}", f"{network.text} is not allowed: the network of the two ends is a {allowed}")
    elif meaning := special(network, link_local=family == 4):
        report.add(f"{path}.{key}", f"{network.text} is in {meaning}: unicast addresses are needed")
    elif network.overlaps(_CLOUD):
        report.add(f"{path}.{key}", f"{network.text} is in {_CLOUD.text}, where clouds have their metadata service")
    return network


def _server_address(report: Report, path: str, item: Mapping[str, Any], default: str) -> str:
    word = fields.text(report, path, item, "server_address")
    if word is None:
        word = default
    if word and not _HOST.fullmatch(word):
        report.add(f"{path}.server_address", f"{show(word)} is neither an address nor the name of a host")
    return word


def _account(report: Report, path: str, item: Mapping[str, Any], name: str) -> str:
    word = fields.text(report, path, item, "account")
    if word is None:
        return f"vpc-tun-{name}"
    if not _ACCOUNT.fullmatch(word):
        report.add(f"{path}.account", f"{show(word)} is not allowed: a-z or _, then at most 30 of a-z 0-9 _ -")
    elif word in _RESERVED_ACCOUNTS:
        report.add(f"{path}.account", f"{show(word)} is an account of the system: the tunnel needs one of its own")
    return word


def _keepalive(report: Report, path: str, item: Mapping[str, Any]) -> tuple[int, int]:
    given = fields.mapping(report, f"{path}.keepalive", item.get("keepalive", {}), _KEEPALIVE, frozenset()) or {}
    where = f"{path}.keepalive"
    interval, count = (
        _number(report, where, given, "interval", 1, 60, 10),
        _number(report, where, given, "count", 1, 10, 3),
    )
    if interval * count > _LONGEST:
        seconds = f"{interval} s x {count} are {interval * count} s"
        report.add(where, f"{seconds} until a dead end is noticed; at most {_LONGEST} s are allowed")
    return interval, count


def _routes(report: Report, path: str, item: Mapping[str, Any]) -> tuple[tuple[Route, ...], tuple[Route, ...]]:
    where = f"{path}.routes"
    given = fields.mapping(report, where, item.get("routes", {}), _SITES, frozenset()) or {}
    server, client = (_site(report, f"{where}.{key}", given.get(key, [])) for key in ("server_site", "client_site"))
    for route in client:
        for other in server:
            if route.prefix.overlaps(other.prefix):
                report.add(route.path, f"{route.prefix.text} overlaps {other.path} {other.prefix.text}")
    return server, client


def _site(report: Report, path: str, raw: Any) -> tuple[Route, ...]:
    found: list[Route] = []
    for index, value in enumerate(fields.sequence(report, path, raw)):
        where = f"{path}[{index}]"
        if not isinstance(value, str):
            report.add(where, f"{show(value)} is not allowed; a network as 10.10.10.0/24 is needed")
            continue
        word = fields.plain(value)
        try:
            prefix = parse_prefix(6 if ":" in word else 4, word)
        except ValueError as error:
            report.add(where, str(error))
            continue
        meaning = special(prefix) if prefix.length else ""
        if prefix.length == 0:
            report.add(where, f"{prefix.text} would send the tunnel's own packets into the tunnel: name the networks")
        elif meaning:
            report.add(where, f"{prefix.text} touches {meaning}: a unicast network is needed")
        elif overlapped := next((other for other in found if other.prefix.overlaps(prefix)), None):
            report.add(where, f"{prefix.text} overlaps {overlapped.path} {overlapped.prefix.text}")
        else:
            found.append(Route(where, prefix))
    return tuple(found)


def _host_keys(report: Report, path: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    keys = []
    for index, value in enumerate(fields.sequence(report, f"{path}.host_keys", item.get("host_keys", []))):
        key = _key(report, f"{path}.host_keys[{index}]", value)
        if key:
            keys.append(key)
    return tuple(keys)


def _client_key(report: Report, path: str, item: Mapping[str, Any]) -> tuple[str, str]:
    """The given public key and the name of the variable with the private one; empty where they are made."""
    public = _key(report, f"{path}.public_key", item["public_key"]) if "public_key" in item else ""
    variable = fields.text(report, path, item, "private_key_variable") or ""
    if variable and not _VARIABLE.fullmatch(variable):
        # What stands here may be the key itself: it is not shown.
        report.add(f"{path}.private_key_variable", "is not the name of a variable: the key itself must not stand here")
    for given, other in (("public_key", "private_key_variable"), ("private_key_variable", "public_key")):
        if given in item and other not in item:
            report.add(f"{path}.{other}", f"is missing: it belongs to {given}")
    return public, variable


def _key(report: Report, path: str, value: Any) -> str:
    match = _KEY.fullmatch(fields.plain(value)) if isinstance(value, str) else None
    if match is None or len(match["blob"]) % 4:
        report.add(path, f"{show(value)} is not a whole public key of OpenSSH, as ssh-ed25519 AAAA...")
        return ""
    return f"{match['kind']} {match['blob']}"
