"""Flushes of the node's files to its disk, held up or refused: fsync(2), fdatasync(2) and their like.

Each process of the node is given a filter of system calls (seccomp(2)) that has the kernel ask us about these calls and
no others, before it carries them out (seccomp_unotify(2)). We let one wait and then go on as the process made it, or
answer in the kernel's place that it failed. The process puts the filter on itself, made to do so by ptrace; what it
starts later inherits it, and what comes into the node by another way is looked for by ``tend``.

A filter stays until its process ends. Healed, calls go on at once, at the price of our being asked. What writes through
without a flush (``O_SYNC``, ``O_DIRECT``), or asks the kernel by other ways (io_uring), is not reached.
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
from typing import Any

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.ptrace import Gone, Still
from splitbrain.runtimes.docker.agent.remote_syscalls import NONE, Borrowed, calling
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

INSTRUCTION = struct.Struct("<HBBI")  # of a filter
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ASK = 0x7FFF_0000, 0x7FC0_0000
NUMBER_AT, ARCH_AT = 0, 4

TRIAL = 7_777
"""What a flush of no file is answered when it is made to see whether we are asked: nothing else answers so."""

_libc = ctypes.CDLL(None, use_errno=True)


def program() -> bytes:
    """The filter: ask about flushes, allow all else."""
    kind = calling()
    numbers = [kind.numbers[name] for name in FLUSHES]
    last = len(numbers)
    lines = [(LOAD, 0, 0, ARCH_AT), (JUMP_IF_EQUAL, 0, last + 1, kind.arch), (LOAD, 0, 0, NUMBER_AT)]
    lines += [(JUMP_IF_EQUAL, last - at, 0, number) for at, number in enumerate(numbers)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]
    return b"".join(INSTRUCTION.pack(*line) for line in lines)


class Listeners:
    """The kernel's questions about flushes, answered by a thread of ours; ``ms`` and ``fail`` say how."""

    def __init__(self) -> None:
        self.ms = 0
        self.fail = False
        self._took: list[float] = []  # ms, of those held up since ``anew``
        self._refused = 0
        self._due: list[tuple[float, int, int, float]] = []  # when, listener, id of the question, when it came
        self._poll = select.poll()
        self._wake, self._waker = os.pipe()
        self._poll.register(self._wake, select.POLLIN)
        threading.Thread(target=self._serve, name="flushes", daemon=True).start()

    def add(self, listener: int) -> None:
        self._poll.register(listener, select.POLLIN)
        os.write(self._waker, b"\0")

    def set(self, ms: int, fail: bool) -> None:
        """From now on hold flushes up for so long, or refuse them. What has been held up for that long goes on."""
        self.ms, self.fail = ms, fail
        os.write(self._waker, b"\0")

    def anew(self) -> dict[str, Any]:
        """What was done since this was last called: how many flushes ended late, by how many ms, how many failed."""
        took, self._took = self._took, []
        refused, self._refused = self._refused, 0
        each = {"took_ms": round(median(took), 1), "most_ms": round(max(took), 1)} if took else {}
        return {"held": len(took), "refused": refused, **each}

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
                    self._asked(listener)
                else:  # all whom it was about have ended
                    self._poll.unregister(listener)
                    os.close(listener)
                    self._due = [each for each in self._due if each[1] != listener]
                    heapq.heapify(self._due)
            while self._due and self._due[0][0] <= time.monotonic():
                _, listener, question, came = heapq.heappop(self._due)
                if self._answer(listener, question, goes_on=True):
                    self._took.append((time.monotonic() - came) * 1_000)

    def _asked(self, listener: int) -> None:
        room = bytearray(NOTICE.size)
        try:
            fcntl.ioctl(listener, RECEIVE, room)
        except OSError:  # whoever asked has ended, or was interrupted and will ask again
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
        """Whether whoever asked still waits."""
        reply = REPLY.pack(question, result, -error, CONTINUE if goes_on else 0)
        try:
            fcntl.ioctl(listener, ANSWER, reply)
        except OSError:
            return False
        return True


class Flushes:
    """What is asked of the flushes of a host's node, and the processes that have been made to ask.

    ``found`` finds the node's processes, all of those that there are when it is called. As it traces them, it must be
    used by one thread.
    """

    def __init__(self, found: Callable[[], Iterable[int]]) -> None:
        self._found = found
        self._listeners: Listeners | None = None
        self._filters: dict[int, int] = {}  # how many each process has that is known to ask
        self._refused: dict[int, str] = {}
        self._late: list[Still] = []  # that may have threads to let go yet
        self.wrong = False

    def set(self, ms: int, fail: bool) -> dict[str, Any]:
        """Hold flushes up for so many ms, or refuse them. ``problems`` says which processes are not reached.

        Told besides is what was done since this was last asked for.
        """
        if self._listeners is None:
            self._listeners = Listeners()
        self.wrong = ms > 0 or fail
        self._refused.clear()
        if self.wrong:
            self.tend()
        self._listeners.set(ms, fail)
        done = self._listeners.anew()
        return {"processes": len(self._filters), "problems": list(self._refused.values()), **done}

    def tend(self) -> None:
        """Reach processes that are new, and forget those that have ended."""
        self._late = [still for still in self._late if not still.let_go_late()]
        found = set(self._found())
        for known in (self._filters, self._refused):
            for pid in known.keys() - found:
                del known[pid]
        for pid in sorted(found - self._filters.keys() - self._refused.keys()):
            try:
                if not self._inherits(pid):
                    self._reach(pid)
                self._filters[pid] = _filters(pid)
            except Gone:
                pass
            except (Unsupported, OSError) as failure:
                self._refused[pid] = f"process {pid}: {failure}"

    def _inherits(self, pid: int) -> bool:
        of_parent = self._filters.get(processes.parent(pid) or 0)
        return of_parent is not None and _filters(pid) >= of_parent

    def _reach(self, pid: int) -> None:
        """Have the process put the filter on itself, take its end that listens, and see that we are asked."""
        assert self._listeners is not None
        made = program()
        flags = ALL_THREADS | NEW_LISTENER | ERROR_IF_NOT_ALL | KILLABLE
        with Still(pid) as held, Borrowed(held) as thread:
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
                listener = _taken(pid, number)
            finally:
                thread.call("close", number)
            self._listeners.add(listener)
            with contextlib.suppress(OSError):
                if thread.call("fsync", NONE) == TRIAL:
                    return
            raise Unsupported("its filter asks nobody")


def _taken(pid: int, number: int) -> int:
    """A file of the process's as one of ours."""
    process = os.pidfd_open(pid)
    try:
        file = _libc.syscall(PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if file < 0:
        raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return int(file)


def _filters(pid: int) -> int:
    """How many filters of system calls a process has."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Seccomp_filters":
                return int(value)
    except OSError as error:
        raise Gone(f"process {pid} has ended") from error
    return 0
