"""Convergence: once no fault has been active for longer than the bound, all nodes agree on one leader in one term.

This is leader election's eventual agreement (the property of the failure detector Omega; Chandra, Hadzilacos and
Toueg, "The weakest failure detector for solving consensus", JACM 1996) with a bound. A failure is proven if, for every
leader and term, the widest intervals in which the nodes may have named it have no instant in common. A node that names
a leader without a term, or with one that may not be that leader's, agrees with any term. Agreement is not asked for
where no node ever names another, because in some systems a node knows of no leader but itself.

Starvation and missing answers take evidence away. The parts of a fault-free period that are free of both are judged,
each against the bound. A disagreement that none of these parts can decide is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from splitbrain.checkers.eligibility import Period
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding
from splitbrain.checkers.words import duration, instant, listed
from splitbrain.names import Guarantee

CONVERGENCE: Guarantee = "convergence"

_View = tuple[int, int]  # a leader, as an index of nodes, and a term; NONE for an answer without a term


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreements:
    """The proven disagreements, and for each fault-free period that left one undecided the reason."""

    findings: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()


def disagreements(
    history: History, quiet: Iterable[Period], bound: int, stall_ns: int, starved: Starvation
) -> Disagreements:
    """The fault-free periods longer than ``bound`` (ns) in which the nodes never agreed.

    ``quiet`` are the fault-free periods. ``stall_ns`` is twice the longest time allowed between answers of a node. If
    no part is long enough in which every node was observed, those that were observed throughout one are judged: where
    some never agree, all never do.
    """
    long = [period for period in quiet if period.end - period.start > bound]
    members = [_Member.of(history, name) for name in long[0].witness] if long else []
    if not members:
        return Disagreements()
    if silent := [each.name for each in members if not each.names_leaders]:
        known = name_each_other(history)
        return Disagreements(doubts=(f"{listed(silent)} never named a leader",) if known else ())
    found: list[Finding] = []
    doubts: list[str] = []
    for period in long:
        free = [replace(period, start=start, end=end) for start, end in starved.free(period.start, period.end)]
        enough = [part for part in free if part.end - part.start > bound]
        seen = [part for each in enough for part in _well_observed(each, members, stall_ns // 2)]
        decisive = [part for part in seen if part.end - part.start > bound]
        watched = [(part, members) for part in decisive] or [
            (part, [each for each in members if not any(each.silences(part, stall_ns // 2))]) for part in enough
        ]
        proven = [(part, some) for part, some in watched if not _agreed(history, [each.within(part) for each in some])]
        found += [_finding(history, part, some) for part, some in proven]
        if not decisive and not proven and not _agreed(history, [each.within(period) for each in members]):
            why = "some nodes were not observed often enough" if enough else "the machine was starved"
            doubts.append(f"{why} between {instant(period.start)} and {instant(period.end)}")
    return Disagreements(findings=tuple(found), doubts=tuple(doubts))


def name_each_other(history: History) -> bool:
    """True if some node named another as its leader."""
    seen = history.observations
    return bool((seen.ok & ~seen.leading & (seen.leader != NONE) & (seen.leader != seen.node)).any())


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One node's answers as observation rows, in the order of their invocations; times in ns."""

    name: str
    rows: Ints
    invoke: Ints
    complete: Ints
    names_leaders: bool

    @classmethod
    def of(cls, history: History, name: str) -> _Member:
        """The successful answers of the node of that name."""
        seen = history.observations
        rows = np.flatnonzero(seen.ok & (seen.node == history.code.get(name, NONE)))
        return cls(
            name=name,
            rows=rows,
            invoke=seen.invoke[rows],
            complete=seen.complete[rows],
            names_leaders=bool((seen.leading[rows] | (seen.leader[rows] != NONE)).any()),
        )

    def within(self, period: Period) -> Ints:
        """The rows invoked and completed within the period."""
        return self.rows[self._places(period)]

    def silences(self, period: Period, longest: int) -> Iterator[tuple[int, int]]:
        """The times within the period, longer than ``longest`` (ns), from one answer to the next."""
        times = np.concatenate(([period.start], np.sort(self.complete[self._places(period)]), [period.end]))
        for at in np.flatnonzero(np.diff(times) > longest).tolist():
            yield int(times[at]), int(times[at + 1])

    def _places(self, period: Period) -> Ints:
        """The places of these rows in the columns."""
        places = np.arange(*np.searchsorted(self.invoke, (period.start, period.end)))
        return places[self.complete[places] <= period.end]


