"""One node at a time: an event, what it must do, and what it must never do.

Sections are of Ongaro & Ousterhout 2014 ("paper") and of Ongaro's dissertation ("diss.").
"""

from __future__ import annotations

from random import Random

import pytest

from splitbrain.names import MS
from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Followed,
    Json,
    Led,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    TimerFired,
)
from splitbrain.nodes.raft import RAFT, RAFT_BASIC, RAFT_LEASE, Raft, RaftOptions

PRE_VOTE_ONLY = RaftOptions(check_quorum=False)
PEERS = ("n2", "n3", "n4", "n5")


def follower(options: RaftOptions = RAFT_BASIC, size: int = 5, state: Json = None) -> Raft:
    """n1 of a cluster of ``size``, started at 0."""
    node = Raft("n1", PEERS[: size - 1], options, Random(1), "boot", state)
    node.handle(Started(0))
    return node


def leader(options: RaftOptions = RAFT_BASIC, size: int = 5, at: int = 1000 * MS) -> Raft:
    """n1, elected in term 1 at the instant ``at``, its first heartbeats just sent."""
    node = follower(options, size)
    effects = node.handle(TimerFired(at, "election"))
    for peer in PEERS[: size - 1]:
        for send in sends(effects):
            if send.to == peer and send.kind in ("pre_vote", "vote"):
                effects = effects + node.handle(Received(at, peer, grant(send)))
    assert role(node) == "leader"
    return node


def role(node: Raft) -> str:
    return node.status(0).role


def sends(effects: list[Effect], kind: str | None = None) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and kind in (None, e.kind)]


def heartbeat(term: int, round_: int = 1) -> Json:
    return {"kind": "heartbeat", "term": term, "round": round_}


def vote(term: int, round_: int = 1) -> Json:
    return {"kind": "vote", "term": term, "round": round_}


def pre_vote(term: int, round_: int = 1) -> Json:
    return {"kind": "pre_vote", "term": term, "round": round_}


def grant(request: Send) -> Json:
    """The reply that gives what ``request`` asks for."""
    return {**request.message, "kind": f"{request.kind}_reply", "granted": True}


def answer(request: Send) -> Json:
    """The reply to a heartbeat."""
    return {**request.message, "kind": "heartbeat_reply"}


def reply_of(node: Raft, at: int, sender: str, message: Json) -> Json:
    """The one message that a node sends back, None when it says nothing."""
    answers = sends(node.handle(Received(at, sender, message)))
    assert all(send.to == sender for send in answers)
    return answers[0].message if answers else None


def timeout_of(effects: list[Effect]) -> int:
    (timeout,) = [e.after for e in effects if isinstance(e, SetTimer) and e.timer == "election"]
    return timeout


# Elections (paper 5.2)


def test_a_node_starts_as_a_follower_and_waits_a_random_timeout_in_the_range() -> None:
    timeouts = set()
    for seed in range(200):
        effects = Raft("n1", PEERS, RAFT_BASIC, Random(seed), "boot").handle(Started(0))
        assert [type(effect) for effect in effects] == [SetTimer]
        timeouts.add(timeout_of(effects))
    assert min(timeouts) >= 150 * MS and max(timeouts) <= 300 * MS
    assert len(timeouts) > 190


def test_a_timeout_makes_a_candidate_that_votes_for_itself_durably_before_it_asks() -> None:
    node = follower()
    effects = node.handle(TimerFired(300 * MS, "election"))
    assert effects[0] == Persist({"term": 1, "voted_for": "n1"})
    assert [(send.to, send.kind, send.message) for send in sends(effects)] == [
        (peer, "vote", {"kind": "vote", "term": 1, "round": 300 * MS}) for peer in PEERS
    ]
    assert node.status(300 * MS).role == "candidate"


def test_a_majority_of_votes_elects_and_one_less_does_not() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    assert node.handle(Received(301 * MS, "n2", grant(request))) == []
    effects = node.handle(Received(301 * MS, "n3", grant(request)))
    assert Led(1, "boot-1") in effects and CancelTimer("election") in effects
    assert len(sends(effects, "heartbeat")) == 4


