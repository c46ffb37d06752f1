"""Questions that clients ask the nodes of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any, Final

from splitbrain.nodes.clients.base import Fail, Reply, Unknown
from splitbrain.runtimes.sim.kernel import Kernel, Task

REFUSED: Final = Fail("connection refused")
BROKEN: Final = Unknown("the connection broke")
NO_ANSWER: Final = Unknown("no answer in time")


class Call:
    """A question and the task that waits for its answer, which is given once, or at ``deadline`` not at all."""

    __slots__ = ("deadline", "kernel", "open", "task", "way_back")

    def __init__(self, kernel: Kernel, deadline: int, way_back: Callable[[], int]) -> None:
        self.kernel = kernel
        self.task: Task = kernel.current
        self.deadline = deadline
        self.way_back = way_back
        self.open = True

    def answer(self, reply: Reply) -> None:
        """Send the answer on its way back; the first one counts."""
        if self.open:
            self.open = False
            kernel = self.kernel
            at = kernel.now + self.way_back()
            if at > self.deadline:
                at, reply = max(kernel.now, self.deadline), NO_ANSWER
            heappush(kernel.queue, (at, kernel.ticket(), self.task.wake, reply, None))

    def expires(self) -> None:
        """Give the call up at its deadline, since it will not be answered at once."""
        if self.open:
            self.kernel.at(max(self.kernel.now, self.deadline), self._expire)

    def _expire(self, _: Any, __: Any) -> None:
        if self.open:
            self.open = False
            self.task.wake(NO_ANSWER, None)
