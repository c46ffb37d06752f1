"""One run on containers, kept in a store as the command line keeps its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from splitbrain.checkers.history import HistoryEntry
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import Judged
from splitbrain.core.run import StoredRun, command_of, perform
from splitbrain.nemesis.schedules import Schedule
from splitbrain.user_systems.judged_run import JudgedRun


@dataclass(frozen=True, kw_only=True)
class ContainerRun(JudgedRun):
    """A run on containers, as ``stored``."""

    stored: StoredRun

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        schedule: Schedule,
        store: Path,
        *,
        strict: bool,
        again: Sequence[str],
        on_broken: Callable[[], object],
    ) -> ContainerRun:
        """Carry out an experiment and keep it in ``store``. Raises EnvironmentFailure, if no engine answers for one."""
        __tracebackhide__ = True
        stored = perform(experiment, schedule, store, strict=strict)
        return cls(
            experiment=experiment,
            schedule=schedule,
            history=stored.judged.history,
            stored=stored,
            strict=strict,
            again=(*again, command_of(experiment, schedule, stored.directory, strict=strict)),
            on_broken=on_broken,
        )

    @property
    def judged(self) -> Judged:
        return self.stored.judged

    def afterword(self, store: Path | None) -> str:
        """The place of the report."""
        return f"kept: {self.stored.directory.report}"

    def _entry(self, index: int) -> HistoryEntry:
        with self.stored.directory.history.open("rb") as lines:
            return msgspec.json.decode(next(islice(lines, index, None)), type=HistoryEntry)
