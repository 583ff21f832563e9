# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The underlay: one switch that all hosts share, and the internet, which is the default gateway on it.

In the namespace of the switch there is a bridge more for each VPC at the other end of a VPN.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from . import internet, netns, transit
from .aws.connection import LAN_PREFIX
from .host import SWITCH, nic_mac
from .paths import Paths
from .system import LabError, recall, run, start
from .topology import INTERNET, Topology

PORT = "internet"
# Whose routes for public addresses are (rtnetlink(7), rtm_protocol); any number that nobody else uses here.
_PUBLIC = "180"


def create_switch(paths: Paths, topology: Topology) -> bool:
    """Make the switch: a bridge in a namespace of its own. Returns whether anything was made or removed."""
    netns.add(paths, topology.underlay)
    wanted = {SWITCH, *(connection.lan for connection in topology.connections)}
    there = netns.links(topology.underlay)
    bridges = {name for name in there if name == SWITCH or name.startswith(LAN_PREFIX)}
    if bridges == wanted:
        return False
    lines = [f"link delete dev {name}" for name in sorted(bridges - wanted)]
    for name in sorted(wanted - bridges):
        lines += [f"link add name {name} type bridge mcast_snooping 0", f"link set dev {name} addrgenmode none up"]
    netns.batch(topology.underlay, lines)
    # a switch does not ask a firewall; the keys exist only where br_netfilter is loaded
    keys = [f"net.bridge.bridge-nf-call-{tables}=0" for tables in ("iptables", "ip6tables", "arptables")]
    run(["ip", "netns", "exec", topology.underlay, "sysctl", "-e", "-q", "-w", *keys])
    return True


def create_internet(paths: Paths, topology: Topology) -> bool:
    """Make the internet and what answers in it. Returns whether anything was made.

    It knows the underlay and its own addresses, but no network of the guests, and it forwards nothing but what is
    between VPN gateways and their endpoints.
    """
    name = topology.internet
    made = netns.add(paths, name)
    if made:
        # only families and forwarding differ from the defaults of a new namespace
        keys = ["net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.default.accept_ra=0"]
        run(["ip", "netns", "exec", name, "sysctl", "-q", "-w", *keys])
        netns.batch(name, [f"address add {address} dev lo" for address in INTERNET])
    if "eth0" not in netns.links(name):
        made = True
        netns.unlink(topology.underlay, [PORT])
        netns.batch(
            topology.underlay,
            [
                f"link add name {PORT} type veth peer name eth0 address {nic_mac(topology.lab)} netns {name}",
                f"link set dev {PORT} master {SWITCH}",
                f"link set dev {PORT} up",
            ],
        )
        netns.batch(name, ["link set dev eth0 addrgenmode none up"])
    wanted = set(topology.gateways)
    there = _addresses(name)
    if there != wanted:
        made = True
        lines = [f"address delete {address} dev eth0" for address in sorted(there - wanted)]
        lines += [f"address add {address} dev eth0 nodad" for address in topology.gateways if address not in there]
        netns.batch(name, lines)
    made = _ways(name, topology.public) or made
    made = transit.ensure(paths, name, topology.connections, topology.underlay_addresses) or made
    return _serve(paths, name) or made


def _ways(name: str, public: Iterable[tuple[str, str]]) -> bool:
    """Give the internet its routes for public addresses, as a provider does. Returns whether any was changed."""
    words = ("-4", "-n", name, "route", "show", "proto", _PUBLIC)
    there = {tuple(line.split()[:3:2]) for line in run(["ip", *words]).splitlines()}
    wanted = set(public)
    lines = [f"route delete {address} proto {_PUBLIC}" for address, _router in sorted(there - wanted)]
    lines += [f"route add {address} via {router} proto {_PUBLIC}" for address, router in sorted(wanted - there)]
    netns.batch(name, lines)
    return bool(lines)


def _addresses(name: str) -> set[str]:
    lines = run(["ip", "-n", name, "-o", "address", "show", "dev", "eth0"]).splitlines()
    return {line.split()[3] for line in lines}


def _serve(paths: Paths, name: str) -> bool:
    """Start the HTTP server unless it runs."""
    identity = paths.supervisor(internet.SERVICE)
    if recall(identity):
        return False
    identity.unlink(missing_ok=True)
    process = start("internet", [paths.lab, name], paths.log(internet.SERVICE))
    deadline = time.monotonic() + 60
    while not recall(identity):
        if process.poll() is not None or time.monotonic() > deadline:
            log = paths.log(internet.SERVICE).read_text(encoding="utf-8", errors="replace")
            raise LabError(f"the HTTP server of {name} did not start: {log[-1000:]}")
        time.sleep(0.01)
    return True
