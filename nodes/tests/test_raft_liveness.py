"""Whether there is a leader that works, how often it changes, and what an election costs.

A leader works when a quorum confirms it; that some node claims to lead is no evidence. The networks that plain
Raft cannot live with are those of Howard & Abraham, "Raft does not Guarantee Liveness in the face of Network
Faults" (2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from random import Random

import pytest

from splitbrain.names import MS
from splitbrain.nodes.protocol import Answer, Led
from splitbrain.nodes.raft import RAFT, RAFT_BASIC, RAFT_LEASE, RaftOptions
from splitbrain.nodes.tests.cluster import SECOND, Cluster, links, only

pytestmark = pytest.mark.simulation

STALL_BOUND = 2100 * MS
PRE_VOTE_ONLY = RaftOptions(check_quorum=False)
CHECK_QUORUM_ONLY = RaftOptions(pre_vote=False)
PRESETS = {"raft": RAFT, "raft-basic": RAFT_BASIC, "raft-lease": RAFT_LEASE}
SEEDS = range(3)


def settled(options: RaftOptions = RAFT, size: int = 5, seed: int = 0) -> Cluster:
    """A cluster that has agreed on a leader and kept it for half a second."""
    cluster = Cluster(options, size, seed)
    assert cluster.run_until(Cluster.agrees, STALL_BOUND)
    cluster.run(SECOND // 2)
    assert cluster.agrees()
    return cluster


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a stretch of a cluster's life was like: shares of the time, counts of leaderships and terms."""

    works: float
    dual: float
    changes: int
    terms: int


def live(cluster: Cluster, duration: int, period: int = 20 * MS) -> Life:
    """Ask every node that claims to lead for a confirmation, each period; the shares are of the periods."""
    start, term = cluster.now, highest_term(cluster)
    works = dual = 0
    periods = duration // period
    for number in range(periods):
        leading = cluster.leading()
        dual += len(leading) > 1
        seen = len(cluster.trace)
        for name in leading:
            cluster.confirm(name, number)
        cluster.run(period)
        works += any(
            isinstance(traced.effect, Answer) and traced.effect.request == number and not traced.effect.error
            for traced in cluster.trace[seen:]
        )
    return Life(
        works=works / periods,
        dual=dual / periods,
        changes=sum(1 for _ in cluster.effects(Led, start)),
        terms=highest_term(cluster) - term,
    )


def highest_term(cluster: Cluster) -> int:
    return max(cluster.status(name).term or 0 for name in cluster.nodes)


# Getting a leader


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("size", range(1, 8))
def test_a_cold_start_ends_with_one_leader_that_works(options: RaftOptions, size: int) -> None:
    for seed in range(5):
        cluster = settled(options, size, seed)
        assert live(cluster, SECOND) == Life(works=1, dual=0, changes=0, terms=0)


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
def test_a_crashed_leader_is_replaced_and_comes_back_as_a_follower(options: RaftOptions) -> None:
    for seed in range(10):
        cluster = settled(options, 5, seed)
        old = cluster.leader()
        cluster.crash(old)
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
        new = cluster.leader()
        cluster.start(old)
        assert live(cluster, SECOND).changes == 0
        assert cluster.agrees() and cluster.leader() == new


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
def test_the_crash_and_return_of_followers_changes_no_leader(options: RaftOptions) -> None:
    cluster = settled(options)
    for name in cluster.others(cluster.leader())[:2]:
        cluster.crash(name)
        assert live(cluster, SECOND) == Life(works=1, dual=0, changes=0, terms=0)
    for name in cluster.others(*cluster.nodes):
        cluster.start(name)
        assert live(cluster, SECOND) == Life(works=1, dual=0, changes=0, terms=0)


