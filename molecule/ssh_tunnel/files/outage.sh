#!/bin/sh
# Print the seconds until the other end of the tunnel answers again, from a moment at which it does not.
# usage: outage.sh ADDRESS
set -eu
start=$(date +%s.%N)
end=$(($(date +%s) + 120))
until ping -n -q -c 1 -W 1 "$1" >/dev/null 2>&1; do
  [ "$(date +%s)" -lt "$end" ]
  sleep 0.2
done
echo "$start $(date +%s.%N)" | awk '{ print $2 - $1 }'
