# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of a host's guests: the program that says which port is which guest, and the settings that ports need.

Names of ports change with each start of a guest. The program is called by hooks of hypervisors and by hand, so it is
POSIX shell. It knows files that the role wrote beside it, see files_of(), and its own records, see parse_record().
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from socket import AF_INET6, inet_pton
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import FOLDER
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif_script import SCRIPT
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, file_name, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

HOME = f"{FOLDER}/{ANTISPOOF.name}"
HELPER = f"{HOME}/vif"
GUESTS = f"{HOME}/guests/"
# The key of the helper's records in the state of subsystem vif.
RECORDS = "records"

# What bridge(8) calls a setting, and its file below brport.
_FLAGS = {"learning": "learning", "flood": "unicast_flood", "guard": "bpdu_guard"}
_STICKY = "sticky"
_MASK = "group_fwd_mask"
# Link-local groups are forwarded, so that the guard sees them; the port itself has no address to talk to.
_FIXED = f"{_MASK} 0xfffd disable_ipv6 1"

# $0 is the folder of the records; paths below /sys/class/net come on standard input.
_READ = """\
if [ -d "$0" ]; then echo records; fi
cd /sys/class/net
xargs -r -d '\\n' grep -Hs '' /dev/null || [ $? = 123 ]
"""

# Interfaces with their numbers, and the ports of those that are bridges.
_LIVE = """\
cd /sys/class/net
for name in *; do
  if [ -d "$name/bridge" ]; then
    echo "bridge $name"
    for port in "$name/brif/"*; do
      if [ -e "$port" ]; then echo "port ${port##*/} $name"; fi
    done
  fi
done
printf '%s/ifindex\\n' * | xargs -d '\\n' grep -Hs '' /dev/null || [ $? = 123 ]
"""


class Record(NamedTuple):
    """What the helper was told of a port.

    guest: its MAC with dashes. address: the IPv6 address that its start named, or "". ifindex: the number of the
    interface that had the name, "" or `none` where there was none yet. here: whether it was there, by the last call.
    """

    guest: str
    address: str = ""
    ifindex: str = ""
    here: bool = False


class Live(NamedTuple):
    """What there is on the host. interfaces: number by name. bridges: names of ports by bridge."""

    interfaces: Mapping[str, str]
    bridges: Mapping[str, Sequence[str]]


def files(guests: Iterable[Guest], names: Mapping[str, str]) -> dict[str, str]:
    """Path -> text of all that the helper needs for guests. names: MAC by name of the port."""
    found = {f"{GUESTS}{file_name(guest.mac)}": template(guest) for guest in guests}
    found[f"{HOME}/names"] = _names(names)
    found[HELPER] = SCRIPT
    return found


def files_of(ports: Mapping[str, Any]) -> dict[str, str]:
    """Path -> text of all that the helper reads, and of the helper itself. ports: that part of the slice."""
    found = {f"{GUESTS}{guest}": text for guest, text in ports["guests"].items()}
    found[f"{HOME}/names"] = _names({name: _mac(guest) for name, guest in ports["names"].items()})
    found[f"{HOME}/bridges"] = "".join(
        f"{name} {bridge['settings']}\n" for name, bridge in sorted(ports["bridges"].items())
    )
    for family, text in ports.get("chains", {}).items():
        found[f"{HOME}/chains{family}"] = text
    found[HELPER] = SCRIPT
    return found


def _names(names: Mapping[str, str]) -> str:
    return "".join(f"{name} {mac}\n" for name, mac in sorted(names.items()))


def _mac(guest: str) -> str:
    return guest.replace("-", ":")


def parse_record(text: str) -> Record | None:
    """The first lines of a record; None where it is none."""
    guest = address = index = gone = ""
    for line in text.splitlines():
        if line.startswith("# guest "):
            guest = line[8:]
        elif line.startswith("# ipv6 ") and is_ipv6(line[7:]):
            address = line[7:]
        elif line.startswith("# ifindex "):
            index, _space, gone = line[10:].partition(" ")
        else:
            break
    return Record(guest, address, index, not gone and index not in ("", "none")) if guest else None


def is_ipv6(text: str) -> bool:
    try:
        inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True


def live_read() -> Command:
    """The command whose output live() takes."""
    return Command(("sh", "-euc", _LIVE))


def live(output: Output) -> Live:
    interfaces: dict[str, str] = {}
    bridges: dict[str, list[str]] = {}
    for line in output.stdout.splitlines():
        words = line.split(" ")
        if words[0] == "bridge":
            bridges[words[1]] = []
        elif words[0] == "port":
            bridges[words[2]].append(words[1])
        else:
            name, _colon, index = line.partition("/ifindex:")
            interfaces[name] = index
    return Live(interfaces, bridges)


