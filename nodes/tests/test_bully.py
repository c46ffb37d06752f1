"""The Bully election: what each message brings, who leads after what, and that it costs what the textbooks say."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from splitbrain.names import MS
from splitbrain.nodes.bully import BULLY, BULLY_TEXTBOOK, Bully, BullyOptions
from splitbrain.nodes.highest import rank
from splitbrain.nodes.protocol import (
    Answer,
    ConfirmAsked,
    Effect,
    Followed,
    Led,
    Received,
    Send,
    SetTimer,
    Started,
    TimerFired,
)
from splitbrain.nodes.tests.cluster import SECOND, Cluster, links

PEERS = ("n1", "n2", "n4", "n10")


def node(id: str = "n3", options: BullyOptions = BULLY) -> Bully:
    """A node of five, its first election begun."""
    made = Bully(id, [name for name in ("n1", "n2", "n3", "n4", "n10") if name != id], options, Random(1), "boot")
    made.handle(Started(-250 * MS))
    made.handle(TimerFired(0, "suspicion"))
    return made


def hear(machine: Bully, sender: str, kind: str, at: int = 0, **fields: Any) -> list[Effect]:
    return machine.handle(Received(at, sender, {"kind": kind, **fields}))


def sent(effects: list[Effect], kind: str) -> list[str]:
    return [effect.to for effect in effects if isinstance(effect, Send) and effect.kind == kind]


def won(id: str = "n10", options: BullyOptions = BULLY) -> Bully:
    machine = node(id, options)
    machine.handle(TimerFired(100 * MS, "ok"))
    assert machine.leading
    return machine


def cluster(size: int = 5, options: BullyOptions = BULLY, seed: int = 1) -> Cluster:
    """A calm one that agrees on the highest."""
    made = Cluster(options, size, seed, machine=Bully)
    assert made.run_until(Cluster.agrees, SECOND)
    made.run(SECOND)
    assert made.leading() == [made.names[-1]]
    return made


def test_names_are_ordered_by_the_numbers_in_them() -> None:
    assert sorted(["n10", "n2", "n1", "m9"], key=rank) == ["m9", "n1", "n2", "n10"]
    assert sorted(["n10", "n2"]) != sorted(["n10", "n2"], key=rank)


def test_an_election_asks_all_that_are_higher_and_no_others() -> None:
    machine = Bully("n3", PEERS, BULLY, Random(1), "boot")
    assert machine.handle(Started(0)) == [SetTimer("suspicion", 250 * MS)]
    effects = machine.handle(TimerFired(250 * MS, "suspicion"))
    assert sent(effects, "election") == ["n4", "n10"]
    assert machine.status(0).leader is None


def test_a_node_that_has_just_started_waits_for_the_others_and_begins_at_once_when_asked() -> None:
    machine = Bully("n3", PEERS, BULLY, Random(1), "boot")
    machine.handle(Started(0))
    assert hear(machine, "n10", "heartbeat") == []
    effects = hear(machine, "n1", "election", election="x-1")
    assert sent(effects, "ok") == ["n1"] and sent(effects, "election") == ["n4", "n10"]


def test_who_hears_no_ok_leads_and_tells_all_below() -> None:
    machine = node()
    effects = machine.handle(TimerFired(100 * MS, "ok"))
    assert Led(None, "boot-1") in effects
    assert sent(effects, "coordinator") == ["n1", "n2"]
    assert sent(effects, "heartbeat") == ["n1", "n2", "n4", "n10"]


def test_who_hears_an_ok_waits_for_a_coordinator_and_then_begins_again() -> None:
    machine = node()
    hear(machine, "n4", "ok", election="boot-1")
    machine.handle(TimerFired(100 * MS, "ok"))
    assert machine.status(0).role == "waiting"
    assert sent(machine.handle(TimerFired(250 * MS, "coordinator")), "election") == ["n4", "n10"]


def test_an_ok_of_an_earlier_election_does_not_count() -> None:
    machine = node()
    hear(machine, "n4", "ok", election="boot-0")
    machine.handle(TimerFired(100 * MS, "ok"))
    assert machine.leading


def test_a_coordinator_is_followed_if_it_is_higher() -> None:
    machine = node()
    assert Followed(None, "n4") in hear(machine, "n4", "coordinator")
    assert hear(machine, "n1", "coordinator") == []
    assert machine.status(0).leader == "n4"


def test_who_is_asked_says_ok_and_begins_an_election_unless_it_holds_one() -> None:
    machine = node()
    effects = hear(machine, "n1", "election", election="x-1")
    assert sent(effects, "ok") == ["n1"] and not sent(effects, "election")
    hear(machine, "n4", "coordinator")
    effects = hear(machine, "n1", "election", election="x-2")
    assert sent(effects, "ok") == ["n1"] and sent(effects, "election") == ["n4", "n10"]


def test_without_the_guard_it_begins_another_whatever_it_holds() -> None:
    machine = node(options=replace(BULLY, guard=False))
    assert sent(hear(machine, "n1", "election", election="x-1"), "election") == ["n4", "n10"]


def test_a_leader_that_is_asked_says_once_more_that_it_leads_and_leads_on() -> None:
    machine = won()
    reign = machine.status(0).reign
    for sender in ("n1", "n2"):
        assert sent(hear(machine, sender, "election", election="x-1"), "ok") == [sender]
    effects = machine.handle(TimerFired(300 * MS, "ok"))
    assert sent(effects, "coordinator") == ["n1", "n2", "n3", "n4"] and Led(None, "boot-2") not in effects
    assert machine.status(0).reign == reign


def test_a_leader_gives_way_to_the_heartbeat_of_a_higher_one_if_leaders_merge() -> None:
    machine = won("n3")
    assert hear(machine, "n1", "heartbeat") == [] and machine.leading
    assert Followed(None, "n10") in hear(machine, "n10", "heartbeat")
    textbook = won("n3", BULLY_TEXTBOOK)
    assert hear(textbook, "n10", "heartbeat") == [] and textbook.leading


def test_a_heartbeat_ends_no_election_before_its_time() -> None:
    machine = node()
    assert hear(machine, "n10", "heartbeat") == []
    hear(machine, "n10", "ok", election="boot-1")
    machine.handle(TimerFired(100 * MS, "ok"))
    assert Followed(None, "n10") in hear(machine, "n10", "heartbeat")


def test_a_leader_that_is_not_heard_is_suspected_and_only_then() -> None:
    machine = node()
    hear(machine, "n10", "coordinator")
    hear(machine, "n10", "heartbeat", at=100 * MS)
    assert not sent(machine.handle(TimerFired(250 * MS, "suspicion")), "election")
    assert sent(machine.handle(TimerFired(350 * MS, "suspicion")), "election")


def test_each_win_is_a_reign_of_its_own() -> None:
    machine = won("n3")
    hear(machine, "n10", "heartbeat", at=110 * MS)
    machine.handle(TimerFired(400 * MS, "suspicion"))
    assert Led(None, "boot-2") in machine.handle(TimerFired(500 * MS, "ok"))


# Confirmations


def test_a_leader_is_confirmed_when_a_majority_says_that_it_follows() -> None:
    machine = won()
    asked = machine.handle(ConfirmAsked(0, 7))
    assert sent(asked, "confirm") == ["n1", "n2", "n3", "n4"]
    assert hear(machine, "n1", "confirmed", round="boot-1") == []
    assert hear(machine, "n1", "confirmed", round="boot-1") == []  # the same follower
    assert Answer(7, None, "boot-1", None) in hear(machine, "n2", "confirmed", round="boot-1")


def test_only_who_follows_says_so() -> None:
    machine = node()
    hear(machine, "n10", "coordinator")
    assert sent(hear(machine, "n10", "confirm", round="x"), "confirmed") == ["n10"]
    assert hear(machine, "n4", "confirm", round="x") == []


def test_a_leader_that_hears_no_other_node_confirms_nothing() -> None:
    machine = won()
    machine.handle(ConfirmAsked(0, 7))
    assert len(sent(machine.handle(TimerFired(250 * MS, "heartbeat")), "confirm")) == 4  # asked again meanwhile
    answers = machine.handle(TimerFired(500 * MS, "confirm boot-1"))
    assert Answer(7, None, None, "no majority follows") in answers
    assert machine.handle(ConfirmAsked(0, 8)) and machine.leading


def test_a_leader_that_gives_way_fails_what_it_was_asked_to_confirm() -> None:
    machine = won("n4")
    machine.handle(ConfirmAsked(0, 7))
    assert Answer(7, None, None, "lost leadership") in hear(machine, "n10", "heartbeat")
    assert Answer(8, None, None, "not leading") in machine.handle(ConfirmAsked(0, 8))


@pytest.mark.parametrize(
    "message",
    [None, 7, [], {}, {"kind": 3}, {"kind": "ok"}, {"kind": "confirmed", "round": []}, {"kind": "vote", "term": 1}],
)
def test_what_is_no_message_of_the_election_is_dropped(message: Any) -> None:
    machine = won()
    before = machine.status(0)
    assert machine.handle(Received(1, "n1", message)) == [] and machine.status(0) == before
    assert machine.handle(Received(1, "n77", {"kind": "coordinator"})) == []


# Clusters


def test_the_highest_that_lives_leads_and_gives_way_when_a_higher_one_comes_back() -> None:
    made = cluster()
    made.crash("n5")
    assert made.run_until(Cluster.agrees, SECOND) and made.leading() == ["n4"]
    made.start("n5")
    assert made.run_until(lambda each: each.leading() == ["n5"] and each.agrees(), SECOND)


def test_a_restart_of_a_lower_node_leaves_the_leader_alone() -> None:
    made = cluster()
    reign = made.status("n5").reign
    made.crash("n2")
    made.run(SECOND)
    made.start("n2")
    made.run(SECOND)
    assert made.agrees() and made.status("n5").reign == reign


def test_a_winner_that_dies_before_it_has_said_so_does_not_keep_the_others_waiting() -> None:
    made = cluster()
    made.crash("n5")
    made.run(300 * MS)  # suspected by all, and n4 has said OK
    made.crash("n4")
    assert made.run_until(Cluster.agrees, SECOND) and made.leading() == ["n3"]


@pytest.mark.parametrize(("options", "leaders"), [(BULLY, ["n5"]), (BULLY_TEXTBOOK, ["n3", "n5"])])
def test_after_a_cut_leaders_merge_or_stay_two_for_ever(options: BullyOptions, leaders: list[str]) -> None:
    made = cluster(options=options)
    low, high = ("n1", "n2", "n3"), ("n4", "n5")
    made.cut |= links(low, high) | links(high, low)
    made.run(2 * SECOND)
    assert made.leading() == ["n3", "n5"]
    made.heal()
    made.run(20 * SECOND)
    assert made.leading() == leaders


def test_a_deaf_leader_keeps_all_others_quiet_and_works_for_none() -> None:
    made = cluster()
    made.deafen("n5")
    made.run(5 * SECOND)
    assert made.leading() == ["n5"]
    made.confirm("n5", 7)
    made.run(SECOND)
    answers = [each.effect for each in made.effects(Answer)]
    assert [answer.error for answer in answers if isinstance(answer, Answer)] == ["no majority follows"]


def test_options_that_contradict_each_other_are_refused() -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"heartbeat": 0},
        {"suspicion": 50 * MS},
        {"ok_timeout": 0},
        {"coordinator_timeout": 0},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="expected"):
            BullyOptions(**wrong)