@pytest.mark.parametrize(("size", "votes"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)])
def test_a_majority_is_more_than_half_also_of_an_even_number(size: int, votes: int) -> None:
    peers = [f"p{number}" for number in range(1, size)]
    node = Raft("n1", peers, RAFT_BASIC, Random(1), "boot")
    node.handle(Started(0))
    effects = node.handle(TimerFired(300 * MS, "election"))
    requests = sends(effects, "vote")
    for request in requests[: max(votes - 1, 0)]:
        node.handle(Received(301 * MS, request.to, grant(request)))
    assert role(node) == ("leader" if size == 1 else "candidate")
    for request in requests[:votes]:
        node.handle(Received(301 * MS, request.to, grant(request)))
    assert role(node) == "leader"


def test_votes_are_counted_by_voter_so_a_doubled_datagram_elects_no_leader() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    for _ in range(5):
        node.handle(Received(301 * MS, "n2", grant(request)))
    assert role(node) == "candidate"


def test_a_refusal_is_no_vote() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    for peer in PEERS:
        node.handle(Received(301 * MS, peer, {**grant(request), "granted": False}))
    assert role(node) == "candidate"


def test_a_late_vote_of_an_earlier_term_is_no_vote() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    node.handle(TimerFired(700 * MS, "election"))
    for peer in PEERS:
        node.handle(Received(701 * MS, peer, grant(request)))
    assert node.status(701 * MS).role == "candidate" and node.term == 2


def test_a_vote_of_another_round_or_term_than_was_asked_for_is_no_vote() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    for peer in PEERS:
        node.handle(Received(301 * MS, peer, {**grant(request), "round": 1}))
        node.handle(Received(301 * MS, peer, {**grant(request), "term": 0}))
    assert role(node) == "candidate"


def test_late_votes_after_stepping_down_do_not_elect_again_in_the_same_term() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    node.handle(Received(301 * MS, "n2", heartbeat(1)))
    for peer in PEERS:
        node.handle(Received(302 * MS, peer, grant(request)))
    assert role(node) == "follower"


def test_a_node_shows_its_vote_in_its_term_and_after_a_restart_too() -> None:
    node = follower()
    assert node.status(0).vote is None
    effects = node.handle(Received(1, "n2", vote(1)))
    assert (node.status(1).term, node.status(1).vote) == (1, "n2")
    (kept,) = [effect.state for effect in effects if isinstance(effect, Persist)]
    assert Raft("n1", PEERS, RAFT_BASIC, Random(1), "boot", kept).status(0).vote == "n2"
    node.handle(Received(2, "n3", {"kind": "heartbeat", "term": 2, "round": 1}))
    assert (node.status(2).term, node.status(2).vote) == (2, None)
    node.handle(TimerFired(9_000 * MS, "election"))
    assert (node.status(9_000 * MS).term, node.status(9_000 * MS).vote) == (3, "n1")


def test_a_vote_is_durable_before_it_is_sent() -> None:
    effects = follower().handle(Received(1, "n2", vote(1)))
    assert effects[0] == Persist({"term": 1, "voted_for": "n2"})
    assert effects[-1] == Send("n2", "vote_reply", {**vote(1), "kind": "vote_reply", "granted": True})


def test_one_vote_a_term_first_come_first_served_also_after_a_restart() -> None:
    node = follower()
    assert reply_of(node, 1, "n2", vote(1))["granted"]
    assert reply_of(node, 2, "n2", vote(1))["granted"]  # the same one again: its first reply may be lost
    assert not reply_of(node, 3, "n3", vote(1))["granted"]
    again = follower(state={"term": 1, "voted_for": "n2"})
    assert not reply_of(again, 4, "n3", vote(1))["granted"]
    assert reply_of(again, 5, "n3", vote(2))["granted"]


def test_a_vote_asked_in_an_old_term_is_refused_with_the_present_one() -> None:
    node = follower(state={"term": 10, "voted_for": None})
    assert reply_of(node, 1, "n2", vote(9)) == {
        "kind": "vote_reply",
        "term": 10,
        "round": 1,
        "granted": False,
    }
    assert node.voted_for is None


def test_granting_a_vote_restarts_the_election_timer() -> None:
    node = follower(state={"term": 1, "voted_for": None})
    node.handle(Received(299 * MS, "n2", vote(1)))
    node.handle(Received(300 * MS, "n3", vote(1)))  # refused: not a reason to wait longer
    effects = node.handle(TimerFired(440 * MS, "election"))
    assert role(node) == "follower" and 449 * MS <= 440 * MS + timeout_of(effects) <= 599 * MS