def port_state(flags: str, guest: str) -> str:
    """How the port of a guest has to be, as subsystem vif says it. flags: of the guest's file."""
    return f"{flags} {_mac(guest)} {_STICKY} {_FIXED}"


class Vif(Subsystem):
    """Settings of guests' ports and of their bridges, which the helper makes, and the helper's records.

    | key | value |
    |---|---|
    | `port NAME` | as port_state() says it |
    | `bridge NAME` | `SETTING VALUE ...`, files below `/sys/class/net/NAME/bridge/` |
    | `records` | `kept` |

    A port or a bridge that does not exist is right. All is made by one call of the helper, when the files are there.
    """

    name = "vif"

    def read(self, context: Context) -> list[Command]:
        if context.scope != ANTISPOOF:
            return []
        paths = []
        for key, value in context.desired.items():
            kind, _space, name = key.partition(" ")
            if kind == "port":
                paths += [f"{name}/brport/{file}\n" for file in (*_FLAGS.values(), _MASK)]
                paths.append(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6\n")
            elif kind == "bridge":
                paths += [f"{name}/bridge/{setting}\n" for setting in value.split()[::2]]
        records = f"{_home(context)}/vif"
        commands = [Command(("sh", "-euc", _READ, records), "".join(paths))]
        if paths:
            commands.append(Command(("bridge", "fdb", "show")))
        return commands

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        if not outputs:
            return {}
        found = dict(line.partition(":")[::2] for line in outputs[0].stdout.splitlines())
        sticky = set()
        for line in outputs[1].stdout.splitlines() if len(outputs) > 1 else ():
            if " sticky " in line:
                mac, _dev, name = line.split(" ", 3)[:3]
                sticky.add((name, mac))
        state = {RECORDS: "kept"} if RECORDS in found else {}
        for key, value in context.desired.items():
            kind, _space, name = key.partition(" ")
            if kind == "port":
                state[key] = _port(name, value, found, sticky)
            elif kind == "bridge":
                state[key] = _bridge(name, value, found)
        return state

    def put(self, context: Context, delta: Delta) -> list[Command]:
        return []

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        return [_call(context, "release")] if RECORDS in delta.removed else []

    def finish(self, context: Context, changed: Collection[str]) -> list[Command]:
        if context.scope == ANTISPOOF:
            return [_call(context, "sync")] if context.desired else []
        # Bridges that another role has just made need their settings too.
        if "link" not in changed:
            return []
        sync = 'if [ -x "$0" ]; then exec "$0" sync; fi'
        return [
            Command(
                ("env", f"PLAINLINUX_VPC_RUN={context.runtime}", "sh", "-euc", sync, f"{context.root}{HELPER}"),
            )
        ]

    def boot(self, context: Context) -> dict[str, str]:
        return {}

    # A host's other roles make bridges after the guard.
    boot_shell = f"""\
if [ -x vif ]; then
  ./vif sync
elif [ -e link ] && [ -x ../{ANTISPOOF.name}/vif ]; then
  ../{ANTISPOOF.name}/vif sync
fi
"""


def _home(context: Context) -> str:
    return f"{context.runtime}/{ANTISPOOF.name}"


def _call(context: Context, *words: str) -> Command:
    """The helper, while the caller holds its lock."""
    settings = (f"PLAINLINUX_VPC_RUN={context.runtime}", "PLAINLINUX_VPC_LOCKED=1")
    return Command(("env", *settings, f"{context.root}{HELPER}", *words))


def give_back(context: Context, indexes: Sequence[str]) -> Command:
    """Let ports, by the numbers of their interfaces, have the settings that they had before the guard."""
    return _call(context, "release", *indexes)


def _port(name: str, desired: str, found: Mapping[str, str], sticky: Collection[tuple[str, str]]) -> str:
    """What the port has, in the words and the order of what is desired."""
    if f"{name}/brport/{_MASK}" not in found:
        return desired
    words = desired.split()
    for at in range(0, len(words), 2):
        setting, value = words[at : at + 2]
        if ":" in setting:
            now = _STICKY if (name, setting) in sticky else "loose"
        elif setting == "disable_ipv6":
            # A kernel without IPv6 has no such file.
            now = found.get(f"/proc/sys/net/ipv6/conf/{name}/{setting}", value)
        elif setting in _FLAGS:
            now = "on" if found.get(f"{name}/brport/{_FLAGS[setting]}") == "1" else "off"
        else:
            now = found.get(f"{name}/brport/{setting}", value)
        words[at + 1] = now
    return " ".join(words)


def _bridge(name: str, desired: str, found: Mapping[str, str]) -> str:
    words = desired.split()
    for at in range(0, len(words), 2):
        words[at + 1] = found.get(f"{name}/bridge/{words[at]}", words[at + 1])
    return " ".join(words)
