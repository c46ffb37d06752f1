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
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from random import Random
from typing import Any, Final, Protocol

from splitbrain.campaigns.hunt.case import Case, CaseRun, FailureSignature, meant, needs_white_box, run_case
from splitbrain.campaigns.hunt.coverage import Coverage
from splitbrain.checkers.judge import OBSERVE, PROPERTIES
from splitbrain.errors import EnvironmentFailure
from splitbrain.names import WITNESSED, Guarantee
from splitbrain.nemesis.nemeses import NEMESES, Card, build, classes
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.triggers import EVENTS, Event, Trigger
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.lookup import find_system
from splitbrain.workloads import Kind

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
FEWEST: Final = 3
LARGEST: Final = 5
RARE_SIZES: Final = (11, 12)
RARELY: Final = 1 / 25
OTHER_WORKLOADS: Final = 1 / 4
OPERATIONS: Final[Mapping[Kind, Set[str]]] = {
    "ledger": {"append", "read-ledger"},
    "lock": {"acquire", "release", "add", "read-set"},
}
"""The operations of each workload beside those of an election."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntTarget:
    """The target of a hunt: one property of a system (None: all that it promises), in clusters of up to ``nodes``.

    Sometimes a cluster has one of the ``rare_sizes`` instead, in which names have two digits. Faults are drawn from the
    decks of ``nemeses`` (None: of all). Of ``workloads`` the first is the usual one, the others come sometimes.
    """

    system: str
    nodes: int
    wanted: str | None = None
    rare_sizes: tuple[int, ...] = ()
    nemeses: tuple[str, ...] | None = None
    workloads: tuple[Kind, ...] = ("election",)

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
    """The result of one or many batches.

    ``cases`` counts completed cases, up to the last hit, and ``tested`` those that put to the test what is wanted.
    ``hits`` has one case for each broken promise, and ``times`` the number of cases that break it.

    ``reigns`` counts the reigns of leaders by the nodes' own state, ``overlaps`` the pairs of them that share an
    instant, and ``proven`` those pairs that observations prove.
    """

    cases: int = 0
    tested: int = 0
    reigns: int = 0
    overlaps: int = 0
    proven: int = 0
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    hits: dict[FailureSignature, Hit] = field(default_factory=dict)
    times: Counter[FailureSignature] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def hit(self) -> Hit | None:
        """The first hit."""
        return next(iter(self.hits.values()), None)

    def add(self, other: SearchResult) -> None:
        self.cases += other.cases
        self.tested += other.tested
        self.reigns += other.reigns
        self.overlaps += other.overlaps
        self.proven += other.proven
        self.simulated_s += other.simulated_s
        self.cpu_s += other.cpu_s
        self.hits = {**self.hits, **{each: hit for each, hit in other.hits.items() if each not in self.hits}}
        self.times += other.times
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
    keep_going: bool = False,
    so_far: Callable[[SearchResult], None] = lambda result: None,
) -> SearchResult:
    """Search until a hit, for at most ``schedules`` cases and ``seconds``; with ``keep_going``, to the end of these.

    ``so_far`` is called with the result so far after every batch.
    """
    until = time.time() + seconds
    total = SearchResult()
    with _runner(cores) as run:
        sizes = enumerate(_batch_sizes(schedules, until))
        for result in run((target, seed, k, most, until, keep_going) for k, most in sizes):
            total.add(result)
            so_far(total)
            if total.hits and not keep_going:
                break
    return total


def batch(
    target: HuntTarget, seed: int, k: int, most: int = BATCH, until: float = inf, keep_going: bool = False
) -> SearchResult:
    """Run the k-th batch of the stream of cases of ``seed``.

    It ends early at a hit unless it is to ``keep_going``, after ``most`` cases, or at ``until`` (as of ``time.time``).
    """
    result = SearchResult()
    white_box = needs_white_box(target.wanted)
    began = time.process_time()

    def try_(case: Case) -> bool:
        if result.cases >= most or time.time() >= until:
            return False
        run = run_case(case, white_box=white_box, wanted=target.wanted)
        _count(result, run, target.wanted)
        signatures = run.signatures(target.wanted)
        result.times.update(signatures)
        for signature in signatures if keep_going else signatures[:1]:
            result.hits.setdefault(signature, Hit(case, signature))
        return bool(signatures) and not keep_going

    draw = DRAWS[k % len(DRAWS)]
    draw(target, Random(f"{seed}/batch/{k}"), try_)
    result.cpu_s = time.process_time() - began
    return result


def _count(result: SearchResult, run: CaseRun, wanted: str | None) -> None:
    result.cases += 1
    result.tested += not run.tested.isdisjoint(meant(wanted))
    true, proven = run.overlaps()
    result.reigns += len(run.reigns)
    result.overlaps += true
    result.proven += proven
    result.simulated_s += run.simulated_s
    result.coverage.take(run.history.faults, run.trace)


# Ways to draw


def dealt(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Draw cases from the decks of one to three nemeses each."""
    servers = servers_of(target)
    for _ in range(BATCH):
        nodes = _size(target, rng)
        schedule = build(_names(target, rng, nodes), rng, nodes, rng.choice(LENGTHS_MS), servers=servers)
        if try_(_case(target, rng, nodes, schedule)):
            return


