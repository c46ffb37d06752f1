"""Carry out the runs of the matrix within a time budget.

A failed run is a row with its reason, and the others go on. When a campaign is interrupted, earlier results are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.campaigns.matrix.results import Result, Status, guarantees_seen, status_of, worst_of
from splitbrain.core.experiment import Experiment, asked_for, read_schedule
from splitbrain.core.judging import judge_run
from splitbrain.core.run import perform
from splitbrain.core.simulate import history_of
from splitbrain.errors import SplitbrainError, UsageError
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
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for result in pool.map(run_in_simulation, simulated, [seed] * len(simulated), [store] * len(simulated)):
            on_result(result)
            yield result
    for entry in entries:
        if entry.runtime == "sim":
            continue
        spent = time.monotonic() - began
        if spent + entry.time_limit_s + OVERHEAD_S > budget_s:
            result = Result(entry=entry, status="not run", words="time budget used up", runs=0)
        else:
            result = run_on_docker(entry, seed, store)
        on_result(result)
        yield result


def run_in_simulation(entry: Entry, seed: int, store: Path) -> Result:
    """Run an entry with several seeds in memory, then store a run of the first seed with the most violations."""
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
            tried[each] = guarantees_seen(judged.judgement.as_json())
        most = max(seeds, key=lambda each: sum(mark == "broken" for mark in tried[each].values()))
        stored = _stored(entry, experiment_of(entry, most), store)
    except (SplitbrainError, NemesisError) as failure:
        return _failed(entry, failure, began)
    seen = worst_of(tried.values())
    status, words = status_of(stored.promised, seen)
    return replace(
        stored, status=status, words=words, seen=seen, runs=len(seeds), seconds=round(time.monotonic() - began, 1)
    )


def run_on_docker(entry: Entry, seed: int, store: Path) -> Result:
    """Run an entry once on containers."""
    began = time.monotonic()
    try:
        experiment = experiment_of(entry, seed if entry.seed is None else entry.seed)
        if missing := unsupported(schedule_of(entry, experiment), CAPABILITIES["docker"]):
            return Result(entry=entry, status="cannot", words=f"containers lack {', '.join(missing)}", runs=0)
        stored = _stored(entry, experiment, store)
    except (SplitbrainError, NemesisError) as failure:
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
    )


def schedule_of(entry: Entry, experiment: Experiment) -> Schedule:
    """The pinned schedule of the entry, else the one planned from its nemeses and seed."""
    return experiment.planned() if entry.schedule is None else read_schedule(entry.schedule)


def _stored(entry: Entry, experiment: Experiment, store: Path) -> Result:
    stored = perform(experiment, schedule_of(entry, experiment), store)
    promised = stored.judged.contract.promises
    seen = guarantees_seen(stored.as_json())
    status, words = status_of(promised, seen)
    run = stored.directory.path.relative_to(store).as_posix()
    return Result(
        entry=entry,
        status=status,
        words=words,
        promised=promised,
        seen=seen,
        run=run,
        command=f"splitbrain replay {stored.directory.path}",
    )


def _failed(entry: Entry, failure: Exception, began: float) -> Result:
    status: Status = "cannot" if isinstance(failure, UsageError | NemesisError) else "failed"
    seconds = round(time.monotonic() - began, 1)
    return Result(entry=entry, status=status, words=str(failure).splitlines()[0], seconds=seconds, runs=0)
