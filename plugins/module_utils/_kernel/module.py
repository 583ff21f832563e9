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
# What parse() says of one that is not there and cannot be loaded, before modprobe's reason.
MISSING = "missing"

# A module that is built in shows in /sys/module only when it has parameters or a version. depmod's list knows the
# others, except in a container, which has no /lib/modules: there some give themselves away. Others do so only when they
# are used, which loads them where that is possible: so they are used where modprobe knows of none, and nowhere else.
_FUNCTIONS = """\
present() {
  [ -d "/sys/module/$1" ] && return
  case $1 in
    br_netfilter) [ -d /proc/sys/net/bridge ] && return ;;
    tun) [ -e /sys/class/misc/tun ] && return ;;
    af_key) [ -e /proc/net/pfkey ] && return ;;
  esac
  modprobe --show-depends -- "$1" 2>/dev/null | grep -qxF "builtin $1"
}
works() {
  case $1 in
    tun)
      (: <>/dev/net/tun) 2>/dev/null
      return
      ;;
    nf_nat_*)
      # The kernel builds both in, or neither; this one shows.
      [ -d "/sys/module/nf_conntrack_${1#nf_nat_}" ] && ! grep -q "^nf_conntrack_${1#nf_nat_} " /proc/modules
      return
      ;;
    bridge) set -- link add name probe type bridge ;;
    xfrm_interface) set -- link add name probe type xfrm if_id 1 ;;
    esp4)
      zero=00000000000000000000000000000000
      set -- xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 0x100 mode tunnel \
        auth 'hmac(sha1)' 0x${zero}00000000 enc 'cbc(aes)' 0x$zero
      ;;
    *) return 1 ;;
  esac
  unshare --net ip "$@" >/dev/null 2>&1
}
"""

_READ = (
    _FUNCTIONS
    + """\
while read -r module; do
  if present "$module"; then
    echo "$module"
  elif command -v modprobe >/dev/null && ! reason=$(modprobe --dry-run -- "$module" 2>&1); then
    if works "$module"; then echo "$module"; else echo "$module MISSING" $reason; fi
  fi
done
""".replace("MISSING", MISSING)
)

# br_netfilter comes with its switches on for every bridge of the host, also those of others whose packets no rule of
# netfilter has seen so far. Where we load it they are turned off; bridges that are to hand packets over have switches
# of their own. Where somebody else did, they are theirs. What the administrator has in sysctl.d is set again.
_LOAD = """\
load() {
  modprobe -- "$1" || return
  if [ "$1" = br_netfilter ]; then
    for switch in /proc/sys/net/bridge/bridge-nf-call-*tables; do
      if [ -e "$switch" ]; then echo 0 >"$switch"; fi
    done
    for settings in /usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl; do
      if [ -x "$settings" ]; then "$settings" --prefix=/net/bridge && break; fi
    done
  fi
  return 0
}
while read -r module; do
  present "$module" || reason=$(load "$module" 2>&1) || works "$module" || {
    echo "$reason" >&2
    module_status=1
  }
done"""


class Module(Subsystem):
    """Kernel modules by name, with underscores: `br_netfilter` -> `loaded`. Never unloaded: others may rely on them.

    One that cannot be loaded is `missing`, with modprobe's reason: see unloadable().
    """

    name = "module"
    prunable = False

    def read(self, context: Context) -> list[Command]:
        if not context.desired:
            return []
        return [Command(("sh", "-euc", _READ), _lines(context.desired))]

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        lines = [line.partition(" ") for output in outputs for line in output.stdout.splitlines()]
        return {name: value or LOADED for name, unused, value in lines if name in context.desired}

    def put(self, context: Context, delta: Delta) -> list[Command]:
        modules = [name for name, value in delta.after.items() if value == LOADED]
        if not modules:
            return []
        return [
            Command(("sh", "-euc", f"{_FUNCTIONS}module_status=0\n{_LOAD}\nexit $module_status\n"), _lines(modules))
        ]

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return []

    def boot(self, context: Context) -> dict[str, str]:
        return {"module": _lines(context.desired)} if context.desired else {}

    boot_shell = f"""\
{_FUNCTIONS}module_status=0
if [ -e module ]; then
{_LOAD} <module
fi
[ "$module_status" = 0 ]
"""


def _lines(modules: Iterable[str]) -> str:
    return "".join(f"{module}\n" for module in sorted(modules))


def unloadable(state: State) -> dict[str, str]:
    """modprobe's reason by name, of the modules in a state, as read, that cannot be loaded."""
    return {
        name: value[len(MISSING) :].strip() or "no reason given"
        for name, value in sorted(state.items())
        if value.startswith(MISSING)
    }
