"""Mutation testing of the checkers and schedules: how soon each planted bug is caught, and by which property.

For every broken system and seed a search runs schedules in simulation until the property that must catch the bug has
fired, or its budget of simulated time is spent. There are two ways to search: *swarm* draws schedules at random and
knows nothing of the bug; *aimed* repeats the few faults of its trigger. The correct systems are searched in the same
ways with the same budgets, and no property may fire.

A search is a function of its arguments, so its simulated seconds are the same on any machine; only CPU time differs. A
system is held to its own promises, so a known weakness is never counted as a catch.

``python -m splitbrain.campaigns.mutants [--seeds 20] [--budget 160] [--aimed-budget 100] [--cores N]
[--only NAME]`` prints the table and leaves it, the searches and a plot in ``build/mutants``. Its status is 1 if a
correct system was accused, or if a bug that some way used to catch is missed by every seed of both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from splitbrain.campaigns.hunt.case import Case, needs_white_box, run_case
from splitbrain.campaigns.hunt.shrink import shrink
from splitbrain.checkers.history import History
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import Contract, contract_of, judge_by
from splitbrain.core.simulate import ColumnsRecorder, simulate
from splitbrain.invariants.events import ElectionRecorder
from splitbrain.invariants.registry import violations
from splitbrain.nemesis import schedules
from splitbrain.nemesis.nemeses import NEMESES, build
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.broken import BROKEN, Broken
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
from splitbrain.units import MS
from splitbrain.workloads import Workload

Way = Literal["swarm", "aimed"]
WAYS: Final[tuple[Way, ...]] = ("swarm", "aimed")
FOLDER: Final = Path("build/mutants")

NODES: Final = 5
SWARM_MS: Final = 24_000  # two windows or three
NEMESES_MAX: Final = 3
WIDE: Final = 170  # columns of a table that goes to a file
SHRINK_S: Final = 4.0  # of real time, for each bug
CALM_MS: Final = 2_000  # before the first aimed fault, and after the last
LONGEST_MS: Final = 3_600_000  # that an aimed schedule may last
WORKLOAD: Final = Workload(observe_period_ms=100, confirm_period_ms=100, canary_period_ms=None)

# A correct system is searched as a "bug" that no property may catch.
ANYTHING: Final = "anything"


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A search for violations by the system of that name, in one way, from one seed."""

    system: str
    way: Way
    seed: int
    budget_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The result of a search.

    ``simulated_s`` and ``cpu_s`` are the time spent, up to the instant at which the property fired if it did;
    ``first`` is the property that fired first, at ``first_s``, perhaps another one. ``schedule`` (JSON) and
    ``case_seed`` reproduce the run that caught the bug; faults that had not begun by then are left out, and ``faults``
    counts the others.
    """

    system: str
    of: str
    catches: str
    way: Way
    seed: int
    caught: bool
    cases: int
    simulated_s: float
    cpu_s: float
    first: str | None
    first_s: float | None
    faults: int | None
    case_seed: int | None
    schedule: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fired:
    """The properties violated in one run, each with the first instant (ns of simulated time), and the run's length."""

    at: Mapping[str, int]
    length_ns: int


# Systems


def subject(name: str) -> Broken:
    """The bug of that name; a correct system as a bug without a mistake, in which no property may fire."""
    if name in BROKEN:
        return BROKEN[name]
    return Broken(name=name, of=SYSTEMS[name], mistake="", catches=ANYTHING, trigger="", harmless="it is correct")


def machine(bug: Broken) -> System:
    return bug.of if bug.catches == ANYTHING else bug.system


# One run


def look(bug: Broken, seed: int, schedule: Schedule) -> Fired:
    """Run a schedule in memory; which promises and which facts it broke."""
    experiment = Experiment(
        system=machine(bug),
        nemesis=("mutants",),
        runtime="sim",
        nodes=bug.nodes,
        time_limit_s=schedule.length_ms / 1000,
        seed=seed,
        workload=WORKLOAD,
    )
    recorder, recorded = ColumnsRecorder(), ElectionRecorder()
    simulation = simulate(experiment, schedule, recorder, recorded)
    at: dict[str, int] = {}
    history = recorder.history()
    contract = contract_of(bug.of, history, nodes=experiment.node_names, servers=experiment.server_names)
    seen = recorded.trace(bug.nodes, len(experiment.server_names))
    facts = ((each.invariant, each.at) for each in violations(seen))
    for name, when in (*facts, *_broken_promises(history, contract)):
        at[name] = min(when, at.get(name, when))
    return Fired(at=at, length_ns=simulation.now)


