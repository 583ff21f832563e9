# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables: the tables of a scope, with their sets, maps, chains and elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._edit import Edit, edits

BOOT_FILE = "nftables.nft"

# nft 1.0.6 deletes from an interval set in time proportional to the set: one of 100,000 takes 2 s, 500 take 84 s, flush
# and refill in the same transaction 1 s, without a packet lost. That is done above this many (deleted x kept).
_REFILL = 50_000

_MISSING = "No such file or directory"
_HANDLE = r"(?: # handle \d+)?$"
_TABLE = re.compile(r"table (\S+) (\S+) \{" + _HANDLE)
_OBJECT = re.compile(r"\t((?:ct )?[a-z]+) (\S+) \{" + _HANDLE)
_RULE = re.compile(r"(.*) # handle (\d+)$")
# A comma inside the quotes of a comment or an interface name does not end an element.
_ELEMENT = re.compile(r'(?:[^",]|"[^"]*")+')
_CHAIN_HEADER = ("type ", "comment ")


class Listed(str):
    """A chain's value as it was read. handles: the kernel's numbers of its rules, in order; () where not all are known.

    It is equal to the same text without them: they say nothing of the state.
    """

    handles: tuple[str, ...] = ()


@dataclass
class _Object:
    """What a state says of one set, map, chain or other part of a table.

    value: None where the state does not mention it, but maybe its elements. elements: key -> value.
    """

    value: str | None = None
    elements: dict[str, str] = field(default_factory=dict)


_Tables = dict[str, dict[str, _Object]]


class Nft(Subsystem):
    """Tables named like the scope, in any family that desired or recorded state mentions, and in inet and bridge.

    | key | value |
    |---|---|
    | `inet T` | `table`, or `table; <header lines>` where it has a comment or flags |
    | `inet T set S`, `inet T map M` | header lines joined by `; ` |
    | `inet T set S ELEMENT` | `element`, or `element <options>` where it has a timeout or comment |
    | `inet T map M ELEMENT` | the data, or `<options> : <data>` |
    | `inet T chain C` | newline separated: `type ... hook ...; policy ...;` of a base chain, then its rules |
    | `inet T KIND NAME` | any other object: header lines joined by `; ` |

    Values are what `nft -s -nny list table` prints. Elements that packets added (`flags dynamic`) are no state. Chains
    that parse() found are Listed.

    put() is one transaction for all changes inside of tables, removals included, because a rule and the set that it
    uses must change together; so it must be called whenever there is a difference, also when only removals are left.
    drop() removes whole tables.

    Where most of a chain stays, the rules that differ change by handle. A kernel that has no such rule any more, as
    when the same text has run before, refuses the whole transaction. Other chains are flushed and filled.

    A changed header of a set or a table, or of a chain that is jumped to, makes the whole table anew in that
    transaction. Rule and member changes lose no packet; making a table of 3,000 intervals anew drops those of about
    1 ms (seen on 6.18: 33 of 2,448 pings at 46 such changes), so headers should rarely change.
    """

    name = "nft"

    def read(self, context: Context) -> list[Command]:
        families = {"inet", "bridge"}
        families.update(key.split(" ", 1)[0] for key in (*context.desired, *context.recorded))
        return [
            Command(("nft", "-a", "-s", "-nny", "list", "table", family, context.scope.table), ok=(0, 1, 127))
            for family in sorted(families)
        ]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        """Raises KernelError where nft failed for another reason than a missing table or a missing nft."""
        state: State = {}
        for output in outputs:
            if output.status == 0:
                state.update(_parse(output.stdout))
            elif output.status != 127 and _MISSING not in output.stderr:
                raise KernelError(f"nft list table failed: {output.stderr.strip()}")
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        """context.desired must be the whole state that delta leads to: a table may have to be written anew."""
        before, after = _group(delta.before), _group(delta.after)
        desired: _Tables = {}
        lines: list[str] = []
        for table in sorted(before.keys() | after.keys()):
            old, new = before.get(table, {}), after.get(table, {})
            if "" in old and "" not in new:
                continue
            desired = desired or _group(context.desired)
            whole = desired.get(table, {})
            if _needs_rebuild(old, new):
                lines += _rebuilt(table, whole)
            else:
                lines += _changed(table, old, new, whole)
        return [_script(lines)] if lines else []

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        lines: list[str] = []
        for key in delta.removed:
            if key.count(" ") == 1:
                lines += _emptied(key)
        return [_script(lines)] if lines else []

    def boot(self, context: Context) -> dict[str, str]:
        tables = _group(context.desired)
        lines = [line for table in sorted(tables) for line in _rebuilt(table, tables[table])]
        return {BOOT_FILE: "\n".join(lines) + "\n"} if lines else {}

    boot_shell = f"if [ -e {BOOT_FILE} ]; then nft -f {BOOT_FILE}; fi\n"


