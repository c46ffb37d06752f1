"""That a fault is not believed when the kernel's account of a node says otherwise. The engine is a stand-in here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from harness.runtimes.docker.containers import Containers, Spent
from harness.runtimes.docker.hands import Hands, Seen
from harness.runtimes.docker.processes import Processes
from nemesis.plans import Starved
from nemesis.state import State


class Engine(Containers):
    """Says of every node that it has spent so many ms of a processor, one figure each time it is asked."""

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


class Memory(Containers):
    """Says of every node that has ended whether it was for want of memory."""

    def __init__(self, killed: bool) -> None:
        self._killed = killed

    async def limit_memory(self, node: str) -> int:
        return 30_000_000

    async def ended_by_kernel(self, node: str) -> bool:
        return self._killed


class Growing(Hands):
    """Hosts whose nodes are made to grow, and end or do not."""

    async def ask(self, do: str, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        if do != "grow":
            return {}
        assert arguments == {"n1": {"size": 30_000_000}}
        return {"n1": {"wrong": None if self.data["n1"] == "ends" else "it lived on"}}


class Quiet(Hands):
    """Hosts whose processes have nothing to be done to them."""

    async def ask(self, do: str, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        return {}


def made(cpu_ms: list[float], *states: State) -> Seen:
    async def one_after_another() -> Seen:
        processes = Processes(Quiet(["n1"], {}, {}, {}), Engine(cpu_ms))
        seen = Seen()
        for state in states:
            seen = await processes.make(state, None)
        return seen

    return asyncio.run(one_after_another())


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


def test_a_node_that_had_its_ration_had_no_more() -> None:
    seen = made([700.0, 748.0], RATIONED, CALM)
    assert not seen.problems
    assert seen.facts == {"processor_n1": 0.048, "throttled_ms_n1": 0.0}


def test_a_node_that_had_more_than_its_ration_was_not_rationed() -> None:
    seen = made([700.0, 1_300.0], RATIONED, CALM)
    assert seen.problems == ("n1 had 600 ms of a processor in 1000 ms, and was to have 0.05 of one",)


def test_a_node_that_was_started_anew_meanwhile_tells_nothing_of_its_ration() -> None:
    seen = made([700.0, 3.0], RATIONED, CALM)
    assert seen == Seen()


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
    processes = Processes(Growing(["n1"], {}, {}, {"n1": growing}), Memory(killed))
    seen = asyncio.run(processes.make(State(down=frozenset({"n1"})), Starved(nodes=("n1",))))
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
    async def both() -> Seen:
        engine = Slow()
        processes = Processes(Quiet(["n1"], {}, {}, {}), engine)
        freezing = asyncio.create_task(processes.make(FROZEN, None))
        await asyncio.sleep(0)
        thawing = asyncio.create_task(processes.make(CALM, None))
        await asyncio.sleep(0)
        engine.may_freeze.set()
        await freezing
        return await thawing

    assert asyncio.run(both()).facts == {"ran_ms_n1": 0.0}
