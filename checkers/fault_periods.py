"""Fault periods: from when until when each fault of a history affected its nodes or links.

A fault is *possibly* active from its begin line to the done line of the act that undid it. It is *certainly* active
from its own done line to the begin line of that act. A skipped fault is never active. A fault that was not verified is
possibly active, never certainly. A fault with an unknown name affects its targets until an act names it as healed.
Every doubt therefore shortens the periods in which a checker expects the system to work.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from splitbrain.checkers.fault import Fault, Link

CUTS = frozenset({"partition"})
ON_LINKS = CUTS | {"loss", "delay", "latency", "duplicate", "reorder", "corrupt", "bandwidth", "rate", "dns"}
KILLS = frozenset({"kill", "crash", "stop", "oom"})
RESTARTS = frozenset({"restart", "start"})
PAUSES = frozenset({"pause", "freeze"})
RESUMES = frozenset({"resume"})
WIPES = frozenset({"wipe", "amnesia"})
HEALS = frozenset({"heal"})
REPAIRS = HEALS | RESTARTS | RESUMES

Subject = str | Link | None
RepairTimes = Callable[[Subject], tuple[int | None, int | None]]
Repaired = tuple[str, int | Subject]


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultPeriod:
    """The period during which one fault affected some nodes or links, or with neither the entire cluster.

    ``possible`` and ``certain`` are closed intervals [from, to] in ns; ``possible`` may end after the history;
    ``certain`` is None if the fault is never certain. ``cuts`` is true for a cut or a kill, false for a milder fault.
    """

    fault: Fault
    nodes: tuple[str, ...]
    links: tuple[Link, ...]
    possible: tuple[int, int]
    certain: tuple[int, int] | None
    cuts: bool


def is_cut(fault: Fault) -> bool:
    """True if the links of the fault carry nothing; a cut of one port lets other packets pass."""
    return fault.f in CUTS and fault.asked.get("port") is None


def is_repair(fault: Fault) -> bool:
    """True for an act that repairs: it heals, restarts or resumes."""
    return fault.f in REPAIRS


def on_links(fault: Fault) -> bool:
    """True for a fault of links; its nodes then only name the ends."""
    return fault.f in ON_LINKS or (bool(fault.links) and fault.f not in KILLS | PAUSES | WIPES | REPAIRS)


def periods_by_fault(faults: tuple[Fault, ...], end: int) -> Iterator[tuple[FaultPeriod, ...]]:
    """The periods of each fault, by their ends; ``end`` (ns) is the end of the history."""
    repairs = _Repairs(faults)
    for at, fault in enumerate(faults):
        yield tuple(_periods_of(fault, partial(repairs.times, at), end))


def certain_ns(periods: Iterable[FaultPeriod]) -> int:
    """The longest time (ns) for which a fault of these periods was certainly active on any of its targets."""
    certain = [period.certain for period in periods if period.certain is not None]
    return max((until - since for since, until in certain), default=0)


def _periods_of(fault: Fault, repaired: RepairTimes, end: int) -> Iterator[FaultPeriod]:
    """The periods of one fault, by their ends."""
    if fault.skipped is not None or fault.f in HEALS | RESUMES:
        return
    if fault.f in RESTARTS:
        yield _fault_period(fault, fault.nodes, (), None, fault.done, end)
    elif fault.links and on_links(fault):
        yield from _grouped_by_end(fault, fault.links, repaired, end)
    else:
        yield from _grouped_by_end(fault, fault.nodes or (None,), repaired, end)


def _grouped_by_end(
    fault: Fault, subjects: Iterable[Subject], repaired: RepairTimes, end: int
) -> Iterator[FaultPeriod]:
    """One FaultPeriod for all subjects that were repaired at the same time. The subject None is the entire cluster."""
    periods: dict[tuple[int | None, int | None], list[Subject]] = defaultdict(list)
    for subject in subjects:
        periods[repaired(subject)].append(subject)
    for (undoing, over), group in periods.items():
        links = tuple(subject for subject in group if isinstance(subject, tuple))
        nodes = tuple(subject for subject in group if isinstance(subject, str))
        yield _fault_period(fault, nodes, links, undoing, over, end)


def _fault_period(
    fault: Fault,
    nodes: tuple[str, ...],
    links: tuple[Link, ...],
    undoing: int | None,
    over: int | None,
    end: int,
) -> FaultPeriod:
    certain = None
    if fault.in_effect and fault.done is not None and fault.f not in RESTARTS:
        certain = (fault.done, _surely_until(fault, fault.done, end if undoing is None else undoing))
    # In a simulation an act takes no time; it disturbs its targets for 1 ns all the same.
    last = end + 1 if over is None else max(over, fault.begin + 1)
    cuts = is_cut(fault) if links else fault.f in KILLS
    return FaultPeriod(fault=fault, nodes=nodes, links=links, possible=(fault.begin, last), certain=certain, cuts=cuts)


def _surely_until(fault: Fault, done: int, undoing: int) -> int:
    """Until when the fault was certainly active: one that something else ended, until it was last verified."""
    if not fault.lost:
        return undoing
    return done if fault.last_seen is None else min(max(done, fault.last_seen), undoing)


class _Repairs:
    """The acts that repair, by what they repair, so that those of one fault are found without a search through all."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._begun: defaultdict[Repaired, list[int]] = defaultdict(list)
        self._done: defaultdict[Repaired, list[int]] = defaultdict(list)
        for at, act in enumerate(faults):
            for what in _repaired_by(act) if act.skipped is None else ():
                self._begun[what].append(at)
                if act.done is not None and act.verified is not False:
                    self._done[what].append(at)

    def times(self, at: int, subject: Subject) -> tuple[int | None, int | None]:
        """When the repair of fault number ``at`` began, which ends the certain period, and when it was certainly done,
        which ends the possible one; None for never."""
        fault = self._faults[at]
        undoing, over = self._first(self._begun, at, subject), self._first(self._done, at, subject)
        # A wipe is over at once, unless a restart shows that the node had yet to come back.
        otherwise = fault.done if fault.f in WIPES else None
        return None if undoing is None else undoing.begin, otherwise if over is None else over.done

    def _first(self, acts: Mapping[Repaired, list[int]], at: int, subject: Subject) -> Fault | None:
        """The first of these acts after fault number ``at`` that repairs it for the subject."""
        fault, kind = self._faults[at], _kind(self._faults[at])
        known = [acts[what] for what in (("id", fault.id), (kind, subject), (kind, None)) if what in acts]
        later = [each[place] for each in known if (place := bisect_right(each, at)) < len(each)]
        return self._faults[min(later)] if later else None


