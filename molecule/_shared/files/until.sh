#!/bin/sh
# until.sh SECONDS COMMAND...: repeat a command until it succeeds. A retry of Ansible's would print a failure each time.
set -u
end=$(($(date +%s) + $1))
shift
until "$@"; do
  if [ "$(date +%s)" -ge "$end" ]; then exit 1; fi
  sleep 0.3
done
