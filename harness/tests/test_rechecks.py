"""Rechecking plans in force: what ends one from outside is noticed, and what other plans do to it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.faults import Delay, Fault, Fill, Freeze, Kill, Loss, Partition, Pause, Skew, Throttle
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.state import state_of
from splitbrain.nemesis.targets import View
from splitbrain.runtimes.docker.agent.messages import (
    ClockReport,
    ClockState,
    HostState,
    Inspect,
    NodeProcess,
    ProbesReceived,
    ReadClocks,
    ReadProbes,
    Request,
)
from splitbrain.runtimes.docker.clocks import Clocks
from splitbrain.runtimes.docker.containers import Containers, Held, rationed
from splitbrain.runtimes.docker.fault_controller import Parts
from splitbrain.runtimes.docker.links import Links
from splitbrain.runtimes.docker.rechecks import PlanLook, Rechecks
from splitbrain.tests.fake_agents import FakeAgents
from splitbrain.units import MS

NODES = ("n1", "n2", "n3")
ADDRESSES = {"n1": "10.0.0.1", "n2": "10.0.0.2", "n3": "10.0.0.3"}
RUNS = NodeProcess(pid=7, began=100, threads=1, stopped=False)
STOPPED = NodeProcess(pid=7, began=100, threads=1, stopped=True)
AGAIN = NodeProcess(pid=8, began=200, threads=1, stopped=False)


class Hosts(FakeAgents):
    """Hosts on which n1 is faulty as a plan asks; tests change what they show of it."""

    def __init__(self) -> None:
        super().__init__(NODES, ADDRESSES, {}, {})
        self.chained, self.impairing, self.filler, self.wall_ns = True, True, 0, 0
        self.processes: tuple[NodeProcess, ...] = (RUNS,)
        self.late_us: int | None = None  # of a packet over every link
        self.ruled = True

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def reply(self, name: str, request: Request[Any]) -> Any:
        others = [address for node, address in ADDRESSES.items() if node != name]
        match request:
            case Inspect():
                return HostState(
                    chained=self.chained, impairing=self.impairing, processes=self.processes, filler=self.filler
                )
            case ReadProbes():
                came = {} if self.late_us is None else dict.fromkeys(others, ((0, self.late_us),))
                rules = others if self.ruled else []
                return ProbesReceived(received=came, dropped=dict.fromkeys(rules, 9), impaired=tuple(rules), ports=())
            case ReadClocks():
                wall = ClockState(now_ns=0, set_ns=self.wall_ns, off_ns=self.wall_ns, ppm=0)
                right = ClockState(now_ns=0, set_ns=0, off_ns=0, ppm=0)
                return ClockReport(
                    wall=wall, monotonic=right, processes=1, problems=(), stopped_ns=0, started=0, late=()
                )
            case _:
                return super().reply(name, request)


class Engine(Containers):
    """Shows every container alike."""

    def __init__(self) -> None:
        self.shown = Held(frozen=True, quota=rationed(900)[1])

    async def held(self, node: str) -> Held:
        return self.shown


def aimed(fault: Fault) -> Plan:
    made = plan(fault, View(nodes=NODES, leader="n1"), Random(0))
    assert isinstance(made, Plan)
    return made


def looks(fault: Fault, change: Callable[[Hosts, Engine], object], *others: Fault) -> tuple[tuple[str, ...], ...]:
    """What is found before and after a change, while the other faults are in force too."""

    async def both() -> tuple[tuple[str, ...], ...]:
        hosts, engine, in_force = Hosts(), Engine(), [aimed(fault), *map(aimed, others)]
        hosts.filler = 4_096
        match fault:
            case Kill():
                hosts.processes = ()
            case Pause():
                hosts.processes = (STOPPED,)
            case Delay():
                hosts.late_us = 200_500
            case Skew():
                hosts.wall_ns = 900 * MS
        unused: Any = None

        def wanted() -> Any:
            return state_of(in_force)

        clocks = Clocks(hosts, unused)
        await clocks.make(wanted(), {})
        parts = Parts(Links(hosts, wanted), unused, unused, unused, clocks, wanted)
        look = PlanLook(in_force[0], hosts, engine, parts, in_force)
        before = await look()
        change(hosts, engine)
        return before, await look()

    return asyncio.run(both())


def setting(**values: Any) -> Callable[[Hosts, Engine], None]:
    def change(hosts: Hosts, engine: Engine) -> None:
        for name, value in values.items():
            setattr(hosts, name, value)

    return change


def shown(frozen: bool, quota: int) -> Callable[[Hosts, Engine], None]:
    def change(hosts: Hosts, engine: Engine) -> None:
        engine.shown = Held(frozen=frozen, quota=quota)

    return change


PARTITION = Partition(shape="isolated-leader")
DELAY = Delay(ms=200, target="leader")
PAUSE = Pause(target="leader")


@pytest.mark.parametrize(
    ("fault", "change", "sign"),
    [
        (PARTITION, setting(late_us=40), "n1 to n2 should be cut, and a packet came"),
        (PARTITION, setting(ruled=False), "the rule that cuts n1 to n2 is gone"),
        (DELAY, setting(ruled=False), "the rule for the flaws of n1 to n2 is gone"),
        (DELAY, setting(chained=False), "packets to n2 pass by the rules for their flaws"),
        (DELAY, setting(impairing=False), "the process that impairs packets to n2 has ended"),
        (DELAY, setting(late_us=900), "n1 to n2 should take 200 ms more, and a packet came sooner"),
        (Loss(percent=50, target="leader"), setting(chained=False), "packets to n2 pass by the rules for their flaws"),
        (Kill(target="leader"), setting(processes=(AGAIN,)), "n1 should be down, and runs"),
        (PAUSE, setting(processes=(RUNS,)), "processes of n1 should be stopped, and run or have ended"),
        (PAUSE, setting(processes=(AGAIN,)), "processes of n1 should be stopped, and run or have ended"),
        (Fill(target="leader"), setting(filler=0), "the disk of n1 should be full, and has room again"),
        (Freeze(target="leader"), shown(False, -1), "n1 should be frozen, and is not"),
        (Throttle(target="leader", per_mille=900), shown(False, -1), "n1 should lack 900/1000 of a processor"),
        (Skew(target="leader", offset_ms=900), setting(wall_ns=0), "n1: its wall clock has set_ns 0 where 900000000"),
    ],
)
def test_a_fault_that_something_else_ends_is_noticed(
    fault: Fault, change: Callable[[Hosts, Engine], object], sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitbrain.runtimes.docker.rechecks.SURE_SECONDS", 0)
    before, after = looks(fault, change)
    assert before == ()
    assert after and after[0].startswith(sign)


@pytest.mark.parametrize(
    ("fault", "change", "other"),
    [
        (PAUSE, setting(processes=()), Kill(target="leader")),
        (Freeze(target="leader"), shown(False, -1), Kill(target="leader")),
        (DELAY, setting(ruled=False), PARTITION),
    ],
)
def test_a_node_or_link_that_another_plan_changes_is_left_to_that(
    fault: Fault, change: Callable[[Hosts, Engine], object], other: Fault
) -> None:
    _, after = looks(fault, change, other)
    assert not [sign for sign in after if "stopped" in sign or "frozen" in sign or "flaws" in sign]


def test_a_new_process_in_a_paused_node_is_no_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine runs health checks inside the containers of paused software."""
    assert looks(PAUSE, setting(processes=(STOPPED, AGAIN))) == ((), ())


