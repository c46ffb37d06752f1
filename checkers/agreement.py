"""Agreement: no two nodes name different leaders for the same term.

No clock is needed. A node that claims to lead names itself. A node that changes its answer within a term is counted,
but only two nodes that differ break the property.

In many systems a node goes on to name the last leader while its term rises. There the leader and the term of an answer
belong together only if the node that is named claimed to lead in that term itself.
"""

from __future__ import annotations

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Codes, Ints, Observations
from splitbrain.checkers.terms import ByTerm
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short, each_of
from splitbrain.names import Guarantee

PROPERTY = "agreement"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Check that all nodes named one leader per term. The evidence is one answer of each of two nodes that differ."""
    seen = history.observations
    named = np.where(seen.leading, seen.node, seen.leader)
    term = _named_term(seen, named)
    rows = np.flatnonzero(seen.ok & (term != NONE) & (named != NONE))
    if not len(rows):
        words = "no node named a leader with a term, so agreement was not tested"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=words)
    by_term = ByTerm.of(rows, term)
    two_named, two_asked = by_term.differs(named), by_term.differs(seen.node)
    # If a term has two leaders named and two nodes that answered, then two nodes differ: take one node's answer. Either
    # another node's answer differs from it, or all others agree with it and this node also named a second leader.
    broken = np.flatnonzero(two_named & two_asked)
    facts = {
        "terms_named": len(by_term.terms),
        "terms_broken": len(broken),
        "terms_with_a_change_of_mind": int((two_named & ~two_asked).sum()),
    }
    if not len(broken):
        words = f"all nodes named the same leader in {each_of(len(by_term.terms), 'term')}"
        return Verdict(property=PROPERTY, observed=Observed.HELD, words=words, facts=facts)
    findings = tuple(_finding(history, named, by_term, at) for at in broken[:MOST_FINDINGS].tolist())
    more = f"; {counted(len(broken) - 1, 'other term')} likewise" if len(broken) > 1 else ""
    cut = cut_short(len(broken), MOST_FINDINGS)
    return Verdict(
        property=PROPERTY,
        observed=Observed.VIOLATED,
        words=f"{findings[0].words}{more}{cut}",
        evidence=findings[0].evidence,
        findings=findings,
        facts=facts,
    )


def _named_term(seen: Observations, named: Codes) -> Ints:
    """The term of the leadership that each answer names; -1 where that is not known."""
    known = seen.leader_term.copy()
    rows = np.flatnonzero(seen.ok & (known == NONE) & (seen.term != NONE) & (named != NONE))
    if len(rows):
        claims = seen.ok & seen.leading & (seen.term != NONE)
        claimed = set(zip(seen.node[claims].tolist(), seen.term[claims].tolist(), strict=True))
        pairs = zip(named[rows].tolist(), seen.term[rows].tolist(), strict=True)
        belong = rows[[pair in claimed for pair in pairs]]
        known[belong] = seen.term[belong]
    return known


def _finding(history: History, named: Codes, by_term: ByTerm, at: int) -> Finding:
    seen = history.observations
    first, second = _two_that_differ(seen.node, named, by_term.rows_of(at))
    term = int(by_term.terms[at])
    said = " and ".join(f"{history.nodes[seen.node[row]]} named {history.nodes[named[row]]}" for row in (first, second))
    lines = [int(seen.complete_index[row]) for row in (first, second)]
    times = [int(seen.complete[row]) for row in (first, second)]
    return Finding(
        guarantee=GUARANTEE,
        words=f"two leaders were named for term {term}: {said}",
        evidence=tuple(sorted(lines)),
        start=min(times),
        end=max(times),
        nodes=tuple(history.nodes[seen.node[row]] for row in (first, second)),
        facts={"term": term, "named": [history.nodes[named[row]] for row in (first, second)]},
    )


def _two_that_differ(node: Codes, named: Codes, rows: Ints) -> tuple[int, int]:
    """Two rows of different nodes that name different leaders; a pair must exist."""
    for row in (rows[0], rows[np.flatnonzero(named[rows] != named[rows[0]])[0]]):
        others = rows[(node[rows] != node[row]) & (named[rows] != named[row])]
        if len(others):
            return int(row), int(others[0])
    raise AssertionError("two leaders named and two nodes asked, yet no two nodes differ")
