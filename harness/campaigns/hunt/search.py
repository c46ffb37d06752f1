"""Search for a case that breaks a promise: batches of random cases over all cores, until one does or a limit is met.

The seed fixes the stream of cases: every batch has a random generator, and of several hits the one in the lowest
batch counts, whatever the number of cores. The clock decides only how far the stream is read.

Batches are drawn in two ways: *dealt* from the decks of nemeses, one fault after the other with time to recover; and
*crowded*, many overlapping faults, some triggered by an event of the election. Both are swarm testing (A. Groce et al.,
"Swarm Testing", ISSTA 2012): a case uses few kinds of fault.
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
from splitbrain.errors import EnvironmentFailure
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
# In simulation "voted" adds nothing: it is "vote-granted" as seen by an observer, a little later.
TRIGGER_EVENTS: Final[tuple[Event, ...]] = tuple(event for event in EVENTS if event != "voted")
A_TICK_S: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntTarget:
    """The target of a hunt: one property of a system (None: all that it promises), in clusters of up to ``nodes``."""

    system: str
    nodes: int
    wanted: str | None = None

    @property
    def name(self) -> str:
        """The name of the folder of its runs in a store."""
        return Case(
            system=self.system, nodes=self.nodes, seed=0, schedule=Schedule(steps=(), length_ms=1)
        ).experiment.name


@dataclass(frozen=True, slots=True)
class Hit:
    """A case and the promise that it breaks."""

    case: Case
    signature: FailureSignature


@dataclass(slots=True)
class SearchResult:
    """The result of one or many batches. ``cases`` counts completed cases, up to the hit.

    ``overlaps`` counts the pairs of leaders at one instant, by the nodes' own state, and ``proven`` those of them that
    observations prove.
    """

    cases: int = 0
    overlaps: int = 0
    proven: int = 0
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    hit: Hit | None = None
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, other: SearchResult) -> None:
        self.cases += other.cases
        self.overlaps += other.overlaps
        self.proven += other.proven
        self.simulated_s += other.simulated_s
        self.cpu_s += other.cpu_s
        self.hit = self.hit or other.hit
        self.coverage.add(other.coverage)


class Draw(Protocol):
    """A way to draw cases: calls ``try_`` with each until it returns True."""

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
    """Search until a hit, for at most ``schedules`` cases and ``seconds``.

    ``so_far`` is called with the result so far after every batch.
    """
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
    """Run the k-th batch of the stream of cases of ``seed``.

    It ends early at a hit, after ``most`` cases, or at ``until`` (as of ``time.time``).
    """
    result = SearchResult()
    white_box = needs_white_box(target.wanted)
    began = time.process_time()

    def try_(case: Case) -> bool:
        if result.cases >= most or time.time() >= until:
            return False
        run = run_case(case, white_box=white_box, wanted=target.wanted)
        _count(result, run)
        signatures = run.signatures(target.wanted)
        if signatures:
            result.hit = Hit(case, signatures[0])
        return bool(signatures)

    draw = DRAWS[k % len(DRAWS)]
    draw(target, Random(f"{seed}/batch/{k}"), try_)
    result.cpu_s = time.process_time() - began
    return result


def _count(result: SearchResult, run: CaseRun) -> None:
    result.cases += 1
    true, proven = run.overlaps()
    result.overlaps += true
    result.proven += proven
    result.simulated_s += run.simulated_s
    result.coverage.take(run.history.faults, run.trace)


# Ways to draw


def dealt(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Draw cases from the decks of one to three nemeses each."""
    for _ in range(BATCH):
        nodes = rng.choice(sizes(target))
        schedule = build(_names(rng, nodes), rng, nodes, rng.choice(LENGTHS_MS))
        if try_(Case(system=target.system, nodes=nodes, seed=rng.randrange(SEEDS), schedule=schedule)):
            return


def crowded(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Draw cases of up to ten overlapping faults from the decks of one to three nemeses.

    Lengths are log-uniform. In half of the cases, half of the faults are triggered by events.
    """
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
    """A random card at a random time; a fault triggered by an event is mostly aimed at the subject of the event."""
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
    possible = [name for name, nemesis in NEMESES.items() if nemesis.simulated and nemesis.possible(nodes)]
    return rng.sample([name for name in possible if name not in ("none", "all")], rng.randint(1, DECKS_MAX))


def sizes(target: HuntTarget) -> list[int]:
    """The cluster sizes to draw from: the smallest possible, the next one, and the largest of the target.

    The smallest is the cheapest. One of the first two is even, so that a half may be mistaken for a majority.
    """
    least = min(find_system(target.system).min_nodes, target.nodes)
    return sorted({least, min(least + 1, target.nodes), target.nodes})


# Crowded schedules find most bugs.
DRAWS: Final[tuple[Draw, ...]] = (crowded, dealt, crowded, crowded)


# Over cores

Task = tuple[HuntTarget, int, int, int, float]


def _batch_sizes(schedules: int | None, until: float) -> Iterator[int]:
    """The sizes of the batches, until the time is over: they add up to ``schedules``, or go on without that limit."""
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
    # Leaving the block terminates the workers at once, so a hit or ctrl-C ends a hunt.
    others = _children()
    with multiprocessing.get_context("spawn").Pool(cores, initializer=_leave_signals_to_the_parent) as pool:
        workers = _children() - others
        yield lambda tasks: _in_order(pool, workers, tasks, 2 * cores)


def _children() -> frozenset[int | None]:
    return frozenset(child.pid for child in multiprocessing.active_children())


def _in_order(pool: Any, workers: frozenset[int | None], tasks: Iterator[Task], ahead: int) -> Iterator[SearchResult]:
    under_way: deque[Any] = deque()
    for task in tasks:
        under_way.append(pool.apply_async(batch, task))
        while len(under_way) >= ahead:
            yield _wait(under_way.popleft(), workers)
    while under_way:
        yield _wait(under_way.popleft(), workers)


def _wait(pending: Any, workers: frozenset[int | None]) -> SearchResult:
    """Wait in short turns, so that signals are handled between them. Raises EnvironmentFailure when a worker is gone:
    a pool replaces it, and its batch would never come."""
    while not pending.ready():
        pending.wait(A_TICK_S)
        if not workers <= _children():
            raise EnvironmentFailure("a worker process of the hunt was killed, perhaps for lack of memory")
    result: SearchResult = pending.get()
    return result


def _leave_signals_to_the_parent() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