def _broken_promises(history: History, contract: Contract) -> Iterator[tuple[str, int]]:
    for judged in judge_by(history, contract).judgement.properties:
        for finding in judged.broken:
            yield judged.name, START_WITHIN_NS + finding.end


# Schedules


def swarm(rng: Random, nodes: int) -> Schedule:
    """A random schedule of one to three nemeses, the others switched off (swarm testing, Groce et al., ISSTA 2012)."""
    possible = [name for name, nemesis in NEMESES.items() if nemesis.possible(nodes)]
    return build(rng.sample(possible, rng.randint(1, NEMESES_MAX)), rng, nodes, SWARM_MS)


def aimed(steps: Sequence[Mapping[str, Any]]) -> Schedule:
    """A schedule of these steps (JSON) in order of time, with calm before and after."""
    ordered = sorted(steps, key=lambda step: int(step["at_ms"]))
    longest = schedules.from_json({"format": schedules.FORMAT, "length_ms": LONGEST_MS, "steps": ordered})
    return replace(longest, length_ms=max((step.end_ms for step in longest.steps), default=CALM_MS) + CALM_MS)


def aimed_at(bug: Broken) -> tuple[Schedule, ...]:
    """The schedules to try in turn: the bug's trigger; for a correct system those of all bugs that it might have."""
    if bug.catches != ANYTHING:
        return (aimed(bug.steps),)
    others = [each for each in BROKEN.values() if each.nodes == bug.nodes]
    related = [each for each in others if each.of is bug.of] or [
        each for each in others if each.of.factory is bug.of.factory
    ]
    return tuple(aimed(each.steps) for each in related)


