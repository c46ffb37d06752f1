"""Convergence: once no fault has been active for longer than the bound, all nodes agree on one leader in one term.

This is leader election's eventual agreement (the property of the failure detector Omega; Chandra, Hadzilacos and
Toueg, "The weakest failure detector for solving consensus", JACM 1996) with a bound. A failure is proven if, for every
leader and term, the widest intervals in which the nodes may have named it have no instant in common. A node that names
a leader without a term, as followers may that know none, agrees with any term. Nothing is concluded unless the nodes
were asked often enough, and unless each of them named some leader during the run, because in some systems a node knows
of no leader but itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from splitbrain.checkers.eligibility import Period
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding
from splitbrain.checkers.words import duration, instant
from splitbrain.names import Guarantee

CONVERGENCE: Guarantee = "convergence"

_View = tuple[int, int]  # a leader, as an index of nodes, and a term; NONE for an answer without a term


def convergence_failures(
    history: History, quiet: Iterable[Period], bound: int, stall_ns: int, starved: Starvation
) -> list[Finding]:
    """One finding for each fault-free period longer than ``bound`` (ns) in which the nodes never agreed.

    ``quiet`` are the fault-free periods. Periods with starvation are left out. ``stall_ns`` is twice the longest time
    allowed between answers of a node.
    """
    long = [s for s in quiet if s.end - s.start > bound and starved.free(s.start, s.end) == [(s.start, s.end)]]
    if not long:
        return []
    members = [_Member.of(history, history.code.get(name, NONE)) for name in long[0].witness]
    if not all(member.names_leaders for member in members):
        return []
    found = []
    for period in long:
        answers = [member.within(period) for member in members]
        if all(_often(history, rows, period, stall_ns) for rows in answers) and not _agreed(history, answers):
            found.append(_finding(history, period, answers))
    return found


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One node's answers as observation rows, in the order of their invocations; times in ns."""

    rows: Ints
    invoke: Ints
    complete: Ints
    names_leaders: bool

    @classmethod
    def of(cls, history: History, code: int) -> _Member:
        """The successful answers of node number ``code``."""
        seen = history.observations
        rows = np.flatnonzero(seen.ok & (seen.node == code))
        return cls(
            rows=rows,
            invoke=seen.invoke[rows],
            complete=seen.complete[rows],
            names_leaders=bool((seen.leading[rows] | (seen.leader[rows] != NONE)).any()),
        )

    def within(self, period: Period) -> Ints:
        """The rows invoked and completed within the period."""
        first, last = np.searchsorted(self.invoke, (period.start, period.end))
        return self.rows[first:last][self.complete[first:last] <= period.end]


def _often(history: History, rows: Ints, period: Period, stall_ns: int) -> bool:
    """True if no time between answers exceeds half of ``stall_ns``."""
    times = np.concatenate(([period.start], history.observations.complete[rows], [period.end]))
    return bool(np.diff(times).max() <= stall_ns // 2)


def _agreed(history: History, answers: list[Ints]) -> bool:
    """True if for some leader and term all nodes may have named it at one instant."""
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
    leader, term, rows = leader[named], seen.term[rows[named]], rows[named]
    order = np.lexsort((term, leader))
    fresh = np.flatnonzero(np.diff(leader[order], prepend=NONE) | np.diff(term[order], prepend=NONE))
    found = {}
    for first, last in pairwise([*fresh.tolist(), len(order)]):
        same = rows[order[first:last]]
        view = int(leader[order[first]]), int(term[order[first]])
        found[view] = int(seen.invoke[same].min()), int(seen.complete[same].max())
    return found


def _finding(history: History, period: Period, answers: list[Ints]) -> Finding:
    """A finding with the last answer of each node as evidence."""
    seen = history.observations
    last = [int(rows[-1]) for rows in answers]
    named_by = [f"{node} named {_leader_words(history, row)}" for node, row in zip(period.witness, last, strict=True)]
    return Finding(
        guarantee=CONVERGENCE,
        words=f"the nodes never agreed on a leader during {duration(period.end - period.start)} without faults: "
        f"by {instant(period.end)} {', '.join(named_by)}",
        evidence=tuple(sorted(int(seen.complete_index[row]) for row in last)),
        start=period.start,
        end=period.end,
        nodes=period.witness,
    )


def _leader_words(history: History, row: int) -> str:
    seen = history.observations
    leader = int(seen.node[row]) if seen.leading[row] else int(seen.leader[row])
    term = int(seen.term[row])
    return ("no leader" if leader == NONE else history.nodes[leader]) + ("" if term == NONE else f" in term {term}")
