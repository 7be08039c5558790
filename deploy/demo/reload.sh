#!/bin/bash
# Have the demo's service read its flags again, and wait until it says so: reload.sh PIDFILE URL
#
# For use as an after_change command: exit 0 means that /health already tells of the new flags.
set -euo pipefail

pid_file=${1:?usage: reload.sh PIDFILE URL}
url=${2:?usage: reload.sh PIDFILE URL}
address=${url#http://}
address=${address%%/*}

reads() {  # how often the service has read its flags; bash speaks enough HTTP that no curl is needed
  exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
  printf 'GET /health HTTP/1.0\r\n\r\n' >&3
  sed -n 's/.*"reads": \([0-9]*\).*/\1/p' <&3
  exec 3>&-
}

before=$(reads)
kill -HUP "$(<"$pid_file")"
for _ in {1..100}; do
  if [[ $(reads) -gt $before ]]; then
    echo "flags read again by process $(<"$pid_file")"
    exit
  fi
  sleep 0.05
done
echo "the service at $url did not read its flags again within 5s" >&2
exit 1
