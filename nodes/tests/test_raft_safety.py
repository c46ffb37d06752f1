"""Whatever happens to a cluster: one leader a term, one vote, nothing said that a crash could forget.

Schedules are drawn, run in virtual time and judged by ``promises``; beside each promise stands a node with one
bug that breaks it, and the same judge must say so.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.names import MS
from splitbrain.nodes.protocol import Effect, Event, Persist, Received, Status
from splitbrain.nodes.raft import RAFT, RAFT_BASIC, RAFT_LEASE, Raft, RaftOptions
from splitbrain.nodes.tests.cluster import SECOND, Cluster, links
from splitbrain.nodes.tests.promises import (
    SAFETY,
    a_majority_elected_each_leader,
    broken,
    no_two_claims_at_one_instant,
    one_leader_a_term,
    one_vote_a_term,
    terms_never_decrease,
    what_is_sent_is_durable,
)

pytestmark = pytest.mark.simulation

STALL_BOUND = 2100 * MS
PRESETS = {"raft": RAFT, "raft-basic": RAFT_BASIC, "raft-lease": RAFT_LEASE}

# One step of a schedule: what is done, to whom (an index, taken modulo the size), and how much.
Step = tuple[str, int, int]

ACTIONS: dict[str, Callable[[Cluster, str, int], None]] = {
    "run": lambda cluster, _name, amount: cluster.run(amount * 10 * MS),
    "cut": lambda cluster, name, amount: cluster.cut.add((name, cluster.names[amount % len(cluster.names)])),
    "isolate": lambda cluster, name, _amount: cluster.isolate(name),
    "heal": lambda cluster, _name, _amount: cluster.cut.clear(),
    "crash": lambda cluster, name, _amount: cluster.crash(name),
    "crash within": lambda cluster, name, amount: cluster.crash_within(name, amount),
    "start": lambda cluster, name, _amount: None if name in cluster.nodes else cluster.start(name),
    "pause": lambda cluster, name, _amount: cluster.pause(name) if name in cluster.nodes else None,
    "resume": lambda cluster, name, _amount: cluster.resume(name),
    "lose": lambda cluster, _name, amount: setattr(cluster, "loss", amount / 100),
}

schedules = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 4), st.integers(0, 40)), max_size=40)


def perform(cluster: Cluster, schedule: list[Step]) -> None:
    """Carry a schedule out, half an election timeout a step."""
    for action, who, amount in schedule:
        ACTIONS[action](cluster, cluster.names[who % len(cluster.names)], amount)
        cluster.run(75 * MS)


def storm(options: RaftOptions, machine: type[Raft], seed: int) -> Cluster:
    """A run of 60 random steps, with latencies that reorder datagrams."""
    rng = Random(seed)
    cluster = Cluster(options, 3 + 2 * (seed % 2), seed, latency=(0, 60 * MS), machine=machine)
    steps = [(rng.choice(sorted(ACTIONS)), rng.randrange(len(cluster.names)), rng.randrange(40)) for _ in range(60)]
    perform(cluster, steps)
    return cluster


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
@settings(max_examples=150)
@given(schedule=schedules, size=st.sampled_from([1, 2, 3, 4, 5]), seed=st.integers(0, 1000))
def test_every_schedule_keeps_every_promise_and_ends_with_one_leader(
    options: RaftOptions, schedule: list[Step], size: int, seed: int
) -> None:
    cluster = Cluster(options, size, seed, latency=(0, 30 * MS))
    perform(cluster, schedule)
    cluster.heal()
    assert cluster.run_until(Cluster.agrees, STALL_BOUND, step=10 * MS)
    assert broken(cluster) == []
    if options.lease:
        assert broken(cluster, (no_two_claims_at_one_instant,)) == []


def test_storms_of_faults_keep_every_promise() -> None:
    for options in PRESETS.values():
        for seed in range(15):
            assert broken(storm(options, Raft, seed)) == []


class PersistsLast(Raft):
    """Replies first, writes afterwards."""

    def handle(self, event: Event) -> list[Effect]:
        return sorted(super().handle(event), key=lambda effect: isinstance(effect, Persist))


class ForgetsItsVote(Raft):
    """Keeps its vote in memory only."""

    def handle(self, event: Event) -> list[Effect]:
        return [
            Persist({**effect.state, "voted_for": None}) if isinstance(effect, Persist) else effect
            for effect in super().handle(event)
        ]


class VotesForAnyone(Raft):
    """Grants every vote of its term."""

    def handle(self, event: Event) -> list[Effect]:
        if isinstance(event, Received) and event.message["kind"] == "vote" and self.voted_for != self.id:
            self.voted_for = event.sender
        return super().handle(event)


class NeedsHalf(Raft):
    """Takes half of an odd number, rounded down, for a majority."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._majority -= 1


class StartsAnew(Raft):
    """Believes a lower term than its own when a leader comes with it."""

    def handle(self, event: Event) -> list[Effect]:
        if isinstance(event, Received) and event.message["kind"] == "heartbeat":
            self.term = event.message["term"]
        return super().handle(event)


