"""Lock holds: the intervals in which a process certainly held a lock.

A hold is definite on [completion of acquire, invocation of release] if the release is ok. If the release reports that
the lock was lost before (``"held": false``), or its fate is unknown, or there is no release, only the instant of
acquiring is definite, because a lease may have expired since. Holds are compared by their lines in the history, whose
order really held; no clock is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import FAIL, NONE

Key = str | int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LockHold:
    """One hold of the lock ``key``, definite from ``first_line`` to ``last_line``, and from ``start`` to ``end`` (ns).

    Both intervals are closed. ``lost``: the release reported that the lock was no longer held. ``released``: the
    release is ok.
    """

    key: Key
    process: int | str
    node: str | None
    first_line: int
    last_line: int
    start: int
    end: int
    lost: bool
    released: bool

    @property
    def holder(self) -> str:
        """The node, or else the process, as text."""
        return self.node if self.node is not None else f"process {self.process}"


def lock_holds(history: History) -> list[LockHold]:
    """All holds, in the order of the lines at which they were granted."""
    found: list[LockHold] = []
    held: dict[tuple[int | str, Key], LockHold] = {}
    for line, f, row in _events(history):
        done = history.operations(f)
        holding = done.process[row], key_of(done.asked[row])
        if f == "acquire":
            node = int(done.node[row])
            time = int(done.complete[row])
            held[holding] = LockHold(
                key=holding[1],
                process=holding[0],
                node=None if node == NONE else history.nodes[node],
                first_line=line,
                last_line=line,
                start=time,
                end=time,
                lost=False,
                released=False,
            )
        elif holding in held:
            found.append(
                _released(held.pop(holding), line, int(done.invoke[row]), bool(done.ok[row]), done.answered[row])
            )
    return sorted([*found, *held.values()], key=lambda hold: hold.first_line)


def _events(history: History) -> list[tuple[int, str, int]]:
    """The completions of granted acquires and the invocations of releases, by line: (line, f, row)."""
    acquires, releases = history.operations("acquire"), history.operations("release")
    events = [(int(acquires.complete_index[row]), "acquire", row) for row in range(len(acquires)) if acquires.ok[row]]
    return sorted([*events, *((int(releases.invoke_index[row]), "release", row) for row in range(len(releases)))])


def _released(hold: LockHold, line: int, time: int, ok: bool, answer: object) -> LockHold:
    lost = ok and isinstance(answer, Mapping) and answer.get("held") is False
    if not ok or lost:
        return replace(hold, lost=lost, released=ok)
    return replace(hold, last_line=line, end=time, released=True)


def key_of(value: object) -> Key:
    """The lock or register of an operation: the ``key`` of its value, None if it has none."""
    key = value.get("key") if isinstance(value, Mapping) else None
    return key if isinstance(key, str | int) else None


def refused_acquires(history: History) -> int:
    """The number of acquires that failed."""
    return int((history.operations("acquire").outcome == FAIL).sum())
