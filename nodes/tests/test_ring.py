"""Elections on a ring: tokens that come home, that are lost, that have nowhere to go; and both ways to elect."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from splitbrain.names import MS
from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.protocol import Effect, Followed, Led, Received, Send, Started, TimerFired
from splitbrain.nodes.ring import RING, Ring, RingNode, RingOptions
from splitbrain.nodes.tests.cluster import SECOND, Cluster, links

NAMES = ("n1", "n2", "n3", "n4", "n10")
KINDS: tuple[type[RingNode], ...] = (Ring, AppendRing)


def node(kind: type[RingNode] = Ring, id: str = "n3") -> Any:
    """A node of five, its first election begun."""
    made = kind(id, [name for name in NAMES if name != id], RING, Random(1), "boot")
    made.handle(Started(-250 * MS))
    made.handle(TimerFired(0, "suspicion"))
    return made


def hear(machine: RingNode, sender: str, kind: str, **fields: Any) -> list[Effect]:
    return machine.handle(Received(0, sender, {"kind": kind, "hops": 1, "number": 1, "boot": "other", **fields}))


def sent(effects: list[Effect], kind: str) -> list[Any]:
    """What was sent of that kind, (to, message)."""
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send) and effect.kind == kind]


def acknowledge(machine: RingNode, number: int = 1) -> None:
    machine.handle(Received(0, machine.ahead[0], {"kind": "ack", "number": number, "boot": "boot"}))


def cluster(kind: type[RingNode], size: int = 5, seed: int = 1) -> Cluster:
    made = Cluster(RING, size, seed, machine=kind)
    assert made.run_until(Cluster.agrees, SECOND)
    made.run(SECOND)
    assert made.leading() == [made.names[-1]]
    return made


# Parcels


def test_messages_go_to_the_next_name_and_from_the_last_to_the_first() -> None:
    assert node().ahead == ("n4", "n10", "n1", "n2")
    assert node(id="n10").ahead == ("n1", "n2", "n3", "n4")


def test_who_does_not_acknowledge_is_passed_over_and_tried_again_with_the_next_message() -> None:
    machine = node()
    ((to, _message),) = sent(machine.handle(TimerFired(50 * MS, "ack 1")), "election")
    assert to == "n10"
    effects = hear(machine, "n2", "election", origin="n10", election="other-1")
    assert [to for to, _ in sent(effects, "election")] == ["n4"]


def test_what_is_acknowledged_is_not_sent_again() -> None:
    machine = node()
    acknowledge(machine)
    assert machine.handle(TimerFired(50 * MS, "ack 1")) == []


def test_an_acknowledgement_of_an_earlier_life_counts_for_nothing() -> None:
    machine = node()
    machine.handle(Received(0, "n4", {"kind": "ack", "number": 1, "boot": "earlier"}))
    assert sent(machine.handle(TimerFired(50 * MS, "ack 1")), "election")


def test_what_comes_twice_is_acknowledged_twice_and_taken_once() -> None:
    machine = node()
    first = hear(machine, "n2", "election", origin="n10", election="other-1")
    again = hear(machine, "n1", "election", origin="n10", election="other-1", number=7)  # n2 thought itself unheard
    assert sent(first, "ack") == [("n2", {"kind": "ack", "number": 1, "boot": "other"})]
    assert sent(again, "ack") == [("n1", {"kind": "ack", "number": 7, "boot": "other"})]
    assert sent(first, "election") and not sent(again, "election")


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_ring_of_one_a_token_is_home_at_once(kind: type[RingNode]) -> None:
    machine = node(kind)
    effects = [effect for at in range(1, 5) for effect in machine.handle(TimerFired(at * 50 * MS, "ack 1"))]
    assert Led(None, "boot-1") in effects and machine.leading


def test_a_token_of_another_node_that_none_takes_is_lost() -> None:
    machine = node()
    acknowledge(machine)
    hear(machine, "n2", "election", origin="n10", election="other-1")
    for at in range(1, 5):
        machine.handle(TimerFired(at * 50 * MS, "ack 2"))
    assert not machine.leading and machine.handle(TimerFired(300 * MS, "ack 2")) == []


def test_a_token_whose_owner_never_sees_it_again_ends_when_it_has_been_round() -> None:
    machine = node()
    for hops in (4, 5):
        effects = hear(machine, "n2", "election", origin="n10", election=f"other-{hops}", hops=hops)
        assert bool(sent(effects, "election")) == (hops < len(NAMES))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "message",
    [
        None,
        {"kind": "election"},
        {"kind": "election", "number": 1, "boot": "other", "origin": [], "hops": 1, "election": "x"},
        {"kind": "election", "number": "1", "boot": "other", "origin": "n4", "hops": 1, "election": "x"},
        {"kind": "election", "number": 1, "boot": "other", "origin": "n4", "hops": 1, "election": {}},
        {"kind": "ack", "number": [], "boot": "boot"},
        {"kind": "election", "number": 1, "boot": "other", "origin": "n77", "hops": 1, "election": "x"},
    ],
)
def test_what_is_no_message_of_the_ring_is_dropped(kind: type[RingNode], message: Any) -> None:
    machine = node(kind)
    assert machine.handle(Received(1, "n2", message)) == [] and not machine.leading


@pytest.mark.parametrize("fields", [{}, {"names": "n1"}, {"names": [[]], "latest": 1}, {"names": ["n2"], "latest": ""}])
def test_a_list_that_is_none_goes_no_further(fields: Any) -> None:
    machine = node(AppendRing)
    effects = hear(machine, "n2", "election", origin="n2", election="other-1", **fields)
    assert sent(effects, "ack") and not sent(effects, "election")


# Chang and Roberts


def test_a_higher_name_passes_and_a_lower_one_does_not() -> None:
    machine = node()
    passed = sent(hear(machine, "n2", "election", origin="n4", election="x"), "election")
    assert [(to, message["origin"], message["hops"]) for to, message in passed] == [("n4", "n4", 2)]
    assert not sent(hear(machine, "n2", "election", origin="n1", election="x", number=2), "election")


def test_a_lower_name_wakes_who_takes_no_part_yet() -> None:
    machine = node()
    hear(machine, "n2", "elected", origin="n4", election="x")
    woken = sent(hear(machine, "n2", "election", origin="n1", election="x", number=2), "election")
    assert [message["origin"] for _, message in woken] == ["n3"]
    assert machine.status(0).leader == "n4"  # it has not suspected its leader, and follows it meanwhile


def test_the_name_that_comes_home_leads_and_goes_round_once_more() -> None:
    machine = node()
    effects = hear(machine, "n2", "election", origin="n3", election="boot-1", hops=5)
    assert Led(None, "boot-1") in effects
    ((to, message),) = sent(effects, "elected")
    assert (to, message["origin"], message["hops"]) == ("n4", "n3", 1)
    assert not sent(hear(machine, "n2", "elected", origin="n3", election="boot-1", number=2, hops=5), "elected")


def test_a_token_of_an_earlier_election_wins_nothing() -> None:
    machine = node()
    machine.handle(TimerFired(700 * MS, "election"))
    hear(machine, "n2", "election", origin="n3", election="boot-1", hops=5)
    assert not machine.leading
    hear(machine, "n2", "election", origin="n3", election="boot-2", hops=5, number=2)
    assert machine.leading


def test_who_has_come_to_follow_a_higher_one_wins_nothing_any_more() -> None:
    machine = node()
    assert Followed(None, "n10") in hear(machine, "n10", "heartbeat")
    hear(machine, "n2", "election", origin="n3", election="boot-1", hops=5)
    assert not machine.leading


def test_a_result_that_names_a_lower_one_is_passed_on_and_not_followed() -> None:
    machine = node()
    assert sent(hear(machine, "n2", "elected", origin="n1", election="x"), "elected")
    assert machine.status(0).leader is None


def test_part_in_an_election_that_came_to_nothing_ends_with_its_time() -> None:
    machine = node()
    hear(machine, "n2", "elected", origin="n10", election="x")
    hear(machine, "n2", "election", origin="n4", election="x", number=2)
    assert machine.taking_part
    machine.handle(TimerFired(700 * MS, "election"))
    assert not machine.taking_part and machine.status(0).leader == "n10"


# The ring that gathers names


def test_each_adds_its_name_and_the_highest_number_that_it_has_heard_of() -> None:
    machine = node(AppendRing)
    hear(machine, "n2", "coordinator", origin="n1", election="x", leader="n10", result=6)
    token = {"origin": "n1", "election": "x", "names": ["n1", "n2"], "latest": 2}
    ((to, message),) = sent(hear(machine, "n2", "election", number=2, **token), "election")
    assert (to, message["names"], message["latest"]) == ("n4", ["n1", "n2", "n3"], 6)
    again = hear(machine, "n2", "election", number=3, **{**token, "names": ["n1", "n3", "n2"]})
    assert not sent(again, "election")


def test_a_list_that_has_come_home_names_the_highest_in_it() -> None:
    machine = node(AppendRing)
    names = {"names": ["n3", "n4", "n10", "n1", "n2"], "latest": 6}
    effects = hear(machine, "n2", "election", origin="n3", election="boot-1", hops=5, **names)
    ((_, message),) = sent(effects, "coordinator")
    assert (message["leader"], message["result"]) == ("n10", 7)
    assert Followed(None, "n10") in effects


def test_an_older_result_is_passed_on_and_not_followed() -> None:
    machine = node(AppendRing)
    hear(machine, "n2", "coordinator", origin="n2", election="x", leader="n10", result=6)
    for number, origin in ((5, "n4"), (6, "n1")):
        late = hear(machine, "n2", "coordinator", origin=origin, election=origin, leader="n4", result=number, number=9)
        assert sent(late, "coordinator") and machine.status(0).leader == "n10"
    hear(machine, "n2", "coordinator", origin="n4", election="y", leader="n4", result=6, number=10)
    assert machine.status(0).leader == "n4"


def test_who_is_named_leads() -> None:
    machine = node(AppendRing)
    effects = hear(machine, "n2", "coordinator", origin="n1", election="x", leader="n3", result=1)
    assert Led(None, "boot-1") in effects


# Clusters


@pytest.mark.parametrize("kind", KINDS)
def test_the_highest_that_lives_leads(kind: type[RingNode]) -> None:
    made = cluster(kind)
    made.crash("n5")
    made.crash("n3")
    assert made.run_until(Cluster.agrees, SECOND) and made.leading() == ["n4"]
    made.start("n5")
    assert made.run_until(lambda each: each.leading() == ["n5"] and each.agrees(), SECOND)


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_of_a_cut_is_a_ring_of_its_own_and_one_again_when_it_heals(kind: type[RingNode]) -> None:
    made = cluster(kind)
    low, high = ("n1", "n2", "n3"), ("n4", "n5")
    made.cut |= links(low, high) | links(high, low)
    made.run(2 * SECOND)
    assert made.leading() == ["n3", "n5"]
    made.heal()
    assert made.run_until(Cluster.agrees, 100 * MS) and made.leading() == ["n5"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_token_is_sent_again(kind: type[RingNode]) -> None:
    """Whoever holds it dies with it."""
    made = Cluster(RING, 5, machine=kind)
    made.run(252 * MS)
    for name in made.names:
        made.crash_within(name, 1)
    made.run(100 * MS)
    made.heal()
    assert made.run_until(Cluster.agrees, 2 * SECOND)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_is_deaf_believes_itself_alone_and_disturbs_no_other_for_long(kind: type[RingNode]) -> None:
    made = cluster(kind)
    made.deafen("n3")
    made.run(5 * SECOND)
    assert made.leading() == ["n3", "n5"]
    assert [made.status(name).leader for name in ("n1", "n2", "n4")] == ["n5"] * 3
    made.heal()
    assert made.run_until(Cluster.agrees, 100 * MS)


def test_options_that_contradict_each_other_are_refused() -> None:
    wrongs: tuple[dict[str, Any], ...] = ({"ack_timeout": 0}, {"election_timeout": 50 * MS}, {"suspicion": 1})
    for wrong in wrongs:
        with pytest.raises(ValueError, match="expected"):
            RingOptions(**wrong)
