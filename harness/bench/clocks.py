"""Measure the cost of clock changes for running programs: ``python -m splitbrain.bench.clocks``.

One cluster per program is set up as for a run and put under load: clients observe and confirm every node in a closed
loop, and write if the system stores data. Under this load the fault ``skew`` changes the wall clock of the leader's
machine a thousand times, injected, verified and undone as in a run. After each change the clock code is patched in
again, which stops all threads; a run does so once per process.

Exit status: 1 a process ended, or a clock did not show the requested time; 3 the engine or a cluster failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, NoReturn

from rich import box
from rich.console import Console
from rich.table import Table

from splitbrain.core.experiment import asked_for, cluster_of
from splitbrain.errors import EXIT_INVALID, EXIT_VALID, EnvironmentFailure, Interrupted, SplitbrainError, UsageError
from splitbrain.nemesis.faults import Skew
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import Group, View
from splitbrain.nodes.clients.base import Add, Ok, Reply
from splitbrain.runtimes.base import Effect
from splitbrain.runtimes.docker.agent.messages import NodeProcess
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.runtimes.docker.runtime import run
from splitbrain.units import MS
from splitbrain.user_systems.lookup import find_system

CHANGES: Final = 1_000
FURTHEST_MS: Final = 3_600_000
ASK_NS: Final = 500 * MS
LOOK_AGAIN_NS: Final = 50 * MS
GIVE_UP_NS: Final = 60_000 * MS

WIDTH: Final = 200  # keeps each row of the table on one line, also in a file


@dataclass(frozen=True, slots=True)
class Program:
    """A program to measure: its name, the system that runs it, and the group of machines that it runs on."""

    name: str
    system: str
    among: Group


PROGRAMS: Final = (
    Program("our node (CPython)", "raft", "nodes"),
    Program("Redis (C)", "sentinel", "nodes"),
    Program("etcd (Go)", "etcd", "nodes"),
    Program("ZooKeeper (JVM)", "zookeeper", "servers"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a machine's wall clock to an offset of ``asked_ms``, and its effect."""

    machine: str
    asked_ms: int
    effect: Effect

    @property
    def error_ms(self) -> float | None:
        """Difference between the program's clock and the requested time; None if its clock is not shown."""
        shown = self.effect.facts["clocks"][self.machine].get("wall_shown_ms")
        return None if shown is None else abs(shown - self.asked_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Percentiles of several times, in ms."""

    p50: float
    p99: float
    worst: float


def figures(times_ms: Sequence[float]) -> Figures:
    """Percentiles of at least one time."""
    ordered = sorted(times_ms)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Figures(p50=at(0.5), p99=at(0.99), worst=at(1.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockRow:
    """The results of one program.

    ``answers`` is the number of answers to the load per second. ``crashes`` counts the processes that ended.
    ``errors_ms`` is the difference between the program's clock and the requested time, None if it does not show one.
    ``not_shown`` has one reason for each change that was not verified.
    """

    program: str
    threads: int
    answers: int
    changes: int
    crashes: int
    took: Figures
    errors_ms: Figures | None
    held: Figures
    not_shown: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.crashes == 0 and not self.not_shown


def row(
    program: str,
    before: Sequence[NodeProcess],
    after: Sequence[NodeProcess],
    changes: Sequence[Change],
    held_ns: Sequence[int],
    answers: int,
) -> ClockRow:
    """The row of a program, from its processes before and after the changes.

    A process is identified by its id and its start time, since the system may reuse an id.
    """
    alive = {(process.pid, process.began) for process in after}
    errors = [error for change in changes if (error := change.error_ms) is not None]
    return ClockRow(
        program=program,
        threads=max(process.threads for process in before),
        answers=answers,
        changes=len(changes),
        crashes=sum((process.pid, process.began) not in alive for process in before),
        took=figures([change.effect.in_effect_ns / MS for change in changes]),
        errors_ms=figures(errors) if errors else None,
        held=figures([ns / MS for ns in held_ns]),
        not_shown=tuple("; ".join(change.effect.problems) for change in changes if not change.effect.verified),
    )


def table(rows: Sequence[ClockRow]) -> Table:
    drawn = Table(box=box.MARKDOWN)
    drawn.add_column("program", no_wrap=True)
    for heading in (
        *("threads", "answers/s", "changes", "crashes", "not shown"),
        *("took p50", "p99", "worst", "held p50", "p99", "worst", "off by p50", "worst"),
    ):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for each in rows:
        counts = (each.threads, each.answers, each.changes, each.crashes, len(each.not_shown))
        times = [each.took.p50, each.took.p99, each.took.worst, each.held.p50, each.held.p99, each.held.worst]
        if each.errors_ms is not None:
            times += [each.errors_ms.p50, each.errors_ms.worst]
        drawn.add_row(each.program, *map(str, counts), *(f"{ms:.2f}" for ms in times))
    return drawn


class Load:
    """Closed-loop clients of every node; ``answers`` counts successful replies."""

    def __init__(self, cluster: DockerCluster, writes: bool) -> None:
        self._cluster = cluster
        self._writes = writes
        self.answers = 0

    def _count(self, reply: Reply) -> None:
        self.answers += isinstance(reply, Ok)

    async def ask_forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            for node in self._cluster.nodes:
                group.create_task(self._ask_forever(node))
                if self._writes:
                    group.create_task(self._write_forever(node))

    async def _ask_forever(self, node: str) -> None:
        while True:
            for asked in (self._cluster.observe, self._cluster.confirm):
                self._count(await asked(node, ASK_NS))

    async def _write_forever(self, node: str) -> None:
        while True:
            self._count(await self._cluster.ask(Add(node, f"{node}-{self.answers}"), ASK_NS))


async def leader_of(cluster: DockerCluster, among: Group) -> str:
    """The first machine that leads. Raises EnvironmentFailure if none does in time."""
    alarm, give_up = cluster.alarm(), cluster.now() + GIVE_UP_NS
    while cluster.now() < give_up:
        if among == "servers":
            if (server := await cluster.leading_server()) is not None:
                return server
        else:
            for node in cluster.nodes:
                if isinstance(await cluster.confirm(node, ASK_NS), Ok):
                    return node
        await alarm.wait_until(cluster.now() + LOOK_AGAIN_NS)
    raise EnvironmentFailure(f"no leader among the {among} within {GIVE_UP_NS // 10**9} s")


def off_by(offset_ms: int, machine: str, cluster: DockerCluster, among: Group) -> Plan:
    """The plan of the fault ``skew`` that offsets the machine's wall clock."""
    nodes, servers = tuple(cluster.nodes), tuple(cluster.servers)
    mine, others = (nodes, servers) if among == "nodes" else (servers, nodes)
    view = View(nodes=mine, leader=None, subject=machine, others=others, group=among)
    planned = plan(Skew(target="subject", offset_ms=offset_ms), view, Random(0))
    assert isinstance(planned, Plan)
    return planned


async def measured(cluster: DockerCluster, program: Program, count: int, load: Load) -> ClockRow:
    """Change the clock of the leader's machine ``count`` times; undoing a change counts as one."""
    machine, rng = await leader_of(cluster, program.among), Random(f"{program.system}/clocks")
    asking = asyncio.create_task(load.ask_forever())
    changes: list[Change] = []
    held_ns: list[int] = []
    try:
        before, began, answered = await cluster.processes(machine), cluster.now(), load.answers
        for _ in range(count // 2):
            offset_ms = rng.randint(-FURTHEST_MS, FURTHEST_MS)
            planned = off_by(offset_ms, machine, cluster, program.among)
            for asked_ms, make in ((offset_ms, cluster.inflict), (0, cluster.undo)):
                changes.append(Change(machine, asked_ms, await make(planned)))
                held_ns += await cluster.patch_clocks_again(machine)
        answers = (load.answers - answered) * 10**9 // (cluster.now() - began)
        after = await cluster.processes(machine)
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    return row(program.name, before, after, changes, held_ns, answers)


def bench(program: Program, count: int, console: Console) -> ClockRow:
    """Set up one cluster of the program and measure it. Raises SplitbrainError."""
    experiment = asked_for(find_system(program.system), ("none",), "docker", None, 1.0, 1)
    found: list[ClockRow] = []

    async def work(cluster: DockerCluster) -> None:
        load = Load(cluster, "set" in experiment.system.features)
        found.append(await measured(cluster, program, count, load))

    def say(words: str) -> None:
        console.print(f"{program.system}: {words}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="splitbrain-bench-") as logs:
        problems = run(cluster_of(experiment), work, Path(logs), say).problems
    if problems:
        raise EnvironmentFailure("\n".join(problems))
    return found[0]


class Parser(argparse.ArgumentParser):
    """Raises UsageError for wrong arguments, as the rest of the harness does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def wanted(systems: Sequence[str], changes: int) -> Sequence[Program]:
    """The programs of these systems (default: all). Raises UsageError for unknown systems or too few changes."""
    by_system = {program.system: program for program in PROGRAMS}
    for system in systems:
        if system not in by_system:
            raise UsageError(f"unknown system {system!r}: expected some of {', '.join(by_system)}")
    if changes < 2:
        raise UsageError(f"--changes: expected 2 or more, got {changes}")
    return [by_system[system] for system in systems] or PROGRAMS


def main() -> int:
    parser = Parser(description="Measure the cost of clock changes for running programs.")
    parser.add_argument("systems", nargs="*", help="raft, sentinel, etcd, zookeeper (default: all)")
    parser.add_argument("--changes", type=int, default=CHANGES)
    console, before = Console(stderr=True), os.getloadavg()[0]
    try:
        given = parser.parse_args()
        rows = [bench(program, given.changes, console) for program in wanted(given.systems, given.changes)]
    except (SplitbrainError, Interrupted) as failure:
        console.print(str(failure), markup=False, soft_wrap=True)
        return failure.exit_status
    Console(width=WIDTH).print(table(rows))
    print(f"times in ms; load {before:.2f} before, {os.getloadavg()[0]:.2f} after")
    for each in rows:
        for words in each.not_shown[:3]:
            print(f"{each.program}: {words}")
        if each.crashes:
            print(f"{each.program}: {each.crashes} of its processes ended")
    return EXIT_VALID if all(each.holds for each in rows) else EXIT_INVALID


if __name__ == "__main__":
    sys.exit(main())
