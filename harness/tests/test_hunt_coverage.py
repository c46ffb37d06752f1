"""Coverage of a hunt: anonymous election states, hits by role and phase, estimates of the unseen states."""

from __future__ import annotations

from typing import Any

import pytest

from splitbrain.campaigns.hunt.case import Case, run_case
from splitbrain.campaigns.hunt.coverage import (
    Coverage,
    FaultHit,
    InForce,
    hits_of,
    phase_of,
    state_of,
    states_of,
    windows,
)
from splitbrain.campaigns.hunt.save import coverage_rows
from splitbrain.campaigns.hunt.trace import ClusterSample, NodeState
from splitbrain.checkers.fault import Fault
from splitbrain.nemesis.faults import Partition
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS


def node(
    name: str, role: str = "follower", term: int | None = 4, follows: str | None = "n1", **other: Any
) -> NodeState:
    return NodeState(name, role, term, other.get("voted", True), other.get("connected", True), follows)


LEADER, SECOND, THIRD = node("n1", "leader"), node("n2"), node("n3")
STABLE = (LEADER, SECOND, THIRD)


def fault(key: int, f: str, begin: int, **asked: Any) -> Fault:
    return Fault(
        id=key, f=f, begin=begin, begin_index=0, done=begin + 1, nodes=tuple(asked.pop("nodes", ())), asked=asked
    )


CUT = fault(0, "partition", 10, nodes=["n1"], shape="leader-deaf")
HEAL = fault(1, "heal", 30, heals=[0])


def test_a_state_depends_on_neither_names_nor_absolute_terms() -> None:
    renamed = (node("n3", "leader", 9, "n3"), node("n1", term=9), node("n2", term=9))
    assert state_of(STABLE, ()) == state_of(renamed, ())
    assert state_of(STABLE, ()) != state_of(STABLE, ("pause",))
    assert state_of(STABLE, ()) != state_of((LEADER, SECOND, node("n3", term=5)), ())
    assert state_of(STABLE, ()) != state_of((LEADER, SECOND, node("n3", connected=False)), ())
    assert state_of(STABLE, ()) != state_of((LEADER, SECOND, node("n3", voted=False)), ())


def test_a_fault_is_in_force_until_it_is_healed_by_its_id_or_with_all_others() -> None:
    other = fault(5, "kill", 20, nodes=["n2"])
    assert windows((CUT, other, HEAL), 99) == (InForce(CUT, 10, 30), InForce(other, 20, 99))
    assert windows((CUT, other, fault(9, "heal", 50)), 99) == (InForce(CUT, 10, 50), InForce(other, 20, 50))


def test_a_skipped_fault_is_never_in_force() -> None:
    skipped = Fault(id=0, f="kill", begin=1, begin_index=0, done=2, nodes=("n1",), skipped="no leader observed")
    assert windows((skipped,), 99) == ()
    assert list(hits_of((skipped,), [ClusterSample(START_WITHIN_NS, STABLE)])) == []


def test_a_state_holds_the_kinds_of_fault_in_force_at_its_sample() -> None:
    samples = [ClusterSample(START_WITHIN_NS + at, STABLE) for at in (5, 20, 40)]
    assert [kinds for _, kinds in states_of((CUT, HEAL), samples)] == [(), ("partition",), ()]


def test_a_hit_holds_the_role_of_the_node_and_the_phase_of_the_cluster() -> None:
    samples = [
        ClusterSample(START_WITHIN_NS, STABLE),
        ClusterSample(START_WITHIN_NS + 20, (node("n1", "candidate"), SECOND, THIRD)),
    ]
    assert list(hits_of((CUT,), samples)) == [FaultHit("partition leader-deaf", "leader", "stable")]
    late = fault(3, "kill", 25, nodes=["n1", "n2"])
    assert list(hits_of((late,), samples)) == [
        FaultHit("kill", "candidate", "electing"),
        FaultHit("kill", "follower", "electing"),
    ]


@pytest.mark.parametrize(
    ("nodes", "phase"),
    [
        (STABLE, "stable"),
        ((node("n1", "candidate"), SECOND, THIRD), "electing"),
        ((node("n1", "leader", connected=False), SECOND, THIRD), "electing"),
        ((LEADER, SECOND, node("n3", follows=None)), "recovering"),
        ((LEADER, SECOND, node("n3", "down", None, None)), "recovering"),
        ((LEADER, node("n2", "leader", 5, "n2"), THIRD), "recovering"),
    ],
)
def test_the_phase_follows_from_the_states_of_the_nodes(nodes: tuple[NodeState, ...], phase: str) -> None:
    assert phase_of(nodes) == phase


def test_the_number_of_unseen_states_is_estimated_from_those_seen_once() -> None:
    coverage = Coverage()
    assert coverage.chance_of_new == 1.0
    states = [state_of((node("n1", term=None, role=role),), ()) for role in "abcd"]
    coverage.states.update({states[0]: 6, states[1]: 2, states[2]: 1, states[3]: 1})
    assert coverage.chance_of_new == pytest.approx(2 / 10)
    assert coverage.unseen_at_least == pytest.approx(2 * 1 / (2 * (1 + 1)))


def test_coverage_adds_up_and_records_its_growth() -> None:
    def covered(seed: int) -> Coverage:
        step = Step(at_ms=500, for_ms=500, fault=Partition(shape="isolated-leader"))
        found = run_case(Case(system="raft", nodes=3, seed=seed, schedule=Schedule(steps=(step,), length_ms=1_500)))
        coverage = Coverage()
        assert coverage.take(found.history.faults, found.trace) == len(coverage.states) > 1
        return coverage

    total = Coverage()
    for seed in (1, 2):
        total.add(covered(seed))
    assert total.growth == [(1, len(covered(1).states)), (2, len(total.states))]
    assert total.hits[FaultHit("partition isolated-leader", "leader", "stable")] == 2
    assert ("partition isolated-leader", "leader", "2", "0", "0") in coverage_rows(total)
    assert total.as_json()["growth"][-1] == [2, len(total.states)]
