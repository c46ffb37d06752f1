"""Term monotonicity: the current term of a node increases monotonically, across restarts too.

Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, figure 2: ``currentTerm`` "increases
monotonically" and is durable. Two observations of one node are compared only if the first completed before the second
was invoked. A node whose state was wiped in between is excused, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import RESTARTS, WIPES
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints
from splitbrain.checkers.running_max import running_argmax
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short
from splitbrain.names import Guarantee

PROPERTY = "term-monotonicity"
GUARANTEE: Guarantee = "term-safety"
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Check that no node's term decreased. The evidence is an observation of the higher term and one of the lower."""
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.term != NONE))
    findings: list[Finding] = []
    compared = broken = excused = 0
    for node in np.unique(seen.node[rows]):
        same = rows[seen.node[rows] == node]
        invoke, complete, term = seen.invoke[same], seen.complete[same], seen.term[same]
        lost = losses(history.faults, history.nodes[node], history.end)
        earlier = regressions(invoke, complete, term, lost)
        fallen = np.flatnonzero(earlier != NONE)
        compared += int((complete.min() < invoke).sum())
        broken += len(fallen)
        if lost:
            excused += int((regressions(invoke, complete, term, []) != NONE).sum()) - len(fallen)
        for at in fallen[: MOST_FINDINGS - len(findings)].tolist():
            findings.append(_finding(history, int(same[earlier[at]]), int(same[at])))
    facts = {"observations_compared": compared, "regressions": broken, "excused_by_a_wipe": excused}
    if findings:
        words, observed = findings[0].words, Observed.VIOLATED
        if broken > 1:
            words += f"; {counted(broken, 'observation')} in total below an earlier term"
        words += cut_short(broken, len(findings))
    elif compared:
        words, observed = "no node's term decreased", Observed.HELD
        if excused:
            words += f", except in {counted(excused, 'observation')} after state was wiped"
    else:
        words, observed = "no node was seen in a term twice, so term monotonicity was not tested", Observed.UNDECIDED
    return Verdict(
        property=PROPERTY,
        observed=observed,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=tuple(findings),
        facts=facts,
    )


def regressions(invoke: Ints, complete: Ints, term: Ints, lost: list[tuple[int, int]]) -> Ints:
    """For each observation of one node (sorted by invoke), the index of an earlier one with a higher term, or -1.

    Earlier means completed before this one was invoked. ``lost`` are closed periods (ns) in each of which the node may
    have lost its state; none may overlap the time between the two observations.
    """
    found = np.full(len(invoke), NONE, dtype=np.int64)
    for forgets, since, until in _epochs(lost):
        # Observations completed before ``until``, when the next loss begins, are compared with all since ``forgets``.
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
    """Triples (forgets, since, until) in ns: an observation completed in [since, until) is compared only with those
    invoked after ``forgets``."""
    begins = sorted(begin for begin, _ in lost)
    return [
        (max((end for begin, end in lost if begin <= since), default=-1), since, until)
        for since, until in zip([-1, *begins], [*begins, np.iinfo(np.int64).max], strict=True)
    ]


def losses(faults: Iterable[Fault], node: str, end: int) -> list[tuple[int, int]]:
    """The closed periods (ns) in which the node may have lost its state: from the begin of each wipe until it is over.

    A process that keeps running after its files were removed forgets only when it is restarted. So a loss lasts until
    the node's next restart, if one follows before the next wipe. ``end`` is the end of the history.
    """
    same = [fault for fault in faults if node in fault.nodes and fault.skipped is None]
    return [
        (fault.begin, _until_restart(fault, same[at + 1 :], end)) for at, fault in enumerate(same) if fault.f in WIPES
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
        words=f"the term of {node} decreased from {high} to {low}",
        evidence=(int(seen.complete_index[earlier]), int(seen.complete_index[later])),
        start=int(seen.complete[earlier]),
        end=int(seen.invoke[later]),
        nodes=(node,),
        facts={"terms": [high, low]},
    )
