# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: the bulk of what a host is told, up to 100,000 of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    BATCH_LINES,
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
    batches,
    forced,
)

FAMILIES = ("4", "6")
MAIN = "254"

# rtnetlink(7), rtm_type, which `ip -N` prints in front of the destination.
_KINDS = {
    "2": "local",
    "3": "broadcast",
    "4": "anycast",
    "5": "multicast",
    "6": "blackhole",
    "7": "unreachable",
    "8": "prohibit",
    "9": "throw",
    "10": "nat",
}
_NAMES = frozenset(_KINDS.values())

# What the kernel adds of its own accord, or tells about the moment: attributes with a value, and flags.
_DEFAULTS = {("pref", "medium"), ("scope", "253")}
_DEFAULTS_6 = _DEFAULTS | {("metric", "1024")}
_FLAGS = frozenset(("linkdown", "onlink", "offload", "trap", "offload_failed", "rt_offload", "rt_trap"))


class Route(Subsystem):
    """Routes by family, table and destination: `4 254 10.10.10.10` -> `dev br-net1`. Ours bear the scope's protocol.

    The key has the destination as `ip -N` prints it (no /32, `default`), the value what is said of it: `dev br-net1`,
    `via 192.168.56.101 dev eth0`, `unreachable`. What ip prints beyond that and the kernel's defaults stays in the
    value (`metric 5`, `mtu 1400`, `nexthop …`), so that it is seen as a difference. Several routes to one destination,
    with different metrics, have several values, one a line.
    """

    name = "route"

    def read(self, context: Context) -> list[Command]:
        if not context.scope.protocol:
            return []
        return [
            Command(("ip", f"-{family}", "-N", "route", "show", "table", "all", "proto", str(context.scope.protocol)))
            for family in FAMILIES
        ]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        state: State = {}
        for family, output in zip(FAMILIES, outputs):
            _parse(family, output.stdout, state)
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        before, after = delta.before, delta.after
        commands = []
        for family in FAMILIES:
            keys = [key for key in delta.put if key[0] == family]
            # `replace` replaces a route of the same metric only.
            stale = [key for key in keys if key in before and not (_plain(before[key]) and _plain(after[key]))]
            commands += _delete(family, stale, delta, context)
            # A new route is added: `replace` would overwrite someone else's route without a word. One that
            # we had before may be replaced: whoever changed it by hand took our mark off it.
            kept = (before.keys() | context.recorded.keys()) - set(stale)
            lines = (
                _line("replace" if key in kept else "add", key, value, context)
                for key in keys
                for value in after[key].splitlines()
            )
            commands += [Command(("ip", f"-{family}", "-batch", "-"), text) for text in batches(lines)]
        return commands

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        commands = []
        for family in FAMILIES:
            commands += _delete(family, [key for key in delta.removed if key[0] == family], delta, context)
        return commands

    def boot(self, context: Context) -> dict[str, str]:
        files = {}
        for family in FAMILIES:
            lines = [_line("replace", key, value, context) for key, value in _of(family, context.desired)]
            if lines:
                files[f"route{family}"] = "\n".join(lines) + "\n"
        return files

    # One route that fails must not keep the others out.
    boot_shell = f"""\
route_status=0
for family in 4 6; do
  [ -e "route$family" ] || continue
  route_failed=$(split -l {BATCH_LINES} --filter="ip -$family -force -batch - >&2 || echo failed" "route$family")
  [ -z "$route_failed" ] || route_status=1
done
[ "$route_status" = 0 ]
"""


def _of(family: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(item for item in values.items() if item[0][0] == family)


def _parse(family: str, text: str, state: State) -> None:
    """Add the routes that ip printed. What follows the destination is the same for many routes: it is read once."""
    known: dict[str, tuple[str, str]] = {}
    for line in _joined(text):
        destination, _blank, rest = line.partition(" ")
        found = known.get(rest)
        if destination in _KINDS:
            kind = _KINDS[destination]
            destination, _blank, rest = rest.partition(" ")
            table, value = _attributes(family, rest, line)
            if family == "6" and (value == "dev lo" or value.startswith("dev lo ")):
                value = value[len("dev lo ") :]
            found = f"{family} {table} ", f"{kind} {value}".rstrip()
        elif found is None:
            table, value = _attributes(family, rest, line)
            found = known[rest] = f"{family} {table} ", value
        key = found[0] + destination
        state[key] = f"{state[key]}\n{found[1]}" if key in state else found[1]


def _joined(text: str) -> Iterable[str]:
    """Lines of ip, each with the indented ones that belong to it."""
    if "\n\t" in text:
        text = text.replace(" \n\t", "\n\t").replace("\n\t", " ")
    return text.splitlines()


def _attributes(family: str, text: str, line: str) -> tuple[str, str]:
    """Table and value from what ip printed after the destination."""
    defaults = _DEFAULTS_6 if family == "6" else _DEFAULTS
    words = iter(text.split())
    table = MAIN
    kept = []
    for word in words:
        if word in _FLAGS:
            continue
        if word in ("table", "pref", "scope", "metric", "error"):
            argument = next(words, "")
            if not argument:
                raise KernelError(f"ip -{family} route show: cannot read {line!r}")
            if word == "table":
                table = argument
            elif word != "error" and (word, argument) not in defaults:
                kept += [word, argument]
        else:
            kept.append(word)
    return table, " ".join(kept)


def _plain(value: str) -> bool:
    """Whether `ip route replace` replaces the route that has this value."""
    return "\n" not in value and "metric " not in value and "tos " not in value


def _line(verb: str, key: str, value: str, context: Context) -> str:
    _family, table, destination = key.split(" ")
    kind, _blank, rest = value.partition(" ")
    if kind in _NAMES:
        return f"route {verb} {kind} {destination} {rest} table {table} proto {context.scope.protocol}"
    return f"route {verb} {destination} table {table} proto {context.scope.protocol} {value}"


def _delete(family: str, keys: Iterable[str], delta: Delta, context: Context) -> list[Command]:
    lines = []
    for key in keys:
        _family, table, destination = key.split(" ")
        line = f"route del {destination} table {table} proto {context.scope.protocol}"
        lines += [line] * (1 + delta.before[key].count("\n"))
    return forced(lines, f"-{family}")
