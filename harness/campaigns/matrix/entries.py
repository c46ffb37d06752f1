"""The planned runs of the matrix: for each system, fault class and runtime the nemesis that exercises it.

A known weakness must be reproduced. Where the usual nemesis of a fault class does not reproduce it, the system pins a
run that does (``System.pins``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Final

from splitbrain.core.experiment import REPLAY, pace_of, read_schedule
from splitbrain.errors import UsageError
from splitbrain.names import FAULT_CLASSES, FaultClass, did_you_mean, fault_class_of
from splitbrain.nemesis.nemeses import NEMESES, ONE_ROUND_MS
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import AS_STATED, Limits, Pin, System
from splitbrain.user_systems.lookup import find_system
from splitbrain.workloads import Kind

USUAL: Final[Mapping[FaultClass, tuple[str, ...]]] = MappingProxyType(
    {
        "crash": ("kill",),
        "pause": ("pause",),
        "throttle": ("throttle",),
        "partition": ("minority-leader", "isolated-node"),
        "leader-isolated": ("isolated-leader",),
        "leader-deaf": ("leader-deaf",),
        "leader-mute": ("leader-mute",),
        "follower-deaf": ("follower-deaf",),
        "partial-partition": ("majorities-ring", "single-link", "bridge", "chained", "one-way-link"),
        "loss": ("loss",),
        "clock-jump": ("skew",),
        "clock-rate": ("rate",),
        "clock-strobe": ("strobe",),
        "state-loss": ("amnesia",),
        "restart-storm": ("storm",),
        "server-crash": ("server-kill",),
        "server-pause": ("server-pause",),
        "server-throttle": ("server-throttle",),
        "server-partition": ("server-partition",),
        "server-leader-isolated": ("isolated-server-leader",),
        "server-loss": ("server-loss",),
        "server-clock-jump": ("server-skew",),
        "server-clock-rate": ("server-rate",),
        "server-clock-strobe": ("server-strobe",),
        "server-state-loss": ("server-amnesia",),
        "server-restart-storm": ("server-storm",),
    }
)
"""The usual nemeses of each fault class that has any."""

FIRST: Final[tuple[FaultClass, ...]] = (
    "leader-isolated",
    "crash",
    "pause",
    "partition",
    "server-crash",
    "loss",
    "leader-deaf",
    "partial-partition",
    "server-pause",
    "server-leader-isolated",
)
"""The fault classes that find most, in the order in which they are run; the others come last."""

ROUNDS: Final[Mapping[str, float]] = MappingProxyType({"docker": 1.9, "sim": 4.0})
"""Fault windows per run, at least. In simulation they cost very little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A planned run of the matrix, with these nemeses or with the schedule in a file."""

    system: str
    fault_class: FaultClass
    runtime: str
    nemesis: tuple[str, ...]
    time_limit_s: float
    schedule: Path | None = None
    seed: int | None = None
    nodes: int | None = None
    workload: str = "election"
    limits: Limits = AS_STATED


def entries(
    systems: Iterable[str],
    runtimes: Iterable[str],
    fault_classes: Collection[str] = (),
    limits: Limits = AS_STATED,
) -> tuple[Entry, ...]:
    """The entries of these systems and fault classes (default: all), ordered by ``FIRST`` and round-robin by system.

    So a time budget is shared fairly among the systems. Containers have these ``limits``. Raises UsageError for unknown
    names.
    """
    for name in fault_classes:
        if name not in FAULT_CLASSES:
            raise UsageError(f"--fault-class: expected one of {', '.join(FAULT_CLASSES)}, got {name!r}{_meant(name)}")
    chosen = [find_system(name) for name in systems] or list(SYSTEMS.values())
    lanes = [
        list(_of(system, runtime, fault_classes or FAULT_CLASSES))
        for runtime in runtimes
        for system in chosen
        if _runs(system, runtime)
    ]
    if not lanes:
        raise UsageError(
            f"none of the systems {', '.join(system.name for system in chosen)} runs on {' or '.join(runtimes)}"
        )
    found = (entry for round_ in zip_longest(*lanes) for entry in round_ if entry is not None)
    planned = tuple(replace(entry, limits=limits) if entry.runtime == "docker" else entry for entry in found)
    if not planned:
        raise UsageError(
            f"no nemesis exercises {' or '.join(fault_classes)} of {', '.join(system.name for system in chosen)}"
        )
    return planned


def _meant(name: str) -> str:
    """A suggestion of a fault class for a wrong name or an old code."""
    return did_you_mean(fault_class_of(name), FAULT_CLASSES)


def _runs(system: System, runtime: str) -> bool:
    return runtime != "sim" or system.simulated


def _of(system: System, runtime: str, wanted: Collection[str]) -> Iterator[Entry]:
    classes = [each for each in FAULT_CLASSES if each in system.promises and each in wanted]
    for fault_class in sorted(classes, key=lambda each: FIRST.index(each) if each in FIRST else len(FIRST)):
        if entry := _entry(system, fault_class, runtime):
            yield entry


def _entry(system: System, fault_class: FaultClass, runtime: str) -> Entry | None:
    """The entry of a fault class; None if no nemesis exercises it, or the system is too small for it."""
    pin = system.pins.get(runtime, {}).get(fault_class, Pin(nemesis=USUAL.get(fault_class, ())))
    nodes = pin.nodes or system.usual_nodes
    servers = len(system.server_names)
    possible = tuple(name for name in pin.nemesis if NEMESES[name].possible(nodes, servers))
    if pin.schedule is not None:
        length_s = read_schedule(pin.schedule).length_ms / 1000
    elif possible:
        length_s = round(ONE_ROUND_MS * ROUNDS[runtime] * pace_of(system) / 1000, 1)
    else:
        return None
    return Entry(
        system=system.name,
        fault_class=fault_class,
        runtime=runtime,
        nemesis=possible or REPLAY,
        time_limit_s=pin.time_limit_s or length_s,
        schedule=pin.schedule,
        seed=pin.seed,
        nodes=pin.nodes,
        workload=pin.workload or _workload(system, fault_class),
    )


def _workload(system: System, fault_class: FaultClass) -> Kind:
    """The workload that tests fencing, if any: writes to a system that keeps data, or a ledger fenced with tokens."""
    if system.promises[fault_class]["fencing"] == "undefined":
        return "election"
    if "set" in system.features:
        return "writes"
    return "ledger" if "tokens" in system.features else "election"
