"""Cluster health and eligible periods, against a brute-force model of every nanosecond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.eligibility import Period, covered, eligible_periods, fault_free_periods
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.names import Eligibility

BOUNDS = Bounds(members=brute_force.NODES)


@given(brute_force.nemesis())
def test_health_agrees_with_the_model_at_every_nanosecond(story: Story) -> None:
    history = story.history()
    health = cluster_health(history, BOUNDS)
    for t in range(history.end):
        k = int(np.searchsorted(health.edges, t, side="right")) - 1  # the interval that holds [t, t + 1]
        assert health.fault_free[k] == brute_force.fault_free(history, t)
        for i, a in enumerate(brute_force.NODES):
            assert health.healthy[k, i] == brute_force.healthy(history, a, t)
            assert health.down[k, i] == brute_force.down(history, a, t)
            for j, b in enumerate(brute_force.NODES):
                if a != b:
                    assert health.connected[k, i, j] == brute_force.connected(history, a, b, t)
                    assert health.maybe_open[k, i, j] == (not brute_force.cut(history, (a, b), t))


@pytest.mark.parametrize("kind", ["isolated", "clique", "hub"])
@settings(max_examples=40)
@given(story=brute_force.nemesis(), data=st.data())
def test_a_period_is_eligible_iff_one_majority_was_so_all_through_it(
    kind: Eligibility, story: Story, data: st.DataObject
) -> None:
    history = story.history()
    found = eligible_periods(cluster_health(history, BOUNDS), kind)
    for period in found:
        assert period.end > period.start
        chosen = [w for w in brute_force.witnesses(kind) if set(w) == set(period.witness)]
        assert any(
            all(brute_force.eligible(history, kind, w, t) for t in range(period.start, period.end)) for w in chosen
        )
    for _ in range(10):
        u = data.draw(st.integers(0, history.end - 1))
        v = data.draw(st.integers(u + 1, history.end))
        within = any(period.start <= u and v <= period.end for period in found)
        assert within == brute_force.was_eligible(history, kind, u, v)


def periods(story: Story, kind: Eligibility = "clique") -> list[tuple[int, int]]:
    history = story.history()
    return [(s.start, s.end) for s in eligible_periods(cluster_health(history, Bounds()), kind)]


def five() -> Story:
    story = Story()
    for node in range(1, 6):
        story.saw(f"n{node}", 0, 1)
    return story.until(100)


def test_a_fault_lasts_from_its_begin_until_its_repair_is_done() -> None:
    story = five().fault("kill", 10, 20, nodes=["n1", "n2", "n3"]).fault("restart", 40, 50, nodes=["n1", "n2", "n3"])
    assert periods(story) == [(0, 10), (50, 100)]


def test_a_fault_without_a_repair_lasts_to_the_end() -> None:
    assert periods(five().fault("pause", 10, 20, nodes=["n1", "n2", "n3"])) == [(0, 10)]


def test_a_minority_cut_off_leaves_a_majority_but_not_the_same_one_for_ever() -> None:
    rest = ["n3", "n4", "n5"]
    story = five().cut(10, 20, both_ways(["n1", "n2"], rest)).fault("heal", 30, 40)
    story.cut(60, 70, both_ways(["n4", "n5"], ["n1", "n2", "n3"]))
    assert periods(story) == [(0, 60), (40, 100)]


def test_a_node_outside_that_can_be_heard_disqualifies_only_an_isolated_majority() -> None:
    story = five().cut(10, 20, [(a, b) for a, b in both_ways(["n1"], ["n2", "n3", "n4", "n5"]) if b == "n1"])
    assert periods(story, "clique") == [(0, 100)]
    assert periods(story, "isolated") == [(0, 10)]
    fully = five().cut(10, 20, both_ways(["n1"], ["n2", "n3", "n4", "n5"]))
    assert periods(fully, "isolated") == [(0, 10), (20, 100)]


def test_a_cut_of_one_port_or_of_names_disturbs_links_and_cuts_none() -> None:
    inner, outer = both_ways(["n1", "n2", "n3"], ["n4", "n5"]), both_ways(["n1"], ["n2", "n3", "n4", "n5"])
    for f, more in (("partition", {"port": 2380}), ("dns", {})):
        assert periods(five().fault(f, 10, 20, links=inner + outer, **more)) == [(0, 10)]
        assert periods(five().fault(f, 10, 20, links=outer, **more), "isolated") == [(0, 10)], "n1 may still be heard"


def test_a_killed_node_outside_cannot_be_heard() -> None:
    assert periods(five().fault("kill", 10, 20, nodes=["n1"]), "isolated") == [(0, 10), (20, 100)]


def test_a_hub_needs_no_clique() -> None:
    arms = ["n2", "n3", "n4", "n5"]
    story = five().cut(10, 20, [(a, b) for a in arms for b in arms if a != b])
    assert periods(story, "hub") == [(0, 100)]
    assert periods(story, "clique") == [(0, 10)]


def test_a_skipped_fault_is_none_and_an_unverified_one_is_a_doubt() -> None:
    cut = both_ways(["n1", "n2", "n3"], ["n4", "n5"]) + both_ways(["n1"], ["n2", "n3"])
    assert periods(five().cut(10, 20, cut, effect={"skipped": "no leader"})) == [(0, 100)]
    assert periods(five().cut(10, 20, cut, effect={"verified": False})) == [(0, 10)]
    history = five().fault("kill", 10, 20, nodes=["n1"], effect={"verified": False}).history()
    assert not cluster_health(history, Bounds()).down.any()


def test_a_heal_that_was_not_verified_ends_nothing_for_sure() -> None:
    cut = both_ways(["n1", "n2", "n3"], ["n4", "n5"]) + both_ways(["n1"], ["n2", "n3"])
    story = five().cut(10, 20, cut).fault("heal", 30, 40, effect={"verified": False})
    assert periods(story) == [(0, 10)]
    assert periods(story.fault("heal", 50, 60)) == [(0, 10), (60, 100)]


def test_a_plain_heal_repairs_links_but_no_clock_and_one_by_id_repairs_the_faults_it_names() -> None:
    story = five().fault("skew", 10, 20, id=3, nodes=["n1", "n2", "n3"]).fault("heal", 30, 40)
    assert periods(story) == [(0, 10)]
    assert periods(story.fault("heal", 50, 60, heals=[3])) == [(0, 10), (60, 100)]


def test_a_fault_without_targets_may_affect_all_nodes() -> None:
    assert periods(five().fault("weather", 10, 20)) == [(0, 10)]
    assert periods(five().fault("weather", 10, 20, id=1).fault("heal", 30, 40, heals=[1])) == [(0, 10), (40, 100)]


def test_an_act_that_takes_no_time_is_an_interruption_all_the_same() -> None:
    story = five().fault("restart", 50, 50, nodes=["n1", "n2", "n3"])
    assert periods(story) == [(0, 50), (51, 100)]


def test_a_wipe_is_over_at_once_or_when_the_node_is_back() -> None:
    nodes = ["n1", "n2", "n3"]
    assert periods(five().fault("wipe", 10, 20, nodes=nodes)) == [(0, 10), (20, 100)]
    story = five().fault("wipe", 10, 20, nodes=nodes).fault("restart", 30, 40, nodes=nodes)
    assert periods(story) == [(0, 10), (40, 100)]


def test_only_members_count_but_no_fault_at_all_means_none_anywhere() -> None:
    story = five().fault("pause", 10, 20, nodes=["client"])
    health = cluster_health(story.history(), Bounds(members=("n1", "n2", "n3", "n4", "n5")))
    assert [(s.start, s.end) for s in eligible_periods(health, "clique")] == [(0, 100)]
    assert [(s.start, s.end) for s in fault_free_periods(health)] == [(0, 10)]


def test_majorities_found_greedily_among_many_nodes_are_eligible() -> None:
    names = [f"n{at}" for at in range(1, 22)]
    story = Story().until(100)
    for name in names:
        story.saw(name, 0, 1)
    story.cut(10, 20, both_ways(names[:9], names[9:])).fault("heal", 40, 50)
    kinds: tuple[Eligibility, ...] = ("clique", "hub", "isolated")
    for kind in kinds:
        assert covered(eligible_periods(cluster_health(story.history(), Bounds()), kind)) >= 80
    story.fault("kill", 60, 70, nodes=names[:11])
    assert all(end <= 60 for _, end in periods(story))


def test_fifteen_nodes_are_tried_exhaustively() -> None:
    story = Story().until(100)
    names = [f"n{at}" for at in range(15)]
    for name in names:
        story.saw(name, 0, 1)
    story.cut(10, 20, both_ways(names[:7], names[7:]))
    assert periods(story) == [(0, 100)]


def test_time_covered_counts_overlaps_once() -> None:
    spans = [(0, 5), (3, 8), (10, 12)]
    assert covered(Period(start=a, end=b, witness=()) for a, b in spans) == 10


def test_no_history_has_no_stretch() -> None:
    assert periods(Story()) == []


def test_links_named_by_a_kill_do_not_make_it_a_cut() -> None:
    story = five().fault("kill", 10, 20, nodes=["n1", "n2", "n3"], links=[["n4", "n5"]])
    assert periods(story) == [(0, 10)]
    assert periods(five().fault("jitter", 10, 20, nodes=["n1", "n2", "n3"], links=[["n4", "n5"]])) == [(0, 100)]


def test_links_to_other_than_members_do_not_count() -> None:
    story = five().cut(10, 20, both_ways(["client"], ["n1", "n2", "n3", "n4", "n5"]))
    health = cluster_health(story.history(), Bounds(members=("n1", "n2", "n3", "n4", "n5")))
    assert health.connected.all()
    assert not health.fault_free.all()


def test_a_partition_that_names_no_links_may_have_cut_its_nodes_off() -> None:
    story = five().fault("partition", 10, 20, nodes=["n1", "n2", "n3"])
    assert periods(story) == [(0, 10)]
    assert not cluster_health(story.history(), Bounds()).down.any()
    assert periods(story.fault("heal", 30, 40)) == [(0, 10), (40, 100)]
