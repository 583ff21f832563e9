# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All ports at once: after a boot, or after the guests' files, the ports or the rules have changed."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.address import ADDRESS_AWK

# Arguments: records. Writes below run/sync: commands for nft (old, new) and bridge, records that change (vif/), names
# and guests of ports that are nobody's any more (gone) or another guest's (moved), names whose interface is another one
# (strange), names, guests of new records (fresh), ports to close, what ports were before (was/), numbers of interfaces
# that no record names (idle). One process for all, where one for each would take seconds.
_SYNC_AWK = r"""
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
# The first line of a file, or what is to be taken for it.
function first(file, other,  line) {
  line = other
  getline line <file
  close(file)
  return line
}
function settings(name,  port) {
  port = "/sys/class/net/" name "/brport/"
  if (first(port "learning", "") == "") return ""
  return first(port "learning", 1) " " first(port "unicast_flood", 1) " " first(port "bpdu_guard", 0) " " \
    first(port "group_fwd_mask", "0x0") " " first("/proc/sys/net/ipv6/conf/" name "/disable_ipv6", 0)
}
function one(name, file,  line, lines, count, before, had, text, flags, guest, ipv6, recorded, now, other) {
  now = first("/sys/class/net/" name "/ifindex", "none")
  delete idle_was[now]
  count = 0
  recorded = "none"
  while ((getline line <file) > 0) {
    before = before line "\n"
    if (line ~ /^add /) { lines[++count] = line; had = had line "\n" }
    else if (line ~ /^# guest /) guest = substr(line, 9)
    else if (line ~ /^# ipv6 /) ipv6 = substr(line, 8)
    else if (line ~ /^# ifindex /) { split(line, words, " "); recorded = words[3] }
  }
  close(file)
  other = recorded != "none" && now != "none" && recorded != now
  if (ipv6 != "" && (name in claimed || !expand(ipv6))) ipv6 = ""
  text = ""
  if (guest != "" && !(other || now == "none" && name in aged)) text = render(guest, name, ipv6, now)
  if (text == "" && name in planned) {
    if (guest != planned[name] && guest != "") { reset(name); print name, guest >moved }
    guest = planned[name]
    ipv6 = ""
    text = render(guest, name, "", now)
  }
  if (text == "" || ADDS != had) drop(name, lines, count)
  if (text != "") text = header(guest, ipv6, now == "none" && recorded != "none" ? recorded " gone" : now) text
  if (text != before) {
    if (text == "") { reset(name); print name, guest >gone; if (other) print name >strange; return }
    file = run "/sync/vif/" name
    printf "%s", text >file
    close(file)
    print name, guest >fresh
  }
  printf "%s", ADDS >new
  if (now == "none" || first("/sys/class/net/" name "/brport/group_fwd_mask", "") == "") return
  if (first("/sys/class/net/" name "/brport/group_fwd_mask", "") != "0xfffd" ||
      first("/proc/sys/net/ipv6/conf/" name "/disable_ipv6", 1) != 1) print name >ports
  if (!(now in was)) {
    file = run "/sync/was/" now
    print settings(name) >file
    close(file)
  }
  flags = substr(text, index(text, "# port ") + 7)
  sub(/\n.*/, "", flags)
  gsub(/-/, ":", guest)
  print "link set dev " name " " flags >commands
  print "fdb replace " guest " dev " name " master static sticky" >commands
}
function header(guest, ipv6, number) {
  return "# guest " guest "\n" (ipv6 == "" ? "" : "# ipv6 " ipv6 "\n") "# ifindex " number "\n"
}
# Text of a file of guests for a port; ADDS has the commands of it. number: of the interface; without one, what names no
# port does not count.
function render(guest, name, ipv6, number,  line, text, file, i) {
  ADDS = ""
  file = "guests/" guest
  while ((getline line <file) > 0) {
    if (line ~ /^# ipv6 /) {
      if (ipv6 == "" || !expand(ipv6)) continue
      sub(/^# ipv6 /, "", line)
      gsub(/@address@/, ADDRESS, line)
      gsub(/@number@/, NUMBER, line)
      for (i = 1; i <= 4; i++) gsub("@word" i "@", WORD[i], line)
    }
    if (number == "none" && line ~ /^add [^"]*$/) continue
    gsub(/@vif@/, name, line)
    text = text line "\n"
    if (line ~ /^add /) ADDS = ADDS line "\n"
  }
  close(file)
  return text
}
function output(name) {
  name = run "/sync/" name
  printf "" >name
  return name
}
BEGIN {
  old = output("old"); new = output("new"); commands = output("bridge"); gone = output("gone")
  moved = output("moved"); strange = output("strange"); fresh = output("fresh"); ports = output("ports")
  idle = output("idle")
  while ((getline line <(run "/sync/aged")) > 0) { sub(/.*\//, "", line); aged[line] = 1 }
  while ((getline line <(run "/sync/known")) > 0) was[line] = idle_was[line] = 1
  while ((getline line <(run "/sync/claimed")) > 0) { split(line, words, " "); claimed[words[1]] = 1 }
  while ((getline line <"names") > 0) {
    split(line, words, " ")
    gsub(/:/, "-", words[2])
    planned[words[1]] = words[2]
  }
  for (i = 1; i < ARGC; i++) {
    name = ARGV[i]
    sub(/.*\//, "", name)
    known[name] = 1
    one(name, ARGV[i])
  }
  for (name in planned) if (!(name in known)) one(name, "")
  for (number in idle_was) print number >idle
}
"""

