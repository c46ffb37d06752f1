"""A run's folder stands on its own: it is judged by the promises in it, and nothing it names is imported or opened."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from splitbrain.checkers.history import History
from splitbrain.core.judging import contract_of
from splitbrain.core.store import RunDirectory
from splitbrain.core.stored_system import provenance, stored_system
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.tests.histories import history_of, partition, two_leaders
from splitbrain.tests.test_cli import CommandLine, splitbrain  # noqa: F401 - a fixture

TWO_LEADERS = [*partition("n1", "n2", 0), *two_leaders()]
EVIL = "raise SystemExit('imported')\n"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "lowest.py"


KNOWN = [*SYSTEMS.values(), BROKEN["broken/never-checks-quorum"].system]


@pytest.mark.parametrize("system", KNOWN, ids=lambda system: system.name)
def test_a_stored_run_is_judged_by_the_contract_of_its_system(system: System) -> None:
    record = json.loads(json.dumps({"system": system.name, **provenance(system)}))
    stored = stored_system(record, "experiment.json")
    assert stored is not None
    history = History.from_entries([{"index": at, **line} for at, line in enumerate(TWO_LEADERS)])
    assert contract_of(stored, history, nodes=("n1", "n2")) == contract_of(system, history, nodes=("n1", "n2"))


def test_a_run_stored_before_systems_said_which_majority_elects_is_not_accused_of_lacking_one() -> None:
    record = json.loads(json.dumps({"system": "raft", **provenance(SYSTEMS["raft"])}))
    del record["judged_by"]["elects"], record["judged_by"]["round_ms"]
    for row in record["judged_by"]["promises"].values():
        del row["election-quorum"]
    stored = stored_system(record, "experiment.json")
    assert stored is not None
    assert (stored.elects, stored.promises["pause"]["election-quorum"]) == ("none", "not-promised")


def test_a_run_stored_before_throttle_was_a_class_promises_under_it_what_it_does_under_pause() -> None:
    record = json.loads(json.dumps({"system": "lease-strict", **provenance(SYSTEMS["lease-strict"])}))
    del record["judged_by"]["promises"]["throttle"], record["judged_by"]["promises"]["server-throttle"]
    stored = stored_system(record, "experiment.json")
    assert stored is not None
    assert stored.promises["throttle"] == SYSTEMS["lease-strict"].promises["pause"]
    assert stored.promises["server-throttle"] == SYSTEMS["lease-strict"].promises["server-pause"]


def run_at(folder: Path, **record: Any) -> Path:
    folder.mkdir()
    (folder / "history.jsonl").write_text(history_of(TWO_LEADERS))
    (folder / "schedule.json").write_text(json.dumps({"format": 1, "length_ms": 1_000, "steps": []}))
    workload = {"observe_period_ms": 100, "probe_timeout_ms": 500}
    usual = {"nemesis": ["none"], "runtime": "sim", "nodes": 3, "time_limit_s": 1, "seed": 1, "workload": workload}
    (folder / "experiment.json").write_text(json.dumps({**usual, **record}))
    return folder


@pytest.mark.parametrize("system", ["evil:Node", "evil.toml"])
def test_judging_imports_and_opens_nothing_that_a_record_names(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    run = run_at(tmp_path / "run", system=system)
    for command in ("check", "report"):
        done = splitbrain(command, run)
        assert done.status == 64
        assert f"holds no promises of {system}" in done.err
    judged = run_at(tmp_path / "judged", system=system, **provenance(SYSTEMS["raft-basic"]))
    assert splitbrain("check", judged).status != 64
    assert splitbrain("report", judged).status == 0


def test_promises_that_change_later_change_no_verdict_of_an_earlier_run(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
) -> None:
    lenient, strict = provenance(SYSTEMS["raft-basic"]), provenance(SYSTEMS["raft-lease"])
    for name, stored, verdict in (("a", lenient, "valid"), ("b", strict, "invalid")):
        run = run_at(tmp_path / name, system="raft-basic", **stored)
        assert json.loads(splitbrain("check", run, "--json").out)["properties"]["exclusivity"]["verdict"] == verdict


def test_runs_of_version_0_1_are_judged_by_the_promises_that_they_were_judged_by(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
) -> None:
    bounds = {"stall_ms": 2_100, "suspicion_ms": 300, "eligibility": "clique"}
    promises = {"exclusivity": "known-weakness", "term-safety": "guaranteed"}
    run = run_at(tmp_path / "run", system="gone.toml", promises=promises, bounds=bounds)
    properties = json.loads(splitbrain("check", run, "--json").out)["properties"]
    assert properties["exclusivity"]["verdict"] == "valid" and properties["exclusivity"]["observed"] == "violated"


@pytest.mark.parametrize(
    "change",
    [
        {"promises": {"crash": {"exclusivity": "perhaps"}}},
        {"promises": {"weather": {}}},
        {"promises": []},
        {"eligibility": "all"},
        {"stall_bound_ms": None},
    ],
)
def test_promises_that_cannot_be_read_are_refused_with_the_file(change: dict[str, Any]) -> None:
    record = provenance(SYSTEMS["raft"])
    record["judged_by"] |= change
    with pytest.raises(UsageError, match=r"run/experiment\.json: the promises of raft cannot be read"):
        stored_system({"system": "raft", **record}, "run/experiment.json")


def test_a_class_from_a_record_is_replayed_only_if_trusted_or_named(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "replayed.py").write_text(EXAMPLE.read_text())
    run = run_at(tmp_path / "run", system="replayed:Lowest", origin={"source": "replayed.py", "sha256": "0"})
    done = splitbrain("replay", run)
    assert done.status == 64
    assert "add --trust, or --system replayed:Lowest" in done.err
    for consent in (["--trust"], ["--system", "replayed:Lowest"]):
        done = splitbrain("replay", run, *consent, "--store", tmp_path / "store")
        assert done.status in (0, 2), done.err
        assert "the source of replayed:Lowest has changed since that run" in done.err
    record = json.loads((tmp_path / "store" / "latest" / "experiment.json").read_text())
    assert record["origin"]["source"] == "replayed.py" and len(record["origin"]["sha256"]) == 64
    assert record["judged_by"]["promises"]["crash"]["stability"] == "not-promised"


def test_a_record_of_another_format_is_not_replayed(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
) -> None:
    done = splitbrain("replay", run_at(tmp_path / "run", format=2))
    assert done.status == 64
    assert "experiment.json: format: expected 1, the only one that this version reads, got 2" in done.err


def test_a_disk_that_is_full_takes_no_verdict_of_check_away(
    splitbrain: CommandLine,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise EnvironmentFailure(f"verdicts.json: cannot be written: {os.strerror(28)}")

    run = run_at(tmp_path / "run", system="raft")
    monkeypatch.setattr(RunDirectory, "write_json", full)
    done = splitbrain("check", run)
    assert done.status == 3
    assert "exclusivity" in done.out and "cannot be written" in done.err
