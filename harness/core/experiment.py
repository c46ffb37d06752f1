"""The whole input of a run, as one frozen value: what ``experiment.json`` holds and ``replay`` reads back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, cast

from splitbrain.checkers.bounds import Bounds
from splitbrain.core.promises import bounds_of
from splitbrain.errors import UsageError
from splitbrain.nemesis import schedules
from splitbrain.nemesis.faults import ScheduleError
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.base import CAPABILITIES, known_runtime
from splitbrain.user_systems.node_class import system_at
from splitbrain.user_systems.toml_file import described
from splitbrain.workloads import KINDS, USUAL, Kind, Workload, workload_from_json

FORMAT = 1
UNHURRIED_MS = 4_000  # the longest stall bound for which the usual windows, of five seconds and more, are long enough
REPLAY = ("replay",)  # what stands for its nemeses where a schedule comes from elsewhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """One run, entirely: the same experiment is the same run, as far as the runtime can repeat one."""

    system: str
    nemesis: tuple[str, ...]
    runtime: str
    nodes: int
    time_limit_s: float
    seed: int
    workload: Workload

    @property
    def under_test(self) -> System:
        return system_named(self.system)

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"n{i}" for i in range(1, self.nodes + 1))

    @property
    def server_names(self) -> tuple[str, ...]:
        servers = self.under_test.servers
        return () if servers is None else tuple(f"s{i}" for i in range(1, servers.count + 1))

    @property
    def machines(self) -> tuple[str, ...]:
        return self.node_names + self.server_names

    @property
    def bounds(self) -> Bounds:
        return bounds_of(self.under_test, self.node_names, self.server_names)

    @property
    def patience_ns(self) -> int:
        """How long recovery may take before the run goes on without it: past the bound that it is judged by."""
        return 2 * self.bounds.stall_ns + self.bounds.slack_ns + self.settle_ns

    @property
    def settle_ns(self) -> int:
        """How long agreement must last: a change that a heal provokes shows within a few suspicion times."""
        return 5 * self.bounds.suspicion_ns

    @property
    def name(self) -> str:
        """The folder of its runs in the store; a system of one's own has a colon in its name, and a folder none."""
        system = Path(self.system).stem if self.system.endswith(".toml") else self.system
        return re.sub(r"[^\w.+-]+", ".", f"{system}-{'+'.join(self.nemesis)}")

    @property
    def command(self) -> str:
        """The command that makes this run again, if its schedule is the one that it plans itself."""
        limit = f"{self.time_limit_s:g}"
        return (
            f"splitbrain test {self.system} --nemesis {','.join(self.nemesis)} --runtime {self.runtime} "
            f"--nodes {self.nodes} --time-limit {limit} --seed {self.seed} "
            f"--observe-period {self.workload.observe_period_ms}{self.workload.option}"
        )

    def planned(self) -> Schedule:
        """The schedule that follows from its nemeses and seed; raises NemesisError for one that cannot be."""
        rng = Random(f"{self.seed}/schedule")
        can = CAPABILITIES[self.runtime].faults
        length_ms = round(self.time_limit_s * 1000)
        pace = pace_of(self.under_test)
        return build(self.nemesis, rng, self.nodes, length_ms, servers=len(self.server_names), can=can, pace=pace)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self), "node_names": self.node_names, "server_names": self.server_names}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], source: str) -> Experiment:
        """Raises UsageError naming the key that is missing or of the wrong kind."""
        try:
            return cls(
                system=str(value["system"]),
                nemesis=tuple(str(name) for name in value["nemesis"]),
                runtime=str(value["runtime"]),
                nodes=int(value["nodes"]),
                time_limit_s=float(value["time_limit_s"]),
                seed=int(value["seed"]),
                workload=workload_from_json(value["workload"]),
            )
        except KeyError as missing:
            raise UsageError(f"{source}: expected the key {missing}, which is not there") from missing
        except (TypeError, ValueError) as wrong:
            raise UsageError(f"{source}: not an experiment: {wrong}") from wrong


def asked_for(
    system: str,
    nemeses: tuple[str, ...],
    runtime: str,
    nodes: int | None,
    time_limit: float,
    seed: int,
    observe_period: int | None = None,
    kind: str = "election",
) -> Experiment:
    """The experiment of these names and figures, as a user gives them; raises UsageError for one that cannot be.

    Without ``nodes`` there are as many as is usual for the system. ``time_limit`` is in s, ``observe_period`` in ms,
    ``kind`` is one of ``KINDS``.
    """
    under_test = system_named(system)
    nodes = under_test.usual_nodes if nodes is None else nodes
    if ":" in system and runtime != "sim":
        raise UsageError(f"--runtime: {system} runs in simulation only, with --runtime sim; got {runtime}")
    if known_runtime(runtime) == "sim" and not under_test.simulated:
        raise UsageError(f"--runtime: {system} is real software, of which there is no simulation: use docker")
    if not under_test.min_nodes <= nodes <= under_test.max_nodes:
        raise UsageError(f"--nodes: {system} runs on {under_test.min_nodes} to {under_test.max_nodes}, got {nodes}")
    if kind not in KINDS:
        raise UsageError(f"--workload: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind in ("ledger", "ledger-unfenced") and not under_test.tokens:
        raise UsageError(
            f"--workload: {system} gives out no tokens, by which writes to a ledger are judged: "
            f"expected lock{' or writes' if under_test.keeps_set else ''}, got {kind}"
        )
    usual = USUAL.get(runtime, Workload())
    period = usual.observe_period_ms if observe_period is None else observe_period
    if not 1 <= period <= under_test.stall_bound_ms // 4:
        raise UsageError(f"--observe-period: expected 1 to {under_test.stall_bound_ms // 4} ms, got {period}")
    timeout = min(500, under_test.stall_bound_ms // 4 - 1)
    return Experiment(
        system=system,
        nemesis=nemeses,
        runtime=runtime,
        nodes=nodes,
        time_limit_s=time_limit,
        seed=seed,
        workload=replace(usual, kind=cast(Kind, kind), observe_period_ms=period, probe_timeout_ms=timeout),
    )


def pace_of(system: System) -> float:
    """How much longer faults last than usual: a system that takes long to elect must have the time to."""
    return max(1.0, system.stall_bound_ms / UNHURRIED_MS)


def system_named(name: str) -> System:
    """The system of that name, or a UsageError that lists those there are; ``package.module:Name`` is one's own,
    and ``broken/NAME`` one with a planted bug."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    if name in BROKEN:
        return BROKEN[name].system
    if name.endswith(".toml"):
        return described(Path(name))
    if ":" in name:
        return system_at(name)
    known = ", ".join(SYSTEMS)
    raise UsageError(f"unknown system {name!r}: expected one of {known}, package.module:Name or FILE.toml of your own")


def read_json(path: Path) -> Any:
    """The file's JSON; raises UsageError when it cannot be read or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
    except ValueError as wrong:
        raise UsageError(f"{path}: expected JSON: {wrong}") from wrong


def read_schedule(path: Path) -> Schedule:
    """The schedule in the file; raises UsageError saying what was expected, what came, and where."""
    try:
        return schedules.from_json(read_json(path))
    except ScheduleError as wrong:
        raise UsageError(f"{path}: {wrong}") from wrong