_PROGRAM = f"""
sync_awk='{ADDRESS_AWK}{_SYNC_AWK}'
"""

_SHELL = r"""
# Addresses from Xen's configurations that the inventory has since given to another guest.
claimed_since() {
  grep -r '^# ipv6 ' "$run/vif" | awk -F '[: ]' "$address_awk"'
    {
      file = $1
      sub(/.*\//, "", file)
      text = $0
      sub(/.*# ipv6 /, "", text)
      getline line <$1
      close($1)
      if (expand(text)) print file, substr(line, 9), ADDRESS, NUMBER
    }' >"$run/claims"
  if [ ! -s "$run/claims" ]; then return 0; fi
  claimed "$run/claims" | tee "$run/sync/claimed" | while read -r name other; do
    complain "$name: its IPv6 address belongs to $(mac_of "$other") now"
  done
}

# Of interfaces that are gone.
forget_originals() {
  if [ ! -s "$run/sync/idle" ]; then return 0; fi
  cat /sys/class/net/*/ifindex 2>/dev/null >"$run/sync/live" || :
  awk -v at="$run/was/" '
    FNR == NR { live[$1] = 1; next }
    !($1 in live) { print at $1 }
  ' "$run/sync/live" "$run/sync/idle" | xargs -r rm -f
}

sync() {
  start
  rm -rf "$run/sync"
  mkdir "$run/sync" "$run/sync/vif" "$run/sync/was"
  # What is being plugged in may be known before it exists, but not for more than a minute.
  find "$run/vif" -type f -mmin +1 >"$run/sync/aged"
  claimed_since
  ls "$run/was" >"$run/sync/known"
  set -- "$run/vif/"*
  if [ ! -e "$1" ]; then shift; fi
  awk -v run="$run" -v table="$table" -v counted="$counted" "$sync_awk" "$@"
  chains || fail 1 "iptables refuses $run/chains4 or 6"
  cat "$run/sync/old" "$run/sync/new" | nft -f - || fail 1 "nft refuses the elements of $run/sync"
  # While the records still say whose entries these were.
  cat "$run/sync/gone" "$run/sync/moved" | awk '{ gsub(/-/, ":", $2); print "fdb del " $2 " dev " $1 " master" }' |
    bridge -force -batch - 2>/dev/null || :
  while read -r name guest; do
    rm -f "$run/vif/$name" "$run/mac/$guest/$name"
  done <"$run/sync/gone"
  while read -r name guest; do
    rm -f "$run/mac/$guest/$name"
  done <"$run/sync/moved"
  awk -v at="$run/mac/" '{ print at $2 }' "$run/sync/fresh" | xargs -r mkdir -p
  while read -r name guest; do
    : >"$run/mac/$guest/$name"
  done <"$run/sync/fresh"
  find "$run/sync/vif" -type f -exec mv -t "$run/vif" {} +
  good=0
  if [ -e chains4 ]; then
    mv "$run/chains4" "$run/chains6" "$run/sync"
    render_chains
    if ! cmp -s "$run/chains4" "$run/sync/chains4" || ! cmp -s "$run/chains6" "$run/sync/chains6"; then
      restore_chains || {
        complain "iptables refuses $run/chains4 or 6"
        good=1
      }
    fi
  fi
  find "$run/sync/was" -type f -exec mv -t "$run/was" {} +
  forget_originals
  while read -r name; do
    close_to_host 0xfffd 1 || :
  done <"$run/sync/ports"
  # Ports come and go meanwhile.
  bridge -force -batch "$run/sync/bridge" 2>/dev/null || :
  bridges || good=1
  give_back bridges
  while read -r name; do
    learn
    if [ -n "$mac" ]; then
      guest_of "$mac"
      attach "$given"
    fi
  done <"$run/sync/strange"
  rm -rf "$run/sync"
  return "$good"
}
"""
SYNC = _PROGRAM + _SHELL
