"""The course of a run, once its cluster stands: faults under a workload, then healing and recovery.

The two phases promise different things (as in TigerBeetle's simulator): while faults happen only safety and the
liveness of an eligible majority are asked for; after the last heal the whole cluster must come to agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from splitbrain.core.experiment import Experiment
from splitbrain.core.injector import Injector
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.recorder import Recorder
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.base import Cluster
from splitbrain.units import MS
from splitbrain.workloads.clients import ClientGroup, OperationRecorder
from splitbrain.workloads.observers import Observers
from splitbrain.workloads.opinions import OpinionPollers
from splitbrain.workloads.writers import writers

LOOK_AGAIN_NS = 20 * MS


class Progress(Protocol):
    """Somebody who is told how the run goes."""

    def phase(self, name: str, seconds: float | None = None) -> None:
        """A new phase has begun, of about that length where one is known."""
        ...

    def fault(self, words: str | None) -> None:
        """What the nemesis has in force now."""
        ...

    def watching(self, watch: LeaderView) -> None:
        """Where the nodes' last claims can be read from now on."""
        ...


@dataclass(frozen=True, slots=True)
class RunPhases:
    """Everything a run is made of but its cluster; ``drive`` gives it one."""

    experiment: Experiment
    schedule: Schedule
    progress: Progress
    open_recorder: Callable[[Cluster], Recorder]

    async def drive(self, cluster: Cluster) -> None:
        """Returns when the history is complete and closed; whatever happens, what was recorded stays."""
        experiment = self.experiment
        recorder = self.open_recorder(cluster)
        watch = LeaderView(cluster.nodes, fresh_ns=experiment.bounds.stall_ns // 2)
        crews = self._crews(cluster, recorder, watch)
        injector = Injector(cluster, recorder, watch, experiment.seed, self.progress.fault)
        self.progress.watching(watch)

        async def phases() -> None:
            self.progress.phase("faults", self.schedule.length_ms / 1000)
            await injector.carry_out(self.schedule)
            self.progress.phase("recovery", experiment.patience_ns / 1e9)
            await injector.heal()
            await self._until_agreed(cluster, watch)
            for crew in crews:
                crew.stop()

        try:
            recorder.start_clock()
            await cluster.together(phases(), [job for crew in crews for job in crew.jobs()])
        finally:
            recorder.close()

    def _crews(self, cluster: Cluster, recorder: Recorder, watch: LeaderView) -> Sequence[ClientGroup]:
        """All clients of the workload, those that observe first."""
        desk, experiment = OperationRecorder(recorder, itertools.count()), self.experiment
        observing = Observers(cluster, recorder, desk, watch, experiment.workload)
        polling = [OpinionPollers(cluster, desk, experiment.workload)] if experiment.under_test.opinions else []
        return [observing, *polling, *writers(cluster, desk, watch, experiment)]

    async def _until_agreed(self, cluster: Cluster, watch: LeaderView) -> None:
        """Wait until all nodes have agreed for long enough that a change provoked by the heal would have shown,
        or until the patience is over; then the checkers will say what it was."""
        alarm = cluster.alarm()
        give_up = cluster.now() + self.experiment.patience_ns
        settle_ns = self.experiment.settle_ns
        agreed_since: int | None = None
        while (now := cluster.now()) < give_up:
            if watch.disagreement(now) is not None:
                agreed_since = None
            elif agreed_since is None:
                agreed_since = now
            elif now - agreed_since >= settle_ns:
                return
            await alarm.wait_until(now + LOOK_AGAIN_NS)
