"""Runs of etcd on containers: known weaknesses are reproduced, promises are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

COMMAND = [sys.executable, "-c", "from splitbrain.cli import main; main()"]


def properties(store: Path, *arguments: str) -> dict[str, Any]:
    """The verdicts by property, of a run that must have kept every promise."""
    command = [*COMMAND, *arguments, "--json", "--store", str(store)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)["properties"]
    return found


def test_without_pre_vote_a_member_that_was_cut_off_deposes_a_healthy_leader_when_it_returns(tmp_path: Path) -> None:
    shown = False
    for seed in range(1, 4):  # a busy machine may be an excuse for the change, and the deposed may win again at once
        arguments = ("etcd", "--nemesis", "isolated-leader", "--time-limit", "8", "--seed", str(seed))
        found = properties(tmp_path, "test", *arguments)
        assert found["term-safety"]["verdict"] == "valid"
        shown = shown or found["stability"]["weakness"] == "shown"
        if shown:
            break
    assert shown


def test_a_contender_that_counts_its_lease_from_the_sending_leads_no_longer_than_its_lease(tmp_path: Path) -> None:
    step = {"at_ms": 500, "for_ms": 4000, "fault": {"f": "partition", "shape": "isolated-leader"}}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 5000, "steps": [step]}))
    as_lock = ("--system", "etcd-election-safe", "--workload", "lock")
    found = properties(tmp_path / "store", "replay", str(schedule), *as_lock, "--seed", "1")
    assert found["exclusivity"]["verdict"] == "valid"
    assert found["mutual-exclusion"]["verdict"] == "valid"
    assert found["lost-updates"]["verdict"] == "valid"
    record = next((tmp_path / "store").glob("*/*/history.jsonl")).read_text()
    assert len({line["value"]["reign"] for line in map(json.loads, record.splitlines()) if claims(line)}) >= 2


def test_a_leader_whose_disk_is_full_is_replaced_and_runs_again_when_there_is_room(tmp_path: Path) -> None:
    step = {"at_ms": 500, "for_ms": 5000, "fault": {"f": "fill", "target": "leader"}}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 6000, "steps": [step]}))
    found = properties(tmp_path / "store", "replay", str(schedule), "--system", "etcd", "--seed", "1")
    assert found["coverage"]["verdict"] == "valid"  # that the disk was full, and is not
    assert found["stability"]["facts"]["leader_changes"] >= 1
    record = next((tmp_path / "store").glob("*/*/history.jsonl")).read_text()
    (freed,) = [line["value"] for line in map(json.loads, record.splitlines()) if healed(line)]
    assert freed["verified"] and any(fact.startswith("ended_") for fact in freed)


def test_a_leader_waits_for_a_slow_disk_and_is_replaced_when_its_disk_fails(tmp_path: Path) -> None:
    faults: list[dict[str, Any]] = [{"f": "slow-fsync", "ms": 400}, {"f": "failing-fsync"}]
    steps = [
        {"at_ms": 500 + 5_000 * at, "for_ms": 4_000, "fault": {"target": "leader", **fault}}
        for at, fault in enumerate(faults)
    ]
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 10_000, "steps": steps}))
    found = properties(tmp_path / "store", "replay", str(schedule), "--system", "etcd", "--seed", "1")
    assert found["coverage"]["verdict"] == "valid"
    assert found["stability"]["facts"]["leader_changes"] >= 1
    record = next((tmp_path / "store").glob("*/*/history.jsonl")).read_text()
    lines = [line for line in map(json.loads, record.splitlines()) if line["process"] == "nemesis"]
    slow, fails = ({k[: k.rfind("_")]: v for k, v in line["value"].items()} for line in lines if told_of_flushes(line))
    assert slow["fsync_held"] >= 5, "an etcd flushes what it acknowledges"
    assert 400 <= slow["fsync_took_ms"] <= slow["fsync_most_ms"] < 1_000
    assert fails["fsync_refused"] >= 1 and fails["ended"] != 0


def test_the_date_of_a_live_etcd_has_the_requested_offset_until_healed(tmp_path: Path) -> None:
    step = {"at_ms": 500, "for_ms": 2000, "fault": {"f": "skew", "target": "leader", "offset_ms": -3_600_000}}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 3_000, "steps": [step]}))
    properties(tmp_path / "store", "replay", str(schedule), "--system", "etcd", "--seed", "1")
    record = next((tmp_path / "store").glob("*/*/history.jsonl")).read_text()
    lines = [line["value"] for line in map(json.loads, record.splitlines()) if line["process"] == "nemesis"]
    wrong, right = [value for value in lines if value["phase"] == "done" and value.get("clocks")][:2]
    for value, off_ms in ((wrong, -3_600_000), (right, 0)):
        (clocks,) = value["clocks"].values()
        assert value["verified"], value["problems"]
        assert clocks["wall_ms"] == off_ms
        assert abs(clocks["wall_shown_ms"] - off_ms) < 1_000, "it shows whole seconds, and is asked on a busy machine"


def test_a_member_is_isolated_when_its_vote_for_another_is_observed(tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"at_ms": 500, "for_ms": 5_000, "fault": {"f": "kill", "target": "leader"}},
        {"at_ms": 500, "for_ms": 500, "fault": {"f": "partition", "shape": "isolated-node"}},
    ]
    steps[1]["when"] = {"event": "voted", "within_ms": 5_000}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 6_500, "steps": steps}))
    found = properties(tmp_path / "store", "replay", str(schedule), "--system", "etcd", "--seed", "1")
    assert found["vote-safety"]["verdict"] == "valid"
    record = next((tmp_path / "store").glob("*/*/history.jsonl")).read_text()
    lines = [json.loads(line) for line in record.splitlines()]
    begun, done = (line for line in lines if line["f"] == "partition")
    assert begun["value"]["event"] == "voted" and done["value"]["verified"]
    (voter,) = begun["value"]["nodes"]
    seen = [line for line in lines[: begun["index"]] if (line["node"], line["type"]) == (voter, "ok")]
    votes = [line["value"]["vote"] for line in seen if "vote" in line["value"]]
    assert votes[-1] != voter


def told_of_flushes(line: dict[str, Any]) -> bool:
    return any(fact.startswith("fsync_held") for fact in line["value"])


def healed(line: dict[str, Any]) -> bool:
    return line["process"] == "nemesis" and (line["value"]["id"], line["value"]["phase"]) == (1, "done")


def claims(line: dict[str, Any]) -> bool:
    return (line["f"], line["type"]) == ("observe", "ok") and line["value"]["leading"] is True
