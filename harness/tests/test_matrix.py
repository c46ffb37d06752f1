from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from splitbrain.campaigns.matrix.campaign import campaign, contain, simulate
from splitbrain.campaigns.matrix.entries import (
    EVERY,
    FIRST,
    PINNED,
    SCHEDULES,
    USUAL,
    Entry,
    Pin,
    entries,
    schedule_named,
)
from splitbrain.campaigns.matrix.results import Result, letters_seen, status_of, worst_of
from splitbrain.cli import cli
from splitbrain.core.experiment import read_schedule
from splitbrain.errors import UsageError
from splitbrain.nemesis.nemeses import NEMESES, build
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.schedules import Schedule, dice
from splitbrain.nemesis.targets import View
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import CELLS, System
from splitbrain.runtimes.base import CAPABILITIES, unsupported


def entry(system: str, cell: str, *nemesis: str, seed: int | None = 1) -> Entry:
    return Entry(system=system, cell=cell, runtime="sim", nemesis=nemesis, time_limit_s=14.0, seed=seed)


def verdicts(**found: tuple[str, list[str], list[str]]) -> dict[str, Any]:
    """Verdicts as a run stores them: of each property the outcome, the letters broken, those undecided."""
    return {
        "properties": {
            name.replace("_", "-"): {
                "verdict": outcome,
                "findings": [{"guarantee": letter} for letter in broken],
                "facts": {"undecided": dict.fromkeys(undecided, True)},
            }
            for name, (outcome, broken, undecided) in found.items()
        }
    }


# What was seen, and what to make of it


def test_a_letter_is_broken_if_any_of_its_properties_found_it_to_be() -> None:
    seen = letters_seen(verdicts(term_safety=("valid", [], []), agreement=("invalid", ["T"], [])))
    assert seen == {"T": "broken"}


def test_of_a_property_of_two_letters_each_is_told_by_itself() -> None:
    assert letters_seen(verdicts(stall=("valid", ["A"], ["L"]))) == {"A": "broken", "L": "untold"}


def test_what_could_not_be_told_is_no_pass() -> None:
    assert letters_seen(verdicts(exclusivity=("unknown", [], []))) == {"X": "untold"}
    assert letters_seen(verdicts(exclusivity=("valid", [], []))) == {"X": "kept"}


def test_a_letter_that_nothing_tests_is_not_spoken_of() -> None:
    assert "F" not in letters_seen(verdicts(exclusivity=("valid", [], [])))


def test_several_runs_count_as_their_worst_and_a_run_that_tells_outweighs_one_that_does_not() -> None:
    assert worst_of([{"T": "kept", "X": "broken"}, {"T": "untold", "X": "kept"}]) == {"T": "kept", "X": "broken"}


@pytest.mark.parametrize(
    ("mark", "seen", "status"),
    [
        ("+", "broken", "broken promise"),
        ("+", "kept", "as expected"),
        ("+", "untold", "unknown"),
        ("!", "broken", "as expected"),
        ("!", "kept", "not shown"),
        ("?", "broken", "as expected"),
        ("-", "broken", "as expected"),
    ],
)
def test_what_is_expected_follows_from_the_promise(mark: str, seen: Any, status: str) -> None:
    assert status_of({"X": mark}, {"X": seen})[0] == status


# Which runs


def test_every_class_of_fault_of_every_system_has_its_entry_and_every_nemesis_exists() -> None:
    assert set(USUAL) >= set(CELLS)
    assert set(FIRST) <= set(USUAL)
    assert all(name in NEMESES for names in USUAL.values() for name in names)
    assert all(name in NEMESES for pin in PINNED.values() for name in pin.nemesis)
    assert all(cell in SYSTEMS[system].promises and cell in EVERY for system, cell, _ in PINNED)
    for runtime in ("sim", "docker"):
        planned = entries(["raft"], [runtime])
        assert {each.cell for each in planned} == set(CELLS)


@pytest.mark.parametrize("cell", [cell for cell in USUAL if cell.startswith("s") and cell not in ("sC3", "sC4")])
def test_the_usual_nemesis_of_a_class_of_faults_among_servers_is_of_that_class(cell: str) -> None:
    schedule = build(USUAL[cell], Random(1), 3, 120_000, servers=3)
    assert {aimed.cell for aimed in aims(schedule, SYSTEMS["etcd-election"], None)} == {cell}


@pytest.mark.parametrize(
    ("system", "cell", "runtime", "pin"),
    [pytest.param(*key, pin, id=" ".join(key)) for key, pin in PINNED.items() if pin.schedule is not None],
)
def test_a_pinned_schedule_holds_what_its_class_says_and_can_be_carried_out(
    system: str, cell: str, runtime: str, pin: Pin
) -> None:
    assert pin.schedule is not None
    schedule = schedule_named(pin.schedule)
    assert not unsupported(schedule, CAPABILITIES[runtime])
    assert cell in {aimed.cell for aimed in aims(schedule, SYSTEMS[system], pin.nodes)}
    (planned,) = entries([system], [runtime], [cell])
    assert (planned.schedule, planned.nemesis, planned.time_limit_s) == (
        pin.schedule,
        ("replay",),
        schedule.length_ms / 1000,
    )


