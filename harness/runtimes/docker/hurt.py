"""Making plans true on the hosts, and seeing that they are.

What is in force is a list of plans; what the cluster is to be like follows from it (``nemesis.state``). Each change
is made on all hosts at once, and then verified. What is done falls into parts, each with a module of its own that
makes its part of a ``State`` true and sees whether it is: ``links``, ``processes``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from harness.runtimes.base import Effect
from harness.runtimes.docker.hands import Hands
from harness.runtimes.docker.links import Links
from harness.runtimes.docker.processes import Processes
from harness.units import MS
from nemesis.plans import Killed, OnLinks, Plan
from nemesis.state import State, state_of


class Hurt:
    """What is wrong with one cluster at the nemesis' hands. ``revive`` starts a node again and awaits its answer."""

    def __init__(self, hands: Hands, revive: Callable[[str], Awaitable[None]]) -> None:
        self._in_force: list[Plan] = []
        self._links = Links(hands, self._wanted)
        self._processes = Processes(hands, revive)

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(plan)
        wipe = isinstance(plan.harm, Killed) and plan.harm.state == "lost"
        return await self._make_true(isinstance(plan.harm, OnLinks), wipe)

    async def undo(self, plan: Plan) -> Effect:
        self._in_force.remove(plan)
        return await self._make_true(isinstance(plan.harm, OnLinks))

    async def heal(self) -> Effect:
        self._in_force.clear()
        return await self._make_true(links=True)

    def _wanted(self) -> State:
        return state_of(self._in_force)

    async def _make_true(self, links: bool, wipe: bool = False) -> Effect:
        began = time.monotonic_ns()
        wanted = self._wanted()
        await asyncio.gather(self._processes.make(wanted, wipe), *([self._links.make(wanted)] if links else []))
        in_effect = time.monotonic_ns() - began
        if not links:
            return Effect(verified=True, in_effect_ns=in_effect)
        seen = await self._links.verify()
        verification = round((time.monotonic_ns() - began - in_effect) / MS, 3)
        return Effect(
            verified=not seen.problems,
            in_effect_ns=in_effect,
            problems=seen.problems,
            facts={"verification_ms": verification, **seen.facts},
        )
