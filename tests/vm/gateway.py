# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that becomes a VPN gateway: Ansible reaches it by SSH; what is around it is inside of it."""

from __future__ import annotations

import json
import re
import shlex
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import double
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError, run
from kernel import Kernel
from machine import Machine

NAME = "gw"
DISK = "2000M"
UNITS = ("strongswan.service", "frr.service")

# Changes the file system of the machine, which is at $root. Nothing is started there.
_DISK_SCRIPT = """
printf '#!/bin/sh\\nexit 101\\n' >$root/usr/sbin/policy-rc.d
chmod 755 $root/usr/sbin/policy-rc.d
mount -t proc proc $root/proc
DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot $root apt-get -q -y --no-install-recommends install {packages}
umount $root/proc
rm $root/usr/sbin/policy-rc.d
cp -rp {files}/. $root/
echo {name} >$root/etc/hostname
systemctl --quiet --root=$root disable {units}
systemctl --quiet --root=$root enable ssh.service vm-net.service vm-double.service
"""


class GatewayMachine(Machine):
    """A Debian with the role's packages, none of which runs, the double of AWS beside it, and an SSH server."""

    memory = "768"

    def __init__(self, kernel: Kernel, folder: Path, endpoints: tuple[double.Endpoint, ...]) -> None:
        super().__init__(NAME, kernel, folder)
        self.endpoints = endpoints
        self.key = folder / "key"
        self.port = _free_port()
        self._files = folder / "files"

    def prepare(self, layers: Sequence[str], packages: Sequence[str]) -> None:
        """Make its disk, with packages of the repository in the layers."""
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.key)])
        texts = double.files(self.endpoints)
        texts["/root/.ssh/authorized_keys"] = self.key.with_suffix(".pub").read_text(encoding="ascii")
        for path, text in texts.items():
            target = self._files / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            target.write_text(text, encoding="utf-8")
            target.chmod(0o755 if text.startswith("#!") else 0o644)
        script = _DISK_SCRIPT.format(
            files=self._files, name=self.name, units=" ".join(UNITS), packages=" ".join(packages)
        )
        self.make_disk(layers, script, DISK)

    def plug(self) -> tuple[list[str], list[str]]:
        """A card that leads nowhere but to its SSH server."""
        forward = f"hostfwd=tcp:127.0.0.1:{self.port}-10.0.2.15:22"
        card = "virtio-net-pci,netdev=eth0,romfile="
        return [], ["-netdev", f"user,id=eth0,restrict=on,{forward}", "-device", card]

    @property
    def connection(self) -> dict[str, Any]:
        """How Ansible reaches it."""
        options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": options,
            "ansible_ssh_timeout": 60,
            "ansible_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def await_ssh(self, seconds: float) -> None:
        """Wait until it takes connections: the emulator takes them before anybody listens."""

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
                    return line.recv(4) == b"SSH-"
            except OSError:
                return False

        until(answers, seconds, lambda: self.shell("ip -br addr; systemctl --no-pager status ssh.service").stdout)

    # Questions

    def ask(self, text: str, timeout: float = 60.0) -> str:
        """The output of a script; LabError where it fails."""
        output = self.shell(text, timeout)
        if output.status:
            raise LabError(f"{self.name}: {text}: status {output.status}: {output.stderr.strip()}")
        return output.stdout

    def inside(self, space: str, *command: str) -> str:
        """The output of a command in a network namespace, whatever its status."""
        return self.shell(shlex.join(["ip", "netns", "exec", space, *command]), 120).stdout

    def sessions(self) -> dict[str, Any]:
        """BGP's neighbours by address, as FRR shows them; empty where it does not run."""
        output = self.shell("vtysh -c 'show bgp neighbors json'")
        found: dict[str, Any] = json.loads(output.stdout) if output.status == 0 and output.stdout.strip() else {}
        return found

    def ways(self) -> list[str]:
        """Interfaces that lead to the VPC now."""
        text = self.ask(f"ip route show {double.VPC} proto bgp")
        return sorted(re.findall(r" dev (\S+)", text))

    def states(self) -> list[str]:
        """ESP SAs: `in|out PEER if_id 0x... [udp]`."""
        found = []
        for block in re.split(r"^(?=src )", self.ask("ip xfrm state"), flags=re.MULTILINE):
            match = re.match(r"src (\S+) dst (\S+)\n\s+proto esp ", block)
            if match is None:
                continue
            source, target = match.groups()
            way, peer = ("out", target) if source == double.GATEWAY else ("in", source)
            number = re.search(r"if_id (\S+)", block)
            words = [way, peer, "if_id", number.group(1) if number else "-"]
            found.append(" ".join([*words, *(["udp"] if "espinudp" in block else [])]))
        return sorted(found)

    def starts(self) -> list[str]:
        """When the daemons were started."""
        names = " ".join(UNITS)
        return self.ask(f"systemctl show -p Id,MainPID,ExecMainStartTimestampMonotonic {names}").split()

    def sent(self) -> dict[str, int]:
        """Packets that went into each tunnel."""
        links = json.loads(self.ask("ip -s -j link show type xfrm"))
        return {link["ifname"]: link["stats64"]["tx"]["packets"] for link in links if "ifname" in link}

    def await_tunnels(self, tunnels: int, seconds: float) -> float:
        """Seconds until all sessions are there and lead to the VPC. LabError where that takes longer."""

        def up() -> bool:
            states = [session["bgpState"] for session in self.sessions().values()]
            return states == ["Established"] * tunnels and len(self.ways()) == tunnels

        return until(up, seconds, lambda: f"{self.name}: {self.sessions_in_words()}; ways {self.ways()}")

    def sessions_in_words(self) -> str:
        return ", ".join(f"{address} {session['bgpState']}" for address, session in self.sessions().items()) or "no BGP"


def until(happened: Callable[[], bool], seconds: float, what: Callable[[], str]) -> float:
    """Wait for something; gives how long that took. LabError, with what there is instead, where it takes longer."""
    start = time.monotonic()
    while not happened():
        if time.monotonic() - start > seconds:
            raise LabError(f"not within {seconds:.0f} s: {what()}")
        time.sleep(0.5)
    return time.monotonic() - start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
