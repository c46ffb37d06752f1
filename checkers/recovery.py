"""Recovery times: how long the cluster took to work again after each fault, and to agree after each repair.

These are measurements without a verdict. The evidence that the cluster works is a confirmation, an operation that needs
a round trip to a quorum, or where there are none a claim to lead that a connected majority agrees on
(``checkers.backing``); any other claim is no evidence. Agreement is dated by the last node to begin its unbroken
series of equal answers, counted from the series' first certain instant, as for reigns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from splitbrain.checkers.cluster_health import ClusterHealth
from splitbrain.checkers.eligibility import serving
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import affected, is_repair
from splitbrain.checkers.history import History
from splitbrain.checkers.leaderships import claimed_at, leading_at
from splitbrain.checkers.operations import NONE, Ints, Operations


@dataclass(frozen=True, kw_only=True)
class Confirmations:
    """The successful confirmations as columns, in the order of their completion; times in ns.

    ``line`` is the completion line. ``led`` is the reign of the confirming node by its latest answer, -1 if it has
    none.
    """

    node: Ints
    invoke: Ints
    complete: Ints
    line: Ints
    led: Ints

    @classmethod
    def of(cls, history: History) -> Confirmations:
        """Collect the successful confirmations of a history."""
        confirms = history.operations("confirm")
        return cls._of(history, confirms, np.flatnonzero(confirms.ok))

    @classmethod
    def backed(cls, history: History, rows: Ints) -> Confirmations:
        """Take claims in the place of confirmations: these rows of the observations."""
        return cls._of(history, history.observations, rows)

    @classmethod
    def _of(cls, history: History, confirms: Operations, rows: Ints) -> Confirmations:
        seen = history.observations
        rows = rows[np.argsort(confirms.complete[rows], kind="stable")]
        node, complete = confirms.node[rows].astype(np.int64), confirms.complete[rows]
        led = np.full(len(rows), NONE, dtype=np.int64)
        for code in np.unique(node[node != NONE]).tolist():
            same = np.flatnonzero(node == code)
            answer = claimed_at(seen, complete[same], code)
            led[same] = np.append(history.leaderships.of_row, NONE)[answer]
        return cls(
            node=node,
            invoke=confirms.invoke[rows],
            complete=complete,
            line=confirms.complete_index[rows],
            led=led,
        )


def unavailability(history: History, confirms: Confirmations) -> Mapping[str, Any]:
    """Facts about the longest time (ns) between confirmations, or from the last one to the end of the history."""
    if not len(confirms.complete):
        return {"longest_unavailable_ns": None, "unavailable": None, "unavailable_lines": []}
    gap = _longest_gap(confirms, history.end, 0, history.end)
    return {
        "longest_unavailable_ns": gap[1] - gap[0],
        "unavailable": list(gap[:2]),
        "unavailable_lines": list(gap[2]),
        "first_confirmed_ns": int(confirms.complete[0]),
    }


def recoveries(history: History, confirms: Confirmations) -> list[dict[str, Any]]:
    """One entry per completed fault; times in ns, None for an event that did not occur before the next fault.

    ``recovery_ns`` is the time from the fault's begin to the first confirmation invoked after it was in effect; if it
    affected a leader, to the first one under another leadership, if any. ``gap_ns`` is the longest time without a
    confirmation that meets the interval from the fault's begin to the next fault.
    """
    injected = [fault for fault in history.faults if not is_repair(fault) and fault.skipped is None]
    begins = np.array([fault.begin for fault in injected], np.int64)
    leading = leading_at(history.observations, begins, len(history.nodes))
    ends = [*begins.tolist(), history.end + 1][1:]
    return [
        _recovery(history, confirms, fault, until, leaders)
        for fault, until, leaders in zip(injected, ends, leading, strict=True)
        if fault.done is not None
    ]


def _recovery(history: History, confirms: Confirmations, fault: Fault, until: int, leaders: Any) -> dict[str, Any]:
    assert fault.done is not None
    leader_touched = bool(affected(fault) & {history.nodes[code] for code in np.flatnonzero(leaders)})
    last = int(np.searchsorted(confirms.complete, fault.begin, side="right")) - 1
    stop = int(np.searchsorted(confirms.complete, until, side="left"))
    after = np.arange(last + 1, max(stop, last + 1))
    after = after[confirms.invoke[after] >= fault.done]
    before = confirms.led[last] if last >= 0 else NONE
    other = after[confirms.led[after] != before]
    recovered = other if leader_touched and len(other) else after
    gap = _longest_gap(confirms, history.end, fault.begin, min(until, history.end))
    return {
        "id": fault.id,
        "f": fault.f,
        "shape": fault.shape,
        "class": fault.fault_class,
        "verified": fault.verified,
        "begin": fault.begin,
        "done": fault.done,
        "leader_touched": leader_touched,
        "leader_changed": bool(len(other)),
        "recovery_ns": int(confirms.complete[recovered[0]]) - fault.begin if len(recovered) else None,
        "recovery_line": int(confirms.line[recovered[0]]) if len(recovered) else None,
        "gap_ns": gap[1] - gap[0],
        "gap": list(gap[:2]),
        "gap_lines": list(gap[2]),
    }


def _longest_gap(confirms: Confirmations, end: int, start: int, until: int) -> tuple[int, int, tuple[int, ...]]:
    """The longest time between successive confirmations that meets [start, until]: from, to, lines at its ends.

    It begins with the history if there is no confirmation before. It ends at ``until`` at the latest, because the time
    after belongs to the next fault.
    """
    first = max(0, int(np.searchsorted(confirms.complete, start, side="right")) - 1)
    last = int(np.searchsorted(confirms.complete, until, side="left")) + 1
    times, lines = confirms.complete[first:last].tolist(), confirms.line[first:last].tolist()
    marks: list[tuple[int, tuple[int, ...]]] = [(time, (line,)) for time, line in zip(times, lines, strict=True)]
    if not marks or marks[0][0] > start > 0:
        marks.insert(0, (0, ()))
    if last > len(confirms.complete):
        marks.append((end, ()))
    marks = [(min(time, max(until, start)), lines) for time, lines in marks]
    gaps = [*pairwise(marks)] or [(marks[0], marks[0])]
    left, right = max(gaps, key=lambda gap: gap[1][0] - gap[0][0])
    return left[0], right[0], left[1] + right[1]


@dataclass(frozen=True, kw_only=True)
class _AnswerSeries:
    """One node's series of equal answers: the leader and term named, and the first and last certain instant (ns)."""

    start: Ints
    end: Ints
    leader: Ints
    term: Ints

    @classmethod
    def of(cls, history: History, node: int) -> _AnswerSeries:
        """Compute the series of node number ``node``."""
        seen = history.observations
        rows = np.flatnonzero(seen.ok & (seen.node == node))
        leader = np.where(seen.leading[rows], node, seen.leader[rows]).astype(np.int64)
        term = seen.leader_term[rows]
        fresh = np.ones(len(rows), bool)
        fresh[1:] = (leader[1:] != leader[:-1]) | (term[1:] != term[:-1])
        starts = np.flatnonzero(fresh)
        start = np.minimum.reduceat(seen.complete[rows], starts) if len(rows) else rows
        end = seen.invoke[rows][np.append(starts[1:], len(rows)) - 1] if len(rows) else rows
        return cls(start=start, end=end, leader=leader[starts], term=term[starts])


