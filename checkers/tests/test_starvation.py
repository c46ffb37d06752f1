"""Periods in which the machine was starved."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.tests.histories import Story

BOUNDS = Bounds(canary_late_ns=2)


@st.composite
def canary(draw: st.DrawFn) -> list[tuple[int, int]]:
    """(time, late) of one canary: it sleeps, wakes late, and sleeps again."""
    samples, time = [], 0
    for asleep, late in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=8)):
        time += asleep + late
        samples.append((time, late))
    return samples


def starved_at(samples: list[tuple[int, int]], tick: float) -> bool:
    return any(late > 2 and time - late <= tick <= time for time, late in samples)


@given(canary(), st.integers(0, 30), st.integers(0, 10))
def test_a_period_is_starved_iff_some_instant_of_it_is(samples: list[tuple[int, int]], start: int, length: int) -> None:
    story = Story()
    for time, late in samples:
        story.canary(time, late)
    starved = Starvation.of(story.history(), BOUNDS)
    end = start + length
    ticks = [start + half / 2 for half in range(2 * length + 1)]
    assert starved.within(np.array([start]), np.array([end]))[0] == any(starved_at(samples, tick) for tick in ticks)
    free = starved.free(start, end)
    for tick in ticks:
        inside = any(a < tick < b for a, b in free)
        assert not (inside and starved_at(samples, tick))
        assert inside or starved_at(samples, tick) or tick in (start, end) or start == end


def test_the_tolerated_lateness_is_the_longest_lateness_that_is_no_starvation() -> None:
    starved = Starvation.of(Story().canary(10, 1).canary(20, 2).canary(30, 9).history(), BOUNDS)
    assert (starved.tolerated, starved.start.tolist(), starved.end.tolist()) == (2, [21], [30])


def test_without_a_canary_nothing_was_starved() -> None:
    starved = Starvation.of(Story().history(), BOUNDS)
    assert starved.tolerated == 0
    assert starved.free(3, 9) == [(3, 9)]
