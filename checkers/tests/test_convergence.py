from __future__ import annotations

import pytest

from splitbrain.checkers import stall
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome, Verdict

BOUNDS = Bounds(stall_ns=100, slack_ns=0, suspicion_ns=10)
END = 1_000


def judged(story: Story) -> Verdict:
    return stall.check(story.history(), BOUNDS)


def followed(story: Story, node: str, leader: str | None, start: int, end: int, term: int | None = 1) -> Story:
    """``node`` names ``leader`` in ``term`` every 10 ns."""
    for at in range(start, end, 10):
        story.saw(node, at, at + 2, leading=node == leader, leader=leader, term=term)
    return story


def cluster(*views: tuple[str, str | None, int | None], end: int = END) -> Story:
    """Each (node, leader, term) throughout, with confirmations at n1 so that nothing stalls."""
    story = Story()
    for node, leader, term in views:
        followed(story, node, leader, 0, end, term)
    for at in range(0, end, 20):
        story.confirmed("n1", at, at + 3)
    return story


def test_two_leaders_that_rule_on_side_by_side_never_converge() -> None:
    verdict = judged(cluster(("n1", "n1", 1), ("n2", "n2", 2), ("n3", "n1", 1)))
    assert verdict.outcome is Outcome.INVALID
    (finding,) = verdict.findings
    assert finding.guarantee == "convergence"
    assert "n2 named n2 in term 2" in finding.words
    assert len(finding.evidence) == 3


def test_nodes_that_agree_converge() -> None:
    assert judged(cluster(("n1", "n1", 1), ("n2", "n1", 1), ("n3", "n1", 1))).outcome is Outcome.VALID


@pytest.mark.parametrize(("named", "outcome"), [("n1", Outcome.VALID), ("n2", Outcome.INVALID)])
def test_followers_that_know_no_term_contradict_none(named: str, outcome: Outcome) -> None:
    story = cluster(("n1", "n1", 1), ("n3", named, None))
    followed(story, "n2", "n1", 0, END // 2, term=1)
    assert judged(followed(story, "n2", "n1", END // 2, END, term=None)).outcome is outcome


@pytest.mark.parametrize(("named", "outcome"), [("n1", Outcome.VALID), ("n3", Outcome.INVALID)])
def test_a_term_that_may_not_be_the_leaders_contradicts_none(named: str, outcome: Outcome) -> None:
    story = cluster(("n1", "n1", 1), ("n3", "n1", 1))
    for at in range(0, END, 10):
        story.saw("n2", at, at + 2, leader=named, term=7, leader_term=None)
    assert judged(story).outcome is outcome


def test_a_node_that_follows_no_leader_for_ever_has_not_converged_if_it_named_one_before() -> None:
    story = cluster(("n1", "n1", 1), ("n2", "n1", 1))
    followed(story, "n3", "n2", 0, 20)
    assert [f.guarantee for f in judged(followed(story, "n3", None, 20, END)).findings] == ["convergence"]


def test_where_nodes_know_no_leader_but_themselves_agreement_is_not_asked_for() -> None:
    assert judged(cluster(("n1", "n1", 1), ("n2", None, 1), ("n3", None, 1))).outcome is Outcome.VALID


def test_a_node_that_names_no_leader_where_others_do_leaves_a_doubt() -> None:
    verdict = judged(cluster(("n1", "n1", 1), ("n2", None, 1), ("n3", "n1", 1)))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.words == "agreement on a leader could not be judged: n2 never named a leader"
    assert verdict.facts["undecided"] == {"convergence": 1}


@pytest.mark.parametrize(("switch", "outcome"), [(END - 20, Outcome.VALID), (END, Outcome.INVALID)])
def test_to_have_agreed_for_a_moment_is_enough(switch: int, outcome: Outcome) -> None:
    story = cluster(("n1", "n1", 1), ("n3", "n1", 1))
    followed(story, "n2", "n2", 0, switch, term=2)
    assert judged(followed(story, "n2", "n1", switch, END)).outcome is outcome


@pytest.mark.parametrize(("end", "outcome"), [(200, Outcome.UNKNOWN), (230, Outcome.INVALID)])
def test_disagreement_must_last_longer_than_the_bound(end: int, outcome: Outcome) -> None:
    assert judged(cluster(("n1", "n1", 1), ("n2", "n2", 2), end=end)).outcome is outcome


def test_no_agreement_is_required_while_a_fault_is_active() -> None:
    story = cluster(("n1", "n1", 1), ("n2", "n2", 2), ("n3", "n1", 1))
    story.fault("partition", 50, 60, id=0, nodes=["n2"], links=[["n1", "n2"], ["n2", "n1"]])
    assert not judged(story).findings


def test_nodes_asked_too_rarely_prove_nothing_and_leave_a_doubt() -> None:
    story = cluster(("n1", "n1", 1), ("n3", "n1", 1))
    for at in range(0, END, 90):
        story.saw("n2", at, at + 2, leading=True, term=2)
    verdict = judged(story)
    assert (verdict.outcome, verdict.findings) == (Outcome.UNKNOWN, ())
    assert "some nodes were not observed often enough" in verdict.words


def test_an_observation_that_is_missing_hides_no_lasting_disagreement() -> None:
    story = cluster(("n1", "n1", 1), ("n3", "n1", 1))
    for start, end in ((0, 400), (480, END)):
        followed(story, "n2", "n2", start, end, term=2)
    assert [(f.guarantee, f.start, f.end) for f in judged(story).findings] == [
        ("convergence", 0, 392),
        ("convergence", 482, 992),
    ]


def test_a_node_that_is_never_observed_hides_no_disagreement_of_the_others() -> None:
    verdict = judged(cluster(("n1", "n1", 1), ("n2", "n2", 2)).saw("n3", 0, 2, leader="n1", term=1))
    assert verdict.outcome is Outcome.INVALID
    assert [finding.nodes for finding in verdict.findings] == [("n1", "n2")]


def test_one_node_alone_disagrees_with_no_other() -> None:
    story = cluster(("n1", "n1", 1)).saw("n2", 0, 2, leading=True, term=2).saw("n3", 0, 2, leader="n2", term=2)
    assert judged(story).outcome is Outcome.UNKNOWN


DIVIDED = (("n1", "n1", 1), ("n2", "n2", 2), ("n3", "n1", 1))
AGREED = (("n1", "n1", 1), ("n2", "n1", 1), ("n3", "n1", 1))


def late(story: Story, *times: int) -> Verdict:
    """The verdict where the canary woke 4 ns late at these times, and 3 ns are tolerated."""
    for time in times:
        story.canary(time, 4)
    return stall.check(story.history(), Bounds(stall_ns=100, slack_ns=0, suspicion_ns=10, canary_late_ns=3))


def test_one_late_sample_hides_no_lasting_disagreement() -> None:
    verdict = late(cluster(*DIVIDED), 500)
    assert verdict.outcome is Outcome.INVALID
    assert [(f.guarantee, f.start, f.end) for f in verdict.findings] == [
        ("convergence", 0, 496),
        ("convergence", 500, 992),
    ]


def test_a_disagreement_that_starvation_leaves_no_part_of_long_enough_is_unknown() -> None:
    verdict = late(cluster(*DIVIDED), *range(150, END, 150))
    assert (verdict.outcome, verdict.findings) == (Outcome.UNKNOWN, ())
    assert "the machine was starved between 0.000 s and 0.000 s" in verdict.words
    assert late(cluster(*AGREED), *range(150, END, 150)).outcome is Outcome.VALID
