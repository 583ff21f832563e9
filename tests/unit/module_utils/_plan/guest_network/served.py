# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hypervisors and a router on one wire with the guard and groups, dnsmasq as its unit runs it, stock clients."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK, SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

UNDERLAY = {"router": 101, "host1": 103, "host2": 104}
NETWORKS = [
    {
        "name": "dual",
        "cidr": "10.10.10.0/24",
        "cidr6": "2001:db8:10::/64",
        "mtu": 1400,
        "search": ["dual.internal", "example.com"],
        "routes": [{"to": "10.50.0.0/16", "via": "10.10.10.1"}, {"to": "10.60.1.0/24", "via": "10.10.10.9"}],
    },
    {
        "name": "wide",
        "cidr": "10.10.20.0/23",
        "cidr6": "2001:db8:20::/64",
        "local_switching": "bridged",
        "domain": "corp.example",
    },
    {
        "name": "auto",
        "cidr": "10.10.30.0/24",
        "cidr6": "2001:db8:30::/64",
        "ipv6_addressing": "slaac",
        "mtu": 1300,
    },
    {
        "name": "both",
        "cidr": "10.10.40.0/24",
        "cidr6": "2001:db8:40::/64",
        "ipv6_addressing": "slaac",
        "local_switching": "bridged",
        "bridge_address6": "2001:db8:40::53",
    },
    {"name": "four", "cidr": "10.10.50.0/24", "search": []},
    {"name": "six", "cidr6": "2001:db8:60::/80"},
    {"name": "own", "cidr": "10.10.80.0/29", "cidr6": "2001:db8:80::/120", "dns": ["192.0.2.53", "192.0.2.54"]},
    {"name": "none", "cidr": "10.10.70.0/24", "cidr6": "2001:db8:70::/64", "dhcp": False},
]
# Guest -> (hypervisor, its networks).
GUESTS = {
    "vm1": ("host1", "dual"),
    "vm2": ("host1", "dual"),
    "vm3": ("host2", "dual"),
    "vm4": ("host1", "wide"),
    "vm5": ("host1", "wide"),
    "vm6": ("host1", "auto"),
    "vm7": ("host1", "both"),
    "vm8": ("host1", "four"),
    "vm9": ("host1", "six"),
    "vm10": ("host1", "own"),
    "web_1.shop": ("host1", "dual"),
    "old": ("host1", "none"),
}
# What the unit gives dnsmasq.
_CAPABILITIES = "+net_admin,+net_bind_service,+net_raw"
_PATIENCE = 20.0
# What a client is given, one `name=value` a line, in the file that RECORD names; dhclient ends the old lease at first.
_RECORD = """\
#!/bin/sh
case "${reason:-$1}" in PREINIT*|deconfig|leasefail|FAIL|EXPIRE*) exit 0 ;; esac
{ echo "event=${reason:-$1}"; env | sort; } >>"$RECORD"
"""


