"""One run from beginning to end: an experiment in, a folder with history, verdicts and report out.

The history is stored before it is judged and the verdict before it is drawn, so that no later step can lose the result
of an earlier one.
"""

from __future__ import annotations

import contextlib
import platform
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from splitbrain import reports
from splitbrain.checkers.history import History
from splitbrain.core import store as stores
from splitbrain.core.experiment import Experiment, refuse_devices
from splitbrain.core.judging import Judged, judge_run, read_history
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.lifecycle import NO_PROGRESS, Progress, carry_out
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.core.store import RunDirectory
from splitbrain.core.stored_system import provenance
from splitbrain.ending import words_of
from splitbrain.errors import EnvironmentFailure, Interrupted, SplitbrainError, UsageError
from splitbrain.names import ALLOW_PRIVILEGED
from splitbrain.nemesis import schedules
from splitbrain.nemesis.nemeses import NemesisError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.base import Say
from splitbrain.runtimes.capabilities import CAPABILITIES, refuse_unsupported, unsupported


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRun:
    """A run in the store, and its judgement."""

    directory: RunDirectory
    judged: Judged

    def as_json(self) -> dict[str, Any]:
        return self.judged.judgement.as_json(str(self.directory.path))


class FailedAfterVerdict(EnvironmentFailure):
    """A run that was judged and failed afterwards: in its tear-down, or while its results were stored or drawn."""

    def __init__(self, words: str, stored: StoredRun) -> None:
        super().__init__(f"{words}; the verdict: {stored.judged.verdict}")
        self.stored = stored


class RunWriter:
    """Writes the folder of one run: its record and schedule at once, then each result as it comes."""

    def __init__(
        self,
        experiment: Experiment,
        schedule: Schedule,
        store: Path,
        *,
        command: str | None = None,
        strict: bool = False,
        notes: Iterable[str] = (),
    ) -> None:
        self.directory = stores.new_run(store, experiment.name, experiment.seed)
        self.command = command or command_of(experiment, schedule, self.directory, strict=strict)
        self._store = store
        self._schedule = schedules.to_json(schedule)
        self._record: dict[str, Any] = {
            **experiment.to_json(),
            **provenance(experiment.system),
            "command": self.command,
            "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": own_versions(),
            "notes": list(notes),
        }
        self._write_record()
        self.directory.write_json(stores.SCHEDULE, self._schedule)

    def add_versions(self, versions: Mapping[str, Any]) -> None:
        self._record["versions"] = {**self._record["versions"], **versions}

    def add_notes(self, notes: Iterable[str]) -> None:
        self._record["notes"] = [*self._record["notes"], *notes]

    def add_durations(self, durations_s: Mapping[str, float]) -> None:
        self._record["durations_s"] = dict(durations_s)

    def store_verdicts(self, judged: Judged) -> StoredRun:
        """Write ``verdicts.json``, and the contract into the record."""
        stored = StoredRun(directory=self.directory, judged=judged)
        self.directory.write_json(stores.VERDICTS, stored.as_json())
        self._record |= judged.contract.as_json()
        self._write_record()
        return stored

    def draw(self, judged: Judged) -> None:
        """Write the report, the plots and the index of the store."""
        draw(StoredRun(directory=self.directory, judged=judged), self._record, self._schedule)
        reports.index(self._store)

    def close(self) -> None:
        """Write the record as it is now, and point ``latest`` to this run."""
        stores.link_latest(self._store, self.directory)
        self._write_record()

    def _write_record(self) -> None:
        self.directory.write_json(stores.EXPERIMENT, self._record)


