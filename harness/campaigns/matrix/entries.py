"""Which runs make the matrix: for each system, class of fault and runtime the nemesis that exercises it.

An entry is aimed: a weakness that a system is known to have is no news unless a run that should show it does. Where the
usual nemesis of a class is too blunt for that, ``PINNED`` holds what shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Final

from splitbrain.core.experiment import REPLAY, pace_of, read_schedule
from splitbrain.errors import UsageError
from splitbrain.nemesis.nemeses import NEMESES, ONE_ROUND_MS
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import CELLS, GUARANTEES, System
from splitbrain.user_systems.lookup import find_system
from splitbrain.workloads import Kind

SCHEDULES: Final = Path(__file__).parent / "schedules"
EVERY: Final = (*CELLS, *(f"s{cell}" for cell in CELLS))
"""All classes of fault, of nodes and of servers."""

USUAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "C1": ("kill",),
        "C2": ("pause",),
        "C3": ("minority-leader", "isolated-node"),
        "C4": ("isolated-leader",),
        "C5a": ("leader-deaf",),
        "C5b": ("leader-mute",),
        "C5c": ("follower-deaf",),
        "C6": ("majorities-ring", "single-link", "bridge", "chained", "one-way-link"),
        "C7": ("loss",),
        "C8": ("skew",),
        "C9": ("rate",),
        "C10": ("strobe",),
        "C11": ("amnesia",),
        "C12": ("storm",),
        "sC1": ("server-kill",),
        "sC2": ("server-pause",),
        "sC3": ("server-partition",),
        "sC4": ("isolated-server-leader",),
        "sC7": ("server-loss",),
        "sC8": ("server-skew",),
        "sC9": ("server-rate",),
        "sC10": ("server-strobe",),
        "sC11": ("server-amnesia",),
        "sC12": ("server-storm",),
    }
)
"""The nemeses of each class of fault, of those that a run may be made for."""

FIRST: Final = ("C4", "C1", "C2", "C3", "sC1", "C7", "C5a", "C6", "sC2", "sC4")
"""The classes that tell most, in this order; when time is short the others wait."""

GUARANTEE_F: Final = list(GUARANTEES).index("F")
ROUNDS: Final[Mapping[str, float]] = MappingProxyType({"docker": 1.9, "sim": 4.0})
"""How many windows of faults a run holds, at least: in simulation they cost next to nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A run of the matrix that is to be made: of these nemeses, or of the ``schedule`` of that name."""

    system: str
    cell: str
    runtime: str
    nemesis: tuple[str, ...]
    time_limit_s: float
    schedule: str | None = None
    seed: int | None = None
    nodes: int | None = None
    workload: str = "election"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """What shows a known weakness where the usual nemesis of its class does not: these nemeses, or the schedule of that
    name (``schedule_named``); this seed."""

    nemesis: tuple[str, ...] = ()
    schedule: str | None = None
    seed: int | None = None
    nodes: int | None = None
    time_limit_s: float | None = None
    workload: Kind | None = None


def _of_each(runtime: str, systems: Iterable[str], **cells: Pin) -> dict[tuple[str, str, str], Pin]:
    """The same pins, each by its class of fault, for several systems."""
    return {(system, cell, runtime): pin for system in systems for cell, pin in cells.items()}


def _aimed(schedule: str, seed: int = 1, workload: Kind | None = None) -> Pin:
    return Pin(schedule=schedule, seed=seed, workload=workload)


RAFTS: Final = ("raft", "raft-basic", "raft-lease")
BY_NAMES: Final = ("bully", "bully-textbook", "ring", "ring-append")
LEASES: Final = ("lease", "lease-strict", "lease-wall")
SENTINELS: Final = ("sentinel", "sentinel-min-replicas", "sentinel-quorum1")
REDLOCKS: Final = ("redlock", "redlock-trusting")
ETCD_ELECTIONS: Final = ("etcd-election", "etcd-election-safe")
PYSYNCOBJS: Final = ("pysyncobj", "pysyncobj-0.3.14")
OF_LEASES: Final = {
    "C9": _aimed("leader-isolated-with-slow-clock"),
    "sC11": _aimed("servers-all-forget-five-times"),
}

PINNED: Final[Mapping[tuple[str, str, str], Pin]] = MappingProxyType(
    {
        **_of_each("sim", RAFTS, C11=_aimed("voters-forget-and-then-all", seed=2)),
        **_of_each("sim", ["raft-basic"], C2=Pin(nemesis=("pause",), seed=0)),
        **_of_each("sim", ["raft-lease"], C9=Pin(nemesis=("drift",))),
        **_of_each("docker", ["raft", "raft-basic"], C11=_aimed("all-forget-three-times", seed=2)),
        **_of_each("docker", ["raft-basic"], C2=_aimed("leader-paused-nine-times"), C7=_aimed("follower-lossy")),
        **_of_each(
            "docker",
            ["raft-lease"],
            C9=_aimed("leader-isolated-with-slow-clock"),
            C11=_aimed("all-forget-three-times"),
        ),
        **_of_each("sim", BY_NAMES, C2=_aimed("higher-ones-paused", seed=4)),
        **_of_each("docker", BY_NAMES, C2=_aimed("higher-ones-paused", seed=4)),
        **_of_each("sim", LEASES, **OF_LEASES),
        **_of_each("docker", LEASES, **OF_LEASES),
        **_of_each(
            "docker",
            SENTINELS,
            C7=_aimed("leader-late"),
            C11=_aimed("leader-forgets"),
            C12=_aimed("leader-storm"),
        ),
        **_of_each(
            "docker",
            REDLOCKS,
            sC8=Pin(nemesis=("server-skew",), seed=1, workload="lock"),
            sC10=_aimed("servers-clocks-strobe"),
        ),
        **_of_each(
            "docker",
            ["redlock"],
            sC1=_aimed("servers-all-restarted-five-times"),
            sC11=_aimed("servers-all-forget-five-times"),
            sC12=_aimed("servers-all-storm"),
        ),
        **_of_each(
            "docker",
            ["etcd"],
            C3=_aimed("follower-and-leader-cut-off-by-turns"),
            C5c=_aimed("follower-deaf-five-times"),
            C6=_aimed("leader-misses-a-link-five-times"),
        ),
        **_of_each(
            "docker",
            ETCD_ELECTIONS,
            C9=_aimed("leader-isolated-with-slow-clock"),
            sC2=_aimed("servers-leader-paused-four-times"),
            sC8=_aimed("leading-server-back-in-time-as-leader-dies"),
        ),
        **_of_each(
            "docker",
            ["etcd-election"],
            C3=_aimed("follower-and-leader-cut-off-by-turns", workload="lock"),
            C4=Pin(nemesis=("isolated-leader",), seed=1, workload="lock"),
            C5a=_aimed("leader-deaf-five-times", workload="lock"),
            C5b=_aimed("leader-mute-five-times", workload="lock"),
        ),
        **_of_each("docker", ["zookeeper", "zookeeper-herd"], C4=_aimed("leader-isolated-five-times")),
        **_of_each(
            "docker",
            ["zookeeper-stock"],
            C4=Pin(nemesis=("isolated-leader",), seed=1, workload="lock"),
            C6=_aimed("leader-at-the-end-of-a-line-five-times"),
        ),
        **_of_each(
            "docker",
            PYSYNCOBJS,
            C3=_aimed("follower-and-leader-cut-off-by-turns"),
            C5a=_aimed("leader-deaf-five-times"),
            C5c=_aimed("follower-deaf-five-times"),
            C6=_aimed("leader-misses-a-link-five-times"),
            C9=_aimed("follower-clock-fast"),
            C11=_aimed("all-forget-three-times"),
        ),
        **_of_each(
            "docker",
            ["pysyncobj-0.3.14"],
            C1=_aimed("all-restarted-three-times"),
            C12=_aimed("all-storm"),
        ),
        **_of_each("docker", ["patroni"], C2=_aimed("patroni-alone-paused")),
    }
)
"""By system, class and runtime."""


def entries(systems: Iterable[str], runtimes: Iterable[str], cells: Collection[str] = ()) -> tuple[Entry, ...]:
    """All entries of these systems and classes (none named: of all), those that tell most first, systems by turns.

    So that whatever a time budget leaves out, every system has had its share. Raises UsageError for unknown names.
    """
    if unknown := set(cells) - set(EVERY):
        raise UsageError(f"--cell: expected one of {', '.join(EVERY)}, got {', '.join(sorted(unknown))}")
    chosen = [find_system(name) for name in systems] or list(SYSTEMS.values())
    lanes = [
        list(_of(system, runtime, cells or EVERY))
        for runtime in runtimes
        for system in chosen
        if _runs(system, runtime)
    ]
    if not lanes:
        raise UsageError(f"none of {', '.join(system.name for system in chosen)} runs on {' or '.join(runtimes)}")
    planned = tuple(entry for round_ in zip_longest(*lanes) for entry in round_ if entry is not None)
    if not planned:
        raise UsageError(f"nothing exercises {' or '.join(cells)} of {', '.join(system.name for system in chosen)}")
    return planned


def _runs(system: System, runtime: str) -> bool:
    return runtime != "sim" or system.simulated


def _of(system: System, runtime: str, wanted: Collection[str]) -> Iterator[Entry]:
    cells = [cell for cell in EVERY if cell in system.promises and cell in wanted]
    for cell in sorted(cells, key=lambda cell: FIRST.index(cell) if cell in FIRST else len(FIRST)):
        if entry := _entry(system, cell, runtime):
            yield entry


def _entry(system: System, cell: str, runtime: str) -> Entry | None:
    """None where nothing is known to exercise that class of fault, or the system is too small for it."""
    pin = PINNED.get((system.name, cell, runtime), Pin(nemesis=USUAL.get(cell, ())))
    nodes = pin.nodes or system.usual_nodes
    servers = 0 if system.servers is None else system.servers.count
    possible = tuple(name for name in pin.nemesis if NEMESES[name].possible(nodes, servers))
    if pin.schedule is not None:
        length_s = schedule_named(pin.schedule).length_ms / 1000
    elif possible:
        length_s = round(ONE_ROUND_MS * ROUNDS[runtime] * pace_of(system) / 1000, 1)
    else:
        return None
    return Entry(
        system=system.name,
        cell=cell,
        runtime=runtime,
        nemesis=possible or REPLAY,
        time_limit_s=pin.time_limit_s or length_s,
        schedule=pin.schedule,
        seed=pin.seed,
        nodes=pin.nodes,
        workload=pin.workload or _workload(system, cell),
    )


def schedule_named(name: str) -> Schedule:
    """The targeted schedule of that name; ``splitbrain replay harness/matrix/schedules/NAME.json`` runs it too."""
    return read_schedule(SCHEDULES / f"{name}.json")


def _workload(system: System, cell: str) -> Kind:
    """What shows most of F: what a system that keeps data loses of it, or what a fence is worth, where there are tokens
    for it."""
    if system.promises.get(cell, "------")[GUARANTEE_F] == "-":
        return "election"
    if system.keeps_set:
        return "writes"
    return "ledger" if system.tokens else "election"
