# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers in the internet of a lab: HTTP on port 80; the answer is the client's address and a newline.

Runs as a program of its own: `python -m _lab.internet LAB NETNS`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import cgroup, netns
from .paths import Paths
from .system import remember

SERVICE = "internet"


class Handler(BaseHTTPRequestHandler):
    """Tells every client the address that it comes from."""

    timeout = 10

    def do_GET(self) -> None:
        """Answer any path."""
        body = f"{self.client_address[0].removeprefix('::ffff:').partition('%')[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep no log."""


class Server(ThreadingHTTPServer):
    """Listens on IPv4 and IPv6 at once, and never asks a name server."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without looking up our own name."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "internet", 80


def main() -> int:
    """Serve in the network namespace that the command line names, until killed or until the namespace is gone."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    paths, name = Paths(sys.argv[1]), sys.argv[2]
    cgroup.enter(paths.lab, SERVICE, "keeper")
    server = netns.inside(name, lambda: Server(("::", 80), Handler))
    remember(paths.supervisor(SERVICE), os.getpid())
    server.serve_forever(poll_interval=3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
