"""Freezing nodes by the engine, and verifying by the kernel's account that they ran nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agents import Verification, verified
from splitbrain.runtimes.docker.containers import Containers, Spent
from splitbrain.runtimes.docker.restarts import exit_problem

FROZEN_MS = 1.0  # processor time that a frozen node may show: the kernel's account lags a little

Freezing = Mapping[str, "asyncio.Future[Spent]"]
"""For each node that is being frozen the processor time that it had when it was."""


class Freezer:
    """The nodes that are ``frozen``."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.frozen: set[str] = set()
        self._at_freeze: dict[str, asyncio.Future[Spent]] = {}  # from the decision to freeze a node on

    def decide(self, wanted: State, killed: Collection[str]) -> tuple[Freezing, set[str]]:
        """The nodes to freeze and to thaw. A node that is killed is thawed: it can only die when it may run."""
        thaw = {node for node in self.frozen if node in killed or node not in wanted.frozen}
        freeze = wanted.frozen - wanted.down - self.frozen
        self.frozen = (self.frozen - thaw) | freeze
        freezing = {node: asyncio.get_running_loop().create_future() for node in sorted(freeze)}
        self._at_freeze |= freezing
        return freezing, thaw

    async def freeze(self, freezing: Freezing) -> Verification:
        return await verified(self._freeze(node, done) for node, done in freezing.items())

    async def _freeze(self, node: str, done: asyncio.Future[Spent]) -> Verification:
        seen = await exit_problem(self._containers, node, "frozen")
        if not seen.problems:
            await self._containers.freeze(node)
        done.set_result(await self._containers.spent(node))
        return seen

    async def verify(self, nodes: Iterable[str]) -> Verification:
        """Verify that nodes about to be thawed had no processor time, after any freeze still under way."""
        seen = Verification()
        for node in sorted(nodes):
            began = await self._at_freeze.pop(node)
            ran = (await self._containers.spent(node)).since(began).cpu_ms
            wrong = (f"{node} ran for {ran:.1f} ms while it was frozen",) if ran > FROZEN_MS else ()
            seen += Verification(problems=wrong, facts={f"ran_ms_{node}": round(ran, 3)})
        return seen

    async def thaw(self, nodes: Iterable[str]) -> None:
        await asyncio.gather(*(self._thaw(node) for node in sorted(nodes)))

    async def _thaw(self, node: str) -> None:
        if await self._containers.ended(node) is None:
            await self._containers.thaw(node)
