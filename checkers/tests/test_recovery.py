"""Recovery times, on histories small enough to calculate by hand."""

from __future__ import annotations

from typing import Any

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.history import History
from splitbrain.checkers.recovery import Confirmations, agreements, recoveries, unavailability
from splitbrain.checkers.tests.histories import Story, both_ways

NODES = ["n1", "n2", "n3"]


def recovered(history: History) -> list[dict[str, Any]]:
    return recoveries(history, Confirmations.of(history))


def agreed(history: History) -> list[int | None]:
    return [heal["agreement_ns"] for heal in agreements(history, cluster_health(history, Bounds()))]


def failover() -> Story:
    story = Story().led("n1", 0, 1, term=1).confirmed("n1", 2, 4).fault("kill", 10, 12, id=5, nodes=["n1"])
    return story.led("n2", 30, 31, term=2).confirmed("n2", 32, 35).until(100)


def test_recovery_counts_from_the_begin_of_the_fault_to_the_first_confirmation_after_it() -> None:
    (fault,) = recovered(failover().history())
    assert (fault["id"], fault["f"], fault["recovery_ns"]) == (5, "kill", 25)
    assert (fault["leader_touched"], fault["leader_changed"]) == (True, True)
    assert (fault["gap"], fault["gap_ns"]) == ([35, 100], 65)


def test_the_gap_is_that_between_the_confirmations_around_the_fault() -> None:
    (fault,) = recovered(failover().confirmed("n2", 90, 95).confirmed("n2", 60, 62).history())
    assert fault["gap"] == [62, 95]
    (fault,) = recovered(failover().confirmed("n2", 36, 40).confirmed("n2", 60, 62).confirmed("n2", 80, 99).history())
    assert fault["gap"] == [62, 99]
    story = failover().confirmed("n2", 36, 40).fault("kill", 40, 41, id=6, nodes=["n3"])
    first, second = recovered(story.history())
    assert (first["gap"], len(first["gap_lines"])) == ([4, 35], 2)
    assert (second["gap"], len(second["gap_lines"])) == ([40, 100], 1)
    assert second["recovery_ns"] is None


def test_a_confirmation_asked_for_before_the_fault_took_effect_is_no_recovery() -> None:
    story = Story().confirmed("n1", 2, 4).fault("kill", 10, 12, nodes=["n1"]).confirmed("n1", 11, 20)
    assert recovered(story.history())[0]["recovery_ns"] is None


def test_a_faulty_leader_must_be_followed_by_another_leadership_where_there_is_one() -> None:
    story = failover().confirmed("n1", 13, 14)  # the old leader, for a moment more
    (fault,) = recovered(story.history())
    assert fault["recovery_ns"] == 25
    untouched = Story().led("n1", 0, 1, term=1).confirmed("n1", 2, 4).fault("kill", 10, 12, nodes=["n3"])
    (fault,) = recovered(untouched.confirmed("n1", 13, 14).until(100).history())
    assert (fault["recovery_ns"], fault["leader_changed"]) == (4, False)


def test_skipped_faults_and_repairs_have_no_recovery() -> None:
    story = Story().fault("kill", 1, 2, effect={"skipped": "no leader"}).fault("restart", 3, 4).fault("heal", 5, 6)
    assert recovered(story.history()) == []


def test_the_longest_unavailability_is_reported_with_its_lines() -> None:
    history = failover().confirmed("n2", 50, 52).confirmed("n2", 90, 99).history()
    facts = unavailability(history, Confirmations.of(history))
    assert facts["unavailable"] == [52, 99]
    confirms = history.operations("confirm")
    assert facts["unavailable_lines"] == confirms.complete_index[[2, 3]].tolist()
    assert facts["first_confirmed_ns"] == 4


def test_without_confirmations_there_is_no_unavailability_to_tell() -> None:
    history = Story().saw("n1", 1, 2).history()
    assert unavailability(history, Confirmations.of(history))["longest_unavailable_ns"] is None


def test_a_single_confirmation_at_the_very_end_leaves_no_gap() -> None:
    history = Story().confirmed("n1", 3, 5).history()
    assert unavailability(history, Confirmations.of(history))["longest_unavailable_ns"] == 0


def healed() -> Story:
    story = Story().cut(10, 11, both_ways(["n1"], ["n2", "n3"])).fault("heal", 20, 21).until(100)
    return story.led("n2", 22, 23, term=2).saw("n3", 22, 23, leader="n2", term=2)


def test_agreement_is_when_the_last_node_certainly_agreed_with_the_others() -> None:
    story = healed().led("n2", 90, 91, term=2).saw("n3", 90, 91, leader="n2", term=2)
    story.saw("n1", 25, 26, leader="n1", term=1).saw("n1", 40, 43, leader="n2", term=2)
    assert agreed(story.saw("n1", 90, 91, leader="n2", term=2).history()) == [22]


def test_nodes_that_never_left_agree_at_once() -> None:
    story = Story()
    for node in NODES:
        story.saw(node, 1, 2, leader="n2", term=1).saw(node, 90, 91, leader="n2", term=1)
    story.cut(10, 11, [("n1", "n3")]).fault("heal", 20, 21)
    assert agreed(story.history()) == [0]


