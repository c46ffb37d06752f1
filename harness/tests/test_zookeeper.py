"""ZooKeeper's recipe on three real servers: a client that stops in doubt, and kazoo's election, which does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from splitbrain.tests.test_docker import COMMAND, starved

pytestmark = pytest.mark.engine

# Longer than a session and the doubt before it; one window is enough.
ISOLATED = {"at_ms": 1_500, "for_ms": 5_000, "fault": {"f": "partition", "shape": "isolated-leader"}}


def isolated_leader(system: str, folder: Path) -> dict[str, Any]:
    schedule = folder / "schedule.json"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 7_000, "steps": [ISOLATED]}))
    command = [*COMMAND, "replay", str(schedule), "--system", system, "--runtime", "docker", "--nodes", "3"]
    run = subprocess.run(
        [*command, "--seed", "1", "--workload", "ledger", "--json", "--store", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    properties: dict[str, Any] = json.loads(run.stdout)["properties"]
    return properties


@pytest.mark.parametrize(("system", "found"), [("zookeeper", None), ("zookeeper-stock", "proven")])
def test_an_isolated_leader_stops_in_doubt_or_leads_on_beside_the_next(
    tmp_path: Path, system: str, found: str | None
) -> None:
    properties = isolated_leader(system, tmp_path)
    assert properties["term-safety"]["verdict"] == "valid"
    assert properties["fencing"]["verdict"] == "valid"
    if found is None:
        assert properties["exclusivity"]["verdict"] == "valid" or starved(properties)
    else:
        assert properties["exclusivity"]["class"] == found and properties["exclusivity"]["observed"] == "violated"
        assert properties["fencing"]["facts"]["stale_refused"] > 0, "what leads on writes on, and the fence refuses it"
