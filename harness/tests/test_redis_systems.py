"""Redis Sentinel and Redlock on containers: their known weaknesses are reproduced in one run each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

ISOLATED = {"at_ms": 1_500, "for_ms": 5_000, "fault": {"f": "partition", "shape": "isolated-leader"}}
FORGETFUL = {"for_ms": 50, "fault": {"f": "kill", "target": "all"}, "among": "servers"}


def replayed(tmp_path: Path, length_ms: int, steps: list[dict[str, Any]], *arguments: str) -> dict[str, Any]:
    """The verdicts of the schedule of these steps, with --strict."""
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": length_ms, "steps": steps}))
    command = [sys.executable, "-c", "from splitbrain.cli import main; main()", "replay", str(schedule), "--seed", "1"]
    run = subprocess.run(
        [*command, "--store", str(tmp_path / "store"), "--json", "--strict", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    verdicts: dict[str, Any] = json.loads(run.stdout)
    assert run.returncode in (0, 2), (verdicts, run.stderr)  # so short a run may leave liveness untold
    return verdicts["properties"]  # type: ignore[no-any-return]


def test_an_isolated_redis_master_goes_on_beside_its_successor_and_loses_acknowledged_writes(tmp_path: Path) -> None:
    found = replayed(tmp_path, 8_000, [ISOLATED], "--system", "sentinel", "--workload", "writes")
    assert found["exclusivity"]["observed"] == "violated"
    assert found["lost-updates"]["observed"] == "violated"
    assert (
        0 < found["lost-updates"]["facts"]["additions_lost"] < found["lost-updates"]["facts"]["additions_acknowledged"]
    )
    assert found["epoch-safety"]["verdict"] == "valid" and found["epoch-safety"]["facts"]["epochs"] == 2


def test_redis_servers_that_lose_a_lock_grant_it_to_a_second_holder(tmp_path: Path) -> None:
    """Three times, since a busy holder may notice before another asks."""
    steps = [{"at_ms": at_ms, **FORGETFUL} for at_ms in (1_500, 4_000, 6_500)]
    found = replayed(tmp_path, 8_500, steps, "--system", "redlock")
    assert found["exclusivity"]["observed"] == "violated"
