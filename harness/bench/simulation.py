"""Time the simulation against a fixed reference loop in the same process: ``python -m splitbrain.bench.simulation``.

The reference is a minimal simulation: a heap, the same state machines and a delay per message; no hosts, no observers,
no history, no verdict. Since machines differ, each figure is also given as a share of the reference, measured in turn
with it. Each is the best of several rounds, in CPU time.

The cost of a simulated second with 3 to 101 nodes is stored as a table and a plot.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any

from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import judge_run
from splitbrain.core.simulate import history_of
from splitbrain.nemesis.nemeses import build
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.protocol import CancelTimer, Effect, Received, Send, SetTimer, Started, TimerFired
from splitbrain.nodes.raft import RAFT, Raft
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS
from splitbrain.workloads import Workload

SIZES = (3, 5, 9, 15, 31, 51, 101)
SCHEDULES = 40
WORKLOAD = Workload(observe_period_ms=100, confirm_period_ms=100, canary_period_ms=None)


def reference(nodes: int, seconds: float, seed: int = 1) -> None:
    """The bare loop: simulate ``nodes`` Raft nodes without faults for ``seconds``."""
    names = [f"n{i}" for i in range(nodes)]
    rng = Random(seed)
    machines = {a: Raft(a, [b for b in names if b != a], RAFT, Random(f"{seed}{a}"), a) for a in names}
    queue: list[tuple[int, int, str, str | None, Any]] = []
    timers: dict[tuple[str, str], int] = {}
    ticket = 0

    def carry_out(node: str, effects: Sequence[Effect], at: int) -> None:
        nonlocal ticket
        for effect in effects:
            ticket += 1
            if type(effect) is Send:
                heappush(queue, (at + 200_000 + int(800_000 * rng.random()), ticket, effect.to, node, effect.message))
            elif type(effect) is SetTimer:
                timers[node, effect.timer] = ticket
                heappush(queue, (at + effect.after, ticket, node, None, effect.timer))
            elif type(effect) is CancelTimer:
                timers.pop((node, effect.timer), None)

    for name, machine in machines.items():
        carry_out(name, machine.handle(Started(0)), 0)
    while queue[0][0] < seconds * 1e9:
        at, number, to, sender, message = heappop(queue)
        if sender is not None:
            carry_out(to, machines[to].handle(Received(at, sender, message)), at)
        elif timers.get((to, message)) == number:
            carry_out(to, machines[to].handle(TimerFired(at, message)), at)


def planned(nodes: int, nemesis: str, seconds: float, seed: int) -> tuple[Experiment, Schedule]:
    """A run of Raft and its schedule."""
    experiment = Experiment(
        system=SYSTEMS["raft"],
        nemesis=(nemesis,),
        runtime="sim",
        nodes=nodes,
        time_limit_s=seconds,
        seed=seed,
        workload=WORKLOAD,
    )
    return experiment, build((nemesis,), Random(f"{seed}/schedule"), nodes, round(seconds * 1000))


def cpu(work: Callable[[], Any], rounds: int) -> float:
    """The minimum CPU time of ``work`` in seconds."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(rounds))


@dataclass(frozen=True, kw_only=True, slots=True)
class PartCost:
    """CPU time of one part of the work, and of the bare loop for the same simulated time and number of nodes."""

    nodes: int
    part: str
    simulated_s: float
    cpu_s: float
    bare_loop_cpu_s: float


class Bench:
    """Prints one line per figure, each against the reference with the same cluster size and length."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def line(
        self, title: str, part: str, nodes: int, seconds: float, repeats: int, work: Callable[[], Any]
    ) -> PartCost:
        """``work`` simulates ``seconds`` of ``nodes`` nodes ``repeats`` times."""
        # Alternately, so that other load on the machine affects both.
        turns = [(cpu(lambda: reference(nodes, seconds), 1), cpu(work, 1)) for _ in range(self._rounds)]
        bare, spent = min(bare for bare, _ in turns), min(spent for _, spent in turns) / repeats
        print(
            f"{f'{title}: {part}':<52} {seconds / spent:>7.0f} sim s/s {1000 * spent:>8.2f} ms {1 / spent:>7.0f} runs/s"
            f" {bare / spent:>6.2f} of the bare loop",
            flush=True,
        )
        return PartCost(nodes=nodes, part=part, simulated_s=seconds, cpu_s=spent, bare_loop_cpu_s=bare)

    def runs(self, nodes: int, nemesis: str, seconds: float, seeds: int) -> list[PartCost]:
        """Measure complete runs, with and without judging. Recovery after the last fault counts as run time."""
        plans = [planned(nodes, nemesis, seconds, seed) for seed in range(seeds)]
        histories = [history_of(*plan) for plan in plans]
        length = sum(history.end for history in histories) / len(histories) / 1e9
        title = f"{nodes} nodes, {seconds:.3g} s, {nemesis}"

        def record() -> None:
            for plan in plans:
                history_of(*plan)

        def record_and_judge() -> None:
            for experiment, schedule in plans:
                judge_run(history_of(experiment, schedule), experiment)

        return [
            self.line(title, "recorded", nodes, length, seeds, record),
            self.line(title, "recorded and judged", nodes, length, seeds, record_and_judge),
        ]

    def bare_simulation(self, nodes: int, seconds: float) -> PartCost:
        """Measure hosts and links without observers."""

        def work() -> None:
            made = Simulation(1, [f"n{i}" for i in range(nodes)], SYSTEMS["raft"].make_node)
            made.start()
            made.run_until(round(seconds * 1000) * MS)

        return self.line(f"{nodes} nodes, {seconds:.3g} s", "hosts and links alone", nodes, seconds, 1, work)


def keep(costs: Sequence[PartCost], folder: Path) -> None:
    """Write the cost of each part by number of nodes: ``nodes.csv`` and ``nodes.png``."""
    import pandas as pd  # here, since having it in memory would slow down the measurements

    from splitbrain.reports.bench import write

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "nodes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(column.name for column in fields(PartCost))
        table.writerows(map(astuple, costs))
    write(pd.DataFrame(map(asdict, costs)), folder / "nodes.png")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds, of which the best counts")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of the table and the plot")
    parser.add_argument("--quick", action="store_true", help="do a tenth of the work")
    given = parser.parse_args(arguments)
    bench, scale = Bench(given.rounds), 10 if given.quick else 1
    bare = cpu(lambda: reference(5, 60 / scale), given.rounds)
    print(f"the bare loop: {60 / scale / bare:.0f} simulated s of five nodes per CPU s")
    bench.runs(5, "none", 60 / scale, 1)
    bench.runs(5, "partition", 60 / scale, 1)
    bench.runs(5, "partition", 30 / scale, 2)
    bench.runs(3, "partition", 3, SCHEDULES // scale)
    costs: list[PartCost] = []
    for nodes in SIZES[: len(SIZES) // 2 if given.quick else None]:
        seconds = max(2.0, 30 / nodes)
        costs.append(bench.bare_simulation(nodes, seconds))
        costs += bench.runs(nodes, "none", seconds, 1)
    keep(costs, given.out)


if __name__ == "__main__":
    main()
