"""Why probes failed, in words and counts."""

from __future__ import annotations

from splitbrain.checkers import coverage
from splitbrain.checkers.failed_probes import failed, reasons, unusable
from splitbrain.checkers.history import History
from splitbrain.checkers.recording import MOST_REASONS, UncheckedRecording
from splitbrain.checkers.tests.histories import Story


def failing(story: Story, node: str, error: str, times: int = 1, f: str = "observe") -> Story:
    """Probes of the node that fail for that reason."""
    for _ in range(times):
        story.asked(f, node, 0, 1, "fail", error=error)
    return story


def test_reasons_are_counted_by_node() -> None:
    story = failing(failing(Story(), "n1", "status 401", 3), "n2", "no answer in time")
    history = failing(story, "n1", "not leading", f="confirm").history()
    assert failed(history, "observe") == {"n1: status 401": 3, "n2: no answer in time": 1}
    assert failed(history, "confirm") == {"n1: not leading": 1}
    assert reasons(history, ["n1"]) == "n1: status 401, 3 times"
    assert unusable(history) == "n1: status 401, 3 times"
    assert unusable(history, apart_from=("n1",)) == ""


def test_rare_reasons_of_many_are_taken_together() -> None:
    story = Story()
    for number in range(20):
        failing(story, "n1", f"reason {number:02}", 20 - number)
    counts = failed(story.history(), "observe")
    assert (len(counts), counts["others"]) == (12, sum(range(1, 10)))
    assert reasons(story.history(), ["n1"]).endswith("; 17 more")


def test_endless_reasons_are_bounded() -> None:
    story = Story()
    for number in range(MOST_REASONS + 5):
        failing(story, "n1", f"reason {number}")
    history = story.history()
    assert len(history.failures) == MOST_REASONS + 1
    assert history.failures["observe", "n1", "another reason"] == 5


def test_a_recording_in_memory_counts_them_too() -> None:
    recording = UncheckedRecording()
    recording.invoke(0, 1, "observe", "n1")
    recording.other(1, 1, "fail", "observe", "n1", None, "connection refused")
    assert failed(History.from_recording(recording, "a run"), "observe") == {"n1: connection refused": 1}


def test_coverage_says_why_a_node_never_answered_and_what_came_from_others() -> None:
    story = failing(Story().led("n1", 0, 1, term=1), "n2", "status 401", 2)
    verdict = coverage.check(failing(story, "n1", "term: expected an integer, got -1").history())
    assert "n2 never answered (n2: status 401, 2 times)" in verdict.words
    assert verdict.words.endswith("; answers that could not be used: n1: term: expected an integer, got -1, once")
    assert verdict.facts["observations_failed_because"]["n2: status 401"] == 2
