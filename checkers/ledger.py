"""Ledger operations as values: the appends that clients attempted, with their tokens, and the ledgers read.

Clients name entries, and each name belongs to one append only.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import FAIL, NONE, OK, Operations
from splitbrain.checkers.values import integer, mapping, sequence, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """One attempted append.

    Times are ns, lines are history lines from 0; ``complete`` and ``complete_line`` are None if it never completed.
    ``token`` is None if the holder had none. ``outcome`` is 0 for accepted, 1 for refused, 2 for unknown. ``position``
    is the place in the ledger, from 0, that the resource answered.
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
        """True if the resource acknowledged the append."""
        return self.outcome == OK

    @property
    def refused(self) -> bool:
        """True if the resource refused the append."""
        return self.outcome == FAIL

    @property
    def lines(self) -> tuple[int, ...]:
        """The line to cite as evidence: the completion, else the invocation."""
        return (self.invoke_line,) if self.complete_line is None else (self.complete_line,)


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """One entry of a ledger that was read; ``token`` and ``holder`` are None if the reading lacks them."""

    entry: str
    token: int | None
    holder: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The entire ledger as read at some instant in [invoke, complete] (ns)."""

    entries: tuple[LedgerEntry, ...]
    invoke: int
    invoke_line: int
    complete: int
    complete_line: int


def appends(history: History) -> list[Append]:
    """All attempted appends, in the order of their invocations. Raises Malformed."""
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
    """All successful readings of the ledger, in the order of their completions. Raises Malformed."""
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
    fields = mapping(value, "each entry of a read-ledger", line)
    token, holder = fields.get("token"), fields.get("holder")
    return LedgerEntry(
        entry=text(fields.get("entry"), "the entry in a read-ledger", line),
        token=None if token is None else integer(token, "the token in a read-ledger", line),
        holder=None if holder is None else text(holder, "the holder in a read-ledger", line),
    )
