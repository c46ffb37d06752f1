"""What only a simulation sees: true overlaps, confirmations without a majority, exceptions; and the highest leader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers import confirmations, exceptions, highest_leads, true_overlaps
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Observed, Outcome, Verdict
from splitbrain.names import MS

END = 100


def inside(*facts: tuple[str, str, dict[str, object]]) -> Story:
    story = Story().witnessed(END)
    for f, node, value in facts:
        story.inside(END, f, node, **value)
    return story


def reigns(*each: tuple[str, int, int]) -> Verdict:
    lines = [("reigned", node, {"reign": f"{node}-1", "began": began, "ended": end}) for node, began, end in each]
    return true_overlaps.check(inside(*lines).history())


def test_two_leaders_at_one_instant_are_found_however_short_that_is() -> None:
    assert reigns(("n1", 0, 5), ("n2", 5, 9)).observed is Observed.HELD
    found = reigns(("n1", 0, 6), ("n2", 5, 9), ("n3", 9, 20))
    assert found.observed is Observed.VIOLATED and found.evidence == (1, 2)
    assert found.words.startswith("n1 and n2 both led for 1 ns at ")


@given(st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3"]), st.integers(0, 9), st.integers(0, 9)), max_size=6))
def test_an_overlap_is_found_iff_two_nodes_lead_at_some_instant(drawn: list[tuple[str, int, int]]) -> None:
    each = [(node, min(a, b), max(a, b)) for node, a, b in drawn]
    leading = ({node for node, a, b in each if a <= at < b} for at in range(10))
    found = reigns(*each).observed is Observed.VIOLATED
    assert found == any(len(nodes) > 1 for nodes in leading)


def confirmed(heard: str, nodes: int, servers: int = 0) -> Verdict:
    bounds = Bounds(
        members=tuple(f"n{at}" for at in range(1, nodes + 1)), servers=tuple(f"s{at}" for at in range(servers))
    )
    said = ("confirmed", "n1", {"asked": 5, "at": 9, "heard": heard.split()})
    return confirmations.check(inside(said).history(), bounds)


@pytest.mark.parametrize(
    ("heard", "nodes", "servers", "enough"),
    [
        ("n2 n3", 5, 0, True),
        ("n2", 5, 0, False),
        ("n2", 4, 0, False),
        ("n2", 3, 0, True),
        ("", 3, 0, False),
        ("", 1, 0, True),
        ("s1", 3, 1, True),
        ("s1 s2", 5, 3, True),
        ("s1", 5, 3, False),
        ("", 3, 1, False),
    ],
)
def test_a_confirmation_needs_a_majority_less_the_node_itself(
    heard: str, nodes: int, servers: int, enough: bool
) -> None:
    assert (confirmed(heard, nodes, servers).observed is Observed.HELD) == enough


def test_an_unfounded_confirmation_names_those_that_the_node_heard() -> None:
    words = "n1 confirmed at 0.000 s that it leads, having heard n2 of the 2 other nodes it needs"
    assert confirmed("n2", 5).words == words
    assert "having heard none of the 1 servers" in confirmed("", 3, 1).words


def test_an_exception_of_a_node_is_found() -> None:
    found = exceptions.check(
        inside(("raised", "n2", {"at": 7, "error": "KeyError: 3 (raft.py, line 1, in f)"})).history()
    )
    assert found.words == "n2 raised KeyError: 3 (raft.py, line 1, in f) at 0.000 s" and found.evidence == (1,)
    assert exceptions.check(inside().history()).observed is Observed.HELD


HIGHEST = Bounds(highest_leads=True)


def test_a_node_that_names_a_lower_one_as_its_leader_is_found_in_any_history() -> None:
    story = (
        Story().led("n9", 0, 1).saw("n10", 2, 3, leader="n9").saw("n10", 4, 5, leader="n9").saw("n2", 6, 7, leader="n9")
    )
    found = highest_leads.check(story.history(), HIGHEST)
    assert found.words == "n10 followed n9, which is lower, at 0.000 s" and found.evidence == (3,)
    higher = Story().led("n10", 0, 1).saw("n9", 2, 3, leader="n10").saw("n2", 4, 5, leader=None)
    assert highest_leads.check(higher.history(), HIGHEST).observed is Observed.HELD


def test_a_node_that_follows_a_lower_one_between_two_answers_is_seen_from_inside() -> None:
    found = highest_leads.check(inside(("followed", "n10", {"at": 50, "leader": "n9"})).history(), HIGHEST)
    assert found.observed is Observed.VIOLATED
    kept = highest_leads.check(inside(("followed", "n9", {"at": 50, "leader": "n10"})).history(), HIGHEST)
    assert kept.observed is Observed.HELD


def test_the_highest_leads_only_where_that_is_said() -> None:
    story = Story().saw("n10", 2, 3, leader="n9")
    assert highest_leads.check(story.history(), Bounds()).observed is Observed.NOT_JUDGED


INSIDE = ("one-leader-at-an-instant", "confirmed-by-a-majority", "no-node-raises")


def test_a_history_of_observers_says_nothing_about_the_inside_of_nodes() -> None:
    left = {each.name: each.words for each in judge(Story().led("n1", 0, 1).history()).not_judged}
    assert {left[name] for name in INSIDE} == {"only a simulation sees inside the nodes"}


def test_true_overlaps_count_only_where_exclusivity_is_guaranteed() -> None:
    story = inside(("reigned", "n1", {"began": 0, "ended": 6}), ("reigned", "n2", {"began": 5, "ended": 9}))
    history = story.led("n1", 0, 1).history()
    assert judge(history)["one-leader-at-an-instant"].outcome is Outcome.INVALID
    idle = judge(history, {"exclusivity": "known-weakness"})
    assert "one-leader-at-an-instant" in [each.name for each in idle.not_judged]


def test_lines_from_inside_with_other_values_are_passed_over() -> None:
    odd: list[tuple[str, str, dict[str, object]]] = [
        (f, "n1", {"began": "x", "at": None, "asked": 1}) for f in ("reigned", "confirmed", "raised", "followed")
    ]
    judgement = judge(inside(*odd).led("n1", 0, 1).until(200 * MS).history())
    assert not [each.name for each in judgement.properties if "failed" in each.words]
