"""Epoch safety: the opinions of servers about the leader, in literal histories."""

from __future__ import annotations

from typing import Any

from splitbrain.checkers.epoch_safety import check
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome


def said(story: Story, server: str, at: int, leader: Any, epoch: Any) -> Story:
    return story.asked("opinion", server, at, at + 1, "ok", {"leader": leader, "epoch": epoch})


def test_one_leader_per_epoch_is_valid() -> None:
    story = said(Story(), "s1", 10, "n1", 0)
    said(said(said(story, "s2", 12, "n1", 0), "s1", 20, "n2", 1), "s2", 22, "n1", 0)
    verdict = check(story.history())
    assert (verdict.outcome, verdict.facts["epochs"]) == (Outcome.VALID, 2)


def test_two_servers_that_name_two_leaders_in_one_epoch_break_it() -> None:
    story = said(said(said(Story(), "s1", 10, "n1", 3), "s1", 20, "n1", 3), "s2", 90, "n2", 3)
    verdict = check(story.history())
    assert (verdict.outcome, verdict.evidence) == (Outcome.INVALID, (1, 5))
    (finding,) = verdict.findings
    assert (finding.guarantee, finding.nodes) == ("term-safety", ("n1", "n2"))
    assert "epoch 3 had 2 leaders: s1 named n1 at" in finding.words


def test_one_server_that_changes_its_mind_within_an_epoch_breaks_it() -> None:
    assert check(said(said(Story(), "s1", 10, "n1", 3), "s1", 20, "n2", 3).history()).outcome is Outcome.INVALID


def test_refused_questions_say_nothing() -> None:
    story = Story().asked("opinion", "s1", 10, 11, "fail").asked("opinion", "s1", 20, None, "info")
    assert check(story.history()).outcome is Outcome.UNKNOWN


def test_an_answer_without_an_epoch_is_named() -> None:
    verdict = check(said(Story(), "s1", 10, "n1", None).history())
    assert (verdict.outcome, "line 2" in verdict.words) == (Outcome.UNKNOWN, True)


def test_epoch_safety_replaces_the_checks_of_terms() -> None:
    story = said(Story().led("n1", 1, 2, reign="a"), "s1", 10, "n1", 0)
    names = {judged.name for judged in judge(story.history()).properties}
    assert "epoch-safety" in names
    assert not names & {"term-safety", "agreement", "term-monotonicity"}


def test_a_history_without_opinions_is_judged_by_its_terms() -> None:
    names = {judged.name for judged in judge(Story().led("n1", 1, 2, term=1).history()).properties}
    assert "term-safety" in names and "epoch-safety" not in names
