"""A node that runs out of memory: its first process takes more than its container has, and the kernel ends it.

The limit of the container is the engine's doing. The memory is the node's own: one thread of it is held (ptrace(2)),
and made to map so many bytes and to touch them all (mmap(2), MAP_POPULATE). The process never runs a line of its own
code afterwards: either the kernel's OOM killer ends it or we do. Nothing is put back.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.ptrace import INTERRUPT, SEIZE, WAIT_ALL, Gone, ptrace
from splitbrain.runtimes.docker.agent.remote_syscalls import NONE, begin, instruction_of
from splitbrain.runtimes.docker.agent.vdso import Unsupported

READ_WRITE = 1 | 2
PRIVATE_ANONYMOUS_POPULATED = 0x02 | 0x20 | 0x4000 | 0x8000  # MAP_NORESERVE too
FIRST_TO_DIE = 1_000  # of /proc/PID/oom_score_adj: not a bigger process beside it
GROW_SECONDS = 10.0


def grow(size: int) -> dict[str, Any]:
    """Have the node's first process take that many bytes. ``wrong`` says why the kernel has not killed it for that.

    It is dead afterwards in any case, and all its kin.
    """
    first = next((pid for pid in processes.node_processes() if processes.parent(pid) == 0), None)
    wrong: str | None = None
    try:
        if first is None:
            wrong = "it had no first process that could grow"
        elif not made_to_grow(first, size):
            wrong = "with its memory at the limit it lived on, and was killed"
    except (Gone, Unsupported, OSError) as failure:
        wrong = f"it could not be made to grow: {failure}"
    finally:
        processes.kill()
    return {"wrong": wrong}


def made_to_grow(pid: int, size: int) -> bool:
    """Whether something killed the process while it took that many bytes. If not, it stands still as our tracee."""
    instruction = instruction_of(pid)
    Path(f"/proc/{pid}/oom_score_adj").write_text(str(FIRST_TO_DIE))
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    give_up = time.monotonic() + GROW_SECONDS
    if _killed(pid, give_up):
        raise Gone(f"process {pid} ended before it could grow")
    begin(pid, instruction, "mmap", 0, size, READ_WRITE, PRIVATE_ANONYMOUS_POPULATED, NONE, 0)
    return _killed(pid, give_up)


def _killed(pid: int, give_up: float) -> bool:
    """Wait for the thread's next stop; whether it was killed instead. Raises OSError if neither comes in time."""
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG | WAIT_ALL)
        if found:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.001)
    raise OSError(errno.EBUSY, f"process {pid} could not be held")
