# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets between real network namespaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import probing
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe

LAB = f"vpcp{os.getpid()}"
SERVER = """
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (self.client_address[0] + chr(10)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("10.0.0.2", 80), Handler)
print("ready", flush=True)
server.serve_forever()
"""


def sh(script: str) -> None:
    subprocess.run(["sh", "-euc", script], check=True)


@pytest.fixture(scope="module")
def pair() -> Iterator[None]:
    """Two guests of a lab, a and b, on one wire."""
    a, b = f"{LAB}-vm-a", f"{LAB}-vm-b"
    sh(
        f"""
        ip netns add {a}; ip netns add {b}
        ip link add eth0 netns {a} type veth peer name eth0 netns {b}
        ip -n {a} addr add 10.0.0.1/24 dev eth0; ip -n {b} addr add 10.0.0.2/24 dev eth0
        ip -n {a} link set eth0 up; ip -n {b} link set eth0 up; ip -n {b} link set lo up
        """
    )
    server = subprocess.Popen(
        ["ip", "netns", "exec", b, "python3", "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
        sh(f"ip netns del {a}; ip netns del {b}")


CASES = [
    (Probe("a", "guests", "10.0.0.2", "ping", "reach"), ""),
    (Probe("a", "guests", "10.0.0.9", "ping", "blocked"), ""),
    (Probe("a", "guests", "10.0.0.2", "ping", "blocked"), "answered, but must not"),
    (Probe("a", "guests", "10.0.0.9", "ping", "reach"), "no answer"),
    (Probe("a", "internet", "10.0.0.2", "http", "reach", "10.0.0.1"), ""),
    (Probe("a", "internet", "10.0.0.2", "http", "reach"), ""),
    (Probe("a", "internet", "10.0.0.2", "http", "reach", "10.0.0.7"), "answered '10.0.0.1' instead of '10.0.0.7'"),
    (Probe("nobody", "guests", "10.0.0.2", "ping", "blocked"), "No such file or directory"),
]


@pytest.mark.parametrize("probe, fault", CASES)
@pytest.mark.usefixtures("pair")
def test_one_packet(probe: Probe, fault: str) -> None:
    row = probing.run_all([probe], LAB)[0]
    assert (row["sent"], row["right"]) == (1, 0 if fault else 1)
    assert len(row["wrong"]) == (1 if fault else 0)
    assert all(fault in text for text in row["wrong"])


@pytest.mark.usefixtures("pair")
def test_rows_count_by_sender_and_target_in_order() -> None:
    probes = [case[0] for case in CASES[:4]] + [CASES[4][0]] * 2
    rows = probing.run_all(probes, LAB)
    assert [(row["source"], row["target"], row["sent"], row["right"]) for row in rows] == [
        ("a", "guests", 4, 2),
        ("a", "internet", 2, 2),
    ]
