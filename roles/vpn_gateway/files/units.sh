#!/bin/sh
# Units of a VPN gateway: which are wanted, and what they were before the role came. Prints a line for each change.
#
#   look UNIT...       print what files need to know; remember what units are, the first time; end those that stand in the
#                      way of another backend
#   tell UNIT...       print what look would
#   converge UNIT...   enable and start what is wanted; what is no longer wanted becomes what it was; what runs in FRR
#                      becomes what is in its file
#   check UNIT...      print what converge would
#   compare UNIT...    tell and check
#   leave              what is wanted is nothing; forget
#   left               print what leave would
#
# look, tell and compare print `is KEY VALUE`, and `missing KIND NAME` for each word of NEEDED that is not there: program:NAME,
# account:NAME, unit:NAME. Where one is missing, nothing is done.
set -u
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

record=/etc/plainlinux-vpc/vpn_gateway/units
instances='plainlinux-vpc-vpn@'
# Of their devices.
runtime=/run/plainlinux-vpc-vpn
# Those that packages of the role bring and start.
known='strongswan.service frr.service'
# A change that somebody typed into vtysh is in no file.
frr_reload=/usr/lib/frr/frr-reload.py
frr_conf=/etc/frr/frr.conf
dry=
status=0

did() {
  what=$1
  shift
  echo "$what"
  [ -n "$dry" ] && return
  if ! "$@"; then
    echo "failed: $what" >&2
    status=1
  fi
}

listed() {
  word=$1
  shift
  for item; do
    [ "$item" != "$word" ] || return 0
  done
  return 1
}

enabled() {
  [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]
}

# Also one that starts, or waits for its next attempt.
active() {
  case $(systemctl is-active "$1") in
    active | activating | reloading) return 0 ;;
  esac
  return 1
}

exists() {
  [ "$(systemctl show --property LoadState --value "$1")" != not-found ]
}

# Instances that somebody has enabled or started.
found() {
  {
    systemctl list-units --all --plain --no-legend "$instances*" | cut -d ' ' -f 1
    systemctl list-unit-files --plain --no-legend --state enabled "$instances*" | cut -d ' ' -f 1
    for link in /etc/systemd/system/*.wants/"$instances"*; do
      [ ! -L "$link" ] || echo "${link##*/}"
    done
  } | grep "^$instances..*\.service$" | sort -u
}

before() {
  sed -n "s/^$1 //p" "$record" 2>/dev/null
}

remember() {
  for unit in $known "$@"; do
    case $unit in "$instances"*) continue ;; esac
    [ -z "$(before "$unit")" ] || continue
    state=missing
    if exists "$unit"; then
      state="$(systemctl is-enabled "$unit" 2>/dev/null) $(systemctl is-active "$unit")"
    fi
    did "remember $unit: $state" note "$unit $state"
  done
}

# In a process of its own: the folder is for everybody to read, whatever root's umask is.
note() (
  umask 022
  mkdir -p "${record%/*}" && echo "$1" >>"$record"
)

ask() {
  echo "is hostname $(uname -n)"
  echo "is forwarding6 $(cat /proc/sys/net/ipv6/conf/all/forwarding 2>/dev/null || echo 0)"
  missing=0
  for word in ${NEEDED:-}; do
    name=${word#*:}
    case $word in
      program:*) command -v "$name" >/dev/null ;;
      account:*) getent passwd "$name" >/dev/null ;;
      unit:*) exists "$name" ;;
    esac || {
      echo "missing ${word%%:*} $name"
      missing=1
    }
  done
  [ "$missing" = 0 ]
}

look() {
  ask || exit 0
  remember "$@"
  abandon "$@"
}

# Devices of userland ESP have the names of XFRM interfaces: all of them go before the kernel gets its own.
abandon() {
  for unit; do
    case $unit in "$instances"*) return 0 ;; esac
  done
  for unit in $(found); do
    did "end $unit" end "$unit"
  done
}

converge() {
  for unit in $(found); do
    listed "$unit" "$@" || did "end $unit" end "$unit"
  done
  for unit in $(cut -d ' ' -f 1 "$record" 2>/dev/null); do
    listed "$unit" "$@" || calm "$unit"
  done
  start=
  for unit; do
    enabled "$unit" || did "enable $unit" systemctl enable --quiet "$unit"
    active "$unit" || start="$start $unit"
  done
  for unit in $start; do
    systemctl reset-failed "$unit" 2>/dev/null
    did "start $unit" systemctl start "$unit"
  done
  if listed frr.service "$@" && ! listed frr.service $start; then settle_frr; fi
}

settle_frr() {
  [ -x "$frr_reload" ] && [ -e "$frr_conf" ] || return 0
  # It ends with status 0 whatever it finds.
  "$frr_reload" --test --stdout "$frr_conf" 2>/dev/null | grep -q '^Lines [Tt]o' || return 0
  did "reload frr.service" reload_frr
}

reload_frr() {
  "$frr_reload" --reload "$frr_conf" >/dev/null
}

end() {
  systemctl disable --quiet --now "$1"
  systemctl reset-failed "$1" 2>/dev/null || :
}

# What was not there, or did not run, before the role came.
calm() {
  # shellcheck disable=SC2046
  set -- "$1" $(before "$1")
  if [ "${3:-}" != active ] && active "$1"; then did "stop $1" systemctl stop "$1"; fi
  case ${2:-missing} in
    missing | disabled) ! enabled "$1" || did "disable $1" systemctl disable --quiet "$1" ;;
  esac
}

leave() {
  for unit in $(found); do
    did "end $unit" end "$unit"
  done
  for unit in $(cut -d ' ' -f 1 "$record" 2>/dev/null); do
    calm "$unit"
  done
  [ ! -e "$record" ] || did "forget units" rm "$record"
  [ ! -d "$runtime" ] || did "forget devices" rmdir --ignore-fail-on-non-empty "$runtime"
  [ -n "$dry" ] || rmdir -p --ignore-fail-on-non-empty "${record%/*}" 2>/dev/null
}

command=$1
shift
case $command in
  tell | check | compare | left) dry=1 ;;
esac
case $command in
  look | tell) look "$@" ;;
  converge | check) converge "$@" ;;
  compare)
    look "$@"
    converge "$@"
    ;;
  leave | left) leave ;;
  *)
    echo "usage: look | tell | converge | check | compare UNIT..., leave | left" >&2
    exit 2
    ;;
esac
exit "$status"
