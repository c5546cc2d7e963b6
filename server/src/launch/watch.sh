#!/bin/sh
# The parent of a cloud's process (ADR 21): runs the command that it is given, and runs it again when that dies by a
# crash or kill -9. Engines and guests go on meanwhile; the new process adopts them. A shell, because it must not cost
# the memory of a second Node.
#
# Ends with the command when that was stopped (0), when its first start failed (1, 2: whoever started us was told), and
# when another process runs this cloud (75) or the host was removed from its cloud (78). SIGTERM and SIGINT are the command's to act on.
stopping='' child='' restarts=0 pause=0

trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT

# What runs in the background gets no standard input otherwise.
exec 4<&0
while :; do
  began=$(date +%s)
  KUMOI_PARENT=$$ KUMOI_RESTARTS=$restarts "$@" <&4 4<&- &
  child=$!
  [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null
  # A signal ends `wait` as well; then the child is still there.
  while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  child=''
  case $code in 0 | 75 | 78) exit "$code" ;; esac
  [ -z "$stopping" ] || exit "$code"
  [ "$restarts" -gt 0 ] || [ "$code" -gt 2 ] || exit "$code"
  # At once after a good run, then after 1, 2, 4 … 15 s.
  if [ $(($(date +%s) - began)) -ge 60 ]; then pause=0; fi
  echo "kumoi: the cloud's process ended (exit code $code); it is started again in $pause s" >&2
  if [ "$pause" -gt 0 ]; then
    sleep "$pause" &
    child=$!
    wait "$child"
    child=''
    [ -z "$stopping" ] || exit 0
  fi
  pause=$((pause == 0 ? 1 : pause * 2))
  [ "$pause" -le 15 ] || pause=15
  restarts=$((restarts + 1))
done
