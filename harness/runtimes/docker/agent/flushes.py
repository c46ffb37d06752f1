"""Slow or failing flushes of the node's files: fsync(2), fdatasync(2) and their like.

Each process of the node is given a filter of system calls (seccomp(2)) by which the kernel notifies us of these calls,
and no others, before it carries them out (seccomp_unotify(2)). We delay a call and let it continue, or answer in the
kernel's place that it failed. The process is made to install the filter itself, by ptrace; its children inherit it, and
``refresh`` finds processes that enter the node in another way.

A filter stays until its process ends. When healed, calls continue at once, at the cost of the notification. Writes
through the cache without a flush (``O_SYNC``, ``O_DIRECT``) and io_uring are not reached.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import heapq
import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.messages import FlushReport
from splitbrain.runtimes.docker.agent.ptrace import ProcessGone, StoppedProcess
from splitbrain.runtimes.docker.agent.remote_syscalls import NONE, RemoteThread, syscall_abi
from splitbrain.runtimes.docker.agent.vdso import Unsupported

FLUSHES = ("fsync", "fdatasync", "msync", "sync_file_range", "syncfs")

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER = 1
ALL_THREADS, NEW_LISTENER, ERROR_IF_NOT_ALL, KILLABLE = 1, 8, 16, 32
RECEIVE, ANSWER = 0xC050_2100, 0xC018_2101
NOTICE, REPLY = struct.Struct("<QIIiIQ6Q"), struct.Struct("<QqiI")
CONTINUE = 1
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
    """Assemble the filter: notify us of flushes, allow all other calls."""
    abi = syscall_abi()
    numbers = [abi.numbers[name] for name in FLUSHES]
    last = len(numbers)
    lines = [(LOAD, 0, 0, ARCH_AT), (JUMP_IF_EQUAL, 0, last + 1, abi.arch), (LOAD, 0, 0, NUMBER_AT)]
    lines += [(JUMP_IF_EQUAL, last - at, 0, number) for at, number in enumerate(numbers)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]
    return b"".join(INSTRUCTION.pack(*line) for line in lines)


class Supervisor:
    """A thread that answers the kernel's notifications of flushes: after ``ms``, or with an error if they ``fail``.

    "Supervisor" and "listener" are the terms of seccomp_unotify(2).
    """

    def __init__(self) -> None:
        self.ms = 0
        self.fail = False
        self._took: list[float] = []  # ms, of flushes delayed since the last report
        self._refused = 0
        self._due: list[tuple[float, int, int, float]] = []  # due, listener, notification id, received
        self._poll = select.poll()
        self._wake, self._waker = os.pipe()
        self._poll.register(self._wake, select.POLLIN)
        threading.Thread(target=self._serve, name="flushes", daemon=True).start()

    def add(self, listener: int) -> None:
        self._poll.register(listener, select.POLLIN)
        os.write(self._waker, b"\0")

    def set(self, ms: int, fail: bool) -> None:
        """Delay flushes, or have them fail, from now on. A flush that has been delayed for ``ms`` already goes on."""
        self.ms, self.fail = ms, fail
        os.write(self._waker, b"\0")

    def report(self, processes: int, problems: tuple[str, ...]) -> FlushReport:
        """Report on the flushes since the last report."""
        took, self._took = self._took, []
        refused, self._refused = self._refused, 0
        return FlushReport(
            processes=processes,
            problems=problems,
            held=len(took),
            refused=refused,
            took_ms=round(median(took), 1) if took else None,
            most_ms=round(max(took), 1) if took else None,
        )

    def _serve(self) -> None:
        while True:
            left = None if not self._due else max(0.0, self._due[0][0] - time.monotonic()) * 1_000
            for listener, what in self._poll.poll(left):
                if listener == self._wake:
                    os.read(self._wake, 4096)
                    self._due = [
                        (min(due, came + self.ms / 1_000), of, question, came) for due, of, question, came in self._due
                    ]
                    heapq.heapify(self._due)
                elif what & select.POLLIN:
                    self._notified(listener)
                else:  # all processes with this filter have ended
                    self._poll.unregister(listener)
                    os.close(listener)
                    self._due = [each for each in self._due if each[1] != listener]
                    heapq.heapify(self._due)
            while self._due and self._due[0][0] <= time.monotonic():
                _, listener, question, came = heapq.heappop(self._due)
                if self._answer(listener, question, goes_on=True):
                    self._took.append((time.monotonic() - came) * 1_000)

    def _notified(self, listener: int) -> None:
        room = bytearray(NOTICE.size)
        try:
            fcntl.ioctl(listener, RECEIVE, room)
        except OSError:  # the process has ended, or was interrupted and will try again
            return
        question, _, _, _, _, _, file, *_ = NOTICE.unpack(room)
        if file & 0xFFFF_FFFF == 0xFFFF_FFFF:
            self._answer(listener, question, result=TRIAL)
        elif self.fail:
            self._refused += self._answer(listener, question, error=errno.EIO)
        elif self.ms:
            now = time.monotonic()
            heapq.heappush(self._due, (now + self.ms / 1_000, listener, question, now))
        else:
            self._answer(listener, question, goes_on=True)

    def _answer(self, listener: int, question: int, result: int = 0, error: int = 0, goes_on: bool = False) -> bool:
        """Answer a notification; False if the process waits no longer."""
        reply = REPLY.pack(question, result, -error, CONTINUE if goes_on else 0)
        try:
            fcntl.ioctl(listener, ANSWER, reply)
        except OSError:
            return False
        return True


class Flushes:
    """The treatment of flushes on this host, and the processes with our filter.

    ``found`` lists the node's processes at the time of the call. Use it from one thread only, the processes' tracer.
    """

    def __init__(self, found: Callable[[], Iterable[int]]) -> None:
        self._found = found
        self._supervisor: Supervisor | None = None
        self._filters: dict[int, int] = {}  # the number of filters of each process that has ours
        self._refused: dict[int, str] = {}
        self._late: list[StoppedProcess] = []  # these may have threads that are still to be released
        self.faulty = False

    def set(self, ms: int, fail: bool) -> FlushReport:
        """Delay flushes by ``ms``, or have them fail, and report on the flushes since the last call."""
        if self._supervisor is None:
            self._supervisor = Supervisor()
        self.faulty = ms > 0 or fail
        self._refused.clear()
        if self.faulty:
            self.refresh()
        self._supervisor.set(ms, fail)
        return self._supervisor.report(len(self._filters), tuple(self._refused.values()))

    def refresh(self) -> None:
        """Give the filter to processes that are new, and forget those that have ended."""
        self._late = [stopped for stopped in self._late if not stopped.release_late()]
        found = set(self._found())
        for known in (self._filters, self._refused):
            for pid in known.keys() - found:
                del known[pid]
        for pid in sorted(found - self._filters.keys() - self._refused.keys()):
            try:
                if not self._inherits(pid):
                    self._reach(pid)
                self._filters[pid] = _filters(pid)
            except ProcessGone:
                pass
            except (Unsupported, OSError) as failure:
                self._refused[pid] = f"process {pid}: {failure}"

    def _inherits(self, pid: int) -> bool:
        of_parent = self._filters.get(processes.parent(pid) or 0)
        return of_parent is not None and _filters(pid) >= of_parent

    def _reach(self, pid: int) -> None:
        """Make the process install the filter, take over its listener, and check that we are notified."""
        assert self._supervisor is not None
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
            finally:
                thread.call("munmap", at, PAGE)
            try:
                listener = _take_over(pid, number)
            finally:
                thread.call("close", number)
            self._supervisor.add(listener)
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
