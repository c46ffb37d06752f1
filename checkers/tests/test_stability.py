"""Stability: unprovoked leader changes, against a brute-force model of every nanosecond."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.stability import check
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways, from_text
from splitbrain.checkers.verdict import Outcome

BOUNDS = Bounds(suspicion_ns=5, canary_late_ns=3)
NODES = ["n1", "n2", "n3"]


@given(
    brute_force.nemesis(acts=4),
    st.lists(st.tuples(st.sampled_from(brute_force.NODES), st.integers(0, 40), st.integers(0, 4)), max_size=5),
)
def test_a_change_is_unprovoked_iff_nothing_was_wrong_with_the_leader_all_the_while(
    story: Story, claims: list[tuple[str, int, int]]
) -> None:
    for term, (node, at, width) in enumerate(claims):
        story.led(node, at, at + width, term=term)
    history = story.history()
    windows = sorted((at + width, at, node, term) for term, (node, at, width) in enumerate(claims))
    firsts = [window[0] for window in windows]

    def fine(node: str, start: int, end: int) -> bool:
        ticks = [t for t in range(history.end) if t + 1 >= start and t <= end] or [history.end - 1]
        friends = [
            other
            for other in brute_force.NODES
            if all(brute_force.connected(history, node, other, t) for t in ticks) or other == node
        ]
        return start >= 0 and len(friends) >= 2 and all(brute_force.healthy(history, node, t) for t in ticks)

    if len(set(firsts)) == len(firsts):
        unprovoked = sum(fine(node, min(at, first) - 5, first) for (_, at, node, _), (first, *_) in pairwise(windows))
        verdict = check(history, Bounds(suspicion_ns=5, members=brute_force.NODES))
        assert verdict.facts.get("unprovoked_changes", 0) == unprovoked
        assert (verdict.outcome is Outcome.INVALID) == bool(unprovoked)


def cluster(end: int = 100) -> Story:
    story = Story().until(end)
    for node in NODES:
        story.saw(node, 0, 1)
    return story


FIVE_LINES = """
{"index": 0, "time": 10, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 1, "time": 20, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": {"leading":true,"term":1}}
{"index": 2, "time": 30, "process": 2, "type": "invoke", "f": "observe", "node": "n2"}
{"index": 3, "time": 40, "process": 2, "type": "ok", "f": "observe", "node": "n2", "value": {"leading":true,"term":2}}
{"index": 4, "time": 50, "process": 3, "type": "invoke", "f": "observe", "node": "n3"}
"""


def test_a_change_in_a_calm_cluster_has_no_reason() -> None:
    verdict = check(from_text(FIVE_LINES), BOUNDS)
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 3))
    (finding,) = verdict.findings
    assert (finding.guarantee, finding.nodes, finding.start, finding.end) == ("stability", ("n1", "n2"), 5, 40)


def test_of_the_time_before_the_history_nothing_is_sure() -> None:
    """A node that was started before the others may have led before they came, and that is no news."""
    early = cluster().led("n1", 2, 3, term=1).led("n2", 20, 21, term=2).history()
    assert check(early, BOUNDS).outcome is Outcome.VALID
    later = cluster().led("n1", 5, 6, term=1).led("n2", 20, 21, term=2).history()
    assert check(later, BOUNDS).outcome is Outcome.INVALID


def test_the_first_leader_is_no_change() -> None:
    verdict = check(cluster().led("n1", 2, 3, term=1).led("n1", 80, 81, term=1).history(), BOUNDS)
    assert (verdict.outcome, verdict.facts["leader_changes"]) == (Outcome.VALID, 0)


def test_without_a_leader_nothing_is_known() -> None:
    assert check(cluster().history(), BOUNDS).outcome is Outcome.UNKNOWN


def changed(story: Story) -> Outcome:
    return check(story.led("n1", 40, 41, term=1).led("n2", 60, 61, term=2).history(), BOUNDS).outcome


def test_a_fault_on_the_leader_excuses_the_change() -> None:
    assert changed(cluster().fault("kill", 42, 43, nodes=["n1"])) is Outcome.VALID
    assert (
        changed(cluster().fault("pause", 42, 43, nodes=["n1"]).fault("resume", 50, 51, nodes=["n1"])) is Outcome.VALID
    )
    assert changed(cluster().cut(42, 43, both_ways(["n1"], ["n2", "n3"]))) is Outcome.VALID
    assert changed(cluster().cut(42, 43, [("n2", "n1"), ("n3", "n1")])) is Outcome.VALID


def test_a_fault_on_others_does_not() -> None:
    assert changed(cluster().fault("kill", 42, 43, nodes=["n3"])) is Outcome.INVALID
    assert changed(cluster().cut(42, 43, both_ways(["n3"], ["n1", "n2"]))) is Outcome.INVALID


def test_a_leader_between_two_unhealthy_followers_is_excused() -> None:
    assert changed(cluster().fault("pause", 42, 43, nodes=["n2", "n3"])) is Outcome.VALID


def test_two_majorities_one_after_the_other_are_not_one() -> None:
    swap = cluster().cut(20, 21, both_ways(["n1"], ["n2"])).fault("heal", 45, 46)
    assert changed(swap) is Outcome.INVALID
    swap = cluster().cut(20, 21, both_ways(["n1"], ["n2"])).fault("heal", 45, 46).cut(46, 47, both_ways(["n1"], ["n3"]))
    assert changed(swap) is Outcome.VALID


def test_a_fault_healed_longer_ago_than_the_suspicion_time_excuses_nothing() -> None:
    cut = both_ways(["n1"], ["n2", "n3"])
    assert changed(cluster().cut(10, 11, cut).fault("heal", 30, 36)) is Outcome.VALID
    assert changed(cluster().cut(10, 11, cut).fault("heal", 30, 33)) is Outcome.INVALID


LATE = """
{"index": 0, "time": 10, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 1, "time": 20, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": {"leading":true,"term":1}}
{"index": 2, "time": 25, "process": "canary", "type": "info", "f": "canary", "node": null, "value": {"late": 4}}
{"index": 3, "time": 30, "process": 2, "type": "invoke", "f": "observe", "node": "n2"}
{"index": 4, "time": 40, "process": 2, "type": "ok", "f": "observe", "node": "n2", "value": {"leading":true,"term":2}}
{"index": 5, "time": 50, "process": 3, "type": "invoke", "f": "observe", "node": "n3"}
"""


def test_a_change_on_a_starved_machine_is_undecided() -> None:
    verdict = check(from_text(LATE), BOUNDS)
    assert (verdict.outcome, verdict.facts["undecided_by_starvation"]) == (Outcome.UNKNOWN, 1)
    assert verdict.words == "the machine was starved during 1 of 1 leader change without another excuse"


def test_a_change_beside_an_undecided_one_is_judged() -> None:
    story = cluster().led("n1", 40, 41, term=1).led("n2", 60, 61, term=2).canary(50, 4).led("n3", 80, 81, term=3)
    verdict = check(story.history(), BOUNDS)
    assert (verdict.outcome, verdict.facts["unprovoked_changes"]) == (Outcome.INVALID, 1)


def test_winning_again_under_a_new_key_is_a_change() -> None:
    verdict = check(cluster().led("n1", 40, 41, term=1).led("n1", 60, 61, term=2).history(), BOUNDS)
    assert verdict.outcome is Outcome.INVALID
    assert "won it again" in verdict.detail


def test_claims_without_a_key_of_one_node_are_no_changes() -> None:
    story = cluster().led("n1", 40, 41).led("n1", 60, 61).led("n1", 80, 81)
    assert check(story.history(), BOUNDS).facts["leader_changes"] == 0
    assert check(story.led("n2", 90, 91).history(), BOUNDS).facts["leader_changes"] == 1


def test_an_overlong_reign_does_not_hide_that_it_was_superseded() -> None:
    story = cluster().led("n1", 40, 41, term=1).led("n1", 90, 91, term=1).led("n2", 60, 61, term=2)
    assert check(story.history(), BOUNDS).outcome is Outcome.INVALID


def test_a_second_leader_that_comes_and_goes_took_nothing_from_the_first() -> None:
    def story() -> Story:
        return cluster().led("n1", 40, 41, reign="a").led("n2", 60, 61, reign="b").led("n1", 70, 71, reign="a")

    assert check(story().history(), BOUNDS).facts["leader_changes"] == 0
    assert check(story().led("n2", 80, 81, reign="b").history(), BOUNDS).facts["leader_changes"] == 0
    ended = story().led("n2", 80, 81, reign="b").saw("n1", 90, 91)
    assert check(ended.history(), BOUNDS).facts["unprovoked_changes"] == 1
    assert check(story().led("n3", 90, 91, reign="c").history(), BOUNDS).findings[0].nodes == ("n1", "n3")


def test_changes_are_counted_by_heal_and_by_minute() -> None:
    story = cluster(60).led("n1", 2, 3, term=1).cut(10, 11, both_ways(["n1"], ["n2", "n3"]))
    story.led("n2", 15, 16, term=2).fault("heal", 20, 21, id=9).led("n3", 30, 31, term=7)
    facts = check(story.history(), BOUNDS).facts
    assert facts["leader_changes"] == 2
    assert facts["changes_after_heals"] == [{"id": 9, "changes": 1}]
    assert (facts["changes_a_heal"], facts["term_growth"]) == (1.0, 6)
    assert facts["changes_a_minute"] == 2 * 60_000_000_000 / 60


def test_a_fault_that_ends_or_begins_at_the_very_edge_of_the_time_excuses() -> None:
    cut = both_ways(["n1"], ["n2", "n3"])
    assert changed(cluster().cut(10, 11, cut).fault("heal", 30, 35)) is Outcome.VALID
    assert changed(cluster().cut(10, 11, cut).fault("heal", 30, 34)) is Outcome.INVALID
    assert changed(cluster().cut(61, 62, cut)) is Outcome.VALID
    assert changed(cluster().cut(62, 63, cut)) is Outcome.INVALID


def test_a_change_excused_by_a_fault_is_decided_on_a_starved_machine_too() -> None:
    story = cluster().led("n1", 40, 41, term=1).led("n2", 60, 61, term=2).canary(50, 4)
    verdict = check(story.fault("kill", 42, 43, nodes=["n1"]).history(), BOUNDS)
    assert (verdict.outcome, verdict.facts["undecided_by_starvation"]) == (Outcome.VALID, 0)


def test_of_many_changes_some_are_listed_and_all_are_counted() -> None:
    story = cluster(1000)
    for term in range(202):
        story.led("n1", 10 + 2 * term, 11 + 2 * term, term=term)
    verdict = check(story.history(), BOUNDS)
    assert (len(verdict.findings), verdict.facts["unprovoked_changes"]) == (200, 201)
    assert "200 are listed" in verdict.words
    assert verdict.findings[0].words.startswith("n1 (term 0) lost its leadership and won it again (term 1) by")
