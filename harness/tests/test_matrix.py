from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from splitbrain.campaigns.matrix.campaign import campaign, run_in_simulation, run_on_docker
from splitbrain.campaigns.matrix.entries import FIRST, USUAL, Entry, entries
from splitbrain.campaigns.matrix.results import Result, status_of, worst_of
from splitbrain.checkers.verdict import Observed
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


# Observations and their status


def test_the_worst_of_several_runs_counts_and_a_decided_run_outweighs_an_undecided_one() -> None:
    assert worst_of(
        [
            {"term-safety": Observed.HELD, "exclusivity": Observed.VIOLATED},
            {"term-safety": Observed.UNDECIDED, "exclusivity": Observed.HELD},
        ]
    ) == {"term-safety": "held", "exclusivity": "violated"}


@pytest.mark.parametrize(
    ("promise", "observed", "status"),
    [
        ("guaranteed", "violated", "broken promise"),
        ("guaranteed", "held", "as expected"),
        ("guaranteed", "not shown", "as expected"),
        ("guaranteed", "undecided", "unknown"),
        ("known-weakness", "violated", "as expected"),
        ("known-weakness", "held", "not shown"),
        ("not-promised", "violated", "as expected"),
    ],
)
def test_the_status_follows_from_the_promise(promise: Any, observed: str, status: str) -> None:
    assert status_of({"exclusivity": promise}, {"exclusivity": Observed(observed)})[0] == status


# Planned runs

PINNED: list[tuple[str, FaultClass, str, Pin]] = [
    (system.name, fault_class, runtime, pin)
    for system in SYSTEMS.values()
    for runtime, pins in system.pins.items()
    for fault_class, pin in pins.items()
]
SCHEDULES = (SHARED_SCHEDULES, *SHARED_SCHEDULES.parent.glob("*/schedules"))


def test_every_fault_class_has_an_entry_and_every_nemesis_exists() -> None:
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
def test_the_usual_nemesis_of_a_server_fault_class_is_of_that_class(fault_class: FaultClass) -> None:
    schedule = build(USUAL[fault_class], Random(1), 3, 120_000, servers=3)
    assert {aimed.fault_class for aimed in aims(schedule, SYSTEMS["etcd-election"], None)} == {fault_class}


@pytest.mark.parametrize(
    ("system", "fault_class", "runtime", "pin"),
    [pytest.param(*each, id=" ".join(map(str, each[:3]))) for each in PINNED if each[3].schedule is not None],
)
def test_a_pinned_schedule_has_a_fault_of_its_class_and_is_supported(
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
    """The plans of a schedule's faults while the first node and the first server lead."""
    names = tuple(f"n{i}" for i in range(1, (nodes or system.usual_nodes) + 1))
    servers = system.server_names
    views = {
        "nodes": View(nodes=names, leader=names[0], others=servers),
        "servers": View(nodes=servers, leader=servers[0] if servers else None, others=names, group="servers"),
    }
    planned = [plan(step.fault, views[step.among], step_rng(1, step)) for step in schedule.steps]
    return [aimed for aimed in planned if isinstance(aimed, Plan)]


def test_every_schedule_of_the_systems_is_readable() -> None:
    paths = [path for folder in SCHEDULES for path in folder.iterdir()]
    assert len(paths) > 20 and all(read_schedule(path).steps for path in paths)


def test_a_fault_class_without_a_nemesis_has_an_entry_only_with_a_pinned_schedule() -> None:
    (only,) = entries(["redlock"], ["docker"], ["server-state-loss"])
    assert only.schedule == SHARED_SCHEDULES / "servers-all-forget-five-times.json"
    with pytest.raises(UsageError, match="no nemesis exercises server-state-loss of etcd-prevote"):
        entries(["etcd-prevote"], ["docker"], ["server-state-loss"])


def test_entries_are_round_robin_by_system() -> None:
    first = entries(["raft", "raft-basic"], ["docker"])[:2]
    assert [each.system for each in first] == ["raft", "raft-basic"]


def test_the_workload_of_an_entry_tests_fencing_if_the_system_promises_anything_about_it() -> None:
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
def test_an_unknown_fault_class_is_refused_with_a_suggestion(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"got '{name}'; did you mean {meant}\\?"):
        entries(["raft"], ["sim"], [name])


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown system 'rift'"):
        entries(["rift"], ["sim"])


# The runs

FIVE_TIMES = SHARED_SCHEDULES.parent / "zookeeper/schedules/leader-isolated-five-times.json"


def test_a_known_weakness_is_reproduced_and_its_run_is_stored(tmp_path: Path) -> None:
    result = run_in_simulation(entry("raft-basic", "leader-isolated", "isolated-leader"), 0, tmp_path)
    assert (result.status, result.promised["exclusivity"], result.observed["exclusivity"]) == (
        "as expected",
        "known-weakness",
        "violated",
    )
    assert result.run is not None
    assert (tmp_path / result.run / "report.html").is_file()


def test_a_pinned_schedule_is_run_and_stored_with_its_replay_command(tmp_path: Path) -> None:
    aimed = replace(entry("raft-basic", "leader-isolated", "replay"), schedule=FIVE_TIMES, time_limit_s=38.0)
    result = run_in_simulation(aimed, 0, tmp_path)
    assert (result.status, result.observed["exclusivity"], result.runs) == ("as expected", "violated", 1)
    assert result.run is not None
    assert result.command == f"splitbrain replay {tmp_path / result.run}"
    assert read_schedule(tmp_path / result.run / "schedule.json") == read_schedule(FIVE_TIMES)


def test_a_broken_promise_is_reported_with_its_replay_command(tmp_path: Path) -> None:
    result = run_in_simulation(entry("broken/ignores-heartbeats", "clock-jump", "skew"), 0, tmp_path)
    assert result.status == "broken promise"
    assert result.command is not None


def test_an_entry_that_the_runtime_does_not_support_is_not_run(tmp_path: Path) -> None:
    result = run_on_docker(
        Entry(system="raft", fault_class="crash", runtime="docker", nemesis=("voter",), time_limit_s=20.0), 0, tmp_path
    )
    assert result.status == "cannot"
    assert "vote-granted" in result.words
    assert not list(tmp_path.iterdir())


def test_an_entry_beyond_the_time_budget_is_not_run(tmp_path: Path) -> None:
    planned = [
        Entry(
            system="raft",
            fault_class="leader-isolated",
            runtime="docker",
            nemesis=("isolated-leader",),
            time_limit_s=20.0,
        )
    ]
    reported: list[Result] = []
    (result,) = campaign(planned, 0, tmp_path, 5.0, reported.append)
    assert result.status == "not run"
    assert reported == [result]


def test_the_command_writes_page_table_summary_and_junit(tmp_path: Path) -> None:
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


def test_a_budget_that_is_not_a_time_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli, ["matrix", "--budget", "soon"])
    assert "--budget: expected a time (90m" in str(done.exception)
