"""Leases in simulation: each variant keeps its promises, and its known weaknesses are reproduced."""

from __future__ import annotations

import pytest

from splitbrain.checkers.judge import judge
from splitbrain.core.experiment import Experiment
from splitbrain.core.promises import fault_classes_of, promises_of
from splitbrain.core.simulate import history_of
from splitbrain.nemesis.faults import Delay, Fault, Kill, Partition, Pause, Skew
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.workloads import Workload

pytestmark = pytest.mark.simulation

VARIANTS = ("lease", "lease-strict", "lease-wall")


def found(system: str, *steps: Step, seed: int) -> dict[str, str]:
    """The guarantees broken in one run of five nodes, each with the system's promise."""
    schedule = Schedule(steps=steps, length_ms=max(step.end_ms for step in steps) + 2_000)
    workload = Workload(observe_period_ms=20, confirm_period_ms=50, canary_period_ms=None)
    experiment = Experiment(
        system=SYSTEMS[system], nemesis=("x",), runtime="sim", nodes=5, time_limit_s=10, seed=seed, workload=workload
    )
    history = history_of(experiment, schedule)
    faults = ((fault.f, fault.fault_class) for fault in history.faults if fault.skipped is None)
    promises = promises_of(experiment.system, fault_classes_of(faults, experiment.system))
    return {
        each.name: str(each.promises.get(finding.guarantee))
        for each in judge(history, promises, experiment.bounds).properties
        for finding in each.found.findings
        if finding.guarantee is not None
    }


def often(fault: Fault, at_ms: tuple[int, ...], for_ms: int) -> tuple[Step, ...]:
    return tuple(Step(at_ms=each, for_ms=for_ms, fault=fault) for each in at_ms)


LATE = tuple(
    step
    for at_ms in range(1_500, 28_000, 4_500)
    for step in (
        Step(at_ms=at_ms, for_ms=2_600, fault=Delay(ms=0, jitter_ms=450, target="leader")),
        Step(at_ms=at_ms + 1_500, for_ms=1_500, fault=Partition(shape="isolated-leader")),
    )
)
"""Answers later than the lease is longer than a period and a deadline, and then none: the one way to two leaders by the
network alone."""

SLOW = (
    Step(at_ms=1_500, for_ms=4_000, fault=Skew(target="leader", clock="monotonic", rate_ppm=-400_000)),
    Step(at_ms=2_500, for_ms=2_500, fault=Partition(shape="isolated-leader")),
)
FORGETFUL = (Step(at_ms=1_500, for_ms=50, fault=Kill(target="node", state="lost"), among="servers"),)
JUMP = often(Skew(target="leader", clock="wall", offset_ms=-5_000), (2_000, 6_000), 1_500)


@pytest.mark.parametrize("system", VARIANTS)
def test_isolated_or_dead_leaders_and_a_stopped_or_dead_store_break_no_promise(system: str) -> None:
    steps = (
        Step(at_ms=1_500, for_ms=2_000, fault=Partition(shape="isolated-leader")),
        Step(at_ms=5_500, for_ms=2_000, fault=Partition(shape="leader-deaf")),
        Step(at_ms=9_500, for_ms=1_500, fault=Kill(target="leader")),
        Step(at_ms=13_000, for_ms=600, fault=Pause(target="node"), among="servers"),
        Step(at_ms=16_000, for_ms=900, fault=Kill(target="node", state="torn"), among="servers"),
    )
    for seed in range(3):
        assert found(system, *steps, seed=seed) == {}


def test_a_late_answer_before_a_cut_makes_two_leaders_unless_the_lease_counts_from_the_request() -> None:
    assert found("lease", *LATE, seed=1) == {"exclusivity": "not-promised"}
    assert found("lease-strict", *LATE, seed=1) == {}


def test_a_paused_leader_goes_on_leading_unless_it_checks_the_clock() -> None:
    stops = often(Pause(target="leader"), (1_500, 5_500), 1_500)
    assert found("lease", *stops, seed=2) == {"exclusivity": "known-weakness"}
    assert found("lease-strict", *stops, seed=2) == {}


@pytest.mark.parametrize("system", ["lease", "lease-strict"])
def test_a_slow_clock_extends_a_lease_and_a_store_without_state_grants_it_twice(system: str) -> None:
    assert found(system, *SLOW, seed=3) == {"exclusivity": "known-weakness"}
    forgotten = found(system, *FORGETFUL, seed=3)
    assert forgotten["exclusivity"] == forgotten["term-safety"] == "known-weakness"


def test_a_cut_of_the_way_back_makes_an_answer_late_too() -> None:
    steps = [
        step
        for at_ms in range(1_500, 28_000, 4_500)
        for step in (
            Step(at_ms=at_ms, for_ms=400, fault=Partition(shape="leader-deaf")),
            Step(at_ms=at_ms + 410, for_ms=1_500, fault=Partition(shape="isolated-leader")),
        )
    ]
    assert {"exclusivity": "not-promised"} in [found("lease", *steps, seed=seed) for seed in range(4)]
    assert [found("lease-strict", *steps, seed=seed) for seed in range(4)] == [{}] * 4


def test_only_a_wall_clock_lease_breaks_when_the_clock_is_set_back() -> None:
    assert found("lease-wall", *JUMP, seed=4)["exclusivity"] == "known-weakness"
    assert found("lease", *JUMP, seed=4) == {}
