"""Reigns as drawn in the timeline: certain and possible intervals of leadership of each node.

Reigns with a key are those that the checkers judge (`checkers.leaderships`), so that drawings and verdicts show the
same overlaps. Claims without a term or key prove no interval. For readability, neighbouring ones without a denial
between them are joined; their `key` is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.leaderships import KEYLESS, Hulls, Leaderships, hulls, split
from splitbrain.checkers.operations import Ints
from splitbrain.reports.fault_windows import FaultWindow

MAX_REIGNS = 3_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnReign:
    """The leadership claims of one node under one key.

    Certainly leading on [first, last] when first <= last, possibly on [earliest, latest]; all ns. `key` is None for
    joined claims: nothing about them is certain, and [first, last] only spans them. `node` is an index into
    `History.nodes`, `line` the history line of the first claim.
    """

    node: int
    term: int | None
    key: str | None
    earliest: int
    first: int
    last: int
    latest: int
    claims: int
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnReigns:
    """Reigns by possible start, and the number of reigns omitted beyond the limit."""

    rows: tuple[DrawnReign, ...] = ()
    left_out: int = 0


def reigns(history: History, faults: Sequence[FaultWindow] = (), limit: int = MAX_REIGNS) -> DrawnReigns:
    """The reigns of all nodes; of more than `limit`, the ones that may have lasted longest.

    A reign ends at the latest when one of `faults` has certainly killed its node, even without a denial afterwards.
    """
    led, widest = _judged(history)
    keyed = np.flatnonzero(led.kind != KEYLESS)
    start, end = np.clip(widest.start, 0, history.end), np.clip(widest.end, 0, history.end)
    longest = keyed[np.argsort(start[keyed] - end[keyed], kind="stable")[:limit]]
    claims = np.bincount(led.of_row[led.of_row >= 0], minlength=len(led))
    found = [_reign(history, led, at, (int(start[at]), int(end[at])), int(claims[at])) for at in longest.tolist()]
    joined = [reign for node in range(len(history.nodes)) for reign in _joined(history, node)]
    kept = sorted(found + joined, key=lambda reign: reign.earliest - reign.latest)[:limit]
    rows = sorted(_until_killed(kept, faults, history.nodes), key=lambda reign: (reign.earliest, reign.node))
    return DrawnReigns(rows=tuple(rows), left_out=len(keyed) + len(joined) - len(rows))


def _judged(history: History) -> tuple[Leaderships, Hulls]:
    """The reigns as the exclusivity checker judges them: a key that was used twice is split into two reigns."""
    seen, led = history.observations, history.leaderships
    widest = hulls(seen, led)
    refuted = widest.end < led.s
    if not refuted.any():
        return led, widest
    parts = split(seen, led, refuted)
    return parts, hulls(seen, parts)


def _reign(history: History, led: Leaderships, at: int, possible: tuple[int, int], claims: int) -> DrawnReign:
    first, last = int(led.f[at]), int(led.s[at])
    return DrawnReign(
        node=int(led.node[at]),
        term=led.term_of(at),
        key=led.key(at),
        # A hull is open at both ends and may be narrower than a window that it cuts into.
        earliest=min(possible[0], first, last),
        first=first,
        last=last,
        latest=max(possible[1], first, last),
        claims=claims,
        line=int(history.observations.complete_index[led.first_row[at]]),
    )


def _joined(history: History, node: int) -> Iterator[DrawnReign]:
    """Uninterrupted sequences of claims without a key, by completion."""
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.node == node))
    rows = rows[np.argsort(seen.complete[rows], kind="stable")]
    claim = seen.leading[rows] & (seen.reign[rows] < 0) & (seen.term[rows] < 0)
    steps = np.diff(claim.astype(np.int8), prepend=0, append=0)
    runs = zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True)
    for start, end in runs:
        first, last = int(seen.invoke[rows[start]]), int(seen.complete[rows[end - 1]])
        yield DrawnReign(
            node=node,
            term=None,
            key=None,
            earliest=min(first, _at(seen.invoke, rows, start - 1, 0)),
            first=first,
            last=last,
            latest=max(last, _at(seen.complete, rows, end, history.end)),
            claims=end - start,
            line=int(seen.complete_index[rows[start]]),
        )


def _at(times: Ints, rows: Ints, place: int, otherwise: int) -> int:
    return int(times[rows[place]]) if 0 <= place < len(rows) else otherwise


def _until_killed(rows: Sequence[DrawnReign], faults: Sequence[FaultWindow], nodes: Sequence[str]) -> list[DrawnReign]:
    """The reigns, each shortened to when its node was certainly killed."""
    deaths = [
        (nodes.index(name), window.effect)
        for window in faults
        if window.kind == "down" and window.effect is not None and window.fault.in_effect
        for name in window.fault.nodes
    ]
    return [_until_death(reign, [at for node, at in deaths if node == reign.node]) for reign in rows]


def _until_death(reign: DrawnReign, deaths: Sequence[int]) -> DrawnReign:
    known = max(reign.first, reign.last)
    ends = [at for at in deaths if known <= at < reign.latest]
    return replace(reign, latest=min(ends)) if ends else reign
