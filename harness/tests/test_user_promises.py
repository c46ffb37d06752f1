"""Promises of systems that users bring: tables, rows, names and old codes."""

from __future__ import annotations

from typing import Any

import pytest

from splitbrain.checkers.judge import ALL_PROMISED
from splitbrain.errors import UsageError
from splitbrain.names import NODE_FAULT_CLASSES, OLD_FAULT_CLASSES, PRESETS, Electors, PromiseTable
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.promises import WrongPromises, read_electors, read_promises, usual_promises

WEAK = {**ALL_PROMISED, "exclusivity": "known-weakness"}
NOTHING = dict.fromkeys(ALL_PROMISED, "not-promised")


def under_all(row: Any) -> dict[str, Any]:
    """The table of a system with that row, which says nothing of its disk."""
    return {**dict.fromkeys(NODE_FAULT_CLASSES, row), "state-loss": NOTHING}


TABLE = """
                 term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
leader-isolated  +            +                !            +        +             +            +          # it leads on
"""
OLD_TABLE = """
                 term-safety  exclusivity  fencing  availability  convergence  stability
leader-isolated  +            !            +        +             +            +
"""


def read(given: object, *, has_terms: bool = True, elects: Electors = "nodes") -> PromiseTable:
    return read_promises("promises", given, usual_promises(has_terms, elects))


@pytest.mark.parametrize(
    "given",
    [
        {"leader-isolated": {"exclusivity": "known-weakness"}},
        {"leader-isolated": {"exclusivity": "!"}},
        {"leader-isolated": "++!++++"},
        {"leader-isolated": "+!++++"},
        {"C4": "+!++++"},
        TABLE,
        OLD_TABLE,
    ],
)
def test_one_exception_can_be_written_in_words_marks_codes_or_as_a_table(given: Any) -> None:
    assert read(given) == {**under_all(ALL_PROMISED), "leader-isolated": WEAK}


def test_without_a_table_every_guarantee_is_promised_except_those_about_missing_terms() -> None:
    assert read({}) == under_all(ALL_PROMISED)
    assert read({}, has_terms=False)["crash"] == {
        **ALL_PROMISED,
        "term-safety": "undefined",
        "fencing": "undefined",
    }


def test_an_old_file_guarantees_a_quorum_where_nodes_elect_and_else_leaves_it_undefined() -> None:
    undefined = {**WEAK, "election-quorum": "undefined"}
    for given in ("+!++++", {"all": "+!++++"}, {"all": {"exclusivity": "!"}}):
        assert read(given)["pause"] == WEAK
        assert read(given, elects="none")["pause"] == undefined
    assert read(OLD_TABLE, elects="none")["leader-isolated"] == undefined


def test_a_fault_class_given_by_its_name_and_by_its_old_code_is_refused() -> None:
    with pytest.raises(WrongPromises, match="promises: expected one row for leader-isolated, got 'leader-isolated'"):
        read({"C4": "++++++", "leader-isolated": "+!++++"})


def test_elects_is_nodes_or_none_where_there_are_no_servers() -> None:
    assert read_electors("elects", "nodes") == "nodes" and read_electors("elects", "none") == "none"
    with pytest.raises(WrongPromises, match="elects: expected one of majority of nodes, nobody, got 'servers'"):
        read_electors("elects", "servers")


def test_the_row_of_a_class_outweighs_the_row_for_all() -> None:
    found = read({"all": "++++++", "pause": {"exclusivity": "known-weakness"}})
    assert (found["crash"], found["pause"]) == (ALL_PROMISED, WEAK)
    assert read("+!++++") == under_all(WEAK)


def test_the_loss_of_a_disk_is_survived_only_where_a_row_says_so() -> None:
    assert read({"state-loss": "++++++"})["state-loss"] == ALL_PROMISED
    for given in ({}, "+++++++", {"all": "+++++++"}, TABLE):
        assert read(given)["state-loss"] == NOTHING
    assert read({}, elects="none")["state-loss"]["election-quorum"] == "undefined"


def test_a_preset_leaves_undefined_what_has_no_meaning_for_the_system() -> None:
    assert read("all") == dict.fromkeys(NODE_FAULT_CLASSES, ALL_PROMISED)
    assert {row["exclusivity"] for row in read("quorum").values()} == {"not-promised"}
    assert read("lease") == read("quorum with lease") == read("quorum-with-lease")
    assert read("lease")["leader-isolated"]["exclusivity"] == "guaranteed"
    assert read("best effort") == read("best-effort")
    undefined = {"term-safety", "fencing", "election-quorum"}
    for guarantee, promise in read("quorum", has_terms=False, elects="none")["pause"].items():
        assert promise == ("undefined" if guarantee in undefined else read("quorum")["pause"][guarantee])
    assert all(set(row.values()) <= {"guaranteed", "not-promised"} for name in PRESETS for row in read(name).values())


def test_a_preset_after_the_name_of_a_system_replaces_its_promises() -> None:
    system = find_system("lease@quorum")
    assert (system.name, system.promises["crash"]["exclusivity"]) == ("lease@quorum", "not-promised")
    assert system.promises["server-throttle"] == system.promises["throttle"]
    with pytest.raises(UsageError, match="unknown system 'lease@nothing'"):
        find_system("lease@nothing")


def test_a_file_that_has_no_row_for_throttle_means_its_row_for_pause() -> None:
    assert read({"C2": "+!++++"})["throttle"] == WEAK
    assert read({"pause": "+!++++", "throttle": "++++++"})["throttle"] == ALL_PROMISED


def test_every_old_code_of_a_class_among_nodes_is_read() -> None:
    for code, name in OLD_FAULT_CLASSES.items():
        if name in NODE_FAULT_CLASSES:
            assert read({code: "+!++++"})[name] == WEAK


def test_an_error_in_a_table_names_its_line_and_row() -> None:
    with pytest.raises(
        WrongPromises, match=r"^promises, line 3, leader-isolated: expected 7 of the marks .*, got '[^']*'$"
    ):
        read(TABLE.replace("!", "no"))


def test_classes_among_servers_are_refused_where_there_are_no_servers() -> None:
    with pytest.raises(WrongPromises, match=r"promises: expected fault classes, of all, crash, .*, got 'sC1'"):
        read({"sC1": "++++++"})
