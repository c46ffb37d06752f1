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

    It can happen where the value is ``needs`` (None: anywhere) and not ``spurns`` (None: no such value), and makes the
    value ``makes`` (None: as it was). ``returns`` is the line of its answer, None where its fate is unknown.
    """

    needs: Value | None
    spurns: Value | None
    makes: Value | None
    invoked: int
    returns: int | None
    start: int
    end: int
    told: str

    def after(self, value: Value) -> Value | None:
        """The register's value after it; None if it cannot happen at this value."""
        if (self.needs is not None and self.needs != value) or self.spurns == value:
            return None
        return value if self.makes is None else self.makes

    @property
    def effect(self) -> tuple[Value | None, Value | None]:
        return self.needs, self.makes


class Counterexample(NamedTuple):
    """No order fits any more once ``act`` has been answered; the register may have held any of ``values`` before.
    ``recent`` are the acts answered last before it."""

    act: RegisterOperation
    values: tuple[Value, ...]
    recent: tuple[RegisterOperation, ...]


class BudgetExceeded(Exception):
    """More configurations than were to be looked at."""


class LinearizationSearch:
    """One search; ``looked_at`` counts the configurations that it came to.

    Acts under way have a bit each. Those that will be answered give theirs back; of those of unknown fate it is kept.
    """

    def __init__(self, budget: int) -> None:
        self.looked_at = 0
        self._budget = budget
        self._sure: dict[int, RegisterOperation] = {}  # under way and to be answered, by bit
        self._open: dict[tuple[Value | None, Value | None], list[int]] = {}  # of unknown fate: bits by what they do
        self._acts: dict[int, RegisterOperation] = {}
        self._idle: list[int] = []  # bits that were given back

    def run(self, acts: Iterable[RegisterOperation]) -> Counterexample | None:
        """Where no order fits any more; None if one does to the end. Raises BudgetExceeded."""
        bits: dict[int, int] = {}
        recent: list[RegisterOperation] = []
        present: set[tuple[Value, int]] = {(b"null", 0)}
        for act, answered in _events(acts):
            if not answered:
                bits[act.invoked] = self._begin(act)
                continue
            bit = bits[act.invoked]
            following = self._place(present, bit)
            if not following:
                values = tuple(sorted({value for value, _ in present}))
                return Counterexample(act, values, tuple(recent[-MOST_RECENT:]))
            present = self._fewest({(value, placed & ~bit) for value, placed in following})
            del self._sure[bit]
            self._idle.append(bit)
            recent.append(act)
        return None

    def _begin(self, act: RegisterOperation) -> int:
        bit = self._idle.pop() if self._idle else 1 << len(self._acts)
        self._acts[bit] = act
        if act.returns is not None:
            self._sure[bit] = act
        else:
            self._open.setdefault(act.effect, []).append(bit)
        return bit

    def _place(self, present: set[tuple[Value, int]], wanted: int) -> set[tuple[Value, int]]:
        """Every configuration in which the wanted act has just been placed, or had been before."""
        found = {each for each in present if each[1] & wanted}
        front = [self._settled(*each) for each in present if not each[1] & wanted]
        known = set(front)
        while front:
            value, placed = front.pop()
            self.looked_at += 1
            if self.looked_at > self._budget:
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
        """With everything placed that fits at this value and changes nothing: to wait with it can only do harm."""
        for bit, act in self._sure.items():
            if act.makes is None and not placed & bit and act.after(value) is not None:
                placed |= bit
        return value, placed

    def _next(self, value: Value, placed: int) -> Iterator[tuple[int, Value]]:
        """The acts that can be placed next, with the value that they leave."""
        for bit, act in self._sure.items():
            if not placed & bit and (after := act.after(value)) is not None:
                yield bit, after
        for bits in self._open.values():
            first = next((bit for bit in bits if not placed & bit), None)
            if first is not None and (after := self._acts[first].after(value)) not in (None, value):
                yield first, after

    def _fewest(self, configurations: set[tuple[Value, int]]) -> set[tuple[Value, int]]:
        """Without those that used up more acts of unknown fate than another one that is the same otherwise."""
        if not self._open:
            return configurations
        sure = sum(self._sure)
        alike: dict[tuple[Value, int], list[int]] = defaultdict(list)
        for value, placed in sorted(configurations, key=lambda each: each[1].bit_count()):
            kept = alike[value, placed & sure]
            if not any(other & ~placed == 0 for other in kept):
                kept.append(placed)
        return {(value, placed) for (value, _), kept in alike.items() for placed in kept}


def _events(acts: Iterable[RegisterOperation]) -> list[tuple[RegisterOperation, bool]]:
    """Invocations (False) and answers (True) in the order of their lines."""
    lines = [(act.invoked, act, False) for act in acts]
    lines += [(act.returns, act, True) for act in acts if act.returns is not None]
    return [(act, answered) for _, act, answered in sorted(lines, key=lambda line: line[0])]
