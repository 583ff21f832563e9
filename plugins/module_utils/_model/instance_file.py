# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests in a file, vpc_instances_file: the columns of CSV, and where in the file a guest of vpc_instances stands.

A line of CSV is a guest with one interface. A line with the name of a guest above it and no hypervisor is one more
interface of that guest. An empty cell is a key that is left out. No cell goes on over lines, so lines can be counted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, Report, show

VARIABLE = "vpc_instances_file"

_WORDS = ("allowed_addresses", "roles", "security_groups")
_PAIRS = "allowed_pairs"
# In the order in which they are written.
COLUMNS = ("name", "hypervisor", "network", "address", "address6", "mac", "vif", _PAIRS, *_WORDS)
_REQUIRED = ("name", "hypervisor", "network")
_INTERFACES = "interfaces"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass
class Content:
    """What was found in a file: items of vpc_instances, and each mistake with the path at which it is told.

    lines: CSV only, the line of each guest. more: of a guest, by its line, the lines of its second, third... interface.
    """

    instances: list[Any] = field(default_factory=list)
    lines: list[int] | None = None
    more: dict[int, list[int]] = field(default_factory=dict)
    mistakes: list[tuple[str, str]] = field(default_factory=list)

    def raw(self, name: str) -> dict[str, Any]:
        """What Source takes, to stand beside vpc_instances in the inputs of a plan."""
        more = {str(line): lines for line, lines in self.more.items()}
        return {
            "name": name,
            "count": len(self.instances),
            "lines": self.lines,
            "more": more,
            "mistakes": self.mistakes,
        }


def read_csv(name: str, text: str) -> Content:
    """Read a table whose first line names the columns. name: of the file, which the paths of mistakes start with."""
    reader = _Reader(name)
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        # A comment is no cell: its quotes mean nothing.
        if line and not line.lstrip().startswith("#"):
            reader.line(number, line)
    if not reader.keys and not reader.content.mistakes:
        reader.refuse(1, "", f"has no line that names the columns: {', '.join(COLUMNS)}")
    return reader.content


