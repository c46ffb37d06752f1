"""Making the nodes' processes what the plans in force ask for: down or running, paused, frozen or rationed.

The agents answer when the processes have obeyed, as the host's process table shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from collections.abc import Set as AbstractSet

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.freezer import Freezer
from splitbrain.runtimes.docker.rations import Rations
from splitbrain.runtimes.docker.restarts import Restarts
from splitbrain.runtimes.docker.signals import Signals

End = Callable[[Collection[str]], Awaitable[Verification]]
"""A way to end nodes."""


class Processes:
    """The nodes' processes, controlled by the agent inside each host and by the engine.

    ``wanted`` is asked anew at every step: starting a node may take seconds, in which other changes are made, and none
    of these may be undone by an older state.
    """

    def __init__(self, hands: AgentPool, containers: Containers, wanted: Callable[[], State]) -> None:
        self._wanted = wanted
        self.restarts = Restarts(hands, containers)
        self._freezer = Freezer(containers)
        self._signals = Signals(hands, wanted, self._asleep, containers.intents)
        self._rations = Rations(containers, wanted)

    def _asleep(self) -> AbstractSet[str]:
        return self.restarts.down | self._freezer.frozen

    async def make(self, nodes: Collection[str] | None = None, end: End | None = None) -> Verification:
        """Make the processes as wanted. Of nodes to go down only these are ended, by ``end``; each fault ends its own.

        With None all are ended, by a kill.
        """
        # Nothing is awaited between these decisions, so that changes under way at the same time see them all.
        wanted = self._wanted()
        ending, starting = self.restarts.decide(wanted.down, nodes)
        freezing, thawing = self._freezer.decide(wanted, ending)
        self._signals.forget(ending)

        seen = await self._freezer.verify(thawing)
        ended, started, _ = await asyncio.gather(
            (end or self.restarts.kill)(ending),
            self.restarts.start(starting),
            self._freezer.thaw(thawing),  # a frozen process that was killed dies now, and runs no more
        )
        seen += ended + started
        seen += await self._restart(self._signals.to_restart())
        seen += await self._signals.make()
        seen += await self._freezer.freeze(freezing)
        return seen + await self._rations.make(self.restarts.down)

    async def _restart(self, nodes: Collection[str]) -> Verification:
        """Restart whole nodes of which a single process was killed."""
        await self.restarts.kill(nodes)
        seen = await self.restarts.start(nodes)
        self._signals.forget(nodes)  # only now: what other changes signal meanwhile is gone too
        return seen
