# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab consists of: plan and lab name -> hosts, guests and the underlay. Pure: no I/O.

Everything is plain data that survives JSON, because the supervisors of the hosts are programs of their own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from . import flat
from .aws import connection as aws
from .aws import machines
from .flat import INTERFACE, INTERFACE_MAX, Bridge, Flat
from .host import Host, link_local, nic_mac, port_name
from .system import LabError

PLAN_FORMAT = 1
RESERVED = ("internet", "underlay")
INTERNET = ("198.51.100.1/32", "2001:db8:ffff::1/128")

_LAB_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_GUEST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

# Limits of the kernel and of systemd: sethostname(2), file names.
HOST_NAME_MAX = 64
NETNS_MAX = 128


class Underlay(NamedTuple):
    """What all hosts have in common. gateways, prefixes: of IPv4 and IPv6. card: the name of a network card."""

    gateways: tuple[str, str]
    prefixes: tuple[int, int]
    card: str


@dataclass(frozen=True)
class Vif:
    """One interface of a guest: `name` in the guest's namespace, `vif` at its hypervisor's end."""

    guest: str
    netns: str
    name: str
    host: str
    bridge: str
    vif: str
    mac: str
    isolated: bool
    address: str | None
    gateway: str | None
    address6: str | None
    gateway6: str | None
    # number of the guest's own route table for replies that leave by this interface; None if it has one interface only
    table: int | None


@dataclass(frozen=True)
class Topology:
    """A whole lab. gateways: addresses of the internet's namespace on the underlay, with prefix lengths.

    connections: VPN connections; the machines of their other ends are among the hosts. underlay_addresses: of the
    hosts of the plan, without prefix lengths. public: addresses that the internet has a route for, and the router's on
    the underlay.
    """

    lab: str
    hosts: tuple[Host, ...]
    guests: tuple[str, ...]
    vifs: tuple[Vif, ...]
    gateways: tuple[str, ...]
    connections: tuple[aws.Connection, ...] = ()
    underlay_addresses: tuple[str, ...] = ()
    public: tuple[tuple[str, str], ...] = ()

    @property
    def underlay(self) -> str:
        """Network namespace of the switch."""
        return f"{self.lab}-underlay"

    @property
    def internet(self) -> str:
        """Network namespace of the internet."""
        return f"{self.lab}-internet"

    def guest_netns(self, guest: str) -> str:
        """Network namespace of a guest."""
        return f"{self.lab}-vm-{guest}"


