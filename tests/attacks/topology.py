# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One hypervisor with a bridge and guests, as network namespaces of this test run."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.plainlinux.vpc.tests.attacks.namespaces import Namespaces
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, ISOLATED, World

_NUMBERS = itertools.count()
_QUIET = """
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv6.conf.default.router_solicitations=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
ip link set lo up
"""


class Topology(Namespaces):
    """The namespaces of one World. A guard works in `host`, on `world.bridge` and its ports, through run().

    Ports: vif1.0 to vif4.0 lead to guests a, b, c and r; vif9.0 to d, who is declared nowhere; peth0 is the uplink.
    Close it, or use it in a `with`: then nothing is left, whatever happened.
    """

    def __init__(self, world: World, prefix: str = "atk") -> None:
        super().__init__(world)
        self._prefix = f"{prefix}{os.getpid()}x{next(_NUMBERS)}"
        self._names = ("host", "ext", *world.vifs)
        self.host = self.namespace("host")
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Topology:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove all namespaces, and with them all that is in them."""
        for name in self._names:
            if Path("/run/netns", self.namespace(name)).exists():
                subprocess.run(["ip", "netns", "del", self.namespace(name)], check=False)

    def namespace(self, name: str) -> str:
        """The network namespace of host, ext or a guest."""
        return f"{self._prefix}-{name}"

    def device(self, name: str) -> str:
        """Where a sender sends and a receiver listens."""
        return self.world.bridge if name == "host" else "eth0"

    def _build(self) -> None:
        subprocess.run(
            ["ip", "-batch", "-"],
            input="".join(f"netns add {self.namespace(name)}\n" for name in self._names),
            text=True,
            check=True,
        )
        for name in self._names:
            self.shell(_QUIET, name)
        self.shell("\n".join(self._host_ports()))
        for vif in self.world.vifs.values():
            self.shell("\n".join(self._guest(vif.guest)), vif.guest)
        self.shell("\n".join(self._outside()), "ext")
        self.shell("\n".join(self._host_addresses()))

    def _host_ports(self) -> Iterator[str]:
        world = self.world
        bridge = world.bridge
        yield f"ip link add {bridge} address {world.host.mac} mtu 9000 type bridge forward_delay 0 stp_state 0 \
            mcast_snooping 0"
        switch = int(world.bridge_nf)
        yield f"sysctl -qw net.bridge.bridge-nf-call-iptables={switch} net.bridge.bridge-nf-call-ip6tables={switch} \
            net.bridge.bridge-nf-call-arptables={switch}"
        ports = []
        for vif in world.vifs.values():
            yield f"ip link add {vif.name} address fe:ff:ff:ff:ff:ff mtu 9000 type veth \
                peer name eth0 address {vif.mac} mtu 9000 netns {self.namespace(vif.guest)}"
            ports.append(vif.name)
        peer = f"peer name eth0 address {world.scene.ext_mac} mtu 9000 netns {self.namespace('ext')}"
        if world.kind == FLAT:
            yield f"ip link add peth0 address fe:ff:ff:ff:ff:ff mtu 9000 type veth {peer}"
            ports.append("peth0")
        else:
            yield f"ip link add eth0 address {world.scene.wan_mac} mtu 9000 type veth {peer}"
        for port in ports:
            # As Xen's own scripts do: else each port has a link-local address of the hypervisor.
            yield f"sysctl -qw net.ipv6.conf.{port.replace('.', '/')}.disable_ipv6=1"
            yield f"ip link set {port} master {bridge} up"
        if world.kind == ISOLATED:
            for port in ports:
                yield f"bridge link set dev {port} isolated on"
        yield f"sysctl -qw net.ipv4.neigh.{bridge}.locktime=0"
        yield f"ip link set {bridge} up"

    def _host_addresses(self) -> Iterator[str]:
        world = self.world
        host, bridge = world.host, world.bridge
        if world.kind == FLAT:
            yield f"ip addr add {host.ip4}/24 dev {bridge}"
            yield f"ip addr add {host.ip6}/64 dev {bridge} nodad"
            yield f"ip route add default via {world.gw.ip4}"
            yield f"ip route add default via {world.gw.ll} dev {bridge}"
            return
        yield f"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
            net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.{bridge}.send_redirects=0 \
            net.ipv4.conf.{bridge}.proxy_arp=1 net.ipv4.neigh.{bridge}.proxy_delay=0 \
            net.ipv4.conf.{bridge}.proxy_arp_pvlan={int(world.kind == ISOLATED)}"
        yield f"ip addr add {host.ip4}/32 dev {bridge}"
        yield f"ip addr add {host.ip6}/128 dev {bridge} nodad"
        yield f"ip addr add fe80::1/64 dev {bridge} nodad"
        yield "ip addr add 198.18.0.2/30 dev eth0"
        yield "ip addr add fe80::2/64 dev eth0 nodad"
        yield "ip link set eth0 up"
        for family, via in (("-4", "198.18.0.1"), ("-6", "fe80::3")):
            yield f"ip {family} rule add iif {bridge} lookup 1000 priority 20000"
            for table in ("main", "1000"):
                yield f"ip {family} route add default via {via} dev eth0 table {table}"
                for vif in world.vifs.values():
                    own = [*vif.addresses4, *vif.addresses6, *(pair.address for pair in vif.pairs)]
                    for address in own:
                        if (":" in address) == (family == "-6"):
                            yield f"ip {family} route add {address} dev {bridge} table {table}"

    def _guest(self, name: str) -> Iterator[str]:
        world = self.world
        vif = world.vifs[name]
        yield f"sysctl -qw net.ipv6.conf.eth0.disable_ipv6={int(not vif.addresses6)} net.ipv4.neigh.eth0.locktime=0"
        yield "ip link set eth0 up"
        for address in vif.addresses4:
            yield f"ip addr add {address}/24 dev eth0"
        if vif.addresses4:
            yield f"ip route add default via {world.gw.ip4}"
        for address in vif.addresses6:
            yield f"ip addr add {address}/{128 if world.routed else 64} dev eth0 nodad"
        if vif.addresses6:
            yield f"ip route add default via {world.gw.ll} dev eth0"

    def _outside(self) -> Iterator[str]:
        world = self.world
        yield "ip link set eth0 up"
        yield f"ip addr add {world.ext.ip4}/32 dev lo"
        yield f"ip addr add {world.ext.ip6}/128 dev lo nodad"
        if world.kind == FLAT:
            yield f"ip addr add {world.gw.ip4}/24 dev eth0"
            yield f"ip addr add {world.gw.ip6}/64 dev eth0 nodad"
            return
        # The router that has the gateway's address, and a guest on another hypervisor.
        yield f"ip addr add {world.gw.ip4}/32 dev lo"
        yield f"ip addr add {world.scene.remote4}/32 dev lo"
        yield "ip addr add 198.18.0.1/30 dev eth0"
        yield "ip addr add fe80::3/64 dev eth0 nodad"
        yield f"ip route add {world.scene.network4} via 198.18.0.2"
        yield f"ip route add {world.scene.network6} via fe80::2 dev eth0"
