"""Experiments carried out in simulation and in memory: no files, and instruments that see inside the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from splitbrain.checkers.history import History, HistoryEntry, UncheckedRecording
from splitbrain.core.experiment import Experiment, cluster_of
from splitbrain.core.lifecycle import run_phases
from splitbrain.core.recorder import Process, Recorder
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.base import Cluster
from splitbrain.runtimes.sim import runtime as sim
from splitbrain.runtimes.sim.instruments import Instrument, Instruments
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.runtimes.sim.witness import Witness


def simulate(
    experiment: Experiment,
    schedule: Schedule,
    recorder: Recorder,
    witness: Witness | None = None,
    instrument: Instrument | None = None,
) -> Simulation:
    """Carry out an experiment in simulation; the simulation as it stands at the end.

    What ``witness`` sees inside the nodes is recorded too, as in a run that is stored. ``instrument`` only watches.
    """

    async def work(cluster: Cluster) -> None:
        await run_phases(cluster, experiment, schedule, recorder)

    watching = [each for each in (witness, instrument) if each is not None]
    simulation = sim.make(cluster_of(experiment, schedule), Instruments(*watching) if watching else None)
    sim.drive(simulation, work, witness)
    return simulation


def history_of(experiment: Experiment, schedule: Schedule) -> History:
    """The history of an experiment carried out in simulation."""
    recorder = ColumnsRecorder()
    simulate(experiment, schedule, recorder, Witness())
    return recorder.history()


class ColumnsRecorder(Recorder):
    """Packs lines into columns: to JSON and back would take as long as all the clients do."""

    def __init__(self) -> None:
        super().__init__(_Nowhere())
        self._columns = UncheckedRecording()

    def history(self) -> History:
        """The recorded history; call it once, at the end."""
        return History.from_recording(self._columns, "memory")

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

    def start_clock(self, now: Callable[[], int]) -> None:
        super().start_clock(now)
        self._virtual = now

    def _time(self) -> int:
        self.lines += 1
        self._last = time = self._virtual() - self._zero  # virtual time never goes back
        return time


class EntriesRecorder(Recorder):
    """Keeps every line as an entry, so that single lines can be looked at."""

    def __init__(self) -> None:
        super().__init__(_Nowhere())
        self.entries: list[HistoryEntry] = []

    def _write(self, process: Process, kind: Any, f: str, node: str | None, value: Any, error: str | None) -> int:
        time = self._last = self.now()
        self.entries.append(HistoryEntry(self.lines, time, process, kind, f, node, value, error))
        self.lines += 1
        return time


class _Nowhere:
    """A sink of recorders that write no lines."""

    def write(self, line: bytes, /) -> None:
        raise AssertionError("a recorder in memory writes no lines")

    def close(self) -> None:
        """Nothing is open."""
