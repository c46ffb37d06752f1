#!/bin/sh
# start redis|sentinel PORT PAIRS LINE...: run it on a configuration of these lines, one an argument.
#
# They are written on the first start only: from then on the file belongs to the program, which writes into it what it
# must remember (whose replica it is; epochs and votes). PAIRS are constants of Sentinel that its configuration cannot
# set, "name value name value"; they are gone with the process, so they are given again at every start.
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
    # shellcheck disable=SC2086 # the pairs are words
    until redis-cli -p "$port" SENTINEL DEBUG $pairs 2>/dev/null | grep -q OK; do sleep 0.02; done
  ) &
fi
case $kind in
  sentinel) exec redis-sentinel /data/sentinel.conf ;;
  *) exec redis-server /data/redis.conf ;;
esac
