#!/bin/sh
# A site behind a tunnel's end: one host in a namespace of its own, with this host as its gateway.
# usage: site.sh add NET4 NET6 | remove      NET4: 10.71.0, NET6: fd00:71:
set -eu
if [ "$1" = remove ]; then
  ip netns del site
  exit
fi
ip netns add site
# The same addresses after a reboot as before.
ip link add site0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns site
ip link set site0 addrgenmode none
ip -n site link set eth0 addrgenmode none
ip addr add "$2.1/24" dev site0
ip -n site addr add "$2.2/24" dev eth0
for prefix in "$3:" fe80::; do
  ip addr add "${prefix}1/64" dev site0 nodad
  ip -n site addr add "${prefix}2/64" dev eth0 nodad
done
ip link set site0 up
ip -n site link set lo up
ip -n site link set eth0 up
ip -n site route add default via "$2.1"
ip -n site -6 route add default via "$3:1"
