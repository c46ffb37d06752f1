"""A run of an experiment and its judgement: the value that a test of an election works with.

The message of a failure is enough to understand and repeat the run.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from splitbrain.arguments import refused
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.history import History, HistoryEntry
from splitbrain.checkers.judge import ALL_PROMISED, properties
from splitbrain.checkers.judgement import JudgedProperty, Judgement, hold
from splitbrain.checkers.verdict import Outcome
from splitbrain.checkers.words import counted, duration, instant
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import Judged, judge_run
from splitbrain.ending import words_of
from splitbrain.errors import EnvironmentFailure, SplitbrainError, UsageError
from splitbrain.names import did_you_mean
from splitbrain.nemesis import schedules
from splitbrain.nemesis.schedules import Schedule

if TYPE_CHECKING:
    import pandas as pd

GIVEN = ("schedule",)  # stands for the nemesis of a run whose schedule was given
MOST_EVIDENCE = 4
MOST_FAULTS = 8


class BrokenPromise(AssertionError):
    """A property did not hold, or was not known to hold, in ``run``; the message explains it."""

    def __init__(self, words: str, run: JudgedRun) -> None:
        super().__init__(words)
        self.run = run


class HarnessFailed(EnvironmentFailure):
    """The run could not be made or judged: no verdict on the election, and no failure of it."""


def no_verdict(failure: Exception) -> HarnessFailed:
    """The failure of the harness as an exception that says so."""
    return HarnessFailed(f"no verdict on the election: {words_of(failure)}")


@dataclass(frozen=True, kw_only=True)
class JudgedRun(ABC):
    """A run that has ended. ``again`` are the commands that repeat it, as far as they are known.

    ``on_broken`` is called before a ``BrokenPromise`` is raised.
    """

    experiment: Experiment
    schedule: Schedule
    history: History
    strict: bool
    again: tuple[str, ...]
    on_broken: Callable[[], object] = lambda: None

    @property
    @abstractmethod
    def judged(self) -> Judged:
        """The history, the contract it was held to, and the judgement of every property. Raises HarnessFailed."""

    @property
    def judgement(self) -> Judgement:
        return self.judged.judgement

    @property
    def verdict(self) -> str:
        """``valid``, ``unknown`` or ``invalid``: the worst outcome over all properties."""
        return self.judgement.outcome.word

    def found(self, name: str) -> JudgedProperty:
        """The verdict of one property, judged as if the system promised it. Raises UsageError and HarnessFailed."""
        (found,) = self._all_found((name,))
        return found

    def must_hold(self, *names: str) -> None:
        """Raise ``BrokenPromise`` unless each property named is valid; unknown is no pass.

        A property named is held as if promised, since the test asks for it. With none named, every property is
        held to the promises of the system, ``coverage`` (a leader was exposed to a fault) included.
        """
        __tracebackhide__ = True
        judged = self._all_found(names) if names else self.judgement.properties
        broken = [each for each in judged if each.outcome is not Outcome.VALID]
        if broken:
            raise self._broken(self._story(broken))
        if not names and self.judgement.outcome is not Outcome.VALID:
            raise self._broken(f"{self.experiment.system.name}: {self.judgement.words}")

    def to_dataframe(self) -> pd.DataFrame:
        """One row a property, as ``Judged.to_dataframe`` gives it."""
        return self.judged.to_dataframe()

    @abstractmethod
    def afterword(self, store: Path | None) -> str:
        """Lines for the report of a failing test: where the run is kept, or how to keep it in ``store``."""

    @abstractmethod
    def _entry(self, index: int) -> HistoryEntry:
        """The line of the history with that index."""

    def judge(self, only: Collection[str] | None = None) -> Judged:
        """Judge the run; with ``only``, by the properties of those names. Raises HarnessFailed."""
        try:
            return judge_run(self.history, self.experiment, strict=self.strict, only=only)
        except SplitbrainError:
            raise
        except Exception as failure:
            raise no_verdict(failure) from failure

    def _all_found(self, names: Sequence[str]) -> Sequence[JudgedProperty]:
        """The verdicts of these properties, which are judged at once, as if the system promised them."""
        for name in names:
            _check_name(name)
        judgement = self.judge(frozenset(names)).judgement
        for judged in judgement.not_judged:
            raise UsageError(f"the property {judged.name!r} was not judged: {judged.words}")
        return [_as_promised(judgement[name]) for name in names]

    def _broken(self, words: str) -> BrokenPromise:
        self.on_broken()
        return BrokenPromise(words, self)

    def _story(self, broken: Sequence[JudgedProperty]) -> str:
        did_not_hold = "promise that did not hold" if len(broken) == 1 else "promises that did not hold"
        lines = [
            f"{self.experiment.system.name}: {len(broken)} {did_not_hold}, of a run with seed {self.experiment.seed}"
        ]
        for judged in broken:
            lines.append(f"{judged.observed.upper():>9}  {judged.name}: {judged.words}")
            lines += [f"           {_line(self._entry(at))}" for at in judged.found.evidence[:MOST_EVIDENCE]]
        lines.append(f"faults injected into {counted(self.experiment.nodes, 'node')}:")
        lines += [f"           {_act(fault)}" for fault in _hurting(self.history)] or ["           none"]
        if self.experiment.nemesis == GIVEN:
            lines.append(f"schedule.json: {json.dumps(schedules.to_json(self.schedule))}")
        lines += [f"again: {command}" for command in self.again]
        return "\n".join(lines)


def _check_name(name: object) -> None:
    """Raise UsageError for what names no property."""
    if not isinstance(name, str):
        raise refused("the name of a property", "a string", name)
    known = [tested.name for tested in properties()]
    if name not in known:
        expected = f"expected one of {', '.join(known)}"
        raise UsageError(f"there is no property {name!r}: {expected}{did_you_mean(name, known)}")


def _as_promised(judged: JudgedProperty) -> JudgedProperty:
    return hold(judged.found, {guarantee: ALL_PROMISED[guarantee] for guarantee in judged.promises})


def _line(entry: HistoryEntry) -> str:
    """A history line for a reader."""
    value = entry.error if entry.error is not None else entry.value
    said = msgspec.json.encode(value).decode() if value is not None else ""
    return f"line {entry.index}  {instant(entry.time)}  {entry.f} {entry.node or ''}  {entry.type}  {said}"


def _hurting(history: History) -> list[Fault]:
    return [fault for fault in history.faults if fault.f != "heal"][:MOST_FAULTS]


def _act(fault: Fault) -> str:
    words = fault.asked.get("words", fault.shape or fault.f)
    if fault.skipped is not None:
        return f"{instant(fault.begin)}  {words}: skipped, {fault.skipped}"
    took = "" if fault.done is None else f", in effect after {duration(fault.done - fault.begin)}"
    return f"{instant(fault.begin)}  {words}{took}"
