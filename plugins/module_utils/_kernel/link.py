# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, one for each network."""

from __future__ import annotations

import json
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
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import Scope

# What parse() adds to a value where the link differs from what put() makes; put() understands it too, for undo.
_DOWN = "down"
_ADDRGENMODE = "addrgenmode"
_UNMARKED = "unmarked"
FOREIGN = "foreign "


class Link(Subsystem):
    """Bridges by name: `br-net1` -> `bridge address 02:11:22:33:44:55`, up, without an IPv6 address of its own making.

    Ours are the bridges whose alias names the scope. What differs is appended to the value: `down`,
    `addrgenmode eui64`, `unmarked` (our name and address, but no alias: a run was killed between the two). A desired
    name that belongs to something else has the value `foreign <kind>`; put() raises KernelError for it.

    Removing a bridge unplugs its ports without a word. Whether that is meant, only the caller can know.
    """

    name = "link"

    def read(self, context: Context) -> list[Command]:
        return [Command(("ip", "-d", "-j", "link", "show"))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        mark = alias(context.scope)
        state: State = {}
        for link in links("ip -d -j link show", outputs[0]):
            name = str(link["ifname"])
            found = str(link.get("ifalias", ""))
            kind = str(link.get("linkinfo", {}).get("info_kind", "") or link.get("link_type", "link"))
            if found == mark and kind == "bridge":
                state[name] = _value(link)
            elif name in context.desired:
                value = f"{_value(link)} {_UNMARKED}"
                adopted = kind == "bridge" and not found and _address(value) == _address(context.desired[name])
                state[name] = value if adopted else FOREIGN + kind
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        lines = []
        for name in delta.put:
            old = delta.before.get(name, "")
            if old.startswith(FOREIGN):
                raise KernelError(f"link {name}: exists already and is not ours ({old[len(FOREIGN) :]})")
            value = delta.after[name]
            if not old:
                # `ip link add` does not take an alias along: the kernel ignores it there.
                lines.append(f"link add name {name} address {_address(value)} type bridge")
            words = value.split()
            mode = words[words.index(_ADDRGENMODE) + 1] if _ADDRGENMODE in words else "none"
            mark = "''" if _UNMARKED in words else alias(context.scope)
            lines.append(f"link set dev {name} address {_address(value)} alias {mark} addrgenmode {mode}")
            # A line of its own: in one message the kernel would bring the link up first and give it an address.
            lines.append(f"link set dev {name} {'down' if _DOWN in words else 'up'}")
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        lines = [f"link del dev {name}" for name in delta.removed if not delta.before[name].startswith(FOREIGN)]
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def boot(self, context: Context) -> dict[str, str]:
        mark = alias(context.scope)
        lines = [f"{name} {_address(value)} {mark}\n" for name, value in sorted(context.desired.items())]
        return {"link": "".join(lines)} if lines else {}

    boot_shell = """\
link_status=0
if [ -e link ]; then
  link_lines=$(
    while read -r name address mark; do
      link=/sys/class/net/$name
      if [ ! -e "$link" ]; then
        echo "link add name $name address $address type bridge"
      elif ! grep -qsxF "$mark" "$link/ifalias" && ! grep -qsxF "$address" "$link/address"; then
        echo "link $name: exists already and is not ours" >&2
        link_status=1
        continue
      fi
      echo "link set dev $name address $address alias $mark addrgenmode none"
      echo "link set dev $name up"
    done <link
    exit "$link_status"
  ) || link_status=1
  echo "$link_lines" | ip -force -batch - || link_status=1
fi
[ "$link_status" = 0 ]
"""


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


def _value(link: dict[str, Any]) -> str:
    value = f"bridge address {link.get('address', '')}"
    if "UP" not in link.get("flags", ()):
        value += f" {_DOWN}"
    # The field is missing where IPv6 is turned off.
    mode = link.get("inet6_addr_gen_mode", "none")
    return value if mode == "none" else f"{value} {_ADDRGENMODE} {mode}"


def _address(value: str) -> str:
    """The hardware address in a value."""
    words = value.split()
    return words[words.index("address") + 1] if "address" in words else ""
