"""Parts that an installed package ships: a system, a nemesis, a workload and a checker, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
from dataclasses import replace

from splitbrain.checkers.judge import Property
from splitbrain.checkers.verdict import Observed, Verdict
from splitbrain.nemesis.nemeses import NEMESES
from splitbrain.nodes.systems.raft import RAFT_SYSTEM
from splitbrain.workloads import ShippedWorkload
from splitbrain.workloads.adders import Adders

NAMED = replace(NEMESES["isolated-leader"], name="monsoon", help="leaders cut off by rain")
OTHER = replace(RAFT_SYSTEM, name="paxos", help="a system from elsewhere")


def calm(history, bounds):
    observed = Observed.VIOLATED if history.faults else Observed.HELD
    return Verdict(property="calm", observed=observed, words="faults were injected" if history.faults else "no fault")


CALM = Property(name="calm", help="No fault is injected.", guarantees=("stability",), check=calm)


class Noting:
    def __init__(self, cluster, operations):
        self._cluster, self._operations = cluster, operations

    def jobs(self):
        return [self._note()]

    def stop(self):
        pass

    async def _note(self):
        process = self._operations.new_process()
        self._operations.invoke(process, "look-around", None)


def clients(cluster, operations, view, workload, seed):
    return [Noting(cluster, operations)]


LOOK = ShippedWorkload(name="look", help="one client looks around", clients=clients)
"""
PARTS = {
    "splitbrain.systems": "paxos = shipping:OTHER",
    "splitbrain.nemeses": "monsoon = shipping:NAMED",
    "splitbrain.workloads": "look = shipping:LOOK",
    "splitbrain.checkers": "calm = shipping:CALM",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of an installed package that ships one part of each group."""
    return installed(tmp_path, SOURCE, PARTS)


def installed(folder: Path, source: str, parts: dict[str, str]) -> Path:
    (folder / "shipping.py").write_text(source)
    record = folder / "shipping-1.5.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: shipping\nVersion: 1.5\n")
    (record / "entry_points.txt").write_text("\n".join(f"[{group}]\n{line}" for group, line in parts.items()))
    return folder


def splitbrain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process that has the package."""
    return subprocess.run(
        [sys.executable, "-m", "splitbrain", *words],
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_a_run_of_shipped_parts_is_judged_and_read_again(package: Path) -> None:
    asked = ("test", "paxos", "--nemesis", "monsoon", "--workload", "look", "--runtime", "sim", "--nodes", "3")
    done = splitbrain(package, *asked, "--time-limit", "5", "--seed", "1", "--json")
    said = json.loads(done.stdout)
    assert (said["properties"]["calm"]["words"], said["properties"]["calm"]["observed"]) == (
        "faults were injected",
        "violated",
    ), done.stderr
    assert "look-around" in (package / said["run"] / "history.jsonl").read_text()
    again = splitbrain(package, "check", said["run"], "--property", "calm", "--json")
    assert json.loads(again.stdout)["properties"]["calm"]["observed"] == "violated"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("systems", ("paxos", "a system from elsewhere", "shipping 1.5")),
        ("nemeses", ("monsoon", "leaders cut off by rain", "docker, sim")),
        ("workloads", ("look", "one client looks around")),
        ("properties", ("calm", "No fault is injected.", "shipping 1.5")),
    ],
)
def test_shipped_parts_are_listed(package: Path, command: str, words: tuple[str, ...]) -> None:
    (line,) = (line for line in splitbrain(package, command).stdout.splitlines() if line.startswith(words[0]))
    assert all(word in line for word in words)


@pytest.mark.parametrize(
    ("group", "part", "says"),
    [
        (
            "splitbrain.nemeses",
            "storm = nowhere:X",
            "shipping 1.5: the entry point splitbrain.nemeses storm: Module",
        ),
        ("splitbrain.nemeses", "storm = shipping:NAMED", "splitbrain.nemeses storm: expected a Nemesis of that name"),
        ("splitbrain.nemeses", "storm = shipping:OTHER", "splitbrain.nemeses storm: expected a Nemesis of that name"),
    ],
)
def test_a_part_that_cannot_be_used_is_named_with_status_3(tmp_path: Path, group: str, part: str, says: str) -> None:
    folder = installed(tmp_path, SOURCE, {group: part})
    done = splitbrain(folder, "nemeses")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert says in done.stderr
