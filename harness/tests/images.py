"""Make the images that tests on containers use, so that the engine builds them while other tests run."""

from __future__ import annotations

import threading

from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.docker.engine import connect
from splitbrain.runtimes.docker.images import ImageBuilder

RUN = ("raft", "etcd", "etcd-election-safe", "zookeeper", "sentinel", "redlock", "patroni")


def main() -> None:
    systems = [SYSTEMS[name] for name in RUN]
    nodes = [system.software for system in systems]
    servers = [group.software for system in systems for group in system.servers.values()]
    folders = dict.fromkeys(software.image for software in (*nodes, *servers))
    ImageBuilder(connect(), print, threading.Event()).ensure(list(folders))


if __name__ == "__main__":
    main()
