"""Carry out the runs of the matrix within a time budget.

A failed run is a row with its reason, and the others go on. When a campaign is interrupted, earlier results are kept.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from math import inf
from multiprocessing import get_context
from pathlib import Path

from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.campaigns.matrix.results import Result, Status, status_of, worst_of
from splitbrain.checkers.verdict import Observed
from splitbrain.core.experiment import Experiment, asked_for, read_schedule
from splitbrain.core.judging import judge_run
from splitbrain.core.run import perform
from splitbrain.core.simulate import history_of
from splitbrain.ending import words_of
from splitbrain.errors import UsageError
from splitbrain.nemesis.nemeses import NemesisError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.capabilities import CAPABILITIES, unsupported
from splitbrain.user_systems.lookup import find_system

OVERHEAD_S = 20.0  # of a container run, beyond its faults: set-up, recovery, tear-down, judging, drawing
SEEDS = 5  # per entry in simulation
OBSERVE_MS = 20  # shorter than usual in simulation, since an unobserved overlap of two leaders does not count

OnResult = Callable[[Result], None]


def campaign(
    entries: Sequence[Entry], seed: int, store: Path, budget_s: float, on_result: OnResult
) -> Iterator[Result]:
    """The results of the entries, those in simulation first; entries beyond the budget are not run."""
    began = time.monotonic()
    simulated = [entry for entry in entries if entry.runtime == "sim"]
    until = time.time() + budget_s
    spawn = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn, initializer=_leave_signals_to_the_parent) as pool:
        for result in pool.map(run_in_simulation, simulated, repeat(seed), repeat(store), repeat(until)):
            on_result(result)
            yield result
    for entry in entries:
        if entry.runtime == "sim":
            continue
        late = time.monotonic() - began + entry.time_limit_s + OVERHEAD_S > budget_s
        result = _not_run(entry) if late else run_on_docker(entry, seed, store)
        on_result(result)
        yield result


def _leave_signals_to_the_parent() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def run_in_simulation(entry: Entry, seed: int, store: Path, until: float = inf) -> Result:
    """Run an entry with several seeds in memory, then store a run of the first seed with the most violations.

    An entry is not begun after ``until`` (as of ``time.time``).
    """
    if time.time() >= until:
        return _not_run(entry)
    began = time.monotonic()
    seeds = [entry.seed] if entry.seed is not None else [seed + k for k in range(SEEDS)]
    try:
        tried = {}
        for each in seeds:
            experiment = experiment_of(entry, each)
            schedule = schedule_of(entry, experiment)
            if missing := unsupported(schedule, CAPABILITIES["sim"]):
                return Result(entry=entry, status="cannot", words=f"the simulation lacks {', '.join(missing)}", runs=0)
            judged = judge_run(history_of(experiment, schedule), experiment)
            tried[each] = judged.judgement.observed
        most = max(seeds, key=lambda each: sum(mark is Observed.VIOLATED for mark in tried[each].values()))
        stored = _stored(entry, experiment_of(entry, most), store)
    except Exception as failure:
        return _failed(entry, failure, began)
    observed = worst_of(tried.values())
    status, words = status_of(stored.promised, observed)
    seconds = round(time.monotonic() - began, 1)
    return replace(stored, status=status, words=words, observed=observed, runs=len(seeds), seconds=seconds)


def run_on_docker(entry: Entry, seed: int, store: Path) -> Result:
    """Run an entry once on containers."""
    began = time.monotonic()
    try:
        experiment = experiment_of(entry, seed if entry.seed is None else entry.seed)
        if missing := unsupported(schedule_of(entry, experiment), CAPABILITIES["docker"]):
            return Result(entry=entry, status="cannot", words=f"containers lack {', '.join(missing)}", runs=0)
        stored = _stored(entry, experiment, store)
    except Exception as failure:
        return _failed(entry, failure, began)
    return replace(stored, seconds=round(time.monotonic() - began, 1))


def experiment_of(entry: Entry, seed: int) -> Experiment:
    """The experiment of an entry. Raises UsageError if it is impossible."""
    return asked_for(
        find_system(entry.system),
        entry.nemesis,
        entry.runtime,
        entry.nodes,
        entry.time_limit_s,
        seed,
        OBSERVE_MS,
        entry.workload,
        limits=entry.limits,
    )


def schedule_of(entry: Entry, experiment: Experiment) -> Schedule:
    """The pinned schedule of the entry, else the one planned from its nemeses and seed."""
    return experiment.planned() if entry.schedule is None else read_schedule(entry.schedule)


def _stored(entry: Entry, experiment: Experiment, store: Path) -> Result:
    stored = perform(experiment, schedule_of(entry, experiment), store)
    promised = stored.judged.contract.promises
    observed = stored.judged.judgement.observed
    status, words = status_of(promised, observed)
    run = stored.directory.path.relative_to(store).as_posix()
    return Result(
        entry=entry,
        status=status,
        words=words,
        promised=promised,
        observed=observed,
        run=run,
        command=f"splitbrain replay {stored.directory.path}",
    )


def _not_run(entry: Entry) -> Result:
    return Result(entry=entry, status="not run", words="time budget used up", runs=0)


def _failed(entry: Entry, failure: Exception, began: float) -> Result:
    status: Status = "cannot" if isinstance(failure, UsageError | NemesisError) else "failed"
    seconds = round(time.monotonic() - began, 1)
    return Result(entry=entry, status=status, words=words_of(failure).splitlines()[0], seconds=seconds, runs=0)
