"""The clocks of one host, as all the node's processes see them: both kinds, each with its own error.

The wall clock is set anew each time that another error is asked for, and shows the right time when none is. The
monotonic clock never goes back: it can jump ahead only, and keeps what it has gained. Both errors are the host's, so
every process has them, also one that starts later: while a clock is wrong, ``tend`` is to be called every few
milliseconds, and looks for processes that are new or execute another program.

A process whose clocks are right again keeps the code that was put in, with nothing to add: no second stop, and a
thread may be in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent.commands import Refused
from splitbrain.runtimes.docker.agent.ptrace import Gone, Still
from splitbrain.runtimes.docker.agent.vdso import CLOCKS, GAIN_ONE, RIGHT, Error, Hook, Unsupported, hook

MILLION = 1_000_000
WALL = (time.CLOCK_REALTIME, 5)  # and CLOCK_REALTIME_COARSE
MONOTONIC = (time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, 6, time.CLOCK_BOOTTIME)  # and CLOCK_MONOTONIC_COARSE
LATEST = 2**62  # ns since 1970; the year 2116
TEND_SECONDS = 0.005


class HostClocks:
    """What is asked of the clocks, and the processes that have been made to show it.

    ``processes`` finds the node's processes, all of those that there are when it is called.
    """

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self._processes = processes
        self._errors = (RIGHT,) * CLOCKS
        self._wall = (0, 0)  # ns, ppm as last asked for
        self._hooks: dict[int, Hook] = {}
        self._refused: dict[int, str] = {}  # why a process's clocks are not as asked
        self._stopped_ns = 0
        self._late: list[Still] = []  # that may have threads to let go yet

    @property
    def wrong(self) -> bool:
        """Whether some clock is, so that new processes are to be looked for."""
        return any(map(_is_wrong, self._errors))

    def set(self, wall_ns: int, wall_ppm: int, jump_ns: int, monotonic_ppm: int) -> None:
        """Have the wall clock off by so much, and gain; let the monotonic one jump ahead, and gain from now on.

        Asked for the wall error that it has anyway, it runs on as it does. Raises Refused for a date far off.
        """
        if not 0 <= time.time_ns() + wall_ns < LATEST:
            raise Refused(f"a wall clock off by {wall_ns} ns would not be between 1970 and 2116")
        errors = list(self._errors)
        for clock in WALL if (wall_ns, wall_ppm) != self._wall else ():
            errors[clock] = _error(time.clock_gettime_ns(clock), wall_ns, wall_ppm)
        for clock in MONOTONIC:
            now = time.clock_gettime_ns(clock)
            errors[clock] = _error(now, errors[clock].at(now) + jump_ns, monotonic_ppm)
        self._wall = (wall_ns, wall_ppm)
        self._errors = tuple(errors)
        if self.wrong or self._hooks:
            self._refused.clear()
            for pid, hooked in tuple(self._hooks.items()):
                self._carefully(pid, hooked.show, self._for(pid))
            self.tend()

    def tend(self) -> None:
        """Reach processes that are new, and forget those that have ended."""
        self._late = [still for still in self._late if not still.let_go_late()]
        for pid, hooked in tuple(self._hooks.items()):
            if not hooked.alive():
                self._forget(pid)
        found = set(self._processes())
        for pid in self._refused.keys() - found:
            del self._refused[pid]
        for pid in found - self._hooks.keys() - self._refused.keys():
            self._carefully(pid, self._reach, pid)

    def report(self) -> dict[str, Any]:
        """How far the clocks are off as each process's memory has it, in ns and ppm, and whose are not as asked."""
        self.tend()
        for pid, hooked in tuple(self._hooks.items()):
            self._carefully(pid, self._check, pid, hooked)
        missing = sorted(set(self._processes()) - self._hooks.keys() - self._refused.keys()) if self.wrong else []
        wall, monotonic = self._errors[time.CLOCK_REALTIME], self._errors[time.CLOCK_MONOTONIC]
        return {
            "now": {"wall": time.time_ns(), "monotonic": time.monotonic_ns()},
            "processes": len(self._hooks),
            "problems": [*self._refused.values(), *(f"process {pid} could not be reached" for pid in missing)],
            "stopped_ns": self._stopped_ns,
            "wall": {"set_ns": wall.offset, "off_ns": wall.at(time.time_ns()), "ppm": _ppm(wall.gain)},
            "monotonic": {"off_ns": monotonic.at(time.monotonic_ns()), "ppm": _ppm(monotonic.gain)},
        }

    def patch_again(self) -> list[int]:
        """Put our code into the processes that have it once more, as if it were not there; for each how long that held
        all its threads, in ns."""
        held: list[int] = []
        for pid, hooked in tuple(self._hooks.items()):
            self._carefully(pid, self._patch_again, pid, hooked, held)
        return held

    def _patch_again(self, pid: int, hooked: Hook, held: list[int]) -> None:
        hooked.put_in()  # with a blank table
        hooked.show(self._for(pid))
        self._late.append(hooked.still)
        held.append(hooked.still.stopped_ns)

    def _reach(self, pid: int) -> None:
        if _starting(pid):
            return
        hooked = self._hooks[pid] = hook(pid)
        self._late.append(hooked.still)
        self._stopped_ns = max(self._stopped_ns, hooked.still.stopped_ns)
        hooked.show(self._for(pid))

    def _check(self, pid: int, hooked: Hook) -> None:
        if hooked.shown() != self._for(pid):
            raise Unsupported(f"process {pid} has other errors in its memory than were written")

    def _for(self, pid: int) -> tuple[Error, ...]:
        """The errors for one process; a Java virtual machine's monotonic clock is left alone."""
        if not any(_is_wrong(self._errors[clock]) for clock in MONOTONIC) or not _is_java(pid):
            return self._errors
        self._refused[pid] = f"process {pid} is a Java virtual machine, whose waits freeze on a wrong monotonic clock"
        return tuple(RIGHT if clock in MONOTONIC else error for clock, error in enumerate(self._errors))

    def _carefully(self, pid: int, act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Gone:
            self._forget(pid)
        except Unsupported as failure:
            self._refused[pid] = str(failure)
        except OSError:  # threads that could not be held: next time perhaps
            pass

    def _forget(self, pid: int) -> None:
        if (hooked := self._hooks.pop(pid, None)) is not None:
            hooked.close()
        self._refused.pop(pid, None)


def _error(now: int, offset: int, ppm: int) -> Error:
    return Error(now, offset, ppm * GAIN_ONE // MILLION)


def _ppm(gain: int) -> int:
    return round(gain * MILLION / GAIN_ONE)


def _is_wrong(error: Error) -> bool:
    return error.offset != 0 or error.gain != 0


def _is_java(pid: int) -> bool:
    try:
        program, maps = Path(f"/proc/{pid}/exe").readlink(), Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    return program.name == "java" or "/libjvm.so" in maps


def _starting(pid: int) -> bool:
    """Whether it is the engine's own, about to become the container's process."""
    try:
        return "runc" in str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return True
