"""The search: batches of drawn cases over all cores, until one breaks a promise or the time is over.

The stream of cases is fixed by the seed: batch k draws from dice of its own, and of several hits that of the
lowest batch counts, whatever the number of cores. What the clock decides is only how far the stream is read.

Cases are drawn in three ways, batch by batch: as the nemeses deal them, one fault after the other with time to
recover; crowded, many faults over one another and some of them waiting for an event of the election; and as
Hypothesis draws them from the strategies, which cost more and know more. All work in swarm style (A. Groce et al.,
"Swarm Testing", ISSTA 2012): a case uses few kinds of fault.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, Protocol
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.internal.conjecture.providers import HypothesisProvider

from splitbrain.campaigns.hunt.case import Case, CaseRun, FailureSignature, needs_white_box, run_case
from splitbrain.campaigns.hunt.coverage import Coverage
from splitbrain.nemesis.faults import Kill, Pause
from splitbrain.nemesis.nemeses import NEMESES, Card, build
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.strategies import schedules
from splitbrain.nemesis.triggers import EVENTS, Event, Trigger
from splitbrain.user_systems.lookup import find_system

BATCH: Final = 40
LENGTHS_MS: Final = (3_000, 6_000, 12_000)
DECKS_MAX: Final = 3
LEAD_IN_MS: Final = 500  # time for a first leader; faults that need one wait for it
QUIET_MS: Final = 1_500
CROWD_MAX: Final = 10
CROWDED_MS: Final = 6_000
SHORTEST_MS: Final = 5
COUNT_MAX: Final = 3
SEEDS: Final = 2**31
# In simulation a vote that is seen is one that was granted, only later.
STRUCK_AT: Final[tuple[Event, ...]] = tuple(event for event in EVENTS if event != "voted")
A_TICK_S: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntTarget:
    """What is hunted, in clusters of up to ``nodes``: a property of a system, or with None any that it promises."""

    system: str
    nodes: int
    wanted: str | None = None

    @property
    def name(self) -> str:
        """The folder of its runs in a store."""
        return Case(
            system=self.system, nodes=self.nodes, seed=0, schedule=Schedule(steps=(), length_ms=1)
        ).experiment.name


@dataclass(frozen=True, slots=True)
class Hit:
    """A case and what it broke."""

    case: Case
    signature: FailureSignature


@dataclass(slots=True)
class SearchResult:
    """What a batch, or many, came back with. ``cases`` counts the whole ones up to the hit."""

    cases: int = 0
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    hit: Hit | None = None
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, other: SearchResult) -> None:
        self.cases += other.cases
        self.simulated_s += other.simulated_s
        self.cpu_s += other.cpu_s
        self.hit = self.hit or other.hit
        self.coverage.add(other.coverage)


class Draw(Protocol):
    """A way to draw cases: calls ``try_`` with one after the other until it is told that this was enough."""

    def __call__(self, quarry: HuntTarget, dice: Random, try_: Callable[[Case], bool]) -> None: ...


def hunt(
    quarry: HuntTarget,
    *,
    seed: int,
    seconds: float,
    cores: int,
    told: Callable[[SearchResult], None] = lambda haul: None,
) -> SearchResult:
    """Search for so long, or until a hit. ``told`` is given what there is so far, after every batch."""
    until = time.time() + seconds
    total = SearchResult()
    with _runner(cores) as run:
        for haul in run((quarry, seed, k, until) for k in _forever(until)):
            total.add(haul)
            told(total)
            if total.hit is not None:
                break
    return total


def batch(quarry: HuntTarget, seed: int, k: int, until: float = float("inf")) -> SearchResult:
    """The k-th batch of the stream of cases of ``seed``; it ends early at a hit, or at ``until`` (as of
    ``time.time``)."""
    haul = SearchResult()
    white_box = needs_white_box(quarry.wanted)
    began = time.process_time()

    def try_(case: Case) -> bool:
        if haul.hit is not None:
            return case == haul.hit.case
        if time.time() >= until:
            return False
        seen = run_case(case, white_box=white_box, wanted=quarry.wanted)
        _count(haul, seen)
        signatures = seen.signatures(quarry.wanted)
        if signatures:
            haul.hit = Hit(case, signatures[0])
        return bool(signatures)

    draw = WAYS[k % len(WAYS)]
    draw(quarry, Random(f"{seed}/batch/{k}"), try_)
    haul.cpu_s = time.process_time() - began
    return haul


def _count(haul: SearchResult, seen: CaseRun) -> None:
    haul.cases += 1
    haul.simulated_s += seen.simulated_s
    haul.coverage.take(seen.history.faults, seen.trace)


# Ways to draw


def dealt(quarry: HuntTarget, dice: Random, try_: Callable[[Case], bool]) -> None:
    """Cases from the decks of one to three nemeses each."""
    for _ in range(BATCH):
        nodes = dice.choice(sizes(quarry))
        schedule = build(_names(dice, nodes), dice, nodes, dice.choice(LENGTHS_MS))
        if try_(Case(system=quarry.system, nodes=nodes, seed=dice.randrange(SEEDS), schedule=schedule)):
            return


def crowded(quarry: HuntTarget, dice: Random, try_: Callable[[Case], bool]) -> None:
    """Cases of up to ten faults from those decks, at any times, for long or hardly at all, and in half of the cases
    half of them at events."""
    for _ in range(BATCH):
        nodes = dice.choice(sizes(quarry))
        cards = [card for name in _names(dice, nodes) for card in NEMESES[name].deck(nodes)]
        at_events = dice.random() < 0.5
        steps = [_crowded_step(dice, cards, at_events) for _ in range(dice.randint(1, CROWD_MAX))]
        schedule = Schedule(
            steps=tuple(sorted(steps, key=lambda step: step.at_ms)),
            length_ms=max(step.end_ms for step in steps) + LEAD_IN_MS,
        )
        if try_(Case(system=quarry.system, nodes=nodes, seed=dice.randrange(SEEDS), schedule=schedule)):
            return


def _crowded_step(dice: Random, cards: Sequence[Card], at_events: bool) -> Step:
    """A card played at any time; at an event it strikes, where it is aimed at nodes, mostly whom the event is about."""
    at_ms = LEAD_IN_MS + dice.randrange(CROWDED_MS)
    for_ms = round(SHORTEST_MS * (CROWDED_MS / SHORTEST_MS) ** dice.random())
    step = dice.choice(cards).step(dice, at_ms, for_ms)
    if not at_events or step.when is not None or dice.random() < 0.5:
        return step
    when = Trigger(event=dice.choice(STRUCK_AT), count=dice.randint(1, COUNT_MAX), within_ms=CROWDED_MS // 2)
    fault = step.fault
    if isinstance(fault, Kill | Pause) and dice.random() < 0.7:
        fault = replace(fault, target="subject")
    return replace(step, fault=fault, when=when)


def _names(dice: Random, nodes: int) -> list[str]:
    possible = [name for name, nemesis in NEMESES.items() if nemesis.possible(nodes)]
    return dice.sample([name for name in possible if name not in ("none", "all")], dice.randint(1, DECKS_MAX))


def drawn(quarry: HuntTarget, dice: Random, try_: Callable[[Case], bool]) -> None:
    """Cases from the strategies, as Hypothesis draws them."""
    how = settings(
        max_examples=BATCH,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    # Hypothesis mixes in numbers that it finds in the modules imported so far: then a batch would be another one in a
    # process that has imported more, and the cases of a seed would hang on who searches them.
    no_constants = patch.object(HypothesisProvider, "_maybe_draw_constant", _no_constant, create=True)
    with suppress(NoSuchExample), no_constants:
        find(cases(quarry), try_, settings=how, random=dice)


def _no_constant(*_: object, **__: object) -> None:
    """In place of what would draw such a number: never one."""


@st.composite
def cases(draw: st.DrawFn, quarry: HuntTarget) -> Case:
    """Any case for the quarry; the simplest has the fewest nodes and no fault."""
    nodes = draw(st.sampled_from(sizes(quarry)))
    schedule = draw(
        schedules(nodes, events=STRUCK_AT, lead_in_ms=LEAD_IN_MS, max_quiet_ms=QUIET_MS, recovery_ms=LEAD_IN_MS)
    )
    seed = draw(st.integers(0, SEEDS - 1))
    return Case(system=quarry.system, nodes=nodes, seed=seed, schedule=schedule)


def sizes(quarry: HuntTarget) -> list[int]:
    """The clusters to hunt in: the smallest that the system allows, since that is cheapest, the next one, since one of
    the two is even and halves may be mistaken for majorities there, and the one asked for."""
    least = min(find_system(quarry.system).min_nodes, quarry.nodes)
    return sorted({least, min(least + 1, quarry.nodes), quarry.nodes})


# Crowded schedules find most, drawn ones take longest to draw.
WAYS: Final[tuple[Draw, ...]] = (crowded, dealt, crowded, drawn)


# Over cores

Task = tuple[HuntTarget, int, int, float]


def _forever(until: float) -> Iterator[int]:
    k = 0
    while time.time() < until:
        yield k
        k += 1


@contextmanager
def _runner(cores: int) -> Iterator[Callable[[Iterator[Task]], Iterator[SearchResult]]]:
    """Something that runs batches and gives their hauls in the order of the batches."""
    if cores == 1:
        yield lambda tasks: (batch(*task) for task in tasks)
        return
    # Leaving the block ends the workers at once, whatever they do: that is how a hit, or ctrl-C, ends a hunt.
    with multiprocessing.get_context("spawn").Pool(cores, initializer=_leave_signals_to_the_parent) as pool:
        yield lambda tasks: _in_order(pool, tasks, 2 * cores)


def _in_order(pool: Any, tasks: Iterator[Task], ahead: int) -> Iterator[SearchResult]:
    under_way: deque[Any] = deque()
    for task in tasks:
        under_way.append(pool.apply_async(batch, task))
        while len(under_way) >= ahead:
            yield _wait(under_way.popleft())
    while under_way:
        yield _wait(under_way.popleft())


def _wait(result: Any) -> SearchResult:
    """In short waits, so that a signal is seen to between them."""
    while not result.ready():
        result.wait(A_TICK_S)
    haul: SearchResult = result.get()
    return haul


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
