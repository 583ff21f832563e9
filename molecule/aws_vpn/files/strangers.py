# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to the daemons of the gateway. Each refusal is the firewall's: without it, there is an answer."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import twin as lab

_SECONDS = 1.5
_UNREACHABLE = 3


class Question(NamedTuple):
    """What somebody asks the gateway. kind: `tcp`, `udp` or `esp`. allowed: whether the gateway may answer."""

    source: str
    address: str
    kind: str
    port: int
    allowed: bool


def main() -> int:
    given = lab.parser(__doc__ or "").parse_args()
    twin = lab.Twin(given.lab, given.plan)
    tunnel = next(iter(twin.tunnels.values()))
    outside, gateway = str(tunnel["outside_address"]), twin.underlay[twin.gateway]
    inside, endpoint = str(tunnel["inside_address"]), str(tunnel["name"])
    questions = [
        *(Question("internet", gateway, "udp", port, False) for port in (500, 4500)),
        *(Question("router", gateway, "udp", port, False) for port in (500, 4500)),
        Question("internet", gateway, "esp", 0, False),
        Question("router", gateway, "tcp", 179, False),
        Question(lab.GUEST, gateway, "tcp", 179, False),
        Question(twin.far, inside, "tcp", 179, False),
        Question(endpoint, outside, "udp", 500, True),
        Question(endpoint, inside, "tcp", 179, True),
    ]
    # The way to the inside address, which AWS does not tell the VPC.
    near = twin.inside(twin.far, "ip", "route", "show", f"{twin.address[lab.GUEST]}/24").stdout.split()
    twin.inside(twin.far, "ip", "route", "add", inside, "via", near[near.index("via") + 1])
    try:
        answers = _ask(twin, questions)
        with lab.without_firewall(twin):
            control = _ask(twin, questions)
    finally:
        twin.inside(twin.far, "ip", "route", "del", inside)
    wrong = 0
    for question, answer, other in zip(questions, answers, control, strict=True):
        right = bool(answer) == question.allowed and bool(other)
        wrong += not right
        what = f"{question.source} -> {question.address} {question.kind} {question.port or ''}".rstrip()
        lab.say(f"{'' if right else 'WRONG: '}{what}: {answer or 'silence'}; without the rules: {other or 'silence'}")
    if wrong:
        lab.fail(f"{wrong} answers are wrong")
    return 0


def _ask(twin: lab.Twin, questions: list[Question]) -> list[str]:
    """The answer to each; "" for silence. All at once: silence takes its time."""
    ways: dict[str, Callable[[lab.Twin, Question], str]] = {"tcp": _tcp, "udp": _datagram, "esp": _datagram}
    with ThreadPoolExecutor(max_workers=len(questions)) as pool:
        return list(pool.map(lambda question: ways[question.kind](twin, question), questions))


def _tcp(twin: lab.Twin, question: Question) -> str:
    with twin.socket(question.source, socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(_SECONDS)
        if question.source == twin.far:
            client.bind((twin.far_address, 0))
        try:
            client.connect((question.address, question.port))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return ""
        return "connected"


def _datagram(twin: lab.Twin, question: Question) -> str:
    """Send something; nobody listens, or nobody understands it, and the kernel or the daemon says so."""
    with twin.socket(question.source, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        protocol = socket.IPPROTO_ESP if question.kind == "esp" else 0
        kind = socket.SOCK_RAW if question.kind == "esp" else socket.SOCK_DGRAM
        with twin.socket(question.source, socket.AF_INET, kind, protocol) as sender:
            port = 0
            if question.kind == "udp":
                sender.bind(("", 0))
                port = sender.getsockname()[1]
            sender.settimeout(0.05)
            sender.sendto(struct.pack("!II", 4711, 1) + bytes(56), (question.address, question.port))
            end = time.monotonic() + _SECONDS
            icmp.settimeout(0.05)
            while time.monotonic() < end:
                try:
                    quoted = lab.ends(icmp.recv(2048))[3]
                    if quoted[0] == _UNREACHABLE and _is_about(quoted[8:], question, port):
                        return f"ICMP unreachable, code {quoted[1]}"
                except TimeoutError:
                    pass
                if question.kind == "udp":
                    try:
                        sender.recv(2048)
                    except TimeoutError:
                        continue
                    return "an answer"
    return ""


def _is_about(packet: bytes, question: Question, port: int) -> bool:
    _source, target, protocol, payload = lab.ends(packet)
    if question.kind == "esp":
        return protocol == socket.IPPROTO_ESP and target == question.address
    return protocol == socket.IPPROTO_UDP and lab.ports(payload) == (port, question.port)


if __name__ == "__main__":
    sys.exit(main())
