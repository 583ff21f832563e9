# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the guard's helper and of its hooks share: guests, and a host with the guard."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import (
    VRRP,
    Guest,
    file_name,
    template,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import NFTABLES, Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import of_guests, static
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context

NFT = Nft()
POLICY = Policy(("peth0",), protected6=(parse_ipv6("2001:db8:10::1"),))
ONE = Guest("00:16:3e:00:00:01", ((4, parse_ipv4("10.10.10.10")), (6, parse_ipv6("2001:db8:10::10"))))
TWO = Guest("00:16:3e:00:00:02", ((4, parse_ipv4("10.10.10.20")),))
# Learns, because it has two MACs.
THREE = Guest(
    "00:16:3e:00:00:03",
    ((4, parse_ipv4("10.10.10.30")),),
    (("00:00:5e:00:01:07", 4, parse_ipv4("10.10.10.7")),),
    roles=frozenset((VRRP,)),
)
# Its IPv6 address is what its start says.
OPEN = Guest("00:16:3e:00:00:04", ((4, parse_ipv4("10.10.10.40")),), open6=True)
STRANGER = "00:16:3e:00:00:99"


def opened(address: str) -> Guest:
    """OPEN, as it is with this address."""
    return OPEN._replace(addresses=(*OPEN.addresses, (6, parse_ipv6(address))))


def of_ports(guests: Mapping[str, Guest], interfaces: Collection[str], backend: str) -> dict[str, str]:
    """Elements of guests by their ports. Those that name no port count where the port's interface is there."""
    here = {name: guest for name, guest in guests.items() if name in interfaces}
    named = {key: value for key, value in of_guests(guests, backend).items() if '"' in key}
    return {**of_guests(here, backend), **named}


def port_settings(netns: Netns) -> list[str]:
    """All that ports and their forwarding entries are, but for what was learnt."""
    ports = [
        f"{port['ifname']} {key} {value}"
        for port in json.loads(netns.sh("bridge -d -j link show") or "[]")
        for key, value in port.items()
    ]
    entries = [line for line in netns.lines("bridge fdb show") if re.search("static|sticky|permanent", line)]
    return sorted([*ports, *entries, *netns.lines("grep -r ^ /proc/sys/net/ipv6/conf --include disable_ipv6")])


