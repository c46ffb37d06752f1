"""Figures and names as text."""

from __future__ import annotations

import pytest

from splitbrain.checkers.verdict import Outcome, worst
from splitbrain.checkers.words import all_of, counted, cut_short, duration, during, each_of, instant, listed, times
from splitbrain.names import MS


def test_durations_have_three_figures_and_a_unit() -> None:
    words = [duration(ns) for ns in (0, 7, 12_000, 480_000_000, 2_310_000_000, 61_000_000_000, 3_600_000_000_000)]
    assert words == ["0 ns", "7 ns", "12 µs", "480 ms", "2.31 s", "61 s", "3600 s"]


def test_names_and_counts_read_as_words() -> None:
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["none", "a", "a and b", "a, b and c"]
    assert (counted(1, "stall"), counted(2_000, "stall"), instant(1_500_000_000)) == (
        "1 stall",
        "2,000 stalls",
        "1.500 s",
    )


def test_counts_have_a_singular() -> None:
    assert [each_of(n, "term") for n in (1, 3)] == ["the only term", "each of 3 terms"]
    assert [all_of(n, "write") for n in (1, 3)] == ["the only write", "all 3 writes"]
    assert [cut_short(total, 200) for total in (200, 201)] == ["", ", of which 200 are listed"]


def test_the_worst_of_several_wins_and_none_are_unknown() -> None:
    assert worst([Outcome.VALID, Outcome.INVALID, Outcome.UNKNOWN]) is Outcome.INVALID
    assert worst([Outcome.VALID, Outcome.UNKNOWN]) is Outcome.UNKNOWN
    assert worst([]) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (2_200 * MS, 8_400 * MS, "from 2.200 s to 8.400 s"),
        (2_200 * MS, 2_203 * MS, "from 2.200 000 s to 2.203 000 s"),
        (276_600_412_000, 276_600_626_000, "at 276.600 412 s"),
        (30, 50, "at 0.000 000 030 s"),
        (5 * MS, 5 * MS, "at 0.005 000 000 s"),
    ],
)
def test_an_interval_is_said_as_exactly_as_its_length_needs(start: int, end: int, said: str) -> None:
    assert during(start, end) == said


def test_how_often_has_a_singular() -> None:
    assert [times(count) for count in (1, 2, 1000)] == ["once", "twice", "1,000 times"]
