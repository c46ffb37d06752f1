"""The command ``splitbrain hunt``: exit statuses, stored files, replay and confirmation."""

from __future__ import annotations

import csv
import json
from collections import Counter
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitbrain.campaigns.hunt import cli as hunting
from splitbrain.campaigns.hunt import confirm as confirming
from splitbrain.campaigns.hunt.case import WHITE_BOX, Case, FailureSignature, run_case
from splitbrain.campaigns.hunt.confirm import Confirmed, confirm, nearest, on_containers
from splitbrain.campaigns.hunt.save import save, save_confirmed
from splitbrain.campaigns.hunt.search import SearchResult
from splitbrain.campaigns.hunt.shrink import still
from splitbrain.cli import cli
from splitbrain.errors import UsageError
from splitbrain.nemesis.faults import Kill, Partition
from splitbrain.nemesis.schedules import Schedule, Step, loads
from splitbrain.nemesis.triggers import Trigger
from splitbrain.runtimes.capabilities import CAPABILITIES, Capabilities, unsupported

pytestmark = pytest.mark.simulation

STALL = FailureSignature("stall", "availability")


def hunt(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["hunt", *map(str, arguments), "--cores", "1"])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    store = tmp_path_factory.mktemp("store")
    limits = ("--nodes", 3, "--seed", 8, "--schedules", 40)
    return store, hunt("broken/never-checks-quorum", *limits, "--store", store, "--json")


def test_a_finding_exits_with_1_and_is_stored_as_a_run(found: tuple[Path, Result]) -> None:
    store, done = found
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert said["verdict"] == said["properties"]["stall"]["verdict"] == "invalid"
    run = Path(said["run"])
    kept = {path.name for path in run.iterdir()}
    assert {"experiment.json", "schedule.json", "history.jsonl", "verdicts.json", "report.html", "hunt.json"} <= kept
    assert (store / "latest").resolve() == run.resolve()
    experiment = json.loads((run / "experiment.json").read_text())
    assert experiment["notes"] == [said["hunt"]["found"]["story"]]
    assert said["hunt"]["found"]["replay"] == f"splitbrain replay {run}"


def test_a_finding_is_replayed_to_the_same_history_and_verdict(found: tuple[Path, Result], tmp_path: Path) -> None:
    run = Path(json.loads(found[1].stdout)["run"])
    done = CliRunner().invoke(cli, ["replay", str(run), "--json", "--store", str(tmp_path)])
    assert done.exit_code == 1, done.output
    again = json.loads(done.stdout)
    assert (Path(again["run"]) / "history.jsonl").read_bytes() == (run / "history.jsonl").read_bytes()
    assert again["properties"] == json.loads((run / "verdicts.json").read_text())["properties"]


def test_the_coverage_is_stored_with_the_run_as_csv_and_json(found: tuple[Path, Result]) -> None:
    run = Path(json.loads(found[1].stdout)["run"])
    heading, *rows = csv.reader((run / "coverage.csv").read_text().splitlines())
    assert heading == ["fault", "role", "stable", "electing", "recovering"]
    assert rows
    figures = json.loads((run / "coverage.json").read_text())
    assert figures["growth"][-1] == [figures["cases"], figures["states"]]


def test_a_hunt_without_a_finding_exits_with_0_and_prints_its_extent(tmp_path: Path) -> None:
    done = hunt("raft", "--nodes", 3, "--seed", 1, "--schedules", 50, "--store", tmp_path, "--coverage")
    assert done.exit_code == 0, done.output
    assert "NOTHING FOUND in 50 schedules" in done.stdout
    assert "simulated hours" in done.stdout and "95 % confidence" in done.stdout
    assert "distinct election states" in " ".join(done.stdout.split())
    assert (tmp_path / "raft-hunt" / "coverage.csv").is_file()


def test_a_hunt_that_cannot_break_what_is_wanted_is_unknown(tmp_path: Path) -> None:
    done = hunt("bully", "--property", "vote-safety", "--seed", 1, "--schedules", 2, "--store", tmp_path)
    assert done.exit_code == 2, done.output
    assert "UNKNOWN: none of 2 schedules" in done.stdout and "put vote-safety to the test" in done.stdout


