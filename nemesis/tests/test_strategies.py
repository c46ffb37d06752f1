"""Whatever a failing test drew, it shrinks to the calmest case that still fails."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from nemesis.faults import Fault, Partition, kind
from nemesis.partitions import NOTHING, Cut
from nemesis.schedules import Schedule, Step
from nemesis.strategies import GRAIN_MS, cuts, faults, node_names, schedules, views
from nemesis.targets import View

FIND = settings(
    max_examples=2_000, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def shrunk_schedule(of: SearchStrategy[Schedule], failing: Callable[[Schedule], bool]) -> Schedule:
    return find(of, failing, settings=FIND)


def test_the_calmest_schedule_has_no_fault() -> None:
    assert find(schedules(5), lambda schedule: True, settings=FIND).steps == ()


def test_a_failure_from_a_mute_leader_shrinks_to_that_one_fault_at_once_and_at_its_shortest() -> None:
    schedule = shrunk_schedule(
        schedules(5, lead_in_ms=0), lambda s: any(kind(step.fault) == "leader-mute" for step in s.steps)
    )
    assert schedule.steps == (Step(at_ms=0, for_ms=GRAIN_MS, fault=Partition(shape="leader-mute")),)


def test_a_failure_after_a_long_fault_shrinks_to_the_mildest_that_is_just_long_enough() -> None:
    schedule = shrunk_schedule(schedules(5, lead_in_ms=0), lambda s: any(step.for_ms >= 1_000 for step in s.steps))
    assert schedule.steps == (Step(at_ms=0, for_ms=1_000, fault=Partition(shape="isolated-node")),)


def test_a_failure_from_repetition_alone_is_found_and_keeps_only_what_it_needs() -> None:
    """Three bridges and nothing else: what swarming is for."""
    schedule = shrunk_schedule(
        schedules(5, max_faults=3), lambda s: [kind(step.fault) for step in s.steps] == ["bridge"] * 3
    )
    assert {step.for_ms for step in schedule.steps} == {GRAIN_MS}


def test_a_schedule_leaves_time_before_and_after() -> None:
    late: SearchStrategy[Schedule] = schedules(3, max_faults=2, lead_in_ms=700, recovery_ms=900)
    schedule = find(late, lambda s: len(s.steps) == 2, settings=FIND)
    assert schedule.steps[0].at_ms == 700
    assert schedule.length_ms - schedule.steps[-1].end_ms == 900


def test_the_calmest_cut_cuts_nothing_and_a_needed_link_stays_alone() -> None:
    calm: Cut = find(cuts(node_names(4)), lambda cut: True, settings=FIND)
    assert calm == NOTHING
    assert find(cuts(node_names(4)), lambda cut: ("n2", "n1") in cut, settings=FIND) == {("n2", "n1")}


def test_a_single_node_has_no_link_to_cut() -> None:
    assert find(cuts(["n1"]), lambda cut: True, settings=FIND) == NOTHING


def test_the_calmest_view_is_small_and_leaderless() -> None:
    assert find(views(), lambda view: True, settings=FIND) == View(nodes=("n1", "n2"), leader=None)
    assert find(views(), lambda view: view.leader is not None, settings=FIND) == View(nodes=("n1", "n2"), leader="n1")


def test_faults_are_of_the_shapes_named_and_possible_for_the_nodes() -> None:
    assert find(faults(3), lambda fault: True, settings=FIND) == Partition(shape="isolated-node")
    only: SearchStrategy[Fault] = faults(5, ["churn", "bridge"])
    assert find(only, lambda fault: True, settings=FIND) == Partition(shape="churn")
    flapping = find(
        st.integers(2, 2).flatmap(faults),
        lambda fault: isinstance(fault, Partition) and fault.flap_ms is not None,
        settings=FIND,
    )
    assert flapping == Partition(shape="flapping", flap_ms=150)
