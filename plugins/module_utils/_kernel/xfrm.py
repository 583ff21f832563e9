# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFRM interfaces, one for each tunnel: what is routed into one is encrypted by the policies with its number."""

from __future__ import annotations

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
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import FOREIGN, alias, links

_KIND = "xfrm"
# What parse() adds to a value where the link differs from what put() makes; put() understands it too, for undo.
_DOWN = "down"
_ADDRGENMODE = "addrgenmode"
_UNMARKED = "unmarked"


class Xfrm(Subsystem):
    """XFRM interfaces by name: `aws1-1` -> `xfrm if_id 0x77359401 mtu 1438`, up, without an IPv6 address of its making.

    Ours are those whose alias names the scope. What differs is appended to the value, and a name that belongs to
    something else has a value of its own, as with bridges: see link.py. Number and MTU change in place: addresses,
    parameters and routes of the interface stay.

    They are bound to no device. The route to the peer says where ESP leaves; one that was bound would go on as
    `aws1-1@if4` where its device vanishes, and follow to no other.
    """

    name = "xfrm"

    def read(self, context: Context) -> list[Command]:
        return [Command(("ip", "-d", "-j", "link", "show"))] if context.desired or context.recorded else []

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        mark = alias(context.scope)
        state: State = {}
        for link in links("ip -d -j link show", outputs[0]) if outputs else ():
            name = str(link["ifname"])
            found = str(link.get("ifalias", ""))
            kind = str(link.get("linkinfo", {}).get("info_kind", "") or link.get("link_type", "link"))
            if found == mark and kind == _KIND:
                state[name] = _value(link)
            elif name in context.desired:
                adopted = kind == _KIND and not found and _number(_value(link)) == _number(context.desired[name])
                state[name] = f"{_value(link)} {_UNMARKED}" if adopted else FOREIGN + kind
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        lines = []
        for name in delta.put:
            old, value = delta.before.get(name, ""), delta.after[name]
            if old.startswith(FOREIGN):
                raise KernelError(f"link {name}: exists already and is not ours ({old[len(FOREIGN) :]})")
            words = value.split()
            number, mtu = _number(value), words[words.index("mtu") + 1]
            if not old:
                lines.append(f"link add name {name} type {_KIND} if_id {number}")
            elif _number(old) != number:
                lines.append(f"link set dev {name} type {_KIND} if_id {number}")
            mode = words[words.index(_ADDRGENMODE) + 1] if _ADDRGENMODE in words else "none"
            mark = "''" if _UNMARKED in words else alias(context.scope)
            lines.append(f"link set dev {name} mtu {mtu} alias {mark} addrgenmode {mode}")
            # A line of its own: in one message the kernel would bring the link up first and give it an address.
            lines.append(f"link set dev {name} {'down' if _DOWN in words else 'up'}")
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        lines = [f"link del dev {name}" for name in delta.removed if not delta.before[name].startswith(FOREIGN)]
        return [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def boot(self, context: Context) -> dict[str, str]:
        mark = alias(context.scope)
        lines = []
        for name, value in sorted(context.desired.items()):
            words = value.split()
            lines.append(f"{name} {_number(value)} {words[words.index('mtu') + 1]} {mark}\n")
        return {"xfrm": "".join(lines)} if lines else {}

    boot_shell = """\
xfrm_status=0
if [ -e xfrm ]; then
  xfrm_lines=$(
    while read -r name number mtu mark; do
      link=/sys/class/net/$name
      if [ ! -e "$link" ]; then
        echo "link add name $name type xfrm if_id $number"
      else
        case "$(cat "$link/ifalias") $(ip -d -o link show dev "$name")" in
          "$mark "*" xfrm if_id $number "* | " "*" xfrm if_id $number "*) ;;
          "$mark "*" xfrm if_id "*) echo "link set dev $name type xfrm if_id $number" ;;
          *)
            echo "link $name: exists already and is not ours" >&2
            xfrm_status=1
            continue
            ;;
        esac
      fi
      echo "link set dev $name mtu $mtu alias $mark addrgenmode none"
      echo "link set dev $name up"
    done <xfrm
    exit "$xfrm_status"
  ) || xfrm_status=1
  echo "$xfrm_lines" | ip -force -batch - || xfrm_status=1
fi
[ "$xfrm_status" = 0 ]
"""


def _value(link: dict[str, Any]) -> str:
    # One that takes its number from each packet (`external`) has none.
    number = link.get("linkinfo", {}).get("info_data", {}).get("if_id", "none")
    value = f"{_KIND} if_id {number} mtu {link.get('mtu', 0)}"
    if "UP" not in link.get("flags", ()):
        value += f" {_DOWN}"
    # The field is missing where IPv6 is turned off.
    mode = link.get("inet6_addr_gen_mode", "none")
    return value if mode == "none" else f"{value} {_ADDRGENMODE} {mode}"


def _number(value: str) -> str:
    """The interface id in a value."""
    words = value.split()
    return words[words.index("if_id") + 1] if "if_id" in words else ""
