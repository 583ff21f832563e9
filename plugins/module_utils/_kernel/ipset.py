# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipset: the sets that iptables rules match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
)

HEADERS_FILE = "ipset.headers"
MEMBERS_FILE = "ipset.members"

_SWAP = "-new"
_NAME_MAX = 31
# A set takes 65,536 members unless it is told another number.
_MAXELEM = 65_536
# What the kernel chose, and what it counts, is no decision of ours.
_CHOSEN = re.compile(r" (?:hashsize|bucketsize|initval) \S+")
_MAXELEM_WORDS = re.compile(r" maxelem (\d+)")
_COUNTED = re.compile(r" (?:timeout|packets|bytes) \d+")


class Ipset(Subsystem):
    """Sets whose names start with the scope's prefix.

    | key | value |
    |---|---|
    | `SET` | type and options as `ipset save` prints them, without hashsize, maxelem, bucketsize and initval |
    | `SET MEMBER` | `member`, or `member <options>` where it has a comment or nomatch |

    maxelem shows in the value only where it is too small for the members that are wanted, or where the desired value
    names it. put() fills a set aside and swaps it where a header differs, and adds members otherwise; drop() deletes.
    A set of another type or family cannot be swapped: it is destroyed and made anew, which fails while a rule uses it.
    """

    name = "ipset"

    def read(self, context: Context) -> list[Command]:
        return [Command(("ipset", "save"), ok=(0, 1, 127))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        """Raises KernelError where ipset failed although sets are wanted."""
        (output,) = outputs
        if output.status == 127:
            return {}
        if output.status != 0:
            # A kernel without ipset is none of our business on a host that needs no set.
            if context.desired or context.recorded:
                raise KernelError(f"ipset save failed: {output.stderr.strip()}")
            return {}
        state: State = {}
        add, create = f"add {context.scope.prefix}", f"create {context.scope.prefix}"
        for line in output.stdout.splitlines():
            if line.startswith(add):
                words = line.split(" ", 3)
                options, comment, text = f" {words[3]}".partition(' comment "') if len(words) > 3 else ("", "", "")
                state[f"{words[1]} {words[2]}"] = f"member{_COUNTED.sub('', options)}{comment}{text}"
            elif line.startswith(create):
                words = line.split(" ", 2)
                state[words[1]] = _CHOSEN.sub("", words[2])
        counts = _counts({**dict.fromkeys(state, ""), **context.desired})
        for name in counts:
            if name in state:
                state[name] = _without_maxelem(state[name], context.desired.get(name, ""), counts[name])
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        """context.desired must be the whole state that delta leads to. Raises KernelError for too long a name."""
        rewritten = {key for key in delta.after if " " not in key}
        members = _members(context.desired, rewritten)
        lines: list[str] = []
        for name in sorted(rewritten):
            header = delta.after[name]
            before = delta.before.get(name)
            if before is None:
                lines += _filled(name, header, members[name])
                continue
            spare = name + _SWAP
            if spare in delta.before:
                # Left by a run that was killed between its first line and its last.
                lines.append(f"destroy {spare}")
            if _kind(before) != _kind(header):
                lines += [f"destroy {name}", *_filled(name, header, members[name])]
            else:
                lines += _filled(spare, header, members[name])
                lines += [f"swap {spare} {name}", f"destroy {spare}"]
        for key in delta.put:
            name, space, member = key.partition(" ")
            if not space or name in rewritten:
                continue
            if key in delta.before:
                lines.append(f"del {name} {member}")
            lines.append(f"add {name} {member}{_options(delta.after[key])}")
        return [_restore(lines)] if lines else []

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        # put() filled these aside: their old members are gone, and so is a spare that was left over.
        swapped = {key for key in delta.changed if " " not in key}
        spares = {name + _SWAP for name in swapped}
        gone = [key for key in delta.removed if " " not in key and key not in spares]
        skipped = swapped.union(spares, gone)
        lines: list[str] = []
        for key in delta.removed:
            name, space, member = key.partition(" ")
            if space and name not in skipped:
                lines.append(f"del {name} {member}")
        lines += [f"destroy {name}" for name in gone]
        return [_restore(lines)] if lines else []

    def boot(self, context: Context) -> dict[str, str]:
        names = sorted(key for key in context.desired if " " not in key)
        if not names:
            return {}
        members = _members(context.desired, set(names))
        headers: list[str] = []
        lines: list[str] = []
        for name in names:
            header = context.desired[name]
            headers.append(f"{name} {header}")
            lines += _filled(name + _SWAP, header, members[name])
            lines += [f"swap {name}{_SWAP} {name}", f"destroy {name}{_SWAP}"]
        return {HEADERS_FILE: "\n".join(headers) + "\n", MEMBERS_FILE: "\n".join(lines) + "\n"}

    # A set that is there stays in use while its members are filled in aside.
    boot_shell = f"""\
if [ -e {HEADERS_FILE} ]; then
  while read -r set header; do
    ipset -q list -n "$set" >/dev/null || ipset create "$set" $header
    if ipset -q list -n "$set{_SWAP}" >/dev/null; then ipset destroy "$set{_SWAP}"; fi
  done <{HEADERS_FILE}
  ipset restore <{MEMBERS_FILE}
fi
"""


def _restore(lines: Sequence[str]) -> Command:
    return Command(("ipset", "-exist", "restore"), "\n".join(lines) + "\n")


def _kind(header: str) -> tuple[str, str]:
    """Type and family, the parts of a header that sets must share to be swapped."""
    words = header.split()
    return words[0], words[words.index("family") + 1] if "family" in words else ""


def _counts(state: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key in state:
        name, space, _member = key.partition(" ")
        counts[name] = counts.get(name, 0) + bool(space)
    return counts


def _without_maxelem(header: str, desired: str, count: int) -> str:
    match = _MAXELEM_WORDS.search(header)
    if match is None or int(match[1]) < count or " maxelem " in desired:
        return header
    return header.replace(match[0], "", 1)


def _members(state: Mapping[str, str], names: set[str]) -> dict[str, list[str]]:
    """The members of the named sets, each with its options, as `add` takes them."""
    members: dict[str, list[str]] = {name: [] for name in names}
    for key, value in state.items():
        name, space, member = key.partition(" ")
        if space and name in members:
            members[name].append(member + _options(value))
    return members


def _options(value: str) -> str:
    return value[len("member") :]


def _filled(name: str, header: str, members: Sequence[str]) -> Iterator[str]:
    """Lines that make and fill a set with room to double."""
    limit = _NAME_MAX if name.endswith(_SWAP) else _NAME_MAX - len(_SWAP)
    if len(name) > limit:
        raise KernelError(f"ipset: the name {name} is longer than {limit} characters")
    room = ""
    if " maxelem " not in header and len(members) * 2 > _MAXELEM and header.startswith("hash:"):
        room = f" maxelem {len(members) * 2}"
    yield f"create {name} {header}{room}"
    for member in members:
        yield f"add {name} {member}"
