"""The simulated runtime: runs a coroutine in virtual time against a cluster that exists only in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from splitbrain.nodes.protocol import Effect, Followed, Json, Led, Node
from splitbrain.nodes.wall import OnWallClock
from splitbrain.runtimes.base import ClusterSpec, Facts, Say, Work
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument, Instruments, describe
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS, Simulation
from splitbrain.runtimes.sim.witness import Witness


def run(spec: ClusterSpec, work: Work, logs: Path, say: Say, phase: Callable[[str], None] = lambda name: None) -> Facts:
    """One run in simulation, as ``runtimes.base.Runtime`` describes; a signal ends it at once."""
    phase("set-up")
    log, witness = Log(), Witness()
    simulation = make(spec, Instruments(log, witness))
    problems: tuple[str, ...] = ()
    try:
        drive(simulation, work, witness)
    finally:
        phase("tear-down")
        try:
            log.write(logs)
        except OSError as failure:  # the run itself, or why it failed, is worth more than its logs
            problems = (f"{logs}: the nodes' logs cannot be kept: {failure.strerror}",)
            say(problems[0])
    return Facts(versions={"simulated_s": round(simulation.now / 1e9, 3)}, problems=problems)


def make(spec: ClusterSpec, instrument: Instrument | None = None) -> Simulation:
    """The cluster of that specification; its nodes are down."""
    system = spec.system
    simulation: Simulation

    def on_wall_clock(
        id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        host = simulation.hosts[id]
        return OnWallClock(system.make_node(id, peers, rng, boot, state), lambda: host.wall.read(host.true_now))

    simulation = Simulation(
        spec.seed,
        spec.nodes,
        on_wall_clock if "wall-clock" in system.features else system.make_node,
        servers=spec.servers,
        make_server=system.make_server if system.servers else None,
        instrument=instrument,
    )
    return simulation


def drive(simulation: Simulation, work: Work, witness: Witness | None = None) -> None:
    """Start the nodes and run ``work`` to its end; the cluster knows what ``witness``, one of its instruments, saw."""
    simulation.start()
    simulation.run_until(START_WITHIN_NS)
    simulation.kernel.run(work(SimCluster(simulation, witness)))


class Log(Instrument):
    """The logs that the nodes would have written: one JSON object a line, in true time."""

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
        self._note(host, {"event": "raised", "error": describe(failure)})

    def write(self, folder: Path) -> None:
        """Write one file for each node that logged anything."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in self._lines.items():
            (folder / f"{name}.log").write_text("".join(lines))

    def _note(self, host: Host, facts: dict[str, Any]) -> None:
        line = {"at": host.true_now, "id": host.name, **facts}
        self._lines.setdefault(host.name, []).append(json.dumps(line) + "\n")
