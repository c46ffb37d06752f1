"""A ledger's history as values: what clients tried to append, with which token, and what was read of it.

An entry's name is what its client gave it, and belongs to one append only.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import FAIL, NONE, OK, Operations
from splitbrain.checkers.values import integer, mapping, sequence, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """One attempt. Times are ns, lines are history lines; of one that never completed both ends are None.

    ``token`` is None where the holder had none to give. ``outcome`` is 0 accepted, 1 refused, 2 nobody knows;
    ``position`` is the place in the ledger that the resource told, from 0.
    """

    entry: str
    token: int | None
    holder: str | None
    invoke: int
    invoke_line: int
    complete: int | None
    complete_line: int | None
    outcome: int
    position: int | None

    @property
    def accepted(self) -> bool:
        return self.outcome == OK

    @property
    def refused(self) -> bool:
        return self.outcome == FAIL

    @property
    def lines(self) -> tuple[int, ...]:
        """The line that proves most of it: its completion, else its invocation."""
        return (self.invoke_line,) if self.complete_line is None else (self.complete_line,)


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """What stands at one place of a ledger that was read; ``holder`` is None where the reading does not say."""

    entry: str
    token: int | None
    holder: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The whole ledger, as it was read in [invoke, complete] (ns)."""

    entries: tuple[LedgerEntry, ...]
    invoke: int
    invoke_line: int
    complete: int
    complete_line: int


def appends(history: History) -> list[Append]:
    """Every attempt, in the order of the invocations. Raises Malformed for a value that is none of an append."""
    done = history.operations("append")
    return [_append(history, done, row) for row in range(len(done))]


def _append(history: History, done: Operations, row: int) -> Append:
    line, end_line = int(done.invoke_index[row]), int(done.complete_index[row])
    asked = mapping(done.asked[row], "an append", line)
    token, position, outcome = asked.get("token"), None, int(done.outcome[row])
    if outcome == OK and done.answered[row] is not None:
        position = mapping(done.answered[row], "an append that is ok", end_line).get("position")
    node = int(done.node[row])
    return Append(
        entry=text(asked.get("entry"), "the entry of an append", line),
        token=None if token is None else integer(token, "the token of an append", line),
        holder=None if node == NONE else history.nodes[node],
        invoke=int(done.invoke[row]),
        invoke_line=line,
        complete=None if end_line == NONE else int(done.complete[row]),
        complete_line=None if end_line == NONE else end_line,
        outcome=outcome,
        position=None if position is None else integer(position, "the position of an append", end_line),
    )


def readings(history: History) -> list[Reading]:
    """Every time that the ledger was read, in the order of the completions. Raises Malformed."""
    done = history.operations("read-ledger")
    found = [_reading(done, row) for row in range(len(done)) if done.ok[row]]
    return sorted(found, key=lambda reading: reading.complete_line)


def _reading(done: Operations, row: int) -> Reading:
    line = int(done.complete_index[row])
    return Reading(
        entries=tuple(_entry(value, line) for value in sequence(done.answered[row], "a read-ledger that is ok", line)),
        invoke=int(done.invoke[row]),
        invoke_line=int(done.invoke_index[row]),
        complete=int(done.complete[row]),
        complete_line=line,
    )


def _entry(value: object, line: int) -> LedgerEntry:
    told = mapping(value, "each entry of a read-ledger", line)
    token, holder = told.get("token"), told.get("holder")
    return LedgerEntry(
        entry=text(told.get("entry"), "the entry in a read-ledger", line),
        token=None if token is None else integer(token, "the token in a read-ledger", line),
        holder=None if holder is None else text(holder, "the holder in a read-ledger", line),
    )
