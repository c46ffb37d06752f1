"""Linearization: the search for an order of the operations on one register that fits their results.

Wing and Gong's search ("Testing and verifying concurrent objects", 1993) in the form that Lowe calls just-in-time
linearization ("Testing for linearizability", 2017). The invocations and answers are read in the order of their lines,
and an operation is linearized only when it must be: when its answer comes. Any other pending operations may be
linearized before it. The search keeps every configuration that can result: the register's value, and the set of
pending operations that have been linearized. If none is left, no order fits.

An operation of unknown fate stays pending for ever, because it may take effect at any later time or never. Three rules
keep the configurations few. An operation that changes nothing is linearized as soon as it fits. Of several operations
of unknown fate with the same effect, the first is linearized first. A configuration that has used more operations of
unknown fate than another with the same value is dropped, because it can do no more than the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

MOST_RECENT = 3  # answers before the one that fits nowhere, shown with it

Value = bytes
"""A register's value as JSON text with sorted keys, so that values of any JSON type can be compared and hashed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterOperation:
    """One operation on one register.

    It can take effect if the value is ``requires`` (None: any value) and is not ``excludes`` (None: no such value), and
    then sets it to ``writes`` (None: unchanged). ``invoked`` and ``returns`` are the lines (from 0) of invocation and
    answer, ``start`` and ``end`` their times (ns); ``returns`` is None if its fate is unknown.
    """

    requires: Value | None
    excludes: Value | None
    writes: Value | None
    invoked: int
    returns: int | None
    start: int
    end: int
    description: str

    def after(self, value: Value) -> Value | None:
        """The register's value afterwards; None if the operation cannot take effect at this value."""
        if (self.requires is not None and self.requires != value) or self.excludes == value:
            return None
        return value if self.writes is None else self.writes

    @property
    def effect(self) -> tuple[Value | None, Value | None]:
        """A key that is equal for operations of unknown fate with the same effect."""
        return self.requires, self.writes


class Counterexample(NamedTuple):
    """Proof that no order fits: the answer of ``operation`` fits none of the possible ``values`` of the register.

    ``recent`` are the last operations answered before it.
    """

    operation: RegisterOperation
    values: tuple[Value, ...]
    recent: tuple[RegisterOperation, ...]


class BudgetExceeded(Exception):
    """More configurations than the budget allows."""


class LinearizationSearch:
    """One search over one register; ``examined`` counts the configurations examined.

    Each pending operation has a bit. It is freed when the operation is answered; those of unknown fate keep theirs.
    """

    def __init__(self, budget: int) -> None:
        self.examined = 0
        self._budget = budget
        self._answered: dict[int, RegisterOperation] = {}  # pending, will be answered; by bit
        self._indeterminate: dict[tuple[Value | None, Value | None], list[int]] = {}  # of unknown fate: bits by effect
        self._operations: dict[int, RegisterOperation] = {}
        self._free_bits: list[int] = []  # freed bits

    def run(self, operations: Iterable[RegisterOperation]) -> Counterexample | None:
        """Search for an order of the operations; None if there is one. Raises BudgetExceeded."""
        bits: dict[int, int] = {}
        recent: list[RegisterOperation] = []
        present: set[tuple[Value, int]] = {(b"null", 0)}
        for operation, answered in _events(operations):
            if not answered:
                bits[operation.invoked] = self._begin(operation)
                continue
            bit = bits[operation.invoked]
            following = self._linearize(present, bit)
            if not following:
                values = tuple(sorted({value for value, _ in present}))
                return Counterexample(operation, values, tuple(recent[-MOST_RECENT:]))
            present = self._fewest({(value, placed & ~bit) for value, placed in following})
            del self._answered[bit]
            self._free_bits.append(bit)
            recent.append(operation)
        return None

    def _begin(self, operation: RegisterOperation) -> int:
        bit = self._free_bits.pop() if self._free_bits else 1 << len(self._operations)
        self._operations[bit] = operation
        if operation.returns is not None:
            self._answered[bit] = operation
        else:
            self._indeterminate.setdefault(operation.effect, []).append(bit)
        return bit

    def _linearize(self, present: set[tuple[Value, int]], wanted: int) -> set[tuple[Value, int]]:
        """Every configuration reachable from ``present`` in which the wanted operation (a bit) is linearized."""
        found = {each for each in present if each[1] & wanted}
        front = [self._settled(*each) for each in present if not each[1] & wanted]
        known = set(front)
        while front:
            value, placed = front.pop()
            self.examined += 1
            if self.examined > self._budget:
                raise BudgetExceeded
            if placed & wanted:
                found.add((value, placed))
                continue
            for bit, after in self._next(value, placed):
                if bit == wanted:
                    found.add((after, placed | bit))
                    continue
                following = self._settled(after, placed | bit)
                if following not in known:
                    known.add(following)
                    front.append(following)
        return found

    def _settled(self, value: Value, placed: int) -> tuple[Value, int]:
        """Linearize every operation that fits this value and does not change it; delaying those never helps."""
        for bit, operation in self._answered.items():
            if operation.writes is None and not placed & bit and operation.after(value) is not None:
                placed |= bit
        return value, placed

    def _next(self, value: Value, placed: int) -> Iterator[tuple[int, Value]]:
        """The operations that can be linearized next, as bits, with the resulting value."""
        for bit, operation in self._answered.items():
            if not placed & bit and (after := operation.after(value)) is not None:
                yield bit, after
        for bits in self._indeterminate.values():
            first = next((bit for bit in bits if not placed & bit), None)
            if first is not None and (after := self._operations[first].after(value)) not in (None, value):
                yield first, after

    def _fewest(self, configurations: set[tuple[Value, int]]) -> set[tuple[Value, int]]:
        """Drop each configuration that used more operations of unknown fate than an otherwise equal one."""
        if not self._indeterminate:
            return configurations
        sure = sum(self._answered)
        alike: dict[tuple[Value, int], list[int]] = defaultdict(list)
        for value, placed in sorted(configurations, key=lambda each: each[1].bit_count()):
            kept = alike[value, placed & sure]
            if not any(other & ~placed == 0 for other in kept):
                kept.append(placed)
        return {(value, placed) for (value, _), kept in alike.items() for placed in kept}


def _events(operations: Iterable[RegisterOperation]) -> list[tuple[RegisterOperation, bool]]:
    """Invocations (False) and answers (True) in the order of their lines."""
    lines = [(operation.invoked, operation, False) for operation in operations]
    lines += [(operation.returns, operation, True) for operation in operations if operation.returns is not None]
    return [(operation, answered) for _, operation, answered in sorted(lines, key=lambda line: line[0])]
