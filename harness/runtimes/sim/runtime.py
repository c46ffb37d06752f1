"""The simulated runtime: runs a driver's coroutine in virtual time against a cluster that exists only in memory.

``run`` is what the command line uses and leaves the same files as a run on containers does; ``run_in_memory`` is for
searches, which want a history and the truth about it and no files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from splitbrain.checkers.history import Columns, Entry, History
from splitbrain.core.experiment import Experiment
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.lifecycle import RunPhases
from splitbrain.core.recorder import Process, Recorder
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.protocol import Effect, Followed, Json, Led, Node
from splitbrain.nodes.wall import OnWallClock
from splitbrain.runtimes.base import Cluster, Facts, Say
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.ground_truth import GroundTruth, Reign
from splitbrain.runtimes.sim.hosts import Host, Instrument, what_was_raised
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS, Simulation


def run(driver: RunPhases, logs: Path, say: Say) -> Facts:
    """One whole run in simulation. A signal ends it at once, with its history closed and stored as far as it came."""
    driver.progress.phase("set-up")
    log = Log()
    simulation = simulate(driver.experiment, log)
    try:
        drive(driver, simulation)
    finally:
        driver.progress.phase("tear-down")
        log.write(logs)
    return Facts(versions={"simulated_s": round(simulation.now / 1e9, 3)})


def simulate(experiment: Experiment, instrument: Instrument | None = None) -> Simulation:
    """The cluster that an experiment asks for; its nodes are down."""
    system = experiment.under_test
    simulation: Simulation

    def on_wall_clock(
        id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        host = simulation.hosts[id]
        return OnWallClock(system.make_node(id, peers, rng, boot, state), lambda: host.wall.read(host.true_now))

    simulation = Simulation(
        experiment.seed,
        experiment.node_names,
        on_wall_clock if system.by_wall_clock else system.make_node,
        servers=experiment.server_names,
        make_server=None if system.servers is None else system.make_server,
        instrument=instrument,
    )
    return simulation


def drive(driver: RunPhases, simulation: Simulation) -> None:
    """Start the nodes and have the driver do with them what it is made for."""
    simulation.start()
    simulation.run_until(START_WITHIN_NS)
    simulation.kernel.run(driver.drive(SimCluster(simulation)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run in memory: what was recorded of it, and, if it was asked for, what really was.

    ``reigns`` are in true time; the history's clock began at ``zero_ns`` of it.
    """

    history: History
    reigns: tuple[Reign, ...]
    zero_ns: int


def run_in_memory(experiment: Experiment, schedule: Schedule, *, truth: bool = False) -> Outcome:
    """Run without a trace on disk. ``truth`` costs about as much as half the run."""
    recorders: list[ColumnsRecorder] = []

    def open_recorder(cluster: Cluster) -> Recorder:
        recorders.append(ColumnsRecorder(cluster.now))
        return recorders[0]

    instrument = GroundTruth() if truth else None
    simulation = simulate(experiment, instrument)
    drive(RunPhases(experiment, schedule, Silence(), open_recorder), simulation)
    return Outcome(
        history=recorders[0].history(),
        reigns=() if instrument is None else instrument.reigns(simulation.now),
        zero_ns=START_WITHIN_NS,
    )


class ColumnsRecorder(Recorder):
    """Packs lines into columns instead of writing them: to JSON and back would take as long as all the clients do."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__(Nowhere(), now)
        self._columns = Columns()

    def history(self) -> History:
        """All that was recorded; to be asked for once, at the end."""
        return History.from_columns(self._columns, "memory")

    def invoke(self, process: Process, f: str, node: str | None, value: Any = None) -> int:
        time = self._time()
        self._columns.invoke(time, process, f, node, value)
        return time

    def ok(self, process: Process, f: str, node: str | None, value: Any) -> int:
        time = self._time()
        self._columns.ok(time, process, f, node, value)
        return time

    def _write(self, process: Process, kind: Any, f: str, node: str | None, value: Any, error: str | None) -> int:
        time = self._time()
        self._columns.other(time, process, kind, f, node, value, error)
        return time

    def _time(self) -> int:
        self.lines += 1
        self._last = time = self._now() - self._zero  # virtual time never goes back
        return time


class EntriesRecorder(Recorder):
    """Keeps every line as an entry, for who wants to look at single lines."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__(Nowhere(), now)
        self.entries: list[Entry] = []

    def _write(self, process: Process, kind: Any, f: str, node: str | None, value: Any, error: str | None) -> int:
        time = self._last = self._now() - self._zero
        self.entries.append(Entry(self.lines, time, process, kind, f, node, value, error))
        self.lines += 1
        return time


class Nowhere:
    """A sink that nothing is written to."""

    def write(self, line: bytes, /) -> None:
        raise AssertionError("a recorder in memory writes no lines")

    def close(self) -> None:
        """There is nothing to close."""


class Silence:
    """A progress that nobody watches."""

    def phase(self, name: str, seconds: float | None = None) -> None: ...

    def fault(self, words: str | None) -> None: ...

    def watching(self, watch: LeaderView) -> None: ...


class Log(Instrument):
    """What each node would have written to its log: one JSON object a line, in true time."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def effect(self, host: Host, effect: Effect) -> None:
        match effect:
            case Led(term, reign):
                self._note(host, {"event": "led", "term": term, "reign": reign})
            case Followed(term, leader):
                self._note(host, {"event": "followed", "term": term, "leader": leader})
            case _:
                pass

    def raised(self, host: Host, failure: Exception) -> None:
        self._note(host, {"event": "raised", "error": what_was_raised(failure)})

    def write(self, folder: Path) -> None:
        """One file for each node that has said anything."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in self._lines.items():
            (folder / f"{name}.log").write_text("".join(lines))

    def _note(self, host: Host, facts: dict[str, Any]) -> None:
        line = {"at": host.true_now, "id": host.name, **facts}
        self._lines.setdefault(host.name, []).append(json.dumps(line) + "\n")
