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
from splitbrain.campaigns.matrix.entries import FIRST, USUAL, Entry, entries
from splitbrain.campaigns.matrix.results import Result, guarantees_seen, status_of, worst_of
from splitbrain.cli import cli
from splitbrain.core.experiment import read_schedule
from splitbrain.errors import UsageError
from splitbrain.names import NODE_FAULT_CLASSES, FaultClass
from splitbrain.nemesis.nemeses import NEMESES, build
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.schedules import Schedule, step_rng
from splitbrain.nemesis.targets import View
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import SHARED_SCHEDULES, Pin, System
from splitbrain.runtimes.capabilities import CAPABILITIES, unsupported

pytestmark = pytest.mark.simulation


def entry(system: str, fault_class: FaultClass, *nemesis: str, seed: int | None = 1) -> Entry:
    return Entry(system=system, fault_class=fault_class, runtime="sim", nemesis=nemesis, time_limit_s=14.0, seed=seed)


def verdicts(**found: tuple[str, list[str], list[str]]) -> dict[str, Any]:
    """Verdicts as a run stores them: of each property the outcome, the guarantees broken, those undecided."""
    return {
        "properties": {
            name.replace("_", "-"): {
                "verdict": outcome,
                "findings": [{"guarantee": guarantee} for guarantee in broken],
                "facts": {"undecided": dict.fromkeys(undecided, True)},
            }
            for name, (outcome, broken, undecided) in found.items()
        }
    }


# What was seen, and what to make of it


def test_a_guarantee_is_broken_if_any_of_its_properties_found_it_to_be() -> None:
    seen = guarantees_seen(verdicts(term_safety=("valid", [], []), agreement=("invalid", ["term-safety"], [])))
    assert seen == {"term-safety": "broken"}


def test_of_a_property_of_two_guarantees_each_is_told_by_itself() -> None:
    assert guarantees_seen(verdicts(stall=("valid", ["availability"], ["convergence"]))) == {
        "availability": "broken",
        "convergence": "untold",
    }


def test_what_could_not_be_told_is_no_pass() -> None:
    assert guarantees_seen(verdicts(exclusivity=("unknown", [], []))) == {"exclusivity": "untold"}
    assert guarantees_seen(verdicts(exclusivity=("valid", [], []))) == {"exclusivity": "kept"}


def test_a_guarantee_that_nothing_tests_is_not_spoken_of() -> None:
    assert "fencing" not in guarantees_seen(verdicts(exclusivity=("valid", [], [])))


def test_several_runs_count_as_their_worst_and_a_run_that_tells_outweighs_one_that_does_not() -> None:
    assert worst_of(
        [{"term-safety": "kept", "exclusivity": "broken"}, {"term-safety": "untold", "exclusivity": "kept"}]
    ) == {"term-safety": "kept", "exclusivity": "broken"}


@pytest.mark.parametrize(
    ("promise", "seen", "status"),
    [
        ("guaranteed", "broken", "broken promise"),
        ("guaranteed", "kept", "as expected"),
        ("guaranteed", "untold", "unknown"),
        ("known-weakness", "broken", "as expected"),
        ("known-weakness", "kept", "not shown"),
        ("not-promised", "broken", "as expected"),
        ("undefined", "broken", "as expected"),
    ],
)
def test_what_is_expected_follows_from_the_promise(promise: Any, seen: Any, status: str) -> None:
    assert status_of({"exclusivity": promise}, {"exclusivity": seen})[0] == status


# Which runs

PINNED: list[tuple[str, FaultClass, str, Pin]] = [
    (system.name, fault_class, runtime, pin)
    for system in SYSTEMS.values()
    for runtime, pins in system.pins.items()
    for fault_class, pin in pins.items()
]
SCHEDULES = (SHARED_SCHEDULES, *SHARED_SCHEDULES.parent.glob("*/schedules"))


def test_every_class_of_fault_of_every_system_has_its_entry_and_every_nemesis_exists() -> None:
    assert set(USUAL) >= set(NODE_FAULT_CLASSES)
    assert set(FIRST) <= set(USUAL)
    assert all(name in NEMESES for names in USUAL.values() for name in names)
    assert all(name in NEMESES for *_, pin in PINNED for name in pin.nemesis)
    assert all(fault_class in SYSTEMS[system].promises for system, fault_class, *_ in PINNED)
    for runtime in ("sim", "docker"):
        planned = entries(["raft"], [runtime])
        assert {each.fault_class for each in planned} == set(NODE_FAULT_CLASSES)


OF_SERVERS = [each for each in USUAL if each not in NODE_FAULT_CLASSES]
CUTS_OF_SERVERS = ("server-partition", "server-leader-isolated")  # their class depends on the leader


@pytest.mark.parametrize("fault_class", [each for each in OF_SERVERS if each not in CUTS_OF_SERVERS])
def test_the_usual_nemesis_of_a_class_of_faults_among_servers_is_of_that_class(fault_class: FaultClass) -> None:
    schedule = build(USUAL[fault_class], Random(1), 3, 120_000, servers=3)
    assert {aimed.fault_class for aimed in aims(schedule, SYSTEMS["etcd-election"], None)} == {fault_class}


@pytest.mark.parametrize(
    ("system", "fault_class", "runtime", "pin"),
    [pytest.param(*each, id=" ".join(map(str, each[:3]))) for each in PINNED if each[3].schedule is not None],
)
def test_a_pinned_schedule_holds_what_its_class_says_and_can_be_carried_out(
    system: str, fault_class: FaultClass, runtime: str, pin: Pin
) -> None:
    assert pin.schedule is not None
    schedule = read_schedule(pin.schedule)
    assert not unsupported(schedule, CAPABILITIES[runtime])
    assert fault_class in {aimed.fault_class for aimed in aims(schedule, SYSTEMS[system], pin.nodes)}
    (planned,) = entries([system], [runtime], [fault_class])
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
    planned = [plan(step.fault, views[step.among], step_rng(1, step)) for step in schedule.steps]
    return [aimed for aimed in planned if isinstance(aimed, Plan)]


