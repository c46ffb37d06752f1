"""One run in simulation and in memory.

A run equals the one that ``splitbrain test SYSTEM --runtime sim`` makes of the same seed, so a finding of a test can be
examined with the command line, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from splitbrain.checkers.history import History, HistoryEntry
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import Judged
from splitbrain.core.simulate import EntriesRecorder, simulate
from splitbrain.errors import SplitbrainError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.runtime import Log
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.user_systems.judged_run import JudgedRun, no_verdict
from splitbrain.user_systems.node_class import NodeFailure


@dataclass(frozen=True, kw_only=True)
class SimRun(JudgedRun):
    """A run in simulation; ``entries`` are the lines of its history."""

    entries: Sequence[HistoryEntry]

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        schedule: Schedule,
        *,
        strict: bool,
        again: Sequence[str],
        on_broken: Callable[[], object],
    ) -> SimRun:
        """Carry out an experiment. Raises NodeFailure and HarnessFailed."""
        __tracebackhide__ = True
        try:
            entries, history = record(experiment, schedule)
        except SplitbrainError:
            raise
        except Exception as failure:
            raise no_verdict(failure) from failure
        return cls(
            experiment=experiment,
            schedule=schedule,
            history=history,
            entries=entries,
            strict=strict,
            again=tuple(again),
            on_broken=on_broken,
        )

    @cached_property
    def judged(self) -> Judged:
        """The judgement of every property, when it is first asked for."""
        return self.judge()

    def repeat(self) -> Repeat:
        """Run the same again, with logs of the nodes; this exposes a node that depends on more than its seed."""
        log = Log()
        try:
            entries, _ = record(self.experiment, self.schedule, log)
        except NodeFailure as failure:
            return Repeat(log=log, differs_at=0, words=f"a second run fails: {failure}")
        differs_at = _differs_at(self.entries, entries)
        if differs_at is None:
            return Repeat(log=log, differs_at=None, words="a second run is the same, line by line")
        words = (
            f"a second run differs from line {differs_at} on: the node depends on more than its seed (time, random, id)"
        )
        return Repeat(log=log, differs_at=differs_at, words=words)

    def keep(self, store: Path, repeat: Repeat | None = None) -> Path:
        """Store it as the command line stores its runs, with its report; the run's directory.

        The logs are those of ``repeat``, which is made if not given.
        """
        return _keep(self, repeat or self.repeat(), store)

    def afterword(self, store: Path | None) -> str:
        """Whether a second run is the same, and where this one is kept: only a store given keeps it."""
        repeat = self.repeat()
        if store is None:
            return f"{repeat.words}; --splitbrain-store DIR keeps it with a report"
        return f"{repeat.words}\nkept: {self.keep(store, repeat) / 'report.html'}"

    def _entry(self, index: int) -> HistoryEntry:
        return self.entries[index]


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """A run made again: its logs, the first history line that differs (None: none), and that in words."""

    log: Log
    differs_at: int | None
    words: str


def record(
    experiment: Experiment, schedule: Schedule, instrument: Instrument | None = None
) -> tuple[list[HistoryEntry], History]:
    """Carry out an experiment in simulation; its lines and its history. Raises NodeFailure."""
    __tracebackhide__ = True
    recorder = EntriesRecorder()
    try:
        simulate(experiment, schedule, recorder, Witness(), instrument)
    except NodeFailure as failure:
        when = f"{recorder.now() / 1e9:.3f} s from the beginning of the run"
        if not recorder.started:
            when = "before the run began"
        # The message holds the node's part of the traceback; pytest would print all of ours too.
        raise NodeFailure(f"{failure}\nThat was {when}, with seed {experiment.seed}.") from None
    return recorder.entries, History.from_entries(recorder.entries, "memory")


def _differs_at(before: Sequence[HistoryEntry], after: Sequence[HistoryEntry]) -> int | None:
    for at, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return at
    return None if len(before) == len(after) else min(len(before), len(after))


# Keeping it


def _keep(run: SimRun, repeat: Repeat, store: Path) -> Path:
    """Write the same files as a run of the command line has; drawing takes a second or two."""
    from splitbrain.core.recorder import HistoryFile
    from splitbrain.core.run import RunWriter

    notes = [] if repeat.differs_at is None else [repeat.words]
    writer = RunWriter(run.experiment, run.schedule, store, command="; or: ".join(run.again), notes=notes)
    file = HistoryFile(writer.directory.history)
    for entry in run.entries:
        file.write(_json_line(entry))
    file.close()
    repeat.log.write(writer.directory.logs)
    writer.store_verdicts(run.judged)
    writer.draw(run.judged)
    writer.close()
    return writer.directory.path


def _json_line(entry: HistoryEntry) -> bytes:
    """The line as a recorder writes it."""
    value = msgspec.structs.asdict(entry)
    if entry.error is None:
        del value["error"]
    return msgspec.json.encode(value) + b"\n"
