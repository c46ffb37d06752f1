"""The node's processes: those in the host's process namespace that see other files than the agent does.

The node's container has joined the namespace, but has an image of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.runtimes.docker.agent.commands import Refused

SIGNAL_SECONDS = 5.0
GRACE_SECONDS = 5.0  # for a node to end in its own way


def kill() -> dict[str, Any]:
    """End them all; returns when all are gone."""
    return signalled(signal.SIGKILL, lambda pids: not pids)


def end() -> dict[str, Any]:
    """Ask the node's first process to end, and wait; ``obeyed`` says whether all were gone in good time."""
    for pid in node_processes():
        if parent(pid) == 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + GRACE_SECONDS
    while node_processes():
        if time.monotonic() > give_up:
            return {**kill(), "obeyed": False}
        time.sleep(0.001)
    return {"obeyed": True}


def stop() -> dict[str, Any]:
    """Pause them all; returns when they are."""
    return signalled(signal.SIGSTOP, lambda pids: all(state(pid) in "Tt" for pid in pids))


def go() -> dict[str, Any]:
    """Let them all go on; returns when they do."""
    return signalled(signal.SIGCONT, lambda pids: not any(state(pid) in "Tt" for pid in pids))


def node_processes() -> list[int]:
    """Every process of the node's container, by its number in this namespace."""
    ours = Path("/proc/self/ns/mnt").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (entry / "ns/mnt").readlink() != ours and state(int(entry.name)) not in "ZX":
                    found.append(int(entry.name))
    return found


def state(pid: int) -> str:
    """The process's state as one letter: T stopped, Z ended and not yet collected, X gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def parent(pid: int) -> int | None:
    """The number of its parent: 0 for one outside this namespace, None for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def signalled(number: signal.Signals, holds: Callable[[list[int]], bool]) -> dict[str, Any]:
    """Send the signal to all of the node's processes until ``holds`` of them; also those that they start meanwhile."""
    give_up = time.monotonic() + SIGNAL_SECONDS
    while True:
        pids = node_processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        pids = node_processes()
        if holds(pids):
            return {"processes": len(pids)}
        if time.monotonic() > give_up:
            raise Refused(f"{number.name}: the node's processes {pids} did not obey in {SIGNAL_SECONDS:.0f} s")
        time.sleep(0.001)
