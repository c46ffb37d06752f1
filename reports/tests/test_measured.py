from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.reports import measured
from splitbrain.reports.tests.literal import Lines, confirm, history, observe, until

SECOND, MS = 1_000_000_000, 1_000_000


@pytest.mark.parametrize(
    ("seconds", "width_s"), [(0.5, 0.005), (1, 0.01), (60, 0.5), (600, 5), (3600, 50), (10 * 86_400, 10_000)]
)
def test_the_grid_adapts_to_the_length_of_the_run(seconds: float, width_s: float) -> None:
    assert measured.grid(int(seconds * SECOND)) == width_s * SECOND


def test_a_run_of_a_minute_has_more_than_a_hundred_points_a_curve() -> None:
    run = history(*(confirm("n1", at * SECOND, at * SECOND + 5) for at in range(60)), until(60 * SECOND))
    assert len(measured.series(run, "confirm").p50_ms) > 100


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200), st.booleans()), min_size=1, max_size=40))
def test_rates_and_latencies_are_those_that_counting_by_hand_gives(asked: list[tuple[int, int, bool]]) -> None:
    run = history(*(confirm("n1", at * MS, (at + took) * MS, worked) for at, took, worked in asked), until(1200 * MS))
    found = measured.series(run, "confirm")
    took_in: dict[int, list[float]] = defaultdict(list)
    done_in: dict[tuple[int, bool], int] = defaultdict(int)
    for at, took, worked in asked:
        done_in[(at + took) * MS // found.width, worked] += 1
        if worked:
            took_in[at * MS // found.width].append(took)
    for k in range(len(found.p50_ms) - 1):
        assert found.ok_per_s[k] * found.width / SECOND == pytest.approx(done_in[k, True])
        assert found.failed_per_s[k] * found.width / SECOND == pytest.approx(done_in[k, False])
        slow = sorted(took_in[k])
        assert nothing(found.p50_ms[k]) if not slow else found.p50_ms[k] == slow[math.ceil(len(slow) / 2) - 1]
        assert nothing(found.p99_ms[k]) if not slow else found.p99_ms[k] == slow[-1]


def nothing(value: float) -> bool:
    return math.isnan(value)


def test_a_last_bin_too_short_to_count_in_shows_no_rate() -> None:
    run = history(confirm("n1", 0, 10), until(60 * SECOND + 5))
    assert nothing(measured.series(run, "confirm").ok_per_s[-1])
    assert not nothing(measured.series(run, "confirm").ok_per_s[-2])


def test_terms_are_steps_at_the_answers_that_changed_them() -> None:
    run = history(
        observe("n1", 0, 5, term=1),
        observe("n1", 10, 15, term=1),
        observe("n1", 20, 25, term=4),
        observe("n1", 30, 35, leader="n2"),
        observe("n2", 0, 6),
    )
    assert measured.terms(run).steps == (((5, 1), (25, 4)), ())


def test_of_too_many_steps_the_first_are_kept_and_the_rest_counted() -> None:
    run = history(*(observe("n1", at, at + 1, term=at) for at in range(0, 100, 10)))
    found = measured.terms(run, limit=4)
    assert (len(found.steps[0]), found.left_out) == (4, 6)


def test_answers_are_shares_of_what_each_node_was_asked() -> None:
    run = history(
        observe("n1", 0, 5, term=1, leading=True),
        observe("n1", 10, 15),
        observe("n1", 60, 65, term=1),
        observe("n1", 70, 75, term=1, leading=True),
        observe("n2", 62, 66),
        observe("n2", 72, 76),
        observe("n2", 82, 86),
        observe("n2", 92, 99),
    )
    found = measured.answers(run, bins=2)
    assert found.width == 50
    np.testing.assert_array_equal(found.answered, [[0.5, 1.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(found.leading, [[1.0, 0.5], [np.nan, np.nan]])


def test_a_history_without_observations_has_no_answers() -> None:
    assert measured.answers(history(until(50))).answered.shape == (0, 1)


def test_a_gap_between_confirmations_stands_out_when_it_is_long() -> None:
    steady = [confirm("n1", at * 10 * MS, at * 10 * MS + 5) for at in range(20)]
    late = [confirm("n2", (900 + at * 10) * MS, (900 + at * 10) * MS + 5) for at in range(20)]
    found = measured.confirms(history(*steady, *late, until(1100 * MS)))
    assert found.quiet == ((190 * MS + 5, 900 * MS + 5),)
    assert (found.total, found.quiet_longer_than) == (40, 100 * MS)


def test_failed_confirmations_confirm_nothing() -> None:
    found = measured.confirms(history(confirm("n1", 0, 5, worked=False), until(900 * MS)))
    assert (found.total, found.quiet) == (0, ())


def test_too_many_confirmations_are_counted_and_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = history(*(confirm("n1", at, at + 1) for at in range(5)))
    assert measured.confirms(run).times is not None
    monkeypatch.setattr(measured, "MAX_CONFIRMS", 4)
    assert measured.confirms(run).times is None


def test_lateness_shows_the_worst_sample_of_a_bin() -> None:
    def sample(at: int, late: int) -> Lines:
        return [(at, {"process": "canary", "type": "info", "f": "canary", "node": None, "value": {"late": late * MS}})]

    found = measured.lateness(history(sample(0, 1), sample(1, 40), sample(2, 2), until(SECOND)))
    assert (found.worst_ms[0], found.median_ms[0]) == (40.0, 2.0)
