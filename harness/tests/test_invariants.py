"""Invariants: each holds for a literal trace and fails for one that differs in one line."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.invariants.costs import calm_election_cost
from splitbrain.invariants.events import (
    Booted,
    Did,
    ElectionRecorder,
    ElectionTrace,
    Lagged,
    Recorded,
    Took,
)
from splitbrain.invariants.registry import INVARIANTS, violations
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.protocol import (
    Effect,
    Followed,
    Json,
    Led,
    Persist,
    Send,
)
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.sim.network import Conditions, Constant
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.tests.test_sim_simulation import names
from splitbrain.units import MS

pytestmark = pytest.mark.simulation

THREE = 3


def asks(node: str, term: int, *others: str) -> list[Recorded]:
    return [did(node, Send(to, "vote", {"kind": "vote", "term": term})) for to in others]


def votes(node: str, term: int, candidate: str, granted: bool = True) -> Recorded:
    return did(node, Send(candidate, "vote_reply", {"kind": "vote_reply", "term": term, "granted": granted}))


def writes(node: str, term: int, voted_for: str | None) -> Recorded:
    return did(node, Persist({"term": term, "voted_for": voted_for}))


def did(node: str, effect: Persist | Send | Led | Followed) -> Recorded:
    return Did(0, node, effect)


def broken(noted: Sequence[Recorded], nodes: int = THREE) -> list[str]:
    """The names of the invariants that a trace violates."""
    return [violation.invariant for violation in violations(ElectionTrace(nodes=nodes, events=tuple(noted)))]


ELECTION = [
    Booted(0, "n1", None),
    Booted(0, "n2", None),
    writes("n1", 1, "n1"),
    *asks("n1", 1, "n2", "n3"),
    writes("n2", 1, "n1"),
    votes("n2", 1, "n1"),
    did("n1", Led(1, "a-1")),
]


def test_a_correct_election_violates_no_invariant() -> None:
    assert broken(ELECTION) == []


def test_a_second_vote_in_a_term_is_found_across_a_restart() -> None:
    again = [Booted(0, "n2", b"{}"), writes("n2", 1, "n3"), votes("n2", 1, "n3")]
    assert broken([*ELECTION, *again]) == ["one-vote-a-term"]


def test_a_vote_given_twice_to_one_candidate_is_one_vote() -> None:
    assert broken([*ELECTION, votes("n2", 1, "n1")]) == []


def test_a_refusal_is_no_vote() -> None:
    assert broken([*ELECTION, votes("n2", 1, "n3", granted=False)]) == []


def test_a_candidate_has_voted_for_itself() -> None:
    assert broken([*ELECTION, writes("n2", 1, "n2"), *asks("n2", 1, "n1")]) == ["one-vote-a-term"]


def test_a_node_whose_disk_was_emptied_may_vote_again() -> None:
    again = [Booted(0, "n2", None), writes("n2", 1, "n3"), votes("n2", 1, "n3")]
    assert broken([*ELECTION, *again]) == []


@pytest.mark.parametrize(("nodes", "enough"), [(3, True), (4, False), (5, False)])
def test_two_votes_are_more_than_half_of_three_and_not_of_four(nodes: int, enough: bool) -> None:
    assert broken(ELECTION, nodes) == ([] if enough else ["quorum-behind-win"])


def test_votes_are_counted_by_voter_and_only_those_before_the_win() -> None:
    doubled = [*ELECTION[:-1], votes("n2", 1, "n1"), votes("n2", 1, "n1"), ELECTION[-1]]
    late = [*ELECTION, writes("n3", 1, "n1"), votes("n3", 1, "n1")]
    assert broken(doubled, 5) == broken(late, 5) == ["quorum-behind-win"]


def test_a_vote_that_is_not_durable_is_found() -> None:
    for missing in (2, 5):
        assert "durable-before-sent" in broken(ELECTION[:missing] + ELECTION[missing + 1 :])


def test_a_write_that_comes_after_the_vote_comes_too_late() -> None:
    swapped = [*ELECTION[:5], ELECTION[6], ELECTION[5], ELECTION[7]]
    assert broken(swapped) == ["durable-before-sent"]


def test_a_term_that_decreases_is_found_unless_it_was_never_sent() -> None:
    back = did("n1", Followed(0, None))
    assert broken([*ELECTION, back]) == ["term-order"]
    assert broken([*ELECTION, Booted(0, "n1", None), back]) == []
    torn = [Booted(0, "n3", b"{}"), writes("n3", 7, None), Booted(0, "n3", b"{}"), did("n3", Followed(6, None))]
    assert broken([*ELECTION, *torn]) == []


@pytest.mark.parametrize("end", [did("n1", Followed(1, None)), Booted(0, "n1", b"{}")])
def test_a_term_is_led_once(end: Recorded) -> None:
    assert broken([*ELECTION, end, did("n1", Led(1, "a-2"))]) == ["one-reign-a-term"]


def test_a_lease_that_is_renewed_late_begins_another_reign_of_the_same_leader() -> None:
    assert broken([*ELECTION, did("n1", Led(1, "a-2"))]) == []


def test_a_node_that_stays_in_a_lower_term_is_found() -> None:
    assert broken([*ELECTION, Lagged(0, "n3", "heartbeat", 2, 1)]) == ["higher-term-adopted"]


def test_an_excess_vote_request_is_found_once() -> None:
    assert broken([*ELECTION, *asks("n1", 1, "n2", "n3")]) == ["message-count"]


def test_violations_are_in_order_of_time() -> None:
    found = violations(
        ElectionTrace(nodes=3, events=(Lagged(9, "n1", "heartbeat", 3, 2), Lagged(4, "n2", "heartbeat", 3, 2)))
    )
    assert [violation.at for violation in found] == [4, 9]
    assert found[0].words == "n2 received a heartbeat of term 3 and stayed in term 2"


# Elections of the highest name


def sends(node: str, to: str, because: Json = None, **message: Json) -> Recorded:
    return Did(0, node, Send(to, message["kind"], message), because)


ASKED = {"kind": "election", "election": "b-1"}
BULLY = [
    sends("n1", "n3", kind="election", election="a-1"),
    sends("n1", "n2", kind="election", election="a-1"),
    Took(0, "n2", ASKED),
    sends("n2", "n1", ASKED, kind="ok", election="a-1"),
    sends("n2", "n3", ASKED, kind="election", election="c-1"),
    did("n2", Led(None, "c-1")),
    did("n1", Followed(None, "n2")),
]


def test_a_correct_bully_election_violates_no_invariant() -> None:
    assert broken(BULLY) == []
    again = [Took(0, "n1", {**ASKED}), sends("n1", "n3", ASKED, kind="election", election="a-2")]
    assert broken([*BULLY, *again]) == []


def test_an_election_begun_for_being_asked_while_one_is_held_is_found() -> None:
    again = [Took(0, "n1", ASKED), sends("n1", "n3", ASKED, kind="election", election="a-2")]
    assert broken([*BULLY[:2], *again]) == ["message-count"]
    by_itself = [sends("n1", "n3", kind="election", election="a-2")]
    assert broken([*BULLY[:2], *by_itself]) == []
    assert broken([*BULLY[:2], Booted(0, "n1", None), *again]) == []


def test_a_win_in_an_election_in_which_an_ok_came_is_found() -> None:
    ok = Took(0, "n1", {"kind": "ok", "election": "a-1"})
    assert broken([*BULLY[:2], ok, did("n1", Led(None, "a-1"))]) == ["no-win-over-an-ok"]
    assert broken([*BULLY[:2], did("n1", Led(None, "a-1")), ok]) == []
    stale = Took(0, "n1", {"kind": "ok", "election": "a-0"})
    assert broken([*BULLY[:2], stale, did("n1", Led(None, "a-1"))]) == []
    begun_again = sends("n1", "n3", kind="election", election="a-2")
    assert broken([*BULLY[:2], ok, begun_again, did("n1", Led(None, "a-1"))]) == []


def parcel(kind: str, origin: str, hops: int = 1, **more: Json) -> dict[str, Json]:
    return {"kind": kind, "origin": origin, "election": "e", "hops": hops, "number": 1, "boot": "b", **more}


def test_a_forwarded_lower_name_is_found_unless_names_are_collected() -> None:
    assert broken([sends("n2", "n3", **parcel("election", "n10", 2))]) == []
    assert broken([sends("n10", "n1", **parcel("election", "n2", 2))]) == ["message-count"]
    assert broken([sends("n10", "n1", **parcel("election", "n2", 2, names=["n2"]))]) == []


def test_a_token_that_goes_round_more_than_once_is_found() -> None:
    assert broken([sends("n2", "n3", **parcel("election", "n3", THREE))]) == []
    assert broken([sends("n2", "n3", **parcel("election", "n3", THREE + 1))]) == ["message-count"]


def test_a_result_that_is_kept_is_found() -> None:
    result = parcel("elected", "n3")
    took, passed = Took(0, "n1", result), sends("n1", "n2", result, **parcel("elected", "n3", 2))
    other = did("n1", Followed(None, None))
    assert broken([took, Did(0, "n1", Followed(None, "n3"), result), passed, other]) == []
    assert broken([took, Did(0, "n1", Followed(None, "n3"), result), other]) == ["result-goes-round"]
    assert broken([took, Booted(0, "n1", None), other]) == []  # it died before it could
    assert broken([Took(0, "n3", result), did("n3", Followed(None, None))]) == []  # it has come home
    assert broken([took, passed, Took(0, "n1", result), other]) == []  # it has come twice
    round_ = parcel("elected", "n3", THREE)
    assert broken([Took(0, "n1", round_), other]) == []  # it has been round


def test_two_results_of_one_election_are_found() -> None:
    first, other = (
        sends("n1", "n2", **parcel("coordinator", "n1", leader="n3")),
        sends("n2", "n3", **parcel("coordinator", "n1", 2, leader="n2")),
    )
    assert broken([first, first]) == []
    assert broken([first, other]) == ["one-result-an-election"]


def test_an_older_result_that_is_followed_is_found() -> None:
    def follows(leader: str, number: int, origin: str) -> Recorded:
        return Did(0, "n1", Followed(None, leader), parcel("coordinator", origin, THREE, leader=leader, result=number))

    assert broken([follows("n2", 1, "n3"), follows("n3", 2, "n2")]) == []
    assert broken([follows("n3", 2, "n2"), follows("n2", 1, "n3")]) == ["results-in-order"]
    assert broken([follows("n3", 2, "n3"), follows("n2", 2, "n2")]) == ["results-in-order"]
    assert broken([follows("n3", 2, "n2"), Booted(0, "n1", None), follows("n2", 1, "n3")]) == []


# Complete runs


def hurt_at_random(system: System, seed: int, nodes: int = 5) -> ElectionTrace:
    """Some eight seconds of crashes, torn writes, pauses, loss, doubles and cuts."""
    recorded = ElectionRecorder()
    sim = Simulation(seed, names(nodes), system.make_node, instrument=recorded)
    sim.start()
    dice = Random(f"{seed}/hurt")
    for _ in range(50):
        sim.run_until(sim.now + dice.randrange(20, 300) * MS)
        host = sim.hosts[dice.choice(names(nodes))]
        match dice.randrange(6):
            case 0:
                host.kill("torn")
            case 1:
                host.crash_after(dice.randrange(6), "torn")
            case 2:
                host.pause()
            case 3:
                sim.network.set_conditions(Conditions(loss=dice.choice([0.0, 0.2]), duplication=0.2))
            case 4:
                sim.network.cut_into(host.name, dice.sample(names(nodes), dice.randrange(nodes)))
            case _:
                for each in sim.hosts.values():
                    each.resume()
                    each.start()
    return recorded.trace(nodes)


@pytest.mark.parametrize("name", [name for name, system in SYSTEMS.items() if system.simulated])
@given(st.integers(0, 2**32))
@settings(max_examples=15, derandomize=True)
def test_no_fault_makes_a_correct_system_violate_an_invariant(name: str, seed: int) -> None:
    assert violations(hurt_at_random(SYSTEMS[name], seed)) == ()


SHOWN = {
    "asks-twice": "message-count",
    "compares-terms-as-text": "term-order",
    "counts-pre-votes": "quorum-behind-win",
    "counts-replies": "quorum-behind-win",
    "elects-whenever-asked": "message-count",
    "follows-late-results": "results-in-order",
    "forgets-everything": "durable-before-sent",
    "forgets-vote": "one-vote-a-term",
    "grants-lower-terms": "durable-before-sent",
    "ignores-higher-terms": "higher-term-adopted",
    "ignores-oks": "no-win-over-an-ok",
    "keeps-results": "result-goes-round",
    "passes-on-lower-names": "message-count",
    "picks-from-a-partial-list": "one-result-an-election",
    "replies-first": "durable-before-sent",
    "resumes-leadership": "one-reign-a-term",
}


@pytest.mark.parametrize("name", SHOWN)
def test_each_invariant_fails_for_a_node_with_the_bug(name: str) -> None:
    system = BROKEN[f"broken/{name}"].system
    assert any(
        SHOWN[name] in {violation.invariant for violation in violations(hurt_at_random(system, seed))}
        for seed in range(15)
    )


def test_every_invariant_is_seen_to_fail_for_some_node() -> None:
    assert set(SHOWN.values()) == set(INVARIANTS)


# The price of an election


def calm(system: System, nodes: int) -> ElectionTrace:
    """Two seconds without faults, on links that take no time to speak of."""
    recorded = ElectionRecorder()
    quick = Conditions(delay=Constant(1))
    sim = Simulation(1, names(nodes), system.make_node, conditions=quick, disk=Constant(1), instrument=recorded)
    sim.start()
    sim.run_until(2_000 * MS)
    return recorded.trace(nodes)


@pytest.mark.parametrize("nodes", range(3, 10))
@pytest.mark.parametrize("name", ["raft", "raft-basic"])
def test_an_election_without_faults_costs_what_the_formulas_say(name: str, nodes: int) -> None:
    trace = calm(SYSTEMS[name], nodes)
    assert trace.sent["vote"] == trace.sent["vote_reply"] == nodes - 1
    assert list(calm_election_cost(trace, pre_vote=SYSTEMS[name].options.pre_vote)) == []
    assert violations(trace) == ()


def test_an_election_with_duplicated_requests_costs_too_much() -> None:
    trace = calm(BROKEN["broken/asks-twice"].system, 5)
    words = [violation.words for violation in calm_election_cost(trace, pre_vote=False)]
    assert words[0] == "8 messages of kind vote for one calm election, and 4 are due"


def test_an_election_with_pre_votes_costs_more_than_one_without() -> None:
    assert list(calm_election_cost(calm(SYSTEMS["raft"], 3), pre_vote=False))


def test_an_instrument_that_records_everything_changes_nothing() -> None:
    def leaders(recorded: ElectionRecorder | None) -> list[tuple[str, ...]]:
        sim = Simulation(5, names(3), SYSTEMS["raft"].make_node, instrument=recorded)
        sim.start()
        found = []
        for at in range(1, 10):
            sim.run_until(at * 100 * MS)
            found.append(sim.leaders())
        return found

    assert leaders(None) == leaders(ElectionRecorder())


def test_effects_outside_elections_are_counted_and_not_kept() -> None:
    trace = calm(SYSTEMS["raft"], 3)
    kept: set[type[Effect]] = {type(noted.effect) for noted in trace.events if isinstance(noted, Did)}
    assert kept == {Persist, Send, Led, Followed}
    assert trace.sent["heartbeat"] > 60 and len(trace.events) < 40
