"""Rationing the nodes' processor time, and verifying by the kernel's account that they had no more."""

from __future__ import annotations

from collections.abc import Callable, Collection

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agents import Verification, verified
from splitbrain.runtimes.docker.containers import Containers, Spent

UNEVEN_MS = 50.0  # what the kernel has handed out to its processors before a ration begins, and a period's share


class Rations:
    """The nodes' rations, in thousandths of a processor that are taken from each."""

    def __init__(self, containers: Containers, wanted: Callable[[], State]) -> None:
        self._containers = containers
        self._wanted = wanted
        self._taken: dict[str, int] = {}
        self._at_start: dict[str, Spent] = {}

    async def make(self, down: Collection[str]) -> Verification:
        """Set the rations that have changed. A container keeps its ration while its node is ``down``."""
        wanted = self._wanted().per_mille
        before, self._taken = self._taken, dict(wanted)
        changed = sorted(node for node in before.keys() | wanted.keys() if before.get(node, 0) != wanted.get(node, 0))
        return await verified(self._set(node, before.get(node, 0), wanted.get(node, 0), down) for node in changed)

    async def _set(self, node: str, before: int, taken: int, down: Collection[str]) -> Verification:
        seen = await self._verify(node, before, down)
        done = await self._containers.ration(node, taken)
        if taken and node not in down:
            self._at_start[node] = await self._containers.spent(node)
        return seen + Verification(problems=() if done else (f"{node} should lack {taken}/1000 of a processor",))

    async def _verify(self, node: str, taken: int, down: Collection[str]) -> Verification:
        """Compare a node's use with its ration, unless it was down at either end or restarted in between."""
        began = self._at_start.pop(node, None)
        if began is None or node in down:
            return Verification()
        had = (await self._containers.spent(node)).since(began)
        if had.cpu_ms < 0:
            return Verification()
        left = (1_000 - taken) / 1_000
        words = f"{node} had {had.cpu_ms:.0f} ms of a processor in {had.at_ms:.0f} ms, and was to have {left:g} of one"
        facts = {
            f"processor_{node}": round(had.cpu_ms / had.at_ms, 4),
            f"throttled_ms_{node}": round(had.throttled_ms, 1),
        }
        return Verification(problems=(words,) if had.cpu_ms > left * had.at_ms + UNEVEN_MS else (), facts=facts)
