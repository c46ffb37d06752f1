"""Lost updates: a read of the set returns every element whose addition was acknowledged before, and no others.

Each client reads a shared set, adds a unique element and writes the set back while it holds a lock. The set checks no
tokens. If two clients hold the lock at once, or one goes on after losing it, one write overwrites the other, so a
breach of mutual exclusion shows as lost data (Jepsen's "locking set"; Kingsbury, "Jepsen: etcd 3.4.3", 2020). No clock
is needed: a read must return each addition acknowledged before the read was invoked.
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import FAIL, NONE, Operations
from splitbrain.checkers.values import sequence
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, instant
from splitbrain.names import Guarantee

PROPERTY = "lost-updates"
GUARANTEE: Guarantee = "fencing"
NEEDS = ("add", "read-set")
MOST_FINDINGS = 200


def check(history: History) -> Verdict:
    """Check every read of the set. The evidence is the acknowledgement of the addition and the read."""
    added, read = history.operations("add"), history.operations("read-set")
    try:
        findings = tuple(_findings(history, added, read))
    except Malformed as wrong:
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=wrong.with_line)
    lost = sum(finding.facts["lost"] for finding in findings)
    acknowledged = int(added.ok.sum())
    last_read = int(read.invoke_index[read.ok].max(initial=NONE))
    read_back = int((added.complete_index[added.ok] < last_read).sum())
    facts = {
        "additions_attempted": len(added),
        "additions_acknowledged": acknowledged,
        "additions_read_back": read_back,
        "additions_lost": lost,
        "readings": int(read.ok.sum()),
    }
    if findings:
        observed = Observed.VIOLATED
        words = f"{findings[0].words}; {lost:,} of {counted(acknowledged, 'acknowledged addition')} lost"
    elif not acknowledged or not facts["readings"]:
        missing = "nothing was added" if not acknowledged else "the set was never read"
        observed, words = Observed.UNDECIDED, f"{missing}, so lost updates were not tested"
    elif not read_back:
        observed = Observed.UNDECIDED
        words = "the set was not read after the additions, so lost updates were not tested"
    else:
        observed, words = Observed.HELD, f"0 of {counted(acknowledged, 'acknowledged addition')} lost"
        if read_back < acknowledged:
            words += f", of which {acknowledged - read_back:,} came after the last reading"
    return Verdict(
        property=PROPERTY,
        observed=observed,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=findings[:MOST_FINDINGS],
        facts=facts,
    )


def _findings(history: History, added: Operations, read: Operations) -> Iterator[Finding]:
    """One finding per element, for the first read that is wrong about it."""
    row_of = {str(element): row for row, element in enumerate(added.asked)}
    reported: set[str] = set()
    for reading in range(len(read)):
        if not read.ok[reading]:
            continue
        line = int(read.complete_index[reading])
        there = {str(element) for element in sequence(read.answered[reading], "a read-set that is ok", line)}
        for element, row in row_of.items():
            expected = added.ok[row] and added.complete_index[row] < read.invoke_index[reading]
            refused = added.outcome[row] == FAIL and element in there
            if ((expected and element not in there) or refused) and element not in reported:
                reported.add(element)
                yield _finding(history, element, added, row, read, reading, lost=not refused)
        for element in sorted(there - row_of.keys() - reported):
            reported.add(element)
            time = int(read.complete[reading])
            yield Finding(
                guarantee=GUARANTEE,
                words=f"the set read at {instant(time)} contains {element}, which no client added",
                evidence=(line,),
                start=int(read.invoke[reading]),
                end=time,
                facts={"lost": False},
            )


def _finding(
    history: History, element: str, added: Operations, row: int, read: Operations, reading: int, *, lost: bool
) -> Finding:
    node = int(added.node[row])
    by = "" if node == NONE else f" by {history.nodes[node]}"
    time = int(read.complete[reading])
    fate = "was acknowledged but is missing from" if lost else "was refused but is in"
    return Finding(
        guarantee=GUARANTEE,
        words=f"the addition of {element}{by} at {instant(int(added.complete[row]))} {fate} the set read "
        f"at {instant(time)}",
        evidence=(int(added.complete_index[row]), int(read.complete_index[reading])),
        start=int(added.invoke[row]),
        end=time,
        nodes=() if node == NONE else (history.nodes[node],),
        facts={"lost": lost},
    )
