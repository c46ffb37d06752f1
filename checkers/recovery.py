"""How long the cluster took to work again after each fault, and to agree after each heal: figures, no verdict.

Evidence of work is a confirmation, an operation that needed a round trip to a quorum; that a node says it leads is
none. Agreement is dated by what is certain: the latest instant by which every node's unbroken series of equal
answers had begun (its definite stretch, as for reigns).
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
from splitbrain.checkers.fault_periods import is_repair, touched
from splitbrain.checkers.history import History
from splitbrain.checkers.leaderships import claimed_at, leading_at
from splitbrain.checkers.operations import NONE, Ints


@dataclass(frozen=True, kw_only=True)
class Confirmations:
    """The confirmations that succeeded, in the order of their completion (ns).

    ``led`` is the reign that the confirming node had by its latest answer, -1 if it had none.
    """

    node: Ints
    invoke: Ints
    complete: Ints
    line: Ints
    led: Ints

    @classmethod
    def of(cls, history: History) -> Confirmations:
        confirms, seen = history.operations("confirm"), history.observations
        rows = np.flatnonzero(confirms.ok)
        rows = rows[np.argsort(confirms.complete[rows], kind="stable")]
        node, complete = confirms.node[rows].astype(np.int64), confirms.complete[rows]
        led = np.full(len(rows), NONE, dtype=np.int64)
        for code in np.unique(node[node != NONE]).tolist():
            own = np.flatnonzero(node == code)
            answer = claimed_at(seen, complete[own], code)
            led[own] = np.append(history.leaderships.of_row, NONE)[answer]
        return cls(
            node=node,
            invoke=confirms.invoke[rows],
            complete=complete,
            line=confirms.complete_index[rows],
            led=led,
        )


def unavailability(history: History, confirms: Confirmations) -> Mapping[str, Any]:
    """The longest time (ns) from one confirmation to the next, or from the last one to the end of the history."""
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
    """One entry a fault that was carried out; times in ns, None for what never happened before the next fault.

    ``recovery_ns`` counts from the fault's begin to the first confirmation that was asked for after it was in
    effect; if it touched a leader, to the first under another leadership where there is one.
    ``gap_ns`` is the longest time without a confirmation that meets the fault.
    """
    hurting = [fault for fault in history.faults if not is_repair(fault) and fault.skipped is None]
    begins = np.array([fault.begin for fault in hurting], np.int64)
    leading = leading_at(history.observations, begins, len(history.nodes))
    ends = [*begins.tolist(), history.end + 1][1:]
    return [
        _recovery(history, confirms, fault, until, leaders)
        for fault, until, leaders in zip(hurting, ends, leading, strict=True)
        if fault.done is not None
    ]


def _recovery(history: History, confirms: Confirmations, fault: Fault, until: int, leaders: Any) -> dict[str, Any]:
    assert fault.done is not None
    leader_touched = bool(touched(fault) & {history.nodes[code] for code in np.flatnonzero(leaders)})
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
    """The longest time between successive confirmations that meets [start, until]: from, to, and the lines at
    its ends. It begins with the history if nothing was confirmed before, and ends with ``until`` at the latest: what
    comes after is somebody else's."""
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
class _Beliefs:
    """One node's series of equal answers: whom it named in which term, first sure and last sure instant (ns)."""

    start: Ints
    end: Ints
    leader: Ints
    term: Ints

    @classmethod
    def of(cls, history: History, node: int) -> _Beliefs:
        seen = history.observations
        rows = np.flatnonzero(seen.ok & (seen.node == node))
        leader = np.where(seen.leading[rows], node, seen.leader[rows]).astype(np.int64)
        term = seen.term[rows]
        fresh = np.ones(len(rows), bool)
        fresh[1:] = (leader[1:] != leader[:-1]) | (term[1:] != term[:-1])
        starts = np.flatnonzero(fresh)
        start = np.minimum.reduceat(seen.complete[rows], starts) if len(rows) else rows
        end = seen.invoke[rows][np.append(starts[1:], len(rows)) - 1] if len(rows) else rows
        return cls(start=start, end=end, leader=leader[starts], term=term[starts])


def agreements(history: History, health: ClusterHealth) -> list[dict[str, Any]]:
    """One entry a repair that left all nodes that were up connected: how long (ns) until these named one leader
    under one term, and went on doing so until the next fault; None if they did not."""
    beliefs = {node: _Beliefs.of(history, code) for node, code in history.code.items()}
    faults = history.faults
    found = []
    for at, fault in enumerate(faults):
        if not is_repair(fault) or not fault.in_effect or fault.done is None:
            continue
        following = (act.begin for act in faults[at + 1 :] if not is_repair(act) and act.skipped is None)
        until = next(following, history.end)
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
    """The nodes that were surely healthy; None if they were not surely connected throughout, to one another or to one
    majority of the servers."""
    first, last = np.searchsorted(health.edges, (since, until))
    if first >= last:
        return None
    healthy = np.flatnonzero(np.logical_and.reduce(health.healthy[first:last, : len(health.members)])).tolist()
    if health.servers:
        whole = serving(health, "clique")[first:last][:, healthy].all(axis=(0, 1)).any()
    else:
        whole = health.connected[first:last][:, healthy][:, :, healthy].all()
    return [health.members[at] for at in healthy] if whole else None


def _agreed(beliefs: Mapping[str, _Beliefs], live: list[str], until: int) -> int | None:
    """The first instant from which all live nodes surely named the same leader in the same term."""
    told = [beliefs[node] for node in live if node in beliefs]
    last = [(belief, int(np.searchsorted(belief.start, until, side="right")) - 1) for belief in told]
    if len(told) < max(1, len(live)) or any(at < 0 for _, at in last):
        return None
    leaders = {int(belief.leader[at]) for belief, at in last}
    terms = {int(belief.term[at]) for belief, at in last} - {NONE}  # some name a leader and know no term
    agreed = max(int(belief.start[at]) for belief, at in last)
    definite = agreed <= min(int(belief.end[at]) for belief, at in last)
    return agreed if len(leaders) == 1 and len(terms) <= 1 and definite and NONE not in leaders else None
