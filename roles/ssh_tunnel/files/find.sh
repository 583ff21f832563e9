#!/bin/sh
# Print what is known of a host before its tunnels are planned: a line for each thing, read by _plan/ssh_tunnel.py.
# usage: find.sh make|look KIND:NAME...      KIND: account, device, route (what must not be somebody else's), key (made if it is missing)
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

folder=/etc/plainlinux-vpc/ssh_tunnel
mark=plainlinux.vpc:ssh_tunnel
comment='plainlinux.vpc SSH tunnel'
protocol=177

# Where something is in the way, nothing is made.
in_the_way() {
  echo "$*"
  make=look
}

account() {
  entry=$(getent passwd "$1") || return 0
  case $(echo "$entry" | cut -d : -f 5) in "$comment "*) ;; *) in_the_way foreign_account "$1" ;; esac
}

device() {
  [ ! -e "/sys/class/net/$1" ] || grep -qsxF "$mark" "/sys/class/net/$1/ifalias" || in_the_way foreign "$1"
}

route() {
  family=4
  case $1 in *:*) family=6 ;; esac
  if ip "-$family" -N route show table main exact "$1" 2>/dev/null | grep -qv " proto $protocol "; then
    in_the_way taken "$1"
  fi
}

key() {
  file=$folder/keys/$1
  if [ ! -e "$file" ] && [ "$make" = make ]; then
    (umask 077 && mkdir -p "$folder/keys")
    chmod 755 /etc/plainlinux-vpc "$folder"
    ssh-keygen -q -t ed25519 -N '' -C "plainlinux.vpc $1" -f "$file" </dev/null
    echo "made $1"
  fi
  [ ! -e "$file" ] || ssh-keygen -y -f "$file" | sed "s/^/public $1 /"
}

# What other runs have left, for a run without the other end.
known() {
  for file in "$folder"/authorized/*; do
    [ ! -e "$file" ] || sed "s,^[^ ]* ,authorized ${file##*/} ," "$file"
  done
  for file in "$folder"/known_hosts/*; do
    [ ! -e "$file" ] || sed "s,^[^ ]* ,known ${file##*/} ," "$file"
  done
}

# The server's own word for where its keys are, if it can give it.
host_keys() {
  { sshd -T 2>/dev/null || true; } | sed -n 's/^hostkey //p' | grep . || ls /etc/ssh/ssh_host_*_key 2>/dev/null || true
}

host() {
  [ -e /dev/net/tun ] || in_the_way no_tun
  for file in $(host_keys); do
    [ ! -e "$file.pub" ] || sed 's/^/host_key /' "$file.pub"
  done
  if [ -e /etc/ssh/sshd_config ] && ! grep -qiE '^[[:space:]]*Include[[:space:]=].*sshd_config\.d/' /etc/ssh/sshd_config; then
    echo no_include
  fi
  [ ! -d /etc/NetworkManager ] || echo network_manager
}

make=$1
shift
host
known
for word; do
  "${word%%:*}" "${word#*:}"
done
