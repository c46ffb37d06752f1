"""Elections that rest on servers: eligibility, stalls, unprovoked changes and agreement."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers import coverage
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.eligibility import eligible_periods
from splitbrain.checkers.history import History
from splitbrain.checkers.recovery import agreements
from splitbrain.checkers.stability import check as stability
from splitbrain.checkers.stall import check as stall
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome
from splitbrain.names import Eligibility

NODES, SERVERS = ("n1", "n2"), ("s1", "s2", "s3")
BOUNDS = Bounds(stall_ns=20, slack_ns=5, suspicion_ns=5, members=NODES, servers=SERVERS)  # a stall takes more than 45


def served(history: History, servers: tuple[str, ...], u: int, v: int) -> bool:
    """True if throughout [u, v] one majority of the servers was healthy and one node connected to all of it."""
    nodes = [name for name in brute_force.NODES if name not in servers]
    ensembles = combinations(servers, len(servers) // 2 + 1)
    return any(
        all(brute_force.eligible(history, "clique", (node, *ensemble), t) for t in range(u, v))
        for ensemble in ensembles
        for node in nodes
    )


@pytest.mark.parametrize("servers", [("n3",), ("n2", "n3")])
@settings(max_examples=40)
@given(story=brute_force.nemesis(), data=st.data())
def test_a_period_is_eligible_iff_one_majority_of_servers_and_one_node_were_so_all_through_it(
    servers: tuple[str, ...], story: Story, data: st.DataObject
) -> None:
    history = story.history()
    found = eligible_periods(cluster_health(history, Bounds(members=brute_force.NODES, servers=servers)), "clique")
    for _ in range(10):
        u = data.draw(st.integers(0, history.end - 1))
        v = data.draw(st.integers(u + 1, history.end))
        assert any(s.start <= u and v <= s.end for s in found) == served(history, servers, u, v)


def periods(story: Story, kind: Eligibility = "clique") -> list[tuple[int, int]]:
    return [(s.start, s.end) for s in eligible_periods(cluster_health(story.until(100).history(), BOUNDS), kind)]


def test_nodes_that_do_not_reach_one_another_do_not_matter_where_all_reach_the_servers() -> None:
    assert periods(Story().cut(10, 20, both_ways(["n1"], ["n2"]))) == [(0, 100)]


def test_one_node_is_enough_and_so_is_a_majority_of_the_servers() -> None:
    assert periods(Story().fault("kill", 10, 20, nodes=["n1", "s1"])) == [(0, 100)]
    assert periods(Story().fault("kill", 10, 20, nodes=["n1", "n2"])) == [(0, 10)]
    assert periods(Story().fault("kill", 10, 20, nodes=["s1", "s2"])) == [(0, 10)]


GROUPED = replace(BOUNDS, servers=(*SERVERS, "s4", "s5"), groups=(SERVERS, ("s4",), ("s5",)))


def test_of_several_groups_of_servers_a_majority_of_each_is_needed() -> None:
    def grouped(story: Story) -> list[tuple[int, int]]:
        health = cluster_health(story.until(100).history(), GROUPED)
        return [(s.start, s.end) for s in eligible_periods(health, "clique")]

    assert grouped(Story().fault("kill", 10, 20, nodes=["s1"])) == [(0, 100)]
    assert grouped(Story().fault("kill", 10, 20, nodes=["s4"])) == [(0, 10)]
    assert grouped(Story().cut(10, 20, both_ways(["s4"], ["s1", "s2", "s3", "s5"]))) == [(0, 100)], "nodes reach all"
    (found,) = eligible_periods(cluster_health(Story().until(100).history(), GROUPED), "clique")
    assert found.witness == ("n1", "s1", "s2", "s4", "s5")


def test_the_witness_is_one_node_and_the_servers_that_it_reached() -> None:
    story = Story().fault("pause", 0, 1, nodes=["n1"]).cut(0, 1, both_ways(["n2"], ["s2"])).until(100)
    (found,) = eligible_periods(cluster_health(story.history(), BOUNDS), "clique")
    assert found.witness == ("n2", "s1", "s3")


def test_a_node_that_reaches_a_majority_of_servers_which_do_not_reach_one_another_is_not_served() -> None:
    apart = both_ways(["s1"], ["s2", "s3"]) + both_ways(["s2"], ["s3"])
    assert periods(Story().cut(10, 20, apart)) == [(0, 10)]


def test_servers_around_a_hub_serve_if_the_system_serves_hubs() -> None:
    bounds = replace(BOUNDS, servers=("s1", "s2", "s3", "s4", "s5"))
    arms = ["s2", "s3", "s4", "s5"]
    story = Story().cut(10, 20, [(a, b) for a in arms for b in arms if a != b]).until(100)
    health = cluster_health(story.history(), bounds)
    assert [(s.start, s.end) for s in eligible_periods(health, "hub")] == [(0, 100)]
    assert [(s.start, s.end) for s in eligible_periods(health, "clique")] == [(0, 10)]


def test_a_server_outside_that_can_be_heard_disqualifies_only_an_isolated_majority() -> None:
    mute = both_ways(["s3"], ["s1", "s2"])
    deaf = [(a, b) for a, b in mute if b == "s3"]
    assert periods(Story().cut(10, 20, deaf), "isolated") == [(0, 10)]
    assert periods(Story().cut(10, 20, mute), "isolated") == [(0, 10), (20, 100)]


def watched(end: int) -> Story:
    """Both nodes are asked throughout and none leads; no server is asked."""
    story = Story().until(end)
    for at in range(0, end, 5):
        for node in NODES:
            story.saw(node, at, at + 1, leader=None, term=1)
            story.refused(node, at + 1, at + 2)
    return story


def test_a_stall_with_healthy_servers_is_proven_though_no_server_is_asked() -> None:
    verdict = stall(watched(100).fault("kill", 1, 2, nodes=["s3", "n2"]).history(), BOUNDS)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.findings[0].nodes == ("n1", "s1", "s2")


def test_no_stall_is_proven_without_a_majority_of_servers_or_without_a_node_that_reaches_it() -> None:
    assert stall(watched(100).fault("kill", 1, 2, nodes=["s2", "s3"]).history(), BOUNDS).outcome is Outcome.UNKNOWN
    far = both_ways(NODES, SERVERS[1:])
    assert stall(watched(100).cut(1, 2, far).history(), BOUNDS).outcome is Outcome.UNKNOWN


def changed(story: Story) -> Outcome:
    """n1 leads until 41, n2 from 60 on."""
    story = story.until(100).led("n1", 20, 21, term=1).led("n1", 40, 41, term=1).led("n2", 60, 61, term=2)
    return stability(story.history(), BOUNDS).outcome


def test_a_change_is_unprovoked_if_the_leader_reached_a_majority_of_healthy_servers() -> None:
    assert changed(Story()) is Outcome.INVALID
    assert changed(Story().cut(10, 11, both_ways(["n1"], ["n2"]))) is Outcome.INVALID
    assert changed(Story().fault("kill", 30, 31, nodes=["s1", "n2"])) is Outcome.INVALID


def test_a_change_is_excused_if_the_leader_was_cut_off_from_the_servers_or_they_were_faulty() -> None:
    assert changed(Story().cut(30, 31, both_ways(["n1"], ["s1", "s2"]))) is Outcome.VALID
    assert changed(Story().cut(30, 31, [("s1", "n1"), ("s2", "n1")])) is Outcome.VALID
    assert changed(Story().fault("pause", 30, 31, nodes=["s1", "s2"])) is Outcome.VALID
    assert changed(Story().cut(30, 31, both_ways(["s1"], ["s2", "s3"]))) is Outcome.INVALID
    apart = both_ways(["s1"], ["s2", "s3"]) + both_ways(["s2"], ["s3"])
    assert changed(Story().cut(30, 31, apart)) is Outcome.VALID


def agreed(story: Story) -> list[int | None]:
    for at in range(0, 100, 10):
        story.led("n1", at, at + 1, term=1).saw("n2", at, at + 1, leader="n1", term=1)
    history = story.fault("heal", 50, 52).until(100).history()
    return [heal["agreement_ns"] for heal in agreements(history, cluster_health(history, BOUNDS))]


def test_agreement_after_a_heal_is_asked_of_the_nodes_alone_and_only_if_all_reach_the_servers() -> None:
    assert agreed(Story().cut(10, 11, both_ways(["n1"], SERVERS))) == [0]
    assert agreed(Story().cut(10, 11, both_ways(["n1"], SERVERS)).fault("kill", 20, 21, nodes=["s3"])) == [0]
    assert agreed(Story().cut(10, 11, both_ways(["n1"], SERVERS)).fault("kill", 20, 21, nodes=["s2", "s3"])) == []


def test_a_server_that_comes_back_need_not_agree() -> None:
    story = Story().fault("pause", 1, 2, nodes=["s1"]).fault("resume", 5, 6, nodes=["s1"]).until(100)
    for at in range(0, 100, 5):
        story.led("n1", at, at + 1, term=1).saw("n2", at, at + 1, leader="n1", term=1).confirmed("n1", at + 1, at + 2)
    history = story.history()
    assert stall(history, BOUNDS).facts["heals"][0]["agreement_ns"] == 0
    taken_for_a_node = Bounds(stall_ns=20, slack_ns=5)
    assert stall(history, taken_for_a_node).facts["heals"][0]["agreement_ns"] is None


def test_a_fault_on_a_server_affects_every_leader_and_one_on_a_follower_does_not() -> None:
    def words(node: str) -> str:
        led = Story().led("n1", 0, 1, term=1).saw("n2", 0, 1, leader="n1", term=1)
        faulty = led.fault("pause", 10, 20, nodes=[node], effect={"verified": True}).until(100)
        return coverage.check(faulty.history(), replace(BOUNDS, stall_ns=100)).words

    assert words("s1") == "1 fault took effect, 1 on a leader or a server"
    assert words("n2") == "no fault affected a leader"
