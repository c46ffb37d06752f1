from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from splitbrain.checkers.tests.histories import Story
from splitbrain.core.promises import CUTS, bounds_of, exercised, fault_classes_of, promises_of
from splitbrain.names import FAULT_CLASSES, GUARANTEES, MARK_OF, MARKS, NODE_FAULT_CLASSES, FaultClass, Promises
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.runs import run

RAFT = SYSTEMS["raft"]


def promised(**rows: str) -> System:
    """Raft with one row a keyword, underscores for hyphens, each of seven marks in the order of the guarantees."""
    table: dict[FaultClass, Promises] = {
        each: dict(zip(GUARANTEES, (MARKS[mark] for mark in rows[each.replace("-", "_")]), strict=True))
        for each in FAULT_CLASSES
        if each.replace("-", "_") in rows
    }
    return replace(RAFT, promises=table)


def marks(promises: Promises) -> str:
    return "".join(MARK_OF[promises[guarantee]] for guarantee in GUARANTEES)


def test_a_guarantee_is_promised_only_if_it_is_under_every_fault_of_the_run() -> None:
    system = promised(crash="+++++++", leader_isolated="++!?+-+")
    assert marks(promises_of(system, ["crash", "leader-isolated"])) == "++!?+-+"


def test_a_known_weakness_outweighs_not_promised() -> None:
    system = promised(partition="++?++++", leader_isolated="++!++++")
    assert promises_of(system, ["partition", "leader-isolated"])["exclusivity"] == "known-weakness"


def test_without_a_fault_the_best_of_the_table_is_promised() -> None:
    system = promised(crash="--?-++!", leader_isolated="--+-+++")
    assert marks(promises_of(system, [])) == "--+-+++"


def test_a_fault_that_states_its_class_has_that_class() -> None:
    assert fault_classes_of([("partition", "leader-deaf")], RAFT) == ("leader-deaf",)


def test_a_partition_without_a_class_may_be_any_cut() -> None:
    assert set(fault_classes_of([("partition", None)], RAFT)) == set(CUTS)


@pytest.mark.parametrize("stated", [{"class": "server-crash"}, {"cell": "sC1"}])
def test_repairs_exercise_nothing_where_faults_state_their_classes_by_name_or_by_code(stated: dict[str, Any]) -> None:
    story = Story().fault("kill", 10, 11, nodes=["s1"], **stated).fault("restart", 20, 21, nodes=["s1"])
    assert list(exercised(story.history().faults)) == [("kill", "server-crash")]
    bare = Story().fault("kill", 10, 11, nodes=["n1"]).fault("restart", 20, 21, nodes=["n1"])
    assert list(exercised(bare.history().faults)) == [("kill", None), ("restart", None)]


@pytest.mark.parametrize(
    ("one", "both"),
    [
        ({"class": "leader-deaf"}, {"combined_class": "leader-isolated"}),
        ({"cell": "C5a"}, {"together": "C4"}),
    ],
)
def test_cuts_exercise_their_combined_class_too_by_name_or_by_code(one: dict[str, Any], both: dict[str, Any]) -> None:
    story = Story().cut(10, 11, [("n2", "n1")], **one, **both)
    assert set(exercised(story.history().faults)) == {("partition", "leader-deaf"), ("partition", "leader-isolated")}


def test_an_unknown_fault_may_be_of_any_class() -> None:
    assert set(fault_classes_of([("gremlins", None)], RAFT)) == set(RAFT.promises)


def test_every_system_has_a_promise_for_every_guarantee_and_fault_class() -> None:
    for system in SYSTEMS.values():
        assert NODE_FAULT_CLASSES.keys() <= system.promises.keys() <= FAULT_CLASSES.keys(), system.name
        for row in system.promises.values():
            assert list(row) == list(GUARANTEES) and set(row.values()) <= set(MARK_OF), system.name


def test_the_bounds_are_those_that_the_system_states() -> None:
    bounds = bounds_of(RAFT, ("n1", "n2", "n3"))
    assert bounds.stall_ns == RAFT.stall_bound_ms * 1_000_000
    assert bounds.members == ("n1", "n2", "n3")


@pytest.mark.simulation
@pytest.mark.parametrize(("system", "seed"), [("bully", 10001), ("bully", 10002), ("raft-lease", 10001)])
def test_a_leader_without_processor_time_breaks_no_promise_of_a_correct_system(system: str, seed: int) -> None:
    throttled = run(system, nodes=4, nemesis="throttle", seconds=60, seed=seed)
    assert throttled.judged.contract.fault_classes == ("throttle",)
    assert throttled.verdict == "valid"