def _script(lines: Iterable[str]) -> Command:
    return Command(("nft", "-f", "-"), "\n".join(lines) + "\n")


def _parse(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values of the one table that `nft list table` printed."""
    lines = iter(text.splitlines())
    for line in lines:
        match = _TABLE.match(line)
        if not match:
            raise KernelError(f"nft list table: cannot read {line!r}")
        table = f"{match[1]} {match[2]}"
        header = ["table"]
        for line in lines:
            if line == "}":
                break
            match = _OBJECT.match(line)
            if match:
                body = _body(lines)
                yield from _parse_object(f"{table} {match[1]} {match[2]}", match[1], body)
            elif line.startswith("\t"):
                header.append(line.strip())
            elif line:
                raise KernelError(f"nft list table: cannot read {line!r}")
        yield table, "; ".join(header)


def _body(lines: Iterator[str]) -> list[str]:
    """The lines up to the end of an object."""
    body: list[str] = []
    for line in lines:
        if line == "\t}":
            return body
        body.append(line.strip())
    raise KernelError("nft list table: output ends inside an object")


def _parse_object(key: str, kind: str, body: list[str]) -> Iterator[tuple[str, str]]:
    if kind == "chain":
        yield key, _listed(body)
        return
    size = next((number for number, line in enumerate(body) if line.startswith("elements = {")), len(body))
    header = body[:size]
    yield key, "; ".join(header)
    if size == len(body) or any(line.startswith("flags ") and "dynamic" in line for line in header):
        return
    elements = " ".join(body[size:])[len("elements = {") :].rstrip("} ")
    yield from _parse_elements(key, kind, elements)


def _listed(body: Sequence[str]) -> Listed:
    found = [_RULE.match(line) for line in body]
    value = Listed("\n".join([match[1] if match else line for match, line in zip(found, body)]))
    handles = tuple([match[2] for match in found if match])
    if len(handles) == len(_rules(value)):
        value.handles = handles
    return value


def _parse_elements(key: str, kind: str, text: str) -> Iterator[tuple[str, str]]:
    for element in _ELEMENT.findall(text) if '"' in text else text.split(","):
        words = element.split()
        # A key is one word, or several with " . " between them.
        size = 1
        while size < len(words) and words[size] == ".":
            size += 2
        name = " ".join(words[:size])
        rest = element.strip()[len(name) :].strip()
        if kind == "map":
            yield f"{key} {name}", rest[2:] if rest.startswith(": ") else rest
        else:
            yield f"{key} {name}", f"element {rest}" if rest else "element"


def _group(state: Mapping[str, str]) -> _Tables:
    """Table -> object ("set nat4"; "" for the table itself) -> what the state says of it."""
    tables: _Tables = {}
    for key, value in state.items():
        words = key.split(" ", 4)
        objects = tables.setdefault(f"{words[0]} {words[1]}", {})
        if len(words) == 5 and words[2] in ("set", "map"):
            objects.setdefault(f"{words[2]} {words[3]}", _Object()).elements[words[4]] = value
        else:
            objects.setdefault(" ".join(words[2:]), _Object()).value = value
    return tables


def _emptied(table: str) -> list[str]:
    """Lines that remove a table that need not exist."""
    return [f"table {table} {{ }}", f"delete table {table}"]


def _rebuilt(table: str, objects: Mapping[str, _Object]) -> list[str]:
    header = (objects[""].value or "").split("; ")[1:] if "" in objects else []
    return [*_emptied(table), *_block(table, {name: part for name, part in objects.items() if name}, header)]


def _block(table: str, objects: Mapping[str, _Object], header: Sequence[str] = ()) -> Iterator[str]:
    """A table with these objects, in the form that nft prints; each rule and element on a line that errors can name."""
    yield f"table {table} {{"
    yield from header
    for name in sorted(objects):
        part = objects[name]
        yield f"{name} {{"
        yield from (part.value or "").split("\n" if name.startswith("chain ") else "; ")
        if part.elements:
            yield "elements = {"
            yield from _elements(part.elements)
            yield "}"
        yield "}"
    yield "}"


def _elements(elements: Mapping[str, str]) -> Iterator[str]:
    for name, value in elements.items():
        if value.startswith("element"):
            yield f"{name}{value[len('element') :]},"
        elif " : " in value:
            yield f"{name} {value},"
        else:
            yield f"{name} : {value},"


def _header(chain: str | None) -> list[str]:
    return [line for line in (chain or "").split("\n") if line.startswith(_CHAIN_HEADER)]


def _rules(chain: str) -> list[str]:
    return [line for line in chain.split("\n") if line and not line.startswith(_CHAIN_HEADER)]


def _edits(before: str | None, after: str | None) -> list[Edit] | None:
    """How the rules of a chain that was read change in place; None where they cannot, or it is to be written anew."""
    if not isinstance(before, Listed) or after is None or _header(before) != _header(after):
        return None
    rules = _rules(before)
    return edits(rules, _rules(after)) if len(rules) == len(before.handles) else None


def _edit_lines(chain: str, handles: Sequence[str], found: Iterable[Edit]) -> tuple[list[str], list[str]]:
    """Lines that remove rules, and lines that add some. chain: with its table."""
    removed: list[str] = []
    added: list[str] = []
    for edit in found:
        removed += [f"delete rule {chain} handle {handle}" for handle in handles[edit.start : edit.stop]]
        # A rule that stays is what the kernel can count from.
        place = f"insert rule {chain} handle {handles[edit.stop]}" if edit.stop < len(handles) else f"add rule {chain}"
        added += [f"{place} {line}" for line in edit.lines]
    return removed, added


def _is_base(chain: str | None) -> bool:
    return any(line.startswith("type ") for line in _header(chain))


def _needs_rebuild(old: Mapping[str, _Object], new: Mapping[str, _Object]) -> bool:
    """A header can only be changed by making its object anew, and with it whatever refers to that object.

    An exception is a base chain that stays one: nothing can refer to it.
    """
    if "" in new:
        return True
    for name in old.keys() & new.keys():
        before, after = old[name].value, new[name].value
        if before is None or after is None:
            continue
        if not name.startswith("chain "):
            return True
        if _header(before) != _header(after) and not (_is_base(before) and _is_base(after)):
            return True
    return False


def _changed(
    table: str, old: Mapping[str, _Object], new: Mapping[str, _Object], desired: Mapping[str, _Object]
) -> list[str]:
    """Lines that lead from the old to the new objects of a table that stays.

    First the rules and elements that go give up their references, then what is new appears as a whole, then come the
    rules and elements that may use it, and last the objects go that nothing refers to any more.
    """
    first: list[str] = []
    block: dict[str, _Object] = {}
    rules: list[str] = []
    then: list[str] = []
    last: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, _Object()), new.get(name, _Object())
        kind, _space, own_name = name.rpartition(" ")
        placed = f"{kind} {table} {own_name}"
        is_chain = name.startswith("chain ")
        found = _edits(before.value, after.value) if is_chain else None
        if found is not None and isinstance(before.value, Listed):
            removed, added = _edit_lines(f"{table} {own_name}", before.value.handles, found)
            first += removed
            rules += added
            continue
        if is_chain and before.value is not None:
            first.append(f"flush {placed}")
        if after.value is not None:
            if before.value is not None and _header(before.value) != _header(after.value):
                first.append(f"delete {placed}")
            block[name] = after
        elif before.value is not None:
            last.append(f"delete {placed}")
        else:
            whole = desired[name]
            if len(before.elements) * len(whole.elements) > _REFILL and "interval" in (whole.value or ""):
                first.append(f"flush {placed}")
                then += _command("add", placed, _elements(whole.elements))
            else:
                first += _command("delete", placed, (f"{key}," for key in before.elements))
                then += _command("add", placed, _elements(after.elements))
    # Maps before the chains that they jump to.
    last.sort(key=lambda line: line.startswith("delete chain "))
    return [*first, *(_block(table, block) if block else ()), *rules, *then, *last]


def _command(verb: str, placed: str, elements: Iterable[str]) -> list[str]:
    lines = list(elements)
    return [f"{verb} element {placed.partition(' ')[2]} {{", *lines, "}"] if lines else []
