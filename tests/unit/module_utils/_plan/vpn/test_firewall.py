# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's packet filter: nft and iptables print what is written, and packets fare as they should."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Subsystem
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.ipset import Ipset
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.firewall import state
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import (
    changed,
    gateway,
    legacy,
    some,
)

FIREWALLS = ("nftables", "iptables")
TABLE = "inet plainlinux_vpn_gateway"
# In the order in which they may refer to each other.
SUBSYSTEMS: dict[str, Subsystem] = {"nft": Nft(), "ipset": Ipset(), "iptables": Iptables()}

# Sends a datagram, or opens a connection: `open`, `refused` or `lost`.
SEND = """
import errno, socket, sys
kind, source, target, port = sys.argv[1:]
sock = socket.socket(socket.AF_INET, {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind])
sock.settimeout(0.5)
sock.bind((source, 0))
try:
    sock.connect((target, int(port)))
    if kind != "tcp":
        sock.send(bytes(20))
        sock.recv(1)
    print("open")
except OSError as error:
    print("refused" if error.errno in (errno.ECONNREFUSED, errno.ENOPROTOOPT) else "lost")
"""


def converge(netns: Netns, of: Gateway) -> None:
    """Apply, then see that nothing differs."""
    for name, desired in state(of).items():
        netns.converge(SUBSYSTEMS[name], context(desired, scope=VPN_GATEWAY))
    for name, desired in state(of).items():
        assert netns.read(SUBSYSTEMS[name], context(desired, scope=VPN_GATEWAY)) == desired


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_the_kernel_prints_what_is_written(netns: Netns, firewall: str) -> None:
    cases = [gateway(firewall=firewall), gateway(legacy(), provider=RACOON, firewall=firewall)]
    cases += [gateway(*some(seed), firewall=firewall) for seed in range(6)]
    for of in cases:
        converge(netns, of)
        for name in reversed(state(of)):
            netns.converge(SUBSYSTEMS[name], context({}, state(of)[name], scope=VPN_GATEWAY))


def test_nothing_without_tunnels() -> None:
    assert state(Gateway("vpn1", ())) == {"nft": {}}
    assert state(Gateway("vpn1", (), firewall="iptables")) == {"ipset": {}, "iptables": {}}


def test_example() -> None:
    found = state(gateway())["nft"]
    assert set(found) >= {
        f"{TABLE} set peers 198.51.100.1",
        f"{TABLE} set peers 198.51.100.17",
        f'{TABLE} set bgp "aws1-1" . 169.254.252.1',
        f'{TABLE} set bgp "aws1-2" . 169.254.252.5',
    }
    assert f"{TABLE} chain postrouting" not in found
    assert "tcp option maxseg size set 1398" in found[f"{TABLE} chain mss"]


def test_only_who_asks_for_it_gets_to_the_internet() -> None:
    found = state(gateway(changed(internet=True)))["nft"]
    assert "masquerade" in found[f"{TABLE} chain postrouting"]
    assert f"{TABLE} set internet 10.20.0.0/16" in found


# Prints who sends ESP, until the last one does: what gets through the firewall, whether the kernel does ESP or not.
HEAR = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
print("ready", flush=True)
source = ""
while source != sys.argv[1]:
    source = sock.recvfrom(100)[1][0]
    print(source, flush=True)
"""
SAY = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
sock.bind((sys.argv[1], 0))
sock.sendto(bytes(20), (sys.argv[2], 0))
"""


@dataclass
class Site:
    """A gateway and what is behind each of its interfaces, in namespaces of their own."""

    gateway: Netns
    ends: dict[str, Netns]

    def send(self, kind: str, source: str, target: str, port: int, device: str) -> str:
        """From an address behind the device."""
        return self.ends[device].sh(f"{sys.executable} -c '{SEND}' {kind} {source} {target} {port}").strip()

    def send_all(self, questions: list[tuple[str, str, str, int, str]]) -> list[str]:
        """Side by side: most of the time is that of answers which do not come."""
        with ThreadPoolExecutor(len(questions)) as pool:
            return list(pool.map(lambda question: self.send(*question), questions))

    def ping(self, device: str, other: str) -> bool:
        command = f"ping -c 1 -W 1 -I {ENDS[device][1]} {ENDS[other][1]} || true"
        return " 1 received" in self.ends[device].sh(command)

    def pings(self, *pairs: tuple[str, str]) -> dict[tuple[str, str], bool]:
        with ThreadPoolExecutor(len(pairs)) as pool:
            return dict(zip(pairs, pool.map(lambda pair: self.ping(*pair), pairs)))

    def esp(self, *sources: str) -> list[str]:
        """Those of the sources, the last of which must get through, whose ESP comes through to the gateway."""
        hear = ["ip", "netns", "exec", self.gateway.name, sys.executable, "-c", HEAR, sources[-1]]
        with subprocess.Popen(hear, stdout=subprocess.PIPE, text=True) as heard:
            assert heard.stdout is not None
            heard.stdout.readline()
            for source in sources:
                self.ends["wan"].sh(f"{sys.executable} -c '{SAY}' {source} 203.0.113.10")
            return heard.communicate(timeout=10)[0].split()