def _well_observed(period: Period, members: Iterable[_Member], longest: int) -> Iterator[Period]:
    """The parts of the period in which no node was silent for longer than ``longest`` (ns)."""
    reached = period.start
    for start, end in sorted(silence for each in members for silence in each.silences(period, longest)):
        if start > reached:
            yield replace(period, start=reached, end=start)
        reached = max(reached, end)
    if reached < period.end:
        yield replace(period, start=reached, end=period.end)


def _agreed(history: History, answers: list[Ints]) -> bool:
    """True if for some leader and term all nodes may have named it at one instant, or if there are fewer than two."""
    if len(answers) < 2:
        return True
    named_by = [_widest_intervals(history, rows) for rows in answers]
    for view in {view for each in named_by for view in each}:
        intervals = [interval for each in named_by if (interval := _compatible(each, view)) is not None]
        if len(intervals) == len(named_by) and max(s[0] for s in intervals) <= min(s[1] for s in intervals):
            return True
    return False


def _compatible(named_by: Mapping[_View, tuple[int, int]], view: _View) -> tuple[int, int] | None:
    """The widest interval in which a node may have named the leader of ``view``, with its term or with none."""
    leader, _ = view
    found = [named_by[same] for same in (view, (leader, NONE)) if same in named_by]
    return (min(start for start, _ in found), max(end for _, end in found)) if found else None


def _widest_intervals(history: History, rows: Ints) -> dict[_View, tuple[int, int]]:
    """For each leader and term that the answers name, the widest interval [first invoke, last completion] in ns."""
    seen = history.observations
    leader = np.where(seen.leading[rows], seen.node[rows], seen.leader[rows])
    named = leader != NONE
    leader, term, rows = leader[named], seen.leader_term[rows[named]], rows[named]
    order = np.lexsort((term, leader))
    fresh = np.flatnonzero(np.diff(leader[order], prepend=NONE) | np.diff(term[order], prepend=NONE))
    found = {}
    for first, last in pairwise([*fresh.tolist(), len(order)]):
        same = rows[order[first:last]]
        view = int(leader[order[first]]), int(term[order[first]])
        found[view] = int(seen.invoke[same].min()), int(seen.complete[same].max())
    return found


def _finding(history: History, period: Period, members: list[_Member]) -> Finding:
    """A finding with the last answer of each node as evidence."""
    seen = history.observations
    last = [int(each.within(period)[-1]) for each in members]
    named_by = [f"{each.name} named {_leader_words(history, row)}" for each, row in zip(members, last, strict=True)]
    return Finding(
        guarantee=CONVERGENCE,
        words=f"the nodes never agreed on a leader during {duration(period.end - period.start)} without faults: "
        f"by {instant(period.end)} {', '.join(named_by)}",
        evidence=tuple(sorted(int(seen.complete_index[row]) for row in last)),
        start=period.start,
        end=period.end,
        nodes=tuple(each.name for each in members),
    )


def _leader_words(history: History, row: int) -> str:
    seen = history.observations
    leader = int(seen.node[row]) if seen.leading[row] else int(seen.leader[row])
    term = int(seen.leader_term[row])
    return ("no leader" if leader == NONE else history.nodes[leader]) + ("" if term == NONE else f" in term {term}")
