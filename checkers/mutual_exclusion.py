"""Mutual exclusion: at no instant do two clients hold the same lock.

Dijkstra, "Solution of a problem in concurrent programming control", CACM 8(9), 1965. A violation is proven by two
definite holds that overlap (``checkers.lock_holds``): each was acquired before the release of the other was invoked,
and both releases report that the lock was held until then. A hold that was lost without notice, because a lease
expired, makes no claim. It is counted, and its damage shows in ``lost-updates``.
"""

from __future__ import annotations

from splitbrain.checkers.history import History
from splitbrain.checkers.lock_holds import LockHold, lock_holds, refused_acquires
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, duration, during
from splitbrain.names import Guarantee

PROPERTY = "mutual-exclusion"
GUARANTEE: Guarantee = "exclusivity"
NEEDS = ("acquire",)
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Check that no two holds of one lock overlap. The evidence is the first and last lines of both."""
    held = lock_holds(history)
    facts = {
        "holds": len(held),
        "holds_lost": sum(hold.lost for hold in held),
        "holds_of_unknown_end": sum(not hold.released for hold in held),
        "acquires_refused": refused_acquires(history),
    }
    findings = _overlaps(held)
    if findings:
        return Verdict(
            property=PROPERTY,
            observed=Observed.VIOLATED,
            words=f"{counted(len(findings), 'hold')} began during another",
            detail=findings[0].words,
            evidence=findings[0].evidence,
            findings=tuple(findings[:MOST_FINDINGS]),
            facts=facts,
        )
    if not held:
        words = "the lock was never acquired, so mutual exclusion was not tested"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=words, facts=facts)
    words = f"{counted(len(held), 'hold')}, no overlap"
    if facts["holds_lost"]:
        words += f"; {counted(facts['holds_lost'], 'hold')} lost before the release"
    return Verdict(property=PROPERTY, observed=Observed.HELD, words=words, facts=facts)


def _overlaps(held: list[LockHold]) -> list[Finding]:
    """One finding for each hold that began during an earlier one that lasts longest."""
    found = []
    longest: dict[object, LockHold] = {}
    for hold in held:
        other = longest.get(hold.key)
        if other is not None and hold.first_line < other.last_line:
            found.append(_finding(other, hold))
        if other is None or hold.last_line > other.last_line:
            longest[hold.key] = hold
    return found


def _finding(one: LockHold, other: LockHold) -> Finding:
    end = min(one.end, other.end)
    lasting = f" for {duration(end - other.start)}," if end > other.start else ""
    lock = "the lock" if one.key is None else f"the lock {one.key}"
    return Finding(
        guarantee=GUARANTEE,
        words=f"{one.holder} and {other.holder} both held {lock}{lasting} {during(other.start, end)}",
        evidence=tuple(sorted({one.first_line, one.last_line, other.first_line, other.last_line})),
        start=other.start,
        end=end,
        nodes=tuple(dict.fromkeys(node for node in (one.node, other.node) if node is not None)),
    )
