# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of bridges and of the loopback interface."""

from __future__ import annotations

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

PRESENT = "present"
# Present, without the route to its prefix that the kernel adds by itself; IPv6 only.
NO_ROUTE = "noprefixroute"
# Flags of an address that cannot be used, or not for ever.
_UNUSABLE = {"tentative", "dadfailed", "dynamic", "deprecated"}


class Address(Subsystem):
    """Addresses by interface and prefix: `br-net1 10.10.10.2/32`, `lo fe80::1/64` -> `present` or `noprefixroute`.

    Neither kernel nor iproute2 of Debian 12 can mark an address as ours: parse() gives those that are desired or
    recorded. The value of one that cannot be used is why: `dadfailed`, `tentative`, `dynamic`, `deprecated`. One that
    we want or made as `present` is `present` also without that route.
    """

    name = "address"

    def read(self, context: Context) -> list[Command]:
        return [Command(("ip", "-o", "-N", "addr", "show"))] if context.desired or context.recorded else []

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        state: State = {}
        for line in outputs[0].stdout.splitlines() if outputs else ():
            words = line.split()
            if len(words) < 4 or words[2] not in ("inet", "inet6"):
                raise KernelError(f"ip -o -N addr show: cannot read {line!r}")
            key = f"{words[1].partition('@')[0]} {words[3]}"
            if key in context.desired or key in context.recorded:
                asked = NO_ROUTE in (context.desired.get(key), context.recorded.get(key))
                usual = NO_ROUTE if asked and NO_ROUTE in words else PRESENT
                state[key] = " ".join(word for word in words[4:] if word in _UNUSABLE) or usual
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        # Duplicate address detection that failed is not forgotten by `replace`; an IPv4 address is never taken away for
        # a change: its routes would go with it.
        commands = _delete([key for key in delta.changed if ":" in key])
        lines = [_replace(key, delta.after[key]) for key in delta.put]
        return commands + [Command(("ip", "-batch", "-"), text) for text in batches(lines)]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return _delete(delta.removed)

    def boot(self, context: Context) -> dict[str, str]:
        lines = [f"{_replace(key, value)}\n" for key, value in sorted(context.desired.items())]
        return {"address": "".join(lines)} if lines else {}

    boot_shell = """\
if [ -e address ]; then ip -force -batch address; fi
"""


def _replace(key: str, value: str) -> str:
    device, prefix = key.split(" ")
    flags = (" nodad" if ":" in prefix else "") + (f" {NO_ROUTE}" if value == NO_ROUTE else "")
    return f"addr replace {prefix} dev {device}{flags}"


def _delete(keys: Sequence[str]) -> list[Command]:
    return forced("addr del {1} dev {0}".format(*key.split(" ")) for key in keys)
