from __future__ import annotations

from splitbrain.names import MS
from splitbrain.reports import frames
from splitbrain.reports.faults import fault_rows, faults_note, recovery_chart, spread
from splitbrain.reports.tests.literal import fault, history, until

LINKS = [[a, b] for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b]
RUN = history(
    fault("partition", 1000 * MS, 1020 * MS, id=1, nodes=["n1"], links=LINKS, shape="isolated-leader", verified=True),
    fault("heal", 3000 * MS, 3010 * MS, id=2, heals=[1]),
    fault("partition", 4000 * MS, 4001 * MS, id=3, shape="leader-deaf", skipped="no leader"),
    fault("partition", 5000 * MS, 5030 * MS, id=4, links=LINKS[:1], verified=False),
    until(9000 * MS),
)
FACTS = {
    "bound_ns": 4_400 * MS,
    "faults": [{"id": 1, "recovery_ns": 700 * MS, "gap_ns": 900 * MS, "leader_touched": True, "leader_changed": True}],
    "heals": [{"done": 3010 * MS, "agreement_ns": 40 * MS}],
}
GATHERED = frames.gather(RUN, {"properties": {"stall": {"facts": FACTS}}}, {"bounds": {"stall_ms": 2100}})


def test_a_row_tells_what_was_asked_what_happened_and_what_it_did() -> None:
    row = fault_rows(GATHERED)[0]
    assert (row.name, row.targets, row.begun, row.effect) == (
        "partition: isolated-leader",
        "n1; 6 links",
        "1.00",
        "20.0",
    )
    assert (row.verified, row.undone, row.leader) == ("yes", "3.01", "affected, changed")
    assert (row.gap, row.recovery, row.agreement) == ("0.90", "0.70", "0.04")


def test_a_skipped_fault_gives_its_reason_and_an_unverified_one_stands_out() -> None:
    _, skipped, failed = fault_rows(GATHERED)
    assert (skipped.verified, skipped.effect, skipped.undone) == ("skipped: no leader", "–", "–")
    assert (failed.verified, failed.undone, failed.targets, failed.recovery) == ("NO", "never", "n1→n2", "–")


def test_the_note_counts_planned_begun_skipped_and_failed() -> None:
    assert faults_note(GATHERED, {"steps": [{}, {}, {}, {}]}) == (
        "2 of 4 planned faults injected; 1 skipped; 1 not verified to have taken effect."
    )
    assert faults_note(frames.gather(history(until(5)), {}, {}), {}) == "No fault was injected."
    assert faults_note(frames.gather(history(until(5)), {}, {}), {"steps": [1]}) == "0 of 1 planned fault injected."


def test_a_step_that_injects_many_faults_is_counted_as_a_step() -> None:
    cuts = [fault("partition", at * MS, (at + 1) * MS, id=at, nodes=["n1"]) for at in (10, 20, 30)]
    found = frames.gather(history(*cuts, until(90 * MS)), {}, {})
    assert faults_note(found, {"steps": [1, 2]}) == "3 faults injected in 2 planned steps."
    assert faults_note(found, {}) == "3 faults injected."


def test_the_chart_holds_each_recovery_and_both_bounds_in_one_scale() -> None:
    chart = recovery_chart(GATHERED)
    assert chart is not None
    assert [(row.name, row.summary, len(row.dots)) for row in chart.rows] == [("isolated-leader", "1 of 1", 1)]
    promised, judged = chart.bounds
    assert (promised.label, judged.label) == ("promised 2.1 s", "judged 4.4 s")
    zero = chart.ticks[0].x
    assert abs((chart.rows[0].dots[0].x - zero) / (promised.x - zero) - 0.7 / 2.1) < 0.01


def test_without_a_measurement_there_is_no_chart() -> None:
    assert recovery_chart(frames.gather(RUN, {}, {})) is None


def test_dots_of_one_row_stay_apart_and_within_reach() -> None:
    offsets = spread(20, 8)
    assert len({round(offset, 1) for offset in offsets}) == 20
    assert all(-8 <= offset <= 8 for offset in offsets)
    assert spread(1, 8) == [0.0]


def crossed(*rows: tuple[list[str], float, float | None]) -> list[dict[str, object]]:
    return [
        {"link": link, "ago_ms": ago, "after_ms": after, "over": "tcp" if after else None} for link, ago, after in rows
    ]


def first_data(reported: object) -> list[str]:
    """The column of first data over healed links, of two cuts that end at 1.5 s and at 3 s, reported at 5 s."""
    run = history(
        fault("partition", 1000 * MS, 1001 * MS, id=1, links=LINKS[:2]),
        fault("heal", 1500 * MS, 1510 * MS, id=2, heals=[1]),
        fault("partition", 2000 * MS, 2001 * MS, id=3, links=LINKS[:1]),
        fault("heal", 3000 * MS, 3010 * MS, id=4, heals=[3]),
        fault("heal", 4990 * MS, 5000 * MS, id=5, crossed=reported),
        until(9000 * MS),
    )
    return [row.first_data for row in fault_rows(frames.gather(run, {}, {}))]


def test_the_first_data_over_a_healed_link_is_shown_at_the_fault_that_cut_it() -> None:
    one, other = LINKS[:2]
    reported = crossed((one, 3495.0, 40.0), (other, 3495.0, 900.0), (one, 1995.0, 20.0))
    assert first_data(reported) == ["0.90 (2 of 2)", "0.02 (1 of 1)"]


def test_links_without_data_are_counted_and_have_no_time() -> None:
    one, other = LINKS[:2]
    assert first_data(crossed((one, 3495.0, 40.0), (other, 3495.0, None))) == ["0.04 (1 of 2)", "–"]
    assert first_data(crossed((one, 3495.0, None))) == ["– (0 of 1)", "–"]


def test_reports_of_other_links_or_times_or_malformed_ones_are_ignored() -> None:
    assert first_data(crossed((LINKS[3], 3495.0, 40.0), (LINKS[0], 2500.0, 40.0))) == ["–", "–"]
    assert first_data(None) == ["–", "–"]
    assert first_data("soon") == ["–", "–"]
