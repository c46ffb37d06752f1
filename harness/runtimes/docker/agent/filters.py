"""Filters of system calls in the node's processes, by which the kernel asks us about some calls before it makes them.

Each process is made to install the filter itself (seccomp(2)), by ptrace; its children inherit it, and ``refresh``
finds processes that enter the node in another way. The kernel notifies us (seccomp_unotify(2)) of flushes of files, and
of a call by which any program sets itself up after it is executed. A filter stays until its process ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.ptrace import ProcessGone, StoppedProcess
from splitbrain.runtimes.docker.agent.remote_syscalls import NONE, RemoteThread, syscall_abi
from splitbrain.runtimes.docker.agent.vdso import Unsupported

FLUSHES = ("fsync", "fdatasync", "msync", "sync_file_range", "syncfs")

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER = 1
ALL_THREADS, NEW_LISTENER, ERROR_IF_NOT_ALL, KILLABLE = 1, 8, 16, 32
PIDFD_GETFD = 438
READ_WRITE, PRIVATE_ANONYMOUS = 1 | 2, 0x02 | 0x20
PAGE = 4096

INSTRUCTION = struct.Struct("<HBBI")  # struct sock_filter
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ASK = 0x7FFF_0000, 0x7FC0_0000
NUMBER_AT, ARCH_AT = 0, 4

TRIAL = 7_777
"""Our answer to a flush of no file, a trial call that shows whether the filter is in effect."""

_libc = ctypes.CDLL(None, use_errno=True)


def program() -> bytes:
    """Assemble the filter: notify us of flushes and of starts, allow all other calls."""
    abi = syscall_abi()
    numbers = [abi.numbers[name] for name in (*FLUSHES, *abi.starts)]
    last = len(numbers)
    lines = [(LOAD, 0, 0, ARCH_AT), (JUMP_IF_EQUAL, 0, last + 1, abi.arch), (LOAD, 0, 0, NUMBER_AT)]
    lines += [(JUMP_IF_EQUAL, last - at, 0, number) for at, number in enumerate(numbers)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]
    return b"".join(INSTRUCTION.pack(*line) for line in lines)


class Filters:
    """The node's processes that have our filter; ``refused`` says why others have not.

    ``stopped_ns`` is the longest stop of a process to have it install the filter.
    ``found`` lists the node's processes at the time of the call. ``listen`` takes over the listener of a new filter.
    Use it from one thread only, the processes' tracer.
    """

    def __init__(self, found: Callable[[], Iterable[int]], listen: Callable[[int], None]) -> None:
        self._found = found
        self._listen = listen
        self._counts: dict[int, int] = {}  # the number of filters of each process that has ours
        self.refused: dict[int, str] = {}
        self.stopped_ns = 0
        self._late: list[StoppedProcess] = []  # these may have threads that are still to be released

    @property
    def processes(self) -> int:
        """How many processes have the filter."""
        return len(self._counts)

    def refresh(self) -> None:
        """Give the filter to processes that are new, and forget those that have ended."""
        self._late = [stopped for stopped in self._late if not stopped.release_late()]
        found = set(self._found())
        for pid in self._counts.keys() - found:
            del self._counts[pid]
        for pid in self.refused.keys() - found:
            del self.refused[pid]
        for pid in sorted(found - self._counts.keys() - self.refused.keys()):
            try:
                if not self._inherits(pid):
                    self._reach(pid)
                    self.stopped_ns = max(self.stopped_ns, self._late[-1].stopped_ns)
                self._counts[pid] = _filters(pid)
            except ProcessGone:
                pass
            except (Unsupported, OSError) as failure:
                self.refused[pid] = f"process {pid}: {failure}"

    def _inherits(self, pid: int) -> bool:
        of_parent = self._counts.get(processes.parent(pid) or 0)
        return of_parent is not None and _filters(pid) >= of_parent

    def _reach(self, pid: int) -> None:
        """Make the process install the filter, take over its listener, and check that we are notified."""
        made = program()
        flags = ALL_THREADS | NEW_LISTENER | ERROR_IF_NOT_ALL | KILLABLE
        with StoppedProcess(pid) as held, RemoteThread(held) as thread:
            self._late.append(held)
            at = thread.call("mmap", 0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, NONE, 0)
            with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
                head = struct.pack("<HxxxxxxQ", len(made) // INSTRUCTION.size, at + 16)
                os.pwrite(memory.fileno(), head + made, at)
            try:
                thread.call("prctl", PR_SET_NO_NEW_PRIVS, 1)
                number = thread.call("seccomp", SET_MODE_FILTER, flags, at)
            except OSError as refusal:
                if refusal.errno == errno.EBUSY:  # it has a filter with a listener: ours, of a parent that has ended
                    return
                raise
            finally:
                thread.call("munmap", at, PAGE)
            try:
                listener = _take_over(pid, number)
            finally:
                thread.call("close", number)
            self._listen(listener)
            with contextlib.suppress(OSError):
                if thread.call("fsync", NONE) == TRIAL:
                    return
            raise Unsupported("its filter has no effect")


def _take_over(pid: int, number: int) -> int:
    """Duplicate a file descriptor of the process into this one."""
    process = os.pidfd_open(pid)
    try:
        file = _libc.syscall(PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if file < 0:
        raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return int(file)


def _filters(pid: int) -> int:
    """Return the number of seccomp filters of a process."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Seccomp_filters":
                return int(value)
    except OSError as error:
        raise ProcessGone(f"process {pid} has ended") from error
    return 0
