"""PostgreSQL under Patroni on containers: a primary goes on while its Patroni is paused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

STEP = {"at_ms": 300, "for_ms": 9_500, "fault": {"f": "pause", "target": "leader", "process": "patroni*"}}


def test_a_primary_whose_patroni_alone_is_paused_takes_writes_beside_its_successor(tmp_path: Path) -> None:
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 10_000, "steps": [STEP]}))
    command = [sys.executable, "-c", "from splitbrain.cli import main; main()", "replay", str(schedule), "--seed", "1"]
    run = subprocess.run(
        [*command, "--system", "patroni", "--store", str(tmp_path / "store"), "--json", "--strict"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found: dict[str, Any] = json.loads(run.stdout)["properties"]
    assert run.returncode in (0, 2), (found, run.stderr)  # so short a run may leave liveness untold
    assert found["exclusivity"]["observed"] == "violated"
    assert found["term-safety"]["verdict"] == "valid"