def test_the_promises_of_a_preset_are_part_of_the_systems_name(tmp_path: Path) -> None:
    done = hunt("raft", "--promises", "quorum", "--seed", 1, "--schedules", 1, "--store", tmp_path)
    assert done.exit_code == 0, done.output
    assert "splitbrain hunt raft@quorum --seed 1 --schedules 1" in done.stderr
    assert (tmp_path / "raft.quorum-hunt" / "coverage.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-system"], "unknown system"),
        (["raft", "--nodes", "2"], "--nodes"),
        (["raft", "--property", "beauty"], "one-vote-a-term"),
        (["raft", "--seconds", "0"], "--seconds"),
        (["raft", "--schedules", "0"], "--schedules"),
        (["raft", "--cores", "0"], "--cores"),
        (["raft", "--nemesis", "kill,dns"], "what a simulation can do"),
        (["raft", "--workload", "writes"], "--workload: raft keeps no set"),
        (["raft", "--property", "epoch-safety"], "no workload"),
        (["raft", "--nemesis", "pauze"], "perhaps pause?"),
        (["raft", "--without", "stateloss"], "perhaps state-loss?"),
        (["raft", "--nodes", "3", "--nemesis", "quorum-loss"], "no nemesis is left"),
    ],
)
def test_wrong_usage_is_a_usage_error_that_names_the_option(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(cli, ["hunt", *arguments])
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)


def test_a_container_run_is_replayed_in_simulation_with_the_periods_of_the_simulation(
    found: tuple[Path, Result], tmp_path: Path
) -> None:
    """Observation periods belong to a runtime: a replay in another one uses its defaults."""
    run = Path(json.loads(found[1].stdout)["run"])
    copy = tmp_path / "run"
    copy.mkdir()
    experiment = json.loads((run / "experiment.json").read_text())
    workload = {"observe_period_ms": 20, "confirm_period_ms": 50, "probe_timeout_ms": 500, "canary_period_ms": 10}
    (copy / "experiment.json").write_text(json.dumps({**experiment, "runtime": "docker", "workload": workload}))
    (copy / "schedule.json").write_text((run / "schedule.json").read_text())
    done = CliRunner().invoke(
        cli, ["replay", str(copy), "--runtime", "sim", "--json", "--store", str(tmp_path / "store")]
    )
    assert done.exit_code == 1, done.output
    replayed = json.loads((Path(json.loads(done.stdout)["run"]) / "experiment.json").read_text())
    assert (replayed["runtime"], replayed["workload"]["observe_period_ms"]) == ("sim", 100)


def test_a_schedule_shorter_than_any_planned_one_is_replayed(tmp_path: Path) -> None:
    schedule = tmp_path / "short.json"
    schedule.write_text('{"format": 1, "length_ms": 400, "steps": []}')
    options = ["--runtime", "sim", "--nodes", "3", "--seed", "1", "--json", "--store", str(tmp_path)]
    done = CliRunner().invoke(cli, ["replay", str(schedule), *options])
    assert (Path(json.loads(done.stdout)["run"]) / "history.jsonl").is_file(), done.output


# Confirmation on containers


def small(*steps: Step) -> Case:
    return Case(system="raft", nodes=3, seed=4, schedule=Schedule(steps=steps, length_ms=9_000))


CUT = Step(at_ms=0, for_ms=500, fault=Partition(shape="isolated-leader"))
AT_A_VOTE = Step(at_ms=0, for_ms=50, fault=Kill(target="subject"), when=Trigger(event="vote-granted"))


def test_an_unsupported_finding_is_not_confirmed_and_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "nearest", lambda *_: None)
    for case, signature, says in (
        (small(AT_A_VOTE), STALL, "vote-granted"),
        (small(CUT), FailureSignature("one-vote-a-term", WHITE_BOX), "inner state of the nodes"),
    ):
        nothing = confirm(case, signature, 3, Path("nowhere"), print)
        assert (nothing.shown, nothing.of, nothing.case) == (0, 0, None)
        assert says in nothing.words


