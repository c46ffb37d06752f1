"""Making the nodes' processes what the plans ask for: dead or alive, paused or not.

The agents answer when the processes have obeyed, as the host's own process table shows; a node that is started again
is awaited until it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from harness.runtimes.docker.hands import Hands
from nemesis.state import State


class Processes:
    """The nodes' processes. ``revive`` starts a node again and awaits its answer."""

    def __init__(self, hands: Hands, revive: Callable[[str], Awaitable[None]]) -> None:
        self._hands = hands
        self._revive = revive
        self._down: set[str] = set()
        self._paused: set[str] = set()

    async def make(self, wanted: State, wipe: bool) -> None:
        """Kill, start, pause and let go on; with ``wipe`` those killed now lose what was on their disks."""
        kill, revive = wanted.down - self._down, self._down - wanted.down
        self._down = set(wanted.down)
        self._paused -= kill  # a process started again is not paused
        await asyncio.gather(
            self._hands.ask(
                "kill", {name: {"wipe": self._hands.data[name] if wipe else None} for name in sorted(kill)}
            ),
            *(self._revive(node) for node in sorted(revive)),
        )
        alive = wanted.paused - self._down
        stop, go = alive - self._paused, self._paused - alive
        self._paused = set(alive)
        await asyncio.gather(self._ask("stop", stop), self._ask("go", go))

    async def _ask(self, do: str, nodes: Iterable[str]) -> None:
        await self._hands.ask(do, {name: {} for name in sorted(nodes)})
