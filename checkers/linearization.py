"""Linearization: the search for an order of the operations on one register that fits their results.

Wing and Gong's search ("Testing and verifying concurrent objects", 1993) in the form that Lowe calls just-in-time
linearization ("Testing for linearizability", 2017). The invocations and answers are read in the order of their lines,
and an operation is linearized only when it must be: when its answer comes. Any other pending operations may be
linearized before it. The search keeps the configurations that can result. If none is left, no order fits.

A configuration is the register's value and two sets of pending operations, as bits: those that are done, so that their
answers may come, and those that are spent, so that they cannot set the value any more. These rules keep them few:

- Dominance: a configuration that has done no more and spent no less than another with the same value is dropped when it
  is found, before its successors are enumerated. The other can do all that it can. It can as well if it has spent a
  ``cas`` of unknown fate, and the first instead a write of unknown fate of the same value: that write can do all that
  the ``cas`` can.
- Overwritten writes: when a write takes effect, every pending write may have taken effect just before it, unseen. Those
  are done without being spent, which is one configuration instead of one for every subset.
- An operation that changes nothing is done as soon as it fits.
- Of pending operations with the same effect, the one that is answered first goes first. One of unknown fate is never
  answered: it may take effect at any later time, or never, and goes last.
- Operations of unknown fate last: one is spent only where no answer can be explained without. Of the configurations
  with one value that have done the same, only those few are kept that have spent fewest of them.
- Narrow first: where the search fails for want of configurations that it dropped, it starts again with four times as
  many (iterative broadening; Ginsberg and Harvey, 1992).

Before the search ``checkers.value_balance`` refutes what counting refutes.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from splitbrain.checkers.register import NULL, RegisterOperation, Value
from splitbrain.checkers.value_balance import scarce

MOST_RECENT = 3  # answers before the one that fits nowhere, shown with it

BROADER = 4
SPREAD = 8  # configurations that are kept at least, if they differ in their values or in what they have done


Event = tuple[RegisterOperation, bool]
"""An invocation (False) or an answer (True)."""

Turn = tuple[int, int]
"""When an operation is answered, for the order among operations with the same effect, and its bit."""


class Counterexample(NamedTuple):
    """Proof that no order fits: the answer of ``operation`` fits none of the possible ``values`` of the register.

    ``recent`` are the last operations answered before it. Without ``values``, nothing has written the value that the
    operation requires. With ``scarce``, operations up to its answer need that value more often than it can have been
    set.
    """

    operation: RegisterOperation
    values: tuple[Value, ...] = ()
    recent: tuple[RegisterOperation, ...] = ()
    scarce: Value | None = None


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
        known = list(operations)
        events = _events(known)
        if (unwritten := _unwritten(events)) is not None:
            return Counterexample(unwritten)
        if (lacking := scarce(known)) is not None:
            return Counterexample(lacking.operation, lacking.values, scarce=lacking.value)
        width = 1
        while True:
            counterexample, complete = self._search(events, width)
            if counterexample is None or complete:
                return counterexample
            width *= BROADER

    def _search(self, events: Sequence[Event], width: int) -> tuple[Counterexample | None, bool]:
        """Search with few configurations at a time, by ``width``; False if some had to be left out."""
        pending = _Pending()
        recent: deque[RegisterOperation] = deque(maxlen=MOST_RECENT)
        present, complete = [Configuration(NULL, 0, 0)], True
        for operation, answered in events:
            if not answered:
                pending.begin(operation)
                continue
            found, values, all_found = self._reach(present, pending, operation, width)
            bit = pending.end(operation)
            if not found:
                return Counterexample(operation, tuple(sorted(values)), tuple(recent)), complete and all_found
            over = (Configuration(value, done & ~bit, spent & ~bit) for value, done, spent in found)
            following = list(self._undominated(pending, over))
            present = _narrowed(following, pending, width)
            complete = complete and all_found and len(present) == len(following)
            recent.append(operation)
        return None, complete

    def _reach(
        self, present: Iterable[Configuration], pending: _Pending, wanted: RegisterOperation, width: int
    ) -> tuple[list[Configuration], set[Value], bool]:
        """Configurations in which ``wanted`` is done, all values on the way, and False if some were left out.

        They end with ``wanted`` itself, because what need not precede its answer can be linearized later. Those that
        spend one more operation of unknown fate are the next layer, which is searched if this one has nothing.
        """
        bit, most = pending.bits[wanted.invoked], BROADER * SPREAD * width
        reached = self._undominated(pending, (pending.settled(*each) for each in present))
        found = [each for each in reached if each.done & bit]
        layer = deque(each for each in reached if not _used(each, wanted, bit))
        for layers in count(1):
            searched = []
            while layer and len(found) < most:
                searched.append(each := layer.popleft())
                for following in pending.successors(each):
                    if self._add(reached, following):
                        (found if _used(following, wanted, bit) else layer).append(following)
            if layer or (found and BROADER**layers > width and pending.open_ones):
                return found, {each.value for each in reached}, False
            one_more = [following for each in searched for following in pending.successors(each, unknown_fate=True)]
            new = [each for each in one_more if self._add(reached, each)]
            if not new:
                return found, {each.value for each in reached}, True
            found += [each for each in new if _used(each, wanted, bit)]
            layer = deque(each for each in new if not _used(each, wanted, bit))
        raise AssertionError("the layers never end")

    def _undominated(self, pending: _Pending, configurations: Iterable[Configuration]) -> _Undominated:
        kept = _Undominated(pending)
        for each in configurations:
            self._add(kept, each)
        return kept

    def _add(self, kept: _Undominated, new: Configuration) -> bool:
        self.steps += 1 + kept.rivals(new)
        if self.steps > self._budget:
            raise BudgetExceeded
        return kept.add(new)


def _narrowed(configurations: Sequence[Configuration], pending: _Pending, width: int) -> list[Configuration]:
    """Those that have spent fewest operations of unknown fate: ``width`` of each that have a value and have done the
    same, and ``SPREAD`` times as many in all."""

    def spent(each: Configuration) -> tuple[int, int, int]:
        of_unknown_fate = each.spent & pending.open_ones
        return of_unknown_fate.bit_count(), (of_unknown_fate & ~pending.open_swaps).bit_count(), each.spent.bit_count()

    kept: list[Configuration] = []
    alike: Counter[tuple[Value, int]] = Counter()
    for each in sorted(configurations, key=spent):
        alike[each.value, each.done] += 1
        if alike[each.value, each.done] <= width:
            kept.append(each)
    return kept[: SPREAD * width]


def _used(configuration: Configuration, operation: RegisterOperation, bit: int) -> bool:
    """True if the operation can do nothing more in this configuration."""
    return bool((configuration.spent if operation.changes else configuration.done) & bit)


class _Undominated:
    """Configurations of which none can do all that another can, by value."""

    def __init__(self, pending: _Pending) -> None:
        self._pending = pending
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
            if done & ~more == 0 and self._spares(less, spent):
                return False
        kept[:] = [each for each in kept if each.done & ~done or not self._spares(spent, each.spent)]
        kept.append(new)
        return True

    def _spares(self, less: int, spent: int) -> bool:
        """True if what is left of the pending operations after ``less`` can do all that is left after ``spent``."""
        missing = less & ~spent
        return missing == 0 or (missing & ~self._pending.open_swaps == 0 and self._replaced(missing, spent & ~less))

    def _replaced(self, swaps: int, left: int) -> bool:
        """True if writes among those ``left`` can stand in for all of these swaps of unknown fate."""
        if swaps.bit_count() > left.bit_count():
            return False
        return all(
            (swaps & to_it).bit_count() <= (left & writes).bit_count()
            for to_it, writes in self._pending.open_ones_to.values()
        )


class _Pending:
    """The pending operations as bits; a bit is free again once its operation is answered."""

    def __init__(self) -> None:
        self.bits: dict[int, int] = {}  # by the line of the invocation
        self.open_ones = 0  # operations of unknown fate
        self.open_swaps = 0  # those of them that require a value
        self.open_ones_to: dict[Value, tuple[int, int]] = defaultdict(lambda: (0, 0))  # swaps and writes, by value set
        self._free: list[int] = []
        self._overwritable = 0  # writes that will be answered and fit any value
        self._requiring: dict[Value, int] = defaultdict(int)  # operations that change nothing, by what they require
        self._excluding: dict[Value, int] = defaultdict(int)  # and by what they exclude
        self._excluding_any = 0
        # By value required and written; those of unknown fate, which come last, apart.
        self._writers: dict[Value | None, dict[Value, list[Turn]]] = defaultdict(dict)
        self._open_writers: dict[Value | None, dict[Value, list[int]]] = defaultdict(dict)

    def begin(self, operation: RegisterOperation) -> None:
        """Add an operation."""
        bit = self._free.pop() if self._free else 1 << len(self.bits)
        self.bits[operation.invoked] = bit
        if operation.returns is None:
            self._begin_open(operation, bit)
        elif operation.writes is not None and operation.changes:
            insort(self._writers[operation.requires].setdefault(operation.writes, []), (operation.returns, bit))
        self._mark(operation, bit)

    def _begin_open(self, operation: RegisterOperation, bit: int) -> None:
        self.open_ones |= bit
        if operation.writes is not None and operation.changes:
            swaps, writes = self.open_ones_to[operation.writes]
            swap = operation.requires is not None
            self.open_swaps |= bit if swap else 0
            self.open_ones_to[operation.writes] = (swaps | bit, writes) if swap else (swaps, writes | bit)
            self._open_writers[operation.requires].setdefault(operation.writes, []).append(bit)

    def end(self, operation: RegisterOperation) -> int:
        """Remove an operation; its bit."""
        bit = self.bits.pop(operation.invoked)
        self._free.append(bit)
        if operation.writes is not None and operation.changes:
            groups = self._writers[operation.requires]
            groups[operation.writes].remove((operation.returns or 0, bit))
            if not groups[operation.writes]:
                del groups[operation.writes]
        self._mark(operation, bit)
        return bit

    def settled(self, value: Value, done: int, spent: int) -> Configuration:
        """With every operation done that fits this value and does not change it; delaying those never helps."""
        fits = self._requiring.get(value, 0) | (self._excluding_any & ~self._excluding.get(value, 0))
        return Configuration(value, done | fits, spent)

    def successors(self, configuration: Configuration, *, unknown_fate: bool = False) -> Iterator[Configuration]:
        """The configurations after one more operation that sets the value, only by those of unknown fate or by none."""
        value, done, spent = configuration
        for requires in (None, value):
            answered = self._writers.get(requires, {})
            open_ones = self._open_writers.get(requires, {}) if unknown_fate else {}
            for writes in open_ones if unknown_fate else answered:
                bit = next((bit for _, bit in answered.get(writes, ()) if not spent & bit), None)
                if unknown_fate:
                    bit = next((bit for bit in open_ones[writes] if not spent & bit), None) if bit is None else None
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
