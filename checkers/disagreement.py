"""Nodes that never come to agree, though nothing hinders them: a failure to converge.

With no fault active for longer than the bound, all nodes must name one leader in one term at some instant. That they
never did is shown as strongly as observations can: for no leader and term do the widest stretches in which each node
may have named it have an instant in common. Nodes must have been asked often enough for that to mean something, and
each must have named some leader in its time, for some systems' nodes know of none but themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from checkers.exposure import Stretch
from checkers.history import History
from checkers.operations import NONE, Ints
from checkers.starvation import Starvation
from checkers.verdict import Finding
from checkers.words import duration, instant

CONVERGENCE = "L"


def lasting_disagreements(
    history: History, quiet: Iterable[Stretch], bound: int, stall_ns: int, starved: Starvation
) -> list[Finding]:
    """One finding a quiet stretch longer than ``bound`` (ns) in which the nodes never agreed."""
    found = []
    for stretch in quiet:
        if stretch.end - stretch.start > bound and starved.free(stretch.start, stretch.end) == [
            (stretch.start, stretch.end)
        ]:
            rows = _answers(history, stretch, stall_ns)
            if rows is not None and not _agreed(history, rows):
                found.append(_finding(history, stretch, rows))
    return found


def _answers(history: History, stretch: Stretch, stall_ns: int) -> list[Ints] | None:
    """Each member's answers within the stretch, in order; None if one answered too rarely or never named anybody."""
    seen, found = history.observations, []
    for member in stretch.witness:
        own = seen.ok & (seen.node == history.code.get(member, NONE))
        rows = np.flatnonzero(own & (seen.invoke >= stretch.start) & (seen.complete <= stretch.end))
        times = np.concatenate(([stretch.start], seen.complete[rows], [stretch.end]))
        if np.diff(times).max() > stall_ns // 2 or not (seen.leading[own] | (seen.leader[own] != NONE)).any():
            return None
        found.append(rows)
    return found


def _agreed(history: History, answers: list[Ints]) -> bool:
    """Whether, for some leader and term, all may have named it at one instant."""
    stretches = [_stretches(history, rows) for rows in answers]
    return any(
        max(each[view][0] for each in stretches) <= min(each[view][1] for each in stretches)
        for view in set.intersection(*(set(each) for each in stretches))
    )


def _stretches(history: History, rows: Ints) -> dict[tuple[int, int], tuple[int, int]]:
    """For each leader and term that the answers name, the widest stretch in which they may have."""
    seen = history.observations
    leader = np.where(seen.leading[rows], seen.node[rows], seen.leader[rows])
    views = np.stack((leader, seen.term[rows]), axis=1)[leader != NONE]
    of_row = rows[leader != NONE]
    distinct, which = np.unique(views, axis=0, return_inverse=True)
    found = {}
    for at, (named, term) in enumerate(distinct.tolist()):
        own = of_row[which.ravel() == at]
        found[named, term] = int(seen.invoke[own].min()), int(seen.complete[own].max())
    return found


def _finding(history: History, stretch: Stretch, answers: list[Ints]) -> Finding:
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
