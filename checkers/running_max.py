"""Running maximum over other groups: the largest value so far whose group differs from a given one.

Two questions reduce to it: does a reign conflict with one of another node, and does a claim under another key
contradict a reign? Both ask for the largest value among the first n candidates of a *different* group. It is enough to
keep the best candidate and the best of another group, for any number of groups, in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.operations import Groups, Ints

NO_PLACE = -1
_LEAST = np.iinfo(np.int64).min


@dataclass(frozen=True, kw_only=True)
class RunningMax:
    """A running maximum with its runner-up from another group; of equal values the earliest wins.

    ``first[i]`` is the position of the maximum among positions 0..i. ``second[i]`` is the position of the maximum among
    those whose group differs from the group of ``first[i]``, -1 if there is none.
    """

    group: Groups
    first: Ints
    second: Ints

    @classmethod
    def of(cls, values: Ints, group: Groups) -> RunningMax:
        """Compute it for ``values``, which must be greater than the least 64-bit integer, with one ``group`` each."""
        if not len(values):
            return cls(group=group, first=np.empty(0, np.int64), second=np.empty(0, np.int64))
        first = running_argmax(values)
        overtaken = np.zeros(len(values), bool)
        overtaken[1:] = group[first[1:]] != group[first[:-1]]
        before = np.concatenate((first[:1], first[:-1]))
        # When another group takes over the maximum, the former maximum is the best of the rest.
        place = np.where(overtaken, before, np.arange(len(values)))
        value = np.where(overtaken | (group != group[first]), values[place], _LEAST)
        best = running_argmax(value)
        second = np.where(value[best] == _LEAST, NO_PLACE, place[best])
        return cls(group=group, first=first, second=second)

    def best(self, count: Ints, excluded: Groups) -> Ints:
        """For each group in ``excluded``, the position of the maximum of the other groups among the first ``count``.

        -1 if there is none. ``count`` and ``excluded`` have equal lengths.
        """
        if not len(self.group):
            return np.full(len(count), NO_PLACE, dtype=np.int64)
        last = np.maximum(count - 1, 0)
        first = self.first[last]
        best = np.where(self.group[first] != excluded, first, self.second[last])
        return np.where(count > 0, best, NO_PLACE)


def running_argmax(values: Ints) -> Ints:
    """For each position, that of the largest value up to it; the earliest of equals."""
    highest = np.maximum.accumulate(values)
    rises = np.zeros(len(values), np.int64)
    rises[1:] = np.where(highest[1:] > highest[:-1], np.arange(1, len(values)), 0)
    return np.maximum.accumulate(rises)
