"""Elections of the highest name, held to their rows of promises in simulation.

For every weakness that a row admits to, a schedule and a seed that show it; and many mixed schedules under which
nothing that is promised breaks.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from splitbrain.campaigns import mutants
from splitbrain.campaigns.hunt.case import Case, CaseRun, run_case
from splitbrain.names import FaultClass, Guarantee
from splitbrain.nemesis.faults import Fault, Kill, Partition, Pause
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.systems import SYSTEMS

pytestmark = pytest.mark.simulation

HIGHEST = ("bully", "bully-textbook", "ring", "ring-append")
WEAK = [
    (name, fault_class, guarantee)
    for name in HIGHEST
    for fault_class, row in SYSTEMS[name].promises.items()
    for guarantee, promise in row.items()
    if promise == "known-weakness"
]

# Shows all weaknesses of a fault class. It comes twice: that a leader was deposed without a reason shows when its
# successor begins another reign.
FAULTS: Mapping[FaultClass, Fault] = {
    "crash": Kill(target="leader"),
    "pause": Pause(target="leader"),
    "partition": Partition(shape="minority-leader"),
    "leader-isolated": Partition(shape="isolated-leader"),
    "leader-deaf": Partition(shape="leader-deaf"),
    "leader-mute": Partition(shape="leader-mute"),
    "follower-deaf": Partition(shape="follower-deaf"),
    "partial-partition": Partition(shape="majorities-ring"),
    "state-loss": Kill(target="leader", state="lost"),
}
# The highest must be away for so long that another is elected, and a ring elects faster.
STORM_MS: Mapping[str, int] = {"bully": 50, "bully-textbook": 50, "ring": 250, "ring-append": 250}
SEED = 2


def schedule(system: str, fault_class: FaultClass) -> Schedule:
    fault = Kill(target="minority", flap_ms=STORM_MS[system]) if fault_class == "restart-storm" else FAULTS[fault_class]
    steps = tuple(Step(at_ms=at_ms, for_ms=4_000, fault=fault) for at_ms in (1_500, 8_000))
    return Schedule(steps=steps, length_ms=15_000)


def found(seen: CaseRun) -> set[str | None]:
    """The guarantees that were broken, promised or not."""
    return {finding.guarantee for judged in seen.judgement.properties for finding in judged.found.findings}


@pytest.mark.parametrize(("system", "fault_class", "guarantee"), WEAK)
def test_each_known_weakness_of_a_table_is_reproduced(
    system: str, fault_class: FaultClass, guarantee: Guarantee
) -> None:
    seen = run_case(Case(system=system, nodes=5, seed=SEED, schedule=schedule(system, fault_class)))
    assert {fault.fault_class for fault in seen.history.faults if fault.fault_class} == {fault_class}
    assert guarantee in found(seen)
    assert seen.signatures() == ()


def test_a_majority_that_meets_the_highest_only_in_one_node_has_no_leader() -> None:
    """Why none of them promises a leader under partial cuts: the bridge follows the one outside, and says OK."""
    bridge = Schedule(steps=(Step(at_ms=1_500, for_ms=8_000, fault=Partition(shape="bridge")),), length_ms=10_000)
    for system in HIGHEST:
        cases = (Case(system=system, nodes=4, seed=seed, schedule=bridge) for seed in range(8))
        assert any("availability" in found(run_case(case)) for case in cases)


@pytest.mark.parametrize("system", HIGHEST)
def test_no_mixture_of_faults_breaks_a_promise(system: str) -> None:
    search = mutants.Search(system=system, way="swarm", seed=11, budget_s=1)
    cases = mutants.cases(mutants.subject(system), search)
    for (seed, schedule), _ in zip(cases, range(12), strict=False):
        assert mutants.look(mutants.subject(system), seed, schedule).at == {}
