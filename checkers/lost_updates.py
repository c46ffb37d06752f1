"""Lost updates: every addition that was acknowledged is there when the set is read later, and nothing else is.

Each client reads a shared set, adds an element of its own and writes the set back, while it holds a lock. The set
knows no tokens, so if two ever hold at once, or one goes on after it lost the lock, one's write undoes the other's:
what breaks mutual exclusion shows as data that is gone (Jepsen's "locking set"; Kingsbury, "Jepsen: etcd 3.4.3", 2020).
No clock is needed: an addition is owed to every reading that began after it was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import FAIL, NONE, Operations
from splitbrain.checkers.values import sequence
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, instant
from splitbrain.names import Guarantee

PROPERTY = "lost-updates"
GUARANTEE: Guarantee = "fencing"
NEEDS = ("add", "read-set")
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Whether some reading of the set misses what it owes, or holds what nobody added."""
    added, read = history.operations("add"), history.operations("read-set")
    try:
        findings = tuple(_findings(history, added, read))
    except Malformed as wrong:
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=f"history line {wrong.index}: {wrong}")
    lost = sum(finding.facts["lost"] for finding in findings)
    acknowledged = int(added.ok.sum())
    facts = {
        "additions_attempted": len(added),
        "additions_acknowledged": acknowledged,
        "additions_lost": lost,
        "readings": int(read.ok.sum()),
    }
    if findings:
        outcome = Outcome.INVALID
        words = f"{findings[0].words}; {lost:,} of {counted(acknowledged, 'acknowledged addition')} were lost"
    elif not acknowledged or not facts["readings"]:
        missing = "nothing was added" if not acknowledged else "the set was never read"
        outcome, words = Outcome.UNKNOWN, f"{missing}, so nothing was tested"
    else:
        outcome, words = Outcome.VALID, f"all of {counted(acknowledged, 'acknowledged addition')} were there when read"
    return Verdict(
        property=PROPERTY,
        outcome=outcome,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=findings[:MOST_FINDINGS],
        facts=facts,
    )


def _findings(history: History, added: Operations, read: Operations) -> Iterator[Finding]:
    """One finding an element, for the first reading that is wrong about it."""
    row_of = {str(element): row for row, element in enumerate(added.asked)}
    told: set[str] = set()
    for reading in range(len(read)):
        if not read.ok[reading]:
            continue
        line = int(read.complete_index[reading])
        there = {str(element) for element in sequence(read.answered[reading], "a read-set that is ok", line)}
        for element, row in row_of.items():
            owed = added.ok[row] and added.complete_index[row] < read.invoke_index[reading]
            refused = added.outcome[row] == FAIL and element in there
            if ((owed and element not in there) or refused) and element not in told:
                told.add(element)
                yield _finding(history, element, added, row, read, reading, lost=not refused)
        for element in sorted(there - row_of.keys() - told):
            told.add(element)
            time = int(read.complete[reading])
            yield Finding(
                guarantee=GUARANTEE,
                words=f"{element} was read at {instant(time)}, and nobody had added it",
                evidence=(line,),
                start=int(read.invoke[reading]),
                end=time,
                facts={"lost": False},
            )


def _finding(
    history: History, element: str, added: Operations, row: int, read: Operations, reading: int, *, lost: bool
) -> Finding:
    node = int(added.node[row])
    who = "somebody" if node == NONE else history.nodes[node]
    time = int(read.complete[reading])
    fate = "was acknowledged, and is gone" if lost else "was refused, and is there"
    return Finding(
        guarantee=GUARANTEE,
        words=f"the addition of {element} by {who} at {instant(int(added.complete[row]))} {fate} when the set is read "
        f"at {instant(time)}",
        evidence=(int(added.complete_index[row]), int(read.complete_index[reading])),
        start=int(added.invoke[row]),
        end=time,
        nodes=() if node == NONE else (who,),
        facts={"lost": lost},
    )
