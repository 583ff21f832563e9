# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of guarded ports and bridges.

What a port had before the guard first touched it is in a file `was/IFINDEX`, whoever was bound to it since: names come
back for other interfaces, numbers do not. It goes with the interface, or when `release` has given it back.
"""

from __future__ import annotations

SETTINGS = r"""
# settings: how the port is now, if it is one.
settings_now() {
  settings=
  port=/sys/class/net/$name/brport
  if [ -d "$port" ]; then
    value "$port/learning" 1 && settings=$word
    value "$port/unicast_flood" 1 && settings="$settings $word"
    value "$port/bpdu_guard" 0 && settings="$settings $word"
    value "$port/group_fwd_mask" 0x0 && settings="$settings $word"
    value "/proc/sys/net/ipv6/conf/$name/disable_ipv6" 0 && settings="$settings $word"
  fi
}

# Before the first touch.
remember() {
  index_now
  if [ "$index" = none ] || [ -e "$run/was/$index" ]; then return 0; fi
  settings_now
  if [ -n "$settings" ]; then
    echo "$settings" >"$run/original"
    mv "$run/original" "$run/was/$index"
  fi
}

# What no rule of netfilter could see otherwise. $1: group_fwd_mask, $2: disable_ipv6.
close_to_host() {
  # LLDP, BPDUs and their like go to the host past all hooks, unless they are to be forwarded: then the guard has them.
  if [ -d "/sys/class/net/$name/brport" ]; then
    echo "$1" 2>/dev/null >"/sys/class/net/$name/brport/group_fwd_mask" || return 1
  fi
  # A link-local address of the port would let the guest talk to the host around the bridge.
  if [ -e "/proc/sys/net/ipv6/conf/$name/disable_ipv6" ]; then
    echo "$2" 2>/dev/null >"/proc/sys/net/ipv6/conf/$name/disable_ipv6" || return 1
  fi
}

# The port has nothing more to do with the guest that it had, but for $1.
unstick() {
  if [ -n "$bound" ] && [ "$bound" != "$1" ] && [ -d "/sys/class/net/$name/brport" ]; then
    bridge fdb del "$(mac_of "$bound")" dev "$name" master 2>/dev/null || :
  fi
}

# It is the guest's again that it was.
stick() {
  bridge fdb replace "$(mac_of "$bound")" dev "$name" master static sticky 2>/dev/null || :
}

close_port() {
  if [ ! -d "/sys/class/net/$name/brport" ]; then return 0; fi
  read -r _ _ flags <"guests/$guest"
  remember
  close_to_host 0xfffd 1 || fail 1 "$name: cannot set group_fwd_mask"
  {
    echo "link set dev $name $flags"
    echo "fdb replace $mac dev $name master static sticky"
  } | bridge -force -batch - || fail 1 "$name: its port refuses: $flags"
  while IFS== read -r key bridge; do
    if [ "$key" = INTERFACE ]; then break; fi
  done <"/sys/class/net/$name/brport/bridge/uevent"
  bridges "$bridge" || exit 1
}

# Gives the bridge $1, or every one where there is none, the settings that the plan has for it.
bridges() {
  if [ ! -e bridges ]; then return 0; fi
  applied=0
  while read -r bridge rest; do
    if [ -d "/sys/class/net/$bridge/bridge" ] && [ "$bridge" = "${1-$bridge}" ]; then
      guard_bridge $rest || applied=1
    fi
  done <bridges
  return "$applied"
}

guard_bridge() {
  missed=0
  while [ $# -ge 2 ]; do
    setting=/sys/class/net/$bridge/bridge/$1
    value "$setting" ""
    if [ -z "$word" ]; then
      complain "$bridge: this kernel has no $1"
      missed=1
    elif [ "$word" != "$2" ]; then
      original "$1" "$word"
      echo "$2" 2>/dev/null >"$setting" || {
        complain "$bridge: cannot set $1 to $2"
        missed=1
      }
    elif filtered_by_role "$1"; then
      original "$1" 0
    fi
    shift 2
  done
  return "$missed"
}

# The first that was found is what `release` gives back.
original() {
  grep -qs "^$1 " "$run/bridge/$bridge" || echo "$1 $2" >>"$run/bridge/$bridge"
}

# Whether role hypervisor, too, wants the setting on its bridge. Of the two, the last one to let go turns it off.
filtered_by_role() {
  case $1 in
    nf_call_iptables | nf_call_ip6tables) grep -qsxF "$bridge" ../hypervisor/bridge_filter ;;
    *) return 1 ;;
  esac
}

# Gives bridges back what the plan, a file like `bridges`, has no value for.
give_back() {
  plan=$1
  set -- "$run/bridge/"*
  if [ ! -e "$1" ]; then return 0; fi
  awk -v plan="$plan" '
    BEGIN {
      while ((getline <plan) > 0) for (i = 2; i < NF; i += 2) wanted[$1, $i] = 1
    }
    {
      bridge = FILENAME
      sub(/.*\//, "", bridge)
      if (!((bridge, $1) in wanted)) print bridge, $1, $2
    }' "$@" | while read -r bridge key word; do
    setting=/sys/class/net/$bridge/bridge/$key
    if [ -e "$setting" ] && ! filtered_by_role "$key"; then
      echo "$word" 2>/dev/null >"$setting" || complain "$bridge: cannot set $key to $word"
    fi
    sed -i "/^$key /d" "$run/bridge/$bridge"
    [ -s "$run/bridge/$bridge" ] || rm -f "$run/bridge/$bridge"
  done
}

# Gives ports back what they had: those whose files of `was` these are. Other interfaces of their names have others.
restore_ports() {
  grep -Hs '' /sys/class/net/*/ifindex "$@" | awk '
    {
      at = match($0, /:[^:]*$/)
      value = substr($0, at + 1)
      count = split(substr($0, 1, at - 1), path, "/")
      if ($0 ~ /^\/sys\//) names[value] = path[count - 1]
      else if (path[count] in names) print names[path[count]], value
    }' >"$run/released"
  while read -r name learning flood guard mask ipv6; do
    close_to_host "$mask" "$ipv6" || :
  done <"$run/released"
  awk '
    function flag(word) { return word + 0 ? "on" : "off" }
    { print "link set dev " $1 " learning " flag($2) " flood " flag($3) " guard " flag($4) }
  ' "$run/released" | bridge -force -batch - 2>/dev/null || :
}

# Gives all ports and bridges back and forgets all, or with numbers of interfaces only these ports. Who holds the lock
# for us still needs it.
release() {
  for number in "$@"; do
    case $number in "" | *[!0-9]*) fail 2 "not the index of an interface: $number" ;; esac
  done
  start
  if [ $# -gt 0 ]; then
    cd "$run/was"
    restore_ports "$@"
    rm -f "$run/released" "$@"
    return 0
  fi
  list | awk '{ print "fdb del " $2 " dev " $1 " master" }' | bridge -force -batch - 2>/dev/null || :
  set -- "$run/was/"*
  if [ -e "$1" ]; then restore_ports "$@"; fi
  give_back /dev/null
  if [ "${PLAINLINUX_VPC_LOCKED-}" = 1 ]; then
    find "$run" -mindepth 1 ! -name lock -delete
  else
    rm -rf "$run"
  fi
}
"""
