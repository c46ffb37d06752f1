"""Necessary conditions on the values of a register, found by counting: a refutation without a search.

The operations that change a register form a walk through its values: each leaves one value and enters another. So a
value is left at most as often as it was entered, one more time if the walk begins there, one less if it ends there:
with the writes, which leave any value, the inequality behind Euler's theorem on walks that use every edge once. An
operation that was answered before another was invoked must be on the walk to it; one under way, or of unknown fate,
may be. Whether some choice of these fits is a question of flow: an optional write brings a value about, an optional
``cas`` moves it on.

The history is taken apart at its quiescent points, at which no answered operation is under way. What can be the value
at one of them is where the next part begins. The conditions are necessary only: a history that passes them is searched.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from splitbrain.checkers.register import NULL, RegisterOperation, Value

FEW = 8  # operations of a part that the search decides as fast
MOST = 400  # operations that are counted together


class Scarce(NamedTuple):
    """Proof that no order fits: operations up to the answer of ``operation`` need ``value`` more often than others can
    have set it. ``values`` are those that the register can have had instead, as far as counting shows."""

    operation: RegisterOperation
    value: Value
    values: tuple[Value, ...] = ()


def scarce(operations: Iterable[RegisterOperation]) -> Scarce | None:
    """The first operation that the conditions rule out; None if they rule out none."""
    ordered = sorted(operations, key=lambda each: each.invoked)
    open_ones = [each for each in ordered if each.returns is None and each.changes]
    parts = list(_parts([each for each in ordered if each.returns is not None]))
    values: Collection[Value] | None = {NULL}  # at the beginning of a part, None if unknown
    for at, part in enumerate(parts):
        end = max(_answered(each) for each in part)
        maybe = [each for each in open_ones if each.invoked < end]
        if len(part) + len(maybe) > MOST or (values is None and len(part) < FEW):
            values = None
            continue
        starts = _possible(parts[:at], maybe) if values is None else values
        found = _refuted(part, maybe, starts) or _end(part, maybe, starts)
        if isinstance(found, Scarce):
            return found
        # After a write the search knows the value as well as this does.
        written = any(each.changes and each.requires is None for each in part)
        values = None if written or len(found) > FEW else found
    return None


def _possible(parts: Sequence[Sequence[RegisterOperation]], maybe: Iterable[RegisterOperation]) -> set[Value]:
    """The values that the register may have after these parts: those set since one of them has surely changed it."""
    values = {each.writes for each in maybe if each.writes is not None}
    for part in reversed(parts):
        changing = [each.writes for each in part if each.changes and each.writes is not None]
        values.update(changing)
        if changing:
            return values
    return values | {NULL}


def _answered(operation: RegisterOperation) -> int:
    """The line of its answer, which has come."""
    assert operation.returns is not None
    return operation.returns


def _parts(answered: Sequence[RegisterOperation]) -> Iterator[list[RegisterOperation]]:
    """The answered operations, divided where none is under way."""
    part: list[RegisterOperation] = []
    until = -1
    for each in answered:
        if part and each.invoked > until:
            yield part
            part = []
        part.append(each)
        until = max(until, _answered(each))
    if part:
        yield part


def _refuted(
    part: Sequence[RegisterOperation], open_ones: Sequence[RegisterOperation], starts: Collection[Value]
) -> Scarce | None:
    """The first operation of a part, by its answer, that needs a value which the register cannot have had."""
    for wanted in sorted(part, key=_answered):
        if wanted.requires is not None:
            end = _answered(wanted)
            must = [each for each in part if _answered(each) < wanted.invoked]
            also = [each for each in part if _answered(each) > wanted.invoked and each is not wanted]
            walks = _Walks(must, [each for each in (*also, *open_ones) if each.invoked < end])
            if not walks.lead(starts, wanted.requires):
                others = sorted({*starts, *(each.writes for each in part if each.writes is not None)})
                return Scarce(wanted, wanted.requires, tuple(each for each in others if walks.lead(starts, each)))
    return None


def _end(
    part: Sequence[RegisterOperation], open_ones: Sequence[RegisterOperation], starts: Collection[Value]
) -> Collection[Value] | Scarce:
    """The values that the register may have at the end of a part."""
    walks = _Walks(part, open_ones)
    candidates = {*starts, *(each.writes for each in (*part, *open_ones) if each.writes is not None)}
    missing: list[Value] = []
    ends = set()
    for end in sorted(candidates):
        lacking = [walks.missing(start, end) for start in sorted(starts)]
        if None in lacking:
            ends.add(end)
        missing += [each for each in lacking if each is not None]
    return ends or Scarce(max(part, key=_answered), Counter(missing).most_common(1)[0][0])


class _Walks:
    """Walks through values that use all operations that must be used, and any of those that may be."""

    def __init__(self, must: Iterable[RegisterOperation], may: Iterable[RegisterOperation]) -> None:
        self._surplus: Counter[Value] = Counter()  # how much more often a value is entered than left
        for each in must:
            if each.changes and each.writes is not None:
                self._surplus[each.writes] += 1
                if each.requires is not None:
                    self._surplus[each.requires] -= 1
        changing = [each for each in may if each.changes]
        self._moves = Counter((each.requires, each.writes) for each in changing)

    def lead(self, starts: Iterable[Value], end: Value) -> bool:
        """True if the conditions allow a walk from one of the values to ``end``."""
        return any(self.missing(start, end) is None for start in starts)

    def missing(self, start: Value, end: Value) -> Value | None:
        """A value that no walk from ``start`` to ``end`` can enter often enough; None if the conditions allow one."""
        surplus = self._surplus.copy()
        surplus[start] += 1
        surplus[end] -= 1
        moves = self._moves.copy()
        for value in sorted(each for each, count in surplus.items() if count < 0):
            while surplus[value] < 0:
                if not _bring(value, surplus, moves):
                    return value
        return None


def _bring(wanted: Value, surplus: Counter[Value], moves: Counter[tuple[Value | None, Value | None]]) -> bool:
    """Enter ``wanted`` once more by optional moves, from a write or from a value in surplus; False if none leads there.

    A move that was made leaves behind its reverse, which takes it back (Ford and Fulkerson 1956).
    """
    toward: dict[Value | None, Value] = {}
    front: deque[Value] = deque([wanted])
    while front:
        value = front.popleft()
        for (source, target), count in moves.items():
            if target != value or count <= 0 or source == wanted or source in toward:
                continue
            toward[source] = value
            if source is None or surplus[source] > 0:
                _move(source, wanted, toward, surplus, moves)
                return True
            front.append(source)
    return False


def _move(
    source: Value | None,
    wanted: Value,
    toward: dict[Value | None, Value],
    surplus: Counter[Value],
    moves: Counter[tuple[Value | None, Value | None]],
) -> None:
    if source is not None:
        surplus[source] -= 1
    surplus[wanted] += 1
    at: Value | None = source
    while at != wanted:
        following = toward[at]
        moves[at, following] -= 1
        if at is not None:
            moves[following, at] += 1
        at = following