def until(check: Callable[[], Any], patience: float = _PATIENCE) -> Any:
    """What the check gives as soon as that is true; waits for a daemon, and fails only where nothing comes."""
    end = time.monotonic() + patience
    while not (found := check()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


class Served:
    """router, host1, host2: namespaces. guests: by name of the guest and number of the interface."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        # Not pytest's: that is closed to an account that is not ours.
        self.folder = Path(tempfile.mkdtemp(prefix="vpc-unit-guests-"))
        self.folder.chmod(0o755)
        self.networks: list[dict[str, Any]] = [{"dhcp": True, **network} for network in NETWORKS]
        self.wire = Netns()
        self.hosts: dict[str, Netns] = {}
        self.guests: dict[str, Netns] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._records = 0
        self._others: list[subprocess.Popen[bytes]] = []
        try:
            self._build()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        for process in (*self._daemons.values(), *self._others):
            process.kill()
            process.wait()
        for netns in (*self.guests.values(), *self.hosts.values(), self.wire):
            netns.remove()
        shutil.rmtree(self.folder)

    def _build(self) -> None:
        record = self.folder / "record"
        record.write_text(_RECORD)
        record.chmod(0o755)
        self.wire.sh("ip link add br0 up type bridge")
        for name, number in UNDERLAY.items():
            host = self.hosts[name] = Netns()
            host.sh(
                f"""
                echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                for file in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo 0 >$file; done
                ip link add eth0 type veth peer name p{number} netns {self.wire.name}
                ip link set eth0 up
                ip addr add 192.168.56.{number}/24 dev eth0
                ip addr add fe80::c0a8:38{number:02x}/64 dev eth0 nodad
                ip addr add 2001:db8:56::{number}/64 dev eth0 nodad
                """
            )
            self.wire.sh(f"ip link set p{number} master br0 up")
        # What hypervisors ask for names that are not ours.
        self.hosts["router"].sh("ip addr add 192.0.2.53/32 dev lo")

    def inventory(self, **changes: Any) -> dict[str, Any]:
        """changes: variables, or the hypervisors of guests: vm1="host2"."""
        variables = {key: value for key, value in changes.items() if key.startswith("vpc_")}
        hosts: dict[str, dict[str, Any]] = {
            name: {
                "groups": ["routers" if name == "router" else "hypervisors"],
                "vpc_underlay_address": f"192.168.56.{number}",
                "vpc_underlay_address6": f"fe80::c0a8:38{number:02x}",
                "vpc_backend": self.backend,
            }
            for name, number in UNDERLAY.items()
        }
        return {
            "vpc_networks": self.networks,
            "vpc_instances": [
                {"name": name, "hypervisor": changes.get(name, host), "network": network}
                for name, (host, network) in GUESTS.items()
            ],
            "hosts": hosts,
            **variables,
        }

    def plan(self, **changes: Any) -> Plan:
        return Plan(parse(self.inventory(**changes)), "test")

    def apply(self, plan: Plan, *only: str) -> None:
        """Give every host, or those, its state by the engine."""
        for host in plan.model.hosts.values():
            if only and host.name not in only:
                continue
            root = self.folder / host.name
            options = Options(root=str(root), lock=str(root / "lock"), removal_limit=None)
            root.mkdir(exist_ok=True)
            for role in sorted(host.roles, key=("hypervisor", "antispoof", "security_groups", "router").index):
                Transaction(SCOPES[role], plan.slice(host.name, role), options, self.hosts[host.name].run).apply()

    def plug(self, plan: Plan, *names: str) -> None:
        """Start guests, or all, where the plan has them; those that run elsewhere move."""
        self.apply(plan)
        for port in plan.layout.ports:
            if names and port.instance not in names:
                continue
            guest = self.guests.get(port.instance)
            if guest is None:
                guest = self.guests[port.instance] = Netns()
            else:
                for host in self.hosts.values():
                    host.sh(f"ip link del {port.vif} 2>/dev/null || true")
            self.hosts[port.hypervisor].sh(
                f"""
                ip link add {port.vif} type veth peer name eth0 netns {guest.name} address {port.mac}
                ip link set {port.vif} master br-{port.network} up
                """
            )
            guest.sh("ip link set eth0 up")
        self.apply(plan)

    def migrate(self, plan: Plan, name: str, source: str) -> None:
        """Take a running guest to the hypervisor that the plan has it on; its own interface stays what it is."""
        port = self.port(plan, name)
        self.hosts[source].sh(f"ip link set {port.vif} netns {self.hosts[port.hypervisor].name}")
        self.apply(plan, port.hypervisor)
        self.hosts[port.hypervisor].sh(f"ip link set {port.vif} master br-{port.network} up")
        self.apply(plan)

    def take_up(self, plan: Plan, host: str) -> None:
        """What the role does with new files: start anew, or read them again."""
        changed = self.write(plan, host)
        if not changed:
            return
        gone = set(self.path(host, paths.KNOWN).read_text().splitlines()) - set(
            self.path(host, paths.HOSTS).read_text().splitlines()
        )
        if gone or paths.MAIN in changed:
            self.stop(host)
            self.start(plan, host)
        else:
            self.hup(host)

    def wait_for_link_local(self, *names: str) -> None:
        """Until the link-local addresses of guests can be used."""
        for name in names:
            assert until(
                lambda guest=self.guests[name]: "inet6 fe80" in guest.sh("ip -6 addr show dev eth0 -tentative")
            ), name

    def files(self, plan: Plan, host: str) -> dict[str, str]:
        """The texts of a host's files, by path; where they can be read by the tests' dnsmasq."""
        content = dict(plan.hosts())[host]["files"][GUEST_NETWORK]
        return {file["dest"]: self._placed(file["content"], host) for file in content["files"]}

    def _placed(self, text: str, host: str) -> str:
        return text.replace("/etc/", f"{self.folder}/{host}/etc/").replace("/var/lib/", f"{self.folder}/{host}/lib/")

    def path(self, host: str, path: str) -> Path:
        return Path(self._placed(path, host))

    def write(self, plan: Plan, host: str) -> list[str]:
        """Write a host's files; gives those that are not what they were."""
        changed = []
        for dest, text in self.files(plan, host).items():
            path = self.path(host, dest)
            if dest == paths.MAIN:
                text += f"resolv-file={self.folder}/resolv.conf\n"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
                changed.append(dest)
        return changed

    def start(self, plan: Plan, *hosts: str) -> None:
        """Start dnsmasq with the host's files, as the unit does: by an account without other rights."""
        (self.folder / "resolv.conf").write_text("nameserver 192.168.56.101\n")
        for host in hosts or ("host1", "host2"):
            self.write(plan, host)
            state = self.path(host, paths.LEASES).parent
            state.mkdir(parents=True, exist_ok=True)
            shutil.chown(state, "nobody", "nogroup")
            netns = self.hosts[host]
            as_nobody = [
                *("ip", "netns", "exec", netns.name, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
                *("--no-new-privs", f"--inh-caps=-all,{_CAPABILITIES}", f"--ambient-caps=-all,{_CAPABILITIES}"),
                f"--bounding-set=-all,{_CAPABILITIES}",
            ]
            subprocess.run([*as_nobody, "sh", self._placed(paths.SCRIPT, host), "prune"], check=True)
            log = self.folder / f"{host}.log"
            log.unlink(missing_ok=True)
            with log.open("ab") as file:
                self._daemons[host] = subprocess.Popen(
                    [*as_nobody, "dnsmasq", "--keep-in-foreground", f"--conf-file={self._placed(paths.MAIN, host)}"],
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            daemon = self._daemons[host]
            assert until(lambda daemon=daemon, host=host: daemon.poll() is not None or self.ready(host))
            assert daemon.poll() is None, log.read_text()

    def ready(self, host: str, times: int = 1) -> bool:
        """Whether dnsmasq has read its last file that often; its sockets are older."""
        return self.log(host).count(f"read {self._placed(paths.OPTIONS, host)}") >= times

    def stop(self, host: str) -> None:
        process = self._daemons.pop(host)
        process.send_signal(signal.SIGTERM)
        process.wait()

    def running(self, host: str) -> int:
        """The id of a host's dnsmasq; fails where it has ended."""
        process = self._daemons[host]
        assert process.poll() is None, self.log(host)
        return process.pid

    def hup(self, host: str) -> None:
        """What the unit does to reload, and the sign that it was done."""
        seen = self.log(host).count(f"read {self._placed(paths.OPTIONS, host)}")
        self.hosts[host].sh(f"sh {self._placed(paths.SCRIPT, host)} note")
        os.kill(self.running(host), signal.SIGHUP)
        assert until(lambda: self.ready(host, seen + 1))

    def log(self, host: str) -> str:
        return (self.folder / f"{host}.log").read_text()

    def leases(self, host: str) -> list[list[str]]:
        """Expiry, MAC or IAID, address, name and client id or DUID of each."""
        lines = [line.split() for line in self.path(host, paths.LEASES).read_text().splitlines()]
        return [words for words in lines if len(words) == 5]

    def background(self, netns: Netns, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", netns.name, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._others.append(process)
        return process

    def _record(self) -> Path:
        self._records += 1
        return self.folder / f"record-{self._records}"

    def udhcpc(self, netns: Netns, *more: str, tries: int = 4) -> dict[str, str]:
        """What BusyBox' client is given; empty where nothing. more: further arguments."""
        record = self._record()
        subprocess.run(
            [
                *("ip", "netns", "exec", netns.name, "env", "-i", f"PATH={os.environ['PATH']}", f"RECORD={record}"),
                *("udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", str(tries), "-T", "1", "-s", f"{self.folder}/record"),
                *("-O", "mtu", "-O", "search", "-O", "staticroutes", *more),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return _told(record)

    def dhclient(self, netns: Netns, family: int, seconds: float = 20) -> dict[str, str]:
        """What ISC's client is given, with Debian's own list of requests; empty where nothing in that time."""
        record = self._record()
        client = self.background(
            netns,
            *("dhclient", f"-{family}", "-d", "-lf", f"{record}-leases", "-pf", f"{record}-pid"),
            # Its script inherits nothing.
            *("-sf", f"{self.folder}/record", "-e", f"RECORD={record}", "eth0"),
        )
        until(lambda: "reason" in _told(record), seconds)
        client.kill()
        client.wait()
        return _told(record)

    def configured(self, plan: Plan, name: str) -> Netns:
        """A guest with the addresses and routes that it is given."""
        guest, port = self.guests[name], self.port(plan, name)
        for family, address in port.addresses:
            network = plan.model.networks[port.network]
            if family == 4 and network.cidr is not None:
                guest.sh(
                    f"""
                    ip addr replace {address}/{network.cidr.length} dev eth0
                    ip route replace default via {format_ipv4(network.gateway or 0)}
                    """
                )
            elif not network.guests.slaac:
                guest.sh(
                    f"ip addr replace {address}/128 dev eth0 nodad; ip -6 route replace default via fe80::1 dev eth0"
                )
        return guest

    def port(self, plan: Plan, name: str) -> Port:
        return next(port for port in plan.layout.ports if port.instance == name)


def _told(record: Path) -> dict[str, str]:
    """What a client handed to its script at last."""
    events = record.read_text().split("event=")[1:] if record.exists() else []
    return dict(line.split("=", 1) for line in f"event={events[-1]}".splitlines() if "=" in line) if events else {}


def texts(port: Port) -> Mapping[int, str]:
    """The addresses of an interface by family."""
    return dict(port.addresses)
