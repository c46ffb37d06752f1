"""Reads tables of promises: one row a fault class, one column a guarantee, as in etcd/raft's ``quorum/testdata``.

A table is text. Its header names every guarantee once; only one that has a usual promise may be missing. Each row names
a fault class and gives one mark a column, of ``splitbrain.names.MARKS``. Text after a ``#`` is a comment. A table
without a base has a row for every fault class of nodes; the rows of a variant replace those of its base.

    # + guaranteed   ! known weakness   ? not promised   - undefined
                     term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    leader-isolated  +            +                !            +        +             +            +
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from splitbrain.names import FAULT_CLASSES, GUARANTEES, MARKS, NODE_FAULT_CLASSES, Promises, PromiseTable

NO_PROMISES: Final[PromiseTable] = MappingProxyType({})
NOTHING_USUAL: Final[Promises] = MappingProxyType({})


class PromiseTableError(ValueError):
    """A table that cannot be read: its name, the line, the expected and the given text."""

    def __init__(self, where: str, expected: str, got: object) -> None:
        super().__init__(f"{where}: expected {expected}, got {got!r}")
        self.where = where
        self.expected = expected
        self.got = got


def promise_table(
    name: str, text: str, base: PromiseTable = NO_PROMISES, usual: Promises = NOTHING_USUAL
) -> PromiseTable:
    """The table that ``text`` holds, on top of ``base``; errors call it by ``name``.

    ``usual`` holds the promises for guarantees whose columns may be missing. Raises PromiseTableError for an unknown or
    duplicate row or column, a missing one, and a wrong mark.
    """
    lines = _lines(name, text)
    columns = _columns(*next(lines, (name, [])), usual)
    rows: dict[str, Promises] = {}
    for where, (fault_class, *marks) in lines:
        if fault_class not in FAULT_CLASSES:
            raise PromiseTableError(where, f"a fault class, one of {', '.join(FAULT_CLASSES)}", fault_class)
        if fault_class in rows:
            raise PromiseTableError(where, f"one row for {fault_class}", "a second one")
        rows[fault_class] = _promises(f"{where}, {fault_class}", columns, marks, usual)
    table = {**base, **{each: rows[each] for each in FAULT_CLASSES if each in rows}}
    if missing := [each for each in NODE_FAULT_CLASSES if each not in table]:
        raise PromiseTableError(name, f"a row for {', '.join(missing)}", "none")
    return MappingProxyType({each: table[each] for each in FAULT_CLASSES if each in table})


def _lines(where: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """The words of each line that holds any, with its place."""
    for number, line in enumerate(text.splitlines(), start=1):
        if words := line.partition("#")[0].split():
            yield f"{where}, line {number}", words


def _columns(where: str, header: list[str], usual: Promises) -> list[str]:
    needed = GUARANTEES.keys() - usual.keys()
    if len(set(header)) != len(header) or not needed <= set(header) <= GUARANTEES.keys():
        raise PromiseTableError(where, f"a header of the columns {' '.join(GUARANTEES)}", " ".join(header))
    return header


def _promises(where: str, columns: list[str], marks: list[str], usual: Promises) -> Promises:
    if len(marks) != len(columns) or not MARKS.keys() >= set(marks):
        raise PromiseTableError(where, f"{len(columns)} of the marks {' '.join(MARKS)}", " ".join(marks))
    row = dict(zip(columns, marks, strict=True))
    return MappingProxyType({each: MARKS[row[each]] if each in row else usual[each] for each in GUARANTEES})