# By interface: our address, and those behind it.
ENDS = {
    "wan": ("203.0.113.10", "203.0.113.1", "198.51.100.1", "192.0.2.99"),
    "aws1-1": ("169.254.252.2", "10.20.0.10", "169.254.252.1"),
    "lan": ("10.10.10.1", "10.10.10.10"),
    "oth": ("10.30.0.1", "10.30.0.10"),
}


@pytest.fixture
def site(netns: Netns) -> Iterator[Site]:
    found = Site(netns, {})
    try:
        for name, (ours, *theirs) in ENDS.items():
            end = found.ends[name] = Netns()
            netns.sh(
                f"ip link add {name} type veth peer name {name} netns {end.name};"
                f"ip addr add {ours}/32 dev {name}; ip link set {name} up;"
                f"echo 1 >/proc/sys/net/ipv4/conf/{name}/proxy_arp; echo 0 >/proc/sys/net/ipv4/neigh/{name}/proxy_delay"
            )
            end.sh("".join(f"ip addr add {address}/32 dev {name};" for address in theirs) + f"ip link set {name} up")
            end.sh(f"ip route add default dev {name}")
            netns.sh("".join(f"ip route add {address} dev {name};" for address in theirs))
        netns.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield found
    finally:
        for end in found.ends.values():
            end.remove()


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_ike_and_bgp_are_for_the_peers(site: Site, firewall: str) -> None:
    questions = [
        ("udp", "198.51.100.1", "203.0.113.10", 500, "wan"),
        ("udp", "198.51.100.1", "203.0.113.10", 4500, "wan"),
        ("udp", "192.0.2.99", "203.0.113.10", 500, "wan"),
        ("udp", "192.0.2.99", "203.0.113.10", 4500, "wan"),
        ("udp", "192.0.2.99", "203.0.113.10", 501, "wan"),
        ("tcp", "169.254.252.1", "169.254.252.2", 179, "aws1-1"),
        ("tcp", "198.51.100.1", "203.0.113.10", 179, "wan"),
        ("tcp", "10.20.0.10", "169.254.252.2", 179, "aws1-1"),
    ]
    assert site.send_all(questions) == ["refused"] * len(questions)
    converge(site.gateway, gateway(firewall=firewall))
    assert site.send_all(questions) == [
        "refused",
        "refused",
        "lost",
        "lost",
        "refused",
        "refused",
        "lost",
        "lost",
    ]


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_esp_is_for_the_peers(site: Site, firewall: str) -> None:
    sources = ("192.0.2.99", "198.51.100.1")
    assert site.esp(*sources) == [*sources]
    converge(site.gateway, gateway(firewall=firewall))
    assert site.esp(*sources) == ["198.51.100.1"]


@pytest.mark.parametrize("firewall", FIREWALLS)
@pytest.mark.parametrize("internet", [False, True])
def test_a_tunnel_leads_to_what_is_announced(site: Site, firewall: str, internet: bool) -> None:
    converge(site.gateway, gateway(changed(internet=internet), firewall=firewall))
    expected = {
        ("aws1-1", "lan"): True,
        ("lan", "aws1-1"): True,
        ("aws1-1", "oth"): False,
        ("oth", "aws1-1"): False,
        ("aws1-1", "wan"): internet,
        ("lan", "wan"): True,
        ("oth", "lan"): True,
    }
    assert site.pings(*expected) == expected


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_both_ends_hear_of_the_size(site: Site, firewall: str) -> None:
    """What TCP_MAXSEG says on both ends of a connection without the filter, and with it."""
    code = {
        "lan": "s = socket.create_server(('', 9)); print(flush=True); s = s.accept()[0]",
        "aws1-1": "s = socket.create_connection(('10.10.10.10', 9), 3)",
    }
    sizes = []
    for filtered in (False, True):
        if filtered:
            converge(site.gateway, gateway(firewall=firewall))
        done = []
        for device, lines in code.items():
            program = f"import socket; {lines}; print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))"
            done.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", site.ends[device].name, sys.executable, "-c", program],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            if device == "lan" and done[0].stdout is not None:
                done[0].stdout.readline()
        sizes.append([int(process.communicate(timeout=10)[0]) for process in done])
    # 12 octets less where there are timestamps.
    assert sizes == [[1448, 1448], [1386, 1386]]
