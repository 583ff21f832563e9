# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with the guard, for tests of the engine and the helper together: real ports, real nft."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import HELPER
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, file_name, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE, Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import static
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import of_ports, port_settings
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context

OWN = {"own": True, "uplinks": []}
FLAT = {"own": False, "uplinks": ["peth0"]}
ONE = Guest("52:54:00:0a:0a:0a", ((4, parse_ipv4("10.10.10.10")), (6, parse_ipv6("2001:db8:10::10"))))
TWO = Guest("52:54:00:0a:0a:0b", ((4, parse_ipv4("10.10.10.11")),))
# Learns, because it has two MACs.
THREE = Guest(
    "52:54:00:0a:0a:0c", ((4, parse_ipv4("10.10.10.12")),), (("00:00:5e:00:01:07", 4, parse_ipv4("10.10.10.7")),)
)
# Its IPv6 address is the one that its start names.
OPEN = Guest("52:54:00:0a:0a:0d", ((4, parse_ipv4("10.10.10.13")),), open6=True)
SETTINGS = {
    "nftables": "no_linklocal_learn 1",
    "iptables": "no_linklocal_learn 1 nf_call_iptables 1 nf_call_ip6tables 1",
}


class Host:
    """A namespace with a bridge of ours and one of others, and folders for files and records."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.netns = Netns()
        self.backend = backend
        self.objects = {"nft", "iptables"} if backend == "iptables" else {"nft"}
        self.root = folder / "root"
        self.run_folder = self.root / "run/plainlinux-vpc"
        self.run_folder.parent.mkdir(parents=True)
        self.options = {"root": str(self.root), "lock": str(folder / "lock")}
        self.netns.sh(
            """
            echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
            ip link add br-net1 up type bridge
            ip link add xenbr0 up type bridge
            ip link add peth0 type veth peer name wire
            ip link set peth0 master xenbr0 up
            """
        )
        if backend == "iptables":
            # The tools make their base chains with the first rule, and leave them: they are everybody's.
            self.netns.sh(
                """
                for tool in iptables ip6tables; do
                    for chain in 'raw PREROUTING' 'filter FORWARD'; do
                        $tool -t ${chain% *} -A ${chain#* } -j RETURN; $tool -t ${chain% *} -D ${chain#* } -j RETURN
                    done
                done
                """
            )

    def slice(
        self,
        guests: Iterable[Guest],
        names: Mapping[str, Guest] | None = None,
        bridges: Mapping[str, Mapping[str, Any]] | None = None,
        trusted: Iterable[str] = (),
        **rules: Any,
    ) -> dict[str, Any]:
        names = names or {}
        policy = Policy(**{"uplinks": ("peth0",), "trusted": tuple(trusted), **rules})
        found: dict[str, Any] = {
            "format": 1,
            "host": "host1",
            "scope": "antispoof",
            "underlay": None,
            "underlay6": None,
            "tables": {},
            "common": False,
            "state": {"nft": static(policy, names, self.backend)},
            "ports": {
                "guests": {file_name(guest.mac): template(guest, self.backend) for guest in guests},
                "names": {name: file_name(guest.mac) for name, guest in names.items()},
                "bridges": {
                    name: {"settings": SETTINGS[self.backend], **said}
                    for name, said in (bridges or {"br-net1": OWN}).items()
                },
                "trusted": list(trusted),
            },
        }
        if self.backend == "iptables":
            found["state"]["iptables"] = iptables.jumps()
            found["ports"]["chains"] = iptables.chains(policy)
        return found

    def of_guests(self, **names: Guest) -> dict[str, str]:
        """The elements of guests by the names of their ports, `_` for a dot; some may have no interface now."""
        guests = {name.replace("_", "."): guest for name, guest in names.items()}
        return of_ports(guests, self.netns.lines("ls /sys/class/net"), self.backend)

    def apply(
        self, content: Mapping[str, Any], run: Callable[[Command], Output] | None = None, **options: Any
    ) -> Result:
        return Transaction(ANTISPOOF, content, Options(**{**self.options, **options}), run or self.netns.run).apply()

    def absent(self) -> Result:
        return self.apply({}, removal_limit=None)

    def changed(self, content: Mapping[str, Any], **options: Any) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
        deltas = self.apply(content, **options).deltas
        return {name: (delta.before, delta.after) for name, delta in deltas.items() if delta}

    def port(self, name: str, bridge: str = "br-net1") -> None:
        self.netns.sh(f"ip link add {name} type veth peer name {name}-p; ip link set {name} master {bridge} up")

    def unplug(self, name: str) -> None:
        self.netns.sh(f"ip link del {name}")

    def command(self, *words: str) -> list[str]:
        return [
            *("ip", "netns", "exec", self.netns.name, "env", f"PLAINLINUX_VPC_RUN={self.run_folder}"),
            *(f"{self.root}{HELPER}", *words),
        ]

    def vif(self, *words: str) -> None:
        subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, check=True)

    def age(self, name: str, seconds: int = 90) -> None:
        path = self.run_folder / "antispoof/vif" / name
        os.utime(path, (time.time() - seconds,) * 2)

    def elements(self) -> dict[str, str]:
        """What guests have in the table now, and which ports are refused by name."""
        found = self.netns.read(Nft(), context(scope=ANTISPOOF))
        base = static(Policy(("peth0",)), backend=self.backend)
        return {key: value for key, value in found.items() if key not in base}

    def records(self) -> list[str]:
        return sorted(path.name for path in self.run_folder.glob("antispoof/vif/*"))

    def dump(self) -> list[str]:
        """Everything that the guard may touch, without counters."""
        return self.netns.sh(
            """
            nft -s list ruleset; iptables-save | sed '/^#/d; s/\\[.*//'; ip6tables-save | sed '/^#/d; s/\\[.*//'
            cd /sys/class/net
            for port in */brport; do
              grep -H '' $port/learning $port/unicast_flood $port/bpdu_guard $port/group_fwd_mask
            done
            for bridge in */bridge; do
              grep -H '' $bridge/no_linklocal_learn $bridge/nf_call_*
            done
            bridge fdb show | grep static | sort
            grep -r '' /proc/sys/net/ipv6/conf/*/disable_ipv6 | sort
            """
        ).splitlines()

    def settings(self) -> list[str]:
        """All that ports and their forwarding entries are, but for what was learnt."""
        return port_settings(self.netns)

    def files(self) -> list[str]:
        return sorted(str(path) for path in self.root.rglob("*") if path.is_file())

    def boot(self) -> None:
        """As the boot unit does."""
        script = (self.root / "etc/plainlinux-vpc/boot").read_text()
        file = self.root / "boot.sh"
        file.write_text(script.replace("/etc/plainlinux-vpc", f"{self.root}/etc/plainlinux-vpc"))
        self.netns.sh(f"PLAINLINUX_VPC_RUN={self.run_folder} dash {file}")
        file.unlink()


EITHER = pytest.mark.parametrize("host", ["nftables", "iptables"], indirect=True)


def planned(*names: str) -> dict[str, str]:
    """Elements of ports that are refused by name until they are a guest's."""
    return {f'{TABLE} set planned "{name}"': "element" for name in names}


LOUD = {**FLAT, "settings": "no_linklocal_learn 1 nf_call_arptables 0"}
NAMES = {"vm1.0": ONE, "vm3.0": THREE}
BRIDGES = {"br-net1": OWN, "xenbr0": FLAT}
