# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no plain question of yes or no: fragments, ICMP errors, kinds of reject, log lines, and br_netfilter off."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import place as lab
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import ANSWERED, SILENT, Trial

_INET = {4: socket.AF_INET, 6: socket.AF_INET6}
_INTERNET = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}
# linux/in.h, linux/in6.h: (level, never fragment, discovered MTU).
_MTU = {4: (0, 10, 14), 6: (41, 23, 24)}
_DO = 2
_SMALL = 1400
_ALL_NETNS = Path("/proc/sys/net/netfilter/nf_log_all_netns")


def main() -> int:
    place = lab.Place(lab.arguments(__doc__ or ""))
    _fragments(place)
    _port_unreachable(place)
    _too_big(place)
    _rejects(place)
    _logs(place)
    _closed(place)
    return 0


def _fragments(place: lab.Place) -> None:
    """UDP in fragments is judged by its ports, pings in fragments by their type."""
    sent = []
    for source, target, port, arrives in (
        ("web1", "app1", 9004, True),
        ("web1", "app2", 9004, True),
        ("sweb1", "sapp1", 9004, True),
        ("web1", "app1", 9006, False),
        ("app2", "web1", 9004, False),
        ("sweb1", "sapp1", 9006, False),
    ):
        for family in _INET:
            listener = _listener(place, target, family, port)
            sender = place.socket(f"vm-{source}", _INET[family], socket.SOCK_DGRAM)
            there = (place.addresses[f"vm-{target}", family], port)
            # The first one may be lost to neighbour discovery.
            sent += [(f"{source} to {target} udp/{port}, IPv{family}", sender, there, listener, arrives)]
    got: dict[str, int] = {}
    for _round in range(5):
        for _name, sender, there, _got, _arrives in sent:
            sender.sendto(bytes(4000), there)
        time.sleep(0.1)
        for name, _sender, _there, listener, _arrives in sent:
            with suppress(BlockingIOError):
                got[name] = max(got.get(name, 0), len(listener.recv(1 << 16)))
    wrong = [
        f"{name}: {got.get(name, 0)} octets" for name, _s, _t, _l, arrives in sent if (got.get(name) == 4000) != arrives
    ]
    for _name, sender, _there, listener, _arrives in sent:
        sender.close()
        listener.close()
    pings = [("app1", "web1", 4, 0), ("web1", "app2", 6, 0), ("sapp1", "sweb1", 4, 0), ("sweb1", "sapp1", 6, 0)]
    pings += [("open1", "strict1", 4, 1), ("web1", "strict1", 6, 1), ("sapp1", "sstrict1", 4, 1)]
    for source, target, family, status in pings:
        words = ("ping", "-n", "-q", "-c", "3", "-i", "0.1", "-W", "1", "-s", "4000")
        done = place.inside(f"vm-{source}", *words, place.addresses[f"vm-{target}", family])
        if done.returncode != status:
            wrong.append(f"ping of 4000 octets from {source} to {target}, IPv{family}: {done.stdout}{done.stderr}")
    if wrong:
        lab.fail(f"fragments: {wrong}")
    lab.say(f"fragments: {len(sent)} flows of UDP and {len(pings)} pings with 4000 octets are judged as whole packets")


def _port_unreachable(place: lab.Place) -> None:
    """Errors of guests whose groups let no ICMP out, and to those whose groups let none in."""
    cases = [
        ("open1", "strict1", 7005),
        ("web1", "sstrict1", 7005),
        ("sweb1", "sstrict1", 7006),
        ("strict1", "open1", 5353),
    ]
    for source, target, port in cases:
        for family in _INET:
            sender = place.socket(f"vm-{source}", _INET[family], socket.SOCK_DGRAM)
            sender.connect((place.addresses[f"vm-{target}", family], port))
            if _error(sender) != errno.ECONNREFUSED:
                lab.fail(f"{source} gets no error of {target} for udp/{port} where nobody listens, IPv{family}")
            sender.close()
    lab.say(f"port unreachable: {len(cases)} guests are told that nobody listens, although no rule lets ICMP through")


