"""The bench of links: what its figures say, given how late packets were; the packets themselves are the engine's."""

from __future__ import annotations

from harness.runtimes.docker.bench import row, table

CALM = row(0, 100, [30] * 99 + [600])


def test_delays_that_are_kept_have_no_error() -> None:
    kept = row(5, 100, [5_030] * 99 + [5_600])
    assert (kept.least, kept.p50, kept.p99, kept.most, kept.lost) == (5.03, 5.03, 5.6, 5.6, 0)
    assert all(abs(error) < 1e-9 for error in kept.error(CALM))


def test_delays_that_are_not_kept_show_it_in_the_middle_or_in_the_tail() -> None:
    middle, tail = row(5, 100, [7_030] * 100).error(CALM)
    assert middle > 1.9 and tail > 1.4
    middle, tail = row(5, 100, [5_030] * 95 + [30_000] * 5).error(CALM)
    assert abs(middle) < 1e-9 and tail > 20


def test_packets_that_did_not_come_are_counted_and_make_no_others_late() -> None:
    assert row(5, 100, [5_030] * 90).lost == 10
    assert "| 5 | 5.03 | 5.03 | 5.03 | 5.03 | 10 | 0.00 | -0.57 |" in table([CALM, row(5, 100, [5_030] * 90)])
