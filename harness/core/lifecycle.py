"""The phases of a run on a cluster that is up: warm-up, faults under a workload, then healing and recovery.

The times of a schedule count from the beginning of the run, so a warm-up that is over before its first fault delays
nothing; otherwise the whole schedule comes later. The other phases promise different things (as in TigerBeetle's
simulator): while faults are injected only safety and the liveness of an eligible majority are expected; after the last
heal the whole cluster must come to agree.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from splitbrain.checkers.incidents import what_happened
from splitbrain.core.experiment import Experiment, cluster_of
from splitbrain.core.injector import Injector
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.recorder import Recorder
from splitbrain.core.warm_up import until_led
from splitbrain.errors import EnvironmentFailure
from splitbrain.names import COMPLETE, RUN, SIMULATION, WATCHER, WITNESSED
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes import runtime_named
from splitbrain.runtimes.base import Cluster, Facts, Incident, Say, Tell
from splitbrain.units import MS
from splitbrain.workloads.clients import ClientGroup, OperationRecorder
from splitbrain.workloads.observers import Observers
from splitbrain.workloads.opinions import OpinionPollers
from splitbrain.workloads.writers import writers

LOOK_AGAIN_NS = 20 * MS


class Progress(Protocol):
    """Shows how a run goes."""

    def phase(self, name: str, seconds: float | None = None) -> None:
        """A phase has begun, of about that length where one is known."""
        ...

    def fault(self, words: str | None) -> None:
        """The faults in force have changed; None when there are none."""
        ...

    def incident(self, words: str) -> None:
        """Something has happened to a node that no fault asked for."""
        ...

    def watching(self, view: LeaderView) -> None:
        """The latest claims of the nodes can be read from ``view`` from now on."""
        ...


class NoProgress:
    """Shows nothing."""

    def phase(self, name: str, seconds: float | None = None) -> None: ...

    def fault(self, words: str | None) -> None: ...

    def incident(self, words: str) -> None: ...

    def watching(self, view: LeaderView) -> None: ...


NO_PROGRESS = NoProgress()


def carry_out(
    experiment: Experiment, schedule: Schedule, recorder: Recorder, *, logs: Path, progress: Progress, say: Say
) -> Facts:
    """Carry out an experiment in its runtime and record its history; logs of nodes go to the folder ``logs``.

    However the run ends, the recorder is closed and holds all that happened until then. Raises EnvironmentFailure and
    Interrupted.
    """

    async def work(cluster: Cluster) -> None:
        await run_phases(cluster, experiment, schedule, recorder, progress)

    run = runtime_named(experiment.runtime)
    try:
        return run(cluster_of(experiment, schedule), work, logs, say, progress.phase)
    finally:
        recorder.close()


async def run_phases(
    cluster: Cluster,
    experiment: Experiment,
    schedule: Schedule,
    recorder: Recorder,
    progress: Progress = NO_PROGRESS,
) -> None:
    """Run all phases; returns when the history is complete. Raises what ``until_led`` raises."""
    recorder.start_clock(cluster.now)
    view = LeaderView(cluster.nodes, fresh_ns=experiment.bounds.stall_ns // 2)
    tell = _tell(recorder, progress)
    groups = [cluster.watch(tell), *_clients(cluster, experiment, recorder, view)]
    injector = Injector(cluster, recorder, view, experiment.seed, progress.fault)
    progress.watching(view)

    async def phases() -> None:
        progress.phase("warm-up")
        await injector.keep_disks(schedule)
        began = cluster.now()
        await until_led(cluster, experiment, view, recorder)
        progress.phase("faults", schedule.length_ms / 1000)
        await injector.carry_out(schedule, _start(schedule, began, cluster.now()))
        progress.phase("recovery", experiment.patience_ns / 1e9)
        await injector.heal()
        await _until_agreed(cluster, experiment, view)
        for group in groups:
            group.stop()

    try:
        await cluster.run_all(phases(), [job for group in groups for job in group.jobs()])
        recorder.note(RUN, COMPLETE, None, None)
    finally:
        recorder.stop_clock()
        with contextlib.suppress(EnvironmentFailure):  # the tear-down reads the logs too, and says what failed
            for incident in await cluster.crashes_logged():
                tell(incident)
        _record_witnessed(cluster, recorder)


def _record_witnessed(cluster: Cluster, recorder: Recorder) -> None:
    """Record what was seen inside the nodes, if that can be seen."""
    if (facts := cluster.witnessed()) is not None:
        recorder.note(SIMULATION, WITNESSED, None, None)
        for each in facts:
            at = {name: recorder.since_start(instant) for name, instant in each.at.items()}
            recorder.note(each.node, each.f, None, {**at, **each.facts})


def _start(schedule: Schedule, began: int, now: int) -> int:
    """The instant from which the schedule's times count, so that its first fault comes ``now`` or later."""
    first_ms = schedule.steps[0].at_ms if schedule.steps else schedule.length_ms
    return max(began, now - first_ms * MS)


def _tell(recorder: Recorder, progress: Progress) -> Tell:
    """Record each incident at once, and show it, unless the nemesis caused it or the last of its node was the same."""
    last: dict[str, str | None] = {}

    def tell(incident: Incident) -> None:
        facts = {"at": recorder.since_start(incident.at), **incident.facts}
        recorder.note(WATCHER, incident.f, incident.node, facts)
        words = what_happened(incident.node, incident.f, facts)
        if words is not None and words != last.get(incident.node):
            progress.incident(words)
        last[incident.node] = words

    return tell


def _clients(cluster: Cluster, experiment: Experiment, recorder: Recorder, view: LeaderView) -> Sequence[ClientGroup]:
    """All clients of the workload, the observers first."""
    operations, workload = OperationRecorder(recorder, itertools.count()), experiment.workload
    asked_to_confirm = cluster.nodes if experiment.system.confirms else ()
    observers = Observers(cluster, recorder, operations, view, workload, asked_to_confirm)
    pollers = [OpinionPollers(cluster, operations, workload)] if "opinions" in experiment.system.features else []
    return [observers, *pollers, *writers(cluster, operations, view, workload, experiment.seed)]


async def _until_agreed(cluster: Cluster, experiment: Experiment, view: LeaderView) -> None:
    """Wait until all nodes have agreed for long enough that a change provoked by the heal would have shown.

    Gives up after the longest recovery phase; the checkers will then tell the reason.
    """
    alarm = cluster.alarm()
    give_up = cluster.now() + experiment.patience_ns
    agreed_since: int | None = None
    while (now := cluster.now()) < give_up:
        if view.disagreement(now) is not None:
            agreed_since = None
        elif agreed_since is None:
            agreed_since = now
        elif now - agreed_since >= experiment.settle_ns:
            return
        await alarm.wait_until(now + LOOK_AGAIN_NS)
