# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters below /proc/sys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
)

_ROOT = "/proc/sys/"
_RP_FILTER = "/rp_filter"
_RP_FILTER_ALL = "net/ipv4/conf/all/rp_filter"

# Reads "key value" lines. Without procps, which a small Debian lacks; sysctl(8) also takes a dot in eth0.100 apart.
# cat, not read: dash reads byte by byte, and these files end after the first read.
_WRITE = """\
while read -r key value; do
  case $value in *"|"*)
    if now=$(cat "/proc/sys/$key"); then
      case $key in net/ipv4/conf/*/rp_filter)
        all=$(cat /proc/sys/net/ipv4/conf/all/rp_filter)
        [ "$now" -ge "$all" ] || now=$all
      esac
      case "|$value|" in *"|$now|"*) continue ;; esac
    fi
  esac
  if ! echo "${value%%"|"*}" >"/proc/sys/$key"; then
    echo "sysctl $key: cannot be set to $value" >&2
    sysctl_status=1
  fi
done"""


class Sysctl(Subsystem):
    """Kernel parameters by path: `net/ipv4/ip_forward` -> `1`, or alternatives, the one to set first: `2|0`.

    parse() gives the desired text itself where the current value satisfies it, else the current value; a parameter that
    the kernel does not have is missing. rp_filter of an interface counts as the kernel counts it: the greater of the
    interface's and of `all`. Never dropped: to undo a parameter is to desire its former value, see raw().
    """

    name = "sysctl"

    def read(self, context: Context) -> list[Command]:
        keys = {*context.desired, *context.recorded}
        if not keys:
            return []
        if any(key.endswith(_RP_FILTER) for key in keys):
            keys.add(_RP_FILTER_ALL)
        # grep fails for a file that does not exist, xargs then with 123; the others are printed all the same.
        argv = ("xargs", "-d", "\\n", "grep", "-Hs", "", "/dev/null")
        return [Command(argv, "".join(f"{_ROOT}{key}\n" for key in sorted(keys)), ok=(0, 123))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        current = self.raw(outputs)
        return {
            key: desired if _effective(key, current) in desired.split("|") else current[key]
            for key, desired in context.desired.items()
            if key in current
        }

    def raw(self, outputs: Sequence[Output]) -> State:
        """Current values of all parameters that were read, desired or recorded, as the kernel prints them."""
        state: State = {}
        for output in outputs:
            for line in output.stdout.splitlines():
                path, _colon, value = line.partition(":")
                state[path[len(_ROOT) :]] = " ".join(value.split())
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        if not delta.after:
            return []
        return [Command(("sh", "-euc", f"sysctl_status=0\n{_WRITE}\nexit $sysctl_status\n"), _lines(delta.after))]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return []

    def boot(self, context: Context) -> dict[str, str]:
        return {"sysctl": _lines(context.desired)} if context.desired else {}

    boot_shell = f"""\
sysctl_status=0
if [ -e sysctl ]; then
{_WRITE} <sysctl
fi
[ "$sysctl_status" = 0 ]
"""


def _effective(key: str, current: Mapping[str, str]) -> str:
    if key.startswith("net/ipv4/conf/") and key.endswith(_RP_FILTER):
        return max(current[key], current.get(_RP_FILTER_ALL, "0"), key=int)
    return current[key]


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{key} {values[key]}\n" for key in sorted(values, key=_rank))


def _rank(key: str) -> tuple[int, str]:
    """Forwarding turns router advertisements off on interfaces whose accept_ra is not 2 yet: that one goes first."""
    last = key.rpartition("/")[2]
    return (0 if last == "accept_ra" else 1 if last in ("ip_forward", "forwarding") else 2), key
