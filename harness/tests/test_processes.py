"""Verification of process faults by the kernel's counters. The engine is a fake here."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from splitbrain.nemesis.faults import Fault, Kill, Oom, Pause
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.state import State
from splitbrain.nemesis.targets import View
from splitbrain.runtimes.docker.agent.messages import (
    Checked,
    CheckMarker,
    DiskLeft,
    DiskLoss,
    DiskRestored,
    GrowMemory,
    KillNode,
    NodeKilled,
    PauseNode,
    Request,
    RestoreDisk,
    ResumeNode,
)
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.containers import Containers, Spent
from splitbrain.runtimes.docker.fault_controller import Parts
from splitbrain.runtimes.docker.handlers import HANDLERS
from splitbrain.runtimes.docker.intents import Intents
from splitbrain.runtimes.docker.processes import Processes
from splitbrain.tests.fake_agents import FakeAgents


class Running(Containers):
    """None of its nodes has ended, and none is being started."""

    intents = Intents()

    async def started(self, node: str) -> None:
        pass

    async def ended(self, node: str) -> int | None:
        return None


class Engine(Running):
    """Reports the CPU time of every node in ms, the next figure at each request."""

    def __init__(self, cpu_ms: list[float]) -> None:
        self._cpu_ms = cpu_ms
        self._asked = 0

    async def freeze(self, node: str) -> None:
        pass

    async def thaw(self, node: str) -> None:
        pass

    async def ration(self, node: str, per_mille: int) -> bool:
        return True

    async def spent(self, node: str) -> Spent:
        self._asked += 1
        return Spent(at_ms=1_000.0 * self._asked, cpu_ms=self._cpu_ms[self._asked - 1], throttled_ms=0.0)


class Memory(Running):
    """Reports for every node that ended if it was killed for lack of memory."""

    def __init__(self, killed: bool) -> None:
        self._killed = killed

    async def limit_memory(self, node: str) -> int:
        return 30_000_000

    async def ended_by_kernel(self, node: str) -> bool:
        return self._killed


class Growing(FakeAgents):
    """Hosts with nodes that grow when asked to, and end or not."""

    def reply(self, name: str, request: Request[Any]) -> Any:
        assert (name, request) == ("n1", GrowMemory(size=30_000_000))
        return Checked(problem=None if self.data["n1"] == "ends" else "it lived on")


class Wanted:
    """Makes true one state after another."""

    def __init__(self, hands: AgentPool, containers: Containers) -> None:
        self._state = CALM
        self._processes = Processes(hands, containers, lambda: self._state)
        unused: Any = None
        self._parts = Parts(unused, unused, self._processes, unused, unused, lambda: self._state)

    async def make(self, state: State, plan: Plan | None = None) -> Verification:
        self._state = state
        if plan is None:
            return await self._processes.make()
        return await HANDLERS[type(plan.fault)].inject(self._parts, plan, plan.fault)

    async def put_back(self) -> Verification:
        return await self._processes.restarts.put_back(["n1"])


async def last_of(wanted: Wanted, *states: State) -> Verification:
    seen = Verification()
    for state in states:
        seen = await wanted.make(state)
    return seen


def made(cpu_ms: list[float], *states: State) -> Verification:
    return asyncio.run(last_of(Wanted(FakeAgents(["n1"], {}, {}, {}), Engine(cpu_ms)), *states))


class Starting(Running):
    """Says of a node that is started again how it fared."""

    def __init__(self, seen: Verification) -> None:
        self._seen = seen

    async def revive(self, node: str) -> Verification:
        return self._seen


def started_again(seen: Verification, *states: State) -> Verification:
    return asyncio.run(last_of(Wanted(FakeAgents(["n1"], {}, {}, {"n1": "/data"}), Starting(seen)), *states))


DOWN = State(down=frozenset({"n1"}))
PARTLY_DOWN = State(partly_down=frozenset({("n1", "patroni*")}))


def on(node: str, fault: Fault) -> Plan:
    """The plan of a fault that is aimed at the subject, on that node."""
    made = plan(fault, View(nodes=("n1", "n2"), leader=None, subject=node), Random(0))
    assert isinstance(made, Plan)
    return made


KILLED = on("n1", Kill(target="subject"))
STARVED = on("n1", Oom(target="subject"))
REFUSED = Verification(problems=("started again, n1 ended with status 1 before it answered",))
FROZEN = State(frozen=frozenset({"n1"}))
RATIONED = State(per_mille={"n1": 950})
CALM = State()


def test_a_frozen_node_that_ran_nothing_was_frozen() -> None:
    seen = made([700.0, 700.2], FROZEN, CALM)
    assert not seen.problems
    assert seen.facts == {"ran_ms_n1": 0.2}


def test_a_node_that_ran_while_it_was_frozen_was_not() -> None:
    seen = made([700.0, 705.0], FROZEN, CALM)
    assert seen.problems == ("n1 ran for 5.0 ms while it was frozen",)


def test_a_throttled_node_that_kept_to_its_quota_is_verified() -> None:
    seen = made([700.0, 748.0], RATIONED, CALM)
    assert not seen.problems
    assert seen.facts == {"processor_n1": 0.048, "throttled_ms_n1": 0.0}


def test_a_throttled_node_that_exceeded_its_quota_is_not_verified() -> None:
    seen = made([700.0, 1_300.0], RATIONED, CALM)
    assert seen.problems == ("n1 had 600 ms of a processor in 1000 ms, and was to have 0.05 of one",)


def test_a_node_restarted_during_the_check_decides_nothing_about_its_quota() -> None:
    seen = made([700.0, 3.0], RATIONED, CALM)
    assert seen == Verification()


@pytest.mark.parametrize(
    ("growing", "killed", "problems"),
    [
        ("ends", True, 0),
        ("lives", True, 1),
        ("ends", False, 1),
        ("lives", False, 2),
    ],
)
def test_a_node_ran_out_of_memory_if_the_agent_and_the_kernel_say_so(growing: str, killed: bool, problems: int) -> None:
    wanted = Wanted(Growing(["n1"], {}, {}, {"n1": growing}), Memory(killed))
    seen = asyncio.run(wanted.make(DOWN, STARVED))
    assert len(seen.problems) == problems
    assert seen.facts == {"limit_mb_n1": 30.0, "oom_killed_n1": killed}


class Slow(Engine):
    """Takes its time over a freeze, and thaws nothing that is not frozen."""

    def __init__(self) -> None:
        super().__init__([700.0, 700.0])
        self.frozen = asyncio.Event()
        self.may_freeze = asyncio.Event()

    async def freeze(self, node: str) -> None:
        await self.may_freeze.wait()
        self.frozen.set()

    async def thaw(self, node: str) -> None:
        assert self.frozen.is_set()


def test_a_node_that_is_to_be_let_go_while_it_is_being_frozen_is_frozen_first() -> None:
    async def both() -> Verification:
        engine = Slow()
        wanted = Wanted(FakeAgents(["n1"], {}, {}, {}), engine)
        freezing = asyncio.create_task(wanted.make(FROZEN))
        await asyncio.sleep(0)
        thawing = asyncio.create_task(wanted.make(CALM))
        await asyncio.sleep(0)
        engine.may_freeze.set()
        await freezing
        return await thawing

    assert asyncio.run(both()).facts == {"ran_ms_n1": 0.0}


class Thawing(Engine):
    """Remembers the nodes that it has thawed."""

    def __init__(self) -> None:
        super().__init__([700.0, 700.0])
        self.thawed: list[str] = []

    async def thaw(self, node: str) -> None:
        self.thawed.append(node)


def test_a_frozen_node_that_is_to_be_killed_is_thawed_by_its_kill_and_not_forgotten_before() -> None:
    """A crash isolates the machine before it kills the node; other changes leave the node alone in between."""

    async def story() -> list[list[str]]:
        engine = Thawing()
        wanted = Wanted(FakeAgents(["n1", "n2"], {}, {}, {"n1": None, "n2": None}), engine)
        await wanted.make(FROZEN)
        dying = State(frozen=FROZEN.frozen, down=frozenset({"n1"}))
        await wanted.make(dying, on("n2", Pause(target="subject")))
        before = [*engine.thawed]
        await wanted.make(dying, KILLED)
        return [before, engine.thawed]

    assert asyncio.run(story()) == [[], ["n1"]]


class Ended(Engine):
    """Its node ended with status 3, which leaves the engine nothing to freeze, thaw or limit."""

    def __init__(self) -> None:
        super().__init__([0.0, 0.0])

    async def ended(self, node: str) -> int | None:
        return 3

    async def freeze(self, node: str) -> None:
        raise AssertionError("it does not run")

    async def thaw(self, node: str) -> None:
        raise AssertionError("it is not frozen")

    async def limit_memory(self, node: str) -> int:
        raise AssertionError("it uses none")


def test_a_node_that_ended_by_itself_is_neither_frozen_nor_throttled_and_ends_no_run() -> None:
    async def one_after_another() -> list[Verification]:
        wanted = Wanted(FakeAgents(["n1"], {}, {}, {}), Ended())
        frozen = [await wanted.make(state) for state in (FROZEN, CALM)]
        return [*frozen, await wanted.make(DOWN, STARVED)]

    frozen, thawed, starved = asyncio.run(one_after_another())
    assert frozen.problems == ("n1 was not frozen: it ended with status 3",)
    assert not thawed.problems
    assert starved.problems == ("n1 was not starved: it ended with status 3",)


@pytest.mark.parametrize("hurt", [DOWN, PARTLY_DOWN], ids=["killed as a whole", "one process killed"])
def test_a_node_that_fails_to_restart_is_reported_and_ends_no_run(hurt: State) -> None:
    assert started_again(REFUSED, hurt, CALM) == REFUSED
    assert started_again(Verification(), hurt, CALM) == Verification()
    assert not started_again(REFUSED, hurt, hurt).problems


def noting(asked: list[tuple[type[Request[Any]] | str, str]]) -> AgentPool:
    """Two hosts that carry out and record every request."""

    class Noting(FakeAgents):
        def reply(self, name: str, request: Request[Any]) -> Any:
            asked.append((type(request), name))
            return super().reply(name, request)

    return Noting(["n1", "n2"], {}, {}, {"n1": "/data", "n2": "/data"})


class Waking(Running):
    """Takes its time to start a node again."""

    def __init__(self) -> None:
        self.may_wake = asyncio.Event()

    async def revive(self, node: str) -> Verification:
        await self.may_wake.wait()
        return Verification()


def test_a_node_that_is_being_started_is_killed_when_the_engine_has_started_it() -> None:
    asked: list[tuple[type[Request[Any]] | str, str]] = []
    may_start = asyncio.Event()
    hosts: Any = {"n1": SimpleNamespace(node=SimpleNamespace(wait="wait", start="start"))}

    async def blocking(work: Any, **named: Any) -> None:
        if work == "start":
            await may_start.wait()
            asked.append(("started", "n1"))

    async def answers(node: str) -> None:
        return None

    async def meanwhile() -> None:
        containers = Containers(hosts, blocking, answers)
        wanted = Wanted(noting(asked), containers)
        await wanted.make(DOWN, KILLED)
        starting = asyncio.create_task(wanted.make(CALM))
        await asyncio.sleep(0)
        killing = asyncio.create_task(wanted.make(DOWN, KILLED))
        for _ in range(20):  # as far as either comes while the engine is at it
            await asyncio.sleep(0)
        may_start.set()
        await starting
        await killing

    asyncio.run(meanwhile())
    assert asked == [(KillNode, "n1"), ("started", "n1"), (KillNode, "n1")]


PAUSED_TOO = State(down=frozenset({"n1"}), paused=frozenset({"n2"}))
STILL_PAUSED = State(paused=frozenset({"n2"}))


def test_a_fault_that_ended_during_a_restart_is_not_injected_again() -> None:
    asked: list[tuple[type[Request[Any]] | str, str]] = []

    async def meanwhile() -> None:
        containers = Waking()
        wanted = Wanted(noting(asked), containers)
        await wanted.make(PAUSED_TOO)
        starting = asyncio.create_task(wanted.make(STILL_PAUSED))
        await asyncio.sleep(0)
        await wanted.make(CALM)
        containers.may_wake.set()
        await starting

    asyncio.run(meanwhile())
    assert [each for each in asked if each[1] == "n2"] == [(PauseNode, "n2"), (ResumeNode, "n2")]


def test_a_node_is_stopped_only_by_a_change_that_concerns_it() -> None:
    asked: list[tuple[type[Request[Any]] | str, str]] = []
    asyncio.run(Wanted(noting(asked), Waking()).make(PAUSED_TOO, on("n2", Pause(target="subject"))))
    assert asked == [(PauseNode, "n2")]


@pytest.mark.parametrize(
    ("folder", "files", "problems"),
    [("/data", None, 1), (None, None, 0), (None, "vote", 1)],
    ids=["not emptied", "keeps nothing", "keeps no such file"],
)
def test_a_disk_is_lost_if_the_agent_confirms_it_or_there_is_none(
    folder: str | None, files: str | None, problems: int
) -> None:
    class Failing(FakeAgents):
        def reply(self, name: str, request: Request[Any]) -> Any:
            assert isinstance(request, KillNode)
            disk = DiskLeft(changed=0, problem="it is as it was") if request.disk is not None else None
            return NodeKilled(disk=disk, connections_left=0)

    lost = on("n1", Kill(target="subject", state="lost", files=files))
    seen = asyncio.run(Wanted(Failing(["n1"], {}, {}, {"n1": folder}), Running.__new__(Running)).make(DOWN, lost))
    assert len(seen.problems) == problems
    assert seen.facts == ({} if folder is None else {"files_changed_n1": 0})


class Powered(FakeAgents):
    """Hosts that restore their disks on request or fail to, and report the check."""

    asked: ClassVar[list[tuple[str, Request[Any]]]] = []

    def reply(self, name: str, request: Request[Any]) -> Any:
        self.asked.append((name, request))
        match request:
            case RestoreDisk():
                return DiskRestored(changed=3, problem="it stayed mounted")
            case CheckMarker():
                return Checked(problem="what was not flushed is there")
            case KillNode(disk=DiskLoss()):
                copied = DiskLeft(cut_ms=6.5, problem=None)
                disk = copied if self.data["n1"] == "/data" else DiskLeft(problem="there is no copy")
                return NodeKilled(disk=disk, connections_left=0)
        return super().reply(name, request)


TORN = on("n1", Kill(target="subject", state="torn"))
KILL_TORN = KillNode(disk=DiskLoss(folder="/data", left="torn", pattern=None), sockets=False)


def cut(folder: str, seen: Verification) -> tuple[list[tuple[str, Request[Any]]], list[Verification]]:
    """The requests to the hosts and their verification through a power loss, its end, and a restart after a kill."""
    Powered.asked.clear()

    async def story() -> list[Verification]:
        wanted = Wanted(Powered(["n1"], {}, {}, {"n1": folder}), Starting(seen))
        found = [await wanted.make(DOWN, TORN), await wanted.put_back(), await wanted.put_back()]
        found += [await wanted.make(CALM, TORN)]
        return [*found, await wanted.make(DOWN), await wanted.put_back(), await wanted.make(CALM)]

    found = asyncio.run(story())
    return list(Powered.asked), found


def test_a_disk_is_restored_once_after_a_power_loss_and_checked_when_its_node_runs() -> None:
    asked, (hurt, put_back, again, revived, *after) = cut("/data", Verification())
    assert asked == [
        ("n1", KILL_TORN),
        ("disks", RestoreDisk(name="n1")),
        ("n1", CheckMarker(folder="/data")),
        ("n1", KillNode(disk=None, sockets=False)),
    ]
    assert hurt == Verification(facts={"cut_ms_n1": 6.5})
    assert put_back == Verification(problems=("n1: it stayed mounted",), facts={"files_changed_n1": 3})
    assert revived.problems == ("n1, started again: what was not flushed is there",)
    assert again == Verification() and not any(seen.problems for seen in after)


def test_a_disk_without_a_copy_is_not_restored_and_one_that_the_software_refuses_not_checked() -> None:
    asked, (hurt, *_) = cut("/other", Verification())
    assert [type(request) for _, request in asked] == [KillNode, KillNode]
    assert hurt == Verification(problems=("n1: there is no copy",))
    asked, (_, _, _, revived, *_) = cut("/data", REFUSED)
    assert CheckMarker not in [type(request) for _, request in asked]
    assert revived == REFUSED
