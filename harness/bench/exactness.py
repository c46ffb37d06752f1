"""Accuracy of the exclusivity checker: the overlaps of two leaders it proves, against the ground truth.

In simulation the ground truth is known. An overlap is *proven* if the checker finds its two reigns in the history
alone. ``false`` counts proven overlaps that did not happen, or not in the stated period; these are bugs in the checker
or in the simulation. The share of true overlaps that is proven depends on the observation period and on their length.

``python -m splitbrain.bench.exactness [--seeds 20] [--seconds 60]`` prints the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from random import Random
from statistics import median

from splitbrain.core.experiment import Experiment
from splitbrain.core.simulate import ColumnsRecorder, simulate
from splitbrain.invariants.accuracy import Accuracy, RunWithTruth, compare, total
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.units import MS
from splitbrain.workloads import Workload

PERIODS_MS = (20, 50, 100, 200)
CASES = (
    ("raft-basic", "isolated-leader"),
    ("raft-basic", "partition"),
    ("raft", "isolated-leader"),
    ("raft", "partition"),
    ("raft-lease", "partition"),
)


def experiment(system: str, nemesis: str, seed: int, seconds: float, period_ms: int) -> Experiment:
    """The experiment of a run with five simulated nodes, each observed every ``period_ms``."""
    workload = Workload(observe_period_ms=period_ms, confirm_period_ms=100, canary_period_ms=None)
    return Experiment(
        system=SYSTEMS[system],
        nemesis=(nemesis,),
        runtime="sim",
        nodes=5,
        time_limit_s=seconds,
        seed=seed,
        workload=workload,
    )


def observed(experiment: Experiment, schedule: Schedule) -> RunWithTruth:
    """Carry out an experiment in simulation, and record the true reigns too."""
    recorder, truth = ColumnsRecorder(), Witness()
    simulation = simulate(experiment, schedule, recorder, truth)
    return RunWithTruth(history=recorder.history(), reigns=truth.reigns(simulation.now), zero_ns=START_WITHIN_NS)


def measure(system: str, nemesis: str, period_ms: int, seeds: Iterable[int], seconds: float) -> Accuracy:
    """The accuracy over runs with these seeds."""

    def one(seed: int) -> Accuracy:
        schedule = build((nemesis,), Random(f"{seed}/schedule"), 5, round(seconds * 1000))
        return compare(observed(experiment(system, nemesis, seed, seconds, period_ms), schedule))

    return total(map(one, seeds))


def row(system: str, nemesis: str, period_ms: int, found: Accuracy) -> str:
    """One row of the table as text."""
    share = f"{100 * len(found.proven) / found.true:6.1f}" if found.true else "     -"
    lengths = [f"{median(each) / MS:9.2f}" if each else "        -" for each in (found.proven, found.missed)]
    return (
        f"{system:<11} {nemesis:<16} {period_ms:>6} {found.true:>6} {len(found.proven):>7} {share:>7} "
        f"{found.false:>6} {lengths[0]} {lengths[1]}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 if a false overlap was proven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="number of runs per row")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the fault phase of a run")
    given = parser.parse_args(arguments)
    print(f"{given.seeds} runs of {given.seconds:g} s per row; medians in ms of proven and of missed overlaps")
    print("system      nemesis          period   true  proven  share%  false    median    median")
    false = 0
    for system, nemesis in CASES:
        for period_ms in PERIODS_MS:
            found = measure(system, nemesis, period_ms, range(given.seeds), given.seconds)
            false += found.false
            print(row(system, nemesis, period_ms, found), flush=True)
    return 1 if false else 0


if __name__ == "__main__":
    raise SystemExit(main())
