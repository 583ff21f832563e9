#!/bin/sh
# Print what a host has that a role could change: its network, /etc, and its units. Counters, timers and numbers that
# the kernel hands out are left out.
# usage: dump.sh
set -u
export LC_ALL=C

# An address that is being checked for a duplicate has no route yet.
n=0
while [ -n "$(ip -6 -o addr show tentative)" ] && [ "$n" -lt 50 ]; do
  n=$((n + 1))
  sleep 0.1
done

echo "== links"
ip -d -o link | sed -E 's/^[0-9]+: //; s/@[^:]*:/:/; s/ link-netns(id)? [^ \\]+//; s/[a-z_]+_timer +[0-9.]+//g' | sort
echo "== forwarding entries that nobody learnt"
bridge fdb show | grep -E 'static|sticky|permanent' | sort
echo "== addresses"
ip -o addr | sed -E 's/^[0-9]+: //; s/ tentative//' | sort
echo "== rules"
ip -N -4 rule
ip -N -6 rule
echo "== routes"
ip -N -4 route show table all | sort
ip -N -6 route show table all | sort -u
echo "== sysctls"
grep -r -s . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/neigh /proc/sys/net/ipv6/neigh \
  /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge | sort
echo "== packet filter"
if command -v nft >/dev/null; then
  nft -s list ruleset
fi
if command -v ipset >/dev/null; then
  ipset save | sort
fi
echo "== files"
for folder in /etc /usr/local /run/plainlinux* /var/lib/plainlinux*; do
  if [ -d "$folder" ]; then
    # The kernel's count of changes, as it was at the last run, is in a file.
    find "$folder" -name '*.generation.json' -print -o -type f -exec sha256sum {} + -o -type l -printf '%p -> %l\n' -o -type d -printf '%p/\n'
  fi
done | sort -k 2
echo "== units"
systemctl list-unit-files --no-legend --plain --no-pager | sort
systemctl list-units --failed --no-legend --plain --no-pager
echo "== end"
