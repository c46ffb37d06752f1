"""The best of the others: a running maximum that leaves out the client's own group.

Deciding whether a reign conflicts with any of another node, and whether a reign is contradicted by any claim of
another key, are both the same question: among the first so many candidates, which one of a *different*
group has the largest value? Keeping the best candidate and the best one of another group answers it for
every client, whatever the number of groups, in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.operations import Groups, Ints

NO_PLACE = -1
_LEAST = np.iinfo(np.int64).min


@dataclass(frozen=True, kw_only=True)
class RunningMax:
    """``first[i]`` is the place of the best among places 0..i, ``second[i]`` that of the best among those of
    another group than ``first[i]`` has, -1 if there is none. Of equals the earliest wins."""

    group: Groups
    first: Ints
    second: Ints

    @classmethod
    def of(cls, values: Ints, group: Groups) -> RunningMax:
        """``values`` must be greater than the least 64-bit integer."""
        if not len(values):
            return cls(group=group, first=np.empty(0, np.int64), second=np.empty(0, np.int64))
        first = running_argmax(values)
        overtaken = np.zeros(len(values), bool)
        overtaken[1:] = group[first[1:]] != group[first[:-1]]
        before = np.concatenate((first[:1], first[:-1]))
        # When another group takes the lead, the former leader is the best of the rest.
        place = np.where(overtaken, before, np.arange(len(values)))
        value = np.where(overtaken | (group != group[first]), values[place], _LEAST)
        best = running_argmax(value)
        second = np.where(value[best] == _LEAST, NO_PLACE, place[best])
        return cls(group=group, first=first, second=second)

    def best(self, count: Ints, client: Groups) -> Ints:
        """For each client (a group), the place of the best of the others among the first ``count``; -1 if none."""
        if not len(self.group):
            return np.full(len(count), NO_PLACE, dtype=np.int64)
        last = np.maximum(count - 1, 0)
        first = self.first[last]
        best = np.where(self.group[first] != client, first, self.second[last])
        return np.where(count > 0, best, NO_PLACE)


def running_argmax(values: Ints) -> Ints:
    """For each place that of the largest value up to it, the earliest of equals."""
    highest = np.maximum.accumulate(values)
    rises = np.zeros(len(values), np.int64)
    rises[1:] = np.where(highest[1:] > highest[:-1], np.arange(1, len(values)), 0)
    return np.maximum.accumulate(rises)
