"""Vote safety: in one term a node votes for one candidate, itself included, across restarts too.

That is what a term's having one leader rests on (Ongaro and Ousterhout 2014, section 5.2: two majorities share a voter,
who would have voted twice), and it fails before there are two leaders. Two observations of one node that show votes for
two candidates in one term prove it, whichever came first, for a vote is never taken back.

Two excuses. A node that was wiped in between may vote again. And where a vote may be shown before it is durable
(etcd answers while it flushes), a node that is killed meanwhile has promised nobody anything: there only observations
are compared between which the nemesis did nothing at all.
"""

from __future__ import annotations

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.term_monotonicity import losses
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, cut_short
from splitbrain.names import Guarantee

PROPERTY = "vote-safety"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def shown(history: History) -> bool:
    """Whether some node ever showed a vote: without one there is nothing to judge."""
    return bool((history.observations.vote != NONE).any())


def check(history: History, votes_kept: bool = False) -> Verdict:
    """Whether some node voted twice in a term. The evidence is an observation of either vote.

    ``votes_kept``: no vote is shown that a crash can undo.
    """
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.term != NONE) & (seen.vote != NONE))
    findings: list[Finding] = []
    votes = broken = 0
    acts = [(act.begin, history.end if act.done is None else act.done) for act in history.faults if act.skipped is None]
    for node in np.unique(seen.node[rows]):
        own = rows[seen.node[rows] == node]
        forgetting = losses(history.faults, history.nodes[node], history.end) if votes_kept else acts
        first, second = doubles(own, history, forgetting)
        votes += len(np.unique(seen.term[own]))
        broken += len(first)
        for pair in list(zip(first.tolist(), second.tolist(), strict=True))[: MOST_FINDINGS - len(findings)]:
            findings.append(_finding(history, *pair))
    if findings:
        words, outcome = findings[0].words, Outcome.INVALID
        if broken > 1:
            words += f"; so it is with {counted(broken - 1, 'other vote')}"
        words += cut_short(broken, len(findings))
    elif votes:
        words, outcome = f"none of {counted(votes, 'vote')} was given twice", Outcome.VALID
    else:
        words, outcome = "no node showed a vote with its term, so nothing was tested", Outcome.UNKNOWN
    return Verdict(
        property=PROPERTY,
        outcome=outcome,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=tuple(findings),
        facts={"votes_shown": votes, "voted_twice": broken},
    )


def doubles(own: Ints, history: History, forgetting: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Rows of one node, in pairs: each term in which it showed two votes, once for every vote beyond the first.

    ``forgetting`` are periods in each of which it may have forgotten its vote: no row may meet one, and none may lie
    between the two of a pair.
    """
    seen = history.observations
    begun = np.searchsorted(np.sort([begin for begin, _ in forgetting]), seen.complete[own], side="right")
    over = np.searchsorted(np.sort([end for _, end in forgetting]), seen.invoke[own], side="left")
    own, epoch = own[begun == over], over[begun == over]
    told = np.stack((epoch, seen.term[own], seen.vote[own].astype(np.int64)))
    if own.size:  # most answers repeat the one before them
        changed = np.append(True, (told[:, 1:] != told[:, :-1]).any(axis=0))
        own, told = own[changed], told[:, changed]
    votes, at = np.unique(told, axis=1, return_index=True)
    twice = np.flatnonzero((votes[:2, 1:] == votes[:2, :-1]).all(axis=0))
    return own[at[twice]], own[at[twice + 1]]


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
