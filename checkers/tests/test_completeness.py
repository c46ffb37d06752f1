"""Completeness: a run that was cut short is unknown, and says what is missing."""

from __future__ import annotations

import pytest

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.coverage import check
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Line, Story, both_ways
from splitbrain.checkers.verdict import Outcome
from splitbrain.names import COMPLETE, MS

SECOND = 1_000 * MS
CUT = both_ways(["n1"], ["n2", "n3"])
END: Line = {"process": "run", "type": "info", "f": COMPLETE, "node": None}
PLANNED = Bounds(planned_ns=10 * SECOND, closed=True, members=("n1", "n2", "n3"))
BEFORE_LAST_LINES = Bounds(planned_ns=10 * SECOND, members=("n1", "n2", "n3"))


def led_until(end: int) -> Story:
    """A leader that is cut off for a second, and every node observed, until ``end`` (ns)."""
    story = Story().cut(2 * SECOND, 2 * SECOND + 1, CUT).fault("heal", 3 * SECOND, 3 * SECOND + 1, heals=[0], links=CUT)
    for at in range(0, end, 100 * MS):
        story.led("n1", at, at + MS, term=1)
        if not 2 * SECOND <= at <= 3 * SECOND:
            story.confirmed("n1", at, at + MS)
        story.saw("n2", at, at + MS, leader="n1", term=1).saw("n3", at, at + MS, leader="n1", term=1)
    return story


def closed(story: Story, end: int) -> History:
    story.lines.append((end, END))
    return story.history()


@pytest.mark.parametrize(
    ("end_s", "healed", "bounds", "missing"),
    [
        (4, False, PLANNED, "after 4 s: 6 s of the 10 s of faults and the whole recovery are missing"),
        (11, False, PLANNED, "after 11 s: the whole recovery is missing"),
        (11, True, PLANNED, "after 11 s: the end of the recovery is missing"),
        (4, False, BEFORE_LAST_LINES, "after 4 s: 6 s of the 10 s of faults and the whole recovery are missing"),
        (11, False, BEFORE_LAST_LINES, "after 11 s: the whole recovery is missing"),
        (11, True, BEFORE_LAST_LINES, None),
        (4, False, Bounds(), None),
    ],
)
def test_a_history_that_ends_before_its_plan_is_unknown_and_says_what_is_missing(
    end_s: int, healed: bool, bounds: Bounds, missing: str | None
) -> None:
    story = led_until(end_s * SECOND)
    if healed:
        story.fault("heal", 10 * SECOND, 10 * SECOND + 1)
    story.led("n1", end_s * SECOND, end_s * SECOND, term=1)
    verdict = check(story.history(), bounds)
    assert verdict.outcome is (Outcome.VALID if missing is None else Outcome.UNKNOWN)
    assert missing is None or verdict.words == f"the run was cut short {missing}"


def test_a_history_with_its_last_line_is_complete() -> None:
    verdict = check(closed(led_until(11 * SECOND), 12 * SECOND), PLANNED)
    assert (verdict.outcome, verdict.facts["completed"]) == (Outcome.VALID, True)


def test_a_run_that_was_cut_short_passes_by_no_choice_of_properties() -> None:
    judgement = judge(led_until(4 * SECOND).history(), bounds=PLANNED, only=("exclusivity",))
    assert judgement["exclusivity"].outcome is Outcome.VALID
    assert judgement.outcome is Outcome.UNKNOWN
    assert "the run was cut short after 3.9 s: " in judgement.words


def test_a_violation_in_a_run_that_was_cut_short_stands() -> None:
    history = led_until(4 * SECOND).led("n2", 1, 3 * SECOND, term=1).history()
    judgement = judge(history, bounds=PLANNED)
    assert judgement["term-safety"].outcome is Outcome.INVALID
    assert judgement.outcome is Outcome.INVALID