def test_a_candidate_that_hears_a_leader_of_its_term_follows_it() -> None:
    node = follower()
    node.handle(TimerFired(300 * MS, "election"))
    assert Followed(1, "n2") in node.handle(Received(301 * MS, "n2", heartbeat(1)))
    assert node.status(301 * MS).leader == "n2"


def test_a_candidate_without_a_majority_tries_again_in_the_next_term() -> None:
    node = follower()
    node.handle(TimerFired(300 * MS, "election"))
    effects = node.handle(TimerFired(600 * MS, "election"))
    assert effects[0] == Persist({"term": 2, "voted_for": "n1"})


def test_a_timer_that_fires_early_starts_no_election() -> None:
    node = follower(state={"term": 1, "voted_for": "n2"})
    node.handle(Received(100 * MS, "n2", heartbeat(1)))
    effects = node.handle(TimerFired(200 * MS, "election"))
    assert role(node) == "follower"
    assert 200 * MS + timeout_of(effects) >= 250 * MS
    assert node.handle(TimerFired(200 * MS + timeout_of(effects), "election"))
    assert role(node) == "candidate"


def test_heartbeats_put_off_the_election_by_a_whole_timeout_from_the_last_one() -> None:
    node = follower()
    timeout = timeout_of(node.handle(Received(0, "n2", heartbeat(1))))
    for at in range(50 * MS, 1000 * MS, 50 * MS):
        node.handle(Received(at, "n2", heartbeat(1)))
    assert timeout_of(node.handle(TimerFired(960 * MS, "election"))) == 950 * MS + timeout - 960 * MS


# Terms (paper 5.1)


def test_a_higher_term_is_adopted_from_every_kind_of_message_but_pre_votes() -> None:
    replied = {"round": 1, "granted": False}
    for message in (
        heartbeat(7),
        vote(7),
        {"kind": "heartbeat_reply", "term": 7, "round": 1},
        {"kind": "vote_reply", "term": 7, **replied},
        {"kind": "pre_vote_reply", "term": 7, **replied},
    ):
        node = leader()
        effects = node.handle(Received(1001 * MS, "n2", message))
        assert isinstance(effects[0], Persist) and effects[0].state["term"] == 7
        assert role(node) == "follower" and CancelTimer("heartbeat") in effects


def test_a_heartbeat_of_an_old_term_is_answered_with_the_present_one_and_not_followed() -> None:
    node = follower(state={"term": 5, "voted_for": None})
    assert reply_of(node, 1, "n2", heartbeat(4))["term"] == 5
    assert node.status(1).leader is None


def test_terms_are_numbers_not_texts() -> None:
    node = follower(state={"term": 9, "voted_for": None})
    assert reply_of(node, 1, "n2", heartbeat(10))["term"] == 10


def test_an_unchanged_state_is_not_persisted_again() -> None:
    node = follower()
    node.handle(Received(1, "n2", heartbeat(1)))
    for at in range(2, 50):
        effects = node.handle(Received(at * MS, "n2", heartbeat(1, at)))
        assert [type(effect) for effect in effects] == [Send]


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "heartbeat",
        [],
        ["heartbeat", 1, 1],
        {},
        {"kind": "heartbeat"},
        {"kind": "heartbeat", "term": "9", "round": 1},
        {"kind": "heartbeat", "term": 9.0, "round": 1},
        {"kind": "heartbeat", "term": True, "round": 1},
        {"kind": "heartbeat", "term": 9, "round": None},
        {"kind": "gossip", "term": 9, "round": 1},
        {"kind": ["heartbeat"], "term": 9, "round": 1},
        {"kind": None, "term": 9, "round": 1},
    ],
)
def test_what_is_no_message_is_dropped(message: Json) -> None:
    node = follower()
    assert node.handle(Received(1, "n2", message)) == []
    assert node.term == 0


def test_a_message_from_a_stranger_or_from_itself_is_dropped() -> None:
    node = follower()
    assert node.handle(Received(1, "n9", vote(3))) == []
    assert node.handle(Received(1, "n1", vote(3))) == []


