"""Starts one ZooKeeper server: writes its configuration and its ``myid``, and replaces this process by the server.

``server.py --id 2 --server 1=10.0.0.11 --server 2=10.0.0.12 ... --data /data --tick-ms 300 --sync-limit 3``

Two defaults are shortened, since every run would wait for them: connections among servers time out after one second
instead of five, and a server that looks for a leader asks again after one second instead of up to a minute.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

JARS = "/usr/share/java"
# Only the jars that the server needs: the folder holds five implementations of SLF4J.
NEEDED = ("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "netty-all", "snappy-java", "metrics-core")
CLIENT_PORT = 2181
QUORUM_PORT, ELECTION_PORT = 2888, 3888
PROPERTIES = {
    "zookeeper.4lw.commands.whitelist": "srvr,ruok",
    "zookeeper.admin.enableServer": "false",
    "zookeeper.cnxTimeout": "1000",
    "zookeeper.fastleader.maxNotificationInterval": "1000",
    "zookeeper.preAllocSize": "64",  # KB of log at a time: the default of 64 MB per server would fill a small disk
    "zookeeper.log.dir": "/tmp",
    "org.slf4j.simpleLogger.defaultLogLevel": "info",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace this process by the server; never returns."""
    parser = argparse.ArgumentParser(description="Start one ZooKeeper server.")
    parser.add_argument("--id", type=int, required=True)
    parser.add_argument("--server", action="append", required=True, metavar="NUMBER=ADDRESS")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tick-ms", type=int, required=True)
    parser.add_argument("--sync-limit", type=int, required=True)
    given = parser.parse_args(arguments)
    given.data.mkdir(parents=True, exist_ok=True)
    (given.data / "myid").write_text(f"{given.id}\n")
    configuration = Path("/tmp/zoo.cfg")
    servers = dict(pair.split("=", 1) for pair in given.server)
    configuration.write_text(zoo_cfg(servers, given.data, given.tick_ms, given.sync_limit))
    os.execvp("java", command(configuration))


def zoo_cfg(servers: dict[str, str], data: Path, tick_ms: int, sync_limit: int) -> str:
    """The text of ``zoo.cfg``. A server may take ten seconds to join, since Java starts slowly on a busy host."""
    lines = [
        f"dataDir={data}",
        f"clientPort={CLIENT_PORT}",
        f"tickTime={tick_ms}",
        f"initLimit={max(1, 10_000 // tick_ms)}",
        f"syncLimit={sync_limit}",
        "maxClientCnxns=0",
        *(f"server.{number}={address}:{QUORUM_PORT}:{ELECTION_PORT}" for number, address in servers.items()),
    ]
    return "\n".join(lines) + "\n"


def command(configuration: Path) -> list[str]:
    """A Java command line for quick start and little memory: serial collector, C1 compiler only."""
    return [
        "java",
        "-Xmx96m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        *(f"-D{name}={value}" for name, value in PROPERTIES.items()),
        "-cp",
        ":".join(f"{JARS}/{name}.jar" for name in NEEDED),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        str(configuration),
    ]


if __name__ == "__main__":
    main()
