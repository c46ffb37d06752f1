"""Stopping all threads of a process for a moment, by ptrace, so that its code can be changed.

A process is left as it was found: a stopped one stays stopped, and a signal that was about to be delivered when a
thread was held is delivered. Every wait has a limit: a thread that is blocked in the kernel (on a disk, say) is not
held, which is as good, as it executes no code of its program; it is released when it comes out of the kernel.

See ptrace(2), PTRACE_SEIZE. A system call in which a thread was waiting goes on, except for the few that fail with
EINTR after any stop (signal(7): epoll_wait, for one), as they do after SIGSTOP and SIGCONT.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import time
from pathlib import Path
from types import TracebackType

GETREGSET, SEIZE, INTERRUPT, DETACH = 0x4204, 0x4206, 0x4207, 17
GENERAL_REGISTERS = 1  # NT_PRSTATUS
REGISTERS_BYTES = 512
EVENT_STOP = 128
WAIT_ALL = 0x40000000  # __WALL: threads that are not our children too
HOLD_SECONDS = 0.2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    """Call ptrace(2). Raises OSError."""
    if _libc.ptrace(request, thread, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (ptrace {request:#x} of {thread})")


class ProcessGone(Exception):
    """The process has ended, or executes another program."""


class StoppedProcess:
    """A process of which no thread executes anything within ``with StoppedProcess(pid) as held:``.

    ``stopped_ns`` is afterwards how long it was stopped, from the first thread held to the last released. Raises
    ProcessGone, or OSError if ptrace is forbidden.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stopped_ns = 0
        self._threads: set[int] = set()
        self._held: dict[int, int] = {}  # by thread the signal about to be delivered, 0 for none

    def __enter__(self) -> StoppedProcess:
        self._began = time.monotonic_ns()
        try:
            while new := self._alive() - self._threads:  # including threads created in between
                for thread in new:
                    self._interrupt(thread)
                self._await()
        except BaseException:
            self._release()
            raise
        if not self._threads:
            raise ProcessGone(f"process {self.pid} has ended")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        self.stopped_ns = time.monotonic_ns() - self._began

    def counters(self, register: int) -> list[int]:
        """Return the instruction counter of each held thread; it is the general register of that number."""
        return [registers_of(thread)[register] for thread in self._held]

    def any_thread(self) -> int:
        """Return one of the held threads, the same each time. Raises OSError if all are blocked in the kernel."""
        if not self._held:
            raise OSError(errno.EBUSY, f"no thread of process {self.pid} could be stopped")
        return min(self._held)

    def _alive(self) -> set[int]:
        try:
            return {int(thread) for thread in os.listdir(f"/proc/{self.pid}/task")}  # noqa: PTH208  # a hot path
        except FileNotFoundError:
            return set()

    def _interrupt(self, thread: int) -> None:
        self._threads.add(thread)
        try:
            ptrace(SEIZE, thread)
            ptrace(INTERRUPT, thread)
        except OSError as error:
            if error.errno != errno.ESRCH:  # it has ended
                raise

    def _await(self) -> None:
        """Wait until each thread is held, has ended, or has been blocked in the kernel for too long."""
        give_up = time.monotonic() + HOLD_SECONDS
        while waiting := [thread for thread in self._threads if thread not in self._held and not self._reap(thread)]:
            if time.monotonic() > give_up:
                if all(_state(self.pid, thread) in "DZX" for thread in waiting):
                    return
                raise OSError(errno.EBUSY, f"threads {waiting} of process {self.pid} could not be stopped")
            time.sleep(0.000_02)

    def _reap(self, thread: int) -> bool:
        """Take note if the thread has stopped. False while it runs; True also if it has ended or is not our tracee."""
        try:
            found, status = os.waitpid(thread, os.WNOHANG | WAIT_ALL)
        except ChildProcessError:
            return True
        if not found:
            return False
        if os.WIFSTOPPED(status):
            self._held[thread] = 0 if status >> 16 == EVENT_STOP else os.WSTOPSIG(status)
        return True

    def _release(self) -> None:
        for thread, pending in self._held.items():
            if _detach(thread, pending):
                self._threads.remove(thread)
        self._held = {}
        self.release_late()

    def release_late(self) -> bool:
        """Release threads that were not stopped in time, as they come out of the kernel; True when none is left.

        A thread that was killed is reaped; until then its process would not be gone.
        """
        for thread in tuple(self._threads):
            if self._reap(thread) and _detach(thread, self._held.pop(thread, 0)):
                self._threads.remove(thread)
        return not self._threads


def registers_of(thread: int) -> list[int]:
    """Read the general registers of a held thread, in the kernel's order."""
    room = ctypes.create_string_buffer(REGISTERS_BYTES)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), REGISTERS_BYTES)
    ptrace(GETREGSET, thread, GENERAL_REGISTERS, ctypes.addressof(vector))
    return list(struct.unpack_from(f"<{vector[1] // 8}Q", room))


def _detach(thread: int, pending: int) -> bool:
    """Let the thread continue. False if it is dying and still to be reaped; True also if it is no longer our tracee."""
    try:
        ptrace(DETACH, thread, 0, pending)
    except OSError:
        with contextlib.suppress(ChildProcessError):
            found, _ = os.waitpid(thread, os.WNOHANG | WAIT_ALL)
            return bool(found)
    return True


def _state(pid: int, thread: int) -> str:
    try:
        return Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