def test_a_vote_counts_only_when_it_says_true() -> None:
    node = follower()
    request = sends(node.handle(TimerFired(300 * MS, "election")))[0]
    for peer in PEERS:
        node.handle(Received(301 * MS, peer, {**grant(request), "granted": 1}))
    assert role(node) == "candidate"


def test_a_timer_of_a_role_it_has_left_or_of_no_name_it_knows_does_nothing() -> None:
    assert follower().handle(TimerFired(MS, "heartbeat")) == []
    assert leader().handle(TimerFired(5000 * MS, "election")) == []
    assert follower().handle(TimerFired(MS, "lunch")) == []


# Pre-vote (diss. 9.6)


def test_a_pre_candidate_asks_without_raising_its_term() -> None:
    node = follower(RAFT)
    effects = node.handle(TimerFired(300 * MS, "election"))
    assert not [effect for effect in effects if isinstance(effect, Persist)]
    assert {send.message["term"] for send in sends(effects, "pre_vote")} == {1}
    assert node.status(300 * MS).role == "pre-candidate" and node.term == 0


def test_a_majority_of_pre_votes_makes_a_candidate() -> None:
    node = follower(RAFT)
    requests = sends(node.handle(TimerFired(300 * MS, "election")))
    assert node.handle(Received(301 * MS, "n2", grant(requests[0]))) == []
    effects = node.handle(Received(301 * MS, "n3", grant(requests[1])))
    assert effects[0] == Persist({"term": 1, "voted_for": "n1"})
    assert len(sends(effects, "vote")) == 4


def test_pre_votes_of_an_earlier_attempt_do_not_count() -> None:
    node = follower(RAFT)
    first = sends(node.handle(TimerFired(300 * MS, "election")))
    node.handle(Received(301 * MS, "n2", grant(first[0])))
    node.handle(TimerFired(700 * MS, "election"))
    for request in first:
        node.handle(Received(701 * MS, request.to, grant(request)))
    assert role(node) == "pre-candidate"


def test_a_pre_vote_granted_changes_nothing_and_may_be_granted_to_two() -> None:
    node = follower(RAFT, state={"term": 3, "voted_for": "n5"})
    for sender in ("n2", "n3"):
        effects = node.handle(Received(1, sender, pre_vote(4, 9)))
        assert effects == [
            Send(sender, "pre_vote_reply", {"kind": "pre_vote_reply", "term": 4, "round": 9, "granted": True})
        ]
    assert (node.term, node.voted_for) == (3, "n5")


def test_a_pre_vote_is_refused_where_the_vote_would_be() -> None:
    node = follower(RAFT, state={"term": 4, "voted_for": "n5"})
    assert reply_of(node, 1, "n2", pre_vote(4)) == {
        "kind": "pre_vote_reply",
        "term": 4,
        "round": 1,
        "granted": False,
    }
    assert reply_of(node, 1, "n5", pre_vote(4))["granted"]
    assert not reply_of(node, 1, "n2", pre_vote(3))["granted"]


def test_a_refused_pre_candidate_that_learns_of_a_higher_term_adopts_it() -> None:
    node = follower(RAFT)
    node.handle(TimerFired(300 * MS, "election"))
    refusal = {"kind": "pre_vote_reply", "term": 6, "round": 300 * MS, "granted": False}
    assert node.handle(Received(301 * MS, "n2", refusal))[0] == Persist({"term": 6, "voted_for": None})
    assert role(node) == "follower"


def test_a_pre_candidate_stands_back_for_the_one_it_votes_for() -> None:
    node = follower(RAFT, state={"term": 1, "voted_for": None})
    requests = sends(node.handle(TimerFired(300 * MS, "election")))
    assert reply_of(node, 301 * MS, "n2", vote(1))["granted"]
    for request in requests:
        node.handle(Received(302 * MS, request.to, grant(request)))
    assert role(node) == "follower"


@pytest.mark.parametrize("options", [RAFT, PRE_VOTE_ONLY, RAFT_LEASE])
def test_whoever_hears_a_leader_gives_no_pre_vote_until_the_shortest_timeout(options: RaftOptions) -> None:
    node = follower(options)
    node.handle(Received(1000 * MS, "n2", heartbeat(1)))
    assert reply_of(node, 1150 * MS - 1, "n3", pre_vote(2)) is None
    assert reply_of(node, 1150 * MS, "n3", pre_vote(2))["granted"]


