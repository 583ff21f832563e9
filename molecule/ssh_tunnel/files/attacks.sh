#!/bin/sh
# What somebody could try who has the client's private key. Prints a line for each attack: its name, and whether it worked.
# usage: attacks.sh SERVER PORT KEY KNOWN_HOSTS
set -u
server=$1 port=$2 key=$3 known_hosts=$4

enter() {
  timeout 10 ssh -F none -i "$key" -p "$port" -o UserKnownHostsFile="$known_hosts" -o HostKeyAlias=plainlinux-vpc-site1 -o BatchMode=yes \
    -o IdentitiesOnly=yes -o ExitOnForwardFailure=yes -o LogLevel=ERROR "$@" </dev/null 2>/dev/null
}

# With -f, ssh goes to the background once the server has agreed.
forward() {
  enter -f -N "$@" vpc-tun-site1@"$server"
  rc=$?
  pkill -f "ssh -F none -i $key" 2>/dev/null
  return "$rc"
}

try() {
  name=$1
  shift
  if "$@"; then echo "$name: worked"; else echo "$name: refused"; fi
}

# ssh stays where the server agrees, and ends where it does not; with -f it would not wait for the answer.
tunnel() {
  enter -o ConnectTimeout=5 -N "$@" vpc-tun-site1@"$server" &
  sleep 1.5
  kill -0 "$!" 2>/dev/null
  rc=$?
  pkill -f "ssh -F none -i $key" 2>/dev/null
  return "$rc"
}

command() { enter vpc-tun-site1@"$server" id | grep -q uid=; }
terminal() { enter -tt vpc-tun-site1@"$server" tty | grep -q /dev/pts/; }
sftp() { enter -s vpc-tun-site1@"$server" sftp; }
direct() { enter -W 127.0.0.1:22 vpc-tun-site1@"$server" | grep -aq SSH-2.0; }
agent() { ssh-agent sh -c "exec timeout 10 ssh -F none -A -i $key -p $port -o UserKnownHostsFile=$known_hosts \
  -o HostKeyAlias=plainlinux-vpc-site1 -o BatchMode=yes vpc-tun-site1@$server 'test -S \"\$SSH_AUTH_SOCK\" && echo agent'" </dev/null 2>/dev/null | grep -q agent; }
x11() { DISPLAY=127.0.0.1:1 enter -Y vpc-tun-site1@"$server" 'echo $DISPLAY' | grep -q :10; }
root() { enter root@"$server" id | grep -q uid=0; }

try command command
try terminal terminal
try sftp sftp
try unit tunnel -w any:8
try ethernet tunnel -o Tunnel=ethernet -w any:7
try 'direct forward' direct
try 'remote forward' forward -R 2223:127.0.0.1:22
try 'remote socket' forward -R /tmp/attack.sock:127.0.0.1:22
try agent agent
try X11 x11
try root root
