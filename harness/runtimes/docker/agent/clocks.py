"""Clock skew on one host, as all processes of its node see it.

The wall clock is set anew each time that another error is requested, and shows the right time when none is. The
monotonic clock never goes back: it can jump ahead only, and keeps what it has gained. Both errors belong to the host,
so every process has them, also one that starts later: a program that a process of the node executes is patched before
it runs, however short it lives (``started``), as the kernel notifies us of it (``filters``). While a clock is skewed,
``refresh`` must be called every few milliseconds to find processes that come from elsewhere.

A process with healed clocks keeps the patch, with an error of zero: no second stop, and a thread may be inside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.filters import Filters
from splitbrain.runtimes.docker.agent.flushes import Start
from splitbrain.runtimes.docker.agent.messages import ClockReport, ClockState
from splitbrain.runtimes.docker.agent.ptrace import ProcessGone, StoppedProcess
from splitbrain.runtimes.docker.agent.vdso import (
    CLOCKS,
    GAIN_ONE,
    NO_ERROR,
    ClockError,
    Hook,
    Unsupported,
    hook,
    hook_waiting,
)

MILLION = 1_000_000
WALL = (time.CLOCK_REALTIME, 5)  # and CLOCK_REALTIME_COARSE
MONOTONIC = (time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, 6, time.CLOCK_BOOTTIME)  # and CLOCK_MONOTONIC_COARSE
LATEST = 2**62  # ns since 1970; the year 2116
REFRESH_SECONDS = 0.005


class HostClocks:
    """The skew of this host's clocks, and the processes that have been patched to show it.

    ``found`` lists the node's processes at the time of the call. Without ``filters`` new programs are found by
    ``refresh`` alone. Use it from one thread only, the processes' tracer, but for ``expect``.
    """

    def __init__(self, found: Callable[[], Iterable[int]], filters: Filters | None = None) -> None:
        self._found = found
        self._filters = filters
        self._waiting: set[int] = set()  # programs that wait for us at their start
        self._started = 0
        self._errors = (NO_ERROR,) * CLOCKS
        self._wall = (0, 0)  # ns and ppm as last set
        self._hooks: dict[int, Hook] = {}
        self._refused: dict[int, str] = {}  # why the clocks of a process are not as set
        self._stopped_ns = 0
        self._late: list[StoppedProcess] = []  # these may have threads that are still to be released

    @property
    def faulty(self) -> bool:
        """True while a clock is skewed, so that new processes must be found."""
        return any(map(_is_skewed, self._errors))

    def set(self, wall_ns: int, wall_ppm: int, jump_ns: int, monotonic_ppm: int) -> None:
        """Set the offset and rate of the wall clock, and move the monotonic clock ahead and set its rate.

        A wall clock that already has this offset and rate is left alone. Raises RequestFailed for a date far off.
        """
        if not 0 <= time.time_ns() + wall_ns < LATEST:
            raise RequestFailed(f"wall clock: expected a date from 1970 to 2116, got an offset of {wall_ns} ns")
        errors = list(self._errors)
        for clock in WALL if (wall_ns, wall_ppm) != self._wall else ():
            errors[clock] = _error(time.clock_gettime_ns(clock), wall_ns, wall_ppm)
        for clock in MONOTONIC:
            now = time.clock_gettime_ns(clock)
            errors[clock] = _error(now, errors[clock].at(now) + jump_ns, monotonic_ppm)
        self._wall = (wall_ns, wall_ppm)
        self._errors = tuple(errors)
        if self.faulty or self._hooks:
            self._refused.clear()
            if self._filters is not None:
                self._filters.refused.clear()
            for pid, hooked in tuple(self._hooks.items()):
                self._carefully(pid, hooked.show, self._for(pid))
            self.refresh()

    def refresh(self) -> None:
        """Patch processes that are new, and forget those that have ended."""
        self._late = [stopped for stopped in self._late if not stopped.release_late()]
        for pid, hooked in tuple(self._hooks.items()):
            if not hooked.alive():
                self._forget(pid)
        found = set(self._found())
        for pid in self._refused.keys() - found:
            del self._refused[pid]
        for pid in found - self._hooks.keys() - self._refused.keys() - self._waiting:
            self._carefully(pid, self._reach, pid)
        if self.faulty and self._filters is not None:
            self._filters.refresh()

    def expect(self, start: Start) -> bool:
        """Note that a program waits for ``started``; False if no clock is skewed, so that it need not."""
        if self.faulty:
            self._waiting.add(start.pid)
        return self.faulty

    def started(self, start: Start) -> None:
        """Patch a program at its start, and let it go on.

        The process may be known from before, when it executed the program of its parent, in its parent's memory if it
        came from vfork(2): that memory lives on.
        """
        try:
            self._forget(start.pid)
            if self.faulty and _threads(start.pid) == 1:
                self._carefully(start.pid, self._reach_waiting, start.pid)
        finally:
            start.go_on()
            self._waiting.discard(start.pid)

    def report(self) -> ClockReport:
        """Check the clocks in each process's memory, and report the skew and the processes that do not have it."""
        self.refresh()
        for pid, hooked in tuple(self._hooks.items()):
            self._carefully(pid, self._check, pid, hooked)
        unknown = set(self._found()) - self._hooks.keys() - self._refused.keys() if self.faulty else set()
        missing = sorted(pid for pid in unknown if not processes.in_parents_memory(pid))
        wall, monotonic = self._errors[time.CLOCK_REALTIME], self._errors[time.CLOCK_MONOTONIC]
        return ClockReport(
            wall=_state(wall, time.time_ns()),
            monotonic=_state(monotonic, time.monotonic_ns()),
            processes=len(self._hooks),
            problems=(*self._refused.values(), *(f"process {pid} could not be reached" for pid in missing)),
            stopped_ns=max(self._stopped_ns, self._filters.stopped_ns if self._filters is not None else 0),
            started=self._started,
            late=self._why_late(),
        )

    def _why_late(self) -> tuple[str, ...]:
        """Why programs that some processes execute are not patched before they run, but soon after."""
        if self._filters is None:
            return ("new programs are not waited for",)
        return tuple(self._filters.refused.values())

    def patch_again(self) -> list[int]:
        """Patch all patched processes again, as if they were new, and return how long each was stopped (ns)."""
        held: list[int] = []
        for pid, hooked in tuple(self._hooks.items()):
            self._carefully(pid, self._patch_again, pid, hooked, held)
        return held

    def _patch_again(self, pid: int, hooked: Hook, held: list[int]) -> None:
        hooked.install()  # with a blank table
        hooked.show(self._for(pid))
        self._late.append(hooked.stopped)
        held.append(hooked.stopped.stopped_ns)

    def _reach(self, pid: int) -> None:
        if _starting(pid) or processes.in_parents_memory(pid):
            return
        hooked = self._hooks[pid] = hook(pid)
        self._late.append(hooked.stopped)
        self._stopped_ns = max(self._stopped_ns, hooked.stopped.stopped_ns)
        hooked.show(self._for(pid))

    def _reach_waiting(self, pid: int) -> None:
        hooked = self._hooks[pid] = hook_waiting(pid)
        hooked.show(self._for(pid))
        self._started += 1

    def _check(self, pid: int, hooked: Hook) -> None:
        if hooked.shown() != self._for(pid):
            raise Unsupported(f"process {pid} has other errors in its memory than were written")

    def _for(self, pid: int) -> tuple[ClockError, ...]:
        """The errors for one process. The monotonic clock of a Java virtual machine is left alone."""
        if not any(_is_skewed(self._errors[clock]) for clock in MONOTONIC) or not _is_java(pid):
            return self._errors
        self._refused[pid] = f"process {pid} is a Java virtual machine: its waits freeze on a skewed monotonic clock"
        return tuple(NO_ERROR if clock in MONOTONIC else error for clock, error in enumerate(self._errors))

    def _carefully(self, pid: int, act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except ProcessGone:
            self._forget(pid)
        except Unsupported as failure:
            self._refused[pid] = str(failure)
        except OSError:  # some threads could not be stopped: perhaps next time
            pass

    def _forget(self, pid: int) -> None:
        if (hooked := self._hooks.pop(pid, None)) is not None:
            hooked.close()
        self._refused.pop(pid, None)


def _error(now: int, offset: int, ppm: int) -> ClockError:
    return ClockError(now, offset, ppm * GAIN_ONE // MILLION)


def _state(error: ClockError, now: int) -> ClockState:
    ppm = round(error.gain * MILLION / GAIN_ONE)
    return ClockState(now_ns=now, set_ns=error.offset, off_ns=error.at(now), ppm=ppm)


def _is_skewed(error: ClockError) -> bool:
    return error.offset != 0 or error.gain != 0


def _is_java(pid: int) -> bool:
    try:
        program, maps = Path(f"/proc/{pid}/exe").readlink(), Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    return program.name == "java" or "/libjvm.so" in maps


def _starting(pid: int) -> bool:
    """True for the engine's runc, which is about to execute the container's program."""
    try:
        return "runc" in str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return True


def _threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0
