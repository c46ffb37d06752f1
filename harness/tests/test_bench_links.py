"""Figures of the link and clock benchmarks, computed from given measurements without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from rich.console import Console

from splitbrain.bench import clocks as bench_clocks
from splitbrain.bench.clocks import PROGRAMS, Load, Program, measured, wanted
from splitbrain.bench.links import row, table
from splitbrain.errors import UsageError
from splitbrain.nemesis.faults import Skew
from splitbrain.nemesis.plans import Plan
from splitbrain.nodes.clients.base import Add, Fail, Ok, Question, Reply
from splitbrain.runtimes.base import Effect
from splitbrain.runtimes.docker.agent.messages import NodeProcess
from splitbrain.runtimes.docker.cluster import DockerCluster

BASELINE = row(0, 100, [30] * 99 + [600])


def test_an_exact_delay_has_no_error() -> None:
    kept = row(5, 100, [5_030] * 99 + [5_600])
    assert (kept.least, kept.p50, kept.p99, kept.most, kept.lost) == (5.03, 5.03, 5.6, 5.6, 0)
    assert all(abs(error) < 1e-9 for error in kept.error(BASELINE))


def test_an_inexact_delay_shows_in_the_median_or_in_the_tail() -> None:
    middle, tail = row(5, 100, [7_030] * 100).error(BASELINE)
    assert middle > 1.9 and tail > 1.4
    middle, tail = row(5, 100, [5_030] * 95 + [30_000] * 5).error(BASELINE)
    assert abs(middle) < 1e-9 and tail > 20


def test_lost_packets_are_counted_and_do_not_change_the_latencies() -> None:
    assert row(5, 100, [5_030] * 90).lost == 10
    assert "| 5 | 5.03 | 5.03 | 5.03 | 5.03 | 10 | 0.00 | -0.57 |" in table([BASELINE, row(5, 100, [5_030] * 90)])


class Skewable:
    """Three nodes led by n2, and two servers; a clock change takes 2 ms, and the clock shown is off by ``late_ms``."""

    nodes: Sequence[str] = ("n1", "n2", "n3")
    servers: Sequence[str] = ("s1", "s2")

    def __init__(self, late_ms: float | None = 1.5, dies_after: int | None = None) -> None:
        self.injected: list[Plan] = []
        self.added: set[str] = set()
        self._late_ms = late_ms
        self._dies_after = dies_after
        self._changes = 0

    def now(self) -> int:
        return 1 + 10**6 * self._changes

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        await asyncio.sleep(0)
        return Ok({"leading": node == "n2"})

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        await asyncio.sleep(0)
        return Ok({}) if node == "n2" else Fail("it does not lead")

    async def ask(self, question: Question, timeout_ns: int) -> Reply:
        await asyncio.sleep(0)
        assert isinstance(question, Add)
        self.added.add(question.element)
        return Ok({})

    async def leading_server(self) -> str | None:
        return "s2"

    def alarm(self) -> Any:
        return None  # unused, since there is a leader from the start

    async def processes(self, machine: str) -> Sequence[NodeProcess]:
        reborn = self._dies_after is not None and self._changes > self._dies_after
        return [
            NodeProcess(pid=7, began=100 + reborn, threads=4, stopped=False),
            NodeProcess(pid=9, began=120, threads=1, stopped=False),
        ]

    async def patch_clocks_again(self, machine: str) -> Sequence[int]:
        await asyncio.sleep(0)
        return [500_000]

    async def inflict(self, plan: Plan) -> Effect:
        assert isinstance(plan.fault, Skew)
        self.injected.append(plan)
        return self._changed(plan.nodes[0], plan.fault.offset_ms)

    async def undo(self, plan: Plan) -> Effect:
        return self._changed(plan.nodes[0], 0)

    def _changed(self, machine: str, off_ms: int) -> Effect:
        self._changes += 1
        shown = {} if self._late_ms is None else {"wall_shown_ms": off_ms + self._late_ms}
        wrong = self._late_ms is not None and self._late_ms > 100
        return Effect(
            verified=not wrong,
            in_effect_ns=2_000_000,
            problems=("it shows another time",) if wrong else (),
            facts={"clocks": {machine: {"wall_ms": off_ms, **shown}}},
        )


def row_of(cluster: Skewable, program: Program = PROGRAMS[0], writes: bool = False) -> bench_clocks.ClockRow:
    async def work() -> bench_clocks.ClockRow:
        docker = cast(DockerCluster, cluster)
        return await measured(docker, program, 10, Load(docker, writes))

    return asyncio.run(work())


def test_verified_clock_changes_without_a_crash_hold() -> None:
    cluster = Skewable()
    found = row_of(cluster)
    assert found.holds
    assert (found.threads, found.changes, found.crashes, found.not_shown) == (4, 10, 0, ())
    assert found.answers > 0
    assert (found.took.p50, found.held.worst) == (2.0, 0.5)
    assert found.errors_ms is not None and found.errors_ms.worst == 1.5
    assert {plan.nodes for plan in cluster.injected} == {("n2",)}, "only the leader's clock"
    assert len({plan.fault for plan in cluster.injected}) == 5, "every offset differs, and each is undone"
    assert not cluster.added


def test_the_clock_of_a_server_is_changed_for_a_program_on_servers_and_the_load_may_write() -> None:
    cluster = Skewable(late_ms=None)
    found = row_of(cluster, PROGRAMS[-1], writes=True)
    assert {plan.nodes for plan in cluster.injected} == {("s2",)}
    assert cluster.added
    assert found.holds and found.errors_ms is None


def test_a_process_restarted_with_the_same_pid_counts_as_a_crash() -> None:
    found = row_of(Skewable(dies_after=3))
    assert (found.crashes, found.holds) == (1, False)


def test_every_change_that_a_clock_does_not_show_is_counted() -> None:
    found = row_of(Skewable(late_ms=400.0))
    assert (len(found.not_shown), found.holds) == (10, False)


def test_the_clock_table_has_one_markdown_line_per_program() -> None:
    console = Console(width=bench_clocks.WIDTH)
    with console.capture() as printed:
        console.print(bench_clocks.table([row_of(Skewable()), row_of(Skewable(late_ms=None))]))
    lines = [line.replace(" ", "") for line in printed.get().splitlines() if "CPython" in line]
    assert [line.partition("|4|")[2].partition("|")[2] for line in lines] == [
        "10|0|0|2.00|2.00|2.00|0.50|0.50|0.50|1.50|1.50|",
        "10|0|0|2.00|2.00|2.00|0.50|0.50|0.50|||",
    ]


@pytest.mark.parametrize(("systems", "changes"), [(["mongodb"], 10), ([], 1)])
def test_an_unknown_program_and_too_few_changes_are_usage_errors(systems: Sequence[str], changes: int) -> None:
    assert wanted([], 2) == PROGRAMS
    assert [program.system for program in wanted(["etcd"], 2)] == ["etcd"]
    with pytest.raises(UsageError):
        wanted(systems, changes)
