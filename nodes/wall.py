"""A node that is told the time of day where it should be told elapsed time, as in systems ``by_wall_clock``.

A node knows one clock, that of its events, so to live by the other is a matter of who drives it. Its timers run on
elapsed time all the same, as those of programs do that read the time of day only to compare instants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from splitbrain.nodes.protocol import Effect, Event, Node, Received, Status


class OnWallClock:
    """A node that is told the time of day, ``now`` (ns); its timers run on elapsed time, as before."""

    def __init__(self, node: Node, now: Callable[[], int]) -> None:
        self._node = node
        self._now = now

    def handle(self, event: Event) -> list[Effect]:
        now = self._now()
        return self._node.handle(event._replace(at=now) if isinstance(event, Received) else replace(event, at=now))

    def status(self, at: int) -> Status:
        return self._node.status(self._now())
