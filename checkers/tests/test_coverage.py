"""Coverage: a run that tested nothing is unknown, and says why."""

from __future__ import annotations

import pytest

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.coverage import check
from splitbrain.checkers.history import History
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome

CUT = both_ways(["n1"], ["n2", "n3"])


def led() -> Story:
    return Story().led("n1", 0, 1, term=1).saw("n2", 0, 1, leader="n1", term=1).saw("n3", 0, 1, leader="n1", term=1)


def test_a_verified_fault_on_the_leader_is_coverage() -> None:
    story = (
        led()
        .cut(10, 20, CUT, shape="isolated-leader", **{"class": "leader-isolated"}, effect={"verified": True})
        .fault("heal", 30, 40)
    )
    verdict = check(story.confirmed("n2", 25, 26).saw("n2", 27, 28).asked("observe", "n3", 28, 29, "fail").history())
    assert verdict.outcome is Outcome.VALID
    assert verdict.words == "1 fault took effect, 1 on a leader"
    facts = verdict.facts
    assert facts["faults_by_name"] == {"partition": 1}
    assert (facts["faults_by_shape"], facts["faults_by_class"]) == ({"isolated-leader": 1}, {"leader-isolated": 1})
    assert (facts["faults_verified"], facts["faults_in_effect"], facts["repairs"]) == (1, 1, 1)
    assert (facts["observations_during_faults"], facts["confirmations_during_faults"]) == (1, 1)
    assert (facts["observations_failed_share"], facts["observations_unknown_share"]) == (0.2, 0.0)
    assert (facts["observations_asked"], facts["observations_ok"]) == (5, 4)


def test_only_faults_in_effect_are_counted_by_shape_and_class() -> None:
    story = (
        led().cut(10, 20, CUT, shape="halves", **{"class": "partition"}, effect={"verified": False}).cut(30, 40, CUT)
    )
    facts = check(story.history()).facts
    assert (facts["faults_by_shape"], facts["faults_by_class"], facts["faults_not_verified"]) == ({}, {}, 1)


def test_probes_during_faults_are_counted_once_however_many_faults_there_are() -> None:
    story = led().cut(10, 11, CUT).cut(15, 16, CUT).fault("heal", 20, 21).cut(30, 31, CUT)
    for at in (9, 10, 17, 20, 25, 30, 40):
        story.saw("n2", at, at)
    assert check(story.history()).facts["observations_during_faults"] == 5


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (Story().cut(10, 20, CUT), "no node was observed"),
        (Story().saw("n1", 0, 1).cut(10, 20, CUT), "no node was seen leading"),
        (led(), "no fault was injected"),
        (led().fault("heal", 10, 20), "no fault was injected"),
        (led().cut(10, 20, CUT, effect={"skipped": "no leader"}), "no fault took effect"),
        (led().cut(10, None, CUT), "no fault took effect"),
        (
            led().cut(10, 20, CUT, id=4, effect={"verified": False}),
            "1 fault could not be verified: partition 4",
        ),
        (led().cut(10, 20, [("n2", "n3")]), "no fault affected a leader"),
        (led().cut(10, 20, CUT).canary(5, 90).canary(9, 90).canary(12, 1), "the machine was late throughout"),
    ],
)
def test_a_run_that_tested_nothing_says_why(story: Story, words: str) -> None:
    verdict = check(story.history(), Bounds(canary_late_ns=25))
    assert verdict.outcome is Outcome.UNKNOWN
    assert words in verdict.words


def test_a_fault_on_a_server_is_as_good_as_one_on_a_leader() -> None:
    story = led().fault("kill", 10, 20, nodes=["s1"])
    assert check(story.history(), Bounds(servers=("s1", "s2", "s3"))).outcome is Outcome.VALID
    assert check(story.history(), Bounds()).outcome is Outcome.UNKNOWN