def crowded(target: HuntTarget, rng: Random, try_: Callable[[Case], bool]) -> None:
    """Draw cases of up to ten overlapping faults from the decks of one to three nemeses.

    Lengths are log-uniform. In half of the cases, half of the faults are triggered by events.
    """
    machines = {"servers": servers_of(target)}
    for _ in range(BATCH):
        machines["nodes"] = nodes = _size(target, rng)
        chosen = [NEMESES[name] for name in _names(target, rng, nodes)]
        cards = [card for nemesis in chosen for card in nemesis.deck(machines[nemesis.among])]
        at_events = rng.random() < 0.5
        steps = [_crowded_step(rng, cards, at_events) for _ in range(rng.randint(1, CROWD_MAX)) if cards]
        schedule = Schedule(
            steps=tuple(sorted(steps, key=lambda step: step.at_ms)),
            length_ms=max((step.end_ms for step in steps), default=CROWDED_MS) + LEAD_IN_MS,
        )
        if try_(_case(target, rng, nodes, schedule)):
            return


def _case(target: HuntTarget, rng: Random, nodes: int, schedule: Schedule) -> Case:
    seed = rng.randrange(SEEDS)
    return Case(system=target.system, nodes=nodes, seed=seed, schedule=schedule, workload=_workload(target, seed))


def _workload(target: HuntTarget, seed: int) -> Kind:
    """The workload of the case of that seed, drawn apart from its faults."""
    usual, *others = target.workloads
    rng = Random(f"{seed}/workload")
    return rng.choice(others) if others and rng.random() < OTHER_WORKLOADS else usual


def _size(target: HuntTarget, rng: Random) -> int:
    if target.rare_sizes and rng.random() < RARELY:
        return rng.choice(target.rare_sizes)
    return rng.choice(sizes(target))


def _crowded_step(rng: Random, cards: Sequence[Card], at_events: bool) -> Step:
    """A random card at a random time; a fault triggered by an event is mostly aimed at the subject of the event."""
    at_ms = LEAD_IN_MS + rng.randrange(CROWDED_MS)
    for_ms = round(SHORTEST_MS * (CROWDED_MS / SHORTEST_MS) ** rng.random())
    step = rng.choice(cards).step(rng, at_ms, for_ms)
    if not at_events or step.when is not None or step.among == "servers" or rng.random() < 0.5:
        return step
    when = Trigger(event=rng.choice(TRIGGER_EVENTS), count=rng.randint(1, COUNT_MAX), within_ms=CROWDED_MS // 2)
    fault = step.fault
    if fault.aims_at_subjects and rng.random() < 0.7:
        fault = fault.with_role("subject")
    return replace(step, fault=fault, when=when)


def _names(target: HuntTarget, rng: Random, nodes: int) -> list[str]:
    known = decks(target) if target.nemeses is None else target.nemeses
    possible = [name for name in known if NEMESES[name].possible(nodes, servers_of(target))]
    return rng.sample(possible, min(rng.randint(1, DECKS_MAX), len(possible)))


def decks(target: HuntTarget) -> tuple[str, ...]:
    """The nemeses that can be drawn from on the largest of the usual clusters."""
    servers = servers_of(target)
    return tuple(
        name
        for name, nemesis in NEMESES.items()
        if name not in ("none", "all") and nemesis.simulated and nemesis.possible(target.nodes, servers)
    )


def without(target: HuntTarget, excluded: Collection[str]) -> tuple[str, ...]:
    """The nemeses of a target but for those of these names, and those with a fault of these fault classes."""
    machines = {"nodes": target.nodes, "servers": servers_of(target)}
    return tuple(
        name
        for name in (decks(target) if target.nemeses is None else target.nemeses)
        if name not in excluded and classes(NEMESES[name], machines[NEMESES[name].among]).isdisjoint(excluded)
    )


def servers_of(target: HuntTarget) -> int:
    return len(find_system(target.system).server_names)


def sizes(target: HuntTarget) -> list[int]:
    """The cluster sizes to draw from: the smallest possible, the next one, and the largest of the target.

    The smallest is the cheapest, of three nodes at least where the target has as many: two are a majority only
    together. One of the first two is even, so that a half may be mistaken for a majority.
    """
    least = min(max(find_system(target.system).min_nodes, FEWEST), target.nodes)
    usual = sorted({least, min(least + 1, target.nodes), target.nodes})
    known, servers = NEMESES if target.nemeses is None else target.nemeses, servers_of(target)
    return [nodes for nodes in usual if any(NEMESES[name].possible(nodes, servers) for name in known)]


def usual_size(system: System) -> int:
    """The largest of the usual clusters of a system."""
    return max(system.min_nodes, min(LARGEST, system.max_nodes))


def rare_sizes_of(system: System) -> tuple[int, ...]:
    return tuple(nodes for nodes in RARE_SIZES if nodes <= system.max_nodes)


def workloads_of(system: System, wanted: str | None) -> tuple[Kind, ...]:
    """The workloads that the promises of a system concern, the election first; for one judged property, those that have
    operations which it is about."""
    known: list[Kind] = ["election"]
    if "tokens" in system.features and _guarantees(system, "fencing"):
        known.append("ledger")
    if _guarantees(system, "exclusivity"):
        known.append("lock")
    needs = next((tested.needs for tested in PROPERTIES if tested.name == wanted), (OBSERVE,))
    if wanted is None:
        return tuple(known)
    if {OBSERVE, WITNESSED} & set(needs):
        return ("election",)
    return tuple(kind for kind in OPERATIONS if OPERATIONS[kind] & set(needs))


def _guarantees(system: System, guarantee: Guarantee) -> bool:
    return any(row[guarantee] == "guaranteed" for row in system.promises.values())


# Crowded schedules find most bugs.
DRAWS: Final[tuple[Draw, ...]] = (crowded, dealt, crowded, crowded)


# Over cores

Task = tuple[HuntTarget, int, int, int, float, bool]


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
