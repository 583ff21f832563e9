# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the helper; see vif.py."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import COUNTED, TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

_HEAD = f"""\
#!/bin/sh
# Written by the Ansible collection plainlinux.vpc; changes are overwritten.
#
#   vif add NAME MAC   the bridge port NAME belongs to the guest with this MAC: let through what that guest may send
#   vif del NAME       NAME belongs to nobody: nothing passes it
#   vif sync           repeat what is known, after the guests' files, the ports or the rules have changed
#   vif release        forget all, and give the ports back the settings that they had
#   vif list           names and MACs
#
# Exit status: 0 done; 1 failed, nothing was changed; 2 wrong usage; 3 nobody declared that guest, nothing passes.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
umask 022
table="{TABLE}"
counted="{" ".join(COUNTED)}"
run=${{PLAINLINUX_VPC_RUN:-/run/plainlinux-vpc}}/{ANTISPOOF.name}
"""

_BODY = r"""
cd "${0%/*}"

fail() {
  status=$1
  shift
  echo "vif: $*" >&2
  exit "$status"
}

check_name() {
  case $1 in
    "" | . | .. | *[!A-Za-z0-9_.-]* | ????????????????*) fail 2 "not the name of an interface: $1" ;;
  esac
}

# The name of a guest's file: lower case, dashes.
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
  old_ifs=$IFS
  IFS=:
  set -- $mac
  IFS=-
  guest="$*"
  IFS=$old_ifs
}

# What adds the elements of a guest (file) for a port (name).
render() {
  sed "s/@vif@/$2/g" "$1"
}

# Commands from standard input, each for every element: first added, so that none is missing, then deleted.
removal() {
  sed -n '/^add /{p;s/ : goto [a-z_]*//g;s/^add /delete /;p;}'
}

# Everything that a port may have in the sets: as recorded, as its guest's file has it now, as the plan has it.
known() {
  if [ -e "$run/vif/$1" ]; then
    cat "$run/vif/$1"
    read -r _ _ bound <"$run/vif/$1" || bound=
    if [ -e "guests/$bound" ]; then render "guests/$bound" "$1"; fi
  else
    bound=
  fi
  if [ -e names ]; then
    planned=$(awk -v name="$1" '$1 == name { gsub(":", "-", $2); print $2 }' names)
    if [ -n "$planned" ] && [ "$planned" != "$bound" ] && [ -e "guests/$planned" ]; then
      render "guests/$planned" "$1"
    fi
  fi
}

# MACs and addresses that stand in sets without a port stay while another port of the same guest needs them.
siblings() {
  for file in "$run/mac/$1/"*; do
    if [ -e "$file" ] && [ "${file##*/}" != "$2" ]; then cat "$run/vif/${file##*/}"; fi
  done
}

record() {
  [ -d "$run/mac/$guest" ] || mkdir "$run/mac/$guest"
  : >"$run/mac/$guest/$name"
  printf '%s\n' "# guest $guest" "$was" "$new" >"$run/new"
}

forget() {
  if [ -n "$1" ]; then rm -f "$run/mac/$1/$name"; fi
  rm -f "$run/vif/$name"
}

value() {
  word=$2
  if [ -r "$1" ]; then read -r word <"$1" || word=$2; fi
}

# How the port was before we came.
settings_now() {
  was=
  port=/sys/class/net/$name/brport
  if [ -d "$port" ]; then
    value "$port/learning" 1 && was="# was $word"
    value "$port/unicast_flood" 1 && was="$was $word"
    value "$port/bpdu_guard" 0 && was="$was $word"
    value "$port/group_fwd_mask" 0x0 && was="$was $word"
    value "/proc/sys/net/ipv6/conf/$name/disable_ipv6" 0 && was="$was $word"
  fi
}

# What no rule of netfilter could see otherwise.
close_port() {
  # LLDP, BPDUs and their like go to the host past all hooks, unless they are to be forwarded: then the guard has them.
  echo "$1" >"/sys/class/net/$name/brport/group_fwd_mask" || fail 1 "$name: cannot set group_fwd_mask"
  setting=/sys/class/net/$name/brport/bridge/bridge/no_linklocal_learn
  value "$setting" 1
  if [ "$word" = 0 ]; then
    bridge=$(readlink "/sys/class/net/$name/brport/bridge")
    mkdir -p "$run/bridge"
    : >"$run/bridge/${bridge##*/}"
    echo 1 >"$setting"
  fi
  # A link-local address of the port would let the guest talk to the host around the bridge.
  if [ -e "/proc/sys/net/ipv6/conf/$name/disable_ipv6" ]; then
    echo "$2" >"/proc/sys/net/ipv6/conf/$name/disable_ipv6"
  fi
}

apply_port() {
  if [ ! -d "/sys/class/net/$name/brport" ]; then return 0; fi
  read -r _ _ flags <"guests/$guest"
  close_port 0xfffd 1
  {
    echo "link set dev $name $flags"
    if [ -n "$bound" ] && [ "$bound" != "$guest" ]; then
      echo "fdb del $(echo "$bound" | tr - :) dev $name master"
    fi
    echo "fdb replace $mac dev $name master static sticky"
  } | bridge -force -batch - || fail 1 "$name: its port refuses: $flags"
}

start() {
  [ -d "$run/vif" ] && [ -d "$run/mac" ] || mkdir -p "$run/vif" "$run/mac"
  exec 9>"$run/lock"
  flock 9
}

add() {
  check_name "$1"
  name=$1
  guest_of "$2"
  start
  old=$(known "$name")
  bound=
  was=
  if [ -e "$run/vif/$name" ]; then
    read -r _ _ bound <"$run/vif/$name" || bound=
    was=$(sed -n '/^# was /p' "$run/vif/$name")
  fi
  if [ -z "$was" ]; then settings_now; fi
  if [ ! -e "guests/$guest" ]; then
    erase
    fail 3 "$mac: no guest with this MAC address was declared for this host"
  fi
  new=$(render "guests/$guest" "$name")
  if [ "$bound" = "$guest" ] && [ "$(sed 1,2d "$run/vif/$name")" = "$new" ]; then old=; fi
  record
  if [ -z "$old" ]; then
    # Deleting costs the kernel several times what adding does.
    mv "$run/new" "$run/vif/$name"
    echo "$new" | nft -f - || refused
  else
    # Until the change is made, the record names what was and what will be: this may be killed.
    if [ -n "$bound" ]; then cp "$run/vif/$name" "$run/before"; fi
    printf '%s\n' "# guest ${bound:-$guest}" "$was" "$old" "$new" >"$run/both"
    mv "$run/both" "$run/vif/$name"
    {
      echo "$old" | removal
      if [ "$bound" != "$guest" ]; then
        reset
        if [ -n "$bound" ]; then siblings "$bound" "$name"; fi
      fi
      siblings "$guest" "$name"
      echo "$new"
    } | nft -f - || refused
    mv "$run/new" "$run/vif/$name"
  fi
  if [ -n "$bound" ] && [ "$bound" != "$guest" ]; then rm -f "$run/mac/$bound/$name"; fi
  apply_port
}

# nft changes all or nothing, so the record is again what it was.
refused() {
  if [ -n "$bound" ] && [ -n "$old" ]; then
    mv "$run/before" "$run/vif/$name"
  elif [ -z "$bound" ]; then
    forget "$guest"
  fi
  fail 1 "$name: nft refuses the elements of $mac"
}

# Counters of drops and broadcasts are of the guest that was there.
reset() {
  for set in $counted; do
    echo "add element $table $set { \"$name\" }"
    echo "delete element $table $set { \"$name\" }"
  done
}

erase() {
  {
    echo "$old" | removal
    reset
    if [ -n "$bound" ]; then siblings "$bound" "$name"; fi
  } | nft -f - || fail 1 "$name: nft refuses to delete its elements"
  if [ -n "$bound" ] && [ -d "/sys/class/net/$name/brport" ]; then
    bridge fdb del "$(echo "$bound" | tr - :)" dev "$name" master 2>/dev/null || :
  fi
  forget "$bound"
}

del() {
  check_name "$1"
  name=$1
  start
  old=$(known "$name")
  bound=
  if [ -e "$run/vif/$name" ]; then read -r _ _ bound <"$run/vif/$name" || bound=; fi
  erase
}

# Lines of name, guest and, where nothing was recorded, settings.
ports() {
  for file in "$run/vif/"*; do
    if [ -e "$file" ]; then
      read -r _ _ guest <"$file" && echo "${file##*/} $guest"
    fi
  done
  if [ ! -e names ]; then return 0; fi
  tr : - <names | while read -r name guest; do
    if [ ! -e "$run/vif/$name" ]; then
      settings_now
      echo "$name $guest $was"
    fi
  done
}

# Records that no port has had for a minute: what is being plugged in may be known before it exists.
vanished() {
  find "$run/vif" -type f -mmin +1 | while read -r file; do
    name=${file##*/}
    if [ ! -d "/sys/class/net/$name" ]; then echo "$name"; fi
  done
}

sync() {
  start
  rm -rf "$run/sync"
  mkdir "$run/sync" "$run/sync/vif"
  vanished >"$run/sync/vanished"
  ports >"$run/sync/ports"
  awk -v run="$run" -v table="$table" -v counted="$counted" "$sync_awk" "$run/sync/ports"
  cat "$run/sync/old" "$run/sync/new" | nft -f - || fail 1 "nft refuses the elements of $run/sync"
  while read -r name guest; do
    rm -f "$run/vif/$name" "$run/mac/$guest/$name"
  done <"$run/sync/gone"
  find "$run/sync/vif" -type f -exec mv -t "$run/vif" {} +
  awk -v at="$run/mac/" '{ print at $2 }' "$run/sync/ports" | xargs mkdir -p
  while read -r name guest _; do
    if [ -e "$run/vif/$name" ]; then
      : >"$run/mac/$guest/$name"
      if [ -d "/sys/class/net/$name/brport" ]; then
        close_port 0xfffd 1
      fi
    fi
  done <"$run/sync/ports"
  # Ports come and go meanwhile.
  bridge -force -batch "$run/sync/bridge" 2>/dev/null || :
  rm -rf "$run/sync"
}

release() {
  start
  for file in "$run/vif/"*; do
    if [ ! -e "$file" ]; then continue; fi
    name=${file##*/}
    read -r _ _ guest <"$file" || continue
    if [ -d "/sys/class/net/$name/brport" ]; then
      echo "fdb del $(echo "$guest" | tr - :) dev $name master"
      before=$(sed -n 's/^# was //p' "$file")
      if [ -n "$before" ]; then
        set -- $before
        close_port "$4" "$5"
        echo "link set dev $name learning $1 flood $2 guard $3" | sed 's/ 0/ off/g;s/ 1/ on/g'
      fi
    fi
  done >"$run/release"
  bridge -force -batch "$run/release" 2>/dev/null || :
  for file in "$run/bridge/"*; do
    setting=/sys/class/net/${file##*/}/bridge/no_linklocal_learn
    if [ -e "$setting" ]; then echo 0 >"$setting"; fi
  done
  rm -rf "$run"
}

list() {
  if [ -d "$run/vif" ]; then
    for file in "$run/vif/"*; do
      if [ -e "$file" ]; then
        read -r _ _ guest <"$file"
        echo "${file##*/} $guest"
      fi
    done | tr - :
  fi
}

case ${1-}/$# in
  add/3) add "$2" "$3" ;;
  del/2) del "$2" ;;
  sync/1) sync ;;
  release/1) release ;;
  list/1) list ;;
  *) fail 2 "usage: vif add NAME MAC | del NAME | sync | release | list" ;;
esac
"""

