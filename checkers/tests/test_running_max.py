"""The running maximum over other groups, against a loop over all candidates."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.running_max import RunningMax

Rows = list[tuple[int, int]]


def best_by_brute_force(rows: Rows, count: int, client: int) -> int | None:
    """The largest value of another group among the first ``count`` rows."""
    return max((value for value, group in rows[:count] if group != client), default=None)


def best(rows: Rows, count: int, client: int) -> int | None:
    values = np.array([value for value, _ in rows], np.int64)
    rivals = RunningMax.of(values, np.array([group for _, group in rows], np.int64))
    place = int(rivals.best(np.array([count]), np.array([client]))[0])
    return None if place < 0 else int(values[place])


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), max_size=12), st.integers(0, 12), st.integers(0, 4))
def test_the_best_of_the_others_agrees_with_brute_force(rows: Rows, count: int, client: int) -> None:
    count = min(count, len(rows))
    assert best(rows, count, client) == best_by_brute_force(rows, count, client)


def test_the_maximum_of_the_excluded_group_is_not_returned() -> None:
    rows = [(9, 1), (4, 2)]
    assert max(value for value, _ in rows) == 9
    assert best(rows, 2, 1) == 4


def test_of_none_there_is_no_best() -> None:
    assert best([], 0, 0) is None
    assert best([(3, 1)], 1, 1) is None
