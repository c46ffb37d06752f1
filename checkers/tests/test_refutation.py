"""Refutation: histories that show what their faults would have made impossible, and the nearest ones that do not."""

from __future__ import annotations

import pytest

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.coverage import check
from splitbrain.checkers.refutation import refutations
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome

BOUNDS = Bounds(members=("n1", "n2", "n3"), elects="nodes")
ALONE = both_ways(["n1"], ["n2", "n3"])


def cut() -> Story:
    """n1 leads in term 1, and is alone from 10 to 90."""
    led = Story().led("n1", 0, 1, term=1).saw("n2", 0, 1, leader="n1", term=1).saw("n3", 0, 1, leader="n1", term=1)
    return led.cut(5, 10, ALONE, effect={"verified": True}).fault("heal", 90, 95, heals=[0], links=ALONE)


def of(story: Story, bounds: Bounds = BOUNDS) -> list[str]:
    return refutations(story.until(200).history(), bounds)


def test_an_isolated_leader_that_is_confirmed_refutes_its_isolation() -> None:
    story = cut().confirmed("n1", 20, 30).confirmed("n1", 40, 50)
    (words,) = of(story)
    assert words == "n1 was confirmed 2 times while a cut kept it from every majority"
    verdict = check(story.until(200).history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert f"the history refutes its faults: {words}" in verdict.words


@pytest.mark.parametrize(("node", "asked", "answered"), [("n1", 9, 30), ("n1", 80, 91), ("n1", 91, 99), ("n2", 20, 30)])
def test_a_confirmation_that_messages_outside_the_cut_may_have_made_refutes_nothing(
    node: str, asked: int, answered: int
) -> None:
    assert of(cut().confirmed(node, asked, answered)) == []


@pytest.mark.parametrize("elects", ["none", "servers"])
def test_where_nodes_do_not_elect_a_confirmation_needs_no_majority_of_them(elects: str) -> None:
    assert of(cut().confirmed("n1", 20, 30), Bounds(members=BOUNDS.members, elects=elects)) == []  # type: ignore[arg-type]


def test_a_cut_that_was_lost_is_refuted_only_while_it_was_seen() -> None:
    lost = [{"id": 0, "times": 1, "last": 25, "lost": ["n1 to n2 should be cut, and a packet came"]}]
    story = Story().led("n1", 0, 1, term=1).cut(5, 10, ALONE, effect={"verified": True})
    story.fault("heal", 90, 95, heals=[0], links=ALONE, effect={"seen_again": lost})
    assert of(story.confirmed("n1", 30, 40)) == []
    assert of(story.confirmed("n1", 15, 20)) != []


def test_many_faults_that_one_node_refutes_are_one_sentence() -> None:
    story = Story().led("n1", 0, 1, term=1)
    for at in range(3):
        story.fault("kill", 10 + 40 * at, 12 + 40 * at, nodes=["n1"], id=at)
        story.fault("restart", 40 + 40 * at, 42 + 40 * at, nodes=["n1"], heals=[at])
    story.saw("n1", 20, 30).saw("n1", 31, 33).saw("n1", 60, 70).saw("n2", 100, 110)
    assert of(story) == ["n1 answered 2 times while kill 0 was in force, and during 1 more"]


@pytest.mark.parametrize("f", ["pause", "freeze", "kill"])
def test_a_node_that_answers_while_it_is_down_refutes_that(f: str) -> None:
    undone = {"pause": "resume", "freeze": "resume", "kill": "restart"}[f]
    story = Story().led("n1", 0, 1, term=1).fault(f, 5, 10, nodes=["n1"]).fault(undone, 50, 60, heals=[0], nodes=["n1"])
    assert of(story.saw("n1", 9, 20).saw("n1", 40, 55).saw("n2", 20, 30)) == []
    assert of(story.saw("n1", 20, 30)) == [f"n1 answered 1 time while {f} 0 was in force"]


def test_of_a_node_with_one_process_paused_the_others_may_answer() -> None:
    story = Story().fault("pause", 5, 10, nodes=["n1"], process="postgres*").fault("resume", 50, 60, heals=[0])
    assert of(story.saw("n1", 20, 30)) == []


@pytest.mark.parametrize("how", ["leader", "vote"])
def test_an_isolated_node_that_hears_of_a_later_term_refutes_its_isolation(how: str) -> None:
    story = cut().saw("n2", 20, 21, leader="n1", term=1)
    story.saw("n1", 40, 41, term=2, **{how: "n2"})  # type: ignore[arg-type]
    (words,) = of(story)
    assert words.startswith("n1 named n2 in term 2 at 0.000 s, when a cut kept everything from it")


def test_an_isolated_node_may_name_what_it_heard_before_and_candidates_of_its_side() -> None:
    before = cut().saw("n1", 40, 41, leader="n2", term=2)  # n2 may have begun term 2 before the cut
    assert of(before) == []
    assert of(cut().saw("n2", 20, 21, leader="n1", term=1).saw("n3", 40, 41, leader="n2", term=2)) == []


def test_a_node_that_ended_may_have_forgotten_the_term_that_it_once_led() -> None:
    story = cut().fault("kill", 11, 12, nodes=["n2"]).fault("restart", 13, 14, heals=[2], nodes=["n2"])
    story.saw("n2", 20, 21, leader="n1", term=1)
    assert of(story.saw("n1", 40, 41, leader="n2", term=2)) == []
