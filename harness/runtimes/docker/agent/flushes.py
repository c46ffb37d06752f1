"""Slow or failing flushes of the node's files: fsync(2), fdatasync(2) and their like.

The kernel notifies us of these calls before it carries them out (``filters``). We delay a call and let it continue, or
answer in the kernel's place that it failed. When healed, calls continue at once, at the cost of the notification.
Writes through the cache without a flush (``O_SYNC``, ``O_DIRECT``) and io_uring are not reached.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from splitbrain.runtimes.docker.agent.filters import TRIAL, Filters
from splitbrain.runtimes.docker.agent.messages import FlushReport
from splitbrain.runtimes.docker.agent.remote_syscalls import syscall_abi

RECEIVE, ANSWER = 0xC050_2100, 0xC018_2101
NOTICE, REPLY = struct.Struct("<QIIiIQ6Q"), struct.Struct("<QqiI")
CONTINUE = 1


@dataclass(frozen=True, slots=True)
class Start:
    """A program that has been executed as process ``pid``, and waits in its first call until it may go on."""

    pid: int
    go_on: Callable[[], object]


class Supervisor:
    """A thread that answers the kernel's notifications of flushes: after ``ms``, or with an error if they ``fail``.

    ``started`` is called on that thread for each program that starts. "Supervisor" and "listener" are the terms of
    seccomp_unotify(2).
    """

    def __init__(self, started: Callable[[Start], object] = lambda start: start.go_on()) -> None:
        self._started = started
        self._starts: frozenset[int] = frozenset()
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
        abi = syscall_abi()
        self._starts = frozenset(abi.numbers[name] for name in abi.starts)
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
        question, pid, _, number, _, _, file, *_ = NOTICE.unpack(room)
        if number in self._starts:
            self._started(Start(pid, lambda: self._answer(listener, question, goes_on=True)))
        elif file & 0xFFFF_FFFF == 0xFFFF_FFFF:
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
    """The treatment of flushes on this host."""

    def __init__(self, filters: Filters, supervisor: Supervisor) -> None:
        self._filters = filters
        self._supervisor = supervisor
        self.faulty = False

    def set(self, ms: int, fail: bool) -> FlushReport:
        """Delay flushes by ``ms``, or have them fail, and report on the flushes since the last call."""
        self.faulty = ms > 0 or fail
        self._filters.refused.clear()
        if self.faulty:
            self.refresh()
        self._supervisor.set(ms, fail)
        return self._supervisor.report(self._filters.processes, tuple(self._filters.refused.values()))

    def refresh(self) -> None:
        """Reach processes that are new."""
        self._filters.refresh()