def _too_big(place: lab.Place) -> None:
    """Of the own hypervisor and of the router: a guest whose groups let in no ICMP is told what fits."""
    near = {family: place.addresses["vm-open1", family] for family in _INET}
    for host, way, targets in (("host2", _narrow_card, near), ("router", _narrow_route, _INTERNET)):
        with way(place, host):
            for family in _INET:
                level, discover, known = _MTU[family]
                sender = place.socket("vm-strict1", _INET[family], socket.SOCK_DGRAM)
                sender.setsockopt(level, discover, _DO)
                sender.connect((targets[family], 5353))
                end = time.monotonic() + 10
                while sender.getsockopt(level, known) != _SMALL:
                    with suppress(OSError):
                        sender.send(bytes(1430))
                    if time.monotonic() > end:
                        lab.fail(f"{host} does not get through to strict1 that a packet is too big, IPv{family}")
                    time.sleep(0.05)
                sender.close()
    lab.say("packet too big: a guest's hypervisor and the router are heard in both families")


def _rejects(place: lab.Place) -> None:
    """Who is refused is told at once, TCP by a RST and everything else by an ICMP error."""
    cases = [("open1", "strict1", "tcp", 7000), ("open1", "strict1", "udp", 7000)]
    cases += [("sweb1", "sstrict1", "tcp", 7000), ("sweb1", "sstrict1", "udp", 7000), ("strict1", "web1", "tcp", 8001)]
    for source, target, kind, port in cases:
        for family in _INET:
            there = place.addresses[f"vm-{target}", family]
            wire = place.socket(f"vm-{source}", socket.AF_PACKET, socket.SOCK_DGRAM)
            wire.bind(("eth0", 0x0800 if family == 4 else 0x86DD))
            made = place.socket(
                f"vm-{source}", _INET[family], socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
            )
            # An error more than the kernel's rate allows is repeated by its cause.
            lab.wait(
                f"{source} is refused {kind}/{port} of {target}, IPv{family}",
                10,
                lambda made=made, there=there, kind=kind, port=port: _refused(made, there, kind, port),  # type: ignore[misc]
            )
            made.close()
            if not any(_tells(packet, family, there, kind, port) for packet in _drained(wire)):
                lab.fail(f"no RST, or ICMP error, for {kind}/{port} from {source} to {target}, IPv{family}")
            wire.close()
    lab.say(f"reject: {len(cases)} senders get RST or port unreachable in both families")


def _logs(place: lab.Place) -> None:
    """Lines of the kernel's log with guest, group and reason, where this machine lets namespaces log at all."""
    cases = [
        ("open1", "strict1", "tcp", 7001, "in", "drop"),
        ("open1", "strict1", "udp", 7011, "in", "no rule"),
        ("sweb1", "sstrict1", "tcp", 7000, "in", "reject"),
        ("strict1", "web1", "tcp", 8003, "out", "no rule"),
        ("strict1", "web1", "tcp", 8001, "out", "reject"),
    ]
    if not os.access(_ALL_NETNS, os.W_OK) or not os.access("/dev/kmsg", os.R_OK):
        rules = "\n".join(place.rules("host2"))
        if "log prefix" not in rules and "LOG" not in rules:
            lab.fail("no rule logs")
        lab.say("log: this machine lets no namespace log; the rules are there")
        return
    before = _ALL_NETNS.read_text(encoding="ascii").strip()
    with Path("/dev/kmsg").open("rb", buffering=0) as kernel:
        os.set_blocking(kernel.fileno(), False)
        os.lseek(kernel.fileno(), 0, os.SEEK_END)
        try:
            _ALL_NETNS.write_text("1", encoding="ascii")
            for source, target, kind, port, _way, _reason in cases:
                _knock(place, source, target, kind, port)
            text = _kernel_log(kernel.fileno(), place, cases)
        finally:
            _ALL_NETNS.write_text(before, encoding="ascii")
    missing = [str(case) for case in cases if not _line(place, text, *case)]
    if missing:
        lab.fail(f"lines of the kernel's log are missing: {missing}\n{text}")
    lab.say(f"log: {len(cases)} drops and rejects with guest, groups and reason in the kernel's log")
    lab.say("  " + _line(place, text, *cases[0]))


