"""How good the verdict on two leaders is: what observations prove, against what really was.

In simulation the truth is known. An overlap is *proven* if the exclusivity checker names its two reigns, from the
history alone. A proven overlap that did not happen, or not in the stretch that was named, would be a bug of the
checker or of the simulation: ``false`` counts them. The share of true overlaps that is proven depends on how often
nodes are asked, and how long overlaps are.

``python -m splitbrain.bench.exactness [--seeds 20] [--seconds 60]`` prints the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from splitbrain.checkers import exclusivity
from splitbrain.checkers.history import History
from splitbrain.core.experiment import Experiment
from splitbrain.core.simulate import ColumnsRecorder, simulate
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.sim.ground_truth import GroundTruth, Overlap, TrueReign, overlaps
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
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

Pair = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The recorded history of a run, and its true reigns.

    ``reigns`` are in true time; the history's clock began at ``zero_ns`` of it.
    """

    history: History
    reigns: tuple[TrueReign, ...]
    zero_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One history against its truth. Lengths are those of true overlaps, in ns."""

    proven: tuple[int, ...]
    missed: tuple[int, ...]
    false: int

    @property
    def true(self) -> int:
        return len(self.proven) + len(self.missed)


def compare(outcome: Outcome) -> Compared:
    """What the history of a run proves, against what was."""
    true = {_pair(each): each for each in overlaps(outcome.reigns)}
    verdict = exclusivity.check(outcome.history)
    proven: set[Pair] = set()
    false = 0
    for finding in verdict.findings:
        pair = frozenset(zip(finding.nodes, finding.facts["reigns"], strict=True))
        real = true.get(pair)
        if real is None or not _meets(real, finding.start, finding.end, finding.facts["momentary"], outcome.zero_ns):
            false += 1
        else:
            proven.add(pair)
    return Compared(
        proven=tuple(each.ended - each.began for pair, each in true.items() if pair in proven),
        missed=tuple(each.ended - each.began for pair, each in true.items() if pair not in proven),
        false=false,
    )


def _pair(overlap: Overlap) -> Pair:
    return frozenset((reign.node, reign.reign) for reign in (overlap.first, overlap.second))


def _meets(real: Overlap, start: int, end: int, momentary: bool, zero: int) -> bool:
    """Whether the overlap was when the finding says: throughout the stretch, or at some instant of it."""
    began, ended = real.began - zero, real.ended - zero
    return began <= end and start < ended if momentary else began <= start and end < ended


def total(each: Iterable[Compared]) -> Compared:
    """Several comparisons as one."""
    all_of = tuple(each)
    return Compared(
        proven=tuple(length for one in all_of for length in one.proven),
        missed=tuple(length for one in all_of for length in one.missed),
        false=sum(one.false for one in all_of),
    )


def experiment(system: str, nemesis: str, seed: int, seconds: float, period_ms: int) -> Experiment:
    """A run of five simulated nodes, each observed every ``period_ms``."""
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


def observed(experiment: Experiment, schedule: Schedule) -> Outcome:
    """Carry out an experiment in simulation, and note the true reigns too."""
    recorder, truth = ColumnsRecorder(), GroundTruth()
    simulation = simulate(experiment, schedule, recorder, truth)
    return Outcome(history=recorder.history(), reigns=truth.reigns(simulation.now), zero_ns=START_WITHIN_NS)


def measure(system: str, nemesis: str, period_ms: int, seeds: Iterable[int], seconds: float) -> Compared:
    """Runs with these seeds, each against its truth."""

    def one(seed: int) -> Compared:
        schedule = build((nemesis,), Random(f"{seed}/schedule"), 5, round(seconds * 1000))
        return compare(observed(experiment(system, nemesis, seed, seconds, period_ms), schedule))

    return total(map(one, seeds))


def row(system: str, nemesis: str, period_ms: int, found: Compared) -> str:
    """One line of the table."""
    share = f"{100 * len(found.proven) / found.true:6.1f}" if found.true else "     -"
    lengths = [f"{median(each) / MS:9.2f}" if each else "        -" for each in (found.proven, found.missed)]
    return (
        f"{system:<11} {nemesis:<16} {period_ms:>6} {found.true:>6} {len(found.proven):>7} {share:>7} "
        f"{found.false:>6} {lengths[0]} {lengths[1]}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the status is 1 if anything false was proven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many runs for each row")
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults in each run")
    given = parser.parse_args(arguments)
    print(f"{given.seeds} runs of {given.seconds:g} s a row; medians in ms, of overlaps proven and of those missed")
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
