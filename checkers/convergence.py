"""Nodes that never come to agree, though nothing hinders them: a failure to converge.

With no fault active for longer than the bound, all nodes must name one leader in one term at some instant. That they
never did is shown as strongly as observations can: for no leader and term do the widest stretches in which each node
may have named it have an instant in common. Who names a leader and no term contradicts no term, as followers do that
know of none. Nodes must have been asked often enough for that to mean something, and each must have named some leader
in its time, for some systems' nodes know of none but themselves.
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

_View = tuple[int, int]  # a leader, by its code, and a term, NONE for an answer that has none


def convergence_failures(
    history: History, quiet: Iterable[Period], bound: int, stall_ns: int, starved: Starvation
) -> list[Finding]:
    """One finding a quiet stretch longer than ``bound`` (ns) in which the nodes never agreed."""
    long = [s for s in quiet if s.end - s.start > bound and starved.free(s.start, s.end) == [(s.start, s.end)]]
    if not long:
        return []
    members = [_Member.of(history, history.code.get(name, NONE)) for name in long[0].witness]
    if not all(member.names_leaders for member in members):
        return []
    found = []
    for stretch in long:
        answers = [member.within(stretch) for member in members]
        if all(_often(history, rows, stretch, stall_ns) for rows in answers) and not _agreed(history, answers):
            found.append(_finding(history, stretch, answers))
    return found


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One node's answers, in the order in which they were asked for."""

    rows: Ints
    invoke: Ints
    complete: Ints
    names_leaders: bool

    @classmethod
    def of(cls, history: History, code: int) -> _Member:
        seen = history.observations
        rows = np.flatnonzero(seen.ok & (seen.node == code))
        return cls(
            rows=rows,
            invoke=seen.invoke[rows],
            complete=seen.complete[rows],
            names_leaders=bool((seen.leading[rows] | (seen.leader[rows] != NONE)).any()),
        )

    def within(self, stretch: Period) -> Ints:
        """Those asked for and given within the stretch."""
        first, last = np.searchsorted(self.invoke, (stretch.start, stretch.end))
        return self.rows[first:last][self.complete[first:last] <= stretch.end]


def _often(history: History, rows: Ints, stretch: Period, stall_ns: int) -> bool:
    """Whether answers came at least twice in every bound."""
    times = np.concatenate(([stretch.start], history.observations.complete[rows], [stretch.end]))
    return bool(np.diff(times).max() <= stall_ns // 2)


def _agreed(history: History, answers: list[Ints]) -> bool:
    """Whether, for some leader and term, all may have named it at one instant."""
    told = [_stretches(history, rows) for rows in answers]
    for view in {view for each in told for view in each}:
        stretches = [stretch for each in told if (stretch := _compatible(each, view)) is not None]
        if len(stretches) == len(told) and max(s[0] for s in stretches) <= min(s[1] for s in stretches):
            return True
    return False


def _compatible(told: Mapping[_View, tuple[int, int]], view: _View) -> tuple[int, int] | None:
    """The widest stretch in which a node may have named that leader, in that term or without saying in which."""
    leader, _ = view
    found = [told[same] for same in (view, (leader, NONE)) if same in told]
    return (min(start for start, _ in found), max(end for _, end in found)) if found else None


def _stretches(history: History, rows: Ints) -> dict[_View, tuple[int, int]]:
    """For each leader and term that the answers name, the widest stretch in which they may have."""
    seen = history.observations
    leader = np.where(seen.leading[rows], seen.node[rows], seen.leader[rows])
    named = leader != NONE
    leader, term, rows = leader[named], seen.term[rows[named]], rows[named]
    order = np.lexsort((term, leader))
    fresh = np.flatnonzero(np.diff(leader[order], prepend=NONE) | np.diff(term[order], prepend=NONE))
    found = {}
    for first, last in pairwise([*fresh.tolist(), len(order)]):
        own = rows[order[first:last]]
        view = int(leader[order[first]]), int(term[order[first]])
        found[view] = int(seen.invoke[own].min()), int(seen.complete[own].max())
    return found


def _finding(history: History, stretch: Period, answers: list[Ints]) -> Finding:
    """Told by the last answers, and proven by the first and last ones of every node."""
    seen = history.observations
    last = [int(rows[-1]) for rows in answers]
    told = [f"{node} named {_whom(history, row)}" for node, row in zip(stretch.witness, last, strict=True)]
    return Finding(
        guarantee=CONVERGENCE,
        words=f"for {duration(stretch.end - stretch.start)} without any fault the nodes never agreed: "
        f"at {instant(stretch.end)} {', '.join(told)}",
        evidence=tuple(sorted(int(seen.complete_index[row]) for row in last)),
        start=stretch.start,
        end=stretch.end,
        nodes=stretch.witness,
    )


def _whom(history: History, row: int) -> str:
    seen = history.observations
    leader = int(seen.node[row]) if seen.leading[row] else int(seen.leader[row])
    term = int(seen.term[row])
    return ("nobody" if leader == NONE else history.nodes[leader]) + ("" if term == NONE else f" in term {term}")
