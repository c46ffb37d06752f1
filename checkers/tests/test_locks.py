"""Locks: holds that certainly overlap and updates that were lost, on literal histories and against brute force."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.judge import judge
from splitbrain.checkers.lock_holds import lock_holds
from splitbrain.checkers.lost_updates import check as lost_updates
from splitbrain.checkers.mutual_exclusion import check as mutual_exclusion
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome


class Locked(Story):
    """A story of holds; process p is a contender on node n<p>."""

    def held(
        self, p: int, got: int, given: int, outcome: str = "ok", value: Any = None, key: str | None = None
    ) -> Locked:
        """Acquired at ``got``, release asked for at ``given``; both take 1 ns."""
        sent = None if key is None else {"key": key}
        self.asked("acquire", f"n{p}", got - 1, got, "ok", process=p, sent=sent)
        self.asked("release", f"n{p}", given, given + 1, outcome, value, process=p, sent=sent)
        return self


def overlap(story: Story) -> Outcome:
    return mutual_exclusion(story.history()).outcome


def test_two_holds_that_overlap_break_mutual_exclusion_and_two_in_turn_do_not() -> None:
    assert overlap(Locked().held(1, 10, 20).held(2, 30, 40)) is Outcome.VALID
    verdict = mutual_exclusion(Locked().held(1, 10, 30).held(2, 20, 40).history())
    assert verdict.outcome is Outcome.INVALID
    assert verdict.words == "1 hold began during another"
    assert verdict.detail == "n1 and n2 both held the lock for 10 ns, at 0.000 000 020 s"
    assert (verdict.findings[0].start, verdict.findings[0].end, verdict.evidence) == (20, 30, (1, 3, 4, 6))


def test_windows_that_overlap_are_no_holds_that_do() -> None:
    """The acquire was answered after the other's release had been asked for: the lock may have passed in between."""
    story = Story().asked("acquire", "n1", 0, 10, "ok", process=1).asked("acquire", "n2", 5, 25, "ok", process=2)
    story.asked("release", "n1", 20, 40, "ok", process=1).asked("release", "n2", 50, 51, "ok", process=2)
    assert overlap(story) is Outcome.VALID


@pytest.mark.parametrize(("outcome", "value"), [("fail", None), ("info", None), ("ok", {"held": False})])
def test_a_hold_that_may_have_been_lost_before_its_release_is_definite_only_when_it_began(
    outcome: str, value: Any
) -> None:
    assert overlap(Locked().held(1, 10, 30, outcome, value).held(2, 20, 40)) is Outcome.VALID
    assert overlap(Locked().held(1, 10, 40).held(2, 20, 30, outcome, value)) is Outcome.INVALID
    assert overlap(Locked().held(1, 10, 30, "ok", {"held": True}).held(2, 20, 40)) is Outcome.INVALID


def test_a_hold_that_was_never_released_is_definite_only_when_it_began() -> None:
    story = Locked()
    story.asked("acquire", "n1", 0, 1, "ok", process=1)
    assert overlap(story.held(2, 20, 40)) is Outcome.VALID
    assert mutual_exclusion(story.history()).facts["holds_of_unknown_end"] == 1


def test_locks_of_different_keys_do_not_exclude_one_another() -> None:
    assert overlap(Locked().held(1, 10, 30, key="a").held(2, 20, 40, key="b")) is Outcome.VALID
    assert overlap(Locked().held(1, 10, 30, key="a").held(2, 20, 40, key="a")) is Outcome.INVALID


def test_a_lock_that_was_never_acquired_was_not_tested() -> None:
    story = Story().asked("acquire", "n1", 0, 1, "fail")
    assert overlap(story) is Outcome.UNKNOWN
    assert mutual_exclusion(story.history()).facts["acquires_refused"] == 1


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), max_size=6))
def test_an_overlap_is_found_iff_some_pair_of_holds_overlaps(drawn: list[tuple[int, int]]) -> None:
    story = Locked()
    for process, (got, length) in enumerate(drawn):
        story.held(process, 2 * got, 2 * (got + length))
    history = story.history()
    found = lock_holds(history)
    pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :]]
    dual = any(max(a.first_line, b.first_line) < min(a.last_line, b.last_line) for a, b in pairs)
    assert (mutual_exclusion(history).outcome is Outcome.INVALID) == dual
    assert len(found) == len(drawn)


def added(*there: str) -> Story:
    """n1 and n2 added something each, n3 was refused, n4's fate is unknown; then the set was read."""
    story = Story().asked("add", "n1", 0, 5, "ok", sent="n1-1").asked("add", "n2", 3, 8, "ok", sent="n2-1")
    story.asked("add", "n3", 9, 10, "fail", sent="n3-1").asked("add", "n4", 9, 12, "info", sent="n4-1")
    return story.asked("read-set", None, 20, 21, "ok", list(there))


@pytest.mark.parametrize(
    ("there", "broken", "lost"),
    [
        (("n1-1", "n2-1"), False, 0),
        (("n1-1", "n2-1", "n4-1"), False, 0),
        (("n2-1",), True, 1),
        ((), True, 2),
        (("n1-1", "n2-1", "n3-1"), True, 0),
        (("n1-1", "n2-1", "n9-1"), True, 0),
    ],
    ids=["intact", "unknown", "one lost", "all lost", "refused", "invented"],
)
def test_an_acknowledged_addition_is_in_the_set_and_a_refused_one_is_not(
    there: tuple[str, ...], broken: bool, lost: int
) -> None:
    verdict = lost_updates(added(*there).history())
    assert (verdict.outcome is Outcome.INVALID, verdict.facts["additions_lost"]) == (broken, lost)


def test_a_lost_update_is_reported_with_its_lines() -> None:
    verdict = lost_updates(added("n2-1").history())
    assert "the addition of n1-1 by n1" in verdict.words
    assert "1 of 2 acknowledged additions lost" in verdict.words
    assert verdict.evidence == (2, 9)


def test_a_reading_owes_nothing_to_additions_acknowledged_after_it_began() -> None:
    story = Story().asked("read-set", None, 4, 9, "ok", []).asked("add", "n1", 0, 5, "ok", sent="n1-1")
    verdict = lost_updates(story.history())
    assert (verdict.outcome, verdict.findings) == (Outcome.UNKNOWN, ())
    assert verdict.words == "the set was not read after the additions, so lost updates were not tested"


def test_additions_after_the_last_reading_are_counted() -> None:
    verdict = lost_updates(added("n1-1", "n2-1").asked("add", "n1", 30, 35, "ok", sent="n1-2").history())
    assert verdict.outcome is Outcome.VALID
    assert verdict.words == "0 of 3 acknowledged additions lost, of which 1 came after the last reading"


def test_nothing_added_or_never_read_is_unknown() -> None:
    assert lost_updates(Story().asked("read-set", None, 0, 1, "ok", []).history()).outcome is Outcome.UNKNOWN
    assert lost_updates(Story().asked("add", "n1", 0, 1, "ok", sent="a").history()).outcome is Outcome.UNKNOWN
    wrong = lost_updates(added().asked("read-set", None, 30, 31, "ok", 7).history())
    assert wrong.words == "line 12 of the history: expected the value of a read-set that is ok to be a list, got 7"


def test_only_histories_with_a_lock_or_a_set_are_judged_by_them() -> None:
    names = [each.name for each in judge(Locked().held(1, 10, 20).history()).properties]
    assert "mutual-exclusion" in names
    assert "lost-updates" not in names
