#!/bin/sh
# Written by the Ansible collection plainlinux.vpc; changes are overwritten.
# Interfaces, addresses, routes and accounts of SSH tunnels, as the file `state` beside this one says.
#   up        make the kernel equal to it; what is right already is not touched (runs at boot)
#   converge  the same, enable and start the units, and take away what older files had
#   check     print what differs
#   ask       the same, and ping the other ends TUNNEL:DEVICE:ADDRESS:SECONDS, each for as long as that
#   left      print what `down` would take away
#   down      take everything away
#   served    complain where the SSH server does not treat ACCOUNT... as our file says
# Each line of output of up, converge and down is a change.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

folder=/etc/plainlinux-vpc/ssh_tunnel
runtime=/run/plainlinux-vpc-ssh-tunnel
shared=/etc/plainlinux-vpc/sysctl-original.json
sshd=/etc/ssh/sshd_config.d/00-plainlinux-vpc-ssh-tunnel.conf
units=/etc/systemd/system
unit=plainlinux-vpc-ssh-tunnel
mark=plainlinux.vpc:ssh_tunnel
comment='plainlinux.vpc SSH tunnel'
table='inet plainlinux_ssh_tunnel'
protocol=177
status=0

wrong() {
  echo "$*" >&2
  status=1
}

# did CHANGE COMMAND...: run a command and say what it changed.
did() {
  change=$1 && shift
  if "$@"; then echo "$change"; else wrong "failed: $change"; fi
}

# rows KIND: the lines of the wanted state that start with this word, without it.
rows() {
  [ ! -e "$folder/state" ] || sed -n "s/^$1 //p" "$folder/state"
}

wanted() {
  [ ! -e "$folder/state" ] || grep -qxF "$*" "$folder/state"
}

devices() {
  grep -lsxF "$mark" /sys/class/net/*/ifalias | cut -d / -f 5
}

owner() {
  id=$(cat "/sys/class/net/$1/owner" 2>/dev/null || echo -1)
  if [ "$id" = -1 ]; then echo nobody; else getent passwd "$id" | cut -d : -f 1 | grep . || echo "$id"; fi
}

routes() {
  for family in 4 6; do
    # A host without IPv6 has no routes of it.
    ip "-$family" -N route show table main proto "$protocol" 2>/dev/null || true
  done | while read -r prefix rest; do
    case $prefix in */*) ;; *:*) prefix=$prefix/128 ;; *) prefix=$prefix/32 ;; esac
    device=${rest#*dev }
    echo "${device%% *} $prefix"
  done
}

# Not getent: a directory service may hold many.
accounts() {
  awk -F : -v comment="$comment" 'index($5, comment " ") == 1 { print $1 }' /etc/passwd
}

forwarding() {
  if [ "$1" = 4 ]; then echo net/ipv4/ip_forward; else echo net/ipv6/conf/all/forwarding; fi
}

# Folders that root's umask has hidden from the accounts, and so from sshd, which reads the keys as those.
hidden() {
  [ -e "$folder/state" ] || return 0
  for place in "${folder%/*}" "$folder"; do
    case $(stat -c %a "$place") in *[1357]) ;; *) echo "$place" ;; esac
  done
}

# What the kernel has, in the words of the file `state`.
present() {
  for device in $(devices); do
    flags=$(ip -o link show dev "$device" up | grep -q . && echo up || echo down)
    [ "$flags" = up ] || echo "down $device"
    echo "device $device $(owner "$device") $(cat "/sys/class/net/$device/mtu")"
    ip -o addr show dev "$device" | awk -v device="$device" '{ print "address", device, $4 }'
  done
  routes | sed 's/^/route /'
  hidden | sed 's/^/hidden /'
  for name in $(accounts); do echo "account $name"; done
  for name in $(rows served); do (served "$name" && exit "$status") >/dev/null 2>&1 && echo "served $name"; done
  for family in 4 6; do
    # Forwarding that others switched on is no difference.
    key=$(forwarding "$family")
    if wanted forward "$family"; then
      [ "$(cat "/proc/sys/$key")" = 0 ] || echo "forward $family"
    elif grep -qs "^$key " "$folder/original"; then
      echo "forward $family"
    fi
  done
  for name in $(rows client) $(running); do
    ! systemctl is-active --quiet "$unit-$name" || echo "client $name"
  done | sort -u
  for file in "$folder"/keys/*; do
    case $file in *.pub | *\*) ;; *) echo "key ${file##*/}" ;; esac
  done
  if filter_right; then
    echo mss
  elif [ -n "$(filter)" ]; then
    echo "mss changed"
  fi
  ! systemctl is-enabled --quiet "$unit" 2>/dev/null || echo "unit enabled"
  ! systemctl is-active --quiet "$unit" || echo "unit active"
}

