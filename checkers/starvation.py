"""When the machine itself was late, by the canary: a starved machine must not be taken for a stalled cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import Ints, Mask


@dataclass(frozen=True, kw_only=True)
class Starvation:
    """Periods (ns, closed, disjoint, in order) in which the canary slept too long.

    ``tolerated`` is the longest lateness that was still no starvation.
    """

    start: Ints
    end: Ints
    tolerated: int

    @classmethod
    def of(cls, history: History, bounds: Bounds) -> Starvation:
        time, late = history.canary
        starved = late > bounds.canary_late_ns
        start, end = time[starved] - late[starved], time[starved]
        # One canary at a time: its samples come in order, and so do the starts of what it slept through.
        fresh = np.ones(len(start), bool)
        fresh[1:] = start[1:] > end[:-1]
        return cls(
            start=start[fresh],
            end=end[np.append(fresh[1:], True)] if len(end) else end,
            tolerated=int(late[~starved].max(initial=0)),
        )

    def within(self, start: Ints, end: Ints) -> Mask:
        """For each [start, end] whether the machine was starved at some time in it."""
        return np.searchsorted(self.start, end, side="right") > np.searchsorted(self.end, start, side="left")

    def free(self, start: int, end: int) -> list[tuple[int, int]]:
        """What is left of [start, end] when the starved periods are taken out."""
        first = int(np.searchsorted(self.end, start, side="left"))
        last = int(np.searchsorted(self.start, end, side="right"))
        begins = [start, *self.end[first:last].tolist()]
        ends = [*self.start[first:last].tolist(), end]
        return [(begin, finish) for begin, finish in zip(begins, ends, strict=True) if begin < finish]