class Host:
    """A namespace with the guard's table, and the helper with its files in a folder of the test."""

    def __init__(self, netns: Netns, folder: Path, backend: str = NFTABLES) -> None:
        self.netns = netns
        self.folder = folder
        self.backend = backend
        self.program = folder / helper.HELPER.lstrip("/")
        self.home = self.program.parent
        self.run = folder / "run/antispoof"
        self.declare([ONE, TWO, THREE, OPEN])
        self.table()

    def declare(self, guests: Iterable[Guest], names: Mapping[str, str] | None = None, bridges: str = "") -> None:
        """What the role writes; files of guests that are not declared any more go. bridges: lines of that file."""
        for old in self.home.glob("guests/*"):
            old.unlink()
        found = {f"{helper.GUESTS}{file_name(guest.mac)}": template(guest, self.backend) for guest in guests}
        self.write({**helper.files([], names or {}), **found, f"{helper.HOME}/bridges": bridges})

    def write(self, files: Mapping[str, str]) -> None:
        """Files by their paths on a host; programs can be run."""
        for path, text in files.items():
            file = self.folder / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)

    def table(self, planned: Iterable[str] = ()) -> None:
        self.netns.converge(NFT, context(static(POLICY, planned, self.backend), scope=ANTISPOOF))

    def argv(self, *words: str) -> list[str]:
        """A call of the helper inside the namespace."""
        return ["env", f"PLAINLINUX_VPC_RUN={self.run.parent}", str(self.program), *words]

    def vif(self, *words: str) -> Output:
        return self.netns.run(Command(tuple(self.argv(*words)), stdin=""))

    def ok(self, *words: str) -> None:
        output = self.vif(*words)
        assert output == Output(0, "", ""), output

    def at_once(self, calls: Iterable[list[str]]) -> set[int]:
        """Exit statuses of commands that run at the same time."""
        running = [
            subprocess.Popen(["ip", "netns", "exec", self.netns.name, *argv], stdin=subprocess.DEVNULL)
            for argv in calls
        ]
        return {process.wait() for process in running}

    def killed(self, seconds: float, *words: str) -> None:
        """A call that is killed after so long."""
        command = ["ip", "netns", "exec", self.netns.name, *self.argv(*words)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.kill()

    def elements(self) -> dict[str, str]:
        """What guests have in the table now."""
        found = self.netns.read(NFT, context(scope=ANTISPOOF))
        base = static(POLICY, backend=self.backend)
        assert base.items() <= found.items()
        return {key: value for key, value in found.items() if key not in base}

    def has(self, guests: Mapping[str, Guest] | None = None, **more: Guest) -> None:
        """These guests, by their ports, are what the table has; names of ports in more have `_` for `.`."""
        named = {**(guests or {}), **{name.replace("_", "."): guest for name, guest in more.items()}}
        assert self.elements() == self.of_guests(named)

    def of_guests(self, guests: Mapping[str, Guest]) -> dict[str, str]:
        """The elements of guests by their ports, of which some may have no interface now."""
        return of_ports(guests, self.netns.lines("ls /sys/class/net"), self.backend)

    def records(self) -> list[str]:
        return sorted(path.name for path in self.run.glob("vif/*"))

    def record(self, name: str) -> list[str]:
        """The first lines of a record, those that say what is known of the port."""
        return (self.run / "vif" / name).read_text().partition("# port ")[0].splitlines()

    def age(self, *names: str) -> None:
        """Records that nobody has touched for two minutes."""
        for name in names:
            subprocess.run(["touch", "-d", "2 minutes ago", str(self.run / "vif" / name)], check=True)

    def interface(self, name: str, address: str = "") -> str:
        """A veth pair `name`, `name-p`; gives the index."""
        self.netns.sh(f"ip link add {name} {f'address {address}' if address else ''} type veth peer name {name}-p")
        return self.netns.sh(f"cat /sys/class/net/{name}/ifindex").strip()

    def plug(self, name: str, bridge: str = "br0") -> None:
        self.netns.sh(
            f"ip link show {bridge} >/dev/null 2>&1 || ip link add {bridge} up type bridge\n"
            f"ip link set {name} master {bridge} up"
        )

    def port(self, name: str, address: str = "") -> str:
        index = self.interface(name, address)
        self.plug(name)
        return index

    def setting(self, name: str, key: str) -> str:
        return self.netns.sh(f"cat /sys/class/net/{name}/brport/{key}").strip()

    def ipv6(self, name: str) -> str:
        """Whether the host has no IPv6 on the interface."""
        return self.netns.sh(f"cat /proc/sys/net/ipv6/conf/{name}/disable_ipv6").strip()

    def fdb(self, name: str) -> list[str]:
        return [line for line in self.netns.lines(f"bridge fdb show dev {name}") if "static" in line]

    def settings(self) -> list[str]:
        return port_settings(self.netns)


_ENTER = """\
cd {folder}
mount --bind /etc old/etc
mount --bind etc /etc
mount --bind /dev old/dev
mount --bind dev /dev
mount --bind run /run
mount --bind log /var/log
mount --bind local /usr/local/sbin
cd /
exec "$@"
"""


class Installed(Host):
    """A host whose files are where they are on a real one, for programs of others that name them.

    Each command has mounts of its own, so nothing of this machine changes. The system's log is collected.
    """

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.said: list[str] = []
        for name in ("old/etc", "old/dev", "etc", "dev", "run", "log", "local"):
            (folder / name).mkdir(parents=True)
        # Where nothing of ours stands, there is this machine's.
        for entry in os.listdir("/etc"):
            if entry not in ("xen", "libvirt", "udev", "plainlinux-vpc"):
                (folder / "etc" / entry).symlink_to(folder / "old/etc" / entry)
        for entry in ("null", "zero", "urandom", "random", "fd", "stdin", "stdout", "stderr"):
            (folder / "dev" / entry).symlink_to(folder / "old/dev" / entry)
        self.log.bind(str(folder / "dev/log"))
        # Senders wait while some messages are unread.
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        (folder / "enter").write_text(_ENTER.format(folder=folder))
        super().__init__(netns, folder)
        self.run = folder / "run/plainlinux-vpc/antispoof"

    def argv(self, *words: str) -> list[str]:
        return self.installed(helper.HELPER, *words)

    def installed(self, *argv: str) -> list[str]:
        """A command that sees the files of this host."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["sh", "-eu", str(self.folder / "enter"), "env", path, *argv]

    def call(self, *argv: str, stdin: str = "") -> Output:
        return self.netns.run(Command(tuple(self.installed(*argv)), stdin=stdin))

    def _listen(self) -> None:
        while text := self.log.recv(65536).decode():
            self.said.append(text)

    def logged(self) -> str:
        """What was sent to the system's log by programs that have ended."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"asked", str(self.folder / "dev/log"))
        while "asked" not in self.said:
            time.sleep(0.01)
        self.said.remove("asked")
        return "\n".join(self.said)


@contextmanager
def installed(netns: Netns) -> Iterator[Installed]:
    # The path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="vpc-"))
    host = None
    try:
        host = Installed(netns, folder)
        yield host
    finally:
        if host is not None:
            host.log.shutdown(socket.SHUT_RD)
            host.listener.join()
            host.log.close()
        shutil.rmtree(folder)