running() {
  systemctl list-units --plain --no-legend --all "$unit-*.service" 2>/dev/null | sed -n "s/^$unit-\\(.*\\)\\.service .*/\\1/p"
}

# nft prints rules in words of its own: what it printed when they were new is what they are compared with.
filter_right() {
  filter | cmp -s - "$runtime/mss" && cmp -s "$folder/mss.nft" "$runtime/mss.nft"
}

filter() {
  # shellcheck disable=SC2086
  nft -s list table $table 2>/dev/null || true
}

check() {
  have=$(present | sort -u)
  want=$([ ! -e "$folder/state" ] || sort -u "$folder/state")
  { echo "$want"; echo "$have"; echo "$have"; } | sort | uniq -u | grep . | sed 's/^/missing: /' || true
  { echo "$have"; echo "$want"; echo "$want"; } | sort | uniq -u | grep . | sed 's/^/too much: /' || true
}

ask() {
  for word; do
    peer=${word#*:*:}
    device=${word#*:}
    reach "${word%%:*}" "${device%%:*}" "${peer%:*}" "${peer##*:}" &
  done
  wait
  check
}

reach() {
  until=$(($(date +%s) + $4))
  until ping -n -q -c 1 -W 1 -I "$2" "$3" >/dev/null 2>&1; do
    if [ "$(date +%s)" -ge "$until" ]; then
      said=$(journalctl -q -o cat --since -2min "_SYSTEMD_UNIT=$unit-$1.service" SYSLOG_IDENTIFIER=ssh 2>/dev/null | tail -n 1)
      echo "tunnel $1: no answer from $3 on $2 within $4 s${said:+; ssh said last: $said}"
      break
    fi
    sleep 0.5
  done
}

# Nothing is wanted.
left() {
  folder=$runtime/nothing
  check
}

make_device() {
  device=$1 account=$2 mtu=$3
  if [ -e "/sys/class/net/$device" ] && ! grep -qsxF "$mark" "/sys/class/net/$device/ifalias"; then
    wrong "$device: exists already and is not ours"
    return
  fi
  if [ -e "/sys/class/net/$device" ] && [ "$(owner "$device")" != "$account" ]; then
    did "device $device is given to $account" ip link del dev "$device"
  fi
  if [ ! -e "/sys/class/net/$device" ]; then
    did "device $device" ip tuntap add dev "$device" mode tun user "$account"
    # A line of its own: the link must have no IPv6 address of its own making when it comes up.
    ip link set dev "$device" alias "$mark" || wrong "failed: mark of $device"
    ip link set dev "$device" addrgenmode none 2>/dev/null || true
  fi
  if [ "$(cat "/sys/class/net/$device/mtu")" != "$mtu" ]; then
    did "mtu $device $mtu" ip link set dev "$device" mtu "$mtu"
  fi
  if ! ip -o link show dev "$device" up | grep -q .; then
    did "up $device" ip link set dev "$device" up
  fi
}

forward() {
  key=$(forwarding "$1")
  [ -e "/proc/sys/$key" ] && [ "$(cat "/proc/sys/$key")" = 0 ] || return 0
  if [ "$1" = 6 ]; then
    # A host that forwards ignores router advertisements, and would lose its default route.
    for place in /proc/sys/net/ipv6/conf/*/accept_ra; do
      case $place in */all/* | */default/* | */lo/*) continue ;; esac
      [ "$(cat "$place")" != 1 ] || keep "${place#/proc/sys/}" 2
    done
  fi
  keep "$key" 1
}

# keep KEY VALUE: set a sysctl and remember what it was.
keep() {
  grep -qs "^$1 " "$folder/original" || echo "$1 $(cat "/proc/sys/$1")" >>"$folder/original"
  did "sysctl $1 $2" write "$2" "$1"
}

write() {
  echo "$1" >"/proc/sys/$2"
}

# give_back PATTERN: put sysctls back, except those that another role of the collection has set too.
give_back() {
  [ -e "$folder/original" ] || return 0
  grep "$1" "$folder/original" >"$runtime/rows" || return 0
  while read -r key value; do
    grep -qsF "\"$key\"" "$shared" || [ ! -e "/proc/sys/$key" ] || did "sysctl $key $value" write "$value" "$key"
  done <"$runtime/rows"
  sed -i "\\|$1|d" "$folder/original"
  [ -s "$folder/original" ] || rm "$folder/original"
}

# Two at once would spoil each other's files: a boot, a reload and a run of the role. Whoever may read the file can hold it.
lock() {
  mask=$(umask)
  umask 077
  exec 9>"$runtime/lock"
  umask "$mask"
  flock 9
}

up() {
  lock
  mode=$(stat -c %a /dev/net/tun)
  # As a distribution's udev does: what counts is who owns an interface (Documentation/networking/tuntap.rst).
  case $mode in *[67]) ;; *) echo "$mode" >"$runtime/tun" && did "mode of /dev/net/tun" chmod o+rw /dev/net/tun ;; esac
  for place in $(hidden); do did "mode of $place" chmod o+x "$place"; done
  for name in $(rows account); do
    # Without UsePAM, sshd refuses a locked account whatever its key; "*" is no password either.
    case $(getent shadow "$name" | cut -d : -f 2) in
      '!'*) did "no password for $name, and no lock" usermod --password '*' "$name" ;;
    esac
  done
  for device in $(devices); do
    rows device | cut -d ' ' -f 1 | grep -qxF "$device" || did "no device $device" ip link del dev "$device"
  done
  rows device >"$runtime/rows"
  while read -r device account mtu; do
    make_device "$device" "$account" "$mtu"
  done <"$runtime/rows"
  for device in $(devices); do
    ip -o addr show dev "$device" | awk '{ print $4 }' >"$runtime/rows"
    while read -r address; do
      wanted address "$device" "$address" || did "no address $device $address" ip addr del "$address" dev "$device"
    done <"$runtime/rows"
    rows "address $device" >"$runtime/rows"
    while read -r address; do
      ip -o addr show dev "$device" | awk '{ print $4 }' | grep -qxF "$address" && continue
      case $address in
        *:*) did "address $device $address" ip addr add "$address" dev "$device" nodad ;;
        *) did "address $device $address" ip addr add "$address" dev "$device" ;;
      esac
    done <"$runtime/rows"
  done
  routes >"$runtime/rows"
  while read -r device prefix; do
    wanted route "$device" "$prefix" ||
      did "no route $device $prefix" ip route del "$prefix" dev "$device" proto "$protocol"
  done <"$runtime/rows"
  routes >"$runtime/routes"
  rows route >"$runtime/rows"
  while read -r device prefix; do
    # Not replaced: the route of somebody else stays, and the run fails.
    grep -qxF "$device $prefix" "$runtime/routes" ||
      did "route $device $prefix" ip route add "$prefix" dev "$device" proto "$protocol"
  done <"$runtime/rows"
  for family in 4 6; do
    if wanted forward "$family"; then
      forward "$family"
    elif [ "$family" = 4 ]; then
      give_back ^net/ipv4/
    else
      give_back ^net/ipv6/
    fi
  done
  if [ -e "$folder/mss.nft" ]; then
    if ! filter_right; then
      did "MSS" nft -f "$folder/mss.nft"
      filter >"$runtime/mss"
      cp "$folder/mss.nft" "$runtime/mss.nft"
    fi
  else
    no_filter
  fi
  rm -f "$runtime/rows" "$runtime/routes"
  # Before units start, which run this program.
  exec 9>&-
}

no_filter() {
  # shellcheck disable=SC2086
  [ -z "$(filter)" ] || did "no MSS" nft delete table $table
  rm -f "$runtime/mss" "$runtime/mss.nft"
}

# What is in the host and in no file.
tidy() {
  for name in $(running); do
    if ! wanted client "$name"; then
      did "no client $name" systemctl stop "$unit-$name.service"
      systemctl reset-failed "$unit-$name.service" 2>/dev/null || true
    fi
  done
  for name in $(accounts); do
    wanted account "$name" || no_account "$name"
  done
  for file in "$folder"/keys/*; do
    name=${file##*/}
    name=${name%.pub}
    [ ! -e "$file" ] || wanted key "$name" || did "no key ${file##*/}" rm "$file"
  done
  [ ! -d "$folder/keys" ] || rmdir --ignore-fail-on-non-empty "$folder/keys"
}

# Its sessions first: an account that is in use stays.
no_account() {
  pkill -KILL -u "$1" || true
  until=$(($(date +%s) + 5))
  while pgrep -u "$1" >/dev/null && [ "$(date +%s)" -lt "$until" ]; do sleep 0.1; done
  did "no account $1" userdel "$1"
}

converge() {
  tidy
  systemctl is-enabled --quiet "$unit" 2>/dev/null || did "enable $unit" systemctl enable --quiet "$unit"
  up
  for name in $unit $(rows client | sed "s/^/$unit-/"); do
    # A client between two attempts is activating.
    case $(systemctl is-active "$name") in active | activating) continue ;; esac
    did "start $name" systemctl start "$name"
  done
}

