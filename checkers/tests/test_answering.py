"""Answering: the share of its time for which a node answered, and the doubt about what it hides."""

from __future__ import annotations

import pytest

from splitbrain.checkers.answering import answered_shares, hardly_observed
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome

BOUNDS = Bounds(stall_ns=100, members=("n1", "n2"))  # an answer counts for 50


def observed(story: Story, node: str, start: int, end: int) -> Story:
    for at in range(start, end, 10):
        if node == "n1":
            story.led("n1", at, at, term=1)
        else:
            story.saw(node, at, at, leader="n1", term=1)
    return story


def both(until: int) -> Story:
    """n1 answers for 1,000 ns, n2 until the given instant."""
    return observed(observed(Story(), "n1", 0, 1_001), "n2", 0, until)


@pytest.mark.parametrize(("until", "share"), [(1_001, 1.0), (501, 0.55), (101, 0.15)])
def test_a_node_is_observed_while_its_answers_are_fresh(until: int, share: float) -> None:
    assert answered_shares(both(until).history(), BOUNDS) == {"n1": 1.0, "n2": share}


def test_a_node_that_never_answered_has_no_share_of_its_time() -> None:
    assert answered_shares(observed(Story(), "n1", 0, 1_001).history(), BOUNDS)["n2"] == 0.0


@pytest.mark.parametrize(("f", "undone"), [("kill", "restart"), ("pause", "resume"), ("throttle", "heal")])
def test_time_in_which_a_node_need_not_answer_does_not_count(f: str, undone: str) -> None:
    story = both(101).fault(f, 150, 160, nodes=["n2"]).fault(undone, 990, 1_000, heals=[0], nodes=["n2"])
    assert answered_shares(story.history(), BOUNDS)["n2"] == 1.0


def test_a_fault_of_links_keeps_no_observer_away() -> None:
    cut = both(101).cut(150, 160, [("n1", "n2")], nodes=["n2"]).fault("heal", 990, 1_000, heals=[0])
    assert answered_shares(cut.history(), BOUNDS)["n2"] == 0.15


def test_a_node_without_time_of_its_own_has_no_share() -> None:
    killed = both(51).fault("kill", 60, 70, nodes=["n2"])
    assert answered_shares(killed.history(), BOUNDS) == {"n1": 1.0}


def test_servers_that_are_asked_for_their_opinion_have_shares_too() -> None:
    story = both(1_001).asked("opinion", "s1", 0, 10, "ok", {"leader": "n1", "epoch": 1})
    bounds = Bounds(stall_ns=100, members=("n1", "n2"), servers=("s1", "s2"))
    assert answered_shares(story.history(), bounds)["s1"] == 0.06


def test_a_silent_node_leaves_in_doubt_what_it_may_have_done() -> None:
    judgement = judge(both(201).history(), bounds=BOUNDS)
    for name in ("exclusivity", "term-safety", "stability"):
        assert judgement[name].outcome is Outcome.UNKNOWN
        assert judgement[name].words.startswith("n2 answered for 25% of its time, which may hide a violation: ")
    assert judgement.words.count("which may hide a violation") == 1
    assert judgement["coverage"].found.facts["answered_share"] == {"n1": 1.0, "n2": 0.25}


def test_a_proof_stands_whoever_is_silent() -> None:
    judgement = judge(both(201).led("n2", 100, 101, term=1).history(), bounds=BOUNDS)
    assert judgement["term-safety"].outcome is Outcome.INVALID


def test_the_silent_ones_are_named() -> None:
    assert hardly_observed({"n1": 0.9, "n2": 0.5, "s1": 0.0}) == (
        "n2 answered for 50% of its time and s1 answered for 0% of its time"
    )
    assert str(hardly_observed({"n1": 0.5, "n2": 0.5, "n3": 0.5})).count(" and ") == 1
    assert hardly_observed({"n1": 0.9}) is None


def test_time_in_which_the_observers_were_starved_does_not_count() -> None:
    starved = both(101).canary(1_000, 850)
    bounds = Bounds(stall_ns=100, members=("n1", "n2"), canary_late_ns=25)
    assert answered_shares(starved.history(), bounds)["n2"] == 1.0


def test_a_node_that_is_paused_from_outside_is_missed() -> None:
    paused = both(101).incident(150, "paused", "n2", by="outside")
    assert answered_shares(paused.history(), BOUNDS)["n2"] == 0.15
