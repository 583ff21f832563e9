# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iptables and ip6tables: chains of a scope, and the jumps that lead into them."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._edit import edits

JUMPS_FILE = "iptables.jumps"

_PROGRAMS = {"4": "iptables", "6": "ip6tables"}
_ARROW = " -> "
_PROTOCOL = re.compile(r"((?:(?:! )?-[sdio] \S+ )*(?:! )?-p )([a-z]\S*)")
_NAMES = frozenset(("tcp", "udp", "udplite", "icmp", "ipv6-icmp", "esp", "ah", "sctp"))
# Names that newer versions have built in, which no file of the host need know.
_PROTOCOLS = {"dccp": 33, "ipcomp": 108, "mobility-header": 135, "ipv6-mh": 135, "mh": 135, "icmpv6": 58}


class Iptables(Subsystem):
    """Chains whose names start with the scope's prefix, in tables that desired or recorded state mentions.

    | key | value |
    |---|---|
    | `4 nat CHAIN` | newline separated rules, each as `iptables-save` prints it without `-A CHAIN ` |
    | `6 filter PARENT -> CHAIN` | `last` or `first`: where to add the one unconditional jump; `last 2 times` if twice |

    A table that no state mentions is not even listed: `iptables-save -t` of iptables-legacy creates it. With nf_tables
    it creates nothing; a base chain like POSTROUTING appears with the first jump in it. Both print the same texts.

    What /etc/protocols of a host or a later iptables names after -p is a number in values: names are only tcp, udp,
    udplite, icmp, ipv6-icmp, esp, ah and sctp.

    put() and drop() are one transaction for each family and table: iptables-restore commits one table at a time.

    Where most of a chain stays, its rules change by number. Numbers are those of delta.before: what is to be written
    again, after a part of it was, is read again first. Other chains are emptied and filled.
    """

    name = "iptables"

    def read(self, context: Context) -> list[Command]:
        return [
            Command((f"{_PROGRAMS[family]}-save", "-t", table), ok=(0, 127))
            for family, table in _tables((*context.desired, *context.recorded))
        ]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        """Raises KernelError for a table that iptables cannot show."""
        state: State = {}
        for (family, table), output in zip(_tables((*context.desired, *context.recorded)), outputs):
            if output.status == 0:
                state.update(_parse(context, f"{family} {table} ", output.stdout))
            elif output.status != 127:
                raise KernelError(f"{_PROGRAMS[family]}-save -t {table} failed: {output.stderr.strip()}")
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        return [
            _restore(family, table, list(_put_lines(f"{family} {table} ", delta)))
            for family, table in _tables(delta.after)
        ]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        commands: list[Command] = []
        for family, table in _tables(delta.removed):
            names = [key.split(" ", 2)[2] for key in delta.removed if key.startswith(f"{family} {table} ")]
            chains = [name for name in names if _ARROW not in name]
            lines: list[str] = []
            for name in names:
                if _ARROW in name:
                    lines += [_delete(name)] * _times(delta.before[f"{family} {table} {name}"])
            lines += [f"-F {chain}" for chain in chains]
            lines += [f"-X {chain}" for chain in chains]
            commands.append(_restore(family, table, lines))
        return commands

    def boot(self, context: Context) -> dict[str, str]:
        files: dict[str, str] = {}
        jumps: list[str] = []
        for family, table in _tables(context.desired):
            start = f"{family} {table} "
            chains = {key: value for key, value in context.desired.items() if key.startswith(start)}
            for key in sorted(chains):
                if _ARROW in key:
                    parent, chain = key[len(start) :].split(_ARROW)
                    option = "-I" if chains.pop(key) == "first" else "-A"
                    jumps.append(f"{_PROGRAMS[family]} {table} {option} {parent} {chain}")
            lines = list(_chain_lines(start, chains))
            if lines:
                files[f"{_PROGRAMS[family]}.{table}"] = _restore(family, table, lines).stdin or ""
        if jumps:
            files[JUMPS_FILE] = "\n".join(jumps) + "\n"
        return files

    # Status 1 says that there is no such jump; any other failure must end the script.
    boot_shell = f"""\
for program in {" ".join(_PROGRAMS.values())}; do
  for table in raw mangle nat filter security; do
    if [ -e "$program.$table" ]; then "$program-restore" --noflush -w <"$program.$table"; fi
  done
done
if [ -e {JUMPS_FILE} ]; then
  while read -r program table option parent chain; do
    status=0
    "$program" -w -t "$table" -C "$parent" -j "$chain" 2>/dev/null || status=$?
    if [ "$status" -ne 0 ]; then
      if [ "$status" -ne 1 ]; then
        echo "$program -t $table -C $parent -j $chain: status $status" >&2
        exit 1
      fi
      "$program" -w -t "$table" "$option" "$parent" -j "$chain"
    fi
  done <{JUMPS_FILE}
fi
"""