# Searches


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One run of a search: its input, what it showed, and when in the search's simulated time it began.

    ``caught_ns`` is the instant in the run at which the property fired, None if it did not.
    """

    seed: int
    schedule: Schedule
    fired: Fired
    began_ns: int
    caught_ns: int | None

    @property
    def end_ns(self) -> int:
        return self.began_ns + (self.fired.length_ns if self.caught_ns is None else self.caught_ns)

    @property
    def first(self) -> tuple[str, float] | None:
        """The property that fired first, and when in the search, in seconds."""
        at = self.fired.at
        name = min(at, key=lambda each: at[each], default=None)
        return None if name is None else (name, (self.began_ns + at[name]) / 1e9)


def cases(bug: Broken, search: Search) -> Iterator[tuple[int, Schedule]]:
    """Seeds and schedules without end."""
    rng = Random(f"{search.seed}/{search.way}")
    triggers = aimed_at(bug)
    for k in itertools.count():
        schedule = swarm(rng, bug.nodes) if search.way == "swarm" else triggers[k % len(triggers)]
        yield rng.randrange(2**31), schedule


def attempts(bug: Broken, search: Search) -> Iterator[Attempt]:
    """Runs until the bug is caught or the budget of simulated time is spent; at least one."""
    spent_ns = 0
    for seed, schedule in cases(bug, search):
        fired = look(bug, seed, schedule)
        attempt = Attempt(seed=seed, schedule=schedule, fired=fired, began_ns=spent_ns, caught_ns=_caught(bug, fired))
        yield attempt
        spent_ns = attempt.end_ns
        if attempt.caught_ns is not None or spent_ns >= search.budget_s * 1e9:
            return


def run(search: Search) -> Found:
    """Run cases until the bug is caught or the budget of simulated time is spent."""
    bug = subject(search.system)
    began = time.process_time()
    tried = list(attempts(bug, search))
    last = tried[-1]
    first, first_s = next((attempt.first for attempt in tried if attempt.first is not None), (None, None))
    kept = None if last.caught_ns is None else _begun(last.schedule, last.caught_ns)
    return Found(
        system=search.system,
        of=bug.of.name,
        catches=bug.catches,
        way=search.way,
        seed=search.seed,
        caught=kept is not None,
        cases=len(tried),
        simulated_s=last.end_ns / 1e9,
        cpu_s=time.process_time() - began,
        first=first,
        first_s=first_s,
        faults=None if kept is None else len(kept.steps),
        case_seed=None if kept is None else last.seed,
        schedule=None if kept is None else json.dumps(schedules.to_json(kept)),
    )


def _caught(bug: Broken, fired: Fired) -> int | None:
    if bug.catches == ANYTHING:
        return min(fired.at.values(), default=None)
    return fired.at.get(bug.catches)


def _begun(schedule: Schedule, at_ns: int) -> Schedule:
    """The schedule without the faults that began after that instant, since they cannot have contributed."""
    return replace(schedule, steps=tuple(step for step in schedule.steps if step.at_ms * MS <= at_ns))


def run_all(searches: Sequence[Search], cores: int) -> Iterator[Found]:
    """Results of the searches as they end, run in ``cores`` processes."""
    if cores == 1:
        yield from map(run, searches)
        return
    with get_context("spawn").Pool(cores) as pool:
        yield from pool.imap_unordered(run, searches)


def searches(names: Sequence[str], seeds: Sequence[int], budgets: Mapping[Way, float]) -> list[Search]:
    return [
        Search(system=name, way=way, seed=seed, budget_s=budgets[way])
        for name in names
        for way in WAYS
        for seed in seeds
    ]


# The table


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (E. B. Wilson, 1927); 0 to 1 without trials."""
    if not trials:
        return 0.0, 1.0
    z2 = 1.959964**2
    centre = (hits + z2 / 2) / (trials + z2)
    half = math.sqrt(z2 * (hits * (trials - hits) / trials + z2 / 4)) / (trials + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def frame_of(found: Sequence[Found]) -> pd.DataFrame:
    """One row per search, sorted, so that the order in which they ended does not matter."""
    frame = pd.DataFrame([asdict(each) for each in found], columns=list(Found.__dataclass_fields__))
    return frame.sort_values(["system", "way", "seed"], ignore_index=True)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per system and way: the share caught with its interval, medians over the searches that caught it, the
    fewest faults, and the property that most often fired first."""
    rows = [_row(str(system), str(way), group) for (system, way), group in frame.groupby(["system", "way"])]
    return pd.DataFrame(rows)


def _row(system: str, way: str, group: pd.DataFrame) -> dict[str, Any]:
    caught = group[group["caught"]]
    low, high = wilson(len(caught), len(group))
    firsts = group["first"].dropna()
    return {
        "system": system,
        "of": group["of"].iloc[0],
        "catches": group["catches"].iloc[0],
        "way": way,
        "searches": len(group),
        "runs": group["cases"].sum(),
        "caught": len(caught),
        "share": len(caught) / len(group),
        "low": low,
        "high": high,
        "median_simulated_s": caught["simulated_s"].median(),
        "median_cpu_s": caught["cpu_s"].median(),
        "fewest_faults": caught["faults"].min(),
        "first": firsts.mode().iloc[0] if len(firsts) else None,
        "searched_s": group["simulated_s"].sum(),
    }


def smallest(frame: pd.DataFrame) -> pd.DataFrame:
    """For each caught system the search whose last run had the fewest faults, ties broken by simulated time."""
    caught = frame[frame["caught"].astype(bool)].sort_values(["faults", "simulated_s"])
    return caught.groupby("system", as_index=False).head(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Small:
    """A schedule under which ``system`` is still caught by the property that must catch it."""

    system: str
    nodes: int
    seed: int
    schedule: Schedule


def smaller(small: Small) -> Small:
    """The smallest schedule that the hunt's shrinker finds in ``SHRINK_S``; unchanged if a hunt misses it."""
    wanted = subject(small.system).catches
    case = Case(system=small.system, nodes=small.nodes, seed=small.seed, schedule=small.schedule)
    signatures = run_case(case, white_box=needs_white_box(wanted)).signatures(wanted)
    if not signatures or not small.schedule.steps:
        return small
    best = shrink(case, signatures[0], SHRINK_S).case
    return replace(small, nodes=best.nodes, seed=best.seed, schedule=best.schedule)


def shrink_all(frame: pd.DataFrame, cores: int) -> list[Small]:
    """The smallest schedule of each caught bug."""
    found = [
        Small(
            system=str(row["system"]),
            nodes=subject(str(row["system"])).nodes,
            seed=int(row["case_seed"]),
            schedule=schedules.from_json(json.loads(row["schedule"])),
        )
        for row in smallest(frame).to_dict("records")
    ]
    if cores == 1:
        return list(map(smaller, found))
    with get_context("spawn").Pool(cores) as pool:
        return pool.map(smaller, found, chunksize=1)


def wrong(table: pd.DataFrame) -> list[str]:
    """Failures of the harness in words: correct systems accused, and bugs that no search caught."""
    words = []
    for name, rows in table.groupby("system"):
        bug = subject(str(name))
        caught = int(rows["caught"].sum())
        if bug.harmless is not None and caught:
            words.append(f"{name} was accused {caught} times, and nothing is wrong with it: {bug.harmless}")
        elif bug.harmless is None and not caught:
            words.append(f"{name} was not caught by {bug.catches}")
    return words


def shown(table: pd.DataFrame, small: Mapping[str, int]) -> Table:
    """The table to print, one row per system; ``small`` is the number of faults in its smallest schedule."""
    ways = (title for way in WAYS for title in (way, "95 %", "sim/CPU s"))
    view = Table("system", "must be caught by", *ways, "faults", "fired first", box=None, pad_edge=False)
    for name, rows in table.groupby("system"):
        bug = subject(str(name))
        by_way = {str(row["way"]): row for row in rows.to_dict("records")}
        view.add_row(
            str(name),
            "nothing" if bug.harmless is not None else bug.catches,
            *(cell for way in WAYS for cell in _cells(by_way.get(way), bug.harmless is not None)),
            str(small.get(str(name), "")),
            ", ".join(sorted({str(row["first"]) for row in by_way.values() if not pd.isna(row["first"])})),
        )
    return view


def _cells(row: Mapping[Any, Any] | None, nothing: bool) -> tuple[str, str, str]:
    if row is None:
        return "", "", ""
    # No event in N runs bounds its probability by 3/N with 95 % confidence (the rule of three).
    silent = nothing and not row["caught"]
    share = f"< {300 / row['runs']:.2g} % a run" if silent else f"{100 * row['low']:.0f}-{100 * row['high']:.0f} %"
    times = f"{row['median_simulated_s']:.1f} / {row['median_cpu_s']:.2f}" if row["caught"] else ""
    return f"{row['caught']}/{row['searches']}", share, times


def store(frame: pd.DataFrame, table: pd.DataFrame, smalls: Sequence[Small], folder: Path) -> None:
    """Write the searches, the table, the plot, and the smallest schedules, each to be replayed with its seed."""
    from splitbrain.reports import mutants as drawing

    (folder / "schedules").mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "searches.csv", index=False)
    table.to_csv(folder / "mutants.csv", index=False)
    drawing.write(frame, folder / "mutants.png")
    for small in smalls:
        name = f"{subject(small.system).name}-nodes-{small.nodes}-seed-{small.seed}.json"
        (folder / "schedules" / name).write_text(schedules.dumps(small.schedule))


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="searches for each bug and way")
    parser.add_argument("--budget", type=float, default=160.0, help="simulated seconds of a search by swarm")
    parser.add_argument("--aimed-budget", type=float, default=100.0, help="simulated seconds of an aimed search")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", action="append", default=None, help="a system, such as broken/forgets-vote or raft")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args(arguments)
    names = given.only or [*(name for name, system in SYSTEMS.items() if system.simulated), *BROKEN]
    todo = searches(names, range(given.seeds), {"swarm": given.budget, "aimed": given.aimed_budget})
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    began = time.monotonic()
    found = list(track(run_all(todo, given.cores), total=len(todo), console=Console(stderr=True), transient=True))
    frame = frame_of(found)
    smalls = shrink_all(frame, given.cores)
    small = {each.system: len(each.schedule.steps) for each in smalls}
    table = summary(frame)
    table["smallest"] = table["system"].map(small)
    store(frame, table, smalls, given.folder)
    console.print(shown(table, small))
    console.print(
        f"{len(found)} searches, {frame['cases'].sum()} runs, {frame['simulated_s'].sum() / 3600:.1f} simulated hours "
        f"in {time.monotonic() - began:.0f} s; stored in {given.folder}"
    )
    problems = wrong(table)
    for words in problems:
        console.print(words)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
