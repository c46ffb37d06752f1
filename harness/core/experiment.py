"""The entire input of a run as one frozen value, which ``experiment.json`` holds and ``replay`` reads back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.files import read_whole
from splitbrain.core.promises import bounds_of
from splitbrain.errors import UsageError
from splitbrain.names import ALLOW_PRIVILEGED
from splitbrain.nemesis import schedules
from splitbrain.nemesis.faults import ScheduleError
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.plans import check_aims
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems.base import AS_STATED, LEAST_MEMORY_MB, USUAL_DEVICES, Limits, System
from splitbrain.runtimes.base import ClusterSpec
from splitbrain.runtimes.capabilities import CAPABILITIES, known_runtime
from splitbrain.workloads import USUAL, Workload, kinds, workload_from_json

FORMAT = 1
UNHURRIED_MS = 4_000  # the longest stall bound for which the usual windows, of five seconds and more, are long enough
REPLAY = ("replay",)  # stands for the nemeses of a run whose schedule was given

Place = Callable[[str], str]
"""How a message names an argument, so that it says where a user gave it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """One run: equal experiments with equal schedules are equal runs, as far as the runtime can repeat one."""

    system: System
    nemesis: tuple[str, ...]
    runtime: str
    nodes: int
    time_limit_s: float
    seed: int
    workload: Workload
    limits: Limits = AS_STATED

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"n{i}" for i in range(1, self.nodes + 1))

    @property
    def server_names(self) -> tuple[str, ...]:
        return self.system.server_names

    @property
    def bounds(self) -> Bounds:
        return bounds_of(self.system, self.node_names, self.server_names)

    @property
    def patience_ns(self) -> int:
        """The longest recovery phase, ns: past the bound by which recovery is judged."""
        return 2 * self.bounds.stall_ns + self.bounds.slack_ns + self.settle_ns

    @property
    def settle_ns(self) -> int:
        """How long agreement must last, ns: a change provoked by a heal shows within a few suspicion times."""
        return 5 * self.bounds.suspicion_ns

    @property
    def wait_for_leader_ns(self) -> int:
        """How long faults wait at most for the first leader, ns.

        That of a system of ours is due as soon as after faults: if it fails to come, that is evidence. In simulation
        faults wait for none: nodes start in no time and are asked correctly, and hunts aim at first elections too.
        """
        if self.runtime == "sim":
            return 0
        system = self.system
        return self.patience_ns if system.probe is None else round(system.wait_for_leader_s * 1e9)

    @property
    def name(self) -> str:
        """The name of the folder of its runs in the store, without the colons of a class's name."""
        name = self.system.name
        system = Path(name).name.replace(".toml", "") if ".toml" in Path(name).suffix else name
        return re.sub(r"[^\w.+-]+", ".", f"{system}-{'+'.join(self.nemesis)}")

    @property
    def command(self) -> str:
        """The command that repeats this run, if its schedule is the one that follows from its seed."""
        system, limit = shlex.quote(self.system.name), f"{self.time_limit_s:g}"
        return (
            f"splitbrain test {system} --nemesis {','.join(self.nemesis)} --runtime {self.runtime} "
            f"--nodes {self.nodes} --time-limit {limit} --seed {self.seed} "
            f"--observe-period {self.workload.observe_period_ms}{self.workload.option}"
            + "".join(f" {name} {given}" for name, given in _given(self.limits))
        )

    def planned(self) -> Schedule:
        """The schedule that follows from its nemeses and seed; raises NemesisError for one that cannot be."""
        rng = Random(f"{self.seed}/schedule")
        can = CAPABILITIES[self.runtime].faults
        length_ms = round(self.time_limit_s * 1000)
        pace = pace_of(self.system)
        return build(self.nemesis, rng, self.nodes, length_ms, servers=len(self.server_names), can=can, pace=pace)

    def refuse_impossible(self, schedule: Schedule, source: str = "the schedule") -> None:
        """Raise UsageError for a schedule that cannot be aimed at these machines; ``source`` names it."""
        try:
            check_aims(schedule, self.node_names, self.server_names)
        except ScheduleError as wrong:
            raise UsageError(f"{source}: {wrong}") from wrong

    def to_json(self) -> dict[str, Any]:
        """A JSON object; of the system, its name."""
        return {
            "format": FORMAT,
            "system": self.system.name,
            "nemesis": self.nemesis,
            "runtime": self.runtime,
            "nodes": self.nodes,
            "time_limit_s": self.time_limit_s,
            "seed": self.seed,
            "workload": asdict(self.workload),
            **({"limits": asdict(self.limits)} if self.limits != AS_STATED else {}),
            "node_names": self.node_names,
            "server_names": self.server_names,
            "closed": True,  # the history of the run, if completed, ends with a line that says so
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], source: str, find: Callable[[str], System]) -> Experiment:
        """The inverse of ``to_json``; ``find`` gives the system of a name, and ``source`` names the file in errors.

        Raises UsageError for a key that is missing or of the wrong type, and for another format.
        """
        if (given := value.get("format", FORMAT)) != FORMAT:
            raise UsageError(
                f"{source}: format: expected {FORMAT}, the only one that this version reads, got {given!r}"
            )
        try:
            return cls(
                system=find(str(value["system"])),
                nemesis=tuple(str(name) for name in value["nemesis"]),
                runtime=str(value["runtime"]),
                nodes=int(value["nodes"]),
                time_limit_s=float(value["time_limit_s"]),
                seed=int(value["seed"]),
                workload=workload_from_json(value["workload"]),
                limits=Limits(**value.get("limits", {})),
            )
        except KeyError as missing:
            raise UsageError(f"{source}: expected the key {missing}, which is not there") from missing
        except (TypeError, ValueError, OverflowError) as wrong:
            raise UsageError(f"{source}: not an experiment: {wrong}") from wrong


