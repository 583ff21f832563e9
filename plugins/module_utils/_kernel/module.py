# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules, for functions that no tool loads by itself (br_netfilter)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
)

LOADED = "loaded"

# A module that is built in shows in /sys/module only when it has parameters or a version. depmod's list knows the
# others, except in a container, which has no /lib/modules: there br_netfilter gives itself away by its sysctls.
_PRESENT = """\
present() {
  [ -d "/sys/module/$1" ] && return
  [ "$1" = br_netfilter ] && [ -d /proc/sys/net/bridge ] && return
  modprobe --show-depends -- "$1" 2>/dev/null | grep -qxF "builtin $1"
}
"""

_READ = (
    _PRESENT
    + """\
while read -r module; do
  if present "$module"; then echo "$module"; fi
done
"""
)

_LOAD = """\
while read -r module; do
  present "$module" || modprobe -- "$module" || module_status=1
done"""


class Module(Subsystem):
    """Kernel modules by name, with underscores: `br_netfilter` -> `loaded`. Never unloaded: others may rely on them."""

    name = "module"
    prunable = False

    def read(self, context: Context) -> list[Command]:
        if not context.desired:
            return []
        return [Command(("sh", "-euc", _READ), _lines(context.desired))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        found = {line for output in outputs for line in output.stdout.splitlines()}
        return {module: LOADED for module in context.desired if module in found}

    def put(self, context: Context, delta: Delta) -> list[Command]:
        if not delta.after:
            return []
        return [
            Command(("sh", "-euc", f"{_PRESENT}module_status=0\n{_LOAD}\nexit $module_status\n"), _lines(delta.after))
        ]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return []

    def boot(self, context: Context) -> dict[str, str]:
        return {"module": _lines(context.desired)} if context.desired else {}

    boot_shell = f"""\
{_PRESENT}module_status=0
if [ -e module ]; then
{_LOAD} <module
fi
[ "$module_status" = 0 ]
"""


def _lines(modules: Iterable[str]) -> str:
    return "".join(f"{module}\n" for module in sorted(modules))