def write_csv(instances: Iterable[Mapping[str, Any]]) -> str:
    """The table of guests without a mistake; groups of a guest with `interfaces` are those of each interface."""
    rows = [row for item in instances for row in _rows(item)]
    used = [key for key in COLUMNS if key in _REQUIRED or any(key in row for row in rows)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(used)
    writer.writerows([_cell(key, row.get(key, "")) for key in used] for row in rows)
    return out.getvalue()


class Source:
    """Where each guest of vpc_instances was written; the last `count` of them came from a file.

    raw: Content.raw(), or None where there is no file. name: the file's, "" without one.
    """

    def __init__(self, raw: Mapping[str, Any] | None) -> None:
        given = raw or {"name": "", "count": 0, "lines": None, "more": {}, "mistakes": []}
        self.name: str = given["name"]
        self.count: int = given["count"]
        self.lines: Sequence[int] | None = given["lines"]
        self.more: Mapping[str, Sequence[int]] = given["more"]
        self.mistakes = [ModelError(path, message) for path, message in given["mistakes"]]
        # What the model makes of a line's number: its keys, and interfaces that have lines of their own.
        place = rf"(?<![\w./-]){re.escape(self.name)}:(\d+)(?:\.interfaces\[(\d+)\])?(\.(?=\w))?"
        self._place = re.compile(place)

    def places(self, variable: str, items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        """(path, item) of each guest in the variable."""
        own = len(items) - self.count
        for index, item in enumerate(items):
            if index < own:
                yield f"{variable}[{index}]", item
            elif self.lines is None:
                yield f"{self.name}[{index - own}]", item
            else:
                yield f"{self.name}:{self.lines[index - own]}", item

    def told(self, error: ModelError) -> ModelError:
        """The same mistake with lines and columns in place of what the model calls them."""
        if not self.lines:
            return error
        return ModelError(self._place.sub(self._tell, error.path), self._place.sub(self._tell, error.message))

    def _tell(self, found: re.Match[str]) -> str:
        line, interface, key = found.groups()
        if interface and interface != "0":
            line = str(self.more[line][int(interface) - 1])
        return f"{self.name}:{line}{' ' if key else ''}"


class _Reader:
    """Takes line after line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.content = Content(lines=[])
        self.keys: list[str] = []
        # Where each column with several words is. The same words give the same list: 100,000 guests have few.
        self.lists: list[str] = []
        self.words: dict[str, list[str]] = {}
        self.pairs = False
        self.unknown = False
        self.places: dict[str, int] = {}

    def line(self, number: int, line: str) -> None:
        if '"' in line:
            try:
                (cells,) = csv.reader([line], strict=True, skipinitialspace=True)
            except csv.Error:
                self.refuse(number, "", 'has a quoted cell that is not closed on this line, or with a single " in it')
                return
        else:
            cells = line.split(",")
        if " " in line or "\t" in line:
            cells = [cell.strip() for cell in cells]
        if not any(cells):
            return
        if not self.keys:
            # After a header that cannot be used, each line would be a mistake.
            if not self.content.mistakes:
                self.header(number, cells)
        elif len(cells) != len(self.keys):
            hint = "; words in one cell are separated by blanks" if len(cells) > len(self.keys) else ""
            self.refuse(number, "", f"has {_cells(len(cells))}, and the header {_cells(len(self.keys))}{hint}")
        else:
            self.guest(number, {key: cell for key, cell in zip(self.keys, cells) if cell})

    def header(self, number: int, cells: list[str]) -> None:
        other = next((word for sign, word in _SEPARATORS.items() if len(cells) == 1 and sign in cells[0]), None)
        if cells[0].startswith("$ANSIBLE_VAULT"):
            self.refuse(number, "", "is encrypted; only plain text is read")
        elif other:
            self.refuse(number, "", f"is separated by {other}: commas are needed")
        else:
            self.columns(number, cells)

    def columns(self, number: int, cells: list[str]) -> None:
        report = Report()
        for index, cell in enumerate(cells):
            if not cell:
                self.refuse(number, "", f"column {index + 1} has no name")
            elif cell == _INTERFACES:
                self.refuse(number, cell, "no column: each further interface is a line with the guest's name alone")
            elif cell not in COLUMNS:
                self.refuse(number, show(cell), f"unknown column{_hint(report, cell, COLUMNS)}")
            elif cell in cells[:index]:
                self.refuse(number, cell, f"is the name of column {cells.index(cell) + 1} already")
        for key in _REQUIRED:
            if key not in cells:
                self.refuse(number, "", f"has no column {key}")
        # The values of unknown columns are left alone, to find the mistakes in others.
        if all(key in cells for key in _REQUIRED):
            self.keys = cells
            self.lists = [key for key in _WORDS if key in cells]
            self.pairs = _PAIRS in cells
            self.unknown = not set(cells) <= set(COLUMNS)

    def guest(self, number: int, item: dict[str, Any]) -> None:
        for key in self.lists:
            if key in item:
                cell = item[key]
                item[key] = self.words.get(cell) or self.words.setdefault(cell, cell.split())
        if self.pairs and _PAIRS in item:
            self.read_pairs(number, item)
        if self.unknown:
            item = {key: value for key, value in item.items() if key in COLUMNS}
        name = item.get("name", "")
        content = self.content
        if name and "hypervisor" not in item and name in self.places:
            first = self.places[name]
            _add_interface(content.instances, first, item)
            lines = content.lines or []
            content.more.setdefault(lines[first], []).append(number)
            return
        self.places.setdefault(name, len(content.instances))
        content.instances.append(item)
        if content.lines is not None:
            content.lines.append(number)

    def read_pairs(self, number: int, item: dict[str, Any]) -> None:
        found = []
        for index, word in enumerate(item.pop(_PAIRS).split()):
            mac, sign, address = word.partition("=")
            if sign:
                found.append({"mac": mac, "address": address})
            else:
                self.refuse(number, f"{_PAIRS}[{index}]", f"{show(word)} is no pair: write it as mac=address")
        if found:
            item[_PAIRS] = found

    def refuse(self, number: int, column: str, message: str) -> None:
        self.content.mistakes.append((f"{self.name}:{number}{' ' if column else ''}{column}", message))


def _add_interface(instances: list[Any], index: int, item: Mapping[str, Any]) -> None:
    """Give a guest one more interface; its first one moves into the list, too."""
    guest = instances[index]
    if _INTERFACES not in guest:
        first = {key: value for key, value in guest.items() if key not in ("name", "hypervisor")}
        guest = {key: guest[key] for key in ("name", "hypervisor") if key in guest}
        guest[_INTERFACES] = [first]
        instances[index] = guest
    guest[_INTERFACES].append({key: value for key, value in item.items() if key != "name"})


def _rows(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    if _INTERFACES not in item:
        return [dict(item)]
    common = {key: value for key, value in item.items() if key not in ("hypervisor", _INTERFACES)}
    rows: list[dict[str, Any]] = [{**common, **interface} for interface in item[_INTERFACES]]
    rows[0]["hypervisor"] = item["hypervisor"]
    return rows


def _cell(key: str, value: Any) -> str:
    if key == _PAIRS and value:
        return " ".join(f"{pair['mac']}={pair['address']}" for pair in value)
    return " ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _hint(report: Report, word: str, known: Collection[str]) -> str:
    return report.hint(word, known) or f"; known: {', '.join(known)}"
