"""Message counts of elections equal the formulas of the papers, for every cluster size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from math import factorial
from random import Random

import pytest

from splitbrain.campaigns.compare.message_counts import ElectionCost, NoElection, election, failover
from splitbrain.names import MS
from splitbrain.nodes.protocol import Json, Node
from splitbrain.nodes.ring import Ring
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.sim.hosts import MakeNode
from splitbrain.runtimes.sim.simulation import Simulation

pytestmark = pytest.mark.simulation

SIZES = (*range(3, 10), 15)
NEVER = 3600 * 1000 * MS


def kill(*numbers: int) -> Callable[[Simulation], None]:
    def act(simulation: Simulation) -> None:
        for number in numbers:
            simulation.hosts[f"n{number}"].kill()

    return act


def noticed_by(system: System, *numbers: int) -> MakeNode:
    """Nodes of which only the numbered ones ever suspect the leader."""
    patient = replace(system, options=replace(system.options, suspicion=NEVER))
    names = {f"n{number}" for number in numbers}

    def make(id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None) -> Node:
        return (system if id in names else patient).make_node(id, peers, rng, boot, state)

    return make


def start(number: int) -> Callable[[Simulation], None]:
    return lambda simulation: simulation.hosts[f"n{number}"].start()


# Bully (Garcia-Molina 1982)

BULLY = SYSTEMS["bully"]


def bully(cost: ElectionCost) -> tuple[int, int, int]:
    assert cost.sent.keys() <= {"election", "ok", "coordinator"}
    return tuple(cost.sent.get(kind, 0) for kind in ("election", "ok", "coordinator"))  # type: ignore[return-value]


@pytest.mark.parametrize("system", ["bully", "bully-textbook"])
@pytest.mark.parametrize("n", SIZES)
def test_a_bully_election_that_all_begin_costs_n_squared_less_n_less_1(system: str, n: int) -> None:
    cost = failover(SYSTEMS[system], n)
    assert bully(cost) == (n * (n - 1) // 2, (n - 1) * (n - 2) // 2, n - 2)
    assert cost.messages == n * n - n - 1 and cost.leader == f"n{n - 1}"


@pytest.mark.parametrize(("n", "i"), [(n, i) for n in (3, 4, 5, 6, 9) for i in range(1, n)])
def test_a_bully_election_that_one_begins_costs_by_the_number_of_higher_nodes(n: int, i: int) -> None:
    k = n - i
    cost = election(noticed_by(BULLY, i), n, kill(n))
    assert bully(cost) == (k * (k + 1) // 2, k * (k - 1) // 2, n - 2)
    assert cost.messages == k * k + n - 2


@pytest.mark.parametrize(("n", "i"), [(n, i) for n in (3, 5, 7) for i in range(1, n + 1)])
def test_a_node_that_comes_back_costs_by_how_many_are_above_it(n: int, i: int) -> None:
    k = n - i
    cost = election(BULLY.make_node, n, kill(i), start(i))
    assert bully(cost) == (k * (k + 1) // 2, k * (k + 1) // 2, n - 1)


@pytest.mark.parametrize(("n", "f", "i"), [(n, f, i) for n in (5, 8) for f in (1, 2, 3) for i in range(1, n - f + 1)])
def test_every_dead_node_above_costs_a_question_of_each_that_asks(n: int, f: int, i: int) -> None:
    m = n - f
    k = m - i
    cost = election(noticed_by(BULLY, i), n, kill(*range(m + 1, n + 1)))
    assert cost.messages == (k + 1) * (k + f) + m - 1


@pytest.mark.parametrize("n", range(3, 10))
def test_without_the_guard_elections_double_with_every_node(n: int) -> None:
    unguarded = replace(BULLY, options=replace(BULLY.options, guard=False))
    cost = election(noticed_by(unguarded, 1), n, kill(n))
    elections = [1, *(2**power for power in range(n - 2))]  # of node 1, 2, ..., n - 1
    assert sum(elections) == 2 ** (n - 2)
    asked, to_the_dead = sum((n - j) * held for j, held in enumerate(elections, 1)), sum(elections)
    assert bully(cost) == (asked, asked - to_the_dead, n - 2)
    assert n != 8 or cost.messages == 196


# Chang and Roberts 1979


def on(arrangement: Sequence[int]) -> System:
    """Chang and Roberts' election on a ring with the nodes in this order."""

    class Arranged(Ring):
        def _arranged(self, names: Sequence[str]) -> Sequence[str]:
            return [f"n{number}" for number in arrangement]

    return replace(SYSTEMS["ring"], factory=Arranged)


