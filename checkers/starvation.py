"""Starvation: when the machine itself was late, by the canary, so that it is not mistaken for a stalled cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import Ints, Mask


@dataclass(frozen=True, kw_only=True)
class Starvation:
    """Starved periods: closed intervals in ns, disjoint and in order, in which the canary overslept.

    ``tolerated`` (ns) is the longest lateness below the limit, by which the other bounds are extended.
    """

    start: Ints
    end: Ints
    tolerated: int

    @classmethod
    def of(cls, history: History, bounds: Bounds) -> Starvation:
        """Compute the starved periods from the canary samples of a history."""
        time, late = history.canary
        starved = late > bounds.canary_late_ns
        start, end = time[starved] - late[starved], time[starved]
        # There is one canary, so its samples are in order, and so are the starts of its sleeps.
        fresh = np.ones(len(start), bool)
        fresh[1:] = start[1:] > end[:-1]
        return cls(
            start=start[fresh],
            end=end[np.append(fresh[1:], True)] if len(end) else end,
            tolerated=int(late[~starved].max(initial=0)),
        )

    def within(self, start: Ints, end: Ints) -> Mask:
        """Mask of the closed intervals [start, end] (ns) that meet a starved period."""
        return np.searchsorted(self.start, end, side="right") > np.searchsorted(self.end, start, side="left")

    def free(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end] (ns) outside all starved periods."""
        first = int(np.searchsorted(self.end, start, side="left"))
        last = int(np.searchsorted(self.start, end, side="right"))
        begins = [start, *self.end[first:last].tolist()]
        ends = [*self.start[first:last].tolist(), end]
        return [(begin, finish) for begin, finish in zip(begins, ends, strict=True) if begin < finish]
