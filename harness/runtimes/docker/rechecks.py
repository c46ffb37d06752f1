"""Rechecks of the plans in force: each is verified again about once a second, and once more before it is undone.

Something outside the harness may end a fault: rules are flushed, a process is killed or continued, a container is
thawed or started again. A look is cheap. It reads what a fault rests on (rules, one packet over each link, processes,
the freezer, rations, clocks), and says nothing about nodes and links that another plan changes meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.plans import Plan
from splitbrain.nemesis.state import State, state_of
from splitbrain.runtimes.base import Rechecked
from splitbrain.runtimes.docker.agent.messages import HostState, Inspect
from splitbrain.runtimes.docker.agents import AgentPool
from splitbrain.runtimes.docker.containers import Containers, rationed
from splitbrain.units import MS

if TYPE_CHECKING:
    from splitbrain.runtimes.docker.fault_controller import Parts

PERIOD_SECONDS = 1.0
FRESH_NS = 250 * MS  # a plan that was verified more recently is not looked at again before it is undone
SURE_SECONDS = 0.3  # until a sign that something else may explain is looked for again

Look = Callable[[], Awaitable[tuple[str, ...]]]
"""Looks at a plan in force; the signs that it has ended, in words."""


class Rechecks:
    """The looks at one plan, from its verification at the beginning until ``end`` or the first sign of its loss."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._ending = asyncio.Event()
        self._times = 0
        self._verified = time.monotonic_ns()
        self._lost: tuple[str, ...] = ()
        self._looking = asyncio.create_task(self._run())

    async def end(self) -> Rechecked:
        """Look for the last time, unless the last look was a moment ago."""
        self._ending.set()
        await self._looking
        if not self._lost and time.monotonic_ns() - self._verified >= FRESH_NS:
            await self._once()
        return Rechecked(times=self._times, last=self._verified if self._times else None, lost=self._lost)

    def cancel(self) -> None:
        """Look no more: the machines are about to go."""
        self._looking.cancel()

    async def _run(self) -> None:
        await self._once()
        while not self._lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._ending.wait()
            if self._ending.is_set():
                return
            await self._once()

    async def _once(self) -> None:
        began = time.monotonic_ns()
        try:
            self._lost = await self._look()
        except EnvironmentFailure:
            return  # it shows nothing, and what it shows of the host ends the run elsewhere
        if not self._lost:
            self._times, self._verified = self._times + 1, began


class PlanLook:
    """Looks at one plan. The nodes' processes that it stopped, and the disks that it filled, are those of ``first``."""

    def __init__(
        self, plan: Plan, hands: AgentPool, containers: Containers, parts: Parts, in_force: list[Plan]
    ) -> None:
        self._asked = state_of([plan])
        self._plan = plan
        self._hands = hands
        self._containers = containers
        self._parts = parts
        self._in_force = in_force
        self._first: dict[str, HostState] = {}

    async def __call__(self) -> tuple[str, ...]:
        asked = self._asked
        links, hosts, held = await asyncio.gather(self._links(), self._hosts(), self._held())
        found = (*links, *hosts, *held)
        if clocks := {node for node, _ in asked.errors}:
            found += await _twice(lambda: self._parts.clocks.lost(clocks))
        if ports := {port for _, port in asked.ports}:
            found += await _twice(lambda: self._parts.links.lost_ports(ports))
        if asked.names:
            found += await _twice(self._parts.names.lost)
        return found

    async def _links(self) -> tuple[str, ...]:
        links = self._asked.cut | self._asked.flaws.keys()
        return await self._parts.links.lost(links) if links else ()

    async def _hosts(self) -> tuple[str, ...]:
        """The signs that processes or disks of the nodes are not as the plan asked."""
        asked = self._asked
        nodes = asked.down | asked.paused | asked.full | {node for node, _ in asked.partly_paused}
        found = await self._hands.ask({node: Inspect() for node in sorted(nodes - self._shared(asked))})
        signs = [sign for node, host in found.items() for sign in self._signs(node, host)]
        self._first = {node: self._first.get(node, host) for node, host in found.items()}
        return tuple(signs)

    def _signs(self, node: str, host: HostState) -> Iterator[str]:
        if node in self._asked.down:
            if host.processes:
                yield f"{node} should be down, and runs"
            return
        if (first := self._first.get(node)) is None:
            return
        still = {(process.pid, process.began) for process in host.processes if process.stopped}
        if any((process.pid, process.began) not in still for process in first.processes if process.stopped):
            yield f"processes of {node} should be stopped, and run or have ended"
        if host.filler < first.filler:
            yield f"the disk of {node} should be full, and has room again"

    async def _held(self) -> tuple[str, ...]:
        """The signs that nodes are not frozen or rationed as the plan asked, by the engine's account."""
        asked, shared = self._asked, self._shared(self._asked)
        nodes = sorted((asked.frozen | asked.per_mille.keys()) - shared)
        each = dict(zip(nodes, await asyncio.gather(*map(self._containers.held, nodes)), strict=True))
        thawed = [
            f"{node} should be frozen, and is not" for node in nodes if node in asked.frozen and not each[node].frozen
        ]
        return (*thawed, *_unrationed(asked.per_mille, {node: held.quota for node, held in each.items()}))

    def _shared(self, asked: State) -> frozenset[str]:
        """The nodes that another plan in force has down, stopped, frozen, full or rationed as well."""
        others = list(self._in_force)
        others.remove(self._plan)
        also = state_of(others)
        of_parts = {node for node, _ in also.partly_down | also.partly_paused}
        shared = also.down | also.paused | also.frozen | also.full | also.per_mille.keys() | of_parts
        for node in shared:
            self._first.pop(node, None)
        return frozenset(shared)


async def _twice(look: Look) -> tuple[str, ...]:
    """The signs that are there again after a moment: a new process or another change may explain others."""
    if await look():
        await asyncio.sleep(SURE_SECONDS)
        return await look()
    return ()


def _unrationed(per_mille: Mapping[str, int], quotas: Mapping[str, int]) -> Iterator[str]:
    for node, taken in sorted(per_mille.items()):
        if node in quotas and quotas[node] != rationed(taken)[1]:
            yield f"{node} should lack {taken}/1000 of a processor, and its limit is another"
