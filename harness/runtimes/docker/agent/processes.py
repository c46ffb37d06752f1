"""The node's processes: those in the host's process namespace with another mount namespace than the agent's.

The node's container joins the host's process namespace, but not its mount namespace. Commands by which clients ask the
node run in its container too, and are none of its processes: a variable of their environment marks them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import os
import platform
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.messages import Matched, NodeProcess, NodeTerminated

SIGNAL_SECONDS = 5.0
KCMP = {"x86_64": 312, "aarch64": 272}
KCMP_VM = 1
ASKS = ("SPLITBRAIN_ASKS", "1")
"""The environment variable, and its value, of commands that are no process of the node."""
GRACE_SECONDS = 5.0  # between the signal that asks and SIGKILL

_libc = ctypes.CDLL(None, use_errno=True)


def kill() -> None:
    """Kill all processes of the node; returns when all are gone."""
    signal_until(signal.SIGKILL, lambda pids: not pids)


def terminate(name: str) -> NodeTerminated:
    """Send the signal of that name to the node's first process, and kill the node if it has not ended in time."""
    number = signal.Signals[name]
    for pid in node_processes():
        if parent(pid) == 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    give_up = time.monotonic() + GRACE_SECONDS
    while node_processes():
        if time.monotonic() > give_up:
            kill()
            return NodeTerminated(obeyed=False)
        time.sleep(0.001)
    return NodeTerminated(obeyed=True)


def pause() -> None:
    """Stop all processes of the node; returns when all are stopped."""
    signal_until(signal.SIGSTOP, lambda pids: all(state(pid) in "Tt" for pid in pids))


def resume(but: Sequence[str] = ()) -> None:
    """Continue all processes of the node that match none of the patterns; returns when all run."""
    signal_until(
        signal.SIGCONT,
        lambda pids: not any(state(pid) in "Tt" for pid in pids),
        lambda pid: not any(matches(pid, pattern) for pattern in but),
    )


def kill_matching(pattern: str) -> Matched:
    """Kill the processes that match now; returns when these are gone.

    A process that a supervisor starts in place of another is left alone. If the node's first process matched, the
    engine ends all others too.
    """
    found = matching(pattern)
    signal_until(signal.SIGKILL, lambda left: not left, lambda pid: pid in found.pids)
    return found


def pause_matching(pattern: str) -> Matched:
    """Stop the processes that match now; returns when these are stopped."""
    found = matching(pattern)
    signal_until(signal.SIGSTOP, lambda left: all(state(pid) in "Tt" for pid in left), lambda pid: pid in found.pids)
    return found


def matching(pattern: str) -> Matched:
    """Find the node's processes that match the pattern."""
    every = sorted(node_processes())
    pids = tuple(pid for pid in every if matches(pid, pattern))
    return Matched(pids=pids, others=len(every) - len(pids), first=any(parent(pid) == 0 for pid in pids))


def matches(pid: int, pattern: str) -> bool:
    """Match the pattern against a process's name (at most 15 characters) and its command line, joined by spaces."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0 ").replace("\0", " ")
    except OSError:  # it has ended
        return False
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(line, pattern)


def node_processes() -> list[int]:
    """List the processes of the node's container, by their numbers in this namespace."""
    ours = Path("/proc/self/ns/mnt").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                if (entry / "ns/mnt").readlink() != ours and state(int(entry.name)) not in "ZX" and not _asks(entry):
                    found.append(int(entry.name))
    return found


def _asks(process: Path) -> bool:
    """True for a command by which a client asks the node."""
    return "=".join(ASKS).encode() in (process / "environ").read_bytes().split(b"\0")


def described() -> tuple[NodeProcess, ...]:
    """Describe each process of the node, by number."""
    found = []
    for pid in sorted(node_processes()):
        with contextlib.suppress(OSError):  # it has ended
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            stopped = fields[0] in "Tt"
            found.append(NodeProcess(pid=pid, began=int(fields[19]), threads=int(fields[17]), stopped=stopped))
    return tuple(found)


def state(pid: int) -> str:
    """Return the process's state as in proc(5): T stopped, t stopped by a tracer, Z a zombie, X gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def parent(pid: int) -> int | None:
    """Return the parent's number: 0 if it is outside this namespace; None for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def in_parents_memory(pid: int) -> bool:
    """True between vfork(2) and execve(2): the process still runs in its parent's memory."""
    of_parent, number = parent(pid), KCMP.get(platform.machine())
    if not of_parent or number is None:
        return False
    return int(_libc.syscall(number, pid, of_parent, KCMP_VM, 0, 0)) == 0


def signal_until(
    number: signal.Signals,
    holds: Callable[[list[int]], bool],
    chosen: Callable[[int], bool] = lambda pid: True,
) -> None:
    """Send the signal to the ``chosen`` processes of the node until ``holds`` is true of them.

    Processes that start in between are included. Raises RequestFailed if that takes too long.
    """

    def found() -> list[int]:
        return [pid for pid in node_processes() if chosen(pid)]

    give_up = time.monotonic() + SIGNAL_SECONDS
    while True:
        pids = found()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        pids = found()
        if holds(pids):
            return
        if time.monotonic() > give_up:
            raise RequestFailed(f"{number.name} had no effect on processes {pids} within {SIGNAL_SECONDS:.0f} s")
        time.sleep(0.001)
