"""Term safety, agreement and monotonicity: each against a loop over all pairs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers import agreement, term_monotonicity, term_safety
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.tests.histories import Story, from_text
from splitbrain.checkers.verdict import Outcome, Verdict

Seen = tuple[str, int, int, bool, str | None, int | None]  # node, invoke, complete, leading, leader, term
NODES = ["n1", "n2", "n3"]


@st.composite
def observations(draw: st.DrawFn) -> list[Seen]:
    one = st.tuples(
        st.sampled_from(NODES),
        st.integers(0, 20),
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from([None, *NODES]),
        st.none() | st.integers(0, 3),
    )
    return [(node, a, a + w, leading, leader, term) for node, a, w, leading, leader, term in draw(st.lists(one))]


def history_of(seen: list[Seen], story: Story | None = None) -> History:
    story = story or Story()
    for node, a, b, leading, leader, term in seen:
        story.saw(node, a, b, leading=leading, leader=leader, term=term)
    return story.history()


def values(history: History, verdict: Verdict) -> list[tuple[str, bool, str | None, int]]:
    """The evidence as values: node, leading, the leader named, term."""
    rows = {int(line): row for row, line in enumerate(history.observations.complete_index)}
    seen = history.observations
    found = []
    for line in verdict.evidence:
        row = rows[line]
        named = seen.node[row] if seen.leading[row] else seen.leader[row]
        leader = history.nodes[named] if named >= 0 else None
        found.append((history.nodes[seen.node[row]], bool(seen.leading[row]), leader, int(seen.term[row])))
    return found


@given(observations())
def test_term_safety_is_broken_iff_some_pair_breaks_it(seen: list[Seen]) -> None:
    claims = [(node, term) for node, _, _, leading, _, term in seen if leading and term is not None]
    broken = any(a[0] != b[0] and a[1] == b[1] for a, b in combinations(claims, 2))
    history = history_of(seen)
    verdict = term_safety.check(history)
    expected = Outcome.INVALID if broken else Outcome.VALID if claims else Outcome.UNKNOWN
    assert verdict.outcome is expected
    if broken:
        (one, led, _, term), (other, also, _, same) = values(history, verdict)
        assert (led, also) == (True, True)
        assert one != other
        assert term == same


@given(observations())
def test_agreement_is_broken_iff_some_pair_breaks_it(seen: list[Seen]) -> None:
    named = [(n, n if leading else leader, term) for n, _, _, leading, leader, term in seen if term is not None]
    named = [(node, leader, term) for node, leader, term in named if leader is not None]
    broken = any(a[0] != b[0] and a[1] != b[1] and a[2] == b[2] for a, b in combinations(named, 2))
    history = history_of(seen)
    verdict = agreement.check(history)
    expected = Outcome.INVALID if broken else Outcome.VALID if named else Outcome.UNKNOWN
    assert verdict.outcome is expected
    if broken:
        (one, _, left, term), (other, _, right, same) = values(history, verdict)
        assert one != other
        assert left != right
        assert term == same


def losses(node: str, wipes: list[tuple[str, int, int]]) -> list[tuple[int, int]]:
    return [(begin, done) for wiped, begin, done in wipes if wiped == node]


@st.composite
def wipes(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    one = st.tuples(st.sampled_from(NODES), st.integers(0, 20), st.integers(0, 4))
    return [(node, a, a + w) for node, a, w in draw(st.lists(one, max_size=3))]


@given(observations(), wipes())
def test_a_term_goes_down_iff_it_does_in_some_pair_with_no_wipe_between(
    seen: list[Seen], wiped: list[tuple[str, int, int]]
) -> None:
    story = Story()
    for node, begin, done in wiped:
        story.fault("wipe", begin, done, nodes=[node])
    history = history_of(seen, story)
    fallen = {
        (later, (n2, a2, b2))
        for (n1, a1, b1, _, _, earlier) in seen
        for (n2, a2, b2, _, _, later) in seen
        if n1 == n2 and b1 < a2 and earlier is not None and later is not None and later < earlier
        if not any(done >= a1 and begin <= b2 for begin, done in losses(n1, wiped))
    }
    verdict = term_monotonicity.check(history)
    assert (verdict.outcome is Outcome.INVALID) == bool(fallen)
    if fallen:
        (one, _, _, high), (other, _, _, low) = values(history, verdict)
        assert one == other
        assert high > low


SPLIT_BRAIN = """
{"index": 0, "time": 1, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 1, "time": 2, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": {"leading":true,"term":7}}
{"index": 2, "time": 91, "process": 2, "type": "invoke", "f": "observe", "node": "n2"}
{"index": 3, "time": 92, "process": 2, "type": "ok", "f": "observe", "node": "n2", "value": {"leading":true,"term":7}}
"""


def test_two_leaders_of_one_term_break_it_however_far_apart() -> None:
    verdict = term_safety.check(from_text(SPLIT_BRAIN))
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 3))
    assert verdict.words == "term 7 had 2 leaders: n1 and n2"
    assert (verdict.findings[0].start, verdict.findings[0].end) == (2, 92)
    assert verdict.findings[0].guarantee == "term-safety"


def test_a_node_that_claims_to_lead_names_itself() -> None:
    verdict = agreement.check(from_text(SPLIT_BRAIN))
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 3))
    assert verdict.words == "two leaders were named for term 7: n1 named n1 and n2 named n2"
    assert (verdict.findings[0].start, verdict.findings[0].end) == (2, 92)
    assert verdict.facts["terms_with_a_change_of_mind"] == 0


def test_a_single_term_is_worded_in_the_singular() -> None:
    history = Story().led("n1", 0, 1, term=1).saw("n2", 0, 1, leader="n1", term=1).history()
    assert term_safety.check(history).words == "the only term had one leader"
    assert agreement.check(history).words == "all nodes named the same leader in the only term"


def test_leaders_of_different_terms_break_nothing() -> None:
    history = Story().led("n1", 0, 1, term=1).led("n2", 2, 3, term=2).history()
    assert term_safety.check(history).outcome is Outcome.VALID
    assert agreement.check(history).outcome is Outcome.VALID


def test_a_follower_that_names_another_leader_breaks_agreement_only() -> None:
    history = Story().led("n1", 0, 1, term=1).saw("n2", 2, 3, leader="n3", term=1).history()
    assert agreement.check(history).outcome is Outcome.INVALID
    assert term_safety.check(history).outcome is Outcome.VALID


def test_a_node_that_goes_on_to_name_the_last_leader_while_its_term_rises_breaks_nothing() -> None:
    story = (
        Story().led("n1", 0, 1, term=1).led("n2", 2, 3, term=2).saw("n3", 4, 5, leader="n1", term=2, leader_term=None)
    )
    assert agreement.check(story.history()).outcome is Outcome.VALID


def test_a_pair_of_leader_and_term_that_the_named_node_claimed_itself_is_judged() -> None:
    story = (
        Story().led("n1", 0, 1, term=1).led("n2", 2, 3, term=1).saw("n3", 4, 5, leader="n1", term=1, leader_term=None)
    )
    assert agreement.check(story.history()).outcome is Outcome.INVALID


@pytest.mark.parametrize(("leader_term", "outcome"), [(1, Outcome.VALID), (2, Outcome.INVALID)])
def test_a_term_that_is_stated_for_the_leader_is_that_of_the_pair(leader_term: int, outcome: Outcome) -> None:
    story = Story().led("n1", 0, 1, term=1).led("n2", 2, 3, term=2)
    story.saw("n3", 4, 5, leader="n1", term=2, leader_term=leader_term)
    assert agreement.check(story.history()).outcome is outcome


def test_a_leader_is_of_the_term_that_it_claims() -> None:
    story = Story().saw("n1", 0, 1, leading=True, term=2, leader_term=1)
    history = story.saw("n2", 2, 3, leading=True, term=2, leader_term=1).history()
    assert history.observations.leader_term.tolist() == [2, 2]
    assert agreement.check(history).outcome is Outcome.INVALID


@pytest.mark.parametrize("wrong", [-1, 2**63, 1.9, True, "2"])
def test_a_term_of_the_leader_is_a_term(wrong: object) -> None:
    with pytest.raises(HistoryError, match="leader_term to be an integer from 0"):
        Story().saw("n3", 4, 5, leader="n1", term=2, leader_term=wrong).history()


def test_one_node_that_changes_its_mind_is_counted_but_breaks_nothing() -> None:
    history = Story().saw("n2", 0, 1, leader="n1", term=1).saw("n2", 2, 3, leader="n3", term=1).history()
    verdict = agreement.check(history)
    assert (verdict.outcome, verdict.facts["terms_with_a_change_of_mind"]) == (Outcome.VALID, 1)


def test_the_two_that_differ_are_found_behind_a_node_that_changed_its_mind() -> None:
    story = Story().saw("n1", 0, 1, leader="n1", term=1).saw("n1", 2, 3, leader="n3", term=1)
    verdict = agreement.check(story.saw("n2", 4, 5, leader="n1", term=1).history())
    assert sorted(verdict.findings[0].nodes) == ["n1", "n2"]


@pytest.mark.parametrize("check", [term_safety.check, agreement.check, term_monotonicity.check])
def test_without_terms_nothing_is_known(check: Callable[[History], Verdict]) -> None:
    assert check(Story().led("n1", 0, 1).history()).outcome is Outcome.UNKNOWN


def test_terms_are_numbers_and_ten_is_more_than_nine() -> None:
    story = Story().saw("n1", 0, 1, term=9).saw("n1", 2, 3, term=10)
    assert term_monotonicity.check(story.history()).outcome is Outcome.VALID


def test_a_term_that_goes_down_is_proven_by_two_lines() -> None:
    verdict = term_monotonicity.check(Story().saw("n1", 0, 1, term=10).saw("n1", 2, 3, term=9).history())
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 3))
    assert verdict.words == "the term of n1 decreased from 10 to 9"


def test_overlapping_observations_are_in_no_order() -> None:
    verdict = term_monotonicity.check(Story().saw("n1", 0, 5, term=10).saw("n1", 5, 6, term=9).history())
    assert verdict.outcome is Outcome.UNKNOWN


def test_a_restart_is_no_excuse_but_a_wipe_is_and_is_counted() -> None:
    story = Story().saw("n1", 0, 1, term=10).fault("kill", 2, 3, nodes=["n1"]).fault("restart", 4, 5, nodes=["n1"])
    story.saw("n1", 6, 7, term=1)
    assert term_monotonicity.check(story.history()).outcome is Outcome.INVALID
    story.fault("wipe", 3, 4, nodes=["n1"])
    verdict = term_monotonicity.check(story.history())
    assert (verdict.outcome, verdict.facts["excused_by_a_wipe"]) == (Outcome.VALID, 1)


def test_a_wipe_that_begins_as_the_lower_term_is_observed_may_have_come_before_it() -> None:
    story = Story().saw("n1", 0, 1, term=10).saw("n1", 2, 4, term=9)
    assert term_monotonicity.check(story.fault("wipe", 4, 5, nodes=["n1"]).history()).outcome is Outcome.VALID


def test_a_running_node_forgets_only_when_it_is_started_again() -> None:
    story = Story().fault("wipe", 0, 1, nodes=["n1"]).saw("n1", 2, 3, term=10)
    story.fault("restart", 4, 5, nodes=["n1"]).saw("n1", 6, 7, term=1)
    assert term_monotonicity.check(story.history()).outcome is Outcome.VALID


def test_a_wipe_of_another_node_or_one_that_was_skipped_excuses_nothing() -> None:
    story = Story().saw("n1", 0, 1, term=10).fault("wipe", 2, 3, nodes=["n2"])
    story.fault("wipe", 2, 3, nodes=["n1"], effect={"skipped": "no leader"}).saw("n1", 4, 5, term=9)
    assert term_monotonicity.check(story.history()).outcome is Outcome.INVALID


def test_of_many_findings_some_are_listed_and_all_are_counted() -> None:
    story = Story()
    for at in range(250):
        story.led("n1", 2 * at, 2 * at + 1, term=at).led("n2", 2 * at, 2 * at + 1, term=at)
        story.saw("n3", 2 * at, 2 * at + 1, term=1000 - at)
    safety, agreed, falling = (module.check(story.history()) for module in (term_safety, agreement, term_monotonicity))
    assert [len(verdict.findings) for verdict in (safety, agreed, falling)] == [200, 200, 200]
    assert safety.facts["terms_broken"] == agreed.facts["terms_broken"] == 250
    assert falling.facts["regressions"] == 249
    assert "; 249 other terms likewise" in safety.words
    assert "; 249 other terms likewise" in agreed.words
    assert all("200 are listed" in verdict.words for verdict in (safety, agreed, falling))