def cluster_of(experiment: Experiment, schedule: Schedule | None = None) -> ClusterSpec:
    """The cluster on which the experiment runs, able to carry out the schedule, if one is given."""
    steps = () if schedule is None else schedule.steps
    return ClusterSpec(
        system=experiment.limits.of(experiment.system),
        nodes=experiment.node_names,
        servers=experiment.server_names,
        seed=experiment.seed,
        needs=frozenset(capability for step in steps for capability in step.fault.required()),
    )


def option(argument: str) -> str:
    """The option of the command line that gives an argument: ``--observe-period`` for ``observe_period_ms``."""
    return f"--{argument.removesuffix('_ms').replace('_', '-')}"


def asked_for(
    system: System,
    nemeses: tuple[str, ...],
    runtime: str,
    nodes: int | None,
    time_limit: float,
    seed: int,
    observe_period: int | None = None,
    kind: str = "election",
    *,
    limits: Limits = AS_STATED,
    place: Place = option,
) -> Experiment:
    """The experiment of these names and figures, as a user gives them. Raises UsageError for an impossible one.

    Without ``nodes`` there are as many as is usual for the system. ``time_limit`` is in s, ``observe_period`` in ms,
    ``kind`` is one of ``workloads.kinds()``. ``limits`` are of containers. ``place`` gives the name of an argument in
    messages.
    """
    nodes = system.usual_nodes if nodes is None else nodes
    usual = USUAL.get(known_runtime(runtime), Workload())
    period = usual.observe_period_ms if observe_period is None else observe_period
    refuse_cluster(system, runtime, nodes, place)
    _refuse_workload(system, kind, period, place)
    _refuse_limits(limits, runtime)
    return Experiment(
        system=system,
        nemesis=nemeses,
        runtime=runtime,
        nodes=nodes,
        time_limit_s=time_limit,
        seed=seed,
        workload=replace(
            usual,
            kind=kind,
            observe_period_ms=period,
            probe_timeout_ms=probe_timeout_ms(system),
        ),
        limits=limits,
    )


def refuse_cluster(system: System, runtime: str, nodes: int, place: Place = option) -> None:
    """Raise UsageError if the system cannot run in that runtime, or on that many nodes."""
    if not system.on_containers and runtime != "sim":
        raise UsageError(f"{system.name} runs in simulation only: expected {place('runtime')} sim, got {runtime}")
    if runtime == "sim" and not system.simulated:
        raise UsageError(f"{system.name} is real software, of which there is no simulation: run it on containers")
    if not system.min_nodes <= nodes <= system.max_nodes:
        raise UsageError(
            f"{place('nodes')}: {system.name} runs on {system.min_nodes} to {system.max_nodes}, got {nodes}"
        )


def refuse_devices(system: System, privileged: bool) -> None:
    """Raise UsageError for devices that only a user may give to nodes."""
    programs = (system.software, *(group.software for group in system.servers.values()), *system.exceptions.values())
    asked = {device for software in programs for device in software.options.devices} - set(USUAL_DEVICES)
    if asked and not privileged:
        words = ", ".join(sorted(asked))
        raise UsageError(f"{system.name} is to use devices of this machine; rerun with {ALLOW_PRIVILEGED}: {words}")


def _refuse_workload(system: System, kind: str, period_ms: int, place: Place) -> None:
    known = kinds()
    if kind not in known:
        raise UsageError(f"{place('workload')}: expected one of {', '.join(known)}, got {kind!r}")
    if kind in ("ledger", "ledger-unfenced") and "tokens" not in system.features:
        raise UsageError(
            f"{place('workload')}: {system.name} gives out no tokens, by which writes to a ledger are judged: "
            f"expected lock{' or writes' if 'set' in system.features else ''}, got {kind}"
        )
    longest = system.stall_bound_ms // 4
    if not 1 <= period_ms <= longest:
        where = place("observe_period_ms")
        raise UsageError(f"{where}: expected 1 to {longest} ms, a quarter of the stall bound, got {period_ms}")


def _refuse_limits(limits: Limits, runtime: str) -> None:
    least = {"--memory": LEAST_MEMORY_MB, "--pids": 1}
    for name, given in _given(limits):
        if runtime == "sim":
            raise UsageError(f"{name} limits a container: expected a run on containers, got one in simulation")
        if type(given) is not int or given < least[name]:
            raise UsageError(f"{name}: expected a whole number of at least {least[name]}, got {given!r}")


def _given(limits: Limits) -> list[tuple[str, int]]:
    """The limits that are given, by their options."""
    named = (("--memory", limits.memory_mb), ("--pids", limits.pids))
    return [(name, given) for name, given in named if given is not None]


def probe_timeout_ms(system: System) -> int:
    """How long a client waits for an answer: less than a quarter of the stall bound."""
    return min(500, system.stall_bound_ms // 4 - 1)


def pace_of(system: System) -> float:
    """How much longer faults last than usual: a system that takes long to elect must have the time to."""
    return max(1.0, system.stall_bound_ms / UNHURRIED_MS)


def read_json(path: Path) -> Any:
    """The file's JSON; raises UsageError when it cannot be read or is not JSON."""
    try:
        return msgspec.json.decode(read_whole(path))
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
    except (ValueError, RecursionError) as wrong:
        raise UsageError(f"{path}: expected JSON: {wrong}") from wrong


def read_schedule(path: Path) -> Schedule:
    """The schedule in a file. Raises UsageError with the place, the value expected and the value found."""
    try:
        return schedules.from_json(read_json(path))
    except ScheduleError as wrong:
        raise UsageError(f"{path}: {wrong}") from wrong