# Check of the quorum (diss. 6.2) and of who may disturb (diss. 4.2.3)


def test_whoever_hears_a_leader_ignores_a_vote_asked_for_terms_included() -> None:
    node = follower(RAFT)
    node.handle(Received(1000 * MS, "n2", heartbeat(1)))
    assert node.handle(Received(1150 * MS - 1, "n3", vote(9))) == []
    assert node.term == 1
    assert reply_of(node, 1150 * MS, "n3", vote(9))["granted"]


def test_whoever_is_behind_is_told_so_also_by_a_node_that_hears_a_leader() -> None:
    node = follower(RAFT)
    node.handle(Received(1000 * MS, "n2", heartbeat(5)))
    for message in (vote(4), pre_vote(4)):
        reply = reply_of(node, 1001 * MS, "n3", message)
        assert (reply["term"], reply["granted"]) == (5, False)


def test_without_the_check_of_the_quorum_a_vote_asked_for_disturbs() -> None:
    for options in (RAFT_BASIC, PRE_VOTE_ONLY):
        node = follower(options)
        node.handle(Received(1000 * MS, "n2", heartbeat(1)))
        assert reply_of(node, 1001 * MS, "n3", vote(9))["granted"]


def test_a_leader_that_a_quorum_answered_lately_ignores_a_vote_asked_for() -> None:
    node = leader(RAFT)
    assert node.handle(Received(1001 * MS, "n5", vote(9))) == []
    assert role(node) == "leader"
    assert reply_of(node, 1151 * MS, "n5", vote(9))["granted"]
    assert role(node) == "follower"


def test_a_leader_steps_down_when_no_majority_answered_within_the_longest_timeout() -> None:
    node = leader(RAFT)
    for at in (1050, 1100, 1150, 1200, 1250, 1300):
        assert len(sends(node.handle(TimerFired(at * MS, "heartbeat")))) == 4
    effects = node.handle(TimerFired(1350 * MS, "heartbeat"))
    assert CancelTimer("heartbeat") in effects and Followed(1, None) in effects and not sends(effects)
    assert not node.status(1350 * MS).leading


def test_without_the_check_a_leader_that_no_node_answers_leads_for_ever() -> None:
    for options in (RAFT_BASIC, PRE_VOTE_ONLY):
        node = leader(options)
        for at in range(1050, 60_000, 50):
            node.handle(TimerFired(at * MS, "heartbeat"))
        assert node.status(60_000 * MS).leading


@pytest.mark.parametrize(("answering", "leads"), [(1, False), (2, True)])
def test_of_five_the_leader_and_two_more_are_a_quorum_and_the_leader_counts_once(answering: int, leads: bool) -> None:
    node = leader(RAFT)
    for at in range(1050 * MS, 2000 * MS, 50 * MS):
        for request in sends(node.handle(TimerFired(at, "heartbeat")), "heartbeat")[:answering]:
            for _ in range(3):
                node.handle(Received(at + MS, request.to, answer(request)))
    assert (role(node) == "leader") is leads


def test_what_counts_is_when_the_answered_round_was_sent_not_when_its_answers_came() -> None:
    node = leader(RAFT)
    first = sends(node.handle(TimerFired(1050 * MS, "heartbeat")))
    for at in (1100, 1150, 1200, 1250, 1300, 1350):
        node.handle(TimerFired(at * MS, "heartbeat"))
        for request in first:
            node.handle(Received((at + 1) * MS, request.to, answer(request)))
    assert role(node) == "leader"
    node.handle(TimerFired(1400 * MS, "heartbeat"))
    assert role(node) == "follower"


def test_an_answer_to_a_round_never_sent_or_of_another_term_counts_for_nothing() -> None:
    node = leader(RAFT)
    for at in range(1050 * MS, 1351 * MS, 50 * MS):
        for request in sends(node.handle(TimerFired(at, "heartbeat"))):
            node.handle(Received(at, request.to, {**answer(request), "round": at + MS}))
            node.handle(Received(at, request.to, {**answer(request), "term": 0}))
    assert role(node) == "follower"


# Confirmations


