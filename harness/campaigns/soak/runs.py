"""Run after run of mixed faults on containers, and a count of all that the harness leaves behind meanwhile.

The machine after the last run must be the machine before the first. After each run it is counted what is still
there (this process's containers, networks, volumes, open files, threads and memory, and the machine's firewall rules
and processes), written down, and drawn; a run that failed, a fault that was not verified, or a count that has grown is
a finding. Whoever else starts containers meanwhile is seen in the firewall's rules.
"""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from splitbrain.core.experiment import asked_for
from splitbrain.core.run import perform
from splitbrain.errors import SplitbrainError
from splitbrain.nodes.systems.base import System
from splitbrain.progress import PlainProgress
from splitbrain.user_systems.lookup import find_system

if TYPE_CHECKING:
    import pandas as pd

RUN_S: Final = 40.0  # of faults
OF_DISKS: Final = ("disk-full", "slow-fsync", "failing-fsync")
GROWN: Final = ("containers", "networks", "volumes", "host_rules", "open_files", "threads")
"""What must be after the last run what it was after the first; the first one opens what stays open."""
MEMORY_SHARE: Final = 1.25  # of the first half's highest: matplotlib and pandas fill their caches for a while


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What there is on the machine between two runs."""

    at_s: float
    containers: int
    networks: int
    volumes: int
    host_rules: int
    processes: int
    open_files: int
    threads: int
    memory_mb: float


def count_left(began: float) -> Left:
    """Count what there is now. Raises EnvironmentFailure when the engine does not answer."""
    from splitbrain.runtimes.docker.engine import CONTROLLER_LABEL, connect, controller_mark

    gc.collect()
    client = connect()
    label = f"{CONTROLLER_LABEL}={controller_mark()}"
    try:
        containers = len(client.containers.list(all=True, filters={"label": label}))
        networks = len(client.networks.list(filters={"label": label}))
        volumes = len(client.volumes.list(filters={"label": label}))
    finally:
        client.close()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Left(
        at_s=round(time.monotonic() - began, 1),
        containers=containers,
        networks=networks,
        volumes=volumes,
        host_rules=_host_rules(),
        processes=sum(entry.name.isdigit() for entry in Path("/proc").iterdir()),
        open_files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a Path would open one more
        threads=threading.active_count(),
        memory_mb=round(int(status["VmRSS"].split()[0]) / 1024, 1),
    )


def _host_rules() -> int:
    """Lines of the machine's own firewall, as far as we may read it: 0 where we may not."""
    try:
        saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("-A") for line in saved.splitlines())


def grown(frame: pd.DataFrame) -> list[str]:
    """What has grown since the first run, in words; empty when all is as it was."""
    found = []
    for name in GROWN:
        first, last = int(frame[name].iloc[0]), int(frame[name].iloc[-1])
        if last > first:
            found.append(f"{name.replace('_', ' ')} grew from {first} to {last}")
    half = max(1, len(frame) // 2)
    before, after = frame["memory_mb"].iloc[:half].max(), frame["memory_mb"].iloc[half:].max()
    if len(frame) > half and after > MEMORY_SHARE * before:
        found.append(f"memory grew from {before:.0f} to {after:.0f} MB")
    return found


def everything(system: System) -> tuple[str, ...]:
    """All faults there are, with those that ``all`` leaves out; disks are hurt where the system has them."""
    if system.software.data:
        return ("all", "oom", *OF_DISKS)
    if system.servers and system.servers.software.data:
        return ("all", "oom", *(f"server-{name}" for name in OF_DISKS))
    return ("all", "oom")


def runs(
    systems: Sequence[str], minutes: float, seed: int, store: Path, console: Console, run_s: float = RUN_S
) -> Iterator[dict[str, Any]]:
    """A row a run, systems by turns, until the time is over: what it was, what came of it and what is left after it."""
    began, dice = time.monotonic(), Random(f"{seed}/soak")
    while time.monotonic() - began < minutes * 60:
        for system in systems:
            each = dice.getrandbits(31)
            usual_s = max(run_s, 2 * find_system(system).stall_bound_ms / 1000)
            under_test = find_system(system)
            experiment = asked_for(under_test, everything(under_test), "docker", None, usual_s, each)
            row: dict[str, Any] = {"system": system, "seed": each, "verdict": "failed", "faults": 0, "unverified": 0}
            try:
                progress = PlainProgress(console)
                stored = perform(experiment, experiment.planned(), store, progress=progress, say=progress.say)
                row["verdict"] = stored.judged.judgement.outcome.word
                tried = [fault for fault in stored.judged.history.faults if fault.skipped is None]
                row |= {"faults": len(tried), "unverified": sum(fault.verified is False for fault in tried)}
            except SplitbrainError as failure:
                console.print(str(failure), markup=False)
            yield row | asdict(count_left(began))
