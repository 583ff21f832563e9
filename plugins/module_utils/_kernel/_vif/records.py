# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port is which guest: its record, its elements in the guard's sets, and how both change together."""

from __future__ import annotations

RECORDS = r"""
# For sed: without the elements that name no port. What they say, that frames from outside must not bear a guest's MAC
# and addresses, is so while the guest runs here.
nameless='/^add [^"]*$/d'

# What is recorded of a port; empty where nothing is.
recall() {
  bound=
  ipv6=
  recorded=
  if [ -e "$run/vif/$name" ]; then
    while read -r _ key rest; do
      case $key in
        guest) bound=$rest ;;
        ipv6) ipv6=$rest ;;
        ifindex) recorded=${rest% gone} ;;
        port) break ;;
      esac
    done <"$run/vif/$name"
  fi
}

# What a guest (name of its file) has on a port (name), with the address that Xen's configuration names, if any. $4: for
# sed, what to leave out.
render() {
  less=${4-}
  if [ -n "$3" ]; then
    set -- "$1" "$2" $(expand "$3")
    sed "s/^# ipv6 //;$less;s/@vif@/$2/g;s/@address@/$3/g;s/@number@/$4/g
      s/@word1@/$5/g;s/@word2@/$6/g;s/@word3@/$7/g;s/@word4@/$8/g" "guests/$1"
  else
    sed "/^# ipv6 /d;$less;s/@vif@/$2/g" "guests/$1"
  fi
}

# Commands from standard input, each for every element: first added, so that none is missing, then deleted.
removal() {
  sed -n '/^add /{p;s/ : goto [a-z_]*//g;s/^add /delete /;p;}'
}

# The guest that the plan has for the port.
plan_of() {
  planned=
  if [ -e names ]; then
    planned=$(awk -v name="$name" '$1 == name { gsub(":", "-", $2); print $2; exit }' names)
  fi
}

# Everything that the port may have in the sets: as recorded, as its guest's file has it now, as the plan has it.
known() {
  if [ -n "$bound" ]; then
    sed -n '/^add /p' "$run/vif/$name"
    if [ -e "guests/$bound" ]; then render "$bound" "$name" "$ipv6" | sed -n '/^add /p'; fi
  fi
  if [ -n "$planned" ] && [ "$planned" != "$bound" ] && [ -e "guests/$planned" ]; then
    render "$planned" "$name" "" | sed -n '/^add /p'
  fi
}

# MACs and addresses that stand in sets without a port stay while another port of the same guest is there.
siblings() {
  for file in "$run/mac/$1/"*; do
    if [ -e "$file" ] && [ "${file##*/}" != "$name" ]; then sed -n '/^add /p' "$run/vif/${file##*/}"; fi
  done
}

# The same of what other guests have too, as virtual routers do. Few guests can: those with more than one MAC, or more
# than one address of a family, but for the link-local one.
shared() {
  if echo "$old" | grep -qE '^add [^"]* (local_macs|local4) .*,|^add [^"]* local6 .*,.*,'; then
    echo "$old" | sed -n 's/^add [^"]*{ \(.*\) }$/\1/p' | tr -s ', ' '\n' >"$run/words"
    grep -rhF -f "$run/words" --exclude="$name" "$run/vif" | sed -n '/^add [^"]*$/p'
  fi
}

# The first lines of a record, up to `# port`. $1: guest, $2: IPv6 address or nothing.
header() {
  echo "# guest $1"
  if [ -n "$2" ]; then echo "# ipv6 $2"; fi
  echo "# ifindex $index"
}

forget() {
  if [ -n "$1" ]; then rm -f "$run/mac/$1/$name"; fi
  rm -f "$run/vif/$name"
}

# Counters of drops and broadcasts are of the guest that was there.
reset() {
  for set in $counted; do
    echo "add element $table $set { \"$name\" }"
    echo "delete element $table $set { \"$name\" }"
  done
}

# Gives the port `name`, of the interface `index` or of none yet, to `guest`, with the IPv6 address $1 or none.
bind() {
  old=$(known)
  less=
  if [ "$index" = none ]; then less=$nameless; fi
  new=$(render "$guest" "$name" "$1" "$less")
  shutter=
  has=
  if [ "$bound" = "$guest" ]; then
    has=$(sed -n '/^# port /,$p' "$run/vif/$name")
    if [ "$has" = "$new" ]; then
      old=
    elif [ "$(echo "$has" | sed "$nameless")" = "$(echo "$new" | sed "$nameless")" ]; then
      # Its interface has come, and only adds to what there is; or it has gone.
      old=
      if [ -n "$less" ]; then old=$(echo "$has" | sed -n '/^add [^"]*$/p'); fi
    fi
  fi
  [ -d "$run/mac/$guest" ] || mkdir "$run/mac/$guest"
  : >"$run/mac/$guest/$name"
  {
    header "$guest" "$1"
    echo "$new"
  } >"$run/new"
  if [ -z "$old" ]; then
    # Deleting costs the kernel several times what adding does.
    if [ -z "$bound" ] && [ -e chains4 ]; then
      unfinished
      chains || refused
    else
      mv "$run/new" "$run/vif/$name"
    fi
    echo "$new" | nft -f - || refused
    if [ -e "$run/new" ]; then mv "$run/new" "$run/vif/$name"; fi
  else
    # Until the change is made, the record names what was and what will be: this may be killed.
    if [ -n "$bound" ]; then cp "$run/vif/$name" "$run/before"; fi
    before=${bound:-$planned}
    hands=
    if [ -e chains4 ]; then
      case $before/$has in
        *"# unfinished") hands=change ;;
        "$guest"/*) ;;
        *) hands=change ;;
      esac
    fi
    if [ -n "$hands" ]; then shutter; fi
    {
      header "${bound:-$guest}" "$ipv6"
      echo "$old"
      echo "$new" | sed -n '/^add /p'
      echo "$shutter"
    } >"$run/both"
    mv "$run/both" "$run/vif/$name"
    if [ -n "$hands" ]; then
      # Whose rules iptables has, and whose elements nft has, is the same guest at all times.
      {
        echo "$shutter"
        echo "$old" | removal
        reset
        shared
        if [ -n "$bound" ]; then siblings "$bound"; fi
      } | nft -f - || refused
      unstick "$guest"
      unfinished
      chains || refused
      {
        echo "$new"
        echo "$shutter" | removal
      } | nft -f - || refused
      mv "$run/new" "$run/vif/$name"
    else
      {
        echo "$old" | removal
        if [ "$bound" != "$guest" ] || [ -n "$less" ]; then reset; fi
        shared
        if [ -n "$bound" ] && [ "$bound" != "$guest" ]; then siblings "$bound"; fi
        siblings "$guest"
        echo "$new"
      } | nft -f - || refused
      unstick "$guest"
      mv "$run/new" "$run/vif/$name"
      chains || fail 1 "$name: iptables refuses the rules of $mac; \`vif sync\` tries again"
    fi
  fi
  if [ -n "$bound" ] && [ "$bound" != "$guest" ]; then rm -f "$run/mac/$bound/$name"; fi
}

# Until iptables and nft both have the rules: whoever finds this record makes sure of both.
unfinished() {
  {
    cat "$run/new"
    echo "$shutter"
    echo "# unfinished"
  } >"$run/both"
  mv "$run/both" "$run/vif/$name"
}

# What refuses everything from the port while it has no elements of its own: nft lets alone a name that neither it nor
# its form tells. Empty where that stands already.
shutter() {
  unknown="element $table planned { \"$name\" }"
  if ! nft get $unknown >/dev/null 2>&1; then shutter="add $unknown"; fi
}

# nft changes all or nothing, so the record is again what it was.
refused() {
  if [ -n "$bound" ] && [ -n "$old" ]; then
    mv "$run/before" "$run/vif/$name"
    if [ "$bound" != "$guest" ]; then
      rm -f "$run/mac/$guest/$name"
      stick
    fi
    if [ -e chains4 ]; then
      chains && {
        cat "$run/vif/$name"
        echo "$shutter" | removal
      } | nft -f - || :
    fi
  elif [ -z "$bound" ]; then
    forget "$guest"
    chains || :
  fi
  fail 1 "$name: the rules of $mac are refused"
}

# Takes everything from the port `name`.
erase() {
  old=$(known)
  {
    echo "$old" | removal
    reset
    shared
    if [ -n "$bound" ]; then siblings "$bound"; fi
  } | nft -f - || fail 1 "$name: nft refuses to delete its elements"
  unstick ""
  forget "$bound"
  if [ -n "$bound$planned" ]; then
    chains || fail 1 "$name: iptables refuses the rules without it; \`vif sync\` tries again"
  fi
}

add() {
  check_name "$1"
  guest_of "$2"
  start
  attach "$3"
}

# The rest of `add`, with the lock held.
attach() {
  recall
  plan_of
  index_now
  if [ ! -e "guests/$guest" ]; then
    erase
    fail 3 "$mac: no guest with this MAC address was declared for this host"
  fi
  choose_ipv6 "$1"
  bind "$chosen"
  close_port
}

del() {
  check_name "$1"
  if [ -n "$2" ]; then guest_of "$2"; fi
  start
  recall
  if [ -n "$2" ] && [ -n "$bound" ] && [ "$bound" != "$guest" ]; then return 0; fi
  detach
}

# The rest of `del`. A name that the plan has is its guest's whether a port bears it or not; it counts as if none did.
detach() {
  plan_of
  if [ -z "$planned" ] || [ ! -e "guests/$planned" ]; then
    erase
    return 0
  fi
  unstick ""
  guest=$planned
  mac=$(mac_of "$planned")
  index=none
  bind ""
  # Two transactions that delete take twice as long.
  if [ -z "$old" ]; then reset | nft -f -; fi
}
"""
