# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols that carry addresses, through a router that knows them and through one that does not."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.world import (
    INTERNET,
    ROUTER,
    World,
    address,
    connect,
    listen,
    make_socket,
)

ONE = "198.51.100.50"
SHARED = "198.51.100.51"
# An FTP server, vm3, behind two ports; only one of them has the helper.
FORWARDS: list[dict[str, Any]] = [
    {"address": SHARED, "protocol": "tcp", "ports": 2121, "instance": "vm3", "to_port": 21, "helper": "ftp"},
    {"address": SHARED, "protocol": "tcp", "ports": 2222, "instance": "vm3", "to_port": 21},
]
PUBLIC = [{"address": ONE, "instance": "vm2"}]


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"), request.param)
    yield made
    made.remove()


def helped(world: World, *helpers: str) -> None:
    """Give the guests of net1 these helpers."""
    networks = [
        {**network, "nat_helpers": list(helpers)} if network["name"] == "net1" and helpers else network
        for network in world.networks
    ]
    world.apply(settled=True, vpc_networks=networks, vpc_public_addresses=PUBLIC, vpc_port_forwards=FORWARDS)


def ends(client: Netns, server: Netns, name: str, port: int, at: int) -> tuple[socket.socket, socket.socket]:
    """Both ends of a conversation that has begun: the client's, the server's."""
    with closing(listen(server, at)) as listener:
        one = connect(client, name, port)
        two, _peer = listener.accept()
        two.settimeout(0.4)
        # A helper takes for a line only what follows one.
        for sender, receiver, line in ((two, one, b"220 Hello\r\n"), (one, two, b"USER alice\r\n")):
            sender.sendall(line)
            assert receiver.recv(200) == line
        return one, two


def target(line: str) -> tuple[str, int]:
    """The address that a line of FTP has in it."""
    found = re.search(r"(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)", line)
    assert found is not None, line
    numbers = found.groups()
    return ".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])


def spelt(own: str, port: int) -> str:
    return f"{own.replace('.', ',')},{port // 256},{port % 256}"


def active(world: World, guest: str) -> tuple[str, bool]:
    """A guest asks a server of the internet for data: the address that the server is told, and whether data comes."""
    netns = world.guests[guest]
    client, server = ends(netns, world.internet, INTERNET, 21, 21)
    with closing(client), closing(server), closing(listen(netns)) as data:
        client.sendall(f"PORT {spelt(address(guest), data.getsockname()[1])}\r\n".encode())
        told, port = target(server.recv(200).decode())
        server.sendall(b"200 PORT\r\n")
        assert client.recv(200) == b"200 PORT\r\n"
        try:
            with closing(connect(world.internet, told, port, source=(INTERNET, 20))) as sent:
                sent.sendall(b"data")
                got, _peer = data.accept()
                with closing(got):
                    arrived = got.recv(10) == b"data"
        except OSError:
            arrived = False
        # The length of the line has changed: what follows must still fit.
        client.sendall(b"QUIT\r\n")
        assert server.recv(200) == b"QUIT\r\n"
        return told, arrived


def passive(world: World, outside: int) -> tuple[str, bool]:
    """Somebody asks the guests' own server: the address that he is told, and whether he gets data there."""
    netns = world.guests["vm3"]
    client, server = ends(world.internet, netns, SHARED, outside, 21)
    with closing(client), closing(server), closing(listen(netns)) as data:
        client.sendall(b"PASV\r\n")
        assert server.recv(200) == b"PASV\r\n"
        server.sendall(f"227 Entering Passive Mode ({spelt(address('vm3'), data.getsockname()[1])}).\r\n".encode())
        told, port = target(client.recv(200).decode())
        try:
            with closing(connect(world.internet, told, port)) as asked:
                got, _peer = data.accept()
                with closing(got):
                    got.sendall(b"data")
                    arrived = asked.recv(10) == b"data"
        except OSError:
            arrived = False
        server.sendall(b"226 Done\r\n")
        assert client.recv(200) == b"226 Done\r\n"
        return told, arrived


def test_a_guest_gets_ftp_data_that_the_server_sends(world: World) -> None:
    helped(world)
    assert active(world, "vm1") == (address("vm1"), False)
    helped(world, "ftp")
    assert active(world, "vm1") == (ROUTER, True)
    # With an address of its own: that one.
    assert active(world, "vm2") == (ONE, True)


def test_a_guest_serves_ftp(world: World) -> None:
    helped(world)
    assert passive(world, 2222) == (address("vm3"), False)
    assert passive(world, 2121) == (SHARED, True)


SIP = """\
INVITE sip:bob@198.51.100.1 SIP/2.0\r
Via: SIP/2.0/UDP 10.10.10.10:5060;branch=z9hG4bK1\r
Max-Forwards: 70\r
From: <sip:alice@10.10.10.10>;tag=1\r
To: <sip:bob@198.51.100.1>\r
Call-ID: 1@10.10.10.10\r
CSeq: 1 INVITE\r
Contact: <sip:alice@10.10.10.10:5060>\r
Content-Type: application/sdp\r
Content-Length: 117\r
\r
v=0\r
o=alice 1 1 IN IP4 10.10.10.10\r
s=-\r
c=IN IP4 10.10.10.10\r
t=0 0\r
m=audio 4000 RTP/AVP 0\r
a=rtpmap:0 PCMU/8000\r
"""


def invited(world: World) -> str:
    """What the other side gets of an invitation."""
    with (
        closing(make_socket(world.internet, socket.SOCK_DGRAM)) as server,
        closing(make_socket(world.guests["vm1"], socket.SOCK_DGRAM)) as client,
    ):
        server.bind(("", 5060))
        client.bind(("", 5060))
        client.sendto(SIP.encode(), (INTERNET, 5060))
        return server.recv(2000).decode()


def test_sip_tells_where_to_send_voice(world: World) -> None:
    body = SIP.partition("\r\n\r\n")[2]
    assert f"Content-Length: {len(body)}" in SIP
    world.hosts["router"].sh("conntrack -F 2>/dev/null")
    helped(world)
    assert invited(world) == SIP
    world.hosts["router"].sh("conntrack -F 2>/dev/null")
    helped(world, "sip")
    seen = invited(world)
    assert f"Via: SIP/2.0/UDP {ROUTER}:" in seen
    assert f"Contact: <sip:alice@{ROUTER}:" in seen
    assert f"c=IN IP4 {ROUTER}\r\n" in seen
    assert "10.10.10.10" not in seen.partition("\r\n\r\n")[2]


def test_no_helper_comes_by_itself(world: World) -> None:
    helped(world, "ftp")
    for guest in ("vm1", "vm5"):
        client, server = ends(world.guests[guest], world.internet, INTERNET, 21, 21)
        with closing(client), closing(server):
            listed = world.hosts["router"].sh("conntrack -L -p tcp --dport 21 2>/dev/null")
        assert ("helper=ftp" in listed) == (guest == "vm1"), listed
        world.hosts["router"].sh("conntrack -F 2>/dev/null")
