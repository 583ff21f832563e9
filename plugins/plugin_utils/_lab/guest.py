# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests: a network namespace each, plugged into a hypervisor's bridge as the tools of a hypervisor would do it."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from . import netns
from .paths import Paths
from .system import run
from .topology import Vif

# A guest is no router, takes its addresses from the plan alone, and speaks for an address only where it has it.
# arp_notify and ndisc_notify: it announces itself when it is plugged in, as a hypervisor does for it after a migration.
SYSCTLS = (
    "net.ipv4.ip_forward=0",
    "net.ipv6.conf.all.forwarding=0",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.arp_ignore=1",
    "net.ipv4.conf.all.arp_announce=2",
    "net.ipv4.conf.default.arp_notify=1",
    "net.ipv6.conf.all.accept_ra=0",
    "net.ipv6.conf.default.accept_ra=0",
    "net.ipv6.conf.default.ndisc_notify=1",
)


def create(paths: Paths, name: str) -> bool:
    """Make a guest: a machine without a network card. Returns whether it was made."""
    if not netns.add(paths, name):
        return False
    run(["ip", "netns", "exec", name, "sysctl", "-q", "-w", *SYSCTLS])
    return True


def cable(vif: Vif) -> str:
    """Line of `ip` that makes an interface of a guest, whose other end is the hypervisor's.

    Without a MAC of its own, that end would be given one by udev sooner or later, before or after it has an address.
    As with Xen and libvirt, it is so high that no bridge takes it for its own.
    """
    end = f"name {vif.vif} address ee:{vif.mac[3:]}"
    return f"link add {end} type veth peer name {vif.name} address {vif.mac} netns {vif.netns}"


def enslave(vif: Vif) -> list[str]:
    """Lines of `ip` that make the hypervisor's end a port of the bridge, which must exist.

    It is isolated at once: a role that looks at the bridge while the guard is being told must not find it otherwise.
    """
    isolated = "on" if vif.isolated else "off"
    return [
        f"link set dev {vif.vif} master {vif.bridge}",
        f"link set dev {vif.vif} type bridge_slave isolated {isolated}",
    ]


def lift(vif: Vif) -> list[str]:
    """Lines of `ip` that let packets through the port."""
    return [f"link set dev {vif.vif} up"]


def configure(vif: Vif) -> None:
    """Let the guest configure an interface that was plugged in."""
    forget_rules(vif)
    netns.batch(vif.netns, configuration(vif))
    netns.batch(vif.netns, rules(vif, 4), "-4")
    netns.batch(vif.netns, rules(vif, 6), "-6")


def configuration(vif: Vif) -> list[str]:
    """Lines of `ip` that configure a guest's interface: addresses first, so that it announces them when it comes up."""
    device = f"dev {vif.name}"
    lines = [f"address add {address} {device}" for address in (vif.address, vif.address6) if address]
    lines.append(f"link set {device} up")
    # the gateway of IPv6 is a link-local address, or the guest's address has a prefix that covers it
    families = ((vif.address, vif.gateway), (vif.address6, vif.gateway6))
    routes = [f"default via {gateway} {device}" for address, gateway in families if address and gateway]
    if vif.name == "eth0":
        lines += [f"route add {route}" for route in routes]
    if vif.table is not None:
        for network in (ipaddress.ip_interface(address).network for address in (vif.address, vif.address6) if address):
            if network.num_addresses > 1:
                lines.append(f"route add {network} {device} table {vif.table}")
        lines += [f"route add {route} table {vif.table}" for route in routes]
    return lines


def rules(vif: Vif, family: int) -> list[str]:
    """Lines of `ip` that make a guest with several interfaces answer by the one that it was asked on."""
    address = vif.address if family == 4 else vif.address6
    if vif.table is None or not address:
        return []
    source = str(ipaddress.ip_interface(address).ip)
    return [f"rule add from {source} lookup {vif.table} priority {1000 + vif.table}"]


def forget_rules(vif: Vif) -> None:
    """Remove the rules of an interface from its guest: unlike its routes they outlive it."""
    for family in ("-4", "-6"):
        if vif.table is not None and netns.exists(vif.netns):
            run(["ip", family, "-n", vif.netns, "rule", "flush", "table", str(vif.table)])


def await_addresses(names: Iterable[str], timeout: float = 20.0) -> list[str]:
    """Wait until duplicate address detection is over in guests. Returns those where it failed. timeout in seconds."""
    deadline = time.monotonic() + timeout
    waiting = list(names)
    failed: list[str] = []
    while waiting:
        texts = {name: run(["ip", "-6", "-n", name, "-o", "address", "show", "tentative"]) for name in waiting}
        failed += [name for name in waiting if "dadfailed" in texts[name]]
        waiting = [name for name in waiting if texts[name].strip() and "dadfailed" not in texts[name]]
        if waiting and time.monotonic() > deadline:
            return failed + waiting
        if waiting:
            time.sleep(0.1)
    return failed
