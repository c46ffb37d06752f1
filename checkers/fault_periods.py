"""Fault periods: from when until when each fault of a history affected its nodes or links.

A fault is *possibly* active from its begin line to the done line of the act that undid it. It is *certainly* active
from its own done line to the begin line of that act. A skipped fault is never active. A fault that was not verified is
possibly active, never certainly. A fault with an unknown name affects its targets until an act names it as healed.
Every doubt therefore shortens the periods in which a checker expects the system to work.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


def fault_periods(faults: tuple[Fault, ...], end: int) -> Iterator[FaultPeriod]:
    """The periods of all faults, by fault and then by their ends; ``end`` (ns) is the end of the history."""
    for at in range(len(faults)):
        yield from _periods_of(faults, at, end)


def certain_ns(faults: tuple[Fault, ...], at: int, end: int) -> int:
    """The longest time (ns) for which fault number ``at`` was certainly active on any of its targets."""
    certain = [period.certain for period in _periods_of(faults, at, end) if period.certain is not None]
    return max((until - since for since, until in certain), default=0)


def _periods_of(faults: tuple[Fault, ...], at: int, end: int) -> Iterator[FaultPeriod]:
    """The periods of fault number ``at``, by their ends."""
    fault = faults[at]
    if fault.skipped is not None or fault.f in HEALS | RESUMES:
        return
    later = [act for act in faults[at + 1 :] if act.skipped is None]
    if fault.f in RESTARTS:
        yield _fault_period(fault, fault.nodes, (), None, fault.done, end)
    elif fault.links and on_links(fault):
        yield from _grouped_by_end(fault, fault.links, later, end)
    else:
        yield from _grouped_by_end(fault, fault.nodes or (None,), later, end)


def _grouped_by_end(
    fault: Fault, subjects: Iterable[str | Link | None], later: list[Fault], end: int
) -> Iterator[FaultPeriod]:
    """One FaultPeriod for all subjects that were repaired at the same time. The subject None is the entire cluster."""
    periods: dict[tuple[int | None, int | None], list[str | Link | None]] = defaultdict(list)
    for subject in subjects:
        periods[_repair_times(fault, subject, later)].append(subject)
    for (undoing, over), group in periods.items():
        links = tuple(subject for subject in group if isinstance(subject, tuple))
        nodes = tuple(subject for subject in group if isinstance(subject, str))
        yield _fault_period(fault, nodes, links, undoing, over, end)


def _repair_times(fault: Fault, subject: str | Link | None, later: list[Fault]) -> tuple[int | None, int | None]:
    """When the repair began, which ends the certain period, and when it was certainly done, which ends the possible
    one; None for never."""
    undoing = None
    for act in later:
        if _undoes(act, fault, subject):
            undoing = act.begin if undoing is None else undoing
            if act.done is not None and act.verified is not False:
                return undoing, act.done
    # A wipe is over at once, unless a restart shows that the node had yet to come back.
    return undoing, fault.done if fault.f in WIPES else None


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
        certain = (fault.done, end if undoing is None else undoing)
    # In a simulation an act takes no time; it disturbs its targets for 1 ns all the same.
    last = end + 1 if over is None else max(over, fault.begin + 1)
    cuts = is_cut(fault) if links else fault.f in KILLS
    return FaultPeriod(fault=fault, nodes=nodes, links=links, possible=(fault.begin, last), certain=certain, cuts=cuts)


def _undoes(act: Fault, fault: Fault, subject: str | Link | None) -> bool:
    """True if ``act`` undoes the fault for the subject."""
    heals = act.asked.get("heals", act.effect.get("heals"))
    if isinstance(heals, list | tuple):
        return fault.id in heals
    if act.f in HEALS and on_links(fault):
        return not act.links or subject in act.links
    named = not act.nodes or subject in act.nodes
    if fault.f in KILLS | WIPES:
        return act.f in RESTARTS and named
    return fault.f in PAUSES and act.f in RESUMES and named


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
    faulty = Counter(node for link in fault.links for node in link)
    return frozenset(node for link in fault.links for node in link if faulty[node] == max(faulty[end] for end in link))
