"""Lets a fault wait for an event inside a node (such as a vote being granted) and holds the node at that instant.

Events are recognised by the ``kind`` of a message: a ``vote_reply`` that grants is a vote, a ``vote`` or an
``election`` begins a campaign. In a system that sends neither, these events never happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes.protocol import Effect, Send
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.kernel import Kernel, suspend

CAMPAIGNS: Final = frozenset({"vote", "election"})


class EventWait(Instrument):
    """One wait, by the task that makes it. The node is held, so that the task acts before the node does."""

    def __init__(self, kernel: Kernel, trigger: Trigger) -> None:
        self._kernel = kernel
        self._task = kernel.current
        self._event = trigger.event
        self._left = trigger.count
        self._over = False

    async def wait(self, give_up: int) -> str | None:
        """The node of the event; None if it has not come by ``give_up``."""
        self._kernel.at(max(self._kernel.now, give_up), self._give_up)
        node: str | None = await suspend()
        return node

    def intends(self, host: Host, effects: Sequence[Effect]) -> bool:
        if self._over or not any(_is(self._event, effect) for effect in effects):
            return False
        self._left -= 1
        if self._left:
            return False
        self._over = True
        self._kernel.at(self._kernel.now, self._task.wake, host.name)
        return True

    def _give_up(self, _: Any, __: Any) -> None:
        if not self._over:
            self._over = True
            self._task.wake(None, None)


def _is(event: str, effect: Effect) -> bool:
    if not isinstance(effect, Send):
        return False
    if event == "campaign":
        return effect.kind in CAMPAIGNS
    message = effect.message
    return effect.kind == "vote_reply" and isinstance(message, Mapping) and message.get("granted") is True