# Reads lines of name, guest, settings; writes below run/sync: commands for nft (old, new) and bridge, records (vif/),
# and which ports are gone. One process for all, where one for each would take seconds.
_SYNC = r"""
function drop(name, lines, count,  i, line) {
  for (i = 1; i <= count; i++) {
    line = lines[i]
    print line >old
    gsub(/ : goto [a-z_]*/, "", line)
    sub(/^add /, "delete ", line)
    print line >old
  }
}
function reset(name,  i, sets, many) {
  many = split(counted, sets, " ")
  for (i = 1; i <= many; i++) {
    print "add element " table " " sets[i] " { \"" name "\" }" >old
    print "delete element " table " " sets[i] " { \"" name "\" }" >old
  }
}
BEGIN {
  old = run "/sync/old"; fresh = run "/sync/new"; gone = run "/sync/gone"; commands = run "/sync/bridge"
  printf "" >old; printf "" >fresh; printf "" >gone; printf "" >commands
  while ((getline line <(run "/sync/vanished")) > 0) lost[line] = 1
  while ((getline line <"names") > 0) { split(line, words, " "); planned[words[1]] = 1 }
}
{
  name = $1; guest = $2; was = ""
  for (i = 3; i <= NF; i++) was = was (i > 3 ? " " : "") $i
  count = 0; before = ""; text = ""; flags = ""
  file = run "/vif/" name
  while ((getline line <file) > 0) {
    if (line ~ /^add /) { lines[++count] = line; before = before line "\n" }
    else if (line ~ /^# was /) was = line
  }
  close(file)
  file = "guests/" guest
  if (!(name in lost) || name in planned)
    while ((getline line <file) > 0) {
      gsub(/@vif@/, name, line)
      text = text line "\n"
      if (line ~ /^# port /) flags = substr(line, 8)
    }
  close(file)
  adds = text
  sub(/^# port [^\n]*\n/, "", adds)
  if (before != adds) drop(name, lines, count)
  if (text == "") { reset(name); print name, guest >gone; next }
  printf "%s", adds >fresh
  file = run "/sync/vif/" name
  printf "# guest %s\n%s\n%s", guest, was, text >file
  close(file)
  mac = guest
  gsub(/-/, ":", mac)
  print "link set dev " name " " flags >commands
  print "fdb replace " mac " dev " name " master static sticky" >commands
}
"""

SCRIPT = f"{_HEAD}sync_awk='{_SYNC}'\n{_BODY}"
