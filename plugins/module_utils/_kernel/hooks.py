# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells the guard's helper that a guest's port comes or goes: files where Xen, libvirt and udev look for them.

No hook may harm a guest: each succeeds whatever happens, and says in the system's log what went wrong. A guest that the
guard does not know then lives without a network.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import FOLDER
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import PATTERNS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

# The folder that is there where the software is installed.
XEN, LIBVIRT, UDEV = "xen", "libvirt", "udev"
FOLDERS = {XEN: "/etc/xen/scripts", LIBVIRT: "/etc/libvirt", UDEV: "/etc/udev"}

XEN_HOOK = f"{FOLDERS[XEN]}/vif-post.d/plainlinux-vpc.hook"
XEN_SCRIPT = f"{FOLDERS[XEN]}/vif-plainlinux-vpc"
# Read from libvirt 6.5 on, whether there is a script `qemu` or not (hooks.html, "Script names").
LIBVIRT_HOOK = f"{FOLDERS[LIBVIRT]}/hooks/qemu.d/plainlinux-vpc"
UDEV_RULES = f"{FOLDERS[UDEV]}/rules.d/70-plainlinux-vpc.rules"

_HELPER = f"{FOLDER}/{ANTISPOOF.name}/vif"
_OURS = "# Written by the Ansible collection plainlinux.vpc; changes are overwritten."

_XEN_HOOK = f"""\
#!/bin/bash
{_OURS}
#
# Sourced by vif-bridge, which ends, and the guest with it, at a command that fails: this one, a shell of its own, never
# does.
(
  [ -x {_HELPER} ] || exit 0
  said=
  case ${{command-}} in
    online | add) said=$({_HELPER} xen "$dev" "$XENBUS_PATH" 2>&1 </dev/null) ;;
    offline | remove) said=$({_HELPER} del "$dev" 2>&1 </dev/null) ;;
  esac
  if [ -n "$said" ]; then logger -p daemon.warning -t plainlinux-vpc -- "$said" || echo "$said" >&2; fi
  exit 0
) || :
"""

_XEN_SCRIPT = f"""\
#!/bin/sh
{_OURS}
#
# vif-bridge, but the guard knows the port before it is up, so that no frame of the guest is lost. In a guest's
# configuration: vif = [ "script=vif-plainlinux-vpc,..." ]; for all guests, in xl.conf: vif.default.script.
(
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  action=
  type=vif
  for word in "$@"; do
    case $word in
      type_if=*) type=${{word#type_if=}} ;;
      *=*) ;;
      *) action=${{action:-$word}} ;;
    esac
  done
  case $action/$type in
    online/vif)
      name=$vif
      path=$XENBUS_PATH
      suffix=
      ;;
    add/tap)
      name=$INTERFACE
      path=${{name#vif}}
      path=${{path%-emu}}
      path=/local/domain/0/backend/vif/${{path%.*}}/${{path#*.}}
      suffix=-emu
      ;;
    *) exit ;;
  esac
  # vif-bridge gives the interface this name before it becomes a port.
  if chosen=$(xenstore-read "$path/vifname") && [ -n "$chosen" ]; then name=$chosen$suffix; fi
  # What is wrong is said after vif-bridge.
  {_HELPER} xen "$name" "$path"
) </dev/null >/dev/null 2>&1 || :

exec "${{0%/*}}/vif-bridge" "$@"
"""

# Names of ports in what comes before `start` (prepare, migrate, restore) are those of another host or of another time.
_LIBVIRT_PROGRAM = f"""\
import subprocess
import sys
from xml.parsers import expat

HERE = ["domain", "devices", "interface"]


def interfaces(text):
    # Name of the port and MAC of each interface of the domain. Elements of other namespaces have another name.
    found = []
    path = []

    def start(name, attributes):
        if path == HERE and name in ("mac", "target"):
            found[-1].setdefault(name, attributes)
        path.append(name)
        if path == HERE:
            found.append({{}})

    def end(name):
        path.pop()

    def refuse(*declared):
        raise ValueError("a domain has no document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(text, True)
    pairs = [(one.get("target", {{}}).get("dev"), one.get("mac", {{}}).get("address")) for one in found]
    return [(name, mac) for name, mac in pairs if name and mac]


word = {{
    "start begin": "add",
    "started begin": "add",
    "reconnect begin": "add",
    "attach begin": "add",
    "stopped end": "del",
    "release end": "del",
}}.get(" ".join(sys.argv[2:4]))
text = sys.stdin.buffer.read()
try:
    for name, mac in interfaces(text) if word else []:
        command = ["{_HELPER}", word, name, mac]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, check=False)
except Exception as error:
    sys.exit(str(error))
"""

_LIBVIRT_HOOK = f"""\
#!/bin/sh
{_OURS}
#
# Called by libvirt with GUEST OPERATION SUB-OPERATION EXTRA and the domain's XML on standard input. Where this failed,
# a guest would not start, or be killed; and what it printed would be taken for another XML.
program='{_LIBVIRT_PROGRAM}'
for python in python3 /usr/libexec/platform-python; do
  if [ -x {_HELPER} ] && command -v "$python" >/dev/null; then
    said=$("$python" -I -c "$program" "$@" 2>&1)
    if [ -n "$said" ]; then logger -p daemon.warning -t plainlinux-vpc -- "${{1-}}: $said"; fi
    break
  fi
done >/dev/null 2>&1
# libvirt has more to say than a pipe holds.
cat >/dev/null
exit 0
"""

_RULE = (
    'ACTION=="{0}", SUBSYSTEM=="net", KERNEL=="{1}", RUN+="/usr/bin/systemd-run --quiet --collect --no-block {2} {3}"'
)
_NAMES = "|".join(PATTERNS)
_UDEV_RULES = f"""\
{_OURS}
# Guests' interfaces that come or go without a word. udev waits for its programs and kills what they leave behind.
{_RULE.format("add", _NAMES, _HELPER, "found $kernel")}
{_RULE.format("remove", _NAMES, _HELPER, "gone $kernel $env{IFINDEX}")}
"""

_FILES = {
    XEN: {XEN_HOOK: _XEN_HOOK, XEN_SCRIPT: _XEN_SCRIPT},
    LIBVIRT: {LIBVIRT_HOOK: _LIBVIRT_HOOK},
    UDEV: {UDEV_RULES: _UDEV_RULES},
}


def files(software: Iterable[str]) -> dict[str, str]:
    """Path -> text of the hooks for this software, of FOLDERS. What begins with `#!` must be executable."""
    return {path: text for name in software for path, text in _FILES[name].items()}