def _next_fault(history: History) -> list[int]:
    """For each act of the nemesis, when the fault after it began (ns); the end of the history if none did."""
    found, following = [], history.end
    for act in reversed(history.faults):
        found.append(following)
        if not is_repair(act) and act.skipped is None:
            following = act.begin
    return found[::-1]


def agreements(history: History, health: ClusterHealth) -> list[dict[str, Any]]:
    """One entry per repair after which all live nodes were connected.

    ``agreement_ns`` is the time until these named one leader in one term and continued to until the next fault; None
    if they did not.
    """
    beliefs = {node: _AnswerSeries.of(history, code) for node, code in history.code.items()}
    found = []
    for fault, until in zip(history.faults, _next_fault(history), strict=True):
        if not is_repair(fault) or not fault.in_effect or fault.done is None:
            continue
        live = _live(health, fault.done, until)
        if live is not None:
            agreed = _agreed(beliefs, live, until)
            found.append(
                {
                    "id": fault.id,
                    "f": fault.f,
                    "done": fault.done,
                    "agreement_ns": None if agreed is None else max(0, agreed - fault.done),
                }
            )
    return found


def _live(health: ClusterHealth, since: int, until: int) -> list[str] | None:
    """The nodes that were certainly healthy throughout [since, until] (ns).

    None if they were not certainly connected throughout, to one another or all to one majority of the servers.
    """
    first, last = np.searchsorted(health.edges, (since, until))
    if first >= last:
        return None
    healthy = np.flatnonzero(np.logical_and.reduce(health.healthy[first:last, : len(health.members)])).tolist()
    if health.servers:
        connected = serving(health, "clique")[first:last][:, healthy].all(axis=(0, 1)).any()
    else:
        connected = health.connected[first:last][:, healthy][:, :, healthy].all()
    return [health.members[at] for at in healthy] if connected else None


def _agreed(beliefs: Mapping[str, _AnswerSeries], live: list[str], until: int) -> int | None:
    """The first instant (ns) from which all live nodes certainly named the same leader in the same term."""
    series = [beliefs[node] for node in live if node in beliefs]
    last = [(belief, int(np.searchsorted(belief.start, until, side="right")) - 1) for belief in series]
    if len(series) < max(1, len(live)) or any(at < 0 for _, at in last):
        return None
    leaders = {int(belief.leader[at]) for belief, at in last}
    terms = {int(belief.term[at]) for belief, at in last} - {NONE}  # some nodes name a leader without a term
    agreed = max(int(belief.start[at]) for belief, at in last)
    definite = agreed <= min(int(belief.end[at]) for belief, at in last)
    return agreed if len(leaders) == 1 and len(terms) <= 1 and definite and NONE not in leaders else None