def _line(place: lab.Place, text: str, source: str, target: str, kind: str, port: int, way: str, reason: str) -> str:
    """The line for a packet, "" where there is none."""
    guest = target if way == "in" else source
    direction = {"in": "ingress", "out": "egress"}[way]
    said = rf"plainlinux\.vpc {guest} {direction} strict: (?:strict {direction}\[\d+\] )?{reason}: "
    if place.backend == "iptables":
        said = rf"sg {way} strict: {reason}: "
    ends = rf"SRC={re.escape(place.addresses[f'vm-{source}', 4])} DST={re.escape(place.addresses[f'vm-{target}', 4])} "
    found = re.search(rf"^.*{said}.*{ends}.*PROTO={kind.upper()} .*DPT={port} .*$", text, re.MULTILINE)
    return found[0] if found else ""


def _kernel_log(kernel: int, place: lab.Place, cases: list[tuple[str, str, str, int, str, str]]) -> str:
    """What the kernel has logged since, as soon as all lines are there, or after a while."""
    text = ""
    end = time.monotonic() + 5
    while time.monotonic() < end and not all(_line(place, text, *case) for case in cases):
        select.select([kernel], [], [], 0.2)
        with suppress(BlockingIOError, BrokenPipeError):
            while True:
                text += os.read(kernel, 1 << 14).decode("utf-8", "replace").partition(";")[2]
    return text


def _closed(place: lab.Place) -> None:
    """Without br_netfilter the guests of a switched network are cut off, not open; and only these."""
    switched = [("sweb1", "sapp1", 9000), ("sapp1", "sstrict1", 7002)]
    denied = [("sapp1", "sweb1", 9000), ("sweb1", "sstrict1", 7001)]
    routed = [("web1", "app1", 9000), ("open1", "sapp1", 9001)]
    machine = [f"net.bridge.bridge-nf-call-{tables}" for tables in ("iptables", "ip6tables")]
    before = place.on("host1", "sysctl", *machine).replace(" ", "").split()
    words = ("ip", "link", "set", "dev", "br-sw", "type", "bridge")
    with _on_link(place, ("sweb1", "sapp1", "sstrict1")):
        _ask(place, [*switched, *routed], ANSWERED)
        _ask(place, denied, SILENT)
        try:
            # Its own settings are enough for the bridge.
            place.on("host1", "sysctl", "-qw", *(f"{key}=0" for key in machine))
            _ask(place, switched, ANSWERED)
            _ask(place, denied, SILENT)
            place.on("host1", *words, "nf_call_iptables", "0", "nf_call_ip6tables", "0")
            # What is routed to a guest of the bridge is seen all the same.
            _ask(place, [*switched, *denied, ("open1", "sapp1", 9000)], SILENT)
            _ask(place, routed, ANSWERED)
        finally:
            place.on("host1", "sysctl", "-qw", *before)
            place.on("host1", *words, "nf_call_iptables", "1", "nf_call_ip6tables", "1")
        _ask(place, switched, ANSWERED)
    lab.say("without br_netfilter guests of the switched network are cut off from each other, and nothing is open")


@contextmanager
def _on_link(place: lab.Place, names: tuple[str, ...]) -> Iterator[None]:
    """Guests that send IPv6 to their neighbours themselves; usually all their packets go by the gateway."""
    pairs = [(f"vm-{one}", place.addresses[f"vm-{other}", 6]) for one in names for other in names if one != other]
    for one, address in pairs:
        place.inside(one, "ip", "-6", "route", "add", address, "dev", "eth0")
    try:
        yield
    finally:
        for one, address in pairs:
            place.inside(one, "ip", "-6", "route", "del", address, "dev", "eth0")


