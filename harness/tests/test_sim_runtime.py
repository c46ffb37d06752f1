"""Complete runs in simulation: a seed determines the history byte for byte, and a run stores its usual files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from splitbrain.bench.exactness import observed
from splitbrain.checkers.history import History
from splitbrain.cli import cli
from splitbrain.core.experiment import Experiment
from splitbrain.core.lifecycle import NO_PROGRESS, NoProgress, carry_out
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.core.simulate import history_of
from splitbrain.errors import Interrupted
from splitbrain.nemesis.faults import Pause
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.workloads import Workload

pytestmark = pytest.mark.simulation

PINNED = "1c9f4a790414038f9903ef9e9dc1bba5aaba53e518a54652e3603e2ed27d89b7"
WORKLOAD = Workload(observe_period_ms=100, confirm_period_ms=100, canary_period_ms=None)


def planned(seed: int, nemesis: str = "partition", seconds: float = 20.0) -> tuple[Experiment, Schedule]:
    experiment = Experiment(
        system=SYSTEMS["raft"],
        nemesis=(nemesis,),
        runtime="sim",
        nodes=5,
        time_limit_s=seconds,
        seed=seed,
        workload=WORKLOAD,
    )
    return experiment, build((nemesis,), Random(f"{seed}/schedule"), 5, round(seconds * 1000))


def run_to_file(seed: int, folder: Path) -> Path:
    """A run as the command line does it, without judging it; the path of its history."""
    path = folder / "history.jsonl"
    experiment, schedule = planned(seed)
    recorder = Recorder(HistoryFile(path))
    facts = carry_out(experiment, schedule, recorder, logs=folder / "logs", progress=NO_PROGRESS, say=print)
    assert facts.versions["simulated_s"] > 20
    return path


def test_a_node_that_raises_ends_neither_the_run_nor_the_verification_of_its_faults(tmp_path: Path) -> None:
    """A resumed follower kills its leader with old answers; the remaining nodes elect another."""
    path = tmp_path / "history.jsonl"
    step = Step(at_ms=1_000, for_ms=1_000, fault=Pause(target="follower"))
    schedule = Schedule(steps=(step,), length_ms=4_000)
    experiment, _ = planned(1, seconds=4.0)
    broken = replace(experiment, system=BROKEN["broken/raises-on-late-answers"].system)
    recorder = Recorder(HistoryFile(path))
    carry_out(broken, schedule, recorder, logs=tmp_path / "logs", progress=NO_PROGRESS, say=print)
    lines = [json.loads(line) for log in (tmp_path / "logs").iterdir() for line in log.open()]
    (raised,) = [line for line in lines if line["event"] == "raised"]
    assert raised["error"].startswith("KeyError: ") and "raises_on_late_answers.py, line " in raised["error"]
    assert [line for line in lines if line["event"] == "led" and line["at"] > raised["at"]]
    history = History.read(path)
    assert all(fault.in_effect for fault in history.faults)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_history_of_a_seed_is_pinned(tmp_path: Path) -> None:
    """If this fails after an intended change of behaviour, the new digest is right; if it
    fails on another machine or Python alone, something other than the seed decides."""
    assert digest(run_to_file(7, tmp_path)) == PINNED


def test_another_seed_is_another_history(tmp_path: Path) -> None:
    assert digest(run_to_file(8, tmp_path)) != PINNED


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_hash_seed_of_the_process_has_no_influence(hash_seed: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from splitbrain.tests import test_sim_runtime as t; "
        "print(t.digest(t.run_to_file(7, Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [PINNED]


def test_a_run_in_memory_equals_the_stored_run(tmp_path: Path) -> None:
    written, kept = History.read(run_to_file(7, tmp_path)), history_of(*planned(7))
    assert kept.lines == written.lines
    assert kept.end == written.end
    assert kept.faults == written.faults
    assert kept.observations.reign_names == written.observations.reign_names
    for column in ("node", "invoke", "complete", "leading", "term", "reign"):
        assert (getattr(kept.observations, column) == getattr(written.observations, column)).all(), column


def test_recording_the_ground_truth_does_not_change_the_history() -> None:
    blind, knowing = history_of(*planned(7)), observed(*planned(7))
    assert knowing.reigns
    assert (blind.lines, blind.end) == (knowing.history.lines, knowing.history.end)


def test_each_node_has_a_log_of_its_changes_of_role(tmp_path: Path) -> None:
    run_to_file(7, tmp_path)
    logs = {path.stem: [json.loads(line) for line in path.open()] for path in (tmp_path / "logs").iterdir()}
    assert sorted(logs) == ["n1", "n2", "n3", "n4", "n5"]
    assert {"led", "followed"} == {line["event"] for lines in logs.values() for line in lines}


def test_an_interrupt_ends_the_run_and_keeps_its_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    recorder = Recorder(HistoryFile(path))

    class Interrupting(NoProgress):
        def fault(self, words: str | None) -> None:
            raise Interrupted("interrupted by SIGINT")

    experiment, schedule = planned(7)
    with pytest.raises(Interrupted, match="SIGINT"):
        carry_out(experiment, schedule, recorder, logs=tmp_path / "logs", progress=Interrupting(), say=print)
    assert History.read(path).lines == recorder.lines > 100
    assert (tmp_path / "logs" / "n1.log").is_file()


def test_the_command_line_tests_in_simulation_and_prints_the_seed_first_and_last(tmp_path: Path) -> None:
    command = ["test", "raft-partition", "--runtime", "sim", "--seed", "7", "--time-limit", "12", "--json"]
    done = CliRunner().invoke(cli, [*command, "--store", str(tmp_path)])
    assert done.exit_code == 0, done.output
    verdicts = json.loads(done.stdout.splitlines()[-1])
    assert verdicts["verdict"] == "valid"
    kept = {path.name for path in Path(verdicts["run"]).iterdir()}
    assert {"experiment.json", "schedule.json", "history.jsonl", "verdicts.json", "report.html", "logs"} <= kept
    said = [line for line in done.stderr.splitlines() if line]
    assert "--runtime sim" in said[0]
    assert "--seed 7" in said[-1]


def test_a_stored_run_is_replayed_to_the_same_history(tmp_path: Path) -> None:
    def run_of(*arguments: str) -> Path:
        done = CliRunner().invoke(cli, [*arguments, "--json", "--store", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return Path(json.loads(done.stdout.splitlines()[-1])["run"])

    first = run_of("test", "raft-isolated-leader", "--runtime", "sim", "--time-limit", "5", "--seed", "3")
    again = run_of("replay", str(first))
    assert digest(first / "history.jsonl") == digest(again / "history.jsonl")
