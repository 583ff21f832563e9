# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes through the tunnels: packets of every size, TCP in both directions, and who it is for."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
import threading
import time

import twin as lab

_PORT = 7777
_BYTES = 4_000_000
_SYN, _ACK = 0x02, 0x10


def main() -> int:
    twin = _arguments()
    wire = twin.sniffer("internet", "eth0")
    _connect(twin, lab.GUEST, twin.far)
    _connect(twin, twin.far, lab.GUEST)
    _sizes(twin, lab.GUEST, twin.far_address)
    _sizes(twin, twin.far, twin.address[lab.GUEST])
    _watch(twin, wire)
    _strangers(twin)
    return 0


def _arguments() -> lab.Twin:
    given = lab.parser(__doc__ or "").parse_args()
    return lab.Twin(given.lab, given.plan)


def _connect(twin: lab.Twin, near: str, far: str) -> None:
    """A TCP connection that carries much in both directions. Both ends are told sizes that fit the tunnel."""
    sniffers = {name: twin.sniffer(name, "eth0") for name in (near, far)}
    listener = twin.socket(far, socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((twin.address[far], _PORT))
    listener.listen()
    listener.settimeout(10)
    client = twin.socket(near, socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(20)
    start = time.monotonic()
    client.connect((twin.address[far], _PORT))
    server, peer = listener.accept()
    server.settimeout(20)
    if peer[0] != twin.address[near]:
        lab.fail(f"{far} sees {peer[0]} and not {twin.address[near]}")
    for sender, receiver in ((client, server), (server, client)):
        if _carry(sender, receiver) != _BYTES:
            lab.fail(f"between {near} and {far} not all octets came through")
    seconds = time.monotonic() - start
    for one in (client, server, listener):
        one.close()
    told = {name: _told(sniffers[name], twin.address[name]) for name in (near, far)}
    for sniffer in sniffers.values():
        sniffer.close()
    if told != {near: {twin.mss}, far: {twin.mss}}:
        lab.fail(f"the sizes of segments that were told are {told}, not {twin.mss}")
    rate = 2 * _BYTES * 8 / seconds / 1e6
    lab.say(f"TCP {near} -> {far}: peer {peer[0]}, both SYNs with MSS {twin.mss}, {rate:.0f} Mbit/s")


def _carry(sender: socket.socket, receiver: socket.socket) -> int:
    thread = threading.Thread(target=sender.sendall, args=(bytes(_BYTES),))
    thread.start()
    got = 0
    try:
        while got < _BYTES:
            piece = len(receiver.recv(1 << 16))
            if not piece:
                break
            got += piece
    except TimeoutError:
        pass
    thread.join()
    return got


def _told(sniffer: socket.socket, address: str) -> set[int]:
    """The MSS options in SYNs to an address."""
    found = set()
    for packet, out in lab.drain(sniffer):
        _source, target, protocol, segment = lab.ends(packet)
        if not out and target == address and protocol == socket.IPPROTO_TCP and segment[13] & _SYN:
            options = segment[20 : (segment[12] >> 4) * 4]
            while options and options[0]:
                size = 1 if options[0] == 1 else options[1]
                if options[0] == 2:
                    found.add(int.from_bytes(options[2:4], "big"))
                options = options[size:]
    return found


def _sizes(twin: lab.Twin, near: str, address: str) -> None:
    """What fits the tunnel arrives in one piece; who sends one octet more is told what fits."""
    ping = ("ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do")
    done = twin.inside(near, *ping, "-s", str(twin.mtu - 28), address)
    if done.returncode:
        lab.fail(f"{near} -> {address}: {twin.mtu} octets: {done.stdout}{done.stderr}")
    done = twin.inside(near, *ping[:1], "-n", *ping[3:], "-s", str(twin.mtu - 27), address)
    told = re.findall(r"mtu ?= ?(\d+)", done.stdout + done.stderr)
    if done.returncode == 0 or set(told) != {str(twin.mtu)}:
        lab.fail(f"{near} -> {address}: {twin.mtu + 1} octets: {done.stdout}{done.stderr}")
    lab.say(f"{near} -> {address}: {twin.mtu} octets arrive, {twin.mtu + 1} are refused with mtu {told[0]}")


def _watch(twin: lab.Twin, wire: socket.socket) -> None:
    """What the internet saw of all that."""
    networks = [ipaddress.IPv4Network(text) for text in twin.connection["remote"]]
    peers = {tunnel["peer_outside_address"] for tunnel in twin.tunnels.values()}
    sealed, clear = dict.fromkeys(peers, 0), 0
    for packet, _out in lab.drain(wire):
        source, target, protocol, payload = lab.ends(packet)
        for peer in peers & {source, target}:
            if protocol == socket.IPPROTO_ESP or (protocol == socket.IPPROTO_UDP and 4500 in lab.ports(payload)):
                sealed[peer] += 1
        clear += any(ipaddress.IPv4Address(end) in network for end in (source, target) for network in networks)
    if not sum(sealed.values()) or clear:
        lab.fail(f"the internet saw {sealed} encrypted packets and {clear} in clear")
    lab.say(f"the internet saw encrypted packets, by endpoint: {sealed}, and none in clear")


def _strangers(twin: lab.Twin) -> None:
    """A guest of another VPC reaches the internet, and nothing behind the tunnels; nor the other way round."""
    ping = ("ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1")
    endpoint, stranger = next(iter(twin.tunnels)), twin.address[lab.STRANGER]
    # AWS sends into a tunnel what nobody has announced.
    way = twin.inside(twin.far, "ip", "route", "show", f"{twin.address[lab.GUEST]}/24").stdout.split()
    routes = ((twin.far, ("via", way[way.index("via") + 1])), (endpoint, ("dev", "ipsec0")))
    for name, where in routes:
        twin.inside(name, "ip", "route", "add", stranger, *where)
    arrived = twin.sniffer(twin.gateway, endpoint)
    for near, address, is_open in (
        (lab.GUEST, twin.far_address, True),
        (lab.STRANGER, "198.51.100.1", True),
        (lab.STRANGER, twin.far_address, False),
        (twin.far, stranger, False),
    ):
        if (twin.inside(near, *ping, address).returncode == 0) != is_open:
            lab.fail(f"{near} -> {address} must {'' if is_open else 'not '}get through")
    for name, _where in routes:
        twin.inside(name, "ip", "route", "del", stranger)
    if not any(lab.ends(packet)[1] == stranger for packet, out in lab.drain(arrived) if not out):
        lab.fail(f"what {twin.far} sent to {lab.STRANGER} did not reach the gateway, which proves nothing")
    router = next(address for name, address in twin.underlay.items() if name == "router")
    for near in (lab.GUEST, lab.STRANGER):
        seen = twin.inside(near, "curl", "-s", "--max-time", "5", "http://198.51.100.1").stdout.strip()
        if seen != router:
            lab.fail(f"the internet sees {near} as {seen!r}, not {router}")
    lab.say(f"{lab.STRANGER} of another VPC reaches the internet and not {twin.far_address}, which does not reach it")


if __name__ == "__main__":
    sys.exit(main())
