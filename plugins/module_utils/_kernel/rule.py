# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules: which packets consult which route table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
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
_LINE = re.compile(r"(\d+):\s+(.*?) proto (\d+)$")


class Rule(Subsystem):
    """Rules by family, priority and selector: `4 20000 iif br-net1` -> `lookup 1000000101`.

    Ours bear the scope's protocol. Two rules with one key, as a killed run may leave them, have both values, one a
    line. A dump is wrong, without any sign of it, while someone else writes rules: it is read twice, and parse() raises
    KernelError where the two differ.
    """

    name = "rule"

    def read(self, context: Context) -> list[Command]:
        if not context.scope.protocol:
            return []
        # iproute2 does not filter rules by protocol, whatever it says.
        return [Command(("ip", f"-{family}", "-N", "rule", "show")) for family in FAMILIES for _again in range(2)]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        state: State = {}
        for index, family in enumerate(FAMILIES[: len(outputs) // 2]):
            first, second = outputs[2 * index : 2 * index + 2]
            if first.stdout != second.stdout:
                raise KernelError(f"ip -{family} rule show: changed while read")
            for line in first.stdout.splitlines():
                match = _LINE.match(line.strip().replace(" [detached]", ""))
                if match is None or int(match[3]) != context.scope.protocol:
                    continue
                selector, value = _split(match[2])
                key = f"{family} {match[1]} {selector}"
                state[key] = f"{state[key]}\n{value}" if key in state else value
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        add: dict[str, list[str]] = {family: [] for family in FAMILIES}
        remove: dict[str, list[str]] = {family: [] for family in FAMILIES}
        for key in delta.put:
            old = delta.before.get(key, "").splitlines()
            new = delta.after[key].splitlines()
            add[key[0]] += [_line("add", key, value, context) for value in new if value not in old]
            remove[key[0]] += [_line("del", key, value, context) for value in old if value not in new]
        # The old rule goes after the new one has come: there is no moment without any.
        commands = []
        for family in FAMILIES:
            commands += [Command(("ip", f"-{family}", "-batch", "-"), text) for text in batches(add[family])]
            commands += forced(remove[family], f"-{family}")
        return commands

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        commands = []
        for family in FAMILIES:
            keys = [key for key in delta.removed if key[0] == family]
            lines = [_line("del", key, value, context) for key in keys for value in delta.before[key].splitlines()]
            commands += forced(lines, f"-{family}")
        return commands

    def boot(self, context: Context) -> dict[str, str]:
        files = {}
        for family in FAMILIES:
            keys = sorted(key for key in context.desired if key[0] == family)
            lines = [f"{_line('add', key, context.desired[key], context)}\n" for key in keys]
            if lines:
                files[f"rule{family}"] = "".join(lines)
        return files

    # Rules that are there must not be added again. A dump may be wrong while others write: then try again.
    boot_shell = """\
rule_status=0
for family in 4 6; do
  [ -e "rule$family" ] || continue
  for attempt in 1 2 3 4 5; do
    rule_missing=$(
      ip "-$family" -N rule show |
        sed 's/ \\[detached\\]//; s/ *$//; s/^\\([0-9]*\\):[[:space:]]*/rule add pref \\1 /' |
        grep -vxF -f - "rule$family"
    ) || break
    if [ "$attempt" = 5 ]; then
      echo "rules missing: $rule_missing" >&2
      rule_status=1
      break
    fi
    echo "$rule_missing" | ip "-$family" -force -batch - || sleep 1
  done
done
[ "$rule_status" = 0 ]
"""


def _split(text: str) -> tuple[str, str]:
    """`from all iif br-net1 lookup 254` -> ("iif br-net1", "lookup 254")"""
    selector, found, action = text.partition(" lookup ")
    if found:
        action = f"lookup {action}"
    else:
        selector, _blank, action = text.rpartition(" ")
    return (selector[len("from all ") :] if selector.startswith("from all ") else selector), action


def _line(verb: str, key: str, value: str, context: Context) -> str:
    """A line for `ip -batch`; after the verb, the same as ip shows it: the boot shell relies on that."""
    _family, priority, selector = key.split(" ", 2)
    if not selector.startswith(("from ", "not ")):
        selector = f"from all {selector}"
    return f"rule {verb} pref {priority} {selector} {value} proto {context.scope.protocol}"
