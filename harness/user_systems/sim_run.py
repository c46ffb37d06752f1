"""One run in simulation and in memory, judged: the value that a test of an election works with.

A run equals the one that ``splitbrain test SYSTEM --runtime sim`` makes of the same seed, so a finding of a test can be
examined with the command line, and the other way round. The message of a failure is enough to understand and repeat it.

A system may be given as a name, ``package.module:Name``, a ``System``, or a class or function.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from splitbrain.arguments import names, number, refused, typed, whole
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.history import History, HistoryEntry
from splitbrain.checkers.judge import ALL_PROMISED
from splitbrain.checkers.judgement import JudgedProperty, Judgement, hold
from splitbrain.checkers.verdict import Outcome
from splitbrain.checkers.words import counted, duration, instant
from splitbrain.core.experiment import Experiment, asked_for
from splitbrain.core.judging import Judged, judge_run
from splitbrain.core.simulate import EntriesRecorder, simulate
from splitbrain.ending import words_of
from splitbrain.errors import EnvironmentFailure, SplitbrainError, UsageError
from splitbrain.nemesis import schedules
from splitbrain.nemesis.nemeses import NemesisError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.capabilities import refuse_unsupported
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.runtime import Log
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.node_class import NodeFailure, name_of, system_of
from splitbrain.workloads import Kind

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 20.0
PERIOD_MS = 100  # between two observations of a node, and between two confirmations asked of it
GIVEN = ("schedule",)  # stands for the nemesis of a run whose schedule was given
MOST_EVIDENCE = 4
MOST_FAULTS = 8


class BrokenPromise(AssertionError):
    """A property did not hold, or was not known to hold, in the run ``trial``; the message explains it."""

    def __init__(self, words: str, trial: SimRun) -> None:
        super().__init__(words)
        self.trial = trial


class HarnessFailed(EnvironmentFailure):
    """The run could not be made or judged: no verdict on the election, and no failure of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimRun:
    """A run and its judgement. ``again`` are the commands that repeat it, as far as they are known."""

    experiment: Experiment
    schedule: Schedule
    history: History
    entries: Sequence[HistoryEntry]
    judged: Judged
    again: tuple[str, ...]

    @property
    def judgement(self) -> Judgement:
        return self.judged.judgement

    @property
    def verdict(self) -> str:
        """``valid``, ``unknown`` or ``invalid``: the worst outcome over all properties."""
        return self.judgement.outcome.word

    def found(self, name: str) -> JudgedProperty:
        """The verdict of one property, judged as if the system promised it. Raises UsageError."""
        if not isinstance(name, str):
            raise refused("the name of a property", "a string", name)
        for judged in self.judgement.not_judged:
            if judged.name == name:
                raise UsageError(f"the property {name!r} was not judged: {judged.words}")
        known = {judged.name: judged for judged in self.judgement.properties}
        if name not in known:
            raise UsageError(f"there is no property {name!r}: expected one of {', '.join(known)}")
        judged = known[name]
        return hold(judged.found, {guarantee: ALL_PROMISED[guarantee] for guarantee in judged.promises})

    def must_hold(self, *names: str) -> None:
        """Raise ``BrokenPromise`` unless each property named is valid; unknown is no pass.

        A property named is held as if promised, since the test asks for it. With none named, every property is
        held to the promises of the system, ``coverage`` (a leader was exposed to a fault) included.
        """
        __tracebackhide__ = True
        judged = [self.found(name) for name in names] if names else list(self.judgement.properties)
        broken = [each for each in judged if each.outcome is not Outcome.VALID]
        if broken:
            raise BrokenPromise(self._story(broken), self)
        if not names and self.judgement.outcome is not Outcome.VALID:
            raise BrokenPromise(f"{self.experiment.system.name}: {self.judgement.words}", self)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a property, as ``Judged.to_dataframe`` gives it."""
        return self.judged.to_dataframe()

    def repeat(self) -> Repeat:
        """Run the same again, with logs of the nodes; this exposes a node that depends on more than its seed."""
        log = Log()
        try:
            entries, _ = _record(self.experiment, self.schedule, log)
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

    def _story(self, broken: Sequence[JudgedProperty]) -> str:
        did_not_hold = "promise that did not hold" if len(broken) == 1 else "promises that did not hold"
        lines = [
            f"{self.experiment.system.name}: {len(broken)} {did_not_hold}, of a run with seed {self.experiment.seed}"
        ]
        for judged in broken:
            lines.append(f"{judged.observed.upper():>9}  {judged.name}: {judged.words}")
            lines += [f"           {_line(self.entries[at])}" for at in judged.found.evidence[:MOST_EVIDENCE]]
        lines.append(f"faults injected into {counted(self.experiment.nodes, 'node')}:")
        lines += [f"           {_act(fault)}" for fault in _hurting(self.history)] or ["           none"]
        if self.experiment.nemesis == GIVEN:
            lines.append(f"schedule.json: {json.dumps(schedules.to_json(self.schedule))}")
        lines += [f"again: {command}" for command in self.again]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """A run made again: its logs, the first history line that differs (None: none), and that in words."""

    log: Log
    differs_at: int | None
    words: str


def run(
    system: object,
    *,
    nodes: int = 5,
    nemesis: str | Sequence[str] | None = None,
    schedule: Schedule | None = None,
    seconds: float | None = None,
    seed: int = 0,
    observe_period_ms: int = PERIOD_MS,
    workload: Kind = "election",
    strict: bool = False,
    again: Sequence[str] = (),
) -> SimRun:
    """Run ``system`` on that many nodes, with that many seconds of faults (20 if not given), and judge it.

    The faults are those of a ``nemesis`` ("partition"; or several, with commas or as a sequence), or of a ``schedule``,
    which has a length. ``workload`` is one of ``workloads.KINDS``. ``strict``: a known weakness that was
    not shown is invalid. ``again`` are commands that a failure's message shows. Raises UsageError for impossible
    arguments, NodeFailure where a node of a user's class breaks, and HarnessFailed where the harness does.
    """
    __tracebackhide__ = True
    typed(bool, "strict", strict, "True or False")
    experiment, planned = _plan(system, nodes, nemesis, schedule, seconds, seed, observe_period_ms, workload)
    try:
        entries, history = _record(experiment, planned)
        judged = judge_run(history, experiment, strict=strict)
    except SplitbrainError:
        raise
    except Exception as failure:
        raise HarnessFailed(f"no verdict on the election: {words_of(failure)}") from failure
    option = " --strict" if strict else ""
    return SimRun(
        experiment=experiment,
        schedule=planned,
        history=history,
        entries=entries,
        judged=judged,
        again=(*again, *(f"{each}{option}" for each in _command(experiment, system, schedule, observe_period_ms))),
    )


# Before


def _plan(
    target: object,
    nodes: int,
    nemesis: str | Sequence[str] | None,
    schedule: Schedule | None,
    seconds: float | None,
    seed: int,
    period_ms: int,
    kind: Kind,
) -> tuple[Experiment, Schedule]:
    if schedule is not None and (nemesis is not None or seconds is not None):
        raise UsageError("a schedule has faults and a length: give no nemesis and no seconds beside it")
    experiment = asked_for(
        _system(target),
        _names(nemesis) if schedule is None else GIVEN,
        "sim",
        whole("nodes", nodes),
        _seconds(seconds) if schedule is None else _length_s(schedule),
        whole("seed", seed),
        whole("observe_period_ms", period_ms),
        kind,
        place=str,
    )
    try:
        planned = schedule or experiment.planned()
    except NemesisError as wrong:
        raise UsageError(f"nemesis: {wrong}") from wrong
    experiment.refuse_impossible(planned)
    refuse_unsupported(planned, "sim")
    return experiment, planned


def _system(target: object) -> System:
    if isinstance(target, str):
        return find_system(target)
    if isinstance(target, System) and SYSTEMS.get(target.name) is target:
        return target
    return system_of(target, name_of(target))


def _names(nemesis: str | Sequence[str] | None) -> tuple[str, ...]:
    if nemesis is None:
        return ("partition",)
    return names("nemesis", nemesis.split(",") if isinstance(nemesis, str) else nemesis)


def _seconds(given: float | None) -> float:
    limit = SECONDS if given is None else number("seconds", given)
    if not 0 < limit <= 86_400:
        raise UsageError(f"seconds: expected more than 0 and at most 86400, got {limit:g}")
    return limit


def _length_s(schedule: Schedule) -> float:
    return typed(Schedule, "schedule", schedule, "a splitbrain.Schedule").length_ms / 1000


def _command(experiment: Experiment, target: object, schedule: Schedule | None, period_ms: int) -> tuple[str, ...]:
    """The command line that makes the same run, where one can: it needs a name."""
    if not _can_be_named(experiment.system.name, target):
        return ()
    if schedule is None:
        return (experiment.command,)
    if period_ms != PERIOD_MS:
        return ()
    return (
        f"splitbrain replay schedule.json --system {experiment.system.name} --runtime sim "
        f"--nodes {experiment.nodes} --seed {experiment.seed}{experiment.workload.option}",
    )


def _can_be_named(name: str, target: object) -> bool:
    """True if the command line finds the system under that name from the current directory."""
    if isinstance(target, str) or name in SYSTEMS:
        return True
    module, _, attribute = name.partition(":")
    place = Path.cwd().joinpath(*module.split("."))
    named = all(part.isidentifier() for part in attribute.split("."))
    return named and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


# The run


def _record(
    experiment: Experiment, schedule: Schedule, instrument: Instrument | None = None
) -> tuple[list[HistoryEntry], History]:
    __tracebackhide__ = True
    recorder = EntriesRecorder()
    try:
        simulate(experiment, schedule, recorder, instrument)
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


# In words


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


# Keeping it


def _keep(trial: SimRun, repeat: Repeat, store: Path) -> Path:
    """Write the same files as a run of the command line has; drawing takes a second or two."""
    from splitbrain.core.recorder import HistoryFile
    from splitbrain.core.run import RunWriter

    notes = [] if repeat.differs_at is None else [repeat.words]
    writer = RunWriter(trial.experiment, trial.schedule, store, command="; or: ".join(trial.again), notes=notes)
    file = HistoryFile(writer.directory.history)
    for entry in trial.entries:
        file.write(_json_line(entry))
    file.close()
    repeat.log.write(writer.directory.logs)
    writer.store_verdicts(trial.judged)
    writer.draw(trial.judged)
    writer.close()
    return writer.directory.path


def _json_line(entry: HistoryEntry) -> bytes:
    """The line as a recorder writes it."""
    value = msgspec.structs.asdict(entry)
    if entry.error is None:
        del value["error"]
    return msgspec.json.encode(value) + b"\n"
