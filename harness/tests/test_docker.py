"""Whole runs on real containers, ended in every way a run can end; nothing may be left behind by any of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

COMMAND = [sys.executable, "-c", "from harness.cli import main; main()"]
PATIENCE_S = 180
PHASES = ("set-up", "starting", "faults", "recovery", "tear-down", "judging", "drawing")


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def footprint() -> dict[str, Any]:
    """What a run could leave behind on this machine: containers, networks, volumes, rules of the host's own."""
    rules = output("iptables-save") if os.geteuid() == 0 else ""
    ours = [line for line in rules.splitlines() if not line.startswith(("#", ":"))]
    return {
        "containers": output("docker", "ps", "-aq", "--filter", "label=splitbrain.run"),
        "networks": output("docker", "network", "ls", "-q"),
        "volumes": output("docker", "volume", "ls", "-q"),
        "rules": sorted(re.sub(r"\[\d+:\d+\]", "", line) for line in ours),
    }


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = footprint()
    yield
    assert footprint() == before


def started(store: Path, *arguments: str, seconds: int = 12, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "test", "raft", "--time-limit", str(seconds), "--seed", "7", "--store", str(store), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def latest(store: Path) -> Path:
    return (store / "latest").resolve()


def test_a_partitioned_raft_keeps_its_promises_and_the_run_is_all_there(tmp_path: Path) -> None:
    run = started(tmp_path, "--nemesis", "isolated-leader", "--json")
    out, err = run.communicate(timeout=PATIENCE_S)
    verdicts = json.loads(out)
    assert run.returncode == 0, (verdicts["verdict"], err)
    folder = latest(tmp_path)
    assert Path(verdicts["run"]).resolve() == folder
    names = {path.name for path in folder.iterdir()}
    assert {"experiment.json", "schedule.json", "history.jsonl", "verdicts.json", "report.html", "logs"} <= names
    assert list(folder.glob("*.png"))
    assert (folder / "logs" / "n1.log").read_text()
    record = json.loads((folder / "experiment.json").read_text())
    assert record["versions"]["engine"] and record["versions"]["images"]["node"]
    faults = [json.loads(line) for line in (folder / "history.jsonl").open() if '"nemesis"' in line]
    done = [line["value"] for line in faults if line["f"] == "partition" and line["value"]["phase"] == "done"]
    assert done and all(value["verified"] for value in done)
    assert "--seed 7" in err


def test_a_leader_without_quorum_check_rules_on_beside_the_new_one(tmp_path: Path) -> None:
    command = [*COMMAND, "test", "raft-basic-isolated-leader", "--time-limit", "12", "--seed", "3", "--strict"]
    run = subprocess.run([*command, "--json", "--store", str(tmp_path)], capture_output=True, text=True, check=False)
    found = json.loads(run.stdout)["properties"]["exclusivity"]
    assert found["class"] == "proven"
    assert found["weakness"] == "shown"
    assert json.loads(run.stdout)["properties"]["term-safety"]["verdict"] == "valid"


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        *((phase, signal.SIGTERM) for phase in PHASES),
        ("starting", signal.SIGINT),
        ("faults", signal.SIGINT),
    ],
)
def test_a_run_told_to_end_stores_what_there_is(tmp_path: Path, phase: str, number: signal.Signals) -> None:
    run = started(tmp_path, "--nemesis", "none", "--nodes", "3", seconds=2)
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith(phase):
            break
    run.send_signal(number)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3, err
    assert f"interrupted by {number.name}" in err
    assert "Traceback" not in err
    folder = latest(tmp_path)
    assert json.loads((folder / "experiment.json").read_text())["notes"]
    if phase not in ("set-up", "starting"):
        assert (folder / "history.jsonl").stat().st_size > 0
        assert f"splitbrain check {folder.relative_to(tmp_path)}" in err.replace(f"{tmp_path}/", "")


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    runs = [started(tmp_path / name, "--nodes", "3", "--nemesis", "isolated-leader", seconds=8) for name in "ab"]
    for run in runs:
        out, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode in (0, 2), (out, err)
    for name in "ab":
        history = (latest(tmp_path / name) / "history.jsonl").read_text()
        assert '"verified":true' in history


def test_without_an_engine_it_says_what_to_install(tmp_path: Path) -> None:
    run = started(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3
    assert "no Docker engine answers" in err and "make engine" in err
    assert "Traceback" not in err


def test_nodes_are_killed_wiped_and_paused_and_links_made_lossy(tmp_path: Path) -> None:
    steps = [
        {"at_ms": 1500, "for_ms": 1500, "fault": {"f": "kill", "target": "leader"}},
        {"at_ms": 2000, "for_ms": 1500, "fault": {"f": "loss", "target": "node", "percent": 30}},
        {"at_ms": 4500, "for_ms": 1000, "fault": {"f": "pause", "target": "leader"}},
        {"at_ms": 6500, "for_ms": 500, "fault": {"f": "kill", "target": "follower", "state": "lost"}},
    ]
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 8000, "steps": steps}))
    command = [*COMMAND, "replay", str(schedule), "--seed", "4", "--json", "--store", str(tmp_path / "store")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    folder = latest(tmp_path / "store")
    lines = [json.loads(line) for line in (folder / "history.jsonl").open() if '"nemesis"' in line]
    done = [line for line in lines if line["value"]["phase"] == "done"]
    assert [line["f"] for line in done].count("restart") == 2
    assert {line["f"] for line in done} == {"kill", "restart", "loss", "heal", "pause", "resume"}
    assert all(line["value"]["verified"] for line in done)
    (loss,) = [line["value"] for line in done if line["f"] == "loss"]
    assert abs(loss["loss_seen"] - 0.30) < 0.08
    starts = "".join(log.read_text() for log in (folder / "logs").iterdir()).count('"event": "started"')
    assert starts == 3 + 2 + 2, "each node once, and the two that were killed once more"
    assert f"splitbrain replay {folder}" in run.stderr


def test_what_containers_cannot_suffer_is_refused_before_the_run(tmp_path: Path) -> None:
    step = {"at_ms": 100, "for_ms": 100, "fault": {"f": "kill", "target": "leader", "state": "torn"}}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 1000, "steps": [step]}))
    run = subprocess.run([*COMMAND, "replay", str(schedule)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 64
    assert "docker cannot do all of this schedule" in run.stderr
