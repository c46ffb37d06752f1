"""Parts that all clients of a workload share: the seams they record and read through, and the grid of their turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from splitbrain.nodes.clients.base import Fail, Ok, Reply, Unknown
from splitbrain.runtimes.base import Job


class Recorder(Protocol):
    """Writes lines of the history. Each method returns the time of its line, ns since the start of the history."""

    def invoke(self, process: int, f: str, node: str | None, value: Any = None) -> int: ...

    def ok(self, process: int, f: str, node: str | None, value: Any) -> int: ...

    def fail(self, process: int, f: str, node: str | None, error: str) -> int: ...

    def unknown(self, process: int, f: str, node: str | None, error: str) -> int: ...

    def note(self, process: int | str, f: str, node: str | None, value: Any) -> int: ...


class Claim(NamedTuple):
    """A node's latest answer, and the time (ns on the cluster's clock) at which it came."""

    at: int
    leading: bool
    leader: str | None
    term: int | None
    reign: str | None
    vote: str | None = None
    leader_term: int | None = None  # of the leadership that the node names

    @property
    def reign_or_term(self) -> str | int | None:
        return self.term if self.reign is None else self.reign


class LeaderView(Protocol):
    """The latest claim of every node, shared by the clients of a run."""

    def saw(self, node: str, claim: Claim) -> bool:
        """Take in a claim; True if it shows a leadership of ``node`` that was not known before."""
        ...

    def saw_confirmation(self) -> None:
        """Take in that a node confirmed its leadership."""
        ...

    def rivals(self, node: str) -> Sequence[str]:
        """The other nodes whose latest claim is to lead."""
        ...

    def claims_to_lead(self, node: str) -> bool: ...

    def anyone_leads(self) -> bool: ...


class ClientGroup(Protocol):
    """The clients of one kind: ``jobs`` are its coroutines, ``stop`` ends them after their present operation."""

    def jobs(self) -> Sequence[Job]: ...

    def stop(self) -> None: ...


class OperationRecorder:
    """Records operations under process ids that no two clients share.

    After an operation with an unknown outcome a client continues under a new id, and the old one is never used again.
    """

    def __init__(self, recorder: Recorder, process_ids: Iterator[int]) -> None:
        self._recorder = recorder
        self._process_ids = process_ids

    def new_process(self) -> int:
        """An unused process id."""
        return next(self._process_ids)

    def invoke(self, process: int, f: str, node: str | None, value: Any = None) -> None:
        self._recorder.invoke(process, f, node, value)

    def complete(self, process: int, f: str, node: str | None, reply: Reply, value: Any = None) -> int:
        """Record the reply, with ``value`` in place of the answer if it is given; the id to continue under."""
        match reply:
            case Ok(answer):
                self._recorder.ok(process, f, node, answer if value is None else value)
            case Fail(error):
                self._recorder.fail(process, f, node, error)
            case Unknown(error):
                self._recorder.unknown(process, f, node, error)
                return self.new_process()
        return process


def next_due(due: int, period: int, now: int) -> int:
    """The next instant of the grid that began at ``due``; missed turns are not made up for."""
    missed = (now - due) // period if now > due else 0
    return due + (missed + 1) * period
