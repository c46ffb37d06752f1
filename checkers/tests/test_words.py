"""Figures and names as text."""

from __future__ import annotations

from splitbrain.checkers.verdict import Outcome, worst
from splitbrain.checkers.words import all_of, counted, cut_short, duration, each_of, instant, listed


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
