"""Reigns: the claims of one node under one key, and the interval in which they prove that it led.

For the claims of a reign, observed in [a_i, b_i], let ``s`` be the latest a_i and ``f`` the earliest b_i. If f <= s and
the reign is contiguous, the node led throughout [f, s], and nothing more is certain. These are the zones of Gibbons and
Korach ("Testing Shared Memories", SIAM J. Comput. 26(4), 1997), with a leadership as the value and an observation as
the read. A key is expected to be contiguous. A denial within [f, s] refutes that, and then the reign is split there;
splitting can only weaken the proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.operations import NONE, Codes, Ints, Mask, Observations
from splitbrain.checkers.running_max import NO_PLACE, RunningMax

EVER = np.iinfo(np.int64).max
KEYLESS, BY_TERM, BY_REIGN = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Leaderships:
    """Reigns as columns, with one entry per reign, sorted by ``f``.

    A claim's key is its reign if given, else its term; a claim with neither is a separate reign. ``kind`` is BY_REIGN,
    BY_TERM or KEYLESS. ``s`` and ``f`` are ns; ``s_line`` and ``f_line`` are the completion lines of the observations
    that determine them. ``term`` and ``reign`` are those of the earliest claim, whose observation row is ``first_row``.
    ``of_row`` has one entry per observation: the reign that it claims, -1 for none.
    """

    node: Codes
    kind: Ints
    term: Ints
    reign: Ints
    s: Ints
    f: Ints
    s_line: Ints
    f_line: Ints
    first_row: Ints
    of_row: Ints
    reign_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.s)

    @property
    def keys_comparable(self) -> bool:
        """True if different keys mean different reigns; false if some keys are reigns and others terms."""
        return not (np.any(self.kind == BY_TERM) and np.any(self.kind == BY_REIGN))

    def key(self, at: int) -> str:
        """The key of reign ``at`` as text."""
        if self.kind[at] == BY_REIGN:
            return str(self.reign_names[self.reign[at]])
        return f"term {self.term[at]}" if self.kind[at] == BY_TERM else f"line {self.f_line[at]}"

    def term_of(self, at: int) -> int | None:
        """The term of reign ``at``, None if it has none."""
        return None if self.term[at] == NONE else int(self.term[at])


@dataclass(frozen=True, kw_only=True)
class Hulls:
    """The widest open interval (start, end) in ns in which each reign can lie, given the denials.

    ``denied_at`` is the observation row that bounds it from above, -1 if none does.
    """

    start: Ints
    end: Ints
    denied_at: Ints


def leaderships(seen: Observations) -> Leaderships:
    """Group the claims to lead into reigns."""
    claims = np.flatnonzero(seen.ok & seen.leading)
    reign, term = seen.reign[claims], seen.term[claims]
    kind = np.where(reign != NONE, BY_REIGN, np.where(term != NONE, BY_TERM, KEYLESS)).astype(np.int8)
    key = np.where(kind == BY_REIGN, reign, np.where(kind == BY_TERM, term, claims))
    return _grouped(seen, claims, (key, kind, seen.node[claims]))


def denials(seen: Observations, led: Leaderships) -> Mask:
    """Mask of the observations that deny a reign of their node: it does not lead, or leads under another key.

    A claim without a key denies nothing, and neither does one with a key of another kind.
    """
    denying = np.zeros(len(seen), bool)
    if led.keys_comparable:
        claims = led.of_row != NONE
        denying[claims] = led.kind[led.of_row[claims]] != KEYLESS
    return seen.ok & (denying | ~seen.leading)


def claimed_at(seen: Observations, times: Ints, node: int) -> Ints:
    """For each time (ns), the row of the node's latest answer completed at or before it; -1 if there is none."""
    rows = np.flatnonzero(seen.ok & (seen.node == node))
    order = rows[np.argsort(seen.complete[rows], kind="stable")]
    before = np.searchsorted(seen.complete[order], times, side="right")
    return np.where(before > 0, np.append(order, NONE)[before - 1], NONE)


def leading_at(seen: Observations, times: Ints, nodes: int) -> Mask:
    """Mask [time, node]: the node led by its latest answer completed at or before the time (ns)."""
    led = np.zeros((len(times), nodes), bool)
    leading = np.append(seen.leading, False)  # the last entry serves row -1, which is no answer
    for node in range(nodes):
        led[:, node] = leading[claimed_at(seen, times, node)]
    return led