def test_a_cut_around_a_follower_is_not_on_the_leader() -> None:
    around_a_follower = led().cut(10, 20, both_ways(["n2"], ["n1", "n3"]), nodes=["n2"])
    verdict = check(around_a_follower.history())
    assert (verdict.outcome, verdict.words) == (Outcome.UNKNOWN, "no fault affected a leader")
    assert check(led().cut(10, 20, [("n1", "n2"), ("n3", "n2")]).history()).outcome is Outcome.UNKNOWN
    assert check(led().cut(10, 20, [("n1", "n2")]).history()).outcome is Outcome.VALID


@pytest.mark.parametrize(("lasts", "outcome"), [(49, Outcome.UNKNOWN), (50, Outcome.VALID)])
def test_a_pause_shorter_than_the_suspicion_time_exercises_nothing(lasts: int, outcome: Outcome) -> None:
    story = led().fault("pause", 10, 20, nodes=["n1"], effect={"class": "pause"})
    story.fault("resume", 20 + lasts, 100, nodes=["n1"])
    verdict = check(story.history(), Bounds(suspicion_ns=50))
    assert verdict.outcome is outcome
    assert ("no pause outlasted the suspicion time of 50 ns" in verdict.words) == (outcome is Outcome.UNKNOWN)
    assert verdict.facts["faults_by_class"] == ({"pause": 1} if outcome is Outcome.VALID else {})


def test_a_nemesis_that_had_no_effect_is_named() -> None:
    verdict = check(led().cut(10, 20, CUT).history(), Bounds(without_effect=("kill", "pause")))
    assert (verdict.outcome, verdict.words) == (Outcome.UNKNOWN, "asked for, but without effect: kill and pause")


def test_a_node_that_never_answered_is_named() -> None:
    asked = led().cut(10, 20, CUT).asked("observe", "n4", 1, 2, "fail")
    assert check(asked.history()).words == "n4 never answered"
    expected = check(led().cut(10, 20, CUT).history(), Bounds(members=("n1", "n2", "n3", "n4", "n5")))
    assert (expected.outcome, expected.words) == (Outcome.UNKNOWN, "n4 and n5 never answered")


def test_one_unverified_fault_makes_a_run_with_verified_ones_unknown() -> None:
    story = led().cut(10, 20, CUT).cut(30, 40, CUT, effect={"verified": False})
    assert check(story.history()).outcome is Outcome.UNKNOWN
    healed = led().cut(10, 20, CUT).fault("heal", 30, 40, effect={"verified": False})
    assert check(healed.history()).outcome is Outcome.UNKNOWN


def test_a_skipped_fault_beside_a_verified_one_is_counted_and_harmless() -> None:
    story = led().cut(10, 20, CUT).cut(30, 40, CUT, effect={"skipped": "no leader"})
    verdict = check(story.history())
    assert verdict.outcome is Outcome.VALID
    assert (verdict.facts["faults_skipped"], verdict.facts["skipped_because"]) == (1, {"no leader": 1})


def test_a_fault_affects_the_node_that_led_by_its_last_answer() -> None:
    story = led().saw("n1", 5, 6, leader="n2", term=2).led("n2", 5, 6, term=2)
    assert check(story.cut(10, 20, [("n1", "n3")]).history()).outcome is Outcome.UNKNOWN
    assert check(story.cut(30, 40, [("n2", "n3")]).history()).outcome is Outcome.VALID


def test_a_fault_without_targets_is_not_held_to_have_missed_the_leader() -> None:
    assert check(led().fault("weather", 10, 20).history()).outcome is Outcome.VALID


def test_a_canary_that_is_late_half_of_the_time_is_borne_and_measured() -> None:
    story = led().cut(10, 20, CUT).canary(5, 90).canary(9, 1)
    facts = check(story.history(), Bounds(canary_late_ns=25)).facts
    assert (facts["canary_samples"], facts["canary_late_share"], facts["canary_max_ns"]) == (2, 0.5, 90)


def test_a_line_cut_off_is_reported() -> None:
    line = b'{"index": 0, "time": 1, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}\n'
    verdict = check(History.from_lines([line, b'{"ind']))
    assert verdict.facts["truncated"] is True
    assert "cut off" in verdict.words