def all_begin(arrangement: Sequence[int]) -> ElectionCost:
    """All nodes start an election at once, and all are up."""
    n = len(arrangement)

    def act(simulation: Simulation) -> None:
        for host in simulation.hosts.values():
            host.kill()
        for host in simulation.hosts.values():
            host.start()

    return election(on(arrangement).make_node, n, act)


@pytest.mark.parametrize("n", SIZES)
def test_a_ring_election_that_all_begin_costs_from_2n_less_1_to_n_by_n_plus_1_halves(n: int) -> None:
    up, down = all_begin(range(1, n + 1)), all_begin(range(n, 0, -1))
    assert (up.sent["election"], down.sent["election"]) == (2 * n - 1, n * (n + 1) // 2)
    assert up.sent["elected"] == down.sent["elected"] == n


@pytest.mark.parametrize("n", [3, 4, 5])
def test_on_average_over_all_rings_an_election_costs_n_times_the_harmonic_number(n: int) -> None:
    costs = [all_begin((n, *rest)).sent["election"] for rest in permutations(range(1, n))]
    assert sum(costs) * factorial(n) == factorial(n - 1) * n * sum(factorial(n) // k for k in range(1, n + 1))
    assert (min(costs), max(costs)) == (2 * n - 1, n * (n + 1) // 2)


@pytest.mark.parametrize(("n", "i"), [(n, i) for n in range(3, 10) for i in (1, n // 2, n)])
def test_a_ring_election_that_one_begins_costs_n_and_the_distance_to_the_highest(n: int, i: int) -> None:
    cost = election(SYSTEMS["ring"].make_node, n, kill(i), start(i))
    assert (cost.sent["election"], cost.sent["elected"]) == (n + n - i, n)
    assert cost.messages - cost.sent["ack"] <= 3 * n - 1


@pytest.mark.parametrize("n", SIZES)
def test_with_the_highest_node_dead_each_round_costs_one_lost_message(n: int) -> None:
    cost = failover(SYSTEMS["ring"], n)
    m = n - 1
    assert (cost.sent["election"], cost.sent["elected"]) == (2 * m - 1 + 1, m + 1)
    assert cost.leader == f"n{m}"


# The ring that collects names


@pytest.mark.parametrize(("n", "dead"), [(n, dead) for n in SIZES for dead in (1, 2) if n - dead > 1])
def test_collecting_names_costs_two_rounds_and_one_lost_message_per_dead_node(n: int, dead: int) -> None:
    m = n - dead
    cost = election(noticed_by(SYSTEMS["ring-append"], 1), n, kill(*range(m + 1, n + 1)))
    assert (cost.sent["election"], cost.sent["coordinator"]) == (m + dead, m + dead)


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_collecting_names_costs_the_same_for_each_initiator(n: int) -> None:
    m = n - 1
    for begin in range(1, m + 1):
        cost = election(noticed_by(SYSTEMS["ring-append"], *range(1, begin + 1)), n, kill(n))
        assert (cost.sent["election"], cost.sent["coordinator"]) == (begin * (m + 1), begin * (m + 1))
    assert failover(SYSTEMS["ring-append"], n).messages >= 2 * (m + 1) * m


# Raft, and all of them


@pytest.mark.parametrize("n", SIZES)
def test_a_raft_election_costs_two_rounds_of_requests_unanswered_by_the_dead_node(n: int) -> None:
    cost = failover(SYSTEMS["raft"], n)
    asked, answered = n - 1, n - 2
    assert cost.sent == {"pre_vote": asked, "pre_vote_reply": answered, "vote": asked, "vote_reply": answered}


@pytest.mark.parametrize("system", [SYSTEMS[name] for name in ("bully", "bully-textbook", "ring", "ring-append")])
def test_a_hundred_and_one_nodes_elect_too(system: System) -> None:
    cost = failover(system, 101)
    assert cost.leader == "n100"
    assert system.suspicion_ms * MS - 50 * MS <= cost.agreed_ns <= system.stall_bound_ms * MS


def test_a_measurement_is_repeatable() -> None:
    assert failover(SYSTEMS["raft"], 5) == failover(SYSTEMS["raft"], 5)
    assert failover(SYSTEMS["raft"], 5).agreed_ns != failover(SYSTEMS["raft"], 5, seed=2).agreed_ns


def test_nodes_that_elect_no_leader_raise_no_election() -> None:
    with pytest.raises(NoElection, match="60 s"):
        election(noticed_by(BULLY), 3, kill(2, 3))
