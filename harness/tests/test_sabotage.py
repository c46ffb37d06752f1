"""Live runs that something outside the harness interferes with: none is valid, and each says what it lacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from splitbrain.errors import EXIT_FAILED, EXIT_UNKNOWN
from splitbrain.runtimes.docker.engine import CONTROLLER_LABEL, RUN_LABEL

pytestmark = pytest.mark.engine

COMMAND = (sys.executable, "-m", "splitbrain")
PATIENCE_S = 120.0
ISOLATED = {"f": "partition", "shape": "isolated-leader"}
SLOWED = {"f": "delay", "target": "leader", "ms": 200}


class Run:
    """A run of three raft nodes with one fault, which is in force when this has been made."""

    def __init__(self, folder: Path, fault: dict[str, Any]) -> None:
        schedule = folder / "schedule.json"
        step = {"at_ms": 1_000, "for_ms": 4_000, "fault": fault}
        schedule.write_text(json.dumps({"format": 1, "length_ms": 6_000, "steps": [step]}))
        command = [*COMMAND, "replay", str(schedule), "--system", "raft", "--nodes", "3", "--seed", "3"]
        self.store = folder / "store"
        self.process = subprocess.Popen(
            [*command, "--store", str(self.store)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        while not self._in_force():
            assert self.process.poll() is None, self.end()
            time.sleep(0.05)

    def _in_force(self) -> bool:
        histories = list(self.store.glob("*/2*/history.jsonl"))
        lines = histories[0].read_bytes().splitlines()[:-1] if histories else []
        return any(b'"nemesis"' in line and b'"phase":"done"' in line for line in lines)

    @property
    def hosts(self) -> list[Container]:
        containers: list[Container] = docker.from_env().containers.list(
            filters={"label": RUN_LABEL}, ignore_removed=True
        )
        ours = f"/{self.process.pid}/"
        return [
            each for each in containers if str(each.name).endswith("-host") and ours in each.labels[CONTROLLER_LABEL]
        ]

    def end(self) -> str:
        """The output of the run to its end."""
        return self.process.communicate(timeout=PATIENCE_S)[0]


@pytest.fixture
def nothing_runs_on() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.end()


def flush_rules(run: Run) -> None:
    for host in run.hosts:
        host.exec_run(["iptables", "-F"])


def end_packet_process(run: Run) -> None:
    for host in run.hosts:
        kill_processes(host, "-m splitbrain.runtimes.docker.agent.packets")


def kill_processes(host: Container, command: str) -> None:
    """Kill the processes on a host with a command line that ends so."""
    for pid, arguments in host.top(ps_args="-eo pid,args")["Processes"]:
        if arguments.endswith(command):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("fault", "sabotage"), [(ISOLATED, flush_rules), (SLOWED, flush_rules), (SLOWED, end_packet_process)]
)
def test_a_fault_that_is_ended_from_outside_makes_the_run_unknown(
    tmp_path: Path, nothing_runs_on: list[Run], fault: dict[str, Any], sabotage: Callable[[Run], None]
) -> None:
    run = Run(tmp_path, fault)
    nothing_runs_on.append(run)
    sabotage(run)
    out = run.end()
    assert run.process.returncode == EXIT_UNKNOWN, out
    assert f"1 fault ended before it was undone: {fault['f']} 0 (" in out


def test_an_agent_that_is_killed_ends_the_run_and_nothing_is_judged(tmp_path: Path, nothing_runs_on: list[Run]) -> None:
    run = Run(tmp_path, ISOLATED)
    nothing_runs_on.append(run)
    kill_processes(run.hosts[0], "-m splitbrain.runtimes.docker.agent")
    out = run.end()
    assert run.process.returncode == EXIT_FAILED, out
    assert "the agent on host n" in out and "the history so far is kept" in out
    assert run.hosts == []


def test_a_killed_run_is_unknown_and_says_what_is_missing(tmp_path: Path, nothing_runs_on: list[Run]) -> None:
    run = Run(tmp_path, ISOLATED)
    nothing_runs_on.append(run)
    run.process.kill()
    run.end()
    (folder,) = run.store.glob("*/2*")
    judged = subprocess.run([*COMMAND, "check", str(folder)], capture_output=True, text=True, check=False)
    assert judged.returncode == EXIT_UNKNOWN
    assert (
        "the run was cut short after" in judged.stdout
        and "of the 6 s of faults and the whole recovery" in judged.stdout
    )
    again = subprocess.run(
        [*COMMAND, "test", "raft", "--nodes", "3", "--time-limit", "1", "--store", str(tmp_path / "again")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "of an interrupted run: `splitbrain clean` removes them" in again.stderr
    cleaned = subprocess.run([*COMMAND, "clean"], capture_output=True, text=True, check=False)
    assert cleaned.returncode == 0 and run.hosts == []


def test_a_history_that_is_deleted_is_no_verdict(tmp_path: Path, nothing_runs_on: list[Run]) -> None:
    run = Run(tmp_path, ISOLATED)
    nothing_runs_on.append(run)
    next(run.store.glob("*/2*/history.jsonl")).unlink()
    out = run.end()
    assert run.process.returncode == EXIT_FAILED, out
    assert "the run's history was lost before it was judged" in out
