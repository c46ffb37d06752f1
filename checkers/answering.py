"""Answering: for how much of a run each node and server answered its observers.

A node that cannot be asked hides what it does. An instant counts as observed if an answer was complete no longer than
half the stall bound ago. Time in which a fault may have been on the node itself does not count, as it need not answer
then, and neither does time in which the observers themselves were starved. Faults of links keep no observer away, and
an incident that no fault asked for is no reason to do without a node.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History, natural
from splitbrain.checkers.operations import Operations
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.words import listed

LEAST_SHARE = 0.8
"""A node that answered for less of the time leaves in doubt all that is judged by observations."""
OPINION = "opinion"

Periods = list[tuple[int, int]]


def answered_shares(history: History, bounds: Bounds) -> dict[str, float]:
    """The share of its time for which each node answered, and each server that was asked; from 0 to 1, by name.

    A node that had no time longer than the stall bound without one is left out.
    """
    nodes = {name for name in bounds.members or _asked(history, history.observations) if name not in bounds.servers}
    shares, disturbed = {}, [*history.fault_periods]
    starved = Starvation.of(history, bounds)
    late = [*zip(starved.start.tolist(), starved.end.tolist(), strict=True)]
    for names, answers in ((nodes, history.observations), _servers(history)):
        for name in sorted(names, key=natural):
            on_it = [each.possible for each in disturbed if name in each.nodes or not (each.nodes or each.links)]
            expected = _rest([*late, *on_it], history.end)
            length = sum(end - start for start, end in expected)
            if length > bounds.stall_ns:
                shares[name] = _overlap(_answered(history, answers, name, bounds.stall_ns // 2), expected) / length
    return shares


def hardly_observed(shares: dict[str, float]) -> str | None:
    """The nodes and servers that answered for too little of the time, in words; None if all answered enough."""
    silent = [f"{name} answered for {share:.0%} of its time" for name, share in shares.items() if share < LEAST_SHARE]
    return listed(silent) if silent else None


def _servers(history: History) -> tuple[set[str], Operations]:
    opinions = history.operations(OPINION)
    return _asked(history, opinions), opinions


def _asked(history: History, operations: Operations) -> set[str]:
    return {history.nodes[code] for code in np.unique(operations.node).tolist() if code >= 0}


def _rest(taken: Periods, end: int) -> Periods:
    """The parts of [0, end] (ns) outside all of these periods."""
    free, since = [], 0
    for start, until in sorted(taken):
        if start > since:
            free.append((since, start))
        since = max(since, until)
    return [*free, (since, end)] if since < end else free


def _answered(history: History, operations: Operations, name: str, reach: int) -> Periods:
    """The merged periods from each answer's invocation until ``reach`` (ns) after its completion."""
    rows = operations.ok & (operations.node == history.code.get(name, -1))
    return [*_merged(operations.invoke[rows].tolist(), (operations.complete[rows] + reach).tolist())]


def _merged(starts: list[int], ends: list[int]) -> Iterator[tuple[int, int]]:
    """The union of periods that are given in the order of their starts."""
    if not starts:
        return
    start, end = starts[0], ends[0]
    for further, until in zip(starts, ends, strict=True):
        if further > end:
            yield start, end
            start = further
        end = max(end, until)
    yield start, end


def _overlap(some: Periods, others: Periods) -> int:
    """The length (ns) that two series of disjoint periods, each in order, have in common."""
    common = at = other = 0
    while at < len(some) and other < len(others):
        (start, end), (since, until) = some[at], others[other]
        common += max(0, min(end, until) - max(start, since))
        at, other = (at + 1, other) if end <= until else (at, other + 1)
    return common
