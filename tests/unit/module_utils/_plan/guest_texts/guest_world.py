# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor and a router as roles leave them, with the guard, and guests that are plugged in and know nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_plan import plan
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_tools import Machine

_UNDERLAY = {"host1": 103, "router": 101}


class World:
    """summary: of the plan. guests: by name, with interfaces ens3, ens4... that are down."""

    def __init__(self, folder: Path) -> None:
        self.plan = plan()
        self.summary: dict[str, Any] = self.plan.summary()
        self.hosts = {name: Netns() for name in _UNDERLAY}
        self.guests: dict[str, Machine] = {}
        self.folder = folder
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for machine in self.guests.values():
            machine.close()
        for netns in (*self.hosts.values(), *(machine.netns for machine in self.guests.values())):
            netns.remove()

    def _build(self) -> None:
        host, router = self.hosts["host1"], self.hosts["router"]
        host.sh(
            f"""
            echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
            echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
            ip link add eth0 type veth peer name eth0 netns {router.name}
            ip link add xenbr0 up type bridge
            ip link add peth0 type veth peer name eth1 netns {router.name}
            ip link set peth0 master xenbr0 up
            """
        )
        for name, last in _UNDERLAY.items():
            self.hosts[name].sh(
                f"""
                echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                ip link set eth0 up
                ip addr add 192.168.56.{last}/24 dev eth0
                ip addr add 2001:db8:56::{last}/64 dev eth0 nodad
                """
            )
        router.sh(
            """
            ip link set eth1 up
            ip addr add 10.10.50.1/24 dev eth1
            ip addr add 2001:db8:50::1/64 dev eth1 nodad
            """
        )
        for name in self.hosts:
            self._apply(name, "router" if name == "router" else "hypervisor")

    def _apply(self, host: str, role: str) -> None:
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        options = Options(root=str(folder / "root"), lock=str(folder / "lock"))
        Transaction(SCOPES[role], self.plan.slice(host, role), options, self.hosts[host].run).apply()

    def plug(self, *names: str) -> None:
        host = self.hosts["host1"]
        for name in names:
            machine = self.guests[name] = Machine(self.folder / name, Netns())
            machine.netns.sh("sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
            own = machine.netns.name
            for number, item in enumerate(self.summary["instances"][name]["interfaces"]):
                device = f"ens{3 + number}"
                host.sh(
                    f"""
                    ip link add {item["vif"]} type veth peer name {device} address {item["mac"]} netns {own}
                    ip link set {item["vif"]} master {item["bridge"]} up
                    bridge link set dev {item["vif"]} isolated {"on" if item["isolated"] else "off"}
                    """
                )
        self._apply("host1", "antispoof")

    def macs(self, name: str) -> dict[str, str]:
        """Of a guest's interfaces, by name."""
        interfaces = self.summary["instances"][name]["interfaces"]
        return {f"ens{3 + number}": item["mac"] for number, item in enumerate(interfaces)}

    def reaches(self, name: str, *targets: str, source: str = "") -> list[str]:
        """Targets that do not answer."""
        ping = f"ping -nq -W 2 {f'-I {source}' if source else ''}"
        lines = [f"({ping} -c 1 {target} || {ping} -c 2 {target}) >&2 || echo {target} &" for target in targets]
        return sorted(self.guests[name].netns.sh("\n".join([*lines, "wait"])).split())
