# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, one for each network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
    batches,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import HOME
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import Scope

# Bridges that hand their packets over, by name: the guard's helper looks into it, too.
FILTERED_FILE = "bridge_filter"
# The words of a bridge that hands its packets to br_netfilter, whose rules then see what passes between its ports.
FILTERED = "nf_call_iptables 1 nf_call_ip6tables 1"
_UNFILTERED = "nf_call_iptables 0 nf_call_ip6tables 0"
_SWITCHES = re.compile(r" nf_call_iptables \d nf_call_ip6tables \d")

# What parse() adds to a value where the link differs from what put() makes; put() understands it too, for undo.
_DOWN = "down"
_ADDRGENMODE = "addrgenmode"
_UNMARKED = "unmarked"
FOREIGN = "foreign "


class OwnLinks(Subsystem):
    """Interfaces of one kind that we make, by name, up, without an IPv6 address of their own making.

    Ours are those whose alias names the scope. What differs is appended to the value: `down`, `addrgenmode eui64`,
    `unmarked` (our name and what tells it from others, but no alias: a run was killed between the two). A desired name
    that belongs to something else has the value `foreign <kind>`; put() raises KernelError for it.

    kind: the kernel's word for it. identity: the word in a value before what tells one from others. settings: words
    before what put() writes with the alias. columns: words before what a boot file has of a value.
    """

    kind = ""
    identity = ""
    settings: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def read(self, context: Context) -> list[Command]:
        return [Command(("ip", "-d", "-j", "link", "show"))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        mark = alias(context.scope)
        state: State = {}
        for link in links("ip -d -j link show", outputs[0]) if outputs else ():
            name = str(link["ifname"])
            found = str(link.get("ifalias", ""))
            kind = str(link.get("linkinfo", {}).get("info_kind", "") or link.get("link_type", "link"))
            if found == mark and kind == self.kind:
                state[name] = self._value(link)
            elif name in context.desired:
                value = f"{self._value(link)} {_UNMARKED}"
                same = word(value, self.identity) == word(context.desired[name], self.identity)
                state[name] = value if kind == self.kind and not found and same else FOREIGN + kind
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        lines = []
        for name in delta.put:
            old, value = delta.before.get(name, ""), delta.after[name]
            if old.startswith(FOREIGN):
                raise KernelError(f"link {name}: exists already and is not ours ({old[len(FOREIGN) :]})")
            lines += self.make(name, old, value)
            mode = word(value, _ADDRGENMODE) or "none"
            mark = "''" if _UNMARKED in value.split() else alias(context.scope)
            # Only what differs: the kernel forgets all neighbours of a link whose MAC is set, to whatever.
            settings = "".join(
                f"{key} {word(value, key)} " for key in self.settings if word(value, key) != word(old, key)
            )
            # `ip link add` does not take an alias along: the kernel ignores it there.
            lines.append(f"link set dev {name} {settings}alias {mark} addrgenmode {mode}")
            # A line of its own: in one message the kernel would bring the link up first and give it an address.
            lines.append(f"link set dev {name} {'down' if _DOWN in value.split() else 'up'}")
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def make(self, name: str, old: str, value: str) -> list[str]:
        """Lines for `ip -batch` that make a link, or what cannot be set with its alias. old: its value, "" for none."""
        raise NotImplementedError

    def describe(self, link: dict[str, Any]) -> str:
        """The value of a link that is as put() makes it."""
        raise NotImplementedError

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        lines = [f"link del dev {name}" for name in delta.removed if not delta.before[name].startswith(FOREIGN)]
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def boot(self, context: Context) -> dict[str, str]:
        mark = alias(context.scope)
        lines = [
            " ".join((name, *(word(value, key) for key in self.columns), mark)) + "\n"
            for name, value in sorted(context.desired.items())
        ]
        return {self.name: "".join(lines)} if lines else {}

    def _value(self, link: dict[str, Any]) -> str:
        value = self.describe(link)
        if "UP" not in link.get("flags", ()):
            value += f" {_DOWN}"
        # The field is missing where IPv6 is turned off.
        mode = link.get("inet6_addr_gen_mode", "none")
        return value if mode == "none" else f"{value} {_ADDRGENMODE} {mode}"


def boot_shell(name: str, columns: str, add: str, check: str, settings: str) -> str:
    """The shell of a subsystem of OwnLinks. columns: shell variables, by boot().

    add: for `ip -batch`, after `link add name $name`. check: shell that continues an `if [ ! -e "$link" ]` up to its
    `fi`, and sets NAME_status and continues the loop where the link is not ours. settings: with the alias.
    """
    return f"""\
{name}_status=0
if [ -e {name} ]; then
  {name}_lines=$(
    while read -r name {columns} mark; do
      link=/sys/class/net/$name
      if [ ! -e "$link" ]; then
        echo "link add name $name {add}"
{check}      fi
      echo "link set dev $name {settings} alias $mark addrgenmode none"
      echo "link set dev $name up"
    done <{name}
    exit "${name}_status"
  ) || {name}_status=1
  echo "${name}_lines" | ip -force -batch - || {name}_status=1
fi
[ "${name}_status" = 0 ]
"""


class Link(OwnLinks):
    """Bridges by name: `br-net1` -> `bridge address 02:11:22:33:44:55`, with FILTERED where br_netfilter sees packets.

    The switches show where they are not as they should be. They are nobody's business here while the guard of backend
    iptables wants them on, which it does of bridges that need no such words: the last one to want that turns them off.

    Removing a bridge unplugs its ports without a word. Whether that is meant, only the caller can know.
    """

    name = "link"
    kind = "bridge"
    identity = "address"
    settings = columns = ("address",)

    def read(self, context: Context) -> list[Command]:
        commands = super().read(context)
        if context.desired:
            commands.append(
                Command(("grep", "-s", " nf_call_iptables 1", f"{context.root}{HOME}/bridges"), ok=(0, 1, 2))
            )
        return commands

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        state = super().parse(context, outputs)
        guarded = {line.partition(" ")[0] for output in outputs[1:] for line in output.stdout.splitlines()}
        for name, value in state.items():
            wanted = context.desired.get(name)
            switches = _SWITCHES.search(value)
            others = name in guarded and wanted is not None and not _SWITCHES.search(wanted)
            if switches and (others or switches[0] == f" {_UNFILTERED}"):
                state[name] = value.replace(switches[0], "")
        return state

    def make(self, name: str, old: str, value: str) -> list[str]:
        wanted = _SWITCHES.search(value)
        switches = wanted[0] if wanted else ""
        if not old:
            return [f"link add name {name} address {word(value, 'address')} type bridge{switches}"]
        found = _SWITCHES.search(old)
        if (found[0] if found else "") == switches:
            return []
        return [f"link set dev {name} type bridge{switches or ' ' + _UNFILTERED}"]

    def describe(self, link: dict[str, Any]) -> str:
        found = link.get("linkinfo", {}).get("info_data", {})
        # A kernel without bridge filtering has no such switches.
        switches = "".join(f" {key} {found.get(key, 0)}" for key in ("nf_call_iptables", "nf_call_ip6tables"))
        return f"bridge address {link.get('address', '')}{switches}"

    def boot(self, context: Context) -> dict[str, str]:
        files = super().boot(context)
        filtered = sorted(name for name, value in context.desired.items() if f" {FILTERED}" in value)
        if filtered:
            files[FILTERED_FILE] = "".join(f"{name}\n" for name in filtered)
        return files

    boot_shell = (
        boot_shell(
            "link",
            "address",
            "address $address type bridge",
            """\
      elif ! grep -qsxF "$mark" "$link/ifalias" && ! grep -qsxF "$address" "$link/address"; then
        echo "link $name: exists already and is not ours" >&2
        link_status=1
        continue
""",
            "address $address",
        )
        + f"""\
if [ -e {FILTERED_FILE} ]; then
  while read -r name; do
    echo "link set dev $name type bridge {FILTERED}"
  done <{FILTERED_FILE} | ip -batch -
fi
"""
    )


def alias(scope: Scope) -> str:
    """The alias (ifalias) that marks a link as the scope's."""
    return f"plainlinux.vpc:{scope.name}"


def links(command: str, output: Output) -> list[dict[str, Any]]:
    """The links in the JSON output of the command; raises KernelError where it is none."""
    try:
        found = json.loads(output.stdout or "[]")
    except ValueError as error:
        raise KernelError(f"{command}: not readable as JSON: {error}") from error
    # With a filter, iproute2 6.1 prints an empty object for each link that it leaves out.
    return [link for link in found if "ifname" in link]


def word(value: str, key: str) -> str:
    """The word behind another one in a value, "" where that is not in it."""
    words = value.split()
    return words[words.index(key) + 1] if key in words else ""
