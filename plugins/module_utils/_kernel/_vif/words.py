# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every call of the helper begins with: words, names, the lock."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import COUNTED, TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

HEAD = f"""\
#!/bin/sh
# Written by the Ansible collection plainlinux.vpc; changes are overwritten.
#
#   vif add NAME MAC [IPV6]   the bridge port NAME belongs to the guest with this MAC: let through what that guest may
#                             send. IPV6: its address, where the inventory leaves that to Xen's configuration
#   vif xen NAME PATH         the same, for a VIF of Xen: PATH is its backend in the xenstore, which knows the MAC
#   vif del NAME [MAC]        NAME is nobody's, or what the plan says. With a MAC: unless another guest has it by now
#   vif found NAME            an interface came, perhaps without a word: find out whose it is
#   vif gone NAME IFINDEX     it went
#   vif sync                  repeat what is known, after the guests' files, the ports or the rules have changed
#   vif release               forget all, and give ports and bridges back the settings that they had
#   vif release IFINDEX...    only these ports, which are nobody's
#   vif list                  names and MACs
#
# Exit status: 0 done; 1 failed, nothing more passes than before; 2 wrong usage; 3 nobody declared that guest, nothing
# passes. With PLAINLINUX_VPC_LOCKED=1 the caller holds the lock.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
umask 022
table="{TABLE}"
counted="{" ".join(COUNTED)}"
run=${{PLAINLINUX_VPC_RUN:-/run/plainlinux-vpc}}/{ANTISPOOF.name}
"""

WORDS = r"""
cd "${0%/*}"

complain() {
  echo "vif: $*" >&2
}

fail() {
  status=$1
  shift
  complain "$@"
  exit "$status"
}

check_name() {
  case $1 in
    "" | . | .. | *[!A-Za-z0-9_.-]* | ????????????????*) fail 2 "not the name of an interface: $1" ;;
  esac
  name=$1
}

# 52:54:00:0a:0a:0a -> dashed=52-54-00-0a-0a-0a
with_dashes() {
  old_ifs=$IFS
  IFS=:
  set -- $1
  IFS=-
  dashed="$*"
  IFS=$old_ifs
}

# mac in lower case, and the name of the guest's file, which has dashes.
guest_of() {
  case $1 in
    *[A-F]*) mac=$(echo "$1" | tr A-F a-f) ;;
    *) mac=$1 ;;
  esac
  case $mac in
    *[!0-9a-f:]*) fail 2 "not a MAC address: $1" ;;
    ??:??:??:??:??:??) ;;
    *) fail 2 "not a MAC address: $1" ;;
  esac
  with_dashes "$mac"
  guest=$dashed
}

mac_of() {
  echo "$1" | tr - :
}

# One call at a time. Whoever waited while the guard was removed must not begin it anew.
start() {
  if [ "${PLAINLINUX_VPC_LOCKED-}" != 1 ]; then
    while :; do
      [ -d "$run" ] || mkdir -p "$run"
      # Whoever may read it can hold it, too.
      umask 077
      exec 9>"$run/lock"
      umask 022
      flock -w 30 9 || fail 1 "busy: another program holds $run/lock"
      if [ "$run/lock" -ef /proc/self/fd/9 ]; then break; fi
    done
  fi
  if [ ! -e vif ]; then
    rm -rf "$run"
    fail 1 "the guard was removed"
  fi
  for folder in vif mac bridge was; do
    [ -d "$run/$folder" ] || mkdir -p "$run/$folder"
  done
}

finish() {
  exec 9>&-
}

# word: the first of a file, or $2. Interfaces go at any time, and their files with them. Read letter by letter, as some
# shells do, a sysctl ends after the first: without the end of its line.
value() {
  word=
  if [ -r "$1" ]; then read -r word 2>/dev/null <"$1" || :; fi
  word=${word:-$2}
}

# index: of the interface that has the name now.
index_now() {
  value "/sys/class/net/$name/ifindex" none
  index=$word
}
"""

MAIN = r"""
list() {
  set -- "$run/vif/"*
  if [ -e "$1" ]; then
    awk 'FNR == 1 { name = FILENAME; sub(/.*\//, "", name); gsub(/-/, ":", $3); print name, $3 }' "$@"
  fi
}

case ${1-}/$# in
  release/*)
    shift
    release "$@"
    ;;
  add/3 | add/4) add "$2" "$3" "${4-}" ;;
  xen/3) xen "$2" "$3" ;;
  del/2 | del/3) del "$2" "${3-}" ;;
  found/2) found "$2" ;;
  gone/3) gone "$2" "$3" ;;
  sync/1) sync ;;
  list/1) list ;;
  *)
    fail 2 "usage: vif add NAME MAC [IPV6] | xen NAME PATH | del NAME [MAC] | found NAME | gone NAME IFINDEX" \
      "| sync | release [IFINDEX...] | list"
    ;;
esac
"""
