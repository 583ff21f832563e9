#!/bin/sh
# Things of somebody else on a host, as close to ours as they can be.
# usage: foreign.sh add | remove | show
set -u
export LC_ALL=C
add() {
  set -e
  ip link show br-foreign >/dev/null 2>&1 || ip link add br-foreign address 02:00:00:00:00:63 alias 'plainlinux.vpc, but not ours' type bridge
  ip link set br-foreign up
  ip addr replace 203.0.113.1/24 dev br-foreign
  ip route replace 203.0.113.128/25 via 203.0.113.2 dev br-foreign proto 172
  ip route replace unreachable 10.10.99.0/24 proto static
  ip route replace default via 203.0.113.2 dev br-foreign table 4242 proto 178
  ip -6 route replace unreachable 2001:db8:99::/64 proto static
  ip rule show | grep -q 4242 || ip rule add pref 20000 iif br-foreign lookup 4242
  echo 1 >/proc/sys/net/ipv4/conf/br-foreign/proxy_arp
  nft -f - <<'NFT'
table inet plainlinux
flush table inet plainlinux
table inet plainlinux {
  set nat4 { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }; }
  chain postrouting { type nat hook postrouting priority 100; ip saddr @nat4 counter accept; }
}
NFT
  ipset create -exist vpc-foreign hash:net
  ipset add -exist vpc-foreign 203.0.113.0/24
  mkdir -p /etc/plainlinux-vpc.d /etc/systemd/networkd.conf.d
  echo '# somebody else' >/etc/plainlinux-vpc.d/file
  echo '# somebody else' >/etc/systemd/networkd.conf.d/other.conf
}
remove() {
  ip rule del pref 20000 iif br-foreign lookup 4242
  ip route del unreachable 10.10.99.0/24 proto static
  ip -6 route del unreachable 2001:db8:99::/64 proto static
  ip link del br-foreign
  nft delete table inet plainlinux
  ipset destroy vpc-foreign
  rm -r /etc/plainlinux-vpc.d /etc/systemd/networkd.conf.d
}
show() {
  # neither counters nor numbers that the kernel hands out
  ip -d -o link show br-foreign | sed -E 's/^[0-9]+: //; s/[a-z_]+_timer +[0-9.]+//g'
  ip -o addr show br-foreign | sed -E 's/^[0-9]+: //; s/ tentative//'
  ip -N route show table 4242
  ip -N route show proto 172
  ip -N route show 10.10.99.0/24
  ip -N -6 route show 2001:db8:99::/64
  ip -N rule show table 4242
  cat /proc/sys/net/ipv4/conf/br-foreign/proxy_arp
  nft -s list table inet plainlinux
  ipset save vpc-foreign
  cat /etc/plainlinux-vpc.d/file /etc/systemd/networkd.conf.d/other.conf
}
"$1"
