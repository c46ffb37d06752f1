"""The node's processes with the ports of the node that each listens on, for the watch over what happens unasked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from splitbrain.runtimes.docker.agent.messages import RunningProcess
from splitbrain.runtimes.docker.agent.processes import node_processes

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # the agent shares the node's network namespace
LISTENS: Final = "0A"  # the state of a socket in these tables, as in include/net/tcp_states.h
TICKS: Final = os.sysconf("SC_CLK_TCK")


def running(ports: Collection[int]) -> tuple[RunningProcess, ...]:
    """Describe each process of the node, by number, with those of the ``ports`` that it listens on."""
    sockets = {socket: port for table in TABLES for socket, port in listening(_text(table), ports).items()}
    found = []
    for pid in sorted(node_processes()):
        with contextlib.suppress(OSError):  # it has ended
            found.append(_described(pid, sockets))
    return tuple(found)


def listening(table: str, ports: Collection[int]) -> dict[str, int]:
    """The sockets in a table like /proc/net/tcp that listen on one of the ports: by link in /proc/PID/fd, the port."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        port = int(fields[1].rpartition(":")[2], 16)
        if fields[3] == LISTENS and port in ports:
            found[f"socket:[{fields[9]}]"] = port
    return found


def _described(pid: int, sockets: Mapping[str, int]) -> RunningProcess:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    began = int(fields[19])
    return RunningProcess(
        pid=pid,
        began=began,
        age_s=round(time.clock_gettime(time.CLOCK_BOOTTIME) - began / TICKS, 3),
        first=fields[1] == "0",
        ports=tuple(sorted({sockets[link] for link in _links(pid) if link in sockets})),
        halted=fields[0] == "T",
    )


def _links(pid: int) -> set[str]:
    """The links of a process's open files that could be read: one may be closed meanwhile."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(file.readlink()))
    return found


def _text(table: Path) -> str:
    """The table; an empty one where the kernel has none, as without IPv6."""
    return table.read_text() if table.exists() else ""
