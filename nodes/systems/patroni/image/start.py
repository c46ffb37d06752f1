"""The first process of a container with Patroni and PostgreSQL: writes Patroni's configuration and starts it once.

It outlives Patroni and restarts nothing: if Patroni alone is killed, PostgreSQL goes on without supervision, as on a
machine on which the service manager has given up on Patroni. SIGTERM is forwarded to Patroni, which shuts PostgreSQL
down cleanly. Neither runs as root, which PostgreSQL refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DATA = Path("/data")
RUN = Path("/run/splitbrain")
OWNER = "postgres"
BINARIES = "/usr/lib/postgresql/15/bin"

# A small server, with short timeouts for lost connections.
PARAMETERS: Mapping[str, Any] = {
    "shared_buffers": "16MB",
    "jit": False,
    "wal_keep_size": "128MB",
    "wal_retrieve_retry_interval": "500ms",
    "wal_sender_timeout": "3s",
    "wal_receiver_timeout": "3s",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--id", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--etcd", action="append", required=True, help="HOST:PORT of one server; repeatable")
    parser.add_argument("--scope", required=True)
    parser.add_argument("--ttl", type=int, required=True)
    parser.add_argument("--loop-wait", type=int, required=True)
    parser.add_argument("--retry-timeout", type=int, required=True)
    parser.add_argument("--table", required=True, help="table of the set that clients add to")
    options = parser.parse_args(arguments)
    RUN.mkdir(exist_ok=True)
    for folder in (DATA, RUN):
        subprocess.run(["chown", f"{OWNER}:", str(folder)], check=True)
    file = RUN / "config.yml"
    file.write_text(json.dumps(configuration(options)))  # every JSON text is YAML too
    patroni = subprocess.Popen(
        ["/usr/bin/patroni", str(file)],
        user=OWNER,
        group=OWNER,
        extra_groups=[],
        cwd=RUN,
        env={**os.environ, "HOME": str(RUN), "PATH": f"{BINARIES}:{os.environ['PATH']}"},
    )

    def end(number: int, _: object) -> None:
        if patroni.poll() is None:
            patroni.send_signal(number)
            patroni.wait()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    print(f"start.py: patroni exited with status {patroni.wait()}; PostgreSQL goes on")
    while True:
        signal.pause()


def configuration(options: argparse.Namespace) -> Mapping[str, Any]:
    """Patroni's configuration, without a watchdog."""
    return {
        "scope": options.scope,
        "name": options.id,
        "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{options.address}:8008"},
        "etcd3": {"hosts": options.etcd},
        "watchdog": {"mode": "off"},
        "bootstrap": {
            "dcs": {
                "ttl": options.ttl,
                "loop_wait": options.loop_wait,
                "retry_timeout": options.retry_timeout,
                "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            "post_init": f"psql -qc 'CREATE TABLE {options.table} (element text PRIMARY KEY)'",
        },
        "postgresql": {
            "listen": "0.0.0.0:5432",
            "connect_address": f"{options.address}:5432",
            "data_dir": str(DATA / "postgresql"),
            "bin_dir": BINARIES,
            "pgpass": str(RUN / "pgpass"),
            "basebackup": [{"checkpoint": "fast"}],
            "authentication": {
                "superuser": {"username": OWNER, "password": OWNER},
                "replication": {"username": "replicator", "password": "replicator"},
            },
            "pg_hba": ["local all all trust", "host all all all trust", "host replication all all trust"],
            "parameters": {"unix_socket_directories": str(RUN)},
        },
    }


if __name__ == "__main__":
    main()