def perform(
    experiment: Experiment,
    schedule: Schedule,
    store: Path,
    *,
    progress: Progress = NO_PROGRESS,
    say: Say = lambda words: None,
    strict: bool = False,
    privileged: bool = False,
    notes: Iterable[str] = (),
) -> StoredRun:
    """Run, store, judge and draw. Raises SplitbrainError or Interrupted, with a message that names what is kept;
    FailedAfterVerdict holds the judged run.

    ``privileged`` allows the faults of ``Capabilities.privileged``, and devices for nodes. ``notes`` are lines for the
    report.
    """
    experiment.refuse_impossible(schedule)
    refuse_unsupported(schedule, experiment.runtime, privileged)
    refuse_devices(experiment.system, privileged)
    writer = RunWriter(experiment, schedule, store, strict=strict, notes=(*experiment.system.notes, *notes))
    phases = PhaseTimes(progress)
    say(f"seed {experiment.seed}: {writer.command}")
    for note in experiment.system.notes:
        say(f"note: {note}")
    try:
        stored = _perform(experiment, schedule, writer, phases, say, strict)
    except (SplitbrainError, Interrupted) as failure:
        writer.add_notes(str(failure).splitlines())
        if not isinstance(failure, FailedAfterVerdict):
            failure.args = (f"{failure}\n{_kept(writer.directory)}",)
        raise
    finally:
        phases.phase("end")
        writer.add_durations(phases.durations_s)
        with contextlib.suppress(SplitbrainError):  # a full disk has been reported already
            writer.close()
        say(f"again: {writer.command}")
    return stored


def _perform(
    experiment: Experiment, schedule: Schedule, writer: RunWriter, phases: PhaseTimes, say: Say, strict: bool
) -> StoredRun:
    directory = writer.directory
    recorder = Recorder(HistoryFile(directory.history))
    facts = carry_out(experiment, schedule, recorder, logs=directory.logs, progress=phases, say=say)
    writer.add_versions(facts.versions)
    writer.add_notes(facts.problems)
    phases.phase("judging")
    judged = judge_run(_recorded(directory.history), experiment, strict=strict)
    stored = StoredRun(directory=directory, judged=judged)
    try:
        writer.store_verdicts(judged)
        phases.phase("drawing")
        writer.draw(judged)
    except Exception as failure:
        raise FailedAfterVerdict(words_of(failure), stored) from failure
    if facts.problems:
        raise FailedAfterVerdict("\n".join(facts.problems), stored)
    return stored


def _recorded(path: Path) -> History:
    """The history that the run has just written; one that is gone or damaged is no mistake of the user."""
    try:
        return read_history(path)
    except UsageError as wrong:
        raise EnvironmentFailure(f"the run's history was lost before it was judged: {wrong}") from wrong


def command_of(experiment: Experiment, schedule: Schedule, run: RunDirectory, *, strict: bool) -> str:
    """The command that repeats a run: by its seed where that gives the schedule, else by the schedule as stored."""
    options = f" {ALLOW_PRIVILEGED}" if unsupported(schedule, CAPABILITIES[experiment.runtime]) else ""
    options += " --strict" if strict else ""
    with contextlib.suppress(NemesisError):
        if experiment.planned() == schedule:
            return experiment.command + options
    return replay_of(run, experiment.system.name) + options


def replay_of(run: RunDirectory, system: str) -> str:
    """The command that repeats a stored run; a class is named in it, since no record makes ``replay`` import one."""
    named = f" --system {shlex.quote(system)}" if ":" in system else ""
    return f"splitbrain replay {shlex.quote(str(run.path))}{named}"


def own_versions() -> dict[str, Any]:
    """The versions of this program and of the machine that it runs on."""
    return {
        "splitbrain": version("splitbrain"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def draw(stored: StoredRun, record: Mapping[str, Any], schedule: Mapping[str, Any]) -> None:
    """Write the report and the plots of a judged run."""
    reports.render(stored.judged.history, stored.as_json(), dict(record), dict(schedule), stored.directory.path)


def _kept(run: RunDirectory) -> str:
    if run.history.is_file() and run.history.stat().st_size:
        return f"the history so far is kept: splitbrain check {run.path}"
    return f"no history was kept; the record of the run is in {run.path}"


class PhaseTimes:
    """Measures how long each phase of a run takes, and passes its events on to ``progress``."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._name: str | None = None
        self._began = time.monotonic()
        self.durations_s: dict[str, float] = {}

    def phase(self, name: str, seconds: float | None = None) -> None:
        now = time.monotonic()
        if self._name is not None:
            spent = self.durations_s.get(self._name, 0.0) + now - self._began
            self.durations_s[self._name] = round(spent, 3)
        self._name, self._began = name, now
        self._progress.phase(name, seconds)

    def fault(self, words: str | None) -> None:
        self._progress.fault(words)

    def incident(self, words: str) -> None:
        self._progress.incident(words)

    def watching(self, view: LeaderView) -> None:
        self._progress.watching(view)
