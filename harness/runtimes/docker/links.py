"""Making the links of a cluster what its plans ask for, and seeing by real packets that they are."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from harness.runtimes.docker.hands import Hands, Seen
from harness.runtimes.verification import Heard, problems
from harness.units import MS
from nemesis.state import State

VERIFY_NS = 1_000 * MS
VERIFY_AGAIN_SECONDS = 0.005
SAMPLE = 200  # packets a link, to see a chance of loss
SIGMAS = 4.5


class Links:
    """The links between the hosts; ``wanted`` tells at any time what the plans in force ask for."""

    def __init__(self, hands: Hands, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._wanted = wanted
        self._tokens = itertools.count(1)

    async def make(self, wanted: State) -> None:
        """All rules of all hosts, each replaced at one instant."""
        requests: dict[str, dict[str, Any]] = {node: {"drop": [], "lose": {}} for node in self._hands.nodes}
        for sender, receiver in sorted(wanted.cut):
            requests[receiver]["drop"].append(self._hands.addresses[sender])
        for (sender, receiver), flaws in sorted(wanted.flaws.items()):
            requests[receiver]["lose"][self._hands.addresses[sender]] = flaws.loss
        await self._hands.ask("links", requests)

    async def verify(self) -> Seen:
        return await self._verify_cuts() + await self._verify_losses()

    async def _verify_cuts(self) -> Seen:
        """Send real packets until the hosts have seen what is to be cut, and no more, or the time for it has passed.

        A lossy link may lose this one too; it is left to its own verification.
        """
        give_up = time.monotonic_ns() + VERIFY_NS
        while True:
            token = await self._send_probes(times=1)
            for _ in range(3):  # packets are on their way for a moment: their rules are asked again before new ones
                answers = await self._ask_heard(token)
                wanted = self._wanted()
                lossy = wanted.flaws.keys() - wanted.cut
                heard = {
                    node: Heard(
                        peers=frozenset(peers) | {sender for sender, receiver in lossy if receiver == node},
                        dropped=dropped,
                    )
                    for node, (peers, dropped) in answers.items()
                }
                wrong = problems(self._hands.nodes, wanted.cut, heard)
                if not wrong:
                    return Seen()
                await asyncio.sleep(VERIFY_AGAIN_SECONDS)
            if time.monotonic_ns() >= give_up:
                return Seen(problems=wrong)

    async def _verify_losses(self) -> Seen:
        """Whether each lossy link loses about the share of real packets that it is to lose."""
        wanted = self._wanted()
        lossy = sorted(wanted.flaws.keys() - wanted.cut)
        if not lossy:
            return Seen()
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
        return Seen(problems=tuple(wrong), facts={"loss_seen": round(sum(shares) / len(shares), 4)})

    async def _send_probes(self, times: int) -> int:
        token = next(self._tokens)
        nodes, addresses = self._hands.nodes, self._hands.addresses
        peers = {node: [addresses[peer] for peer in nodes if peer != node] for node in nodes}
        await self._hands.ask("probe", {n: {"to": peers[n], "token": token, "times": times} for n in nodes})
        return token

    async def _ask_heard(self, token: int) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
        """Of each node: packets with that token, and packets dropped, both by the sender's name."""
        answers = await self._hands.ask("heard", {node: {"token": token} for node in self._hands.nodes})
        return {node: (self._named(a["heard"]), self._named(a["dropped"])) for node, a in answers.items()}

    def _named(self, by_address: Mapping[str, int]) -> dict[str, int]:
        names = {address: node for node, address in self._hands.addresses.items()}
        return {names[address]: count for address, count in by_address.items() if address in names}
