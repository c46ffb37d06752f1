"""A host's clock: reading it and asking when it will show something never disagree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.runtimes.sim.clock import Clock

INSTANTS = st.integers(0, 10**13)
CLOCKS = st.builds(Clock, since=INSTANTS, shown=INSTANTS, ppm=st.integers(-900_000, 5_000_000))


@given(CLOCKS, st.integers(0, 10**13))
def test_the_first_instant_at_which_a_time_is_shown_is_exact(clock: Clock, ahead: int) -> None:
    shows = clock.shown + ahead
    when = clock.when(shows)
    assert clock.read(when) >= shows > clock.read(when - 1)


@given(CLOCKS, st.integers(0, 10**12), st.integers(-(10**12), 10**12), st.integers(-900_000, 5_000_000))
def test_a_changed_clock_goes_on_from_where_it_was(clock: Clock, after: int, jump: int, ppm: int) -> None:
    now = clock.since + after
    changed = clock.changed(now, jump=jump, ppm=ppm)
    assert changed.read(now) == clock.read(now) + jump
    assert changed.read(now + 10**6) - changed.read(now) == 10**6 + ppm


def test_a_clock_keeps_its_rate_over_a_jump() -> None:
    assert Clock(ppm=100).changed(10**6, jump=5).ppm == 100


def test_a_clock_that_would_stand_still_is_refused() -> None:
    with pytest.raises(ValueError, match="runs forward"):
        Clock(ppm=-1_000_000)
