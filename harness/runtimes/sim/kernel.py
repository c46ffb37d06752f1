"""Virtual time: one queue of events, one clock, and coroutines that sleep on it.

The promise: what happens is a function of what was put in. Events happen in the order of their instants, those of
one instant in the order in which they were asked for, and nothing else decides (no clock, no thread, no hash).

An event is a plain tuple ``(at, ticket, act, a, b)`` and happens as ``act(a, b)``. Who makes events by the hundred
thousand (links, hosts) pushes them onto ``queue`` itself with a number from ``ticket``; a call for each would cost
as much again. All times are integer nanoseconds from 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Generator, Sequence
from heapq import heappop, heappush
from types import coroutine
from typing import Any, Final, TypeVar

Act = Callable[[Any, Any], None]
Event = tuple[int, int, Act, Any, Any]
T = TypeVar("T")

NOT_ASLEEP: Final = -1
FOREVER: Final = 2**63


class Stuck(AssertionError):
    """Somebody waits and nothing is left that could happen: a bug of the simulation, not of what runs in it."""


@coroutine
def suspend() -> Generator[None, Any, Any]:
    """Stop the task that awaits this until somebody wakes it; the value that it is woken with is returned."""
    return (yield)


class Task:
    """A coroutine at work. ``wake`` goes on with it until it suspends again; ``ended`` is told its end, once."""

    __slots__ = ("_coroutine", "_ended", "_kernel", "_over", "_send")

    def __init__(
        self, kernel: Kernel, work: Coroutine[Any, Any, Any], ended: Callable[[Any, Exception | None], None]
    ) -> None:
        self._kernel = kernel
        self._coroutine = work
        self._send = work.send
        self._ended = ended
        self._over = False

    def wake(self, value: Any, _: Any) -> None:
        """To be called by the kernel only, as an event: no task may run inside another one's step."""
        if self._over:
            return
        self._kernel.current = self
        try:
            self._send(value)
        except StopIteration as end:
            self._over = True
            self._ended(end.value, None)
        except Exception as error:
            self._over = True
            self._ended(None, error)

    def close(self) -> None:
        """End it where it stands; its ``finally`` clauses run, and no wake reaches it any more."""
        self._over = True
        self._coroutine.close()


class Kernel:
    """The clock and the queue. ``now`` is the present instant, ``current`` the task whose step it is."""

    __slots__ = ("current", "now", "queue", "ticket")

    def __init__(self) -> None:
        self.now = 0
        self.ticket = itertools.count().__next__
        # The queue is never empty, so nobody has to ask: at its end stands an event that says so.
        self.queue: list[Event] = [(FOREVER, self.ticket(), self._stuck, None, None)]
        self.current: Task

    def at(self, instant: int, act: Act, a: Any = None, b: Any = None) -> None:
        """Have ``act(a, b)`` happen then, after all that was asked for that instant before."""
        heappush(self.queue, (instant, self.ticket(), act, a, b))

    def spawn(self, work: Coroutine[Any, Any, Any], ended: Callable[[Any, Exception | None], None]) -> Task:
        """Begin a task at this instant, after what is already to happen at it."""
        task = Task(self, work, ended)
        self.at(self.now, task.wake)
        return task

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Let time pass until ``main`` has ended; its value is returned, its error raised.

        What interrupts the thread (ctrl-C) closes ``main``, so its ``finally`` clauses run, and is raised too.
        """
        ends: list[tuple[T, Exception | None]] = []
        task = self.spawn(main, lambda value, error: ends.append((value, error)))
        queue, pop = self.queue, heappop
        try:
            while not ends:
                self.now, _, act, a, b = pop(queue)
                act(a, b)
        finally:
            task.close()
        value, error = ends[0]
        if error is not None:
            raise error
        return value

    def run_until(self, instant: int) -> None:
        """Let everything happen that is due up to ``instant``, itself included, and stand there."""
        queue, pop = self.queue, heappop
        while queue[0][0] <= instant:
            self.now, _, act, a, b = pop(queue)
            act(a, b)
        self.now = max(self.now, instant)

    def _stuck(self, _: Any, __: Any) -> None:
        raise Stuck("somebody waits, and nothing is left to happen")

    async def together(self, jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run the jobs until all have ended; an error in one ends them all, and is raised."""
        parent = self.current
        ends = 0
        failed = False

        def ended(_: Any, error: Exception | None) -> None:
            nonlocal ends, failed
            ends += 1
            if not failed and (error is not None or ends == len(jobs)):
                failed = error is not None
                self.at(self.now, parent.wake, error)

        tasks = [self.spawn(job, ended) for job in jobs]
        try:
            error = await suspend() if tasks else None
        finally:
            for task in tasks:
                task.close()
        if error is not None:
            raise error

    async def sleep(self, ns: int) -> None:
        heappush(self.queue, (self.now + ns, self.ticket(), self.current.wake, None, None))
        await suspend()


class Alarm:
    """A sleeper that others may wake; see ``runtimes.base.Alarm``. One task sleeps on it at a time."""

    __slots__ = ("_kernel", "_rung", "_sleep", "_sleeper")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rung = False
        self._sleep = NOT_ASLEEP  # names the present sleep, so that the end of an earlier one wakes nobody
        self._sleeper: Task

    @coroutine
    def wait_until(self, at: int) -> Generator[None, Any, None]:
        kernel = self._kernel
        if at > kernel.now and not self._rung:
            self._sleeper = kernel.current
            self._sleep = sleep = kernel.ticket()
            heappush(kernel.queue, (at, sleep, self._time_is_up, sleep, None))
            yield
        self._rung = False

    def ring(self) -> None:
        if self._sleep == NOT_ASLEEP:
            self._rung = True
        else:
            self._sleep = NOT_ASLEEP
            self._kernel.at(self._kernel.now, self._sleeper.wake)

    def _time_is_up(self, sleep: int, _: Any) -> None:
        if sleep == self._sleep:
            self._sleep = NOT_ASLEEP
            self._sleeper.wake(None, None)
