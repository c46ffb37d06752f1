"""Having the nodes' disks be full, and seeing that they are.

A node's data folder is a volume of its own then, of a size that is fixed, which its host holds too: the agent takes
what is left of it. Software that ended meanwhile is started again when there is room, as by whoever looks after the
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.runtimes.docker.containers import Containers
from harness.runtimes.docker.hands import Hands, Seen
from nemesis.state import State


class Disks:
    """The disks of all hosts. What is ``wanted`` is asked for anew at every step, as changes may cross."""

    def __init__(self, hands: Hands, containers: Containers, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._containers = containers
        self._wanted = wanted
        self._full: set[str] = set()

    async def make(self) -> Seen:
        wanted = self._wanted().full
        fill, free = wanted - self._full, self._full - wanted
        self._full = set(wanted)
        return await self._free(free) + await self._fill(fill)

    async def _fill(self, nodes: Iterable[str]) -> Seen:
        without = sorted(node for node in nodes if self._hands.data[node] is None)
        answers = await self._hands.ask("fill", {node: {} for node in sorted(set(nodes) - set(without))})
        wrong = [f"{node} keeps nothing, so it has no disk to be full" for node in without]
        wrong += [f"on {node} {told['left']} bytes are left" for node, told in answers.items() if told["left"]]
        facts = {f"filled_mb_{node}": round(told["taken"] / 1e6, 1) for node, told in answers.items()}
        return Seen(problems=tuple(wrong), facts=facts)

    async def _free(self, nodes: Iterable[str]) -> Seen:
        nodes = sorted(node for node in nodes if self._hands.data[node] is not None)
        answers = await self._hands.ask("free", {node: {} for node in nodes})
        seen = Seen(problems=tuple(f"{node} has no room" for node, told in answers.items() if not told["left"]))
        for node in nodes:
            status = await self._containers.ended(node)
            if status is not None and node not in self._wanted().down:
                seen += Seen(facts={f"ended_{node}": status}) + await self._containers.revive(node)
        return seen
