# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An IPv6 address that Xen's configuration names: what it is, and whether it is another guest's."""

from __future__ import annotations

# Also part of the program of `sync`. expand() puts an address as the kernel prints it into ADDRESS, and as nft writes
# raw bytes into NUMBER, its words into WORD; 0 if the text is no address that a guest may have of its own.
ADDRESS_AWK = r"""
function hex(text) {
  sub(/^0+/, "", text)
  return "0x" (text == "" ? "0" : text)
}
function expand(text,   halves, left, right, groups, group, many, few, i, run, best, start) {
  text = tolower(text)
  if (text !~ /^[0-9a-f:]+$/ || text ~ /:::/) return 0
  many = split(text, halves, "::")
  if (many > 2) return 0
  few = split(halves[1], left, ":")
  for (i = 1; i <= few; i++) groups[i] = left[i]
  if (many == 1) {
    if (few != 8) return 0
  } else {
    many = split(halves[2], right, ":")
    if (few + many > 7) return 0
    for (i = few + 1; i <= 8 - many; i++) groups[i] = "0"
    for (i = 1; i <= many; i++) groups[8 - many + i] = right[i]
  }
  NUMBER = ""
  for (i = 1; i <= 8; i++) {
    group = groups[i]
    if (group == "" || length(group) > 4) return 0
    group = substr("0000" group, length(group) + 1)
    NUMBER = NUMBER group
    sub(/^0+/, "", group)
    groups[i] = group == "" ? "0" : group
    run = groups[i] == "0" ? run + 1 : 0
    if (run > 1 && run > best) { best = run; start = i - run + 1 }
  }
  # Reserved, link-local and multicast.
  if (NUMBER ~ /^(00|fe[89ab]|ff)/) return 0
  for (i = 1; i <= 4; i++) WORD[i] = hex(substr(NUMBER, i * 8 - 7, 8))
  NUMBER = hex(NUMBER)
  ADDRESS = ""
  for (i = 1; i <= 8; i++) {
    if (best && i == start) { ADDRESS = ADDRESS "::"; i += best - 1 }
    else ADDRESS = ADDRESS (ADDRESS == "" || ADDRESS ~ /:$/ ? "" : ":") groups[i]
  }
  return 1
}
"""

# Input: files of guests. claims: lines of port, guest, address and number. Prints the ports whose address is declared
# for another guest.
_CLAIMED_AWK = r"""
BEGIN {
  while ((getline line <claims) > 0) {
    split(line, words, " ")
    port[++many] = words[1]; guest[many] = words[2]; address[many] = words[3]; number[many] = words[4]
    wanted[words[3]] = wanted[words[4]] = 1
  }
}
{
  count = split($0, words, /[^0-9a-fx:.]+/)
  for (i = 1; i <= count; i++) if (words[i] in wanted) {
    file = FILENAME
    sub(/.*\//, "", file)
    if (owners[words[i]] !~ file) owners[words[i]] = owners[words[i]] " " file
  }
}
END {
  for (i = 1; i <= many; i++) {
    count = split(owners[address[i]] owners[number[i]], words, " ")
    for (j = 1; j <= count; j++) if (words[j] != guest[i]) { print port[i], words[j]; break }
  }
}
"""

_PROGRAMS = f"""
address_awk='{ADDRESS_AWK}'
claimed_awk='{_CLAIMED_AWK}'
"""

_SHELL = r"""
# An address as the kernel prints it, its number, its four words; nothing where it is none.
expand() {
  awk -v text="$1" "$address_awk"'BEGIN { if (expand(text)) print ADDRESS, NUMBER, WORD[1], WORD[2], WORD[3], WORD[4] }'
}

# Ports, of the lines of port, guest, address and number in the file $1, whose address is another declared guest's.
claimed() {
  awk '{ print $3; print $4 }' "$1" >"$run/words"
  grep -rlF -f "$run/words" guests | xargs -r awk -v claims="$1" "$claimed_awk"
}

# Another guest, whose port is there, that got the address from its configuration.
taken() {
  grep -rlxF "# ipv6 $1" "$run/vif" | while read -r file; do
    read -r _ _ other <"$file"
    if [ "$other" != "$guest" ] && [ -e "/sys/class/net/${file##*/}" ]; then echo "${file##*/} $other"; fi
  done
}

# chosen: the address $1 as the kernel prints it, if `guest` takes one and may have this one. Else the guest gets what
# the inventory says, and nothing more.
choose_ipv6() {
  chosen=
  if [ -z "$1" ] || ! grep -q '^# ipv6 ' "guests/$guest"; then return 0; fi
  set -- "$1" $(expand "$1")
  if [ $# -eq 1 ]; then
    complain "$name: not an IPv6 address that a guest may have: $1"
    return 0
  fi
  echo "$name $guest $2 $3" >"$run/claims"
  whose=$(claimed "$run/claims")
  if [ -z "$whose" ]; then whose=$(taken "$2"); fi
  if [ -n "$whose" ]; then
    complain "$name: the IPv6 address $2 belongs to $(mac_of "${whose##* }")"
  elif nft get element $table protected6 "{ $2 }" >/dev/null 2>&1 || grep -qsF -e " $2/128 " chains6; then
    complain "$name: the IPv6 address $2 is a gateway's"
  else
    chosen=$2
  fi
}
"""
ADDRESS = _PROGRAMS + _SHELL