def hulls(seen: Observations, led: Leaderships) -> Hulls:
    """Bound each reign by the latest denial certainly before it and the earliest certainly after it."""
    start = np.full(len(led), -EVER, dtype=np.int64)
    end = np.full(len(led), EVER, dtype=np.int64)
    denied_at = np.full(len(led), NONE, dtype=np.int64)
    denying = denials(seen, led)
    for node in np.unique(led.node):
        same = np.flatnonzero(led.node == node)
        rows = np.flatnonzero(denying & (seen.node == node))
        invoke, complete, group = seen.invoke[rows], seen.complete[rows], led.of_row[rows]
        # Certainly after: invoked after some claim completed. Rows are in the order of their invocations, so these are
        # the last rows; reversed, they are the first.
        later = len(rows) - np.searchsorted(invoke, led.f[same], side="right")
        at = RunningMax.of(-complete[::-1], group[::-1]).best(later, same)
        found = at != NO_PLACE
        after = len(rows) - 1 - at[found]
        end[same[found]] = complete[after]
        denied_at[same[found]] = rows[after]
        # Certainly before: completed before some claim was invoked.
        order = np.argsort(complete, kind="stable")
        earlier = np.searchsorted(complete[order], led.s[same], side="left")
        at = RunningMax.of(invoke[order], group[order]).best(earlier, same)
        found = at != NO_PLACE
        start[same[found]] = invoke[order][at[found]]
    return Hulls(start=start, end=end, denied_at=denied_at)


def split(seen: Observations, led: Leaderships, refuted: Mask) -> Leaderships:
    """Split the reigns of the mask ``refuted`` at every denial between their claims.

    A claim whose window overlaps a denial may belong to either side, so it becomes a separate reign.
    """
    claims = np.flatnonzero(led.of_row != NONE)
    part = np.zeros(len(seen), np.int64)
    denying = denials(seen, led)
    for node in np.unique(led.node[refuted]):
        rows = claims[(seen.node[claims] == node) & refuted[led.of_row[claims]]]
        before, not_after = _denials_around(seen, led, rows, np.flatnonzero(denying & (seen.node == node)))
        part[rows] = np.where(not_after > before, -1 - rows, before)
    return _grouped(seen, claims, (part[claims], led.of_row[claims]))


def _denials_around(seen: Observations, led: Leaderships, rows: Ints, denying: Ints) -> tuple[Ints, Ints]:
    """For each claim in ``rows``, the number of denials certainly before it, and of those not certainly after it."""
    completes, invokes = np.sort(seen.complete[denying]), seen.invoke[denying]
    before = np.searchsorted(completes, seen.invoke[rows], side="left")
    not_after = np.searchsorted(invokes, seen.complete[rows], side="right")
    key, claimed, width = led.of_row[denying], led.of_row[rows], len(denying) + 1

    def of_same_key(ranks: Ints, counts: Ints) -> Ints:
        """The number of denials with the claim's key whose rank is below its count; they deny other reigns only."""
        ranked = np.sort(key * width + ranks)
        return np.searchsorted(ranked, claimed * width + counts) - np.searchsorted(ranked, claimed * width)

    completed = np.searchsorted(completes, seen.complete[denying])
    invoked = np.searchsorted(invokes, invokes)
    return before - of_same_key(completed, before), not_after - of_same_key(invoked, not_after)


def _grouped(seen: Observations, claims: Ints, keys: tuple[NDArray[Any], ...]) -> Leaderships:
    """Make a reign of the claims that agree in all ``keys``."""
    order = np.lexsort(keys)
    fresh = np.ones(len(order), bool)
    fresh[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    starts = np.flatnonzero(fresh)
    rows = claims[order]  # in the order of their invocations within a reign, because lexsort is stable
    last = rows[np.append(starts[1:], len(rows)) - 1] if len(rows) else rows
    f = np.minimum.reduceat(seen.complete[rows], starts) if len(rows) else rows
    size = np.diff(np.append(starts, len(rows)))
    earliest = np.flatnonzero(seen.complete[rows] == np.repeat(f, size))
    f_row = rows[earliest[np.searchsorted(earliest, starts)]]
    ranked = np.argsort(f, kind="stable")
    first = rows[starts][ranked]
    reign, term = seen.reign[first], seen.term[first]
    place = np.empty(len(ranked), np.int64)
    place[ranked] = np.arange(len(ranked))
    of_row = np.full(len(seen), NONE, dtype=np.int64)
    of_row[rows] = np.repeat(place, size)
    return Leaderships(
        node=seen.node[first],
        kind=np.where(reign != NONE, BY_REIGN, np.where(term != NONE, BY_TERM, KEYLESS)),
        term=term,
        reign=reign,
        s=seen.invoke[last][ranked],
        f=f[ranked],
        s_line=seen.complete_index[last][ranked],
        f_line=seen.complete_index[f_row][ranked],
        first_row=first,
        of_row=of_row,
        reign_names=seen.reign_names,
    )
