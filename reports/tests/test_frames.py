from __future__ import annotations

from typing import Any

from splitbrain.reports.fault_windows import windows
from splitbrain.reports.frames import RecoveryBound, bounds, gather, impacts, placed_findings, recovery
from splitbrain.reports.tests.literal import fault, history, until

RUN = history(
    fault("partition", 10, 12, id=1, nodes=["n1"], shape="isolated-leader"),
    fault("heal", 50, 53, id=2, heals=[1]),
    fault("kill", 60, 62, id=3, nodes=["n1"]),
    fault("partition", 70, 72, id=4, nodes=["n1"], verified=False),
    until(90),
)


def stall(**facts: Any) -> dict[str, Any]:
    return {"properties": {"stall": {"facts": facts}}}


MEASURED = stall(
    bound_ns=4_400_000_000,
    faults=[
        {"id": 1, "recovery_ns": 700_000_000, "gap_ns": 900_000_000, "leader_touched": True, "leader_changed": False},
        {"id": 3, "recovery_ns": None, "gap_ns": None},
        {"id": 4, "recovery_ns": 1},
    ],
    heals=[{"id": 2, "done": 53, "agreement_ns": 250_000_000}],
)


def test_what_a_fault_did_comes_from_the_stall_checker_and_agreement_from_its_heal() -> None:
    found = impacts(MEASURED, windows(RUN))
    assert (found["1"].recovery_s, found["1"].gap_s, found["1"].agreement_s) == (0.7, 0.9, 0.25)
    assert (found["1"].leader_touched, found["1"].leader_changed) == (True, False)
    assert (found["3"].recovery_s, found["3"].agreement_s) == (None, None)


def test_recoveries_are_grouped_by_shape_and_faults_that_took_no_effect_are_left_out() -> None:
    rows = recovery(windows(RUN), impacts(MEASURED, windows(RUN)))
    assert [(row.shape, row.seconds, row.faults) for row in rows] == [
        ("isolated-leader", (0.7,), ("1",)),
        ("kill", (None,), ("3",)),
    ]


def test_findings_without_a_time_are_not_placed() -> None:
    findings = [
        {"start": 5, "end": 9, "words": "later"},
        {"start": 1, "end": 2, "words": "sooner", "nodes": ["n1"], "evidence": [3]},
        {"words": "never"},
        "no finding at all",
    ]
    found = placed_findings({"properties": {"exclusivity": {"findings": findings}}}, "exclusivity")
    assert [mark.words for mark in found] == ["sooner", "later"]
    assert (found[0].nodes, found[0].evidence) == (("n1",), (3,))


def test_a_recovery_is_held_against_what_is_promised_and_what_is_judged() -> None:
    assert bounds(MEASURED, {"bounds": {"stall_ms": 2100}}) == (
        RecoveryBound(words="promised", seconds=2.1),
        RecoveryBound(words="judged", seconds=4.4),
    )
    assert bounds({}, {"bounds": "soon"}) == ()


def test_frames_of_a_run_without_verdicts_hold_what_the_history_tells() -> None:
    found = gather(RUN, {}, {})
    assert (len(found.faults), found.impacts, found.recovery, found.overlaps) == (3, {}, (), ())