def test_a_confirmation_starts_a_round_at_once_and_waits_for_a_majority_of_it() -> None:
    node = leader()
    requests = sends(node.handle(ConfirmAsked(1010 * MS, 5)), "heartbeat")
    assert len(requests) == 4
    assert node.handle(Received(1011 * MS, "n2", answer(requests[0]))) == []
    effects = node.handle(Received(1012 * MS, "n3", answer(requests[1])))
    assert effects == [Answer(5, 1, "boot-1", None)]
    assert node.handle(Received(1013 * MS, "n4", answer(requests[2]))) == []


def test_a_round_sent_before_the_question_proves_nothing_and_a_later_one_does() -> None:
    node = leader()
    before = sends(node.handle(TimerFired(1050 * MS, "heartbeat")))
    node.handle(ConfirmAsked(1050 * MS, 5))  # of the very same instant
    for request in before:
        assert node.handle(Received(1051 * MS, request.to, answer(request))) == []
    after = sends(node.handle(TimerFired(1100 * MS, "heartbeat")))
    node.handle(Received(1101 * MS, "n2", answer(after[0])))
    assert Answer(5, 1, "boot-1", None) in node.handle(Received(1101 * MS, "n3", answer(after[1])))


def test_a_node_that_does_not_lead_confirms_nothing() -> None:
    assert follower().handle(ConfirmAsked(1, 5)) == [Answer(5, 0, None, "not leading")]


def test_confirmations_under_way_fail_when_leadership_is_lost() -> None:
    node = leader()
    node.handle(ConfirmAsked(1010 * MS, 5))
    node.handle(ConfirmAsked(1011 * MS, 6))
    effects = node.handle(Received(1012 * MS, "n2", heartbeat(2)))
    assert [effect for effect in effects if isinstance(effect, Answer)] == [
        Answer(5, 1, None, "lost leadership"),
        Answer(6, 1, None, "lost leadership"),
    ]
    effects = node.handle(Received(1013 * MS, "n2", heartbeat(3)))
    assert not [effect for effect in effects if isinstance(effect, Answer)]


def test_each_confirmation_is_answered_once_also_by_a_leader_that_lost_and_won_in_between() -> None:
    node = leader()
    node.handle(ConfirmAsked(1010 * MS, 5))
    node.handle(Received(1012 * MS, "n2", heartbeat(2)))
    request = sends(node.handle(TimerFired(2000 * MS, "election")))[0]
    effects = [e for peer in PEERS for e in node.handle(Received(2001 * MS, peer, grant(request)))]
    for heartbeat_ in sends(effects, "heartbeat"):
        effects += node.handle(Received(2002 * MS, heartbeat_.to, answer(heartbeat_)))
    assert role(node) == "leader" and not [e for e in effects if isinstance(e, Answer)]


def test_a_leader_without_quorum_gives_up_confirmations_rather_than_collect_them() -> None:
    node = leader()
    node.handle(ConfirmAsked(1010 * MS, 5))
    assert not [e for e in node.handle(TimerFired(11_010 * MS, "heartbeat")) if isinstance(e, Answer)]
    assert Answer(5, 1, None, "no quorum") in node.handle(TimerFired(11_060 * MS, "heartbeat"))


def test_an_only_node_elects_and_confirms_itself() -> None:
    for options in (RAFT_BASIC, RAFT, RAFT_LEASE):
        node = leader(options, size=1)
        assert node.handle(TimerFired(1050 * MS, "heartbeat")) == [SetTimer("heartbeat", 50 * MS)]
        assert node.handle(ConfirmAsked(1060 * MS, 1)) == [Answer(1, 1, "boot-1", None)]
        assert node.status(1060 * MS).leading


# The lease (diss. 6.4.1)

LEASE = 150 * MS * 100 // 110


def renew(node: Raft, at: int, answered_at: int) -> list[Effect]:
    """Send a round at ``at`` and let two of the four answer it; what the second answer brings."""
    requests = sends(node.handle(TimerFired(at, "heartbeat")), "heartbeat")
    node.handle(Received(answered_at, "n2", answer(requests[0])))
    return node.handle(Received(answered_at, "n3", answer(requests[1])))


def test_a_new_leader_has_no_lease_before_a_majority_has_answered_a_heartbeat() -> None:
    node = leader(RAFT_LEASE)
    status = node.status(1000 * MS)
    assert (status.role, status.leading, status.leader, status.reign, status.lease) == (
        "leader",
        False,
        None,
        None,
        False,
    )
    assert renew(node, 1050 * MS, 1060 * MS) == [Led(1, "boot-1")]
    status = node.status(1060 * MS)
    assert (status.leading, status.leader, status.reign, status.lease) == (True, "n1", "boot-1", True)


