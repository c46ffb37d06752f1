"""Linearization: the search for an order of the operations on one register that fits their results.

Wing and Gong's search ("Testing and verifying concurrent objects", 1993) in the form that Lowe calls just-in-time
linearization ("Testing for linearizability", 2017). The invocations and answers are read in the order of their lines,
and an operation is linearized only when it must be: when its answer comes. Any other pending operations may be
linearized before it. The search keeps the configurations that can result. If none is left, no order fits.

A configuration is the register's value and two sets of pending operations, as bits: those that are done, so that their
answers may come, and those that are spent, so that they cannot set the value any more. These rules keep them few:

- Dominance: a configuration that has done no more and spent no less than another with the same value is dropped when it
  is found, before its successors are enumerated. The other can do all that it can.
- Overwritten writes: when a write takes effect, every pending write may have taken effect just before it, unseen. Those
  are done without being spent, which is one configuration instead of one for every subset.
- An operation that changes nothing is done as soon as it fits.
- Of pending operations with the same effect, the one that is answered first goes first. One of unknown fate is never
  answered: it may take effect at any later time, or never, and goes last.
- Narrow first: the search keeps only the few configurations that have spent least. Where it fails for want of others,
  it starts again with four times as many (iterative broadening; Ginsberg and Harvey, 1992).
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_RECENT = 3  # answers before the one that fits nowhere, shown with it

Value = bytes
"""A register's value as JSON text with sorted keys, so that values of any JSON type can be compared and hashed."""

NULL: Value = b"null"  # what a register holds at first
NEVER = 1 << 63  # later than any line
BROADER = 4


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

    @property
    def changes(self) -> bool:
        """True if the operation can change the value."""
        return self.writes is not None and self.writes != self.requires

    def after(self, value: Value) -> Value | None:
        """The register's value afterwards; None if the operation cannot take effect at this value."""
        if (self.requires is not None and self.requires != value) or self.excludes == value:
            return None
        return value if self.writes is None else self.writes


Event = tuple[RegisterOperation, bool]
"""An invocation (False) or an answer (True)."""

Turn = tuple[int, int]
"""When an operation is answered, for the order among operations with the same effect, and its bit."""


class Counterexample(NamedTuple):
    """Proof that no order fits: the answer of ``operation`` fits none of the possible ``values`` of the register.

    ``recent`` are the last operations answered before it. Without ``values``, nothing has written the value that the
    operation requires.
    """

    operation: RegisterOperation
    values: tuple[Value, ...]
    recent: tuple[RegisterOperation, ...]


class BudgetExceeded(Exception):
    """More steps than the budget allows."""


class Configuration(NamedTuple):
    """A state of the search: the register's value, and the pending operations that are done and spent."""

    value: Value
    done: int
    spent: int


class LinearizationSearch:
    """One search over one register; ``steps`` counts the configurations generated and compared."""

    def __init__(self, budget: int) -> None:
        self.steps = 0
        self._budget = budget

    def run(self, operations: Iterable[RegisterOperation]) -> Counterexample | None:
        """Search for an order of the operations; None if there is one. Raises BudgetExceeded."""
        events = _events(operations)
        if (unwritten := _unwritten(events)) is not None:
            return Counterexample(unwritten, (), ())
        width = 1
        while True:
            counterexample, complete = self._search(events, width)
            if counterexample is None or complete:
                return counterexample
            width *= BROADER

    def _search(self, events: Sequence[Event], width: int) -> tuple[Counterexample | None, bool]:
        """Search with at most ``width`` configurations at a time; False if some had to be left out."""
        pending = _Pending()
        recent: list[RegisterOperation] = []
        present, complete = [Configuration(NULL, 0, 0)], True
        for operation, answered in events:
            if not answered:
                pending.begin(operation)
                continue
            found, values = self._reach(present, pending, operation, BROADER * width)
            bit = pending.end(operation)
            if not found:
                return Counterexample(operation, tuple(sorted(values)), tuple(recent[-MOST_RECENT:])), complete
            following = list(self._undominated(Configuration(v, done & ~bit, spent & ~bit) for v, done, spent in found))
            complete = complete and len(found) < BROADER * width and len(following) <= width
            present = sorted(following, key=lambda each: each.spent.bit_count())[:width]
            recent.append(operation)
        return None, complete

    def _reach(
        self, present: Iterable[Configuration], pending: _Pending, wanted: RegisterOperation, most: int
    ) -> tuple[list[Configuration], set[Value]]:
        """Configurations in which ``wanted`` is done, about ``most`` of them, and all values on the way.

        They end with ``wanted`` itself, because what need not precede its answer can be linearized later.
        """
        bit = pending.bits[wanted.invoked]
        reached = self._undominated(pending.settled(*each) for each in present)
        found = [each for each in reached if each.done & bit]
        front = deque(each for each in reached if not _used(each, wanted, bit))
        while front and len(found) < most:
            for following in pending.successors(front.popleft()):
                if self._add(reached, following):
                    (found if _used(following, wanted, bit) else front).append(following)
        return found, {each.value for each in reached}

    def _undominated(self, configurations: Iterable[Configuration]) -> _Undominated:
        kept = _Undominated()
        for each in configurations:
            self._add(kept, each)
        return kept

    def _add(self, kept: _Undominated, new: Configuration) -> bool:
        self.steps += 1 + kept.rivals(new)
        if self.steps > self._budget:
            raise BudgetExceeded
        return kept.add(new)


