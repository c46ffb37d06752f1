"""Shrinking reaches a minimal case that still passes the test, and keeps the broken promise and its evidence."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.campaigns.hunt.case import Case, FailureSignature, run_case
from splitbrain.campaigns.hunt.shrink import descend, shrink, still
from splitbrain.nemesis.faults import Kill, Partition, Pause
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.triggers import Trigger

pytestmark = pytest.mark.simulation

SHAPES = ("halves", "isolated-leader", "leader-deaf", "leader-mute")
DEAF = Partition(shape="leader-deaf")


def case(*steps: Step, length_ms: int = 20_000, nodes: int = 5, seed: int = 77) -> Case:
    return Case(system="raft", nodes=nodes, seed=seed, schedule=Schedule(steps=steps, length_ms=length_ms))


def row(*shapes: str) -> tuple[Step, ...]:
    return tuple(
        Step(at_ms=1_000 + 1_500 * at, for_ms=1_234, fault=Partition(shape=shape)) for at, shape in enumerate(shapes)
    )


def smallest(found: Case, test: Callable[[Case], bool]) -> Case:
    assert test(found)
    *_, last = found, *descend(found, test)
    assert test(last)
    return last


def shapes_of(found: Case) -> list[str]:
    return [step.fault.kind for step in found.schedule.steps if isinstance(step.fault, Partition)]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=6), st.sets(st.sampled_from(SHAPES), min_size=1))
def test_only_the_faults_that_matter_remain(shapes: list[str], needed: set[str]) -> None:
    def fails(tried: Case) -> bool:
        return needed & set(shapes) <= set(shapes_of(tried))

    found = smallest(case(*row(*shapes)), fails)
    # Brute force: the fewest steps of any subset that fails.
    subsets = (case(*steps) for k in range(7) for steps in itertools.combinations(row(*shapes), k))
    assert len(found.schedule.steps) == len(next(filter(fails, subsets)).schedule.steps)


def test_the_smallest_cluster_and_the_shortest_run_that_fail_remain() -> None:
    found = smallest(case(*row(*SHAPES)), lambda c: c.nodes >= 4 and any(s.for_ms >= 800 for s in c.schedule.steps))
    assert found.nodes == 4
    assert [(step.at_ms, step.for_ms) for step in found.schedule.steps] == [(0, 1_000)] or found.schedule.steps[
        0
    ].for_ms in range(800, 1_001)
    assert found.schedule.length_ms <= 1_500


def test_a_fault_is_removed_if_the_case_fails_without_it_under_another_seed() -> None:
    def fails(tried: Case) -> bool:
        return len(tried.schedule.steps) == 2 or (len(tried.schedule.steps) == 1 and tried.seed == 41)

    found = smallest(case(*row("halves", "leader-deaf")), fails)
    assert (len(found.schedule.steps), found.seed) == (1, 41)


def test_optional_fields_of_a_step_are_removed_and_required_ones_stay() -> None:
    storm = Step(at_ms=0, for_ms=500, fault=Kill(target="leader", state="lost", flap_ms=100))
    waits = Step(at_ms=0, for_ms=500, fault=Kill(target="subject", after_effects=4), when=Trigger(event="campaign"))

    def fails(tried: Case) -> bool:
        return {step.fault.target for step in tried.schedule.steps if isinstance(step.fault, Kill)} >= {
            "leader",
            "subject",
        }

    first, second = smallest(case(storm, waits), fails).schedule.steps
    assert first.fault == Kill(target="leader")
    assert second.fault == Kill(target="subject")
    assert second.when is not None


def test_negative_numbers_shrink_towards_zero() -> None:
    step = Step(at_ms=0, for_ms=100, fault=Pause(target="leader", flap_ms=1_000))
    found = smallest(case(step), lambda c: len(c.schedule.steps) == 1)
    assert found.schedule.steps[0].fault == Pause(target="leader")


def test_shrinking_keeps_the_promise_and_the_kind_of_evidence() -> None:
    """A deaf leader that never checks its quorum stalls the cluster: one fault, three nodes."""
    steps = (*row("halves", "leader-mute"), Step(at_ms=6_000, for_ms=6_000, fault=DEAF))
    found = Case(system="broken/never-checks-quorum", nodes=5, seed=3, schedule=Schedule(steps=steps, length_ms=13_000))
    signature = FailureSignature("stall", "availability")
    assert signature in run_case(found).signatures()
    shrunk = shrink(found, signature, seconds=inf)
    assert still(shrunk.case, signature)
    assert [step.fault for step in shrunk.case.schedule.steps] == [DEAF]
    assert (shrunk.case.nodes, shrunk.in_time) == (3, True)
    assert not still(shrunk.case, FailureSignature("exclusivity", "exclusivity", "proven")), (
        "another signature is another finding"
    )


def test_shrinking_without_time_returns_the_case_itself() -> None:
    found = case(*row("leader-deaf"))
    shrunk = shrink(found, FailureSignature("stall", "availability"), seconds=0.0)
    assert (shrunk.case, shrunk.tried, shrunk.in_time) == (found, 0, False)
