"""Linearizability of a set that only grows, decided without a search.

Two reads of such a set fit together only if one contains the other, so the values read form a chain. The chain orders
all operations: an addition comes before the first read that contains its element, and after the last that does not. An
order that fits exists iff no operation was answered before another was invoked that the chain puts earlier. Of several
additions of one element only the first counts, and the one invoked first can always be it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

Element = bytes
"""An element as JSON text with sorted keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetOperation:
    """An addition of one element, or a read of all ``elements``.

    ``invoked`` and ``returns`` are the lines (from 0) of invocation and answer, ``start`` and ``end`` their times (ns);
    ``returns`` is None if the fate of the addition is unknown.
    """

    adds: bool
    elements: frozenset[Element]
    invoked: int
    returns: int | None
    start: int
    end: int
    description: str


class Conflict(NamedTuple):
    """Operations that fit no order, and the reason in words."""

    operations: tuple[SetOperation, ...]
    words: str


class _Placed(NamedTuple):
    """An operation, its place in the chain, and False for an addition that may come later as well."""

    operation: SetOperation
    place: int
    fixed: bool


def conflict(operations: Sequence[SetOperation]) -> Conflict | None:
    """Operations that fit no order; None if there is an order."""
    chain = sorted({each.elements: each for each in operations if not each.adds}.values(), key=_size)
    for smaller, larger in pairwise(chain):
        if not smaller.elements <= larger.elements:
            return Conflict(
                (smaller, larger),
                f"neither of {smaller.description} and {larger.description} contains all of the other",
            )
    added = {element for each in operations if each.adds for element in each.elements}
    for read in chain:
        if not read.elements <= added:
            return Conflict((read,), f"{read.description} contains {min(read.elements - added).decode()}, never added")
    return _out_of_order(list(_placed(operations, chain)), chain)


def _size(read: SetOperation) -> int:
    return len(read.elements)


def _placed(operations: Iterable[SetOperation], chain: Sequence[SetOperation]) -> Iterator[_Placed]:
    """The operations that took effect, with their places in the chain of reads."""
    first: dict[Element, int] = {}
    for at, read in enumerate(chain):
        first.update(dict.fromkeys(read.elements - first.keys(), 2 * at))
    place_of = {read.elements: 2 * at + 1 for at, read in enumerate(chain)}
    seen: set[Element] = set()
    for each in sorted(operations, key=lambda operation: operation.invoked):
        if not each.adds:
            yield _Placed(each, place_of[each.elements], True)
            continue
        (element,) = each.elements
        if each.returns is not None or element in first:
            yield _Placed(each, first.get(element, 2 * len(chain)), element not in seen)
        seen.add(element)


def _out_of_order(placed: Iterable[_Placed], chain: Sequence[SetOperation]) -> Conflict | None:
    """The first operation invoked after the answer of one that comes later in the chain, with that one."""
    events = [(each.operation.invoked, each, False) for each in placed]
    events += [(each.operation.returns, each, True) for each in placed if each.operation.returns is not None]
    last: _Placed | None = None
    for _, each, answered in sorted(events, key=lambda event: event[0]):
        if last is not None and each.place < last.place:
            if not answered and each.fixed:
                return _conflict(last, each, chain)
        elif answered:
            last = each
    return None


def _conflict(earlier: _Placed, later: _Placed, chain: Sequence[SetOperation]) -> Conflict:
    """The conflict of an operation with one that was answered before it, and that the chain puts after it."""
    one, other = earlier.operation, later.operation
    if one.adds and not other.adds:
        return Conflict((one, other), f"{other.description} does not contain {_element(one)}, added before it began")
    if other.adds and not one.adds:
        return Conflict((one, other), f"{one.description} contains {_element(other)}, whose addition began after it")
    if not one.adds:
        return Conflict((one, other), f"{other.description}, which began after {one.description}, contains less")
    read = chain[later.place // 2]
    return Conflict(
        (one, other, read),
        f"{read.description} contains {_element(other)} and not {_element(one)}, which was added before",
    )


def _element(addition: SetOperation) -> str:
    (element,) = addition.elements
    return element.decode()
