"""Runs on containers beside which others may run: what they find, and which are refused."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from splitbrain.tests.test_docker import COMMAND, PATIENCE_S, latest, starved

pytestmark = pytest.mark.engine


def started(store: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "test", *arguments, "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """A leader that checks its quorum steps down when it is alone; one that does not leads on beside the new one."""
    options = ("--nodes", "3", "--time-limit", "8", "--json")
    checks = started(tmp_path / "a", "raft-isolated-leader", "--seed", "7", *options)
    leads_on = started(tmp_path / "b", "raft-basic-isolated-leader", "--seed", "3", "--strict", *options)
    (out, err), (found, words) = (run.communicate(timeout=PATIENCE_S) for run in (checks, leads_on))
    assert checks.returncode in (0, 2), (out, err)
    assert leads_on.returncode in (0, 2), (found, words)
    properties = json.loads(found)["properties"]
    assert (properties["exclusivity"]["class"], properties["exclusivity"]["observed"]) == ("proven", "violated")
    assert properties["term-safety"]["verdict"] == "valid"
    for name in "ab":
        history = (latest(tmp_path / name) / "history.jsonl").read_text()
        assert '"verified":true' in history


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
    assert run.returncode == 0 or starved(json.loads(run.stdout)["properties"]), run.stderr
    folder = latest(tmp_path / "store")
    lines = [json.loads(line) for line in (folder / "history.jsonl").open() if '"process":"nemesis"' in line]
    done = [line for line in lines if line["value"]["phase"] == "done"]
    assert [line["f"] for line in done].count("restart") == 2
    assert {line["f"] for line in done} == {"kill", "restart", "loss", "heal", "pause", "resume"}
    assert all(line["value"]["verified"] for line in done)
    (loss,) = [line["value"] for line in done if line["f"] == "loss"]
    assert abs(loss["loss_seen"] - 0.30) < 0.15
    starts = "".join(log.read_text() for log in (folder / "logs").iterdir()).count('"event": "started"')
    assert starts == 3 + 2 + 2, "each node once, and the two that were killed once more"
    assert f"splitbrain replay {folder}" in run.stderr


def test_without_an_engine_the_error_names_what_to_install(tmp_path: Path) -> None:
    run = started(tmp_path, "raft", DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3
    assert "no Docker engine answers" in err and "make engine" in err
    assert "Traceback" not in err


def test_a_fault_that_containers_do_not_support_is_refused_before_the_run(tmp_path: Path) -> None:
    step = {"at_ms": 100, "for_ms": 100, "fault": {"f": "slow", "target": "leader", "ms": 1}}
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 1000, "steps": [step]}))
    run = subprocess.run([*COMMAND, "replay", str(schedule)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 64
    assert "docker cannot do all of this schedule" in run.stderr
