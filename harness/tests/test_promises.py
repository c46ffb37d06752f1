from __future__ import annotations

from dataclasses import replace

from splitbrain.checkers.tests.histories import Story
from splitbrain.core.promises import NETWORK, bounds_of, cells_of, exercised, promises_of
from splitbrain.nodes.systems import SYSTEMS

RAFT = SYSTEMS["raft"]


def test_a_guarantee_is_promised_only_if_it_is_under_every_fault_of_the_run() -> None:
    system = replace(RAFT, promises={"C1": "++++++", "C4": "+!?+-+"})
    assert "".join(promises_of(system, ["C1", "C4"]).values()) == "+!?+-+"


def test_known_to_break_outweighs_may_happen() -> None:
    system = replace(RAFT, promises={"C3": "+?++++", "C4": "+!++++"})
    assert promises_of(system, ["C3", "C4"])["X"] == "!"


def test_without_a_fault_the_best_of_the_row_is_promised() -> None:
    system = replace(RAFT, promises={"C1": "-?-++!", "C4": "-+-+++"})
    assert promises_of(system, [])["X"] == "+"
    assert promises_of(system, [])["T"] == "-"


def test_a_fault_that_names_its_cell_is_taken_at_its_word() -> None:
    assert cells_of([("partition", "C5a")], RAFT) == ("C5a",)


def test_a_partition_without_a_cell_may_be_any_of_the_network() -> None:
    assert set(cells_of([("partition", None)], RAFT)) == set(NETWORK)


def test_what_mends_exercises_nothing_where_faults_name_their_cells() -> None:
    story = Story().hurt("kill", 10, 11, nodes=["s1"], cell="sC1").hurt("restart", 20, 21, nodes=["s1"])
    assert list(exercised(story.history().faults)) == [("kill", "sC1")]
    bare = Story().hurt("kill", 10, 11, nodes=["n1"]).hurt("restart", 20, 21, nodes=["n1"])
    assert list(exercised(bare.history().faults)) == [("kill", None), ("restart", None)]


def test_a_fault_nobody_knows_may_be_anything() -> None:
    assert set(cells_of([("gremlins", None)], RAFT)) == set(RAFT.promises)


def test_every_system_has_six_letters_in_every_cell() -> None:
    for system in SYSTEMS.values():
        for cell, row in system.promises.items():
            assert len(row) == 6 and set(row) <= set("+!?-"), (system.name, cell, row)


def test_the_bounds_are_those_that_the_system_states() -> None:
    bounds = bounds_of(RAFT, ("n1", "n2", "n3"))
    assert bounds.stall_ns == RAFT.stall_bound_ms * 1_000_000
    assert bounds.members == ("n1", "n2", "n3")
