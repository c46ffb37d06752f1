"""The highest leads: no node follows a leader of a lower name than its own, numbers compared as numbers.

Bully and ring elections keep this under every fault: a node that hears a lower one lead begins an election (Garcia-
Molina 1982; Chang and Roberts 1979). So where all nodes agree on a leader, it is the highest of them. An answer that
names a lower leader is a proof and needs no clock; in simulation each change of leader inside a node counts too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History, natural
from splitbrain.checkers.operations import NONE
from splitbrain.checkers.verdict import Finding, Verdict
from splitbrain.checkers.witness import judged, not_judged, seen_inside
from splitbrain.checkers.words import instant
from splitbrain.names import FOLLOWED

PROPERTY = "highest-leads"


def check(history: History, bounds: Bounds) -> Verdict:
    """Check that no node ever followed a lower one. The evidence is one answer, or one line from inside a node."""
    if not bounds.highest_leads:
        return not_judged(PROPERTY, "the system does not say that the highest node leads")
    found = {(each.nodes, each.facts["leader"]): each for each in sorted(_all(history), key=lambda each: -each.start)}
    return judged(PROPERTY, tuple(found.values()), "no node followed a lower one")


def _all(history: History) -> Iterator[Finding]:
    seen = history.observations
    names = history.nodes  # in natural order
    for row in np.flatnonzero(seen.ok & (seen.leader != NONE) & (seen.leader < seen.node)):
        node, leader = names[seen.node[row]], names[seen.leader[row]]
        yield _finding(node, leader, int(seen.complete[row]), int(seen.complete_index[row]))
    for event, facts in seen_inside(history, FOLLOWED):
        match facts:
            case {"leader": str(leader), "at": int(at)} if natural(leader) < natural(event.node):
                yield _finding(event.node, leader, at, event.index)
            case _:
                pass


def _finding(node: str, leader: str, at: int, line: int) -> Finding:
    words = f"{node} followed {leader}, which is lower, at {instant(at)}"
    return Finding(
        guarantee=None, words=words, evidence=(line,), start=at, end=at, nodes=(node,), facts={"leader": leader}
    )
