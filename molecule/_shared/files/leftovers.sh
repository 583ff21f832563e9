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
for process in /proc/[0-9]*; do
  { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -E -e "_lab\.[a-z]+ $1 |/plainlinux-vpc-lab/$1/" |
    sed "s,^,process ${process#/proc/}: ,"
done
exit 0