def _repaired_by(act: Fault) -> Iterator[Repaired]:
    """All that the act repairs: faults of certain ids, or those of a kind on its targets (None: on all)."""
    heals = act.asked.get("heals", act.effect.get("heals"))
    if isinstance(heals, list | tuple):
        yield from {("id", fault) for fault in heals if isinstance(fault, int | str)}
        return
    targets: Iterable[Subject] = act.links if act.f in HEALS else act.nodes
    for kind, acts in (("links", HEALS), ("down", RESTARTS), ("paused", RESUMES)):
        if act.f in acts:
            yield from ((kind, target) for target in targets or (None,))


def _kind(fault: Fault) -> str:
    """The kind of repair that undoes the fault; that of a fault with an unknown name is none."""
    if on_links(fault):
        return "links"
    if fault.f in KILLS | WIPES:
        return "down"
    return "paused" if fault.f in PAUSES else ""


def touched(fault: Fault) -> frozenset[str]:
    """The nodes that the fault affects, including the ends of its links."""
    return frozenset(fault.nodes).union(*fault.links)


def affected(fault: Fault) -> frozenset[str]:
    """The nodes that the fault is on: its targets, or the nodes with links of their own among the faulty ones.

    A link belongs to the end that has more faulty links, to both if they have as many. So a cut around one node is on
    that node alone, a clean partition on its smaller side, and a cut of a single link on both ends.
    """
    if not (fault.links and on_links(fault)):
        return frozenset(fault.nodes)
    if len(fault.links) == 1:
        return frozenset(fault.links[0])
    faulty = Counter(node for link in fault.links for node in link)
    return frozenset(node for link in fault.links for node in link if faulty[node] == max(faulty[end] for end in link))