def _tables(keys: Iterable[str]) -> list[tuple[str, str]]:
    """Families and tables that these keys mention, each once, in order."""
    found = {(family, table) for family, table, _rest in (key.split(" ", 2) for key in keys)}
    return sorted(found)


def _restore(family: str, table: str, lines: Sequence[str]) -> Command:
    text = "\n".join((f"*{table}", *lines, "COMMIT")) + "\n"
    return Command((f"{_PROGRAMS[family]}-restore", "--noflush", "-w"), text)


def _parse(context: Context, start: str, text: str) -> State:
    prefix = context.scope.prefix
    rules: dict[str, list[str]] = {}
    jumps: Counter[str] = Counter()
    committed = False
    for line in text.splitlines():
        word, _space, rest = line.partition(" ")
        if word == "-A":
            chain, _space, rule = rest.partition(" ")
            if chain in rules:
                rules[chain].append(_numbered(rule))
            elif rule.startswith(f"-j {prefix}") and rule.count(" ") == 1:
                jumps[f"{start}{chain}{_ARROW}{rule[3:]}"] += 1
        elif word.startswith(f":{prefix}"):
            rules[word[1:]] = []
        elif line == "COMMIT":
            committed = True
    if text and not committed:
        raise KernelError(f"{_PROGRAMS[start[0]]}-save: cannot show the table: {text.strip()}")
    state = {f"{start}{chain}": "\n".join(lines) for chain, lines in rules.items()}
    for key, count in jumps.items():
        wanted = context.desired.get(key, context.recorded.get(key, "last")).split(" ")[0]
        state[key] = wanted if count == 1 else f"{wanted} {count} times"
    return state


def _numbered(rule: str) -> str:
    """A rule with a number for a protocol whose name other hosts may not know."""
    match = _PROTOCOL.match(rule)
    if match is None or match[2] in _NAMES:
        return rule
    try:
        number = _PROTOCOLS.get(match[2]) or socket.getprotobyname(match[2])
    except OSError:
        return rule
    return f"{match[1]}{number}{rule[match.end() :]}"


def _times(jump: str) -> int:
    """How often a jump is there, as _parse() told."""
    words = jump.split(" ")
    return int(words[1]) if len(words) > 1 else 1


def _delete(jump: str) -> str:
    parent, chain = jump.split(_ARROW)
    return f"-D {parent} -j {chain}"


def _chain_lines(start: str, chains: Mapping[str, str]) -> Iterator[str]:
    """Lines that make or empty these chains, then fill them: with --noflush the commit swaps their rules at once."""
    names = {key: key[len(start) :] for key in sorted(chains)}
    for name in names.values():
        yield f":{name} - [0:0]"
    for key, name in names.items():
        for rule in chains[key].split("\n") if chains[key] else ():
            yield f"-A {name} {rule}"


def _edited(name: str, before: str, after: str) -> list[str] | None:
    """Lines that change some rules of a chain; None where it is to be written anew."""
    found = edits(before.split("\n"), after.split("\n")) if before and after else None
    if found is None:
        return None
    lines: list[str] = []
    # From the end: what is before it keeps its number.
    for start, stop, rules in reversed(found):
        common = min(stop - start, len(rules))
        lines += [f"-I {name} {start + common + 1} {rule}" for rule in reversed(rules[common:])]
        lines += [f"-D {name} {number}" for number in range(stop, start + common, -1)]
        lines += [f"-R {name} {start + number + 1} {rules[number]}" for number in range(common)]
    return lines


def _put_lines(start: str, delta: Delta) -> Iterator[str]:
    mine = {key: value for key, value in delta.after.items() if key.startswith(start)}
    changed: list[str] = []
    for key in sorted(mine.keys() & delta.before.keys()):
        if _ARROW not in key:
            lines = _edited(key[len(start) :], delta.before[key], mine[key])
            if lines is not None:
                changed += lines
                del mine[key]
    yield from _chain_lines(start, {key: value for key, value in mine.items() if _ARROW not in key})
    yield from changed
    for key in sorted(mine):
        if _ARROW not in key:
            continue
        name = key[len(start) :]
        parent, chain = name.split(_ARROW)
        yield from [_delete(name)] * (_times(delta.before[key]) if key in delta.before else 0)
        for _number in range(_times(mine[key])):
            yield f"{'-I' if mine[key].startswith('first') else '-A'} {parent} -j {chain}"
