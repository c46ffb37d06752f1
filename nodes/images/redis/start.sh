#!/bin/sh
# start redis|sentinel PORT PAIRS LINE...: run the program with a configuration of these lines, one per argument.
#
# The file is written on the first start only; later it belongs to the program, which persists its state in it (the
# master it replicates; epochs and votes). PAIRS are constants of Sentinel that its configuration cannot set, as
# "name value name value"; they are lost with the process, so they are set again at every start.
set -e
kind=$1 port=$2 pairs=$3
shift 3
mkdir -p /data
if [ ! -e "/data/$kind.conf" ]; then
  printf '%s\n' "$@" > "/data/$kind.new"
  mv "/data/$kind.new" "/data/$kind.conf"
fi
if [ -n "$pairs" ]; then
  (
    # shellcheck disable=SC2086 # PAIRS must be split into words
    until redis-cli -p "$port" SENTINEL DEBUG $pairs 2>/dev/null | grep -q OK; do sleep 0.02; done
  ) &
fi
case $kind in
  sentinel) exec redis-sentinel /data/sentinel.conf ;;
  *) exec redis-server /data/redis.conf ;;
esac