def _used(configuration: Configuration, operation: RegisterOperation, bit: int) -> bool:
    """True if the operation can do nothing more in this configuration."""
    return bool((configuration.spent if operation.changes else configuration.done) & bit)


class _Undominated:
    """Configurations of which none can do all that another can, by value."""

    def __init__(self) -> None:
        self._by_value: dict[Value, list[Configuration]] = {}

    def __iter__(self) -> Iterator[Configuration]:
        return (each for kept in self._by_value.values() for each in kept)

    def rivals(self, new: Configuration) -> int:
        """The number of configurations that ``add`` compares with the new one."""
        return len(self._by_value.get(new.value, ()))

    def add(self, new: Configuration) -> bool:
        """Add a configuration and drop those that it dominates; False if it is dominated itself."""
        kept = self._by_value.setdefault(new.value, [])
        _, done, spent = new
        for _, more, less in kept:
            if done & ~more == 0 and less & ~spent == 0:
                return False
        kept[:] = [each for each in kept if each.done & ~done or spent & ~each.spent]
        kept.append(new)
        return True


class _Pending:
    """The pending operations as bits; a bit is free again once its operation is answered."""

    def __init__(self) -> None:
        self.bits: dict[int, int] = {}  # by the line of the invocation
        self._free: list[int] = []
        self._overwritable = 0  # writes that will be answered and fit any value
        self._requiring: dict[Value, int] = defaultdict(int)  # operations that change nothing, by what they require
        self._excluding: dict[Value, int] = defaultdict(int)  # and by what they exclude
        self._excluding_any = 0
        self._writers: dict[Value | None, dict[Value, list[Turn]]] = defaultdict(dict)  # by value required and written

    def begin(self, operation: RegisterOperation) -> None:
        """Add an operation."""
        bit = self._free.pop() if self._free else 1 << len(self.bits)
        self.bits[operation.invoked] = bit
        if operation.writes is not None and operation.changes:
            insort(self._writers[operation.requires].setdefault(operation.writes, []), _turn(operation, bit))
        self._mark(operation, bit)

    def end(self, operation: RegisterOperation) -> int:
        """Remove an operation; its bit."""
        bit = self.bits.pop(operation.invoked)
        self._free.append(bit)
        if operation.writes is not None and operation.changes:
            groups = self._writers[operation.requires]
            groups[operation.writes].remove(_turn(operation, bit))
            if not groups[operation.writes]:
                del groups[operation.writes]
        self._mark(operation, bit)
        return bit

    def settled(self, value: Value, done: int, spent: int) -> Configuration:
        """With every operation done that fits this value and does not change it; delaying those never helps."""
        fits = self._requiring.get(value, 0) | (self._excluding_any & ~self._excluding.get(value, 0))
        return Configuration(value, done | fits, spent)

    def successors(self, configuration: Configuration) -> Iterator[Configuration]:
        """The configurations after one more operation that sets the value."""
        value, done, spent = configuration
        for requires in (None, value):
            for writes, group in self._writers.get(requires, {}).items():
                bit = next((bit for _, bit in group if not spent & bit), None)
                if bit is not None:
                    yield self.settled(writes, done | (self._overwritable if requires is None else bit), spent | bit)

    def _mark(self, operation: RegisterOperation, bit: int) -> None:
        """Enter an operation's bit, or take it out again."""
        if operation.excludes is not None:
            self._excluding[operation.excludes] ^= bit
            self._excluding_any ^= bit
        elif operation.requires is None:
            self._overwritable ^= bit if operation.returns is not None else 0
        elif not operation.changes:
            self._requiring[operation.requires] ^= bit


def _turn(operation: RegisterOperation, bit: int) -> Turn:
    return (operation.invoked + NEVER if operation.returns is None else operation.returns), bit


def _unwritten(events: Sequence[Event]) -> RegisterOperation | None:
    """The first operation answered that requires a value which nothing invoked before has written."""
    written = {NULL}
    for operation, answered in events:
        if not answered and operation.writes is not None:
            written.add(operation.writes)
        elif answered and operation.requires is not None and operation.requires not in written:
            return operation
    return None


def _events(operations: Iterable[RegisterOperation]) -> list[Event]:
    """Invocations (False) and answers (True) in the order of their lines."""
    lines = [(operation.invoked, operation, False) for operation in operations]
    lines += [(operation.returns, operation, True) for operation in operations if operation.returns is not None]
    return [(operation, answered) for _, operation, answered in sorted(lines, key=lambda line: line[0])]
