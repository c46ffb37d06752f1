"""One run from beginning to end: experiment in, a folder with history, verdicts and report out.

The history is stored before it is judged and the verdict before it is drawn, so that no later step can lose the
fruit of an earlier one.
"""

from __future__ import annotations

import contextlib
import platform
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from splitbrain import reports
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.judge import ALL_PROMISED, Judgement, judge
from splitbrain.core import store as stores
from splitbrain.core.experiment import Experiment, system_named
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.lifecycle import Progress, RunPhases
from splitbrain.core.promises import bounds_json, bounds_of, cells_of, exercised, promises_of, promises_to_writers
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.core.store import RunDirectory
from splitbrain.errors import EnvironmentFailure, Interrupted, SplitbrainError, UsageError
from splitbrain.nemesis import schedules
from splitbrain.nemesis.nemeses import NemesisError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes import runtime_named
from splitbrain.runtimes.base import (
    ALLOW_PRIVILEGED,
    CAPABILITIES,
    Cluster,
    Facts,
    Say,
    refuse_unsupported,
    unsupported,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A run and what was found in it. ``run`` is None for a bare history."""

    run: RunDirectory | None
    history: History
    judgement: Judgement

    def as_json(self) -> dict[str, Any]:
        return self.judgement.as_json(None if self.run is None else str(self.run.path))


class Stopwatch:
    """Times the phases of a run, and passes them on."""

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

    def watching(self, watch: LeaderView) -> None:
        self._progress.watching(watch)


def perform(
    experiment: Experiment,
    schedule: Schedule,
    store: Path,
    progress: Progress,
    say: Say,
    strict: bool,
    privileged: bool = False,
) -> Judged:
    """Run, store, judge and draw. Raises SplitbrainError, whose message then names what is kept, and where.

    ``privileged`` allows what takes more of the machine than usual (``Capabilities.privileged``).
    """
    refuse_unsupported(schedule, experiment.runtime, privileged)
    run = stores.new_run(store, experiment.name, experiment.seed)
    watch = Stopwatch(progress)
    command = _command(experiment, schedule, run)
    say(f"seed {experiment.seed}: {command}")
    record = {
        **experiment.to_json(),
        "command": command,
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": own_versions(),
    }
    run.write_json(stores.EXPERIMENT, record)
    run.write_json(stores.SCHEDULE, schedules.to_json(schedule))
    try:
        facts = _run(experiment, schedule, run, watch, say)
        record |= {"versions": {**own_versions(), **facts.versions}, "notes": list(facts.problems)}
        watch.phase("judging")
        judged = judge_run(run, record, strict)
        watch.phase("drawing")
        draw(judged, record, schedules.to_json(schedule), store)
        if facts.problems:
            raise EnvironmentFailure("\n".join((*facts.problems, f"the verdict: {judged.judgement.outcome.word}")))
    except (SplitbrainError, Interrupted) as failure:
        record["notes"] = str(failure).splitlines()
        failure.args = (f"{failure}\n{_what_is_kept(run)}",)
        raise
    finally:
        watch.phase("end")
        with contextlib.suppress(SplitbrainError):  # a full disk has been said already
            stores.link_latest(store, run)
            run.write_json(stores.EXPERIMENT, {**record, "durations_s": watch.durations_s})
        say(f"again: {command}")
    return judged


def _command(experiment: Experiment, schedule: Schedule, run: RunDirectory) -> str:
    """What makes the run again: its seed, where that plans the schedule, else the schedule as it is kept."""
    option = f" {ALLOW_PRIVILEGED}" if unsupported(schedule, CAPABILITIES[experiment.runtime]) else ""
    with contextlib.suppress(NemesisError):
        if experiment.planned() == schedule:
            return experiment.command + option
    return f"splitbrain replay {run.path}{option}"


def _run(experiment: Experiment, schedule: Schedule, run: RunDirectory, watch: Stopwatch, say: Say) -> Facts:
    def open_recorder(cluster: Cluster) -> Recorder:
        return Recorder(HistoryFile(run.history), cluster.now)

    return runtime_named(experiment.runtime)(RunPhases(experiment, schedule, watch, open_recorder), run.logs, say)


def _what_is_kept(run: RunDirectory) -> str:
    if run.history.is_file() and run.history.stat().st_size:
        return f"the history so far is kept: splitbrain check {run.path}"
    return f"nothing had been recorded yet; what is known of the run is in {run.path}"


def own_versions() -> dict[str, Any]:
    return {
        "splitbrain": version("splitbrain"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def judge_run(run: RunDirectory, record: dict[str, Any], strict: bool) -> Judged:
    """Judge a run by what its own record says was run, and store the verdicts. Adds to ``record`` the promises
    and bounds that it was held against, for the report."""
    system = record.get("system")
    judged = replace(judge_history(run.history, str(system) if system else None, strict, record), run=run)
    run.write_json(stores.VERDICTS, judged.as_json())
    return judged


def judge_history(path: Path, system: str | None, strict: bool, record: dict[str, Any]) -> Judged:
    """Judge a history by what ``system`` promises under the faults it holds; with None, all is promised."""
    history = read_history(path)
    if system is None:
        return Judged(None, history, judge(history, ALL_PROMISED, Bounds(), strict))
    under_test = system_named(system)
    bounds = bounds_of(under_test, record.get("node_names", ()), record.get("server_names", ()))
    cells = cells_of(exercised(history.faults), under_test)
    promises = promises_to_writers(promises_of(under_test, cells), record.get("workload", {}).get("kind", "election"))
    record |= {"promises": promises, "cells": list(cells), "bounds": bounds_json(bounds)}
    return Judged(None, history, judge(history, promises, bounds, strict))


def read_history(path: Path) -> History:
    """Raises UsageError naming the line that is malformed."""
    try:
        return History.read(path)
    except HistoryError as wrong:
        raise UsageError(str(wrong)) from wrong
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure


def draw(judged: Judged, record: dict[str, Any], schedule: dict[str, Any], store: Path | None) -> None:
    """Write the report and the plots of a judged run, and the store's index."""
    assert judged.run is not None
    reports.render(judged.history, judged.as_json(), record, schedule, judged.run.path)
    if store is not None:
        reports.index(store)