@pytest.mark.parametrize(
    ("machine", "promise"),
    [
        (PersistsLast, what_is_sent_is_durable),
        (ForgetsItsVote, what_is_sent_is_durable),
        (ForgetsItsVote, one_vote_a_term),
        (VotesForAnyone, one_vote_a_term),
        (VotesForAnyone, one_leader_a_term),
        (NeedsHalf, a_majority_elected_each_leader),
        (NeedsHalf, one_leader_a_term),
        (StartsAnew, terms_never_decrease),
    ],
)
def test_storms_of_faults_show_each_bug(machine: type[Raft], promise: Callable[[Cluster], object]) -> None:
    assert promise in SAFETY
    assert any(
        words.startswith(promise.__name__) for seed in range(60) for words in broken(storm(RAFT_BASIC, machine, seed))
    )


def test_a_crash_between_two_effects_of_one_event_forgets_no_vote() -> None:
    """The vote is durable and its reply is not sent: the voter, restarted, votes for nobody else."""
    cluster = Cluster(RAFT_BASIC, 3)
    cluster.cut = links(["n3"], ["n1", "n2"])
    vote = {"kind": "vote", "term": 1, "round": 0}
    cluster.crash_within("n1", 1)
    cluster.handle("n1", Received(1, "n2", vote))
    assert "n1" not in cluster.nodes and cluster.durable["n1"] == {"term": 1, "voted_for": "n2"}
    assert cluster.sent["vote_reply"] == 0
    cluster.start("n1")
    cluster.handle("n1", Received(2, "n3", vote))
    replies = [traced.effect for traced in cluster.trace if traced.node == "n1"]
    assert replies[-1] == ("n3", "vote_reply", {**vote, "kind": "vote_reply", "granted": False})


# The lease: at no instant do two nodes claim to lead


class VotesAfterBoot(Raft):
    """Votes as soon as it has booted, having forgotten whom it promised what."""

    def _just_booted(self, at: int) -> bool:
        return False


class Deserts(Raft):
    """Votes against a leader that it has just answered."""

    def _hears_leader(self, at: int) -> bool:
        return False


class ClaimsByRole(Raft):
    """Looks at its lease in no answer, only when it sends heartbeats."""

    def status(self, at: int) -> Status:
        return super().status(self._contact)


def isolate_leader(cluster: Cluster) -> None:
    cluster.isolate(cluster.leader())
    cluster.run(SECOND)


def pause_leader(cluster: Cluster) -> None:
    leader = cluster.leader()
    cluster.pause(leader)
    cluster.run(SECOND)
    cluster.resume(leader)
    cluster.run(SECOND)


def bounce_the_voters(cluster: Cluster) -> None:
    """One node never hears the leader and asks again and again; all others restart just before it does."""
    leader = cluster.leader()
    outsider, *voters = cluster.others(leader)
    cluster.cut = links([leader], [outsider]) | links([outsider], [leader])
    for _ in range(40):
        cluster.run(50 * MS)
        for voter in voters:
            cluster.crash(voter)
            cluster.start(voter)


def cut_one_link(cluster: Cluster) -> None:
    leader = cluster.leader()
    outsider = cluster.others(leader)[0]
    cluster.cut = links([leader], [outsider]) | links([outsider], [leader])
    cluster.run(SECOND)


def run_clocks_apart(cluster: Cluster, rate: float) -> None:
    leader = cluster.leader()
    for name in cluster.others(leader):
        cluster.skew(name, rate)
    cluster.run(SECOND // 2)
    isolate_leader(cluster)


def runs_with_two_claims(
    act: Callable[[Cluster], None], options: RaftOptions = RAFT_LEASE, machine: type[Raft] = Raft
) -> int:
    """In how many of twenty runs two nodes claimed to lead at one instant."""
    runs = 0
    for seed in range(20):
        cluster = Cluster(options, 3 + 2 * (seed % 2), seed, machine=machine)
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
        cluster.run(SECOND // 2)
        act(cluster)
        assert broken(cluster, (one_leader_a_term,)) == []
        runs += bool(cluster.duals)
    return runs


LEASE_FAULTS = [isolate_leader, pause_leader, bounce_the_voters, cut_one_link]


@pytest.mark.parametrize("act", LEASE_FAULTS)
def test_with_the_lease_no_two_nodes_ever_claim_to_lead_at_once(act: Callable[[Cluster], None]) -> None:
    assert runs_with_two_claims(act) == 0


@pytest.mark.parametrize(
    ("act", "options", "machine"),
    [
        (isolate_leader, RAFT_BASIC, Raft),
        (pause_leader, RAFT, Raft),
        (pause_leader, RAFT_LEASE, ClaimsByRole),
        (bounce_the_voters, RAFT_LEASE, VotesAfterBoot),
        (cut_one_link, RAFT_LEASE, Deserts),
    ],
)
def test_what_the_lease_rests_on_is_missed_at_once(
    act: Callable[[Cluster], None], options: RaftOptions, machine: type[Raft]
) -> None:
    assert runs_with_two_claims(act, options, machine) > 0


@pytest.mark.parametrize(("rate", "breaks"), [(1.09, False), (1.5, True)])
def test_the_lease_allows_for_clocks_ten_percent_apart_and_no_more(rate: float, breaks: bool) -> None:
    assert (runs_with_two_claims(lambda cluster: run_clocks_apart(cluster, rate)) > 0) is breaks
