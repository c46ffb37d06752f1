"""Making plans true on the hosts, and verifying that they are.

The plans in force determine the state of the cluster (``nemesis.state``). Each change is made on all hosts at once and
then verified. ``links``, ``processes``, ``disks`` and ``clocks`` each make one part of that state true; ``handlers``
says which of them a class of fault needs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from splitbrain.nemesis.plans import Plan
from splitbrain.nemesis.state import State, state_of
from splitbrain.runtimes.base import Effect, Rechecked
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.clocks import Clocks, Shown
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.disks import Disks
from splitbrain.runtimes.docker.handlers import HANDLERS, Make
from splitbrain.runtimes.docker.links import Links
from splitbrain.runtimes.docker.names import Names
from splitbrain.runtimes.docker.processes import Processes
from splitbrain.runtimes.docker.rechecks import PlanLook, Rechecks
from splitbrain.units import MS


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a cluster that faults change; ``wanted`` returns the state that the plans in force ask for."""

    links: Links
    names: Names
    processes: Processes
    disks: Disks
    clocks: Clocks
    wanted: Callable[[], State]


Step = Callable[[], Awaitable[Verification]]


class FaultController:
    """The faults of one cluster. ``shows`` asks a machine for its clocks."""

    def __init__(self, hands: AgentPool, containers: Containers, shows: Callable[[str], Awaitable[Shown]]) -> None:
        self._in_force: list[Plan] = []
        self._rechecks: list[tuple[Plan, Rechecks]] = []
        self._hands = hands
        self._containers = containers
        self._parts = Parts(
            links=Links(hands, self._wanted),
            names=Names(hands, self._wanted),
            processes=Processes(hands, containers, self._wanted),
            disks=Disks(hands, containers, self._wanted),
            clocks=Clocks(hands, shows),
            wanted=self._wanted,
        )

    async def keep_disks(self) -> None:
        await self._parts.processes.restarts.keep_disks()

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(plan)
        handler = HANDLERS[type(plan.fault)]
        effect = await self._carry_out(plan, handler.inject)
        if effect.verified:
            look = PlanLook(plan, self._hands, self._containers, self._parts, self._in_force)
            self._rechecks.append((plan, Rechecks(look)))
        return effect

    async def undo(self, plan: Plan) -> Effect:
        rechecked = await self._end_rechecks([plan])
        self._in_force.remove(plan)
        handler = HANDLERS[type(plan.fault)]
        effect = await self._carry_out(plan, handler.undo or handler.inject)
        return replace(effect, rechecked=rechecked)

    async def heal(self) -> Effect:
        rechecked = await self._end_rechecks(self._in_force)
        self._in_force.clear()
        return replace(await _timed(self._make_healthy, self._verify_healthy), rechecked=rechecked)

    def close(self) -> None:
        """Look at no plan any more: the machines are about to go."""
        for _, rechecks in self._rechecks:
            rechecks.cancel()

    async def _end_rechecks(self, plans: Iterable[Plan]) -> list[tuple[Plan, Rechecked]]:
        """End the rechecks of these plans; a plan that was not verified has none."""
        ending = []
        for plan in plans:
            if (found := next((each for each in self._rechecks if each[0] is plan), None)) is not None:
                self._rechecks.remove(found)
                ending.append(found)
        return [
            *zip((plan for plan, _ in ending), await asyncio.gather(*(each.end() for _, each in ending)), strict=True)
        ]

    def _wanted(self) -> State:
        return state_of(self._in_force)

    async def _carry_out(self, plan: Plan, make: Make) -> Effect:
        verify = HANDLERS[type(plan.fault)].verify
        return await _timed(lambda: make(self._parts, plan, plan.fault), lambda: verify(self._parts, plan))

    async def _make_healthy(self) -> Verification:
        parts, wanted = self._parts, self._wanted()
        _, seen, *_ = await asyncio.gather(
            parts.links.make(wanted), parts.disks.make(), parts.clocks.make(wanted, {}), parts.names.make()
        )
        return seen + await parts.processes.make()  # after the disks, so that what starts again has room

    async def _verify_healthy(self) -> Verification:
        parts = self._parts
        seen = await parts.clocks.verify(self._wanted())
        return seen + await parts.links.verify() + await parts.names.verify() + await parts.links.crossed()


async def _timed(make: Step, verify: Step) -> Effect:
    """Carry out a change and verify it; the effect says how long each took."""
    began = time.monotonic_ns()
    seen = await make()
    in_effect = time.monotonic_ns()
    seen += await verify()
    return Effect(
        verified=not seen.problems,
        in_effect_ns=in_effect - began,
        problems=seen.problems,
        facts={"verification_ms": round((time.monotonic_ns() - in_effect) / MS, 3), **seen.facts},
    )
