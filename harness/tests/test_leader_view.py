from __future__ import annotations

from splitbrain.core.leader_view import LeaderView
from splitbrain.workloads.clients import Claim

NODES = ("n1", "n2", "n3")
FRESH = 1_000


def claim(
    at: int,
    *,
    leading: bool = False,
    leader: str | None = None,
    term: int | None = 1,
    reign: str | None = None,
    vote: str | None = None,
) -> Claim:
    return Claim(at, leading, leader, term, reign, vote, term)


def watch_with(**claims: Claim) -> LeaderView:
    watch = LeaderView(NODES, FRESH)
    for node, made in claims.items():
        watch.saw(node, made)
    return watch


def leads(at: int, node: str, term: int, reign: str | None = None) -> Claim:
    return claim(at, leading=True, leader=node, term=term, reign=reign or f"{node}-{term}")


def test_new_leaders_and_new_terms_are_events_each_once() -> None:
    watch = LeaderView(NODES, FRESH)
    watch.saw("n1", leads(0, "n1", 1))
    watch.saw("n1", leads(5, "n1", 1))
    watch.saw("n2", claim(6, leader="n1", term=1))
    watch.saw("n2", claim(7, term=3))
    watch.saw("n2", leads(8, "n2", 3))
    watch.saw("n3", claim(9, term=2))
    assert watch.events == [
        ("term-change", "n1"),
        ("new-leader", "n1"),
        ("term-change", "n2"),
        ("new-leader", "n2"),
    ]


def test_a_vote_for_another_is_an_event_once_a_term_and_its_subject_is_the_voter() -> None:
    watch = LeaderView(NODES, FRESH)
    watch.saw("n2", claim(0))
    watch.saw("n2", claim(1, vote="n1"))
    watch.saw("n2", claim(2, leader="n1", vote="n1"))
    watch.saw("n2", claim(3, term=2))
    watch.saw("n2", claim(4, term=2, vote="n1"))
    assert [event for event in watch.events if event[0] == "voted"] == [("voted", "n2")] * 2


def test_a_vote_in_a_new_term_is_seen_after_that_term() -> None:
    watch = LeaderView(NODES, FRESH)
    watch.saw("n2", claim(0))
    watch.saw("n2", claim(1, term=2, vote="n1"))
    assert watch.events == [("term-change", "n2"), ("term-change", "n2"), ("voted", "n2")]


def test_a_vote_for_itself_and_one_that_may_be_older_than_the_first_answer_are_no_events() -> None:
    watch = watch_with(n1=claim(0), n2=claim(0, vote="n1"))
    watch.saw("n1", claim(1, term=2, vote="n1"))
    watch.saw("n2", claim(2, vote="n1"))
    assert {event for event, _ in watch.events} == {"term-change"}


def test_a_system_without_terms_has_no_change_of_term() -> None:
    watch = LeaderView(NODES, FRESH)
    watch.saw("n1", claim(0, leading=True, leader="n1", term=None, reign="a"))
    assert watch.events == [("new-leader", "n1")]


def test_a_leadership_is_new_once() -> None:
    watch = LeaderView(NODES, FRESH)
    assert watch.saw("n1", leads(0, "n1", 1))
    assert not watch.saw("n1", leads(5, "n1", 1))
    assert watch.saw("n1", leads(9, "n1", 2))


def test_a_node_that_follows_shows_no_leadership() -> None:
    assert not LeaderView(NODES, FRESH).saw("n2", claim(0, leader="n1"))


def test_without_a_reign_key_the_term_distinguishes_leaderships() -> None:
    watch = LeaderView(NODES, FRESH)
    assert watch.saw("n1", Claim(0, True, "n1", 4, None))
    assert not watch.saw("n1", Claim(1, True, "n1", 4, None))
    assert watch.saw("n1", Claim(2, True, "n1", 5, None))


def test_rivals_are_all_others_last_seen_leading() -> None:
    watch = watch_with(n1=leads(0, "n1", 1), n2=leads(5, "n2", 2), n3=claim(6, leader="n2"))
    assert watch.rivals("n2") == ("n1",)
    assert watch.rivals("n3") == ("n1", "n2")


def test_faults_aim_at_the_leader_of_the_newest_term() -> None:
    watch = watch_with(n1=leads(9, "n1", 1), n2=leads(5, "n2", 2))
    view = watch.view(10)
    assert (view.leader, view.term) == ("n2", 2)


def test_a_claim_gone_stale_is_no_target() -> None:
    watch = watch_with(n1=leads(0, "n1", 1))
    assert watch.view(FRESH).leader == "n1"
    assert watch.view(FRESH + 1).leader is None


def test_agreement_needs_a_fresh_claim_of_every_node_for_one_leader() -> None:
    follow = claim(0, leader="n1")
    assert watch_with(n1=leads(0, "n1", 1), n2=follow, n3=follow).disagreement(0) is None


def test_the_reason_of_a_disagreement_is_given() -> None:
    follow = claim(0, leader="n1")
    assert "n3" in str(watch_with(n1=leads(0, "n1", 1), n2=follow).disagreement(0))
    two = watch_with(n1=leads(0, "n1", 1), n2=claim(0, leader="n3", term=2), n3=follow)
    assert "n3 in term 2" in str(two.disagreement(0))
    nobody = claim(0)
    assert watch_with(n1=nobody, n2=nobody, n3=nobody).disagreement(0) == "no node leads"
    assert "does not lead" in str(watch_with(n1=follow, n2=follow, n3=follow).disagreement(0))
    assert "no fresh answer" in str(watch_with(n1=leads(0, "n1", 1), n2=follow, n3=follow).disagreement(FRESH + 1))


def test_a_candidate_voted_for_itself_in_the_newest_term_and_follows_no_node() -> None:
    watch = watch_with(n1=claim(5, term=3, vote="n1"), n2=claim(6, term=3, vote="n1"), n3=claim(7, term=2, vote="n3"))
    assert watch.view(10).candidate == "n1"
    watch.saw("n3", claim(8, term=4, vote="n3"))
    assert watch.view(10).candidate == "n3"
    watch.saw("n3", leads(9, "n3", 4))
    assert watch.view(10).candidate is None


def test_the_last_to_lead_led_before_the_present_leader() -> None:
    watch = watch_with(n1=leads(0, "n1", 1))
    assert watch.view(1).last_to_lead is None
    watch.saw("n2", leads(2, "n2", 2))
    assert (watch.view(3).leader, watch.view(3).last_to_lead) == ("n2", "n1")
    watch.saw("n2", claim(4, term=2))
    watch.saw("n1", claim(4, term=2))
    assert (watch.view(5).leader, watch.view(5).last_to_lead) == (None, "n2")


def test_where_no_node_ever_named_another_one_that_leads_is_enough() -> None:
    nobody = claim(0, term=None)
    alone = watch_with(n1=claim(0, leading=True, leader="n1", term=None), n2=nobody, n3=nobody)
    assert alone.disagreement(0) is None
    alone.saw("n2", claim(0, leader="n3", term=None))
    alone.saw("n2", nobody)
    assert "no leader" in str(alone.disagreement(0))


def test_a_follower_whose_term_may_not_be_its_leaders_agrees() -> None:
    lags = Claim(0, False, "n1", 7, None)
    assert watch_with(n1=leads(0, "n1", 1), n2=lags, n3=lags).disagreement(0) is None
