# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection tracking: the flows that pass a host, and how some of them are ended.

Flows are no state of ours: they belong to whoever opened them, and nothing here is a subsystem.

A flow is ended by a mark, by which a rule drops its packets; see _plan/groups/ended.py. One that is forgotten is taken
up in the middle by what its server sends next, if only the answer that was on its way: a server that may send whatever
it likes would go on, and all that comes back to it would pass as answers. Only ICMP is forgotten, whose answers begin
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ICMP, ICMPV6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.ended import ENDED, ENDED_MASK

PROGRAM = "conntrack"
FAMILIES = (4, 6)

# Counters, timestamps and labels may stand between what is read here.
_FLOW = re.compile(
    r"^\S+ +(\d+) .*?src=(\S+) dst=(\S+) "
    r"(?:sport=(\d+) dport=(\d+) |type=(\d+) code=(\d+) id=(\d+) |srckey=(\S+) dstkey=(\S+) )?"
    r"(?:zone-orig=(\d+) )?.*?src=(\S+) dst=\S+ (?:sport=(\d+) )?(.*) id=(\d+)$",
    re.MULTILINE,
)
_ZONE = re.compile(r" zone=(\d+)")
_MARK = re.compile(r" ?mark=(\d+)")

_DELETED, _MARKED, _UNMARKED = "delete", "mark", "unmark"

# conntrack -D and -U list the whole table for each flow that they are told: 0.34 s with 100,000 entries. The kernel
# itself finds a flow at once (33 us). Lines: see _line(). Whatever is gone is left alone. A flow between the same ends
# that has begun since gets the mark, too: the policy judges ends, and knows no difference.
_CHANGE = """\
import os, socket, struct, sys

NETLINK_NETFILTER, UPDATE, DELETE, ERROR, REQUEST_ACK = 12, 0x100, 0x102, 2, 5
AT_ONCE = 100
ENDED, MASK = map(int, sys.argv[1:])


def attribute(kind, value):
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def nest(kind, *parts):
    return attribute(kind | 0x8000, b"".join(parts))


def message(number, line):
    action, family, protocol, source, target, first, second, third, zone, zone_orig, identity = line.split()
    inet = socket.AF_INET if family == "4" else socket.AF_INET6
    at = 1 if family == "4" else 3
    addresses = [attribute(at + n, socket.inet_pton(inet, text)) for n, text in enumerate((source, target))]
    numbers = [attribute(1, bytes([int(protocol)]))]
    if third != "-":
        at = 4 if family == "4" else 7
        numbers.append(attribute(at, struct.pack(">H", int(third))))
        numbers += [attribute(at + 1, bytes([int(first)])), attribute(at + 2, bytes([int(second)]))]
    elif first != "-":
        numbers += [attribute(2, struct.pack(">H", int(first))), attribute(3, struct.pack(">H", int(second)))]
    origin = [nest(1, *addresses), nest(2, *numbers)]
    if zone_orig != "-":
        origin.append(attribute(3, struct.pack(">H", int(zone_orig))))
    body = struct.pack("=BBH", inet, 0, 0) + nest(1, *origin) + attribute(12, struct.pack(">I", int(identity)))
    if zone != "-":
        body += attribute(18, struct.pack(">H", int(zone)))
    if action != "delete":
        mark = ENDED if action == "mark" else 0
        body += attribute(8, struct.pack(">I", mark)) + attribute(21, struct.pack(">I", MASK))
    kind = DELETE if action == "delete" else UPDATE
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST_ACK, number, 0) + body


def answers(netlink, count):
    while count > 0:
        data = netlink.recv(1 << 20)
        at = 0
        while at < len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind == ERROR:
                count -= 1
                yield -struct.unpack_from("=i", data, at + 16)[0]
            at += size + 3 & ~3


messages = [message(number, line) for number, line in enumerate(sys.stdin, 1)]
changed = 0
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
    netlink.bind((0, 0))
    for at in range(0, len(messages), AT_ONCE):
        chunk = messages[at : at + AT_ONCE]
        netlink.send(b"".join(chunk))
        for error in answers(netlink, len(chunk)):
            if error not in (0, 2):
                sys.exit("connection tracking refuses a change: " + os.strerror(error))
            changed += not error
print(changed)
"""


class Flow(NamedTuple):
    """A flow, as its first packet was. Texts are as the kernel prints them, None where the flow has no such thing.

    real: where its packets go to, which is not the target where the target was translated; port: the port there.
    fields: sport and dport, or type, code and id of ICMP echo, or keys of GRE. helper: whether a helper reads it, which
    may announce further flows. ended: whether it has our mark. identity: the kernel's number of it.
    """

    family: int
    protocol: int
    source: str
    target: str
    real: str
    port: str | None
    fields: tuple[str, ...]
    zone: str | None
    zone_orig: str | None
    helper: bool
    ended: bool
    identity: str


def listed(family: int) -> Command:
    """The command whose output parse() takes."""
    return Command((PROGRAM, "-L", "-f", f"ipv{family}", "-o", "id"))


def expected(family: int) -> Command:
    """The same for flows that another one announced, as those for data of FTP."""
    return Command((PROGRAM, "-L", "-f", f"ipv{family}", "-o", "id", "-u", "EXPECTED"))


def parse(family: int, output: Output) -> Iterator[Flow]:
    """The flows in the output of listed() or expected(). Raises KernelError for a line that is none."""
    count = 0
    for found in _FLOW.finditer(output.stdout):
        count += 1
        words = found.groups()
        zone_orig, real, port, rest, identity = words[10:]
        zone = _ZONE.search(rest) if " zone=" in rest else None
        yield Flow(
            family,
            int(words[0]),
            words[1],
            words[2],
            real,
            port,
            tuple([word for word in words[3:10] if word is not None]),
            zone[1] if zone else None,
            zone_orig,
            " helper=" in rest,
            "mark=0 " not in rest and _ended(rest),
            identity,
        )
    lines = output.stdout.count("\n")
    if count != lines:
        raise KernelError(f"conntrack -L -f ipv{family}: {lines - count} of {lines} lines are no flow that is known")


def end(flows: Iterable[Flow], python: str) -> Command:
    """A command that ends these flows, and prints how many were still there. python: path of an interpreter."""
    lines = [_line(flow, _DELETED if flow.protocol in (ICMP, ICMPV6) else _MARKED) for flow in flows]
    return Command((python, "-c", _CHANGE, str(ENDED), str(ENDED_MASK)), "".join(lines))


def revive(flows: Iterable[Flow], python: str) -> Command:
    """The same for flows that may go on: those that were not forgotten."""
    lines = [_line(flow, _UNMARKED) for flow in flows if flow.protocol not in (ICMP, ICMPV6)]
    return Command((python, "-c", _CHANGE, str(ENDED), str(ENDED_MASK)), "".join(lines))


def _ended(text: str) -> bool:
    found = _MARK.search(text)
    return found is not None and int(found[1]) & ENDED_MASK == ENDED


def _line(flow: Flow, action: str) -> str:
    # Keys of GRE are hexadecimal.
    numbers = [str(int(word, 0)) for word in flow.fields] + ["-"] * (3 - len(flow.fields))
    words = (flow.source, flow.target, *numbers, flow.zone or "-", flow.zone_orig or "-", flow.identity)
    return f"{action} {flow.family} {flow.protocol} {' '.join(words)}\n"
