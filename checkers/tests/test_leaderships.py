"""Reigns, their bounds and their splitting, against loops over all claims and denials, with many equal times."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.history import History
from splitbrain.checkers.leaderships import EVER, claimed_at, hulls, leading_at, split
from splitbrain.checkers.tests.histories import Story

Window = tuple[int, int]
Seen = tuple[str | None, int, int]  # the key of a claim, None for a denial; invoke, complete

seen_of_a_node = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 8), st.integers(0, 3)).map(
        lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
    min_size=1,
    max_size=7,
)


def history_of(seen: list[Seen]) -> History:
    story = Story()
    for key, a, b in seen:
        story.saw("n1", a, b) if key is None else story.led("n1", a, b, reign=key)
    return story.history()


def zone(seen: list[Seen], key: str) -> Window:
    windows = [(a, b) for k, a, b in seen if k == key]
    return max(a for a, _ in windows), min(b for _, b in windows)


@given(seen_of_a_node)
def test_s_is_the_latest_invoke_f_the_earliest_completion_and_denials_bound_a_reign(seen: list[Seen]) -> None:
    history = history_of(seen)
    led = history.leaderships
    widest = hulls(history.observations, led)
    assert sorted(led.key(at) for at in range(len(led))) == sorted({key for key, _, _ in seen if key is not None})
    for at in range(len(led)):
        key = led.key(at)
        s, f = zone(seen, key)
        others = [(a, b) for k, a, b in seen if k != key]
        assert (led.s[at], led.f[at]) == (s, f)
        assert widest.start[at] == max((a for a, b in others if b < s), default=-EVER)
        assert widest.end[at] == min((b for a, b in others if a > f), default=EVER)


@given(seen_of_a_node)
def test_a_refuted_reign_is_split_wherever_a_denial_certainly_lies_between(seen: list[Seen]) -> None:
    history = history_of(seen)
    observations, led = history.observations, history.leaderships
    refuted = hulls(observations, led).end < led.s
    parts = split(observations, led, refuted).of_row
    claims = np.flatnonzero(led.of_row >= 0).tolist()
    window = {row: (int(observations.invoke[row]), int(observations.complete[row])) for row in range(len(seen))}
    for one in claims:
        for other in claims:
            if one == other:
                continue
            (a1, b1), (a2, b2) = window[one], window[other]
            same_reign = led.of_row[one] == led.of_row[other]
            denials = [w for row, w in window.items() if led.of_row[row] != led.of_row[one]]
            alone = any(c <= b and a <= d for c, d in denials for a, b in ((a1, b1), (a2, b2)))
            between = any((b1 < c and d < a2) or (b2 < c and d < a1) for c, d in denials)
            kept = same_reign and (not refuted[led.of_row[one]] or (not alone and not between))
            assert (parts[one] == parts[other]) == kept


def test_the_latest_answer_is_one_that_had_come_by_then() -> None:
    story = Story().led("n1", 0, 5, term=1).saw("n1", 6, 9).saw("n2", 0, 1)
    seen = story.history().observations
    rows = [int(claimed_at(seen, np.array([time]), 0)[0]) for time in (4, 5, 8, 9)]
    assert [None if row < 0 else bool(seen.leading[row]) for row in rows] == [None, True, True, False]
    assert leading_at(seen, np.array([4, 5, 9]), 2).tolist() == [[False, False], [True, False], [False, False]]


def test_a_reign_is_named_by_its_key_its_term_or_its_line() -> None:
    story = Story().led("n1", 0, 1, reign="b-1", term=4).led("n2", 2, 3, term=5).led("n3", 4, 5)
    led = story.history().leaderships
    assert [led.key(at) for at in range(3)] == ["b-1", "term 5", "line 5"]
    assert [led.term_of(at) for at in range(3)] == [4, 5, None]


def test_one_key_at_two_nodes_is_two_reigns() -> None:
    assert len(Story().led("n1", 0, 1, term=3).led("n2", 2, 3, term=3).history().leaderships) == 2
