"""Vote safety: against a loop over all pairs, and on histories of a few lines."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers import vote_safety
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story, from_text
from splitbrain.checkers.verdict import Outcome

NODES = ["n1", "n2", "n3"]
Seen = tuple[str, int, int, int, str | None]  # node, invoke, complete, term, vote


@st.composite
def observations(draw: st.DrawFn) -> list[Seen]:
    one = st.tuples(
        st.sampled_from(NODES),
        st.integers(0, 20),
        st.integers(0, 4),
        st.integers(0, 2),
        st.sampled_from([None, *NODES]),
    )
    return [(node, a, a + w, term, vote) for node, a, w, term, vote in draw(st.lists(one))]


@st.composite
def periods(draw: st.DrawFn) -> list[tuple[int, int]]:
    each = st.tuples(st.integers(0, 20), st.integers(0, 5))
    return [(begin, begin + lasts) for begin, lasts in draw(st.lists(each, max_size=3))]


def apart(one: Seen, other: Seen, act: tuple[int, int]) -> bool:
    """True if the node may have lost its vote between the two during the act."""
    begin, end = act
    return begin <= max(one[2], other[2]) and end >= min(one[1], other[1])


@given(observations(), periods(), st.booleans())
def test_a_node_voted_twice_iff_some_pair_of_its_answers_proves_it(
    seen: list[Seen], acts: list[tuple[int, int]], kept: bool
) -> None:
    story = Story()
    for node, a, b, term, vote in seen:
        story.saw(node, a, b, term=term, vote=vote)
    for begin, end in acts:
        story.fault("kill", begin, end, nodes=["n1"])
    expected = {
        (one[0], one[3])
        for one, other in combinations(seen, 2)
        if one[0] == other[0] and one[3] == other[3] and None not in (one[4], other[4]) and one[4] != other[4]
        if kept or not any(apart(one, other, act) for act in acts)
    }
    verdict = vote_safety.check(story.history(), votes_kept=kept)
    assert {(finding.nodes[0], finding.facts["term"]) for finding in verdict.findings} == expected
    voted = any(vote is not None for *_, vote in seen)
    assert verdict.outcome is (Outcome.INVALID if expected else Outcome.VALID if voted else Outcome.UNKNOWN)


def line(index: int, type: str, term: int, vote: str) -> str:
    value = f'{{"leading": false, "leader": null, "term": {term}, "reign": null, "vote": {vote}}}'
    value = value if type == "ok" else "null"
    return (
        f'{{"index": {index}, "time": {index}, "process": 0, "type": "{type}", "f": "observe", "node": "n3", '
        f'"value": {value}}}'
    )


def history_of(*votes: tuple[int, str]) -> History:
    """A history in which n3 tells one after the other in which term it is, and its vote, as JSON has it."""
    lines = [line(2 * at + half, ("invoke", "ok")[half], *vote) for at, vote in enumerate(votes) for half in (0, 1)]
    return from_text("\n".join(lines))


def test_two_votes_in_one_term_are_proven_by_two_lines() -> None:
    verdict = vote_safety.check(history_of((7, '"n1"'), (7, "null"), (7, '"n2"')), votes_kept=True)
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 5))
    assert verdict.words == "n3 voted twice in term 7, for n1 and for n2"
    assert verdict.facts == {"votes_shown": 1, "voted_twice": 1}


def test_one_vote_a_term_shown_often_and_another_in_the_next_term_is_valid() -> None:
    verdict = vote_safety.check(history_of((7, '"n1"'), (7, '"n1"'), (8, '"n3"')))
    assert (verdict.outcome, verdict.words) == (Outcome.VALID, "2 votes observed, each for one candidate")


def test_a_vote_for_itself_is_one_too() -> None:
    assert vote_safety.check(history_of((7, '"n3"'), (7, '"n2"'))).outcome is Outcome.INVALID


def test_a_vote_that_is_no_name_is_malformed() -> None:
    with pytest.raises(HistoryError, match="vote to be a node's name or null in an observe that is ok, got 7"):
        history_of((7, "7"))


def restarted() -> Story:
    """n3 votes for n1, is killed and started again, and votes for n2 in the same term."""
    story = Story().saw("n3", 0, 1, term=7, vote="n1").fault("kill", 2, 3, nodes=["n3"], id=0)
    story.fault("restart", 4, 5, nodes=["n3"], heals=[0], id=1)
    return story.saw("n3", 6, 7, term=7, vote="n2")


def test_a_restart_excuses_a_node_that_may_show_a_vote_before_it_is_durable_and_no_other() -> None:
    assert vote_safety.check(restarted().history(), votes_kept=True).outcome is Outcome.INVALID
    assert vote_safety.check(restarted().history()).outcome is Outcome.VALID


def test_after_a_restart_two_votes_prove_a_violation_again() -> None:
    assert vote_safety.check(restarted().saw("n3", 8, 9, term=7, vote="n1").history()).outcome is Outcome.INVALID


def test_a_node_that_was_wiped_may_vote_again() -> None:
    story = restarted().fault("wipe", 3, 4, nodes=["n3"])
    assert vote_safety.check(story.history(), votes_kept=True).outcome is Outcome.VALID


def test_it_is_judged_where_votes_are_shown_and_nowhere_else() -> None:
    names = [
        [each.name for each in judge(history).properties]
        for history in (history_of((7, "null")), history_of((7, '"n1"')))
    ]
    assert ["vote-safety" in judged for judged in names] == [False, True]


def test_bounds_say_that_observed_votes_are_durable() -> None:
    history = restarted().history()
    assert judge(history, bounds=Bounds(votes_kept=True))["vote-safety"].outcome is Outcome.INVALID
    assert judge(history, bounds=Bounds())["vote-safety"].outcome is Outcome.VALID


def test_of_many_findings_some_are_listed_and_all_are_counted() -> None:
    story = Story()
    for at in range(250):
        story.saw("n1", 2 * at, 2 * at + 1, term=at, vote="n1").saw("n1", 2 * at, 2 * at + 1, term=at, vote="n2")
    verdict = vote_safety.check(story.history())
    assert len(verdict.findings) == 200
    assert verdict.facts == {"votes_shown": 250, "voted_twice": 250}
    assert "249 other votes likewise, of which 200 are listed" in verdict.words
