#!/bin/sh
# Print everything on this machine that belongs to a lab.
# usage: leftovers.sh LAB
set -u
ip netns list | cut -d ' ' -f 1 | grep -e "^$1-" | sed 's/^/network namespace /'
ls -d "/run/netns/$1-"* "/run/plainlinux-vpc-lab/$1" "/run/plainlinux-vpc-lab/$1.lock" "/var/lib/plainlinux-vpc-lab/$1" \
  /run/systemd/nspawn/*/"$1-"* 2>/dev/null
find /sys/fs/cgroup -type d -path "*/plainlinux-vpc-lab/$1" 2>/dev/null
grep -F -e "/plainlinux-vpc-lab/$1/" /proc/self/mountinfo | sed 's/^/mount /'
# Each program of a lab names it: its supervisors as an argument, systemd-nspawn in the path of its root.
pattern="_lab\.[a-z]+\x00$1\x00|/plainlinux-vpc-lab/$1/"
# Listed before there is a grep, whose own words match.
set -- /proc/[0-9]*/cmdline
grep -a -l -P -e "$pattern" "$@" 2>/dev/null |
  while read -r file; do
    # It may have ended meanwhile.
    words=$({ tr '\0' ' ' <"$file"; } 2>/dev/null)
    [ -z "$words" ] || echo "process $(echo "$file" | tr -dc 0-9): $words"
  done
exit 0