@pytest.mark.parametrize("size", [2, 4, 5, 6])
def test_without_a_majority_no_node_leads(size: int) -> None:
    cluster = settled(RAFT, size)
    leader = cluster.leader()
    for name in cluster.others(leader)[: (size + 1) // 2]:
        cluster.crash(name)
    cluster.run(SECOND)
    assert live(cluster, 3 * SECOND).works == 0 and not cluster.leading()


def test_timeouts_that_are_not_random_elect_no_leader() -> None:
    """Everybody stands at the same instant and votes for itself (dissertation 9.3)."""
    options = RaftOptions(
        election_timeout_min=200 * MS, election_timeout_max=200 * MS, pre_vote=False, check_quorum=False
    )
    cluster = Cluster(options, latency=(MS, MS))
    cluster.run(20 * SECOND)
    assert not list(cluster.effects(Led)) and highest_term(cluster) > 90


# What it costs


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("size", range(2, 8))
def test_an_election_without_faults_costs_exactly_these_messages(options: RaftOptions, size: int) -> None:
    """To each other node: (pre-vote,) vote and first heartbeat, and a reply to each (dissertation 3.4, 9.6)."""
    expected = Counter(dict.fromkeys(("vote", "vote_reply", "heartbeat", "heartbeat_reply"), size - 1))
    if options.pre_vote:
        expected += Counter(dict.fromkeys(("pre_vote", "pre_vote_reply"), size - 1))
    for seed in range(10):
        # So short a latency that no two nodes stand at once, and that all is over long before a second
        # heartbeat; a boot long past, so that all may vote.
        cluster = Cluster(options, size, seed, latency=(1000, 1000))
        cluster.cut = links(cluster.names, cluster.names)
        cluster.run(SECOND // 2 if options.lease else 0)
        cluster.cut.clear()
        cluster.sent.clear()
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
        assert cluster.sent == expected


@pytest.mark.parametrize("options", PRESETS.values(), ids=PRESETS)
def test_a_failover_costs_the_same_but_the_dead_leader_replies_to_nothing(options: RaftOptions) -> None:
    for seed in range(10):
        cluster = Cluster(options, 5, seed, latency=(1000, 1000))
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
        cluster.run(SECOND)
        cluster.crash(cluster.leader())
        cluster.sent.clear()
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
        asked, replied = ["vote", "heartbeat"], ["vote_reply", "heartbeat_reply"]
        if options.pre_vote:
            asked.append("pre_vote")
            replied.append("pre_vote_reply")
        assert cluster.sent == Counter({**dict.fromkeys(asked, 4), **dict.fromkeys(replied, 3)})


def test_a_healthy_cluster_sends_one_heartbeat_and_reply_to_each_follower_every_interval() -> None:
    cluster = settled()
    cluster.run_until(lambda cluster: cluster.sent["heartbeat"] == cluster.sent["heartbeat_reply"], SECOND)
    cluster.sent.clear()
    cluster.run(10 * SECOND)
    assert cluster.sent == {"heartbeat": 4 * 200, "heartbeat_reply": 4 * 200}


# Partial faults, each with the old leader L and the others A, B, C, D


def deaf_leader(cluster: Cluster) -> None:
    cluster.deafen(cluster.leader())


def deaf_follower(cluster: Cluster) -> None:
    cluster.deafen(cluster.others(cluster.leader())[0])


def one_link(cluster: Cluster) -> None:
    leader = cluster.leader()
    follower = cluster.others(leader)[0]
    cluster.cut = links([leader], [follower]) | links([follower], [leader])


def bridge(cluster: Cluster) -> None:
    """L and A on one side, C and D on the other, B between."""
    leader = cluster.leader()
    a, _, c, d = cluster.others(leader)
    cluster.cut = links([leader, a], [c, d]) | links([c, d], [leader, a])


def ring(cluster: Cluster) -> None:
    leader = cluster.leader()
    around = [leader, *cluster.others(leader), leader]
    cluster.cut = only(cluster.names, pairwise(around))


def star(cluster: Cluster) -> None:
    """Every node is connected to A only, L too."""
    hub = cluster.others(cluster.leader())[0]
    cluster.cut = only(cluster.names, ((hub, name) for name in cluster.others(hub)))


def isolated_follower(cluster: Cluster) -> None:
    cluster.isolate(cluster.others(cluster.leader())[0])


def isolated_leader(cluster: Cluster) -> None:
    cluster.isolate(cluster.leader())


Fault = Callable[[Cluster], None]


def lives(fault: Fault, options: RaftOptions) -> Iterator[tuple[Cluster, Life]]:
    """Runs under a fault, lived for five seconds once the bound for finding a leader has passed."""
    for seed in SEEDS:
        cluster = settled(options, 5, seed)
        fault(cluster)
        cluster.run(STALL_BOUND)
        yield cluster, live(cluster, 5 * SECOND)


FAULTS = [
    deaf_leader,
    deaf_follower,
    one_link,
    bridge,
    ring,
    star,
    isolated_follower,
    isolated_leader,
]


@pytest.mark.parametrize("options", [RAFT, RAFT_LEASE], ids=["raft", "raft-lease"])
@pytest.mark.parametrize("fault", FAULTS)
def test_pre_vote_with_the_check_of_the_quorum_works_under_every_partial_fault(
    fault: Fault, options: RaftOptions
) -> None:
    for cluster, life in lives(fault, options):
        assert life == Life(works=1, dual=0, changes=0, terms=0)
        cluster.cut.clear()
        assert live(cluster, SECOND) == Life(works=1, dual=0, changes=0, terms=0)
        assert cluster.agrees()


@pytest.mark.parametrize("options", [RAFT_BASIC, PRE_VOTE_ONLY], ids=["basic", "pre-vote only"])
def test_without_the_check_a_deaf_leader_is_a_stall_in_which_nothing_seems_wrong(
    options: RaftOptions,
) -> None:
    for cluster, life in lives(deaf_leader, options):
        assert life == Life(works=0, dual=0, changes=0, terms=0)
        assert cluster.agrees()  # one leader, named by all, that has done nothing for seconds


def test_with_the_check_alone_the_deaf_leader_disturbs_only_in_terms() -> None:
    for _, life in lives(deaf_leader, CHECK_QUORUM_ONLY):
        assert (life.works, life.changes) == (1, 0) and life.terms > 10


@pytest.mark.parametrize("fault", [deaf_follower, one_link, bridge, ring])
def test_basic_raft_changes_leaders_again_and_again_where_some_miss_its_heartbeats(fault: Fault) -> None:
    for _, life in lives(fault, RAFT_BASIC):
        assert life.changes >= 5 and life.terms >= 5
        assert fault is not deaf_follower or 0.3 < life.works < 0.8


def test_basic_raft_has_two_leaders_at_once_where_two_cannot_hear_each_other() -> None:
    assert all(life.dual > 0 for _, life in lives(one_link, RAFT_BASIC))


def test_a_hub_that_still_hears_the_old_leader_is_the_end_of_pre_vote_without_the_check() -> None:
    """Howard & Abraham's second example: the hub refuses, and the old leader has no quorum left."""
    assert all(life.works == 0 for _, life in lives(star, PRE_VOTE_ONLY))
    assert all(life.works == 1 for _, life in lives(star, RAFT_BASIC))


def returns(options: RaftOptions) -> Iterator[Life]:
    """Two seconds after a follower that had been cut off is back."""
    for seed in SEEDS:
        cluster = settled(options, 5, seed)
        isolated_follower(cluster)
        cluster.run(3 * SECOND)
        cluster.cut.clear()
        yield live(cluster, 2 * SECOND)
        assert cluster.agrees()


def test_a_follower_that_returns_deposes_the_leader_unless_it_asks_first() -> None:
    """Dissertation 4.2.3 and 9.6. Ignoring its votes does not help: the term in its answers deposes too."""
    for options in (RAFT_BASIC, CHECK_QUORUM_ONLY):
        assert all(life.changes >= 1 and life.terms >= 1 for life in returns(options))
    for options in (PRE_VOTE_ONLY, RAFT, RAFT_LEASE):
        assert all(life == Life(works=1, dual=0, changes=0, terms=0) for life in returns(options))


def test_an_isolated_leader_steps_down_within_a_timeout_and_a_heartbeat_only_with_the_check() -> None:
    """What was answered last may have been sent a heartbeat ago and be found too old a heartbeat late."""
    for options, limit in ((RAFT, 350 * MS), (RAFT_BASIC, 60 * SECOND)):
        for seed in SEEDS:
            cluster = settled(options, 5, seed)
            old = cluster.leader()
            cluster.isolate(old)
            cluster.run(limit)
            assert cluster.status(old).leading is not options.check_quorum


def has_hub(cluster: Cluster) -> bool:
    """Whether some node is connected both ways to a majority, itself included."""
    connected = Counter(
        name for pair in combinations(cluster.names, 2) if cluster.cut.isdisjoint({pair, pair[::-1]}) for name in pair
    )
    return any(2 * (degree + 1) > len(cluster.names) for degree in connected.values())


@pytest.mark.parametrize("options", [RAFT, RAFT_LEASE], ids=["raft", "raft-lease"])
def test_whatever_links_are_cut_a_majority_around_one_node_has_a_leader_that_works(
    options: RaftOptions,
) -> None:
    judged = 0
    for seed in range(60):
        rng = Random(seed)
        cluster = settled(options, rng.choice([3, 4, 5, 5, 7]), seed)
        share = rng.choice([0.2, 0.4, 0.6])
        for link in sorted(links(cluster.names, cluster.names)):
            if rng.random() < share:
                cluster.cut |= {link} if seed % 2 else {link, link[::-1]}
        if has_hub(cluster):
            judged += 1
            cluster.run(STALL_BOUND)
            assert live(cluster, SECOND // 2) == Life(works=1, dual=0, changes=0, terms=0)
        cluster.cut.clear()
        assert cluster.run_until(Cluster.agrees, STALL_BOUND)
    assert judged > 20