def test_every_schedule_beside_the_systems_can_be_read() -> None:
    paths = [path for folder in SCHEDULES for path in folder.iterdir()]
    assert len(paths) > 20 and all(read_schedule(path).steps for path in paths)


def test_a_class_that_only_a_targeted_schedule_exercises_is_run_where_there_is_one() -> None:
    (only,) = entries(["redlock"], ["docker"], ["server-state-loss"])
    assert only.schedule == SHARED_SCHEDULES / "servers-all-forget-five-times.json"
    with pytest.raises(UsageError, match="nothing exercises server-state-loss of etcd-prevote"):
        entries(["etcd-prevote"], ["docker"], ["server-state-loss"])


def test_systems_take_turns_so_that_a_short_time_leaves_none_out() -> None:
    first = entries(["raft", "raft-basic"], ["docker"])[:2]
    assert [each.system for each in first] == ["raft", "raft-basic"]


def test_what_shows_most_of_fencing_is_done_tokens_fenced_locks_pinned_and_data_of_the_system_itself_written() -> None:
    asked = [
        ("raft", "leader-isolated"),
        ("etcd-election", "leader-isolated"),
        ("etcd-election", "crash"),
        ("sentinel", "leader-isolated"),
        ("redlock", "server-crash"),
    ]
    done = [one.workload for system, each in asked for one in entries([system], ["docker"], [each])]
    assert done == ["ledger", "lock", "ledger", "writes", "election"]


@pytest.mark.parametrize(("name", "meant"), [("C4", "leader-isolated"), ("leader-isolate", "leader-isolated")])
def test_an_unknown_fault_class_is_refused_and_an_old_code_or_a_near_name_is_guessed(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"got '{name}'; did you mean {meant}\\?"):
        entries(["raft"], ["sim"], [name])


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown system 'rift'"):
        entries(["rift"], ["sim"])


# The runs

FIVE_TIMES = SHARED_SCHEDULES.parent / "zookeeper/schedules/leader-isolated-five-times.json"


def test_a_known_weakness_is_shown_and_the_run_that_shows_it_is_kept(tmp_path: Path) -> None:
    result = simulate(entry("raft-basic", "leader-isolated", "isolated-leader"), 0, tmp_path)
    assert (result.status, result.promised["exclusivity"], result.seen["exclusivity"]) == (
        "as expected",
        "known-weakness",
        "broken",
    )
    assert result.run is not None
    assert (tmp_path / result.run / "report.html").is_file()


def test_a_targeted_schedule_is_run_kept_and_told_how_to_run_again(tmp_path: Path) -> None:
    aimed = replace(entry("raft-basic", "leader-isolated", "replay"), schedule=FIVE_TIMES, time_limit_s=38.0)
    result = simulate(aimed, 0, tmp_path)
    assert (result.status, result.seen["exclusivity"], result.runs) == ("as expected", "broken", 1)
    assert result.run is not None
    assert result.command == f"splitbrain replay {tmp_path / result.run}"
    assert read_schedule(tmp_path / result.run / "schedule.json") == read_schedule(FIVE_TIMES)


def test_a_promise_that_is_broken_is_said_to_be(tmp_path: Path) -> None:
    result = simulate(entry("broken/ignores-heartbeats", "leader-isolated", "isolated-leader"), 0, tmp_path)
    assert result.status == "broken promise"
    assert result.command is not None


def test_what_a_runtime_lacks_is_said_and_not_run(tmp_path: Path) -> None:
    result = contain(
        Entry(system="raft", fault_class="crash", runtime="docker", nemesis=("voter",), time_limit_s=20.0), 0, tmp_path
    )
    assert result.status == "cannot"
    assert "vote-granted" in result.words
    assert not list(tmp_path.iterdir())


def test_what_the_time_does_not_suffice_for_is_not_run_and_says_so(tmp_path: Path) -> None:
    planned = [
        Entry(
            system="raft",
            fault_class="leader-isolated",
            runtime="docker",
            nemesis=("isolated-leader",),
            time_limit_s=20.0,
        )
    ]
    told: list[Result] = []
    (result,) = campaign(planned, 0, tmp_path, 5.0, told.append)
    assert result.status == "not run"
    assert told == [result]


def test_the_command_writes_page_table_summary_and_junit_and_ends_by_what_was_found(tmp_path: Path) -> None:
    chosen = ["raft-basic", "--runtime", "sim", "--fault-class", "leader-isolated", "--seed", "1"]
    done = CliRunner().invoke(cli, ["matrix", *chosen, "--store", str(tmp_path), "--json"], catch_exceptions=False)
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [(each["fault_class"], each["status"], each["runs"]) for each in record["results"]] == [
        ("leader-isolated", "as expected", 5)
    ]
    suite = ElementTree.fromstring((tmp_path / "matrix.xml").read_bytes())
    assert suite.get("tests") == "1"
    assert "raft-basic" in (tmp_path / "matrix.html").read_text()
    assert len((tmp_path / "matrix.csv").read_text().splitlines()) == 2


def test_a_budget_that_is_no_time_is_refused() -> None:
    done = CliRunner().invoke(cli, ["matrix", "--budget", "soon"])
    assert "--budget: expected a time such as 90m" in str(done.exception)
