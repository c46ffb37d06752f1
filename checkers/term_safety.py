"""Term safety: at most one leader can be elected in a given term.

Raft calls it election safety (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014,
section 5.2 and figure 3). No clock is needed: two nodes that claim to lead in one term, at any times, break it.
"""

from __future__ import annotations

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE
from splitbrain.checkers.terms import ByTerm
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short, each_of, listed
from splitbrain.names import Guarantee

PROPERTY = "term-safety"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Check that each term had at most one leader. The evidence is one claim of each of two nodes."""
    seen = history.observations
    claims = np.flatnonzero(seen.ok & seen.leading & (seen.term != NONE))
    if not len(claims):
        words = "no node was seen leading in a term, so term safety was not tested"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=words)
    by_term = ByTerm.of(claims, seen.term)
    broken = np.flatnonzero(by_term.differs(seen.node))
    facts = {"terms_led": len(by_term.terms), "terms_broken": len(broken)}
    if not len(broken):
        words = f"{each_of(len(by_term.terms), 'term')} had one leader"
        return Verdict(property=PROPERTY, observed=Observed.HELD, words=words, facts=facts)
    findings = tuple(_finding(history, by_term, at) for at in broken[:MOST_FINDINGS].tolist())
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


def _finding(history: History, by_term: ByTerm, at: int) -> Finding:
    seen, rows = history.observations, by_term.rows_of(at)
    _, first = np.unique(seen.node[rows], return_index=True)
    claims = rows[np.sort(first)]
    nodes = [history.nodes[code] for code in seen.node[claims]]
    term = int(by_term.terms[at])
    return Finding(
        guarantee=GUARANTEE,
        words=f"term {term} had {len(nodes)} leaders: {listed(nodes)}",
        evidence=tuple(sorted(seen.complete_index[claims[:2]].tolist())),
        start=int(seen.complete[claims].min()),
        end=int(seen.complete[claims].max()),
        nodes=tuple(nodes),
        facts={"term": term},
    )
