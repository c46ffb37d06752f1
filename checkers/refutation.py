"""Refutation: what a history shows that its faults, had they been in force, would have made impossible.

Where a history refutes a fault, the fault was not in force although it was verified, or the system does not do what the
checkers assume of it. Either way the run did not test what it says. Three kinds:

- a node answered within a period in which it was certainly down, paused or frozen,
- a node's leadership was confirmed within a period in which it could not exchange messages with a majority (only where
  nodes elect: there a confirmation is a round trip to a majority that begins after the request),
- a node named another as leader, or voted for it, in a term that the other began when none of its messages could reach
  the node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import ClusterHealth, cluster_health, through_others
from splitbrain.checkers.fault_periods import KILLS, PAUSES, RESTARTS, WIPES, FaultPeriod
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints, Operations
from splitbrain.checkers.words import counted, instant

ASKED = ("observe", "confirm")


def refutations(history: History, bounds: Bounds) -> list[str]:
    """The refutations of faults, a sentence for each kind and node."""
    found = [*_answers(history)]
    if bounds.elects == "nodes" and any(fault.links for fault in history.faults):
        health = cluster_health(history, bounds)
        found += [*_confirmations(history, health), *_messages(history, health)]
    return found


def _answers(history: History) -> Iterator[str]:
    answers = {node: [_Answers.of(history.operations(f), code) for f in ASKED] for node, code in history.code.items()}
    refuted: defaultdict[tuple[str, str], list[FaultPeriod]] = defaultdict(list)
    for period in history.fault_periods:
        certain, fault = period.certain, period.fault
        if certain is None or fault.f not in KILLS | PAUSES or "process" in fault.asked:
            continue  # of a fault of single processes the others may answer
        for node in period.nodes:
            if any(each.within(*certain) for each in answers[node]):
                refuted[node, fault.f].append(period)
    for (node, f), (first, *others) in refuted.items():
        assert first.certain is not None, "it was found by that"
        count = sum(each.count(*first.certain) for each in answers[node])
        words = f"{node} answered {counted(count, 'time')} while {f} {first.fault.id} was in force"
        yield words + (f", and during {len(others):,} more" if others else "")


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """The questions to one node that it answered, by when they were asked: from when to when each was open (ns).

    ``soonest`` is for each of them the earliest completion among it and those after it.
    """

    invoke: Ints
    complete: Ints
    soonest: Ints

    @classmethod
    def of(cls, asked: Operations, node: int) -> _Answers:
        rows = asked.ok & (asked.node == node)
        complete = asked.complete[rows]
        return cls(invoke=asked.invoke[rows], complete=complete, soonest=np.minimum.accumulate(complete[::-1])[::-1])

    def within(self, start: int, end: int) -> bool:
        """True if one was open within the open period only."""
        first = int(np.searchsorted(self.invoke, start, side="right"))
        return first < len(self.soonest) and bool(self.soonest[first] < end)

    def count(self, start: int, end: int) -> int:
        """How many were."""
        return int(np.sum((self.invoke > start) & (self.complete < end)))


def _within(asked: Operations, start: int, end: int) -> Ints:
    """The rows of the operations that were answered, all of them within the open period (ns)."""
    first, last = np.searchsorted(asked.invoke, start, side="right"), np.searchsorted(asked.invoke, end)
    rows: Ints = np.arange(first, last)
    return rows[asked.ok[rows] & (asked.complete[rows] < end)]


def _confirmations(history: History, health: ClusterHealth) -> Iterator[str]:
    confirms, members = history.operations("confirm"), len(health.members)
    place = np.full(len(history.nodes) + 1, NONE)  # the last entry serves code -1, which is no node
    for at, name in enumerate(health.members):
        if name in history.code:
            place[history.code[name]] = at
    rows = np.flatnonzero(confirms.ok & (place[confirms.node] != NONE))
    interval = np.searchsorted(health.edges, confirms.invoke[rows], side="right") - 1
    inside = (interval >= 0) & (interval < len(health.edges) - 1)
    rows, interval = rows[inside], interval[inside]
    inside = (confirms.invoke[rows] > health.edges[interval]) & (confirms.complete[rows] < health.edges[interval + 1])
    rows, interval = rows[inside], interval[inside]
    node = place[confirms.node[rows]]
    both = health.maybe_open[interval, node, :members] & health.maybe_open[interval, :members, node]
    exchanged = both & ~health.down[interval, :members]
    exchanged[np.arange(len(rows)), node] = True
    alone = np.bincount(node[exchanged.sum(axis=1) <= members // 2], minlength=members)
    for at in np.flatnonzero(alone).tolist():
        times = counted(int(alone[at]), "time")
        yield f"{health.members[at]} was confirmed {times} while a cut kept it from every majority"


def _messages(history: History, health: ClusterHealth) -> Iterator[str]:
    seen = history.observations
    codes = [history.code.get(name, NONE) for name in health.members]
    ended = {node for fault in history.faults if fault.f in KILLS | RESTARTS | WIPES for node in fault.nodes}
    reached = through_others(health.maybe_open | np.eye(len(health.names), dtype=bool))
    for at in np.flatnonzero((~health.maybe_open).any(axis=(1, 2))).tolist():
        rows = _within(seen, int(health.edges[at]), int(health.edges[at + 1]))
        rows = rows[seen.term[rows] != NONE]
        for node, other in np.argwhere(~reached[at].T[: len(codes), : len(codes)]).tolist():
            earlier = rows[seen.node[rows] == codes[other]]
            if not len(earlier) or health.members[other] in ended:
                continue  # what it showed before it ended may have been forgotten
            later = rows[(seen.node[rows] == codes[node]) & (seen.complete[rows] > seen.invoke[earlier[0]])]
            named = (seen.leader[later] == codes[other]) | (seen.vote[later] == codes[other])
            found = later[named & (seen.term[later] > seen.term[earlier[0]])]
            if len(found):
                term, when = int(seen.term[found[0]]), instant(int(seen.complete[found[0]]))
                yield (
                    f"{health.members[node]} named {health.members[other]} in term {term} at {when}, "
                    f"when a cut kept everything from it that {health.members[other]} sent in that term"
                )
