"""A node that runs out of memory: its first process allocates more than its container may use, and the kernel kills it.

The engine sets the container's limit. The memory is allocated by the node itself: one of its threads is held by
ptrace(2) and made to map and touch that many bytes (mmap(2), MAP_POPULATE). The process never runs a line of its code
afterwards: it is killed by the kernel's OOM killer, or else by us. Nothing is restored.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.messages import Checked
from splitbrain.runtimes.docker.agent.ptrace import INTERRUPT, SEIZE, WAIT_ALL, ProcessGone, ptrace
from splitbrain.runtimes.docker.agent.remote_syscalls import NONE, begin, instruction_of
from splitbrain.runtimes.docker.agent.vdso import Unsupported

READ_WRITE = 1 | 2
PRIVATE_ANONYMOUS_POPULATED = 0x02 | 0x20 | 0x4000 | 0x8000  # and MAP_NORESERVE
FIRST_TO_DIE = 1_000  # for /proc/PID/oom_score_adj, so that no bigger process beside it is chosen
GROW_SECONDS = 10.0


def grow(size: int) -> Checked:
    """Make the node's first process allocate ``size`` bytes, and check that the kernel kills it.

    All processes of the node are dead afterwards in any case.
    """
    first = next((pid for pid in processes.node_processes() if processes.parent(pid) == 0), None)
    problem: str | None = None
    try:
        if first is None:
            problem = "it had no first process to grow"
        elif not made_to_grow(first, size):
            problem = "it survived an allocation beyond its memory limit, and was killed by the agent"
    except (ProcessGone, Unsupported, OSError) as failure:
        problem = f"its memory could not be grown: {failure}"
    finally:
        processes.kill()
    return Checked(problem=problem)


def made_to_grow(pid: int, size: int) -> bool:
    """Make the process allocate ``size`` bytes; True if it was killed for that. If not, it is left stopped."""
    instruction = instruction_of(pid)
    Path(f"/proc/{pid}/oom_score_adj").write_text(str(FIRST_TO_DIE))
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    give_up = time.monotonic() + GROW_SECONDS
    if _killed(pid, give_up):
        raise ProcessGone(f"process {pid} ended before it could grow")
    begin(pid, instruction, "mmap", 0, size, READ_WRITE, PRIVATE_ANONYMOUS_POPULATED, NONE, 0)
    return _killed(pid, give_up)


def _killed(pid: int, give_up: float) -> bool:
    """Wait for the thread's next stop; True if it was killed instead. Raises OSError if neither happens in time."""
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG | WAIT_ALL)
        if found:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.001)
    raise OSError(errno.EBUSY, f"process {pid} could not be stopped")