def test_a_node_that_names_a_leader_without_a_term_agrees_with_any_term() -> None:
    story = healed().led("n2", 90, 91, term=2).saw("n3", 90, 91, leader="n2", term=2)
    story.saw("n1", 40, 43, leader="n2", term=None)
    assert agreed(story.saw("n1", 90, 91, leader="n2", term=None).history()) == [22]


def test_agreement_on_a_leader_in_different_terms_is_none() -> None:
    story = healed().led("n2", 90, 91, term=2).saw("n3", 90, 91, leader="n2", term=2)
    story.saw("n1", 40, 43, leader="n2", term=1)
    assert agreed(story.saw("n1", 90, 91, leader="n2", term=1).history()) == [None]


def test_agreement_that_only_the_next_fault_saw_is_none() -> None:
    story = healed().fault("kill", 50, 51, nodes=["n3"])
    for node in NODES:
        story.saw(node, 60, 61, leader="n2", term=2).saw(node, 90, 91, leader="n2", term=2)
    assert agreed(story.history()) == [None]


def test_a_node_that_is_down_need_not_agree_but_one_that_is_cut_off_makes_agreement_undefined() -> None:
    story = Story().fault("kill", 1, 2, nodes=["n3"]).cut(10, 11, [("n1", "n2")]).fault("heal", 20, 21)
    for node in NODES[:2]:
        story.saw(node, 30, 31, leader="n2", term=1).saw(node, 90, 91, leader="n2", term=1)
    assert agreed(story.history()) == [10]
    moot = Story().cut(1, 2, [("n1", "n2")]).cut(10, 11, [("n1", "n3")]).fault("heal", 20, 21, links=[["n1", "n3"]])
    assert agreed(moot.until(50).history()) == []


def test_confirmations_belong_to_the_reign_of_their_own_node() -> None:
    story = Story().led("n1", 0, 1, term=1).led("n2", 2, 3, term=2).confirmed("n1", 4, 5).confirmed("n2", 6, 7)
    history = story.confirmed("n3", 8, 9).history()
    assert Confirmations.of(history).led.tolist() == [0, 1, -1]


def test_a_fault_on_a_follower_recovers_with_the_first_confirmation_of_any_node() -> None:
    story = Story().led("n1", 0, 1, term=1).confirmed("n1", 2, 4).fault("kill", 10, 12, nodes=["n3"])
    story.confirmed("n1", 12, 15).led("n2", 20, 21, term=2).confirmed("n2", 22, 25)
    (fault,) = recovered(story.history())
    assert (fault["recovery_ns"], fault["leader_touched"], fault["leader_changed"]) == (5, False, True)


def test_the_time_before_the_first_confirmation_is_a_gap_too() -> None:
    (fault,) = recovered(Story().fault("kill", 10, 12, nodes=["n3"]).confirmed("n1", 20, 30).history())
    assert (fault["gap"], fault["recovery_ns"]) == ([0, 30], 20)


def test_a_confirmation_that_comes_as_the_next_fault_begins_is_none_of_this_one() -> None:
    story = failover().fault("kill", 35, 36, id=6, nodes=["n3"])
    first, second = recovered(story.history())
    assert first["recovery_ns"] is None
    assert (second["gap"], second["recovery_ns"]) == ([35, 100], None)
    earlier = Story().confirmed("n1", 2, 10).fault("kill", 10, 12, nodes=["n1"]).confirmed("n1", 20, 25)
    assert recovered(earlier.history())[0]["gap"] == [10, 25]


def test_agreement_lasts_until_the_next_fault_that_was_not_skipped() -> None:
    story = Story().cut(10, 11, [("n1", "n2")]).fault("heal", 20, 21)
    for node in NODES:
        story.saw(node, 30, 31, leader="n2", term=1).saw(node, 90, 91, leader="n2", term=1)
    story.fault("kill", 25, 26, nodes=["n1"], effect={"skipped": "no leader"})
    assert agreed(story.history()) == [10]


def test_agreement_must_be_sure_at_one_instant_of_all() -> None:
    story = Story().cut(10, 11, [("n1", "n2")]).fault("heal", 20, 21).until(100)
    for node in NODES[:2]:
        story.saw(node, 30, 31, leader="n2", term=1).saw(node, 50, 51, leader="n2", term=1)
    late = story.saw("n3", 48, 50, leader="n2", term=1).saw("n3", 60, 61, leader="n2", term=1)
    assert agreed(late.history()) == [29]
    later = Story(list(story.lines[:-4]), story.clients, story.faults)
    later.saw("n3", 48, 51, leader="n2", term=1).saw("n3", 60, 61, leader="n2", term=1)
    assert agreed(later.history()) == [None]


def test_a_gap_that_the_next_fault_makes_is_not_the_one_before_its_own() -> None:
    story = failover().confirmed("n2", 36, 40).fault("kill", 42, 44, id=6, nodes=["n2"]).confirmed("n2", 96, 98)
    first, second = recovered(story.history())
    assert (first["gap"], first["gap_ns"]) == ([4, 35], 31)
    assert (second["gap"], second["gap_ns"]) == ([40, 98], 58)