def to_json(item: Host | Vif) -> dict[str, Any]:
    """A host or an interface as JSON types."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(item).items()}


def vif_from_json(data: Mapping[str, Any]) -> Vif:
    """The inverse of `to_json` for an interface."""
    return Vif(**data)


def check_lab_name(lab: str) -> None:
    """Refuse a lab name that cannot be part of the names that are made from it."""
    if not _LAB_NAME.fullmatch(lab):
        raise LabError(f"name: {lab!r} is no lab name; allowed are 1-32 of a-z 0-9 _ -, not first _ or -")


def build(plan: Mapping[str, Any], lab: str) -> Topology:
    """The lab of a plan. LabError with every mistake, one a line, if there can be none."""
    check_lab_name(lab)
    if plan.get("format") != PLAN_FORMAT:
        raise LabError(f"plan.format: {plan.get('format')!r} is not supported; this lab reads format {PLAN_FORMAT}")
    hosts: Mapping[str, Any] = plan.get("hosts") or {}
    instances: Mapping[str, Any] = plan.get("instances") or {}
    networks: Mapping[str, Any] = plan.get("networks") or {}
    flats = flat.read(networks)
    errors = [*_host_errors(lab, hosts), *_guest_errors(lab, hosts, instances, networks, flats)]
    if errors:
        raise LabError("\n".join(errors))
    placed = flat.of_hosts(flats, hosts, instances)
    errors = list(flat.errors(flats, placed))
    if errors:
        raise LabError("\n".join(errors))
    gateways, prefixes = underlay({name: host["underlay"] for name, host in hosts.items()}, flats)
    connections = aws.read(plan.get("connections") or {})
    internet = [address.partition("/")[0] for address in (*INTERNET, gateways[0])]
    errors = list(aws.errors(connections, hosts, internet, prefixes[0]))
    errors += _length_errors(lab, (name for connection in connections for name in connection.machines))
    if errors:
        raise LabError("\n".join(errors))
    common = Underlay(gateways, prefixes, flat.card(flats))
    more = aws.gateway_addresses(connections, hosts)
    return Topology(
        lab=lab,
        hosts=(
            *(_host(lab, name, hosts[name], placed[name], common, more.get(name, ())) for name in sorted(hosts)),
            *machines.hosts(lab, connections, gateways[0]),
        ),
        guests=tuple(sorted(instances)),
        vifs=tuple(
            _vif(lab, guest, instances[guest], number)
            for guest in sorted(instances)
            for number in _numbers(instances[guest])
        ),
        gateways=tuple(
            dict.fromkeys(
                [
                    *(f"{address}/{length}" for address, length in zip(gateways, prefixes)),
                    *(gateway for network in flats for gateway in network.gateways()),
                    *_global(hosts, flats),
                ]
            )
        ),
        connections=connections,
        underlay_addresses=tuple(sorted(host["underlay"] for host in hosts.values())),
        public=tuple(_public(plan, hosts, ipaddress.IPv4Network(f"{gateways[0]}/{prefixes[0]}", strict=False))),
    )


def underlay(addresses: Mapping[str, str], flats: Sequence[Flat] = ()) -> tuple[tuple[str, str], tuple[int, int]]:
    """The default gateway's two addresses on the underlay and the prefix lengths of the two address families.

    IPv4: the flat network that all hosts are in, with its gateway. Else the hosts' /24 if they share one, else the
    smallest prefix that covers them all with one address to spare; the gateway has the highest free address, none of a
    flat network. IPv6: link-local addresses, each with the IPv4 address embedded.
    """
    used = {int(ipaddress.IPv4Address(address)) for address in addresses.values()}
    if not used:
        raise LabError("plan.hosts: the plan has no host")
    for network in flats:
        if network.cidr and network.gateway and all(map(network.holds, addresses.values())):
            return (network.gateway, link_local(network.gateway)), (network.cidr.prefixlen, 64)
    taken = [(int(network.cidr[0]), int(network.cidr[-1])) for network in flats if network.cidr]
    for length in range(24, -1, -1):
        prefix = ipaddress.IPv4Network((min(used), length), strict=False)
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        if max(used) <= last and not used & {first, last}:
            free = _highest_free(first, last, used, taken)
            if free is not None:
                gateway = str(ipaddress.IPv4Address(free))
                return (gateway, link_local(gateway)), (length, 64)
    raise LabError("plan.hosts: no prefix covers the underlay addresses of all hosts with one address to spare")


def _global(hosts: Mapping[str, Any], flats: Sequence[Flat]) -> Iterator[str]:
    """The internet's addresses among the hosts' global ones, so that answers to them find their way."""
    used = {ipaddress.IPv6Address(host["underlay6"]) for host in hosts.values() if host.get("underlay6")}
    there = [network.cidr6 for network in flats if network.cidr6]
    found = {ipaddress.IPv6Network((int(one), 64), strict=False) for one in used if not one.is_link_local}
    for prefix in sorted(found):
        if not any(prefix.overlaps(other) for other in there):
            # The highest one; hosts are fewer than addresses.
            free = [prefix[-number] for number in range(2, len(used) + 3)]
            yield f"{next((one for one in free if one not in used), prefix[-1])}/64"


def _highest_free(first: int, last: int, used: set[int], taken: Sequence[tuple[int, int]]) -> int | None:
    """The highest address between network and broadcast address that is neither used nor in a range that is taken."""
    number = last - 1
    while number > first:
        below = [low - 1 for low, high in taken if low <= number <= high]
        if not below and number not in used:
            return number
        number = min(below, default=number - 1)
    return None


def _numbers(instance: Mapping[str, Any]) -> range:
    return range(len(instance["interfaces"]))


def _host(
    lab: str, name: str, host: Mapping[str, Any], flats: Sequence[Flat], common: Underlay, more: Sequence[str]
) -> Host:
    own = link_local(host["underlay"])
    other = ipaddress.IPv6Address(host.get("underlay6") or own)
    length6 = next((network.cidr6.prefixlen for network in flats if network.cidr6 and other in network.cidr6), 64)
    inside = next((network for network in flats if network.uplink and network.holds(host["underlay"])), None)
    card = inside.uplink if inside and inside.uplink else common.card
    return Host(
        name=name,
        netns=f"{lab}-{name}",
        port=port_name(name),
        mac=nic_mac(lab, name),
        addresses=tuple(
            dict.fromkeys(
                [
                    f"{host['underlay']}/{common.prefixes[0]}",
                    f"{own}/{common.prefixes[1]}",
                    f"{other}/{length6}",
                    *(f"{address}/32" for address in more),
                ]
            )
        ),
        gateways=common.gateways,
        card=card,
        bridges=tuple(_bridge(lab, name, network, network is inside) for network in flats),
    )


def _bridge(lab: str, host: str, network: Flat, by_card: bool) -> Bridge:
    return Bridge(
        name=network.bridge,
        mac=nic_mac(lab, host) if by_card else nic_mac(lab, host, network.bridge),
        uplink=network.uplink,
        port=None if by_card or network.uplink is None else port_name(host, network.uplink),
    )


def _vif(lab: str, guest: str, instance: Mapping[str, Any], number: int) -> Vif:
    interface = instance["interfaces"][number]
    return Vif(
        guest=guest,
        netns=f"{lab}-vm-{guest}",
        name=f"eth{number}",
        host=instance["hypervisor"],
        bridge=interface["bridge"],
        vif=interface["vif"],
        mac=interface["mac"],
        isolated=bool(interface["isolated"]),
        address=interface.get("address"),
        gateway=interface.get("gateway"),
        address6=interface.get("address6"),
        gateway6=interface.get("gateway6"),
        table=100 + number if len(instance["interfaces"]) > 1 else None,
    )


def _public(
    plan: Mapping[str, Any], hosts: Mapping[str, Any], near: ipaddress.IPv4Network
) -> Iterator[tuple[str, str]]:
    """(address, router) of every public IPv4 address that is not on the underlay, where the router answers ARP."""
    router = next((host["underlay"] for host in hosts.values() if "router" in (host.get("roles") or ())), None)
    found = {ipaddress.IPv4Address(address) for address in plan.get("public_addresses") or ()}
    forwards = (plan.get("port_forwards") or {}).values()
    found.update(ipaddress.IPv4Address(item["address"]) for item in forwards if item["address"] is not None)
    for pool in (plan.get("nat_pools") or {}).values():
        first, last = (int(ipaddress.IPv4Address(address)) for address in pool["addresses"])
        found.update(map(ipaddress.IPv4Address, range(first, last + 1)))
    if router is not None:
        yield from ((str(address), router) for address in sorted(found) if address not in near)


def _host_errors(lab: str, hosts: Mapping[str, Any]) -> list[str]:
    errors = []
    seen: dict[str, str] = {}
    for name, host in hosts.items():
        path = f"plan.hosts.{name}"
        if name in RESERVED or name.startswith("vm-"):
            errors.append(f"{path}: this host name is taken by the lab itself (internet, underlay, vm-...)")
        elif not _HOST_NAME.fullmatch(name) or ".." in name:
            errors.append(f"{path}: is no host name; allowed are letters, digits, dots, hyphens and underscores")
        errors += _length_errors(lab, [name])
        try:
            address = str(ipaddress.IPv4Address(host.get("underlay")))
        except ValueError:
            errors.append(f"{path}.underlay: {host.get('underlay')!r} is no IPv4 address; set vpc_underlay_address")
            continue
        if address in seen:
            errors.append(f"{path}.underlay: {address} is also the address of {seen[address]}")
        seen[address] = name
        try:
            ipaddress.IPv6Address(host.get("underlay6") or "::")
        except ValueError:
            errors.append(f"{path}.underlay6: {host['underlay6']!r} is no IPv6 address")
    return errors


def _length_errors(lab: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if len(f"{lab}-{name}") > HOST_NAME_MAX:
            yield f"plan.hosts.{name}: {lab}-{name} has more than {HOST_NAME_MAX} characters; choose a shorter lab name"


def _guest_errors(
    lab: str,
    hosts: Mapping[str, Any],
    instances: Mapping[str, Any],
    networks: Mapping[str, Any],
    flats: Sequence[Flat],
) -> list[str]:
    errors = []
    seen: dict[tuple[str, str], str] = {}
    taken = {"lo", flat.card(flats), *(network.uplink for network in flats)}
    taken |= {network.get("bridge") for network in networks.values()}
    for name, instance in instances.items():
        path = f"plan.instances.{name}"
        if not _GUEST_NAME.fullmatch(name):
            errors.append(f"{path}: cannot be part of the name of a network namespace")
        if len(f"{lab}-vm-{name}") > NETNS_MAX:
            errors.append(f"{path}: {lab}-vm-{name} has more than {NETNS_MAX} characters; choose a shorter lab name")
        host = instance.get("hypervisor")
        if host not in hosts:
            errors.append(f"{path}.hypervisor: {host!r} is not in plan.hosts")
        for number, interface in enumerate(instance.get("interfaces") or ()):
            vif = interface.get("vif") or ""
            where = f"{path}.interfaces[{number}].vif"
            if not INTERFACE.fullmatch(vif) or len(vif) > INTERFACE_MAX:
                errors.append(f"{where}: {vif!r} is no interface name of at most {INTERFACE_MAX} characters")
            elif vif in taken:
                errors.append(f"{where}: {vif} is the name of an interface that a host has already")
            if (host, vif) in seen:
                errors.append(f"{where}: {vif} is also the name of an interface of {seen[(host, vif)]} on {host}")
            seen[(host, vif)] = name
    return errors