def rechecked(*found: tuple[str, ...] | EnvironmentFailure) -> Any:
    """The outcome of rechecks whose looks find these, one after another, and then nothing."""
    left = list(found)

    async def look() -> tuple[str, ...]:
        each = left.pop(0) if left else ()
        if isinstance(each, EnvironmentFailure):
            raise each
        return each

    async def until_seen() -> Any:
        rechecks = Rechecks(look)
        for _ in range(20):
            await asyncio.sleep(0)
        while left:
            await asyncio.sleep(0.001)
        return await rechecks.end()

    return asyncio.run(until_seen())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbrain.runtimes.docker.rechecks.PERIOD_SECONDS", 0.001)
    monkeypatch.setattr("splitbrain.runtimes.docker.rechecks.FRESH_NS", 0)


@pytest.mark.usefixtures("at_once")
def test_rechecking_counts_its_looks_until_the_end() -> None:
    seen = rechecked((), ())
    assert seen.times >= 3 and seen.last is not None and seen.lost == ()


@pytest.mark.usefixtures("at_once")
def test_rechecking_ends_with_the_first_sign_and_keeps_when_it_saw_the_fault_last() -> None:
    seen = rechecked((), ("n1 should be down, and runs",))
    assert (seen.times, seen.lost) == (1, ("n1 should be down, and runs",))
    assert seen.last is not None


@pytest.mark.usefixtures("at_once")
def test_a_fault_that_was_lost_at_once_was_never_seen_again() -> None:
    seen = rechecked(("n1 should be down, and runs",))
    assert (seen.times, seen.last) == (0, None)


@pytest.mark.usefixtures("at_once")
def test_a_look_that_fails_shows_nothing() -> None:
    seen = rechecked((), EnvironmentFailure("the agent on host n1 has ended"), ())
    assert seen.lost == () and seen.times >= 2


def test_rechecking_that_is_cancelled_ends_its_look() -> None:
    ended: list[str] = []

    async def look() -> tuple[str, ...]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("look")
        return ()

    async def story() -> None:
        rechecks = Rechecks(look)
        await asyncio.sleep(0)
        rechecks.cancel()
        await asyncio.sleep(0)
        assert ended == ["look"]

    asyncio.run(story())
