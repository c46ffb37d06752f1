"""Making plans true on the hosts, and seeing that they are.

What is in force is a list of plans; what the cluster is to be like follows from it (``nemesis.state``). Each change
is made on all hosts at once, and then verified. What is done falls into parts, each with a module of its own that
makes its part of a ``State`` true and sees whether it is: ``links``, ``processes``, ``disks``, ``clocks``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from splitbrain.nemesis.plans import Crashed, Harm, Killed, OnDisks, OnLinks, Plan, Severed, Skewed
from splitbrain.nemesis.state import State, state_of
from splitbrain.runtimes.base import Effect
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.clocks import Clocks, Shown
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.disks import Disks
from splitbrain.runtimes.docker.links import Links
from splitbrain.runtimes.docker.processes import Processes
from splitbrain.units import MS


class Hurt:
    """What is wrong with one cluster at the nemesis' hands. ``shows`` asks a machine for its clocks."""

    def __init__(self, hands: AgentPool, containers: Containers, shows: Callable[[str], Awaitable[Shown]]) -> None:
        self._in_force: list[Plan] = []
        self._links = Links(hands, self._wanted)
        self._processes = Processes(hands, containers, self._wanted)
        self._disks = Disks(hands, containers, self._wanted)
        self._clocks = Clocks(hands, shows)

    async def keep_disks(self) -> None:
        await self._processes.keep_disks()

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(plan)
        return await self._make_true(plan.harm, begins=True)

    async def undo(self, plan: Plan) -> Effect:
        self._in_force.remove(plan)
        return await self._make_true(plan.harm)

    async def heal(self) -> Effect:
        self._in_force.clear()
        return await self._make_true(None)

    def _wanted(self) -> State:
        return state_of(self._in_force)

    async def _make_true(self, harm: Harm | None, begins: bool = False) -> Effect:
        """Have the cluster be as the plans in force ask for, in what ``harm`` is about; None: in everything."""
        began = time.monotonic_ns()
        wanted = self._wanted()
        match harm:
            case Crashed():  # a machine is silent before it is dead, and on the network before it works
                await self._links.make(wanted)
                seen = await self._processes.make(harm)
            case None:
                _, room, _ = await asyncio.gather(
                    self._links.make(wanted), self._disks.make(), self._clocks.make(wanted, None)
                )
                seen = room + await self._processes.make(None)  # what starts again finds room
            case _ if isinstance(harm, OnDisks):
                seen = await self._disks.make()
            case Skewed():
                await self._clocks.make(wanted, harm if begins else None)
                seen = Verification()
            case _ if isinstance(harm, OnLinks):
                await self._links.make(wanted)
                seen = Verification()
            case _:
                seen = await self._processes.make(harm)
        in_effect = time.monotonic_ns() - began
        if isinstance(harm, Killed | Crashed):
            seen += await self._processes.put_back(harm.nodes)
        if harm is None or isinstance(harm, Skewed):
            seen += await self._clocks.verify(self._wanted(), None if harm is None else harm.nodes)
        if harm is None or isinstance(harm, OnLinks | Crashed):
            flawed = () if harm is None or isinstance(harm, Severed | Crashed) else harm.links
            seen += await self._links.verify(flawed)
        if harm is None:
            seen += await self._links.crossed()
        facts = {"verification_ms": round((time.monotonic_ns() - began - in_effect) / MS, 3)}
        return Effect(
            verified=not seen.problems,
            in_effect_ns=in_effect,
            problems=seen.problems,
            facts={**facts, **seen.facts},
        )
