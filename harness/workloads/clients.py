"""What all clients of a workload have in common: process ids, the grid of their turns, and how an answer is recorded.

After an operation whose fate is unknown the client goes on under a new process id and the old id is never used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from splitbrain.core.recorder import Recorder
from splitbrain.nodes.clients.base import Fail, Ok, Reply, Unknown
from splitbrain.runtimes.base import Job


class ClientGroup(Protocol):
    """The clients of one kind: ``jobs`` are its coroutines, ``stop`` ends them after their present operation."""

    def jobs(self) -> Sequence[Job]: ...

    def stop(self) -> None: ...


class OperationRecorder:
    """Writes down what clients ask and what they are answered, under ids that no two clients share."""

    def __init__(self, recorder: Recorder, process_ids: Iterator[int]) -> None:
        self._recorder = recorder
        self._process_ids = process_ids

    def newcomer(self) -> int:
        """A process id that nobody had before."""
        return next(self._process_ids)

    def asked(self, process: int, f: str, node: str | None, value: Any = None) -> None:
        self._recorder.invoke(process, f, node, value)

    def answered(self, process: int, f: str, node: str | None, reply: Reply, value: Any = None) -> int:
        """The id under which the client goes on. ``value`` stands for the answer's own, if it is given."""
        match reply:
            case Ok(answer):
                self._recorder.ok(process, f, node, answer if value is None else value)
            case Fail(error):
                self._recorder.fail(process, f, node, error)
            case Unknown(error):
                self._recorder.unknown(process, f, node, error)
                return self.newcomer()
        return process


def next_due(due: int, period: int, now: int) -> int:
    """The next instant of the grid that began at ``due``; turns already missed are not made up for."""
    missed = (now - due) // period if now > due else 0
    return due + (missed + 1) * period
