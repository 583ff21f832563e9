# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The isolation of bridge ports. Ports belong to guests: they come and go, we only keep their flag right."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
    forced,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import links

_OPPOSITE = {"on": "off", "off": "on"}


class Port(Subsystem):
    """Ports by bridge: `br-net1` -> `isolated on` or `isolated off`, true of every port that the bridge has now.

    Where ports differ, the value is the opposite with their names: `isolated off: vif1.0 vif2.0`.
    """

    name = "port"

    def read(self, context: Context) -> list[Command]:
        return [Command(("bridge", "-d", "-j", "link", "show"))] if context.desired else []

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        flags: dict[str, dict[str, str]] = {bridge: {} for bridge in context.desired}
        for port in links("bridge -d -j link show", outputs[0]) if outputs else ():
            ports = flags.get(str(port.get("master", "")))
            if ports is not None:
                ports[str(port["ifname"])] = "on" if port.get("isolated") else "off"
        return {bridge: _describe(desired, flags[bridge]) for bridge, desired in context.desired.items()}

    def put(self, context: Context, delta: Delta) -> list[Command]:
        lines = []
        for bridge in delta.put:
            flag, ports = _split(delta.before.get(bridge, "isolated off"))
            wanted = dict.fromkeys(ports, _OPPOSITE[flag])
            # Only an undo names ports in what it wants.
            flag, ports = _split(delta.after[bridge])
            wanted.update((port, flag) for port in ports)
            lines += [f"link set dev {port} type bridge_slave isolated {on}" for port, on in sorted(wanted.items())]
        # A port may be unplugged while this runs.
        return forced(lines)

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return []

    def boot(self, context: Context) -> dict[str, str]:
        lines = [f"{bridge} {_split(value)[0]}\n" for bridge, value in sorted(context.desired.items())]
        return {"port": "".join(lines)} if lines else {}

    boot_shell = """\
if [ -e port ]; then
while read -r bridge isolated; do
  for port in "/sys/class/net/$bridge/brif/"*; do
    if [ -e "$port" ]; then echo "link set dev ${port##*/} type bridge_slave isolated $isolated"; fi
  done
done <port | ip -force -batch -
fi
"""


def _split(value: str) -> tuple[str, list[str]]:
    """`isolated off: vif1.0` -> ("off", ["vif1.0"])"""
    text, _colon, ports = value.partition(":")
    return text.split()[-1], ports.split()


def _describe(desired: str, flags: dict[str, str]) -> str:
    """The value for ports with these flags, in the words of the desired one."""
    flag, named = _split(desired)
    # Where the desired value names ports, it means: these have the flag, the others do not.
    usual = _OPPOSITE[flag] if named else flag
    ports = sorted(port for port, found in flags.items() if found != usual)
    return f"isolated {_OPPOSITE[usual]}: {' '.join(ports)}" if ports else f"isolated {usual}"
