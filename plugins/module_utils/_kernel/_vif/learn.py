# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an interface is, from what its hypervisor left on it: Xen's store and configuration, libvirt's MAC address."""

from __future__ import annotations

LEARN = r"""
# From the xenstore, whose path $1 is the backend of a VIF: its MAC, and the IPv6 address of the domain's configuration
# that is the VIF's: the first line `#ipv6=` for the first VIF, and so on.
ask_xen() {
  mac=$(xenstore-read "$1/mac" 2>/dev/null) || mac=
  given=
  number=${1##*/}
  domain=${1%/*}
  domain=${domain##*/}
  title=$(xenstore-read "$1/domain" 2>/dev/null || xenstore-read "/local/domain/$domain/name" 2>/dev/null) || return 0
  # So is a domain called while it arrives from another host.
  title=${title%--incoming}
  case $title in "" | .* | */*) return 0 ;; esac
  for file in "/etc/xen/$title.cfg" "/etc/xen/auto/$title.cfg" "/etc/xen/$title" "/etc/xen/auto/$title"; do
    if [ -f "$file" ]; then
      given=$(awk -v number="$number" '
        /^[ \t]*#[ \t]*ipv6[ \t]*=/ && line++ == number {
          sub(/^[^=]*=/, "")
          gsub(/[ \t\r"\047]/, "")
          print
        }' "$file")
      return 0
    fi
  done
}

xen() {
  check_name "$1"
  ask_xen "$2"
  if [ -z "$mac" ]; then fail 1 "$name: the xenstore has no MAC address at $2"; fi
  guest_of "$mac"
  start
  attach "$given"
}

# libvirt gives a tap the guest's MAC with the first octet fe, or fa if it is fe already. $1: the tap's.
ask_libvirt() {
  mac=
  with_dashes "${1#??:}"
  case $1 in
    fe:*)
      for file in guests/??-"$dashed"; do
        if [ -e "$file" ] && [ "$file" != "guests/fe-$dashed" ]; then
          # Two guests that differ in the first octet only: nobody knows which.
          if [ -n "$mac" ]; then
            mac=
            return 0
          fi
          mac=$(mac_of "${file#guests/}")
        fi
      done
      ;;
    fa:*)
      if [ -e "guests/fe-$dashed" ]; then mac=fe:${1#??:}; fi
      ;;
  esac
}

# mac: of the declared guest whose the interface `name` is, or empty. given: its IPv6 address for attach().
learn() {
  mac=
  given=
  backend=${name#vif}
  backend=${backend%-emu}
  case $name/$backend in
    vif*/*[!0-9.]* | vif*/*.*.* | vif*/.* | vif*/*.) ;;
    vif*/*.*)
      backend=backend/vif/${backend%.*}/${backend#*.}
      # It will get another name, and be reported by that.
      if command -v xenstore-read >/dev/null && ! xenstore-read "$backend/vifname" >/dev/null 2>&1; then
        ask_xen "$backend"
      fi
      ;;
    vif*) ;;
    *)
      value "/sys/class/net/$name/address" ""
      ask_libvirt "$word"
      ;;
  esac
  if [ -n "$mac" ]; then
    guest_of "$mac"
    if [ ! -e "guests/$guest" ]; then mac=; fi
  fi
  if [ -z "$mac" ]; then
    plan_of
    if [ -n "$planned" ] && [ -e "guests/$planned" ]; then mac=$(mac_of "$planned"); fi
  fi
}

# Hooks that report an interface do so while this looks for its guest; the first is right.
found() {
  check_name "$1"
  mac=
  index_now
  recall
  if [ -n "$bound" ] && [ "$recorded" != none ] && [ "$recorded" != "$index" ]; then
    # The name was another interface's.
    start
    recall
    if [ -n "$bound" ] && [ "$recorded" != none ] && [ "$recorded" != "$index" ]; then detach; fi
    finish
  fi
  tries=20
  while [ -d "/sys/class/net/$name" ]; do
    recall
    index_now
    if [ -n "$bound" ] && [ "$recorded" = "$index" ]; then return 0; fi
    learn
    if [ -z "$mac" ] && [ -n "$bound" ]; then
      mac=$(mac_of "$bound")
      given=$ipv6
    fi
    tries=$((tries - 1))
    # Settings are of ports, so wait until it is one.
    if [ -n "$mac" ] && [ -d "/sys/class/net/$name/brport" ]; then break; fi
    if [ "$tries" -eq 0 ]; then break; fi
    sleep 0.1
  done
  if [ -z "$mac" ] || [ ! -d "/sys/class/net/$name" ]; then return 0; fi
  guest_of "$mac"
  start
  recall
  index_now
  if [ "$index" = none ] || [ "$recorded" = "$index" ]; then return 0; fi
  if [ -e "guests/$guest" ]; then attach "$given"; fi
}

gone() {
  check_name "$1"
  case $2 in "" | *[!0-9]*) fail 2 "not the index of an interface: $2" ;; esac
  start
  recall
  index_now
  if [ "$index" = "$2" ]; then return 0; fi
  rm -f "$run/was/$2"
  if [ -n "$bound" ] && [ "$recorded" = "$2" ]; then detach; fi
}
"""
