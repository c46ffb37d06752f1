"""A simulated cluster as the workload and the nemesis see it: the same seam as a cluster of containers.

Observers do not go through the network under test: their way to a host is short, of its own, and never cut. The
nemesis is no better than the real one: what it asks for is applied by each host in its own time, some milliseconds
later, and believed only when packets over the links have shown it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush
from random import Random
from typing import Any, Final

from harness.runtimes.base import Effect, Job, Reply
from harness.runtimes.docker.verification import Heard, problems
from harness.runtimes.sim.hosts import Call
from harness.runtimes.sim.kernel import Act, Alarm, suspend
from harness.runtimes.sim.network import Link, Uniform, sampler
from harness.runtimes.sim.simulation import Simulation
from harness.units import MS
from nemesis.plans import Plan
from nemesis.state import state_of
from nemesis.triggers import Trigger

CLIENT_WAY: Final = Uniform(50_000, 200_000)  # from a client to a node, or back
APPLYING: Final = Uniform(5 * MS, 20 * MS)  # until a host has done what the nemesis asked for
VERIFY_NS: Final = 1_000 * MS
LOOK_AGAIN_NS: Final = 5 * MS
LOOKS_A_ROUND: Final = 3
PROBE_NS: Final = 300_000


class SimCluster:
    """The cluster of one simulation. Everything in it happens on the simulation's kernel."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.nodes: Sequence[str] = tuple(simulation.hosts)
        self._kernel = simulation.kernel
        self._hosts = simulation.hosts
        self._ways = {node: _Way(simulation.seed, node) for node in self.nodes}
        self._dice = Random(f"{simulation.seed}/nemesis")
        self._applying = sampler(APPLYING, self._dice)
        self._in_force: list[Plan] = []

    def now(self) -> int:
        return self._kernel.now

    def alarm(self) -> Alarm:
        return Alarm(self._kernel)

    async def together(self, main: Job, others: Sequence[Job]) -> None:
        await self._kernel.together([main, *others])

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        self._ask(self._hosts[node].observe, self._ways[node].draw, timeout_ns)
        reply: Reply = await suspend()
        return reply

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        self._ask(self._hosts[node].confirm, self._ways[node].draw, timeout_ns)
        reply: Reply = await suspend()
        return reply

    def _ask(self, question: Act, way: Callable[[], int], timeout_ns: int) -> None:
        """Put a question on its way; its answer wakes the present task."""
        kernel = self._kernel
        call = Call(kernel, kernel.now + timeout_ns, way)
        heappush(kernel.queue, (kernel.now + way(), kernel.ticket(), question, call, None))

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(plan)
        return await self._cut()

    async def undo(self, plan: Plan) -> Effect:
        self._in_force.remove(plan)
        return await self._cut()

    async def heal(self) -> Effect:
        self._in_force.clear()
        return await self._cut()

    async def happens(self, trigger: Trigger, give_up: int) -> str | None:
        await self._kernel.sleep(max(0, give_up - self._kernel.now))
        return None

    # Cuts

    async def _cut(self) -> Effect:
        """Put the cuts in force in place of whatever was cut, on each host when it comes to it, and verify them."""
        began = self._kernel.now
        in_effect = began
        for node in self.nodes:
            at = began + self._applying()
            self._kernel.at(at, self._apply, node)
            in_effect = max(in_effect, at)
        await self._kernel.sleep(in_effect - began)
        wrong = await self._verify()
        return Effect(
            verified=not wrong,
            in_effect_ns=in_effect - began,
            problems=wrong,
            facts={"verification_ms": round((self._kernel.now - in_effect) / MS, 3)},
        )

    def _apply(self, node: str, _: Any) -> None:
        """Whatever is in force by now, so that of several changes under way the last one wins."""
        cut = state_of(self._in_force).cut
        senders = frozenset(sender for sender, receiver in cut if receiver == node)
        self.simulation.network.cut_into(node, senders)

    async def _verify(self) -> tuple[str, ...]:
        """Send packets over every link until they find what is to be cut, and no more, or the time for it is over."""
        give_up = self._kernel.now + VERIFY_NS
        while True:
            heard = _Ears(self.nodes)
            self._probe(heard)
            for _ in range(LOOKS_A_ROUND):
                await self._kernel.sleep(LOOK_AGAIN_NS)
                wrong = problems(self.nodes, state_of(self._in_force).cut, heard.reports())
                if not wrong:
                    return ()
            if self._kernel.now >= give_up:
                return wrong

    def _probe(self, ears: _Ears) -> None:
        """One packet over every link, with dice of the nemesis's own: to look must not change what happens next."""
        for link in self.simulation.network:
            if self._dice.random() >= link.conditions.loss:
                self._kernel.at(self._kernel.now + PROBE_NS, ears.hear, link)


class _Way:
    """How long a client's request takes to one node, and its answer back; its dice are made when first used."""

    __slots__ = ("_key", "draw")

    def __init__(self, seed: int, node: str) -> None:
        self._key = f"{seed}/client/{node}"
        self.draw: Callable[[], int] = self._first

    def _first(self) -> int:
        self.draw = sampler(CLIENT_WAY, Random(self._key))
        return self.draw()


class _Ears:
    """What the hosts have heard of one round of probes, and what their cuts have dropped of it."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._heard: dict[str, set[str]] = {node: set() for node in nodes}
        self._dropped: dict[str, dict[str, int]] = {node: {} for node in nodes}

    def hear(self, link: Link, _: Any) -> None:
        if link.cut:
            self._dropped[link.to][link.sender] = 1
        else:
            self._heard[link.to].add(link.sender)

    def reports(self) -> dict[str, Heard]:
        return {node: Heard(frozenset(self._heard[node]), self._dropped[node]) for node in self._heard}
