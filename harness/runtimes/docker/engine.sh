#!/bin/sh
# Makes sure that a Docker engine answers: idempotent, and says what it does.
#
#   ENGINE=skip   does nothing at all
#
# As root on Debian or Ubuntu it installs docker.io (and mmdebstrap, which makes a base image where no registry
# answers) and starts dockerd. Anywhere else it says in two lines what to install.
set -eu

log=${TMPDIR:-/tmp}/splitbrain-dockerd.log

[ "${ENGINE:-}" = skip ] && exit 0
if command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
    exit 0
fi
echo "splitbrain: no Docker engine answers" >&2

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "splitbrain: install Docker and start it (Docker Desktop on macOS; docker.io or docker-ce on Linux)," >&2
    echo "splitbrain: make sure that 'docker version' works for you, then try again; ENGINE=skip skips this." >&2
    exit 3
fi

if ! command -v dockerd >/dev/null 2>&1; then
    echo "splitbrain: installing docker.io" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends docker.io iptables mmdebstrap debian-archive-keyring >/dev/null
fi
echo "splitbrain: starting dockerd (its log: $log)" >&2
if [ -d /run/systemd/system ] && systemctl start docker 2>/dev/null; then
    :
else
    # In a session of its own, so that a ctrl-C meant for a run does not reach the engine.
    setsid dockerd >"$log" 2>&1 </dev/null &
fi
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ]; then
        echo "splitbrain: dockerd did not answer within 60 s; the end of its log:" >&2
        tail -n 5 "$log" >&2
        exit 3
    fi
    sleep 0.5
done
