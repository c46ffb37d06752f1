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

from collections.abc import Iterator

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import ClusterHealth, cluster_health
from splitbrain.checkers.election_quorum import exchanges
from splitbrain.checkers.fault_periods import KILLS, PAUSES, RESTARTS, WIPES, fault_periods
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Mask, Operations
from splitbrain.checkers.words import counted, instant


def refutations(history: History, bounds: Bounds) -> list[str]:
    """The refutations of faults, a sentence for each kind and node."""
    found = [*_answers(history)]
    if bounds.elects == "nodes" and any(fault.links for fault in history.faults):
        health = cluster_health(history, bounds)
        found += [*_confirmations(history, health), *_messages(history, health)]
    return found


def _answers(history: History) -> Iterator[str]:
    for period in fault_periods(history.faults, history.end):
        certain, fault = period.certain, period.fault
        if certain is None or fault.f not in KILLS | PAUSES or "process" in fault.asked:
            continue  # of a fault of single processes the others may answer
        for node in period.nodes:
            rows = [_within(history.operations(f), history.code[node], *certain) for f in ("observe", "confirm")]
            if count := sum(int(within.sum()) for within in rows):
                yield f"{node} answered {counted(count, 'time')} while {fault.f} {fault.id} was in force"


def _within(asked: Operations, node: int, start: int, end: int) -> Mask:
    """The operations of the node that were answered, all of them within the open period (ns)."""
    within: Mask = asked.ok & (asked.node == node) & (asked.invoke > start) & (asked.complete < end)
    return within


def _confirmations(history: History, health: ClusterHealth) -> Iterator[str]:
    confirms, majority = history.operations("confirm"), len(health.members) // 2 + 1
    count = dict.fromkeys(health.members, 0)
    for start, end in _intervals(health):
        exchanged = exchanges(health, start + 1, end - 1)[:, : len(health.members)]
        np.fill_diagonal(exchanged, True)
        for at in np.flatnonzero(exchanged.sum(axis=1) < majority):
            if at < len(health.members) and (name := health.members[at]) in history.code:
                count[name] += int(_within(confirms, history.code[name], start, end).sum())
    for name, times in count.items():
        if times:
            yield f"{name} was confirmed {counted(times, 'time')} while a cut kept it from every majority"


def _messages(history: History, health: ClusterHealth) -> Iterator[str]:
    seen = history.observations
    codes = [history.code.get(name, NONE) for name in health.members]
    ended = {node for fault in history.faults if fault.f in KILLS | RESTARTS | WIPES for node in fault.nodes}
    for start, end in _intervals(health):
        reaches = _reachable(health.maybe_open[int(np.searchsorted(health.edges, start))])
        within = seen.ok & (seen.invoke > start) & (seen.complete < end) & (seen.term != NONE)
        for node, other in np.argwhere(~reaches.T[: len(codes), : len(codes)]).tolist():
            if health.members[other] in ended:
                continue  # what it showed before it ended may have been forgotten
            earlier = np.flatnonzero(within & (seen.node == codes[other]))
            if not len(earlier):
                continue
            first = earlier[0]
            named = (seen.leader == codes[other]) | (seen.vote == codes[other])
            later = within & (seen.node == codes[node]) & named & (seen.complete > seen.invoke[first])
            if len(rows := np.flatnonzero(later & (seen.term > seen.term[first]))):
                term, at = int(seen.term[rows[0]]), instant(int(seen.complete[rows[0]]))
                yield (
                    f"{health.members[node]} named {health.members[other]} in term {term} at {at}, "
                    f"when a cut kept everything from it that {health.members[other]} sent in that term"
                )


def _intervals(health: ClusterHealth) -> list[tuple[int, int]]:
    """The intervals (ns) in which some link was certainly cut or some node certainly down."""
    some = (~health.maybe_open).any(axis=(1, 2)) | health.down.any(axis=1)
    return [(int(health.edges[at]), int(health.edges[at + 1])) for at in np.flatnonzero(some)]


def _reachable(open_links: Mask) -> Mask:
    """Mask [a, b]: messages of a may reach b, perhaps through others."""
    reaches = open_links | np.eye(len(open_links), dtype=bool)
    for via in range(len(reaches)):
        reaches |= reaches[:, via, None] & reaches[None, via, :]
    closed: Mask = reaches
    return closed