down() {
  # From here on nothing is wanted.
  folder_kept=$folder
  folder=$runtime/nothing
  for name in $(running); do
    did "no client $name" systemctl stop "$unit-$name.service"
  done
  # The files of the units may be gone already.
  ! systemctl is-active --quiet "$unit" || did "no unit" systemctl stop "$unit"
  for file in "$units"/*.wants/"$unit.service"; do
    [ ! -L "$file" ] || did "no unit at boot" rm "$file"
  done
  systemctl reset-failed "$unit*" 2>/dev/null || true
  lock
  for device in $(devices); do did "no device $device" ip link del dev "$device"; done
  no_filter
  [ ! -e "$runtime/tun" ] || did "mode of /dev/net/tun" chmod "$(cat "$runtime/tun")" /dev/net/tun
  for name in $(accounts); do no_account "$name"; done
  folder=$folder_kept
  give_back ^net/
  [ ! -d "$folder/keys" ] || did "no keys" rm -r "$folder/keys"
  rmdir --parents --ignore-fail-on-non-empty "$folder" 2>/dev/null || true
  rm -rf "$runtime"
}

# Other files, or Match blocks before ours, may say something else: the first one counts (sshd_config(5)).
served() {
  mkdir -p /run/sshd
  for name; do
    settings=$(sshd -T -C "user=$name,host=localhost,addr=127.0.0.1")
    odd=$(sed -n "/^Match User $name\$/,/^Match /s/^  \\([A-Z]\\)/\\1/p" "$sshd" | while read -r line; do
      echo "$settings" | grep -qixF "$line" || echo "$line"
    done | paste -sd ,)
    [ -z "$odd" ] || wrong "$sshd is not what counts for $name (is it included, and before other Match blocks?): $odd"
  done
}

command=$1 && shift
case $command in
  up | converge | down)
    mkdir -p "$runtime"
    "$command"
    ;;
  check | ask | left | served) "$command" "$@" ;;
  *)
    echo "usage: tunnels up | converge | check | ask | left | down | served" >&2
    exit 2
    ;;
esac
exit "$status"
