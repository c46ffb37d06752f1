"""Making plans true on the hosts, and seeing that they are.

What is in force is a list of plans; what the cluster is to be like follows from it (``nemesis.state``). Each change
is made on all hosts at once, and then verified: links by real packets, processes by their state in the host's own
process table, a node started again by its answer.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from harness.runtimes.base import Effect
from harness.runtimes.docker.channel import AgentChannel
from harness.runtimes.docker.hosts import DATA
from harness.runtimes.verification import Heard, problems
from harness.units import MS
from nemesis.plans import Killed, OnLinks, Plan
from nemesis.state import State, state_of

VERIFY_NS = 1_000 * MS
VERIFY_AGAIN_SECONDS = 0.005
SAMPLE = 200  # packets a link, to see a chance of loss
SIGMAS = 4.5


class Hurt:
    """What is wrong with one cluster at the nemesis' hands. ``revive`` starts a node again and awaits its answer."""

    def __init__(
        self,
        nodes: Sequence[str],
        addresses: Mapping[str, str],
        agents: Mapping[str, AgentChannel],
        revive: Callable[[str], Awaitable[None]],
    ) -> None:
        self._nodes = tuple(nodes)
        self._addresses = addresses
        self._agents = agents
        self._revive = revive
        self._in_force: list[Plan] = []
        self._down: set[str] = set()
        self._paused: set[str] = set()
        self._tokens = itertools.count(1)

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

    async def _make_true(self, links: bool, wipe: bool = False) -> Effect:
        began = time.monotonic_ns()
        wanted = state_of(self._in_force)
        await asyncio.gather(self._processes(wanted, wipe), *([self._links(wanted)] if links else []))
        in_effect = time.monotonic_ns() - began
        if not links:
            return Effect(verified=True, in_effect_ns=in_effect)
        wrong = await self._verify_cuts()
        lost, seen = await self._verify_losses()
        verification = round((time.monotonic_ns() - began - in_effect) / MS, 3)
        return Effect(
            verified=not wrong + lost,
            in_effect_ns=in_effect,
            problems=wrong + lost,
            facts={"verification_ms": verification, **seen},
        )

    async def _processes(self, wanted: State, wipe: bool) -> None:
        """Kill, start, pause and let go on; the agents answer when the processes have obeyed."""
        kill, revive = wanted.down - self._down, self._down - wanted.down
        self._down = set(wanted.down)
        self._paused -= kill  # a process started again is not paused
        await asyncio.gather(
            *(self._agents[node].ask("kill", wipe=DATA if wipe else None) for node in sorted(kill)),
            *(self._revive(node) for node in sorted(revive)),
        )
        alive = wanted.paused - self._down
        stop, go = alive - self._paused, self._paused - alive
        self._paused = set(alive)
        await asyncio.gather(
            *(self._agents[node].ask("stop") for node in sorted(stop)),
            *(self._agents[node].ask("go") for node in sorted(go)),
        )

    async def _links(self, wanted: State) -> None:
        requests: dict[str, dict[str, Any]] = {node: {"drop": [], "lose": {}} for node in self._nodes}
        for sender, receiver in sorted(wanted.cut):
            requests[receiver]["drop"].append(self._addresses[sender])
        for (sender, receiver), flaws in sorted(wanted.flaws.items()):
            requests[receiver]["lose"][self._addresses[sender]] = flaws.loss
        await self._on_all("links", requests)

    async def _verify_cuts(self) -> tuple[str, ...]:
        """Send real packets until the hosts have seen what is to be cut, and no more, or the time for it has passed.

        A lossy link may lose this one too; it is left to its own verification.
        """
        give_up = time.monotonic_ns() + VERIFY_NS
        while True:
            token = await self._send_probes(times=1)
            for _ in range(3):  # packets are on their way for a moment: their rules are asked again before new ones
                answers = await self._ask_heard(token)
                wanted = state_of(self._in_force)
                lossy = wanted.flaws.keys() - wanted.cut
                heard = {
                    node: Heard(
                        peers=frozenset(peers) | {sender for sender, receiver in lossy if receiver == node},
                        dropped=dropped,
                    )
                    for node, (peers, dropped) in answers.items()
                }
                wrong = problems(self._nodes, wanted.cut, heard)
                if not wrong:
                    return ()
                await asyncio.sleep(VERIFY_AGAIN_SECONDS)
            if time.monotonic_ns() >= give_up:
                return wrong

    async def _verify_losses(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Whether each lossy link loses about the share of real packets that it is to lose."""
        wanted = state_of(self._in_force)
        lossy = sorted(wanted.flaws.keys() - wanted.cut)
        if not lossy:
            return (), {}
        token = await self._send_probes(times=SAMPLE)
        await asyncio.sleep(VERIFY_AGAIN_SECONDS)
        answers = await self._ask_heard(token)
        wrong, shares = [], []
        for sender, receiver in lossy:
            chance = wanted.flaws[sender, receiver].loss
            share = 1 - answers[receiver][0].get(sender, 0) / SAMPLE
            shares.append(share)
            if abs(share - chance) > SIGMAS * math.sqrt(chance * (1 - chance) / SAMPLE) + 1 / SAMPLE:
                wrong.append(f"{sender} to {receiver} should lose {chance:.0%}, and lost {share:.0%} of {SAMPLE}")
        return tuple(wrong), {"loss_seen": round(sum(shares) / len(shares), 4)}

    async def _send_probes(self, times: int) -> int:
        token = next(self._tokens)
        peers = {node: [self._addresses[peer] for peer in self._nodes if peer != node] for node in self._nodes}
        await self._on_all("probe", {n: {"to": peers[n], "token": token, "times": times} for n in self._nodes})
        return token

    async def _ask_heard(self, token: int) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
        """Of each node: packets with that token, and packets dropped, both by the sender's name."""
        answers = await self._on_all("heard", {node: {"token": token} for node in self._nodes})
        return {node: (self._named(a["heard"]), self._named(a["dropped"])) for node, a in answers.items()}

    def _named(self, by_address: Mapping[str, int]) -> dict[str, int]:
        names = {address: node for node, address in self._addresses.items()}
        return {names[address]: count for address, count in by_address.items() if address in names}

    async def _on_all(self, do: str, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        names = list(arguments)
        answers = await asyncio.gather(*(self._agents[n].ask(do, **arguments[n]) for n in names))
        return dict(zip(names, answers, strict=True))
