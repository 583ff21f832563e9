# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespaces of one world: commands, settings and sockets inside them, whoever made them."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.plainlinux.vpc.tests.attacks.world import World

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_BUFFER = 32 << 20
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """This thread is in the namespace: a socket that is made now stays there."""
    with Path("/proc/thread-self/ns/net").open("rb") as home, Path("/run/netns", namespace).open("rb") as target:
        if _LIBC.setns(target.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            yield
        finally:
            if _LIBC.setns(home.fileno(), _CLONE_NEWNET) != 0:
                os._exit(70)  # never go on in the wrong namespace


class Namespaces:
    """Who is where. Names are host, ext, and the letters of guests."""

    def __init__(self, world: World) -> None:
        self.world = world

    def namespace(self, name: str) -> str:
        """The network namespace where commands of host, ext or a guest run."""
        raise NotImplementedError

    def device(self, name: str) -> str:
        """Where a sender sends and a receiver listens."""
        raise NotImplementedError

    def place(self, name: str) -> tuple[str, str]:
        """Namespace and device of a packet socket; others than those of commands where a cable ends elsewhere."""
        return self.namespace(name), self.device(name)

    def run(self, *command: str, stdin: str | None = None, inside: str = "host", check: bool = True) -> str:
        """Standard output of a command in one namespace; a failure raises AssertionError with its messages."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace(inside), *command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        assert done.returncode == 0 or not check, (inside, command, done.stderr, (stdin or "")[:2000])
        return done.stdout

    def shell(self, script: str, inside: str = "host") -> str:
        """Run a POSIX shell script in one namespace."""
        return self.run("dash", "-eu", "-s", stdin=script, inside=inside)

    def change(self, inside: str, settings: Mapping[str, int]) -> None:
        """Set sysctls, written with slashes, in one namespace."""
        self.run("sysctl", "-qw", *(f"{key}={value}" for key, value in settings.items()), inside=inside)

    def packet_socket(self, name: str, device: str | None = None, protocol: int = _ETH_P_ALL) -> socket.socket:
        """A raw packet socket, not blocking, with a large buffer, in the namespace of host, ext or a guest."""
        namespace, own = self.place(name)
        with _inside(namespace):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        made.bind((device or own, protocol))
        return made

    def udp_socket(self, name: str, address: str, port: int) -> socket.socket:
        """A bound UDP socket, not blocking, in the namespace of host, ext or a guest."""
        with _inside(self.namespace(name)):
            made = socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            )
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.bind((address, port))
        return made
