"""Agreement: nodes that name a leader for one term name the same one.

No clock is needed either. A node that claims to lead names itself; a node that changes its mind within a term is
counted, but two nodes must differ to break the property.
"""

from __future__ import annotations

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Codes, Ints
from splitbrain.checkers.terms import ByTerm
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, cut_short
from splitbrain.names import Guarantee

PROPERTY = "agreement"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Whether two nodes named different leaders for one term. The evidence is one answer of each."""
    seen = history.observations
    named = np.where(seen.leading, seen.node, seen.leader)
    rows = np.flatnonzero(seen.ok & (seen.term != NONE) & (named != NONE))
    if not len(rows):
        words = "no node named a leader for a term, so nothing was tested"
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=words)
    by_term = ByTerm.of(rows, seen.term)
    two_named, two_asked = by_term.differs(named), by_term.differs(seen.node)
    # With two leaders named and two nodes asked there are two nodes that differ: take a node's answer; either
    # another node's differs from it, or all others agree with it and it is the first node that named a second.
    broken = np.flatnonzero(two_named & two_asked)
    facts = {
        "terms_named": len(by_term.terms),
        "terms_broken": len(broken),
        "terms_with_a_change_of_mind": int((two_named & ~two_asked).sum()),
    }
    if not len(broken):
        words = f"all nodes named the same leader in each of {counted(len(by_term.terms), 'term')}"
        return Verdict(property=PROPERTY, outcome=Outcome.VALID, words=words, facts=facts)
    findings = tuple(_finding(history, named, by_term, at) for at in broken[:MOST_FINDINGS].tolist())
    more = f"; so it is in {len(broken) - 1:,} other terms" if len(broken) > 1 else ""
    cut = cut_short(len(broken), MOST_FINDINGS)
    return Verdict(
        property=PROPERTY,
        outcome=Outcome.INVALID,
        words=f"{findings[0].words}{more}{cut}",
        evidence=findings[0].evidence,
        findings=findings,
        facts=facts,
    )


def _finding(history: History, named: Codes, by_term: ByTerm, at: int) -> Finding:
    seen = history.observations
    first, second = _two_that_differ(seen.node, named, by_term.rows_of(at))
    term = int(by_term.terms[at])
    said = " and ".join(f"{history.nodes[seen.node[row]]} names {history.nodes[named[row]]}" for row in (first, second))
    lines = [int(seen.complete_index[row]) for row in (first, second)]
    times = [int(seen.complete[row]) for row in (first, second)]
    return Finding(
        guarantee=GUARANTEE,
        words=f"two leaders are named for term {term}: {said}",
        evidence=tuple(sorted(lines)),
        start=min(times),
        end=max(times),
        nodes=tuple(history.nodes[seen.node[row]] for row in (first, second)),
        facts={"term": term, "named": [history.nodes[named[row]] for row in (first, second)]},
    )


def _two_that_differ(node: Codes, named: Codes, rows: Ints) -> tuple[int, int]:
    """Two rows of different nodes that name different leaders; there must be such."""
    for row in (rows[0], rows[np.flatnonzero(named[rows] != named[rows[0]])[0]]):
        others = rows[(node[rows] != node[row]) & (named[rows] != named[row])]
        if len(others):
            return int(row), int(others[0])
    raise AssertionError("two leaders named and two nodes asked, yet no two nodes differ")