def test_a_lease_ends_counted_from_when_the_answered_round_was_sent() -> None:
    node = leader(RAFT_LEASE)
    renew(node, 1050 * MS, 1090 * MS)
    assert node.status(1050 * MS + LEASE - 1).leading
    assert not node.status(1050 * MS + LEASE).leading


def test_a_lease_is_judged_when_asked_not_at_the_next_heartbeat() -> None:
    node = leader(RAFT_LEASE)
    renew(node, 1050 * MS, 1051 * MS)
    status = node.status(9000 * MS)  # as after a pause: no event has come meanwhile
    assert (status.role, status.leading, status.lease) == ("leader", False, False)


def test_a_lease_renewed_in_time_is_one_reign_and_renewed_too_late_is_another() -> None:
    node = leader(RAFT_LEASE)
    renew(node, 1050 * MS, 1051 * MS)
    assert renew(node, 1100 * MS, 1101 * MS) == []
    assert node.status(1101 * MS).reign == "boot-1"
    assert renew(node, 1250 * MS, 1251 * MS) == [Led(1, "boot-2")]
    assert node.status(1251 * MS).reign == "boot-2"


def test_an_answer_so_late_that_its_lease_is_over_renews_nothing() -> None:
    node = leader(RAFT_LEASE)
    assert renew(node, 1050 * MS, 1050 * MS + LEASE) == []
    assert not node.status(1050 * MS + LEASE).leading


def test_a_confirmation_answered_after_the_lease_ran_out_fails() -> None:
    node = leader(RAFT_LEASE)
    requests = sends(node.handle(ConfirmAsked(1010 * MS, 5)), "heartbeat")
    node.handle(Received(1200 * MS, "n2", answer(requests[0])))
    effects = node.handle(Received(1200 * MS, "n3", answer(requests[1])))
    assert effects == [Answer(5, 1, None, "lease ran out")]


def test_with_the_lease_a_node_grants_no_vote_until_a_timeout_after_it_booted() -> None:
    for message in (vote(1), pre_vote(1)):
        node = follower(RAFT_LEASE)
        assert reply_of(node, 300 * MS - 1, "n2", message) is None
        assert reply_of(node, 300 * MS, "n2", message)["granted"]


def test_without_the_lease_a_node_votes_as_soon_as_it_has_booted() -> None:
    assert reply_of(follower(RAFT), 1, "n2", vote(1))["granted"]


# Options and claims


def test_options_that_contradict_each_other_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="lease requires check_quorum"):
        RaftOptions(check_quorum=False, lease=True)
    with pytest.raises(ValueError, match="heartbeat < election_timeout_min"):
        RaftOptions(heartbeat=150 * MS)
    with pytest.raises(ValueError, match="election_timeout_min <= election_timeout_max"):
        RaftOptions(election_timeout_max=100 * MS)
    with pytest.raises(ValueError, match="drift_percent"):
        RaftOptions(drift_percent=-1)


def test_a_status_names_the_reign_only_while_leading() -> None:
    node = leader()
    assert node.status(1000 * MS).reign == "boot-1"
    node.handle(Received(1001 * MS, "n2", heartbeat(2)))
    status = node.status(1001 * MS)
    assert (status.leading, status.leader, status.term, status.reign) == (False, "n2", 2, None)


def test_each_win_is_a_reign_of_its_own() -> None:
    node = leader()
    node.handle(Received(1001 * MS, "n2", heartbeat(2)))
    request = sends(node.handle(TimerFired(2000 * MS, "election")))[0]
    node.handle(Received(2001 * MS, "n2", grant(request)))
    assert Led(3, "boot-2") in node.handle(Received(2001 * MS, "n3", grant(request)))


def test_a_status_changes_nothing() -> None:
    node, twin = leader(RAFT_LEASE), leader(RAFT_LEASE)
    for at in range(0, 5000 * MS, 100 * MS):
        node.status(at)
    assert renew(node, 1050 * MS, 1051 * MS) == renew(twin, 1050 * MS, 1051 * MS)
