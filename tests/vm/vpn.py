# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VPN scenario: the role vpn_gateway with the kernel's ESP, on a machine whose kernel has it."""

from __future__ import annotations

import json
import re
import secrets
from argparse import Namespace
from pathlib import Path
from typing import Any

import checks
import double
import kernel
import traffic
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import UNIT
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import image
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError
from gateway import NAME, GatewayMachine
from scenario import BOOT_TIMEOUT, TOP, Scenario, say

CONNECTION = "aws1"
# The first tunnel is ESP itself; the second sees NAT on its way and is ESP in UDP.
OUTSIDE = (double.GATEWAY, double.PUBLIC)
PEERS = ("192.0.2.10", "192.0.2.20")
TUNNELS_TIMEOUT = 120.0
SSH_TIMEOUT = 60.0
# What an administrator may do to an interface of ours.
DRIFT = """
ip link set aws1-1 mtu 1300
ip link set aws1-1 type xfrm if_id 5
ip link set aws1-2 down
ip addr del 169.254.20.2/30 dev aws1-2
"""


class Vpn(Scenario):
    """Each row of the table says what it looked at; what must be refused is first seen to pass without the guard."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments)
        self.keys = [f"k{secrets.token_hex(16)}" for _peer in PEERS]
        self.iptables = self.variables.get("vpc_backend") == "iptables"

    def run(self) -> None:
        self.folder.mkdir(mode=0o700)
        say(f"making the disk of a gateway ({self.suite})")
        debian = kernel.prepare(self.cache, self.suite, self.folder)
        self.gateway = GatewayMachine(debian, self.folder, self._endpoints())
        self.machines = [self.gateway]
        self._make_disk()
        say(f"booting it with Linux {debian.release}")
        self._boot()
        self.inventory = str(self.folder / "inventory.json")
        Path(self.inventory).write_text(json.dumps(self._inventory()), encoding="utf-8")
        blank = self._dump()
        say("configuring it")
        self.play("site.yml", limit=NAME)
        plan = json.loads(Path(self.plan_dir, _plan_dir.SUMMARY).read_text(encoding="utf-8"))
        self.tunnels: list[dict[str, Any]] = plan["connections"][CONNECTION]["tunnels"]
        self.slice = _plan_dir.read_slice(self.plan_dir, NAME, "vpn_gateway") or {}
        self._up("both tunnels up")
        self._states()
        self._again()
        say("sending packets")
        self.add("packets", *traffic.full_size(self.gateway, self.tunnels))
        for what, fault, remark in traffic.guarded(self.gateway, self.tunnels, self.iptables):
            self.add(what, fault, remark)
        say("cutting off one endpoint, and giving it back")
        for what, fault, remark in traffic.failover(self.gateway, self.tunnels):
            self.add(what, fault, remark)
        say("damaging interfaces")
        self._repair()
        say("booting again")
        self._reboot()
        say("removing the role")
        self.play("teardown.yml", "vpc_confirm_removal=true", limit=NAME)
        self._compare("as before the role", blank)

    def add(self, what: str, fault: str, remark: str = "") -> None:
        self.results.add(NAME, what, fault, remark)

    # What there is

    def _endpoints(self) -> tuple[double.Endpoint, ...]:
        return tuple(
            double.Endpoint(
                f"{CONNECTION}-{number}",
                PEERS[number - 1],
                OUTSIDE[number - 1],
                f"169.254.{number}0.1",
                f"169.254.{number}0.2",
                f"172.31.{number}.1",
                f"172.31.{number}.2",
                self.keys[number - 1],
            )
            for number in (1, 2)
        )

    def _inventory(self) -> dict[str, Any]:
        tunnels = [
            {
                "outside_address": OUTSIDE[number],
                "peer_outside_address": PEERS[number],
                "inside_cidr": f"169.254.{number + 1}0.0/30",
                "psk_variable": f"vault_tunnel{number + 1}",
            }
            for number in (0, 1)
        ]
        tunnels[1]["local_address"] = double.GATEWAY
        hosts = {
            "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
            "vpc_instances": [{"name": "vm1", "hypervisor": "host1", "network": "net1", "address": double.GUEST}],
            "vpc_vpn_connections": [
                {
                    "name": CONNECTION,
                    "gateway": NAME,
                    "customer_asn": double.CUSTOMER_ASN,
                    "amazon_asn": double.AMAZON_ASN,
                    # With AWS's 30, a cut right after a keepalive takes that long, and what follows.
                    "hold_time": 20,
                    "accept": [double.VPC],
                    "tunnels": tunnels,
                }
            ],
            **{f"vault_tunnel{number}": key for number, key in enumerate(self.keys, 1)},
        }
        gateway = {**self.gateway.connection, "vpc_underlay_address": double.GATEWAY}
        groups = {
            "hypervisors": {"hosts": {"host1": {"ansible_host": "192.168.56.103"}}},
            "routers": {"hosts": {"router": {"ansible_host": double.ROUTER}}},
            "vpn_gateways": {"hosts": {NAME: gateway}},
        }
        return {"all": {"vars": hosts, "children": groups}}

    def _make_disk(self) -> None:
        """A root file system with what the lab's hosts could install, installed."""
        text = (TOP / "roles/lab/defaults/main.yml").read_text(encoding="utf-8")
        packages: list[str] = yaml.safe_load(text)["lab_packages"]
        image.ensure(self.cache, self.suite, packages)
        self.gateway.prepare([str(path) for path in image.layers(self.cache, self.suite, packages)], packages)

    def _boot(self) -> None:
        self.gateway.start()
        self.gateway.await_shell(BOOT_TIMEOUT)
        state = self.gateway.shell("systemctl is-system-running --wait", timeout=180).stdout.strip()
        if state != "running":
            names = self.gateway.shell("systemctl --failed --plain --no-legend").stdout
            raise LabError(f"systemd says {state}: {names}{self.gateway.shell('journalctl -b -p warning').stdout}")
        self.gateway.await_ssh(SSH_TIMEOUT)

    def _dump(self) -> dict[str, list[str]]:
        found = checks.dumps(self.gateway.shell, (), self.iptables)
        if self.iptables:
            # the same once more
            del found["nftables"]
        return found

    # What is looked at

    def _up(self, what: str) -> None:
        """Raises LabError where they do not come up: nothing else can be looked at then."""
        seconds = self.gateway.await_tunnels(len(PEERS), TUNNELS_TIMEOUT)
        self.add(what, "", f"{seconds:.0f} s; {self.gateway.sessions_in_words()}; ways {self.gateway.ways()}")

    def _states(self) -> None:
        numbers = [value.split()[2] for name, value in sorted(self.slice["state"]["xfrm"].items())]
        wanted = sorted(
            f"{way} {peer} if_id {number}{udp}"
            for peer, number, udp in zip(PEERS, numbers, ("", " udp"), strict=True)
            for way in ("in", "out")
        )
        found = self.gateway.states()
        self.add("ESP SAs", "" if found == wanted else f"{found} instead of {wanted}", "; ".join(found))

    def _again(self) -> None:
        """A second run: nothing to do, nothing restarted, no session lost."""
        before, sessions, dump = self.gateway.starts(), self._established(), self._dump()
        recap = self.play("site.yml", limit=NAME)
        changed = re.findall(r"changed=(\d+)", recap)
        self.add("second run", "" if changed == ["0"] else f"changed: {changed}", "changed=0")
        after = self.gateway.starts()
        self.add("daemons after it", "" if after == before else f"{after} instead of {before}")
        self.add("sessions after it", "" if self._established() == sessions else "BGP was interrupted")
        self._compare("kernel after it", dump)
        verified = self.play("verify.yml", limit=NAME)
        self.add("verify.yml", "", next((line.strip() for line in verified.splitlines() if CONNECTION in line), ""))

    def _established(self) -> list[int]:
        return [int(session["connectionsEstablished"]) for session in self.gateway.sessions().values()]

    def _compare(self, what: str, wanted: dict[str, list[str]]) -> None:
        found = self._dump()
        faults = [fault for kind in wanted if (fault := checks.difference(wanted[kind], found[kind]))]
        self.add(what, "; ".join(faults), f"{sum(map(len, wanted.values()))} lines")

    def _repair(self) -> None:
        """Role and boot unit each put back what they made, and the tunnels come back."""
        whole = self._dump()
        for what in ("site.yml", "the boot unit"):
            self.gateway.ask(DRIFT)
            damaged = self._dump() != whole
            if what == "site.yml":
                self.play(what, limit=NAME)
            else:
                self.gateway.ask(f"systemctl restart {UNIT}", 120)
            self._up(f"tunnels up, mended by {what}")
            self.add(f"damage mended by {what}", "" if damaged else "the damage was none")
            self._compare(f"kernel, mended by {what}", whole)

    def _reboot(self) -> None:
        whole = self._dump()
        self.gateway.ask("sync")
        self.gateway.stop()
        self.gateway.start()
        self.gateway.await_shell(BOOT_TIMEOUT)
        checks.booted(self.gateway, self.results)
        self._up("tunnels up, booted again")
        self._states()
        self._compare("kernel, booted again", whole)
