"""The node's processes: those in the host's process namespace that see other files than the agent does.

The node's container has joined the namespace, but has an image of its own.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent.commands import Refused

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


def go(but: Sequence[str] = ()) -> dict[str, Any]:
    """Let them all go on, but those like these patterns; returns when they do."""
    return signalled(
        signal.SIGCONT,
        lambda pids: not any(state(pid) in "Tt" for pid in pids),
        lambda pid: not any(is_like(pid, pattern) for pattern in but),
    )


def kill_like(pattern: str) -> dict[str, Any]:
    """End those like the pattern that there are now; returns when these are gone.

    One that a supervisor starts in the place of another is let be. ``pids`` are those that were killed, ``others`` how
    many live on, ``whole`` says that the node's first process was among them: the engine then ends all the rest.
    """
    pids, others = parted(pattern)
    whole = any(parent(pid) == 0 for pid in pids)
    signalled(signal.SIGKILL, lambda left: not left, lambda pid: pid in pids)
    return {"pids": pids, "others": len(others), "whole": whole}


def stop_like(pattern: str) -> dict[str, Any]:
    """Pause those like the pattern that there are now; returns when they are. ``pids`` and ``others`` as above."""
    pids, others = parted(pattern)
    signalled(signal.SIGSTOP, lambda left: all(state(pid) in "Tt" for pid in left), lambda pid: pid in pids)
    return {"pids": pids, "others": len(others)}


def parted(pattern: str) -> tuple[list[int], list[int]]:
    """The node's processes like the pattern, and the others."""
    like: list[int] = []
    others: list[int] = []
    for pid in sorted(node_processes()):
        (like if is_like(pid, pattern) else others).append(pid)
    return like, others


def is_like(pid: int, pattern: str) -> bool:
    """Whether its name (15 letters at most) or its command line, words parted by spaces, is like the pattern."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0 ").replace("\0", " ")
    except OSError:  # it has ended meanwhile
        return False
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(line, pattern)


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


def described() -> list[dict[str, int]]:
    """Each process of the node: its number, when it began (in the kernel's ticks), and how many threads it has."""
    found = []
    for pid in sorted(node_processes()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found.append({"pid": pid, "began": int(fields[19]), "threads": int(fields[17])})
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


def signalled(
    number: signal.Signals,
    holds: Callable[[list[int]], bool],
    meant: Callable[[int], bool] = lambda pid: True,
) -> dict[str, Any]:
    """Send the signal to those of the node's processes that are ``meant``, until ``holds`` of them.

    Also to those that they start meanwhile.
    """

    def those() -> list[int]:
        return [pid for pid in node_processes() if meant(pid)]

    give_up = time.monotonic() + SIGNAL_SECONDS
    while True:
        pids = those()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        pids = those()
        if holds(pids):
            return {"processes": len(pids)}
        if time.monotonic() > give_up:
            raise Refused(f"{number.name}: the node's processes {pids} did not obey in {SIGNAL_SECONDS:.0f} s")
        time.sleep(0.001)
