# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the lock file. The one part with 100,000 lines, so a plain line costs little."""

from __future__ import annotations

import re

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    check_mac,
    parse_ipv4,
    parse_ipv6,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors, Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import (
    FORMAT,
    FREED,
    GUEST,
    NETWORK,
    NONE,
    Allocation,
    Lock,
    LockedNetwork,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock_clash import check_twice, unmerged

RESTORE = "restore the file from version control"

_WORDS = {
    "format": ("NUMBER",),
    NETWORK: ("NAME", "PREFIX", "PREFIX6", "TABLE", "BRIDGE-MAC"),
    GUEST: ("NETWORK", "ADDRESS", "ADDRESS6", "MAC", "GUEST", "NUMBER"),
    FREED: ("NETWORK", "ADDRESS", "ADDRESS6", "MAC", "GUEST", "NUMBER"),
}
_LARGEST = 999_999_999_999
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")
_NETWORK = re.compile(r"[a-z0-9_-]{1,12}")
_OWNER = re.compile(r"([a-z0-9._-]{1,40})(?:#([2-9]|[1-9][0-9]{1,3}))?")
# The lines that 100,000 guests have; what does not match is read word by word, to say why.
_LINE = re.compile(
    rf"({GUEST}|{FREED}) ([a-z0-9_-]{{1,12}}) (\S+) (\S+)"
    r" (-|(?!00:00:00:00:00:00)[0-9a-f][02468ace](?::[0-9a-f]{2}){5})"
    r" ([a-z0-9._-]{1,40})(?:#([2-9]|[1-9][0-9]{1,3}))? (0|[1-9][0-9]{0,11})"
)


def read(text: str, name: str) -> Lock:
    """Read the text of the file; the order of its lines says nothing. Raises ModelErrors with every mistake.

    name: of the file, for messages.
    """
    reader = _Reader(name)
    if not any(line.split()[:1] == ["format"] for line in text.split("\n")):
        what = "is empty" if not text.strip() else "is no lock file of plainlinux.vpc: it has no line `format`"
        reader.report.add(name, f"{what}; {RESTORE}, or delete it to have everything allocated anew")
        raise ModelErrors(reader.report.errors)
    lines = text.split("\n")
    for at, line in unmerged(reader.report, name, lines):
        reader.line(at, line)
    check_twice(reader.report, name, reader.networks, reader.guests, reader.freed)
    if reader.report.errors:
        raise ModelErrors(sorted(reader.report.errors, key=_line_of))
    return Lock(name, {item.name: item for item in reader.networks}, tuple(reader.guests), tuple(reader.freed))


def _line_of(error: ModelError) -> int:
    return int(error.path.rpartition(":")[2])


class _Reader:
    """Reads line after line and remembers what is wrong."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.report = Report()
        self.networks: list[LockedNetwork] = []
        self.guests: list[Allocation] = []
        self.freed: list[Allocation] = []

    def line(self, at: int, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is not None:
            kind, network, word, word6, mac, guest, ordinal, number = found.groups()
            try:
                item = Allocation(
                    network,
                    None if word == NONE else parse_ipv4(word),
                    None if word6 == NONE else parse_ipv6(word6),
                    None if mac == NONE else mac,
                    guest,
                    int(ordinal) if ordinal else 1,
                    int(number),
                    at,
                    line,
                )
            except ValueError:
                pass
            else:
                if item.address is not None or item.address6 is not None or (item.mac is not None and kind == GUEST):
                    (self.guests if kind == GUEST else self.freed).append(item)
                    return
        if line and not line.startswith("#"):
            self.slowly(at, line)

    def slowly(self, at: int, line: str) -> None:
        """Read what is no plain line of a guest."""
        words = line.split()
        if not words:
            return
        kind, values = words[0], words[1:]
        if kind not in _WORDS:
            hint = self.report.hint(kind, _WORDS) or f"; allowed: {', '.join(sorted(_WORDS))}"
            self.add(at, f"{show(kind)} is unknown{hint}")
        elif len(values) != len(_WORDS[kind]):
            wanted = f"{kind} {' '.join(_WORDS[kind])}"
            self.add(at, f"has {len(words)} words; {len(_WORDS[kind]) + 1} are needed: {wanted}")
        elif kind == "format":
            if values[0] != str(FORMAT):
                self.add(at, f"format {show(values[0])} is unknown; this version of plainlinux.vpc reads {FORMAT}")
        elif kind == NETWORK:
            self.network(at, values)
        else:
            self.allocation(at, kind, values)

    def network(self, at: int, words: list[str]) -> None:
        before = len(self.report.errors)
        name, word, word6, table, mac = words
        if not _NETWORK.fullmatch(name):
            self.add(at, f"{show(name)} is not the name of a network")
        cidr, cidr6 = self.prefix(at, 4, word), self.prefix(at, 6, word6)
        number = None if table == NONE else self.number(at, table)
        if mac != NONE:
            self.mac(at, mac)
        if len(self.report.errors) == before:
            self.networks.append(LockedNetwork(name, cidr, cidr6, number, None if mac == NONE else mac, at))

    def allocation(self, at: int, kind: str, words: list[str]) -> None:
        before = len(self.report.errors)
        network, word, word6, mac, owner, number = words
        if not _NETWORK.fullmatch(network):
            self.add(at, f"{show(network)} is not the name of a network")
        address = address6 = None
        try:
            address = None if word == NONE else parse_ipv4(word)
        except ValueError as error:
            self.add(at, str(error))
        try:
            address6 = None if word6 == NONE else parse_ipv6(word6)
        except ValueError as error:
            self.add(at, str(error))
        if mac != NONE:
            self.mac(at, mac)
        found = _OWNER.fullmatch(owner)
        if found is None:
            self.add(at, f"{show(owner)} is not the name of a guest, as vm1, or vm1#2 for a second interface")
        count = self.number(at, number)
        if [word, word6] == [NONE, NONE] and (mac == NONE or kind == FREED):
            self.add(at, f"has no address{'' if kind == FREED else ' and no MAC'}; delete the line")
        if len(self.report.errors) > before or found is None:
            return
        item = Allocation(
            network,
            address,
            address6,
            None if mac == NONE else mac,
            found[1],
            int(found[2] or 1),
            count,
            at,
            " ".join((kind, *words)),
        )
        (self.guests if kind == GUEST else self.freed).append(item)

    def prefix(self, at: int, family: int, word: str) -> Prefix | None:
        if word != NONE:
            try:
                return parse_prefix(family, word)
            except ValueError as error:
                self.add(at, str(error))
        return None

    def mac(self, at: int, word: str) -> None:
        try:
            check_mac(word)
        except ValueError as error:
            self.add(at, str(error))

    def number(self, at: int, word: str) -> int:
        if _NUMBER.fullmatch(word):
            return int(word)
        self.add(at, f"{show(word)} is not a number from 0 to {_LARGEST}")
        return 0

    def add(self, at: int, message: str) -> None:
        self.report.add(f"{self.name}:{at}", message)