def chained(**when: Any) -> Case:
    step = Step(at_ms=1, for_ms=400, fault=Partition(shape="chained"), **when)
    schedule = Schedule(steps=(step,), length_ms=3_000)
    return Case(system="broken/keeps-claiming", nodes=3, seed=1, schedule=schedule)


AGREES = FailureSignature("agreement", "term-safety")
NO_TRIGGERS = Capabilities(faults=CAPABILITIES["docker"].faults, triggers=frozenset())


@pytest.mark.parametrize("capabilities", [CAPABILITIES["docker"], NO_TRIGGERS])
def test_the_nearest_schedule_is_supported_and_breaks_the_same_promise(capabilities: Capabilities) -> None:
    """With supported events it is triggered by one of them; without, it starts at a time."""
    found = chained(when=Trigger(event="campaign"))
    assert still(found, AGREES)
    near = nearest(found, AGREES, capabilities, seconds=inf)
    assert near is not None and not unsupported(near.schedule, capabilities) and still(near, AGREES)
    assert (near.schedule.steps[0].when is None) == (capabilities is NO_TRIGGERS)
    assert nearest(chained(), AGREES, capabilities) == chained()


def test_an_unsupported_fault_has_no_nearest_schedule() -> None:
    assert nearest(chained(), AGREES, Capabilities(faults=frozenset(), triggers=frozenset())) is None


def test_the_confirmation_is_on_the_report_page_of_the_finding(tmp_path: Path) -> None:
    finding = save(chained(), AGREES, tmp_path)
    other = chained(when=Trigger(event="new-leader"))
    save_confirmed(finding, Confirmed(shown=3, of=6, words="on containers: shown in 3 of 6 runs", case=other), tmp_path)
    run = tmp_path / "latest"
    assert "shown in 3 of 6 runs" in (run / "report.html").read_text()
    assert json.loads((run / "hunt.json").read_text())["confirmed"]["shown"] == 3
    assert loads((run / "schedule-on-containers.json").read_text()) == other.schedule
    again = json.loads((run / "experiment.json").read_text())["notes"][-1]
    assert again.startswith("splitbrain replay ") and again.endswith("--nodes 3 --seed 1 --runtime docker")


def test_the_container_experiment_uses_the_observation_periods_of_containers() -> None:
    experiment = on_containers(small(CUT))
    assert (experiment.runtime, experiment.nodes, experiment.seed) == ("docker", 3, 4)
    assert experiment.workload.canary_period_ms is not None


def test_a_confirmation_counts_the_runs_that_break_the_same_promise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One of three runs shows it; the judgements of simulated runs stand in for runs on containers."""
    shows = run_case(
        Case(
            system="broken/never-checks-quorum",
            nodes=3,
            seed=0,
            schedule=Schedule(
                steps=(Step(at_ms=0, for_ms=5_200, fault=Partition(shape="leader-deaf")),), length_ms=5_500
            ),
        )
    )
    shows_not = run_case(small(CUT))
    runs = iter([shows_not, shows, shows_not])
    monkeypatch.setattr(confirming, "perform", lambda *_, **__: SimpleNamespace(judged=next(runs)))
    said: list[str] = []
    found = confirm(small(CUT), STALL, 3, tmp_path, said.append)
    assert (found.shown, found.of) == (1, 3)
    assert said == ["on containers: 0 of 1", "on containers: 1 of 2", "on containers: 1 of 3"]


def test_each_of_several_finds_has_its_count_and_its_confirmation_in_json() -> None:
    signatures = [STALL, FailureSignature("no-node-raises", WHITE_BOX)]
    findings: Any = [
        SimpleNamespace(
            signature=each,
            as_json=lambda each=each: {"property": each.property},
            stored=SimpleNamespace(as_json=lambda: {"run": "r", "properties": {}}),
        )
        for each in signatures
    ]
    result = SearchResult(cases=9, times=Counter({signatures[0]: 2, signatures[1]: 5}))
    said = hunting._as_json(findings, result, [{"shown": 1, "of": 3}, {"shown": 0, "of": 3}])["hunt"]
    assert [(each["times"], each["confirmed"]["shown"]) for each in said["all_found"]] == [(2, 1), (5, 0)]
    assert said["found"] == said["all_found"][0]
