"""Vote safety: each node votes for at most one candidate in a given term, across restarts too.

Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, section 5.2. Term safety rests on it:
two majorities share a voter, so with two leaders some node has voted twice. It breaks before there are two leaders. Two
observations of one node with votes for two candidates in one term prove a violation in either order, because a vote is
never withdrawn. A vote of a node for itself counts.

Two excuses. A node whose state was wiped in between may vote again. And where a vote may be observed before it is
durable (etcd answers while it flushes), a crash may undo it; then two observations are compared only if the nemesis did
nothing between them.
"""

from __future__ import annotations

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import incident_periods
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.term_monotonicity import losses
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short
from splitbrain.names import Guarantee

PROPERTY = "vote-safety"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def shown(history: History) -> bool:
    """True if some observation shows a vote; without one the property is not judged."""
    return bool((history.observations.vote != NONE).any())


def check(history: History, votes_kept: bool = False) -> Verdict:
    """Check that no node voted twice in a term. The evidence is one observation of each vote.

    ``votes_kept``: every observed vote is durable.
    """
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.term != NONE) & (seen.vote != NONE))
    findings: list[Finding] = []
    votes = broken = 0
    acts = [(act.begin, history.end if act.done is None else act.done) for act in history.faults if act.skipped is None]
    unasked = incident_periods(history)
    for node in np.unique(seen.node[rows]):
        rows_of_node = rows[seen.node[rows] == node]
        name = history.nodes[node]
        ends = [period.possible for period in unasked if name in period.nodes]
        forgetting = losses(history.faults, name, history.end) if votes_kept else acts + ends
        first, second = doubles(rows_of_node, history, forgetting)
        votes += len(np.unique(seen.term[rows_of_node]))
        broken += len(first)
        for pair in list(zip(first.tolist(), second.tolist(), strict=True))[: MOST_FINDINGS - len(findings)]:
            findings.append(_finding(history, *pair))
    if findings:
        words, observed = findings[0].words, Observed.VIOLATED
        if broken > 1:
            words += f"; {counted(broken - 1, 'other vote')} likewise"
        words += cut_short(broken, len(findings))
    elif votes:
        words, observed = f"{counted(votes, 'vote')} observed, each for one candidate", Observed.HELD
    else:
        words, observed = "no node showed a vote with its term, so vote safety was not tested", Observed.UNDECIDED
    return Verdict(
        property=PROPERTY,
        observed=observed,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=tuple(findings),
        facts={"votes_shown": votes, "voted_twice": broken},
    )


def doubles(rows_of_node: Ints, history: History, forgetting: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Pairs of rows of one node with different votes in one term, one pair for every vote beyond the first.

    ``forgetting`` are closed periods (ns) in each of which the node may have forgotten its vote: rows that meet one are
    left out, and none may lie between the two rows of a pair.
    """
    seen = history.observations
    begun = np.searchsorted(np.sort([begin for begin, _ in forgetting]), seen.complete[rows_of_node], side="right")
    over = np.searchsorted(np.sort([end for _, end in forgetting]), seen.invoke[rows_of_node], side="left")
    rows_of_node, epoch = rows_of_node[begun == over], over[begun == over]
    votes_seen = np.stack((epoch, seen.term[rows_of_node], seen.vote[rows_of_node].astype(np.int64)))
    if rows_of_node.size:  # most answers repeat the one before
        changed = np.append(True, (votes_seen[:, 1:] != votes_seen[:, :-1]).any(axis=0))
        rows_of_node, votes_seen = rows_of_node[changed], votes_seen[:, changed]
    votes, at = np.unique(votes_seen, axis=1, return_index=True)
    twice = np.flatnonzero((votes[:2, 1:] == votes[:2, :-1]).all(axis=0))
    return rows_of_node[at[twice]], rows_of_node[at[twice + 1]]


def _finding(history: History, one: int, other: int) -> Finding:
    seen = history.observations
    earlier, later = sorted((one, other), key=lambda row: int(seen.complete[row]))
    node, term = history.nodes[seen.node[one]], int(seen.term[one])
    votes = [history.nodes[seen.vote[row]] for row in (earlier, later)]
    start, end = sorted((int(seen.complete[earlier]), int(seen.invoke[later])))
    return Finding(
        guarantee=GUARANTEE,
        words=f"{node} voted twice in term {term}, for {votes[0]} and for {votes[1]}",
        evidence=(int(seen.complete_index[earlier]), int(seen.complete_index[later])),
        start=start,
        end=end,
        nodes=(node,),
        facts={"term": term, "votes": votes},
    )