def aims(schedule: Schedule, system: System, nodes: int | None) -> list[Plan]:
    """Its faults, aimed while the first node and the first server lead."""
    names = tuple(f"n{i}" for i in range(1, (nodes or system.usual_nodes) + 1))
    servers = () if system.servers is None else tuple(f"s{i}" for i in range(1, system.servers.count + 1))
    views = {
        "nodes": View(nodes=names, leader=names[0], others=servers),
        "servers": View(nodes=servers, leader=servers[0] if servers else None, others=names, group="servers"),
    }
    planned = [plan(step.fault, views[step.among], dice(1, step)) for step in schedule.steps]
    return [aimed for aimed in planned if isinstance(aimed, Plan)]


def test_every_schedule_beside_the_matrix_can_be_read() -> None:
    assert all(schedule_named(path.stem).steps for path in SCHEDULES.iterdir())


def test_a_class_that_only_a_targeted_schedule_exercises_is_run_where_there_is_one() -> None:
    assert [each.schedule for each in entries(["redlock"], ["docker"], ["sC11"])] == ["servers-all-forget-five-times"]
    with pytest.raises(UsageError, match="nothing exercises sC11 of etcd-prevote"):
        entries(["etcd-prevote"], ["docker"], ["sC11"])


def test_systems_take_turns_so_that_a_short_time_leaves_none_out() -> None:
    first = entries(["raft", "raft-basic"], ["docker"])[:2]
    assert [each.system for each in first] == ["raft", "raft-basic"]


def test_what_shows_most_of_f_is_done_tokens_fenced_locks_pinned_and_data_of_the_system_itself_written() -> None:
    asked = [("raft", "C4"), ("etcd-election", "C4"), ("etcd-election", "C1"), ("sentinel", "C4"), ("redlock", "sC1")]
    done = [one.workload for system, cell in asked for one in entries([system], ["docker"], [cell])]
    assert done == ["ledger", "lock", "ledger", "writes", "election"]


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown system 'rift'"):
        entries(["rift"], ["sim"])


# The runs


def test_a_known_weakness_is_shown_and_the_run_that_shows_it_is_kept(tmp_path: Path) -> None:
    result = simulate(entry("raft-basic", "C4", "isolated-leader"), 0, tmp_path)
    assert (result.status, result.promised["X"], result.seen["X"]) == ("as expected", "!", "broken")
    assert result.run is not None
    assert (tmp_path / result.run / "report.html").is_file()


def test_a_targeted_schedule_is_run_kept_and_told_how_to_run_again(tmp_path: Path) -> None:
    aimed = replace(entry("raft-basic", "C4", "replay"), schedule="leader-isolated-five-times", time_limit_s=38.0)
    result = simulate(aimed, 0, tmp_path)
    assert (result.status, result.seen["X"], result.runs) == ("as expected", "broken", 1)
    assert result.run is not None
    assert result.command == f"splitbrain replay {tmp_path / result.run}"
    assert read_schedule(tmp_path / result.run / "schedule.json") == schedule_named("leader-isolated-five-times")


def test_a_promise_that_is_broken_is_said_to_be(tmp_path: Path) -> None:
    result = simulate(entry("broken/ignores-heartbeats", "C4", "isolated-leader"), 0, tmp_path)
    assert result.status == "broken promise"
    assert result.command is not None


def test_what_a_runtime_lacks_is_said_and_not_run(tmp_path: Path) -> None:
    result = contain(
        Entry(system="raft", cell="C1", runtime="docker", nemesis=("voter",), time_limit_s=20.0), 0, tmp_path
    )
    assert result.status == "cannot"
    assert "vote-granted" in result.words
    assert not list(tmp_path.iterdir())


def test_what_the_time_does_not_suffice_for_is_not_run_and_says_so(tmp_path: Path) -> None:
    planned = [Entry(system="raft", cell="C4", runtime="docker", nemesis=("isolated-leader",), time_limit_s=20.0)]
    told: list[Result] = []
    (result,) = campaign(planned, 0, tmp_path, 5.0, told.append)
    assert result.status == "not run"
    assert told == [result]


def test_the_command_writes_page_table_summary_and_junit_and_ends_by_what_was_found(tmp_path: Path) -> None:
    chosen = ["raft-basic", "--runtime", "sim", "--cell", "C4", "--seed", "1"]
    done = CliRunner().invoke(cli, ["matrix", *chosen, "--store", str(tmp_path), "--json"], catch_exceptions=False)
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [(each["cell"], each["status"], each["runs"]) for each in record["results"]] == [("C4", "as expected", 5)]
    suite = ElementTree.fromstring((tmp_path / "matrix.xml").read_bytes())
    assert suite.get("tests") == "1"
    assert "raft-basic" in (tmp_path / "matrix.html").read_text()
    assert len((tmp_path / "matrix.csv").read_text().splitlines()) == 2


def test_a_budget_that_is_no_time_is_refused() -> None:
    done = CliRunner().invoke(cli, ["matrix", "--budget", "soon"])
    assert "--budget: expected a time such as 90m" in str(done.exception)
