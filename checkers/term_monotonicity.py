"""Term monotonicity: what a node says of its term never goes down, across restarts too.

Two observations of one node are compared only if the first had completed before the second was invoked. Terms
live in durable state (Ongaro and Ousterhout 2014, figure 2), so a node that was wiped in between is excused; that is
counted, not hidden.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import RESTARTS, WIPES
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.running_max import running_argmax
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, cut_short
from splitbrain.names import Guarantee

PROPERTY = "term-monotonicity"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Whether some node's term went down. The evidence is the higher term and then the lower one."""
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.term != NONE))
    findings: list[Finding] = []
    compared = broken = excused = 0
    for node in np.unique(seen.node[rows]):
        own = rows[seen.node[rows] == node]
        invoke, complete, term = seen.invoke[own], seen.complete[own], seen.term[own]
        lost = losses(history.faults, history.nodes[node], history.end)
        earlier = regressions(invoke, complete, term, lost)
        fallen = np.flatnonzero(earlier != NONE)
        compared += int((complete.min() < invoke).sum())
        broken += len(fallen)
        if lost:
            excused += int((regressions(invoke, complete, term, []) != NONE).sum()) - len(fallen)
        for at in fallen[: MOST_FINDINGS - len(findings)].tolist():
            findings.append(_finding(history, int(own[earlier[at]]), int(own[at])))
    facts = {"observations_compared": compared, "regressions": broken, "excused_by_a_wipe": excused}
    if findings:
        words, outcome = findings[0].words, Outcome.INVALID
        if broken > 1:
            words += f"; {counted(broken, 'observation')} in all lie below an earlier term"
        words += cut_short(broken, len(findings))
    elif compared:
        words, outcome = "no node's term ever went down", Outcome.VALID
        if excused:
            words += f", but for {counted(excused, 'observation')} of nodes whose state had been wiped"
    else:
        words, outcome = "no node told a term twice, so nothing was tested", Outcome.UNKNOWN
    return Verdict(
        property=PROPERTY,
        outcome=outcome,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=tuple(findings),
        facts=facts,
    )


def regressions(invoke: Ints, complete: Ints, term: Ints, lost: list[tuple[int, int]]) -> Ints:
    """For each observation of one node (sorted by invoke) an earlier one with a higher term, -1 if there is none.

    Earlier means completed before this one was invoked, and ``lost`` are periods in each of which the node
    may have forgotten everything: none of them may lie between the two, in whole or in part.
    """
    found = np.full(len(invoke), NONE, dtype=np.int64)
    for forgets, since, until in _epochs(lost):
        # Observations completed before the loss ``until`` began can still see all that came after ``since``.
        remembered = np.flatnonzero(invoke > forgets)
        asking = np.flatnonzero((complete >= since) & (complete < until))
        if not len(remembered) or not len(asking):
            continue
        order = remembered[np.argsort(complete[remembered], kind="stable")]
        highest = running_argmax(term[order])
        before = np.searchsorted(complete[order], invoke[asking], side="left")
        best = order[highest[np.maximum(before - 1, 0)]]
        fell = (before > 0) & (term[best] > term[asking])
        found[asking[fell]] = best[fell]
    return found


def _epochs(lost: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(forgets, since, until): an observation completed in [since, until) is compared only with those that were
    invoked after ``forgets``."""
    begins = sorted(begin for begin, _ in lost)
    return [
        (max((end for begin, end in lost if begin <= since), default=-1), since, until)
        for since, until in zip([-1, *begins], [*begins, np.iinfo(np.int64).max], strict=True)
    ]


def losses(faults: Iterable[Fault], node: str, end: int) -> list[tuple[int, int]]:
    """When the node may have lost its state: from the begin of a wipe until it is over.

    A process that goes on running after its files were removed forgets only when it is started again, so a loss
    lasts until the node's next restart if one follows, unless the node is wiped again before that.
    """
    own = [fault for fault in faults if node in fault.nodes and fault.skipped is None]
    return [
        (fault.begin, _until_restart(fault, own[at + 1 :], end)) for at, fault in enumerate(own) if fault.f in WIPES
    ]


def _until_restart(wipe: Fault, later: list[Fault], end: int) -> int:
    done = end if wipe.done is None else wipe.done
    for fault in later:
        if fault.f in WIPES:
            break
        if fault.f in RESTARTS:
            return max(done, end if fault.done is None else fault.done)
    return done


def _finding(history: History, earlier: int, later: int) -> Finding:
    seen = history.observations
    node = history.nodes[seen.node[later]]
    high, low = int(seen.term[earlier]), int(seen.term[later])
    return Finding(
        guarantee=GUARANTEE,
        words=f"the term of {node} went down from {high} to {low}",
        evidence=(int(seen.complete_index[earlier]), int(seen.complete_index[later])),
        start=int(seen.complete[earlier]),
        end=int(seen.invoke[later]),
        nodes=(node,),
        facts={"terms": [high, low]},
    )
