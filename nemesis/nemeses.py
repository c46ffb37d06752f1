"""Nemeses: schedules that have a name, made from a seed.

A nemesis is a deck of faults. ``build`` shuffles the decks of the nemeses named into one, deals a fault to
each window until the deck is empty, shuffles again, and so on: every fault comes once before any comes
twice. Between windows, before the first and after the last, the cluster is left in peace, so that each
fault meets a leader and each recovery can be seen. Equal arguments give equal schedules, in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from types import MappingProxyType

from nemesis.faults import Fault, Partition
from nemesis.schedules import Schedule, Step
from nemesis.shapes import SHAPES, Shape

LEAD_IN_MS = 2_000
WINDOW_MS = (5_000, 6_500)
QUIET_MS = (3_000, 4_500)
ONE_ROUND_MS = LEAD_IN_MS + WINDOW_MS[1] + QUIET_MS[1]
"""The lead-in, one longest window and one longest quiet: a shorter schedule is scaled down to hold these."""
SHORTEST_MS = 100

# The systems that are tested time out after 150 ms to a second or so: a leader that flaps faster than
# that is hardly missed, one that flaps more slowly is merely isolated again and again.
FLAPS_MS = (150, 250, 400, 700, 1_100)


class NemesisError(ValueError):
    """No such nemesis, or not with so few nodes or in so short a time; the message says which and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One kind of fault in a deck; ``fault`` makes one, given dice and the length of its window in ms."""

    strikes_leader: bool
    fault: Callable[[Random, int], Fault]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nemesis:
    """A name for a deck of faults; ``deck`` gives its cards for that many nodes, in a fixed order."""

    name: str
    help: str
    min_nodes: int
    deck: Callable[[int], tuple[Card, ...]]


def build(names: Sequence[str], rng: Random, nodes: int, length_ms: int) -> Schedule:
    """A schedule of ``length_ms`` for that many nodes, mixed from the nemeses of those names.

    A fault that is in two of the decks is dealt twice as often. Raises ``NemesisError``.
    """
    if not names:
        raise NemesisError(f"name at least one nemesis of: {', '.join(NEMESES)}")
    deck = [card for name in names for card in _find(name, nodes).deck(nodes)]
    if not deck:
        return Schedule(steps=(), length_ms=length_ms)
    if length_ms < SHORTEST_MS:
        raise NemesisError(f"{length_ms} ms is too short for a fault; at least {SHORTEST_MS} ms are needed")
    steps = tuple(
        Step(at_ms=at_ms, for_ms=for_ms, fault=card.fault(rng, for_ms))
        for (at_ms, for_ms), card in zip(_windows(length_ms, rng), _deal(deck, rng), strict=False)
    )
    return Schedule(steps=steps, length_ms=length_ms)


def _find(name: str, nodes: int) -> Nemesis:
    nemesis = NEMESES.get(name)
    if nemesis is None:
        near = get_close_matches(name, list(NEMESES), n=3)
        hint = f"; perhaps {' or '.join(near)}?" if near else "."
        raise NemesisError(f"there is no nemesis {name!r}{hint} All there are: {', '.join(NEMESES)}")
    if nodes < nemesis.min_nodes:
        raise NemesisError(f"the nemesis {name} needs at least {nemesis.min_nodes} nodes, not {nodes}")
    return nemesis


def _windows(length_ms: int, rng: Random) -> Iterator[tuple[int, int]]:
    """(at_ms, for_ms) of each window, for as long as a window and the quiet after it still fit."""
    scale = min(1.0, length_ms / ONE_ROUND_MS)

    def draw(low: int, high: int) -> int:
        return max(1, int(rng.randint(low, high) * scale))

    at_ms = int(LEAD_IN_MS * scale)
    while True:
        for_ms, quiet_ms = draw(*WINDOW_MS), draw(*QUIET_MS)
        if at_ms + for_ms + quiet_ms > length_ms:
            return
        yield at_ms, for_ms
        at_ms += for_ms + quiet_ms


def _deal(deck: Sequence[Card], rng: Random) -> Iterator[Card]:
    """Every card of the deck in random order, and again, for ever; the first strikes the leader if any does.

    A short run deals few cards, and one in which no leader was touched says nothing.
    """
    hand = rng.sample(deck, len(deck))
    first = next((i for i, card in enumerate(hand) if card.strikes_leader), 0)
    hand.insert(0, hand.pop(first))
    while True:
        yield from hand
        hand = rng.sample(deck, len(deck))


def _card(shape: Shape) -> Card:
    def fault(rng: Random, for_ms: int) -> Fault:
        if shape.name != "flapping":
            return Partition(shape=shape.name)
        return Partition(shape=shape.name, flap_ms=min(rng.choice(FLAPS_MS), max(1, for_ms // 4)))

    return Card(strikes_leader=shape.cell in ("C4", "C5a", "C5b"), fault=fault)


def _possible(nodes: int) -> tuple[Card, ...]:
    return tuple(_card(shape) for shape in SHAPES.values() if shape.min_nodes <= nodes)


def _of_shape(shape: Shape) -> Nemesis:
    card = _card(shape)
    return Nemesis(name=shape.name, help=shape.help, min_nodes=shape.min_nodes, deck=lambda nodes: (card,))


_ALL = (
    Nemesis(name="none", help="no fault at all", min_nodes=1, deck=lambda nodes: ()),
    Nemesis(
        name="partition",
        help="all partitions that so many nodes allow, mixed",
        min_nodes=min(shape.min_nodes for shape in SHAPES.values()),
        deck=_possible,
    ),
    *(_of_shape(shape) for shape in SHAPES.values()),
)

NEMESES: Mapping[str, Nemesis] = MappingProxyType({nemesis.name: nemesis for nemesis in _ALL})
"""Every nemesis by its name."""
