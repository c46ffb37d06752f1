"""Virtual time: one queue of events, one clock, and coroutines that sleep on it.

A run is a function of its input: events happen in the order of their instants, and those of one instant in the order in
which they were scheduled. Nothing else decides (no clock, no thread, no hash).

An event is a plain tuple ``(at, ticket, act, a, b)`` and happens as ``act(a, b)``. Links and hosts, which make events
by the hundred thousand, push them onto ``queue`` with a number from ``ticket``; a call for each would double the cost.
All times are integer nanoseconds from 0.
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
    """A task waits and no event is left: a bug of the simulation, not of the nodes in it."""


@coroutine
def suspend() -> Generator[None, Any, Any]:
    """Stop the awaiting task until it is woken; returns the value that it is woken with."""
    return (yield)


class Task:
    """A running coroutine. ``wake`` continues it until it suspends again; ``ended`` is called at its end, once."""

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
        """Continue; called by the kernel only, as an event: no task may run inside another's step."""
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
        """End the task; its ``finally`` clauses run, and later wakes do nothing."""
        self._over = True
        self._coroutine.close()


class Kernel:
    """The clock and the queue. ``now`` is the present instant, ``current`` the task whose step it is."""

    __slots__ = ("current", "now", "queue", "ticket")

    def __init__(self) -> None:
        self.now = 0
        self.ticket = itertools.count().__next__
        # A last event that raises saves a check for an empty queue.
        self.queue: list[Event] = [(FOREVER, self.ticket(), self._stuck, None, None)]
        self.current: Task

    def at(self, instant: int, act: Act, a: Any = None, b: Any = None) -> None:
        """Schedule ``act(a, b)`` for an instant, after all that is already scheduled for it."""
        heappush(self.queue, (instant, self.ticket(), act, a, b))

    def spawn(self, work: Coroutine[Any, Any, Any], ended: Callable[[Any, Exception | None], None]) -> Task:
        """Begin a task at this instant, after all that is already scheduled for it."""
        task = Task(self, work, ended)
        self.at(self.now, task.wake)
        return task

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until ``main`` has ended; returns its value, or raises its error.

        An interruption of the thread (ctrl-C) closes ``main``, so its ``finally`` clauses run, and is raised too.
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
        """Run all events up to and including ``instant``, and stop there."""
        queue, pop = self.queue, heappop
        while queue[0][0] <= instant:
            self.now, _, act, a, b = pop(queue)
            act(a, b)
        self.now = max(self.now, instant)

    def _stuck(self, _: Any, __: Any) -> None:
        raise Stuck("a task waits, and no event is left")

    async def run_all(self, jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
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


class SimAlarm:
    """A sleeper that others may wake; see ``runtimes.base.Alarm``. One task sleeps on it at a time."""

    __slots__ = ("_kernel", "_rung", "_sleep", "_sleeper")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rung = False
        self._sleep = NOT_ASLEEP  # numbers the present sleep, so that the end of an earlier one wakes no task
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