def _ask(place: lab.Place, wanted: list[tuple[str, str, int]], word: str) -> None:
    """Demand that TCP (from, to, port) is answered, or not, in both families."""
    listed = [
        Trial(
            f"{place.lab}-vm-{source}",
            "",
            "tcp",
            place.addresses[f"vm-{target}", family],
            port,
            word == ANSWERED,
            (f"{place.lab}-vm-{target}", place.addresses[f"vm-{target}", family], port),
        )
        for source, target, port in wanted
        for family in _INET
    ]
    wrong = [
        (trial.netns, trial.address, trial.port, one)
        for trial, one in zip(listed, trials.run(listed))
        if one.word != word
    ]
    if wrong:
        lab.fail(f"must be {word}: {wrong}")


def _listener(place: lab.Place, name: str, family: int, port: int) -> socket.socket:
    made = place.socket(f"vm-{name}", _INET[family], socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    made.bind((place.addresses[f"vm-{name}", family], port))
    return made


@contextmanager
def _narrow_card(place: lab.Place, host: str) -> Iterator[None]:
    """The host sends small packets only. It gets no large ones either, from the other end of the cable."""
    place.on(host, "ip", "link", "set", "dev", "eth0", "mtu", str(_SMALL))
    try:
        yield
    finally:
        place.on(host, "ip", "link", "set", "dev", "eth0", "mtu", "1500")


@contextmanager
def _narrow_route(place: lab.Place, host: str) -> Iterator[None]:
    """The host's way to the internet takes small packets only."""
    for family, address in _INTERNET.items():
        way = place.on(host, "ip", f"-{family}", "route", "show", "default").split()
        there = ("via", way[way.index("via") + 1], "dev", "eth0")
        place.on(host, "ip", f"-{family}", "route", "add", address, *there, "mtu", "lock", str(_SMALL))
    try:
        yield
    finally:
        for family, address in _INTERNET.items():
            place.on(host, "ip", f"-{family}", "route", "del", address)


def _error(sender: socket.socket) -> int:
    """The error that packets of a socket come back with; 0 where none does."""
    end = time.monotonic() + 10
    sender.settimeout(0.5)
    while time.monotonic() < end:
        try:
            sender.send(b"x")
            sender.recv(64)
        except TimeoutError:
            continue
        except OSError as error:
            return error.errno or 0
    return 0


def _refused(made: socket.socket, there: str, kind: str, port: int) -> bool:
    made.settimeout(1)
    try:
        made.connect((there, port))
        if kind == "udp":
            made.send(b"x")
            made.recv(64)
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    return False


def _tells(packet: bytes, family: int, there: str, kind: str, port: int) -> bool:
    """Whether a packet says that there is nobody: a RST from there, or port unreachable with our packet in it."""
    number, size = (packet[9], (packet[0] & 15) * 4) if family == 4 else (packet[6], 40)
    body = packet[size:]
    if kind == "tcp":
        source = packet[12:16] if family == 4 else packet[8:24]
        whole = source == socket.inet_pton(_INET[family], there) and int.from_bytes(body[:2], "big") == port
        return number == 6 and whole and bool(body[13] & 4)
    inner = body[8 + (20 if family == 4 else 40) :]
    code = (1, 3, 3) if family == 4 else (58, 1, 4)
    return (number, *body[:2]) == code and int.from_bytes(inner[2:4], "big") == port


def _drained(wire: socket.socket) -> Iterator[bytes]:
    wire.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield wire.recv(1 << 16)


def _knock(place: lab.Place, source: str, target: str, kind: str, port: int) -> None:
    """One packet in IPv4."""
    made = place.socket(f"vm-{source}", socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.settimeout(0.2)
    with suppress(OSError):
        made.connect((place.addresses[f"vm-{target}", 4], port))
        made.send(b"x")
    made.close()


if __name__ == "__main__":
    sys.exit(main())
