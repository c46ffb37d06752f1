"""Repeated runs with mixed faults on containers, with a count of the resources that each leaves behind.

After each run the resources still in use are counted: containers, networks, volumes, open files, threads and memory
of this process, the firewall's rules for the networks of these runs, and the machine's processes. A failed run, an
unverified fault or a grown count is a finding. What other programs do with containers meanwhile is not counted.
"""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from splitbrain.core.experiment import asked_for
from splitbrain.core.run import perform
from splitbrain.core.store import EXPERIMENT
from splitbrain.errors import SplitbrainError
from splitbrain.nodes.systems.base import AS_STATED, Limits, System
from splitbrain.progress import PlainProgress
from splitbrain.user_systems.lookup import find_system

if TYPE_CHECKING:
    import pandas as pd

RUN_S: Final = 40.0  # length of the fault phase
DISK_FAULTS: Final = ("disk-full", "slow-fsync", "failing-fsync")
GROWN: Final = ("containers", "networks", "volumes", "host_rules", "open_files", "threads")
"""Counts that must not grow after the first run, which opens files and threads that stay open."""
MEMORY_SHARE: Final = 1.25  # of the maximum of the first half, in which matplotlib and pandas fill their caches


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceCounts:
    """The resources in use between two runs."""

    at_s: float
    containers: int
    networks: int
    volumes: int
    host_rules: int
    processes: int
    open_files: int
    threads: int
    memory_mb: float


def count_resources(began: float, bridges: Collection[str]) -> ResourceCounts:
    """Count the resources in use, those of networks with these ``bridges`` included.

    Raises EnvironmentFailure if the engine does not answer.
    """
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
    return ResourceCounts(
        at_s=round(time.monotonic() - began, 1),
        containers=containers,
        networks=networks,
        volumes=volumes,
        host_rules=rules_of(bridges, _host_rules()),
        processes=sum(entry.name.isdigit() for entry in Path("/proc").iterdir()),
        open_files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a Path would open one more
        threads=threading.active_count(),
        memory_mb=round(int(status["VmRSS"].split()[0]) / 1024, 1),
    )


def _host_rules() -> str:
    """The rules of the host's firewall; none without permission to read them."""
    try:
        return subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def rules_of(bridges: Collection[str], saved: str) -> int:
    """The number of rules, as ``iptables-save`` prints them, that name one of these bridges."""
    rules = (line.split() for line in saved.splitlines() if line.startswith("-A"))
    return sum(any(word in bridges for word in words) for words in rules)


def grown(frame: pd.DataFrame) -> list[str]:
    """The resources that have grown since the first run, in words."""
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


def all_nemeses(system: System) -> tuple[str, ...]:
    """``all`` and the nemeses that it leaves out: ``oom``, and disk faults if the system has data folders."""
    if system.software.data:
        return ("all", "oom", *DISK_FAULTS)
    if any(group.software.data for group in system.servers.values()):
        return ("all", "oom", *(f"server-{name}" for name in DISK_FAULTS))
    return ("all", "oom")


def runs(
    systems: Sequence[str],
    minutes: float,
    seed: int,
    store: Path,
    console: Console,
    limits: Limits = AS_STATED,
    run_s: float = RUN_S,
) -> Iterator[dict[str, Any]]:
    """One row per run, round-robin by system until the time is over: its input, its verdict and the resources left."""
    began, rng = time.monotonic(), Random(f"{seed}/soak")
    bridges: set[str] = set()
    while time.monotonic() - began < minutes * 60:
        for system in systems:
            run_seed = rng.getrandbits(31)
            usual_s = max(run_s, 2 * find_system(system).stall_bound_ms / 1000)
            under_test = find_system(system)
            nemeses = all_nemeses(under_test)
            experiment = asked_for(under_test, nemeses, "docker", None, usual_s, run_seed, limits=limits)
            row: dict[str, Any] = {
                "system": system,
                "seed": run_seed,
                "verdict": "failed",
                "faults": 0,
                "unverified": 0,
            }
            try:
                progress = PlainProgress(console)
                stored = perform(experiment, experiment.planned(), store, progress=progress, say=progress.say)
                row["verdict"] = stored.judged.judgement.outcome.word
                tried = [fault for fault in stored.judged.history.faults if fault.skipped is None]
                bridges.add(stored.directory.read_json(EXPERIMENT)["versions"]["bridge"])
                row |= {"faults": len(tried), "unverified": sum(fault.verified is False for fault in tried)}
            except SplitbrainError as failure:
                console.print(str(failure), markup=False)
            yield row | asdict(count_resources(began, bridges))
