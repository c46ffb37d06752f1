"""Hypothesis strategies: every failing draw shrinks to the mildest case that still fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from splitbrain.nemesis.faults import Capability, Fault, Kill, Loss, Partition, Pause
from splitbrain.nemesis.partitions import NOTHING, Cut
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.strategies import GRAIN_MS, MOST_FAULTS, cuts, faults, node_names, schedules, views
from splitbrain.nemesis.targets import View
from splitbrain.nemesis.triggers import Event, Trigger

pytestmark = pytest.mark.simulation

PARTITION: tuple[Capability, ...] = ("partition",)
KILL: tuple[Capability, ...] = ("kill",)
LOSS: tuple[Capability, ...] = ("loss",)
PAUSE_AND_LOSS: tuple[Capability, ...] = ("pause", "loss")
TERM_CHANGE: tuple[Event, ...] = ("term-change",)
FIND = settings(max_examples=2_000, database=None, suppress_health_check=list(HealthCheck), derandomize=True)


def shrunk_schedule(of: SearchStrategy[Schedule], failing: Callable[[Schedule], bool]) -> Schedule:
    return find(of, failing, settings=FIND)


def test_the_calmest_schedule_has_no_fault() -> None:
    assert find(schedules(5), lambda schedule: True, settings=FIND).steps == ()


def test_a_failure_from_a_mute_leader_shrinks_to_that_one_fault_at_once_and_at_its_shortest() -> None:
    schedule = shrunk_schedule(
        schedules(5, lead_in_ms=0), lambda s: any(step.fault.kind == "leader-mute" for step in s.steps)
    )
    assert schedule.steps == (Step(at_ms=0, for_ms=GRAIN_MS, fault=Partition(shape="leader-mute")),)


def test_a_failure_after_a_long_fault_shrinks_to_the_mildest_that_is_just_long_enough() -> None:
    schedule = shrunk_schedule(schedules(5, lead_in_ms=0), lambda s: any(step.for_ms >= 1_000 for step in s.steps))
    assert schedule.steps == (Step(at_ms=0, for_ms=1_000, fault=Partition(shape="isolated-node")),)


def test_a_failure_from_repetition_alone_is_found_and_keeps_only_what_it_needs() -> None:
    """Three bridges and nothing else, which needs swarm testing."""
    schedule = shrunk_schedule(
        schedules(5, max_faults=3, can=PARTITION, events=()),
        lambda s: [step.fault.kind for step in s.steps] == ["bridge"] * 3,
    )
    assert {step.for_ms for step in schedule.steps} == {GRAIN_MS}


def test_a_failure_from_two_faults_that_meet_keeps_their_meeting() -> None:
    def meet(schedule: Schedule) -> bool:
        killed = [step for step in schedule.steps if isinstance(step.fault, Kill)]
        paused = [step for step in schedule.steps if isinstance(step.fault, Pause)]
        return any(a.at_ms < b.end_ms and b.at_ms < a.end_ms for a in killed for b in paused)

    schedule = shrunk_schedule(schedules(3, lead_in_ms=0, can=("kill", "pause")), meet)
    assert sorted(step.fault.f for step in schedule.steps) == ["kill", "pause"]
    assert all(step.at_ms == 0 and step.for_ms == GRAIN_MS and step.when is None for step in schedule.steps)


def test_a_failure_from_a_death_in_a_vote_keeps_the_vote_and_nothing_else() -> None:
    def dies(schedule: Schedule) -> bool:
        return any(step.when is not None and step.when.event == "vote-granted" for step in schedule.steps)

    events: tuple[Event, ...] = ("new-leader", "vote-granted")
    schedule = shrunk_schedule(schedules(3, lead_in_ms=0, can=KILL, events=events), dies)
    (step,) = schedule.steps
    assert step.when == Trigger(event="vote-granted", count=1, within_ms=GRAIN_MS)
    assert step.fault == Kill(target="subject")


def test_a_number_that_does_not_matter_shrinks_to_calm() -> None:
    schedule = shrunk_schedule(schedules(3, can=LOSS), lambda s: len(s.steps) == 1)
    assert schedule.steps[0].fault == Loss(percent=0, target="follower")


@settings(max_examples=50)
@given(schedules(5, max_faults=99, can=PAUSE_AND_LOSS, events=TERM_CHANGE))
def test_only_supported_faults_up_to_the_maximum_are_drawn(schedule: Schedule) -> None:
    assert len(schedule.steps) <= MOST_FAULTS
    assert {step.fault.f for step in schedule.steps} <= {"pause", "loss"}
    assert {step.when.event for step in schedule.steps if step.when} <= {"term-change"}


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
