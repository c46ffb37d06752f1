"""White-box tests of simulated elections: one vote a term, a quorum behind each win, and as many
messages as the papers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.nodes.protocol import Effect, Event, Json, Led, Node, Send, Started
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.network import Conditions, Constant, Uniform
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS

RAFTS = tuple(SYSTEMS[name] for name in ("raft", "raft-basic", "raft-lease"))


def names(n: int) -> list[str]:
    return [f"n{i}" for i in range(1, n + 1)]


class Votes(Instrument):
    """Records the votes and the winners of each term, and the messages sent."""

    def __init__(self) -> None:
        self.votes: dict[tuple[str, int], set[str]] = {}
        self.wins: dict[int, set[str]] = {}
        self.sent: Counter[str] = Counter()

    def effect(self, host: Host, effect: Effect) -> None:
        match effect:
            case Send(to, kind, message):
                self.sent[kind] += 1
                if kind == "vote_reply" and message["granted"]:
                    self.votes.setdefault((host.name, message["term"]), set()).add(to)
                elif kind == "vote":  # a candidate votes for itself
                    self.votes.setdefault((host.name, message["term"]), set()).add(host.name)
            case Led(term, _) if term is not None:
                self.wins.setdefault(term, set()).add(host.name)
            case _:
                pass

    def voted_twice(self) -> list[tuple[str, int]]:
        return sorted(voter for voter, candidates in self.votes.items() if len(candidates) > 1)

    def without_quorum(self, n: int) -> list[tuple[int, str]]:
        """The wins that no majority of voters stands behind."""
        return sorted(
            (term, winner)
            for term, winners in self.wins.items()
            for winner in winners
            if 2 * sum(winner in self.votes.get((voter, term), ()) for voter in names(n)) <= n
        )


def hurt_at_random(make_node: Callable[..., Node], seed: int, n: int = 5, durable: Any = "torn") -> Votes:
    """Ten seconds of crashes, pauses, loss, doubles and cuts."""
    votes = Votes()
    sim = Simulation(seed, names(n), make_node, instrument=votes)
    sim.start()
    dice = Random(f"{seed}/hurt")
    for _ in range(60):
        sim.run_until(sim.now + dice.randrange(20, 300) * MS)
        host = sim.hosts[dice.choice(names(n))]
        match dice.randrange(6):
            case 0:
                host.kill(durable)
            case 1:
                host.crash_after(dice.randrange(6), durable)
            case 2:
                host.pause()
            case 3:
                sim.network.set_conditions(Conditions(loss=dice.choice([0.0, 0.2]), duplication=0.2))
            case 4:
                sim.network.cut_into(host.name, dice.sample(names(n), dice.randrange(n)))
            case _:
                for each in sim.hosts.values():
                    each.resume()
                    each.start()
    return votes


@pytest.mark.parametrize("system", RAFTS, ids=lambda system: system.name)
@given(st.integers(0, 2**32))
@settings(max_examples=12, derandomize=True)
def test_each_node_votes_once_a_term_and_each_win_has_a_majority(system: Any, seed: int) -> None:
    votes = hurt_at_random(system.make_node, seed)
    assert votes.voted_twice() == []
    assert votes.without_quorum(5) == []
    assert all(len(winners) == 1 for winners in votes.wins.values())


def test_votes_given_twice_after_a_lost_disk_are_seen() -> None:
    assert any(hurt_at_random(SYSTEMS["raft-basic"].make_node, seed, durable="lost").voted_twice() for seed in range(8))


def test_a_win_with_one_vote_too_few_is_seen() -> None:
    def hasty(id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None) -> Node:
        node = Raft(id, peers, SYSTEMS["raft-basic"].options, rng, boot, state)
        node._majority -= 1
        return node

    assert any(hurt_at_random(hasty, seed).without_quorum(5) for seed in range(8))


# Messages


def elect(system: Any, n: int, seed: int) -> tuple[Counter[str], int]:
    """The messages sent until a first leader has sent its first heartbeats, on links that take next to no time; and
    how many nodes stood for election."""
    votes = Votes()
    sim = Simulation(
        seed, names(n), system.make_node, conditions=Conditions(delay=Constant(1)), disk=Constant(1), instrument=votes
    )
    sim.start()
    while not votes.sent["heartbeat"]:
        sim.run_until(sim.now + MS)
    return votes.sent, len({voter for (voter, _), candidates in votes.votes.items() if voter in candidates})


# Not for leases: voters refuse requests within a timeout of their boot, so a first election costs more.
@pytest.mark.parametrize("n", range(3, 10))
@pytest.mark.parametrize("system", RAFTS[:2], ids=lambda system: system.name)
def test_an_election_without_faults_costs_the_messages_in_the_paper(system: Any, n: int) -> None:
    sent, candidates = elect(system, n, seed=1)
    pre_vote = 2 * (n - 1) if system.options.pre_vote else 0
    assert candidates == 1
    assert sent["pre_vote"] + sent["pre_vote_reply"] == pre_vote
    assert sent["vote"] + sent["vote_reply"] == 2 * (n - 1)
    assert sent["heartbeat"] + sent["heartbeat_reply"] == 2 * (n - 1)
    assert sent.total() == pre_vote + 4 * (n - 1)


def test_a_leader_without_faults_costs_one_round_of_messages_per_heartbeat() -> None:
    votes = Votes()
    sim = Simulation(1, names(5), SYSTEMS["raft"].make_node, instrument=votes)
    sim.start()
    sim.run_until(2_000 * MS)
    (leader,) = sim.leaders()
    votes.sent.clear()
    sim.run_until(12_000 * MS)
    assert sim.leaders() == (leader,)
    assert votes.sent == {"heartbeat": 200 * 4, "heartbeat_reply": 200 * 4}


# Complete simulations


def test_the_same_seed_is_the_same_run_and_another_seed_is_another() -> None:
    def leader_and_time(seed: int) -> tuple[tuple[str, ...], dict[str, int]]:
        votes = hurt_at_random(SYSTEMS["raft"].make_node, seed)
        return tuple(sorted(str(each) for each in votes.wins.items())), dict(votes.sent)

    assert leader_and_time(3) == leader_and_time(3)
    assert leader_and_time(3) != leader_and_time(4)


def test_an_instrument_does_not_change_the_run() -> None:
    def leaders(instrument: Instrument | None) -> list[tuple[str, ...]]:
        sim = Simulation(5, names(5), SYSTEMS["raft"].make_node, instrument=instrument)
        sim.start()
        found = []
        for at in range(1, 20):
            sim.run_until(at * 100 * MS)
            found.append((*sim.leaders(), *(str(host.status()) for host in sim.hosts.values())))
        return found

    assert leaders(None) == leaders(Votes())


def test_nodes_start_at_different_instants() -> None:
    class Starts(Instrument):
        def __init__(self) -> None:
            self.at: list[int] = []

        def after(self, host: Host, event: Event) -> None:
            if isinstance(event, Started):
                self.at.append(host.true_now)

    starts = Starts()
    sim = Simulation(5, names(5), SYSTEMS["raft"].make_node, instrument=starts)
    sim.start()
    sim.run_until(20 * MS)
    assert len(set(starts.at)) == 5


def test_a_cluster_with_links_slower_than_its_timeouts_elects_no_leader() -> None:
    """The simulation really delays: with a round trip above the longest timeout no vote comes in time."""
    slow = Conditions(delay=Uniform(400 * MS, 500 * MS))
    sim = Simulation(5, names(5), SYSTEMS["raft-basic"].make_node, conditions=slow)
    sim.start()
    for at in range(1, 50):
        sim.run_until(at * 100 * MS)
        assert sim.leaders() == ()
