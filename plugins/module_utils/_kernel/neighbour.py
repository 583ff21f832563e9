# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Neighbours whose MAC is known without asking them: permanent entries of IPv6."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import word

_PERMANENT = "PERMANENT"
_MAC = "address"


class Neighbour(Subsystem):
    """Neighbours by interface and address: `br-net1 fe80::5054:ff:fe0a:a0a` -> `52:54:00:0a:0a:0a`.

    Ours bear the scope's protocol (Linux 4.20, iproute2 5.0). The value of one that is no longer permanent is what it
    is instead: `52:54:00:0a:0a:0a STALE`, or `FAILED`. All go with an interface that is set down.
    """

    name = "neighbour"

    def read(self, context: Context) -> list[Command]:
        if not context.scope.protocol or not (context.desired or context.recorded):
            return []
        return [Command(("ip", "-6", "-N", "neigh", "show", "proto", str(context.scope.protocol)))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        state: State = {}
        for line in outputs[0].stdout.splitlines() if outputs else ():
            words = line.split()
            if len(words) < 4 or words[1] != "dev" or "proto" not in words:
                raise KernelError(f"ip -6 -N neigh show: cannot read {line!r}")
            shown = words[3 : words.index("proto")]
            mac = shown[1:2] if shown[0] == "lladdr" else []
            kind = [part for part in shown if part.isupper() and part != _PERMANENT]
            state[f"{words[2]} {words[0]}"] = " ".join(mac + kind)
        return state

    def lost(self, state: State, deltas: Mapping[str, Delta]) -> Collection[str]:
        links = deltas["link"]
        # neigh_changeaddr() in net/core/neighbour.c spares none.
        changed = {name for name in links.changed if word(links.before[name], _MAC) != word(links.after[name], _MAC)}
        return {key for key in state if key.partition(" ")[0] in changed}

    def put(self, context: Context, delta: Delta) -> list[Command]:
        lines = [_replace(key, delta.after[key], context) for key in delta.put]
        return [Command(("ip", "-6", "-batch", "-"), text) for text in batches(lines)]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return forced(("neigh del {1} dev {0}".format(*key.split(" ")) for key in delta.removed), "-6")

    def boot(self, context: Context) -> dict[str, str]:
        lines = [f"{_replace(key, mac, context)}\n" for key, mac in sorted(context.desired.items())]
        return {"neighbour": "".join(lines)} if lines else {}

    boot_shell = """\
if [ -e neighbour ]; then ip -6 -force -batch neighbour; fi
"""


def _replace(key: str, mac: str, context: Context) -> str:
    device, address = key.split(" ")
    return f"neigh replace {address} lladdr {mac} dev {device} nud permanent proto {context.scope.protocol}"
