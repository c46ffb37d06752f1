"""Fault periods: from when until when each fault of a history affected its nodes or links.

A fault is *possibly* active from its begin line to the done line of the act that undid it. It is *certainly* active
from its own done line to the begin line of that act. A skipped fault is never active. A fault that was not verified is
possibly active, never certainly. A fault with an unknown name affects its targets until an act names it as healed.
Every doubt therefore shortens the periods in which a checker expects the system to work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from splitbrain.checkers.fault import Fault, Link

CUTS = frozenset({"partition"})
ON_LINKS = CUTS | {"loss", "delay", "latency", "duplicate", "reorder", "corrupt", "bandwidth", "rate"}
KILLS = frozenset({"kill", "crash", "stop", "oom"})
RESTARTS = frozenset({"restart", "start"})
PAUSES = frozenset({"pause", "freeze"})
RESUMES = frozenset({"resume"})
WIPES = frozenset({"wipe", "amnesia"})
HEALS = frozenset({"heal"})
REPAIRS = HEALS | RESTARTS | RESUMES


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultPeriod:
    """What one fault did to some nodes or links, over one period; with neither, to the intact cluster.

    ``possibly`` and ``surely`` are [from, to] in ns; ``surely`` is None where nothing is sure. ``cuts`` tells a cut or
    a kill from a mere disturbance.
    """

    nodes: tuple[str, ...]
    links: tuple[Link, ...]
    possible: tuple[int, int]
    certain: tuple[int, int] | None
    cuts: bool


def is_repair(fault: Fault) -> bool:
    """Whether the act mends: it heals, restarts or resumes."""
    return fault.f in REPAIRS


def on_links(fault: Fault) -> bool:
    """Whether the fault is about links, and its nodes only say whose."""
    return fault.f in ON_LINKS or (bool(fault.links) and fault.f not in KILLS | PAUSES | WIPES | REPAIRS)


def fault_periods(faults: tuple[Fault, ...], end: int) -> Iterator[FaultPeriod]:
    """What every fault did, over which period; ``end`` is when the history ends."""
    for at, fault in enumerate(faults):
        if fault.skipped is not None or fault.f in HEALS | RESUMES:
            continue
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
    """One FaultPeriod for all subjects that were mended at the same time. The subject None is the intact cluster."""
    periods: dict[tuple[int | None, int | None], list[str | Link | None]] = defaultdict(list)
    for subject in subjects:
        periods[_repaired(fault, subject, later)].append(subject)
    for (mending, over), group in periods.items():
        links = tuple(subject for subject in group if isinstance(subject, tuple))
        nodes = tuple(subject for subject in group if isinstance(subject, str))
        yield _fault_period(fault, nodes, links, mending, over, end)


def _repaired(fault: Fault, subject: str | Link | None, later: list[Fault]) -> tuple[int | None, int | None]:
    """When mending began, from when on it is not sure that the fault lasts, and when it was surely over."""
    mending = None
    for act in later:
        if _repairs(act, fault, subject):
            mending = act.begin if mending is None else mending
            if act.done is not None and act.verified is not False:
                return mending, act.done
    # A wipe is over at once, unless a restart shows that the node had yet to come back.
    return mending, fault.done if fault.f in WIPES else None


def _fault_period(
    fault: Fault,
    nodes: tuple[str, ...],
    links: tuple[Link, ...],
    mending: int | None,
    over: int | None,
    end: int,
) -> FaultPeriod:
    certain = None
    if fault.in_effect and fault.done is not None and fault.f not in RESTARTS:
        certain = (fault.done, end if mending is None else mending)
    # An act that takes no time, as in a simulation, is an interruption all the same.
    last = end + 1 if over is None else max(over, fault.begin + 1)
    cuts = fault.f in (CUTS if links else KILLS)
    return FaultPeriod(nodes=nodes, links=links, possible=(fault.begin, last), certain=certain, cuts=cuts)


def _repairs(act: Fault, fault: Fault, subject: str | Link | None) -> bool:
    """Whether ``act`` undoes what ``fault`` did to the subject."""
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
    """The nodes that the fault was about, at the ends of its links too."""
    return frozenset(fault.nodes).union(*fault.links)
