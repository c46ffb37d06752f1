"""``splitbrain soak``: run after run of mixed faults on containers, and what the harness leaves behind meanwhile.

The promise: the machine after the last run is the machine before the first. After each run it is counted what is still
there (this process's containers, networks, volumes, open files, threads and memory, and the machine's firewall rules
and processes), written down, and drawn; a run that failed, a fault that was not verified, or a count that has grown is
a finding. Whoever else starts containers meanwhile is seen in the firewall's rules.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from splitbrain import errors
from splitbrain.core.experiment import asked_for
from splitbrain.errors import SplitbrainError
from splitbrain.nodes.systems import SYSTEMS
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


def look(began: float) -> Left:
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
    from splitbrain.core.run import perform

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
            yield row | asdict(look(began))


@click.command()
@click.argument("systems", nargs=-1)
@click.option("--minutes", default=30.0, show_default=True, help="How long; the last round is finished.")
@click.option("--seed", default=1, show_default=True, help="Fixes the schedules.")
@click.option("--store", type=click.Path(path_type=Path), default=Path("store"), help="Where runs are kept.")
def soak(systems: tuple[str, ...], minutes: float, seed: int, store: Path) -> None:
    """Run SYSTEMS (all, if none are named) on containers under everything that can go wrong, and see what is left.

    Writes soak.csv and soak.png into the store. Exit status: 1 a promise was broken, 3 a run failed or something grew.
    """
    import pandas as pd

    from splitbrain.reports.soak import write

    console = Console(stderr=True)
    rows: list[dict[str, Any]] = []
    try:
        for row in runs(systems or tuple(SYSTEMS), minutes, seed, store, console):
            rows.append(row)
    finally:
        frame = pd.DataFrame(rows)
        if rows:
            write(frame, store)
    found = grown(frame)
    failed, unverified = int((frame["verdict"] == "failed").sum()), int(frame["unverified"].sum())
    click.echo(
        f"{len(frame)} runs, {int(frame['faults'].sum())} faults and their undoing, {unverified} not verified; "
        f"{failed} runs failed; {'; '.join(found) or 'nothing grew'}  {store / 'soak.png'}"
    )
    if found or failed:
        sys.exit(errors.EXIT_FAILED)
    sys.exit(errors.EXIT_INVALID if (frame["verdict"] == "invalid").any() else errors.EXIT_VALID)
