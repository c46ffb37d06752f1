"""Search for a case that breaks a promise: batches of random cases over all cores, until one does or a limit is met.

The seed fixes the stream of cases: batch k draws from a random generator of its own, and of several hits the one of the
lowest batch counts, whatever the number of cores. The clock decides only how far the stream is read.

Cases are drawn in two ways, batch by batch: as the nemeses deal them, one fault after the other with time to recover;
and crowded, many faults over one another, some of them waiting for an event of the election. Both work in swarm style
(A. Groce et al., "Swarm Testing", ISSTA 2012): a case uses few kinds of fault.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from random import Random
from typing import Any, Final, Protocol

from splitbrain.campaigns.hunt.case import Case, CaseRun, FailureSignature, needs_white_box, run_case
from splitbrain.campaigns.hunt.coverage import Coverage
from splitbrain.nemesis.nemeses import NEMESES, Card, build
from splitbrain.nemesis.schedules import Schedule, Step
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
# In simulation a vote that is observed is one that was granted, only later.
TRIGGER_EVENTS: Final[tuple[Event, ...]] = tuple(event for event in EVENTS if event != "voted")
A_TICK_S: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntTarget:
    """A property of a system, or with None any that it promises, in clusters of up to ``nodes``."""

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
    """A case and the promise that it broke."""

    case: Case
    signature: FailureSignature


@dataclass(slots=True)
class SearchResult:
    """The result of one or many batches. ``cases`` counts those that were run to their end, up to the hit."""

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
    """A way to draw cases: calls ``try_`` with one after the other until it returns True."""

    def __call__(self, target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None: ...


def hunt(
    target: HuntTarget,
    *,
    seed: int,
    cores: int,
    seconds: float = inf,
    schedules: int | None = None,
    so_far: Callable[[SearchResult], None] = lambda result: None,
) -> SearchResult:
    """Search until a hit, for at most ``schedules`` cases and ``seconds``. ``so_far`` is called with the result so far
    after every batch."""
    until = time.time() + seconds
    total = SearchResult()
    with _runner(cores) as run:
        for result in run((target, seed, k, most, until) for k, most in enumerate(_batch_sizes(schedules, until))):
            total.add(result)
            so_far(total)
            if total.hit is not None:
                break
    return total


def batch(target: HuntTarget, seed: int, k: int, most: int = BATCH, until: float = inf) -> SearchResult:
    """The k-th batch of the stream of cases of ``seed``; it ends early at a hit, after ``most`` cases, or at ``until``
    (as of ``time.time``)."""
    result = SearchResult()
    white_box = needs_white_box(target.wanted)
    began = time.process_time()

    def try_(case: Case) -> bool:
        if result.cases >= most or time.time() >= until:
            return False
        seen = run_case(case, white_box=white_box, wanted=target.wanted)
        _count(result, seen)
        signatures = seen.signatures(target.wanted)
        if signatures:
            result.hit = Hit(case, signatures[0])
        return bool(signatures)

    draw = WAYS[k % len(WAYS)]
    draw(target, Random(f"{seed}/batch/{k}"), try_)
    result.cpu_s = time.process_time() - began
    return result


def _count(result: SearchResult, seen: CaseRun) -> None:
    result.cases += 1
    result.simulated_s += seen.simulated_s
    result.coverage.take(seen.history.faults, seen.trace)


# Ways to draw


def dealt(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Cases from the decks of one to three nemeses each."""
    for _ in range(BATCH):
        nodes = rng.choice(sizes(target))
        schedule = build(_names(rng, nodes), rng, nodes, rng.choice(LENGTHS_MS))
        if try_(Case(system=target.system, nodes=nodes, seed=rng.randrange(SEEDS), schedule=schedule)):
            return


def crowded(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Cases of up to ten faults from those decks, at any times, for long or hardly at all, and in half of the cases
    half of them at events."""
    for _ in range(BATCH):
        nodes = rng.choice(sizes(target))
        cards = [card for name in _names(rng, nodes) for card in NEMESES[name].deck(nodes)]
        at_events = rng.random() < 0.5
        steps = [_crowded_step(rng, cards, at_events) for _ in range(rng.randint(1, CROWD_MAX))]
        schedule = Schedule(
            steps=tuple(sorted(steps, key=lambda step: step.at_ms)),
            length_ms=max(step.end_ms for step in steps) + LEAD_IN_MS,
        )
        if try_(Case(system=target.system, nodes=nodes, seed=rng.randrange(SEEDS), schedule=schedule)):
            return


def _crowded_step(rng: Random, cards: Sequence[Card], at_events: bool) -> Step:
    """A card played at any time; one that waits for an event is mostly aimed at the node of the event."""
    at_ms = LEAD_IN_MS + rng.randrange(CROWDED_MS)
    for_ms = round(SHORTEST_MS * (CROWDED_MS / SHORTEST_MS) ** rng.random())
    step = rng.choice(cards).step(rng, at_ms, for_ms)
    if not at_events or step.when is not None or rng.random() < 0.5:
        return step
    when = Trigger(event=rng.choice(TRIGGER_EVENTS), count=rng.randint(1, COUNT_MAX), within_ms=CROWDED_MS // 2)
    fault = step.fault
    if fault.aims_at_subjects and rng.random() < 0.7:
        fault = fault.with_role("subject")
    return replace(step, fault=fault, when=when)


def _names(rng: Random, nodes: int) -> list[str]:
    possible = [name for name, nemesis in NEMESES.items() if nemesis.possible(nodes)]
    return rng.sample([name for name in possible if name not in ("none", "all")], rng.randint(1, DECKS_MAX))


def sizes(target: HuntTarget) -> list[int]:
    """The clusters to hunt in: the smallest that the system allows, since that is cheapest, the next one, since one of
    the two is even and halves may be mistaken for majorities there, and the one asked for."""
    least = min(find_system(target.system).min_nodes, target.nodes)
    return sorted({least, min(least + 1, target.nodes), target.nodes})


# Crowded schedules find most.
WAYS: Final[tuple[Draw, ...]] = (crowded, dealt, crowded, crowded)


# Over cores

Task = tuple[HuntTarget, int, int, int, float]


def _batch_sizes(schedules: int | None, until: float) -> Iterator[int]:
    """Sizes that add up to ``schedules``, or without a limit go on, until the time is over."""
    for first in count(0, BATCH) if schedules is None else range(0, schedules, BATCH):
        if time.time() >= until:
            return
        yield BATCH if schedules is None else min(BATCH, schedules - first)


@contextmanager
def _runner(cores: int) -> Iterator[Callable[[Iterator[Task]], Iterator[SearchResult]]]:
    """A function that runs batches and yields their results in order."""
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


def _wait(pending: Any) -> SearchResult:
    """Wait in short turns, so that signals are handled between them."""
    while not pending.ready():
        pending.wait(A_TICK_S)
    result: SearchResult = pending.get()
    return result


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
